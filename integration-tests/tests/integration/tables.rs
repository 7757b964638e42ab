//! Lakes with tables whose rows tell who wrote them: what the tests of many processes and of bad disks work on.

use std::ops::Range;
use std::sync::Arc;

use strandline::arrow::array::{AsArray, Int64Array, RecordBatch};
use strandline::arrow::datatypes::Int64Type;
use strandline::filter::Predicate;
use strandline::storage::{Durability, Storage};
use strandline::{Lake, Result, Table};

use crate::lake::{self, Place};

/// An id, and who wrote it or whatever else there is to say of it.
pub(crate) type Row = (i64, i64);

/// A number for each one that differs from the others in no pattern, so that many of them take all their room however they are stored.
pub(crate) fn scattered(number: u64) -> u64 {
    let product = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product ^ (product >> 31)).wrapping_mul(0x3f58_476d_1ce4_e5b9)
}

/// Rows as a batch.
pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let ids = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
    let writers = Int64Array::from_iter_values(rows.iter().map(|row| row.1));
    RecordBatch::try_from_iter([("id", Arc::new(ids) as _), ("writer", Arc::new(writers) as _)]).unwrap()
}

/// Rows with these ids, all of one writer.
pub(crate) fn of_writer(ids: Range<i64>, writer: i64) -> RecordBatch {
    batch(&ids.map(|id| (id, writer)).collect::<Vec<_>>())
}

/// Opens the lake at a location.
pub(crate) async fn open(location: &str, durability: Durability) -> Lake {
    open_in(lake::open(location, durability).await).await
}

/// Opens the lake at a place, which may be a bucket.
pub(crate) async fn open_at(place: &Place) -> Lake {
    open_in(lake::open_at(place, Durability::None).await).await
}

async fn open_in(storage: Storage) -> Lake {
    Lake::open_in(storage, &strandline_format::RefName::new("main").unwrap()).await.unwrap()
}

/// Makes a lake with empty tables of these names, in one commit.
pub(crate) async fn create(location: &str, durability: Durability, names: &[&str]) -> Lake {
    create_in(lake::open(location, durability).await, names).await
}

/// The same at a place, which may be a bucket.
pub(crate) async fn create_at(place: &Place, names: &[&str]) -> Lake {
    create_in(lake::open_at(place, Durability::None).await, names).await
}

async fn create_in(storage: Storage, names: &[&str]) -> Lake {
    let lake = Lake::create_in(storage).await.unwrap();
    let transaction = lake.begin().await.unwrap();
    for name in names {
        transaction.create_table(*name).like(&batch(&[]).schema()).await.unwrap();
    }
    transaction.commit().message("the tables").await.unwrap();
    lake
}

/// All rows of a table, in the order of their ids.
pub(crate) async fn read(table: &Table) -> Result<Vec<Row>> {
    read_where(table, Predicate::all()).await
}

/// Those that pass.
pub(crate) async fn read_where(table: &Table, predicate: Predicate) -> Result<Vec<Row>> {
    let batches = table.scan().columns(["id", "writer"]).filter(predicate).collect().await?;
    let column =
        |batch: &RecordBatch, at: usize| batch.column(at).as_primitive::<Int64Type>().values().to_vec();
    let rows = batches.iter().flat_map(|batch| column(batch, 0).into_iter().zip(column(batch, 1)));
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_unstable();
    Ok(rows)
}
