//! What a table calls an Arrow type: for new tables, and for batches that come in.
//!
//! Invariant: a type is mapped without loss or refused; the table of the mapping stands in the module's documentation. What
//! does not belong here: the conversion of values (`conform`).

use arrow::datatypes::{DataType, Field as ArrowField, FieldRef, Fields, Schema as ArrowSchema, TimeUnit};
use strandline_format::{ColumnName, Field, MAX_PRECISION, MAX_TYPE_DEPTH, PrimitiveType, Type};

use super::types::{EXTENSION, UUID_EXTENSION};
use crate::error::{Error, ErrorKind, Result};

/// The fields of a new table, yet to be numbered by [`Schema::numbered`](strandline_format::Schema::numbered). Ids in the
/// metadata are ignored: a table numbers its own fields.
///
/// # Errors
/// `InvalidInput` for names and types that no table can have. It names every one of them: path, Arrow type, and what to use
/// instead.
///
/// ```
/// use arrow::datatypes::{DataType, Field, Schema};
/// use strandline::columns::fields_from_arrow;
/// use strandline::format::{PrimitiveType, Type};
/// # use strandline::arrow;
/// let schema = Schema::new(vec![Field::new("count", DataType::UInt32, false)]);
/// assert_eq!(fields_from_arrow(&schema)?[0].ty, Type::Primitive(PrimitiveType::Long));
/// # Ok::<(), strandline::Error>(())
/// ```
pub fn fields_from_arrow(schema: &ArrowSchema) -> Result<Vec<Field>> {
    let mut reading = Reading { refused: Vec::new() };
    let fields = reading.siblings(schema.fields(), "", 0);
    if reading.refused.is_empty() {
        return Ok(fields);
    }
    let message = format!("a table cannot have these columns: {}", reading.refused.join("; "));
    Err(Error::new(ErrorKind::InvalidInput, message))
}

/// What a table makes of an Arrow type, one level of it.
pub(super) enum Shape<'a> {
    /// Single values.
    Primitive(PrimitiveType),
    /// Fields side by side.
    Struct(&'a Fields),
    /// Elements.
    List(&'a FieldRef),
    /// Keys and values.
    Map(&'a FieldRef, &'a FieldRef),
    /// Nulls of no type.
    Nulls,
}

/// What a table makes of the type of a field, or what to use instead.
pub(super) fn shape(field: &ArrowField) -> std::result::Result<Shape<'_>, &'static str> {
    Ok(match plain(field.data_type()) {
        DataType::Null => Shape::Nulls,
        DataType::Struct(members) if members.is_empty() => return Err("a struct needs a field"),
        DataType::Struct(members) => Shape::Struct(members),
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => Shape::List(element),
        DataType::Map(pair, _) => match pair.data_type() {
            DataType::Struct(parts) if parts.len() == 2 => Shape::Map(&parts[0], &parts[1]),
            _ => return Err("a map has keys and values"),
        },
        single => Shape::Primitive(primitive(single, field)?),
    })
}

/// The type of the values that a dictionary or run ends stand for.
pub(super) fn plain(mut ty: &DataType) -> &DataType {
    loop {
        ty = match ty {
            DataType::Dictionary(_, values) => values,
            DataType::RunEndEncoded(_, values) => values.data_type(),
            _ => return ty,
        }
    }
}

fn primitive(ty: &DataType, field: &ArrowField) -> std::result::Result<PrimitiveType, &'static str> {
    Ok(match ty {
        DataType::Boolean => PrimitiveType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => {
            PrimitiveType::Int
        }
        DataType::Int64 | DataType::UInt32 => PrimitiveType::Long,
        DataType::UInt64 => PrimitiveType::Decimal { precision: 20, scale: 0 },
        DataType::Float16 | DataType::Float32 => PrimitiveType::Float,
        DataType::Float64 => PrimitiveType::Double,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => decimal(*precision, *scale)?,
        DataType::Date32 | DataType::Date64 => PrimitiveType::Date,
        DataType::Time32(_) | DataType::Time64(_) => PrimitiveType::Time,
        DataType::Timestamp(TimeUnit::Nanosecond, None) => PrimitiveType::TimestampNs,
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => PrimitiveType::TimestampTzNs,
        DataType::Timestamp(_, None) => PrimitiveType::Timestamp,
        DataType::Timestamp(_, Some(_)) => PrimitiveType::TimestampTz,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => PrimitiveType::String,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => PrimitiveType::Binary,
        DataType::FixedSizeBinary(16) if is_uuid(field) => PrimitiveType::Uuid,
        DataType::FixedSizeBinary(length) => match u32::try_from(*length) {
            Ok(length) if length > 0 => PrimitiveType::Fixed(length),
            _ => return Err("use Binary for byte strings of no length"),
        },
        DataType::Duration(_) => return Err("use Int64, and say the unit in the name"),
        DataType::Interval(_) => return Err("use a struct of months, days and nanoseconds as integers"),
        DataType::Union(..) => return Err("use a struct with a nullable field for each variant"),
        _ => return Err("tables have no such type"),
    })
}

fn is_uuid(field: &ArrowField) -> bool {
    field.metadata().get(EXTENSION).is_some_and(|name| name == UUID_EXTENSION)
}

fn decimal(precision: u8, scale: i8) -> std::result::Result<PrimitiveType, &'static str> {
    if precision > MAX_PRECISION {
        return Err("use a decimal of at most 38 digits, Float64 or Utf8");
    }
    let scale = u8::try_from(scale).map_err(|_| "use a decimal without a negative scale")?;
    let ty = PrimitiveType::Decimal { precision, scale };
    ty.check().map_err(|_| "use a decimal of 1 to 38 digits, no more of them after the point")?;
    Ok(ty)
}

/// The reading of a schema: what was refused so far.
struct Reading {
    refused: Vec<String>,
}

impl Reading {
    fn siblings(&mut self, fields: &Fields, parent: &str, depth: usize) -> Vec<Field> {
        fields.iter().filter_map(|field| self.field(field, parent, depth)).collect()
    }

    fn field(&mut self, field: &ArrowField, parent: &str, depth: usize) -> Option<Field> {
        let path = format!("{parent}{}", field.name());
        let name = match ColumnName::new(field.name().as_str()) {
            Ok(name) => name,
            Err(error) => return self.refuse(error.to_string()),
        };
        let ty = self.ty(field, &path, depth)?;
        Some(if field.is_nullable() { Field::optional(name, ty) } else { Field::required(name, ty) })
    }

    fn ty(&mut self, field: &ArrowField, path: &str, depth: usize) -> Option<Type> {
        if depth >= MAX_TYPE_DEPTH {
            return self.refuse(format!("{path}: types nest deeper than {MAX_TYPE_DEPTH}"));
        }
        let inside = |name: &str| format!("{path}.{name}");
        let made = match shape(field) {
            Ok(Shape::Primitive(ty)) => return Some(ty.into()),
            Ok(Shape::Struct(members)) => {
                return Some(Type::Struct(self.siblings(members, &inside(""), depth + 1)));
            }
            Ok(Shape::List(element)) => {
                Type::list(self.ty(element, &inside("element"), depth + 1)?, !element.is_nullable())
            }
            Ok(Shape::Map(key, value)) => {
                let key = self.ty(key, &inside("key"), depth + 1);
                let of = self.ty(value, &inside("value"), depth + 1)?;
                Type::map(key?, of, !value.is_nullable())
            }
            Ok(Shape::Nulls) => return self.refuse(format!("{path} is Null: give it a type")),
            Err(instead) => {
                return self.refuse(format!("{path} is {}: {instead}", describe(field.data_type())));
            }
        };
        match made {
            Ok(ty) => Some(ty),
            Err(error) => self.refuse(format!("{path}: {error}")),
        }
    }

    fn refuse<T>(&mut self, what: String) -> Option<T> {
        self.refused.push(what);
        None
    }
}

/// An Arrow type as messages call it: nested ones by what they are, not by all that is in them.
pub(super) fn describe(ty: &DataType) -> String {
    match ty {
        DataType::Struct(_) => "Struct".to_owned(),
        DataType::Map(..) => "Map".to_owned(),
        DataType::Union(..) => "Union".to_owned(),
        DataType::List(element) => format!("List({})", describe(element.data_type())),
        DataType::LargeList(element) => format!("LargeList({})", describe(element.data_type())),
        DataType::ListView(element) => format!("ListView({})", describe(element.data_type())),
        DataType::LargeListView(element) => format!("LargeListView({})", describe(element.data_type())),
        DataType::FixedSizeList(element, size) => {
            format!("FixedSizeList({} x {size})", describe(element.data_type()))
        }
        DataType::Dictionary(_, values) => format!("Dictionary({})", describe(values)),
        DataType::RunEndEncoded(_, values) => format!("RunEndEncoded({})", describe(values.data_type())),
        single => single.to_string(),
    }
}
