//! Random histories: the lake against a plain model in memory, and the two tables of a bank whose sum every version keeps.
//!
//! A history is a list of steps of two processes over one store: transactions that are open at once, on several branches, and
//! refs and eras that move under them; any of it may be cut off at any poll, or with its process before or after any request.
//! A history that fails is shrunk and printed, and its seed is written to `proptest-regressions` beside the tests, from where
//! the next run begins; the printed steps can be handed to [`world::World::run`] as they are. More histories than the default:
//! `PROPTEST_CASES=5000 cargo test -p strandline --test sdk histories`.

mod bank;
mod call;
pub(crate) mod cut;
mod model;
mod process;
mod script;
mod world;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// How many cases proptest runs of itself.
const UNASKED: u32 = 256;
/// The seed of cases that are the same in each run.
const SEED: u64 = 1;

/// So many cases, unless the environment asks for more.
pub(crate) fn cases(usual: u32) -> Config {
    let asked = Config::default();
    let cases = if asked.cases == UNASKED { usual } else { asked.cases };
    Config { cases, max_shrink_iters: 2_000, ..asked }
}

/// So many cases in two halves. The first is the same in each run, so that what cases must meet now and then is met.
pub(crate) fn halves(usual: u32) -> [Config; 2] {
    let half = cases(usual.div_ceil(2));
    [Config { rng_seed: RngSeed::Fixed(SEED), ..half.clone() }, half]
}

/// Runs a test over random values; what it answers is added up.
fn random<S: Strategy, T: Default + std::ops::AddAssign>(
    name: &'static str,
    usual: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> T,
) -> T {
    let config = Config { test_name: Some(name), source_file: Some(file!()), ..cases(usual) };
    let sum = RefCell::new(T::default());
    let outcome = TestRunner::new(config).run(strategy, |value| {
        *sum.borrow_mut() += test(value);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    sum.into_inner()
}

#[test]
fn the_lake_is_what_the_model_is() {
    let histories = prop::collection::vec(script::steps(), 1..60);
    let tally =
        random("the_lake_is_what_the_model_is", 200, &histories, |steps| world::World::new().run(steps));
    println!("{tally:?}");
    let world::Tally { straight, carried, refused, perhaps, landed, lost, calls, errors, rows: _ } = tally;
    for (what, count) in [
        ("commits upon the head that they began on", straight),
        ("commits that were carried over", carried),
        ("conflicts", refused + perhaps),
        ("commits that landed unseen", landed),
        ("commits that were lost", lost),
        ("calls", calls),
        ("errors", errors),
    ] {
        assert!(count > 3, "{what}: {count}");
    }
}

/// Transactions that are open at once and do nothing but change rows, most of them the same ones.
#[test]
fn rows_that_many_change_at_once_are_what_the_model_has() {
    let histories = prop::collection::vec(script::row_steps(), 1..60);
    let tally = random("rows_that_many_change_at_once_are_what_the_model_has", 60, &histories, |steps| {
        world::World::new().run(steps)
    });
    println!("{tally:?}");
    let world::Tally { carried, rows, calls, .. } = tally;
    for (what, count) in
        [("commits that were carried over", carried), ("conflicts that name rows", rows), ("calls", calls)]
    {
        assert!(count > 3, "{what}: {count}");
    }
}
