//! Tables of many small appends: their files are read together, and still each as what it is.

use std::sync::Arc;

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
use strandline_datafusion::{LakeTable, lake_error};
use strandline_testkit::PathClass;
use strandline_testkit::commits::{TableEdit, commit};

use crate::fixture::{Counted, batch, keeping_no_data, lines, longs, rows, table};

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

/// Deletes these rows, gives a column another name, and adds one that is 7 in all rows so far and 8 in others.
async fn evolve(lake: &Lake, first: i64, last: i64) {
    let transaction = lake.begin().await.unwrap();
    transaction.delete("t", col("id").between(first, last)).await.unwrap();
    let added = Field {
        initial: Some(Value::Long(7)),
        default: Some(Value::Long(8)),
        ..Field::optional(ColumnName::new("added").unwrap(), PrimitiveType::Long)
    };
    transaction.alter_table("t").rename_column("twice", "double").add_column(added).await.unwrap();
    transaction.commit().await.unwrap();
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
    // They are kept: a table of many small files is fetched once.
    let (again, counts) = counted.store.measure(batches(&ctx, sql)).await;
    assert_eq!(again, found);
    assert_eq!(counts.to(PathClass::Data).requests, 0);
    let told = rows(&ctx, &format!("EXPLAIN ANALYZE {sql}")).await.join("\n");
    let kept =
        ["lake_footer_cache_hits=50", "lake_file_cache_hits=50", "lake_requests=0", "lake_bytes_read=0"];
    for part in ["and 49 more", "output_batches=1"].into_iter().chain(kept) {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[tokio::test]
async fn of_files_that_are_not_kept_columns_are_asked_for_and_nothing_else() {
    let counted = Counted::keeping_no_data().await;
    appended(&counted.lake, 50).await;
    let ctx = in_one_partition(&counted.lake);
    let sql = "SELECT twice, id FROM lake.public.t";
    let found = batches(&ctx, sql).await;
    let (again, counts) = counted.store.measure(batches(&ctx, sql)).await;
    assert_eq!(again, found);
    assert_eq!(counts.to(PathClass::Data).requests, 50);
    let told = rows(&ctx, &format!("EXPLAIN ANALYZE {sql}")).await.join("\n");
    for part in ["lake_footer_cache_hits=50", "lake_file_cache_hits=0", "lake_requests=50"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[tokio::test]
async fn files_whose_footers_are_known_are_fetched_once_as_well() {
    let counted = Counted::new().await;
    appended(&counted.lake, 20).await;
    let lake = counted.cold().await;
    let table = lake.table("t").await.unwrap();
    for entry in table.files().await.unwrap() {
        table.file_reader().footer(&entry).await.unwrap();
    }
    let ctx = in_one_partition(&lake);
    for requests in [20, 0, 0] {
        let sum = rows(&ctx, "SELECT sum(twice) FROM lake.public.t");
        let (found, counts) = counted.store.measure(sum).await;
        assert_eq!((found, counts.to(PathClass::Data).requests), (vec!["39800".to_owned()], requests));
    }
}

#[tokio::test]
async fn a_session_without_rules_of_ours_reads_each_file_once_too() {
    let counted = Counted::new().await;
    appended(&counted.lake, 30).await;
    let main = counted.lake.main().await.unwrap();
    let t = LakeTable::pinned(main.clone(), main.table("t").await.unwrap()).unwrap();
    for config in [
        SessionConfig::new().with_target_partitions(1),
        SessionConfig::new().with_target_partitions(4).with_repartition_file_min_size(1),
        SessionConfig::new().set_bool("datafusion.execution.parquet.pushdown_filters", true),
    ] {
        let ctx = SessionContext::new_with_config(config);
        ctx.register_table("t", Arc::new(t.clone())).unwrap();
        for (sql, found) in [
            ("SELECT count(*), sum(id) FROM t WHERE id + 0 >= 0", "300 44850"),
            ("SELECT sum(id), count(twice) FROM t WHERE id >= 150", "33675 150"),
            ("SELECT id FROM t ORDER BY id DESC LIMIT 2", "299;298"),
            ("SELECT count(*) FROM (SELECT id FROM t LIMIT 15)", "15"),
        ] {
            assert_eq!(rows(&ctx, sql).await.join(";"), found, "{sql}");
        }
    }
}

#[tokio::test]
async fn files_are_skipped_by_what_a_join_finds_out_whatever_their_columns_were() {
    let counted = Counted::keeping_no_data().await;
    let lake = &counted.lake;
    appended(lake, 10).await;
    evolve(lake, 20, 22).await;
    append(lake, 10..20, "double").await;
    let ctx = in_one_partition(lake);
    ctx.register_batch("keys", batch(&[("key", longs([46, 246]))])).unwrap();
    ctx.register_batch("old", batch(&[("key", longs([7]))])).unwrap();
    // A file that is known to lack a column is not asked for it.
    for (sql, found, read) in [
        ("SELECT id FROM lake.public.t JOIN keys ON double = key ORDER BY id", "23;123", 2),
        ("SELECT count(*) FROM lake.public.t JOIN keys ON double = key - 200", "1", 1),
        ("SELECT count(*) FROM lake.public.t JOIN old ON added = key", "97", 9),
        ("SELECT count(*) FROM lake.public.t JOIN old ON added = key + 1", "100", 10),
    ] {
        let (answer, counts) = counted.store.measure(rows(&ctx, sql)).await;
        assert_eq!(answer.join(";"), found, "{sql}");
        assert_eq!(counts.to(PathClass::Data).requests, read, "{sql}");
    }
}

#[tokio::test]
async fn each_file_is_read_with_its_own_columns_and_deletes() {
    let counted = Counted::new().await;
    let lake = &counted.lake;
    appended(lake, 3).await;
    evolve(lake, 8, 11).await;
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
    let counted = Counted::keeping_no_data().await;
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
    let lake = keeping_no_data(folder.path()).await;
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
