//! Split transforms, exactly Iceberg's, so that a table's layout can be told to Iceberg as it is.
//!
//! They say where a writer puts rows and let a planner leave files out; they never change what a row means. Invariant:
//! results are those of the Iceberg specification, bit for bit, also before 1970 and below zero [XFM-2..5].

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::clip;
use crate::value::{MICROS_PER_DAY, PrimitiveType, Value};

const MICROS_PER_HOUR: i64 = 3_600_000_000;
const NANOS_PER_MICRO: i64 = 1000;

/// How a split value comes from a column's value [XFM-1].
///
/// ```
/// use strandline_format::{Transform, Value};
/// let transform: Transform = "bucket[16]".parse()?;
/// assert_eq!(transform.to_string(), "bucket[16]");
/// assert_eq!(transform.apply(&Value::Int(34))?, Some(Value::Int(3)));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transform {
    /// The value itself.
    Identity,
    /// A hash, modulo this many buckets.
    Bucket(NonZeroU32),
    /// Numbers rounded down to a multiple of this width, texts cut to this length.
    Truncate(NonZeroU32),
    /// Years since 1970.
    Year,
    /// Months since 1970-01.
    Month,
    /// Days since 1970-01-01.
    Day,
    /// Hours since 1970-01-01T00.
    Hour,
    /// Always null: a split that is no longer used.
    Void,
}

impl Transform {
    /// The type of the results for values of type `source`; `None` if the transform does not take them.
    #[must_use]
    pub fn result_type(self, source: PrimitiveType) -> Option<PrimitiveType> {
        use PrimitiveType as T;
        let timestamp = matches!(source, T::Timestamp | T::TimestampTz | T::TimestampNs | T::TimestampTzNs);
        match self {
            Self::Identity | Self::Void => Some(source),
            Self::Bucket(_) => (!matches!(source, T::Boolean | T::Float | T::Double)).then_some(T::Int),
            Self::Truncate(_) => {
                matches!(source, T::Int | T::Long | T::Decimal { .. } | T::String | T::Binary)
                    .then_some(source)
            }
            Self::Year | Self::Month | Self::Day => (timestamp || source == T::Date).then_some(T::Int),
            Self::Hour => timestamp.then_some(T::Int),
        }
    }

    /// The split value of a value; null stays null without asking.
    ///
    /// # Errors
    /// `Invalid` if the transform does not take such values, or the result has no int.
    pub fn apply(self, value: &Value) -> Result<Option<Value>> {
        let result = match self {
            Self::Void => return Ok(None),
            Self::Identity => Some(value.clone()),
            Self::Bucket(buckets) => bucket(value, buckets),
            Self::Truncate(width) => truncate(value, width),
            Self::Year => days(value).and_then(|days| int(year_and_month(days).0 - 1970)),
            Self::Month => days(value).and_then(|days| {
                let (year, month) = year_and_month(days);
                int((year - 1970) * 12 + month - 1)
            }),
            Self::Day => days(value).and_then(int),
            Self::Hour => micros(value).and_then(|micros| int(micros.div_euclid(MICROS_PER_HOUR))),
        };
        result.map(Some).ok_or_else(|| Error::invalid(format!("{self} of {value} is not defined")))
    }

    /// `bucket[N]` of a text or byte string, for columns that have its bytes at hand without a [`Value`] [XFM-3].
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use strandline_format::{Transform, Value};
    /// let buckets = NonZeroU32::new(16).unwrap();
    /// let bucket = Transform::bucket_of_bytes(buckets, b"iceberg");
    /// assert_eq!(Transform::Bucket(buckets).apply(&Value::String("iceberg".into()))?, Some(Value::Int(bucket)));
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    #[must_use]
    pub fn bucket_of_bytes(buckets: NonZeroU32, bytes: &[u8]) -> i32 {
        bucket_of_hash(murmur3(bytes), buckets).cast_signed()
    }
}

fn int(number: i64) -> Option<Value> {
    i32::try_from(number).ok().map(Value::Int)
}

/// Microseconds since the epoch, rounded down, of any timestamp.
fn micros(value: &Value) -> Option<i64> {
    match value {
        Value::Timestamp(micros) | Value::TimestampTz(micros) => Some(*micros),
        Value::TimestampNs(nanos) | Value::TimestampTzNs(nanos) => Some(nanos.div_euclid(NANOS_PER_MICRO)),
        _ => None,
    }
}

/// Days since the epoch, rounded down, of a date or any timestamp [XFM-5].
fn days(value: &Value) -> Option<i64> {
    match value {
        Value::Date(days) => Some(i64::from(*days)),
        _ => micros(value).map(|micros| micros.div_euclid(MICROS_PER_DAY)),
    }
}

/// The proleptic Gregorian year and the month from 1, of a day since the epoch.
///
/// Counts in eras of 400 years that begin on the first of March, so that the leap day is a year's last.
fn year_and_month(days: i64) -> (i64, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    let since_march = days + 719_468;
    let era = since_march.div_euclid(DAYS_PER_ERA);
    let day = since_march.rem_euclid(DAYS_PER_ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let year = year + era * 400;
    if month < 10 { (year, month + 3) } else { (year + 1, month - 9) }
}

/// [XFM-4]: towards minus infinity; at the very end of a type's range it wraps, as Iceberg's own code does.
fn truncate(value: &Value, width: NonZeroU32) -> Option<Value> {
    let width = width.get();
    let length = usize::try_from(width).ok()?;
    Some(match value {
        Value::Int(number) => {
            let rest = i64::from(*number).rem_euclid(i64::from(width));
            Value::Int(number.wrapping_sub(i32::try_from(rest).ok()?))
        }
        Value::Long(number) => Value::Long(number.wrapping_sub(number.rem_euclid(i64::from(width)))),
        Value::Decimal { unscaled, scale } => {
            let rest = unscaled.rem_euclid(i128::from(width));
            Value::Decimal { unscaled: unscaled.wrapping_sub(rest), scale: *scale }
        }
        Value::String(text) => {
            let end = text.char_indices().nth(length).map_or(text.len(), |(at, _)| at);
            Value::String(text[..end].into())
        }
        Value::Binary(bytes) => Value::Binary(bytes[..length.min(bytes.len())].into()),
        _ => return None,
    })
}

/// [XFM-3].
fn bucket(value: &Value, buckets: NonZeroU32) -> Option<Value> {
    int(i64::from(bucket_of_hash(hash(value)?, buckets)))
}

/// Below 2^31, as the hash's sign is taken off.
fn bucket_of_hash(hash: u32, buckets: NonZeroU32) -> u32 {
    (hash & (i32::MAX as u32)) % buckets.get()
}

/// The 32-bit hash of Iceberg, Appendix B.
fn hash(value: &Value) -> Option<u32> {
    Some(match value {
        Value::Int(number) | Value::Date(number) => hash_long(i64::from(*number)),
        Value::Long(number) | Value::Time(number) => hash_long(*number),
        Value::Decimal { unscaled, .. } => murmur3(shortest(&unscaled.to_be_bytes())),
        Value::String(text) => murmur3(text.as_bytes()),
        Value::Uuid(bytes) => murmur3(bytes),
        Value::Fixed(bytes) | Value::Binary(bytes) => murmur3(bytes),
        _ => hash_long(micros(value)?),
    })
}

fn hash_long(number: i64) -> u32 {
    murmur3(&number.to_le_bytes())
}

/// The fewest bytes that are still the same number in two's complement.
fn shortest(bytes: &[u8; 16]) -> &[u8] {
    let is_spare = |pair: &[u8]| match pair[0] {
        0 => pair[1] < 128,
        255 => pair[1] >= 128,
        _ => false,
    };
    let spare = bytes.windows(2).take_while(|pair| is_spare(pair)).count();
    &bytes[spare..]
}

/// Murmur3, 32-bit variant for x86, with seed 0.
fn murmur3(bytes: &[u8]) -> u32 {
    let mix = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = blocks.iter().fold(0_u32, |hash, block| {
        (hash ^ mix(u32::from_le_bytes(*block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    let last = tail.iter().rev().fold(0_u32, |last, byte| last << 8 | u32::from(*byte));
    hash ^= mix(last);
    #[expect(clippy::cast_possible_truncation, reason = "the algorithm takes the length modulo 2^32")]
    let length = bytes.len() as u32;
    hash ^= length;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Bucket(buckets) => write!(f, "bucket[{buckets}]"),
            Self::Truncate(width) => write!(f, "truncate[{width}]"),
            Self::Year => f.write_str("year"),
            Self::Month => f.write_str("month"),
            Self::Day => f.write_str("day"),
            Self::Hour => f.write_str("hour"),
            Self::Void => f.write_str("void"),
        }
    }
}

/// What the texts of transforms begin with.
const WORDS: [&str; 8] = ["identity", "bucket", "truncate", "year", "month", "day", "hour", "void"];

impl FromStr for Transform {
    type Err = Error;

    /// Takes the one canonical text only, with numbers from 1 to 2^31 - 1; a word that names no transform may be that of a
    /// later version [VER-8].
    fn from_str(text: &str) -> Result<Self> {
        let word = text.split('[').next().unwrap_or_default();
        if !WORDS.contains(&word) {
            return Err(Error::unsupported(format!("the transform {:?} is not known here", clip(text))));
        }
        let transform = match text {
            "identity" => Some(Self::Identity),
            "year" => Some(Self::Year),
            "month" => Some(Self::Month),
            "day" => Some(Self::Day),
            "hour" => Some(Self::Hour),
            "void" => Some(Self::Void),
            _ => parse_numbered(text).filter(|transform| transform.to_string() == text),
        };
        transform.ok_or_else(|| Error::malformed(format!("{:?} is not a transform", clip(text))))
    }
}

fn parse_numbered(text: &str) -> Option<Transform> {
    let (word, number) = text.strip_suffix(']')?.split_once('[')?;
    let number: NonZeroU32 = number.parse().ok()?;
    let in_range = i32::try_from(number.get()).is_ok();
    match word {
        "bucket" if in_range => Some(Transform::Bucket(number)),
        "truncate" if in_range => Some(Transform::Truncate(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: i64 = 1_510_871_468_000_000;

    /// The values that the Iceberg specification publishes.
    #[test]
    fn hashes_are_those_of_iceberg() {
        let check = |value: Value, expected: i32| {
            assert_eq!(hash(&value), Some(expected.cast_unsigned()), "{value}");
        };
        check(Value::Int(34), 2_017_239_379);
        check(Value::Long(34), 2_017_239_379);
        check(Value::Int(1), 1_392_991_556);
        check(Value::Decimal { unscaled: 1420, scale: 2 }, -500_754_589);
        check(Value::Date(17_486), -653_330_422);
        check(Value::Time(81_068_000_000), -662_762_989);
        check(Value::Timestamp(NOON), -2_047_944_441);
        check(Value::TimestampTz(NOON), -2_047_944_441);
        check(Value::Timestamp(NOON + 1), -1_207_196_810);
        check(Value::TimestampNs(NOON * 1000), -2_047_944_441);
        check(Value::TimestampNs((NOON + 1) * 1000 + 1), -1_207_196_810);
        check(Value::String("iceberg".into()), 1_210_000_089);
        let uuid = crate::value::parse_uuid("f79c3e09-677c-4bbd-a479-3f349cb785e7").unwrap();
        check(Value::Uuid(uuid), 1_488_055_340);
        check(Value::Fixed([0, 1, 2, 3].into()), -188_683_207);
        check(Value::Binary([0, 1, 2, 3].into()), -188_683_207);
        assert_eq!(hash(&Value::Boolean(true)), None);
        assert_eq!(hash(&Value::Double(1.0)), None);
    }

    #[test]
    fn decimals_are_hashed_in_as_few_bytes_as_hold_them() {
        let check = |number: i128, expected: &[u8]| assert_eq!(shortest(&number.to_be_bytes()), expected);
        check(0, &[0]);
        check(-1, &[255]);
        check(127, &[127]);
        check(128, &[0, 128]);
        check(-128, &[128]);
        check(-129, &[255, 127]);
        check(1420, &[5, 140]);
    }

    #[expect(clippy::needless_pass_by_value, reason = "cases read better as values")]
    fn check(transform: &str, value: Value, expected: Option<Value>) {
        let transform: Transform = transform.parse().unwrap();
        assert_eq!(transform.apply(&value).ok().flatten(), expected, "{transform} of {value}");
    }

    #[test]
    fn truncation_goes_down() {
        for (from, to) in [(1, 0), (-1, -10), (10, 10), (-10, -10), (19, 10)] {
            check("truncate[10]", Value::Int(from), Some(Value::Int(to)));
            check("truncate[10]", Value::Long(i64::from(from)), Some(Value::Long(i64::from(to))));
        }
        let decimal = |unscaled| Value::Decimal { unscaled, scale: 2 };
        check("truncate[50]", decimal(1065), Some(decimal(1050)));
        check("truncate[10]", decimal(-5), Some(decimal(-10)));
        check("truncate[3]", Value::String("iceberg".into()), Some(Value::String("ice".into())));
        check("truncate[2]", Value::String("äöü".into()), Some(Value::String("äö".into())));
        check("truncate[3]", Value::Binary([1, 2, 3, 4, 5].into()), Some(Value::Binary([1, 2, 3].into())));
        check("truncate[3]", Value::Fixed([1, 2, 3, 4].into()), None);
        check("truncate[2147483647]", Value::Int(-1), Some(Value::Int(-2_147_483_647)));
    }

    #[test]
    fn calendar_transforms_go_down_before_1970() {
        check("year", Value::Date(17_486), Some(Value::Int(47)));
        check("month", Value::Date(17_486), Some(Value::Int(574)));
        check("day", Value::Timestamp(NOON), Some(Value::Int(17_486)));
        check("hour", Value::TimestampTz(NOON), Some(Value::Int(419_686)));
        for transform in ["year", "month", "day", "hour"] {
            check(transform, Value::Timestamp(-1), Some(Value::Int(-1)));
            check(transform, Value::TimestampTzNs(-1), Some(Value::Int(-1)));
            check(transform, Value::TimestampNs(0), Some(Value::Int(0)));
        }
        check("year", Value::Date(-1), Some(Value::Int(-1)));
        check("month", Value::Date(-31), Some(Value::Int(-1)));
        check("month", Value::Date(-32), Some(Value::Int(-2)));
        check("hour", Value::Date(1), None);
        check("hour", Value::Timestamp(i64::MIN), None);
        check("void", Value::Date(1), None);
    }

    #[test]
    fn only_the_canonical_text_is_a_transform() {
        for text in ["identity", "bucket[1]", "truncate[2147483647]", "year", "month", "day", "hour", "void"]
        {
            assert_eq!(text.parse::<Transform>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "Year",
            "bucket",
            "bucket[0]",
            "bucket[01]",
            "bucket[+1]",
            "bucket[ 1]",
            "bucket[1]]",
            "truncate[2147483648]",
        ] {
            assert!(text.parse::<Transform>().is_err(), "{text}");
        }
    }

    proptest! {
        /// Against the calendar library: every day of its range.
        #[test]
        fn months_are_those_of_the_calendar(day in -719_162..2_900_000_i32) {
            let epoch = jiff::civil::date(1970, 1, 1);
            let date = epoch.checked_add(jiff::Span::new().days(day)).unwrap();
            prop_assert_eq!(year_and_month(i64::from(day)), (i64::from(date.year()), i64::from(date.month())));
        }

        #[test]
        fn buckets_are_in_range(number in any::<i64>(), buckets in 1..=i32::MAX.cast_unsigned()) {
            let transform = Transform::Bucket(NonZeroU32::new(buckets).unwrap());
            let Ok(Some(Value::Int(bucket))) = transform.apply(&Value::Long(number)) else { panic!() };
            prop_assert!(bucket >= 0 && bucket.cast_unsigned() < buckets);
        }
    }
}
