//! Bulk build: a tree out of entries that come in order, node by node, in memory for one node of each level.

use crate::error::{Error, Result};
use crate::id::Era;
use crate::tree::{Child, Children, Columns, EncodedNode, LEAST_CHILDREN, Node, Root, TreeKind};

/// Builds a tree from entries in ascending order of their keys.
///
/// Nodes are handed out as soon as they are full; the caller stores them before the root is referred to.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::History;
/// use strandline_format::tree::{Builder, Root};
///
/// let mut builder = Builder::<History>::new(Era(0));
/// (0..10_000).try_for_each(|number| builder.push(version(number)))?;
/// let (root, nodes): (Root<History>, _) = builder.finish()?;
/// // Too many for the root alone: the nodes have to be stored before anything refers to it.
/// assert!(root.level() > 0 && !nodes.is_empty());
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Debug)]
pub struct Builder<K: TreeKind> {
    era: Era,
    entries: Vec<K::Entry>,
    weight: usize,
    last: Option<K::Key>,
    /// The children that wait for a parent, by their parent's level − 1.
    levels: Vec<Pending<K>>,
    done: Vec<EncodedNode>,
}

#[derive(Debug)]
struct Pending<K: TreeKind> {
    children: Vec<Child<K>>,
    weight: usize,
}

impl<K: TreeKind> Pending<K> {
    fn is_too_heavy_for_a_root(&self) -> bool {
        self.weight > K::LIMITS.root && self.children.len() > 1
    }
}

impl<K: TreeKind> Builder<K> {
    /// A builder whose nodes are uploaded in this era.
    #[must_use]
    pub fn new(era: Era) -> Self {
        Self { era, entries: Vec::new(), weight: 0, last: None, levels: Vec::new(), done: Vec::new() }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// `Invalid` if its key is not above the one before.
    pub fn push(&mut self, entry: K::Entry) -> Result<()> {
        let key = K::key(&entry);
        if let Some(last) = self.last.as_ref().filter(|last| **last >= key) {
            return Err(Error::invalid(format!("entries must ascend: {key} came after {last}")));
        }
        let weight = K::entry_weight(&entry);
        if self.weight + weight > K::LIMITS.leaf && !self.entries.is_empty() {
            self.close_leaf()?;
        }
        self.last = Some(key);
        self.weight += weight;
        self.entries.push(entry);
        Ok(())
    }

    /// The nodes that are ready to be stored since the last call.
    pub fn take_nodes(&mut self) -> Vec<EncodedNode> {
        std::mem::take(&mut self.done)
    }

    /// Ends the tree: its root, and the last nodes.
    ///
    /// # Errors
    /// `TooLarge` if a node is beyond the bound for metadata.
    pub fn finish(mut self) -> Result<(Root<K>, Vec<EncodedNode>)> {
        let mut root = Root::default();
        if self.levels.is_empty() {
            root.edit(self.entries.drain(..).map(|entry| (K::key(&entry), Some(entry))));
            if !root.is_over_full() {
                return Ok((root, self.done));
            }
            self.entries = root.puts().items();
        }
        self.close_leaf()?;
        let mut level = 0;
        while level + 1 < self.levels.len() || self.levels[level].is_too_heavy_for_a_root() {
            self.close_inner(level)?;
            level += 1;
        }
        let children = Children::from_items(&self.levels[level].children);
        let root = Root::new(level_number(level)?, children, Default::default())?;
        Ok((root, self.done))
    }

    fn close_leaf(&mut self) -> Result<()> {
        let entries = std::mem::take(&mut self.entries);
        self.weight = 0;
        let (child, node) = Node::<K>::Leaf(K::Columns::from_items(&entries)).encode(self.era)?;
        self.done.push(node);
        self.add(0, child)
    }

    /// Adds a child to the inner node under construction, closing the one before if that is full.
    fn add(&mut self, level: usize, child: Child<K>) -> Result<()> {
        if self.levels.len() == level {
            self.levels.push(Pending { children: Vec::new(), weight: 0 });
        }
        let weight = child.weight();
        let pending = &self.levels[level];
        if pending.weight + weight > K::LIMITS.inner && pending.children.len() >= LEAST_CHILDREN {
            self.close_inner(level)?;
        }
        let pending = &mut self.levels[level];
        pending.weight += weight;
        pending.children.push(child);
        Ok(())
    }

    fn close_inner(&mut self, level: usize) -> Result<()> {
        let pending = std::mem::replace(&mut self.levels[level], Pending { children: Vec::new(), weight: 0 });
        let children = Children::from_items(&pending.children);
        let (child, node) = Node::Inner(level_number(level)?, children).encode(self.era)?;
        self.done.push(node);
        self.add(level + 1, child)
    }
}

/// The level of the node that holds the children at this place of [`Builder::levels`].
fn level_number(place: usize) -> Result<u8> {
    u8::try_from(place + 1).map_err(|_| Error::too_large("a tree of more levels than the format allows"))
}
