//! A taker: makes a ref reach objects through a commit that another ref keeps, by a commit or by making a branch [GC-7, BR-1].
//!
//! Pin in the source, base of the target, check of the source, swap, drop of the pin. A swap of the source is one step, as in `collector.rs`: a
//! pin is found again by its id. That of the target is sent at the check and lands whenever it likes while its token stands, also after its
//! sender dropped the pin or crashed. A commit that a tag keeps is taken without a pin [GC-8]. A reservation is a put if absent, and nothing can make that one stale but another one.

use crate::bounds::{Plan, Way};
use crate::lake::{Lake, Protocol};
use crate::shortcut::Shortcut;
use crate::store::{Commit, Era, LET_GO, Pin, Pointer, Token, Txn};

/// The transaction of a takeover by a commit.
pub(crate) const TAKEN: Txn = 20;

/// Where a taker stands.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    #[default]
    Idle,
    Pinned,
    /// The target was read.
    Based,
    /// The source was checked behind that; the swap is in the air. The era is that of the source.
    Checked(Era),
    Done {
        taken: bool,
    },
}

/// One takeover, and the process that carries it through.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Taker {
    pub(crate) phase: Phase,
    /// That of the target.
    pub(crate) token: Token,
    /// The source's era when it was pinned: that of the reservation.
    era: Era,
    /// A reservation in the air.
    reserving: bool,
}

impl Taker {
    /// Who is done remembers nothing but what is in the air; a base that was replaced is as good as none.
    pub(crate) fn forget(&mut self) {
        match self.phase {
            Phase::Based | Phase::Checked(_) if self.token == Token::Stale => self.phase = Phase::Pinned,
            Phase::Done { .. } => self.token = Token::Stale,
            _ => {}
        }
        if matches!(self.phase, Phase::Done { .. }) && !self.reserving {
            self.era = 0;
        }
    }
}

/// What a taker can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Also anew, when the own pin has become older than the source.
    Pin,
    Reserve,
    LandReservation,
    Base,
    Check,
    Land,
    DropPin,
}

/// The steps that taker `who` can take.
pub(crate) fn steps(protocol: &Protocol, lake: &Lake, who: usize, add: &mut impl FnMut(Step)) {
    let taker = &lake.takers[who];
    let plan = &protocol.bounds.plans[who];
    let Some(source) = &lake.refs[plan.source] else { return };
    let target = &lake.refs[plan.target];
    let own = source.pins[slot(who)];
    let from_tag = protocol.bounds.tags[plan.source];
    let done = matches!(taker.phase, Phase::Done { .. });
    if !done && !from_tag && own.is_none_or(|pin| pin.era < source.era) && may_pin(plan, source) {
        add(Step::Pin);
    }
    if taker.reserving {
        add(Step::LandReservation);
    }
    if own.is_some_and(|pin| may_drop(source, who, pin)) {
        add(Step::DropPin);
    }
    match taker.phase {
        Phase::Idle if from_tag && target.is_some() => add(Step::Base),
        Phase::Pinned => steps_when_pinned(protocol, taker, plan, target.as_ref(), add),
        Phase::Based => add(Step::Check),
        Phase::Checked(_) => add(Step::Land),
        Phase::Idle | Phase::Done { .. } => {}
    }
}

fn steps_when_pinned(
    protocol: &Protocol,
    taker: &Taker,
    plan: &Plan,
    target: Option<&Pointer>,
    add: &mut impl FnMut(Step),
) {
    let at_once = protocol.takes(Shortcut::LiveByPutIfAbsent);
    if target.is_some() || at_once {
        add(Step::Base);
    }
    if plan.way == Way::Branch && target.is_none() && !taker.reserving && !at_once {
        add(Step::Reserve);
    }
}

/// The place of a taker's pin.
const fn slot(who: usize) -> usize {
    LET_GO + 1 + who
}

/// A pin may be set on whatever the source keeps, by an old pin too; a branch is made of its history only [GC-7, BR-1].
fn may_pin(plan: &Plan, source: &Pointer) -> bool {
    match plan.way {
        Way::Commit => source.kept().holds(plan.keys),
        Way::Branch => source.by_history().holds(plan.keys),
    }
}

/// Who set a pin may drop it if the pointer keeps the same by its history or by a pin of the same or a later era [GC-9].
fn may_drop(source: &Pointer, who: usize, pin: Pin) -> bool {
    let mut rest = *source;
    rest.pins[slot(who)] = None;
    rest.keeps_since(pin.keys, pin.era)
}

/// Lets taker `who` take a step.
pub(crate) fn take(protocol: &Protocol, lake: &mut Lake, who: usize, step: Step) {
    let plan = protocol.bounds.plans[who];
    let Some(source) = lake.refs[plan.source] else { return };
    match step {
        Step::Pin => pin(protocol, lake, who, &plan, source),
        Step::Reserve => lake.takers[who].reserving = true,
        Step::LandReservation => land_reservation(protocol, lake, who, &plan),
        Step::Base => base(&mut lake.takers[who], &plan, lake.refs[plan.target].as_ref()),
        Step::Check => check(protocol, &mut lake.takers[who], &plan, &source),
        Step::Land => land(protocol, lake, who, &plan),
        Step::DropPin => {
            let mut new = source;
            new.pins[slot(who)] = None;
            lake.swap(protocol, plan.source, new);
        }
    }
}

fn pin(protocol: &Protocol, lake: &mut Lake, who: usize, plan: &Plan, source: Pointer) {
    let mut new = source;
    new.pins[slot(who)] = Some(Pin { era: source.era, keys: plan.keys });
    lake.swap(protocol, plan.source, new);
    let taker = &mut lake.takers[who];
    if taker.phase == Phase::Idle {
        taker.phase = Phase::Pinned;
        taker.era = source.era;
    }
}

/// A tombstone with the commit for its head and the era that the source had; it keeps nothing.
fn land_reservation(protocol: &Protocol, lake: &mut Lake, who: usize, plan: &Plan) {
    let taker = &mut lake.takers[who];
    taker.reserving = false;
    if lake.refs[plan.target].is_none() {
        let reservation = Pointer::new(false, taker.era, &[taken(plan)]);
        lake.swap(protocol, plan.target, reservation);
    }
}

const fn taken(plan: &Plan) -> Commit {
    Commit { txn: 0, tree: plan.keys }
}

/// Reads the target: a branch is made of a tombstone, a commit goes on what is live.
fn base(taker: &mut Taker, plan: &Plan, target: Option<&Pointer>) {
    let live = target.is_some_and(|pointer| pointer.live);
    let fits = live == (plan.way == Way::Commit);
    taker.token = Token::Standing;
    taker.phase = if fits { Phase::Based } else { Phase::Done { taken: false } };
}

/// Whether the source still keeps the commit, by its history or by a pin of its present era [GC-7 step 2].
fn check(protocol: &Protocol, taker: &mut Taker, plan: &Plan, source: &Pointer) {
    let kept = if protocol.takes(Shortcut::PastPinIsGoodEnough) {
        source.kept().holds(plan.keys)
    } else {
        source.keeps_since(plan.keys, source.era) || protocol.takes(Shortcut::SourceNotChecked)
    };
    taker.phase = if kept { Phase::Checked(source.era) } else { Phase::Done { taken: false } };
}

/// The swap of the target lands: it has an era of at least the source's [MRG-7, BR-1 step 4].
fn land(protocol: &Protocol, lake: &mut Lake, who: usize, plan: &Plan) {
    let Phase::Checked(era) = lake.takers[who].phase else { return };
    let target = lake.refs[plan.target];
    let own = target.map_or(era, |pointer| pointer.era);
    let new = match (plan.way, target) {
        (Way::Commit, Some(mut new)) => {
            let txn = TAKEN + Txn::try_from(who).unwrap_or(0);
            new.push(Commit { txn, tree: new.head().tree.and(plan.keys) });
            new.era = own.max(era);
            new
        }
        _ => {
            let era = if protocol.takes(Shortcut::LiveInReservationEra) { own } else { own.max(era) };
            let mut new = Pointer::new(true, era, &[taken(plan)]);
            new.pins = target.map_or([None; 3], |tombstone| tombstone.pins);
            new
        }
    };
    lake.takers[who].phase = Phase::Done { taken: true };
    lake.swap(protocol, plan.target, new);
}
