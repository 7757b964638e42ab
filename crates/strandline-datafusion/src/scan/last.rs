//! The rule that goes behind all others: scans take the filters that are known to be of their columns, filters do not ask what only a join can tell, and
//! small files that went together come apart, or are read step by step, where the plan needs them so.
//!
//! It is one rule because a scan that is changed finds out anew what is known of it, which takes longer than all else here.
//!
//! Invariants: a plan gives what it gave, in the same order and partitions. What does not belong here: which filters these are (`pushed`), and which
//! files (`together`).

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::sorts::sort::SortExec;

use super::pushed::{Step, is_certain, joins_floats, offered};
use super::together::together;
use super::with_scans;

/// See the module.
#[derive(Debug)]
pub(crate) struct LastRule;

impl LastRule {
    /// A scan that was sent, of which nobody knows what is above it: it has the filters that it took where it was planned.
    ///
    /// # Errors
    /// None at present: those of a filter that is taken.
    pub(crate) fn of_scan(scan: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        below(scan, &mut Vec::new(), true, &ConfigOptions::default())
    }
}

impl PhysicalOptimizerRule for LastRule {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        below(&plan, &mut Vec::new(), false, config)
    }

    fn name(&self) -> &'static str {
        "strandline_last"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same plan; `way` leads to it from the root, `ends` is whether what is above it may have enough before it has all.
fn below<'p>(
    plan: &'p Arc<dyn ExecutionPlan>,
    way: &mut Vec<Step<'p>>,
    ends: bool,
    config: &ConfigOptions,
) -> Result<Arc<dyn ExecutionPlan>> {
    if plan.is::<DataSourceExec>() {
        return Ok(scan(plan, way, ends, config)?.unwrap_or_else(|| Arc::clone(plan)));
    }
    let mut children = Vec::new();
    for (place, child) in plan.children().into_iter().enumerate() {
        way.push(Step::new(plan, place));
        let child = below(child, way, may_end(plan, place, ends), config);
        way.pop();
        children.push(child?);
    }
    let plan = asked_of_the_join_alone(plan, way)?;
    with_scans(plan, children)
}

/// The same node; of a filter that a sort has put below itself for a join above, without what that join takes for equal and the filter does not: it is
/// only there to spare the sort some rows.
fn asked_of_the_join_alone(
    plan: &Arc<dyn ExecutionPlan>,
    way: &[Step<'_>],
) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(filter) = plan.downcast_ref::<FilterExec>() else { return Ok(Arc::clone(plan)) };
    let schema = filter.input().schema();
    let parts = split_conjunction(filter.predicate());
    let is_left = |part: &&Arc<dyn PhysicalExpr>| !joins_floats(way, &schema, part);
    let left: Vec<_> = parts.iter().copied().filter(is_left).cloned().collect();
    if left.len() == parts.len() {
        return Ok(Arc::clone(plan));
    }
    Ok(Arc::new(FilterExecBuilder::from(filter).with_predicate(conjunction(left)).build()?))
}

/// Whether a node may have enough of a child's rows before it has them all, if what is above it may or not.
fn may_end(plan: &Arc<dyn ExecutionPlan>, child: usize, ends: bool) -> bool {
    // The first rows in an order, too: the last of them soon says of most others that they are not among them.
    if plan.fetch().is_some() {
        return true;
    }
    let takes_all =
        plan.is::<AggregateExec>() || plan.is::<SortExec>() || (plan.is::<HashJoinExec>() && child == 0);
    ends && !takes_all
}

/// A scan of a lake, if something of it changes.
fn scan(
    plan: &Arc<dyn ExecutionPlan>,
    way: &[Step<'_>],
    ends: bool,
    config: &ConfigOptions,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some((scan, source)) = offered(plan) else { return Ok(None) };
    let asks_bits = source.asks_bits(config);
    let is_taken = |filter: &Arc<dyn PhysicalExpr>| {
        is_certain(way, plan, filter)
            && !(asks_bits && joins_floats(way, source.table_schema().table_schema(), filter))
    };
    let taken = source.taking(is_taken, config)?;
    let is_filtered = taken.is_some();
    let mut scan = scan.clone();
    scan.file_source = taken.unwrap_or(scan.file_source);
    match together(&scan, ends)? {
        Some(groups) => scan.file_groups = groups,
        None if is_filtered => {}
        None => return Ok(None),
    }
    Ok(Some(DataSourceExec::from_data_source(scan)))
}
