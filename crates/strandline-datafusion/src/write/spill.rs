//! A MERGE of more than fits into memory.
//!
//! DataFusion's hash join holds one side in memory and gives up when there is no room; its sort-merge join spills, but sorts both sides.
//! Invariant: where a session's memory is bounded, a MERGE holds a side in memory only if that is known to fit. What does not belong here:
//! what is joined (`merge`).

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

/// The part of the memory that the held side of a join may have, for the table of its hashes comes on top.
const SHARE: usize = 4;

/// What a value of no fixed width is taken to need.
const VALUE: usize = 32;

/// The same plan, with a join that spills if a hash join might not fit.
///
/// # Errors
/// Those of making the plan.
pub(super) fn bounded(session: &dyn Session, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    match session.runtime_env().memory_pool.memory_limit() {
        MemoryLimit::Finite(limit) => spilling(plan, limit / SHARE),
        // What is not bounded is never full, and nothing would spill.
        MemoryLimit::Infinite | MemoryLimit::Unknown => Ok(plan),
    }
}

/// Replaces the topmost join, which is the one of the MERGE.
fn spilling(plan: Arc<dyn ExecutionPlan>, most: usize) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let fits = fits(join.left(), most)? || fits(join.right(), most)?;
        return if fits { Ok(plan) } else { sorted(join) };
    }
    let child = match plan.children()[..] {
        [child] => Arc::clone(child),
        _ => return Ok(plan),
    };
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    plan.replace_children(vec![spilling(child, most)?], options)
}

/// Whether a side is known to fit. The bytes of files tell less than what is in memory, so its rows count as well.
fn fits(plan: &Arc<dyn ExecutionPlan>, most: usize) -> Result<bool> {
    let known = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new())?;
    let width = |field: &FieldRef| field.data_type().primitive_width().unwrap_or(VALUE);
    let row: usize = plan.schema().fields().iter().map(width).sum();
    let rows = known.num_rows.get_value().map(|rows| rows.saturating_mul(row));
    let bytes = known.total_byte_size.get_value().copied().unwrap_or_default();
    Ok(rows.is_some_and(|rows| rows.max(bytes) <= most))
}

fn sorted(join: &HashJoinExec) -> Result<Arc<dyn ExecutionPlan>> {
    let join = SortMergeJoinExec::try_new(
        Arc::clone(join.left()),
        Arc::clone(join.right()),
        join.on().to_vec(),
        join.filter().cloned(),
        *join.join_type(),
        vec![SortOptions::default(); join.on().len()],
        join.null_equality(),
    )?;
    Ok(Arc::new(join))
}
