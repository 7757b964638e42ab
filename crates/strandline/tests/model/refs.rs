//! What happens to a ref besides commits, takeovers and fences: it lets go of what it kept, is deleted, made anew, and loses old
//! pins [EXP-1, BR-3, GC-9, GC-10].
//!
//! Each is one swap and one step: sent twice or found again, it is the same as landing once.

use crate::lake::{Lake, Protocol};
use crate::shortcut::Shortcut;
use crate::store::{Commit, Era, Keys, LET_GO, Pin, Pointer, Txn};

/// The transaction of an overwrite that goes before an expiry.
const EMPTIED: Txn = 30;
/// The transaction of the commit that a branch which was made anew begins with.
const MADE_ANEW: Txn = 31;

/// What can happen to a ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A commit that refers to nothing, and the expiry of all before it.
    LetGo,
    Delete,
    /// A deleted branch comes back with another history, whoever made it.
    Remake,
    /// A pin that any swap may drop.
    DropOldPin(usize),
}

/// What can happen to the ref at `at`.
pub(crate) fn steps(protocol: &Protocol, lake: &Lake, at: usize, add: &mut impl FnMut(Step)) {
    let Some(pointer) = &lake.refs[at] else { return };
    if pointer.live && lake.let_go[at] > 0 && !pointer.by_history().is_empty() {
        add(Step::LetGo);
    }
    if pointer.live && lake.deletes[at] > 0 {
        add(Step::Delete);
    }
    if !pointer.live && lake.remakes > 0 {
        add(Step::Remake);
    }
    for (place, pin) in pointer.pins.iter().enumerate() {
        if pin.is_some_and(|pin| is_over(protocol, pin, pointer.era)) {
            add(Step::DropOldPin(place));
        }
    }
}

/// Whether any swap may drop the pin [GC-9].
fn is_over(protocol: &Protocol, pin: Pin, base: Era) -> bool {
    protocol.takes(Shortcut::PinsDroppedAtOnce)
        || base > pin.era + 1
        || protocol.takes(Shortcut::PinsDroppedEarly) && base > pin.era
}

/// Lets it happen to the ref at `at`.
pub(crate) fn take(protocol: &Protocol, lake: &mut Lake, at: usize, step: Step) {
    let Some(base) = lake.refs[at] else { return };
    match step {
        Step::LetGo => {
            lake.let_go[at] -= 1;
            lake.swap(protocol, at, let_go(protocol, base));
        }
        Step::Delete => {
            lake.deletes[at] -= 1;
            let mut tombstone = base.deleted();
            if !protocol.bounds.tags[at] {
                pin_what_goes(protocol, &mut tombstone, base.by_history());
            }
            lake.swap(protocol, at, tombstone);
        }
        Step::Remake => {
            lake.remakes -= 1;
            let mut anew = Pointer::new(true, base.era, &[Commit { txn: MADE_ANEW, tree: Keys::NONE }]);
            anew.pins = base.pins;
            lake.swap(protocol, at, anew);
        }
        Step::DropOldPin(place) => {
            let mut new = base;
            new.pins[place] = None;
            lake.swap(protocol, at, new);
        }
    }
}

fn let_go(protocol: &Protocol, base: Pointer) -> Pointer {
    let mut new = base;
    if !new.head().tree.is_empty() && !new.is_full() {
        new.push(Commit { txn: EMPTIED, tree: Keys::NONE });
    }
    new.expired_before = new.version();
    pin_what_goes(protocol, &mut new, base.by_history());
    new
}

/// A pin with the base's era; one that is there is widened to cover both [GC-10].
fn pin_what_goes(protocol: &Protocol, new: &mut Pointer, gone: Keys) {
    if protocol.takes(Shortcut::NoPinWhenLettingGo) {
        return;
    }
    let before = new.pins[LET_GO].map_or(Keys::NONE, |pin| pin.keys);
    new.pins[LET_GO] = Some(Pin { era: new.era, keys: before.and(gone) });
}
