//! `CHECK` constraints: what every row that is written must not make false [TBL-11].
//!
//! Invariants: a check that cannot be evaluated lets nothing be written; null is not false. What does not belong here: when
//! rows are checked, and NOT NULL, which is the schema's.

use arrow::array::{Array, RecordBatch};
use strandline_format::{ColumnName, Constraint, FieldId, Filter, Schema, SqlText};

use super::literal::clip;
use super::{Predicate, column, evaluate::evaluate};
use crate::{Error, ErrorKind, Result, columns};

/// The constraints of a table, ready to be held against rows.
#[derive(Clone, Debug)]
pub(crate) struct Checks(Vec<Check>);

#[derive(Clone, Debug)]
struct Check {
    constraint: Constraint,
    filter: Filter,
    /// The columns that it asks for, each once, and what people call them.
    columns: Vec<(FieldId, String)>,
}

/// What the rows of a table in one state were never held against and must not break in another one: constraints that have other
/// texts there, or other columns behind the same names, and fields that must not be null any more, as an older state may have it.
///
/// # Errors
/// `InvalidInput`: a constraint is beyond the language.
pub(crate) fn unheld(
    (before, old): (&[Constraint], &Schema),
    (after, new): (&[Constraint], &Schema),
) -> Result<Vec<Constraint>> {
    let mut unheld = Vec::new();
    for constraint in after {
        let predicate = Predicate::parse(constraint.check.as_str())?;
        let same = before.contains(constraint) && predicate.bind(old).ok() == predicate.bind(new).ok();
        unheld.extend((!same).then(|| constraint.clone()));
    }
    unheld.extend(tightened(old, new).map(|id| not_null(new, id)).collect::<Result<Vec<_>>>()?);
    Ok(unheld)
}

/// The fields that may be null in one state and not in another one.
pub(crate) fn tightened<'s>(old: &'s Schema, new: &'s Schema) -> impl Iterator<Item = FieldId> + 's {
    let required = |schema: &Schema, id: FieldId| schema.field(id).map(|field| field.required);
    new.ids().filter(move |id| (required(old, *id), required(new, *id)) == (Some(false), Some(true)))
}

/// That a field is not null, as a constraint of its name.
fn not_null(schema: &Schema, id: FieldId) -> Result<Constraint> {
    let path = schema.path(id).unwrap_or_default();
    let quoted: Vec<String> = path.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    let name = path.last().copied().unwrap_or_default();
    Ok(Constraint {
        name: ColumnName::new(name)?,
        check: SqlText::new(format!("{} IS NOT NULL", quoted.join(".")))?,
    })
}

/// A new constraint of a table.
///
/// # Errors
/// `InvalidInput`: the name is none, or the text is beyond the language or compares what does not compare. `NotFound`: it names
/// unknown columns.
pub(crate) fn declare(name: &str, text: &str, schema: &Schema) -> Result<Constraint> {
    let constraint = Constraint { name: ColumnName::new(name)?, check: SqlText::new(text)? };
    Check::new(&constraint, schema).map(|check| check.constraint)
}

impl Checks {
    /// The constraints of a table with this schema.
    ///
    /// # Errors
    /// `Unsupported`: a check cannot be evaluated here, so no row may be written; it says which one and why.
    pub(crate) fn new(constraints: &[Constraint], schema: &Schema) -> Result<Self> {
        let unsupported =
            |error: Error| Error::new(ErrorKind::Unsupported, error.message()).with_source(error);
        let checks = constraints.iter().map(|constraint| Check::new(constraint, schema).map_err(unsupported));
        checks.collect::<Result<_>>().map(Self)
    }

    /// The fields that the checks ask for.
    pub(crate) fn fields(&self) -> impl Iterator<Item = FieldId> + '_ {
        self.0.iter().flat_map(|check| check.columns.iter().map(|(id, _)| *id))
    }

    /// Holds every row of a batch against every check.
    ///
    /// # Errors
    /// `InvalidInput`: a check is false; it names the constraint, the first such row, counted from 0, and what the columns in
    /// question have there.
    pub(crate) fn verify(&self, batch: &RecordBatch) -> Result<()> {
        self.0.iter().try_for_each(|check| check.verify(batch))
    }

    /// Of each row of a batch, whether no check is false.
    pub(crate) fn hold(&self, batch: &RecordBatch) -> Result<Vec<bool>> {
        let mut hold = vec![true; batch.num_rows()];
        for check in &self.0 {
            let truth = evaluate(&check.filter, batch)?;
            hold.iter_mut().zip(&truth).for_each(|(holds, truth)| *holds &= truth != Some(false));
        }
        Ok(hold)
    }
}

impl Check {
    fn new(constraint: &Constraint, schema: &Schema) -> Result<Self> {
        let bound = Predicate::parse(constraint.check.as_str()).and_then(|predicate| predicate.bind(schema));
        let filter = bound.map_err(|error| error.at(format!("constraint {}", constraint.name)))?;
        let mut ids = filter.fields();
        ids.sort_unstable();
        ids.dedup();
        let columns = ids.into_iter().map(|id| (id, schema.describe(id))).collect();
        Ok(Self { constraint: constraint.clone(), filter, columns })
    }

    fn verify(&self, batch: &RecordBatch) -> Result<()> {
        let truth = evaluate(&self.filter, batch)?;
        let is_false = |row: &usize| truth.is_valid(*row) && !truth.value(*row);
        // Most batches hold no such row, and counting says so without looking at each.
        if truth.null_count() + truth.true_count() == truth.len() {
            return Ok(());
        }
        (0..truth.len()).find(is_false).map_or(Ok(()), |row| Err(self.violated(batch, row)))
    }

    fn violated(&self, batch: &RecordBatch, row: usize) -> Error {
        let value = |(id, name): &(FieldId, String)| format!("{name} = {}", value_text(batch, *id, row));
        let values: Vec<String> = self.columns.iter().map(value).collect();
        let Constraint { name, check } = &self.constraint;
        let message = format!("constraint {name} ({}) is violated by row {row}", clip(check.as_str()));
        let shown = if values.is_empty() { String::new() } else { format!(": {}", values.join(", ")) };
        Error::new(ErrorKind::InvalidInput, message + &shown)
    }
}

/// A value for a message, its beginning if it is long.
fn value_text(batch: &RecordBatch, id: FieldId, row: usize) -> String {
    let Ok(found) = column::find(batch, id) else { return "?".to_owned() };
    if found.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
        return "null".to_owned();
    }
    columns::value_text(&found.array, row).map_or_else(|_| "?".to_owned(), |text| clip(&text))
}
