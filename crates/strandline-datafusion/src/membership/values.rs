//! `x IN (SELECT …)` and `EXISTS (SELECT …)` as values.
//!
//! DataFusion answers them in conditions only. The number of rows that a query finds it answers anywhere:
//!
//! ```text
//! EXISTS (q)          (SELECT count(*) > 0 FROM (q))
//! x IN (q)            (SELECT count(*) > 0 FROM (q) WHERE value = x), or unknown, as in a condition
//! ```
//!
//! Invariant: what is counted is in columns of the input before anything else is asked of it. What does not belong here: conditions.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema};
use datafusion::error::Result;
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit, not};
use strandline::ErrorKind;

use super::{Rows, can_be_unknown, counted as number_of, found_or_unknown, of, value_of};
use crate::error::refused;

/// What the columns are called that have what was counted: no column has such a name.
const ASKED: &str = "strandline:asked";

/// A plan in which such values are counted.
pub(super) fn counted(plan: LogicalPlan) -> Result<LogicalPlan> {
    let [input] = plan.inputs()[..] else { return Ok(plan) };
    let input = Arc::new(input.clone());
    if matches!(plan, LogicalPlan::Projection(_)) {
        let names = NamePreserver::new(&plan);
        return plan
            .map_expressions(|expr| {
                let name = names.save(&expr);
                let done = expr.transform_up(|part| value(part, input.schema()))?;
                Ok(done.update_data(|expr| name.restore(expr)))
            })?
            .map_data(LogicalPlan::recompute_schema)
            .data();
    }
    let mut asked: Vec<Expr> = Vec::new();
    let names = NamePreserver::new(&plan);
    let output: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let exprs = plan.expressions().into_iter().map(|expr| {
        let name = names.save(&expr);
        let done = expr.transform_up(|part| {
            let value = value(part, input.schema())?;
            if !value.transformed {
                return Ok(value);
            }
            let column = Expr::Column(Column::new_unqualified(format!("{ASKED}{}", asked.len())));
            asked.push(value.data);
            Ok(Transformed::yes(column))
        })?;
        Ok(name.restore(done.data))
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    let columns = input.schema().columns().into_iter().map(Expr::Column);
    let asked = asked.into_iter().enumerate().map(|(at, value)| value.alias(format!("{ASKED}{at}")));
    let below =
        LogicalPlanBuilder::from(LogicalPlan::clone(&input)).project(columns.chain(asked))?.build()?;
    let above = plan.with_new_exprs(exprs, vec![below])?.recompute_schema()?;
    LogicalPlanBuilder::from(above).project(output)?.build()
}

/// What an expression is as a value, if it is a membership.
fn value(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Exists(Exists { subquery, negated }) => {
            let found = known(number_of(&subquery, Rows::All)?);
            Ok(Transformed::yes(if negated { not(found) } else { found }))
        }
        Expr::InSubquery(asked) => {
            let may_be_unknown = can_be_unknown(&asked, schema)?;
            let InSubquery { expr, subquery, negated } = asked;
            let equal = value_of(&subquery).eq(of_the_row_around(Expr::clone(&expr), schema)?);
            let plan = LogicalPlanBuilder::from(LogicalPlan::clone(&subquery.subquery));
            let found = of(plan.filter(equal)?.build()?, &subquery);
            let found = known(number_of(&found, Rows::All)?);
            if !may_be_unknown {
                return Ok(Transformed::yes(if negated { not(found) } else { found }));
            }
            let all = known(number_of(&subquery, Rows::All)?);
            let nulls = known(number_of(&subquery, Rows::Null)?);
            let is_unknown = expr.is_null().and(all).or(nulls);
            Ok(Transformed::yes(found_or_unknown(found, is_unknown, negated)))
        }
        Expr::SetComparison(_) => {
            let message = "ANY or ALL of a query as a value is not supported: write it in WHERE, or a join";
            Err(refused(ErrorKind::Unsupported, message))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// A comparison of numbers of rows, which are never null.
fn known(found: Expr) -> Expr {
    coalesce(vec![found, lit(false)])
}

/// An expression of a row, within a query for that row.
fn of_the_row_around(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform(|part| {
        Ok(match part {
            Expr::Column(column) => {
                let field = Arc::clone(schema.field_from_column(&column)?);
                Transformed::yes(Expr::OuterReferenceColumn(field, column))
            }
            other => Transformed::no(other),
        })
    })
    .data()
}
