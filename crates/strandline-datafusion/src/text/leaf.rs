//! The values of a column, or of a part of one, that is filled with texts one after the other.
//!
//! Invariant: a text is one value of the column's type by `exact`, or refused. What does not belong here: columns that have
//! others in them (`ndjson`).

use std::sync::Arc;

use strandline::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder,
    PrimitiveBuilder, StringBuilder, make_array,
};
use strandline::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int32Type, Int64Type,
    Schema,
};
use strandline::arrow::error::ArrowError;
use strandline::columns::fields_from_arrow;
use strandline::format::Type;

use super::Misread;
use super::exact::{Exact, Why, boolean, bytes, numbers, times};
use crate::compared::is_uuid;

/// As many letters of a value are said.
const SHOWN: usize = 100;

/// How a value stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In quotes, or where there are only texts.
    Text,
    /// A number or a word of JSON.
    Bare,
}

/// Values of one type.
pub(super) struct Leaf {
    field: FieldRef,
    values: Box<dyn Values>,
}

impl Leaf {
    /// None yet. A type that is no single value is an error.
    pub(super) fn of(field: &FieldRef) -> Result<Self, Misread> {
        let values = values(field).ok_or_else(|| {
            Misread::new(format!("column {:?} is of type {}", field.name(), field.data_type()))
        })?;
        Ok(Self { field: FieldRef::clone(field), values })
    }

    /// Whether one of its values has no letters.
    pub(super) fn has_empty(&self) -> bool {
        matches!(self.field.data_type(), DataType::Utf8 | DataType::Binary)
    }

    pub(super) fn push(&mut self, text: &str, form: Form) -> Exact<()> {
        self.values.push(text, form)
    }

    pub(super) fn null(&mut self) {
        self.values.null();
    }

    /// What came since the last time.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let array = self.values.finish();
        if array.data_type() == self.field.data_type() {
            return Ok(array);
        }
        // The same bytes, with the zone or the digits of the column.
        let data = array.to_data().into_builder().data_type(self.field.data_type().clone());
        data.build().map(make_array)
    }

    pub(super) fn field(&self) -> &FieldRef {
        &self.field
    }
}

/// What is said of a value that is refused.
pub(super) fn refused(field: &Field, value: &str, why: Why) -> String {
    let shown: String = value.chars().take(SHOWN).collect();
    let rest = if shown.len() < value.len() { "…" } else { "" };
    format!("{shown:?}{rest} is not {}{}", type_of(field), why.said())
}

/// What a table calls the type of a column.
fn type_of(field: &Field) -> String {
    match field.data_type() {
        DataType::FixedSizeBinary(_) if is_uuid(field) => return "a UUID".to_owned(),
        DataType::FixedSizeBinary(size) => return format!("{size} bytes in hex"),
        DataType::Binary => return "bytes in hex".to_owned(),
        _ => {}
    }
    let fields = fields_from_arrow(&Schema::new(vec![field.clone()])).unwrap_or_default();
    match fields.first().map(|field| &field.ty) {
        Some(Type::Primitive(ty)) => format!("of type {ty}"),
        _ => format!("of type {}", field.data_type()),
    }
}

trait Values: Send {
    fn push(&mut self, text: &str, form: Form) -> Exact<()>;
    fn null(&mut self);
    fn finish(&mut self) -> ArrayRef;
}

/// For the types that tables have, and the times of whole seconds that are inferred.
fn values(field: &Field) -> Option<Box<dyn Values>> {
    Some(match field.data_type() {
        DataType::Boolean => Box::new(Booleans(BooleanBuilder::new())),
        DataType::Int32 => parsed::<Int32Type>(numbers::int),
        DataType::Int64 => parsed::<Int64Type>(numbers::long),
        DataType::Float32 => parsed::<Float32Type>(numbers::float::<f32>),
        DataType::Float64 => parsed::<Float64Type>(numbers::float::<f64>),
        &DataType::Decimal128(precision, scale) => {
            parsed::<Decimal128Type>(move |text| numbers::decimal(text, precision, scale))
        }
        DataType::Date32 => parsed::<Date32Type>(times::date),
        DataType::Time64(_) => parsed::<Int64Type>(times::time_of_day),
        DataType::Timestamp(unit, zone) => {
            let (unit, zoned) = (*unit, zone.is_some());
            parsed::<Int64Type>(move |text| times::timestamp(text, unit, zoned))
        }
        DataType::Utf8 => Box::new(Texts(StringBuilder::new())),
        DataType::Binary => Box::new(Bytes(BinaryBuilder::new())),
        &DataType::FixedSizeBinary(size) => {
            let parse = if is_uuid(field) { bytes::uuid } else { bytes::hex };
            Box::new(FixedBytes { builder: FixedSizeBinaryBuilder::new(size), parse })
        }
        _ => return None,
    })
}

fn parsed<T: ArrowPrimitiveType>(
    parse: impl Fn(&str) -> Exact<T::Native> + Send + 'static,
) -> Box<dyn Values> {
    Box::new(Parsed { builder: PrimitiveBuilder::<T>::new(), parse })
}

/// What is a number for Arrow.
struct Parsed<T: ArrowPrimitiveType, F> {
    builder: PrimitiveBuilder<T>,
    parse: F,
}

impl<T: ArrowPrimitiveType, F: Fn(&str) -> Exact<T::Native> + Send> Values for Parsed<T, F> {
    fn push(&mut self, text: &str, _: Form) -> Exact<()> {
        self.builder.append_value((self.parse)(text)?);
        Ok(())
    }

    fn null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

struct Booleans(BooleanBuilder);

impl Values for Booleans {
    fn push(&mut self, text: &str, _: Form) -> Exact<()> {
        self.0.append_value(boolean(text)?);
        Ok(())
    }

    fn null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Texts, and numbers and words of JSON as they are written.
struct Texts(StringBuilder);

impl Values for Texts {
    fn push(&mut self, text: &str, _: Form) -> Exact<()> {
        fits(self.0.values_slice().len(), text.len())?;
        self.0.append_value(text);
        Ok(())
    }

    fn null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Bytes in hex. The digits of a number are none.
struct Bytes(BinaryBuilder);

impl Values for Bytes {
    fn push(&mut self, text: &str, form: Form) -> Exact<()> {
        let bytes = quoted(text, form).and_then(bytes::hex)?;
        fits(self.0.values_slice().len(), bytes.len())?;
        self.0.append_value(bytes);
        Ok(())
    }

    fn null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// The same, a certain number of them.
struct FixedBytes {
    builder: FixedSizeBinaryBuilder,
    parse: fn(&str) -> Exact<Vec<u8>>,
}

impl Values for FixedBytes {
    fn push(&mut self, text: &str, form: Form) -> Exact<()> {
        let bytes = quoted(text, form).and_then(self.parse)?;
        self.builder.append_value(bytes).map_err(|_| Why::Other)
    }

    fn null(&mut self) {
        self.builder.append_null();
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.builder.finish())
    }
}

fn quoted(text: &str, form: Form) -> Exact<&str> {
    if form == Form::Text { Ok(text) } else { Err(Why::Other) }
}

/// Offsets have 31 bits.
fn fits(length: usize, more: usize) -> Exact<()> {
    i32::try_from(length.saturating_add(more)).map(drop).map_err(|_| Why::Long)
}

#[cfg(test)]
mod tests {
    use strandline::arrow::datatypes::TimeUnit;
    use strandline::arrow::util::display::array_value_to_string;

    use super::*;

    fn check(ty: &DataType, text: &str, form: Form, expected: Exact<&str>) {
        let mut leaf = Leaf::of(&Arc::new(Field::new("c", ty.clone(), true))).unwrap();
        leaf.null();
        let pushed = leaf.push(text, form);
        let array = leaf.finish().unwrap();
        assert_eq!((array.data_type(), array.is_null(0)), (ty, true));
        let value = pushed.map(|()| array_value_to_string(&array, 1).unwrap());
        assert_eq!(value, expected.map(str::to_owned), "{ty} {text}");
    }

    #[test]
    fn each_type_takes_what_it_keeps() {
        use DataType::{Binary, Boolean, Date32, Decimal128, FixedSizeBinary, Float32, Int32, Utf8};
        let text = |ty: &DataType, text, expected| check(ty, text, Form::Text, expected);
        text(&Boolean, "TRUE", Ok("true"));
        text(&Boolean, "yes", Err(Why::Other));
        text(&Int32, "2147483648", Err(Why::Other));
        text(&Float32, "0.1", Ok("0.1"));
        text(&Decimal128(5, 2), "1.5", Ok("1.50"));
        text(&Date32, "2026-01-31", Ok("2026-01-31"));
        text(&DataType::Time64(TimeUnit::Microsecond), "10:00:00.5", Ok("10:00:00.500"));
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        text(&utc, "2026-01-01T02:00:00+02:00", Ok("2026-01-01T00:00:00Z"));
        text(&utc, "2026-01-01T02:00:00", Err(Why::NoOffset));
        text(&Utf8, " 007\0", Ok(" 007\0"));
        text(&Binary, "", Ok(""));
        text(&Binary, "0aFF", Ok("0aff"));
        text(&FixedSizeBinary(2), "0aff", Ok("0aff"));
        text(&FixedSizeBinary(2), "0a", Err(Why::Other));
    }

    #[test]
    fn a_number_of_json_is_no_bytes_and_no_time() {
        let bare = |ty: &DataType, text, expected| check(ty, text, Form::Bare, expected);
        bare(&DataType::Utf8, "1.50", Ok("1.50"));
        bare(&DataType::Int64, "1.0", Ok("1"));
        bare(&DataType::Int64, "31.9", Err(Why::Finer));
        bare(&DataType::Binary, "1234", Err(Why::Other));
        bare(&DataType::FixedSizeBinary(2), "1234", Err(Why::Other));
        bare(&DataType::Date32, "20454", Err(Why::Other));
        bare(&DataType::Timestamp(TimeUnit::Microsecond, None), "1700000000", Err(Why::Other));
        bare(&DataType::Int64, "true", Err(Why::Other));
        bare(&DataType::Boolean, "1", Err(Why::Other));
    }

    #[test]
    fn what_is_refused_is_said_with_its_type() {
        let field = Field::new("c", DataType::Timestamp(TimeUnit::Microsecond, None), true);
        let said = refused(&field, "2026-01-01T00:00:00Z", Why::Offset);
        let expected =
            "\"2026-01-01T00:00:00Z\" is not of type timestamp: it has an offset, and the type has none";
        assert_eq!(said, expected);
        let long = refused(&Field::new("c", DataType::Binary, true), &"ä".repeat(200), Why::Other);
        assert!(long.contains(&format!("\"{}\"… is not bytes in hex", "ä".repeat(100))), "{long}");
    }
}
