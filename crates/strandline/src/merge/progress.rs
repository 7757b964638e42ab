//! How far a merge is, for whoever waits for it.
//!
//! Invariant: it is told and never asked, so that no outcome depends on who looks on. What does not belong here: bytes, which stores tell
//! (`storage::Traffic`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a merge is: [`Merge::watched_by`](crate::refs::Merge::watched_by) has one handle, whoever looks on another. A merge that is begun again, upon a
/// branch that has moved, counts anew.
///
/// ```
/// use strandline::merge::MergeProgress;
///
/// let progress = MergeProgress::default();
/// assert_eq!((progress.tables(), progress.rows()), ((0, 0), (0, 0)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct MergeProgress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    tables: [AtomicU64; 2],
    rows: [AtomicU64; 2],
}

impl MergeProgress {
    /// How many tables are merged, of how many that change.
    #[must_use]
    pub fn tables(&self) -> (u64, u64) {
        of(&self.0.tables)
    }

    /// How many rows that both sides changed were looked at, of how many that are known of by then.
    #[must_use]
    pub fn rows(&self) -> (u64, u64) {
        of(&self.0.rows)
    }

    /// So many tables are to be merged.
    pub(super) fn begin(&self, tables: usize) {
        let [done, all] = &self.0.tables;
        self.0.rows.iter().chain([done]).for_each(|count| count.store(0, Ordering::Relaxed));
        all.store(tables as u64, Ordering::Relaxed);
    }

    pub(super) fn did_table(&self) {
        self.0.tables[0].fetch_add(1, Ordering::Relaxed);
    }

    /// So many rows more are to be looked at.
    pub(super) fn found_rows(&self, rows: usize) {
        self.0.rows[1].fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(super) fn did_rows(&self, rows: usize) {
        self.0.rows[0].fetch_add(rows as u64, Ordering::Relaxed);
    }
}

fn of([done, all]: &[AtomicU64; 2]) -> (u64, u64) {
    (done.load(Ordering::Relaxed), all.load(Ordering::Relaxed))
}
