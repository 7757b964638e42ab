//! Which files come out: how large, how many, the same ones again; and what becomes of writers that fail.

use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array};
use strandline_testkit::{Answer, Effect, FaultyStore, RequestKind, Script, Status, Target};

use super::*;
use crate::error::ErrorKind;

/// Numbers that do not compress.
fn noise(schema: &Schema, rows: i64, start: i64) -> RecordBatch {
    let mix = |number: i64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()).rotate_left(29);
    let column = |at: i64| -> ArrayRef {
        // Products alone have even differences, which pack well.
        Arc::new((start..start + rows).map(|n| mix(mix(n) ^ (mix(n) >> 31) ^ at)).collect::<Int64Array>())
    };
    let columns = (0..).map(column).take(schema.fields().len()).collect();
    RecordBatch::try_new(arrow_schema(schema), columns).unwrap()
}

fn longs() -> Schema {
    flat(&[("a", "long"), ("b", "long"), ("c", "long")])
}

#[tokio::test]
async fn no_rows_make_no_file() {
    let (objects, schema) = (objects(), every_type());
    let none = write(&objects, spec(&schema, options(10)), &[]).await.unwrap();
    let empty = write(&objects, spec(&schema, options(10)), &batches(&schema, &[0, 0], 1)).await.unwrap();
    assert_eq!((none.len(), empty.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_batches_give_the_same_files() {
    let schema = every_type();
    let written = batches(&schema, &[300, 20, 7, 1000, 400], 77);
    // Row groups that are encoded in one job, and in one for each leaf.
    for (group, target_file_bytes, at_least) in [(100, 60_000, 3), (1000, 300_000, 1)] {
        let mut found = Vec::new();
        for (parallelism, uploads) in [(1, 1), (4, 4), (4, 1), (1, 4)] {
            let options = WriteOptions {
                parallelism: count(parallelism),
                parallel_uploads: count(uploads),
                target_file_bytes,
                ..options(group)
            };
            found.push(write(&objects(), spec(&schema, options), &written).await.unwrap());
        }
        assert!(found[0].len() >= at_least, "{}", found[0].len());
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

#[tokio::test]
async fn files_are_about_as_large_as_wanted_and_in_order() {
    let (objects, schema) = (objects(), longs());
    let written: Vec<RecordBatch> = (0..50).map(|at| noise(&schema, 1000, at * 1000)).collect();
    let options = WriteOptions { target_file_bytes: 300_000, ..options(2000) };
    let files = write(&objects, spec(&schema, options), &written).await.unwrap();
    let (last, others) = files.split_last().unwrap();
    assert!(others.len() >= 3 && last.object.size < 400_000);
    assert!(others.iter().all(|file| (240_000..400_000).contains(&file.object.size)), "{others:?}");
    assert_eq!(read_all(&objects, &files).await, together(&written));
}

#[tokio::test]
async fn many_small_batches_make_few_files() {
    let (objects, schema) = (objects(), longs());
    let written: Vec<RecordBatch> = (0..3000).map(|at| noise(&schema, 1, at)).collect();
    let files = write(&objects, spec(&schema, options(1000)), &written).await.unwrap();
    assert_eq!((files.len(), files[0].row_groups.len()), (1, 3));
    assert_eq!(read(&objects, &files[0]).await, together(&written));
}

#[tokio::test]
async fn a_large_batch_becomes_several_row_groups() {
    let (objects, schema) = (objects(), longs());
    let written = noise(&schema, 10_500, 0);
    let files = write(&objects, spec(&schema, options(1000)), std::slice::from_ref(&written)).await.unwrap();
    assert_eq!(files[0].row_groups.len(), 11);
    assert_eq!(read(&objects, &files[0]).await, written);
}

#[tokio::test]
async fn memory_is_bounded_for_long_streams() {
    let (objects, schema) = (objects(), longs());
    let memory_bytes = 1 << 20;
    let options = WriteOptions { memory_bytes, target_file_bytes: 1 << 20, ..options(1 << 20) };
    let mut writer = TableWriter::new(objects.clone(), spec(&schema, options)).unwrap();
    let mut largest = 0;
    for at in 0..200 {
        let batch = noise(&schema, 2000, at * 2000);
        largest = largest.max(super::super::size::weight(&batch));
        writer.write(batch).await.unwrap();
    }
    let most = writer.most_held();
    assert!(most > memory_bytes / 8 && most <= memory_bytes + 4 * largest, "{most}");
    let files = writer.finish().await.unwrap();
    assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), 400_000);
}

/// A few rows cut out of a large batch do not keep it alive.
#[test]
fn slices_of_large_batches_are_copied() {
    let large = noise(&longs(), 100_000, 0);
    let slice = large.slice(50_000, 10);
    let compact = super::super::size::compact(slice.clone()).unwrap();
    assert_eq!(compact, slice);
    assert!(compact.get_array_memory_size() < 10_000);
    let whole = super::super::size::compact(large.clone()).unwrap();
    assert!(Arc::ptr_eq(whole.column(0), large.column(0)));
}

#[tokio::test]
async fn rows_of_another_schema_are_refused_and_then_all_is() {
    let (objects, schema) = (objects(), longs());
    let check = async |wrong: RecordBatch| {
        let mut writer = TableWriter::new(objects.clone(), spec(&schema, options(10))).unwrap();
        writer.write(noise(&schema, 25, 0)).await.unwrap();
        assert_eq!(writer.write(wrong).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(writer.write(noise(&schema, 5, 0)).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(writer.finish().await.is_err());
    };
    check(batch(&arrow_schema(&flat(&[("a", "long")])), 3, 1).unwrap()).await;
    check(batch(&arrow_schema(&flat(&[("a", "long"), ("b", "int"), ("c", "long")])), 3, 1).unwrap()).await;
}

#[tokio::test]
async fn nulls_in_required_fields_are_refused() {
    let required = Field::required(name("a"), PrimitiveType::Long);
    let schema = Schema::numbered(vec![required]).unwrap();
    let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let wrong = RecordBatch::try_from_iter([("a", column)]).unwrap();
    let error = write(&objects(), spec(&schema, options(10)), &[wrong]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_the_store_refuses_keeps_its_kind_and_ends_the_writer() {
    let script = Script::empty()
        .and(Target::any().kind(RequestKind::Put).always(), Effect::fail(Answer::Status(Status::Forbidden)));
    let store = FaultyStore::new(Arc::new(InMemory::new()), script);
    let (objects, schema) = (objects_over(Arc::new(store)), longs());
    let options = WriteOptions { target_file_bytes: 1, parallel_uploads: count(1), ..options(10) };
    let mut writer = TableWriter::new(objects, spec(&schema, options)).unwrap();
    let mut failed = None;
    for at in 0..100 {
        if let Err(error) = writer.write(noise(&schema, 20, at)).await {
            failed = Some(error);
            break;
        }
    }
    assert_eq!(failed.unwrap().kind(), ErrorKind::PermissionDenied);
    assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_write_that_was_dropped_half_way_ends_the_writer() {
    let (objects, schema) = (objects(), longs());
    let options = WriteOptions { memory_bytes: 1000, ..options(10) };
    let mut writer = TableWriter::new(objects, spec(&schema, options)).unwrap();
    let dropped = tokio::time::timeout(Duration::ZERO, writer.write(noise(&schema, 5000, 0))).await;
    assert!(dropped.is_err());
    let error = writer.write(noise(&schema, 1, 0)).await.unwrap_err();
    assert!(error.message().contains("half-way"), "{error}");
    assert!(writer.finish().await.is_err());
}
