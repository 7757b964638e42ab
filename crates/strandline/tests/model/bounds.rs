//! Who acts in a model, and how often: its bounds. Nothing cuts a run off by depth; what is bounded are the acts below.

use crate::store::{Content, Keys, Pointer, Txn};

/// Refs of the largest model.
pub(crate) const REFS: usize = 3;
/// Writers of the largest model.
pub(crate) const WRITERS: usize = 2;
/// Takers of the largest model.
pub(crate) const TAKERS: usize = 2;
/// Collections that can run beside each other.
pub(crate) const COLLECTORS: usize = 2;

/// What a transaction makes of the head's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// One reference more.
    Append(Content),
    /// One reference in the place of all.
    Replace(Content),
}

impl Work {
    pub(crate) const fn content(self) -> Content {
        match self {
            Self::Append(content) | Self::Replace(content) => content,
        }
    }

    pub(crate) const fn tree(self, head: Keys, added: Keys) -> Keys {
        match self {
            Self::Append(_) => head.and(added),
            Self::Replace(_) => added,
        }
    }
}

/// A transaction: one for each writer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) on: usize,
    pub(crate) txn: Txn,
    pub(crate) work: Work,
    /// The id is derived from an idempotency key, so two runs may share it.
    pub(crate) keyed: bool,
}

/// How a taker makes the target reach what the source keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a commit upon the head of a live branch: a merge, a cherry-pick.
    Commit,
    /// By making the branch [BR-1].
    Branch,
}

/// A takeover: one for each taker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) source: usize,
    pub(crate) target: usize,
    pub(crate) keys: Keys,
    pub(crate) way: Way,
}

/// What may happen to a writer's swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Network {
    /// It takes its time, and is answered.
    Sure,
    /// Its answer gets lost, or it is so late that nobody waits for it any more.
    Late,
    /// It is answered by a 409 without being judged, or refused, as well.
    Wrong,
}

/// The bounds of one model.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) name: &'static str,
    /// The refs at the beginning.
    pub(crate) refs: [Option<Pointer>; REFS],
    /// Which of them are tags: they have no pins, and no era that counts.
    pub(crate) tags: [bool; REFS],
    /// The objects at the beginning.
    pub(crate) objects: Keys,
    pub(crate) jobs: Vec<Job>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) collectors: usize,
    /// Collections that may begin, over all collectors.
    pub(crate) rounds: u8,
    pub(crate) network: Network,
    /// Whether a writer may leave an upload out because its base reaches the content [TXN-3].
    pub(crate) reuse: bool,
    /// How often each ref lets go of what it keeps, by an overwrite and an expiry.
    pub(crate) let_go: [u8; REFS],
    /// How often each branch is deleted.
    pub(crate) deletes: [u8; REFS],
    /// Whether a deleted branch is made anew with another history.
    pub(crate) remake: bool,
    /// What has to be reached, so that the run says something.
    pub(crate) reaches: &'static [crate::properties::Reached],
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = |acts: &[u8]| acts.iter().sum::<u8>();
        write!(
            f,
            "{} refs, {} writers ({:?}), {} takers",
            self.places(),
            self.jobs.len(),
            self.network,
            self.plans.len()
        )?;
        write!(f, ", {} collectors in {} collections", self.collectors, self.rounds)?;
        write!(f, ", {} let go, {} deleted", count(&self.let_go), count(&self.deletes))
    }
}

impl Bounds {
    /// Refs that are there, or can come to be.
    fn places(&self) -> usize {
        let made = |at: usize| self.plans.iter().any(|plan| plan.target == at);
        (0..REFS).filter(|at| self.refs[*at].is_some() || made(*at)).count()
    }
}
