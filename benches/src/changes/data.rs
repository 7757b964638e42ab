//! Which rows are changed, and the rows that are merged.
//!
//! Invariant: what is deleted and updated is spread evenly over all rows, so that no statistics spare reading a page.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Decimal128Type, Int64Type};

use crate::phase::Failure;
use crate::{plain, rows};

/// How many of the rows that are merged are there already, at scale 1, and how many are new.
const MERGED: (usize, usize) = (54_000, 6_000);

/// How many rows `lineitem` has at scale 1.
const LINEITEM: usize = 6_001_215;

/// Where the quantity stands, and the number of the order.
const QUANTITY: usize = 4;
const ORDER: usize = 0;

/// The comment that updated rows get.
pub(super) const COMMENT: &str = "changed";

/// A hundredth of the parts: the first and the last of those whose rows are deleted.
pub(super) fn deleted(scale: f64) -> (i64, i64) {
    parts(scale, 0.5)
}

/// The same of those whose rows are updated.
pub(super) fn updated(scale: f64) -> (i64, i64) {
    parts(scale, 0.25)
}

#[expect(clippy::cast_possible_truncation, reason = "numbers of parts are small")]
fn parts(scale: f64, start: f64) -> (i64, i64) {
    let all = (scale * 200_000.0).floor();
    let first = (all * start).floor();
    (first as i64 + 1, (first + all / 100.0).floor() as i64)
}

/// Writes all rows, and those to be merged: some of the rows, each with another quantity, and as new ones rows of orders that lie among those
/// that are there. Gives the number of the latter.
pub(super) fn write(all: &Path, merged: &Path, scale: f64) -> Result<usize, Failure> {
    let batches = rows::lineitem(scale)?;
    plain::write(all, &batches, 1 << 20, std::thread::available_parallelism()?, false)?;
    let all = concat_batches(&rows::schema(), &batches)?;
    let scaled = |count: usize| (count * all.num_rows() / LINEITEM).max(1);
    let known = replaced(&pick(&all, scaled(MERGED.0), 17)?, QUANTITY, more)?;
    let new = replaced(&pick(&all, scaled(MERGED.1), 5)?, ORDER, unused)?;
    let rows = concat_batches(&rows::schema(), &[known, new])?;
    plain::write_small(merged, &rows, false)?;
    Ok(rows.num_rows())
}

/// So many rows at even distances, in an order that is none.
fn pick(all: &RecordBatch, count: usize, offset: usize) -> Result<RecordBatch, Failure> {
    /// A prime, so that each row comes once.
    const STEP: usize = 7_919;
    let stride = (all.num_rows() / count).max(1);
    let place = |at: usize| i64::try_from((at * STEP % count) * stride + offset % stride);
    let places = Int64Array::from((0..count).map(place).collect::<Result<Vec<_>, _>>()?);
    Ok(take_record_batch(all, &places)?)
}

fn replaced(
    batch: &RecordBatch,
    column: usize,
    by: fn(&ArrayRef) -> Result<ArrayRef, Failure>,
) -> Result<RecordBatch, Failure> {
    let mut columns = batch.columns().to_vec();
    columns[column] = by(&columns[column])?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

/// The quantities of rows, each larger by one.
pub(super) fn more_of(batch: &RecordBatch) -> Result<ArrayRef, Failure> {
    more(batch.column(QUANTITY))
}

fn more(quantities: &ArrayRef) -> Result<ArrayRef, Failure> {
    let quantities = quantities.as_primitive_opt::<Decimal128Type>().ok_or("quantities are no decimals")?;
    let more: Decimal128Array = quantities.unary(|hundredths| hundredths + 100);
    Ok(Arc::new(more.with_data_type(quantities.data_type().clone())))
}

/// Numbers of orders that TPC-H leaves out: of 32 in a row it has the first eight.
fn unused(orders: &ArrayRef) -> Result<ArrayRef, Failure> {
    let orders = orders.as_primitive_opt::<Int64Type>().ok_or("orders have no numbers")?;
    Ok(Arc::new(orders.unary::<_, Int64Type>(|order| order + 8)))
}
