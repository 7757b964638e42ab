//! UUIDs and bytes, for which text formats have no values of their own: a UUID is written as UUIDs are, bytes are hex. And decimals,
//! of which the readers of Arrow round what has more digits, and do not say where they cannot read one.
//!
//! What does not belong here: how they are written (`cells`), which this is the reverse of.

use std::sync::Arc;

use strandline::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Decimal128Array, FixedSizeBinaryBuilder, LargeBinaryArray,
    RecordBatch, RecordBatchOptions, StringArray, make_array,
};
use strandline::arrow::compute::kernels::cast_utils::parse_decimal;
use strandline::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Schema, SchemaRef};

use crate::cells::is_uuid;
use crate::failure::Failure;

/// How columns are read that are written as texts.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    schema: SchemaRef,
    read: SchemaRef,
}

impl Encoded {
    /// Texts stand for the fields of which `is_text` says so, at any depth.
    pub(super) fn of(schema: &SchemaRef, is_text: impl Fn(&Field) -> bool) -> Self {
        let fields = schema.fields().iter().map(|field| as_read(field, &is_text));
        Self { schema: Arc::clone(schema), read: Arc::new(Schema::new(fields.collect::<Vec<_>>())) }
    }

    /// What comes of it.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What is to be read.
    pub(super) fn read(&self) -> &SchemaRef {
        &self.read
    }

    /// What was read, as what it stands for. An error says in which row of its column.
    pub(super) fn decoded(&self, batch: &RecordBatch) -> Result<RecordBatch, (usize, Failure)> {
        let pairs = self.schema.fields().iter().zip(batch.columns());
        let columns = pairs.map(|(field, column)| decoded(field, column)).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| (0, Failure::from(error)))
    }
}

fn as_read(field: &FieldRef, is_text: &impl Fn(&Field) -> bool) -> FieldRef {
    if is_text(field) {
        return Arc::new(Field::new(field.name(), DataType::Utf8, true));
    }
    let inner = |inner: &FieldRef| as_read(inner, is_text);
    let ty = match field.data_type() {
        DataType::List(element) => DataType::List(inner(element)),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(ty))
}

/// Whether values of a column are bytes, or a UUID.
pub(super) fn is_bytes(field: &Field) -> bool {
    matches!(field.data_type(), DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_))
}

/// Whether they are decimals.
pub(super) fn is_decimal(field: &Field) -> bool {
    matches!(field.data_type(), DataType::Decimal128(..))
}

fn decoded(field: &FieldRef, column: &ArrayRef) -> Result<ArrayRef, (usize, Failure)> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    let inner: &[FieldRef] = match field.data_type() {
        DataType::List(inner) | DataType::Map(inner, _) => std::slice::from_ref(inner),
        DataType::Struct(fields) => fields,
        _ => return of_texts(field, column.as_string()),
    };
    let data = column.to_data();
    let parts = inner.iter().zip(data.child_data());
    let parts = parts.map(|(field, part)| Ok(decoded(field, &make_array(part.clone()))?.to_data()));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let data = data.into_builder().data_type(field.data_type().clone()).child_data(parts).build();
    data.map(make_array).map_err(|error| (0, Failure::from(error)))
}

fn of_texts(field: &FieldRef, texts: &StringArray) -> Result<ArrayRef, (usize, Failure)> {
    if let DataType::Decimal128(precision, scale) = field.data_type() {
        return decimals(field, texts, *precision, *scale);
    }
    let uuid = is_uuid(field);
    let bytes = texts.iter().enumerate().map(|(row, text)| {
        let Some(text) = text else { return Ok(None) };
        let bytes = if uuid { uuid_of(text) } else { hex(text.as_bytes()) };
        bytes.map(Some).ok_or_else(|| (row, unreadable(field, text)))
    });
    let bytes: Vec<Option<Vec<u8>>> = bytes.collect::<Result<_, _>>()?;
    let slices = bytes.iter().map(Option::as_deref);
    Ok(match field.data_type() {
        DataType::LargeBinary => Arc::new(slices.collect::<LargeBinaryArray>()),
        DataType::FixedSizeBinary(size) => {
            let mut builder = FixedSizeBinaryBuilder::with_capacity(bytes.len(), *size);
            for (row, value) in slices.enumerate() {
                let Some(value) = value else {
                    builder.append_null();
                    continue;
                };
                builder.append_value(value).map_err(|_| (row, unreadable(field, texts.value(row))))?;
            }
            Arc::new(builder.finish())
        }
        _ => Arc::new(slices.collect::<BinaryArray>()),
    })
}

fn decimals(
    field: &Field,
    texts: &StringArray,
    precision: u8,
    scale: i8,
) -> Result<ArrayRef, (usize, Failure)> {
    let value = |(row, text): (usize, Option<&str>)| {
        let Some(text) = text else { return Ok(None) };
        let value = Some(text).filter(|text| has_at_most(scale, text));
        let value = value.and_then(|text| parse_decimal::<Decimal128Type>(text, precision, scale).ok());
        value.map(Some).ok_or_else(|| (row, unreadable(field, text)))
    };
    let values: Decimal128Array = texts.iter().enumerate().map(value).collect::<Result<_, _>>()?;
    let values = values.with_precision_and_scale(precision, scale);
    values.map(|values| Arc::new(values) as ArrayRef).map_err(|error| (0, Failure::from(error)))
}

/// Whether nothing but zeros follows so many digits behind the point.
fn has_at_most(scale: i8, text: &str) -> bool {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (_, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = i64::try_from(fraction.trim_end_matches('0').len()).unwrap_or(i64::MAX);
    exponent.parse::<i64>().is_ok_and(|exponent| digits.saturating_sub(exponent) <= i64::from(scale))
}

fn unreadable(field: &Field, text: &str) -> Failure {
    let what = match field.data_type() {
        DataType::Decimal128(precision, scale) => format!("of type decimal({precision},{scale})"),
        _ if is_uuid(field) => "a UUID".to_owned(),
        DataType::FixedSizeBinary(size) => format!("{size} bytes in hex"),
        _ => "bytes in hex".to_owned(),
    };
    Failure::input(format!("column {:?}: {text:?} is not {what}", field.name()))
}

/// Groups of 8, 4, 4, 4 and 12 digits; the dashes may be missing.
fn uuid_of(text: &str) -> Option<Vec<u8>> {
    let is_grouped = text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    if !is_grouped && text.contains('-') {
        return None;
    }
    hex(text.replace('-', "").as_bytes()).filter(|bytes| bytes.len() == 16)
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |letter: u8| char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_in_either_case_and_in_whole_bytes_only() {
        assert_eq!(hex(b"0aFf"), Some(vec![10, 255]));
        assert_eq!(hex(b""), Some(Vec::new()));
        assert_eq!(hex(b"0aF"), None);
        assert_eq!(hex(b"0x"), None);
    }

    #[test]
    fn uuids_are_read_with_their_dashes_in_their_places_or_without() {
        let bytes: Vec<u8> = (0..16).map(|byte| byte * 17).collect();
        assert_eq!(uuid_of("00112233-4455-6677-8899-aabbccddeeff"), Some(bytes.clone()));
        assert_eq!(uuid_of("00112233445566778899AABBCCDDEEFF"), Some(bytes));
        assert_eq!(uuid_of("0011-22334455-6677-8899-aabbccddeeff"), None);
        assert_eq!(uuid_of("00112233-4455-6677-8899-aabbccddee"), None);
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let schema = Arc::new(Schema::new(vec![Field::new("d", DataType::Decimal128(5, 2), true)]));
        let encoded = Encoded::of(&schema, is_decimal);
        let check = |text: &str, expected: Option<i128>| {
            let texts = Arc::new(StringArray::from(vec![None, Some(text)]));
            let batch = RecordBatch::try_new(Arc::clone(encoded.read()), vec![texts]).unwrap();
            let read = encoded.decoded(&batch);
            let value =
                read.as_ref().ok().map(|read| read.column(0).as_primitive::<Decimal128Type>().value(1));
            assert_eq!(value, expected, "{text}");
            assert!(expected.is_some() || read.unwrap_err().0 == 1, "{text}");
        };
        for (text, value) in
            [("1.2", 120), ("-0.05", -5), ("1.2300", 123), ("999.99", 99999), ("5.", 500), ("1.234e1", 1234)]
        {
            check(text, Some(value));
        }
        for text in ["1.234", "1000", "1.2.3", "x", "1.23e-1", "1e"] {
            check(text, None);
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_row() {
        let schema = Arc::new(Schema::new(vec![Field::new("b", DataType::FixedSizeBinary(2), true)]));
        let encoded = Encoded::of(&schema, is_bytes);
        let texts = |texts: Vec<Option<&str>>| {
            RecordBatch::try_new(Arc::clone(encoded.read()), vec![Arc::new(StringArray::from(texts))])
                .unwrap()
        };
        let read = encoded.decoded(&texts(vec![Some("0aff"), None])).unwrap();
        assert_eq!(read.column(0).as_fixed_size_binary().value(0), [10, 255]);
        assert!(read.column(0).is_null(1));
        let (row, failure) = encoded.decoded(&texts(vec![Some("0aff"), Some("0a")])).unwrap_err();
        assert_eq!(
            (row, failure.to_string().contains("\"0a\" is not 2 bytes in hex")),
            (1, true),
            "{failure}"
        );
    }
}
