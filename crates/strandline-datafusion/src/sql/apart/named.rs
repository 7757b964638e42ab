//! What the planner calls an expression.
//!
//! Invariant: expressions that it calls by one name have one name here; of others it does not matter. What does not belong here: which
//! expressions may not share a name (`apart`).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, Ident, ObjectNamePart, Query, Select, SelectItem, SetExpr, TypedString,
    UnaryOperator, Value, Visit, VisitMut, Visitor, VisitorMut,
};

use crate::functions::AS_WRITTEN;
use crate::sql::exact::call;
use crate::sql::folded;

/// An expression by its name.
pub(super) struct Named {
    pub(super) name: String,
    /// What it is, however it is written: expressions that are the same have the same one.
    pub(super) exact: Expr,
}

/// The names of a SELECT.
pub(super) struct Names {
    /// Whether all columns are of one table, so that it does not matter whether they are qualified.
    pub(super) is_single: bool,
}

impl Names {
    pub(super) fn of(select: &Select) -> Self {
        Self { is_single: matches!(select.from.as_slice(), [table] if table.joins.is_empty()) }
    }

    pub(super) fn named(&self, expr: &Expr) -> Named {
        let mut exact = expr.clone();
        // It never breaks.
        let _ = VisitMut::visit(&mut exact, &mut Exact { is_single: self.is_single });
        let mut name = exact.clone();
        let _ = VisitMut::visit(&mut name, &mut Called);
        Named { name: name.to_string(), exact }
    }

    /// What a column of a query is, if it has no name.
    pub(super) fn given(&self, item: &SelectItem) -> Option<Expr> {
        match item {
            SelectItem::UnnamedExpr(expr) => Some(self.named(expr).exact),
            _ => None,
        }
    }
}

/// The column that an expression is.
pub(super) fn column(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(folded(name, true)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|name| folded(name, true)),
        Expr::Nested(inner) => column(inner),
        _ => None,
    }
}

/// The column that an expression is called by, and what that is qualified by.
pub(super) fn column_within(expr: &Expr) -> Option<(Option<String>, String)> {
    match expr {
        Expr::Identifier(name) => Some((None, folded(name, true))),
        Expr::CompoundIdentifier(parts) => {
            let (name, before) = parts.split_last()?;
            Some((before.last().map(|side| folded(side, true)), folded(name, true)))
        }
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => column_within(inner),
        _ => None,
    }
}

/// Takes away how an expression is written: parentheses, case, qualifiers that say nothing.
struct Exact {
    is_single: bool,
}

impl VisitorMut for Exact {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let plain = |name: &Ident| Ident::with_quote('"', folded(name, true));
        match expr {
            Expr::Nested(inner) => *expr = std::mem::replace(inner.as_mut(), super::nothing()),
            Expr::CompoundIdentifier(parts) => {
                let parts: Vec<Ident> = parts.iter().map(plain).collect();
                *expr = match parts.last() {
                    Some(name) if self.is_single => Expr::Identifier(name.clone()),
                    _ => Expr::CompoundIdentifier(parts),
                };
            }
            Expr::Identifier(name) => *name = plain(name),
            Expr::Function(Function { name, .. }) => {
                for part in &mut name.0 {
                    if let ObjectNamePart::Identifier(name) = part {
                        *name = plain(name);
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Takes away what is no part of a name.
struct Called;

impl VisitorMut for Called {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let called = match &*expr {
            Expr::Cast { expr, array: false, .. } => Expr::clone(expr),
            Expr::TypedString(TypedString { value, .. }) => Expr::Value(value.clone()),
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => match digits.parse::<f64>() {
                    Ok(number) if digits.contains(['.', 'e', 'E']) => word(&format!("{number:?}")),
                    _ => return ControlFlow::Continue(()),
                },
                _ => return ControlFlow::Continue(()),
            },
            Expr::Exists { negated, .. } => word(if *negated { "NOT EXISTS" } else { "EXISTS" }),
            Expr::InSubquery { negated, .. } => word(if *negated { "NOT IN" } else { "IN" }),
            Expr::Subquery(query) => word(&value_of(query)),
            _ => return ControlFlow::Continue(()),
        };
        *expr = called;
        ControlFlow::Continue(())
    }
}

fn word(text: &str) -> Expr {
    Expr::Identifier(Ident::new(text))
}

/// What the value of a query is called.
fn value_of(query: &Query) -> String {
    match query.body.as_ref() {
        SetExpr::Select(select) => match select.projection.first() {
            Some(SelectItem::ExprWithAlias { alias, .. }) => folded(alias, true),
            Some(item) => item.to_string(),
            None => String::new(),
        },
        other => other.to_string(),
    }
}

/// Writes casts and what stands in parentheses as functions, which are part of a name.
pub(super) struct AsWritten;

impl VisitorMut for AsWritten {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { array: false, .. } if has_column(expr) => wrap(expr),
            Expr::BinaryOp { left, op, right } => {
                let around = binding(op);
                within(left, |op| binding(op) < around);
                within(right, |op| binding(op) <= around);
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => within(expr, |_| true),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn wrap(expr: &mut Expr) {
    let inner = std::mem::replace(expr, super::nothing());
    *expr = call(AS_WRITTEN, vec![inner]);
}

/// Wraps an operation within another one if it would be read otherwise without parentheses; those that say nothing go.
fn within(expr: &mut Expr, is_other: impl Fn(&BinaryOperator) -> bool) {
    while let Expr::Nested(inner) = expr {
        *expr = std::mem::replace(inner.as_mut(), super::nothing());
    }
    if let Expr::BinaryOp { op, .. } = expr
        && is_other(op)
        && has_column(expr)
    {
        wrap(expr);
    }
}

/// How closely an operator binds, as far as it is known to.
fn binding(op: &BinaryOperator) -> u8 {
    use BinaryOperator::{
        And, Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Or, Plus, StringConcat,
    };
    match op {
        Or => 1,
        And => 2,
        Eq | NotEq | Lt | LtEq | Gt | GtEq => 3,
        StringConcat => 4,
        Plus | Minus => 5,
        Multiply | Divide | Modulo => 6,
        _ => 0,
    }
}

/// Whether there are casts or parentheses, which are no part of a name.
pub(super) fn is_more_than_its_name(tree: &impl Visit) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Nested(_) | Expr::Cast { .. } | Expr::TypedString(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    tree.visit(&mut Find).is_break()
}

/// Whether an expression is more than a constant: functions ask for constants as they are.
fn has_column(expr: &Expr) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Find).is_break()
}
