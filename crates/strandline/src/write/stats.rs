//! What is known of a leaf's values: counted and compared as they are encoded, exactly.
//!
//! Invariants: NaN is never a bound, -0.0 is below +0.0 [STAT-5]; what is merged is what would have been counted at
//! once; a long value is kept only as far as the bound that is cut from it shows [STAT-6], so memory does not depend on
//! the values. What the Parquet encoder has found out anyway is not looked for again, where it means the same.

use std::cmp::Ordering;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{max, max_boolean, min, min_boolean};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use parquet::file::statistics::{Statistics, ValueStatistics};
use strandline_format::{
    Bound, DEFAULT_BOUND_BYTES, FieldStats, MAX_SUMMARY_BOUND_BYTES, PrimitiveType, Value,
};

use super::leaf::Values;

/// How much of a long text or byte string is kept: a whole character more than a bound has, so that the bound that is
/// cut from what is kept is the one of the whole.
const KEPT_BYTES: usize = DEFAULT_BOUND_BYTES + 4;

/// Counts and bounds so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LeafStats {
    ty: PrimitiveType,
    values: u64,
    nulls: u64,
    nans: u64,
    range: Option<(Value, Value)>,
}

/// The least and the greatest, and how many are NaN.
#[derive(Default)]
struct Seen {
    range: Option<(Value, Value)>,
    nans: u64,
}

impl LeafStats {
    pub(super) fn new(ty: PrimitiveType) -> Self {
        Self { ty, values: 0, nulls: 0, nans: 0, range: None }
    }

    /// Whether there were NaNs.
    pub(super) fn has_nans(&self) -> bool {
        self.nans > 0
    }

    /// What is known of values that were encoded into a chunk with these statistics.
    pub(super) fn of(ty: PrimitiveType, values: &[Values], encoded: Option<&Statistics>) -> Self {
        let found = encoded.and_then(|statistics| encoded_range(ty, statistics));
        let mut all = Self::new(ty);
        for values in values {
            let nulls = values.nulls.as_ref().map_or(0, NullBuffer::null_count) as u64;
            let Seen { range, nans } = if found.is_some() { Seen::default() } else { see(ty, values) };
            all.merge(Self { ty, values: values.array.len() as u64, nulls, nans, range });
        }
        if found.is_some() {
            all.range = found;
        }
        all
    }

    /// Adds what was counted elsewhere.
    pub(super) fn merge(&mut self, other: Self) {
        self.values += other.values;
        self.nulls += other.nulls;
        self.nans += other.nans;
        self.range = match (self.range.take(), other.range) {
            (Some((least, greatest)), Some((min, max))) => {
                Some((outer(least, min, Ordering::Less), outer(greatest, max, Ordering::Greater)))
            }
            (one, other) => one.or(other),
        };
    }

    /// What the file's entry says. Outside of lists and maps there are as many values as rows, which need not be said.
    pub(super) fn finish(self, repeated: bool) -> FieldStats {
        let (min, max) = self.range.filter(|(least, _)| can_be_bound(least)).unzip();
        FieldStats {
            ty: self.ty,
            nulls: Some(self.nulls),
            nans: self.ty.is_floating().then_some(self.nans),
            values: repeated.then_some(self.values),
            min: min.map(|value| Bound::truncated_min(value, DEFAULT_BOUND_BYTES)),
            max: max.and_then(|value| Bound::truncated_max(value, DEFAULT_BOUND_BYTES)),
        }
    }
}

fn outer(a: Value, b: Value, wins: Ordering) -> Value {
    if b.compare(&a) == Some(wins) { b } else { a }
}

/// Bounds of fixed length are never cut, and one that no summary would keep only costs [STAT-10].
fn can_be_bound(value: &Value) -> bool {
    !matches!(value, Value::Fixed(bytes) if bytes.len() > MAX_SUMMARY_BOUND_BYTES)
}

/// The bounds that the encoder has found, for types that it orders as the format does, if it kept them whole. Numbers with NaNs
/// and two zeros are none of them, nor is what Parquet has as bytes of fixed length.
fn encoded_range(ty: PrimitiveType, statistics: &Statistics) -> Option<(Value, Value)> {
    use PrimitiveType as T;
    match (ty, statistics) {
        (T::Int, Statistics::Int32(found)) => range_of(found, |number| Value::Int(*number)),
        (T::Date, Statistics::Int32(found)) => range_of(found, |days| Value::Date(*days)),
        (T::Long, Statistics::Int64(found)) => range_of(found, |number| Value::Long(*number)),
        (T::Time, Statistics::Int64(found)) => range_of(found, |micros| Value::Time(*micros)),
        (T::Timestamp, Statistics::Int64(found)) => range_of(found, |micros| Value::Timestamp(*micros)),
        (T::TimestampTz, Statistics::Int64(found)) => range_of(found, |micros| Value::TimestampTz(*micros)),
        (T::TimestampNs, Statistics::Int64(found)) => range_of(found, |nanos| Value::TimestampNs(*nanos)),
        (T::TimestampTzNs, Statistics::Int64(found)) => range_of(found, |nanos| Value::TimestampTzNs(*nanos)),
        (T::Decimal { scale, .. }, Statistics::Int32(found)) => {
            range_of(found, |unscaled| Value::Decimal { unscaled: i128::from(*unscaled), scale })
        }
        (T::Decimal { scale, .. }, Statistics::Int64(found)) => {
            range_of(found, |unscaled| Value::Decimal { unscaled: i128::from(*unscaled), scale })
        }
        (T::String, Statistics::ByteArray(found)) => {
            let (least, greatest) = range_of(found, |bytes| std::str::from_utf8(bytes.data()).map(text))?;
            Some((least.ok()?, greatest.ok()?))
        }
        (T::Binary, Statistics::ByteArray(found)) => range_of(found, |bytes| binary(bytes.data())),
        _ => None,
    }
}

fn range_of<T, V>(found: &ValueStatistics<T>, wrap: impl Fn(&T) -> V) -> Option<(V, V)> {
    let whole = found.min_is_exact() && found.max_is_exact();
    Some((wrap(found.min_opt()?), wrap(found.max_opt()?))).filter(|_| whole)
}

fn see(ty: PrimitiveType, values: &Values) -> Seen {
    use PrimitiveType as T;
    let array = &values.array;
    let range = match array.data_type() {
        DataType::Float32 => {
            return floats::<Float32Type>(values, Value::Float, |number| number.is_nan());
        }
        DataType::Float64 => {
            return floats::<Float64Type>(values, Value::Double, |number| number.is_nan());
        }
        DataType::Boolean => booleans(values),
        DataType::Int32 => numbers::<Int32Type>(values, Value::Int),
        DataType::Int64 => numbers::<Int64Type>(values, Value::Long),
        DataType::Date32 => numbers::<Date32Type>(values, Value::Date),
        DataType::Time64(_) => numbers::<Time64MicrosecondType>(values, Value::Time),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let utc = ty == T::TimestampTzNs;
            let wrap = if utc { Value::TimestampTzNs } else { Value::TimestampNs };
            numbers::<TimestampNanosecondType>(values, wrap)
        }
        DataType::Timestamp(..) => {
            let utc = ty == T::TimestampTz;
            numbers::<TimestampMicrosecondType>(
                values,
                if utc { Value::TimestampTz } else { Value::Timestamp },
            )
        }
        DataType::Decimal128(_, scale) => {
            let scale = u8::try_from(*scale).unwrap_or_default();
            numbers::<Decimal128Type>(values, |unscaled| Value::Decimal { unscaled, scale })
        }
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            outermost(values, |at| texts.value(at)).map(|range| both(range, text))
        }
        DataType::Binary => {
            let strings = array.as_binary::<i32>();
            outermost(values, |at| strings.value(at)).map(|range| both(range, binary))
        }
        DataType::FixedSizeBinary(_) => {
            let strings = array.as_fixed_size_binary();
            outermost(values, |at| strings.value(at)).map(|range| both(range, |bytes| fixed(ty, bytes)))
        }
        // No other type is a leaf's: that was checked before the first row came.
        _ => None,
    };
    Seen { range, nans: 0 }
}

fn both<T>((least, greatest): (T, T), wrap: impl Fn(T) -> Value) -> (Value, Value) {
    (wrap(least), wrap(greatest))
}

fn text(text: &str) -> Value {
    Value::String(text[..text.floor_char_boundary(KEPT_BYTES)].into())
}

fn binary(bytes: &[u8]) -> Value {
    Value::Binary(bytes[..bytes.len().min(KEPT_BYTES)].into())
}

fn fixed(ty: PrimitiveType, bytes: &[u8]) -> Value {
    match bytes.try_into() {
        Ok(uuid) if ty == PrimitiveType::Uuid => Value::Uuid(uuid),
        _ => Value::Fixed(bytes.into()),
    }
}

fn booleans(values: &Values) -> Option<(Value, Value)> {
    let array = BooleanArray::new(values.array.as_boolean().values().clone(), values.nulls.clone());
    Some((Value::Boolean(min_boolean(&array)?), Value::Boolean(max_boolean(&array)?)))
}

fn numbers<T: ArrowPrimitiveType>(
    values: &Values,
    wrap: impl Fn(T::Native) -> Value,
) -> Option<(Value, Value)> {
    let array =
        PrimitiveArray::<T>::new(values.array.as_primitive::<T>().values().clone(), values.nulls.clone());
    Some((wrap(min(&array)?), wrap(max(&array)?)))
}

/// Arrow's kernels let NaN win; here it is counted and passed over.
fn floats<T: ArrowPrimitiveType>(
    values: &Values,
    wrap: fn(T::Native) -> Value,
    is_nan: fn(T::Native) -> bool,
) -> Seen {
    let numbers = values.array.as_primitive::<T>().values();
    let mut nans = 0;
    let mut range: Option<(T::Native, T::Native)> = None;
    each_valid(values, |at| {
        let number = numbers[at];
        if is_nan(number) {
            nans += 1;
            return;
        }
        // The order is total here: -0.0 is below +0.0.
        range = Some(range.map_or((number, number), |(least, greatest)| {
            let least = if number.is_lt(least) { number } else { least };
            (least, if number.is_gt(greatest) { number } else { greatest })
        }));
    });
    Seen { range: range.map(|range| both(range, wrap)), nans }
}

fn outermost<T: Ord + Copy>(values: &Values, value: impl Fn(usize) -> T) -> Option<(T, T)> {
    let mut range: Option<(T, T)> = None;
    each_valid(values, |at| {
        let value = value(at);
        range = Some(match range {
            None => (value, value),
            Some((least, greatest)) => (least.min(value), greatest.max(value)),
        });
    });
    range
}

/// Calls with the place of every value that is not null.
pub(super) fn each_valid(values: &Values, visit: impl FnMut(usize)) {
    match &values.nulls {
        Some(nulls) => nulls.valid_indices().for_each(visit),
        None => (0..ArrayRef::len(&values.array)).for_each(visit),
    }
}
