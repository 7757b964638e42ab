//! Tables of many small appends: their files are read together, and still each as what it is.

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::parquet::file::metadata::{FileMetaData, ParquetMetaDataBuilder, ParquetMetaDataWriter};
use datafusion::parquet::file::reader::FileReader;
use datafusion::parquet::file::serialized_reader::SerializedFileReader;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStoreExt;
use strandline::filter::col;
use strandline::format::{ColumnName, Field, FileEntry, Hash, PrimitiveType, TableName, Value};
use strandline::{ErrorKind, Lake};
use strandline_datafusion::lake_error;
use strandline_testkit::PathClass;
use strandline_testkit::commits::{TableEdit, commit};

use crate::fixture::{Counted, batch, lines, longs, rows, table};

/// A table of so many files of ten rows each.
async fn appended(lake: &Lake, files: i64) {
    table(lake, "t", &[("id", longs(0..10)), ("twice", longs((0..10).map(|id| id * 2)))]).await;
    append(lake, 1..files, "twice").await;
}

async fn append(lake: &Lake, parts: std::ops::Range<i64>, name: &str) {
    for part in parts {
        let ids = part * 10..part * 10 + 10;
        let rows = batch(&[("id", longs(ids.clone())), (name, longs(ids.map(|id| id * 2)))]);
        lake.append("t", rows).await.unwrap();
    }
}

fn in_one_partition(lake: &Lake) -> SessionContext {
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    strandline_datafusion::register(&ctx, "lake", lake).unwrap();
    ctx
}

async fn batches(ctx: &SessionContext, sql: &str) -> Vec<RecordBatch> {
    ctx.sql(sql).await.unwrap().collect().await.unwrap()
}

#[tokio::test]
async fn batches_go_over_the_borders_of_files() {
    let counted = Counted::new().await;
    appended(&counted.lake, 50).await;
    let ctx = in_one_partition(&counted.lake);
    let sql = "SELECT twice, id FROM lake.public.t";
    let found = batches(&ctx, sql).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].num_rows(), 500);
    // Footers are known by now: of each file its columns are asked for, and nothing else.
    let (again, counts) = counted.store.measure(batches(&ctx, sql)).await;
    assert_eq!(again, found);
    assert_eq!(counts.to(PathClass::Data).requests, 50);
    let told = rows(&ctx, &format!("EXPLAIN ANALYZE {sql}")).await.join("\n");
    for part in ["and 49 more", "lake_footer_cache_hits=50", "lake_requests=50", "output_batches=1"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[tokio::test]
async fn each_file_is_read_with_its_own_columns_and_deletes() {
    let counted = Counted::new().await;
    let lake = &counted.lake;
    appended(lake, 3).await;
    let transaction = lake.begin().await.unwrap();
    transaction.delete("t", col("id").between(8, 11)).await.unwrap();
    let added = Field {
        initial: Some(Value::Long(7)),
        default: Some(Value::Long(8)),
        ..Field::optional(ColumnName::new("added").unwrap(), PrimitiveType::Long)
    };
    transaction.alter_table("t").rename_column("twice", "double").add_column(added).await.unwrap();
    transaction.commit().await.unwrap();
    append(lake, 3..6, "double").await;
    let ctx = in_one_partition(lake);
    let found = lines(&batches(&ctx, "SELECT id, double, added FROM lake.public.t ORDER BY id").await);
    let row = |id: i64| match id {
        0..30 => format!("{id} {} 7", id * 2),
        _ => format!("{id} {} 8", id * 2),
    };
    let expected: Vec<String> = (0..60).filter(|id| !(8..12).contains(id)).map(row).collect();
    assert_eq!(found, expected);
    // Files of each of the two schemas go together.
    let told = rows(&ctx, "EXPLAIN ANALYZE SELECT id, added FROM lake.public.t").await.join("\n");
    for part in ["output_batches=2", "output_rows=56", "lake_rows_deleted=4"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.public.t WHERE id % 2 = 1").await, ["28"]);
}

#[tokio::test]
async fn a_wrong_byte_is_an_error_that_names_its_file() {
    let counted = Counted::new().await;
    appended(&counted.lake, 5).await;
    let ctx = in_one_partition(&counted.lake);
    let sql = "SELECT sum(id) FROM lake.public.t WHERE id + 0 >= 0";
    assert_eq!(rows(&ctx, sql).await, ["1225"]);
    let table = counted.lake.table("t").await.unwrap();
    let (reader, entry) = (table.file_reader(), &table.files().await.unwrap()[3]);
    let (start, length) = reader.footer(entry).await.unwrap().row_group(0).column(0).byte_range();
    let path = object_store::path::Path::from(reader.path(entry).unwrap());
    let mut bytes = counted.store.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
    bytes[usize::try_from(start + length).unwrap() - 1] ^= 1;
    counted.store.put(&path, bytes.into()).await.unwrap();
    let error = ctx.sql(sql).await.unwrap().collect().await.unwrap_err();
    assert_eq!(lake_error(&error).map(strandline::Error::kind), Some(ErrorKind::Corrupt), "{error}");
    assert!(error.to_string().contains(path.as_ref()), "{error}");
}

#[tokio::test]
async fn in_a_folder_whichever_file_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::create(folder.path().to_str().unwrap()).await.unwrap();
    appended(&lake, 5).await;
    let ctx = in_one_partition(&lake);
    let sql = "SELECT sum(id) FROM lake.public.t WHERE id + 0 >= 0";
    assert_eq!(rows(&ctx, sql).await, ["1225"]);
    let table = lake.table("t").await.unwrap();
    let (reader, entry) = (table.file_reader(), &table.files().await.unwrap()[3]);
    let start = reader.footer(entry).await.unwrap().row_group(0).column(0).byte_range().0;
    let (start, path) = (usize::try_from(start).unwrap(), reader.path(entry).unwrap());
    let (file, mut header) = (folder.path().join(&path), std::fs::read(folder.path().join(&path)).unwrap());
    let right = header.clone();
    header[start] ^= 1;
    for (wrong, told) in
        [(Some(&header[..]), "contradicts"), (Some(&right[..start + 1]), "ends before"), (None, "missing")]
    {
        std::fs::remove_file(&file).unwrap();
        wrong.into_iter().for_each(|wrong| std::fs::write(&file, wrong).unwrap());
        let error = ctx.sql(sql).await.unwrap().collect().await.unwrap_err();
        assert_eq!(lake_error(&error).map(strandline::Error::kind), Some(ErrorKind::Corrupt), "{error}");
        assert!(error.to_string().contains(&path) && error.to_string().contains(told), "{error}");
        std::fs::write(&file, &right).unwrap();
        assert_eq!(rows(&ctx, sql).await, ["1225"]);
    }
}

/// The bytes of a file, whose footer says two rows more than its pages have.
fn short(bytes: &[u8], footer: u64) -> Vec<u8> {
    let found = SerializedFileReader::new(Bytes::copy_from_slice(bytes)).unwrap().metadata().clone();
    let (file, rows) = (found.file_metadata(), found.file_metadata().num_rows() + 2);
    let (by, more, columns) = (file.created_by(), file.key_value_metadata(), file.schema_descr_ptr());
    let orders = file.column_orders().cloned();
    let file = FileMetaData::new(file.version(), rows, by.map(str::to_owned), more.cloned(), columns, orders);
    let group = found.row_group(0).clone().into_builder().set_num_rows(rows).build().unwrap();
    let told = ParquetMetaDataBuilder::new(file).add_row_group(group).build();
    let mut short = bytes[..bytes.len() - usize::try_from(footer).unwrap()].to_vec();
    ParquetMetaDataWriter::new(&mut short, &told).finish().unwrap();
    short
}

#[tokio::test]
async fn rows_that_are_missing_are_an_error_that_names_the_file() {
    let counted = Counted::new().await;
    table(&counted.lake, "t", &[("id", longs(0..10))]).await;
    let found = counted.lake.table("t").await.unwrap();
    let (reader, known) = (found.file_reader(), found.files().await.unwrap().remove(0));
    let path = object_store::path::Path::from(reader.path(&known).unwrap());
    let bytes = counted.store.get(&path).await.unwrap().bytes().await.unwrap();
    let short = short(&bytes, known.footer);
    let size = short.len() as u64;
    let entry = FileEntry {
        hash: Hash::of(&short),
        size,
        footer: known.footer + size - known.size,
        rows: known.rows + 2,
        ..known.clone()
    };
    let path = object_store::path::Path::from(reader.path(&entry).unwrap());
    counted.store.put(&path, short.into()).await.unwrap();
    let edit =
        TableEdit { name: TableName::new("t").unwrap(), puts: vec![entry.clone()], removes: Vec::new() };
    let head = counted.lake.branch(counted.lake.default_branch()).await.unwrap();
    commit(&counted.lake, &head, vec![edit]).await.unwrap();
    let ctx = in_one_partition(&counted.lake);
    let error = ctx.sql("SELECT id FROM lake.public.t").await.unwrap().collect().await.unwrap_err();
    assert_eq!(lake_error(&error).map(strandline::Error::kind), Some(ErrorKind::Corrupt), "{error}");
    for part in ["it ends 2 rows before its footer says", &entry.hash.to_string()] {
        assert!(error.to_string().contains(part), "{error}");
    }
}
