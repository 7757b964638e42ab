//! Parquet.

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{BATCH_ROWS, Input, Source, unreadable};
use crate::failure::Result;
use crate::progress::Progress;

pub(super) fn open(input: Input, progress: &Progress) -> Result<Source> {
    let size = input.size();
    let builder = ParquetRecordBatchReaderBuilder::try_new(input.file()?).map_err(unreadable)?;
    let (schema, rows) = (builder.schema().clone(), builder.metadata().file_metadata().num_rows());
    let batches = builder.with_batch_size(BATCH_ROWS).build().map_err(unreadable)?;
    // Columns are read side by side, so bytes say nothing of how far it is: rows do.
    let share = Share { bytes: size.unwrap_or_default(), rows: u64::try_from(rows).unwrap_or_default() };
    let progress = progress.clone();
    Ok(Source::new(
        schema,
        batches.map(move |batch| {
            let batch = batch.map_err(unreadable)?;
            progress.read(share.of(batch.num_rows() as u64));
            Ok(batch)
        }),
    ))
}

/// How many bytes so many rows are worth.
#[derive(Clone, Copy)]
struct Share {
    bytes: u64,
    rows: u64,
}

impl Share {
    fn of(self, rows: u64) -> u64 {
        let bytes = u128::from(self.bytes) * u128::from(rows) / u128::from(self.rows.max(1));
        u64::try_from(bytes).unwrap_or(self.bytes)
    }
}
