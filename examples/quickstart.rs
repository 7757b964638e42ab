//! A lake in a folder: two tables in one commit, a read, an older version, a branch, the log, and what stands in the bucket.
//!
//! `cargo run --example quickstart [folder]`: without a folder, one that is removed again.
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use strandline::Lake;
use strandline::arrow::array::{Int64Array, RecordBatch, StringArray};
use strandline::arrow::util::pretty::pretty_format_batches;
use strandline::filter::col;

type Anything = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Anything> {
    let scratch = tempfile::tempdir()?;
    let folder = std::env::args().nth(1).unwrap_or_else(|| scratch.path().join("lake").display().to_string());
    let lake = Lake::create(&folder).await?;
    println!("A lake in {folder}\n");

    println!("Two tables in one commit");
    let load = lake.begin().await?;
    load.create_namespace("shop").await?;
    load.create_table("shop.orders")
        .like(&orders(&[])?.schema())
        .key(["id"])
        .check("paid", "amount >= 0")
        .await?;
    load.create_table("shop.customers").like(&customers(&[])?.schema()).await?;
    load.append("shop.orders", orders(&[(1, "ada", 30), (2, "bob", 12), (3, "ada", 7)])?).await?;
    load.append("shop.customers", customers(&["ada", "bob"])?).await?;
    let report = load.commit().author("quickstart").message("the first load").await?;
    println!("  version {}, {} files uploaded\n", report.commit.version(), report.requests.data);

    println!("Orders above 10");
    let large = lake.table("shop.orders").await?.scan().filter(col("amount").gt(10)).collect().await?;
    println!("{}\n", pretty_format_batches(&large)?);

    println!("Ada's orders are cancelled on a branch, which main does not see");
    lake.create_branch("cleanup").from("main").await?;
    let cleanup = lake.begin().branch("cleanup").await?;
    let gone = cleanup.delete("shop.orders", col("customer").eq("ada")).await?;
    cleanup.commit().message("ada cancelled").await?;
    for reference in ["main", "cleanup"] {
        let rows = lake.at(reference).await?.table("shop.orders").await?.rows();
        println!("  {reference:<8} {rows} orders");
    }
    println!("  {gone} rows deleted, no data file rewritten\n");

    println!("The branch is audited, and main moves forward to it");
    lake.fast_forward("main").to("cleanup").await?;
    let now = lake.table("shop.orders").await?.rows();
    let before = lake.at("main~1").await?.table("shop.orders").await?.rows();
    println!("  {now} orders now, {before} one version before\n");

    println!("The log");
    let mut log = lake.at("main").await?.log().stream();
    while let Some(commit) = log.try_next().await? {
        let changes: Vec<String> = commit
            .changes()
            .iter()
            .map(|change| format!("{} {}", change.operation.as_str(), change.name.as_str()))
            .collect();
        println!("  v{} {:<16} {}", commit.version(), commit.message(), changes.join(", "));
    }

    println!("\nWhat stands in the folder");
    let store = lake.storage().objects().store();
    let mut objects: Vec<_> = store.list(None).try_collect().await?;
    objects.sort_by(|left, right| left.location.cmp(&right.location));
    for object in objects {
        println!("  {:>6} bytes  {}", object.size, object.location);
    }
    Ok(())
}

fn orders(rows: &[(i64, &str, i64)]) -> Result<RecordBatch, Anything> {
    let ids = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
    let customers = StringArray::from_iter_values(rows.iter().map(|row| row.1));
    let amounts = Int64Array::from_iter_values(rows.iter().map(|row| row.2));
    let columns: [(&str, strandline::arrow::array::ArrayRef, bool); 3] = [
        ("id", Arc::new(ids), false),
        ("customer", Arc::new(customers), true),
        ("amount", Arc::new(amounts), true),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn customers(names: &[&str]) -> Result<RecordBatch, Anything> {
    let names = StringArray::from_iter_values(names);
    Ok(RecordBatch::try_from_iter([("name", Arc::new(names) as _)])?)
}
