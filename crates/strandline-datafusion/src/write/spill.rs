//! A MERGE of more than fits into memory, and an UPDATE or DELETE of the rows that a query gives.
//!
//! DataFusion's hash join holds one side in memory and gives up when there is no room; its sort-merge join spills, but sorts both sides.
//! Invariant: the join of such a statement holds a side in memory only if that is known to fit into what its session has, or, where that is not
//! bounded, into what it may have at all. What does not belong here: what is joined (`merge`).

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

use crate::write::pool::PoolExec;

/// What a statement may have for each partition where its session sets no bound, and at least. It sorts each side of a partition, and to merge what a sort has
/// spilled takes some memory as well.
const EACH: usize = 64 << 20;
const LEAST: usize = 1 << 30;

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
        MemoryLimit::Infinite => pooled(plan, LEAST.max(EACH * session.config().target_partitions())),
        MemoryLimit::Unknown => Ok(plan),
    }
}

/// The same plan, with memory of its own if it has to spill.
fn pooled(plan: Arc<dyn ExecutionPlan>, limit: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let spilling = spilling(Arc::clone(&plan), limit / SHARE)?;
    if Arc::ptr_eq(&spilling, &plan) {
        return Ok(plan);
    }
    Ok(Arc::new(PoolExec::new(spilling, limit)))
}

/// Replaces the topmost join, which is the one of a MERGE, and of a condition the one that is evaluated last.
fn spilling(plan: Arc<dyn ExecutionPlan>, most: usize) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        // Only a hash join knows that one null among the values of NOT IN lets no row pass.
        let fits = join.null_aware || fits(join.left(), most)? || fits(join.right(), most)?;
        return if fits { Ok(plan) } else { sorted(join) };
    }
    let child = match plan.children()[..] {
        [child] => Arc::clone(child),
        _ => return Ok(plan),
    };
    replace_children_if_necessary(plan, vec![spilling(child, most)?])
}

/// Whether a side is known to fit. The bytes of files, which columns of texts have, tell less than what is in memory, so its rows count as well.
fn fits(plan: &Arc<dyn ExecutionPlan>, most: usize) -> Result<bool> {
    let known = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new())?;
    let width = |field: &FieldRef| field.data_type().primitive_width().unwrap_or(VALUE);
    let row: usize = plan.schema().fields().iter().map(width).sum();
    let rows = known.num_rows.get_value().map(|rows| rows.saturating_mul(row));
    let column = known.column_statistics.iter().filter_map(|column| column.byte_size.get_value()).max();
    let bytes = known.total_byte_size.get_value().max(column).copied().unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use datafusion::config::ConfigOptions;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::physical_optimizer::PhysicalOptimizerRule;
    use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
    use datafusion::physical_plan::collect;
    use datafusion::physical_plan::display::DisplayableExecutionPlan;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    /// Gives a plan so much memory where a MERGE gets it: before anything sorts or exchanges rows.
    #[derive(Debug)]
    struct Within(usize);

    impl PhysicalOptimizerRule for Within {
        fn optimize(
            &self,
            plan: Arc<dyn ExecutionPlan>,
            _: &ConfigOptions,
        ) -> Result<Arc<dyn ExecutionPlan>> {
            pooled(plan, self.0)
        }

        fn name(&self) -> &'static str {
            "within"
        }

        fn schema_check(&self) -> bool {
            true
        }
    }

    /// Two tables of 200,000 rows, joined in a session that sets no bound: how many rows come, and what the plan says of itself by then.
    async fn joined(limit: usize) -> (usize, String) {
        // What a sort keeps free to merge what it has spilled.
        let kept = "datafusion.execution.sort_spill_reservation_bytes";
        let config = SessionConfig::new().with_target_partitions(2).set_u64(kept, 64 << 10);
        let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![Arc::new(Within(limit))];
        rules.extend(PhysicalOptimizer::new().rules);
        let state = SessionStateBuilder::new().with_config(config).with_default_features();
        let ctx = SessionContext::new_with_state(state.with_physical_optimizer_rules(rules).build());
        for (name, first) in [("t", 0), ("s", 100_000)] {
            let rows = format!(
                "SELECT value * 7919 % 1000003 AS id, value AS n FROM range({first}, {})",
                first + 200_000
            );
            ctx.sql(&format!("CREATE TABLE {name} AS {rows}")).await.unwrap().collect().await.unwrap();
        }
        let join = ctx.sql("SELECT t.n, s.n AS m FROM t JOIN s ON t.id = s.id").await.unwrap();
        let plan = join.create_physical_plan().await.unwrap();
        let rows = collect(Arc::clone(&plan), ctx.task_ctx()).await.unwrap();
        let metrics = DisplayableExecutionPlan::with_metrics(plan.as_ref()).indent(true).to_string();
        (rows.iter().map(|batch| batch.num_rows()).sum(), metrics)
    }

    #[tokio::test]
    async fn what_does_not_fit_is_spilled_though_the_session_sets_no_bound() {
        let (rows, roomy) = joined(1 << 30).await;
        assert!(rows == 100_000 && roomy.contains("HashJoinExec") && !roomy.contains("PoolExec"), "{roomy}");
        let (rows, small) = joined(6 << 20).await;
        assert!(rows == 100_000 && small.contains("PoolExec: memory=6 MiB"), "{small}");
        let spills = small.split("spill_count=").skip(1).filter(|rest| !rest.starts_with('0')).count();
        assert!(small.contains("SortMergeJoinExec") && spills > 0, "{small}");
    }
}
