//! Record batches for any schema of the types that tables have, with the values that break things.
//!
//! Invariants: only nullable fields have nulls; decimals keep their precision; times of day stay within a day; the keys
//! of one map differ. Everything else is as extreme as the type allows: NaN, -0.0, infinities, the ends of the range,
//! empty and over-long texts of every script. What does not belong here: what a table makes of such a value.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, FixedSizeBinaryBuilder, LargeBinaryArray,
    LargeStringArray, ListArray, MapArray, PrimitiveArray, RecordBatch, RecordBatchOptions, StringArray,
    StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, FieldRef, Fields, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Schema, SchemaRef, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use proptest::prelude::*;

use super::values::{
    Integer, bytes, decimal, few, float32, float64, integer_bits, some_bytes, text, time_of_day,
};
use crate::random::Dice;

type Result<T> = std::result::Result<T, ArrowError>;

/// A batch of this schema with this many rows; the same seed gives the same batch.
///
/// # Errors
/// `NotYetImplemented` for a type that no table has.
///
/// ```
/// use std::sync::Arc;
/// use arrow::datatypes::{DataType, Field, Schema};
/// use strandline_testkit::generate::batches::batch;
/// let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
/// assert_eq!(batch(&schema, 100, 7)?.num_rows(), 100);
/// assert_eq!(batch(&schema, 100, 7)?, batch(&schema, 100, 7)?);
/// # Ok::<(), arrow::error::ArrowError>(())
/// ```
pub fn batch(schema: &SchemaRef, rows: usize, seed: u64) -> Result<RecordBatch> {
    let mut dice = Dice::new(seed);
    let columns = columns(schema.fields(), rows, &mut dice)?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// Batches of any schema, with at most this many rows.
pub fn batches(most_rows: usize) -> impl Strategy<Value = RecordBatch> {
    (schemas(), 0..=most_rows, any::<u64>())
        .prop_filter_map("a type without a generator", |(schema, rows, seed)| batch(&schema, rows, seed).ok())
}

/// Schemas of one to six columns named `c0`, `c1`, and so on, some of them nested.
pub fn schemas() -> impl Strategy<Value = SchemaRef> {
    prop::collection::vec((types(), any::<bool>()), 1..=6)
        .prop_map(|columns| Arc::new(Schema::new(fields(columns))))
}

/// Every type that a column can have, nested ones included.
pub fn types() -> impl Strategy<Value = DataType> {
    flat_types().prop_recursive(3, 12, 3, |inner| {
        let structs = prop::collection::vec((inner.clone(), any::<bool>()), 1..=3);
        prop_oneof![
            structs.prop_map(|inside| DataType::Struct(fields(inside).into())),
            (inner.clone(), any::<bool>()).prop_map(|(of, nullable)| list_of(of, nullable)),
            (prop::sample::select(KEY_TYPES), inner, any::<bool>())
                .prop_map(|(key, value, nullable)| map_of(key, value, nullable)),
        ]
    })
}

/// The types of map keys.
const KEY_TYPES: &[DataType] = &[DataType::Int32, DataType::Int64, DataType::Utf8];

fn flat_types() -> impl Strategy<Value = DataType> {
    let decimals = (1..=38_u8, 0..=38_i8).prop_map(|(precision, scale)| {
        let highest = i8::try_from(precision).unwrap_or(i8::MAX);
        DataType::Decimal128(precision, scale.min(highest))
    });
    let fixed = (1..=20_i32).prop_map(DataType::FixedSizeBinary);
    let zone = || Some(Arc::from("UTC"));
    prop_oneof![
        6 => prop::sample::select(vec![
            DataType::Boolean,
            DataType::Int32,
            DataType::Int64,
            DataType::Float32,
            DataType::Float64,
            DataType::Date32,
            DataType::Time64(TimeUnit::Microsecond),
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(TimeUnit::Microsecond, zone()),
            DataType::Timestamp(TimeUnit::Nanosecond, None),
            DataType::Timestamp(TimeUnit::Nanosecond, zone()),
            DataType::Utf8,
            DataType::Binary,
        ]),
        1 => decimals,
        1 => fixed,
    ]
}

fn fields(types: Vec<(DataType, bool)>) -> Vec<Field> {
    let numbered = types.into_iter().enumerate();
    numbered.map(|(number, (of, nullable))| Field::new(format!("c{number}"), of, nullable)).collect()
}

fn list_of(element: DataType, nullable: bool) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, nullable)))
}

fn map_of(key: DataType, value: DataType, nullable: bool) -> DataType {
    let inside = vec![Field::new("key", key, false), Field::new("value", value, nullable)];
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(inside.into()), false)), false)
}

fn columns(fields: &Fields, rows: usize, dice: &mut Dice) -> Result<Vec<ArrayRef>> {
    fields.iter().map(|field| column(field, rows, dice)).collect()
}

fn column(field: &FieldRef, rows: usize, dice: &mut Dice) -> Result<ArrayRef> {
    let nulls = nulls(field.is_nullable(), rows, dice);
    array(field.data_type(), nulls.as_ref(), rows, dice)
}

/// Which rows are null: none, all, or some.
fn nulls(nullable: bool, rows: usize, dice: &mut Dice) -> Option<NullBuffer> {
    if !nullable {
        return None;
    }
    let one_in = *dice.pick(&[0, 1, 2, 5, 20])?;
    (one_in > 0).then(|| (0..rows).map(|_| !dice.one_in(one_in)).collect())
}

fn array(of: &DataType, nulls: Option<&NullBuffer>, rows: usize, dice: &mut Dice) -> Result<ArrayRef> {
    let cells = Cells { nulls, rows };
    Ok(match of {
        DataType::Boolean => Arc::new(BooleanArray::from_iter(cells.draw(dice, |dice| dice.one_in(2)))),
        DataType::Int8 => cells.integers::<Int8Type>(dice, of),
        DataType::Int16 => cells.integers::<Int16Type>(dice, of),
        DataType::Int32 => cells.integers::<Int32Type>(dice, of),
        DataType::Int64 => cells.integers::<Int64Type>(dice, of),
        DataType::UInt8 => cells.integers::<UInt8Type>(dice, of),
        DataType::UInt16 => cells.integers::<UInt16Type>(dice, of),
        DataType::UInt32 => cells.integers::<UInt32Type>(dice, of),
        DataType::UInt64 => cells.integers::<UInt64Type>(dice, of),
        DataType::Date32 => cells.integers::<Date32Type>(dice, of),
        DataType::Timestamp(TimeUnit::Microsecond, _) => cells.integers::<TimestampMicrosecondType>(dice, of),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => cells.integers::<TimestampNanosecondType>(dice, of),
        DataType::Time64(TimeUnit::Microsecond) => {
            cells.primitive::<Time64MicrosecondType>(dice, of, time_of_day)
        }
        DataType::Float32 => cells.primitive::<Float32Type>(dice, of, float32),
        DataType::Float64 => cells.primitive::<Float64Type>(dice, of, float64),
        DataType::Decimal128(precision, _) => {
            cells.primitive::<Decimal128Type>(dice, of, |dice| decimal(dice, *precision))
        }
        DataType::Utf8 => Arc::new(StringArray::from_iter(cells.draw(dice, text))),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from_iter(cells.draw(dice, text))),
        DataType::Binary => Arc::new(BinaryArray::from_iter(cells.draw(dice, bytes))),
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from_iter(cells.draw(dice, bytes))),
        DataType::FixedSizeBinary(width) => cells.fixed(dice, *width)?,
        DataType::Struct(fields) => cells.structs(dice, fields)?,
        DataType::List(element) => cells.lists(dice, element)?,
        DataType::Map(entry, sorted) => cells.maps(dice, entry, *sorted)?,
        other => return Err(ArrowError::NotYetImplemented(format!("no generator for {other}"))),
    })
}

/// The cells of an array to be drawn.
#[derive(Clone, Copy)]
struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    rows: usize,
}

impl Cells<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    fn draw<T>(&self, dice: &mut Dice, mut one: impl FnMut(&mut Dice) -> T) -> Vec<Option<T>> {
        (0..self.rows).map(|row| (!self.is_null(row)).then(|| one(dice))).collect()
    }

    fn primitive<T: ArrowPrimitiveType>(
        &self,
        dice: &mut Dice,
        of: &DataType,
        one: impl FnMut(&mut Dice) -> T::Native,
    ) -> ArrayRef {
        let array: PrimitiveArray<T> = self.draw(dice, one).into_iter().collect();
        Arc::new(array.with_data_type(of.clone()))
    }

    fn integers<T: ArrowPrimitiveType<Native: Integer>>(&self, dice: &mut Dice, of: &DataType) -> ArrayRef {
        self.primitive::<T>(dice, of, |dice| T::Native::of_bits(integer_bits(dice)))
    }

    fn fixed(&self, dice: &mut Dice, width: i32) -> Result<ArrayRef> {
        let length = usize::try_from(width).unwrap_or_default();
        let mut builder = FixedSizeBinaryBuilder::with_capacity(self.rows, width);
        for row in 0..self.rows {
            match self.is_null(row) {
                true => builder.append_null(),
                false => builder.append_value(some_bytes(dice, length))?,
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    fn structs(&self, dice: &mut Dice, fields: &Fields) -> Result<ArrayRef> {
        let inside = columns(fields, self.rows, dice)?;
        let nulls = self.nulls.cloned();
        Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), inside, nulls, self.rows)?))
    }

    fn lists(&self, dice: &mut Dice, element: &FieldRef) -> Result<ArrayRef> {
        let (offsets, length) = self.offsets(dice);
        let elements = column(element, length, dice)?;
        Ok(Arc::new(ListArray::try_new(Arc::clone(element), offsets, elements, self.nulls.cloned())?))
    }

    fn maps(&self, dice: &mut Dice, entry: &FieldRef, sorted: bool) -> Result<ArrayRef> {
        let DataType::Struct(fields) = entry.data_type() else {
            return Err(ArrowError::SchemaError(format!("a map of {}", entry.data_type())));
        };
        let [key, value] = &fields[..] else {
            return Err(ArrowError::SchemaError(format!("a map with {} fields", fields.len())));
        };
        let (offsets, length) = self.offsets(dice);
        let inside = vec![keys(key.data_type(), length)?, column(value, length, dice)?];
        let entries = StructArray::try_new(fields.clone(), inside, None)?;
        let nulls = self.nulls.cloned();
        Ok(Arc::new(MapArray::try_new(Arc::clone(entry), offsets, entries, nulls, sorted)?))
    }

    /// Where the elements of each row lie, and how many there are. A null has none.
    fn offsets(&self, dice: &mut Dice) -> (OffsetBuffer<i32>, usize) {
        let lengths: Vec<usize> =
            (0..self.rows).map(|row| if self.is_null(row) { 0 } else { few(dice) }).collect();
        let total = lengths.iter().sum();
        (OffsetBuffer::from_lengths(lengths), total)
    }
}

/// Keys that all differ, in ascending order.
fn keys(of: &DataType, count: usize) -> Result<ArrayRef> {
    let numbers = || 0..i32::try_from(count).unwrap_or(i32::MAX);
    Ok(match of {
        DataType::Int32 => Arc::new(PrimitiveArray::<Int32Type>::from_iter_values(numbers())),
        DataType::Int64 => Arc::new(PrimitiveArray::<Int64Type>::from_iter_values(numbers().map(i64::from))),
        DataType::Utf8 => {
            Arc::new(StringArray::from_iter_values(numbers().map(|number| format!("k{number:09}"))))
        }
        other => return Err(ArrowError::NotYetImplemented(format!("no generator for map keys of {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;
    use crate::generate::sample;

    fn column_of(of: DataType, nullable: bool, seed: u64) -> ArrayRef {
        let schema = Arc::new(Schema::new(vec![Field::new("c", of, nullable)]));
        Arc::clone(batch(&schema, 400, seed).unwrap().column(0))
    }

    #[test]
    fn batches_of_every_schema_are_valid() {
        for seed in 0..300 {
            let batch = sample(&batches(40), seed).unwrap();
            for column in batch.columns() {
                column.to_data().validate_full().unwrap();
            }
        }
    }

    #[test]
    fn nulls_come_only_where_they_may() {
        let nulls = |nullable, seed| column_of(DataType::Int64, nullable, seed).null_count();
        assert!((0..30).all(|seed| nulls(false, seed) == 0));
        let found: std::collections::BTreeSet<usize> = (0..30).map(|seed| nulls(true, seed)).collect();
        assert!(found.contains(&0) && found.contains(&400) && found.len() > 5, "{found:?}");
    }

    #[test]
    fn the_values_that_break_things_are_there() {
        let floats = column_of(DataType::Float64, false, 1);
        let has = |wanted: f64| {
            floats.as_primitive::<Float64Type>().values().iter().any(|v| v.to_bits() == wanted.to_bits())
        };
        for wanted in [f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
            assert!(has(wanted), "{wanted}");
        }
        let longs = column_of(DataType::Int64, false, 1);
        let longs = longs.as_primitive::<Int64Type>().values();
        assert!(longs.contains(&i64::MIN) && longs.contains(&i64::MAX) && longs.contains(&0));
        let texts = column_of(DataType::Utf8, false, 1);
        let texts: Vec<&str> = texts.as_string::<i32>().iter().flatten().collect();
        assert!(
            texts.contains(&"") && texts.contains(&"\u{10ffff}") && texts.iter().any(|text| text.len() > 64)
        );
        let decimals = column_of(DataType::Decimal128(5, 2), false, 1);
        let decimals = decimals.as_primitive::<Decimal128Type>();
        assert!(decimals.values().contains(&99_999) && decimals.values().contains(&-99_999));
        decimals.validate_decimal_precision(5).unwrap();
    }

    #[test]
    fn an_unknown_type_is_refused() {
        let schema = Arc::new(Schema::new(vec![Field::new("c", DataType::Date64, true)]));
        assert!(matches!(batch(&schema, 1, 1), Err(ArrowError::NotYetImplemented(_))));
    }

    #[test]
    fn a_batch_may_have_rows_but_no_columns() {
        assert_eq!(batch(&Arc::new(Schema::empty()), 3, 1).unwrap().num_rows(), 3);
    }
}
