//! Lakes with tables whose rows tell who wrote them: what the cases of tables work on.

use std::sync::Arc;

use strandline::Lake;
use strandline::arrow::array::{AsArray, Int64Array, RecordBatch};
use strandline::arrow::datatypes::Int64Type;
use strandline::filter::Predicate;
use strandline::storage::Durability;
use strandline::{Result, Table};
use strandline_format::RefName;

use crate::lake::{self, Place};

/// An id, and who wrote it or whatever else there is to say of it.
pub(super) type Row = (i64, i64);

/// Rows as a batch.
pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let ids = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
    let who = Int64Array::from_iter_values(rows.iter().map(|row| row.1));
    RecordBatch::try_from_iter([("id", Arc::new(ids) as _), ("who", Arc::new(who) as _)]).unwrap()
}

/// Opens the lake at a place with nothing at hand, as another process would.
pub(super) async fn open(place: &Place) -> Lake {
    try_open(place).await.unwrap()
}

/// The same, where the store may fail.
pub(super) async fn try_open(place: &Place) -> Result<Lake> {
    let storage = lake::open_at(place, Durability::None).await;
    Lake::open_in(storage, &RefName::new("main").unwrap()).await
}

/// Makes a lake with empty tables of these names, in version 1.
pub(super) async fn create(place: &Place, names: &[&str]) -> Lake {
    let lake = Lake::create_in(lake::open_at(place, Durability::None).await).await.unwrap();
    let transaction = lake.begin().await.unwrap();
    for name in names {
        transaction.create_table(*name).like(&batch(&[]).schema()).await.unwrap();
    }
    transaction.commit().message("the tables").await.unwrap();
    lake
}

/// All rows of a table, in the order of their ids.
pub(super) async fn read(table: &Table) -> Vec<Row> {
    read_where(table, Predicate::all()).await.unwrap()
}

/// Those that pass.
pub(super) async fn read_where(table: &Table, predicate: Predicate) -> Result<Vec<Row>> {
    let batches = table.scan().columns(["id", "who"]).filter(predicate).collect().await?;
    let values =
        |batch: &RecordBatch, at: usize| batch.column(at).as_primitive::<Int64Type>().values().to_vec();
    let mut rows: Vec<Row> =
        batches.iter().flat_map(|batch| values(batch, 0).into_iter().zip(values(batch, 1))).collect();
    rows.sort_unstable();
    Ok(rows)
}

/// The rows of a table as a reference names it.
pub(super) async fn read_at(lake: &Lake, reference: &str, table: &str) -> Vec<Row> {
    read(&lake.at(reference).await.unwrap().table(table).await.unwrap()).await
}
