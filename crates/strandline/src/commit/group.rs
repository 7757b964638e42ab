//! The loop of every commit: a group of transactions is checked, built, stored and swapped, until each is answered [TXN-10, TXN-11].
//!
//! Invariants: a group is one swap, so its outcome is one; a member that conflicts leaves it without harm to the others, and only a
//! commit that has landed is ever named as what stands in its way; a member whose caller went away stays [UNK-6]; one whose time is up
//! is not begun. Nobody is held up for long by what another one needs: whatever takes long gives way as soon as others wait, and those
//! who come are taken along at the next attempt. What does not belong here: the queue (`queue`), the checks (`check`, `prepare`), the
//! nodes (`build`), and what a swap came to (`outcome`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{join_all, select_all};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use strandline_format::tree::EncodedNode;
use strandline_format::{RefName, Seq};
use tokio::time::Instant;

use crate::commit::build::Built;
use crate::commit::outcome::{again_if_it_passes, answer_unstored, in_time, patient};
use crate::commit::prepare::{Onto, Prepared};
use crate::commit::queue::{Serving, Waiting};
use crate::commit::report::{Phases, Report, Requests};
use crate::error::{Error, ErrorKind, Result};
use crate::history::Commit;
use crate::lake::{Head, Lake, NextPointer};
use crate::refs::Source;
use crate::runtime::{Deadline, Runtime};
use crate::storage::Staging;

/// The first pause while the store is in trouble, and the longest pause of all.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// After races that were lost, pauses grow from the time of an attempt to so many times that: where attempts are quick, whoever
/// waits longer only comes too late again.
const LONGEST_RACE: u32 = 32;

/// No attempt counts as quicker.
const QUICKEST: Duration = Duration::from_millis(1);

/// For how long others are held up by what one of a group needs for itself. Each time that it gave way, its preparation has
/// [`MORE`] times as long, so that it comes to its end though others never cease to come.
const HOLD: Duration = Duration::from_secs(1);
const MORE: u32 = 4;

/// The least time of an attempt while anybody has it. Were each cut off by the nearest deadline of all, then none would come to its
/// end where many commits come close to theirs.
const LEAST: Duration = Duration::from_secs(2);

/// The committer of a branch.
pub(super) struct Group<'a> {
    pub(super) lake: &'a Lake,
    pub(super) branch: &'a RefName,
    pub(super) requests: Requests,
    pub(super) phases: Phases,
    /// How many attempts in a row came to nothing.
    failures: u32,
}

/// The members that go into one swap, and the chain of their commits.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) members: Vec<Waiting>,
    pub(super) built: Vec<Built>,
    /// What the ref said from which a member of the chain takes something over.
    pub(super) source: Option<Source>,
    /// Those who do not go along this time.
    later: Vec<Waiting>,
    /// Whether one of them met trouble that may pass.
    trouble: bool,
}

/// What became of an attempt.
pub(super) enum Attempt {
    /// Everybody of the chain was answered.
    Done,
    /// Nothing was applied for certain; the members are tried again, on this base if it is known.
    Again(Vec<Waiting>, Option<Arc<Head>>),
}

/// Serves those that wait for a branch, until there is nobody.
pub(super) async fn serve(lake: Lake, branch: RefName, mut serving: Serving) {
    let (requests, phases) = (Requests::default(), Phases::default());
    let mut group = Group { lake: &lake, branch: &branch, requests, phases, failures: 0 };
    let mut members = Vec::new();
    while serving.goes_on(&members) {
        // Whoever is about to commit now goes along.
        tokio::task::yield_now().await;
        serving.fill(&mut members);
        members = group.round(members, &serving).await;
    }
}

impl Group<'_> {
    /// An attempt, and the pause after one that came to nothing. Gives those that are to be tried again.
    async fn round(&mut self, members: Vec<Waiting>, serving: &Serving) -> Vec<Waiting> {
        let begun = Instant::now();
        let mut members = in_time(members);
        for waiting in &mut members {
            waiting.before.get_or_insert((self.requests, self.phases));
        }
        if members.is_empty() {
            return members;
        }
        let (attempt, mut members) = self.attempt(members, serving).await;
        let Attempt::Again(again, base) = attempt else {
            self.failures = 0;
            return members;
        };
        again.iter().for_each(|waiting| waiting.stage.settle());
        let pause = pause(self.failures, base.is_some().then(|| begun.elapsed()));
        if let Some(head) = base {
            self.lake.learn(head);
        }
        members.extend(patient(again, self.lake, self.branch));
        // The first time nobody else need be in the way any more.
        if self.failures > 0 && !members.is_empty() {
            time_of(&members).sleep(jittered(pause, self.lake.storage().runtime())).await;
        }
        self.failures = self.failures.saturating_add(1);
        members
    }

    /// One attempt: checks, builds, stores, swaps. With it, those that did not go along.
    async fn attempt(&mut self, members: Vec<Waiting>, serving: &Serving) -> (Attempt, Vec<Waiting>) {
        let begun = Instant::now();
        let time = time_of(&members);
        let head = match time.run("reading the branch", self.base(&members)).await {
            Ok(Ok(head)) => head,
            Ok(Err(error)) | Err(error) => return (again_if_it_passes(members, &error), Vec::new()),
        };
        let mut chain = self.chain(&head, members, serving).await;
        self.phases.build += begun.elapsed();
        let mut later = std::mem::take(&mut chain.later);
        if chain.members.is_empty() {
            await_data(&mut later).await;
            let attempt = if chain.trouble { Attempt::Again(Vec::new(), None) } else { Attempt::Done };
            return (attempt, later);
        }
        let next = match self.next_pointer(&head, &chain).await {
            Ok(next) => next,
            Err(error) => return (again_if_it_passes(chain.members, &error), later),
        };
        let begun = Instant::now();
        let stored = self.store(chain, &next, serving).await;
        self.phases.upload += begun.elapsed();
        match stored {
            Ok((chain, staged)) => {
                let attempt = self.swap(&head, next, chain).await;
                drop(staged);
                (attempt, later)
            }
            Err(attempt) => (attempt, later),
        }
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

    /// Makes the chain of those that go along. What is brought in goes first: it is made upon the head itself.
    async fn chain(&self, head: &Head, mut members: Vec<Waiting>, serving: &Serving) -> Chain {
        members.sort_by_key(|waiting| waiting.member.brings.is_none());
        let mut chain = Chain::default();
        let mut members = members.into_iter();
        while let Some(mut waiting) = members.next() {
            let others = !chain.members.is_empty() || members.len() > 0 || !chain.later.is_empty();
            if std::mem::take(&mut waiting.sits_out) && others {
                chain.later.push(waiting);
                continue;
            }
            self.join(head, waiting, &mut chain, || others || serving.others_wait()).await;
        }
        chain
    }

    /// Checks a member against the base and adds its commit to the chain; or answers it; or leaves it for later.
    async fn join(&self, head: &Head, mut waiting: Waiting, chain: &mut Chain, others: impl Fn() -> bool) {
        // The same key twice in one group: the second finds the first once that has landed.
        let twice = chain.members.iter().any(|other| other.member.txn == waiting.member.txn);
        if twice || (waiting.is_late && !has_data(&mut waiting, &others).await) {
            chain.later.push(waiting);
            return;
        }
        let onto = Onto { lake: self.lake, branch: self.branch, head, last: chain.built.last() };
        let (hold, deadline) = (HOLD.saturating_mul(MORE.saturating_pow(waiting.gave_way)), waiting.deadline);
        let prepared = give_way(hold, deadline, others, Box::pin(onto.prepare(&mut waiting))).await;
        match prepared {
            Ok(Some(Ok(Prepared::Ready(ready)))) => {
                chain.members.push(waiting);
                chain.source = ready.source.or_else(|| chain.source.take());
                chain.built.push(ready.built);
            }
            Ok(Some(Ok(Prepared::Committed(commit)))) => {
                let report = Report { already: true, ..self.report(&waiting, commit, 1) };
                waiting.answer(Ok(report));
            }
            Ok(Some(Ok(Prepared::Later))) => chain.later.push(waiting),
            Ok(Some(Err(error))) if may_pass(&error, &waiting) => {
                tracing::debug!(%error, "a commit is prepared again");
                waiting.trouble = Some(error);
                chain.later.push(waiting);
                chain.trouble = true;
            }
            Ok(None) => {
                waiting.gave_way += 1;
                waiting.sits_out = true;
                chain.later.push(waiting);
            }
            Ok(Some(Err(error))) => waiting.answer(Err(error)),
            Err(late) => waiting.answer(Err(late.at("not committed: making it ready"))),
        }
    }

    /// Puts all objects of the chain and the data of its members at once; nothing is swapped before all of it is in the store
    /// [TXN-6]. Data is waited for as long as the rest takes, and then as long as others may be held up.
    async fn store(
        &mut self,
        mut chain: Chain,
        next: &NextPointer,
        serving: &Serving,
    ) -> std::result::Result<(Chain, Staging), Attempt> {
        let (time, alone) = (time_of(&chain.members), chain.members.len() == 1);
        let refs = self.lake.storage().refs();
        let rest_is_stored = AtomicBool::new(false);
        let others = || rest_is_stored.load(Ordering::Relaxed) && (!alone || serving.others_wait());
        let rest = async {
            let (nodes, staged) = tokio::join!(self.upload(&chain.built), refs.stage(&next.change.bytes));
            rest_is_stored.store(true, Ordering::Relaxed);
            nodes.and(staged)
        };
        let data = give_way(HOLD, time, others, stored(&mut chain.members));
        let (rest, data) = tokio::join!(time.run("storing the commit", rest), data);
        let staged = match rest.and_then(|rest| rest) {
            Ok(staged) => staged,
            Err(error) => return Err(again_if_it_passes(chain.members, &error)),
        };
        match data {
            Ok(Some(data)) if data.iter().all(Result::is_ok) => Ok((chain, staged)),
            Ok(Some(data)) => Err(answer_unstored(chain.members, data)),
            Ok(None) => {
                for waiting in &mut chain.members {
                    waiting.is_late = waiting.member.uploads.stored().now_or_never().is_none();
                }
                Err(Attempt::Again(chain.members, None))
            }
            Err(late) => Err(again_if_it_passes(chain.members, &late.at("not committed: storing its data"))),
        }
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

    pub(super) fn report(&self, waiting: &Waiting, commit: Commit, group: usize) -> Report {
        let written = &waiting.member.written;
        let (requests, phases) = waiting.before.unwrap_or_default();
        let (requests, phases) = (self.requests.since(&requests), self.phases.since(&phases));
        let busy = phases.build + phases.upload + phases.swap;
        Report {
            requests: Requests { data: written.files, ..requests },
            bytes_uploaded: written.bytes,
            files_reused: written.reused,
            retries: waiting.attempts,
            group,
            checked: waiting.checked,
            phases: Phases {
                write: written.took,
                wait: waiting.since.elapsed().saturating_sub(busy),
                ..phases
            },
            ..Report::of(commit)
        }
    }
}

/// Carries work on until it is done. `None`: it took longer than its hold, and others wait for it, so it was dropped.
///
/// # Errors
/// `Unavailable` once the deadline has passed.
async fn give_way<T>(
    hold: Duration,
    deadline: Deadline,
    others: impl Fn() -> bool,
    work: impl Future<Output = T>,
) -> Result<Option<T>> {
    let mut work = std::pin::pin!(work);
    deadline
        .run("it", async {
            loop {
                match tokio::time::timeout(hold, &mut work).await {
                    Ok(done) => return Some(done),
                    Err(_) if others() => return None,
                    Err(_) => {}
                }
            }
        })
        .await
}

/// What became of each member's data.
async fn stored(members: &mut [Waiting]) -> Vec<Result<()>> {
    join_all(members.iter_mut().map(|waiting| waiting.member.uploads.stored())).await
}

/// Whether the data of one who was late before has come to its end, for which nobody else waits any more.
async fn has_data(waiting: &mut Waiting, others: impl Fn() -> bool) -> bool {
    let stored = waiting.member.uploads.stored();
    let ended = match others() {
        true => stored.now_or_never().is_some(),
        false => matches!(give_way(HOLD, waiting.deadline, others, stored).await, Ok(Some(_))),
    };
    waiting.is_late = !ended;
    ended
}

/// Where nothing is left but to wait for data: for the first to come, and not so long that others wait.
async fn await_data(later: &mut [Waiting]) {
    let late = later.iter_mut().filter(|waiting| waiting.is_late);
    let data: Vec<_> = late.map(|waiting| Box::pin(waiting.member.uploads.stored())).collect();
    if !data.is_empty() {
        drop(tokio::time::timeout(HOLD, select_all(data)).await);
    }
}

/// How long an attempt for these may take: as long as the least patient of them has, but [`LEAST`] while another one has it.
pub(super) fn time_of(members: &[Waiting]) -> Deadline {
    let left = || members.iter().map(|waiting| waiting.deadline.remaining());
    let (shortest, longest) = (left().min().unwrap_or_default(), left().max().unwrap_or_default());
    Deadline::after(shortest.max(LEAST).min(longest))
}

/// Whether it is of use to prepare a commit again.
fn may_pass(error: &Error, waiting: &Waiting) -> bool {
    error.kind() == ErrorKind::Unavailable
        && !waiting.deadline.passed()
        && !waiting.member.uploads.have_failed()
}

/// How long to wait after an attempt that failed, the first one being number 0: a race that took so long, or the store's trouble.
fn pause(failures: u32, race: Option<Duration>) -> Duration {
    let of_race = |took: Duration| (took.max(QUICKEST), took.max(QUICKEST).saturating_mul(LONGEST_RACE));
    let (first, longest) = race.map_or(PAUSES, of_race);
    let doubled = first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(longest).min(PAUSES.1)
}

/// Between half of the pause and all of it.
pub(super) fn jittered(pause: Duration, runtime: &Runtime) -> Duration {
    let random = runtime.random::<1>().map_or(0, |[random]| random);
    pause / 2 + pause / 2 * u32::from(random) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_gives_way_if_others_wait_and_ends_with_its_deadline() {
        let check = async |seconds, others: bool, expected: Option<bool>| {
            let work = tokio::time::sleep(Duration::from_secs(seconds));
            let deadline = Deadline::after(Duration::from_secs(10));
            let found = give_way(Duration::from_secs(2), deadline, || others, work).await;
            assert_eq!(found.ok().map(|done| done.is_some()), expected, "{seconds} s, others: {others}");
        };
        check(1, true, Some(true)).await;
        check(3, true, Some(false)).await;
        check(3, false, Some(true)).await;
        check(11, false, None).await;
    }

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
