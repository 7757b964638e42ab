//! Expressions that differ in their parentheses alone.
//!
//! The planner calls `a - (b - c)` and `a - b - c` by one name, and finds columns by their names: ORDER BY one of them sorts by the other. Invariant: within
//! what a query gives, groups and sorts by, such a name means one expression, or the query is refused. What does not belong here: clauses
//! that the planner passes over (`unread`).

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, OrderByKind, Query, SelectItem, SetExpr, Visit, VisitMut,
    Visitor, VisitorMut,
};
use strandline::{Error, ErrorKind, Result};

/// Refuses a query in which two expressions would have one name.
///
/// # Errors
/// `Unsupported`, naming both.
pub(crate) fn refuse(tree: &impl Visit) -> Result<()> {
    match tree.visit(&mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Queries;

impl Visitor for Queries {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        let mut named = Named::default();
        let exprs = exprs_of(query);
        if !exprs.iter().any(|expr| has_parentheses(expr)) {
            return ControlFlow::Continue(());
        }
        for expr in exprs {
            expr.visit(&mut named)?;
        }
        ControlFlow::Continue(())
    }
}

/// What a query gives, groups and sorts by.
fn exprs_of(query: &Query) -> Vec<&Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Vec::new() };
    let given = select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    let groups: &[Expr] = match &select.group_by {
        GroupByExpr::Expressions(exprs, _) => exprs,
        GroupByExpr::All(_) => &[],
    };
    let order = query.order_by.as_ref().map(|order| &order.kind);
    let order = match order {
        Some(OrderByKind::Expressions(order)) => order.as_slice(),
        _ => &[],
    };
    given.chain(groups).chain(&select.having).chain(order.iter().map(|order| &order.expr)).collect()
}

fn has_parentheses(expr: &Expr) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Nested(inner) if is_calculated(inner) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Find).is_break()
}

fn is_calculated(expr: &Expr) -> bool {
    use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus, StringConcat};
    matches!(expr, Expr::BinaryOp { op: Plus | Minus | Multiply | Divide | Modulo | StringConcat, .. })
}

/// Expressions without their parentheses, by what is left of their texts.
#[derive(Default)]
struct Named(HashMap<String, (Expr, String)>);

impl Visitor for Named {
    type Break = Error;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        if !is_calculated(expr) {
            return ControlFlow::Continue(());
        }
        let mut bare = expr.clone();
        // It never breaks.
        let _ = VisitMut::visit(&mut bare, &mut Bare);
        let known = self.0.entry(bare.to_string()).or_insert_with(|| (bare.clone(), expr.to_string()));
        if known.0 == bare {
            return ControlFlow::Continue(());
        }
        let message = format!(
            "{} beside {expr} is not supported: give one of them a name in a query within FROM",
            known.1
        );
        ControlFlow::Break(Error::new(ErrorKind::Unsupported, message))
    }
}

/// A column by its name alone, however that is written.
fn named(name: &Ident) -> Expr {
    Expr::Identifier(Ident::with_quote('"', super::folded(name, true)))
}

/// Takes the parentheses away, and what columns are qualified by.
struct Bare;

impl VisitorMut for Bare {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let bare = match &*expr {
            Expr::Nested(inner) => Some(Expr::clone(inner)),
            Expr::CompoundIdentifier(parts) => parts.last().map(named),
            Expr::Identifier(name) => Some(named(name)),
            _ => None,
        };
        if let Some(bare) = bare {
            *expr = bare;
        }
        ControlFlow::Continue(())
    }
}
