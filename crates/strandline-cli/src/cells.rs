//! The values of a batch as text, and batches without what text formats have no form for.
//!
//! Invariant: what has the same value has the same text in every form of output. What does not belong here: how rows are
//! laid out (`output`).

use std::sync::Arc;

use strandline::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use strandline::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use strandline::arrow::json::writer::{EncoderOptions, make_encoder};
use strandline::arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::failure::{Failure, Result};

/// The values of one batch as text, each null or what it says.
pub(crate) struct Cells(Vec<StringArray>);

impl Cells {
    pub(crate) fn of(batch: &RecordBatch) -> Result<Self> {
        let batch = plain_batch(batch)?;
        let fields = batch.schema();
        let columns = fields.fields().iter().zip(batch.columns());
        Ok(Self(columns.map(|(field, column)| text_of(field, column)).collect::<Result<_>>()?))
    }

    /// The values of one row.
    pub(crate) fn row(&self, row: usize) -> Vec<Option<String>> {
        let value = |column: &StringArray| column.is_valid(row).then(|| column.value(row).to_owned());
        self.0.iter().map(value).collect()
    }
}

/// A column as text: nested values are JSON.
fn text_of(field: &FieldRef, column: &ArrayRef) -> Result<StringArray> {
    if column.data_type().is_nested() {
        return json_of(field, column);
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let value = |row| column.is_valid(row).then(|| formatter.value(row).to_string());
    Ok((0..column.len()).map(value).collect())
}

fn json_of(field: &FieldRef, column: &ArrayRef) -> Result<StringArray> {
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = make_encoder(field, column, &options)?;
    let mut value = |row| {
        if column.is_null(row) {
            return Ok(None);
        }
        let mut text = Vec::new();
        encoder.encode(row, &mut text);
        String::from_utf8(text).map(Some).map_err(|error| Failure::input(error.to_string()))
    };
    (0..column.len()).map(&mut value).collect()
}

/// The batch with UUIDs as they are written; all else as it is.
pub(crate) fn plain_batch(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    if !schema.fields().iter().any(is_uuid) {
        return Ok(batch.clone());
    }
    let plain = |(field, column): (&FieldRef, &ArrayRef)| {
        if !is_uuid(field) {
            return (Arc::clone(field), Arc::clone(column));
        }
        let field = Field::new(field.name(), DataType::Utf8, field.is_nullable());
        (Arc::new(field), Arc::new(uuids(column)) as ArrayRef)
    };
    let (fields, columns): (Vec<FieldRef>, _) =
        schema.fields().iter().zip(batch.columns()).map(plain).unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn is_uuid(field: &FieldRef) -> bool {
    let named = field.extension_type_name() == Some("arrow.uuid");
    named && *field.data_type() == DataType::FixedSizeBinary(16)
}

fn uuids(column: &ArrayRef) -> StringArray {
    let bytes = column.as_fixed_size_binary();
    bytes.iter().map(|value| value.map(uuid)).collect()
}

fn uuid(bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [0..4, 4..6, 6..8, 8..10, 10..16];
    parts.map(|part| hex.get(part).map(<[String]>::concat).unwrap_or_default()).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use strandline::arrow::array::{FixedSizeBinaryArray, Int64Array, ListArray};
    use strandline::arrow::datatypes::Int64Type;

    #[test]
    fn nested_values_are_json_and_nulls_are_nothing() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
        let numbers = Int64Array::from(vec![None, Some(7)]);
        let batch =
            RecordBatch::try_from_iter([("l", Arc::new(lists) as ArrayRef), ("n", Arc::new(numbers) as _)]);
        let cells = Cells::of(&batch.unwrap()).unwrap();
        assert_eq!(cells.row(0), [Some("[1,null]".to_owned()), None]);
        assert_eq!(cells.row(1), [None, Some("7".to_owned())]);
    }

    #[test]
    fn uuids_are_written_as_uuids() {
        let bytes = FixedSizeBinaryArray::try_from_iter([[0xab; 16]].into_iter()).unwrap();
        let field = Field::new("id", DataType::FixedSizeBinary(16), false);
        let metadata = [("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into();
        let schema = Schema::new(vec![field.with_metadata(metadata)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(bytes)]).unwrap();
        let cells = Cells::of(&batch).unwrap();
        assert_eq!(cells.row(0), [Some("abababab-abab-abab-abab-abababababab".to_owned())]);
    }
}
