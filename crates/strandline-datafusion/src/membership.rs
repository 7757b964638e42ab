//! `x IN (SELECT …)` where it is neither true nor false.
//!
//! If x is null, or a null is among the values and x is not, SQL says unknown, and NOT of it is unknown too. DataFusion gets this right where
//! `[NOT] IN` is a condition by itself; anywhere else, as under OR, it says false, and `NOT IN` is true for rows that must not pass. So such
//! an expression is written out here:
//!
//! ```text
//! CASE WHEN x IN (values) THEN true WHEN x IS NULL AND there are values OR a value is null THEN NULL ELSE false END
//! ```
//!
//! Invariant: what is only asked whether it is true, and is so for the same rows, stays as it is, since it is the faster join. What does not
//! belong here: `= ANY` and `<> ALL`, which DataFusion writes out itself.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::functions_aggregate::count::{count, count_all};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Case, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, lit,
};
use datafusion::optimizer::AnalyzerRule;

/// The rule that writes memberships out. It comes after types were coerced.
#[derive(Debug)]
pub(crate) struct Membership;

impl AnalyzerRule for Membership {
    fn name(&self) -> &'static str {
        "strandline_membership"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(written_out).map(|done| done.data)
    }
}

fn written_out(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut asks = false;
    plan.apply_expressions(|expr| {
        asks |= expr.exists(|part| Ok(matches!(part, Expr::InSubquery(_))))?;
        Ok(if asks { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if !asks {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    let LogicalPlan::Filter(filter) = plan else {
        return plan.map_expressions(|expr| anywhere(expr, &schema));
    };
    let mut changed = false;
    let mut parts = Vec::new();
    for part in split_conjunction_owned(filter.predicate) {
        let part = condition(part, &schema)?;
        changed |= part.transformed;
        parts.push(part.data);
    }
    let predicate = conjunction(parts).unwrap_or_else(|| lit(true));
    let filter = LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?);
    Ok(if changed { Transformed::yes(filter) } else { Transformed::no(filter) })
}

/// A condition by itself, which rows pass if it is true.
fn condition(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match &expr {
        Expr::InSubquery(_) => Ok(Transformed::no(expr)),
        Expr::Not(inner) if matches!(**inner, Expr::InSubquery(_)) => Ok(Transformed::no(expr)),
        _ => if_true(expr, schema),
    }
}

/// A part of a condition that makes it true by being true only: unknown and false are the same.
fn if_true(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::InSubquery(InSubquery { negated: false, .. }) => Ok(Transformed::no(expr)),
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (if_true(*left, schema)?, if_true(*right, schema)?);
            let changed = left.transformed || right.transformed;
            let both = Expr::BinaryExpr(BinaryExpr::new(Box::new(left.data), op, Box::new(right.data)));
            Ok(if changed { Transformed::yes(both) } else { Transformed::no(both) })
        }
        other => anywhere(other, schema),
    }
}

/// An expression that is asked for more than whether it is true.
fn anywhere(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match expr {
        Expr::InSubquery(asked) if can_be_unknown(&asked, schema)? => {
            Ok(Transformed::yes(three_valued(asked)?))
        }
        other => Ok(Transformed::no(other)),
    })
}

fn can_be_unknown(asked: &InSubquery, schema: &DFSchema) -> Result<bool> {
    Ok(asked.expr.nullable(schema)? || asked.subquery.subquery.schema().field(0).is_nullable())
}

/// Whether a value is among those of a query: true, false or unknown.
fn three_valued(asked: InSubquery) -> Result<Expr> {
    let InSubquery { expr, subquery, negated } = asked;
    let is_unknown = expr.clone().is_null().and(any(&subquery, Rows::All)?).or(any(&subquery, Rows::Null)?);
    let found = Expr::InSubquery(InSubquery { expr, subquery, negated: false });
    let unknown = Expr::Literal(ScalarValue::Boolean(None), None);
    let cases = vec![(Box::new(found), Box::new(lit(!negated))), (Box::new(is_unknown), Box::new(unknown))];
    Ok(Expr::Case(Case::new(None, cases, Some(Box::new(lit(negated))))))
}

/// Which rows of a query are asked for.
#[derive(Clone, Copy)]
enum Rows {
    All,
    Null,
}

/// Whether a query has such rows. One that is the same for all rows is counted once.
fn any(subquery: &Subquery, rows: Rows) -> Result<Expr> {
    let plan = LogicalPlanBuilder::from(LogicalPlan::clone(&subquery.subquery));
    let value = Expr::Column(Column::from(subquery.subquery.schema().qualified_field(0)));
    let of = |plan: LogicalPlan| Subquery {
        outer_ref_columns: plan.all_out_ref_exprs(),
        subquery: Arc::new(plan),
        spans: subquery.spans.clone(),
    };
    if !subquery.outer_ref_columns.is_empty() {
        let plan = match rows {
            Rows::All => plan,
            Rows::Null => plan.filter(value.is_null())?,
        };
        return Ok(Expr::Exists(Exists { subquery: of(plan.build()?), negated: false }));
    }
    let (all, known) = (count_all().alias("all"), count(value).alias("known"));
    let counted = plan.aggregate(Vec::<Expr>::new(), [all, known])?;
    let column = |name: &str| Expr::Column(Column::new_unqualified(name));
    let found = match rows {
        Rows::All => column("all").gt(lit(0_i64)),
        Rows::Null => column("all").gt(column("known")),
    };
    Ok(Expr::ScalarSubquery(of(counted.project([found.alias("any")])?.build()?)))
}
