//! What a walk over a tree is interested in: whole subtrees are skipped by what their parents know of them.

use std::ops::{Bound, RangeBounds};

use strandline_format::tree::{Children, Columns, TreeKind};

/// Decides, a node at a time, which children to follow and which entries to give.
///
/// Both answers have one value for each child or entry. To follow too much costs requests; to follow too little loses
/// entries, so in doubt the answer is `true`.
pub trait Select<K: TreeKind>: Send + Sync {
    /// Which children may hold entries of interest.
    fn children(&self, children: &Children<K>) -> Vec<bool>;
    /// Which entries are of interest.
    fn entries(&self, entries: &K::Columns) -> Vec<bool>;
}

/// Every entry.
#[derive(Clone, Copy, Debug)]
pub struct All;

impl<K: TreeKind> Select<K> for All {
    fn children(&self, children: &Children<K>) -> Vec<bool> {
        vec![true; children.len()]
    }

    fn entries(&self, entries: &K::Columns) -> Vec<bool> {
        vec![true; entries.len()]
    }
}

/// The entries whose keys lie in a range.
#[derive(Clone, Debug)]
pub struct KeyRange<Key>(Bound<Key>, Bound<Key>);

impl<Key: Clone> KeyRange<Key> {
    /// The range between two keys.
    pub fn new(range: impl RangeBounds<Key>) -> Self {
        Self(range.start_bound().cloned(), range.end_bound().cloned())
    }
}

impl<K: TreeKind> Select<K> for KeyRange<K::Key> {
    fn children(&self, children: &Children<K>) -> Vec<bool> {
        let reaches = |at: usize| {
            let begins_in_time = match &self.1 {
                Bound::Included(end) => children.first[at] <= *end,
                Bound::Excluded(end) => children.first[at] < *end,
                Bound::Unbounded => true,
            };
            let ends_in_time = match &self.0 {
                Bound::Included(start) => children.last[at] >= *start,
                Bound::Excluded(start) => children.last[at] > *start,
                Bound::Unbounded => true,
            };
            begins_in_time && ends_in_time
        };
        (0..children.len()).map(reaches).collect()
    }

    fn entries(&self, entries: &K::Columns) -> Vec<bool> {
        let range = (self.0.as_ref(), self.1.as_ref());
        (0..entries.len()).map(|at| RangeBounds::contains(&range, &K::key_at(entries, at))).collect()
    }
}
