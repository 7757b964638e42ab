//! Walking a tree in the order of its keys, skipping what is of no interest.

use std::sync::Arc;

use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use strandline_format::Mask;
use strandline_format::tree::{Children, Columns, Edit, Node, NodeRef, Root, TreeKind};

use crate::error::{Error, Result};
use crate::tree::{All, FETCHES, Select, Trees};

/// Some entries of a walk, in the order of their keys.
///
/// ```
#[doc = include_str!("../tree/history.example")]
/// use futures::TryStreamExt;
/// use strandline::tree::All;
///
/// let root = trees.edit(&Root::<History>::default(), (1..=3).map(|n| (Seq(n), Some(version(n)))), Era(0)).await?.root;
/// let mut batches = std::pin::pin!(trees.scan(&root, &All));
/// let batch = batches.try_next().await?.ok_or("three entries")?;
/// // Entries stay in columns until somebody wants them as rows.
/// assert_eq!((batch.keep.count(), batch.entries().count()), (3, 3));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Batch<K: TreeKind> {
    /// The entries of a leaf, with the root's edits applied.
    pub columns: Arc<K::Columns>,
    /// Which of them are of interest.
    pub keep: Mask,
}

impl<K: TreeKind> Batch<K> {
    /// The entries of interest, as rows.
    pub fn entries(&self) -> impl Iterator<Item = K::Entry> + '_ {
        self.keep.ones().map(|at| self.columns.item(at))
    }

    fn of(columns: Arc<K::Columns>, select: &impl Select<K>) -> Self {
        Self { keep: select.entries(&columns), columns }
    }
}

/// A stretch of a walk: a leaf with the edits within its range, or edits between leaves.
struct Stretch<K: TreeKind> {
    leaf: Option<NodeRef<K>>,
    edits: Vec<(K::Key, Edit<K>)>,
}

impl Trees {
    /// The entries of interest, in batches, in the order of their keys.
    ///
    /// One wave of requests for each inner level that is of interest, then the leaves, at most 16 requests at a time; memory
    /// is bounded by the references to the leaves of interest and 16 leaves.
    ///
    /// # Errors
    /// `Corrupt` for a node that is not what its reference says; the store's errors. Dropping the stream leaves nothing.
    pub fn scan<'a, K: TreeKind, S: Select<K>>(
        &'a self,
        root: &'a Root<K>,
        select: &'a S,
    ) -> impl Stream<Item = Result<Batch<K>>> + Send + 'a {
        // Without leaves there is nothing to lay the edits between.
        let is_small = root.level() == 0;
        let small =
            (is_small && !root.edits().is_empty()).then(|| Ok(Batch::of(Arc::clone(root.puts()), select)));
        let large = async move { if is_small { None } else { Some(self.leaves(root, select).await) } };
        let large = stream::once(large).filter_map(std::future::ready);
        let large = large.map_ok(move |leaves| self.read_stretches(root, leaves, select)).try_flatten();
        stream::iter(small).chain(large)
    }

    /// All entries, as [`Trees::scan`] gives them, for whoever keeps the stream and nothing else.
    pub(crate) fn walk<K: TreeKind>(self: Arc<Self>, root: Root<K>) -> BoxStream<'static, Result<Batch<K>>> {
        if root.level() == 0 {
            let small = (!root.edits().is_empty()).then(|| Ok(Batch::of(Arc::clone(root.puts()), &All)));
            return stream::iter(small).boxed();
        }
        let leaves = async move {
            let leaves = self.leaves(&root, &All).await?;
            let of = leaves.len();
            let read = move |stretch| {
                let trees = Arc::clone(&self);
                async move { trees.read_stretch(stretch, of, &All).await }
            };
            Ok::<_, Error>(stream::iter(stretches(&root, leaves)).map(read).buffered(FETCHES))
        };
        stream::once(leaves).try_flatten().boxed()
    }

    /// All entries of interest, as rows.
    ///
    /// # Errors
    /// As [`Trees::scan`].
    pub async fn collect<K: TreeKind>(
        &self,
        root: &Root<K>,
        select: &impl Select<K>,
    ) -> Result<Vec<K::Entry>> {
        let mut batches = std::pin::pin!(self.scan(root, select));
        let mut entries = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            entries.extend(batch.entries());
        }
        Ok(entries)
    }

    /// The leaves that may hold entries of interest.
    async fn leaves<K: TreeKind>(&self, root: &Root<K>, select: &impl Select<K>) -> Result<Vec<NodeRef<K>>> {
        let mut references = selected(root.children(), select);
        for level in (1..root.level()).rev() {
            let mut below = Vec::new();
            for (_, node) in self.nodes(level, references).await? {
                match &node {
                    Node::Inner(_, children) => below.extend(selected(children, select)),
                    Node::Leaf(_) => return Err(not_inner(level)),
                }
            }
            references = below;
        }
        Ok(references)
    }

    fn read_stretches<'a, K: TreeKind, S: Select<K>>(
        &'a self,
        root: &Root<K>,
        leaves: Vec<NodeRef<K>>,
        select: &'a S,
    ) -> impl Stream<Item = Result<Batch<K>>> + Send + 'a {
        let of = leaves.len();
        // Those of appends are columns already, which are made once.
        let adds = only_adds(root, &leaves).then(|| Batch::of(Arc::clone(root.puts()), select));
        let stretches = match adds {
            Some(_) => {
                leaves.into_iter().map(|leaf| Stretch { leaf: Some(leaf), edits: Vec::new() }).collect()
            }
            None => stretches(root, leaves),
        };
        let adds = adds.filter(|adds| !adds.columns.is_empty());
        let read = move |stretch| self.read_stretch(stretch, of, select);
        stream::iter(stretches).map(read).buffered(FETCHES).chain(stream::iter(adds.map(Ok)))
    }

    async fn read_stretch<K: TreeKind>(
        &self,
        stretch: Stretch<K>,
        of: usize,
        select: &impl Select<K>,
    ) -> Result<Batch<K>> {
        let entries = match stretch.leaf {
            None => stretch.edits.into_iter().filter_map(|(_, edit)| edit).collect(),
            Some(reference) => match self.node(0, reference, of).await?.1 {
                Node::Leaf(columns) if stretch.edits.is_empty() => {
                    return Ok(Batch::of(Arc::new(columns), select));
                }
                Node::Leaf(columns) => strandline_format::tree::apply::<K>(columns.items(), stretch.edits),
                Node::Inner(..) => return Err(not_inner(0)),
            },
        };
        Ok(Batch::of(Arc::new(K::Columns::from_items(&entries)), select))
    }
}

/// Whether all edits of a root come behind these leaves.
fn only_adds<K: TreeKind>(root: &Root<K>, leaves: &[NodeRef<K>]) -> bool {
    match (leaves.last(), root.edits().first_key_value()) {
        (Some(leaf), Some((first, _))) => leaf.last < *first,
        _ => true,
    }
}

fn not_inner(level: u8) -> Error {
    // `NodeRef::check` has compared the levels, so this would be a defect of ours.
    Error::from(strandline_format::Error::malformed(format!("a node of level {level} is of the other sort")))
}

fn selected<K: TreeKind>(children: &Children<K>, select: &impl Select<K>) -> Vec<NodeRef<K>> {
    let keep = select.children(children);
    keep.ones().map(|at| children.reference(at)).collect()
}

/// Lays the root's edits between and over the leaves.
fn stretches<K: TreeKind>(root: &Root<K>, leaves: Vec<NodeRef<K>>) -> Vec<Stretch<K>> {
    let mut edits = root.edits().iter().map(|(key, edit)| (key.clone(), edit.clone())).peekable();
    let mut out = Vec::with_capacity(leaves.len() + 1);
    for leaf in leaves {
        let before: Vec<_> = std::iter::from_fn(|| edits.next_if(|(key, _)| *key < leaf.first)).collect();
        let within: Vec<_> = std::iter::from_fn(|| edits.next_if(|(key, _)| *key <= leaf.last)).collect();
        out.push(Stretch { leaf: None, edits: before });
        out.push(Stretch { leaf: Some(leaf), edits: within });
    }
    out.push(Stretch { leaf: None, edits: edits.collect() });
    out.retain(|stretch| stretch.leaf.is_some() || stretch.edits.iter().any(|(_, edit)| edit.is_some()));
    out
}
