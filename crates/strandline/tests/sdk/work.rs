//! What the tests of transactions share: a lake with a table, rows for it, and two transactions that race.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use strandline::format::{ColumnName, Field, PrimitiveType};
use strandline::{Lake, Report, Result, Table, Transaction};

use crate::fixture::Counted;

/// A batch of nullable columns.
pub(crate) fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Orders with these ids.
pub(crate) fn orders(ids: std::ops::Range<i64>) -> RecordBatch {
    let names: Vec<String> = ids.clone().map(|id| format!("order {id}")).collect();
    let amounts = ids.clone().map(|id| f64::from(i32::try_from(id).unwrap()) + 0.5);
    batch([
        ("id", Arc::new(Int64Array::from_iter_values(ids)) as _),
        ("name", Arc::new(StringArray::from(names)) as _),
        ("amount", Arc::new(Float64Array::from_iter_values(amounts)) as _),
    ])
}

pub(crate) fn column(name: &str, ty: PrimitiveType) -> Field {
    Field::optional(ColumnName::new(name).unwrap(), ty)
}

/// The columns of orders: `id` is required, `name` and `amount` are not.
pub(crate) fn order_fields() -> [Field; 3] {
    [
        Field::required(ColumnName::new("id").unwrap(), PrimitiveType::Long),
        column("name", PrimitiveType::String),
        column("amount", PrimitiveType::Double),
    ]
}

/// One transaction on `main`.
pub(crate) async fn change(lake: &Lake, act: impl AsyncFnOnce(&Transaction)) -> Report {
    let transaction = lake.begin().await.unwrap();
    act(&transaction).await;
    transaction.commit().await.unwrap()
}

/// A lake with the table `orders`, whose amounts are not negative and whose first ids count from 0.
pub(crate) async fn shop(rows: i64) -> (Counted, Lake) {
    let counted = Counted::new();
    let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
    change(&lake, async |transaction| {
        let orders = transaction.create_table("orders").fields(order_fields());
        orders.check("positive", "amount >= 0").await.unwrap();
    })
    .await;
    if rows > 0 {
        lake.append("orders", orders(0..rows)).await.unwrap();
    }
    (counted, lake)
}

/// Two transactions that begin on one head; the first commits, and what comes of the second is the result.
pub(crate) async fn race(
    lake: &Lake,
    first: impl AsyncFnOnce(&Transaction),
    second: impl AsyncFnOnce(&Transaction),
) -> Result<Report> {
    race_of(lake, (false, first), (false, second)).await
}

/// The same, both serializable.
pub(crate) async fn serial_race(
    lake: &Lake,
    first: impl AsyncFnOnce(&Transaction),
    second: impl AsyncFnOnce(&Transaction),
) -> Result<Report> {
    race_of(lake, (true, first), (true, second)).await
}

async fn race_of(
    lake: &Lake,
    (one_serial, first): (bool, impl AsyncFnOnce(&Transaction)),
    (two_serial, second): (bool, impl AsyncFnOnce(&Transaction)),
) -> Result<Report> {
    let begin = |serial| if serial { lake.begin().serializable() } else { lake.begin() };
    let (one, two) = (begin(one_serial).await.unwrap(), begin(two_serial).await.unwrap());
    first(&one).await;
    second(&two).await;
    one.commit().await.unwrap();
    two.commit().await
}

/// The ids of a table's rows, ascending.
pub(crate) async fn ids(table: &Table) -> Vec<i64> {
    numbers(table, "id").await
}

/// A column of longs, ascending, nulls left out.
pub(crate) async fn numbers(table: &Table, column: &str) -> Vec<i64> {
    let batches = table.scan().columns([column]).collect().await.unwrap();
    let values =
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().iter().flatten());
    let mut values: Vec<i64> = values.collect();
    values.sort_unstable();
    values
}

pub(crate) async fn ids_of(lake: &Lake, table: &str) -> Vec<i64> {
    ids(&lake.table(table).await.unwrap()).await
}

pub(crate) fn texts(texts: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

pub(crate) fn longs(longs: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(longs))
}
