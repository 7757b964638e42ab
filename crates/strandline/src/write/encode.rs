//! From rows to encoded column chunks: one job for each leaf of each row group, or one for all if there are few rows.
//!
//! Invariants: what comes out depends on the rows alone, not on how many jobs ran at once; row groups come in order,
//! and the chunks of each in the order of the columns. A float column with NaNs has no bounds in the file's own
//! statistics: Parquet's pass over NaN without saying so, while engines order it above all numbers and would prune its
//! rows away.
//!
//! Every page gets its checksum here (`checksum`). Where the chunks go is the business of `file`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::interleave;
use futures::TryFutureExt;
use futures::stream::{FuturesOrdered, FuturesUnordered, TryStreamExt};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, compute_leaves};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::statistics::Statistics;

use super::buffer::Rows;
use super::checksum::{Chunk, Pages, checked};
use super::jobs::Cores;
use super::plan::{Plan, PlannedLeaf};
use super::size::array_weight;
use super::sort::{Order, Place};
use super::stats::LeafStats;
use super::{odd, refused};
use crate::error::Result;

/// What a job has of rows at the least, but for the last one: to hand a job over takes longer than to encode a few rows.
const LEAST_JOB: u64 = 128 << 10;

/// Rows of so many bytes are encoded where they are, which takes less than a millisecond.
const NO_JOB: u64 = 32 << 10;

/// One column of a row group, ready for a file.
pub(super) struct EncodedLeaf {
    pub(super) chunk: Chunk,
    pub(super) stats: LeafStats,
}

/// A row group, ready for a file.
pub(super) struct EncodedGroup {
    pub(super) rows: usize,
    pub(super) columns: Vec<EncodedLeaf>,
}

/// Encodes rows into row groups: sorted ones into as many as they need, others into one.
pub(super) async fn encode(plan: Arc<Plan>, cores: Cores, rows: Rows) -> Result<Vec<EncodedGroup>> {
    let Rows { batches, rows, bytes } = rows;
    let columns = Columns::of(&batches);
    let jobs = usize::try_from(bytes / LEAST_JOB).unwrap_or(usize::MAX).clamp(1, plan.columns.len());
    let leaves_in_job = plan.columns.len().div_ceil(jobs);
    let order = match &plan.order {
        None => None,
        Some(_) => {
            let plan = Arc::clone(&plan);
            Some(Arc::new(cores.start(move || Order::of(&plan, &batches)).await?))
        }
    };
    let size = if order.is_some() { plan.rows_in_group(rows, bytes) } else { rows.max(1) };
    let ranges = (0..rows).step_by(size).map(|start| start..rows.min(start + size));
    let mut groups = FuturesOrdered::new();
    for range in ranges {
        groups.push_back(encode_group(&plan, &cores, &columns, order.as_ref(), range, leaves_in_job));
    }
    drop((columns, order));
    groups.try_collect().await
}

/// How rows are best encoded.
pub(super) enum Effort {
    /// At once, where they are.
    None,
    /// By one job.
    Job,
    /// By a job for each of several columns.
    Jobs,
}

impl Effort {
    /// What rows take. Those that are sorted take several steps.
    pub(super) fn of(plan: &Plan, rows: &Rows) -> Self {
        match rows.bytes {
            _ if plan.order.is_some() => Self::Jobs,
            bytes if bytes <= NO_JOB => Self::None,
            bytes if bytes < 2 * LEAST_JOB => Self::Job,
            _ => Self::Jobs,
        }
    }
}

/// Encodes rows that come in order into one row group, one column after the other.
pub(super) fn encode_alone(plan: &Plan, rows: &Rows) -> Result<Vec<EncodedGroup>> {
    let columns = Columns::of(&rows.batches);
    let encode = |column: &PlannedLeaf| encode_leaf(column, &columns.0[column.leaf.column], None);
    let columns = plan.columns.iter().map(encode).collect::<Result<_>>()?;
    Ok(vec![EncodedGroup { rows: rows.rows, columns }])
}

/// The batches column by column, so that each is let go as soon as its last job is done.
struct Columns(Vec<Arc<[ArrayRef]>>);

impl Columns {
    fn of(batches: &[RecordBatch]) -> Self {
        let count = batches.first().map_or(0, RecordBatch::num_columns);
        let column = |at: usize| batches.iter().map(|batch| Arc::clone(batch.column(at))).collect();
        Self((0..count).map(column).collect())
    }
}

fn encode_group(
    plan: &Arc<Plan>,
    cores: &Cores,
    columns: &Columns,
    order: Option<&Arc<Order>>,
    range: Range<usize>,
    leaves_in_job: usize,
) -> impl Future<Output = Result<EncodedGroup>> + use<> {
    let rows = range.len();
    let jobs = FuturesUnordered::new();
    for leaves in heaviest_first(plan, columns, leaves_in_job) {
        let column = |at: usize| Arc::clone(&columns.0[plan.columns[at].leaf.column]);
        let arrays: Vec<_> = leaves.clone().map(column).collect();
        let first = leaves.start;
        let (plan, order, range) = (Arc::clone(plan), order.cloned(), range.clone());
        let job = move || {
            let places = order.as_ref().map(|order| order.places(range));
            let leaves =
                leaves.zip(arrays).map(|(at, arrays)| encode_leaf(&plan.columns[at], &arrays, places));
            leaves.collect::<Result<Vec<_>>>()
        };
        jobs.push(cores.start(job).map_ok(move |leaves| (first, leaves)));
    }
    async move {
        let done: BTreeMap<usize, Vec<EncodedLeaf>> = jobs.try_collect().await?;
        Ok(EncodedGroup { rows, columns: done.into_values().flatten().collect() })
    }
}

/// The leaves, so many in each job, in the order in which the jobs are begun: what takes long goes first, since what begins last is waited for
/// by idle cores.
fn heaviest_first(plan: &Plan, columns: &Columns, leaves_in_job: usize) -> Vec<Range<usize>> {
    let count = plan.columns.len();
    let jobs = (0..count).step_by(leaves_in_job).map(|first| first..count.min(first + leaves_in_job));
    let mut jobs: Vec<Range<usize>> = jobs.collect();
    if jobs.len() > 1 {
        let leaf =
            |at: usize| columns.0[plan.columns[at].leaf.column].iter().map(|array| array_weight(array));
        jobs.sort_by_cached_key(|leaves| Reverse(leaves.clone().flat_map(leaf).sum::<u64>()));
    }
    jobs
}

/// One job: a leaf of a row group. With places, of the rows there; else of all rows in order.
fn encode_leaf(column: &PlannedLeaf, arrays: &[ArrayRef], places: Option<&[Place]>) -> Result<EncodedLeaf> {
    let leaf = &column.leaf;
    let narrowed = arrays.iter().map(|array| leaf.narrow(array)).collect::<Result<Vec<_>>>()?;
    let narrowed = match places {
        None => narrowed,
        Some(places) => vec![gather(&narrowed, places)?],
    };
    let none = || odd("no levels for one of the leaves");
    let values = narrowed.iter().map(|array| leaf.values(array)).collect::<Result<Vec<_>>>()?;
    let pages = Pages::new(column.zstd);
    let mut encoder = column.encoder(&values, &pages)?;
    for array in &narrowed {
        let levels = compute_leaves(&leaf.field, array).map_err(refused)?;
        encoder.write(levels.get(leaf.position).ok_or_else(none)?).map_err(refused)?;
    }
    let mut close = closed(encoder)?;
    let stats = LeafStats::of(leaf.ty, &values, close.metadata.statistics());
    if stats.has_nans() {
        drop_bounds(&mut close)?;
    }
    let chunk = checked(pages.take(leaf.position), close, column.zstd)?;
    Ok(EncodedLeaf { chunk, stats })
}

/// Ends an encoder. What is large of its result is moved, not copied.
fn closed(encoder: ArrowColumnWriter) -> Result<ColumnCloseResult> {
    let mut chunk = encoder.close().map_err(refused)?;
    let close = chunk.close_mut();
    let (bloom_filter, column_index) = (close.bloom_filter.take(), close.column_index.take());
    let offset_index = close.offset_index.take();
    Ok(ColumnCloseResult { bloom_filter, column_index, offset_index, ..close.clone() })
}

fn gather(arrays: &[ArrayRef], places: &[Place]) -> Result<ArrayRef> {
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    let places: Vec<(usize, usize)> = places.iter().map(|place| place.indices()).collect();
    interleave(&arrays, &places).map_err(refused)
}

/// Takes the bounds out of a chunk's statistics, and its index of pages, which has bounds too.
fn drop_bounds(close: &mut ColumnCloseResult) -> Result<()> {
    close.column_index = None;
    let nulls = close.metadata.statistics().and_then(Statistics::null_count_opt);
    let bare = match close.metadata.statistics() {
        Some(Statistics::Float(_)) => Statistics::float(None, None, None, nulls, false),
        Some(Statistics::Double(_)) => Statistics::double(None, None, None, nulls, false),
        _ => return Ok(()),
    };
    let metadata = close.metadata.clone().into_builder().set_statistics(bare).build();
    close.metadata = metadata.map_err(refused)?;
    Ok(())
}
