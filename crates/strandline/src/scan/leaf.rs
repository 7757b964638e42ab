//! Which stored columns hold the values of a primitive type, and how those become the table's.
//!
//! Invariant: a column is accepted only if each of its values has one exact image in the field's type: the same type in another
//! physical form, or one that widens to it [VAL-7]. A value that has no image after all (a date too far for a timestamp) is an
//! error when it is met, never null.

use arrow::array::ArrayRef;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use parquet::basic::Type as PhysicalType;
use strandline_format::{PrimitiveType, Value};

/// Whether all values of a stored column are values of a type.
pub(super) fn fits(stored: &DataType, physical: PhysicalType, wanted: PrimitiveType) -> bool {
    use PrimitiveType as P;
    // Legacy timestamps of twelve bytes may lie beyond what 64 bits of nanoseconds hold; reading them wraps around.
    if physical == PhysicalType::INT96 {
        return false;
    }
    match (stored, wanted) {
        (DataType::Boolean, P::Boolean)
        | (DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16, P::Int | P::Long)
        | (DataType::Int64 | DataType::UInt32, P::Long)
        | (DataType::Float32, P::Float | P::Double)
        | (DataType::Float64, P::Double)
        | (DataType::Date32, P::Date | P::Timestamp)
        | (DataType::Time32(TimeUnit::Millisecond) | DataType::Time64(TimeUnit::Microsecond), P::Time)
        | (DataType::Utf8, P::String)
        | (DataType::Binary, P::Binary)
        | (DataType::FixedSizeBinary(16), P::Uuid) => true,
        (DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, zone), P::Timestamp | P::TimestampTz) => {
            zone.is_some() == (wanted == P::TimestampTz)
        }
        (DataType::Timestamp(TimeUnit::Nanosecond, zone), P::TimestampNs | P::TimestampTzNs) => {
            zone.is_some() == (wanted == P::TimestampTzNs)
        }
        (DataType::Decimal128(digits, after) | DataType::Decimal256(digits, after), P::Decimal { precision, scale }) => {
            *digits <= precision && i16::from(*after) == i16::from(scale)
        }
        (DataType::FixedSizeBinary(length), P::Fixed(wanted)) => u32::try_from(*length) == Ok(wanted),
        _ => false,
    }
}

/// The values of a column that [`fits`], as the table has them.
pub(super) fn widen(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })
}

/// A bound as statistics of row groups have it, in the type that the column was written with. `None` if it is none that can be
/// trusted, or if the bytes are not a value.
pub(super) fn bound(bytes: &[u8], stored: &DataType, physical: PhysicalType, wanted: PrimitiveType) -> Option<Value> {
    let int = || Some(i32::from_le_bytes(bytes.try_into().ok()?));
    let long = || Some(i64::from_le_bytes(bytes.try_into().ok()?));
    let value = match stored {
        DataType::Boolean => Value::Boolean(*bytes.first()? != 0),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => Value::Int(int()?),
        DataType::Int64 => Value::Long(long()?),
        DataType::Float32 => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Float64 => Value::Double(f64::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Decimal128(_, scale) => {
            Value::Decimal { unscaled: unscaled(bytes, physical)?, scale: u8::try_from(*scale).ok()? }
        }
        DataType::Date32 => Value::Date(int()?),
        DataType::Time64(TimeUnit::Microsecond) => Value::Time(long()?),
        DataType::Timestamp(TimeUnit::Microsecond, None) => Value::Timestamp(long()?),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Value::TimestampTz(long()?),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => Value::TimestampNs(long()?),
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => Value::TimestampTzNs(long()?),
        DataType::Utf8 => Value::String(std::str::from_utf8(bytes).ok()?.into()),
        DataType::Binary => Value::Binary(bytes.into()),
        DataType::FixedSizeBinary(_) if wanted == PrimitiveType::Uuid => Value::Uuid(bytes.try_into().ok()?),
        DataType::FixedSizeBinary(_) => Value::Fixed(bytes.into()),
        _ => return None,
    };
    let ty = stored_type(stored, wanted)?;
    (value.check(ty).is_ok() && !value.is_nan()).then_some(value)
}

/// The type that a column was written with, for those whose bounds are of use.
pub(super) fn stored_type(stored: &DataType, wanted: PrimitiveType) -> Option<PrimitiveType> {
    Some(match (stored, wanted) {
        (DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16, _) => PrimitiveType::Int,
        (DataType::Date32, _) => PrimitiveType::Date,
        (DataType::Float32, _) => PrimitiveType::Float,
        (DataType::Decimal128(precision, scale), _) => {
            PrimitiveType::Decimal { precision: *precision, scale: u8::try_from(*scale).ok()? }
        }
        // Of these, bounds are in another unit or order than values.
        (DataType::UInt32 | DataType::Decimal256(..) | DataType::Time32(_) | DataType::Timestamp(TimeUnit::Millisecond, _), _) => {
            return None;
        }
        (_, wanted) => wanted,
    })
}

/// The digits of a decimal: little-endian as an integer, big-endian two's complement as bytes.
fn unscaled(bytes: &[u8], physical: PhysicalType) -> Option<i128> {
    match physical {
        PhysicalType::INT32 => Some(i128::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        PhysicalType::INT64 => Some(i128::from(i64::from_le_bytes(bytes.try_into().ok()?))),
        PhysicalType::BYTE_ARRAY | PhysicalType::FIXED_LEN_BYTE_ARRAY => {
            let start = 16_usize.checked_sub(bytes.len())?;
            let sign = if *bytes.first()? >= 0x80 { 0xFF } else { 0 };
            let mut wide = [sign; 16];
            wide[start..].copy_from_slice(bytes);
            Some(i128::from_be_bytes(wide))
        }
        _ => None,
    }
}
