//! Which row a row is: its id, and the version that last updated it.
//!
//! What does not belong here: handing ids out (transactions), and finding changes (a diff does, never `_last_updated`).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use parquet::arrow::{PARQUET_FIELD_ID_META_KEY, RowNumber};
use strandline_format::{FieldId, FileEntry, LAST_UPDATED_FIELD, ROW_ID_FIELD, RowIds};

use super::footer::corrupt;
use super::shape::Node;
use crate::error::{Error, ErrorKind, Result};

/// The column of row ids, and its field id [SCH-4].
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::scan::ROW_ID;
///
/// let batches = lake.table("orders").await?.scan().row_ids(true).collect().await?;
/// assert!(batches[0].column_by_name(ROW_ID.0).is_some());
/// # Ok(())
/// # }
/// ```
pub const ROW_ID: (&str, FieldId) = ("_row_id", ROW_ID_FIELD);

/// The column of the versions that last updated the rows, and the field id of what files store of it [SCH-4].
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::scan::LAST_UPDATED;
///
/// let batches = lake.table("orders").await?.scan().row_ids(true).collect().await?;
/// assert!(batches[0].column_by_name(LAST_UPDATED.0).is_some());
/// # Ok(())
/// # }
/// ```
pub const LAST_UPDATED: (&str, FieldId) = ("_last_updated", LAST_UPDATED_FIELD);

/// What files call the column of versions that they store [FILE-8].
const STORED_LAST_UPDATED: &str = "_last_updated_sequence_number";

/// The schema of files that store row ids, of a table with this one: the two columns behind its own, signed as Parquet has them, and
/// null where they follow from the entry.
///
/// # Errors
/// `InvalidInput` if the table has a column of such a name.
pub(crate) fn stored_schema(schema: &SchemaRef) -> Result<SchemaRef> {
    let stored = [(ROW_ID.0, ROW_ID.1), (STORED_LAST_UPDATED, LAST_UPDATED.1)];
    if let Some((name, _)) = stored.iter().find(|(name, _)| schema.field_with_name(name).is_ok()) {
        let message = format!(
            "the table has a column {name:?} of its own, so its rows cannot keep their ids: rename it"
        );
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let stored = stored.map(|(name, id)| {
        let metadata = [(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())].into();
        Arc::new(Field::new(name, DataType::Int64, true).with_metadata(metadata))
    });
    let fields: Vec<FieldRef> = schema.fields().iter().cloned().chain(stored).collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// The columns that a scan adds: unsigned, as ids and versions are, and never null.
fn fields() -> [FieldRef; 2] {
    [ROW_ID, LAST_UPDATED].map(|(name, id)| {
        let metadata = [(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())].into();
        Arc::new(Field::new(name, DataType::UInt64, false).with_metadata(metadata))
    })
}

/// The column in which the Parquet reader gives the positions of rows within their file.
pub(super) fn position_field() -> FieldRef {
    Arc::new(Field::new("position", DataType::Int64, false).with_extension_type(RowNumber))
}

/// Where the columns `_row_id` and `_last_updated_sequence_number` stand among a file's, if it stores them.
///
/// # Errors
/// `Corrupt` if the entry says that they are stored and they are not there [FILE-8].
pub(super) fn stored(entry: &FileEntry, columns: &[Node]) -> Result<Option<[usize; 2]>> {
    if entry.row_ids == RowIds::Derived {
        return Ok(None);
    }
    let find = |(name, id): (&str, FieldId)| {
        let at = columns.iter().position(|node| node.id == id);
        let at =
            at.ok_or_else(|| corrupt(format!("its entry says that it stores {name}, and it does not")))?;
        match columns[at].ty {
            DataType::Int64 | DataType::UInt64 => Ok(at),
            _ => Err(corrupt(format!("its column {name} has the type {}", columns[at].ty))),
        }
    };
    Ok(Some([find(ROW_ID)?, find(LAST_UPDATED)?]))
}

/// The ids of rows at these positions, and the versions that last updated them [READ-4] [READ-5].
///
/// # Errors
/// `Corrupt` if an id has no number [FILE-9].
pub(super) fn columns(
    entry: &FileEntry,
    positions: &ArrayRef,
    stored: Option<[&ArrayRef; 2]>,
) -> Result<[ArrayRef; 2]> {
    let positions: &Int64Array = positions.as_primitive();
    let [ids, updated] = match stored {
        Some([ids, updated]) => [Some(numbers(ids)?), Some(numbers(updated)?)],
        None => [None, None],
    };
    let id = |row: usize| match ids.as_ref().and_then(|ids| value(ids, row)) {
        Some(stored) => entry.shifts.get(stored),
        None => u64::try_from(positions.value(row)).ok().and_then(|at| entry.first_row.0.checked_add(at)),
    };
    let no_number = || corrupt("a row id in it is beyond 64 bits");
    let ids: UInt64Array =
        (0..positions.len()).map(|row| id(row).ok_or_else(no_number)).collect::<Result<Vec<_>>>()?.into();
    let version = |row: usize| {
        let stored = updated.as_ref().and_then(|updated| value(updated, row));
        stored.filter(|version| *version <= entry.added.0).unwrap_or(entry.added.0)
    };
    let versions: UInt64Array = (0..positions.len()).map(version).collect::<Vec<_>>().into();
    Ok([Arc::new(ids), Arc::new(versions)])
}

fn value(numbers: &UInt64Array, row: usize) -> Option<u64> {
    numbers.is_valid(row).then(|| numbers.value(row))
}

/// A stored column as unsigned numbers; Parquet writers have it signed, unless they say otherwise.
fn numbers(array: &ArrayRef) -> Result<UInt64Array> {
    match array.as_primitive_opt::<UInt64Type>() {
        Some(numbers) => Ok(numbers.clone()),
        None => {
            let signed = array.as_primitive::<Int64Type>();
            let number = |value: i64| {
                u64::try_from(value).map_err(|_| corrupt("a row id or version in it is below zero"))
            };
            signed.try_unary(number)
        }
    }
}

/// A schema with the two columns behind its own.
pub(crate) fn schema_with(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().cloned().chain(fields()).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// A batch with the two columns behind its own, of the schema that has them.
pub(super) fn with(
    schema: &SchemaRef,
    batch: &RecordBatch,
    ids: [ArrayRef; 2],
) -> std::result::Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = batch.columns().iter().cloned().chain(ids).collect();
    RecordBatch::try_new(Arc::clone(schema), columns)
}
