//! Nodes of trees as they were parsed, so that a table of some files is not parsed anew by each plan.
//!
//! Invariants: what is here was parsed of a checked text, and is found by the hash of that text, so it never grows stale; whoever finds it holds
//! it against the reference that led there, as if it had just been read; the cache is bounded by what nodes weigh. What does not belong here: walks over
//! more nodes than it holds, which would only drive out each other's (`tree`).

use std::any::Any;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use strandline_format::tree::{Node, TreeKind};
use strandline_format::{Hash, ObjectRef};

/// The most bytes that nodes take, as they are in memory.
const BYTES: u64 = 16 << 20;

/// About how many bytes a node takes in memory for one of its text.
const UNFOLDED: u64 = 4;

/// About how long a node's text is, for the cache's first allocation.
const TYPICAL_TEXT: u64 = 32 << 10;

/// A node of any kind of tree.
#[derive(Clone)]
struct Parsed {
    /// How long its text is: a reference that says otherwise is wrong [REFR-3].
    size: u64,
    node: Arc<dyn Any + Send + Sync>,
}

/// Nodes by the hash of their text.
pub(crate) struct NodeCache(Cache<Hash, Parsed, BySize>);

impl NodeCache {
    /// A cache in a store whose texts may take so many bytes.
    pub(crate) fn new(texts: u64) -> Self {
        let bytes = BYTES.min(texts);
        let items = usize::try_from(bytes / (UNFOLDED * TYPICAL_TEXT)).unwrap_or(usize::MAX).max(16);
        Self(Cache::with_weighter(items, bytes, BySize))
    }

    /// The node of a text, if it is here and of this kind.
    pub(crate) fn get<K: TreeKind>(&self, object: &ObjectRef) -> Option<Node<K>> {
        let found = self.0.get(&object.hash).filter(|parsed| parsed.size == object.size)?;
        found.node.downcast_ref::<Node<K>>().cloned()
    }

    /// Keeps a node for those who read it later.
    pub(crate) fn keep<K: TreeKind>(&self, object: &ObjectRef, node: &Node<K>) {
        self.0.insert(object.hash, Parsed { size: object.size, node: Arc::new(node.clone()) });
    }
}

/// What an entry costs: the text unfolded, and about what the cache keeps beside it.
#[derive(Clone, Debug)]
struct BySize;

impl Weighter<Hash, Parsed> for BySize {
    fn weight(&self, _: &Hash, parsed: &Parsed) -> u64 {
        UNFOLDED * parsed.size + 128
    }
}

#[cfg(test)]
mod tests {
    use strandline_format::tree::{Children, Columns};
    use strandline_format::{Catalog, Era, FileColumns, Files};

    use super::*;

    #[test]
    fn what_is_found_is_of_its_size_and_kind() {
        let node = Node::<Files>::Leaf(FileColumns::from_items(&[]));
        let object = ObjectRef { hash: Hash::of(b"node"), era: Era(0), size: 4 };
        let cache = NodeCache::new(u64::MAX);
        assert!(cache.get::<Files>(&object).is_none());
        cache.keep(&object, &node);
        assert_eq!(cache.get::<Files>(&object), Some(node));
        assert!(cache.get::<Files>(&ObjectRef { size: 5, ..object }).is_none());
        assert!(cache.get::<Catalog>(&object).is_none());
        cache.keep(&object, &Node::<Catalog>::Inner(1, Children::empty()));
        assert!(cache.get::<Catalog>(&object).is_some());
    }
}
