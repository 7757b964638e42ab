//! Generators: names, typed values, batches, edit histories. Each comes as a strategy for property tests and as a plain function of a
//! seed for the rest.
//!
//! Invariant: the same seed gives the same value. What does not belong here: checks of the product, and the seeds
//! themselves.

pub mod batches;
pub mod edits;
pub mod entries;
pub mod names;
pub mod typed;
mod values;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, Reason, RngAlgorithm, TestRng, TestRunner};

/// One value of a strategy, the same for the same seed.
///
/// # Errors
/// The strategy's own reason, if its filters refuse too much.
///
/// ```
/// use strandline_testkit::generate::{names, sample};
/// assert_eq!(sample(&names::tables(), 7)?.as_str(), sample(&names::tables(), 7)?.as_str());
/// # Ok::<(), proptest::test_runner::Reason>(())
/// ```
pub fn sample<S: Strategy>(strategy: &S, seed: u64) -> Result<S::Value, Reason> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    Ok(strategy.new_tree(&mut runner)?.current())
}
