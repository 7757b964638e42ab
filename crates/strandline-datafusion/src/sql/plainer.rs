//! Forms of queries that the planner does not know, written in those that it does.
//!
//! ```text
//! FETCH FIRST 2 ROWS ONLY, TOP 2              LIMIT 2
//! EXISTS (SELECT a.k FROM b WHERE …)          EXISTS (SELECT 1 FROM b WHERE …)
//! ```
//!
//! Invariant: what is written means the same; a form that has none that does stays, and the planner refuses it. What does not belong here: what the
//! planner reads otherwise than it says (`written`), and clauses that nobody reads (`unread`).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Fetch, Function, GroupByExpr, LimitClause, Query, Select, SelectItem, SetExpr, Top, TopQuantity,
    Value, Visit, Visitor,
};

/// Writes how many rows a query gives as its LIMIT.
pub(super) fn limit(query: &mut Query) {
    let top = match query.body.as_mut() {
        SetExpr::Select(select) => Some(&mut select.top),
        _ => None,
    };
    let wanted = match (&query.fetch, &top) {
        (Some(Fetch { with_ties: false, percent: false, quantity }), None | Some(None)) => {
            quantity.clone().unwrap_or_else(|| number(1))
        }
        (None, Some(Some(Top { with_ties: false, percent: false, quantity: Some(quantity) }))) => {
            match quantity {
                TopQuantity::Expr(expr) => expr.clone(),
                TopQuantity::Constant(rows) => number(*rows),
            }
        }
        _ => return,
    };
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit: limit @ None, limit_by, .. }) if limit_by.is_empty() => {
            *limit = Some(wanted);
        }
        clause @ None => {
            *clause =
                Some(LimitClause::LimitOffset { limit: Some(wanted), offset: None, limit_by: Vec::new() });
        }
        Some(_) => return,
    }
    query.fetch = None;
    if let Some(top) = top {
        *top = None;
    }
}

fn number(number: u64) -> Expr {
    Expr::value(Value::Number(number.to_string(), false))
}

/// Writes what EXISTS lists, which means nothing, as a constant: the planner does not know columns of the row around there.
pub(super) fn exists(expr: &mut Expr) {
    let Expr::Exists { subquery, .. } = expr else { return };
    // ORDER BY may go by what is listed.
    if subquery.order_by.is_some() {
        return;
    }
    if let SetExpr::Select(select) = subquery.body.as_mut()
        && lists_values(select)
    {
        select.projection = vec![SelectItem::UnnamedExpr(number(1))];
    }
}

/// Whether a SELECT gives a row for each that it finds, whatever it lists: functions may aggregate rows, or give several.
fn lists_values(select: &Select) -> bool {
    let groups = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(exprs, _) => !exprs.is_empty(),
    };
    let is_value = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => !has_function(expr),
        _ => false,
    };
    select.distinct.is_none()
        && !groups
        && select.having.is_none()
        && select.qualify.is_none()
        && !select.projection.is_empty()
        && select.projection.iter().all(is_value)
}

fn has_function(expr: &Expr) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(Function { .. }) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Find).is_break()
}
