//! What became of a swap, and what each of its group is told [UNK].
//!
//! Invariants: all of a group are settled together; as long as a sending is in doubt nobody of it is told that it was not applied, and
//! nobody is tried again [TXN-11, UNK-1]. Whoever has time left when a doubt is resolved goes on; the others hear for certain what came of
//! theirs, or that it is unknown. What does not belong here: sending and looking, which is `storage::settle`'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use strandline_format::{Pointer, PointerUpdate, RefName};
use tokio::time::Instant;

use crate::commit::build::pack;
use crate::commit::check::{check_start, commit_at};
use crate::commit::group::{Attempt, Chain, Group, PAUSES, jittered, time_of};
use crate::commit::queue::Waiting;
use crate::error::{Error, ErrorKind, Result};
use crate::history::Commit;
use crate::lake::{Found, Head, Lake, NextPointer};
use crate::runtime::Deadline;
use crate::storage::{Loaded, Recognise, Settled, Storage};

/// How long a fence may take.
const FENCE: Duration = Duration::from_secs(5);

/// How long a probe may take, where another server answers by then than when the swap was prepared.
const PROBE: Duration = Duration::from_secs(30);

/// What a group was sent as.
struct Sent {
    members: Vec<(Waiting, Commit)>,
    last: Commit,
}

/// What a fence brought to light.
enum Fenced {
    /// The group had been applied: what stands there.
    Applied(Loaded),
    /// It was not, and never will be: what stands there instead.
    NotApplied(Loaded),
    /// Nobody knows, yet or for good.
    InDoubt,
    Lost(Error),
}

impl Group<'_> {
    /// Swaps the chain in, and finds out what came of it.
    pub(super) async fn swap(&mut self, head: &Head, next: NextPointer, mut chain: Chain) -> Attempt {
        if let Some(attempt) = leave_out_withdrawn(&mut chain) {
            return attempt;
        }
        let Some(last) = chain.built.last().map(|built| built.tip.commit.clone()) else {
            return Attempt::Done;
        };
        let (begun, doubted) = (Instant::now(), AtomicBool::new(false));
        self.requests.swaps += 1;
        let mine = self.ours(&last, &doubted);
        let settled = self.lake.put(&next, &mine, time_of(&chain.members)).await;
        self.phases.swap += begun.elapsed();
        let commits = chain.built.into_iter().map(|built| built.tip.commit);
        let sent = Sent { members: chain.members.into_iter().zip(commits).collect(), last };
        match settled {
            Ok(Settled::Applied(loaded)) => self.landed(sent, &loaded, Some(next)).await,
            Ok(Settled::NotApplied(current)) if doubted.into_inner() => {
                match self.made_anew(head, current.as_ref()).await {
                    Some(doubt) => unknown(sent.waiting(), self.branch, &doubt),
                    None => self.lost(sent.waiting(), current).await,
                }
            }
            Ok(Settled::NotApplied(current)) => self.lost(sent.waiting(), current).await,
            Ok(Settled::Unknown(doubt)) => self.resolve(head, sent, &doubt).await,
            Err(error) => again_if_it_passes(sent.waiting(), &error),
        }
    }

    /// The pointer that is to lead to the chain. What it says is known before any of that is stored.
    pub(super) async fn next_pointer(&self, head: &Head, chain: &Chain) -> Result<NextPointer> {
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
        self.lake.prepare((head.pointer(), head.token()), update, time_of(&chain.members)).await
    }

    fn ours<'a>(&'a self, last: &'a Commit, doubted: &'a AtomicBool) -> Ours<'a> {
        Ours { storage: self.lake.storage(), branch: self.branch, last, doubted }
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

    /// The swap was applied: everybody of the group has committed.
    async fn landed(&mut self, sent: Sent, loaded: &Loaded, next: Option<NextPointer>) -> Attempt {
        match self.new_head(&sent.last, loaded, next).await {
            Ok(Found::Head(head)) => drop(self.lake.learn(head)),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the pointer after a commit is read again later"),
        }
        let group = sent.members.len();
        for (waiting, commit) in sent.members {
            let report = self.report(&waiting, commit, group);
            waiting.answer(Ok(report));
        }
        Attempt::Done
    }

    /// What stands at the branch after the swap: most often what was just put there, which need not be read to be known.
    async fn new_head(&self, last: &Commit, loaded: &Loaded, next: Option<NextPointer>) -> Result<Found> {
        let storage = self.lake.storage();
        match next.filter(|next| next.stands(loaded)) {
            Some(next) => {
                let (token, commit) = (loaded.token.clone(), last.clone());
                Ok(Found::Head(Arc::new(Head::made(storage, next.pointer, token, commit))))
            }
            None => Found::of(storage, self.branch, loaded).await,
        }
    }

    /// Somebody else was faster, or the branch is gone.
    async fn lost(&mut self, members: Vec<Waiting>, current: Option<Loaded>) -> Attempt {
        self.requests.reads += 1;
        let found = match current {
            Some(loaded) => Found::of(self.lake.storage(), self.branch, &loaded).await,
            None => Ok(Found::Absent),
        };
        match found {
            Ok(Found::Head(head)) => Attempt::Again(members, Some(head)),
            Ok(Found::Deleted) => {
                self.lake.forget(self.branch);
                let message = format!("branch {:?} was deleted meanwhile", self.branch.as_str());
                fail(members, &Error::new(ErrorKind::Conflict, message))
            }
            Ok(Found::Absent) => {
                let message = format!("the pointer of branch {:?} is gone", self.branch.as_str());
                fail(members, &Error::new(ErrorKind::Corrupt, message))
            }
            Err(error) => again_if_it_passes(members, &error),
        }
    }

    /// The time of somebody is up and a request may still land: a swap of nothing takes its token away, or nobody knows [UNK-3]. Those
    /// that have time left stay until it is known.
    async fn resolve(&mut self, head: &Head, mut sent: Sent, doubt: &Error) -> Attempt {
        loop {
            match self.fence(head, &sent.last).await {
                Fenced::Applied(standing) => return self.landed(sent, &standing, None).await,
                Fenced::NotApplied(standing) => {
                    if let Some(doubt) = self.made_anew(head, Some(&standing)).await {
                        return unknown(sent.waiting(), self.branch, &doubt);
                    }
                    let (late, again): (Vec<_>, Vec<_>) =
                        sent.waiting().into_iter().partition(|waiting| waiting.deadline.passed());
                    let message =
                        format!("not committed, for certain, after the time was up: {}", doubt.message());
                    drop(fail(late, &Error::new(ErrorKind::Unavailable, message)));
                    return if again.is_empty() {
                        Attempt::Done
                    } else {
                        self.lost(again, Some(standing)).await
                    };
                }
                Fenced::InDoubt => {
                    let (late, rest): (Vec<_>, Vec<_>) =
                        sent.members.into_iter().partition(|(waiting, _)| waiting.deadline.passed());
                    drop(unknown(late.into_iter().map(|(waiting, _)| waiting).collect(), self.branch, doubt));
                    if rest.is_empty() {
                        return Attempt::Done;
                    }
                    sent.members = rest;
                    tokio::time::sleep(jittered(PAUSES.1, self.lake.storage().runtime())).await;
                }
                Fenced::Lost(error) => return unknown(sent.waiting(), self.branch, &error),
            }
        }
    }

    async fn fence(&mut self, head: &Head, last: &Commit) -> Fenced {
        self.requests.swaps += 1;
        let standing = match self.swap_of_nothing(head).await {
            Ok(Settled::Applied(loaded) | Settled::NotApplied(Some(loaded))) => loaded,
            // What stands there cannot be read, and will not be by waiting.
            Ok(Settled::Unknown(error)) if !error.is_retryable() => return Fenced::Lost(error),
            Ok(Settled::Unknown(_)) => return Fenced::InDoubt,
            Ok(Settled::NotApplied(None)) => {
                return Fenced::Lost(Error::new(ErrorKind::Corrupt, "the pointer of the branch is gone"));
            }
            Err(error) if error.is_retryable() => return Fenced::InDoubt,
            Err(error) => return Fenced::Lost(error),
        };
        let doubted = AtomicBool::new(true);
        let found = self.ours(last, &doubted).is_mine(&standing).await;
        match found {
            Ok(true) => Fenced::Applied(standing),
            Ok(false) => Fenced::NotApplied(standing),
            Err(error) if error.is_retryable() => Fenced::InDoubt,
            Err(error) => Fenced::Lost(error),
        }
    }

    /// The time that a fence has begins when it can be sent.
    async fn swap_of_nothing(&self, head: &Head) -> Result<Settled> {
        let at = (head.pointer(), head.token());
        let next = self.lake.prepare(at, Ok, Deadline::after(PROBE)).await?;
        let nonce = next.pointer.nonce();
        let stands = move |loaded: &Loaded| Ok(Pointer::parse(&loaded.bytes)?.nonce() == nonce);
        self.lake.put(&next, &stands, Deadline::after(FENCE)).await
    }
}

impl Sent {
    fn waiting(self) -> Vec<Waiting> {
        self.members.into_iter().map(|(waiting, _)| waiting).collect()
    }
}

/// From here on a caller that waits no longer is told that the outcome is open. If one has ceased to wait before, the others are built
/// anew without it.
fn leave_out_withdrawn(chain: &mut Chain) -> Option<Attempt> {
    let members = std::mem::take(&mut chain.members);
    let all = members.len();
    let kept: Vec<Waiting> = members.into_iter().filter(|waiting| waiting.stage.send()).collect();
    if kept.len() < all {
        return Some(Attempt::Again(kept, None));
    }
    chain.members = kept;
    None
}

/// Whether a group stands in what a pointer leads to, even if the branch was deleted since.
///
/// Looked for is its last commit itself, not a transaction's id: with an idempotency key, another process may have committed
/// under the same id, and that says nothing of the others who went along [UNK-2].
struct Ours<'a> {
    storage: &'a Storage,
    branch: &'a RefName,
    last: &'a Commit,
    /// Set once a sending has gone unanswered.
    doubted: &'a AtomicBool,
}

#[async_trait]
impl Recognise for Ours<'_> {
    async fn is_mine(&self, current: &Loaded) -> Result<bool> {
        let head = Head::behind(self.storage, self.branch, current).await?;
        Ok(commit_at(&head, self.last.version()).await? == Some(self.last.hash()))
    }

    async fn is_mine_in_doubt(&self, current: &Loaded) -> Result<bool> {
        self.doubted.store(true, Ordering::Relaxed);
        self.is_mine(current).await
    }
}

/// Answers those whose data the store did not take. The others are tried again, as their commits stood upon theirs.
pub(super) fn answer_unstored(members: Vec<Waiting>, data: Vec<Result<()>>) -> Attempt {
    let mut again = Vec::new();
    for (waiting, stored) in members.into_iter().zip(data) {
        match stored {
            Ok(()) => again.push(waiting),
            Err(error) => waiting.answer(Err(error)),
        }
    }
    if again.is_empty() { Attempt::Done } else { Attempt::Again(again, None) }
}

/// Those that are still waited for and have time; the others hear that nothing was sent, or that nothing came of what was.
pub(super) fn in_time(members: Vec<Waiting>) -> Vec<Waiting> {
    let (late, members): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|waiting| waiting.deadline.passed());
    for waiting in late {
        let why = match (&waiting.trouble, waiting.attempts) {
            (Some(trouble), _) => format!("the time was up, and {}", trouble.message()),
            (None, 0) => "the time was up before its turn came".to_owned(),
            (None, attempts) => format!("the time was up after {attempts} attempts"),
        };
        waiting.answer(Err(Error::new(ErrorKind::Unavailable, format!("not committed: {why}"))));
    }
    members.into_iter().filter(|waiting| !waiting.stage.is_withdrawn()).collect()
}

/// Those that have patience left; the others hear what stood in their way.
pub(super) fn patient(mut members: Vec<Waiting>, lake: &Lake, branch: &RefName) -> Vec<Waiting> {
    members.iter_mut().for_each(|waiting| waiting.attempts += 1);
    let (again, late): (Vec<_>, Vec<_>) = members.into_iter().partition(|waiting| {
        waiting.attempts < waiting.member.patience.attempts && !waiting.deadline.passed()
    });
    for waiting in late {
        let error = too_busy(&waiting, lake, branch);
        waiting.answer(Err(error));
    }
    again
}

fn too_busy(waiting: &Waiting, lake: &Lake, branch: &RefName) -> Error {
    if let Some(trouble) = &waiting.trouble {
        return trouble.again().at(format_args!("not committed in {} attempts", waiting.attempts));
    }
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

/// Tells everybody the same error.
fn fail(members: Vec<Waiting>, error: &Error) -> Attempt {
    members.into_iter().for_each(|waiting| waiting.answer(Err(error.again())));
    Attempt::Done
}

/// An error that may pass is no outcome while there is time.
pub(super) fn again_if_it_passes(members: Vec<Waiting>, error: &Error) -> Attempt {
    if error.kind() != ErrorKind::Unavailable {
        return fail(members, error);
    }
    let (mut again, late): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|waiting| !waiting.deadline.passed());
    drop(fail(late, error));
    again.iter_mut().for_each(|waiting| waiting.trouble = Some(error.again()));
    Attempt::Again(again, None)
}

/// Tells everybody that the outcome is open, and how to find it out.
fn unknown(members: Vec<Waiting>, branch: &RefName, doubt: &Error) -> Attempt {
    for waiting in members {
        let unresolved = waiting.unresolved(branch);
        waiting.answer(Err(Error::of_unresolved(unresolved, doubt.message())));
    }
    Attempt::Done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::Patience;
    use crate::storage::{ObjectOptions, StoreLocation};
    use crate::{Lake, Runtime};
    use arrow::array::{Int64Array, RecordBatch};
    use object_store::memory::InMemory;
    use strandline_testkit::{Answer, Effect, FaultyStore, PathClass, RequestKind, Script, Status, Target};

    fn batch(id: i64) -> RecordBatch {
        RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![id])) as _)]).unwrap()
    }

    /// A lake with a table, in a store that fails by script.
    async fn faulty() -> (Arc<FaultyStore>, Lake) {
        let store = Arc::new(FaultyStore::new(Arc::new(InMemory::new()), Script::empty()));
        let location = StoreLocation::parse("memory://faulty").unwrap();
        let (objects, runtime) = (ObjectOptions::default(), Runtime::system());
        let storage = Storage::from_stores(location, store.clone(), store.clone(), objects, runtime);
        let lake = Lake::create_in(storage).await.unwrap();
        let transaction = lake.begin().await.unwrap();
        transaction.create_table("t").like(&batch(0).schema()).await.unwrap();
        transaction.commit().await.unwrap();
        (store, lake)
    }

    fn swaps() -> Target {
        Target::any().kind(RequestKind::PutIfMatch).class(PathClass::Pointer)
    }

    /// While a swap is in doubt another server comes to answer, slowly, and is to be probed before the fence is sent to it. That is not
    /// taken from the time of the fence.
    #[tokio::test(start_paused = true)]
    async fn a_fence_has_its_time_beside_the_probe() {
        let (store, lake) = faulty().await;
        let slow = Effect::Slow(Duration::from_millis(600));
        let script = Script::empty().and(swaps(), Effect::Hang { applied: false });
        store.set_script(script.and(Target::any().class(PathClass::Scratch).always(), slow));
        let transaction = lake.begin().await.unwrap();
        transaction.append("t", batch(1)).await.unwrap();
        let patience = Patience { timeout: Duration::from_secs(2), ..Patience::default() };
        let commit = async { transaction.commit().patience(patience).await.unwrap_err() };
        let another_answers = async {
            loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                lake.storage().hear("another");
            }
        };
        let begun = Instant::now();
        let error = tokio::select! { error = commit => error, () = another_answers => unreachable!() };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}\n{}", store.log());
        assert!(error.message().contains("for certain"), "{error}");
        assert!(begun.elapsed() > patience.timeout + FENCE, "the probe took no time: {:?}", begun.elapsed());
        assert!(store.unfired().is_empty(), "{}", store.log());
    }

    /// What stood in the way is said, be it others who were faster or a store that did not take it.
    #[tokio::test(start_paused = true)]
    async fn whoever_has_no_patience_left_is_told_what_stood_in_his_way() {
        let (store, lake) = faulty().await;
        let patience = Patience { attempts: 3, ..Patience::default() };
        let refused = async |script: Script| {
            let transaction = lake.begin().await.unwrap();
            transaction.append("t", batch(1)).await.unwrap();
            store.set_script(script);
            let error = transaction.commit().patience(patience).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(error.unresolved().is_none(), "{error:?}");
            error.message().to_owned()
        };
        let nodes = Target::any().kind(RequestKind::Put).class(PathClass::Meta).always();
        let said =
            refused(Script::empty().and(nodes, Effect::fail(Answer::Status(Status::Unavailable)))).await;
        assert!(said.starts_with("not committed in 3 attempts: ") && said.contains("503"), "{said}");
        assert!(!said.contains("other writers"), "{said}");
        store.set_script(Script::empty());
        assert_eq!(lake.table("t").await.unwrap().rows(), 0);
    }
}
