//! Pins: what a pointer keeps from being collected besides its branch [GC-5].
//!
//! Invariant: a pin's era is that of the pointer which it was swapped in on, so it tells when nobody can rely on the pin
//! any more: no clock and no person has to say so [GC-9]. What does not belong here: which acts need a pin.

use crate::hash::ObjectRef;
use crate::id::{Era, PinId, Seq};
use crate::text::Label;
use crate::time::Timestamp;

/// How many pins a pointer may hold.
pub const MAX_PINS: usize = 1024;

/// How many eras beyond its own a pin is needed.
const PIN_ERAS: u64 = 1;

/// A pin as it stands in a pointer: it keeps a commit, and that commit's first parents down to a version.
///
/// ```
#[doc = include_str!("pointer.example")]
/// use strandline_format::{Label, NewPin, PinId, Timestamp};
///
/// let (id, reason, time) = (PinId::from_bytes([4; 16]), Label::new("branch dev")?, Timestamp::EPOCH);
/// let pin = NewPin { id, commit: pointer.head(), from: Seq(0), reason, time };
/// let pinned = pointer.next(Nonce::from_bytes([3; 16]))?.pin(pin)?.finish();
/// assert!(!pinned.pins()[0].is_outdated(pinned.era()));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Which pin.
    pub id: PinId,
    /// The newest commit that it keeps.
    pub commit: ObjectRef,
    /// The oldest version that it keeps.
    pub from: Seq,
    /// The era of the pointer that it was swapped in on.
    pub era: Era,
    /// What for, such as `branch dev`: for the person who finds it left over.
    pub reason: Label,
    /// When it was set.
    pub time: Timestamp,
}

impl Pin {
    /// Whether a swap whose base is in this era may drop the pin [GC-9].
    #[must_use]
    pub fn is_outdated(&self, base: Era) -> bool {
        base.0 > self.era.0.saturating_add(PIN_ERAS)
    }
}

/// A pin that is to be set; its era is that of the pointer that it comes into.
///
/// ```
#[doc = include_str!("pointer.example")]
/// use strandline_format::{Label, NewPin, PinId, Timestamp};
///
/// // Before a branch begins at this commit: a collection sees the pin, or the branch itself.
/// let (id, reason, time) = (PinId::from_bytes([4; 16]), Label::new("branch dev")?, Timestamp::EPOCH);
/// let pin = NewPin { id, commit: pointer.head(), from: Seq(0), reason, time };
/// let pinned = pointer.next(Nonce::from_bytes([3; 16]))?.pin(pin)?.finish();
/// let unpinned = pinned.next(Nonce::from_bytes([5; 16]))?.unpin(id).finish();
/// assert_eq!((pinned.pins().len(), unpinned.pins().len()), (1, 0));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPin {
    /// Which pin; drawn once for one act.
    pub id: PinId,
    /// The newest commit that it keeps.
    pub commit: ObjectRef,
    /// The oldest version that it keeps.
    pub from: Seq,
    /// What for.
    pub reason: Label,
    /// When it is set.
    pub time: Timestamp,
}

impl NewPin {
    pub(super) fn on(self, era: Era) -> Pin {
        Pin { id: self.id, commit: self.commit, from: self.from, era, reason: self.reason, time: self.time }
    }
}

/// The pin of what a pointer lets go, so far as the caller has to say: a collection that has fenced the branch already must
/// not miss what somebody has just taken over from it [GC-10].
///
/// ```
#[doc = include_str!("pointer.example")]
/// use strandline_format::{Label, PinId, Release, Timestamp};
///
/// let release = Release { id: PinId::from_bytes([4; 16]), reason: Label::new("expiry")?, time: Timestamp::EPOCH };
/// let update = pointer.next(Nonce::from_bytes([3; 16]))?;
/// let expired = update.expire(Seq(5), Seq(9), commit(b"version 4"), release)?.finish();
/// // What was let go is kept for a while, for those who have just taken it over.
/// assert_eq!((expired.expired_before(), expired.pins()[0].commit), (Seq(5), commit(b"version 4")));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Which pin; drawn once for one act.
    pub id: PinId,
    /// What was done, such as `expiry` or `deleted`.
    pub reason: Label,
    /// When it is set.
    pub time: Timestamp,
}

impl Release {
    pub(super) fn of(self, commit: ObjectRef, from: Seq) -> NewPin {
        NewPin { id: self.id, commit, from, reason: self.reason, time: self.time }
    }
}
