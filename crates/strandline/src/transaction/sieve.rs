//! A first look at rows that are searched for keys: most of those that have none of them are passed over by one column, before whole keys are
//! made and compared.
//!
//! Invariant: no row that has one of the keys is passed over. What does not belong here: whether a row has one (`key`).

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampNanosecondType,
};

/// How many bits there are for each key: of rows that have another value, about one in so many gets through.
const BITS: usize = 16;

/// An odd number whose bits are in no order.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// The values of one column of the keys, as bits at the places of their hashes.
#[derive(Debug)]
pub(super) struct Sieve {
    /// Which column of the key.
    column: usize,
    bits: Vec<u64>,
    /// How many bits of a hash say the place.
    width: u32,
}

impl Sieve {
    /// By that column which tells most of the keys apart; `None` if none of them is quickly looked at.
    pub(super) fn of(keys: &[Vec<ArrayRef>]) -> Option<Self> {
        let columns = keys.first().map_or(0, Vec::len);
        let sieves = (0..columns).filter_map(|column| Self::by(column, keys));
        sieves.max_by_key(|sieve| sieve.bits.iter().map(|word| word.count_ones()).sum::<u32>())
    }

    fn by(column: usize, keys: &[Vec<ArrayRef>]) -> Option<Self> {
        let arrays = || keys.iter().filter_map(|arrays| arrays.get(column));
        let rows: usize = arrays().map(|array| array.len()).sum();
        let width = rows.saturating_mul(BITS).next_power_of_two().ilog2().max(u64::BITS.ilog2());
        let mut sieve = Self { column, bits: vec![0; (1 << width) / BITS_IN_WORD], width };
        for array in arrays() {
            let Self { bits, .. } = &mut sieve;
            each(array, |value| {
                let (word, bit) = place(value, width);
                bits[word] |= bit;
            })?;
        }
        Some(sieve)
    }

    /// Which rows may have a key; the columns are those of the key, of the same types.
    pub(super) fn passing(&self, arrays: &[ArrayRef]) -> Option<BooleanBuffer> {
        let array = arrays.get(self.column)?;
        let mut passing = BooleanBufferBuilder::new(array.len());
        each(array, |value| {
            let (word, bit) = place(value, self.width);
            passing.append(self.bits[word] & bit != 0);
        })?;
        Some(passing.finish())
    }
}

/// How many bits a word has.
const BITS_IN_WORD: usize = 64;

/// The word for a value and the bit in it. The upper bits of a product depend on all bits of its factors.
fn place(value: u64, width: u32) -> (usize, u64) {
    let at = value.wrapping_mul(MIX) >> (u64::BITS - width);
    (usize::try_from(at).unwrap_or_default() / BITS_IN_WORD, 1 << (at % u64::from(u64::BITS)))
}

/// Gives a number for each value, the same for the same ones; `None` for a type of which this is not worth it.
fn each(array: &ArrayRef, take: impl FnMut(u64)) -> Option<()> {
    let long = i64::cast_unsigned;
    let int = |value: i32| long(value.into());
    match array.data_type() {
        DataType::Int32 => array.as_primitive::<Int32Type>().values().iter().copied().map(int).for_each(take),
        DataType::Date32 => {
            array.as_primitive::<Date32Type>().values().iter().copied().map(int).for_each(take);
        }
        DataType::Int64 => {
            array.as_primitive::<Int64Type>().values().iter().copied().map(long).for_each(take);
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            array.as_primitive::<Time64MicrosecondType>().values().iter().copied().map(long).for_each(take);
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array
                .as_primitive::<TimestampMicrosecondType>()
                .values()
                .iter()
                .copied()
                .map(long)
                .for_each(take);
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().values().iter().copied().map(long).for_each(take);
        }
        DataType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>().values().iter();
            values.map(|value| bytes(&value.to_le_bytes())).for_each(take);
        }
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            (0..texts.len()).map(|row| bytes(texts.value(row).as_bytes())).for_each(take);
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            (0..values.len()).map(|row| bytes(values.value(row))).for_each(take);
        }
        DataType::FixedSizeBinary(_) => {
            let values = array.as_fixed_size_binary();
            (0..values.len()).map(|row| bytes(values.value(row))).for_each(take);
        }
        _ => return None,
    }
    Some(())
}

/// A number for bytes: eight of them at a time.
fn bytes(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (sum.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(MIX)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Int64Array, StringArray};

    use super::*;

    fn passing(sieve: &Sieve, arrays: &[ArrayRef]) -> usize {
        sieve.passing(arrays).unwrap().count_set_bits()
    }

    #[test]
    fn rows_with_a_key_pass_and_few_others_do() {
        let numbers = |of: std::ops::Range<i64>| Arc::new(Int64Array::from_iter_values(of)) as ArrayRef;
        let texts = |of: std::ops::Range<i64>| {
            Arc::new(StringArray::from_iter_values(of.map(|number| format!("customer number {number}"))))
                as ArrayRef
        };
        let same = |rows: usize| Arc::new(Int64Array::from(vec![7; rows])) as ArrayRef;
        for of in [&numbers as &dyn Fn(std::ops::Range<i64>) -> ArrayRef, &texts] {
            let sieve = Sieve::of(&[vec![same(600), of(0..600)], vec![same(400), of(600..1000)]]).unwrap();
            assert_eq!(sieve.column, 1, "the other one tells nothing apart");
            assert_eq!(passing(&sieve, &[same(1000), of(0..1000)]), 1000);
            let others = passing(&sieve, &[same(100_000), of(1000..101_000)]);
            assert!(others < 12_000, "{others} of 100,000 rows with other values pass");
        }
    }

    #[test]
    fn of_some_types_there_is_none() {
        assert!(Sieve::of(&[]).is_none());
        assert!(Sieve::of(&[vec![Arc::new(BooleanArray::from(vec![true])) as ArrayRef]]).is_none());
    }
}
