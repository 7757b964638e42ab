//! How a pointer changes: one method for each act, all of one swap made one after the other.
//!
//! Invariants: eras and `expired_before` never go back [PTR-6, PTR-7]; what a pointer lets go stays pinned in it [GC-10]; pins are
//! judged by the era of the base, never by one that the same swap opens [GC-9]. Reading and writing is the business of `wire`.

use super::{BranchStart, MAX_PINS, MAX_PROBED, NewPin, Pack, Pointer, RefState, Release, StoreFingerprint};
use crate::error::{Error, Result};
use crate::feature::Features;
use crate::hash::ObjectRef;
use crate::id::{Era, PinId, Seq};

/// A pointer that is being made to replace another one. Changes that one swap makes together are made one after the
/// other.
///
/// ```
#[doc = include_str!("pointer.example")]
/// // One swap moves the head; the nonce makes its token one of its own.
/// let update = pointer.next(Nonce::from_bytes([3; 16]))?;
/// let next = update.advance(commit(b"version 1"), Pack::default())?.finish();
/// assert_eq!(next.head(), commit(b"version 1"));
/// assert_ne!(next.nonce(), pointer.nonce());
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "an update does nothing until its pointer is swapped in"]
pub struct PointerUpdate {
    next: Pointer,
    base_era: Era,
}

impl PointerUpdate {
    /// The pointer that nothing was changed in yet.
    pub(super) fn of(next: Pointer) -> Self {
        Self { base_era: next.era, next }
    }

    /// Moves the branch to another head. The caller has checked the transaction, the eras and the conflicts [TXN-4].
    ///
    /// # Errors
    /// `Invalid` if the branch is deleted.
    pub fn advance(mut self, head: ObjectRef, pack: Pack) -> Result<Self> {
        self.check_live()?;
        self.next.head = head;
        self.next.pack = pack;
        Ok(self)
    }

    /// Fences the branch for the collection of this era; a tombstone too, because it may be created again. A pointer that
    /// is in that era already is swapped all the same: what counts is that its token changes [GC-2].
    ///
    /// # Errors
    /// `Invalid` if the pointer's era is above: another collection has overtaken this one.
    pub fn fence(mut self, to: Era) -> Result<Self> {
        if self.next.era > to {
            return Err(Error::invalid(format!(
                "cannot fence for era {to}: the pointer is in {}",
                self.next.era
            )));
        }
        self.next.era = to;
        Ok(self)
    }

    /// Opens an era that another branch is in already, whose objects this one takes over [MRG-7]; eras never go back.
    pub fn raise_era(mut self, to: Era) -> Self {
        self.next.era = self.next.era.max(to);
        self
    }

    /// Keeps a commit, and its first parents down to a version, from being collected.
    ///
    /// # Errors
    /// `Invalid` if the branch is deleted or has a pin with this id; `TooLarge` if it has [`MAX_PINS`].
    pub fn pin(self, pin: NewPin) -> Result<Self> {
        self.check_live()?;
        self.add_pin(pin)
    }

    fn add_pin(mut self, pin: NewPin) -> Result<Self> {
        if self.next.pins.iter().any(|held| held.id == pin.id) {
            return Err(Error::invalid(format!("the pointer has a pin {} already", pin.id)));
        }
        if self.next.pins.len() >= MAX_PINS {
            return Err(Error::too_large(format!(
                "the pointer has {MAX_PINS} pins, of which two collections drop those left over"
            )));
        }
        self.next.pins.push(pin.on(self.base_era));
        Ok(self)
    }

    /// Drops the own pin of an act that is over. The caller has checked that the branch's history, or a pin of the same or
    /// a later era, keeps the same commits [GC-9]. A pin that is not there is no error: it may have been dropped by an
    /// attempt whose answer was lost.
    pub fn unpin(mut self, id: PinId) -> Self {
        self.next.pins.retain(|pin| pin.id != id);
        self
    }

    /// Drops the pins that nobody can rely on any more, as every swap should [GC-9].
    pub fn drop_outdated_pins(mut self) -> Self {
        self.next.pins.retain(|pin| !pin.is_outdated(self.base_era));
        self
    }

    /// Expires the versions below `to`, and pins what that lets go [GC-10]: `newest` is the commit before `to`. `head` is the
    /// version of the head, which is never expired [PTR-7]. Nothing is pinned if nothing is let go.
    ///
    /// # Errors
    /// `Invalid` if that would bring expired versions back or expire the head; as [`PointerUpdate::pin`].
    pub fn expire(mut self, to: Seq, head: Seq, newest: ObjectRef, release: Release) -> Result<Self> {
        self.check_live()?;
        let oldest = self.next.expired_before;
        if to < oldest || to > head {
            return Err(Error::invalid(format!(
                "cannot expire the versions before {to}: those before {oldest} are, and the head is {head}"
            )));
        }
        self.next.expired_before = to;
        if to == oldest { Ok(self) } else { self.add_pin(release.of(newest, oldest)) }
    }

    /// Requires other features from here on.
    pub fn require(mut self, features: Features) -> Self {
        self.next.features = features;
        self
    }

    /// Deletes the branch: the pins stay, and one more keeps for a while what the head kept [PTR-9, GC-10].
    ///
    /// # Errors
    /// `Invalid` if it is deleted; as [`PointerUpdate::pin`].
    pub fn tombstone(mut self, release: Release) -> Result<Self> {
        self.check_live()?;
        self.next.state = RefState::Deleted;
        self.next.pack = Pack::default();
        let kept = release.of(self.next.head, self.next.expired_before);
        self.add_pin(kept)
    }

    /// Makes a branch live over its reservation or tombstone. The era does not go back, pins stay [BR-1].
    ///
    /// # Errors
    /// `Invalid` if the branch stands, or is another one.
    pub fn revive(mut self, start: BranchStart) -> Result<Self> {
        if self.next.state == RefState::Live {
            return Err(Error::invalid(format!("branch {} stands already", self.next.branch)));
        }
        if self.next.branch != start.branch {
            return Err(Error::invalid(format!("{} is not the deleted {}", start.branch, self.next.branch)));
        }
        self.next.state = RefState::Live;
        self.next.branch = start.branch;
        self.next.features = start.features;
        self.next.era = self.next.era.max(start.era);
        self.next.head = start.head;
        self.next.expired_before = start.expired_before;
        self.next.pack = start.pack;
        Ok(self)
    }

    /// Remembers that this store keeps its conditions; of too many the oldest is forgotten [PTR-10].
    pub fn probed(mut self, store: StoreFingerprint) -> Self {
        self.next.probed.retain(|known| *known != store);
        self.next.probed.push(store);
        let surplus = self.next.probed.len().saturating_sub(MAX_PROBED);
        self.next.probed.drain(..surplus);
        self
    }

    /// The pointer to swap in.
    #[must_use]
    pub fn finish(self) -> Pointer {
        self.next
    }

    fn check_live(&self) -> Result<()> {
        match self.next.state {
            RefState::Live => Ok(()),
            RefState::Deleted => Err(Error::invalid(format!("branch {} is deleted", self.next.branch))),
        }
    }
}
