//! The rows of a batch that are wanted, copied out of it.
//!
//! Why: where few rows are gone, those that are left come in long runs. Arrow copies numbers run by run, but of texts it adds up one length after the
//! other; so texts are put together of slices here, which takes half as long. What does not belong here: which rows are wanted (`cut`).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, GenericByteArray, GenericByteBuilder, RecordBatch,
    RecordBatchOptions,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::FilterBuilder;
use arrow::datatypes::{ArrowNativeType, BinaryType, ByteArrayType, DataType, Utf8Type};
use arrow::error::ArrowError;

/// Runs of fewer rows on average are left to Arrow.
const LONG_RUN: usize = 16;

/// The wanted rows of a batch.
pub(super) fn sift(batch: &RecordBatch, wanted: BooleanBuffer) -> Result<RecordBatch, ArrowError> {
    let rows = wanted.count_set_bits();
    let runs: Vec<(usize, usize)> = wanted.set_slices().collect();
    let has_long_runs = runs.len().saturating_mul(LONG_RUN) <= rows;
    let filter = FilterBuilder::new(&BooleanArray::new(wanted, None)).optimize().build();
    let column = |column: &ArrayRef| -> Result<ArrayRef, ArrowError> {
        Ok(match column.data_type() {
            DataType::Utf8 if has_long_runs => Arc::new(joined(column.as_bytes::<Utf8Type>(), &runs)?),
            DataType::Binary if has_long_runs => Arc::new(joined(column.as_bytes::<BinaryType>(), &runs)?),
            _ => filter.filter(column)?,
        })
    };
    let columns = batch.columns().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

/// Runs of a column, one behind the other.
fn joined<T: ByteArrayType<Offset = i32>>(
    column: &GenericByteArray<T>,
    runs: &[(usize, usize)],
) -> Result<GenericByteArray<T>, ArrowError> {
    let rows = runs.iter().map(|(start, end)| end - start).sum();
    // At most what the column has: how much is gone is not worth to be added up.
    let offsets = column.value_offsets();
    let bytes = offsets[column.len()].as_usize() - offsets[0].as_usize();
    let mut out = GenericByteBuilder::<T>::with_capacity(rows, bytes);
    for (start, end) in runs {
        out.append_array(&column.slice(*start, end - start))?;
    }
    Ok(out.finish())
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryArray, Int64Array, StringArray};
    use arrow::compute::filter_record_batch;

    use super::*;

    fn batch(rows: usize) -> RecordBatch {
        let text = |row: usize| (row % 7 != 3).then(|| "é".repeat(row % 5));
        let texts: StringArray = (0..rows).map(text).collect();
        let plain = StringArray::from_iter_values((0..rows).map(|row| format!("row {row}")));
        let bytes: BinaryArray = (0..rows).map(|row| text(row).map(String::into_bytes)).collect();
        let numbers: Int64Array =
            (0..rows).map(|row| i64::try_from(row).ok().filter(|row| row % 11 != 0)).collect();
        let columns: [(&str, ArrayRef); 4] = [
            ("texts", Arc::new(texts)),
            ("plain", Arc::new(plain)),
            ("bytes", Arc::new(bytes)),
            ("numbers", Arc::new(numbers)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    #[test]
    fn it_is_what_arrow_would_have_left() {
        for rows in [0, 1, 100, 1000] {
            for every in [1, 2, 17, 40, 5000] {
                let whole = batch(rows + 3);
                // One that does not begin at its first value, too.
                for found in [whole.slice(0, rows), whole.slice(3, rows)] {
                    for gone in [0, every - 1] {
                        let wanted: BooleanBuffer = (0..rows).map(|row| row % every != gone).collect();
                        let expected =
                            filter_record_batch(&found, &BooleanArray::new(wanted.clone(), None)).unwrap();
                        assert_eq!(sift(&found, wanted).unwrap(), expected, "{rows} rows, every {every}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_without_columns_are_counted() {
        let options = RecordBatchOptions::new().with_row_count(Some(40));
        let schema = Arc::new(arrow::datatypes::Schema::empty());
        let batch = RecordBatch::try_new_with_options(schema, Vec::new(), &options).unwrap();
        let wanted: BooleanBuffer = (0..40).map(|row| row != 7).collect();
        assert_eq!(sift(&batch, wanted).unwrap().num_rows(), 39);
    }
}
