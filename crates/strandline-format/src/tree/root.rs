//! The root of a tree: it lives inside its owner and begins with a buffer of recent edits.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::tree::node::display_len;
use crate::tree::{Children, Columns, MAX_LEVEL, TreeKind};

/// What an edit does to its key: put the entry, or remove the key.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::History;
/// use strandline_format::tree::{Edit, Root};
///
/// let (put, remove): (Edit<History>, Edit<History>) = (Some(version(1)), None);
/// let mut root = Root::<History>::default();
/// root.edit([(Seq(1), put), (Seq(2), remove)]);
/// // There is nothing to remove from an empty tree.
/// assert_eq!(root.edits().len(), 1);
/// ```
pub type Edit<K> = Option<<K as TreeKind>::Entry>;

/// The root of a tree.
///
/// What the tree holds is what its children hold, overridden by the edits [TREE-3]. A small tree has no children at all.
///
/// ```
#[doc = include_str!("../history/version.example")]
/// use strandline_format::History;
/// use strandline_format::tree::{Columns, Root};
///
/// let mut root = Root::<History>::default();
/// root.edit([(Seq(1), Some(version(1)))]);
/// // A small change only grows the buffer.
/// assert_eq!((root.level(), root.puts().items()), (0, vec![version(1)]));
/// assert!(!root.is_over_full());
/// ```
#[derive(Clone, Debug)]
pub struct Root<K: TreeKind> {
    level: u8,
    below: Arc<Below<K>>,
    edits: BTreeMap<K::Key, Edit<K>>,
    /// The entries among the edits as columns, once somebody asked for them: a small tree is walked again and again.
    puts: OnceLock<Arc<K::Columns>>,
}

impl<K: TreeKind> PartialEq for Root<K> {
    fn eq(&self, other: &Self) -> bool {
        (self.level, &self.below, &self.edits) == (other.level, &other.below, &other.edits)
    }
}

/// The children, and their text once it was written: from one flush to the next both stay what they are.
#[derive(Debug)]
struct Below<K: TreeKind> {
    children: Children<K>,
    text: OnceLock<Box<RawValue>>,
}

impl<K: TreeKind> PartialEq for Below<K> {
    fn eq(&self, other: &Self) -> bool {
        self.children == other.children
    }
}

impl<K: TreeKind> Below<K> {
    fn of(children: Children<K>) -> Arc<Self> {
        Arc::new(Self { children, text: OnceLock::new() })
    }
}

impl<K: TreeKind> Default for Root<K> {
    fn default() -> Self {
        Self { level: 0, below: Below::of(Children::empty()), edits: BTreeMap::new(), puts: OnceLock::new() }
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
        Ok(Self { level, below: Below::of(children), edits, puts: OnceLock::new() })
    }

    /// How many levels of nodes lie below.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// The nodes below, of level [`Root::level`] − 1.
    #[must_use]
    pub fn children(&self) -> &Children<K> {
        &self.below.children
    }

    /// The text of the children, which is written once.
    pub(super) fn children_text(
        &self,
        write: impl FnOnce(&Children<K>) -> serde_json::Result<Box<RawValue>>,
    ) -> serde_json::Result<&RawValue> {
        if let Some(text) = self.below.text.get() {
            return Ok(text);
        }
        let text = write(&self.below.children)?;
        Ok(self.below.text.get_or_init(|| text))
    }

    /// The edits that override what the children hold.
    #[must_use]
    pub fn edits(&self) -> &BTreeMap<K::Key, Edit<K>> {
        &self.edits
    }

    /// Whether the tree certainly holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.below.children.is_empty() && self.edits.is_empty()
    }

    /// Adds edits to the buffer, which may now want a [`flush`](crate::tree::flush).
    pub fn edit(&mut self, edits: impl IntoIterator<Item = (K::Key, Edit<K>)>) {
        self.puts = OnceLock::new();
        for (key, edit) in edits {
            // A key that no child can hold needs no tombstone.
            if edit.is_none() && self.below.children.find(&key).is_none() {
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

    /// The entries in the buffer, as columns, which are made once.
    #[must_use]
    pub fn puts(&self) -> &Arc<K::Columns> {
        self.puts.get_or_init(|| {
            let entries: Vec<K::Entry> = self.edits.values().flatten().cloned().collect();
            Arc::new(K::Columns::from_items(&entries))
        })
    }

    /// The keys that the buffer removes.
    pub fn removes(&self) -> impl Iterator<Item = &K::Key> {
        self.edits.iter().filter(|(_, edit)| edit.is_none()).map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Era, Hash, History, HistoryEntry, ObjectRef, Seq, Timestamp, TxnId};

    fn version(number: u64) -> HistoryEntry {
        HistoryEntry {
            seq: Seq(number),
            commit: ObjectRef { hash: Hash::of(&number.to_le_bytes()), era: Era(0), size: 1 },
            time: Timestamp::EPOCH,
            txn: TxnId::from_bytes([7; 16]),
            keyed: false,
            merged: None,
        }
    }

    #[test]
    fn columns_of_the_buffer_are_made_once_and_anew_after_an_edit() {
        let mut root = Root::<History>::default();
        root.edit([(Seq(1), Some(version(1)))]);
        assert!(Arc::ptr_eq(root.puts(), root.puts()));
        let (untouched, before) = (root.clone(), Arc::clone(root.puts()));
        root.edit([(Seq(2), Some(version(2)))]);
        assert_eq!(root.puts().items(), [version(1), version(2)]);
        assert_eq!((before.items(), untouched.puts().items()), (vec![version(1)], vec![version(1)]));
        // Whether somebody asked is no difference.
        let mut other = untouched.clone();
        other.edit([]);
        assert_eq!(other, untouched);
    }
}
