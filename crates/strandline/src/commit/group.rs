//! The committers of a process: one for each branch, which carries the transactions that wait through the loop, group by group
//! [TXN-10, TXN-11].
//!
//! Invariants: a group is one swap, so its outcome is one; a member that conflicts leaves it without harm to the others, and
//! only a commit that has landed is ever named as what stands in its way; a member whose caller went away stays [UNK-6]. A
//! committer is a task that the lake owns; it ends when nobody waits. What does not belong here: the checks (`check`) and the
//! nodes (`build`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt, stream};
use strandline_format::tree::EncodedNode;
use strandline_format::{NameKey, PointerUpdate, RefName, Seq, TableChange, TxnId};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::commit::Member;
use crate::commit::build::{Built, Identity, Tip, build, pack};
use crate::commit::check::{check_retained, check_start, commit_at, landed, renew_uploads};
use crate::commit::report::{Phases, Report, Requests};
use crate::commit::resolve::{Unresolved, read_commit};
use crate::error::{Error, ErrorKind, Result};
use crate::history::{Commit, Ref};
use crate::lake::{Found, Head, Lake, NextPointer};
use crate::merge::{Brought, Choices, Conflict, Rebase, Rebased, Upon};
use crate::refs::Source;
use crate::runtime::{Deadline, Runtime};
use crate::storage::{Loaded, Recognise, Settled, Storage};

/// The most transactions of one swap.
const GROUP: usize = 64;

/// The first pause while the store is in trouble, and the longest pause of all.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// After races that were lost, pauses grow from the time of an attempt to so many times that: where attempts are quick, whoever
/// waits longer only comes too late again.
const LONGEST_RACE: u32 = 32;

/// No attempt counts as quicker.
const QUICKEST: Duration = Duration::from_millis(1);

/// How long a fence may take once the time is up.
const FENCE: Duration = Duration::from_secs(5);

/// The committers of a lake, by branch.
#[derive(Debug, Default)]
pub(crate) struct Committers(Mutex<HashMap<NameKey, Arc<Mutex<Queue>>>>);

/// Who waits for a branch, and the task that serves them.
#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Runs as long as anybody waits. It may have been dropped with its runtime, or have panicked.
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Waiting {
    member: Member,
    since: Instant,
    deadline: Deadline,
    attempts: u32,
    checked: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Committers {
    /// Takes a transaction back that nobody has begun to commit, because the runtime that should do it is not driven.
    pub(crate) fn withdraw(&self, branch: &RefName, txn: TxnId) -> bool {
        let Some(queue) = lock(&self.0).get(branch.key()).cloned() else { return false };
        let mut held = lock(&queue);
        let before = held.waiting.len();
        held.waiting.retain(|waiting| waiting.member.txn != txn);
        held.waiting.len() < before
    }

    /// Hands a transaction over. Its answer comes through the member's channel, whatever becomes of its caller.
    pub(crate) fn submit(&self, lake: &Lake, branch: &RefName, member: Member) {
        let queue = Arc::clone(lock(&self.0).entry(branch.key().clone()).or_default());
        let deadline = Deadline::after(member.patience.timeout);
        let waiting = Waiting { member, since: Instant::now(), deadline, attempts: 0, checked: 0 };
        let mut held = lock(&queue);
        held.waiting.push(waiting);
        if held.task.as_ref().is_none_or(JoinHandle::is_finished) {
            let serve = serve(lake.clone(), branch.clone(), Arc::clone(&queue));
            held.task = Some(tokio::spawn(serve));
        }
    }
}

/// Answers those that still wait when a committer ends before its time: its runtime was stopped, or it panicked.
struct Serving(Arc<Mutex<Queue>>);

impl Drop for Serving {
    fn drop(&mut self) {
        let stopped =
            Error::new(ErrorKind::Unavailable, "not committed: the committer's runtime was stopped");
        drop(fail(std::mem::take(&mut lock(&self.0).waiting), &stopped));
    }
}

async fn serve(lake: Lake, branch: RefName, queue: Arc<Mutex<Queue>>) {
    let _serving = Serving(Arc::clone(&queue));
    loop {
        // Whoever is about to commit now goes along.
        tokio::task::yield_now().await;
        let members: Vec<Waiting> = {
            let mut held = lock(&queue);
            if held.waiting.is_empty() {
                held.task = None;
                return;
            }
            let count = held.waiting.len().min(GROUP);
            held.waiting.drain(..count).collect()
        };
        Group { lake: &lake, branch: &branch, requests: Requests::default(), phases: Phases::default() }
            .run(members)
            .await;
    }
}

/// One group on its way.
struct Group<'a> {
    lake: &'a Lake,
    branch: &'a RefName,
    requests: Requests,
    phases: Phases,
}

/// The members that go into one swap, and the chain of their commits.
#[derive(Default)]
struct Chain {
    members: Vec<Waiting>,
    built: Vec<Built>,
    /// Those that conflict with a commit of the chain: they are tried again once it has landed.
    later: Vec<Waiting>,
    /// What the ref said from which a member of the chain takes something over.
    source: Option<Source>,
}

/// What became of an attempt.
enum Attempt {
    /// Everybody of the chain was answered.
    Done,
    /// Nothing was applied; the members are tried again, on this base if it is known.
    Again(Vec<Waiting>, Option<Arc<Head>>),
}

impl Group<'_> {
    /// Carries the members through, until each is answered.
    async fn run(mut self, mut members: Vec<Waiting>) {
        let mut failures = 0;
        while !members.is_empty() {
            let begun = Instant::now();
            let longest = members.iter().map(|waiting| waiting.deadline).max_by_key(Deadline::remaining);
            let deadline = longest.unwrap_or_else(|| Deadline::after(Duration::ZERO));
            let (attempt, later) = self.attempt(members, deadline).await;
            members = later;
            let Attempt::Again(again, base) = attempt else { continue };
            let pause = pause(failures, base.is_some().then(|| begun.elapsed()));
            if let Some(head) = base {
                self.lake.learn(head);
            }
            members.extend(patient(again, self.lake, self.branch));
            // The first time nobody else need be in the way any more.
            if failures > 0 {
                deadline.sleep(jittered(pause, self.lake.storage().runtime())).await;
            }
            failures += 1;
        }
    }

    /// One attempt: checks, builds, uploads, swaps.
    async fn attempt(&mut self, members: Vec<Waiting>, deadline: Deadline) -> (Attempt, Vec<Waiting>) {
        let begun = Instant::now();
        let head = match self.base(&members).await {
            Ok(head) => head,
            Err(error) => return (fail_or_retry(members, &error), Vec::new()),
        };
        let mut chain = Chain::default();
        for waiting in members {
            self.join(&head, waiting, &mut chain).await;
        }
        self.phases.build += begun.elapsed();
        let later = std::mem::take(&mut chain.later);
        if chain.members.is_empty() {
            return (Attempt::Done, later);
        }
        let next = match self.next_pointer(&head, &chain, deadline).await {
            Ok(next) => next,
            Err(error) => return (fail_or_retry(chain.members, &error), later),
        };
        let begun = Instant::now();
        let refs = self.lake.storage().refs();
        let (nodes, data, staged) = tokio::join!(
            self.upload(&chain.built),
            stored(&mut chain.members),
            refs.stage(&next.change.bytes)
        );
        self.phases.upload += begun.elapsed();
        let staged = match nodes.and(staged) {
            Ok(staged) => staged,
            Err(error) => return (fail_or_retry(chain.members, &error), later),
        };
        if data.iter().any(Result::is_err) {
            return (answer_unstored(chain.members, data), later);
        }
        let attempt = self.swap(&head, next, chain, deadline).await;
        drop(staged);
        (attempt, later)
    }

    /// The newest base that this process knows, and one that is new enough for everybody.
    async fn base(&mut self, members: &[Waiting]) -> Result<Arc<Head>> {
        let newest = members.iter().map(|waiting| waiting.member.start.version()).max().unwrap_or(Seq(0));
        let known = self.lake.known(self.branch).filter(|head| head.commit().seq >= newest);
        match known {
            Some(head) => Ok(head),
            None => {
                self.requests.reads += 1;
                self.lake.newest(self.branch).await
            }
        }
    }

    /// Checks a member against the base and adds its commit to the chain; or answers it; or leaves it for later.
    async fn join(&self, head: &Head, mut waiting: Waiting, chain: &mut Chain) {
        // The same key twice in one group: the second finds the first once that has landed.
        if chain.members.iter().any(|other| other.member.txn == waiting.member.txn) {
            chain.later.push(waiting);
            return;
        }
        match Box::pin(self.prepare(head, &mut waiting, chain)).await {
            Ok(Prepared::Ready(built)) => {
                chain.members.push(waiting);
                chain.built.push(*built);
            }
            Ok(Prepared::Committed(commit)) => {
                let report = Report { already: true, ..self.report(&waiting, commit, 1) };
                waiting.answer(Ok(report));
            }
            Ok(Prepared::Later) => chain.later.push(waiting),
            Err(error) if may_pass(&error, &waiting) => {
                tracing::debug!(%error, "a commit is prepared again");
                waiting.deadline.sleep(jittered(PAUSES.0, self.lake.storage().runtime())).await;
                chain.later.push(waiting);
            }
            Err(error) => waiting.answer(Err(error)),
        }
    }

    async fn prepare(&self, head: &Head, waiting: &mut Waiting, chain: &mut Chain) -> Result<Prepared> {
        let member = &mut waiting.member;
        // It is made upon a head, and asks its source with that head's token in hand.
        if member.brings.is_some() && !chain.built.is_empty() {
            return Ok(Prepared::Later);
        }
        check_start(head, &member.start).await?;
        if let Some(commit) = landed(head, member).await? {
            return Ok(Prepared::Committed(commit));
        }
        check_retained(head, &member.start)?;
        renew_uploads(member, head, self.lake.storage().objects()).await?;
        let tip = match chain.built.last() {
            Some(built) => built.tip.clone(),
            None => head.tip(self.lake),
        };
        waiting.checked = tip.commit.version().0 - member.start.version().0;
        let carried = match member.brings.is_some() {
            true => self.bring(member, head, chain).await?,
            false => self.carry(member, &tip, head).await?,
        };
        let work = match carried {
            Rebased::Done(work) => work,
            Rebased::Conflicts(_) if !chain.built.is_empty() => return Ok(Prepared::Later),
            Rebased::Conflicts(conflicts) => {
                return Err(self.name_commits(conflicts, head, &member.start).await);
            }
        };
        let merged = member.brings.as_ref().and_then(|brings| brings.bringing.merged());
        let identity = Identity { txn: member.txn, keyed: member.keyed, era: head.pointer().era(), merged };
        let runtime = self.lake.storage().runtime();
        let built = build(&work, &tip, identity, &member.label, runtime).await?;
        Ok(Prepared::Ready(Box::new(built)))
    }

    /// The member's work upon the tip.
    async fn carry(&self, member: &mut Member, tip: &Tip, head: &Head) -> Result<Rebased> {
        if tip.commit.hash() == member.start.hash() {
            return Ok(Rebased::Done(member.work.clone()));
        }
        // Its rows are read where the other side made a constraint [REB-11].
        member.uploads.stored().await?;
        let rebase = Rebase {
            work: &member.work,
            reads: member.reads.as_ref(),
            onto: &tip.snapshot,
            version: tip.commit.version().next()?,
            era: head.pointer().era(),
            txn: member.txn,
            choices: &Choices::default(),
        };
        Box::pin(rebase.run()).await
    }

    /// What the member brings in, upon the head. The source is asked first whether it keeps that [GC-7].
    async fn bring(&self, member: &Member, head: &Head, chain: &mut Chain) -> Result<Rebased> {
        let Some(brings) = &member.brings else { return Ok(Rebased::Done(member.work.clone())) };
        if brings.exact && head.pointer().head().hash != member.start.hash() {
            let message =
                format!("branch {:?} has moved to {}", self.branch.as_str(), head.pointer().head().hash);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        if let Some(oldest) = brings.oldest.filter(|oldest| *oldest < head.pointer().expired_before()) {
            let message = format!("version {oldest} of branch {:?} was expired", self.branch.as_str());
            return Err(Error::new(ErrorKind::SnapshotExpired, message));
        }
        if let Some(taking) = brings.taking.lock().await.as_mut() {
            chain.source = Some(taking.check().await?);
        }
        let ours = Ref::of_head(self.lake.clone(), Arc::new(head.clone()));
        let (version, era) = (ours.version().next()?, head.pointer().era());
        let upon = Upon { ours: &ours, version, era, txn: member.txn };
        Ok(match Box::pin(brings.bringing.upon(&upon)).await? {
            Brought::Done(work) => Rebased::Done(work),
            Brought::Disagreed(found) => Rebased::Conflicts(found.conflicts),
        })
    }

    /// All objects of the chain, at once.
    async fn upload(&mut self, built: &[Built]) -> Result<()> {
        let objects = self.lake.storage().objects();
        let nodes: Vec<&EncodedNode> = built.iter().flat_map(|built| &built.objects).collect();
        self.requests.metadata += nodes.len() as u64;
        let put = |node: &EncodedNode| objects.put_meta(Bytes::copy_from_slice(&node.text), node.object.era);
        let at_once = objects.options().parallel_requests.get();
        stream::iter(nodes).map(put).buffer_unordered(at_once).try_for_each(|_| async { Ok(()) }).await
    }

    async fn swap(&mut self, head: &Head, next: NextPointer, chain: Chain, deadline: Deadline) -> Attempt {
        let (begun, doubted) = (Instant::now(), AtomicBool::new(false));
        self.requests.swaps += 1;
        let mine = Ours::of(self.lake.storage(), self.branch, &chain.built, &doubted);
        let settled = self.lake.put(&next, &mine, deadline).await;
        self.phases.swap += begun.elapsed();
        match settled {
            Ok(Settled::Applied(loaded)) => {
                self.landed(chain, &loaded, Some(next)).await;
                Attempt::Done
            }
            Ok(Settled::NotApplied(current)) => {
                let anew =
                    if doubted.into_inner() { self.made_anew(head, current.as_ref()).await } else { None };
                match anew {
                    Some(doubt) => {
                        unknown(chain.members, self.branch, &doubt);
                        Attempt::Done
                    }
                    None => self.lost(chain, current).await,
                }
            }
            Ok(Settled::Unknown(doubt)) => {
                self.fence(head, chain, doubt).await;
                Attempt::Done
            }
            Err(error) => fail_or_retry(chain.members, &error),
        }
    }

    /// The pointer that is to lead to the chain. What it says is known before any of that is stored.
    async fn next_pointer(&self, head: &Head, chain: &Chain, deadline: Deadline) -> Result<NextPointer> {
        let Some(last) = chain.built.last() else {
            return Err(Error::new(ErrorKind::InvalidInput, "a group without members"));
        };
        let (object, pack) = (last.tip.commit.object(), pack(&chain.built, head.pointer().pack())?);
        let source = chain.source.clone();
        let update = |next: PointerUpdate| {
            let next = next.advance(object, pack)?;
            let Some(source) = source else { return Ok(next) };
            let features = source.joined(head.pointer().features())?;
            // The branch reaches what was uploaded there [MRG-7].
            Ok(next.raise_era(source.era).require(features))
        };
        self.lake.prepare((head.pointer(), head.token()), update, deadline).await
    }

    /// Why nobody can tell what became of an attempt that went unanswered and is not there: its base is not there either, so the
    /// branch was deleted and made anew, and the attempt may have landed before that [TXN-4].
    async fn made_anew(&self, base: &Head, current: Option<&Loaded>) -> Option<Error> {
        let base = base.version().clone();
        match Head::behind(self.lake.storage(), self.branch, current?).await {
            Ok(head) => check_start(&head, &base).await.err(),
            Err(error) => Some(error),
        }
    }

    /// The swap was applied: everybody of the chain has committed.
    async fn landed(&mut self, chain: Chain, loaded: &Loaded, next: Option<NextPointer>) {
        match self.new_head(&chain, loaded, next).await {
            Ok(Found::Head(head)) => drop(self.lake.learn(head)),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the pointer after a commit is read again later"),
        }
        let group = chain.members.len();
        for (waiting, built) in chain.members.into_iter().zip(chain.built) {
            let report = self.report(&waiting, built.tip.commit, group);
            waiting.answer(Ok(report));
        }
    }

    /// What stands at the branch after the swap: most often what was just put there, which need not be read to be known.
    async fn new_head(&self, chain: &Chain, loaded: &Loaded, next: Option<NextPointer>) -> Result<Found> {
        let storage = self.lake.storage();
        match (next.filter(|next| next.stands(loaded)), chain.built.last()) {
            (Some(next), Some(last)) => {
                let (token, commit) = (loaded.token.clone(), last.tip.commit.clone());
                Ok(Found::Head(Arc::new(Head::made(storage, next.pointer, token, commit))))
            }
            _ => Found::of(storage, self.branch, loaded).await,
        }
    }

    /// Somebody else was faster, or the branch is gone.
    async fn lost(&mut self, chain: Chain, current: Option<Loaded>) -> Attempt {
        self.requests.reads += 1;
        let found = match current {
            Some(loaded) => Found::of(self.lake.storage(), self.branch, &loaded).await,
            None => Ok(Found::Absent),
        };
        match found {
            Ok(Found::Head(head)) => Attempt::Again(chain.members, Some(head)),
            Ok(Found::Deleted) => {
                let message = format!("branch {:?} was deleted meanwhile", self.branch.as_str());
                fail(chain.members, &Error::new(ErrorKind::Conflict, message))
            }
            Ok(Found::Absent) => {
                let message = format!("the pointer of branch {:?} is gone", self.branch.as_str());
                fail(chain.members, &Error::new(ErrorKind::Corrupt, message))
            }
            Err(error) => fail_or_retry(chain.members, &error),
        }
    }

    /// The time is up and a request may still land: a swap of nothing takes its token away, or nobody knows [UNK-3].
    async fn fence(&mut self, head: &Head, chain: Chain, doubt: Error) {
        self.requests.swaps += 1;
        let nonce_stands = |nonce| {
            move |loaded: &Loaded| Ok(strandline_format::Pointer::parse(&loaded.bytes)?.nonce() == nonce)
        };
        let fenced = self.lake.swap(head, Ok, nonce_stands, Deadline::after(FENCE)).await;
        let standing = match fenced {
            Ok(Settled::Applied(loaded) | Settled::NotApplied(Some(loaded))) => loaded,
            Ok(Settled::NotApplied(None) | Settled::Unknown(_)) | Err(_) => {
                return unknown(chain.members, self.branch, &doubt);
            }
        };
        let doubted = AtomicBool::new(true);
        let ours = Ours::of(self.lake.storage(), self.branch, &chain.built, &doubted);
        match ours.is_mine(&standing).await {
            Ok(true) => self.landed(chain, &standing, None).await,
            Ok(false) => {
                if let Some(doubt) = self.made_anew(head, Some(&standing)).await {
                    return unknown(chain.members, self.branch, &doubt);
                }
                let message =
                    format!("not committed, for certain, after the time was up: {}", doubt.message());
                drop(fail(chain.members, &Error::new(ErrorKind::Unavailable, message)));
            }
            Err(_) => unknown(chain.members, self.branch, &doubt),
        }
    }

    fn report(&self, waiting: &Waiting, commit: Commit, group: usize) -> Report {
        let written = &waiting.member.written;
        let waited = waiting.since.elapsed();
        let busy = self.phases.build + self.phases.upload + self.phases.swap;
        Report {
            requests: Requests { data: written.files, ..self.requests },
            bytes_uploaded: written.bytes,
            files_reused: written.reused,
            retries: waiting.attempts,
            group,
            checked: waiting.checked,
            phases: Phases { write: written.took, wait: waited.saturating_sub(busy), ..self.phases },
            ..Report::of(commit)
        }
    }

    /// The error of conflicts, with the commits that they are with: the newest one since the start that touched the table.
    async fn name_commits(&self, mut conflicts: Vec<Conflict>, head: &Head, start: &Commit) -> Error {
        if let Err(error) = name_commits(&mut conflicts, head, start.version()).await {
            tracing::debug!(%error, "the commits behind a conflict could not be read");
        }
        Error::of_conflicts(self.branch, conflicts)
    }
}

/// How many commits are looked through for the one that a conflict is with.
const SUSPECTS: u64 = 100;

/// Names the commits that conflicts are with: the newest ones of a branch after a version that can be.
pub(crate) async fn name_commits(conflicts: &mut [Conflict], head: &Head, since: Seq) -> Result<()> {
    let mut commit = head.version().clone();
    let oldest = since.0.max(commit.version().0.saturating_sub(SUSPECTS));
    while commit.version().0 > oldest {
        for conflict in conflicts.iter_mut().filter(|conflict| conflict.commit.is_none()) {
            let did =
                |change: &TableChange| Some(change.table) == conflict.table && conflict.may_be_of(change);
            let touched = commit.changes().iter().any(did);
            conflict.commit = touched.then(|| (commit.version(), commit.hash()));
        }
        if conflicts.iter().all(|conflict| conflict.commit.is_some()) {
            return Ok(());
        }
        let Some(parent) = commit.node().parents.first() else { return Ok(()) };
        commit = read_commit(head.trees(), &parent).await?;
    }
    Ok(())
}

/// What checking a member came to.
enum Prepared {
    Ready(Box<Built>),
    /// It had committed before.
    Committed(Commit),
    /// It conflicts with a commit of the chain.
    Later,
}

impl Waiting {
    /// Tells the outcome; nobody may be there to hear it.
    fn answer(self, outcome: Result<Report>) {
        drop(self.member.answer.send(outcome));
    }
}

/// What became of each member's data: nothing is swapped before all of it is in the store [TXN-6].
async fn stored(members: &mut [Waiting]) -> Vec<Result<()>> {
    join_all(members.iter_mut().map(|waiting| waiting.member.uploads.stored())).await
}

/// Answers those whose data the store did not take. The others are tried again, as their commits stood upon theirs.
fn answer_unstored(members: Vec<Waiting>, data: Vec<Result<()>>) -> Attempt {
    let mut again = Vec::new();
    for (waiting, stored) in members.into_iter().zip(data) {
        match stored {
            Ok(()) => again.push(waiting),
            Err(error) => waiting.answer(Err(error)),
        }
    }
    if again.is_empty() { Attempt::Done } else { Attempt::Again(again, None) }
}

/// Whether it is of use to prepare a commit again.
fn may_pass(error: &Error, waiting: &Waiting) -> bool {
    error.kind() == ErrorKind::Unavailable
        && !waiting.deadline.passed()
        && !waiting.member.uploads.have_failed()
}

/// Tells everybody the same error.
fn fail(members: Vec<Waiting>, error: &Error) -> Attempt {
    members.into_iter().for_each(|waiting| waiting.answer(Err(error.again())));
    Attempt::Done
}

/// An error that may pass is no outcome while there is time.
fn fail_or_retry(members: Vec<Waiting>, error: &Error) -> Attempt {
    if error.kind() != ErrorKind::Unavailable {
        return fail(members, error);
    }
    let (again, late): (Vec<_>, Vec<_>) = members.into_iter().partition(|waiting| !waiting.deadline.passed());
    drop(fail(late, error));
    Attempt::Again(again, None)
}

/// Those that have patience left; the others hear what stood in their way.
fn patient(members: Vec<Waiting>, lake: &Lake, branch: &RefName) -> Vec<Waiting> {
    let counted = members.into_iter().map(|waiting| Waiting { attempts: waiting.attempts + 1, ..waiting });
    let (again, late): (Vec<_>, Vec<_>) = counted.partition(|waiting| {
        waiting.attempts < waiting.member.patience.attempts && !waiting.deadline.passed()
    });
    for waiting in late {
        let error = too_busy(&waiting, lake, branch);
        waiting.answer(Err(error));
    }
    again
}

fn too_busy(waiting: &Waiting, lake: &Lake, branch: &RefName) -> Error {
    let names: Vec<&str> = waiting.member.work.names().collect();
    let newest = lake.known(branch).map_or_else(String::new, |head| {
        format!(", the newest made version {} ({})", head.commit().seq, head.pointer().head().hash)
    });
    let message = format!(
        "other writers were faster on branch {:?} in {} attempts{newest}; this transaction wrote {}",
        branch.as_str(),
        waiting.attempts,
        names.join(", ")
    );
    Error::new(ErrorKind::Unavailable, message)
}

/// Tells everybody that the outcome is open, and how to find it out.
fn unknown(members: Vec<Waiting>, branch: &RefName, doubt: &Error) {
    for waiting in members {
        let unresolved = Unresolved {
            branch: branch.clone(),
            txn: waiting.member.txn,
            keyed: waiting.member.keyed,
            start: waiting.member.start.version(),
            start_commit: waiting.member.start.hash(),
        };
        waiting.answer(Err(Error::of_unresolved(unresolved, doubt.message())));
    }
}

/// Whether a group stands in what a pointer leads to, even if the branch was deleted since.
///
/// Looked for is its last commit itself, not a transaction's id: with an idempotency key, another process may have committed
/// under the same id, and that says nothing of the others who went along [UNK-2].
struct Ours<'a> {
    storage: &'a Storage,
    branch: &'a RefName,
    last: Option<Commit>,
    /// Set once a sending has gone unanswered.
    doubted: &'a AtomicBool,
}

impl<'a> Ours<'a> {
    fn of(storage: &'a Storage, branch: &'a RefName, built: &[Built], doubted: &'a AtomicBool) -> Self {
        Self { storage, branch, last: built.last().map(|built| built.tip.commit.clone()), doubted }
    }
}

#[async_trait]
impl Recognise for Ours<'_> {
    async fn is_mine(&self, current: &Loaded) -> Result<bool> {
        let Some(last) = &self.last else { return Ok(false) };
        let head = Head::behind(self.storage, self.branch, current).await?;
        Ok(commit_at(&head, last.version()).await? == Some(last.hash()))
    }

    async fn is_mine_in_doubt(&self, current: &Loaded) -> Result<bool> {
        self.doubted.store(true, Ordering::Relaxed);
        self.is_mine(current).await
    }
}

/// How long to wait after an attempt that failed, the first one being number 0: a race that took so long, or the store's trouble.
fn pause(failures: u32, race: Option<Duration>) -> Duration {
    let of_race = |took: Duration| (took.max(QUICKEST), took.max(QUICKEST).saturating_mul(LONGEST_RACE));
    let (first, longest) = race.map_or(PAUSES, of_race);
    let doubled = first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(longest).min(PAUSES.1)
}

/// Between half of the pause and all of it.
fn jittered(pause: Duration, runtime: &Runtime) -> Duration {
    let random = runtime.random::<1>().map_or(0, |[random]| random);
    pause / 2 + pause / 2 * u32::from(random) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_after_races_are_as_long_as_the_attempts() {
        let check = |failures, race: Option<u64>, expected| {
            let pause = pause(failures, race.map(Duration::from_millis));
            assert_eq!(pause, Duration::from_millis(expected), "{failures} {race:?}");
        };
        check(1, Some(0), 1);
        check(1, Some(5), 5);
        check(3, Some(5), 20);
        check(50, Some(5), 160);
        check(50, Some(400), 2000);
        check(1, None, 20);
        check(2, None, 40);
        check(50, None, 2000);
    }
}
