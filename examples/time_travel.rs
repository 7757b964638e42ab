//! Time travel and undo: every version stays readable, and what was deleted by mistake comes back from the version before.
//!
//! `cargo run --example time_travel`
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::sync::Arc;

use futures::TryStreamExt;
use strandline::Lake;
use strandline::arrow::array::{Int64Array, RecordBatch};
use strandline::filter::col;

type Anything = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Anything> {
    let lake = Lake::create("memory://time-travel").await?;
    let batch = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)])?;
    let setup = lake.begin().await?;
    setup.create_table("orders").like(&batch.schema()).await?;
    setup.append("orders", batch).await?;
    setup.commit().message("three orders").await?;
    lake.create_tag("closing").on("main").message("the books are closed").await?;

    // A condition that is wider than was meant.
    let mistake = lake.begin().await?;
    mistake.delete("orders", col("id").gt(0)).await?;
    mistake.commit().message("delete order 0").await?;

    for reference in ["main", "main~1", "v1", "closing"] {
        let at = lake.at(reference).await?;
        println!("{reference:<8} version {} has {} orders", at.version(), at.table("orders").await?.rows());
    }

    // The undo is a version like any other: the mistake stays in the log. No data file is written, the bytes are there.
    let before = lake.at("closing").await?.table("orders").await?.scan().collect().await?;
    let undo = lake.begin().await?;
    undo.overwrite("orders", before).await?;
    let report = undo.commit().message("undo: delete order 0").await?;
    println!(
        "\nundone in version {}: {} orders",
        report.commit.version(),
        lake.table("orders").await?.rows()
    );

    let mut log = lake.at("main").await?.log().stream();
    while let Some(commit) = log.try_next().await? {
        println!("  v{} {}", commit.version(), commit.message());
    }
    Ok(())
}
