//! How much work is done with objects at once, and how much of them is remembered.
//!
//! Invariant: the memory that caches take is bounded by these numbers. What does not belong here: options of a store (`storage::options`).

use std::num::NonZeroUsize;
use std::time::Duration;

/// How much work [`Objects`](super::Objects) does at once, and how much it remembers.
///
/// ```
/// use strandline::storage::ObjectOptions;
///
/// // A process of little memory.
/// let small = ObjectOptions {
///     cache_bytes: 4 << 20,
///     footer_cache_bytes: 1 << 20,
///     small_cache_bytes: 1 << 20,
///     ..ObjectOptions::default()
/// };
/// assert!(small.cache_bytes < ObjectOptions::default().cache_bytes);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectOptions {
    /// The most bytes of metadata text that the cache holds.
    pub cache_bytes: u64,
    /// The most bytes that the footers of data files take in their cache, as they are in memory.
    pub footer_cache_bytes: u64,
    /// The most bytes of small data files and deletion vectors that are kept, so that a table of many small files is not fetched again with every
    /// query.
    pub small_cache_bytes: u64,
    /// How many requests of one call are in flight.
    pub parallel_requests: NonZeroUsize,
    /// How many bytes of a data file are held in memory before the rest goes to a spill file.
    pub spill_above: usize,
    /// The size of the parts in which a larger data file is uploaded; stores want at least 5 MiB.
    pub part_bytes: NonZeroUsize,
    /// How many parts of one file are in flight.
    pub parallel_parts: NonZeroUsize,
    /// The zstd level of metadata.
    pub compression: i32,
    /// For how long a data file is put again since the store came into trouble: about as long as a server takes to start.
    pub put_patience: Duration,
    /// For how long a read of a bucket is repeated, be it of a pointer, of metadata or of data, while a store that has answered
    /// before is in trouble.
    pub get_patience: Duration,
    /// The same of a store that has not answered yet, where the address may be wrong as well. The clients of buckets try for some
    /// seconds by themselves.
    pub first_patience: Duration,
}

impl Default for ObjectOptions {
    /// Caches of 64 MiB of metadata, 32 MiB of footers and 32 MiB of small files, 16 requests in flight, files of up to 8 MiB in memory and in one
    /// request, 4 parts in flight, 60 seconds of patience with a store that has answered before and none with another.
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            footer_cache_bytes: 32 << 20,
            small_cache_bytes: 32 << 20,
            parallel_requests: at_least_one(16),
            spill_above: 8 << 20,
            part_bytes: at_least_one(8 << 20),
            parallel_parts: at_least_one(4),
            compression: 3,
            put_patience: Duration::from_secs(60),
            get_patience: Duration::from_secs(60),
            first_patience: Duration::ZERO,
        }
    }
}

pub(super) const fn at_least_one(count: usize) -> NonZeroUsize {
    match NonZeroUsize::new(count) {
        Some(count) => count,
        None => NonZeroUsize::MIN,
    }
}
