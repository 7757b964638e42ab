//! Commits: what a transaction has done becomes one version of a branch, or for certain does not [TXN, UNK].
//!
//! Invariants: an object is stored before the swap that makes it visible [DURABLE-FIRST]; every read of a base goes through
//! the checks of `check`; the transactions of one process on one branch go one group after the other, each group in one swap
//! [TXN-11]; what a swap came to is found out or said to be unknown, never guessed. What does not belong here: what
//! transactions do (`transaction`), and how a work is carried over to another base (`merge`).

pub(crate) mod build;
pub(crate) mod check;
mod group;
mod outcome;
mod prepare;
mod queue;
mod report;
pub(crate) mod resolve;

use std::sync::Arc;
use std::time::Duration;

use strandline_format::{Era, Hash, RefName, Seq, TxnId};
use tokio::sync::Mutex;

pub(crate) use prepare::name_commits;
pub(crate) use queue::Committers;
pub(crate) use report::Written;
pub use report::{Phases, Report, Requests, TableReport};
pub use resolve::{Resolution, Unresolved};

use crate::commit::build::Label;
use crate::history::Commit;
use crate::lake::Head;
use crate::merge::Bringing;
use crate::refs::Taking;
use crate::transaction::reads::ReadSet;
use crate::transaction::work::Work;
use crate::write::Uploads;

/// How long a commit tries.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use std::time::Duration;
/// use strandline::commit::Patience;
///
/// let load = lake.begin().await?;
/// load.append("orders", orders(&[(4, 99)])).await?;
/// // A nightly load waits its turn longer than a person would.
/// let patient = Patience { attempts: 1_000, timeout: Duration::from_secs(600) };
/// let report = load.commit().patience(patient).await?;
/// assert_eq!(report.retries, 0);
/// # Ok(())
/// # }
/// ```
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
    /// What it came to when it was looked at.
    pub(crate) looked: Looked,
    /// Whether it may go upon nothing but its start.
    pub(crate) exact: bool,
    /// The oldest version of the branch itself that is read.
    pub(crate) oldest: Option<Seq>,
}

/// What is brought in, made upon a head before the commit began.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) head: Hash,
    /// The one in which it was uploaded.
    pub(crate) era: Era,
    pub(crate) work: Work,
}

impl Looked {
    /// It, upon a head: upon another one, or after a collection has fenced that, it has to be made anew [MRG-6].
    fn upon(&self, head: &Head) -> Option<&Work> {
        let pointer = head.pointer();
        (pointer.head().hash == self.head && pointer.era() == self.era).then_some(&self.work)
    }
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
}

impl Member {
    /// What to look for where its outcome is not known.
    fn unresolved(&self, branch: &RefName) -> Unresolved {
        Unresolved {
            branch: branch.clone(),
            txn: self.txn,
            keyed: self.keyed,
            start: self.start.version(),
            start_commit: self.start.hash(),
        }
    }
}
