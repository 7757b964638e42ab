//! Who waits for a branch, and the one committer of the process that serves them [TXN-11].
//!
//! Invariants: a branch has at most one committer, and has one whenever anybody waits; it ends in the very step in which it finds
//! nobody, so that none is left behind in a runtime that is not driven any more. Whoever waits is told something in the end, though the
//! committer stands still or is stopped, and what he is told is true: that nothing of his can land is said by his [`Stage`] and by
//! nothing else [NO-GUESS]. What does not belong here: how a commit is tried (`group`).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strandline_format::{NameKey, RefName};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::commit::Member;
use crate::commit::group::serve;
use crate::commit::report::{Phases, Report, Requests};
use crate::commit::resolve::Unresolved;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::Lake;
use crate::runtime::Deadline;

/// The most transactions of one swap.
const GROUP: usize = 64;

/// How much longer than its own patience a commit is waited for: its last attempt may be on its way, or a fence.
const GRACE: Duration = Duration::from_secs(15);

/// The committers of a lake, by branch.
#[derive(Debug, Default)]
pub(crate) struct Committers(Mutex<HashMap<NameKey, Arc<Queue>>>);

/// Who waits for a branch.
#[derive(Debug, Default)]
struct Queue(Mutex<Line>);

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    /// Whether a committer has been made for them.
    served: bool,
}

/// A transaction on its way, and who waits for it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) member: Member,
    pub(super) since: Instant,
    pub(super) deadline: Deadline,
    /// How often others were faster, or the store was in trouble.
    pub(super) attempts: u32,
    /// How many commits of others it was checked against.
    pub(super) checked: u64,
    /// How often its preparation took too long for others.
    pub(super) gave_way: u32,
    /// Whether it lets the others of a group pass once.
    pub(super) sits_out: bool,
    /// Whether others have waited for its data already.
    pub(super) is_late: bool,
    /// What last kept it from being committed, where that may pass.
    pub(super) trouble: Option<Error>,
    /// What its committer had done before.
    pub(super) before: Option<(Requests, Phases)>,
    pub(super) stage: Arc<Stage>,
    answer: oneshot::Sender<Result<Report>>,
}

/// How far a transaction has come, as far as it decides what its caller may be told.
#[derive(Debug, Default)]
pub(super) struct Stage(Mutex<Reached>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reached {
    /// No request is on its way that could make it visible.
    #[default]
    Unsent,
    /// There is one, or its outcome was not looked for.
    Sent,
    /// There never will be one.
    Withdrawn,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    /// Whether it may be sent: from now on its outcome has to be found out.
    pub(super) fn send(&self) -> bool {
        let mut reached = lock(&self.0);
        if *reached == Reached::Unsent {
            *reached = Reached::Sent;
        }
        *reached == Reached::Sent
    }

    /// What was sent is known not to have been applied, and never to be.
    pub(super) fn settle(&self) {
        let mut reached = lock(&self.0);
        if *reached == Reached::Sent {
            *reached = Reached::Unsent;
        }
    }

    /// Whether nothing of it can land: then nothing will be sent any more.
    fn withdraw(&self) -> bool {
        let mut reached = lock(&self.0);
        if *reached == Reached::Unsent {
            *reached = Reached::Withdrawn;
        }
        *reached == Reached::Withdrawn
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        *lock(&self.0) == Reached::Withdrawn
    }
}

impl Waiting {
    fn new(member: Member) -> (Self, oneshot::Receiver<Result<Report>>) {
        let (answer, outcome) = oneshot::channel();
        let waiting = Self {
            since: Instant::now(),
            deadline: Deadline::after(member.patience.timeout),
            member,
            attempts: 0,
            checked: 0,
            gave_way: 0,
            sits_out: false,
            is_late: false,
            trouble: None,
            before: None,
            stage: Arc::default(),
            answer,
        };
        (waiting, outcome)
    }

    /// Tells the outcome; nobody may be there to hear it.
    pub(super) fn answer(self, outcome: Result<Report>) {
        drop(self.answer.send(outcome));
    }

    /// What to look for where the outcome is not known.
    pub(super) fn unresolved(&self, branch: &RefName) -> Unresolved {
        self.member.unresolved(branch)
    }
}

impl Lake {
    /// Has a transaction committed by the committer of its branch, and waits for the outcome as long as the transaction's patience
    /// and a last attempt take. Dropped, it goes on by itself [UNK-6].
    ///
    /// # Errors
    /// What the commit comes to; `Unavailable` if for certain nothing of it was sent; else `CommitUnknown`.
    pub(crate) async fn carry_through(&self, branch: &RefName, member: Member) -> Result<Report> {
        let unresolved = member.unresolved(branch);
        let patience = Deadline::after(member.patience.timeout.saturating_add(GRACE));
        let (waiting, mut outcome) = Waiting::new(member);
        let stage = Arc::clone(&waiting.stage);
        let queue = self.committers().queue(branch);
        queue.submit(self, branch, waiting);
        let why = match patience.run("the commit", &mut outcome).await {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(_)) => Error::new(ErrorKind::Unavailable, "its committer was stopped"),
            Err(late) => late,
        };
        let withdrawn = stage.withdraw();
        if let Ok(outcome) = outcome.try_recv() {
            return outcome;
        }
        if withdrawn {
            queue.forget(&stage);
            return Err(why.at("not committed, and nothing of it was begun"));
        }
        Err(Error::of_unresolved(unresolved, why.message()))
    }
}

impl Committers {
    fn queue(&self, branch: &RefName) -> Arc<Queue> {
        Arc::clone(lock(&self.0).entry(branch.key().clone()).or_default())
    }
}

impl Queue {
    /// Lets one more wait, and makes a committer if there is none.
    fn submit(self: &Arc<Self>, lake: &Lake, branch: &RefName, waiting: Waiting) {
        // Spawned after the lock is let go: a runtime that shuts down drops what it is given at once.
        if let Some(serving) = self.enter(waiting) {
            drop(tokio::spawn(serve(lake.clone(), branch.clone(), serving)));
        }
    }

    /// The right to serve, if nobody has it.
    fn enter(self: &Arc<Self>, waiting: Waiting) -> Option<Serving> {
        let mut line = lock(&self.0);
        line.waiting.push_back(waiting);
        let served = std::mem::replace(&mut line.served, true);
        (!served).then(|| Serving { queue: Arc::clone(self), serves: true })
    }

    /// Lets go of one who was withdrawn, in case his committer stands still.
    fn forget(&self, stage: &Arc<Stage>) {
        lock(&self.0).waiting.retain(|waiting| !Arc::ptr_eq(&waiting.stage, stage));
    }
}

/// The right to serve a queue. However it ends, whoever comes after that gets another committer.
#[derive(Debug)]
pub(super) struct Serving {
    queue: Arc<Queue>,
    serves: bool,
}

impl Serving {
    /// Whether to go on; if nobody waits and nobody is being served, this ends it.
    pub(super) fn goes_on(&mut self, members: &[Waiting]) -> bool {
        let mut line = lock(&self.queue.0);
        self.serves = !members.is_empty() || !line.waiting.is_empty();
        line.served = self.serves;
        self.serves
    }

    /// Takes those that wait into a group, as far as it has room.
    pub(super) fn fill(&self, members: &mut Vec<Waiting>) {
        let mut line = lock(&self.queue.0);
        let room = GROUP.saturating_sub(members.len()).min(line.waiting.len());
        members.extend(line.waiting.drain(..room));
    }

    pub(super) fn others_wait(&self) -> bool {
        !lock(&self.queue.0).waiting.is_empty()
    }
}

impl Drop for Serving {
    /// The committer ends before its time: its runtime is stopped, or it has panicked.
    fn drop(&mut self) {
        if !self.serves {
            return;
        }
        let waiting = {
            let mut line = lock(&self.queue.0);
            line.served = false;
            std::mem::take(&mut line.waiting)
        };
        for waiting in waiting {
            waiting.answer(Err(Error::new(
                ErrorKind::Unavailable,
                "not committed, and nothing of it was begun: the committer was stopped",
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::{Patience, Written};
    use crate::runtime::Runtime;
    use crate::storage::{ObjectOptions, Storage, StoreLocation};
    use crate::transaction::work::Work;
    use crate::write::Uploads;
    use strandline_format::TxnId;

    async fn waiting() -> (Waiting, oneshot::Receiver<Result<Report>>) {
        let store = Arc::new(object_store::memory::InMemory::new());
        let location = StoreLocation::parse("memory://queue").unwrap();
        let (options, runtime) = (ObjectOptions::default(), Runtime::system());
        let storage = Storage::from_stores(location, store.clone(), store, options, runtime);
        let lake = Lake::create_in(storage).await.unwrap();
        let head = lake.head();
        Waiting::new(Member {
            txn: TxnId::from_bytes([1; 16]),
            keyed: false,
            start: head.version().clone(),
            work: Work::on(head.snapshot(&lake), head.pointer().era()),
            reads: None,
            label: crate::commit::build::Label::default(),
            patience: Patience::default(),
            written: Written::default(),
            uploads: Uploads::default(),
            brings: None,
        })
    }

    #[tokio::test]
    async fn whoever_comes_while_a_committer_ends_gets_another_one() {
        let queue = Arc::new(Queue::default());
        let (first, _first) = waiting().await;
        let mut serving = queue.enter(first).expect("the first one");
        let mut members = Vec::new();
        serving.fill(&mut members);
        let (second, _second) = waiting().await;
        assert!(queue.enter(second).is_none(), "it is served already");
        assert!(serving.goes_on(&[]));
        serving.fill(&mut members);
        assert_eq!(members.len(), 2);
        assert!(!serving.goes_on(&[]));
        // It has ended, and is not dropped yet.
        let (third, mut told) = waiting().await;
        let other = queue.enter(third).expect("another committer");
        drop(serving);
        assert!(told.try_recv().is_err(), "the third one was told of a committer that was not its own");
        assert!(other.others_wait());
    }

    #[tokio::test]
    async fn a_committer_that_dies_tells_those_who_wait_and_makes_way() {
        let queue = Arc::new(Queue::default());
        let (first, told) = waiting().await;
        drop(queue.enter(first));
        assert_eq!(told.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(queue.enter(waiting().await.0).is_some());
    }

    #[test]
    fn what_was_sent_is_not_withdrawn_before_it_is_settled() {
        let stage = Stage::default();
        assert!(stage.send() && !stage.withdraw() && !stage.is_withdrawn());
        stage.settle();
        assert!(stage.withdraw() && stage.is_withdrawn());
        stage.settle();
        assert!(!stage.send(), "it was withdrawn");
    }
}
