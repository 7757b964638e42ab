//! How deep a statement is nested.
//!
//! Trees of statements and plans are walked, copied and dropped by recursion, and a stack that overflows ends the whole process. The
//! parser bounds what stands in parentheses, but builds chains of operators without end: `a AND b AND c` is as deep as it is long.
//! So long chains of AND, OR and UNION ALL, which mean the same wherever they are split, become balanced trees, and what is deeper than a
//! bound then is refused. Of AND there is a bound as well, since DataFusion makes a chain again of what it has split.
//!
//! Invariant: nothing here recurses deeper than the bounds, and what is refused is taken apart before it is dropped. What does not
//! belong here: what the parts mean.

use std::ops::ControlFlow;

use datafusion::sql::parser::{CopyToSource, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Query, SetExpr, SetOperator, SetQuantifier, Value, Values, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::words::{Parsed, is_word};

/// How deep expressions and queries may stand in each other. With twice as many, a stack of 2 MiB overflows in a build for tests.
const DEEPEST: usize = 160;

/// What a query counts as.
const QUERY: usize = 4;

/// How many operations on sets may follow each other, such as EXCEPT.
const SETS: usize = 50;

/// How many conditions AND may join.
const CONDITIONS: usize = 250;

/// Chains that are longer become balanced.
const LONG: usize = 32;

/// How deep types may stand in each other.
const TYPES: usize = 50;

/// How many NOT may follow each other: where the parser would go too deep for them, it takes the last one for a name.
const NOTS: usize = 40;

/// Refuses tokens that the parser itself would go too deep for: types in types, which it does not count, and more parentheses than it
/// takes; and a chain of NOT.
pub(super) fn check_tokens(tokens: &[TokenWithSpan], recursion_limit: usize) -> Parsed<()> {
    let (mut types, mut parens, mut brackets, mut nots) = (0_usize, 0_usize, 0_usize, 0_usize);
    let mut before = &Token::EOF;
    for token in tokens.iter().map(|token| &token.token) {
        match token {
            Token::Whitespace(_) => continue,
            Token::Lt if ["ARRAY", "STRUCT", "MAP"].iter().any(|word| is_word(before, word)) => types += 1,
            Token::Gt => types = types.saturating_sub(1),
            Token::ShiftRight => types = types.saturating_sub(2),
            Token::LParen => parens += 1,
            Token::RParen => parens = parens.saturating_sub(1),
            Token::LBracket => brackets += 1,
            _ => {}
        }
        nots = if is_word(token, "NOT") { nots + 1 } else { 0 };
        if !matches!(token, Token::LBracket | Token::RBracket | Token::Number(..)) {
            brackets = 0;
        }
        if types > TYPES || brackets > TYPES || nots > NOTS || parens > recursion_limit.max(TYPES) {
            return Err(ParserError::RecursionLimitExceeded);
        }
        before = token;
    }
    Ok(())
}

/// Balances the chains of a statement of DataFusion's.
pub(super) fn bounded_statement(statement: &mut DfStatement) -> Parsed<()> {
    match statement {
        DfStatement::Statement(statement) => bounded(statement.as_mut()),
        DfStatement::Explain(explain) => bounded_statement(&mut explain.statement),
        DfStatement::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => bounded(query.as_mut()),
            CopyToSource::Relation(_) => Ok(()),
        },
        DfStatement::CreateExternalTable(_) | DfStatement::Reset(_) => Ok(()),
    }
}

/// Balances the chains of any part of a statement.
pub(super) fn bounded(tree: &mut impl VisitMut) -> Parsed<()> {
    let mut bounded = Bounded { depth: 0, is_too_deep: false };
    // It goes to the end, so that all that is too deep is taken apart.
    let _ = VisitMut::visit(tree, &mut bounded);
    if bounded.is_too_deep { Err(ParserError::RecursionLimitExceeded) } else { Ok(()) }
}

struct Bounded {
    depth: usize,
    is_too_deep: bool,
}

impl VisitorMut for Bounded {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.is_too_deep |= !balanced_sets(&mut query.body);
        self.depth += QUERY;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if self.depth > DEEPEST {
            self.is_too_deep = true;
            *query.body = no_rows();
        }
        self.depth -= QUERY;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.is_too_deep |= !balanced(expr);
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth > DEEPEST {
            self.is_too_deep = true;
            *expr = null();
        }
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

fn null() -> Expr {
    Expr::value(Value::Null)
}

fn no_rows() -> SetExpr {
    SetExpr::Values(Values { explicit_row: false, value_keyword: false, rows: Vec::new() })
}

/// Makes a long chain short; whether it is now.
fn balanced(expr: &mut Expr) -> bool {
    if spine(expr, left) <= LONG {
        return conditions(expr) <= CONDITIONS;
    }
    if let Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } = expr {
        let op = op.clone();
        let operands = operands(std::mem::replace(expr, null()), |expr| match expr {
            Expr::BinaryOp { left, op: found, right } if found == op => {
                ControlFlow::Continue((*left, *right))
            }
            other => ControlFlow::Break(other),
        });
        let both =
            |left, right| Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) };
        *expr = in_pairs(operands, both).unwrap_or_else(null);
        return conditions(expr) <= CONDITIONS;
    }
    if spine(expr, left) <= DEEPEST {
        return true;
    }
    take_apart(std::mem::replace(expr, null()), null, left);
    false
}

/// How many conditions AND joins here, in parentheses as well.
fn conditions(expr: &Expr) -> usize {
    let (mut open, mut count) = (vec![expr], 0);
    while let Some(expr) = open.pop() {
        match expr {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => open.extend([left.as_ref(), right]),
            Expr::Nested(expr) => open.push(expr),
            _ => count += 1,
        }
    }
    count
}

/// The same of operations on sets.
fn balanced_sets(body: &mut SetExpr) -> bool {
    if spine(body, left_set) <= LONG {
        return true;
    }
    let operands = operands(std::mem::replace(body, no_rows()), |body| match body {
        SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier: SetQuantifier::All, right } => {
            ControlFlow::Continue((*left, *right))
        }
        other => ControlFlow::Break(other),
    });
    let both = |left, right| SetExpr::SetOperation {
        op: SetOperator::Union,
        set_quantifier: SetQuantifier::All,
        left: Box::new(left),
        right: Box::new(right),
    };
    *body = in_pairs(operands, both).unwrap_or_else(no_rows);
    if spine(body, left_set) <= SETS {
        return true;
    }
    take_apart(std::mem::replace(body, no_rows()), no_rows, left_set);
    false
}

/// How many parts stand in each other on the left.
fn spine<T>(mut part: &mut T, left: impl Fn(&mut T) -> Option<&mut T>) -> usize {
    let mut length = 1;
    while let Some(next) = left(part) {
        (part, length) = (next, length + 1);
    }
    length
}

/// The operands of a chain, in their order; `split` gives the two sides of one of its operators.
fn operands<T>(mut chain: T, split: impl Fn(T) -> ControlFlow<T, (T, T)>) -> Vec<T> {
    let mut operands = Vec::new();
    loop {
        match split(chain) {
            ControlFlow::Continue((left, right)) => {
                operands.push(right);
                chain = left;
            }
            ControlFlow::Break(first) => {
                operands.push(first);
                operands.reverse();
                return operands;
            }
        }
    }
}

/// Operands, joined two by two until they are one.
fn in_pairs<T>(mut operands: Vec<T>, both: impl Fn(T, T) -> T) -> Option<T> {
    while operands.len() > 1 {
        let mut rest = operands.into_iter();
        let mut pairs = Vec::new();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => both(left, right),
                None => left,
            });
        }
        operands = pairs;
    }
    operands.pop()
}

/// Drops a chain from its end that is nearest, one part after the other.
fn take_apart<T>(mut part: T, nothing: impl Fn() -> T, left: impl Fn(&mut T) -> Option<&mut T>) {
    while let Some(next) = left(&mut part) {
        part = std::mem::replace(next, nothing());
    }
}

fn left_set(body: &mut SetExpr) -> Option<&mut SetExpr> {
    match body {
        SetExpr::SetOperation { left, .. } => Some(left),
        _ => None,
    }
}

/// What stands before an operator that the parser goes on from without counting.
fn left(expr: &mut Expr) -> Option<&mut Expr> {
    match expr {
        Expr::BinaryOp { left: expr, .. }
        | Expr::AnyOp { left: expr, .. }
        | Expr::AllOp { left: expr, .. }
        | Expr::UnaryOp { expr, .. }
        | Expr::Cast { expr, .. }
        | Expr::AtTimeZone { timestamp: expr, .. }
        | Expr::Collate { expr, .. }
        | Expr::InList { expr, .. }
        | Expr::InSubquery { expr, .. }
        | Expr::InUnnest { expr, .. }
        | Expr::Between { expr, .. }
        | Expr::Like { expr, .. }
        | Expr::ILike { expr, .. }
        | Expr::SimilarTo { expr, .. }
        | Expr::RLike { expr, .. }
        | Expr::IsNull(expr)
        | Expr::IsNotNull(expr)
        | Expr::IsTrue(expr)
        | Expr::IsNotTrue(expr)
        | Expr::IsFalse(expr)
        | Expr::IsNotFalse(expr)
        | Expr::IsUnknown(expr)
        | Expr::IsNotUnknown(expr)
        | Expr::IsDistinctFrom(expr, _)
        | Expr::IsNotDistinctFrom(expr, _)
        | Expr::CompoundFieldAccess { root: expr, .. }
        | Expr::JsonAccess { value: expr, .. } => Some(expr),
        _ => None,
    }
}
