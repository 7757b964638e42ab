//! Columns as they take the least memory, until the rows that nobody wants are gone: texts as what they refer to a dictionary by, decimals of few
//! digits in eight bytes.
//!
//! Why: to move rows together takes as long as what they have is long, and short texts are copied out of a dictionary here in a fraction of
//! the time that the Parquet reader takes. Invariants: what comes out is what the reader would have given; a column is asked for by dictionary only where
//! all of its pages refer to a small one, since the reader makes a dictionary of anything else, and of a large one entries are copied that no row
//! has. What does not belong here: types of the table (`leaf`).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, GenericByteArray, Int32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{
    ArrowNativeType, BinaryType, ByteArrayType, DataType, Decimal64Type, Field, FieldRef, Fields, Int32Type,
    Schema, Utf8Type,
};
use arrow::error::ArrowError;
use parquet::basic::{ConvertedType, Encoding, PageType, Type as PhysicalType};
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats, ParquetMetaData};

use super::shape::Node;

/// Texts of a dictionary with more entries than one for so many rows are left to Arrow.
const ROWS_PER_TEXT: usize = 4;

/// How many bytes texts have that are copied as if all had as many; longer ones are left to Arrow.
const SHORT: usize = 16;
const LONG: usize = 32;

/// How many bytes a small dictionary takes in its file, compressed, at most.
const SMALL_DICTIONARY: i64 = 16 << 10;

/// How the reader is to give a file's columns, of which these row groups are read.
pub(super) fn narrow(
    fields: &[FieldRef],
    columns: &[Node],
    footer: &ParquetMetaData,
    groups: &[usize],
) -> Schema {
    let chunks = |leaf: usize| {
        groups.iter().filter_map(move |group| footer.row_groups().get(*group)?.columns().get(leaf))
    };
    let narrowed = |(field, node): (&FieldRef, &Node)| match field.data_type() {
        ty @ (DataType::Utf8 | DataType::Binary)
            if chunks(node.leaves.start).all(|chunk| refers_to_few(chunk, ty)) =>
        {
            let ty = DataType::Dictionary(Box::new(DataType::Int32), Box::new(field.data_type().clone()));
            Arc::new(Field::clone(field).with_data_type(ty))
        }
        DataType::Decimal128(digits, after) if chunks(node.leaves.start).all(has_eight_bytes) => {
            Arc::new(Field::clone(field).with_data_type(DataType::Decimal64(*digits, *after)))
        }
        _ => Arc::clone(field),
    };
    Schema::new(fields.iter().zip(columns).map(narrowed).collect::<Fields>())
}

/// Whether all pages of a chunk refer to its dictionary, and that is small and of this type to the reader, which goes by the converted type.
fn refers_to_few(chunk: &ColumnChunkMetaData, ty: &DataType) -> bool {
    let is_text = chunk.column_descr().converted_type() == ConvertedType::UTF8;
    let small = |start: i64| chunk.data_page_offset().saturating_sub(start) <= SMALL_DICTIONARY;
    if is_text != (*ty == DataType::Utf8) || !chunk.dictionary_page_offset().is_some_and(small) {
        return false;
    }
    let refers = |page: &PageEncodingStats| {
        matches!(page.encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY)
            || page.page_type == PageType::DICTIONARY_PAGE
            || page.count == 0
    };
    chunk.page_encoding_stats().is_some_and(|pages| pages.iter().all(refers))
}

fn has_eight_bytes(chunk: &ColumnChunkMetaData) -> bool {
    chunk.column_type() == PhysicalType::INT64
}

/// What texts become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Texts {
    Plain,
    Views,
}

/// A column as the reader would have given it otherwise.
///
/// # Errors
/// Those of Arrow: none of an array that is valid.
pub(super) fn widened(column: &ArrayRef, to: Texts) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Dictionary(key, _) if **key == DataType::Int32 => {
            let column = column.as_dictionary::<Int32Type>();
            texts(column.keys(), column.values(), to)
        }
        DataType::Decimal64(digits, after) => {
            let wide: Decimal128Array = column.as_primitive::<Decimal64Type>().unary(i128::from);
            Ok(Arc::new(wide.with_precision_and_scale(*digits, *after)?))
        }
        _ => Ok(Arc::clone(column)),
    }
}

/// The texts that keys of a dictionary refer to.
///
/// # Errors
/// Those of Arrow: none of keys that the dictionary has.
pub(super) fn texts(keys: &Int32Array, texts: &ArrayRef, to: Texts) -> Result<ArrayRef, ArrowError> {
    let copied = match (texts.data_type(), to) {
        (DataType::Utf8, Texts::Plain) => copied(keys, texts.as_bytes::<Utf8Type>())?,
        (DataType::Binary, Texts::Plain) => copied(keys, texts.as_bytes::<BinaryType>())?,
        (DataType::Utf8, Texts::Views) => return take(&cast(texts, &DataType::Utf8View)?, keys, None),
        (DataType::Binary, Texts::Views) => return take(&cast(texts, &DataType::BinaryView)?, keys, None),
        _ => None,
    };
    copied.map_or_else(|| take(texts, keys, None), Ok)
}

/// The texts, unless they are such as are left to Arrow.
fn copied<T: ByteArrayType<Offset = i32>>(
    keys: &Int32Array,
    texts: &GenericByteArray<T>,
) -> Result<Option<ArrayRef>, ArrowError> {
    let longest = texts.offsets().lengths().max().unwrap_or(0);
    let are_few = texts.len().saturating_mul(ROWS_PER_TEXT) <= keys.len();
    let fits = keys.len().saturating_mul(LONG) <= i32::MAX.as_usize();
    if !are_few || !fits || longest > LONG || keys.null_count() > 0 || texts.null_count() > 0 {
        return Ok(None);
    }
    let copied = match longest {
        0..=SHORT => copies::<T, SHORT>(keys.values(), texts)?,
        _ => copies::<T, LONG>(keys.values(), texts)?,
    };
    Ok(Some(Arc::new(copied)))
}

/// Texts of at most so many bytes, each copied as if it had as many: what is too much is written over by the next one.
fn copies<T: ByteArrayType<Offset = i32>, const MOST: usize>(
    keys: &[i32],
    texts: &GenericByteArray<T>,
) -> Result<GenericByteArray<T>, ArrowError> {
    let padded = |text: &[u8]| {
        let mut padded = [0; MOST];
        padded[..text.len()].copy_from_slice(text);
        (padded, text.len())
    };
    let padded: Vec<([u8; MOST], usize)> =
        (0..texts.len()).map(|at| padded(texts.value(at).as_ref())).collect();
    let lengths = OffsetBuffer::<i32>::from_lengths(keys.iter().map(|key| padded[key.as_usize()].1));
    let mut bytes = Vec::with_capacity(lengths[keys.len()].as_usize() + MOST);
    for key in keys {
        let (text, length) = &padded[key.as_usize()];
        bytes.extend_from_slice(text);
        bytes.truncate(bytes.len() - (MOST - length));
    }
    GenericByteArray::try_new(lengths, bytes.into(), None)
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryArray, Decimal128Array, Int64Array, RecordBatch, StringArray};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
    };
    use parquet::file::properties::WriterProperties;
    use strandline_format::FieldId;

    use super::*;

    #[test]
    fn texts_are_what_arrow_would_take() {
        let check = |texts: ArrayRef, keys: Vec<Option<i32>>| {
            let keys = Int32Array::from(keys);
            let expected = take(&texts, &keys, None).unwrap();
            assert_eq!(&super::texts(&keys, &texts, Texts::Plain).unwrap(), &expected);
            let views = super::texts(&keys, &texts, Texts::Views).unwrap();
            assert!(matches!(views.data_type(), DataType::Utf8View | DataType::BinaryView));
            assert_eq!(&cast(&views, texts.data_type()).unwrap(), &expected);
        };
        for lengths in [&[0][..], &[1, 0, 16], &[17, 3], &[32, 1, 32], &[33, 0], &[16, 17, 31]] {
            let one = |(at, length): (usize, &usize)| "abcdefgh".repeat(5)[at..at + length].to_owned();
            let texts: Vec<String> = lengths.iter().enumerate().map(one).collect();
            let count = i32::try_from(texts.len()).unwrap();
            for rows in [0, 1, 11, 12, 500] {
                let keys = |nulls: bool| {
                    (0..rows).map(|row| (!nulls || row % 5 != 1).then_some(row * row % count)).collect()
                };
                for nulls in [false, true] {
                    check(Arc::new(StringArray::from(texts.clone())), keys(nulls));
                    check(Arc::new(BinaryArray::from_iter_values(texts.iter())), keys(nulls));
                }
            }
        }
        let letters: ArrayRef = Arc::new(StringArray::from(vec!["é", "ß€", "", "𝄞"]));
        check(letters, (0..100).map(|row| Some(row % 4)).collect());
        let none: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a")]));
        check(none, (0..100).map(|row| Some(row % 2)).collect());
    }

    #[test]
    fn decimals_get_their_digits_back() {
        let wide = Decimal128Array::from(vec![Some(-123), None, Some(999_999_999_999_999)]);
        let wide: ArrayRef = Arc::new(wide.with_precision_and_scale(15, 2).unwrap());
        let narrow = cast(&wide, &DataType::Decimal64(15, 2)).unwrap();
        assert_eq!(&widened(&narrow, Texts::Plain).unwrap(), &wide);
        assert_eq!(&widened(&wide, Texts::Plain).unwrap(), &wide);
    }

    /// A file of 3,000 rows with few texts, with so many that their dictionary becomes too large, decimals of few and of many digits, and numbers.
    fn file() -> (RecordBatch, Bytes) {
        let few = StringArray::from_iter_values((0..3_000).map(|row| ["FOB", "AIR", "é"][row % 3]));
        let many = StringArray::from_iter_values((0..3_000).map(|row| format!("{row:020}")));
        let decimals = |digits| {
            let values = Decimal128Array::from_iter_values((0..3_000).map(|row| row * 7 - 4_000));
            Arc::new(values.with_precision_and_scale(digits, 2).unwrap())
        };
        let columns: [(&str, ArrayRef); 5] = [
            ("few", Arc::new(few)),
            ("many", Arc::new(many)),
            ("eight", decimals(15)),
            ("sixteen", decimals(30)),
            ("numbers", Arc::new(Int64Array::from_iter_values(0..3_000))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = WriterProperties::builder().set_dictionary_page_size_limit(10_000).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        for rows in 0..30 {
            writer.write(&batch.slice(rows * 100, 100)).unwrap();
        }
        (batch, writer.into_inner().unwrap().into())
    }

    #[test]
    fn columns_are_asked_for_as_they_are_stored() {
        let (batch, file) = file();
        let plain =
            ArrowReaderOptions::new().with_skip_arrow_metadata(true).with_encoding_stats_as_mask(false);
        let found = ArrowReaderMetadata::load(&file, plain.clone()).unwrap();
        let fields = found.schema().fields();
        let node = |(at, field): (usize, &FieldRef)| Node {
            id: FieldId(at.try_into().unwrap()),
            name: field.name().clone(),
            ty: field.data_type().clone(),
            leaves: at..at + 1,
            children: Vec::new(),
        };
        let columns: Vec<Node> = fields.iter().enumerate().map(node).collect();
        let narrowed = Arc::new(narrow(fields, &columns, found.metadata(), &[0]));
        let types: Vec<&DataType> = narrowed.fields().iter().map(|field| field.data_type()).collect();
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let expected = [
            &dictionary,
            &DataType::Utf8,
            &DataType::Decimal64(15, 2),
            &DataType::Decimal128(30, 2),
            &DataType::Int64,
        ];
        assert_eq!(types, expected);

        let asked = ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), plain.with_schema(narrowed));
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, asked.unwrap());
        let read = reader.with_batch_size(3_000).build().unwrap().next().unwrap().unwrap();
        for (read, expected) in read.columns().iter().zip(batch.columns()) {
            assert_eq!(&widened(read, Texts::Plain).unwrap(), expected);
        }
    }
}
