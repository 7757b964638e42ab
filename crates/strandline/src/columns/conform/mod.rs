//! Bringing batches into exactly the Arrow schema of a table.
//!
//! Invariants: what fits is decided once for all batches of a schema, and every difference is named at once; what comes out has
//! the canonical types, no null where none may be, and every value that went in. Columns that need nothing are passed on without
//! a copy. What does not belong here: constraints other than NOT NULL, and ids of rows.
//!
//! `plan` decides, `run` converts, `leaf` knows the primitive types, `exact` what rows have for them, and
//! `elements` the forms of lists.

mod elements;
mod exact;
mod leaf;
mod plan;
mod run;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use strandline_format::Schema;

use super::arrow_schema;
use super::from_arrow::describe;
use crate::error::{Error, ErrorKind, Result};
use plan::{Planner, Slot};

/// What it takes to bring batches of one Arrow schema into that of a table.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{Int32Array, RecordBatch};
/// use strandline::columns::{Conform, arrow_schema};
/// use strandline::format::{ColumnName, Field, PrimitiveType, Schema};
/// # use strandline::arrow;
/// let id = Field::required(ColumnName::new("id")?, PrimitiveType::Long);
/// let note = Field::optional(ColumnName::new("note")?, PrimitiveType::String);
/// let schema = Schema::numbered(vec![id, note])?;
///
/// let batch = RecordBatch::try_from_iter([("ID", Arc::new(Int32Array::from(vec![1, 2])) as _)])?;
/// let conform = Conform::new(&schema, &batch.schema())?;
/// let batch = conform.apply(&batch)?;
/// assert_eq!(batch.schema(), arrow_schema(&schema));
/// assert_eq!(batch.column(1).null_count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Conform {
    incoming: ArrowSchema,
    schema: SchemaRef,
    slots: Vec<Slot>,
}

impl Conform {
    /// Decides how batches of the Arrow schema `incoming` become rows of the table.
    ///
    /// Columns, and fields of structs, are found by name, whatever its case and their order. A column that is missing gets its
    /// default, or nulls. Nullability is not compared: it is the values that count. The types that are taken stand in the
    /// documentation of [the module](super).
    ///
    /// # Errors
    /// `InvalidInput`, naming every difference: columns that the table does not have, required ones without a default that the
    /// batch does not have, two columns of one name, and types that do not fit.
    pub fn new(schema: &Schema, incoming: &ArrowSchema) -> Result<Self> {
        Self::with(schema, incoming, Planner::default())
    }

    /// The same, taking what rows have for values, too.
    pub(super) fn of_rows(schema: &Schema, incoming: &ArrowSchema) -> Result<Self> {
        Self::with(schema, incoming, Planner::of_rows())
    }

    fn with(schema: &Schema, incoming: &ArrowSchema, mut planner: Planner) -> Result<Self> {
        let slots = planner.members(schema.fields(), incoming.fields(), "");
        planner.finish()?;
        Ok(Self { incoming: incoming.clone(), schema: arrow_schema(schema), slots })
    }

    /// The batch in the Arrow schema of the table. Takes memory for columns that are converted or filled, for no others.
    ///
    /// # Errors
    /// `InvalidInput`, naming column and row (counted from 0 within the batch): a null in a required column, unless all that it
    /// stands in is null, and a value that has no exact image in the table's type. Also a batch of another schema than that
    /// which this was made for, and one with more than 2 GiB of text, bytes or elements in a column.
    pub fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        self.apply_from(batch, 0)
    }

    /// The same of a batch of several, before which so many rows came: errors count rows from the first of all.
    ///
    /// # Errors
    /// As [`Conform::apply`].
    pub fn apply_from(&self, batch: &RecordBatch, first: usize) -> Result<RecordBatch> {
        self.check_schema(batch.schema_ref())?;
        let rows = batch.num_rows();
        let columns = run::slots(&self.slots, batch.columns(), rows, None);
        let columns = columns.map_err(|fault| fault.behind(first))?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()).with_source(error))
    }

    /// Whether the plan is one for this schema. Shared fields are equal at a glance.
    fn check_schema(&self, other: &ArrowSchema) -> Result<()> {
        let (planned, fields) = (self.incoming.fields(), other.fields());
        let same = |(one, other): (&Arc<_>, &Arc<_>)| {
            let (one, other): (&arrow::datatypes::Field, &arrow::datatypes::Field) = (one, other);
            one.name() == other.name() && one.data_type() == other.data_type()
        };
        if planned == fields || (planned.len() == fields.len() && planned.iter().zip(fields).all(same)) {
            return Ok(());
        }
        let list = |fields: &arrow::datatypes::Fields| {
            let texts =
                fields.iter().map(|field| format!("{} {}", field.name(), describe(field.data_type())));
            texts.collect::<Vec<_>>().join(", ")
        };
        let message = format!(
            "a batch of other columns than those before: expected ({}), found ({})",
            list(planned),
            list(fields)
        );
        Err(Error::new(ErrorKind::InvalidInput, message))
    }
}
