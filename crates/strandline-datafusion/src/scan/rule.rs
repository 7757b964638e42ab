//! The rule that spares what statistics have decided: filters that all rows pass, and counts and extremes of such rows.
//!
//! It goes before DataFusion's own rule that answers aggregates by statistics, which a filter hides from it.
//!
//! Invariants: a filter goes only if all rows of all files of its scan pass all of it; of an aggregate, files are left out only if all that it asks
//! for is exactly known of them. What does not belong here: which files these are (`whole`).

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::StatisticsArgs as Asked;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{Column, lit};
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode, AggregateMode};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

use super::whole::Known;

/// See the module.
#[derive(Debug)]
pub(crate) struct WholeFiles;

impl PhysicalOptimizerRule for WholeFiles {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| {
            if let Some(shorter) = without_filter(&node)? {
                return Ok(Transformed::yes(shorter));
            }
            match aggregated_apart(&node)? {
                // What is left of it has been looked at.
                Some(apart) => {
                    Ok(Transformed::new(apart, true, datafusion::common::tree_node::TreeNodeRecursion::Jump))
                }
                None => Ok(Transformed::no(node)),
            }
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "strandline_whole_files"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What is below a filter that all rows pass.
fn without_filter(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(filter) = filter_of(node) else { return Ok(None) };
    match Known::below(filter.predicate(), filter.input()) {
        Some(known) if known.are_all() => passed(filter, known.alone()?).map(Some),
        _ => Ok(None),
    }
}

/// A filter of all rows: one with a limit is more than that.
fn filter_of(node: &Arc<dyn ExecutionPlan>) -> Option<&FilterExec> {
    node.downcast_ref::<FilterExec>().filter(|filter| filter.fetch().is_none())
}

/// What a filter gives of rows that all pass.
fn passed(filter: &FilterExec, rows: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(projection) = filter.projection() else { return Ok(rows) };
    let schema = rows.schema();
    let column = |at: &usize| {
        let name = schema.field(*at).name();
        ProjectionExpr { expr: Arc::new(Column::new(name, *at)), alias: name.clone() }
    };
    Ok(Arc::new(ProjectionExec::try_new(projection.iter().map(column).collect::<Vec<_>>(), rows)?))
}

/// An aggregate of all rows: of files of which all rows pass, by what is known of them, and of the others as before.
fn aggregated_apart(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(partial) = partial_of(node) else { return Ok(None) };
    let Some(aggregate) = partial.downcast_ref::<AggregateExec>() else { return Ok(None) };
    let Some(passing) = below_filter(aggregate.input(), &|filter, known| passed(filter, known.alone()?))?
    else {
        return Ok(None);
    };
    let Some(known) = states(aggregate, &passing)? else { return Ok(None) };
    let others = |filter: &FilterExec, known: &Known<'_>| {
        let filter: Arc<dyn ExecutionPlan> = Arc::new(filter.clone());
        replace_children_if_necessary(filter, vec![known.others()?])
    };
    let Some(others) = below_filter(aggregate.input(), &others)? else { return Ok(None) };
    let others = replace_children_if_necessary(Arc::clone(partial), vec![others])?;
    let both = UnionExec::try_new(vec![known, others])?;
    replace_children_if_necessary(Arc::clone(node), vec![both]).map(Some)
}

/// The first half of an aggregate of all rows, if this is the second.
fn partial_of(node: &Arc<dyn ExecutionPlan>) -> Option<&Arc<dyn ExecutionPlan>> {
    let last = node.downcast_ref::<AggregateExec>()?;
    let first = last.input().downcast_ref::<AggregateExec>()?;
    let of_all = last.mode().input_mode() == AggregateInputMode::Partial
        && *first.mode() == AggregateMode::Partial
        && [last, first].iter().all(|aggregate| aggregate.group_expr().is_empty())
        && first.filter_expr().iter().all(Option::is_none);
    of_all.then(|| last.input())
}

/// The same plan with something else for a filter over a scan of which something is known; `None` if there is no such filter.
fn below_filter(
    node: &Arc<dyn ExecutionPlan>,
    instead: &impl Fn(&FilterExec, &Known<'_>) -> Result<Arc<dyn ExecutionPlan>>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(filter) = filter_of(node) {
        let known = Known::below(filter.predicate(), filter.input());
        return known.map(|known| instead(filter, &known)).transpose();
    }
    let Some(projection) = node.downcast_ref::<ProjectionExec>() else { return Ok(None) };
    let Some(input) = below_filter(projection.input(), instead)? else { return Ok(None) };
    replace_children_if_necessary(Arc::clone(node), vec![input]).map(Some)
}

/// What the first half of an aggregate gives of rows of which this much is known, as a row; `None` if it is not known of all.
fn states(
    aggregate: &AggregateExec,
    rows: &Arc<dyn ExecutionPlan>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let known = StatisticsContext::new().compute(rows.as_ref(), &StatisticsArgs::new())?;
    let schema: SchemaRef = aggregate.schema();
    let mut states = Vec::new();
    for (expr, field) in aggregate.aggr_expr().iter().zip(schema.fields()) {
        if !is_its_own_state(expr)? {
            return Ok(None);
        }
        let (arguments, returned) = (expr.expressions(), expr.field());
        let asked = Asked {
            statistics: &known,
            return_type: returned.data_type(),
            is_distinct: false,
            exprs: &arguments,
        };
        match expr.fun().value_from_stats(&asked) {
            Some(value) if value.data_type() == *field.data_type() => {
                states.push(ProjectionExpr { expr: lit(value), alias: field.name().clone() });
            }
            _ => return Ok(None),
        }
    }
    let one = Arc::new(PlaceholderRowExec::new(Arc::clone(&schema)));
    Ok(Some(Arc::new(ProjectionExec::try_new(states, one)?)))
}

/// Whether what is kept of some rows is the very value: so it is of counts and extremes.
fn is_its_own_state(expr: &AggregateFunctionExpr) -> Result<bool> {
    let known = ["count", "min", "max"].contains(&expr.fun().name());
    Ok(known && !expr.is_distinct() && expr.state_fields()?.len() == 1)
}
