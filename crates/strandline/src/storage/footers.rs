//! The footers of data files that were read, so that reading a file again takes a request less.
//!
//! Invariants: the cache is bounded by the bytes that footers take in memory; a footer is found by the hash of its file, so it
//! never grows stale. What does not belong here: fetching a footer and holding it against an entry (`scan::footer`).

use std::sync::Arc;

use parquet::file::metadata::ParquetMetaData;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use strandline_format::Hash;

use crate::error::Result;

/// About how many bytes a footer takes in memory, for the cache's first allocation.
const TYPICAL_FOOTER: u64 = 16 << 10;

/// Footers by the hash of their file.
pub(crate) struct FooterCache(Cache<Hash, Arc<ParquetMetaData>, BySize>);

impl FooterCache {
    /// A cache of at most this many bytes of footers as they are in memory.
    pub(crate) fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / TYPICAL_FOOTER).unwrap_or(usize::MAX).max(16);
        Self(Cache::with_weighter(items, bytes, BySize))
    }

    /// The footer of a file, if it is here.
    pub(crate) fn get(&self, file: &Hash) -> Option<Arc<ParquetMetaData>> {
        self.0.get(file)
    }

    /// Keeps a footer of a file in place of the one that is here.
    pub(crate) fn keep(&self, file: &Hash, footer: Arc<ParquetMetaData>) {
        self.0.insert(*file, footer);
    }

    /// The footer of a file, fetched if it is not here. Those who want the same one at the same time share a request.
    pub(crate) async fn get_or(
        &self,
        file: &Hash,
        fetch: impl Future<Output = Result<Arc<ParquetMetaData>>>,
    ) -> Result<Arc<ParquetMetaData>> {
        self.0.get_or_insert_async(file, fetch).await
    }
}

/// What an entry costs: the footer in memory, and about what the cache keeps beside it.
#[derive(Clone, Debug)]
struct BySize;

impl Weighter<Hash, Arc<ParquetMetaData>> for BySize {
    fn weight(&self, _: &Hash, footer: &Arc<ParquetMetaData>) -> u64 {
        footer.memory_size() as u64 + 128
    }
}
