//! A nightly job: a CSV stream becomes rows of a clustered table, a summary goes into a second table in the same commit, and a job
//! that is run again, because nobody knew whether it had ended, loads nothing twice.
//!
//! `cargo run --example etl`
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::io::Cursor;
use std::sync::Arc;

use futures::stream;
use strandline::Lake;
use strandline::arrow::array::{AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use strandline::arrow::csv::ReaderBuilder;
use strandline::arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use strandline::transaction::Rows;

type Anything = Box<dyn std::error::Error>;

/// What came in, one file a day.
const FILES: [(&str, &str); 2] = [
    ("2026-01-01", "id,customer,amount\n1,ada,30.5\n2,bob,12\n3,ada,7.25\n"),
    ("2026-01-02", "id,customer,amount\n4,cid,99\n5,bob,1.5\n"),
];

#[tokio::main]
async fn main() -> Result<(), Anything> {
    let folder = tempfile::tempdir()?;
    let lake = Lake::create(folder.path().join("lake").display().to_string()).await?;
    make_tables(&lake).await?;
    for (day, csv) in FILES {
        println!("{day}: {}", load(&lake, day, csv).await?);
    }
    let (day, csv) = FILES[1];
    println!("{day} again: {}", load(&lake, day, csv).await?);

    for table in ["orders", "daily"] {
        println!("{table}: {} rows", lake.table(table).await?.rows());
    }
    Ok(())
}

async fn make_tables(lake: &Lake) -> Result<(), Anything> {
    let setup = lake.begin().await?;
    setup.create_table("orders").like(&orders_schema()).key(["id"]).sorted_by("customer").await?;
    setup.create_table("daily").like(&daily_schema()).await?;
    setup.commit().message("tables for orders").await?;
    Ok(())
}

/// Loads one day's file, once however often it is run.
async fn load(lake: &Lake, day: &str, csv: &str) -> Result<String, Anything> {
    let job = lake.begin().key(format!("orders of {day}")).await?;
    if let Some(before) = job.committed_before() {
        return Ok(format!("loaded before, as version {}", before.version()));
    }
    let batches: Vec<RecordBatch> = ReaderBuilder::new(orders_schema())
        .with_header(true)
        .build(Cursor::new(csv.to_owned()))?
        .collect::<Result<_, _>>()?;
    let summary = summary(day, &batches)?;
    // A stream is encoded and uploaded while it comes; a real job would not collect it first.
    job.append("orders", Rows::stream(stream::iter(batches.into_iter().map(Ok::<_, strandline::Error>))))
        .await?;
    job.append("daily", summary).await?;
    let report = job.commit().author("etl").message(format!("orders of {day}")).await?;
    Ok(format!("version {}, {} tables in one commit", report.commit.version(), report.tables.len()))
}

fn orders_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("customer", DataType::Utf8, true),
        Field::new("amount", DataType::Float64, true),
    ]))
}

fn daily_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("day", DataType::Utf8, false),
        Field::new("orders", DataType::Int64, false),
        Field::new("amount", DataType::Float64, false),
    ]))
}

fn summary(day: &str, batches: &[RecordBatch]) -> Result<RecordBatch, Anything> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let amounts = batches.iter().flat_map(|batch| batch.column(2).as_primitive::<Float64Type>().iter());
    let amount: f64 = amounts.flatten().sum();
    let columns: Vec<strandline::arrow::array::ArrayRef> = vec![
        Arc::new(StringArray::from(vec![day])),
        Arc::new(Int64Array::from(vec![i64::try_from(rows)?])),
        Arc::new(Float64Array::from(vec![amount])),
    ];
    Ok(RecordBatch::try_new(daily_schema(), columns)?)
}
