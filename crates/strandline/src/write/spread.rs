//! Whether whole numbers go into a dictionary or are packed: whichever takes less room, judged by a sample of them.
//!
//! Why: the Parquet encoder puts everything into a dictionary until that is full. Of numbers of which few are equal it is larger than they are
//! themselves, and a reader has to unfold it and look each of them up, which takes longer than to unpack them.
//!
//! Invariant: what is decided depends on the values alone. What does not belong here: how encoders are told (`plan`).

use arrow::array::Array;
use arrow::datatypes::ArrowNativeType;
use arrow::downcast_primitive_array;

use super::leaf::Values;

/// Of fewer values either takes little.
const LEAST_VALUES: usize = 256;

/// How many values are looked at: one of so many, but no more than this.
const ONE_OF: usize = 16;
const MOST_LOOKED_AT: usize = 1 << 14;

/// Whether these values, each of which is stored in so many bits, take less room packed by their differences than in a dictionary.
pub(super) fn packs_better(values: &[Values], bits: u64) -> bool {
    let count = values.iter().map(|values| values.array.len()).sum::<usize>();
    if count < LEAST_VALUES {
        return false;
    }
    let step = count / (count / ONE_OF).clamp(LEAST_VALUES, MOST_LOOKED_AT);
    let mut sample: Vec<i64> = Vec::with_capacity(count.div_ceil(step));
    values.iter().for_each(|values| look_at(values, step, &mut sample));
    sample.sort_unstable();
    Spread::of(sample)
        .is_some_and(|spread| spread.packed(count as u64) < spread.in_dictionary(count as u64, bits))
}

/// Adds every so many values of an array, but for nulls.
fn look_at(values: &Values, step: usize, sample: &mut Vec<i64>) {
    let array = &*values.array;
    let is_valid = |row: &usize| values.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row));
    let rows = (0..array.len()).step_by(step).filter(is_valid);
    downcast_primitive_array! {
        array => sample.extend(rows.filter_map(|row| array.value(row).to_i64())),
        _ => {}
    }
}

/// How far apart values lie, and how many of them are equal.
#[derive(Debug, PartialEq, Eq)]
struct Spread {
    range: u64,
    looked_at: u64,
    distinct: u64,
}

impl Spread {
    /// Of values in order; `None` if there are none.
    fn of(mut sorted: Vec<i64>) -> Option<Self> {
        let range = sorted.last()?.wrapping_sub(*sorted.first()?).cast_unsigned();
        let looked_at = sorted.len() as u64;
        sorted.dedup();
        Some(Self { range, looked_at, distinct: sorted.len() as u64 })
    }

    /// How many different ones there are among so many: pairs of equal ones come the more often the fewer there are. Where most have come
    /// several times, all have been seen.
    fn distinct_of(&self, count: u64) -> u64 {
        let again = self.looked_at - self.distinct;
        let all = match self.looked_at.saturating_mul(self.looked_at).checked_div(2 * again) {
            None => count,
            Some(_) if again > self.distinct => self.distinct,
            Some(guess) => guess.max(self.distinct),
        };
        all.min(count)
    }

    fn in_dictionary(&self, count: u64, bits: u64) -> u64 {
        let distinct = self.distinct_of(count);
        count * width(distinct.saturating_sub(1)) + distinct * bits
    }

    /// Differences may be as large in either direction.
    fn packed(&self, count: u64) -> u64 {
        count * (width(self.range) + 1)
    }
}

/// How many bits a number has.
fn width(number: u64) -> u64 {
    u64::from(u64::BITS - number.leading_zeros())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray};
    use arrow::buffer::NullBuffer;

    use super::*;

    fn values(array: ArrayRef) -> Values {
        let nulls = array.nulls().cloned();
        Values { array, nulls }
    }

    fn numbers(numbers: impl IntoIterator<Item = i64>) -> Vec<Values> {
        vec![values(Arc::new(Int64Array::from_iter_values(numbers)))]
    }

    /// Numbers below a bound, in no order.
    fn mixed(count: i64, below: i64) -> Vec<Values> {
        numbers((0..count).map(|at| (at * 7_919 + at * at % 104_729) % below))
    }

    #[test]
    fn numbers_of_which_few_are_equal_are_packed() {
        assert!(packs_better(&numbers(0..1_000), 64));
        assert!(packs_better(&mixed(100_000, 80_000), 64));
        assert!(packs_better(&mixed(1_000_000, 200_000), 64));
        // A few of them, and those that come often, are not.
        assert!(!packs_better(&numbers(0..255), 64));
        assert!(!packs_better(&mixed(1_000, 10), 64));
        assert!(!packs_better(&mixed(1_000_000, 2_000), 64));
        // Nor are such as lie far apart, where a dictionary has room for them.
        assert!(!packs_better(&numbers((0..100_000).map(|at| (at % 5_000) * 900_719_925_474_099)), 64));
        assert!(packs_better(&numbers((0..1_000).map(|at| at * 9_007_199_254_740_993)), 64));
    }

    #[test]
    fn several_arrays_are_one_column_and_nulls_are_no_values() {
        let parts: Vec<Values> = (0..100).flat_map(|part| numbers(part * 10..part * 10 + 10)).collect();
        assert!(packs_better(&parts, 64));
        let array = Int64Array::new((0..1_000).collect(), Some(NullBuffer::new_null(1_000)));
        assert!(!packs_better(&[values(Arc::new(array))], 64));
        let decimals = Decimal128Array::from_iter_values(0..1_000).with_precision_and_scale(15, 2).unwrap();
        assert!(packs_better(&[values(Arc::new(decimals))], 64));
        let texts = StringArray::from_iter_values((0..1_000).map(|at| at.to_string()));
        assert!(!packs_better(&[values(Arc::new(texts))], 64));
    }

    #[test]
    fn the_widest_range_is_no_overflow() {
        assert!(!packs_better(&numbers([i64::MIN, i64::MAX].repeat(500)), 64));
        assert_eq!(Spread::of(vec![i64::MIN, i64::MAX]).unwrap().packed(1), 65);
    }
}
