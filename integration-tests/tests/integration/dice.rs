//! Choices that a seed makes, so that a test that failed can be run again with the same ones: it prints the seed, and takes it
//! from `STRANDLINE_TEST_SEED`. When a kill meets a process remains the system's choice.

use strandline::{Random, Runtime};
use strandline_testkit::SeededRandom;

const SEED: &str = "STRANDLINE_TEST_SEED";

/// A sequence of choices.
pub(crate) struct Dice(SeededRandom);

impl Dice {
    /// With the seed that is given, or else a fresh one; says which.
    pub(crate) fn fresh() -> Self {
        let runtime = Runtime::system();
        let given = runtime.environment().variable(SEED).map(|text| text.parse().unwrap());
        let seed = given.unwrap_or_else(|| u64::from_le_bytes(runtime.random().unwrap()));
        println!("  {SEED}={seed}");
        Self::of(seed)
    }

    /// With this seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self(SeededRandom::new(seed))
    }

    /// Any number.
    pub(crate) fn roll(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// A number below this one.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}
