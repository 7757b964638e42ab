//! A lake in a folder: two tables in one commit, SQL, a branch, a merge, an older version, the log, and what stands in the bucket.
//!
//! `cargo run --release --example quickstart [folder]`: without a folder, one that is removed again.
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use strandline::Lake;
use strandline::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use strandline_datafusion::Session;

type Anything = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Anything> {
    let scratch = tempfile::tempdir()?;
    let folder = std::env::args().nth(1).unwrap_or_else(|| scratch.path().join("lake").display().to_string());
    let lake = Lake::create(&folder).await?;
    println!("A lake in {folder}");

    load(&lake).await?;
    let session = Session::new(&lake)?;
    const BY_CITY: &str = "SELECT city, count(*) AS orders, sum(amount) AS amount \
         FROM shop.orders JOIN shop.customers ON customer = name GROUP BY city ORDER BY city";
    sql(&session, BY_CITY).await?;

    println!("\nBob's orders are cancelled on a branch, which main does not see, and main goes on");
    sql(&session, "CREATE BRANCH cleanup").await?;
    sql(&session, "USE BRANCH cleanup").await?;
    sql(&session, "DELETE FROM shop.orders WHERE customer = 'bob'").await?;
    sql(&session, "USE BRANCH main").await?;
    sql(&session, "INSERT INTO shop.orders VALUES (4, 'cid', 99)").await?;
    sql(&session, BY_CITY).await?;

    println!("\nThe branch is merged row by row: no data file is rewritten");
    let merged = lake.merge("cleanup").into("main").message("bob cancelled").await?.committed()?;
    println!("  version {}, {} data files uploaded", merged.commit.version(), merged.requests.data);
    sql(&session, BY_CITY).await?;

    println!("\nThe first load is still there");
    sql(&session, "SELECT * FROM shop.orders VERSION AS OF 1 ORDER BY id").await?;

    println!("\nThe log");
    log(&lake).await?;
    println!("\nWhat stands in the folder");
    objects(&lake).await
}

/// Two tables in one commit: both are there, or neither.
async fn load(lake: &Lake) -> Result<(), Anything> {
    println!("\nTwo tables in one commit");
    let orders = orders(&[(1, "ada", 30), (2, "bob", 12), (3, "ada", 7)])?;
    let customers = customers(&[("ada", "Bergen"), ("bob", "Oslo"), ("cid", "Bergen")])?;
    let load = lake.begin().await?;
    load.create_namespace("shop").await?;
    load.create_table("shop.orders").like(&orders.schema()).key(["id"]).check("paid", "amount >= 0").await?;
    load.create_table("shop.customers").like(&customers.schema()).await?;
    load.append("shop.orders", orders).await?;
    load.append("shop.customers", customers).await?;
    let report = load.commit().author("quickstart").message("the first load").await?;
    println!("  version {}, {} data files uploaded", report.commit.version(), report.requests.data);
    Ok(())
}

/// Runs a statement, and prints its rows.
async fn sql(session: &Session, statement: &str) -> Result<(), Anything> {
    println!("\n> {statement}");
    let answer = Box::pin(session.sql(statement)).await?;
    if !answer.schema().fields().is_empty() {
        answer.show().await?;
    }
    Ok(())
}

async fn log(lake: &Lake) -> Result<(), Anything> {
    let mut log = lake.at("main").await?.log().stream();
    while let Some(commit) = log.try_next().await? {
        let changes: Vec<String> = commit
            .changes()
            .iter()
            .map(|change| format!("{} {}", change.operation.as_str(), change.name.as_str()))
            .collect();
        println!("  v{} {:<16} {}", commit.version(), commit.message(), changes.join(", "));
    }
    Ok(())
}

async fn objects(lake: &Lake) -> Result<(), Anything> {
    let store = lake.storage().objects().store();
    let mut objects: Vec<_> = store.list(None).try_collect().await?;
    objects.sort_by(|left, right| left.location.cmp(&right.location));
    for object in objects {
        println!("  {:>6} bytes  {}", object.size, object.location);
    }
    Ok(())
}

fn orders(rows: &[(i64, &str, i64)]) -> Result<RecordBatch, Anything> {
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))), false),
        ("customer", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))), true),
        ("amount", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))), true),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn customers(rows: &[(&str, &str)]) -> Result<RecordBatch, Anything> {
    let names = StringArray::from_iter_values(rows.iter().map(|row| row.0));
    let cities = StringArray::from_iter_values(rows.iter().map(|row| row.1));
    Ok(RecordBatch::try_from_iter([("name", Arc::new(names) as ArrayRef), ("city", Arc::new(cities) as _)])?)
}
