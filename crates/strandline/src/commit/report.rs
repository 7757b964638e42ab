//! What a commit tells of itself: what it did, what it cost, and how long each part of it took.

use std::time::Duration;

use strandline_format::{Operation, TableChange};

use crate::history::Commit;

/// A commit that has happened.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let report = lake.append("orders", orders(&[(4, 99), (5, 1)])).await?;
/// assert_eq!(report.commit.version().0, 2);
/// assert_eq!((report.tables[0].name.as_str(), report.tables[0].rows), ("orders", (2, 0)));
/// assert!(!report.already && report.retries == 0 && report.bytes_uploaded > 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    /// The version that was made.
    pub commit: Commit,
    /// Whether it had happened before: a transaction with the same idempotency key, or an attempt that was thought lost.
    pub already: bool,
    /// Whether it changed nothing, and is there to say so: all that was merged or picked had been done on the branch as well.
    pub changed_nothing: bool,
    /// What it did to each table.
    pub tables: Vec<TableReport>,
    /// What was asked of the store, data files included.
    pub requests: Requests,
    /// The bytes of data files that were uploaded.
    pub bytes_uploaded: u64,
    /// Files that were to be written anew, but were there already, byte for byte.
    pub files_reused: u64,
    /// How often other writers were faster.
    pub retries: u32,
    /// How many transactions went with it in one swap, itself included.
    pub group: usize,
    /// How many commits of others it was checked against.
    pub checked: u64,
    /// How long each part took.
    pub phases: Phases,
}

/// What a commit did to one table.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
/// use strandline::format::Operation;
///
/// let tidy = lake.begin().await?;
/// tidy.delete("orders", col("amount").lt(0)).await?;
/// let report = tidy.commit().await?;
/// let orders = &report.tables[0];
/// assert_eq!((orders.operation, orders.rows), (Operation::Delete, (0, 1)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableReport {
    /// Its name.
    pub name: String,
    /// What was done.
    pub operation: Operation,
    /// Live rows that came and went.
    pub rows: (u64, u64),
    /// Files that came and went.
    pub files: (u64, u64),
    /// The bytes of these files.
    pub bytes: (u64, u64),
}

/// How many requests were made.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let report = lake.append("orders", orders(&[(4, 99)])).await?;
/// // One data file, and one put of the branch's pointer.
/// assert_eq!((report.requests.data, report.requests.swaps), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Data files that were put; a large one is sent in several.
    pub data: u64,
    /// Nodes and commits that were put, those of the whole group.
    pub metadata: u64,
    /// Reads of the pointer.
    pub reads: u64,
    /// Swaps of the pointer.
    pub swaps: u64,
}

/// How long each part took.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let phases = lake.append("orders", orders(&[(4, 99)])).await?.phases;
/// // Where the time of a commit goes: on a store, mostly into these two waves.
/// println!("upload {:?}, swap {:?}", phases.upload, phases.swap);
/// assert!(phases.swap.as_secs() < 60);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Encoding and uploading what was not yet when the commit began.
    pub write: Duration,
    /// Waiting for the group before.
    pub wait: Duration,
    /// Checking, rebasing and making the nodes.
    pub build: Duration,
    /// Uploading them.
    pub upload: Duration,
    /// Swapping the pointer, and finding out what came of it.
    pub swap: Duration,
}

/// What the writing of data came to, before the commit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) reused: u64,
    pub(crate) took: Duration,
}

impl Requests {
    /// Those that were made after these.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            data: self.data - before.data,
            metadata: self.metadata - before.metadata,
            reads: self.reads - before.reads,
            swaps: self.swaps - before.swaps,
        }
    }
}

impl Phases {
    /// What was spent after these.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            write: self.write.saturating_sub(before.write),
            wait: self.wait.saturating_sub(before.wait),
            build: self.build.saturating_sub(before.build),
            upload: self.upload.saturating_sub(before.upload),
            swap: self.swap.saturating_sub(before.swap),
        }
    }
}

impl From<&TableChange> for TableReport {
    fn from(change: &TableChange) -> Self {
        Self {
            name: change.name.as_str().to_owned(),
            operation: change.operation,
            rows: (change.rows.added, change.rows.removed),
            files: (change.files.added, change.files.removed),
            bytes: (change.bytes.added, change.bytes.removed),
        }
    }
}

impl Report {
    /// What a commit says, with nothing known of its cost.
    pub(crate) fn of(commit: Commit) -> Self {
        let tables = commit.changes().iter().map(TableReport::from).collect();
        Self {
            commit,
            tables,
            already: false,
            changed_nothing: false,
            requests: Requests::default(),
            bytes_uploaded: 0,
            files_reused: 0,
            retries: 0,
            group: 1,
            checked: 0,
            phases: Phases::default(),
        }
    }
}
