//! The format's primitive types, and values of them, as extreme as they may be.
//!
//! Invariant: every type and value passes its own `check`; NaN is among the values. What does not belong here: columns
//! and batches, which are Arrow's.

use proptest::prelude::*;
use strandline_format::{MAX_PRECISION, PrimitiveType, Value};

use super::values::{Integer, bytes, decimal, float32, float64, integer_bits, some_bytes, text, time_of_day};
use crate::random::Dice;

/// All primitive types, decimals and fixed ones of any size that is read often.
pub fn primitive_types() -> impl Strategy<Value = PrimitiveType> {
    let decimals = (1..=MAX_PRECISION, 0..=MAX_PRECISION)
        .prop_map(|(precision, scale)| PrimitiveType::Decimal { precision, scale: scale.min(precision) });
    let plain = prop::sample::select(vec![
        PrimitiveType::Boolean,
        PrimitiveType::Int,
        PrimitiveType::Long,
        PrimitiveType::Float,
        PrimitiveType::Double,
        PrimitiveType::Date,
        PrimitiveType::Time,
        PrimitiveType::Timestamp,
        PrimitiveType::TimestampTz,
        PrimitiveType::TimestampNs,
        PrimitiveType::TimestampTzNs,
        PrimitiveType::String,
        PrimitiveType::Uuid,
        PrimitiveType::Binary,
    ]);
    prop_oneof![14 => plain, 2 => decimals, 1 => (1..=64_u32).prop_map(PrimitiveType::Fixed)]
}

/// Types with a value of each.
pub fn typed_values() -> impl Strategy<Value = (PrimitiveType, Value)> {
    (primitive_types(), any::<u64>()).prop_map(|(of, seed)| (of, value(of, seed)))
}

/// A value of this type; the same seed gives the same value.
///
/// ```
/// use strandline_format::PrimitiveType;
/// use strandline_testkit::generate::typed::value;
/// let of = PrimitiveType::Decimal { precision: 5, scale: 2 };
/// assert!((0..100).all(|seed| value(of, seed).check(of).is_ok()));
/// ```
#[must_use]
pub fn value(of: PrimitiveType, seed: u64) -> Value {
    let dice = &mut Dice::new(seed);
    match of {
        PrimitiveType::Boolean => Value::Boolean(dice.one_in(2)),
        PrimitiveType::Int => Value::Int(integer(dice)),
        PrimitiveType::Long => Value::Long(integer(dice)),
        PrimitiveType::Float => Value::Float(float32(dice)),
        PrimitiveType::Double => Value::Double(float64(dice)),
        PrimitiveType::Decimal { precision, scale } => {
            Value::Decimal { unscaled: decimal(dice, precision), scale }
        }
        PrimitiveType::Date => Value::Date(integer(dice)),
        PrimitiveType::Time => Value::Time(time_of_day(dice)),
        PrimitiveType::Timestamp => Value::Timestamp(integer(dice)),
        PrimitiveType::TimestampTz => Value::TimestampTz(integer(dice)),
        PrimitiveType::TimestampNs => Value::TimestampNs(integer(dice)),
        PrimitiveType::TimestampTzNs => Value::TimestampTzNs(integer(dice)),
        PrimitiveType::String => Value::String(text(dice).into()),
        PrimitiveType::Uuid => Value::Uuid(uuid(dice)),
        PrimitiveType::Fixed(length) => Value::Fixed(fixed(dice, length)),
        PrimitiveType::Binary => Value::Binary(bytes(dice).into()),
    }
}

fn integer<T: Integer>(dice: &mut Dice) -> T {
    T::of_bits(integer_bits(dice))
}

fn uuid(dice: &mut Dice) -> [u8; 16] {
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&some_bytes(dice, 16));
    uuid
}

fn fixed(dice: &mut Dice, length: u32) -> Box<[u8]> {
    some_bytes(dice, usize::try_from(length).unwrap_or(usize::MAX)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest! {
        #[test]
        fn every_value_is_one_of_its_type((of, value) in typed_values()) {
            prop_assert_eq!(of.check(), Ok(()));
            prop_assert_eq!(value.check(of), Ok(()));
        }
    }

    #[test]
    fn nan_and_the_ends_of_the_range_are_among_the_values() {
        let has = |of, wanted: fn(&Value) -> bool| (0..500).any(|seed| wanted(&value(of, seed)));
        assert!(has(PrimitiveType::Double, Value::is_nan));
        assert!(has(PrimitiveType::Float, Value::is_nan));
        assert!(has(PrimitiveType::Long, |value| matches!(value, Value::Long(i64::MIN))));
        assert!(has(PrimitiveType::Date, |value| matches!(value, Value::Date(i32::MAX))));
        assert!(has(PrimitiveType::String, |value| matches!(value, Value::String(text) if text.is_empty())));
    }
}
