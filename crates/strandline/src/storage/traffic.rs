//! How much went to and from a store, for whoever shows how far long work is. Nothing is decided by it.

use std::sync::atomic::{AtomicU64, Ordering};

/// What went to and from a store since it was opened, pointers aside.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let traffic = || lake.storage().objects().traffic();
/// let before = traffic();
/// lake.table("orders").await?.scan().collect().await?;
/// assert!(traffic().bytes_read > before.bytes_read);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of metadata and data that were read.
    pub bytes_read: u64,
    /// Bytes that were written, those of a data file as they come to be.
    pub bytes_written: u64,
    /// Data objects that were written.
    pub data_written: u64,
}

/// The counts of one store.
#[derive(Debug, Default)]
pub(super) struct Counters {
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    data_written: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self, bytes: usize) {
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.bytes_written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn finished_data(&self) {
        self.data_written.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            bytes_read: self.bytes_read.load(Ordering::Relaxed),
            bytes_written: self.bytes_written.load(Ordering::Relaxed),
            data_written: self.data_written.load(Ordering::Relaxed),
        }
    }
}
