//! The canonical Arrow schema of a table.
//!
//! Invariants: every field, nested ones too, carries its id where Parquet's writer looks for it [FILE-12]; nullability is that
//! of the table. What does not belong here: Arrow types that no table has (`from_arrow`).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{
    DataType, Field as ArrowField, FieldRef, Fields, Schema as ArrowSchema, SchemaRef, TimeUnit,
};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use strandline_format::{Field, PrimitiveType, Schema, Type};

/// The zone of all times that have one.
pub(super) const UTC: &str = "UTC";

/// The metadata that names an extension type, and the name of that of UUIDs: what makes Parquet's writer say UUID.
pub(super) const EXTENSION: &str = "ARROW:extension:name";
pub(super) const UUID_EXTENSION: &str = "arrow.uuid";

/// What the pairs of a map are called between the map and its parts.
pub(super) const PAIR: &str = "key_value";

/// The canonical Arrow schema of a table: of what it is written in, and of what scans give.
///
/// ```
/// use arrow::datatypes::DataType;
/// use strandline::columns::arrow_schema;
/// use strandline::format::{ColumnName, Field, PrimitiveType, Schema};
/// # use strandline::arrow;
/// let schema = Schema::numbered(vec![Field::required(ColumnName::new("id")?, PrimitiveType::Long)])?;
/// let arrow = arrow_schema(&schema);
/// assert_eq!(arrow.field(0).data_type(), &DataType::Int64);
/// assert_eq!(arrow.field(0).metadata()["PARQUET:field_id"], "1");
/// # Ok::<(), strandline::format::Error>(())
/// ```
#[must_use]
pub fn arrow_schema(schema: &Schema) -> SchemaRef {
    Arc::new(ArrowSchema::new(fields(schema.fields())))
}

/// The canonical Arrow field of a table's field, with all that is nested in it.
///
/// ```
/// use strandline::arrow::datatypes::DataType;
/// use strandline::columns::arrow_field;
/// use strandline::format::{ColumnName, Field, PrimitiveType};
///
/// let field = arrow_field(&Field::required(ColumnName::new("placed")?, PrimitiveType::Date));
/// assert_eq!((field.name().as_str(), field.data_type(), field.is_nullable()), ("placed", &DataType::Date32, false));
/// # Ok::<(), strandline::Error>(())
/// ```
#[must_use]
pub fn arrow_field(field: &Field) -> ArrowField {
    let mut metadata = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), field.id.to_string())]);
    if field.ty == Type::Primitive(PrimitiveType::Uuid) {
        metadata.insert(EXTENSION.to_owned(), UUID_EXTENSION.to_owned());
    }
    ArrowField::new(field.name.as_str(), arrow_type(&field.ty), !field.required).with_metadata(metadata)
}

/// The canonical Arrow type of a table's type, with all that is nested in it.
///
/// ```
/// use strandline::arrow::datatypes::DataType;
/// use strandline::columns::arrow_type;
/// use strandline::format::{PrimitiveType, Type};
///
/// let price = Type::Primitive(PrimitiveType::Decimal { precision: 9, scale: 2 });
/// assert_eq!(arrow_type(&price), DataType::Decimal128(9, 2));
/// ```
#[must_use]
pub fn arrow_type(ty: &Type) -> DataType {
    match ty {
        Type::Primitive(ty) => primitive(*ty),
        Type::Struct(members) => DataType::Struct(fields(members)),
        Type::List(element) => DataType::List(field_ref(&element[0])),
        Type::Map(pair) => DataType::Map(pair_field(fields(pair.as_slice())), false),
    }
}

/// The field of a map's pairs, which has no id of its own.
pub(super) fn pair_field(pair: Fields) -> FieldRef {
    Arc::new(ArrowField::new(PAIR, DataType::Struct(pair), false))
}

pub(super) fn fields(fields: &[Field]) -> Fields {
    fields.iter().map(field_ref).collect()
}

fn field_ref(field: &Field) -> FieldRef {
    Arc::new(arrow_field(field))
}

pub(super) fn primitive(ty: PrimitiveType) -> DataType {
    match ty {
        PrimitiveType::Boolean => DataType::Boolean,
        PrimitiveType::Int => DataType::Int32,
        PrimitiveType::Long => DataType::Int64,
        PrimitiveType::Float => DataType::Float32,
        PrimitiveType::Double => DataType::Float64,
        // A scale is at most 38 [VAL-2], a length at most what 31 bits hold: neither conversion ever falls back.
        PrimitiveType::Decimal { precision, scale } => {
            DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
        }
        PrimitiveType::Date => DataType::Date32,
        PrimitiveType::Time => DataType::Time64(TimeUnit::Microsecond),
        PrimitiveType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        PrimitiveType::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        PrimitiveType::TimestampNs => DataType::Timestamp(TimeUnit::Nanosecond, None),
        PrimitiveType::TimestampTzNs => DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())),
        PrimitiveType::String => DataType::Utf8,
        PrimitiveType::Uuid => DataType::FixedSizeBinary(16),
        PrimitiveType::Fixed(length) => DataType::FixedSizeBinary(i32::try_from(length).unwrap_or(i32::MAX)),
        PrimitiveType::Binary => DataType::Binary,
    }
}

#[cfg(test)]
#[path = "types_tests.rs"]
mod tests;
