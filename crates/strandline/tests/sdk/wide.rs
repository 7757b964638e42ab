//! Tables of very many columns: they work, and nothing about them grows with the square of their number.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use strandline::filter::{Predicate, col};
use strandline::format::PrimitiveType;
use strandline::{ErrorKind, Lake};

use crate::fixture::{Counted, open};
use crate::work::{batch, change, column, longs};

/// How many columns the narrower table has; the other has four times as many.
const FEW: usize = 2_500;

/// How much more each column may take in the wider table. What grows with the square would take four times as much.
const GROWTH: f64 = 2.5;

/// What takes less than these seconds says nothing: it is a footer that is small enough to be at hand, say.
const NOTHING: f64 = 0.1;

fn names(columns: usize) -> impl Iterator<Item = String> {
    (0..columns).map(|at| format!("column {at}"))
}

fn wide(columns: usize) -> RecordBatch {
    let value = |at: usize| Arc::new(Int64Array::from(vec![i64::try_from(at).unwrap(), 1])) as ArrayRef;
    let columns = names(columns).enumerate().map(|(at, name)| (name, value(at), true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// How long something takes.
async fn timed<T>(
    times: &mut Vec<(&'static str, Duration)>,
    name: &'static str,
    act: impl Future<Output = T>,
) -> T {
    let begun = tokio::time::Instant::now();
    let done = act.await;
    times.push((name, begun.elapsed()));
    done
}

/// Makes, writes, reads and changes a table of so many columns, and says how long each of it took.
async fn used(columns: usize) -> Vec<(&'static str, Duration)> {
    let mut times = Vec::new();
    let counted = Counted::new();
    let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
    let rows = wide(columns);
    let make = change(&lake, async |on| drop(on.create_table("wide").like(&rows.schema()).await.unwrap()));
    timed(&mut times, "create", make).await;
    timed(&mut times, "append", lake.append("wide", rows.clone())).await.unwrap();
    let cold = open(counted.cold().storage).await.unwrap();
    let table = timed(&mut times, "open", cold.table("wide")).await.unwrap();
    let read = timed(&mut times, "read", table.scan().collect()).await.unwrap();
    assert_eq!((read[0].num_columns(), read[0].num_rows()), (columns, 2));
    assert_eq!(read[0].column(columns - 1), rows.column(columns - 1));
    let one = format!("column {}", columns / 2);
    let alone = timed(&mut times, "read one", table.scan().columns([one.as_str()]).collect()).await.unwrap();
    assert_eq!(alone[0].num_columns(), 1);
    let each =
        names(columns).step_by(columns / 10).map(|name| col(&name).ge(0)).reduce(Predicate::and).unwrap();
    assert_eq!(timed(&mut times, "filter", table.scan().filter(each).count()).await.unwrap(), 2);
    let alter = change(&lake, async |on| {
        let alter = names(columns).take(100).fold(on.alter_table("wide"), |alter, name| {
            alter.rename_column(&name, format!("renamed {name}"))
        });
        alter.drop_column("column 101").add_column(column("more", PrimitiveType::Long)).await.unwrap();
    });
    timed(&mut times, "alter", alter).await;
    lake.append("wide", batch([("more", longs([7]))])).await.unwrap();
    let table = lake.table("wide").await.unwrap();
    assert_eq!((table.rows(), table.schema().fields().len()), (3, columns));
    assert_eq!(table.scan().filter(col("renamed column 5").eq(5)).count().await.unwrap(), 1);
    let error = lake.append("wide", wide(columns)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    timed(
        &mut times,
        "delete",
        change(&lake, async |on| {
            assert_eq!(on.delete("wide", col("renamed column 5").eq(5)).await.unwrap(), 1);
        }),
    )
    .await;
    times
}

#[test]
fn ten_thousand_columns_take_four_times_as_long_as_a_quarter_of_them() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        used(500).await;
        let (few, many) = (used(FEW).await, used(4 * FEW).await);
        for ((name, few), (_, many)) in few.iter().zip(&many) {
            let growth = many.as_secs_f64() / few.as_secs_f64().max(NOTHING) / 4.0;
            println!("{name}: {few:?}, {many:?}, {growth:.2} times as much for each column");
            assert!(growth < GROWTH, "{name}: {few:?}, {many:?}");
        }
    });
}
