//! The bench "wide": a table of ten thousand columns is made, written, read and changed, in memory, against one with a quarter of them. What
//! grows with the square of their number takes sixteen times as long.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use strandline::Lake;
use strandline::filter::{Predicate, col};

use crate::cost::{Cost, Meter, ratio, show};
use crate::phase::{Failure, say};

/// How many columns the narrower table has.
const FEW: usize = 2_500;

/// Runs the bench.
pub(crate) async fn run() -> Result<(), Failure> {
    // The first one warms up.
    used(FEW / 5).await?;
    let (few, many) = (used(FEW).await?, used(4 * FEW).await?);
    for ((act, few), (_, many)) in few.iter().zip(&many) {
        say(&format!(
            "wide: {act} with {} columns: {}, {:.1} times what {FEW} take; processor time {:.1} times",
            4 * FEW,
            show(many.wall),
            ratio(many.wall, few.wall),
            ratio(many.processor, few.processor),
        ));
    }
    Ok(())
}

/// What each act on a table of so many columns takes.
async fn used(columns: usize) -> Result<Vec<(&'static str, Cost)>, Failure> {
    let mut acts = Vec::new();
    let lake = Lake::create("memory://wide").await?;
    let names = || (0..columns).map(|at| format!("column {at}"));
    let value = || Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
    let rows = RecordBatch::try_from_iter_with_nullable(names().map(|name| (name, value(), true)))?;
    let mut note = |act: &'static str, meter: Meter| acts.push((act, meter.stop()));

    let meter = Meter::start();
    let transaction = lake.begin().await?;
    transaction.create_table("wide").like(&rows.schema()).await?;
    transaction.commit().await?;
    note("create", meter);

    let meter = Meter::start();
    lake.append("wide", rows).await?;
    note("append", meter);

    let meter = Meter::start();
    let table = lake.table("wide").await?;
    table.scan().collect().await?;
    note("scan", meter);

    let meter = Meter::start();
    table.scan().columns(names().skip(columns / 2).take(1)).collect().await?;
    note("scan of one", meter);

    let each = names().step_by(columns / 10).map(|name| col(&name).ge(0)).reduce(Predicate::and);
    let meter = Meter::start();
    table.scan().filter(each.ok_or("no columns")?).count().await?;
    note("filter by ten", meter);

    let meter = Meter::start();
    let transaction = lake.begin().await?;
    let alter = names().take(100).fold(transaction.alter_table("wide"), |alter, name| {
        alter.rename_column(&name, format!("renamed {name}"))
    });
    alter.await?;
    transaction.commit().await?;
    note("rename a hundred", meter);

    let meter = Meter::start();
    let transaction = lake.begin().await?;
    transaction.delete("wide", col("renamed column 5").eq(1)).await?;
    transaction.commit().await?;
    note("delete", meter);
    Ok(acts)
}
