//! What rows of Rust types have for values that Arrow has a type for: texts for UUIDs, decimals and timestamps, any numbers for
//! floats.
//!
//! Invariant: a value is taken if it is exactly one of the type, else it is an error with its row. What does not belong here:
//! what batches may have (`leaf`).

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int64Type,
    TimestampMicrosecondType,
};
use strandline_format::PrimitiveType;

use super::leaf::{Wrong, has_digits};
use crate::columns::types::primitive;

type Converted = Result<ArrayRef, Wrong>;

/// Whether values of an Arrow type may be taken one by one for a column of type `to`.
pub(super) fn fits(from: &DataType, to: PrimitiveType) -> bool {
    match to {
        PrimitiveType::Uuid
        | PrimitiveType::Decimal { .. }
        | PrimitiveType::Timestamp
        | PrimitiveType::TimestampTz => *from == DataType::Utf8,
        PrimitiveType::Float => from.is_integer() || *from == DataType::Float64,
        PrimitiveType::Double => from.is_integer(),
        _ => false,
    }
}

/// The array in the canonical type of `to`. `valid` says which values count, `None` that all do.
pub(super) fn convert(array: &ArrayRef, valid: Option<&NullBuffer>, to: PrimitiveType) -> Converted {
    match to {
        PrimitiveType::Uuid => uuids(array, valid),
        PrimitiveType::Decimal { precision, scale } => {
            let texts = array.as_string::<i32>();
            numbers::<Decimal128Type>(array, valid, to, |row| decimal(texts.value(row), precision, scale))
        }
        PrimitiveType::Timestamp => timestamps(array, valid, to, false),
        PrimitiveType::TimestampTz => timestamps(array, valid, to, true),
        PrimitiveType::Float if *array.data_type() == DataType::Float64 => {
            let doubles = array.as_primitive::<Float64Type>().values();
            numbers::<Float32Type>(array, valid, to, |row| float(doubles[row]))
        }
        PrimitiveType::Float => {
            let longs = longs(array)?;
            let image = |row| few_bits(longs.value(row), f32::MANTISSA_DIGITS).map(|number| number as f32);
            numbers::<Float32Type>(array, valid, to, image)
        }
        _ => {
            let longs = longs(array)?;
            let image = |row| few_bits(longs.value(row), f64::MANTISSA_DIGITS).map(|number| number as f64);
            numbers::<Float64Type>(array, valid, to, image)
        }
    }
}

/// An array of the images of all rows that count.
fn numbers<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    valid: Option<&NullBuffer>,
    to: PrimitiveType,
    image: impl Fn(usize) -> Option<T::Native>,
) -> Converted {
    let counts = |row: usize| array.is_valid(row) && valid.is_none_or(|valid| valid.is_valid(row));
    let values: Result<Vec<T::Native>, Wrong> = (0..array.len())
        .map(|row| if counts(row) { image(row).ok_or(Wrong::Row(row)) } else { Ok(T::Native::default()) })
        .collect();
    let made = PrimitiveArray::<T>::try_new(values?.into(), array.nulls().cloned())?;
    Ok(Arc::new(made.with_data_type(primitive(to))))
}

fn longs(array: &ArrayRef) -> Result<PrimitiveArray<Int64Type>, Wrong> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, &DataType::Int64, &strict)?.as_primitive::<Int64Type>().clone())
}

/// The integer, if a float with so many bits of mantissa has it and all that are nearer to 0.
fn few_bits(number: i64, bits: u32) -> Option<i64> {
    (number.unsigned_abs() <= 1 << bits).then_some(number)
}

/// The float that is the same number, NaN and infinities included.
fn float(double: f64) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "compared with what it was")]
    let float = double as f32;
    (f64::from(float) == double || double.is_nan()).then_some(float)
}

/// A sign or none, digits, and perhaps a point and more digits; those that the scale has no place for are 0.
fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let scale = usize::from(scale);
    let (kept, rest) = fraction.split_at(fraction.len().min(scale));
    if rest.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let unscaled: i128 = format!("0{whole}{kept:0<scale$}").parse().ok()?;
    let unscaled = if text.starts_with('-') { -unscaled } else { unscaled };
    has_digits(unscaled, precision).then_some(unscaled)
}

/// Times as RFC 3339 has them, with an offset if and only if the column is in UTC, to the microsecond.
fn timestamps(array: &ArrayRef, valid: Option<&NullBuffer>, to: PrimitiveType, zoned: bool) -> Converted {
    let texts = array.as_string::<i32>();
    let utc: Tz = "+00:00".parse()?;
    numbers::<TimestampMicrosecondType>(array, valid, to, |row| {
        let text = texts.value(row);
        let time = string_to_datetime(&utc, text).ok()?;
        (has_offset(text) == zoned && is_whole_micro(text)).then(|| time.timestamp_micros())
    })
}

/// Whether a seventh digit of the second, and any behind it, is 0.
fn is_whole_micro(text: &str) -> bool {
    let Some((_, fraction)) = text.split_once('.') else { return true };
    fraction.bytes().take_while(u8::is_ascii_digit).skip(6).all(|digit| digit == b'0')
}

/// Whether a zone stands behind the time of day.
fn has_offset(text: &str) -> bool {
    text.get("2026-01-31".len()..).is_some_and(|time| time.contains(['Z', 'z', '+', '-']))
}

/// 32 hexadecimal digits of either case, with hyphens after the 8th, 12th, 16th and 20th.
fn uuids(array: &ArrayRef, valid: Option<&NullBuffer>) -> Converted {
    let texts = array.as_string::<i32>();
    let mut bytes = Vec::with_capacity(texts.len() * 16);
    for row in 0..texts.len() {
        let counts = texts.is_valid(row) && valid.is_none_or(|valid| valid.is_valid(row));
        let uuid = if counts { parse_uuid(texts.value(row)).ok_or(Wrong::Row(row))? } else { 0 };
        bytes.extend(uuid.to_be_bytes());
    }
    Ok(Arc::new(FixedSizeBinaryArray::try_new(16, bytes.into(), texts.nulls().cloned())?))
}

fn parse_uuid(text: &str) -> Option<u128> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let well_formed = |(at, byte): (usize, u8)| match HYPHENS.contains(&at) {
        true => byte == b'-',
        false => byte.is_ascii_hexdigit(),
    };
    if text.len() != 36 || !text.bytes().enumerate().all(well_formed) {
        return None;
    }
    u128::from_str_radix(&text.replace('-', ""), 16).ok()
}
