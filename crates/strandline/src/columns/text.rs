//! The values of an array as text, for whoever shows or writes them.
//!
//! Arrow writes them, but for what it has no text for: dates and timestamps some 262,000 years away, as Parquet and Arrow files bring them where
//! others write the last time that there is, times of day that are none, and durations beyond its own. Invariants: a value has
//! a text of its own, never that of an error; a date or timestamp is read back from it as the same one. Times that are so far away are told in UTC, whatever
//! their zone. What does not belong here: values that have others in them.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;

use arrow::array::{Array, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, DurationMillisecondType, DurationSecondType, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampSecondType,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::filter::format_date;

const SECONDS_PER_DAY: i64 = 86_400;

/// So many days around 1970 are left to Arrow, which has texts for some more.
const NEAR: i64 = 70_000_000;

/// The values of an array, as texts.
pub struct ValueTexts<'a> {
    formatter: ArrayFormatter<'a>,
    /// Those that Arrow has none for, by their rows.
    others: HashMap<usize, String>,
}

impl<'a> ValueTexts<'a> {
    /// The texts of an array, in these forms; what Arrow has none for has one form.
    ///
    /// # Errors
    /// A zone that is none, and a type that has no texts.
    pub fn of(array: &'a dyn Array, options: &FormatOptions<'a>) -> Result<Self, ArrowError> {
        Ok(Self { formatter: ArrayFormatter::try_new(array, options)?, others: others(array) })
    }

    /// Writes the text of a row; of a null, the one of the options.
    ///
    /// # Errors
    /// A form that was given and is none.
    pub fn write(&self, row: usize, out: &mut dyn fmt::Write) -> Result<(), ArrowError> {
        match self.others.get(&row) {
            Some(text) => out.write_str(text).map_err(|error| ArrowError::CastError(error.to_string())),
            None => self.formatter.value(row).write(out),
        }
    }

    /// The text of a row.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn text(&self, row: usize) -> Result<String, ArrowError> {
        let mut text = String::new();
        self.write(row, &mut text)?;
        Ok(text)
    }
}

impl fmt::Debug for ValueTexts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueTexts").field("others", &self.others).finish_non_exhaustive()
    }
}

/// One value of an array, as text.
///
/// # Errors
/// As [`ValueTexts::of`].
pub fn value_text(array: &dyn Array, row: usize) -> Result<String, ArrowError> {
    ValueTexts::of(&*array.slice(row, 1), &FormatOptions::default())?.text(0)
}

/// What finds values by their rows.
type Beyond = fn(&dyn Array, RangeInclusive<i64>) -> Vec<(usize, i64)>;

/// The texts of what Arrow has none for.
fn others(array: &dyn Array) -> HashMap<usize, String> {
    let times = |per_second: i64, of: Beyond, zone: &str| {
        let near = NEAR * SECONDS_PER_DAY * per_second;
        spelled(of(array, -near..=near), |time| timestamp(time, per_second) + zone)
    };
    let clocks = |per_second: i64, of: Beyond| {
        spelled(of(array, 0..=SECONDS_PER_DAY * per_second - 1), |time| clock(time.into(), per_second))
    };
    let zone = match array.data_type() {
        DataType::Timestamp(_, Some(_)) => "Z",
        _ => "",
    };
    match array.data_type() {
        DataType::Date32 => spelled(beyond::<Date32Type>(array, -NEAR..=NEAR), format_date),
        DataType::Date64 => times(1_000, beyond::<Date64Type>, zone),
        DataType::Timestamp(TimeUnit::Second, _) => times(1, beyond::<TimestampSecondType>, zone),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            times(1_000, beyond::<TimestampMillisecondType>, zone)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            times(1_000_000, beyond::<TimestampMicrosecondType>, zone)
        }
        DataType::Time32(TimeUnit::Second) => clocks(1, beyond::<Time32SecondType>),
        DataType::Time32(_) => clocks(1_000, beyond::<Time32MillisecondType>),
        DataType::Time64(TimeUnit::Microsecond) => clocks(1_000_000, beyond::<Time64MicrosecondType>),
        DataType::Time64(_) => clocks(1_000_000_000, beyond::<Time64NanosecondType>),
        // Those of Arrow are counted in milliseconds.
        DataType::Duration(TimeUnit::Second) => {
            let near = i64::MAX / 1_000;
            spelled(beyond::<DurationSecondType>(array, -near..=near), |time| duration(time, 1))
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            spelled(beyond::<DurationMillisecondType>(array, -i64::MAX..=i64::MAX), |time| {
                duration(time, 1_000)
            })
        }
        _ => HashMap::new(),
    }
}

fn spelled(values: Vec<(usize, i64)>, text: impl Fn(i64) -> String) -> HashMap<usize, String> {
    values.into_iter().map(|(row, value)| (row, text(value))).collect()
}

/// The rows whose values are not among these, with the values.
fn beyond<T: ArrowPrimitiveType<Native: Into<i64>>>(
    array: &dyn Array,
    near: RangeInclusive<i64>,
) -> Vec<(usize, i64)> {
    let values = array.as_primitive::<T>().iter().enumerate();
    let values = values.filter_map(|(row, value)| {
        let value: i64 = value?.into();
        Some((row, value))
    });
    values.filter(|(_, value)| !near.contains(value)).collect()
}

/// `+294247-01-10T04:00:54.775807`
fn timestamp(time: i64, per_second: i64) -> String {
    let per_day = SECONDS_PER_DAY * per_second;
    format!(
        "{}T{}",
        format_date(time.div_euclid(per_day)),
        clock(time.rem_euclid(per_day).into(), per_second)
    )
}

/// `04:00:54.775807`, of a day that may have more hours than a day has; the fraction in threes of digits, as Arrow has them.
fn clock(time: i128, per_second: i64) -> String {
    let (sign, time, per_second) = (if time < 0 { "-" } else { "" }, time.abs(), i128::from(per_second));
    let (seconds, rest) = (time / per_second, time % per_second);
    let nanos = rest * (1_000_000_000 / per_second);
    let fraction = match (nanos % 1_000_000, nanos % 1_000) {
        _ if nanos == 0 => String::new(),
        (0, _) => format!(".{:03}", nanos / 1_000_000),
        (_, 0) => format!(".{:06}", nanos / 1_000),
        _ => format!(".{nanos:09}"),
    };
    format!("{sign}{:02}:{:02}:{:02}{fraction}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// `PT9223372036854775807S`
fn duration(time: i64, per_second: u64) -> String {
    let (sign, time) = (if time < 0 { "-" } else { "" }, time.unsigned_abs());
    let (seconds, rest) = (time / per_second, time % per_second);
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:03}") };
    format!("{sign}PT{seconds}{}S", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, PrimitiveArray};
    use arrow::compute::cast;
    use arrow::datatypes::TimestampNanosecondType;

    use super::*;

    fn check<T: ArrowPrimitiveType>(value: T::Native, expected: &str) {
        let array = PrimitiveArray::<T>::from_iter([None, Some(value)]);
        assert_eq!(value_text(&array, 1).unwrap(), expected);
        let texts = ValueTexts::of(&array, &FormatOptions::default()).unwrap();
        assert_eq!(texts.text(1).unwrap(), expected);
        assert_eq!(texts.text(0).unwrap(), "");
    }

    #[test]
    fn the_last_times_of_each_type_have_texts() {
        check::<Date32Type>(i32::MAX, "+5881580-07-11");
        check::<Date32Type>(i32::MIN, "-5877641-06-23");
        check::<TimestampMicrosecondType>(i64::MAX, "+294247-01-10T04:00:54.775807");
        check::<TimestampMicrosecondType>(i64::MIN, "-290308-12-21T19:59:05.224192");
        check::<TimestampMillisecondType>(i64::MAX, "+292278994-08-17T07:12:55.807");
        check::<TimestampSecondType>(i64::MAX, "+292277026596-12-04T15:30:07");
        check::<TimestampSecondType>(i64::MIN, "-292277022657-01-27T08:29:52");
        check::<TimestampNanosecondType>(i64::MAX, "2262-04-11T23:47:16.854775807");
        check::<Date64Type>(i64::MAX, "+292278994-08-17T07:12:55.807");
        check::<Time64MicrosecondType>(86_400_000_000, "24:00:00");
        check::<Time64MicrosecondType>(-1_500_000, "-00:00:01.500");
        check::<Time64NanosecondType>(i64::MIN, "-2562047:47:16.854775808");
        check::<DurationSecondType>(i64::MAX, "PT9223372036854775807S");
        check::<DurationMillisecondType>(i64::MIN, "-PT9223372036854775.808S");
    }

    #[test]
    fn a_time_with_a_zone_is_told_in_utc() {
        let last: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX]));
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let last = cast(&last, &utc).unwrap();
        assert_eq!(value_text(&last, 0).unwrap(), "+294247-01-10T04:00:54.775807Z");
    }

    #[test]
    fn our_texts_are_those_of_arrow_as_far_as_it_has_them() {
        for time in [
            0,
            1,
            -1,
            123_000,
            123_456_000,
            86_399_999_999,
            i64::from(u32::MAX) * 1_000_003,
            -62_167_219_200_000_000,
        ] {
            check::<TimestampMicrosecondType>(time, &timestamp(time, 1_000_000));
        }
        for days in [0, -1, 2_932_896, 2_932_897, -719_528, -719_529, NEAR, -NEAR] {
            check::<Date32Type>(i32::try_from(days).unwrap(), &format_date(days));
        }
        let near = NEAR * SECONDS_PER_DAY * 1_000_000;
        for time in [near, -near, near + 1, -near - 1] {
            check::<TimestampMicrosecondType>(time, &timestamp(time, 1_000_000));
        }
    }
}
