//! The column of a batch that a field id means, with the nulls of all that it stands in.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Field, Fields};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use strandline_format::FieldId;

use crate::{Error, ErrorKind, Result};

/// A column, or a field in columns of structs.
pub(crate) struct Found {
    pub(crate) array: ArrayRef,
    /// Where it, or a struct around it, is null.
    pub(crate) nulls: Option<NullBuffer>,
}

/// The field with this id; lists and maps are not looked into.
pub(crate) fn find(batch: &RecordBatch, id: FieldId) -> Result<Found> {
    let schema = batch.schema_ref();
    find_in(schema.fields(), batch.columns(), None, id).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, format!("the batch has no column with the field id {id}"))
    })
}

fn find_in(fields: &Fields, arrays: &[ArrayRef], around: Option<&NullBuffer>, id: FieldId) -> Option<Found> {
    fields.iter().zip(arrays).find_map(|(field, array)| {
        let nulls = NullBuffer::union(around, array.logical_nulls().as_ref());
        if id_of(field) == Some(id) {
            return Some(Found { array: array.clone(), nulls });
        }
        let inner = array.as_struct_opt()?;
        find_in(inner.fields(), inner.columns(), nulls.as_ref(), id)
    })
}

fn id_of(field: &Field) -> Option<FieldId> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok().map(FieldId)
}
