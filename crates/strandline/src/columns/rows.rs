//! Rows of a Rust type into batches, and the Arrow schema that a Rust type asks for.
//!
//! Invariant: a field of the rows that the table does not have is an error, never dropped; so the rows are looked through for
//! their fields first, and then written as what the table calls each of them. What does not belong here: the conversion of types,
//! which is `conform`'s.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field as ArrowField, FieldRef, Fields, Schema as ArrowSchema, TimeUnit};
use serde::Serialize;
use serde_arrow::schema::{SchemaLike, TracingOptions};
use strandline_format::{Field, NameKey, PrimitiveType, Schema, Type};

use super::conform::Conform;
use super::types::{arrow_type, pair_field, primitive};
use crate::error::{Error, ErrorKind, Result};

/// A batch of rows, in exactly the Arrow schema of a table.
///
/// Fields are matched by name, whatever its case; what is `None` or missing in some rows is null, and a column that no row has gets
/// its default. Numbers may be of any type as long as the value is exactly one of the column's. Dates, times and timestamps are given
/// as texts (`"2026-01-31"`, `"12:30:00.5"`, `"2026-01-31T12:30:00"`, with a `Z` or an offset behind it if and only if the column is
/// in UTC) or as the integers that the table keeps; decimals as texts, since a float is seldom the number that it is written as;
/// UUIDs as texts or 16 bytes; bytes as byte strings or arrays of `u8`; enums without data as texts of their names. Structs that are flattened, and maps for rows, work too, as long as their maps have one type of values.
///
/// Goes through the rows twice, and takes memory for the batch.
///
/// # Errors
/// `InvalidInput` for what [`Conform`] refuses: fields that the table does not have, required columns that are missing or null;
/// and for values that are not of their column's type, naming the field.
///
/// ```
/// use serde::Serialize;
/// use strandline::columns::batch_of_rows;
/// use strandline::format::{ColumnName, Field, PrimitiveType, Schema};
///
/// #[derive(Serialize)]
/// struct Order {
///     id: i64,
///     placed: Option<&'static str>,
/// }
///
/// let id = Field::required(ColumnName::new("id")?, PrimitiveType::Long);
/// let placed = Field::optional(ColumnName::new("placed")?, PrimitiveType::TimestampTz);
/// let schema = Schema::numbered(vec![id, placed])?;
/// let orders = [Order { id: 1, placed: Some("2026-01-31T12:30:00Z") }, Order { id: 2, placed: None }];
/// let batch = batch_of_rows(&schema, &orders)?;
/// assert_eq!((batch.num_rows(), batch.column(1).null_count()), (2, 1));
/// # Ok::<(), strandline::Error>(())
/// ```
pub fn batch_of_rows<T: Serialize>(schema: &Schema, rows: &[T]) -> Result<RecordBatch> {
    if rows.is_empty() {
        return Ok(RecordBatch::new_empty(super::arrow_schema(schema)));
    }
    let fields = aligned(schema.fields(), &traced(rows)?)?;
    let columns = serde_arrow::to_arrow(&fields, rows).map_err(unfit)?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(Arc::new(ArrowSchema::new(fields)), columns, &options)
        .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()).with_source(error))?;
    Conform::of_rows(schema, batch.schema_ref())?.apply(&batch)
}

/// The Arrow schema that rows ask for, to make a table of by [`fields_from_arrow`](super::fields_from_arrow).
///
/// Found by looking at all the samples: what is `None` in one of them is nullable, and a field needs a value in at least one
/// of them, or it is of type Null. Texts are texts, whatever stands in them: give a column of times its type by hand.
///
/// # Errors
/// `InvalidInput` if there is no sample, or if the samples do not agree, naming the field.
///
/// ```
/// use serde::Serialize;
/// use strandline::columns::schema_of_rows;
///
/// #[derive(Serialize)]
/// struct Point {
///     x: f64,
///     label: Option<&'static str>,
/// }
///
/// let schema = schema_of_rows(&[Point { x: 0.5, label: Some("a") }])?;
/// assert!(!schema.field(0).is_nullable() && schema.field(1).is_nullable());
/// # Ok::<(), strandline::Error>(())
/// ```
pub fn schema_of_rows<T: Serialize>(samples: &[T]) -> Result<ArrowSchema> {
    Ok(ArrowSchema::new(traced(samples)?))
}

/// The fields of rows. Maps of any keys are maps; but rows that are maps themselves, as flattened structs and JSON values are,
/// have fields for keys, and so has all that is in them.
fn traced<T: Serialize>(rows: &[T]) -> Result<Fields> {
    let trace = |map_as_struct| {
        let options = TracingOptions::default()
            .map_as_struct(map_as_struct)
            .allow_null_fields(true)
            .coerce_numbers(true)
            .enums_without_data_as_strings(true)
            .sequence_as_large_list(false)
            .strings_as_large_utf8(false)
            .bytes_as_large_binary(false);
        Vec::<FieldRef>::from_samples(rows, options)
    };
    let fields = trace(false).or_else(|_| trace(true)).map_err(unfit)?;
    Ok(fields.into())
}

fn unfit(error: serde_arrow::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the rows: {error}")).with_source(error)
}

/// The fields of rows, each of the type that the table has under its name. All may be null, so that a null in the wrong place
/// is found where its row is known.
fn aligned(fields: &[Field], traced: &Fields) -> Result<Fields> {
    let types: HashMap<&NameKey, &Type> = fields.iter().map(|field| (field.name.key(), &field.ty)).collect();
    let align = |field: &FieldRef| {
        Ok(match types.get(&NameKey::of(field.name())) {
            Some(ty) => Arc::new(ArrowField::new(field.name(), aligned_type(ty, field)?, true)),
            None => Arc::clone(field),
        })
    };
    traced.iter().map(align).collect()
}

fn aligned_type(ty: &Type, traced: &ArrowField) -> Result<DataType> {
    Ok(match (ty, traced.data_type()) {
        (Type::Primitive(ty), given) => single_type(*ty, given),
        (Type::Struct(members), DataType::Struct(given)) => DataType::Struct(aligned(members, given)?),
        (Type::List(element), DataType::List(given)) => list_of(aligned_type(&element[0].ty, given)?),
        // A Rust array is a tuple to serde, and a tuple has fields.
        (Type::List(element), DataType::Struct(given)) => {
            list_of(of_all(&element[0].ty, traced.name(), given)?)
        }
        (Type::Map(pair), DataType::Map(given, _)) => match given.data_type() {
            DataType::Struct(parts) if parts.len() == 2 => {
                map_of(pair, aligned_type(&pair[1].ty, &parts[1])?)
            }
            _ => arrow_type(ty),
        },
        (Type::Map(pair), DataType::Struct(given)) => {
            map_of(pair, of_all(&pair[1].ty, traced.name(), given)?)
        }
        _ => arrow_type(ty),
    })
}

/// The type that values of a row are written in. Where `serde_arrow` would round or reinterpret them, and where they are of no use
/// for the column, they stay as they are: then `conform` decides.
fn single_type(ty: PrimitiveType, given: &DataType) -> DataType {
    let texts = matches!(given, DataType::Utf8 | DataType::Dictionary(..));
    let integers = given.is_integer();
    let as_the_tables = match ty {
        _ if given.is_null() => true,
        PrimitiveType::Boolean
        | PrimitiveType::Float
        | PrimitiveType::Double
        | PrimitiveType::Decimal { .. } => false,
        // Down to the nanosecond, so that what a microsecond cannot say is seen.
        PrimitiveType::Time if texts => return DataType::Time64(TimeUnit::Nanosecond),
        PrimitiveType::Int | PrimitiveType::Long | PrimitiveType::Time => integers,
        PrimitiveType::Timestamp | PrimitiveType::TimestampTz => integers,
        PrimitiveType::String => texts,
        PrimitiveType::Date | PrimitiveType::TimestampNs | PrimitiveType::TimestampTzNs => texts || integers,
        PrimitiveType::Uuid | PrimitiveType::Fixed(_) | PrimitiveType::Binary => !texts,
    };
    if as_the_tables { primitive(ty) } else { given.clone() }
}

/// The one type of the elements of a tuple, or of the values of a map, each of which was traced by itself.
fn of_all(ty: &Type, name: &str, given: &Fields) -> Result<DataType> {
    let Some((first, others)) = given.split_first() else {
        return Ok(arrow_type(ty));
    };
    let one = aligned_type(ty, first)?;
    for other in others {
        if aligned_type(ty, other)? != one {
            let message = format!(
                "the rows: what is in {name} has different fields in different places: give it a struct's type"
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
    }
    Ok(one)
}

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(ArrowField::new("element", element, true)))
}

fn map_of(pair: &[Field; 2], value: DataType) -> DataType {
    let key = ArrowField::new("key", arrow_type(&pair[0].ty), false);
    DataType::Map(pair_field(Fields::from(vec![key, ArrowField::new("value", value, true)])), false)
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
