//! Which rows come: deletes, limits, filters, row ids, and columns as they are asked for.

use std::num::NonZeroUsize;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::UInt64Type;
use futures::TryStreamExt;
use serde::Serialize;
use strandline_format::{ColumnName, Field, FieldId, NumberMap, PrimitiveType, RowIds, Schema, Step, Type};

use super::fixture::{Lake, Written, arrow_of, joined, longs, parquet, texts};
use crate::ErrorKind;
use crate::columns::batch_of_rows;
use crate::filter::col;
use crate::scan::{LAST_UPDATED, ROW_ID, Scan};

#[derive(Serialize)]
struct Row {
    id: i64,
    text: String,
    at: At,
}

#[derive(Serialize)]
struct At {
    x: Option<i64>,
    y: i64,
}

fn schema() -> Schema {
    let field = |name: &str, ty: PrimitiveType| Field::optional(ColumnName::new(name).unwrap(), ty);
    let at = Type::Struct(vec![field("x", PrimitiveType::Long), field("y", PrimitiveType::Long)]);
    let at = Field::optional(ColumnName::new("at").unwrap(), at);
    Schema::numbered(vec![field("id", PrimitiveType::Long), field("text", PrimitiveType::String), at])
        .unwrap()
}

fn batch(ids: std::ops::Range<i64>) -> RecordBatch {
    let row =
        |id: i64| Row { id, text: format!("row {id}"), at: At { x: (id % 2 == 0).then_some(id), y: -id } };
    batch_of_rows(&schema(), &ids.map(row).collect::<Vec<_>>()).unwrap()
}

/// Three files of ten rows, in row groups of four.
async fn lake(written: Written) -> Lake {
    let mut lake = Lake::new(schema());
    for file in 0..3 {
        let written =
            Written { row_group_rows: Some(4), first_row: 1000 * file, added: file + 1, ..written.clone() };
        let start = i64::try_from(file).unwrap() * 10;
        lake.add(&batch(start..start + 10), written).await;
    }
    lake
}

async fn ids(scan: Scan) -> Vec<i64> {
    longs(&scan.prefetch(NonZeroUsize::MIN).collect().await.unwrap(), 0)
}

#[tokio::test]
async fn deleted_rows_do_not_come() {
    for deletes_apart in [false, true] {
        let deletes = vec![0, 4, 5, 6, 7, 9];
        let lake = lake(Written { deletes, deletes_apart, ..Written::default() }).await;
        assert_eq!(ids(lake.scan()).await, [1, 2, 3, 8, 11, 12, 13, 18, 21, 22, 23, 28]);
        assert_eq!(ids(lake.scan().filter(col("id").gt(12))).await, [13, 18, 21, 22, 23, 28]);
        assert_eq!(lake.scan().count().await.unwrap(), 12);
        assert_eq!(lake.totals().deleted, 18);
    }
    let none = lake(Written { deletes: (0..10).collect(), ..Written::default() }).await;
    assert_eq!(ids(none.scan()).await, Vec::<i64>::new());
}

/// The rows of one file of 4000 with these left, and how many came in the largest batch of at most a hundred.
async fn left(kept: impl Fn(i64) -> bool, written: Written) -> (Vec<i64>, usize) {
    let mut lake = Lake::new(schema());
    let deletes = (0..4000).filter(|id| !kept(*id)).map(i64::cast_unsigned).collect();
    lake.add(&batch(0..4000), Written { deletes, ..written }).await;
    let scan = lake.scan().batch_rows(NonZeroUsize::new(100).unwrap()).prefetch(NonZeroUsize::MIN);
    let batches = scan.collect().await.unwrap();
    (longs(&batches, 0), batches.iter().map(RecordBatch::num_rows).max().unwrap_or(0))
}

#[tokio::test]
async fn no_more_rows_are_decoded_for_a_batch_than_it_may_have() {
    for row_group_rows in [None, Some(700)] {
        // What is decoded with it is cut out: a batch has what is left of a hundred rows, not a hundred of two thousand.
        let written = Written { row_group_rows, ..Written::default() };
        let (ids, most) = left(|id| id % 20 == 3, written.clone()).await;
        assert_eq!(ids, (0..200).map(|at| at * 20 + 3).collect::<Vec<_>>());
        assert!(most <= 6, "{most} rows of a batch are left where one in twenty is");
        // Long gaps are passed over.
        let (ids, most) = left(|id| id % 40 == 3, written.clone()).await;
        assert_eq!(ids, (0..100).map(|at| at * 40 + 3).collect::<Vec<_>>());
        assert!(most > 15, "{most}");
        let (ids, most) = left(|id| id % 20 != 3 && !(500..1000).contains(&id), written).await;
        let expected = (0..4000).filter(|id| id % 20 != 3 && !(500..1000).contains(id));
        assert_eq!(ids, expected.collect::<Vec<_>>());
        assert!((90..=96).contains(&most), "{most}");
    }
}

#[tokio::test]
async fn no_more_rows_are_decoded_for_a_batch_of_those_that_pass() {
    let mut lake = Lake::new(schema());
    // Files of this writer are read by pages, small ones as a whole.
    for page_rows in [None, Some(50)] {
        let written = Written { deletes: vec![0, 2005], page_rows, ..Written::default() };
        lake.add(&batch(0..4000), written).await;
    }
    let ends_in_five = |id: &i64| id % 20 == 5;
    let literals: Vec<i64> = (0..4000).filter(ends_in_five).collect();
    for small_file in [0, 1 << 20] {
        for limit in [u64::MAX, 150, 20] {
            let scan = lake
                .scan()
                .small_file(small_file)
                .filter(col("id").is_in(literals.clone()))
                .columns(["text"]);
            let scan = scan.batch_rows(NonZeroUsize::new(100).unwrap()).prefetch(NonZeroUsize::MIN);
            let batches = scan.limit(limit).collect().await.unwrap();
            let found: Vec<String> = batches.iter().flat_map(|batch| texts(batch, 0)).collect();
            let passing = literals.iter().filter(|id| **id != 2005).map(|id| format!("row {id}"));
            let expected: Vec<String> =
                passing.clone().chain(passing).take(limit.try_into().unwrap_or(usize::MAX)).collect();
            assert_eq!(found, expected);
            // A few more than five: gaps between the batches that the filter is asked for are not decoded.
            let most = batches.iter().map(RecordBatch::num_rows).max().unwrap();
            assert!(most <= 8 || limit == 20, "{most} of a batch's rows passed where one in twenty does");
        }
    }
}

#[tokio::test]
async fn the_same_file_twice_is_its_rows_twice() {
    let mut lake = Lake::new(schema());
    let first = lake.add(&batch(0..2), Written::default()).await;
    lake.add(&batch(0..2), Written::default()).await;
    assert_eq!(lake.node.totals.files, 2, "{first:?}");
    assert_eq!(ids(lake.scan()).await, [0, 1, 0, 1]);
}

#[tokio::test]
async fn a_limit_is_kept_whatever_is_in_flight() {
    let lake = lake(Written { deletes: vec![1], ..Written::default() }).await;
    for limit in [0, 1, 3, 9, 10, 26, 27, 28, u64::MAX] {
        let expected = limit.min(27);
        for filter in [None, Some(col("id").ge(0))] {
            let scan = lake.scan().limit(limit).batch_rows(NonZeroUsize::new(3).unwrap());
            let scan = filter.map_or(scan.clone(), |filter| scan.filter(filter));
            let batches = scan.collect().await.unwrap();
            assert!(batches.iter().all(|batch| (1..=3).contains(&batch.num_rows())), "{limit}");
            assert_eq!(longs(&batches, 0).len() as u64, expected, "{limit}");
        }
    }
    assert_eq!(ids(lake.scan().limit(4)).await, [0, 2, 3, 4]);
}

#[tokio::test]
async fn filters_need_not_be_among_the_columns() {
    let lake = lake(Written::default()).await;
    let check = async |scan: Scan, expected: &[i64]| assert_eq!(ids(scan.columns(["id"])).await, expected);
    check(lake.scan().filter(col("text").eq("row 12")), &[12]).await;
    check(lake.scan().filter(col("at.x").is_null().and(col("id").lt(4))), &[1, 3]).await;
    check(lake.scan().filter(col("at.y").lt(-27)), &[28, 29]).await;
    check(lake.scan().filter(col("id").lt(5)).filter(col("id").gt(2)), &[3, 4]).await;
    let narrow = lake.scan().columns(["at.x"]).filter(col("at.y").eq(-2)).collect().await.unwrap();
    assert_eq!(texts(&narrow[0], 0), ["{x: 2}"]);
}

#[tokio::test]
async fn columns_come_as_they_are_asked_for() {
    let lake = lake(Written::default()).await;
    let check = async |columns: &[&str], expected: &[(&str, &str)]| {
        let stream = lake.scan().columns(columns.iter().copied()).limit(1).await.unwrap();
        let schema = stream.schema().clone();
        let batch = joined(&schema, &stream.collect().await.unwrap());
        let found: Vec<(&str, String)> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| (field.name().as_str(), texts(&batch, at).remove(0)))
            .collect();
        let expected: Vec<(&str, String)> =
            expected.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        assert_eq!(found, expected);
    };
    check(&["id"], &[("id", "0")]).await;
    check(&["TEXT", "Id"], &[("text", "row 0"), ("id", "0")]).await;
    check(&["id", "id"], &[("id", "0")]).await;
    check(&["at.y", "id", "at.x"], &[("at", "{x: 0, y: 0}"), ("id", "0")]).await;
    check(&["at.y", "at"], &[("at", "{x: 0, y: 0}")]).await;
    check(&["at.Y"], &[("at", "{y: 0}")]).await;
    let error = lake.scan().columns(["texd"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.message().contains("table \"t\": there is no column \"texd\", did you mean \"text\""),
        "{error}"
    );
    let error = lake.scan().columns(["at.z"]).await.unwrap_err();
    assert!(error.message().contains("\"at.x\""), "{error}");
}

/// Row ids and versions of all rows, in order.
async fn row_ids(lake: &Lake) -> Vec<(u64, u64)> {
    let scan = lake.scan().columns(["id"]).row_ids(true).prefetch(NonZeroUsize::MIN);
    let stream = scan.await.unwrap();
    assert_eq!(stream.schema().index_of(ROW_ID.0).unwrap(), 1);
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    let numbers = |name: &str| -> Vec<u64> {
        let column = |batch: &RecordBatch| batch[name].as_primitive::<UInt64Type>().values().to_vec();
        batches.iter().flat_map(column).collect()
    };
    numbers(ROW_ID.0).into_iter().zip(numbers(LAST_UPDATED.0)).collect()
}

#[tokio::test]
async fn derived_row_ids_are_places() {
    let lake = lake(Written { deletes: vec![0, 1, 2, 3, 4, 8], ..Written::default() }).await;
    let of = |file: u64| [5, 6, 7, 9].map(|at| (1000 * file + at, file + 1));
    assert_eq!(row_ids(&lake).await, [of(0), of(1), of(2)].concat());
    let filtered = lake.scan().columns::<String>([]).row_ids(true).filter(col("id").eq(19));
    let batch = &filtered.collect().await.unwrap()[0];
    assert_eq!(texts(batch, 0), ["1009"]);
}

#[tokio::test]
async fn stored_row_ids_are_read_through_shifts() {
    let mut lake = Lake::new(Schema::numbered(vec![schema().fields()[0].clone()]).unwrap());
    let with_ids = Schema::numbered(vec![lake.schema.fields()[0].clone()]).unwrap();
    let mut fields: Vec<arrow::datatypes::Field> =
        crate::columns::arrow_schema(&with_ids).fields().iter().map(|field| (**field).clone()).collect();
    for (name, id) in [("_last_updated_sequence_number", LAST_UPDATED.1), ("_row_id", ROW_ID.1)] {
        let metadata = [("PARQUET:field_id".to_owned(), id.to_string())].into();
        fields.push(
            arrow::datatypes::Field::new(name, arrow::datatypes::DataType::Int64, true)
                .with_metadata(metadata),
        );
    }
    let columns: Vec<arrow::array::ArrayRef> = vec![
        std::sync::Arc::new(Int64Array::from(vec![0, 1, 2, 3])),
        std::sync::Arc::new(Int64Array::from(vec![Some(3), None, Some(9), Some(5)])),
        std::sync::Arc::new(Int64Array::from(vec![Some(50), Some(7), None, Some(60)])),
    ];
    let batch =
        RecordBatch::try_new(std::sync::Arc::new(arrow::datatypes::Schema::new(fields)), columns).unwrap();
    let written = Written {
        row_ids: RowIds::Stored,
        shifts: NumberMap::new([Step { from: 10, by: 100 }, Step { from: 60, by: -5 }]).unwrap(),
        first_row: 500,
        added: 5,
        ..Written::default()
    };
    let set = strandline_format::FieldSet::of([FieldId(1)]);
    lake.add_bytes(parquet(&batch, None), set, strandline_format::Stats::default(), written).await;
    assert_eq!(row_ids(&lake).await, [(150, 3), (7, 5), (502, 5), (55, 5)]);
    assert_eq!(arrow_of(&lake).fields().len(), lake.scan().await.unwrap().schema().fields().len());
}
