//! Statements as DataFusion's planner understands them: what it would get wrong is put right or refused while it is still text.
//!
//! The planner keeps the last of two assignments to a column, takes `SET a.b = 1` for the column `b`, does not fold the names that are
//! assigned to, knows no
//! `UPDATE SET *` and `INSERT *`, passes over the alias of a DELETE, and answers no query that stands in VALUES. Invariant: a statement that is passed on means what it said. What does not
//! belong here: types, and anything that the plan shows (`rule`).

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::logical_plan::DmlStatement;
use datafusion::logical_expr::{LogicalPlan, WriteOp};
use datafusion::sql::parser::Statement;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, CastKind, Delete, Expr, FromTable, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, Insert, Merge, MergeAction, MergeInsertExpr,
    MergeInsertKind, ObjectName, ObjectNamePart, Parens, Query, SelectItem, SetExpr,
    Statement as SqlStatement, TableAlias, TableFactor, Update, Values, Visit, Visitor,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use strandline::ErrorKind;

use crate::error::{external, refused};
use crate::sql::folded;
use crate::write::given;

/// What stands for all columns in an assignment.
const ALL: &str = "*";

/// The tokens of a MERGE in which `UPDATE SET *` and `INSERT *` are written so that the parser takes them; other tokens as they are.
pub(crate) fn mark_stars(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_merge = tokens.iter().any(|token| is_word(token, Keyword::MERGE));
    if !is_merge {
        return tokens;
    }
    let mut marked: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let before = marked.iter().rev().filter(|token| !matches!(token.token, Token::Whitespace(_)));
        let before: Vec<&TokenWithSpan> = before.take(2).collect();
        let star = token.token == Token::Mul;
        let at = |token: Token| TokenWithSpan::new(token, token_span(&marked));
        if star
            && matches!(before[..], [set, update] if is_word(set, Keyword::SET) && is_word(update, Keyword::UPDATE))
        {
            let all = || {
                Token::Word(Word {
                    value: ALL.to_owned(),
                    quote_style: Some('"'),
                    keyword: Keyword::NoKeyword,
                })
            };
            let assignment = [at(all()), at(Token::Eq), at(all())];
            marked.extend(assignment);
        } else if star && before.first().is_some_and(|token| is_word(token, Keyword::INSERT)) {
            let row =
                at(Token::Word(Word { value: "ROW".to_owned(), quote_style: None, keyword: Keyword::ROW }));
            marked.push(row);
        } else {
            marked.push(token);
        }
    }
    marked
}

fn token_span(tokens: &[TokenWithSpan]) -> datafusion::sql::sqlparser::tokenizer::Span {
    tokens.last().map_or_else(datafusion::sql::sqlparser::tokenizer::Span::empty, |token| token.span)
}

fn is_word(token: &TokenWithSpan, keyword: Keyword) -> bool {
    matches!(&token.token, Token::Word(word) if word.keyword == keyword && word.quote_style.is_none())
}

/// Puts a statement right that writes; others stay as they are. One lookup of the table for a MERGE with stars.
///
/// # Errors
/// `InvalidInput` for a column that is assigned to twice, and for stars of a source without a name; `Unsupported` for a part of a nested
/// column; those of looking up the table.
pub(crate) async fn prepare(state: &SessionState, statement: &mut Statement) -> Result<()> {
    let fold = state.config_options().sql_parser.enable_ident_normalization;
    match statement {
        Statement::Explain(explain) => Box::pin(prepare(state, &mut explain.statement)).await,
        Statement::Statement(statement) => match statement.as_mut() {
            SqlStatement::Explain { statement, .. } => prepare_one(state, statement, fold).await,
            statement => prepare_one(state, statement, fold).await,
        },
        _ => Ok(()),
    }
}

async fn prepare_one(state: &SessionState, statement: &mut SqlStatement, fold: bool) -> Result<()> {
    match statement {
        SqlStatement::Update(update) => {
            prepare_update(update, fold)?;
            given::update(state, update, fold).await
        }
        SqlStatement::Merge(merge) => {
            prepare_merge(state, merge, fold).await?;
            given::merge(state, merge, fold).await
        }
        SqlStatement::Insert(insert) => {
            // What stands for a value is filled in while rows are rows of VALUES.
            given::insert(state, insert, fold).await?;
            prepare_insert(insert)
        }
        _ => Ok(()),
    }
}

fn prepare_update(update: &mut Update, fold: bool) -> Result<()> {
    let qualifier = Qualifier::of(&update.table.relation);
    update.assignments.iter_mut().for_each(|assignment| mark_cast(&mut assignment.value));
    prepare_assignments(&mut update.assignments, &qualifier, fold)
}

fn prepare_insert(insert: &mut Insert) -> Result<()> {
    let Some(source) = insert.source.as_mut() else { return Ok(()) };
    match source.body.as_mut() {
        SetExpr::Values(values) if values.rows.iter().any(|row| row.content.iter().any(has_query)) => {
            let (with, mut rows) = (source.with.take(), selected(values)?);
            rows.with = with;
            *source = rows;
        }
        SetExpr::Values(values) => {
            values.rows.iter_mut().flat_map(|row| &mut row.content).for_each(mark_cast);
        }
        SetExpr::Select(select) => name_apart(&mut select.projection),
        _ => {}
    }
    Ok(())
}

/// Whether a query stands in an expression.
pub(super) fn has_query(expr: &Expr) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    Visit::visit(expr, &mut Find).is_break()
}

/// Rows of VALUES in which queries stand, as a union of queries: the planner evaluates VALUES before it has answered any.
fn selected(values: &Values) -> Result<Box<Query>> {
    let row = |row: &Parens<Vec<Expr>>| {
        let named =
            row.content.iter().enumerate().map(|(at, value)| format!("{value} AS \"column{}\"", at + 1));
        format!("SELECT {}", named.collect::<Vec<_>>().join(", "))
    };
    let rows: Vec<String> = values.rows.iter().map(row).collect();
    crate::sql::query(&rows.join(" UNION ALL ")).map_err(external)
}

/// Gives names to columns of an INSERT's query that would have the same, as a cast has that of what is cast, since it is their places that count.
fn name_apart(columns: &mut [SelectItem]) {
    let mut seen = BTreeSet::new();
    for (at, column) in columns.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = column else { continue };
        let is_cast = matches!(expr, Expr::Cast { .. } | Expr::AtTimeZone { .. });
        if is_cast || !seen.insert(expr.to_string()) {
            let alias = Ident::with_quote('"', format!("column{}", at + 1));
            *column = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// Puts a function around a CAST that stands for a whole value. The planner's own casts look the same in a plan, and are refused where they
/// lose something (`assign`); this one is meant. The function is gone when the plan is optimised.
fn mark_cast(value: &mut Expr) {
    let mut inner = &*value;
    while let Expr::Nested(nested) = inner {
        inner = nested;
    }
    if !matches!(inner, Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, .. }) {
        return;
    }
    let arg = FunctionArg::Unnamed(FunctionArgExpr::Expr(value.clone()));
    let args = FunctionArgumentList { duplicate_treatment: None, args: vec![arg], clauses: Vec::new() };
    *value = Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new("coalesce"))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    });
}

/// A DELETE whose table has an alias, as an UPDATE that assigns nothing, of which the planner reads the alias.
pub(crate) fn aliased_delete(statement: &Statement) -> Option<Statement> {
    let Statement::Statement(statement) = statement else { return None };
    let SqlStatement::Delete(delete) = statement.as_ref() else { return None };
    let Delete {
        delete_token: _,
        optimizer_hints,
        tables,
        from: FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from),
        using: None,
        selection,
        returning: None,
        output: None,
        order_by,
        limit: None,
    } = delete
    else {
        return None;
    };
    let [table] = from.as_slice() else { return None };
    let is_plain =
        optimizer_hints.is_empty() && tables.is_empty() && order_by.is_empty() && table.joins.is_empty();
    if !is_plain || !matches!(table.relation, TableFactor::Table { alias: Some(_), .. }) {
        return None;
    }
    let update = Update {
        update_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        table: table.clone(),
        assignments: Vec::new(),
        from: None,
        selection: selection.clone(),
        returning: None,
        output: None,
        or: None,
        order_by: Vec::new(),
        limit: None,
    };
    Some(Statement::Statement(Box::new(SqlStatement::Update(update))))
}

/// The plan of an UPDATE as one that deletes the rows that it finds.
///
/// # Errors
/// None at present: a plan that is none of an UPDATE.
pub(crate) fn as_delete(plan: &LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Dml(DmlStatement { table_name, target, op: WriteOp::Update, input, .. }) => {
            match input.as_ref() {
                LogicalPlan::Projection(assigned) => Ok(LogicalPlan::Dml(DmlStatement::new(
                    table_name.clone(),
                    Arc::clone(target),
                    WriteOp::Delete,
                    Arc::clone(&assigned.input),
                ))),
                _ => Err(DataFusionError::Internal("an UPDATE without assignments".to_owned())),
            }
        }
        _ => Err(DataFusionError::Internal("a DELETE that is no UPDATE".to_owned())),
    }
}

async fn prepare_merge(state: &SessionState, merge: &mut Merge, fold: bool) -> Result<()> {
    if merge.clauses.iter().filter_map(|clause| clause.predicate.as_ref()).any(has_query) {
        let message = "a query in a condition of WHEN is not supported: join what it asks for in USING";
        return Err(refused(ErrorKind::Unsupported, message));
    }
    if merge.clauses.iter().any(|clause| has_star(&clause.action)) {
        let columns = columns(state, &merge.table, fold).await?;
        let source = Qualifier::of(&merge.source);
        for clause in &mut merge.clauses {
            expand(&mut clause.action, &columns, &source)?;
        }
    }
    let target = Qualifier::of(&merge.table);
    for clause in &mut merge.clauses {
        match &mut clause.action {
            MergeAction::Update(update) => {
                update.assignments.iter_mut().for_each(|assignment| mark_cast(&mut assignment.value));
                prepare_assignments(&mut update.assignments, &target, fold)?;
            }
            MergeAction::Insert(MergeInsertExpr { kind: MergeInsertKind::Values(values), .. }) => {
                values.rows.iter_mut().flat_map(|row| &mut row.content).for_each(mark_cast);
            }
            MergeAction::Insert(_) | MergeAction::Delete { .. } => {}
        }
    }
    Ok(())
}

/// How the columns of a table are qualified: by an alias, or by the parts of its name.
struct Qualifier(Vec<Ident>);

impl Qualifier {
    fn of(table: &TableFactor) -> Self {
        let alias = |alias: &TableAlias| vec![alias.name.clone()];
        Self(match table {
            TableFactor::Table { name, alias: None, .. } => {
                name.0.iter().filter_map(|part| part.as_ident().cloned()).collect()
            }
            TableFactor::Table { alias: Some(name), .. } | TableFactor::Derived { alias: Some(name), .. } => {
                alias(name)
            }
            _ => Vec::new(),
        })
    }

    /// Whether these parts are the last ones of it.
    fn ends_with(&self, parts: &[Ident], fold: bool) -> bool {
        let name = |ident: &Ident| folded(ident, fold);
        self.0.iter().map(name).rev().zip(parts.iter().map(name).rev()).all(|(one, other)| one == other)
            && parts.len() <= self.0.len()
    }
}

/// Names that are assigned to, without qualifiers, folded, and each once.
fn prepare_assignments(assignments: &mut [Assignment], table: &Qualifier, fold: bool) -> Result<()> {
    let mut seen = BTreeSet::new();
    for assignment in assignments {
        let AssignmentTarget::ColumnName(ObjectName(parts)) = &mut assignment.target else {
            let message = "columns are assigned to one by one: write SET a = 1, b = 2";
            return Err(refused(ErrorKind::Unsupported, message));
        };
        let idents: Vec<Ident> = parts.iter().filter_map(|part| part.as_ident().cloned()).collect();
        let Some((column, qualifier)) = idents.split_last() else { continue };
        if !table.ends_with(qualifier, fold) {
            let path: Vec<&str> = idents.iter().map(|ident| ident.value.as_str()).collect();
            let message = format!(
                "SET {}: {:?} is not the table, and a part of a nested column cannot be set by itself: assign to the whole column",
                path.join("."),
                path[..path.len() - 1].join(".")
            );
            return Err(refused(ErrorKind::Unsupported, message));
        }
        let name = folded(column, fold);
        if !seen.insert(name.clone()) {
            let message = format!("column {name:?} is assigned to twice");
            return Err(refused(ErrorKind::InvalidInput, message));
        }
        *parts = vec![ObjectNamePart::Identifier(Ident::with_quote('"', name))];
    }
    Ok(())
}

fn has_star(action: &MergeAction) -> bool {
    match action {
        MergeAction::Update(update) => update.assignments.iter().any(is_star),
        MergeAction::Insert(insert) => is_row(insert),
        MergeAction::Delete { .. } => false,
    }
}

fn is_star(assignment: &Assignment) -> bool {
    let all = |ident: &Ident| ident.value == ALL && ident.quote_style.is_some();
    let target = match &assignment.target {
        AssignmentTarget::ColumnName(ObjectName(parts)) => parts.first().and_then(|part| part.as_ident()),
        AssignmentTarget::Tuple(_) => None,
    };
    target.is_some_and(all) && matches!(&assignment.value, Expr::Identifier(ident) if all(ident))
}

fn is_row(insert: &MergeInsertExpr) -> bool {
    matches!(insert.kind, MergeInsertKind::Row)
}

/// The columns of the table that is merged into.
async fn columns(state: &SessionState, table: &TableFactor, fold: bool) -> Result<Vec<String>> {
    let TableFactor::Table { name, .. } = table else {
        return Err(refused(ErrorKind::Unsupported, "MERGE goes into a table"));
    };
    let name: TableReference = object_name_to_table_reference(name.clone(), fold)?;
    let schema = state.schema_for_ref(name.clone())?;
    let Some(table) = schema.table(name.table()).await? else {
        return Err(refused(ErrorKind::NotFound, format!("there is no table {name}")));
    };
    Ok(table.schema().fields().iter().map(|field| field.name().clone()).collect())
}

/// Writes out what stars stand for: each column of the table, from the column of the source with its name.
fn expand(action: &mut MergeAction, columns: &[String], source: &Qualifier) -> Result<()> {
    if !has_star(action) {
        return Ok(());
    }
    if source.0.is_empty() {
        let message = "UPDATE SET * and INSERT * need a name for the source: write USING (…) AS source";
        return Err(refused(ErrorKind::InvalidInput, message));
    }
    let name = |column: &String| Ident::with_quote('"', column.as_str());
    let value =
        |column: &String| Expr::CompoundIdentifier(source.0.iter().cloned().chain([name(column)]).collect());
    let target = |column: &String| ObjectName(vec![ObjectNamePart::Identifier(name(column))]);
    match action {
        MergeAction::Update(update) => {
            let assigned = |column: &String| Assignment {
                target: AssignmentTarget::ColumnName(target(column)),
                value: value(column),
            };
            update.assignments = columns.iter().map(assigned).collect();
        }
        MergeAction::Insert(insert) => {
            if insert.columns.is_empty() {
                insert.columns = columns.iter().map(target).collect();
            }
            let named = insert.columns.iter().filter_map(|name| name.0.last()?.as_ident().cloned());
            let row = named
                .map(|ident| Expr::CompoundIdentifier(source.0.iter().cloned().chain([ident]).collect()));
            let rows = vec![Parens::with_empty_span(row.collect())];
            insert.kind = MergeInsertKind::Values(Values { explicit_row: false, value_keyword: false, rows });
        }
        MergeAction::Delete { .. } => {}
    }
    Ok(())
}
