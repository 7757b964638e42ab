//! The rows of a batch that are wanted, without the others.
//!
//! Why: where few rows are gone, those that are left come in long runs. Arrow copies them run by run; here they stay in the memory that they were
//! decoded into, and only move together (`gaps`). Where few rows are left, all are copied out, so that nobody holds the memory of the others. What
//! does not belong here: which rows are wanted (`cut`).

use std::ops::Range;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::FilterBuilder;
use arrow::error::ArrowError;

use super::gaps::Kept;
use super::narrow::Texts;

/// Runs of fewer rows on average are left to Arrow.
const LONG_RUN: usize = 16;

/// The wanted rows of a batch, as its columns and how many these are. `texts` says of each column what it becomes if it refers to a dictionary.
pub(super) fn sift(
    batch: RecordBatch,
    wanted: BooleanBuffer,
    texts: impl Fn(usize) -> Texts,
) -> Result<(Vec<ArrayRef>, usize), ArrowError> {
    let (rows, of) = (wanted.count_set_bits(), wanted.len());
    let runs: Vec<Range<usize>> = wanted.set_slices().map(|(start, end)| start..end).collect();
    let stay = runs.len().saturating_mul(LONG_RUN) <= rows && rows > of / 2;
    let filter = FilterBuilder::new(&BooleanArray::new(wanted, None)).optimize().build();
    let kept = Kept { runs: &runs, filter: &filter };
    let (_, columns, _) = batch.into_parts();
    let columns = columns.into_iter().enumerate();
    let columns = columns.map(|(at, column)| match stay {
        true => kept.of(column, texts(at)),
        false => filter.filter(&column),
    });
    Ok((columns.collect::<Result<_, _>>()?, rows))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        AsArray, BinaryArray, Decimal128Array, DictionaryArray, Int64Array, RecordBatchOptions, StringArray,
    };
    use arrow::compute::filter_record_batch;
    use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type, Utf8Type};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::super::narrow::widened;
    use super::*;

    fn batch(rows: usize) -> RecordBatch {
        let text = |row: usize| (row % 7 != 3).then(|| "é".repeat(row % 5));
        let texts: StringArray = (0..rows).map(text).collect();
        let plain = StringArray::from_iter_values((0..rows).map(|row| format!("row {row}")));
        let bytes: BinaryArray = (0..rows).map(|row| text(row).map(String::into_bytes)).collect();
        let numbers: Int64Array =
            (0..rows).map(|row| i64::try_from(row).ok().filter(|row| row % 11 != 0)).collect();
        let decimals = Decimal128Array::from_iter_values((0..rows).map(|row| row as i128 * 3));
        let decimals = decimals.with_precision_and_scale(15, 2).unwrap();
        let flags: BooleanArray = (0..rows).map(|row| (row % 5 != 2).then_some(row % 3 == 0)).collect();
        let few = |row: usize| (row % 13 != 5).then(|| ["é", "air", ""][row % 3]);
        let few: DictionaryArray<Int32Type> = (0..rows).map(few).collect();
        let columns: [(&str, ArrayRef); 7] = [
            ("few", Arc::new(few)),
            ("texts", Arc::new(texts)),
            ("plain", Arc::new(plain)),
            ("bytes", Arc::new(bytes)),
            ("numbers", Arc::new(numbers)),
            ("decimals", Arc::new(decimals)),
            ("flags", Arc::new(flags)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    /// Columns as a table has them.
    fn wide(batch: &RecordBatch) -> Vec<ArrayRef> {
        wide_of(batch.columns())
    }

    fn wide_of(columns: &[ArrayRef]) -> Vec<ArrayRef> {
        columns.iter().map(|column| widened(column, Texts::Plain).unwrap()).collect()
    }

    fn sifted(batch: RecordBatch, wanted: &BooleanBuffer) -> Vec<ArrayRef> {
        let (columns, rows) = sift(batch, wanted.clone(), |_| Texts::Plain).unwrap();
        assert!(columns.iter().all(|column| column.len() == rows));
        wide_of(&columns)
    }

    #[test]
    fn it_is_what_arrow_would_have_left() {
        for rows in [0, 1, 100, 1000] {
            for every in [1, 2, 17, 40, 5000] {
                let whole = batch(rows + 3);
                // One that nobody else holds, and such as share their memory, of which one does not begin at its first value.
                let found = [
                    |rows| batch(rows + 3).slice(0, rows),
                    |rows| batch(rows),
                    |rows| batch(rows + 3).slice(3, rows),
                ];
                for gone in [0, every - 1] {
                    let wanted: BooleanBuffer = (0..rows).map(|row| row % every != gone).collect();
                    let by = BooleanArray::new(wanted.clone(), None);
                    for found in found {
                        let expected = filter_record_batch(&found(rows), &by).unwrap();
                        assert_eq!(
                            sifted(found(rows), &wanted),
                            wide(&expected),
                            "{rows} rows, every {every}"
                        );
                    }
                    for shared in [whole.slice(0, rows), whole.slice(3, rows)] {
                        let expected = filter_record_batch(&shared, &by).unwrap();
                        assert_eq!(sifted(shared, &wanted), wide(&expected), "{rows} rows, every {every}");
                    }
                }
                assert_eq!(whole, batch(rows + 3), "what others hold stays as it is");
            }
        }
    }

    /// The same batch as the Parquet reader gives it.
    fn decoded(batch: &RecordBatch) -> RecordBatch {
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(batch).unwrap();
        let file = Bytes::from(writer.into_inner().unwrap());
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        reader.with_batch_size(batch.num_rows()).build().unwrap().next().unwrap().unwrap()
    }

    #[test]
    fn values_stay_in_the_memory_that_they_were_decoded_into_where_most_are_wanted() {
        let places = |columns: &[ArrayRef]| {
            let [.., plain, _, numbers, decimals, _] = columns else { panic!("other columns") };
            let numbers = numbers.as_primitive::<Int64Type>().values().inner().as_ptr();
            let decimals = decimals.as_primitive::<Decimal128Type>().values().inner().as_ptr();
            [numbers, decimals, plain.as_bytes::<Utf8Type>().values().as_ptr()]
        };
        let check = |every: usize, stay: bool| {
            let found = decoded(&batch(1000));
            let before = places(found.columns());
            let wanted: BooleanBuffer = (0..1000).map(|row| (row / 40) % every != 0).collect();
            let expected =
                filter_record_batch(&batch(1000), &BooleanArray::new(wanted.clone(), None)).unwrap();
            let (sifted, _) = sift(found, wanted, |_| Texts::Plain).unwrap();
            assert_eq!(wide_of(&sifted), wide(&expected));
            let same: Vec<bool> =
                places(&sifted).iter().zip(&before).map(|(now, then)| now == then).collect();
            assert_eq!(same, [stay; 3], "without one in {every}");
        };
        check(3, true);
        check(10, true);
        // Where more than half is gone, its memory is given back.
        check(2, false);
    }

    #[test]
    fn rows_without_columns_are_counted() {
        let options = RecordBatchOptions::new().with_row_count(Some(40));
        let schema = Arc::new(arrow::datatypes::Schema::empty());
        let batch = RecordBatch::try_new_with_options(schema, Vec::new(), &options).unwrap();
        let wanted: BooleanBuffer = (0..40).map(|row| row != 7).collect();
        assert_eq!(sift(batch, wanted, |_| Texts::Plain).unwrap().1, 39);
    }
}
