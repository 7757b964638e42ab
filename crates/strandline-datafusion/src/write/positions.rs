//! The rows that a DELETE or UPDATE finds, with where they lie.
//!
//! Invariant: the query over the table stays as it was planned, subqueries and all: only its scan is one that gives positions as
//! well. What does not belong here: what happens to the rows.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::{Filter, SubqueryAlias, TableScan, TableScanBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan};
use strandline::ErrorKind;

use crate::error::refused;
use crate::table::LakeTable;

/// How many columns say where a row lies: the file, the place in it, and the row's id.
pub(super) const POSITIONS: usize = 3;

/// A query over nothing but the table that is to be written, with positions as its last columns.
///
/// # Errors
/// `Unsupported` for a query over anything else.
pub(super) fn with_positions(plan: &LogicalPlan, statement: &str) -> Result<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::TableScan(scan) => LogicalPlan::TableScan(scan_positions(scan, statement)?),
        LogicalPlan::Filter(filter) => {
            let input = with_positions(&filter.input, statement)?;
            LogicalPlan::Filter(Filter::try_new(filter.predicate.clone(), Arc::new(input))?)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let input = with_positions(&alias.input, statement)?;
            LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?)
        }
        LogicalPlan::Limit(_) => {
            let message = format!("{statement} has no LIMIT: say by WHERE which rows are meant");
            return Err(refused(ErrorKind::Unsupported, message));
        }
        _ => {
            let message =
                format!("{statement} takes one table and a WHERE: use MERGE to change a table by another");
            return Err(refused(ErrorKind::Unsupported, message));
        }
    })
}

fn scan_positions(scan: &TableScan, statement: &str) -> Result<TableScan> {
    let provider = source_as_provider(&scan.source)?;
    let Some(table) = provider.downcast_ref::<LakeTable>() else {
        let message = format!("{statement}: {} is not a table of a lake", scan.table_name);
        return Err(refused(ErrorKind::Unsupported, message));
    };
    let source = provider_as_source(Arc::new(table.with_positions()?));
    TableScanBuilder::new(scan.table_name.clone(), source)
        .with_filters(scan.filters.clone())
        .with_fetch(scan.fetch)
        .build()
}

/// The columns that say where a row of such a query lies.
pub(super) fn position_columns(plan: &LogicalPlan) -> Vec<Expr> {
    let fields = plan.schema().fields().len();
    let column = |at| Expr::Column(Column::from(plan.schema().qualified_field(at)));
    (fields.saturating_sub(POSITIONS)..fields).map(column).collect()
}
