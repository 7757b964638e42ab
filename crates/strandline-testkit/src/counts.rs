//! How many requests were made, of which kind, to which part of the lake, with how many bytes, and how deep.
//!
//! Invariant: counts only grow, so the difference of two snapshots is what happened between them.

use std::collections::BTreeMap;
use std::fmt;

use crate::request::{PathClass, Request, RequestKind};

/// Requests and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many requests were sent, whatever their answer.
    pub requests: u64,
    /// Bytes of objects that the requests carried to the store.
    pub sent: u64,
    /// Bytes of objects that the answers promised. A body that nobody read to its end counts whole.
    pub received: u64,
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            sent: self.sent + other.sent,
            received: self.received + other.received,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            sent: self.sent.saturating_sub(other.sent),
            received: self.received.saturating_sub(other.received),
        }
    }
}

/// The requests of a run, or of a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    tallies: BTreeMap<(RequestKind, PathClass), Tally>,
    depth: u64,
}

impl Counts {
    /// All requests together.
    #[must_use]
    pub fn total(&self) -> Tally {
        self.matching(|_, _| true)
    }

    /// The requests of one kind.
    #[must_use]
    pub fn of(&self, kind: RequestKind) -> Tally {
        self.matching(|found, _| found == kind)
    }

    /// The requests to one part of the lake.
    #[must_use]
    pub fn to(&self, class: PathClass) -> Tally {
        self.matching(|_, found| found == class)
    }

    /// The requests of one kind to one part of the lake.
    #[must_use]
    pub fn of_to(&self, kind: RequestKind, class: PathClass) -> Tally {
        self.tallies.get(&(kind, class)).copied().unwrap_or_default()
    }

    /// The requests that only read.
    #[must_use]
    pub fn reads(&self) -> Tally {
        self.matching(|kind, _| kind.is_read())
    }

    /// The requests that may change something in the store.
    #[must_use]
    pub fn writes(&self) -> Tally {
        self.matching(|kind, _| !kind.is_read())
    }

    /// The longest chain of requests of which each began after another had ended: the round trips that an operation
    /// takes, however much of it runs in parallel.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.depth
    }

    /// What was counted after `before` was taken.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let tallies = self.tallies.iter().map(|(key, tally)| (*key, tally.minus(before.of_to(key.0, key.1))));
        let tallies = tallies.filter(|(_, tally)| *tally != Tally::default()).collect();
        Self { tallies, depth: self.depth.saturating_sub(before.depth) }
    }

    pub(crate) fn add(&mut self, request: &Request, tally: Tally) {
        let entry = self.tallies.entry((request.kind, request.class)).or_default();
        *entry = entry.plus(tally);
    }

    pub(crate) fn reach(&mut self, depth: u64) {
        self.depth = self.depth.max(depth);
    }

    fn matching(&self, wanted: impl Fn(RequestKind, PathClass) -> bool) -> Tally {
        let found = self.tallies.iter().filter(|((kind, class), _)| wanted(*kind, *class));
        found.fold(Tally::default(), |sum, (_, tally)| sum.plus(*tally))
    }
}

/// A table, for the message of an assertion.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(f, "{} requests, {} deep", total.requests, self.depth)?;
        write!(f, ", {} bytes sent, {} bytes received", total.sent, total.received)?;
        for ((kind, class), tally) in &self.tallies {
            write!(f, "\n  {kind:<18} {class:<8} {:>6}", tally.requests)?;
            write!(f, "  sent {:>10}  received {:>10}", tally.sent, tally.received)?;
        }
        Ok(())
    }
}
