//! A collection: choose the era, fence every ref, mark from the fenced states, delete [GC-2, GC-3].
//!
//! A collector may stall for ever at any step, begin anew at any step, and be overtaken. Its swap of a ref is one step: if it is
//! Moved it reads and swaps again, and if the answer is lost it finds its nonce or swaps again; either way the last one that was applied counts. There
//! is no listing of objects: whatever the rules let a collection delete it may delete at any time from the mark on, which is more than a listing would
//! let it.

use crate::bounds::REFS;
use crate::lake::{Lake, Protocol};
use crate::shortcut::Shortcut;
use crate::store::{Content, Era, Keys};

/// Where a collector stands.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Collector {
    #[default]
    Idle,
    /// It reads the pointers of its listing one by one: those that are left (a bit each), and the eras that it saw.
    Reading {
        left: u8,
        lowest: Era,
        lowest_live: Era,
        highest: Era,
    },
    /// Some live pointer was far below: it raises all, and begins anew.
    Raising {
        to: Era,
    },
    /// The refs that it has swapped (a bit each), and all that their fenced states keep.
    Fencing {
        era: Era,
        fenced: u8,
        kept: Keys,
    },
    Deleting {
        era: Era,
        kept: Keys,
    },
}

/// What a collector can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Begin,
    Read,
    Raise(usize),
    /// All are raised: begin anew. It counts as the same collection.
    BeginAnew,
    Fence(usize),
    /// A listing shows no ref that is not fenced: the mark.
    Mark,
    Delete(Content, Era),
}

/// The steps that collector `who` can take.
pub(crate) fn steps(protocol: &Protocol, lake: &Lake, who: usize, add: &mut impl FnMut(Step)) {
    let below = |era: Era| {
        branches(protocol).filter(move |at| lake.refs[*at].is_some_and(|pointer| pointer.era < era))
    };
    match lake.collectors[who] {
        Collector::Idle => {}
        Collector::Reading { .. } => add(Step::Read),
        Collector::Raising { to } => {
            below(to).for_each(|at| add(Step::Raise(at)));
            if below(to).next().is_none() {
                add(Step::BeginAnew);
            }
        }
        Collector::Fencing { fenced, .. } => {
            let next = next_to_fence(protocol, lake, fenced);
            next.iter().for_each(|at| add(Step::Fence(*at)));
            if next.is_empty() {
                add(Step::Mark);
            }
        }
        Collector::Deleting { era, kept } => {
            let garbage = lake.objects.without(kept);
            garbage
                .each()
                .filter(|(_, of)| is_old(protocol, *of, era))
                .for_each(|(content, of)| add(Step::Delete(content, of)));
        }
    }
    if lake.rounds > 0
        && !matches!(lake.collectors[who], Collector::Reading { .. } | Collector::Raising { .. })
    {
        add(Step::Begin);
    }
}

/// What is there and not fenced: tags, and pointers only when no tag is left [GC-2 steps 2 to 4].
fn next_to_fence(protocol: &Protocol, lake: &Lake, fenced: u8) -> Vec<usize> {
    let open = (0..REFS).filter(|at| lake.refs[*at].is_some() && fenced & bit(*at) == 0);
    let (tags, pointers): (Vec<_>, Vec<_>) = open.partition(|at| protocol.bounds.tags[*at]);
    let (first, last) =
        if protocol.takes(Shortcut::TagsFencedLast) { (pointers, tags) } else { (tags, pointers) };
    if first.is_empty() { last } else { first }
}

/// The places of pointers; eras are read of them alone.
fn branches(protocol: &Protocol) -> impl Iterator<Item = usize> {
    let tags = protocol.bounds.tags;
    (0..REFS).filter(move |at| !tags[*at])
}

const fn bit(at: usize) -> u8 {
    1 << at
}

/// Below T − 1 [GC-3].
fn is_old(protocol: &Protocol, of: Era, era: Era) -> bool {
    of + 1 < era || protocol.takes(Shortcut::CollectByAge)
}

/// Lists the pointers, and gets the first one.
fn list(protocol: &Protocol, lake: &Lake) -> Collector {
    let listed = branches(protocol).filter(|at| lake.refs[*at].is_some());
    let left = listed.fold(0, |left, at| left | bit(at));
    read(protocol, lake, Collector::Reading { left, lowest: Era::MAX, lowest_live: Era::MAX, highest: 0 })
}

/// Lets collector `who` take a step.
pub(crate) fn take(protocol: &Protocol, lake: &mut Lake, who: usize, step: Step) {
    match step {
        Step::Begin => {
            lake.rounds -= 1;
            lake.collectors[who] = list(protocol, lake);
        }
        Step::BeginAnew => lake.collectors[who] = list(protocol, lake),
        Step::Read => lake.collectors[who] = read(protocol, lake, lake.collectors[who]),
        Step::Raise(at) => raise(protocol, lake, who, at),
        Step::Fence(at) => fence(protocol, lake, who, at),
        Step::Mark => mark(lake, who),
        Step::Delete(content, era) => delete(protocol, lake, content, era),
    }
}

/// Gets the next pointer; after the last one it chooses T.
fn read(protocol: &Protocol, lake: &Lake, collector: Collector) -> Collector {
    let Collector::Reading { mut left, mut lowest, mut lowest_live, mut highest } = collector else {
        return collector;
    };
    if let Some((at, pointer)) =
        branches(protocol).filter(|at| left & bit(*at) != 0).find_map(|at| Some((at, lake.refs[at]?)))
    {
        lowest = lowest.min(pointer.era);
        highest = highest.max(pointer.era);
        lowest_live = if pointer.live { lowest_live.min(pointer.era) } else { lowest_live };
        left &= !bit(at);
    }
    if left != 0 {
        return Collector::Reading { left, lowest, lowest_live, highest };
    }
    let fencing = |era| Collector::Fencing { era, fenced: 0, kept: Keys::NONE };
    match lowest_live {
        Era::MAX => Collector::Idle,
        live if live + 1 < highest => Collector::Raising { to: highest },
        _ if lowest == highest && !protocol.takes(Shortcut::CollectByAge) => fencing(highest + 1),
        _ => fencing(highest),
    }
}

fn raise(protocol: &Protocol, lake: &mut Lake, who: usize, at: usize) {
    if let (Collector::Raising { to }, Some(pointer)) = (lake.collectors[who], lake.refs[at]) {
        lake.swap(protocol, at, pointer.in_era(to));
    }
}

/// Swaps a ref to itself with the collection's era; what was swapped in is its fenced state.
fn fence(protocol: &Protocol, lake: &mut Lake, who: usize, at: usize) {
    let (Collector::Fencing { era, fenced, kept }, Some(pointer)) = (lake.collectors[who], lake.refs[at])
    else {
        return;
    };
    let tag = protocol.bounds.tags[at];
    if !tag && pointer.era > era && !protocol.takes(Shortcut::OvertakenGoesOn) {
        lake.collectors[who] = Collector::Idle;
        return;
    }
    let only_reads = protocol.takes(Shortcut::CollectByAge)
        || protocol.takes(Shortcut::SameEraIsNotSwapped) && !tag && pointer.era == era;
    if !only_reads {
        let new = if tag { pointer } else { pointer.in_era(pointer.era.max(era)) };
        lake.swap(protocol, at, new);
    }
    lake.collectors[who] =
        Collector::Fencing { era, fenced: fenced | bit(at), kept: kept.and(pointer.kept()) };
}

fn mark(lake: &mut Lake, who: usize) {
    if let Collector::Fencing { era, kept, .. } = lake.collectors[who] {
        lake.collectors[who] = Collector::Deleting { era, kept };
    }
}

fn delete(protocol: &Protocol, lake: &mut Lake, content: Content, era: Era) {
    let hit = if protocol.takes(Shortcut::KeyIsHashAlone) {
        Keys::all_of(content)
    } else {
        Keys::one(content, era)
    };
    lake.objects = lake.objects.without(hit);
}
