//! The state of a model and its acts: the bucket, and where each actor stands. The rules themselves are in the actors' files.

use stateright::{Model, Property};

use crate::bounds::{Bounds, COLLECTORS, REFS, TAKERS, WRITERS};
use crate::collector::{self, Collector};
use crate::properties;
use crate::refs;
use crate::shortcut::Shortcut;
use crate::store::{Keys, Pointer, Token};
use crate::takeover::{self, Taker};
use crate::writer::{self, Writer};

/// The bucket and everybody at it. `landed` and `went_back` are no part of a lake: they remember what properties ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lake {
    pub(crate) refs: [Option<Pointer>; REFS],
    pub(crate) objects: Keys,
    pub(crate) writers: [Writer; WRITERS],
    pub(crate) takers: [Taker; TAKERS],
    pub(crate) collectors: [Collector; COLLECTORS],
    /// Collections that may still begin.
    pub(crate) rounds: u8,
    pub(crate) let_go: [u8; REFS],
    pub(crate) deletes: [u8; REFS],
    pub(crate) remakes: u8,
    /// Commits of each writer that were applied.
    pub(crate) landed: [u8; WRITERS],
    /// A live head was replaced by one that does not continue it.
    pub(crate) went_back: bool,
}

/// One step of one actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Writer(usize, writer::Step),
    Taker(usize, takeover::Step),
    Collector(usize, collector::Step),
    Ref(usize, refs::Step),
}

/// A model: bounds, and the rule that is left out.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) bounds: Bounds,
    pub(crate) shortcut: Option<Shortcut>,
}

impl Protocol {
    /// Whether this is the mutant that takes the shortcut.
    pub(crate) fn takes(&self, shortcut: Shortcut) -> bool {
        self.shortcut == Some(shortcut)
    }
}

impl Lake {
    /// Replaces a pointer: every token that anybody holds of it is stale from now on, and what was sent with one cannot land.
    pub(crate) fn swap(&mut self, protocol: &Protocol, at: usize, new: Pointer) {
        let old = self.refs[at].replace(new);
        if let Some(old) = old {
            self.went_back |= old.live && new.live && !new.continues(&old);
            if old == new && protocol.takes(Shortcut::NoNonce) {
                return;
            }
        }
        self.outdate(protocol, at);
    }

    /// Makes all tokens of a ref stale.
    pub(crate) fn outdate(&mut self, protocol: &Protocol, at: usize) {
        for (writer, job) in self.writers.iter_mut().zip(&protocol.bounds.jobs) {
            if job.on == at {
                writer.outdated(protocol.takes(Shortcut::StoreWithoutCondition));
            }
        }
        for (taker, plan) in self.takers.iter_mut().zip(&protocol.bounds.plans) {
            if plan.target == at {
                taker.token = Token::Stale;
            }
        }
    }

    /// States that differ only in what nobody will ask for again, or in who of two equal collectors is who, are one.
    fn normalise(&mut self, collectors: usize) {
        self.writers.iter_mut().for_each(Writer::forget);
        self.takers.iter_mut().for_each(Taker::forget);
        self.collectors[..collectors].sort_unstable();
    }
}

impl Model for Protocol {
    type State = Lake;
    type Action = Act;

    fn init_states(&self) -> Vec<Lake> {
        vec![Lake {
            refs: self.bounds.refs,
            objects: self.bounds.objects,
            writers: Default::default(),
            takers: Default::default(),
            collectors: Default::default(),
            rounds: self.bounds.rounds,
            let_go: self.bounds.let_go,
            deletes: self.bounds.deletes,
            remakes: u8::from(self.bounds.remake),
            landed: [0; WRITERS],
            went_back: false,
        }]
    }

    fn actions(&self, lake: &Lake, acts: &mut Vec<Act>) {
        for who in 0..self.bounds.jobs.len() {
            writer::steps(self, lake, who, &mut |step| acts.push(Act::Writer(who, step)));
        }
        for who in 0..self.bounds.plans.len() {
            takeover::steps(self, lake, who, &mut |step| acts.push(Act::Taker(who, step)));
        }
        for who in 0..self.bounds.collectors {
            collector::steps(self, lake, who, &mut |step| acts.push(Act::Collector(who, step)));
        }
        for at in 0..REFS {
            refs::steps(self, lake, at, &mut |step| acts.push(Act::Ref(at, step)));
        }
    }

    fn next_state(&self, last: &Lake, act: Act) -> Option<Lake> {
        let mut lake = last.clone();
        match act {
            Act::Writer(who, step) => writer::take(self, &mut lake, who, step),
            Act::Taker(who, step) => takeover::take(self, &mut lake, who, step),
            Act::Collector(who, step) => collector::take(self, &mut lake, who, step),
            Act::Ref(at, step) => refs::take(self, &mut lake, at, step),
        }
        lake.normalise(self.bounds.collectors);
        (lake != *last).then_some(lake)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(&self.bounds)
    }
}
