//! `EXCEPT ALL` and `INTERSECT ALL`, which hold rows against each other one by one.
//!
//! The planner takes all rows that are alike for one. Numbered among those alike, no two are:
//!
//! ```text
//! a EXCEPT ALL b          SELECT * EXCLUDE (number) FROM (numbered(a) EXCEPT numbered(b))
//! ```
//!
//! Invariant: nulls are alike, as in EXCEPT. What does not belong here: sets of rows, which the planner knows.

use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{SetExpr, SetOperator, SetQuantifier, TableFactor, TableWithJoins};

use super::parse;

/// What a query is called whose rows are to be numbered, and the number: nothing else has such names.
const NUMBERED: &str = "strandline:numbered";
const NUMBER: &str = "strandline:number";

/// Writes what counts rows so that it need not.
///
/// # Errors
/// None at present: a text of ours that cannot be parsed.
pub(super) fn write_out(set: &mut SetExpr) -> strandline::Result<()> {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = set else { return Ok(()) };
    write_out(left)?;
    write_out(right)?;
    if *set_quantifier != SetQuantifier::All || *op == SetOperator::Union {
        return Ok(());
    }
    *set_quantifier = SetQuantifier::None;
    for side in [left, right] {
        **side = all_of(side, "SELECT * FROM (SELECT 1) AS \"strandline:numbered\"")?;
    }
    *set = all_of(set, "SELECT * EXCLUDE (\"strandline:number\") FROM (SELECT 1) AS \"strandline:both\"")?;
    Ok(())
}

/// A query, within another one in the place of what that is of.
fn all_of(query: &mut SetExpr, around: &str) -> strandline::Result<SetExpr> {
    let mut around = parse::query(around)?;
    if let SetExpr::Select(select) = around.body.as_mut()
        && let Some(TableWithJoins { relation: TableFactor::Derived { subquery, .. }, .. }) =
            select.from.first_mut()
    {
        std::mem::swap(subquery.body.as_mut(), query);
    }
    Ok(*around.body)
}

/// Plans queries whose rows are numbered.
#[derive(Debug)]
pub(crate) struct Numbered;

impl RelationPlanner for Numbered {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match relation {
            TableFactor::Derived { lateral, subquery, alias: Some(alias), sample }
                if alias.name.value == NUMBERED =>
            {
                let plan = context.plan(TableFactor::Derived { lateral, subquery, alias: None, sample })?;
                Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(numbered(plan)?, None))))
            }
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
}

/// The rows of a plan, each with its number among those that are alike.
fn numbered(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let number = row_number().partition_by(columns.clone()).build()?;
    let numbered = LogicalPlanBuilder::from(plan).window([number])?;
    let number = numbered.schema().columns().pop().map(|number| Expr::Column(number).alias(NUMBER));
    numbered.project(columns.into_iter().chain(number))?.build()
}
