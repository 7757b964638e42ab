//! Write, audit, publish: a load goes to a branch, is checked there, and `main` moves forward to it, or never sees it.
//!
//! `cargo run --example write_audit_publish`
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::sync::Arc;

use strandline::Lake;
use strandline::arrow::array::{Int64Array, RecordBatch};
use strandline::filter::col;

type Anything = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Anything> {
    let lake = Lake::create("memory://write-audit-publish").await?;
    let setup = lake.begin().await?;
    setup.create_table("readings").like(&readings(&[])?.schema()).await?;
    setup.append("readings", readings(&[20, 21, 22])?).await?;
    setup.commit().message("what is published").await?;

    for (branch, load) in [("load-1", [23, -300]), ("load-2", [23, 24])] {
        write(&lake, branch, &load).await?;
        match audit(&lake, branch).await? {
            0 => {
                let published = lake.fast_forward("main").to(branch).await?;
                println!("{branch}: published as version {}", published.version());
            }
            wrong => println!("{branch}: {wrong} impossible readings, not published"),
        }
        lake.delete_branch(branch).await?;
        println!("  main has {} readings", lake.table("readings").await?.rows());
    }
    Ok(())
}

/// Loads onto a branch of its own, which costs one small put and no copy.
async fn write(lake: &Lake, branch: &str, load: &[i64]) -> Result<(), Anything> {
    lake.create_branch(branch).from("main").await?;
    let transaction = lake.begin().branch(branch).await?;
    transaction.append("readings", readings(load)?).await?;
    transaction.commit().message(branch).await?;
    Ok(())
}

/// How many readings are below what there is.
async fn audit(lake: &Lake, branch: &str) -> Result<u64, Anything> {
    let readings = lake.at(branch).await?.table("readings").await?;
    Ok(readings.scan().filter(col("celsius").lt(-273)).count().await?)
}

fn readings(celsius: &[i64]) -> Result<RecordBatch, Anything> {
    let celsius = Int64Array::from(celsius.to_vec());
    Ok(RecordBatch::try_from_iter_with_nullable([("celsius", Arc::new(celsius) as _, false)])?)
}
