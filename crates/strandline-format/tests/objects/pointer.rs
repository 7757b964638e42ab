//! What holds over any sequence of changes to a pointer.

use proptest::prelude::*;
use strandline_format::*;

use crate::generate::{self, Act, apply};

/// Whether the branch keeps fewer versions than before, and from which on it kept them [GC-10].
fn lets_go(before: &Pointer, next: &Pointer) -> Option<Seq> {
    let was_live = before.state() == RefState::Live;
    let fewer = next.state() == RefState::Deleted || next.expired_before() > before.expired_before();
    (was_live && fewer).then_some(before.expired_before())
}

/// The same, as a pin says it that came with such a change.
fn released(before: &Pointer, next: &Pointer) -> Option<Seq> {
    lets_go(before, next)?;
    next.pins().iter().find(|pin| !before.pins().contains(pin)).map(|pin| pin.from)
}

proptest! {
    #[test]
    fn every_change_is_a_swap(
        pointer in generate::pointer(),
        act in generate::act(),
        nonce in generate::nonce(),
    ) {
        let next = apply(&pointer, act.clone(), nonce);
        if next == pointer {
            return Ok(());
        }
        prop_assert_eq!(next.seq(), pointer.seq().next().unwrap());
        prop_assert_eq!(next.nonce(), nonce);
        prop_assert!(next.era() >= pointer.era());
        prop_assert_eq!((next.lake(), next.branch()), (pointer.lake(), pointer.branch()));
        if next.state() == RefState::Live && pointer.state() == RefState::Live {
            prop_assert!(next.expired_before() >= pointer.expired_before());
        }
        let dropped = pointer.pins().iter().filter(|pin| !next.pins().contains(pin));
        match act {
            Act::UnpinFirst => prop_assert!(dropped.count() <= 1),
            Act::DropOutdatedPins => prop_assert!(dropped.into_iter().all(|pin| pin.is_outdated(pointer.era()))),
            _ => prop_assert_eq!(dropped.count(), 0),
        }
        for pin in next.pins().iter().filter(|pin| !pointer.pins().contains(pin)) {
            prop_assert_eq!(pin.era, pointer.era());
        }
        prop_assert_eq!(lets_go(&pointer, &next), released(&pointer, &next));
        if next.state() == RefState::Deleted {
            prop_assert!(next.pack().is_empty());
            prop_assert_eq!(next.head(), pointer.head());
        }
        prop_assert!(next.probed().len() <= MAX_PROBED);
        prop_assert!(next.to_json().is_ok());
    }

    #[test]
    fn a_pack_keeps_texts_to_the_byte(pointer in generate::pointer()) {
        let read = Pointer::parse(&pointer.to_json().unwrap()).unwrap();
        prop_assert!(read.pack().iter().eq(pointer.pack().iter()));
        for (hash, text) in read.pack().iter() {
            prop_assert_eq!(Hash::of(text.as_bytes()), hash);
            prop_assert_eq!(read.pack().get(&hash), Some(text));
        }
    }
}

fn fresh() -> Pointer {
    let start = BranchStart {
        branch: RefName::new("Dev").unwrap(),
        features: Features::default(),
        era: Era(4),
        head: ObjectRef { hash: Hash::of(b"head"), era: Era(4), size: 4 },
        expired_before: Seq(3),
        pack: Pack::default(),
    };
    Pointer::create_main(LakeId::from_random([1; 16]), start, Nonce::from_bytes([0; 16]))
}

fn next(pointer: &Pointer) -> PointerUpdate {
    pointer.next(Nonce::from_bytes([9; 16])).unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn uploads_may_lag_by_one_era() {
    let pointer = fresh();
    for (era, allowed) in [(2, false), (3, true), (4, true), (5, true), (u64::MAX, true)] {
        assert_eq!(pointer.allows(Era(era)), allowed, "era {era} into {}", pointer.era());
    }
}

fn release(id: u8) -> Release {
    let reason = Label::new("expiry").unwrap();
    Release { id: PinId::from_bytes([id; 16]), reason, time: Timestamp::EPOCH }
}

fn branch_pin(id: u8) -> NewPin {
    let reason = Label::new("branch x").unwrap();
    NewPin {
        id: PinId::from_bytes([id; 16]),
        commit: fresh().head(),
        from: Seq(3),
        reason,
        time: Timestamp::EPOCH,
    }
}

#[test]
fn nothing_expired_comes_back_and_the_head_stays() {
    let pointer = fresh();
    for (to, allowed) in [(2, false), (3, true), (7, true), (8, false)] {
        let expired = next(&pointer).expire(Seq(to), Seq(7), pointer.head(), release(1));
        assert_eq!(expired.is_ok(), allowed, "{to}");
    }
}

#[test]
fn what_is_let_go_stays_pinned() {
    let newest = ObjectRef { hash: Hash::of(b"six"), era: Era(4), size: 3 };
    let expire = |to| next(&fresh()).expire(Seq(to), Seq(7), newest, release(1)).unwrap().finish();
    assert_eq!(expire(3).pins(), [], "nothing is let go");
    let kept = |pointer: &Pointer| {
        pointer.pins().iter().map(|pin| (pin.commit, pin.from, pin.era)).collect::<Vec<_>>()
    };
    assert_eq!(kept(&expire(7)), [(newest, Seq(3), Era(4))]);
    let dead = next(&expire(7)).tombstone(release(2)).unwrap().finish();
    assert_eq!(kept(&dead), [(newest, Seq(3), Era(4)), (fresh().head(), Seq(7), Era(4))]);
}

/// The era of a pin, and what drops it, is that of the base: not one which the same swap opens.
#[test]
fn pins_go_after_two_collections() {
    let pinned = next(&fresh()).fence(Era(6)).unwrap().pin(branch_pin(5)).unwrap().finish();
    assert_eq!((pinned.era(), pinned.pins()[0].era), (Era(6), Era(4)));
    let pinned = next(&fresh()).pin(branch_pin(5)).unwrap().finish();
    let in_era = |era| next(&pinned).fence(Era(era)).unwrap().finish();
    for (base, left) in [(4, 1), (5, 1), (6, 0)] {
        let swapped = next(&in_era(base)).fence(Era(9)).unwrap().drop_outdated_pins().finish();
        assert_eq!(swapped.pins().len(), left, "era {base}");
    }
}

#[test]
fn a_fence_may_find_its_era_but_none_above() {
    for (to, allowed) in [(3, false), (4, true), (5, true)] {
        assert_eq!(next(&fresh()).fence(Era(to)).is_ok(), allowed, "{to}");
    }
}

#[test]
fn a_reservation_is_a_tombstone_until_it_is_revived() {
    let text = "{}";
    let mut pack = Pack::builder();
    pack.push(Hash::of(text.as_bytes()), text).unwrap();
    let start = BranchStart {
        branch: RefName::new("x").unwrap(),
        features: Features::default(),
        era: Era(2),
        head: fresh().head(),
        expired_before: Seq(1),
        pack: pack.finish(),
    };
    let reserved = Pointer::reserve(fresh().lake(), start.clone(), Nonce::from_bytes([0; 16]));
    assert_eq!((reserved.state(), reserved.pack().is_empty()), (RefState::Deleted, true));
    let alive = next(&reserved).revive(BranchStart { era: Era(3), ..start }).unwrap().finish();
    assert_eq!((alive.state(), alive.era(), alive.pack().len()), (RefState::Live, Era(3), 1));
}

#[test]
fn a_tombstone_keeps_pins_and_can_only_be_fenced_unpinned_or_revived() {
    let pinned = next(&fresh()).pin(branch_pin(5)).unwrap().finish();
    let pin = pinned.pins()[0].clone();
    assert_eq!(kind(next(&pinned).pin(branch_pin(5))), ErrorKind::Invalid);
    let dead = next(&pinned).tombstone(release(7)).unwrap().finish();
    assert_eq!(dead.pins()[0], pin);
    assert_eq!(kind(next(&dead).tombstone(release(8))), ErrorKind::Invalid);
    assert_eq!(kind(next(&dead).advance(dead.head(), Pack::default())), ErrorKind::Invalid);
    assert_eq!(kind(next(&dead).pin(branch_pin(6))), ErrorKind::Invalid);
    assert_eq!(kind(next(&dead).expire(Seq(4), Seq(7), dead.head(), release(8))), ErrorKind::Invalid);
    assert_eq!(next(&dead).fence(Era(5)).unwrap().finish().era(), Era(5));
    assert!(next(&dead).unpin(pin.id).unpin(release(7).id).finish().pins().is_empty());

    let start = BranchStart {
        branch: RefName::new("dev").unwrap(),
        features: Features::default(),
        era: Era(1),
        head: fresh().head(),
        expired_before: Seq(0),
        pack: Pack::default(),
    };
    let other = BranchStart { branch: RefName::new("other").unwrap(), ..start.clone() };
    assert_eq!(kind(next(&dead).revive(other)), ErrorKind::Invalid);
    let alive = next(&dead).revive(start.clone()).unwrap().finish();
    assert_eq!((alive.era(), alive.state(), alive.branch().as_str()), (Era(4), RefState::Live, "dev"));
    assert_eq!(alive.pins(), dead.pins());
    assert_eq!(kind(next(&alive).revive(start)), ErrorKind::Invalid);
}

#[test]
fn the_oldest_probed_stores_are_forgotten() {
    let store = |n: usize| StoreFingerprint::of("s3", "", &n.to_string(), "");
    let update = (0..20).fold(next(&fresh()), |update, n| update.probed(store(n)));
    let pointer = update.probed(store(10)).finish();
    let expected: Vec<StoreFingerprint> = (4..20).filter(|n| *n != 10).chain([10]).map(store).collect();
    assert_eq!(pointer.probed(), expected);
}

#[test]
fn a_pointer_is_known_by_its_branch() {
    let pointer = fresh();
    assert_eq!(pointer.check_branch(&RefName::new("dEV").unwrap()), Ok(()));
    assert_eq!(kind(pointer.check_branch(&RefName::new("main").unwrap())), ErrorKind::Malformed);
}
