//! Rows that keep their ids: files with the columns `_row_id` and `_last_updated_sequence_number` [FILE-8].
//!
//! Invariants: no id is written twice; a row whose values are new has no stored version, so that it is the commit's [READ-5]; one
//! that only moves keeps the version that it had; one without an id gets the one of its place. What does not belong here: which
//! rows go, and whether the ids are theirs (`change`).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt64Array, new_null_array};
use arrow::datatypes::{DataType, Int64Type, SchemaRef, UInt64Type};
use strandline_format::{DeletionVector, Era, Schema, Table};

use crate::columns::Conform;
use crate::error::{Error, ErrorKind, Result};
use crate::scan::{ROW_ID, stored_schema};
use crate::storage::Objects;
use crate::transaction::rows::{Intake, after};
use crate::write::{FileSpec, NewFile, TableWriter, Uploads, WriteOptions};

/// The version of a row that has none yet: it becomes that of the commit.
pub(super) const UNSETTLED: u64 = u64::MAX;

/// Writes rows that have ids, and rows that get one, to files of their own.
pub(super) struct RowWriter {
    intake: Intake,
    objects: Objects,
    schema: SchemaRef,
    /// `None` before the first row.
    writer: Option<TableWriter>,
    conform: Option<(SchemaRef, Conform)>,
    /// The ids of the new rows that have one.
    pub(super) updated: DeletionVector,
    /// How many new rows have none.
    pub(super) inserted: u64,
    taken: u64,
}

impl RowWriter {
    /// A writer of rows that come in so. No request.
    pub(super) fn new(intake: Intake, objects: Objects) -> Result<Self> {
        let schema = stored_schema(&intake.spec.arrow)?;
        let (writer, conform, updated) = (None, None, DeletionVector::new());
        Ok(Self { intake, objects, schema, writer, conform, updated, inserted: 0, taken: 0 })
    }

    /// How files are written.
    pub(super) fn spec(&self) -> &FileSpec {
        &self.intake.spec
    }

    /// Takes rows with new values, whose last column says which rows they are.
    ///
    /// # Errors
    /// `InvalidInput` if they do not fit the table, or an id comes twice; what the store refuses or cannot do.
    pub(super) async fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let (ids, values) = ids_apart(batch)?;
        let fitting =
            self.intake.fit(&values, &mut self.conform).map_err(|error| after(error, self.taken))?;
        self.note(&ids)?;
        self.taken += batch.num_rows() as u64;
        let versions = new_null_array(&DataType::Int64, batch.num_rows());
        self.write(&fitting, Arc::new(signed(&ids)?), versions).await
    }

    /// Takes rows as a scan with row ids gives them, which only move. The version [`UNSETTLED`] stays open.
    pub(super) async fn keep(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = batch.num_columns().saturating_sub(2);
        let [ids, versions] = [columns, columns + 1].map(|at| batch.columns().get(at).cloned());
        let (Some(ids), Some(versions)) = (ids, versions) else { return Err(no_ids()) };
        let unsettled = |version: &u64| *version != UNSETTLED;
        let versions: UInt64Array =
            numbers(&versions)?.iter().map(|version| version.filter(unsettled)).collect();
        let values = batch.project(&(0..columns).collect::<Vec<_>>()).map_err(refused)?;
        self.write(&values, Arc::new(signed(&numbers(&ids)?)?), Arc::new(signed(&versions)?)).await
    }

    /// Rows as the table has them, if they fit.
    pub(super) fn fit(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        self.intake.fit(batch, &mut self.conform)
    }

    async fn write(&mut self, batch: &RecordBatch, ids: ArrayRef, versions: ArrayRef) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let columns: Vec<ArrayRef> = batch.columns().iter().cloned().chain([ids, versions]).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(refused)?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let mut spec = self.intake.spec.clone();
                spec.arrow = Arc::clone(&self.schema);
                self.writer.insert(TableWriter::new(self.objects.clone(), spec)?)
            }
        };
        writer.write(batch).await
    }

    /// Notes which rows come.
    fn note(&mut self, ids: &UInt64Array) -> Result<()> {
        self.inserted += ids.null_count() as u64;
        for id in ids.iter().flatten() {
            if !self.updated.insert(id)? {
                let message = format!("the new rows have the row id {id} twice");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        }
        Ok(())
    }

    /// The files, which may still be on their way into the store; none if there were no rows.
    pub(super) async fn finish(&mut self) -> Result<(Vec<NewFile>, Uploads)> {
        match self.writer.take() {
            Some(writer) => writer.finish_early().await,
            None => Ok(Default::default()),
        }
    }
}

/// Writes rows that have ids to files for a table: what a merge makes of rows that both sides changed.
///
/// # Errors
/// As [`RowWriter::take`].
pub(crate) async fn write_rows(
    (table, schema): (&Table, &Arc<Schema>),
    objects: &Objects,
    era: Era,
    batches: &[RecordBatch],
) -> Result<Vec<NewFile>> {
    let intake = Intake::of(table, Arc::clone(schema), era, &WriteOptions::default())?;
    let mut writer = RowWriter::new(intake, objects.clone())?;
    for batch in batches {
        writer.take(batch).await?;
    }
    let (files, mut uploads) = writer.finish().await?;
    uploads.stored().await?;
    Ok(files)
}

/// Rows that have ids as a table has them, with their ids behind them: what [`write_rows`] would write.
///
/// # Errors
/// `InvalidInput` if they do not fit the table.
pub(crate) fn fit_rows(
    (table, schema): (&Table, &Arc<Schema>),
    era: Era,
    batches: &[RecordBatch],
) -> Result<Vec<RecordBatch>> {
    let intake = Intake::of(table, Arc::clone(schema), era, &WriteOptions::default())?;
    let (mut conform, schema) = (None, crate::changes::columns(schema));
    let fit = |batch: &RecordBatch| {
        let (ids, values) = ids_apart(batch)?;
        let fitting = intake.fit(&values, &mut conform)?;
        let columns = fitting.columns().iter().cloned().chain([Arc::new(ids) as ArrayRef]).collect();
        RecordBatch::try_new(Arc::clone(&schema), columns).map_err(refused)
    };
    batches.iter().map(fit).collect()
}

/// The last column, which says which rows they are, and the others.
fn ids_apart(batch: &RecordBatch) -> Result<(UInt64Array, RecordBatch)> {
    let columns = batch.num_columns().saturating_sub(1);
    let is_ids = batch.schema().fields().last().is_some_and(|field| field.name() == ROW_ID.0);
    let ids = batch.columns().last().filter(|_| is_ids).ok_or_else(no_ids)?;
    Ok((numbers(ids)?, batch.project(&(0..columns).collect::<Vec<_>>()).map_err(refused)?))
}

fn no_ids() -> Error {
    let message =
        format!("the last column of new rows must be {}, which says of each row which one it is", ROW_ID.0);
    Error::new(ErrorKind::InvalidInput, message)
}

fn numbers(array: &ArrayRef) -> Result<UInt64Array> {
    if let Some(numbers) = array.as_primitive_opt::<UInt64Type>() {
        return Ok(numbers.clone());
    }
    let Some(signed) = array.as_primitive_opt::<Int64Type>() else { return Err(no_ids()) };
    signed.try_unary(|id| u64::try_from(id).map_err(|_| beyond(&id)))
}

/// As files store them.
fn signed(numbers: &UInt64Array) -> Result<Int64Array> {
    numbers.try_unary(|number| i64::try_from(number).map_err(|_| beyond(&number)))
}

fn beyond(number: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{number} is not a row id or version that a file can store"))
}

fn refused(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the rows cannot be written: {error}")).with_source(error)
}
