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
//! Where it is no condition at all, as among the columns of a query, rows are counted (`values`). Invariant: what is only asked whether it is true, and is so for the same rows, stays as it is, since it is the faster join. What does not
//! belong here: other comparisons with `ANY` and `ALL`, which DataFusion writes out itself, once their values have a name of their own.

mod values;

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::functions_aggregate::count::{count, count_all};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Case, Expr, ExprSchemable, FetchType, Filter, LogicalPlan, LogicalPlanBuilder, Operator,
    SkipType, Subquery, lit,
};
use datafusion::optimizer::AnalyzerRule;
use strandline::ErrorKind;

use crate::error::refused;

/// The rule that writes memberships out. It comes after types were coerced.
#[derive(Debug)]
pub(crate) struct Membership;

impl AnalyzerRule for Membership {
    fn name(&self) -> &'static str {
        "strandline_membership"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let done = plan.transform_up_with_subqueries(written_out)?;
        // What may be unknown may be null, in the plans above as well.
        let known = |plan: LogicalPlan| plan.recompute_schema().map(Transformed::yes);
        if done.transformed { done.data.transform_up_with_subqueries(known).data() } else { Ok(done.data) }
    }
}

fn written_out(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut asks = false;
    plan.apply_expressions(|expr| {
        asks |= expr.exists(|part| {
            let is_asked = matches!(
                part,
                Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::Exists(_) | Expr::ScalarSubquery(_)
            );
            Ok(is_asked)
        })?;
        Ok(if asks { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if !asks {
        return Ok(Transformed::no(plan));
    }
    let plan =
        plan.map_expressions(|expr| expr.transform_up(|expr| own_column(expr)?.transform_data(of_one_row)))?;
    let compared = plan.transformed;
    let done = with_unknown(plan.data)?;
    Ok(Transformed::new_transformed(done.data, compared || done.transformed))
}

/// A comparison with the values of a query, whose column has a name that nothing else has: DataFusion writes it out by the query's own name
/// of it, and where that is the name of what is compared too, it compares the column with itself. What is a membership becomes one.
fn own_column(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) = expr else {
        return Ok(Transformed::no(expr));
    };
    let negated = match (op, &quantifier) {
        (Operator::Eq, SetQuantifier::Any) => Some(false),
        (Operator::NotEq, SetQuantifier::All) => Some(true),
        _ => None,
    };
    if let Some(negated) = negated {
        return Ok(Transformed::yes(Expr::InSubquery(InSubquery { expr, subquery, negated })));
    }
    let value = Expr::Column(Column::from(subquery.subquery.schema().qualified_field(0)));
    let named = LogicalPlanBuilder::from(LogicalPlan::clone(&subquery.subquery))
        .project([value.alias(COMPARED)])?
        .build()?;
    let subquery = Subquery { subquery: Arc::new(named), ..subquery };
    Ok(Transformed::yes(Expr::SetComparison(SetComparison { expr, subquery, op, quantifier })))
}

/// A query of a row that aggregates without groups gives one row whatever there is: DataFusion joins by what it found, and finds none of nothing.
/// An OFFSET of such a query it passes over in EXISTS, and what filters the one row it asks of the rows that were found.
fn of_one_row(expr: Expr) -> Result<Transformed<Expr>> {
    let query = match &expr {
        Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::ScalarSubquery(subquery) => subquery,
        _ => return Ok(Transformed::no(expr)),
    };
    if query.outer_ref_columns.is_empty() {
        return Ok(Transformed::no(expr));
    }
    let rows = Rowed::of(&query.subquery);
    if rows.is_skipping {
        return Err(refused(
            ErrorKind::Unsupported,
            "OFFSET in a query of the row around it: write row_number()",
        ));
    }
    match (rows.is_one, rows.is_filtered) {
        (true, false) if matches!(expr, Expr::ScalarSubquery(_)) => Ok(Transformed::no(expr)),
        (false, _) => Ok(Transformed::no(expr)),
        (true, true) => {
            let message = "HAVING or LIMIT of an aggregate in a query of the row around it: write a condition on (SELECT …)";
            Err(refused(ErrorKind::Unsupported, message))
        }
        (true, false) => Ok(Transformed::yes(match expr {
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                let value = Expr::ScalarSubquery(subquery);
                if negated { (*expr).not_eq(value) } else { (*expr).eq(value) }
            }
            Expr::Exists(Exists { negated, .. }) => lit(!negated),
            other => other,
        })),
    }
}

/// How many rows a query gives, as far as its outermost parts say.
#[derive(Default)]
struct Rowed {
    /// One, before what filters it.
    is_one: bool,
    is_filtered: bool,
    is_skipping: bool,
}

impl Rowed {
    fn of(mut plan: &LogicalPlan) -> Self {
        let mut rows = Self::default();
        loop {
            plan = match plan {
                LogicalPlan::Projection(projection) => &projection.input,
                LogicalPlan::SubqueryAlias(alias) => &alias.input,
                LogicalPlan::Sort(sort) => &sort.input,
                LogicalPlan::Filter(filter) => {
                    rows.is_filtered = true;
                    &filter.input
                }
                // What nothing of the row around stands in is the same for all rows.
                LogicalPlan::Limit(_) | LogicalPlan::Aggregate(_) if plan.all_out_ref_exprs().is_empty() => {
                    return Self::default();
                }
                LogicalPlan::Limit(limit) => {
                    let keeps_one =
                        matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(1..) | None)));
                    rows.is_filtered |= !keeps_one;
                    rows.is_skipping |= !matches!(limit.get_skip_type(), Ok(SkipType::Literal(0)));
                    &limit.input
                }
                LogicalPlan::Aggregate(aggregate) => {
                    rows.is_one = aggregate.group_expr.is_empty();
                    return rows;
                }
                _ => return rows,
            };
        }
    }
}

/// What the values of a query are called that something is compared with: no column has such a name.
const COMPARED: &str = "\u{0}compared";

fn with_unknown(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    let LogicalPlan::Filter(filter) = plan else {
        return match has_value(&plan)? {
            true => values::counted(plan).map(Transformed::yes),
            false => plan.map_expressions(|expr| anywhere(expr, &schema)),
        };
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

/// Whether a plan asks for what DataFusion answers in conditions only.
fn has_value(plan: &LogicalPlan) -> Result<bool> {
    use LogicalPlan::{Aggregate, Projection, Sort, Window};
    if !matches!(plan, Aggregate(_) | Projection(_) | Sort(_) | Window(_)) {
        return Ok(false);
    }
    let mut has = false;
    plan.apply_expressions(|expr| {
        has = expr.exists(|part| {
            Ok(matches!(part, Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::Exists(_)))
        })?;
        Ok(if has { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(has)
}

/// A condition by itself, which rows pass if it is true.
fn condition(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (asked, negated) = match &expr {
        Expr::InSubquery(asked) => (asked, asked.negated),
        Expr::Not(inner) => match inner.as_ref() {
            Expr::InSubquery(asked) => (asked, !asked.negated),
            _ => return if_true(expr, schema),
        },
        _ => return if_true(expr, schema),
    };
    // The join that minds nulls has one key, and a query of the row itself adds others.
    let has_no_join = negated && !asked.subquery.outer_ref_columns.is_empty();
    if has_no_join && can_be_unknown(asked, schema)? {
        anywhere(expr, schema)
    } else {
        Ok(Transformed::no(expr))
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
    Ok(found_or_unknown(found, is_unknown, negated))
}

fn found_or_unknown(found: Expr, is_unknown: Expr, negated: bool) -> Expr {
    let unknown = Expr::Literal(ScalarValue::Boolean(None), None);
    let cases = vec![(Box::new(found), Box::new(lit(!negated))), (Box::new(is_unknown), Box::new(unknown))];
    Expr::Case(Case::new(None, cases, Some(Box::new(lit(negated)))))
}

/// Which rows of a query are asked for.
#[derive(Clone, Copy)]
enum Rows {
    All,
    Null,
}

/// Whether a query has such rows, in a condition. One that is the same for all rows is counted once.
fn any(subquery: &Subquery, rows: Rows) -> Result<Expr> {
    if subquery.outer_ref_columns.is_empty() {
        return counted(subquery, rows);
    }
    let plan = LogicalPlanBuilder::from(LogicalPlan::clone(&subquery.subquery));
    let plan = match rows {
        Rows::All => plan,
        Rows::Null => plan.filter(value_of(subquery).is_null())?,
    };
    Ok(Expr::Exists(Exists { subquery: of(plan.build()?, subquery), negated: false }))
}

/// The same as a number of rows, which is a value anywhere.
fn counted(subquery: &Subquery, rows: Rows) -> Result<Expr> {
    let (all, known) = (count_all().alias("all"), count(value_of(subquery)).alias("known"));
    let plan = LogicalPlanBuilder::from(LogicalPlan::clone(&subquery.subquery));
    let counted = plan.aggregate(Vec::<Expr>::new(), [all, known])?;
    let column = |name: &str| Expr::Column(Column::new_unqualified(name));
    let found = match rows {
        Rows::All => column("all").gt(lit(0_i64)),
        Rows::Null => column("all").gt(column("known")),
    };
    Ok(Expr::ScalarSubquery(of(counted.project([found.alias("any")])?.build()?, subquery)))
}

/// The column of a query that its values are in.
fn value_of(subquery: &Subquery) -> Expr {
    Expr::Column(Column::from(subquery.subquery.schema().qualified_field(0)))
}

/// A query in the place of another one.
fn of(plan: LogicalPlan, other: &Subquery) -> Subquery {
    Subquery {
        outer_ref_columns: plan.all_out_ref_exprs(),
        subquery: Arc::new(plan),
        spans: other.spans.clone(),
    }
}
