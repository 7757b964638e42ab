//! The Parquet schema of a table's data files [FILE-13].
//!
//! Invariant: every column and every group that is a field has its id; the types are those of the specification's table, and no
//! choice of the Parquet library. What does not belong here: writing, and what a reader takes besides.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::schema::types::{SchemaDescriptor, Type as ParquetType, TypePtr};
use strandline_format::{Field, PrimitiveType, Schema, Type};

use super::types::PAIR;
use crate::error::{Error, ErrorKind, Result};

/// What the root of a Parquet schema and the group between a list and its elements are called.
const ROOT: &str = "schema";
const LIST: &str = "list";

/// The most digits of a decimal that is an INT32, an INT64.
const INT32_DIGITS: u8 = 9;
const INT64_DIGITS: u8 = 18;

/// The Parquet schema that a table's data files are written in, for
/// [`ArrowWriterOptions::with_parquet_schema`](parquet::arrow::arrow_writer::ArrowWriterOptions::with_parquet_schema).
/// Left to itself, Parquet's writer makes an INT64 of a decimal of one digit.
///
/// ```
/// use strandline::columns::parquet_schema;
/// use strandline::format::{ColumnName, Field, PrimitiveType, Schema};
///
/// let id = Field::required(ColumnName::new("id")?, PrimitiveType::Long);
/// let schema = parquet_schema(&Schema::numbered(vec![id])?)?;
/// // Any engine can find the column by its field id.
/// let column = schema.root_schema().get_fields()[0].get_basic_info();
/// assert_eq!((column.name(), column.id()), ("id", 1));
/// # Ok::<(), strandline::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` for a struct without fields, which Parquet cannot hold.
pub fn parquet_schema(schema: &Schema) -> Result<SchemaDescriptor> {
    let root = fields(schema.fields())
        .and_then(|columns| ParquetType::group_type_builder(ROOT).with_fields(columns).build())
        .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()).with_source(error))?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

type Made = std::result::Result<TypePtr, ParquetError>;

fn fields(fields: &[Field]) -> std::result::Result<Vec<TypePtr>, ParquetError> {
    fields.iter().map(field).collect()
}

fn field(field: &Field) -> Made {
    match &field.ty {
        Type::Primitive(ty) => leaf(field, *ty),
        Type::Struct(members) if members.is_empty() => {
            Err(ParquetError::General(format!("{}: a struct needs a field", field.name)))
        }
        Type::Struct(members) => group(field, fields(members)?, None),
        Type::List(element) => {
            group(field, vec![repeated(LIST, fields(element.as_slice())?)?], Some(LogicalType::List))
        }
        Type::Map(pair) => {
            group(field, vec![repeated(PAIR, fields(pair.as_slice())?)?], Some(LogicalType::Map))
        }
    }
}

fn repetition(field: &Field) -> Repetition {
    if field.required { Repetition::REQUIRED } else { Repetition::OPTIONAL }
}

fn group(field: &Field, inside: Vec<TypePtr>, logical: Option<LogicalType>) -> Made {
    let builder = ParquetType::group_type_builder(field.name.as_str())
        .with_repetition(repetition(field))
        .with_logical_type(logical)
        .with_id(Some(field.id.0))
        .with_fields(inside);
    Ok(Arc::new(builder.build()?))
}

/// The group in the middle of a list or map, which is no field and has no id.
fn repeated(name: &str, inside: Vec<TypePtr>) -> Made {
    let builder =
        ParquetType::group_type_builder(name).with_repetition(Repetition::REPEATED).with_fields(inside);
    Ok(Arc::new(builder.build()?))
}

fn leaf(field: &Field, ty: PrimitiveType) -> Made {
    let (physical, logical) = types(ty);
    let mut builder = ParquetType::primitive_type_builder(field.name.as_str(), physical)
        .with_repetition(repetition(field))
        .with_logical_type(logical)
        .with_id(Some(field.id.0));
    if let Some(length) = fixed_length(ty) {
        builder = builder.with_length(length);
    }
    if let PrimitiveType::Decimal { precision, scale } = ty {
        builder = builder.with_precision(precision.into()).with_scale(scale.into());
    }
    Ok(Arc::new(builder.build()?))
}

/// The physical and the logical type [FILE-13].
fn types(ty: PrimitiveType) -> (PhysicalType, Option<LogicalType>) {
    let timestamp = |adjusted, unit| (PhysicalType::INT64, Some(LogicalType::timestamp(adjusted, unit)));
    match ty {
        PrimitiveType::Boolean => (PhysicalType::BOOLEAN, None),
        PrimitiveType::Int => (PhysicalType::INT32, None),
        PrimitiveType::Long => (PhysicalType::INT64, None),
        PrimitiveType::Float => (PhysicalType::FLOAT, None),
        PrimitiveType::Double => (PhysicalType::DOUBLE, None),
        PrimitiveType::Decimal { precision, scale } => {
            let logical = LogicalType::decimal(scale.into(), precision.into());
            (decimal(precision), Some(logical))
        }
        PrimitiveType::Date => (PhysicalType::INT32, Some(LogicalType::Date)),
        PrimitiveType::Time => (PhysicalType::INT64, Some(LogicalType::time(false, TimeUnit::MICROS))),
        PrimitiveType::Timestamp => timestamp(false, TimeUnit::MICROS),
        PrimitiveType::TimestampTz => timestamp(true, TimeUnit::MICROS),
        PrimitiveType::TimestampNs => timestamp(false, TimeUnit::NANOS),
        PrimitiveType::TimestampTzNs => timestamp(true, TimeUnit::NANOS),
        PrimitiveType::String => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        PrimitiveType::Uuid => (PhysicalType::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)),
        PrimitiveType::Fixed(_) => (PhysicalType::FIXED_LEN_BYTE_ARRAY, None),
        PrimitiveType::Binary => (PhysicalType::BYTE_ARRAY, None),
    }
}

fn decimal(precision: u8) -> PhysicalType {
    match precision {
        digits if digits <= INT32_DIGITS => PhysicalType::INT32,
        digits if digits <= INT64_DIGITS => PhysicalType::INT64,
        _ => PhysicalType::FIXED_LEN_BYTE_ARRAY,
    }
}

/// The length of a value of fixed length.
fn fixed_length(ty: PrimitiveType) -> Option<i32> {
    match ty {
        PrimitiveType::Decimal { precision, .. } if precision > INT64_DIGITS => {
            Some(decimal_length(precision))
        }
        PrimitiveType::Uuid => Some(16),
        PrimitiveType::Fixed(length) => i32::try_from(length).ok(),
        _ => None,
    }
}

/// The fewest bytes that hold every number of so many digits, and its sign.
fn decimal_length(precision: u8) -> i32 {
    let largest = 10_u128.saturating_pow(precision.into()) - 1;
    let bits = u128::BITS - largest.leading_zeros() + 1;
    i32::try_from(bits.div_ceil(8)).unwrap_or(i32::MAX)
}

#[cfg(test)]
#[path = "parquet_schema_tests.rs"]
mod tests;
