//! What a statement gives to columns in words that the planner does not know: DEFAULT, and texts of UUIDs.
//!
//! Invariants: DEFAULT is the default that the column has when the statement is planned, and null if it has none; a text that is no UUID is left to
//! the planner, which refuses it. What does not belong here: which values fit (`assign`).

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Insert, Merge, MergeAction, MergeInsertKind, ObjectName, Parens,
    SetExpr, TableFactor, TableObject, Update, Value as SqlValue, Values,
};
use strandline::format::{Field, PrimitiveType, Type, Value};

use crate::compared;
use crate::inspect::value_text;
use crate::sql::{call, folded, query_of};
use crate::table::LakeTable;

/// Fills the rows of an INSERT.
///
/// # Errors
/// Those of looking up the table.
pub(super) async fn insert(state: &SessionState, insert: &mut Insert, fold: bool) -> Result<()> {
    let TableObject::TableName(name) = &insert.table else { return Ok(()) };
    let is_defaults_alone =
        insert.source.is_none() && insert.assignments.is_empty() && insert.columns.is_empty();
    let is_asked = match insert.source.as_deref_mut().map(|source| source.body.as_mut()) {
        Some(SetExpr::Values(values)) => values.rows.iter().flat_map(|row| &row.content).any(is_to_be_filled),
        Some(_) => false,
        None => is_defaults_alone,
    };
    if !is_asked {
        return Ok(());
    }
    let Some(fields) = fields(state, name.clone(), fold).await? else { return Ok(()) };
    if is_defaults_alone {
        let row = fields.iter().map(default).collect();
        let rows = vec![Parens {
            opening_token: AttachedToken::empty(),
            content: row,
            closing_token: AttachedToken::empty(),
        }];
        insert.source =
            Some(query_of(SetExpr::Values(Values { explicit_row: false, value_keyword: false, rows }))?);
        return Ok(());
    }
    let columns = named(&insert.columns, fold);
    if let Some(SetExpr::Values(values)) = insert.source.as_deref_mut().map(|source| source.body.as_mut()) {
        fill_rows(values, &columns, &fields);
    }
    Ok(())
}

/// Fills what an UPDATE assigns.
///
/// # Errors
/// Those of looking up the table.
pub(super) async fn update(state: &SessionState, update: &mut Update, fold: bool) -> Result<()> {
    if !update.assignments.iter().any(|assignment| is_to_be_filled(&assignment.value)) {
        return Ok(());
    }
    if let Some(fields) = fields_of(state, &update.table.relation, fold).await? {
        fill_assignments(&mut update.assignments, &fields, fold);
    }
    Ok(())
}

/// Fills what the clauses of a MERGE give.
///
/// # Errors
/// Those of looking up the table.
pub(super) async fn merge(state: &SessionState, merge: &mut Merge, fold: bool) -> Result<()> {
    let is_asked = merge.clauses.iter().any(|clause| match &clause.action {
        MergeAction::Update(update) => {
            update.assignments.iter().any(|assignment| is_to_be_filled(&assignment.value))
        }
        MergeAction::Insert(insert) => match &insert.kind {
            MergeInsertKind::Values(values) => {
                values.rows.iter().flat_map(|row| &row.content).any(is_to_be_filled)
            }
            MergeInsertKind::Row => false,
        },
        MergeAction::Delete { .. } => false,
    });
    if !is_asked {
        return Ok(());
    }
    let Some(fields) = fields_of(state, &merge.table, fold).await? else { return Ok(()) };
    for clause in &mut merge.clauses {
        match &mut clause.action {
            MergeAction::Update(update) => fill_assignments(&mut update.assignments, &fields, fold),
            MergeAction::Insert(insert) => {
                let columns = named(&insert.columns, fold);
                if let MergeInsertKind::Values(values) = &mut insert.kind {
                    fill_rows(values, &columns, &fields);
                }
            }
            MergeAction::Delete { .. } => {}
        }
    }
    Ok(())
}

fn named(columns: &[ObjectName], fold: bool) -> Vec<String> {
    let last = |name: &ObjectName| name.0.last().and_then(|part| part.as_ident().cloned());
    columns.iter().filter_map(last).map(|ident| folded(&ident, fold)).collect()
}

async fn fields_of(state: &SessionState, table: &TableFactor, fold: bool) -> Result<Option<Vec<Field>>> {
    match table {
        TableFactor::Table { name, .. } => fields(state, name.clone(), fold).await,
        _ => Ok(None),
    }
}

/// The columns of a table of a lake; of another table the planner knows as much as is to be known.
async fn fields(state: &SessionState, name: ObjectName, fold: bool) -> Result<Option<Vec<Field>>> {
    let name: TableReference = object_name_to_table_reference(name, fold)?;
    let table = state.schema_for_ref(name.clone())?.table(name.table()).await?;
    let table = table.as_deref().and_then(<dyn TableProvider>::downcast_ref::<LakeTable>);
    Ok(table.map(|table| table.table().schema().fields().to_vec()))
}

fn fill_rows(values: &mut Values, columns: &[String], fields: &[Field]) {
    for row in &mut values.rows {
        for (at, value) in row.content.iter_mut().enumerate() {
            let field = match columns {
                [] => fields.get(at),
                named => {
                    named.get(at).and_then(|name| fields.iter().find(|field| field.name.as_str() == name))
                }
            };
            if let Some(field) = field {
                fill(value, field);
            }
        }
    }
}

fn fill_assignments(assignments: &mut [Assignment], fields: &[Field], fold: bool) {
    for Assignment { target, value } in assignments {
        let AssignmentTarget::ColumnName(name) = target else { continue };
        let name = named(std::slice::from_ref(name), fold);
        if let Some(field) = fields.iter().find(|field| name.iter().any(|name| field.name.as_str() == name)) {
            fill(value, field);
        }
    }
}

fn is_to_be_filled(value: &Expr) -> bool {
    is_default(value) || uuid(value).is_some() || has_uuid(value)
}

/// Whether a list that is written out has a text of a UUID, at any depth.
fn has_uuid(value: &Expr) -> bool {
    elements(value)
        .is_some_and(|elements| elements.iter().any(|element| uuid(element).is_some() || has_uuid(element)))
}

/// The elements of a list that is written out.
fn elements(value: &Expr) -> Option<&[Expr]> {
    match value {
        Expr::Array(list) => Some(&list.elem),
        _ => None,
    }
}

fn is_default(value: &Expr) -> bool {
    matches!(value, Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default"))
}

/// The UUID that a text is.
fn uuid(value: &Expr) -> Option<[u8; 16]> {
    match value {
        Expr::Value(value) => match &value.value {
            SqlValue::SingleQuotedString(text) => compared::parse(text),
            _ => None,
        },
        _ => None,
    }
}

fn fill(value: &mut Expr, field: &Field) {
    if is_default(value) {
        *value = default(field);
    } else if field.ty == Type::Primitive(PrimitiveType::Uuid)
        && let Some(bytes) = uuid(value)
    {
        *value = hex(&bytes);
    } else if let (Type::List(element), Expr::Array(list)) = (&field.ty, value) {
        list.elem.iter_mut().for_each(|value| fill_element(value, &element[0].ty));
    }
}

/// Fills an element of a list.
fn fill_element(value: &mut Expr, ty: &Type) {
    match (ty, &mut *value) {
        (Type::Primitive(PrimitiveType::Uuid), text) => {
            if let Some(bytes) = uuid(text) {
                *text = hex(&bytes);
            } else if matches!(text, Expr::Value(value) if value.value == SqlValue::Null) {
                // The planner finds no type that bytes and NULL have in common.
                let bytes = Expr::value(SqlValue::SingleQuotedString("Binary".to_owned()));
                *text = call("arrow_cast", vec![Expr::value(SqlValue::Null), bytes]);
            }
        }
        (Type::List(element), Expr::Array(list)) => {
            list.elem.iter_mut().for_each(|value| fill_element(value, &element[0].ty));
        }
        _ => {}
    }
}

/// The default of a column, as a literal: a text is read as what the column is.
fn default(field: &Field) -> Expr {
    match &field.default {
        None => Expr::value(SqlValue::Null),
        Some(Value::Uuid(bytes)) => hex(bytes),
        Some(Value::Fixed(bytes) | Value::Binary(bytes)) => hex(bytes),
        Some(Value::String(text)) => Expr::value(SqlValue::SingleQuotedString(text.to_string())),
        Some(value) => Expr::value(SqlValue::SingleQuotedString(value_text(value))),
    }
}

fn hex(bytes: &[u8]) -> Expr {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Expr::value(SqlValue::HexStringLiteral(digits))
}
