//! A mask: one bit for each entry of a node.
//!
//! Validity, exactness flags and the answers of the pruning filter are all masks, so that they combine a word at a time.
//! Invariant: bits past the length are zero, so that counting and comparing words is right.

const WORD: usize = u64::BITS as usize;

/// One bit for each entry of a node.
///
/// ```
/// use strandline_format::Mask;
/// let mask: Mask = [true, false, true].into_iter().collect();
/// assert_eq!(mask.ones().collect::<Vec<_>>(), [0, 2]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    words: Vec<u64>,
    len: usize,
}

impl Mask {
    /// `len` equal bits.
    #[must_use]
    pub fn of(bit: bool, len: usize) -> Self {
        let word = if bit { u64::MAX } else { 0 };
        let mut mask = Self { words: vec![word; len.div_ceil(WORD)], len };
        mask.clear_tail();
        mask
    }

    /// How many bits there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bits at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bit at `index`; past the end it is not set.
    #[must_use]
    pub fn get(&self, index: usize) -> bool {
        self.words.get(index / WORD).is_some_and(|word| word >> (index % WORD) & 1 == 1)
    }

    /// Changes the bit at `index`; past the end there is nothing to change.
    pub fn set(&mut self, index: usize, bit: bool) {
        if index >= self.len {
            return;
        }
        let word = &mut self.words[index / WORD];
        *word = *word & !(1 << (index % WORD)) | u64::from(bit) << (index % WORD);
    }

    /// Adds a bit at the end.
    pub fn push(&mut self, bit: bool) {
        if self.len.is_multiple_of(WORD) {
            self.words.push(0);
        }
        self.len += 1;
        self.set(self.len - 1, bit);
    }

    /// How many bits are set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether every bit is set.
    #[must_use]
    pub fn all(&self) -> bool {
        self.count() == self.len
    }

    /// Whether no bit is set.
    #[must_use]
    pub fn none(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The places of the bits that are set, ascending.
    pub fn ones(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                (rest != 0).then(|| {
                    rest &= rest - 1;
                    at * WORD + bit as usize
                })
            })
        })
    }

    /// The bits, in order.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (0..self.len).map(|index| self.get(index))
    }

    /// Keeps the bits that are set in both.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
        self
    }

    /// Adds the bits that are set in the other.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
        self.clear_tail();
        self
    }

    /// Takes away the bits that are set in the other.
    #[must_use]
    pub fn minus(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
        self
    }

    fn clear_tail(&mut self) {
        let used = self.len % WORD;
        if let Some(last) = self.words.last_mut().filter(|_| used != 0) {
            *last &= (1 << used) - 1;
        }
    }
}

impl FromIterator<bool> for Mask {
    /// A word at a time, since this is what pruning spends its time on.
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let mut mask = Self::default();
        let (mut word, mut used) = (0_u64, 0_usize);
        for bit in bits {
            word |= u64::from(bit) << used;
            used += 1;
            if used == WORD {
                mask.words.push(word);
                (word, used) = (0, 0);
                mask.len += WORD;
            }
        }
        if used > 0 {
            mask.words.push(word);
            mask.len += used;
        }
        mask
    }
}
