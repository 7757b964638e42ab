//! Values of columns and literals as keys of one order, so that one comparison serves types that widen into each other.
//!
//! Keys are ordered as values are compared: floats by size, with one zero, and one NaN above all.

use arrow::array::{Array, ArrayAccessor, AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use strandline_format::{MICROS_PER_DAY, Value};

/// Something that the values of an array can be compared as.
pub(super) trait Key: Ord {
    /// Which values pass a test, whatever nulls hide; `None` if the array's do not compare so.
    fn hits(array: &dyn Array, test: impl Fn(&Self) -> bool) -> Option<BooleanBuffer>;
}

/// Integers, booleans and times, and floats.
impl Key for i64 {
    fn hits(array: &dyn Array, test: impl Fn(&Self) -> bool) -> Option<BooleanBuffer> {
        Some(match array.data_type() {
            DataType::Boolean => each(array.as_boolean(), |truth| test(&Self::from(truth))),
            DataType::Int32 => each(array.as_primitive::<Int32Type>(), |number| test(&Self::from(number))),
            DataType::Int64 => each(array.as_primitive::<Int64Type>(), |number| test(&number)),
            DataType::Float32 => {
                each(array.as_primitive::<Float32Type>(), |number| test(&float(f64::from(number))))
            }
            DataType::Float64 => each(array.as_primitive::<Float64Type>(), |number| test(&float(number))),
            DataType::Date32 => each(array.as_primitive::<Date32Type>(), |days| test(&Self::from(days))),
            DataType::Time64(TimeUnit::Microsecond) => {
                each(array.as_primitive::<Time64MicrosecondType>(), |time| test(&time))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                each(array.as_primitive::<TimestampMicrosecondType>(), |time| test(&time))
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                each(array.as_primitive::<TimestampNanosecondType>(), |time| test(&time))
            }
            _ => return None,
        })
    }
}

/// Decimals, unscaled; dates and timestamps together, in microseconds, which may be more than 64 bits hold.
impl Key for i128 {
    fn hits(array: &dyn Array, test: impl Fn(&Self) -> bool) -> Option<BooleanBuffer> {
        Some(match array.data_type() {
            DataType::Decimal128(..) => {
                each(array.as_primitive::<Decimal128Type>(), |unscaled| test(&unscaled))
            }
            DataType::Date32 => each(array.as_primitive::<Date32Type>(), |days| test(&micros(days))),
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                each(array.as_primitive::<TimestampMicrosecondType>(), |time| test(&Self::from(time)))
            }
            _ => return None,
        })
    }
}

impl Key for [u8] {
    fn hits(array: &dyn Array, test: impl Fn(&Self) -> bool) -> Option<BooleanBuffer> {
        Some(match array.data_type() {
            DataType::Utf8 => each(array.as_string::<i32>(), |text| test(text.as_bytes())),
            DataType::LargeUtf8 => each(array.as_string::<i64>(), |text| test(text.as_bytes())),
            DataType::Utf8View => each(array.as_string_view(), |text| test(text.as_bytes())),
            DataType::Binary => each(array.as_binary::<i32>(), test),
            DataType::LargeBinary => each(array.as_binary::<i64>(), test),
            DataType::BinaryView => each(array.as_binary_view(), test),
            DataType::FixedSizeBinary(_) => each(array.as_fixed_size_binary(), test),
            _ => return None,
        })
    }
}

fn each<A: ArrayAccessor>(array: A, test: impl FnMut(A::Item) -> bool) -> BooleanBuffer {
    BooleanArray::from_unary(array, test).values().clone()
}

fn micros(days: i32) -> i128 {
    i128::from(days) * i128::from(MICROS_PER_DAY)
}

/// An integer that is ordered as floats are compared.
fn float(number: f64) -> i64 {
    if number.is_nan() {
        return i64::MAX;
    }
    // Adding zero turns the one zero into the other and leaves all else alone.
    let bits = (number + 0.0).to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// A literal as a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnyKey<'v> {
    Narrow(i64),
    Wide(i128),
    Bytes(&'v [u8]),
}

impl<'v> AnyKey<'v> {
    /// The literal as it compares with arrays of a type, if it does.
    pub(super) fn of(literal: &'v Value, of: &DataType) -> Option<Self> {
        use DataType as T;
        use TimeUnit::{Microsecond, Nanosecond};
        Some(match (literal, of) {
            (Value::Boolean(truth), T::Boolean) => Self::Narrow(i64::from(*truth)),
            (Value::Int(number), T::Int32 | T::Int64) | (Value::Date(number), T::Date32) => {
                Self::Narrow(i64::from(*number))
            }
            (Value::Float(number), T::Float32 | T::Float64) => Self::Narrow(float(f64::from(*number))),
            (Value::Double(number), T::Float32 | T::Float64) => Self::Narrow(float(*number)),
            (Value::Long(number), T::Int32 | T::Int64)
            | (Value::Time(number), T::Time64(Microsecond))
            | (Value::Timestamp(number), T::Timestamp(Microsecond, None))
            | (Value::TimestampTz(number), T::Timestamp(Microsecond, Some(_)))
            | (Value::TimestampNs(number), T::Timestamp(Nanosecond, None))
            | (Value::TimestampTzNs(number), T::Timestamp(Nanosecond, Some(_))) => Self::Narrow(*number),
            (Value::Date(days), T::Timestamp(Microsecond, None)) => Self::Wide(micros(*days)),
            (Value::Timestamp(number), T::Date32) => Self::Wide(i128::from(*number)),
            (Value::Decimal { unscaled, scale }, T::Decimal128(_, of)) if i8::try_from(*scale) == Ok(*of) => {
                Self::Wide(*unscaled)
            }
            (Value::String(text), T::Utf8 | T::LargeUtf8 | T::Utf8View) => Self::Bytes(text.as_bytes()),
            (Value::Uuid(id), T::FixedSizeBinary(16)) => Self::Bytes(id),
            (Value::Fixed(bytes), T::FixedSizeBinary(_))
            | (Value::Binary(bytes), T::Binary | T::LargeBinary | T::BinaryView) => Self::Bytes(bytes),
            _ => return None,
        })
    }
}
