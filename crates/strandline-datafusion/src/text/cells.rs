//! The values of a batch as text, and as what JSON has a form for.
//!
//! Invariant: what has the same value has the same text in every form of output. What does not belong here: how rows are
//! laid out.

use std::sync::Arc;

use strandline::arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, ListLikeArray, MapArray, RecordBatch, StringArray,
};
use strandline::arrow::datatypes::{DataType, FieldRef};
use strandline::arrow::error::ArrowError;
use strandline::arrow::json::writer::{NullableEncoder, make_encoder};
use strandline::arrow::json::{Encoder, EncoderFactory, EncoderOptions};
use strandline::arrow::util::display::FormatOptions;
use strandline::columns::ValueTexts;

use crate::compared::{is_uuid, written};

/// The values of one batch as text, each null or what it says.
#[derive(Debug)]
pub struct Cells(Vec<StringArray>);

impl Cells {
    /// The values of a batch.
    ///
    /// # Errors
    /// Values that have no form as text.
    pub fn of(batch: &RecordBatch) -> Result<Self, ArrowError> {
        Self::with(batch, &FormatOptions::default())
    }

    /// The same, in these forms.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(super) fn with(batch: &RecordBatch, options: &FormatOptions<'_>) -> Result<Self, ArrowError> {
        let fields = batch.schema();
        let columns = fields.fields().iter().zip(batch.columns());
        Ok(Self(columns.map(|(field, column)| text_of(field, column, options)).collect::<Result<_, _>>()?))
    }

    /// The values of one row.
    #[must_use]
    pub fn row(&self, row: usize) -> Vec<Option<String>> {
        let value = |column: &StringArray| column.is_valid(row).then(|| column.value(row).to_owned());
        self.0.iter().map(value).collect()
    }
}

/// A column as text: nested values are JSON.
pub(super) fn text_of(
    field: &FieldRef,
    column: &ArrayRef,
    options: &FormatOptions<'_>,
) -> Result<StringArray, ArrowError> {
    if column.data_type().is_nested() {
        return json_of(field, column);
    }
    if is_uuid(field) {
        return Ok(column.as_fixed_size_binary().iter().map(|value| value.map(written)).collect());
    }
    let texts = ValueTexts::of(column, options)?;
    let nothing = column.data_type().is_null();
    let value = |row| (!nothing && column.is_valid(row)).then(|| texts.text(row)).transpose();
    (0..column.len()).map(value).collect()
}

fn json_of(field: &FieldRef, column: &ArrayRef) -> Result<StringArray, ArrowError> {
    let options = EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(Texts));
    let mut encoder = make_encoder(field, column, &options)?;
    let mut value = |row| {
        if column.is_null(row) || column.data_type().is_null() {
            return Ok(None);
        }
        let mut text = Vec::new();
        encoder.encode(row, &mut text);
        String::from_utf8(text).map(Some).map_err(|error| ArrowError::JsonError(error.to_string()))
    };
    (0..column.len()).map(&mut value).collect()
}

/// Writes as texts in JSON what has no value there: UUIDs, times, decimals, which most readers of numbers would round, and keys of maps, whatever they are.
#[derive(Debug)]
pub struct Texts;

impl EncoderFactory for Texts {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> std::result::Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            _ if is_uuid(field) => Box::new(Uuids(array.as_fixed_size_binary())),
            ty if ty.is_decimal() || ty.is_temporal() => {
                Box::new(Quoted(ValueTexts::of(array, &FormatOptions::default())?))
            }
            // Arrow would ask for the elements by the field of the list.
            DataType::List(element) => Box::new(Lists::of(array.as_list::<i32>(), element, options)?),
            DataType::LargeList(element) => Box::new(Lists::of(array.as_list::<i64>(), element, options)?),
            DataType::FixedSizeList(element, _) => {
                Box::new(Lists::of(array.as_fixed_size_list(), element, options)?)
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => match fields.as_ref() {
                    [key, value] => Box::new(Maps::of(array.as_map(), key, value, options)?),
                    _ => return Ok(None),
                },
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct Uuids<'a>(&'a FixedSizeBinaryArray);

impl Encoder for Uuids<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("\"{}\"", written(self.0.value(row))).as_bytes());
    }
}

/// Lists whose elements are told by a field of their own.
struct Lists<'a, L> {
    lists: &'a L,
    elements: NullableEncoder<'a>,
}

impl<'a, L: ListLikeArray> Lists<'a, L> {
    fn of(
        lists: &'a L,
        element: &'a FieldRef,
        options: &'a EncoderOptions,
    ) -> std::result::Result<Self, ArrowError> {
        Ok(Self { lists, elements: make_encoder(element, lists.values().as_ref(), options)? })
    }
}

impl<L: ListLikeArray> Encoder for Lists<'_, L> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let places = self.lists.element_range(row);
        out.push(b'[');
        for at in places.clone() {
            if at > places.start {
                out.push(b',');
            }
            encode_or_null(&mut self.elements, at, out);
        }
        out.push(b']');
    }
}

fn encode_or_null(values: &mut NullableEncoder<'_>, at: usize, out: &mut Vec<u8>) {
    match values.is_null(at) {
        true => out.extend_from_slice(b"null"),
        false => values.encode(at, out),
    }
}

/// Maps as objects.
struct Maps<'a> {
    map: &'a MapArray,
    keys: StringArray,
    values: NullableEncoder<'a>,
}

impl<'a> Maps<'a> {
    fn of(
        map: &'a MapArray,
        key: &'a FieldRef,
        value: &'a FieldRef,
        options: &'a EncoderOptions,
    ) -> std::result::Result<Self, ArrowError> {
        let keys = text_of(key, map.keys(), &FormatOptions::default())?;
        Ok(Self { map, keys, values: make_encoder(value, map.values(), options)? })
    }
}

impl Encoder for Maps<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let offsets = self.map.value_offsets();
        let place = |row| offsets.get(row).and_then(|place| usize::try_from(*place).ok()).unwrap_or_default();
        let (from, to) = (place(row), place(row + 1));
        out.push(b'{');
        for at in from..to {
            if at > from {
                out.push(b',');
            }
            out.extend_from_slice(serde_json::Value::from(self.keys.value(at)).to_string().as_bytes());
            out.push(b':');
            encode_or_null(&mut self.values, at, out);
        }
        out.push(b'}');
    }
}

/// What has nothing in it that JSON would escape, in forms that all values have.
struct Quoted<'a>(ValueTexts<'a>);

impl Encoder for Quoted<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("\"{}\"", self.0.text(row).unwrap_or_default()).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strandline::arrow::array::builder::{Int64Builder, MapBuilder, StringBuilder};
    use strandline::arrow::array::{
        Date32Array, Decimal128Array, Int64Array, ListArray, StructArray, TimestampMicrosecondArray,
    };
    use strandline::arrow::buffer::OffsetBuffer;
    use strandline::arrow::datatypes::{Field, Int64Type, Schema};

    #[test]
    fn nested_values_are_json_and_nulls_are_nothing() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
        let numbers = Int64Array::from(vec![None, Some(7)]);
        let batch =
            RecordBatch::try_from_iter([("l", Arc::new(lists) as ArrayRef), ("n", Arc::new(numbers) as _)]);
        let cells = Cells::of(&batch.unwrap()).unwrap();
        assert_eq!(cells.row(0), [Some("[1,null]".to_owned()), None]);
        assert_eq!(cells.row(1), [None, Some("7".to_owned())]);
    }

    #[test]
    fn keys_of_maps_are_texts_whatever_they_are() {
        let mut maps = MapBuilder::new(None, Int64Builder::new(), StringBuilder::new());
        maps.keys().append_value(7);
        maps.values().append_value("a\"b");
        maps.keys().append_value(-1);
        maps.values().append_null();
        maps.append(true).unwrap();
        maps.append(false).unwrap();
        let batch = RecordBatch::try_from_iter([("m", Arc::new(maps.finish()) as ArrayRef)]).unwrap();
        let cells = Cells::of(&batch).unwrap();
        assert_eq!(cells.row(0), [Some(r#"{"7":"a\"b","-1":null}"#.to_owned())]);
        assert_eq!(cells.row(1), [None]);
    }

    #[test]
    fn uuids_are_written_as_uuids() {
        let bytes = FixedSizeBinaryArray::try_from_iter([[0xab; 16]].into_iter()).unwrap();
        let field = Field::new("id", DataType::FixedSizeBinary(16), false);
        let metadata = [("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into();
        let schema = Schema::new(vec![field.with_metadata(metadata)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(bytes)]).unwrap();
        let cells = Cells::of(&batch).unwrap();
        assert_eq!(cells.row(0), [Some("abababab-abab-abab-abab-abababababab".to_owned())]);
    }

    fn lists_of(element: FieldRef, values: ArrayRef) -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        Arc::new(ListArray::new(element, offsets, values, None))
    }

    #[test]
    fn elements_of_lists_are_what_their_own_field_says() {
        let bytes = FixedSizeBinaryArray::try_from_iter([[0xab; 16]].into_iter()).unwrap();
        let id = Field::new("element", DataType::FixedSizeBinary(16), true);
        let id =
            Arc::new(id.with_metadata([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into()));
        let list = lists_of(id, Arc::new(bytes));
        let of_lists = Arc::new(Field::new_list_field(list.data_type().clone(), true));
        let lists = lists_of(of_lists, Arc::clone(&list));
        let cells = Cells::of(&RecordBatch::try_from_iter([("l", list), ("ll", lists)]).unwrap()).unwrap();
        let one = "[\"abababab-abab-abab-abab-abababababab\"]";
        assert_eq!(cells.row(0), [Some(one.to_owned()), Some(format!("[{one}]"))]);
    }

    #[test]
    fn the_last_times_that_there_are_have_texts_at_any_depth() {
        let day: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX]));
        let time: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX]).with_timezone("UTC"));
        let of = |array: &ArrayRef| {
            let element = Field::new_list_field(array.data_type().clone(), true);
            lists_of(Arc::new(element), Arc::clone(array))
        };
        let columns =
            [("d", Arc::clone(&day)), ("t", Arc::clone(&time)), ("ld", of(&day)), ("lt", of(&time))];
        let cells = Cells::of(&RecordBatch::try_from_iter(columns).unwrap()).unwrap();
        let (day, time) = ("+5881580-07-11", "+294247-01-10T04:00:54.775807Z");
        let expected = [day.to_owned(), time.to_owned(), format!("[\"{day}\"]"), format!("[\"{time}\"]")];
        assert_eq!(cells.row(0), expected.map(Some));
    }

    #[test]
    fn within_nested_values_uuids_and_decimals_are_texts() {
        let ids = FixedSizeBinaryArray::try_from_iter([[0xab; 16]].into_iter()).unwrap();
        let id = Field::new("id", DataType::FixedSizeBinary(16), false);
        let id = id.with_metadata([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into());
        let amounts = Decimal128Array::from(vec![-1205]).with_precision_and_scale(9, 2).unwrap();
        let amount = Field::new("amount", DataType::Decimal128(9, 2), true);
        let pairs: [(FieldRef, ArrayRef); 2] =
            [(Arc::new(id), Arc::new(ids)), (Arc::new(amount), Arc::new(amounts))];
        let batch =
            RecordBatch::try_from_iter([("s", Arc::new(StructArray::from(pairs.to_vec())) as ArrayRef)]);
        let cells = Cells::of(&batch.unwrap()).unwrap();
        let text = r#"{"id":"abababab-abab-abab-abab-abababababab","amount":"-12.05"}"#;
        assert_eq!(cells.row(0), [Some(text.to_owned())]);
    }
}
