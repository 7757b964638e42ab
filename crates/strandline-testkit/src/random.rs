//! Randomness that repeats: everything from one seed.
//!
//! Invariant: the same seed gives the same bytes in the same order on every machine. Good for tests, useless for
//! secrets: the generator is `SplitMix64`.

use strandline::{Random, Result};

use crate::shared::Shared;

/// Random bytes that follow from a seed. Clones draw from the same sequence.
///
/// ```
/// use strandline::Runtime;
/// use strandline_testkit::SeededRandom;
///
/// let nonces = |seed| {
///     let runtime = Runtime::system().with_random(SeededRandom::new(seed));
///     [runtime.nonce(), runtime.nonce()].map(Result::unwrap)
/// };
/// assert_eq!(nonces(1), nonces(1));
/// assert_ne!(nonces(1), nonces(2));
/// ```
#[derive(Clone, Debug)]
pub struct SeededRandom(Shared<Dice>);

impl SeededRandom {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Shared::new(Dice::new(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        self.0.with(|dice| {
            for chunk in bytes.chunks_mut(8) {
                chunk.copy_from_slice(&dice.roll().to_le_bytes()[..chunk.len()]);
            }
        });
        Ok(())
    }
}

/// A source of choices for generators.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits, each as likely set as not.
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if there is none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll().checked_rem(bound).unwrap_or_default()
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.below(from.len() as u64)).ok()?;
        from.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut dice = Dice::new(1_234_567);
        let rolls = [(); 3].map(|()| dice.roll());
        assert_eq!(rolls, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn buffers_of_any_length_are_filled() {
        for length in 0..40 {
            let mut bytes = vec![0; length];
            SeededRandom::new(5).fill(&mut bytes).unwrap();
            assert!(length < 8 || bytes[length - 8..].iter().any(|byte| *byte != 0), "{bytes:?}");
        }
    }
}
