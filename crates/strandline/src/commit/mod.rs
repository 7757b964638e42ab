//! Commits: what a transaction has done becomes one version of a branch, or for certain does not [TXN, UNK].
//!
//! Invariants: an object is stored before the swap that makes it visible [DURABLE-FIRST]; every read of a base goes through
//! the checks of `check`; the transactions of one process on one branch go one group after the other, each group in one swap
//! [TXN-11]; what a swap came to is found out or said to be unknown, never guessed. What does not belong here: what
//! transactions do (`transaction`), and how a work is carried over to another base (`merge`).

pub(crate) mod build;
pub(crate) mod check;
mod group;
mod report;
pub(crate) mod resolve;

use std::sync::Arc;
use std::time::Duration;

use strandline_format::{Seq, TxnId};
use tokio::sync::{Mutex, oneshot};

pub(crate) use group::{Committers, name_commits};
pub(crate) use report::Written;
pub use report::{Phases, Report, Requests, TableReport};
pub use resolve::{Resolution, Unresolved};

use crate::commit::build::Label;
use crate::error::Result;
use crate::history::Commit;
use crate::merge::Bringing;
use crate::refs::Taking;
use crate::transaction::reads::ReadSet;
use crate::transaction::work::Work;
use crate::write::Uploads;

/// How long a commit tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How often it is tried anew when other writers were faster.
    pub attempts: u32,
    /// How long in all; then an outcome that is in doubt is fenced, or said to be unknown.
    pub timeout: Duration,
}

impl Default for Patience {
    /// 100 attempts within a minute.
    fn default() -> Self {
        Self { attempts: 100, timeout: Duration::from_secs(60) }
    }
}

/// What is brought into a branch, in the place of a work.
#[derive(Debug)]
pub(crate) struct Brings {
    pub(crate) bringing: Arc<Bringing>,
    /// What holds it where it comes from, if that is another ref [GC-7].
    pub(crate) taking: Arc<Mutex<Option<Taking>>>,
    /// Whether it may go upon nothing but its start.
    pub(crate) exact: bool,
    /// The oldest version of the branch itself that is read.
    pub(crate) oldest: Option<Seq>,
}

/// A transaction that wants to commit.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) txn: TxnId,
    pub(crate) keyed: bool,
    /// What it stands on.
    pub(crate) start: Commit,
    pub(crate) work: Work,
    /// What it read, if that counts.
    pub(crate) reads: Option<ReadSet>,
    pub(crate) label: Label,
    pub(crate) patience: Patience,
    /// What the writing of its data came to.
    pub(crate) written: Written,
    /// What of it is not in the store yet.
    pub(crate) uploads: Uploads,
    /// What it brings in from another version, made anew upon each base.
    pub(crate) brings: Option<Brings>,
    /// Who waits for the outcome.
    pub(crate) answer: oneshot::Sender<Result<Report>>,
}
