//! Tables as they were parsed, so that one that is written to again and again is not parsed again and again.
//!
//! Invariants: what is here was parsed of a checked text, or is what a text was written of; it is found by the hash of that
//! text, so it never grows stale; the cache is bounded by what tables weigh. What does not belong here: fetching and checking
//! (`snapshot`).

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use strandline_format::{Hash, ObjectRef, Schema, Table};

/// The most bytes that tables take, as they are in memory.
const BYTES: u64 = 16 << 20;

/// About how many bytes a table takes in memory for one of its text.
const UNFOLDED: u64 = 4;

/// About how long a table's text is, for the cache's first allocation.
const TYPICAL_TEXT: u64 = 16 << 10;

/// A table's node and its schema, wherever that is stored.
#[derive(Clone, Debug)]
pub(crate) struct ParsedTable {
    /// How long the node's text is: a reference that says otherwise is wrong [REFR-3].
    pub(crate) size: u64,
    pub(crate) table: Arc<Table>,
    pub(crate) schema: Arc<Schema>,
}

/// Tables by the hash of their node.
pub(crate) struct TableCache(Cache<Hash, ParsedTable, BySize>);

impl TableCache {
    pub(crate) fn new() -> Self {
        let items = usize::try_from(BYTES / (UNFOLDED * TYPICAL_TEXT)).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(items, BYTES, BySize))
    }

    /// The table of a node, if it is here.
    pub(crate) fn get(&self, node: &ObjectRef) -> Option<ParsedTable> {
        self.0.get(&node.hash).filter(|parsed| parsed.size == node.size)
    }

    /// Keeps a table for those who read its node later.
    pub(crate) fn keep(&self, node: &ObjectRef, table: Arc<Table>, schema: Arc<Schema>) {
        self.0.insert(node.hash, ParsedTable { size: node.size, table, schema });
    }
}

/// What an entry costs: the node unfolded, and about what the cache keeps beside it. The schema is most often shared.
#[derive(Clone, Debug)]
struct BySize;

impl Weighter<Hash, ParsedTable> for BySize {
    fn weight(&self, _: &Hash, parsed: &ParsedTable) -> u64 {
        UNFOLDED * parsed.size + 128
    }
}

#[cfg(test)]
mod tests {
    use strandline_format::{Era, TableId, TableSchema, Timestamp};

    use super::*;

    #[test]
    fn a_reference_of_another_size_finds_nothing() {
        let schema = Schema::numbered(Vec::new()).unwrap();
        let inline = TableSchema::Inline(schema.clone());
        let table = Table::new(TableId::from_random([1; 16]), Timestamp::EPOCH, inline);
        let node = ObjectRef { hash: Hash::of(b"node"), era: Era(0), size: 4 };
        let cache = TableCache::new();
        assert!(cache.get(&node).is_none());
        cache.keep(&node, Arc::new(table.clone()), Arc::new(schema));
        assert_eq!(*cache.get(&node).unwrap().table, table);
        assert!(cache.get(&ObjectRef { size: 5, ..node }).is_none());
    }
}
