//! The root of a tree: it lives inside its owner and begins with a buffer of recent edits.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::tree::node::display_len;
use crate::tree::{Children, Columns, MAX_LEVEL, TreeKind};

/// What an edit does to its key: put the entry, or remove the key.
pub type Edit<K> = Option<<K as TreeKind>::Entry>;

/// The root of a tree.
///
/// What the tree holds is what its children hold, overridden by the edits [TREE-3]. A small tree has no children at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Root<K: TreeKind> {
    level: u8,
    children: Children<K>,
    edits: BTreeMap<K::Key, Edit<K>>,
}

impl<K: TreeKind> Default for Root<K> {
    fn default() -> Self {
        Self { level: 0, children: Children::empty(), edits: BTreeMap::new() }
    }
}

impl<K: TreeKind> Root<K> {
    /// A root made of its parts.
    ///
    /// # Errors
    /// `Malformed` if the parts do not fit together.
    pub fn new(level: u8, children: Children<K>, edits: BTreeMap<K::Key, Edit<K>>) -> Result<Self> {
        if level > MAX_LEVEL || (level == 0) != children.is_empty() {
            return Err(Error::malformed(format!(
                "a root of level {level} with {} children",
                children.len()
            )));
        }
        if level == 0 && edits.values().any(Option::is_none) {
            return Err(Error::malformed("a root without children removes a key"));
        }
        children.check()?;
        Ok(Self { level, children, edits })
    }

    /// How many levels of nodes lie below.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// The nodes below, of level [`Root::level`] − 1.
    #[must_use]
    pub fn children(&self) -> &Children<K> {
        &self.children
    }

    /// The edits that override what the children hold.
    #[must_use]
    pub fn edits(&self) -> &BTreeMap<K::Key, Edit<K>> {
        &self.edits
    }

    /// Whether the tree certainly holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.children.is_empty() && self.edits.is_empty()
    }

    /// Adds edits to the buffer, which may now want a [`flush`](crate::tree::flush).
    pub fn edit(&mut self, edits: impl IntoIterator<Item = (K::Key, Edit<K>)>) {
        for (key, edit) in edits {
            // A key that no child can hold needs no tombstone.
            if edit.is_none() && self.children.find(&key).is_none() {
                self.edits.remove(&key);
            } else {
                self.edits.insert(key, edit);
            }
        }
    }

    /// Whether the buffer is over its bound.
    #[must_use]
    pub fn is_over_full(&self) -> bool {
        self.buffer_weight() > K::LIMITS.buffer
    }

    fn buffer_weight(&self) -> usize {
        let weight = |(key, edit): (&K::Key, &Edit<K>)| match edit {
            Some(entry) => K::entry_weight(entry),
            None => display_len(key) + 3,
        };
        self.edits.iter().map(weight).sum()
    }

    /// The entries in the buffer, as columns.
    #[must_use]
    pub fn puts(&self) -> K::Columns {
        let entries: Vec<K::Entry> = self.edits.values().flatten().cloned().collect();
        K::Columns::from_items(&entries)
    }

    /// The keys that the buffer removes.
    pub fn removes(&self) -> impl Iterator<Item = &K::Key> {
        self.edits.iter().filter(|(_, edit)| edit.is_none()).map(|(key, _)| key)
    }
}
