//! Statements that write, in a session that knows nothing else of lakes.

mod bounded;
mod copy;
mod delete;
mod insert;
mod merge;
mod races;
mod random;
mod statements;
mod update;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::UInt64Type;
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;
use strandline::{ErrorKind, Lake};
use strandline_datafusion::lake_error;

/// Carries out a statement that writes; how many rows it says that it has changed.
async fn run(ctx: &SessionContext, sql: &str) -> Result<u64> {
    let batches = ctx.sql(sql).await?.collect().await?;
    let count = |batch: &datafusion::arrow::array::RecordBatch| {
        batch.column_by_name("count").unwrap().as_primitive::<UInt64Type>().values().iter().sum::<u64>()
    };
    Ok(batches.iter().map(count).sum())
}

/// The error of a statement, which must leave no commit behind.
async fn refused(lake: &Lake, ctx: &SessionContext, sql: &str) -> DataFusionError {
    let before = lake.at("main").await.unwrap().version();
    let error = run(ctx, sql).await.expect_err(sql);
    assert_eq!(lake.at("main").await.unwrap().version(), before, "{sql}");
    error
}

#[track_caller]
fn assert_kind(error: &DataFusionError, kind: ErrorKind, says: &str) {
    assert_eq!(lake_error(error).map(strandline::Error::kind), Some(kind), "{error}");
    assert!(error.to_string().contains(says), "{error}");
}
