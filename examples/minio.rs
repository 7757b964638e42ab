//! A lake on MinIO, or any other store: made and loaded once however often this runs, then queried by a DataFusion of one's own.
//!
//! `cargo run --example minio LOCATION [KEY=VALUE…]`: a URL like `s3://lake/example`, and options of the store under
//! `object_store`'s names, as far as the environment (`AWS_ENDPOINT`, …) does not say them. Without a location it tells how to start MinIO.
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::sync::Arc;

use datafusion::prelude::SessionContext;
use strandline::arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use strandline::storage::StoreOptions;
use strandline::{ErrorKind, Lake};

type Anything = Box<dyn std::error::Error>;

const HOW: &str = "\
cargo run --example minio LOCATION [KEY=VALUE…]

To start MinIO, and try this there:

  docker compose -f minio-compose.yml up -d --wait
  cargo run --example minio s3://lake/example endpoint=http://127.0.0.1:9000 allow_http=true \\
    region=us-east-1 access_key_id=strandline secret_access_key=strandline-secret";

/// Where is measured, and how warm it is there on average.
const CITIES: [(&str, f64); 3] = [("Bergen", 2.0), ("Oslo", -4.0), ("Tromsø", -5.0)];

#[tokio::main]
async fn main() -> Result<(), Anything> {
    let mut arguments = std::env::args().skip(1);
    let Some(location) = arguments.next() else {
        println!("{HOW}");
        return Ok(());
    };
    let pairs = arguments.map(|pair| match pair.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(format!("{pair:?} is no KEY=VALUE")),
    });
    let lake = open(&location, pairs.collect::<Result<_, String>>()?).await?;
    println!("{}", load(&lake).await?);
    query(&lake).await
}

/// Opens the lake, and makes it where there is none: the store is then tried for what commits rely on.
async fn open(location: &str, options: StoreOptions) -> Result<Lake, Anything> {
    match Lake::open(location).options(options.clone()).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(Lake::create(location).options(options).await?)
        }
        opened => Ok(opened?),
    }
}

/// Loads a month of measurements, in one commit and once: the key of the load tells that it was done.
async fn load(lake: &Lake) -> Result<String, Anything> {
    let load = lake.begin().key("measurements of january").await?;
    if let Some(before) = load.committed_before() {
        return Ok(format!("loaded before, as version {}", before.version()));
    }
    let rows = measurements()?;
    load.create_table("measurements").like(&rows.schema()).sorted_by("city").await?;
    load.append("measurements", rows).await?;
    let report = load.commit().message("measurements of january").await?;
    Ok(format!("version {}, {} bytes uploaded", report.commit.version(), report.bytes_uploaded))
}

fn measurements() -> Result<RecordBatch, Anything> {
    let rows: Vec<(i32, &str, f64)> = (1..=31)
        .flat_map(|day| CITIES.map(|(city, mean)| (day, city, mean + 5.0 * (f64::from(day) / 7.0).sin())))
        .collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("day", Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.0)))),
        ("city", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)))),
        ("celsius", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.2)))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// The lake is one more catalog of a session: its tables can be joined with whatever else stands there.
async fn query(lake: &Lake) -> Result<(), Anything> {
    let context = SessionContext::new();
    strandline_datafusion::register(&context, "lake", lake)?;
    let coldest = "SELECT city, count(*) AS days, round(min(celsius), 1) AS coldest \
         FROM lake.public.measurements GROUP BY city ORDER BY coldest";
    context.sql(coldest).await?.show().await?;
    // Answered from the lake's metadata: no data file is read.
    context
        .sql("SELECT count(*) AS rows, max(day) AS last FROM lake.public.measurements")
        .await?
        .show()
        .await?;
    Ok(())
}
