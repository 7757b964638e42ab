//! Each shortcut, in the model that shows what is wrong with it: the checker must find the property that it breaks.

use stateright::{Checker, HasDiscoveries, Model};

use crate::bounds::Bounds;
use crate::lake::Protocol;
use crate::models::{branch, branch_written, chain, collected, commits, keyed, made_anew, reused, tagged};
use crate::properties::{FAILURE, LINEAR, ONCE, RESOLVED, SUCCESS, WHOLE};
use crate::shortcut::Shortcut;

/// Looks breadth first for a way to break a property, and for no other one.
fn check(shortcut: Shortcut, bounds: Bounds, broken: &'static str) {
    let name = bounds.name;
    let stop = HasDiscoveries::AnyOf([broken].into());
    let protocol = Protocol { bounds, shortcut: Some(shortcut) };
    let checker = protocol.checker().finish_when(stop).spawn_bfs().join();
    let states = checker.unique_state_count();
    let Some(path) = checker.discovery(broken) else {
        panic!("{shortcut:?} was not caught in {name} ({states} states): expected to break `{broken}`");
    };
    let acts = path.into_actions();
    println!("{shortcut:?}: breaks `{broken}` in {name} after {} steps ({states} states)", acts.len());
    for act in acts {
        println!("  {act:?}");
    }
}

/// A test for each shortcut, its model and the property that it breaks.
macro_rules! mutants {
    ($($test:ident: $shortcut:ident in $bounds:ident breaks $broken:ident;)*) => {
        $(
            #[test]
            fn $test() {
                check(Shortcut::$shortcut, $bounds(), $broken);
            }
        )*
    };
}

mutants! {
    blind_rebase: BlindRebase in commits breaks ONCE;
    head_is_mine: HeadIsMine in commits breaks ONCE;
    timeout_is_failure: TimeoutIsFailure in commits breaks FAILURE;
    read_once_and_decide: ReadOnceAndDecide in commits breaks FAILURE;
    look_only_after_moved: LookOnlyAfterMoved in commits breaks ONCE;
    collect_by_age: CollectByAge in collected breaks WHOLE;
    no_nonce: NoNonce in commits breaks FAILURE;
    eras_not_compared: ErasNotCompared in collected breaks WHOLE;
    key_is_hash_alone: KeyIsHashAlone in collected breaks WHOLE;

    no_pin_when_letting_go: NoPinWhenLettingGo in chain breaks WHOLE;
    pins_dropped_at_once: PinsDroppedAtOnce in chain breaks WHOLE;
    pins_dropped_early: PinsDroppedEarly in chain breaks WHOLE;
    past_pin_is_good_enough: PastPinIsGoodEnough in branch breaks WHOLE;
    overtaken_goes_on: OvertakenGoesOn in branch breaks WHOLE;
    same_era_is_not_swapped: SameEraIsNotSwapped in tagged breaks WHOLE;
    tags_fenced_last: TagsFencedLast in tagged breaks WHOLE;
    source_not_checked: SourceNotChecked in branch breaks WHOLE;
    live_by_put_if_absent: LiveByPutIfAbsent in branch breaks WHOLE;
    live_in_reservation_era: LiveInReservationEra in branch_written breaks WHOLE;

    moved_is_failure: MovedIsFailure in commits breaks FAILURE;
    error_settles: ErrorSettles in commits breaks FAILURE;
    resolve_without_fence: ResolveWithoutFence in commits breaks RESOLVED;
    resolve_without_start: ResolveWithoutStart in made_anew breaks RESOLVED;
    key_above_start_only: KeyAboveStartOnly in keyed breaks ONCE;
    store_without_condition: StoreWithoutCondition in commits breaks LINEAR;
    store_without_condition_loses: StoreWithoutCondition in commits breaks SUCCESS;
    reuse_of_expired: ReuseOfExpired in reused breaks WHOLE;
}
