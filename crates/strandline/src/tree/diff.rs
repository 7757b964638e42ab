//! What differs between two trees, at the cost of the difference: equal references are never followed.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::iter::Peekable;

use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use strandline_format::Hash;
use strandline_format::tree::{Children, Columns, Node, NodeRef, Root, TreeKind};

use crate::error::Result;
use crate::tree::{FETCHES, Trees};

/// One key whose entry differs.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::{TableName, Catalog};
///
/// let before = lake.branch(lake.default_branch()).await?;
/// let drop = lake.begin().await?;
/// drop.drop_table("orders").await?;
/// drop.commit().await?;
/// let after = lake.branch(lake.default_branch()).await?;
///
/// let changes = after.trees().changes::<Catalog>(&before.commit().catalog, &after.commit().catalog).await?;
/// assert_eq!(changes[0].key, TableName::new("orders")?.key().clone());
/// assert!(changes[0].before.is_some() && changes[0].after.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Change<K: TreeKind> {
    /// The key.
    pub key: K::Key,
    /// Its entry before, if it had one.
    pub before: Option<K::Entry>,
    /// Its entry after, if it has one.
    pub after: Option<K::Entry>,
}

impl Trees {
    /// The keys whose entries differ, in their order.
    ///
    /// Per level, the nodes that only one side has are fetched in one wave; leaves come as the stream is read, 16 at a time
    /// from each side. Memory is bounded by the references to the leaves that differ and 32 leaves.
    ///
    /// # Errors
    /// `Corrupt` for a node that is not what its reference says; the store's errors. Dropping the stream leaves nothing.
    pub fn diff<'a, K: TreeKind>(
        &'a self,
        before: &'a Root<K>,
        after: &'a Root<K>,
    ) -> impl Stream<Item = Result<Change<K>>> + Send + 'a {
        stream::once(self.begin_diff(before, after))
            .map_ok(|join| {
                stream::try_unfold(join, |mut join| async move {
                    Ok(join.next().await?.map(|change| (change, join)))
                })
            })
            .try_flatten()
    }

    async fn begin_diff<K: TreeKind>(&self, before: &Root<K>, after: &Root<K>) -> Result<Join<'_, K>> {
        let edited: BTreeSet<K::Key> = before.edits().keys().chain(after.edits().keys()).cloned().collect();
        let (edits, (left, right)) = futures::try_join!(
            self.edited_changes(before, after, &edited),
            self.differing_leaves(before, after)
        )?;
        let (left, right) = (self.leaf_entries(left), self.leaf_entries(right));
        Ok(Join { left, right, edited, edits: edits.into_iter().peekable(), waiting: None })
    }

    /// The changes of the keys that stand in either root's buffer.
    async fn edited_changes<K: TreeKind>(
        &self,
        before: &Root<K>,
        after: &Root<K>,
        edited: &BTreeSet<K::Key>,
    ) -> Result<Vec<Change<K>>> {
        let differs = |key: &&K::Key| before.edits().get(*key) != after.edits().get(*key);
        let keys: Vec<K::Key> = edited.iter().filter(differs).cloned().collect();
        let (old, new) = futures::try_join!(self.get_many(before, &keys), self.get_many(after, &keys))?;
        let changes = keys.into_iter().zip(old).zip(new);
        let changes = changes.map(|((key, before), after)| Change { key, before, after });
        Ok(changes.filter(|change| change.before != change.after).collect())
    }

    /// The leaves that only one of the trees has, in order.
    async fn differing_leaves<K: TreeKind>(
        &self,
        before: &Root<K>,
        after: &Root<K>,
    ) -> Result<(Vec<NodeRef<K>>, Vec<NodeRef<K>>)> {
        let mut left = Frontier { level: before.level(), references: references(before.children()) };
        let mut right = Frontier { level: after.level(), references: references(after.children()) };
        loop {
            if left.level == right.level {
                drop_common(&mut left.references, &mut right.references);
            }
            let level = left.level.max(right.level);
            if level <= 1 {
                return Ok((left.references, right.references));
            }
            let (l, r) = futures::try_join!(self.expand(left, level), self.expand(right, level))?;
            (left, right) = (l, r);
        }
    }

    /// One level down, if the frontier is at this level.
    async fn expand<K: TreeKind>(&self, frontier: Frontier<K>, level: u8) -> Result<Frontier<K>> {
        if frontier.level < level {
            return Ok(frontier);
        }
        let nodes = self.nodes(level - 1, frontier.references).await?;
        let below = nodes.iter().flat_map(|(_, node)| match node {
            Node::Inner(_, children) => references(children),
            Node::Leaf(_) => Vec::new(),
        });
        Ok(Frontier { level: level - 1, references: below.collect() })
    }

    fn leaf_entries<K: TreeKind>(&self, leaves: Vec<NodeRef<K>>) -> Entries<'_, K> {
        let of = leaves.len();
        let read = move |reference: NodeRef<K>| async move {
            Ok(match self.node(0, reference, of).await?.1 {
                Node::Leaf(columns) => columns.items(),
                Node::Inner(..) => Vec::new(),
            })
        };
        Entries {
            leaves: stream::iter(leaves).map(read).buffered(FETCHES).boxed(),
            open: Vec::new().into_iter().peekable(),
        }
    }
}

/// References to nodes of one level below `level`.
struct Frontier<K: TreeKind> {
    level: u8,
    references: Vec<NodeRef<K>>,
}

fn references<K: TreeKind>(children: &Children<K>) -> Vec<NodeRef<K>> {
    (0..children.len()).map(|at| children.reference(at)).collect()
}

fn drop_common<K: TreeKind>(left: &mut Vec<NodeRef<K>>, right: &mut Vec<NodeRef<K>>) {
    let hashes =
        |side: &[NodeRef<K>]| side.iter().map(|reference| reference.node.hash).collect::<HashSet<Hash>>();
    let (in_left, in_right) = (hashes(left), hashes(right));
    left.retain(|reference| !in_right.contains(&reference.node.hash));
    right.retain(|reference| !in_left.contains(&reference.node.hash));
}

/// The entries of some leaves, one after the other.
struct Entries<'a, K: TreeKind> {
    leaves: BoxStream<'a, Result<Vec<K::Entry>>>,
    open: Peekable<std::vec::IntoIter<K::Entry>>,
}

impl<K: TreeKind> Entries<'_, K> {
    async fn peek_key(&mut self) -> Result<Option<K::Key>> {
        while self.open.peek().is_none() {
            match self.leaves.try_next().await? {
                Some(entries) => self.open = entries.into_iter().peekable(),
                None => return Ok(None),
            }
        }
        Ok(self.open.peek().map(K::key))
    }
}

/// Two runs of entries side by side, and the changes of buffered keys between them.
struct Join<'a, K: TreeKind> {
    left: Entries<'a, K>,
    right: Entries<'a, K>,
    edited: BTreeSet<K::Key>,
    edits: Peekable<std::vec::IntoIter<Change<K>>>,
    waiting: Option<Change<K>>,
}

impl<K: TreeKind> Join<'_, K> {
    async fn next(&mut self) -> Result<Option<Change<K>>> {
        if self.waiting.is_none() {
            self.waiting = self.next_in_leaves().await?;
        }
        let leaf_key = self.waiting.as_ref().map(|change| change.key.clone());
        let edit_first = |edit: &Change<K>| leaf_key.as_ref().is_none_or(|key| edit.key < *key);
        Ok(self.edits.next_if(edit_first).or_else(|| self.waiting.take()))
    }

    async fn next_in_leaves(&mut self) -> Result<Option<Change<K>>> {
        loop {
            let (left, right) = (self.left.peek_key().await?, self.right.peek_key().await?);
            let order = match (&left, &right) {
                (None, None) => return Ok(None),
                (Some(left), Some(right)) => left.cmp(right),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
            };
            let before = if order.is_le() { self.left.open.next() } else { None };
            let after = if order.is_ge() { self.right.open.next() } else { None };
            let Some(key) = (if order.is_le() { left } else { right }) else { return Ok(None) };
            if before != after && !self.edited.contains(&key) {
                return Ok(Some(Change { key, before, after }));
            }
        }
    }
}
