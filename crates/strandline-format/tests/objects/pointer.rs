//! What holds over any sequence of changes to a pointer.

use proptest::prelude::*;
use strandline_format::*;

use crate::generate::{self, Act, apply};

fn pin_ids(pointer: &Pointer) -> Vec<PinId> {
    pointer.pins().iter().map(|pin| pin.id).collect()
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
        if !matches!(act, Act::Pin(_) | Act::UnpinFirst) {
            prop_assert_eq!(pin_ids(&next), pin_ids(&pointer));
        }
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
    Pointer::create(LakeId::from_random([1; 16]), start, Nonce::from_bytes([0; 16]))
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

#[test]
fn nothing_expired_comes_back_and_the_head_stays() {
    let pointer = fresh();
    for (to, allowed) in [(2, false), (3, true), (7, true), (8, false)] {
        assert_eq!(next(&pointer).expire(Seq(to), Seq(7)).is_ok(), allowed, "{to}");
    }
}

#[test]
fn a_tombstone_keeps_pins_and_can_only_be_fenced_unpinned_or_revived() {
    let pin = Pin {
        id: PinId::from_bytes([5; 16]),
        commit: fresh().head(),
        reason: Label::new("branch x").unwrap(),
        time: Timestamp::EPOCH,
    };
    let pinned = next(&fresh()).pin(pin.clone()).unwrap().finish();
    assert_eq!(kind(next(&pinned).pin(pin.clone())), ErrorKind::Invalid);
    let dead = next(&pinned).tombstone().unwrap().finish();
    assert_eq!(dead.pins(), [pin.clone()]);
    assert_eq!(kind(next(&dead).tombstone()), ErrorKind::Invalid);
    assert_eq!(kind(next(&dead).advance(dead.head(), Pack::default())), ErrorKind::Invalid);
    assert_eq!(kind(next(&dead).pin(Pin { id: PinId::from_bytes([6; 16]), ..pin.clone() })), ErrorKind::Invalid);
    assert_eq!(kind(next(&dead).expire(Seq(4), Seq(7))), ErrorKind::Invalid);
    assert_eq!(next(&dead).fence().unwrap().finish().era(), Era(5));
    assert!(next(&dead).unpin(pin.id).finish().pins().is_empty());

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
    assert_eq!(alive.pins(), [pin]);
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
