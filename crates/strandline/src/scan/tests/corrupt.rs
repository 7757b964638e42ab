//! Files that are not what their entries say [READ-3] [READ-9]: errors that name the object, never rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field as ArrowField, Schema as ArrowSchema};
use bytes::Bytes;
use parquet::file::metadata::{FileMetaData, ParquetMetaDataBuilder, ParquetMetaDataWriter};
use parquet::file::reader::{FileReader, SerializedFileReader};
use strandline_format::{
    ColumnName, Deletes, DeletionVector, External, Field, FieldId, FieldSet, FileEntry, PrimitiveType,
    RowIds, Schema, Stats,
};

use super::fixture::{Lake, Written, described, parquet, ref_of};
use crate::filter::col;
use crate::scan::file::SMALL_FILE;
use crate::{Error, ErrorKind};

fn schema() -> Schema {
    let field = |name: &str| Field::optional(ColumnName::new(name).unwrap(), PrimitiveType::Long);
    Schema::numbered(vec![field("a"), field("b")]).unwrap()
}

/// A file of these columns, each with its id if it has one.
fn file(columns: &[(&str, Option<&str>, ArrayRef)]) -> Bytes {
    let field = |(name, id, array): &(&str, Option<&str>, ArrayRef)| {
        let metadata = id.iter().map(|id| ("PARQUET:field_id".to_owned(), (*id).to_owned())).collect();
        ArrowField::new(*name, array.data_type().clone(), true).with_metadata(metadata)
    };
    let schema = ArrowSchema::new(columns.iter().map(field).collect::<Vec<_>>());
    let arrays = columns.iter().map(|(_, _, array)| Arc::clone(array)).collect();
    parquet(&RecordBatch::try_new(Arc::new(schema), arrays).unwrap(), None)
}

fn longs(rows: i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(0..rows))
}

/// Numbers that do not compress, so that a file of 200,000 is no small one.
fn noise() -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(
        (0..200_000_i64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64)),
    ))
}

fn good(large: bool) -> Bytes {
    let column = || if large { noise() } else { longs(10) };
    let bytes = file(&[("a", Some("1"), column()), ("b", Some("2"), column())]);
    assert_eq!(bytes.len() as u64 > SMALL_FILE, large);
    bytes
}

/// The error of scanning a file with this entry, which is at the place of these bytes.
async fn error_of(bytes: Bytes, change: impl FnOnce(&mut FileEntry)) -> (Error, String) {
    let mut lake = Lake::new(schema());
    let written = lake
        .add_bytes(bytes, FieldSet::of([FieldId(1), FieldId(2)]), Stats::default(), Written::default())
        .await;
    let mut entry = written.clone();
    change(&mut entry);
    lake.put(entry).await;
    let scanned = lake.scan().row_ids(true).collect().await;
    (scanned.unwrap_err(), written.hash.to_string())
}

async fn check(bytes: Bytes, change: impl FnOnce(&mut FileEntry), says: &str) {
    let (error, hash) = error_of(bytes, change).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().contains(says), "{says:?} is not in: {error}");
    assert_eq!(error.message().matches(&hash).count(), 1, "{error}");
}

#[tokio::test]
async fn columns_that_contradict_the_entry() {
    let a = || ("a", Some("1"), longs(3));
    check(file(&[a()]), |_| {}, "written with column \"b\" (id 2) and lacks it").await;
    check(file(&[a(), ("b", None, longs(3))]), |_| {}, "column \"b\" has no field id").await;
    check(file(&[a(), ("b", Some("1"), longs(3))]), |_| {}, "the field id 1, which another has too").await;
    let text: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["x", "y", "z"]));
    check(file(&[a(), ("b", Some("2"), text)]), |_| {}, "Utf8, which does not widen to long").await;
    let pair = arrow::array::StructArray::from(vec![(
        Arc::new(
            ArrowField::new("x", DataType::Int32, true)
                .with_metadata([("PARQUET:field_id".to_owned(), "2".to_owned())].into()),
        ),
        Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef,
    )]);
    check(file(&[a(), ("b", Some("9"), Arc::new(pair))]), |_| {}, "lacks it").await;
    check(good(false), |entry| entry.fields = 7, "set 7 of field ids").await;
    check(good(false), |entry| entry.row_ids = RowIds::Stored, "stores _row_id").await;
}

#[tokio::test]
async fn footers_that_contradict_the_entry() {
    for large in [false, true] {
        check(good(large), |entry| entry.rows += 1, "rows, its entry says").await;
        check(good(large), |entry| entry.rows -= 1, "rows, its entry says").await;
        check(good(large), |entry| entry.footer += 1, "its footer is of").await;
        check(good(large), |entry| entry.row_groups = vec![4, 40], "as places of row groups").await;
        check(good(large), |entry| entry.row_groups = vec![5], "as places of row groups").await;
    }
    check(good(true), |entry| entry.size -= 1, "cannot be read as Parquet").await;
    check(good(true), |entry| entry.size += 1, "ends before byte").await;
    check(good(false), |entry| entry.size += 1, "expected").await;
}

#[tokio::test]
async fn bytes_that_are_not_those_of_the_hash() {
    let flipped = |bytes: &Bytes, at: usize| -> Bytes {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x55;
        bytes.into()
    };
    let check = async |large: bool, replace: &dyn Fn(&Bytes) -> Option<Bytes>, says: &str| {
        let mut lake = Lake::new(schema());
        let bytes = good(large);
        let set = FieldSet::of([FieldId(1), FieldId(2)]);
        let entry = lake.add_bytes(bytes.clone(), set, Stats::default(), Written::default()).await;
        match replace(&bytes) {
            Some(bytes) => lake.replace(&entry, bytes).await,
            None => lake.remove(&entry).await,
        }
        let error = lake.scan().collect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.message().contains(says), "{says:?} is not in: {error}");
        assert_eq!(
            error.message().matches(&entry.hash.to_string()).count(),
            1 + usize::from(says == "expected hash"),
            "{error}"
        );
    };
    for large in [false, true] {
        check(large, &|_| None, "missing").await;
        check(
            large,
            &|bytes| Some(bytes.slice(..bytes.len() - 100)),
            if large { "ends before" } else { "expected" },
        )
        .await;
    }
    check(false, &|bytes| Some(flipped(bytes, 10)), "expected hash").await;
    check(true, &|bytes| Some(vec![0; bytes.len()].into()), "cannot be read as Parquet").await;
    check(true, &|bytes| Some(flipped(bytes, bytes.len() - 1)), "cannot be read as Parquet").await;
}

/// Whatever a flipped byte of a footer says, it is an error or the same rows: never a panic. Nothing vouches for the footer of a
/// file that is read by ranges but what the entry says of it [READ-9].
#[tokio::test]
async fn footers_with_a_flipped_byte() {
    let bytes = good(true);
    let entry = described(&bytes, ref_of(&bytes));
    let footer = usize::try_from(entry.footer).unwrap();
    let mut refused = 0;
    for at in (bytes.len() - footer..bytes.len()).step_by(7) {
        let mut lake = Lake::new(schema());
        let set = FieldSet::of([FieldId(1), FieldId(2)]);
        let entry = lake.add_bytes(bytes.clone(), set, Stats::default(), Written::default()).await;
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 0x41;
        lake.replace(&entry, flipped.into()).await;
        match lake.scan().collect().await {
            Ok(batches) => assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 200_000),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{at}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

/// Two rows more in the footer than there are in the pages.
fn short() -> Bytes {
    let bytes = good(false);
    let found = SerializedFileReader::new(bytes.clone()).unwrap().metadata().clone();
    let (file, rows) = (found.file_metadata(), 12);
    let (by, more, columns) = (file.created_by(), file.key_value_metadata(), file.schema_descr_ptr());
    let orders = file.column_orders().cloned();
    let file = FileMetaData::new(file.version(), rows, by.map(str::to_owned), more.cloned(), columns, orders);
    let group = found.row_group(0).clone().into_builder().set_num_rows(rows).build().unwrap();
    let footer = ParquetMetaDataBuilder::new(file).add_row_group(group).build();
    let chunks = found.row_group(0).columns();
    let end = chunks.iter().map(|chunk| chunk.byte_range()).map(|(start, length)| start + length).max();
    let mut short = bytes[..usize::try_from(end.unwrap()).unwrap()].to_vec();
    ParquetMetaDataWriter::new(&mut short, &footer).finish().unwrap();
    short.into()
}

#[tokio::test]
async fn a_file_that_ends_before_its_footer_says() {
    let mut lake = Lake::new(schema());
    let set = FieldSet::of([FieldId(1), FieldId(2)]);
    let entry = lake.add_bytes(short(), set, Stats::default(), Written::default()).await;
    let all = || lake.scan().columns(["b"]);
    for (scan, whole) in [
        (all(), false),
        (all().filter(col("b").ge(0)), false),
        (all().filter(col("a").ge(0)), false),
        (all().filter(col("a").lt(0)).pruning(false), false),
        (all().filter(col("a").ge(0)).limit(10), true),
    ] {
        match scan.collect().await {
            Ok(batches) => assert!(whole, "{batches:?}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                assert!(error.message().contains("it ends 2 rows before its footer says"), "{error}");
                assert!(error.message().contains(&entry.hash.to_string()) && !whole, "{error}");
            }
        }
    }
}

#[tokio::test]
async fn deletion_vectors_that_contradict_the_entry() {
    let vector = |positions: &[u64]| {
        DeletionVector::from_positions(positions.iter().copied()).unwrap().encode().unwrap()
    };
    let check = async |rows: u64, blob: Vec<u8>, says: &str| {
        let deletes = Some(Deletes::Inline { rows, blob });
        let (error, _) = error_of(good(false), |entry| entry.deletes = deletes).await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.message().contains(says) && error.message().contains("file entry 0"), "{error}");
    };
    check(2, vector(&[1]), "it deletes 1 rows, its entry says 2").await;
    check(1, vector(&[10]), "beyond the 10").await;
    check(1, vec![1, 2, 3], "").await;
}

#[tokio::test]
async fn what_lies_elsewhere_is_not_guessed_at() {
    let url = "s3://elsewhere/file.parquet";
    let external = Some(External { url: url.to_owned(), etag: None });
    let (error, _) = error_of(good(false), |entry| entry.external = external).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains(url), "{error}");
}

#[tokio::test]
async fn null_where_the_table_refuses_it() {
    let mut lake = Lake::new(schema());
    let gap: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let bytes = file(&[("a", Some("1"), longs(2)), ("b", Some("2"), gap)]);
    let entry = lake
        .add_bytes(bytes, FieldSet::of([FieldId(1), FieldId(2)]), Stats::default(), Written::default())
        .await;
    let required = lake.schema.fields().iter().map(|field| Field { required: true, ..field.clone() });
    lake.schema = Schema::numbered(required.collect()).unwrap();
    let error = lake.scan().collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().contains(&entry.hash.to_string()) && error.message().contains('b'), "{error}");
}
