//! Flush: the root's edits go down into the leaves that they touch.
//!
//! Pure and restartable: where a node is missing the answer is which ones, all of one level at a time; the caller fetches them
//! and calls again. Nodes that come out unchanged are kept as they are, so nothing is written for an edit that changes
//! nothing. What does not belong here: fetching, storing, and deciding when to flush.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::id::Era;
use crate::tree::split::split;
use crate::tree::{
    Child, Children, Columns, Edit, EncodedNode, LEAST_CHILDREN, MAX_LEVEL, Node, NodeRef, Root, TreeKind,
};

/// A node with less than this part of its bound is merged with a neighbour once it has shrunk.
const UNDER_FULL: usize = 4;

/// What [`flush`] gives.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::History;
/// use strandline_format::tree::{Flush, NodeMap, Root, flush};
///
/// let mut root = Root::<History>::default();
/// root.edit((0..3).map(|number| (Seq(number), Some(version(number)))));
/// match flush(&root, &NodeMap::default(), Era(0))? {
///     Flush::Done(flushed, nodes) => assert_eq!((flushed.edits().len(), nodes.len()), (0, 1)),
///     Flush::Need(nodes) => panic!("nothing was stored yet, and {} are to be fetched", nodes.len()),
/// }
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Debug)]
pub enum Flush<K: TreeKind> {
    /// These nodes, with their levels, must be put into the [`NodeMap`] first.
    Need(Vec<(u8, NodeRef<K>)>),
    /// The root with an empty buffer, and the nodes to store before it is referred to.
    Done(Root<K>, Vec<EncodedNode>),
}

/// Nodes that were fetched, each checked against the reference that led to it.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::tree::{Columns, Node, NodeMap};
/// use strandline_format::{History, HistoryColumns};
///
/// let leaf = Node::<History>::Leaf(HistoryColumns::from_items(&[version(1), version(2)]));
/// let (child, stored) = leaf.encode(Era(0))?;
/// // As it is fetched: what is not what its parent says is refused.
/// let mut nodes = NodeMap::default();
/// nodes.insert(0, &child.reference, Node::parse(&stored.text)?)?;
/// assert_eq!(nodes.get(&stored.object.hash), Some(&leaf));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NodeMap<K: TreeKind>(HashMap<Hash, Arc<Node<K>>>);

impl<K: TreeKind> Default for NodeMap<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: TreeKind> NodeMap<K> {
    /// Adds a node of this level that `reference`, in its parent, leads to.
    ///
    /// # Errors
    /// `Malformed` if the node is not what the reference says.
    pub fn insert(&mut self, level: u8, reference: &NodeRef<K>, node: Node<K>) -> Result<()> {
        reference.check(level, &node)?;
        self.0.insert(reference.node.hash, Arc::new(node));
        Ok(())
    }

    /// A node that was added.
    #[must_use]
    pub fn get(&self, hash: &Hash) -> Option<&Node<K>> {
        self.0.get(hash).map(AsRef::as_ref)
    }
}

/// Moves the edits of a root into its leaves; nodes are written for this era.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::History;
/// use strandline_format::tree::{Flush, Node, NodeMap, Root, flush};
///
/// let mut root = Root::<History>::default();
/// root.edit([(Seq(1), Some(version(1)))]);
/// let Flush::Done(mut root, stored) = flush(&root, &NodeMap::default(), Era(0))? else { panic!("of nothing") };
///
/// // Now there is a leaf, which has to be fetched before an edit can go down into it.
/// root.edit([(Seq(2), Some(version(2)))]);
/// let Flush::Need(needed) = flush(&root, &NodeMap::default(), Era(0))? else { panic!("without the leaf") };
/// let mut nodes = NodeMap::default();
/// nodes.insert(needed[0].0, &needed[0].1, Node::parse(&stored[0].text)?)?;
/// assert!(matches!(flush(&root, &nodes, Era(0))?, Flush::Done(..)));
/// # Ok::<(), strandline_format::Error>(())
/// ```
///
/// # Errors
/// `TooLarge` if the tree would get too deep or a node too large.
pub fn flush<K: TreeKind>(root: &Root<K>, nodes: &NodeMap<K>, era: Era) -> Result<Flush<K>> {
    let edits = root.edits().iter().map(|(key, edit)| (key.clone(), edit.clone())).collect();
    let mut work = Work { nodes, era, need: Vec::new(), written: Vec::new() };
    let (level, children) = match root.level() {
        0 => (1, work.plant(edits)?),
        level => (level, work.rewrite(root.children(), level, edits)?),
    };
    let (level, children) = work.fit(level, children)?;
    if !work.need.is_empty() {
        return Ok(Flush::Need(work.need));
    }
    let nodes = work.written.into_iter().map(|(_, encoded)| encoded).collect();
    Ok(Flush::Done(Root::new(level, Children::from_items(&children), BTreeMap::new())?, nodes))
}

/// Edits, in the order of their keys.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::History;
/// use strandline_format::tree::{Edits, apply};
///
/// let edits: Edits<History> = vec![(Seq(1), None), (Seq(2), Some(version(2)))];
/// assert_eq!(apply::<History>(vec![version(1)], edits), [version(2)]);
/// ```
pub type Edits<K> = Vec<(<K as TreeKind>::Key, Edit<K>)>;

struct Work<'a, K: TreeKind> {
    nodes: &'a NodeMap<K>,
    era: Era,
    need: Vec<(u8, NodeRef<K>)>,
    written: Vec<(Node<K>, EncodedNode)>,
}

/// A child of the node that is being rewritten.
enum Piece<K: TreeKind> {
    Kept(Child<K>),
    Changed { content: Content<K>, shrunk: bool, fill: bool },
}

/// What a node holds, as rows.
enum Content<K: TreeKind> {
    Leaf(Vec<K::Entry>),
    Inner(Vec<Child<K>>),
}

impl<K: TreeKind> Content<K> {
    fn of(node: &Node<K>) -> Self {
        match node {
            Node::Leaf(columns) => Self::Leaf(columns.items()),
            Node::Inner(_, children) => Self::Inner(children.items()),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.iter().map(K::entry_weight).sum(),
            Self::Inner(children) => children.iter().map(Child::weight).sum(),
        }
    }

    fn limit(&self) -> usize {
        match self {
            Self::Leaf(_) => K::LIMITS.leaf,
            Self::Inner(_) => K::LIMITS.inner,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Leaf(entries) => entries.is_empty(),
            Self::Inner(children) => children.is_empty(),
        }
    }

    /// This content with that of the next neighbour behind it.
    fn followed_by(self, next: Self) -> Result<Self> {
        match (self, next) {
            (Self::Leaf(mut left), Self::Leaf(right)) => {
                left.extend(right);
                Ok(Self::Leaf(left))
            }
            (Self::Inner(mut left), Self::Inner(right)) => {
                left.extend(right);
                Ok(Self::Inner(left))
            }
            _ => Err(Error::malformed("neighbours in a tree are of different levels")),
        }
    }

    /// The nodes, of this level, that the content is spread over.
    fn into_nodes(self, level: u8, fill: bool) -> Vec<Node<K>> {
        let limit = self.limit();
        match self {
            Self::Leaf(entries) => split(entries, K::entry_weight, limit, 1, fill)
                .iter()
                .map(|run| Node::Leaf(K::Columns::from_items(run)))
                .collect(),
            Self::Inner(children) => split(children, Child::weight, limit, LEAST_CHILDREN, fill)
                .iter()
                .map(|run| Node::Inner(level, Children::from_items(run)))
                .collect(),
        }
    }
}

impl<K: TreeKind> Work<'_, K> {
    /// The first leaves of a tree that had none.
    fn plant(&mut self, edits: Edits<K>) -> Result<Vec<Child<K>>> {
        let entries: Vec<K::Entry> = edits.into_iter().filter_map(|(_, edit)| edit).collect();
        self.write(Content::Leaf(entries), 0, true)
    }

    /// The children of a node of this level after the edits.
    fn rewrite(&mut self, children: &Children<K>, level: u8, edits: Edits<K>) -> Result<Vec<Child<K>>> {
        let mut routed: BTreeMap<usize, Edits<K>> = BTreeMap::new();
        for (key, edit) in edits {
            routed.entry(children.route(&key)).or_default().push((key, edit));
        }
        let mut pieces = Vec::with_capacity(children.len());
        for (at, child) in children.items().into_iter().enumerate() {
            pieces.push(match routed.remove(&at) {
                Some(edits) => self.touch(child, level - 1, edits)?,
                None => Piece::Kept(child),
            });
        }
        let pieces = self.heal(pieces, level - 1)?;
        self.write_all(pieces, level - 1)
    }

    /// Applies edits to one child.
    fn touch(&mut self, child: Child<K>, level: u8, edits: Edits<K>) -> Result<Piece<K>> {
        let Some(node) = self.open(level, &child) else { return Ok(Piece::Kept(child)) };
        let fill = edits.iter().all(|(key, _)| *key > child.reference.last);
        let before = Content::of(&node);
        let content = match &*node {
            Node::Leaf(columns) => Content::Leaf(apply::<K>(columns.items(), edits)),
            Node::Inner(_, children) => Content::Inner(self.rewrite(children, level, edits)?),
        };
        let unchanged = match (&before, &content) {
            (Content::Leaf(before), Content::Leaf(after)) => before == after,
            (Content::Inner(before), Content::Inner(after)) => before == after,
            _ => false,
        };
        if unchanged {
            return Ok(Piece::Kept(child));
        }
        Ok(Piece::Changed { shrunk: content.weight() < before.weight(), content, fill })
    }

    /// A node, if it is at hand; else it is asked for.
    fn open(&mut self, level: u8, child: &Child<K>) -> Option<Arc<Node<K>>> {
        let found = self.nodes.0.get(&child.reference.node.hash).cloned();
        if found.is_none() {
            self.need.push((level, child.reference.clone()));
        }
        found
    }

    /// Drops pieces that have become empty and joins those that have become too small with a neighbour.
    fn heal(&mut self, pieces: Vec<Piece<K>>, level: u8) -> Result<Vec<Piece<K>>> {
        let mut healed: Vec<Piece<K>> = Vec::with_capacity(pieces.len());
        let mut pieces = pieces.into_iter().peekable();
        while let Some(piece) = pieces.next() {
            let Piece::Changed { content, shrunk: true, fill } = piece else {
                healed.push(piece);
                continue;
            };
            if content.is_empty() {
                continue;
            }
            let small = content.weight() < content.limit() / UNDER_FULL;
            let (left, right) = if small { (healed.pop(), None) } else { (None, None) };
            let right = if small && left.is_none() { pieces.next() } else { right };
            let joined = match (left, right) {
                (Some(left), _) => self.content_of(left, level)?.map(|left| left.followed_by(content)),
                (_, Some(right)) => self.content_of(right, level)?.map(|right| content.followed_by(right)),
                _ => Some(Ok(content)),
            };
            if let Some(content) = joined {
                healed.push(Piece::Changed { content: content?, shrunk: false, fill: fill && !small });
            }
        }
        Ok(healed)
    }

    /// What a piece holds; `None` while its node is missing.
    fn content_of(&mut self, piece: Piece<K>, level: u8) -> Result<Option<Content<K>>> {
        match piece {
            Piece::Changed { content, .. } => Ok(Some(content)),
            Piece::Kept(child) => Ok(self.open(level, &child).map(|node| Content::of(&node))),
        }
    }

    fn write_all(&mut self, pieces: Vec<Piece<K>>, level: u8) -> Result<Vec<Child<K>>> {
        let mut children = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Kept(child) => children.push(child),
                Piece::Changed { content, fill, .. } => children.extend(self.write(content, level, fill)?),
            }
        }
        Ok(children)
    }

    /// Makes nodes of this level out of the content.
    fn write(&mut self, content: Content<K>, level: u8, fill: bool) -> Result<Vec<Child<K>>> {
        if !self.need.is_empty() {
            return Ok(Vec::new());
        }
        let nodes = content.into_nodes(level, fill);
        nodes
            .into_iter()
            .map(|node| {
                let (child, encoded) = node.encode(self.era)?;
                self.written.push((node, encoded));
                Ok(child)
            })
            .collect()
    }

    /// Adds levels while the root has too many children, and takes away those that hold a single one.
    fn fit(&mut self, mut level: u8, mut children: Vec<Child<K>>) -> Result<(u8, Vec<Child<K>>)> {
        while self.need.is_empty() && weigh(&children) > K::LIMITS.root && children.len() > 1 {
            if level == MAX_LEVEL {
                return Err(Error::too_large(format!("a tree of more than {MAX_LEVEL} levels")));
            }
            children = self.write(Content::Inner(children), level, true)?;
            level += 1;
        }
        while level > 1 && children.len() == 1 {
            let Some(below) = self.only_child(level - 1, &children[0]) else { break };
            if weigh(&below) > K::LIMITS.root {
                break;
            }
            self.written.retain(|(_, encoded)| encoded.object.hash != children[0].reference.node.hash);
            children = below;
            level -= 1;
        }
        Ok(if children.is_empty() { (0, children) } else { (level, children) })
    }

    /// The children of the only child that is left, whether it was just written or is an old one.
    fn only_child(&mut self, level: u8, child: &Child<K>) -> Option<Vec<Child<K>>> {
        let written =
            self.written.iter().find(|(_, encoded)| encoded.object.hash == child.reference.node.hash);
        let written = written.map(|(node, _)| Content::of(node));
        match written.or_else(|| self.open(level, child).map(|node| Content::of(&node)))? {
            Content::Inner(children) => Some(children),
            Content::Leaf(_) => None,
        }
    }
}

fn weigh<K: TreeKind>(children: &[Child<K>]) -> usize {
    children.iter().map(Child::weight).sum()
}

/// Entries after edits, both in the order of their keys.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::History;
/// use strandline_format::tree::apply;
///
/// let entries = apply::<History>(vec![version(1), version(3)], vec![(Seq(2), Some(version(2))), (Seq(3), None)]);
/// assert_eq!(entries, [version(1), version(2)]);
/// ```
#[must_use]
pub fn apply<K: TreeKind>(entries: Vec<K::Entry>, edits: Edits<K>) -> Vec<K::Entry> {
    let mut out = Vec::with_capacity(entries.len() + edits.len());
    let mut edits = edits.into_iter().peekable();
    for entry in entries {
        let key = K::key(&entry);
        while let Some((_, edit)) = edits.next_if(|(edited, _)| *edited < key) {
            out.extend(edit);
        }
        match edits.next_if(|(edited, _)| *edited == key) {
            Some((_, edit)) => out.extend(edit),
            None => out.push(entry),
        }
    }
    out.extend(edits.filter_map(|(_, edit)| edit));
    out
}
