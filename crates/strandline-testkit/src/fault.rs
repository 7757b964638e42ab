//! Faults as data: which request, and what becomes of it.
//!
//! Invariant: a fault is a plain value that can be written into a message and used again; it fires for the requests of
//! its [`Target`], counted as they are sent. What does not belong here: carrying faults out (`faulty`), and choosing
//! which to try (`enumerate`).

use std::fmt;
use std::time::Duration;

use object_store::path::Path;

use crate::answer::{Answer, Status};
use crate::request::{PathClass, Request, RequestKind};

/// Which requests a fault is for.
///
/// ```
/// use strandline_testkit::{PathClass, RequestKind, Target};
/// let second_swap = Target::any().kind(RequestKind::PutIfMatch).class(PathClass::Pointer).nth(1);
/// assert_eq!(second_swap.to_string(), "put if match pointer, number 1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    kind: Option<RequestKind>,
    class: Option<PathClass>,
    path: Option<Path>,
    nth: usize,
    times: usize,
}

impl Target {
    /// The first request of all. The other methods narrow it.
    #[must_use]
    pub fn any() -> Self {
        Self { kind: None, class: None, path: None, nth: 0, times: 1 }
    }

    /// Only requests of this kind.
    #[must_use]
    pub fn kind(self, kind: RequestKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Only requests to this part of the lake.
    #[must_use]
    pub fn class(self, class: PathClass) -> Self {
        Self { class: Some(class), ..self }
    }

    /// Only requests for this path.
    #[must_use]
    pub fn path(self, path: Path) -> Self {
        Self { path: Some(path), ..self }
    }

    /// Not the first such request but the one with this number, from 0.
    #[must_use]
    pub fn nth(self, nth: usize) -> Self {
        Self { nth, ..self }
    }

    /// Not one such request but this many in a row.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Such requests for ever.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    pub(crate) fn matches(&self, request: &Request) -> bool {
        self.kind.is_none_or(|kind| kind == request.kind)
            && self.class.is_none_or(|class| class == request.class)
            && self.path.as_ref().is_none_or(|path| *path == request.path)
    }

    /// The number of the first matching request that it means.
    #[must_use]
    pub fn first(&self) -> usize {
        self.nth
    }

    /// Whether the fault fires for the matching request with this number.
    pub(crate) fn covers(&self, number: usize) -> bool {
        (self.nth..self.nth.saturating_add(self.times)).contains(&number)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => kind.fmt(f)?,
            None => f.write_str("request")?,
        }
        if let Some(class) = self.class {
            write!(f, " {class}")?;
        }
        if let Some(path) = &self.path {
            write!(f, " {path}")?;
        }
        write!(f, ", number {}", self.nth)?;
        match self.times {
            1 => Ok(()),
            usize::MAX => f.write_str(" and all after it"),
            times => write!(f, " and on, {times} times"),
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The store applies the request, or does not, and the caller gets `answer` instead of the truth.
    Fail {
        /// Whether the request is applied, its condition included.
        applied: bool,
        /// What the caller gets.
        answer: Answer,
    },
    /// The request is applied, or not, and the caller waits for ever, as one whose process ends there.
    Hang {
        /// Whether the request is applied.
        applied: bool,
    },
    /// The caller gets a timeout at once. The request itself is still on its way, and is applied later, with its
    /// condition checked then.
    Zombie(Release),
    /// One bit of the body is flipped. Bits past the end of the body are counted from its begin again.
    Flip {
        /// Which bit.
        bit: u64,
    },
    /// The body lacks its last bytes, and the answer looks whole.
    Cut {
        /// How many.
        bytes: u64,
    },
    /// The body breaks off with an error.
    Break {
        /// How many bytes arrive before.
        after: u64,
    },
    /// Only so many bytes of the request's body reach the store before the connection breaks, on both sides.
    Tear {
        /// How many.
        after: u64,
    },
    /// The request is sent after this time, on tokio's clock.
    Slow(Duration),
    /// The body takes this much longer to arrive, on tokio's clock; on a connection it comes in small pieces.
    Trickle(Duration),
}

/// When a zombie lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Release {
    /// When this many later requests have ended, before the last of them is answered.
    After(usize),
    /// When the test says so.
    ByHand,
}

impl Effect {
    /// Nothing is applied, and the caller gets `answer`.
    #[must_use]
    pub fn fail(answer: Answer) -> Self {
        Self::Fail { applied: false, answer }
    }

    /// The request is applied, and the caller gets `answer` all the same.
    #[must_use]
    pub fn apply_then(answer: Answer) -> Self {
        Self::Fail { applied: true, answer }
    }

    /// The effects worth trying on a request of this kind. All of them end: none hangs.
    #[must_use]
    pub fn all_for(kind: RequestKind) -> Vec<Self> {
        let mut effects = Vec::from(NOT_APPLIED.map(Self::fail));
        if kind.brings_bytes() {
            effects.extend(DAMAGED);
        }
        if !kind.is_read() {
            effects.extend(APPLIED.map(Self::apply_then));
            effects.extend(ZOMBIES);
        }
        if kind.is_conditional() {
            effects.extend(DENIED.map(Self::fail));
            effects.extend(DENIED.map(Self::apply_then));
        }
        effects
    }
}

const NOT_APPLIED: [Answer; 5] = [
    Answer::Refused,
    Answer::Timeout,
    Answer::Closed,
    Answer::Status(Status::Unavailable),
    Answer::Status(Status::TooManyRequests),
];

const APPLIED: [Answer; 4] =
    [Answer::Timeout, Answer::Closed, Answer::Reset, Answer::Status(Status::InternalError)];

/// What a condition that does not hold would be answered, and what a client or proxy makes of its own success when it
/// sends a request twice.
const DENIED: [Answer; 2] = [Answer::Status(Status::PreconditionFailed), Answer::Status(Status::Conflict)];

const ZOMBIES: [Effect; 4] = [
    Effect::Zombie(Release::After(1)),
    Effect::Zombie(Release::After(2)),
    Effect::Zombie(Release::After(3)),
    Effect::Zombie(Release::ByHand),
];

const DAMAGED: [Effect; 4] = [
    Effect::Flip { bit: 0 },
    Effect::Flip { bit: 100_003 },
    Effect::Cut { bytes: 1 },
    Effect::Break { after: 1 },
];

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let applied = |applied| if applied { "applied" } else { "not applied" };
        match self {
            Self::Fail { applied: was, answer } => write!(f, "{}, answered: {answer}", applied(*was)),
            Self::Hang { applied: was } => write!(f, "{}, never answered", applied(*was)),
            Self::Zombie(Release::After(later)) => write!(f, "timeout, lands {later} requests later"),
            Self::Zombie(Release::ByHand) => f.write_str("timeout, lands when told"),
            Self::Flip { bit } => write!(f, "bit {bit} flipped"),
            Self::Cut { bytes } => write!(f, "last {bytes} bytes cut"),
            Self::Break { after } => write!(f, "broken off after {after} bytes"),
            Self::Tear { after } => write!(f, "torn off after {after} bytes"),
            Self::Slow(time) => write!(f, "sent {time:?} late"),
            Self::Trickle(time) => write!(f, "body arrives over {time:?}"),
        }
    }
}

/// One fault of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which requests.
    pub target: Target,
    /// What becomes of them.
    pub effect: Effect,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.target, self.effect)
    }
}

/// The faults of one run. If several fire for the same request, the first of them does; the others are used up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script(Vec<Fault>);

impl Script {
    /// No fault: a run to record.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The script with one fault more.
    #[must_use]
    pub fn and(mut self, target: Target, effect: Effect) -> Self {
        self.0.push(Fault { target, effect });
        self
    }

    /// The faults.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }
}

impl From<Fault> for Script {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl FromIterator<Fault> for Script {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(faults.into_iter().collect())
    }
}

/// One fault a line, for the message of an assertion.
impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no faults");
        }
        self.0.iter().enumerate().try_for_each(|(number, fault)| {
            if number > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)
        })
    }
}
