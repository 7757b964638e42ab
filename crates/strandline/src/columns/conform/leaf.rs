//! Converting arrays of primitive types.
//!
//! Invariants: a value comes out as the same value or is an error with its row; what stands under a null is never an error.
//! What does not belong here: nulls in required fields.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, GenericByteArray, PrimitiveArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowNativeType, BinaryType, ByteArrayType, DataType, Date32Type, Date64Type, Decimal32Type,
    Decimal64Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, LargeBinaryType, LargeUtf8Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type, Utf8Type,
};
use arrow::error::ArrowError;
use strandline_format::{MICROS_PER_DAY, PrimitiveType};

use crate::columns::types::primitive;

const MILLIS_PER_DAY: i64 = MICROS_PER_DAY / 1000;

/// Why an array cannot be converted.
#[derive(Debug)]
pub(super) enum Wrong {
    /// The value in this row has no image.
    Row(usize),
    /// More bytes or elements than the offsets of one array can say.
    TooLong,
    /// What Arrow says.
    Arrow(ArrowError),
}

impl From<ArrowError> for Wrong {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::OffsetOverflowError(_) => Self::TooLong,
            other => Self::Arrow(other),
        }
    }
}

type Converted = Result<ArrayRef, Wrong>;

/// Whether what the table calls `natural` may stand in a column of type `to`: it widens [VAL-7], or is the same bytes.
pub(super) fn fits(natural: PrimitiveType, to: PrimitiveType) -> bool {
    const SIXTEEN: PrimitiveType = PrimitiveType::Fixed(16);
    let pair = (natural, to);
    natural.promotes_to(to)
        || pair == (SIXTEEN, PrimitiveType::Uuid)
        || pair == (PrimitiveType::Uuid, SIXTEEN)
}

/// The array in the canonical type of `to`. `valid` says which values count, `None` that all do.
pub(super) fn convert(
    array: &ArrayRef,
    valid: Option<&NullBuffer>,
    natural: PrimitiveType,
    to: PrimitiveType,
) -> Converted {
    let cells = Cells { array, valid };
    let array = cells.naturalize(natural)?;
    Cells { array: &array, valid }.widen(natural, to)
}

/// An array, and which of its values count.
struct Cells<'a> {
    array: &'a ArrayRef,
    valid: Option<&'a NullBuffer>,
}

impl Cells<'_> {
    /// To the canonical type of what the table calls the array's own type.
    fn naturalize(&self, natural: PrimitiveType) -> Converted {
        let to = &primitive(natural);
        let scaled = |by: i64| move |value: i64| value.checked_mul(by);
        match self.array.data_type() {
            DataType::Int8 => self.map::<Int8Type, Int32Type>(to, |value| Some(value.into())),
            DataType::Int16 => self.map::<Int16Type, Int32Type>(to, |value| Some(value.into())),
            DataType::UInt8 => self.map::<UInt8Type, Int32Type>(to, |value| Some(value.into())),
            DataType::UInt16 => self.map::<UInt16Type, Int32Type>(to, |value| Some(value.into())),
            DataType::UInt32 => self.map::<UInt32Type, Int64Type>(to, |value| Some(value.into())),
            DataType::UInt64 => self.map::<UInt64Type, Decimal128Type>(to, |value| Some(value.into())),
            DataType::Float16 => self.map::<Float16Type, Float32Type>(to, |value| Some(value.to_f32())),
            DataType::Decimal32(precision, _) => {
                self.decimal::<Decimal32Type>(*precision, to, |value| Some(value.into()))
            }
            DataType::Decimal64(precision, _) => {
                self.decimal::<Decimal64Type>(*precision, to, |value| Some(value.into()))
            }
            DataType::Decimal128(precision, _) => {
                self.check::<Decimal128Type>(|value| has_digits(value, *precision))
            }
            DataType::Decimal256(precision, _) => {
                self.decimal::<Decimal256Type>(*precision, to, |value| value.to_i128())
            }
            DataType::Date64 => self.map::<Date64Type, Date32Type>(to, whole_day),
            DataType::Time32(TimeUnit::Second) => {
                self.map::<Time32SecondType, Time64MicrosecondType>(to, |value| time_of(value, 1_000_000))
            }
            DataType::Time32(_) => {
                self.map::<Time32MillisecondType, Time64MicrosecondType>(to, |value| time_of(value, 1000))
            }
            DataType::Time64(TimeUnit::Nanosecond) => {
                self.map::<Time64NanosecondType, Time64MicrosecondType>(to, whole_micro)
            }
            DataType::Time64(_) => self.check::<Time64MicrosecondType>(is_time_of_day),
            DataType::Timestamp(TimeUnit::Second, _) => {
                self.map::<TimestampSecondType, TimestampMicrosecondType>(to, scaled(1_000_000))
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                self.map::<TimestampMillisecondType, TimestampMicrosecondType>(to, scaled(1000))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => self.named::<TimestampMicrosecondType>(to),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => self.named::<TimestampNanosecondType>(to),
            DataType::LargeUtf8 => narrow::<LargeUtf8Type, Utf8Type>(self.array.as_string::<i64>()),
            DataType::LargeBinary => narrow::<LargeBinaryType, BinaryType>(self.array.as_binary::<i64>()),
            DataType::Utf8View => self.unviewed(self.array.as_string_view().lengths(), to),
            DataType::BinaryView => self.unviewed(self.array.as_binary_view().lengths(), to),
            _ => Ok(Arc::clone(self.array)),
        }
    }

    /// From the canonical type of `natural` to that of `to` [VAL-7].
    fn widen(&self, natural: PrimitiveType, to: PrimitiveType) -> Converted {
        let arrow = &primitive(to);
        match (natural, to) {
            (PrimitiveType::Int, PrimitiveType::Long) => {
                self.map::<Int32Type, Int64Type>(arrow, |value| Some(value.into()))
            }
            (PrimitiveType::Float, PrimitiveType::Double) => {
                self.map::<Float32Type, Float64Type>(arrow, |value| Some(value.into()))
            }
            (PrimitiveType::Date, PrimitiveType::Timestamp) => {
                let midnight = |days: i32| i64::from(days).checked_mul(MICROS_PER_DAY);
                self.map::<Date32Type, TimestampMicrosecondType>(arrow, midnight)
            }
            (PrimitiveType::Decimal { .. }, PrimitiveType::Decimal { .. }) => {
                self.named::<Decimal128Type>(arrow)
            }
            _ => Ok(Arc::clone(self.array)),
        }
    }

    fn counts(&self, row: usize) -> bool {
        self.valid.is_none_or(|valid| valid.is_valid(row))
    }

    fn map<F: ArrowPrimitiveType, T: ArrowPrimitiveType>(
        &self,
        to: &DataType,
        image: impl Fn(F::Native) -> Option<T::Native>,
    ) -> Converted {
        let from = self.array.as_primitive::<F>();
        let mut values = Vec::with_capacity(from.len());
        for (row, value) in from.values().iter().enumerate() {
            match image(*value) {
                Some(image) => values.push(image),
                None if self.counts(row) => return Err(Wrong::Row(row)),
                None => values.push(T::Native::default()),
            }
        }
        let made = PrimitiveArray::<T>::try_new(values.into(), from.nulls().cloned())?;
        Ok(Arc::new(made.with_data_type(to.clone())))
    }

    fn decimal<F: ArrowPrimitiveType>(
        &self,
        precision: u8,
        to: &DataType,
        image: impl Fn(F::Native) -> Option<i128>,
    ) -> Converted {
        let image = |value| image(value).filter(|unscaled| has_digits(*unscaled, precision));
        self.map::<F, Decimal128Type>(to, image)
    }

    /// The array itself, if all its values are what its type promises.
    fn check<T: ArrowPrimitiveType>(&self, holds: impl Fn(T::Native) -> bool) -> Converted {
        let values = self.array.as_primitive::<T>().values();
        match values.iter().enumerate().find(|(row, value)| !holds(**value) && self.counts(*row)) {
            Some((row, _)) => Err(Wrong::Row(row)),
            None => Ok(Arc::clone(self.array)),
        }
    }

    /// The same values under another name: another zone, more digits.
    fn named<T: ArrowPrimitiveType>(&self, to: &DataType) -> Converted {
        if self.array.data_type() == to {
            return Ok(Arc::clone(self.array));
        }
        Ok(Arc::new(self.array.as_primitive::<T>().clone().with_data_type(to.clone())))
    }

    fn unviewed(&self, lengths: impl Iterator<Item = u32>, to: &DataType) -> Converted {
        let total: u64 = lengths.map(u64::from).sum();
        i32::try_from(total).map_err(|_| Wrong::TooLong)?;
        Ok(cast(self.array, to)?)
    }
}

/// Whether a decimal has at most so many digits, up to 38 of them.
pub(super) fn has_digits(unscaled: i128, precision: u8) -> bool {
    unscaled.unsigned_abs() < 10_u128.saturating_pow(precision.into())
}

fn is_time_of_day(micros: i64) -> bool {
    (0..MICROS_PER_DAY).contains(&micros)
}

fn time_of(value: i32, micros: i64) -> Option<i64> {
    i64::from(value).checked_mul(micros).filter(|micros| is_time_of_day(*micros))
}

fn whole_micro(nanos: i64) -> Option<i64> {
    (nanos % 1000 == 0).then_some(nanos / 1000).filter(|micros| is_time_of_day(*micros))
}

fn whole_day(millis: i64) -> Option<i32> {
    if millis % MILLIS_PER_DAY == 0 { i32::try_from(millis / MILLIS_PER_DAY).ok() } else { None }
}

/// The same bytes with offsets of 32 bits, counted from the first one that is used.
fn narrow<L, S>(array: &GenericByteArray<L>) -> Converted
where
    L: ByteArrayType<Offset = i64>,
    S: ByteArrayType<Offset = i32>,
{
    let offsets = array.value_offsets();
    let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
    let short = offsets.iter().map(|offset| i32::try_from(offset - first));
    let short: Vec<i32> = short.collect::<Result<_, _>>().map_err(|_| Wrong::TooLong)?;
    let values = array.values().slice_with_length(first.as_usize(), (last - first).as_usize());
    let made =
        GenericByteArray::<S>::try_new(OffsetBuffer::new(short.into()), values, array.nulls().cloned());
    Ok(Arc::new(made?))
}
