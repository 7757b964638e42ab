//! A writer: begin, upload, build on a base, send the swap, send the same bytes again, read back, fence, give up as unknown, and
//! whoever resolves it later [TXN-4, TXN-6, UNK-2, UNK-3, UNK-7].
//!
//! The network may delay a request for ever or until long after its sender went on (a ghost), lose its answer, refuse it, or answer
//! Moved though the token stands (a 409). The same bytes may be sent any number of times: two copies in the air are as
//! good as one, because one of them at most is applied. A writer that crashes is one that takes no further step.

use crate::bounds::{Job, Network};
use crate::lake::{Lake, Protocol};
use crate::shortcut::Shortcut;
use crate::store::{Answer, Commit, Era, Keys, Pointer, Sending, Token, Txn};

/// Where its content is.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Data {
    /// Not put yet, or under an era that is no longer good enough.
    #[default]
    None,
    /// Put by this transaction under an era.
    Uploaded(Era),
    /// Not put: a base reached it under this era [TXN-3].
    Reused(Era),
}

/// What the caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Told {
    Committed,
    Conflict,
    Aborted,
    Unavailable,
    Unknown,
    /// Unknown, and resolved as committed or not.
    Resolved(bool),
}

/// Why the ref has to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum After {
    Moved,
    NoAnswer,
}

/// Where a writer stands.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    #[default]
    Idle,
    /// It has a base that passed, and has not sent, or sends the same bytes again.
    Ready,
    Committing(Sending),
    Reading(After),
    Fencing(Sending),
    Done(Told),
}

/// Requests in the air that nobody waits for any more.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ghosts {
    commit: bool,
    fence: bool,
}

/// The commit that a transaction reads.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash)]
struct Start {
    version: u8,
    txn: Txn,
}

/// One transaction, and the process that carries it through.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Writer {
    pub(crate) phase: Phase,
    start: Start,
    /// The era of the newest state that it has read: uploads go there [TXN-2].
    era: Era,
    pub(crate) data: Data,
    /// That of its base.
    token: Token,
    /// The version of its base; only a store without conditions asks.
    upon: u8,
    /// A sending of the present bytes had no answer.
    pub(crate) doubt: bool,
    ghosts: Ghosts,
}

impl Writer {
    /// Its base was replaced: what it sent upon it cannot land any more.
    pub(crate) fn outdated(&mut self, lands_all_the_same: bool) {
        self.token = Token::Stale;
        if !lands_all_the_same {
            self.upon = 0;
            self.ghosts = Ghosts::default();
        }
    }

    /// What is told and has nothing in the air needs no memory; what is unknown keeps the start, for who resolves it.
    pub(crate) fn forget(&mut self) {
        let Phase::Done(told) = self.phase else { return };
        if self.ghosts != Ghosts::default() {
            return;
        }
        let start = if told == Told::Unknown { self.start } else { Start::default() };
        *self = Self { phase: self.phase, doubt: self.doubt, start, ..Self::default() };
    }

    fn tell(&mut self, told: Told) {
        self.phase = Phase::Done(told);
    }

    /// How it stops when it cannot go on: not with a failure while an attempt may still be applied [UNK-1].
    fn stop(&mut self, otherwise: Told) {
        self.tell(if self.doubt { Told::Unknown } else { otherwise });
    }
}

/// What a writer can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Begin {
        reuse: bool,
    },
    Upload,
    Send,
    /// The store judges what the writer waits for.
    Land,
    /// It answers 409 though the token stands, or the request never leaves.
    Misjudge(Answer),
    Hear,
    TimeOut,
    LandGhost {
        fence: bool,
    },
    /// A rebase may find a conflict, or not.
    Read {
        conflict: bool,
        reuse: bool,
    },
    /// The deadline passes.
    GiveUp,
    Fence,
    /// Somebody looks for an unknown transaction, and may swap in a fence before.
    Resolve {
        fence: bool,
    },
}

/// The steps that writer `who` can take.
pub(crate) fn steps(protocol: &Protocol, lake: &Lake, who: usize, add: &mut impl FnMut(Step)) {
    let writer = &lake.writers[who];
    let job = &protocol.bounds.jobs[who];
    let Some(pointer) = &lake.refs[job.on] else { return };
    if writer.ghosts.commit {
        add(Step::LandGhost { fence: false });
    }
    if writer.ghosts.fence {
        add(Step::LandGhost { fence: true });
    }
    let reuse = protocol.bounds.reuse && pointer.head().tree.oldest(job.work.content()).is_some();
    match writer.phase {
        Phase::Idle if pointer.live => {
            add(Step::Begin { reuse: false });
            if reuse {
                add(Step::Begin { reuse: true });
            }
        }
        Phase::Idle => {}
        Phase::Ready => {
            add(if writer.data == Data::None { Step::Upload } else { Step::Send });
            if writer.doubt {
                steps_at_deadline(protocol, writer, add);
            }
        }
        Phase::Committing(sending) | Phase::Fencing(sending) => steps_on_the_wire(protocol, sending, add),
        Phase::Reading(_) => {
            add(Step::Read { conflict: false, reuse: false });
            if writer.token == Token::Stale {
                if pointer.version() > writer.start.version {
                    add(Step::Read { conflict: true, reuse: false });
                }
                if reuse {
                    add(Step::Read { conflict: false, reuse: true });
                }
            }
            steps_at_deadline(protocol, writer, add);
        }
        Phase::Done(Told::Unknown) => {
            add(Step::Resolve { fence: false });
            add(Step::Resolve { fence: true });
        }
        Phase::Done(_) => {}
    }
}

fn steps_on_the_wire(protocol: &Protocol, sending: Sending, add: &mut impl FnMut(Step)) {
    match sending {
        Sending::Flying => add(Step::Land),
        Sending::Answered(_) => add(Step::Hear),
    }
    if protocol.bounds.network >= Network::Late {
        add(Step::TimeOut);
    }
    if protocol.bounds.network == Network::Wrong && sending == Sending::Flying {
        add(Step::Misjudge(Answer::Moved));
        add(Step::Misjudge(Answer::Error));
    }
}

/// What a writer may do when its time is up; the ref may have been unreadable until then.
fn steps_at_deadline(protocol: &Protocol, writer: &Writer, add: &mut impl FnMut(Step)) {
    if protocol.bounds.network >= Network::Late {
        add(Step::GiveUp);
        if writer.doubt {
            add(Step::Fence);
        }
    }
}

/// Lets writer `who` take a step.
pub(crate) fn take(protocol: &Protocol, lake: &mut Lake, who: usize, step: Step) {
    let job = protocol.bounds.jobs[who];
    let Some(pointer) = lake.refs[job.on] else { return };
    match step {
        Step::Begin { reuse } => begin(protocol, &mut lake.writers[who], &job, &pointer, reuse),
        Step::Upload => upload(lake, who, &job),
        Step::Send => lake.writers[who].phase = Phase::Committing(Sending::Flying),
        Step::Land => land(protocol, lake, who),
        Step::Misjudge(answer) => answered(&mut lake.writers[who], answer),
        Step::Hear => hear(protocol, &mut lake.writers[who]),
        Step::TimeOut => time_out(protocol, &mut lake.writers[who]),
        Step::LandGhost { fence } => land_ghost(protocol, lake, who, fence),
        Step::Read { conflict, reuse } => {
            read(protocol, &mut lake.writers[who], &job, &pointer, conflict, reuse);
        }
        Step::GiveUp => lake.writers[who].stop(Told::Unavailable),
        Step::Fence => lake.writers[who].phase = Phase::Fencing(Sending::Flying),
        Step::Resolve { fence } => resolve(protocol, lake, who, fence),
    }
}

fn begin(protocol: &Protocol, writer: &mut Writer, job: &Job, pointer: &Pointer, reuse: bool) {
    writer.start = Start { version: pointer.version(), txn: pointer.head().txn };
    let looks = job.keyed && !protocol.takes(Shortcut::KeyAboveStartOnly);
    if looks && pointer.history().iter().any(|commit| commit.txn == job.txn) {
        writer.tell(Told::Committed);
    } else {
        rest_upon(writer, job, pointer, reuse);
    }
}

/// Takes a state as its base [TXN-4 steps 4 and 5].
fn rest_upon(writer: &mut Writer, job: &Job, pointer: &Pointer, reuse: bool) {
    writer.token = Token::Standing;
    writer.upon = pointer.version();
    writer.era = pointer.era;
    writer.doubt = false;
    writer.phase = Phase::Ready;
    if let (true, Some(era)) = (reuse, pointer.head().tree.oldest(job.work.content())) {
        writer.data = Data::Reused(era);
    }
}

/// Puts its content under the newest era that it has read, however late that is.
fn upload(lake: &mut Lake, who: usize, job: &Job) {
    let writer = &mut lake.writers[who];
    writer.data = Data::Uploaded(writer.era);
    lake.objects = lake.objects.and(Keys::one(job.work.content(), writer.era));
}

fn answered(writer: &mut Writer, answer: Answer) {
    writer.phase = match writer.phase {
        Phase::Fencing(_) => Phase::Fencing(Sending::Answered(answer)),
        _ => Phase::Committing(Sending::Answered(answer)),
    };
}

fn land(protocol: &Protocol, lake: &mut Lake, who: usize) {
    let fence = matches!(lake.writers[who].phase, Phase::Fencing(_));
    let answer = if apply(protocol, lake, who, fence) { Answer::Swapped } else { Answer::Moved };
    answered(&mut lake.writers[who], answer);
}

fn land_ghost(protocol: &Protocol, lake: &mut Lake, who: usize, fence: bool) {
    let ghosts = &mut lake.writers[who].ghosts;
    if fence {
        ghosts.fence = false;
    } else {
        ghosts.commit = false;
    }
    apply(protocol, lake, who, fence);
}

/// What the store does with a commit or a fence: it applies it if the token of its base still stands [STO-2].
fn apply(protocol: &Protocol, lake: &mut Lake, who: usize, fence: bool) -> bool {
    let job = &protocol.bounds.jobs[who];
    let writer = &lake.writers[who];
    let stale = writer.token == Token::Stale;
    if stale && !protocol.takes(Shortcut::StoreWithoutCondition) {
        return false;
    }
    let Some(mut new) = lake.refs[job.on].filter(|pointer| !pointer.is_full()) else { return false };
    if stale {
        new.truncate(writer.upon.min(new.version()));
    }
    if !fence {
        let added = match writer.data {
            Data::None => Keys::NONE,
            Data::Uploaded(era) | Data::Reused(era) => Keys::one(job.work.content(), era),
        };
        new.push(Commit { txn: job.txn, tree: job.work.tree(new.head().tree, added) });
        lake.landed[who] += 1;
    }
    lake.swap(protocol, job.on, new);
    true
}

/// What an answer means [UNK-2 step 1, UNK-3].
fn hear(protocol: &Protocol, writer: &mut Writer) {
    let (fencing, answer) = match writer.phase {
        Phase::Fencing(Sending::Answered(answer)) => (true, answer),
        Phase::Committing(Sending::Answered(answer)) => (false, answer),
        _ => return,
    };
    match answer {
        Answer::Swapped => writer.tell(if fencing { Told::Aborted } else { Told::Committed }),
        Answer::Moved if protocol.takes(Shortcut::MovedIsFailure) => writer.tell(Told::Conflict),
        Answer::Moved => writer.phase = Phase::Reading(After::Moved),
        Answer::Error if protocol.takes(Shortcut::ErrorSettles) => writer.tell(Told::Unavailable),
        Answer::Error => writer.stop(Told::Unavailable),
    }
}

/// No answer comes. What was sent stays in the air, as long as it can be applied.
fn time_out(protocol: &Protocol, writer: &mut Writer) {
    let fencing = matches!(writer.phase, Phase::Fencing(_));
    let flying = matches!(writer.phase, Phase::Fencing(Sending::Flying) | Phase::Committing(Sending::Flying));
    if flying && (writer.token == Token::Standing || protocol.takes(Shortcut::StoreWithoutCondition)) {
        writer.ghosts.fence |= fencing;
        writer.ghosts.commit |= !fencing;
    }
    writer.doubt = true;
    if fencing {
        writer.tell(Told::Unknown);
    } else if protocol.takes(Shortcut::TimeoutIsFailure) {
        writer.tell(Told::Unavailable);
    } else {
        writer.phase = Phase::Reading(After::NoAnswer);
    }
}

/// Reads the ref and goes through the checks of [TXN-4]; if the base still stands, through those of [UNK-2].
fn read(protocol: &Protocol, writer: &mut Writer, job: &Job, pointer: &Pointer, conflict: bool, reuse: bool) {
    let Phase::Reading(after) = writer.phase else { return };
    if !pointer.live || !holds_start(writer, pointer) {
        return writer.stop(Told::Conflict);
    }
    if looks(protocol, after) && finds(protocol, writer, job, pointer) {
        return writer.tell(Told::Committed);
    }
    if after == After::NoAnswer && protocol.takes(Shortcut::ReadOnceAndDecide) {
        return writer.tell(Told::Unavailable);
    }
    if writer.token == Token::Standing {
        writer.phase = Phase::Ready;
        return;
    }
    // Tokens never repeat: what was sent upon the old base is settled, and was not applied [UNK-2 step 4].
    writer.doubt = false;
    match carry_over(protocol, writer, job, pointer) {
        _ if conflict => writer.tell(Told::Conflict),
        None => writer.tell(Told::Conflict),
        Some(data) => {
            writer.data = data;
            rest_upon(writer, job, pointer, reuse);
        }
    }
}

fn holds_start(writer: &Writer, pointer: &Pointer) -> bool {
    let at_start = pointer.history().get(usize::from(writer.start.version));
    at_start.is_some_and(|commit| commit.txn == writer.start.txn)
}

fn looks(protocol: &Protocol, after: After) -> bool {
    match after {
        After::Moved => !protocol.takes(Shortcut::BlindRebase),
        After::NoAnswer => !protocol.takes(Shortcut::LookOnlyAfterMoved),
    }
}

/// Whether its id is in the history: above the start, and for a key anywhere [TXN-4 step 2].
fn finds(protocol: &Protocol, writer: &Writer, job: &Job, pointer: &Pointer) -> bool {
    if protocol.takes(Shortcut::HeadIsMine) {
        return pointer.head().txn == job.txn;
    }
    let anywhere = job.keyed && !protocol.takes(Shortcut::KeyAboveStartOnly);
    let from = if anywhere { 0 } else { usize::from(writer.start.version) + 1 };
    pointer.history()[from..].iter().any(|commit| commit.txn == job.txn)
}

/// What it can still refer to on a new base [TXN-4 step 4, GC-4]; nothing if its start is expired and it took objects from there.
fn carry_over(protocol: &Protocol, writer: &Writer, job: &Job, pointer: &Pointer) -> Option<Data> {
    match writer.data {
        Data::Uploaded(era) if era + 1 < pointer.era && !protocol.takes(Shortcut::ErasNotCompared) => {
            Some(Data::None)
        }
        Data::Reused(era) => {
            let start_kept = writer.start.version >= pointer.expired_before;
            let reached = pointer.head().tree.holds(Keys::one(job.work.content(), era));
            let kept = start_kept || reached || protocol.takes(Shortcut::ReuseOfExpired);
            kept.then_some(writer.data)
        }
        data => Some(data),
    }
}

/// Looks for a transaction whose writer has stopped [UNK-7].
fn resolve(protocol: &Protocol, lake: &mut Lake, who: usize, fence: bool) {
    let job = &protocol.bounds.jobs[who];
    let writer = lake.writers[who];
    let Some(pointer) = lake.refs[job.on] else { return };
    let same_branch = holds_start(&writer, &pointer);
    if !same_branch && !protocol.takes(Shortcut::ResolveWithoutStart) {
        return;
    }
    if fence {
        lake.swap(protocol, job.on, pointer);
    }
    let from = if same_branch && !job.keyed { usize::from(writer.start.version) + 1 } else { 0 };
    let found = pointer.history()[from..].iter().any(|commit| commit.txn == job.txn);
    if found || fence || protocol.takes(Shortcut::ResolveWithoutFence) {
        lake.writers[who].tell(Told::Resolved(found));
    }
}
