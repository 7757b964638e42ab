//! What must always hold, and what a model must reach so that it says something.

use stateright::Property;

use crate::bounds::Bounds;
use crate::collector::Collector;
use crate::lake::{Lake, Protocol};
use crate::store::{Keys, Pointer};
use crate::takeover;
use crate::writer::{Phase, Told};

/// A property of this protocol.
type Claim = Property<Protocol>;

/// A name of a state that a model must reach.
pub(crate) type Reached = &'static str;

pub(crate) const SUCCESS: &str = "a transaction that reported success is in the history, once";
pub(crate) const FAILURE: &str = "one that reported a failure never is";
pub(crate) const RESOLVED: &str = "an unknown one resolves truly";
pub(crate) const ONCE: &str = "no transaction is committed twice";
pub(crate) const WHOLE: &str = "no object that a ref keeps is missing";
pub(crate) const LINEAR: &str = "a head never goes back";
pub(crate) const WIDE_ENOUGH: &str = "no history is longer than the model can hold";

pub(crate) const LOST_RACE: Reached = "a lost race, rebased and committed";
pub(crate) const LOST_ANSWER: Reached = "a lost answer, found as committed";
pub(crate) const FENCED: Reached = "a fence that aborts";
pub(crate) const GAVE_UP: Reached = "an unknown outcome";
pub(crate) const RESOLVED_YES: Reached = "an unknown one that was committed";
pub(crate) const RESOLVED_NO: Reached = "an unknown one that was not";
pub(crate) const COLLECTED: Reached = "a collection deletes what was there at first";
pub(crate) const COMMITTED_AFTER: Reached = "a commit after a collection deleted";
pub(crate) const REUSED: Reached = "a commit that reuses what its base reached";
pub(crate) const TAKEN: Reached = "a takeover";
pub(crate) const TAKEN_DURING: Reached = "a takeover while a collection has fenced a part";
pub(crate) const TAKEN_ON: Reached = "two takeovers, and the first ref keeps it no more";
pub(crate) const REFUSED: Reached = "a takeover that stops, because the source let go";
pub(crate) const BRANCH_WRITTEN: Reached = "a commit on a branch that was made";
pub(crate) const RAISED: Reached = "a collection that has to raise an era first";

/// The properties of a model: all that must hold, and what its bounds say must be reached.
pub(crate) fn all(bounds: &Bounds) -> Vec<Claim> {
    let reached = reachable();
    let wanted = reached.into_iter().filter(|property| bounds.reaches.contains(&property.name));
    always().into_iter().chain(wanted).collect()
}

/// What must hold in every state.
fn always() -> Vec<Claim> {
    vec![
        Claim::always(SUCCESS, |protocol, lake| {
            told(lake, is_success).all(|who| is_in_history(protocol, lake, who))
        }),
        Claim::always(FAILURE, |_, lake| told(lake, is_failure).all(|who| lake.landed[who] == 0)),
        Claim::always(RESOLVED, |_, lake| resolves_truly(lake)),
        Claim::always(ONCE, is_once),
        Claim::always(WHOLE, |_, lake| {
            lake.refs.iter().flatten().all(|pointer| lake.objects.holds(pointer.kept()))
        }),
        Claim::always(LINEAR, |_, lake| !lake.went_back),
        Claim::always(WIDE_ENOUGH, |_, lake| !lake.refs.iter().flatten().any(Pointer::is_full)),
    ]
}

fn reachable() -> Vec<Claim> {
    vec![
        Claim::sometimes(LOST_RACE, |_, lake| lake.landed == [1, 1]),
        Claim::sometimes(LOST_ANSWER, |_, lake| committed(lake).any(|who| lake.writers[who].doubt)),
        Claim::sometimes(FENCED, |_, lake| told(lake, |told| told == Told::Aborted).next().is_some()),
        Claim::sometimes(GAVE_UP, |_, lake| told(lake, |told| told == Told::Unknown).next().is_some()),
        Claim::sometimes(RESOLVED_YES, |_, lake| {
            told(lake, |told| told == Told::Resolved(true)).next().is_some()
        }),
        Claim::sometimes(RESOLVED_NO, |_, lake| {
            told(lake, |told| told == Told::Resolved(false)).next().is_some()
        }),
        Claim::sometimes(COLLECTED, has_collected),
        Claim::sometimes(COMMITTED_AFTER, |protocol, lake| {
            has_collected(protocol, lake) && committed(lake).next().is_some()
        }),
        Claim::sometimes(REUSED, has_reused),
        Claim::sometimes(TAKEN, |_, lake| taken(lake) > 0),
        Claim::sometimes(TAKEN_DURING, has_taken_during),
        Claim::sometimes(TAKEN_ON, |_, lake| taken(lake) == 2 && keeps_nothing(&lake.refs[0])),
        Claim::sometimes(REFUSED, |_, lake| ended(lake, false) > 0),
        Claim::sometimes(BRANCH_WRITTEN, |_, lake| taken(lake) > 0 && committed(lake).next().is_some()),
        Claim::sometimes(RAISED, |_, lake| {
            lake.collectors.iter().any(|one| matches!(one, Collector::Raising { .. }))
        }),
    ]
}

fn told(lake: &Lake, which: fn(Told) -> bool) -> impl Iterator<Item = usize> {
    let writers = lake.writers.iter().enumerate();
    writers.filter_map(move |(who, writer)| {
        matches!(writer.phase, Phase::Done(told) if which(told)).then_some(who)
    })
}

fn committed(lake: &Lake) -> impl Iterator<Item = usize> {
    told(lake, |told| told == Told::Committed)
}

const fn is_success(told: Told) -> bool {
    matches!(told, Told::Committed | Told::Resolved(true))
}

const fn is_failure(told: Told) -> bool {
    matches!(told, Told::Conflict | Told::Aborted | Told::Unavailable)
}

/// In the history of its branch; one that was deleted and made anew no longer tells of it.
fn is_in_history(protocol: &Protocol, lake: &Lake, who: usize) -> bool {
    let job = &protocol.bounds.jobs[who];
    let history = lake.refs[job.on].iter().flat_map(|pointer| pointer.history());
    let anew = protocol.bounds.remake && lake.remakes == 0;
    let found = history.filter(|commit| commit.txn == job.txn).count();
    found == 1 || anew && found == 0 && lake.landed[who] == 1
}

/// What was resolved as not committed never is; of the rest [`SUCCESS`] speaks.
fn resolves_truly(lake: &Lake) -> bool {
    told(lake, |told| told == Told::Resolved(false)).all(|who| lake.landed[who] == 0)
}

/// Counted over all runs of one transaction, and over all lives of a branch.
fn is_once(protocol: &Protocol, lake: &Lake) -> bool {
    let jobs = &protocol.bounds.jobs;
    let landed = |txn| {
        jobs.iter()
            .zip(lake.landed)
            .filter(move |(job, _)| job.txn == txn)
            .map(|(_, landed)| landed)
            .sum::<u8>()
    };
    jobs.iter().all(|job| landed(job.txn) <= 1)
}

fn has_collected(protocol: &Protocol, lake: &Lake) -> bool {
    !lake.objects.holds(protocol.bounds.objects)
}

/// It landed, and what the branch begins with is all that there is.
fn has_reused(protocol: &Protocol, lake: &Lake) -> bool {
    lake.landed.iter().any(|landed| *landed > 0)
        && lake.objects == protocol.bounds.objects
        && lake.refs[0].is_some_and(|pointer| pointer.head().tree != Keys::NONE)
}

fn ended(lake: &Lake, taken: bool) -> usize {
    lake.takers.iter().filter(|taker| taker.phase == takeover::Phase::Done { taken }).count()
}

fn taken(lake: &Lake) -> usize {
    ended(lake, true)
}

fn keeps_nothing(pointer: &Option<Pointer>) -> bool {
    pointer.is_some_and(|pointer| pointer.kept().is_empty())
}

/// A taker is done, its target is not fenced, and the ref that it took from is.
fn has_taken_during(protocol: &Protocol, lake: &Lake) -> bool {
    let part = |source: usize, target: usize| {
        let is_part = |fenced: u8| fenced & 1 << source != 0 && fenced & 1 << target == 0;
        lake.collectors.iter().any(|one| matches!(one, Collector::Fencing { fenced, .. } if is_part(*fenced)))
    };
    let takers = lake.takers.iter().zip(&protocol.bounds.plans);
    takers
        .filter(|(taker, _)| taker.phase == takeover::Phase::Done { taken: true })
        .any(|(_, plan)| part(plan.source, plan.target))
}
