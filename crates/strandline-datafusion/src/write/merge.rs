//! MERGE as a query: a join of the table with the source, and for each row of it what is to become of the row.
//!
//! ```text
//! target with positions ─┐            ┌ the first clause ┐                    ┌ the target's columns as they shall be,
//!                        ├ join on ON ┤ whose case it is ├ rows with a clause ┤ positions, clause, the target's columns of ON
//! source with a mark ────┘            └ and that is true ┘                    └
//! ```
//!
//! The join is an outer one on the sides whose unmatched rows have clauses. It is DataFusion's, so it uses all cores, skips files by
//! the keys that it meets, and spills what sorts.
//!
//! Invariants: of several clauses the first one that applies to a row is carried out, and no other; a condition is evaluated once for a
//! row. What does not belong here: what happens to the rows, and rows that are matched twice (`changes`).

use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::dml::{MergeIntoAction, MergeIntoClause, MergeIntoClauseKind, MergeIntoOp};
use datafusion::logical_expr::logical_plan::{DmlStatement, TableScanBuilder};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Case, Cast, Expr, ExprSchemable, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, lit,
};
use strandline::ErrorKind;
use strandline::format::FieldId;

use crate::error::refused;
use crate::table::LakeTable;
use crate::write::assign::check_value;
use crate::write::changes::{Changes, Kind};
use crate::write::fit;
use crate::write::positions::POSITIONS;

// No column of a table has such names, nor one of a source that a table is.

/// True in rows that have a source, null in others.
const SOURCE: &str = "\u{0}source";

/// The number of the clause that is carried out.
const CLAUSE: &str = "\u{0}clause";

/// Stands in a condition, which is true, of what was written as an UPDATE.
pub(super) const UPDATE: &str = "\u{0}update";

/// The rows that a MERGE changes, and how.
///
/// # Errors
/// `InvalidInput` for a condition that matches by no equality of the two sides, for a clause that names a side which its rows have not, and
/// for a value that does not become one of its column by itself.
pub(super) fn merging(
    dml: &DmlStatement,
    table: &LakeTable,
    op: &MergeIntoOp,
) -> Result<(Changes, LogicalPlan)> {
    check_sides(dml, &op.clauses)?;
    let merge = Merge { dml, op, joined: joined(dml, table, op)? };
    let keys = merge.keys();
    let kinds = op.clauses.iter().map(|clause| kind(&clause.action)).collect();
    let by = merge.looked_up();
    let by_key = is_key(table, &by);
    let changes =
        Changes { columns: dml.target.schema().fields().len(), kinds, keys: names(&keys), by, by_key };
    Ok((changes, merge.plan(keys)?))
}

/// Whether it was written as an UPDATE (`forms`).
pub(super) fn is_update(op: &MergeIntoOp) -> bool {
    let mark = Expr::IsNotNull(Box::new(lit(UPDATE)));
    op.clauses.iter().any(|clause| clause.predicate.as_ref() == Some(&mark))
}

/// A clause for rows that only one side has names columns of that side alone: those of the other would be null.
fn check_sides(dml: &DmlStatement, clauses: &[MergeIntoClause]) -> Result<()> {
    let of_target = |column: &Column| column.relation.as_ref() == Some(&dml.table_name);
    for clause in clauses {
        let (words, side, wants_target) = match clause.kind.canonical() {
            MergeIntoClauseKind::Matched => continue,
            MergeIntoClauseKind::NotMatchedBySource => ("WHEN NOT MATCHED BY SOURCE", "source", true),
            _ => ("WHEN NOT MATCHED", "table", false),
        };
        let columns = exprs(clause).flat_map(Expr::column_refs);
        if let Some(column) = columns.into_iter().find(|column| of_target(column) != wants_target) {
            let message = format!("{words}: {column} is of the {side}, which has no such row");
            return Err(refused(ErrorKind::InvalidInput, message));
        }
    }
    Ok(())
}

/// The expressions of a clause.
fn exprs(clause: &MergeIntoClause) -> impl Iterator<Item = &Expr> {
    let of_action: Vec<&Expr> = match &clause.action {
        MergeIntoAction::Update(assignments) => assignments.iter().map(|(_, value)| value).collect(),
        MergeIntoAction::Insert { values, .. } => values.iter().collect(),
        MergeIntoAction::Delete => Vec::new(),
    };
    clause.predicate.iter().chain(of_action)
}

fn kind(action: &MergeIntoAction) -> Kind {
    match action {
        MergeIntoAction::Update(_) => Kind::Update,
        MergeIntoAction::Insert { .. } => Kind::Insert,
        MergeIntoAction::Delete => Kind::Delete,
    }
}

/// Whether columns are those of the table's key.
fn is_key(table: &LakeTable, columns: &[String]) -> bool {
    let (schema, key) = (table.table().schema(), table.table().key());
    let named = |id: &FieldId| {
        schema
            .fields()
            .iter()
            .any(|field| field.id == *id && columns.contains(&field.name.as_str().to_owned()))
    };
    !key.is_empty() && key.len() == columns.len() && key.iter().all(named)
}

fn names(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| column.name.clone()).collect()
}

/// Both sides, with the position of the target's rows and a mark on the source's.
fn joined(dml: &DmlStatement, table: &LakeTable, op: &MergeIntoOp) -> Result<LogicalPlan> {
    let on = op.on.clone().unalias_nested().data;
    check_condition(&on, &dml.table_name, &dml.input)?;
    let positions = provider_as_source(Arc::new(table.with_positions()?));
    let target = TableScanBuilder::new(dml.table_name.clone(), positions).build()?;
    let marked = columns_of(&dml.input).chain([lit(true).alias(SOURCE)]).collect::<Vec<_>>();
    let source = LogicalPlanBuilder::from(LogicalPlan::clone(&dml.input)).project(marked)?.build()?;
    LogicalPlanBuilder::from(LogicalPlan::TableScan(target))
        .join_on(source, join_type(&op.clauses), [on])?
        .build()
}

fn columns_of(plan: &LogicalPlan) -> impl Iterator<Item = Expr> + '_ {
    plan.schema().iter().map(|field| Expr::Column(Column::from(field)))
}

/// Which unmatched rows are needed: of the target (left), of the source (right).
fn join_type(clauses: &[MergeIntoClause]) -> JoinType {
    let any = |kind| clauses.iter().any(|clause| clause.kind.canonical() == kind);
    match (any(MergeIntoClauseKind::NotMatchedBySource), any(MergeIntoClauseKind::NotMatchedByTarget)) {
        (false, false) => JoinType::Inner,
        (true, false) => JoinType::Left,
        (false, true) => JoinType::Right,
        (true, true) => JoinType::Full,
    }
}

/// Without an equality of the two sides, every row would have to be compared with every other.
fn check_condition(on: &Expr, target: &TableReference, source: &LogicalPlan) -> Result<()> {
    let of_target = |column: &Column| column.relation.as_ref() == Some(target);
    let sides = |expr: &Expr| {
        let columns = expr.column_refs();
        let targets = columns.iter().filter(|column| of_target(column)).count();
        let sources = columns.iter().filter(|column| source.schema().has_column(column)).count();
        (targets, sources)
    };
    let usable = split_conjunction(on).into_iter().any(|part| match part {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            matches!((sides(left), sides(right)), ((1.., 0), (0, 1..)) | ((0, 1..), (1.., 0)))
        }
        _ => false,
    });
    if usable {
        return Ok(());
    }
    let message = format!(
        "MERGE finds rows by an equality of the two sides in ON, such as {target}.id = source.id, and nulls are equal to nothing: \
         this has none, and every row would have to be compared with every other"
    );
    Err(refused(ErrorKind::InvalidInput, message))
}

/// A MERGE whose two sides are joined.
struct Merge<'a> {
    dml: &'a DmlStatement,
    op: &'a MergeIntoOp,
    joined: LogicalPlan,
}

impl Merge<'_> {
    /// The target's columns in ON, which tell a row from others.
    fn keys(&self) -> Vec<Column> {
        let on = self.op.on.column_refs();
        let of_target = |column: &&Column| column.relation.as_ref() == Some(&self.dml.table_name);
        let mut keys: Vec<Column> = on.into_iter().filter(of_target).cloned().collect();
        keys.sort();
        keys
    }

    /// The columns by whose values ON looks rows up, which rows that match have alike; none if all that it asks for is made of columns, or
    /// of such as cannot tell rows apart.
    fn looked_up(&self) -> Vec<String> {
        let on = self.op.on.clone().unalias_nested().data;
        let mut by = Vec::new();
        for part in split_conjunction(&on) {
            let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = part else { continue };
            let of_target = |expr: &Expr| {
                let columns = expr.column_refs();
                !columns.is_empty()
                    && columns.iter().all(|column| column.relation.as_ref() == Some(&self.dml.table_name))
            };
            let asked = match (of_target(left), of_target(right)) {
                (true, false) => left,
                (false, true) => right,
                _ => continue,
            };
            let schema = self.dml.target.schema();
            let column = bare(asked).and_then(|column| schema.field_with_name(&column.name).ok().cloned());
            let column =
                column.filter(|field| !field.data_type().is_nested() && !field.data_type().is_floating());
            by.extend(column.map(|field| field.name().clone()));
        }
        by.sort();
        by.dedup();
        by
    }

    fn plan(&self, keys: Vec<Column>) -> Result<LogicalPlan> {
        let clause = self.clause()?.alias(CLAUSE);
        let chosen = columns_of(&self.joined).chain([clause]).collect::<Vec<_>>();
        let mut rows = Vec::new();
        for at in 0..self.dml.target.schema().fields().len() {
            rows.push(self.value(at)?);
        }
        rows.extend(self.positions());
        rows.push(clause_number());
        let keys = keys.into_iter().enumerate();
        rows.extend(keys.map(|(at, key)| Expr::Column(key).alias(format!("\u{0}key {at}"))));
        LogicalPlanBuilder::from(self.joined.clone())
            .project(chosen)?
            .filter(clause_number().is_not_null())?
            .project(rows)?
            .build()
    }

    /// A column of the target, or of its positions behind them.
    fn target(&self, at: usize) -> Expr {
        Expr::Column(Column::from(self.joined.schema().qualified_field(at)))
    }

    fn positions(&self) -> Vec<Expr> {
        let columns = self.dml.target.schema().fields().len();
        (columns..columns + POSITIONS).map(|at| self.target(at)).collect()
    }

    /// The number of the first clause whose case it is, and whose condition is true.
    fn clause(&self) -> Result<Expr> {
        let columns = self.dml.target.schema().fields().len();
        let (in_target, in_source) = (self.target(columns), Expr::Column(Column::new_unqualified(SOURCE)));
        let mut cases = Vec::new();
        for (number, clause) in self.op.clauses.iter().enumerate() {
            let case = match clause.kind.canonical() {
                MergeIntoClauseKind::Matched => {
                    in_target.clone().is_not_null().and(in_source.clone().is_not_null())
                }
                MergeIntoClauseKind::NotMatchedBySource => in_source.clone().is_null(),
                _ => in_target.clone().is_null(),
            };
            let condition = clause.predicate.clone().map(|predicate| predicate.unalias_nested().data);
            let applies = condition.map_or(case.clone(), |condition| case.and(condition));
            cases.push((Box::new(applies), Box::new(lit(small(number)?))));
        }
        Ok(Expr::Case(Case::new(None, cases, None)))
    }

    /// What a column of the target becomes. Where every clause gives a value, what was there before is not asked for, so that it need not be
    /// read; rows that are deleted have any.
    fn value(&self, at: usize) -> Result<Expr> {
        let schema = self.dml.target.schema();
        let field = schema.field(at);
        let mut given = Vec::new();
        for (number, clause) in self.op.clauses.iter().enumerate() {
            let value = match &clause.action {
                MergeIntoAction::Update(assignments) => assigned(assignments, field.name()),
                MergeIntoAction::Insert { columns, values } => Some(self.inserted(columns, values, at)?),
                MergeIntoAction::Delete => continue,
            };
            let value = value.map(|value| value.unalias_nested().data);
            if let Some(value) = &value {
                check_value(field.name(), value, field.data_type(), self.joined.schema())?;
            }
            let value = value.map(|value| fit::named(field.name(), value));
            given.push((small(number)?, value));
        }
        let before = match given.iter().all(|(_, value)| value.is_some()) {
            true => None,
            false => Some(Box::new(self.target(at))),
        };
        let case = |(number, value): (i32, Option<Expr>)| {
            Some((Box::new(clause_number().eq(lit(number))), Box::new(value?)))
        };
        let cases: Vec<_> = given.into_iter().filter_map(case).collect();
        let value = match (cases.is_empty(), before) {
            (true, Some(before)) => *before,
            // Nothing but deletes.
            (true, None) => Expr::Literal(ScalarValue::try_new_null(field.data_type())?, None),
            (false, before) => Expr::Case(Case::new(None, cases, before)),
        };
        Ok(value.alias(field.name()))
    }

    /// What an inserted row has in a column: what the clause gives, or the column's default.
    fn inserted(&self, columns: &[String], values: &[Expr], at: usize) -> Result<Expr> {
        let schema = self.dml.target.schema();
        let field = schema.field(at);
        let place = match columns {
            [] => Some(at),
            named => named.iter().position(|name| name == field.name()),
        };
        match place.and_then(|place| values.get(place)) {
            Some(value) => Ok(value.clone()),
            None => {
                let default = self.dml.target.get_column_default(field.name()).cloned();
                let default = default.unwrap_or(Expr::Literal(ScalarValue::Null, None));
                default.cast_to(field.data_type(), self.joined.schema())
            }
        }
    }
}

/// The column that an expression is, whatever type it is asked for in.
fn bare(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Cast(Cast { expr, .. }) => bare(expr),
        Expr::Alias(alias) => bare(&alias.expr),
        _ => None,
    }
}

fn clause_number() -> Expr {
    Expr::Column(Column::new_unqualified(CLAUSE))
}

fn assigned(assignments: &[(String, Expr)], column: &str) -> Option<Expr> {
    assignments.iter().find(|(name, _)| name == column).map(|(_, value)| value.clone())
}

fn small(number: usize) -> Result<i32> {
    i32::try_from(number).map_err(|_| refused(ErrorKind::InvalidInput, "a MERGE of too many clauses"))
}
