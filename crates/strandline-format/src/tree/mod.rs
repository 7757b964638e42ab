//! The one tree: a persistent B-tree whose root, inside its owner, has a write buffer [TREE-1].
//!
//! It serves three uses (files, catalog, history) through [`TreeKind`]. All here is pure: [`flush`] says which nodes it
//! needs instead of fetching them, [`Builder`] hands out nodes instead of storing them. Walking a stored tree is the SDK's.
//!
//! Invariants, checked when a node is parsed: keys ascend strictly; the ranges of children are disjoint and ascend; no node
//! is empty [TREE-4..7]. What only a parent can tell (level, range, count) is checked by [`NodeRef::check`].

mod build;
mod flush;
mod node;
mod root;
mod sparse;
mod split;
pub(crate) mod wire;

use std::fmt::{Debug, Display};
use std::hash::Hash as StdHash;

pub use build::Builder;
pub use flush::{Edits, Flush, NodeMap, apply, flush};
pub use node::{Child, Children, EncodedNode, Node, NodeRef};
pub use root::{Edit, Root};
pub(crate) use sparse::Sparse;

use crate::error::Result;

/// How deep a tree may be: a root of this level has this many levels of nodes below it.
pub const MAX_LEVEL: u8 = 8;

/// How many children an inner node is given at the least, whatever they weigh: else a tree of heavy nodes would never end.
const LEAST_CHILDREN: usize = 2;

/// A use of the tree: what its keys, entries and summaries are, and how they stand in JSON.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::tree::{Root, TreeKind};
/// use strandline_format::{Catalog, Files, History};
///
/// /// What holds of every tree.
/// fn survives<K: TreeKind>() -> strandline_format::Result<bool> {
///     let root = Root::<K>::default();
///     Ok(K::parse_root(&K::write_root(&root)?)? == root)
/// }
/// assert!(survives::<Catalog>()? && survives::<Files>()? && survives::<History>()?);
/// # Ok::<(), strandline_format::Error>(())
/// ```
pub trait TreeKind: Copy + Debug + PartialEq + Send + Sync + Sized + 'static {
    /// The `kind` member of the nodes.
    const NAME: &'static str;
    /// How large nodes are made; a reader never depends on it.
    const LIMITS: Limits;
    /// What entries are ordered by.
    type Key: Ord + Clone + Debug + Display + StdHash + Send + Sync;
    /// What a key maps to, the key included.
    type Entry: Clone + Debug + PartialEq + Send + Sync;
    /// What a parent knows of all entries below a child.
    type Summary: Clone + Debug + PartialEq + Send + Sync;
    /// Many entries, an array for each attribute.
    type Columns: Columns<Item = Self::Entry>;
    /// Many summaries, an array for each attribute.
    type Summaries: Columns<Item = Self::Summary>;

    /// The key of an entry.
    fn key(entry: &Self::Entry) -> Self::Key;
    /// The key of an entry in a leaf.
    fn key_at(columns: &Self::Columns, at: usize) -> Self::Key;
    /// What a parent keeps of these entries.
    fn summarize(columns: &Self::Columns) -> Self::Summary;
    /// What a grandparent keeps of these children.
    fn merge(children: &Children<Self>) -> Self::Summary;
    /// About how many bytes of JSON an entry takes in a leaf.
    fn entry_weight(entry: &Self::Entry) -> usize;
    /// About how many bytes of JSON a summary takes in an inner node, besides range and reference.
    fn summary_weight(summary: &Self::Summary) -> usize;

    /// The text of a node.
    ///
    /// # Errors
    /// `TooLarge` beyond the bound for metadata.
    fn write_node(node: &Node<Self>) -> Result<Vec<u8>>;
    /// Reads the text of a node.
    ///
    /// # Errors
    /// `Malformed`, `Unsupported` or `TooLarge`.
    fn parse_node(text: &[u8]) -> Result<Node<Self>>;
    /// The text of a root, a member of its owner.
    ///
    /// # Errors
    /// `Invalid` if it cannot be written.
    fn write_root(root: &Root<Self>) -> Result<String>;
    /// Reads the text of a root.
    ///
    /// # Errors
    /// `Malformed`, `Unsupported` or `TooLarge`.
    fn parse_root(text: &str) -> Result<Root<Self>>;
}

/// Many items, kept as an array for each attribute.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::HistoryColumns;
/// use strandline_format::tree::Columns;
///
/// // Rows at the edges, columns inside.
/// let columns = HistoryColumns::from_items(&[version(1), version(2)]);
/// assert_eq!(columns.items(), [version(1), version(2)]);
/// ```
pub trait Columns: Clone + Debug + PartialEq + Send + Sync + Sized {
    /// One item, as a row.
    type Item;

    /// Turns rows into columns.
    fn from_items(items: &[Self::Item]) -> Self;
    /// How many items there are.
    fn len(&self) -> usize;
    /// One item; `at` is below [`Columns::len`].
    fn item(&self, at: usize) -> Self::Item;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// All items, as rows.
    fn items(&self) -> Vec<Self::Item> {
        (0..self.len()).map(|at| self.item(at)).collect()
    }
}

/// How large the parts of a tree are made, in bytes of JSON before compression [TREE-12].
///
/// ```
/// use strandline_format::History;
/// use strandline_format::tree::{Limits, TreeKind};
///
/// let Limits { buffer, leaf, .. } = History::LIMITS;
/// // A full buffer is worth a few leaves.
/// assert!(buffer > 0 && leaf > 0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The root's buffer of edits; beyond it they are flushed.
    pub buffer: usize,
    /// A leaf.
    pub leaf: usize,
    /// An inner node.
    pub inner: usize,
    /// The root's list of children; beyond it the tree gets a level.
    pub root: usize,
}
