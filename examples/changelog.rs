//! A consumer of changes that survives restarts: it keeps a cursor beside what it made of the changes, and goes on from there.
//!
//! `cargo run --example changelog`
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::sync::Arc;

use futures::TryStreamExt;
use strandline::Lake;
use strandline::arrow::array::{AsArray, Int64Array, RecordBatch};
use strandline::changes::{CHANGE_TYPE, Cursor};
use strandline::filter::col;

type Anything = Box<dyn std::error::Error>;

/// What the consumer keeps, in one place, so that it never counts twice: a file or a row of a database in earnest.
struct Kept {
    cursor: String,
    orders: i64,
}

#[tokio::main]
async fn main() -> Result<(), Anything> {
    let lake = Lake::create("memory://changelog").await?;
    let setup = lake.begin().await?;
    setup.create_table("orders").like(&orders(&[])?.schema()).await?;
    setup.commit().message("a table").await?;
    let mut kept = Kept { cursor: Cursor::at(&lake.main().await?).to_string(), orders: 0 };

    lake.append("orders", orders(&[1, 2, 3])?).await?;
    lake.append("orders", orders(&[4])?).await?;
    consume(&lake, &mut kept, 2).await?;

    println!("the consumer is away, and is started again");
    let deletes = lake.begin().await?;
    deletes.delete("orders", col("id").lt(3)).await?;
    deletes.commit().await?;
    consume(&lake, &mut kept, 1).await?;
    println!("counted {}, the table has {}", kept.orders, lake.table("orders").await?.rows());
    Ok(())
}

/// Counts what comes, until so many versions have been seen.
async fn consume(lake: &Lake, kept: &mut Kept, versions: usize) -> Result<(), Anything> {
    let mut events = lake.subscribe(kept.cursor.parse::<Cursor>()?, ["orders"]).stream();
    for _ in 0..versions {
        let event = events.try_next().await?.ok_or("the subscription has ended")?;
        let mut changes = event.changes("orders").await?;
        while let Some(batch) = changes.try_next().await? {
            kept.orders += balance(&batch)?;
        }
        kept.cursor = event.cursor().to_string();
        println!("  v{}: {} orders", event.commit().version(), kept.orders);
    }
    Ok(())
}

/// Rows that came, less those that went.
fn balance(batch: &RecordBatch) -> Result<i64, Anything> {
    let changes = batch.column_by_name(CHANGE_TYPE).ok_or("no column of changes")?;
    let of = |change: Option<&str>| match change {
        Some("insert") => 1,
        Some("delete") => -1,
        _ => 0,
    };
    Ok(changes.as_string::<i32>().iter().map(of).sum())
}

fn orders(ids: &[i64]) -> Result<RecordBatch, Anything> {
    Ok(RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(ids.to_vec())) as _)])?)
}
