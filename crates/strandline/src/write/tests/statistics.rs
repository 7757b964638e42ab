//! Statistics against a model that looks at one value after the other, and the file's own where NaN is about.

use arrow::array::{ArrayRef, AsArray, Float64Array, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::Int32Type;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use proptest::prelude::*;
use strandline_format::{Bound, FieldId, Value};

use super::super::leaf::Leaf;
use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn check(schema: &Schema, files: &[NewFile], rows: &RecordBatch) {
    let mut from = 0;
    let leaves = Leaf::all(&arrow_schema(schema), schema).unwrap();
    for file in files {
        let here = rows.slice(from, usize::try_from(file.rows).unwrap());
        from += here.num_rows();
        let values = model::leaves(schema, &here);
        for leaf in &leaves {
            let expected = model::stats(leaf.ty, leaf.is_repeated(), &values[&leaf.id]);
            assert_eq!(file.stats.0[&leaf.id], expected, "{} in {here:?}", schema.describe(leaf.id));
        }
        file.stats.check(file.rows).unwrap();
    }
    assert_eq!(from, rows.num_rows());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn statistics_are_those_of_the_values(
        sizes in prop::collection::vec(0..60_usize, 1..5),
        seed in any::<u32>(),
        group in 1..80_usize,
        small_files in any::<bool>(),
    ) {
        let schema = every_type();
        let written = batches(&schema, &sizes, u64::from(seed));
        let target_file_bytes = if small_files { 1000 } else { 1 << 30 };
        let options = WriteOptions { target_file_bytes, ..options(group) };
        let files = runtime().block_on(write(&objects(), spec(&schema, options), &written)).unwrap();
        check(&schema, &files, &together(&written));
    }
}

#[tokio::test]
async fn bounds_of_long_texts_are_cut_as_the_format_says() {
    let schema = flat(&[("s", "string"), ("b", "binary"), ("f", "fixed(100)")]);
    let texts = ["é".repeat(40), "\u{10FFFF}".repeat(20), "a".repeat(32), "a".repeat(33), "b".repeat(9)];
    // The encoder cuts the last one where it becomes shorter than a bound is: that bound is not exact.
    let cut = [vec![7; 30], vec![255; 70]].concat();
    let bytes = [vec![255; 50], vec![0; 33], vec![7; 32], vec![], cut];
    let arrow = arrow_schema(&schema);
    for rows in [0..1, 0..2, 0..3, 0..4, 4..5] {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(arrow::array::StringArray::from_iter_values(&texts[rows.clone()])),
            Arc::new(arrow::array::BinaryArray::from_iter_values(&bytes[rows.clone()])),
            Arc::new(arrow::array::FixedSizeBinaryArray::try_from_iter(rows.map(|_| [9_u8; 100])).unwrap()),
        ];
        let written = RecordBatch::try_new(arrow.clone(), columns).unwrap();
        let files =
            write(&objects(), spec(&schema, options(1)), std::slice::from_ref(&written)).await.unwrap();
        check(&schema, &files, &written);
        assert_eq!(files[0].stats.0[&FieldId(3)].min, None);
    }
}

/// A list that is null may have elements behind it, a struct that is null fields: neither counts.
#[tokio::test]
async fn what_is_behind_a_null_is_not_counted() {
    let element = Type::list(primitive("int"), false).unwrap();
    let inside = structure(vec![Field::optional(name("l"), element)]);
    let schema = Schema::numbered(vec![Field::optional(name("s"), inside)]).unwrap();
    let arrow = arrow_schema(&schema);
    let DataType::Struct(fields) = arrow.field(0).data_type() else { panic!() };
    let DataType::List(element) = fields[0].data_type() else { panic!() };
    let numbers = Arc::new(arrow::array::Int32Array::from(vec![1, -50, 3, 99, 5]));
    let offsets = OffsetBuffer::from_lengths([1, 1, 1, 1, 1]);
    let lists = NullBuffer::from(vec![true, false, true, true, true]);
    let lists = ListArray::new(element.clone(), offsets, numbers, Some(lists));
    let structs = NullBuffer::from(vec![true, true, true, false, true]);
    let structs = StructArray::new(fields.clone(), vec![Arc::new(lists)], Some(structs));
    let written = RecordBatch::try_new(arrow.clone(), vec![Arc::new(structs)]).unwrap();
    let objects = objects();
    let files = write(&objects, spec(&schema, options(10)), std::slice::from_ref(&written)).await.unwrap();
    check(&schema, &files, &written);
    let found = &files[0].stats.0[&FieldId(3)];
    assert_eq!((found.values, found.nulls), (Some(3), Some(0)));
    assert_eq!(found.max, Some(Bound::exact(Value::Int(5))));
    let back = read(&objects, &files[0]).await;
    let list = back.column(0).as_struct().column(0).as_list::<i32>();
    assert_eq!(list.values().as_primitive::<Int32Type>().values(), &[1, 3, 5]);
}

/// Engines order NaN above all numbers; a maximum of the numbers alone would prune its rows away.
#[tokio::test]
async fn a_column_with_nans_has_no_bounds_in_the_file() {
    let (objects, schema) = (objects(), flat(&[("d", "double")]));
    let arrow = arrow_schema(&schema);
    let with = Float64Array::from(vec![Some(1.0), Some(f64::NAN), None, Some(-0.0)]);
    let without = Float64Array::from(vec![Some(1.0), Some(2.0), None, Some(0.0)]);
    let numbers = [with, without];
    let written = numbers.map(|column| RecordBatch::try_new(arrow.clone(), vec![Arc::new(column)]).unwrap());
    let files = write(&objects, spec(&schema, options(4)), &written).await.unwrap();
    let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
    reader.try_parse(&bytes(&objects, &files[0]).await).unwrap();
    let found = reader.finish().unwrap();
    let bounds = |group: usize| {
        let stats = found.row_group(group).column(0).statistics().unwrap();
        assert_eq!(stats.null_count_opt(), Some(1));
        (stats.min_bytes_opt().is_some(), stats.max_bytes_opt().is_some())
    };
    assert_eq!((bounds(0), bounds(1)), ((false, false), (true, true)));
    let pages = found.column_index().unwrap();
    assert!(matches!(pages[0][0], ColumnIndexMetaData::NONE));
    assert!(matches!(pages[1][0], ColumnIndexMetaData::DOUBLE(_)));
    let known = &files[0].stats.0[&FieldId(1)];
    assert_eq!((known.nans, known.nulls), (Some(1), Some(2)));
    assert_eq!(known.min, Some(Bound::exact(Value::Double(-0.0))));
    assert_eq!(known.max, Some(Bound::exact(Value::Double(2.0))));
    assert_eq!(read(&objects, &files[0]).await, together(&written));
}
