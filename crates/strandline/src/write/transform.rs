//! Split transforms of whole columns.
//!
//! Invariant: each value is what [`Transform::apply`] gives of it; numbers go through it one by one, texts and byte
//! strings are cut and hashed where they lie. NaN becomes one NaN, so that rows are not told apart by its bits. What is
//! made of the results is the business of `split`.

use std::num::NonZeroU32;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, Int32Array, PrimitiveArray, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use strandline_format::{Transform, Value};

use super::leaf::Values;
use super::options::invalid;
use super::sort::comparable;
use crate::error::{Error, Result};

/// What a transform gives of each value. Nothing for `void`, which gives null of everything.
pub(super) fn transform(transform: Transform, values: &Values) -> Result<Option<ArrayRef>> {
    Ok(Some(match transform {
        Transform::Void => return Ok(None),
        Transform::Identity => comparable(values)?,
        Transform::Truncate(width) => truncated(transform, width, values)?,
        Transform::Bucket(buckets) => match values.array.data_type() {
            DataType::Utf8 => {
                let texts = values.array.as_string::<i32>();
                buckets_of(buckets, values, |at| texts.value(at).as_bytes())
            }
            DataType::Binary => {
                let strings = values.array.as_binary::<i32>();
                buckets_of(buckets, values, |at| strings.value(at))
            }
            DataType::FixedSizeBinary(_) => {
                let strings = values.array.as_fixed_size_binary();
                buckets_of(buckets, values, |at| strings.value(at))
            }
            _ => ints(transform, values)?,
        },
        _ => ints(transform, values)?,
    }))
}

fn truncated(transform: Transform, width: NonZeroU32, values: &Values) -> Result<ArrayRef> {
    let length = usize::try_from(width.get()).unwrap_or(usize::MAX);
    Ok(match values.array.data_type() {
        DataType::Utf8 => {
            let texts = values.array.as_string::<i32>();
            let cut = |at| {
                let text: &str = texts.value(at);
                text.char_indices().nth(length).map_or(text, |(end, _)| &text[..end])
            };
            Arc::new(valid(values).map(|at| at.map(cut)).collect::<StringArray>())
        }
        DataType::Binary => {
            let strings = values.array.as_binary::<i32>();
            let cut = |at| {
                let bytes: &[u8] = strings.value(at);
                &bytes[..length.min(bytes.len())]
            };
            Arc::new(valid(values).map(|at| at.map(cut)).collect::<BinaryArray>())
        }
        DataType::Int32 => same::<Int32Type>(transform, values, Value::Int, |value| match value {
            Value::Int(number) => Some(number),
            _ => None,
        })?,
        DataType::Int64 => same::<Int64Type>(transform, values, Value::Long, |value| match value {
            Value::Long(number) => Some(number),
            _ => None,
        })?,
        DataType::Decimal128(_, scale) => {
            let scale = u8::try_from(*scale).unwrap_or_default();
            let wrap = |unscaled| Value::Decimal { unscaled, scale };
            same::<Decimal128Type>(transform, values, wrap, |value| match value {
                Value::Decimal { unscaled, .. } => Some(unscaled),
                _ => None,
            })?
        }
        _ => return Err(undefined(transform, values)),
    })
}

/// The places of all values, or `None` where they are null.
fn valid(values: &Values) -> impl Iterator<Item = Option<usize>> + '_ {
    let is_valid = |at: usize| values.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at));
    (0..values.array.len()).map(move |at| is_valid(at).then_some(at))
}

fn buckets_of<'a>(buckets: NonZeroU32, values: &Values, bytes: impl Fn(usize) -> &'a [u8]) -> ArrayRef {
    let bucket = |at| Transform::bucket_of_bytes(buckets, bytes(at));
    Arc::new(valid(values).map(|at| at.map(bucket)).collect::<Int32Array>())
}

/// Transforms that give ints, of numbers.
fn ints(transform: Transform, values: &Values) -> Result<ArrayRef> {
    match values.array.data_type() {
        DataType::Int32 => each_int::<Int32Type>(transform, values, Value::Int),
        DataType::Int64 => each_int::<Int64Type>(transform, values, Value::Long),
        DataType::Date32 => each_int::<Date32Type>(transform, values, Value::Date),
        DataType::Time64(_) => each_int::<Time64MicrosecondType>(transform, values, Value::Time),
        // Whether it is UTC makes no difference to any transform.
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            each_int::<TimestampNanosecondType>(transform, values, Value::TimestampNs)
        }
        DataType::Timestamp(..) => each_int::<TimestampMicrosecondType>(transform, values, Value::Timestamp),
        DataType::Decimal128(_, scale) => {
            let scale = u8::try_from(*scale).unwrap_or_default();
            each_int::<Decimal128Type>(transform, values, |unscaled| Value::Decimal { unscaled, scale })
        }
        _ => Err(undefined(transform, values)),
    }
}

fn each_int<T: ArrowPrimitiveType>(
    transform: Transform,
    values: &Values,
    wrap: impl Fn(T::Native) -> Value,
) -> Result<ArrayRef> {
    let unwrap = |value| match value {
        Value::Int(number) => Some(number),
        _ => None,
    };
    let numbers = each::<T, Int32Type>(transform, values, wrap, unwrap)?;
    Ok(Arc::new(numbers))
}

/// Transforms that give the type that they take.
fn same<T: ArrowPrimitiveType>(
    transform: Transform,
    values: &Values,
    wrap: impl Fn(T::Native) -> Value,
    unwrap: impl Fn(Value) -> Option<T::Native>,
) -> Result<ArrayRef> {
    let numbers = each::<T, T>(transform, values, wrap, unwrap)?;
    Ok(Arc::new(numbers.with_data_type(values.array.data_type().clone())))
}

fn each<T: ArrowPrimitiveType, U: ArrowPrimitiveType>(
    transform: Transform,
    values: &Values,
    wrap: impl Fn(T::Native) -> Value,
    unwrap: impl Fn(Value) -> Option<U::Native>,
) -> Result<PrimitiveArray<U>> {
    let numbers = values.array.as_primitive::<T>().values();
    let mut results = vec![U::Native::default(); numbers.len()];
    for at in valid(values).flatten() {
        let result = transform.apply(&wrap(numbers[at])).map_err(Error::from)?;
        results[at] = result.and_then(&unwrap).ok_or_else(|| undefined(transform, values))?;
    }
    let nulls: Option<NullBuffer> = values.nulls.clone();
    Ok(PrimitiveArray::new(results.into(), nulls))
}

fn undefined(transform: Transform, values: &Values) -> Error {
    invalid(format!("{transform} is not defined for values of type {}", values.array.data_type()))
}
