//! Forms of statements that the planner has no plan for, as forms that it has.
//!
//! ```text
//! WITH w AS (…) INSERT, UPDATE, DELETE or MERGE …   WITH w AS (…) of each query in the statement, and of a source that is w
//! UPDATE t SET a = s.b FROM s WHERE …               MERGE INTO t USING s ON … WHEN MATCHED THEN UPDATE SET a = s.b
//! ```
//!
//! Invariants: the statement means what it did; what a form has no other one for stays as it is, and is refused later. A row that an UPDATE finds
//! several times in FROM is an error, as in a MERGE, since nobody says which of them counts. What does not belong here: clauses of all
//! other statements (`sql::unread`).

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Expr, Merge, MergeAction, MergeClause, MergeClauseKind, MergeUpdateExpr, Query, SetExpr,
    Statement as SqlStatement, TableAlias, TableFactor, Update, UpdateTableFromKind, Value, VisitMut,
    VisitorMut, With,
};

use super::merge::UPDATE;
use super::prepare::has_query;
use crate::error::external;
use crate::sql::{self, folded};

/// Writes a statement in the forms that the planner has.
///
/// # Errors
/// None at present: a text of ours that cannot be parsed.
pub(crate) fn rewrite(statement: &mut Statement, fold: bool) -> Result<()> {
    match statement {
        Statement::Explain(explain) => rewrite(&mut explain.statement, fold),
        Statement::Statement(statement) => rewrite_one(statement, fold),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => Ok(()),
    }
}

fn rewrite_one(statement: &mut SqlStatement, fold: bool) -> Result<()> {
    match statement {
        SqlStatement::Explain { statement, .. } | SqlStatement::Prepare { statement, .. } => {
            return rewrite_one(statement, fold);
        }
        SqlStatement::Query(query) => {
            if let Some(written) = with_within(query, fold)? {
                *statement = written;
            }
        }
        _ => {}
    }
    if let SqlStatement::Update(update) = statement
        && let Some(merge) = as_merge(update)
    {
        *statement = SqlStatement::Merge(merge);
    }
    Ok(())
}

/// The statement behind WITH, if it is one that writes, with the queries of WITH in its own.
fn with_within(query: &mut Query, fold: bool) -> Result<Option<SqlStatement>> {
    let (SetExpr::Insert(written)
    | SetExpr::Update(written)
    | SetExpr::Delete(written)
    | SetExpr::Merge(written)) = query.body.as_ref()
    else {
        return Ok(None);
    };
    let mut written = written.clone();
    let Some(with) = query.with.take() else { return Ok(Some(written)) };
    let mut within = Within { with, depth: 0, outcome: Ok(()) };
    // It never breaks.
    let _ = VisitMut::visit(&mut written, &mut within);
    within.outcome?;
    match &mut written {
        SqlStatement::Merge(merge) => name_source(&mut merge.source, &within.with, fold)?,
        SqlStatement::Update(Update {
            from: Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)),
            ..
        }) => {
            from.iter_mut().try_for_each(|table| name_source(&mut table.relation, &within.with, fold))?;
        }
        _ => {}
    }
    Ok(Some(written))
}

/// Gives the outermost queries of a statement a WITH.
struct Within {
    with: With,
    depth: usize,
    outcome: Result<()>,
}

impl VisitorMut for Within {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        if self.depth == 0
            && let Err(error) = put_into(query, &self.with)
        {
            self.outcome = Err(error);
        }
        ControlFlow::Continue(())
    }
}

/// A query that has a WITH itself goes into another; the planner refuses a name that both have.
fn put_into(query: &mut Query, with: &With) -> Result<()> {
    if query.with.is_some() {
        let mut inner = sql::query("SELECT 1").map_err(external)?;
        std::mem::swap(inner.as_mut(), query);
        *query.body = SetExpr::Query(inner);
    }
    query.with = Some(with.clone());
    Ok(())
}

/// A source of a MERGE that is one of the queries of WITH.
fn name_source(source: &mut TableFactor, with: &With, fold: bool) -> Result<()> {
    let TableFactor::Table { name, alias, args: None, version: None, .. } = source else { return Ok(()) };
    let [part] = name.0.as_slice() else { return Ok(()) };
    let Some(called) = part.as_ident().cloned() else { return Ok(()) };
    let is_called = |other| folded(other, fold) == folded(&called, fold);
    if !with.cte_tables.iter().any(|cte| is_called(&cte.alias.name)) {
        return Ok(());
    }
    let mut subquery = sql::query(&format!("SELECT * FROM {called}")).map_err(external)?;
    subquery.with = Some(with.clone());
    let own = || TableAlias { explicit: true, name: called.clone(), columns: Vec::new(), at: None };
    let alias = Some(alias.take().unwrap_or_else(own));
    *source = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
    Ok(())
}

/// An UPDATE by one other table as the MERGE that it is; `None` for any other.
fn as_merge(update: &Update) -> Option<Merge> {
    let Update {
        update_token: _,
        optimizer_hints,
        table,
        assignments,
        from: Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)),
        selection: Some(condition),
        returning: None,
        output: None,
        or: None,
        order_by,
        limit: None,
    } = update
    else {
        return None;
    };
    let [from] = from.as_slice() else { return None };
    let is_plain =
        optimizer_hints.is_empty() && order_by.is_empty() && table.joins.is_empty() && from.joins.is_empty();
    if !is_plain || has_query(condition) {
        return None;
    }
    let update = MergeUpdateExpr {
        update_token: AttachedToken::empty(),
        assignments: assignments.clone(),
        update_predicate: None,
        delete_predicate: None,
    };
    let clause = MergeClause {
        when_token: AttachedToken::empty(),
        clause_kind: MergeClauseKind::Matched,
        // The log tells what it was.
        predicate: Some(Expr::IsNotNull(Box::new(Expr::value(Value::SingleQuotedString(UPDATE.to_owned()))))),
        action: MergeAction::Update(update),
    };
    Some(Merge {
        merge_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        into: true,
        table: table.relation.clone(),
        source: from.relation.clone(),
        on: Box::new(condition.clone()),
        clauses: vec![clause],
        output: None,
    })
}
