//! The rows that are left between deleted ones, for a query engine that decodes files itself.
//!
//! Invariant: what is kept of a file are the rows that its deletion vector leaves, in their order [READ-1]. What does not belong here: which these are
//! (`deletes`), and how short gaps are cut out (`cut`, `sift`).

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;

use super::cut::{Cut, to_decode};
use super::footer::corrupt;
use super::narrow::{Texts, widened};
use super::sift::sift;
use crate::error::Result;

/// Rows of which some are left: first which of them an engine is to decode, then, of the batches that it has decoded, which it is to keep.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use strandline::arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use strandline::scan::LeftRows;
///
/// let mut left = LeftRows::of(&[true, false, true].into_iter().collect());
/// // A gap of one row is decoded with what is around it.
/// assert!(left.to_decode().is_none());
/// let decoded = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef)])?;
/// let kept = left.keep(decoded.clone(), &decoded.schema())?;
/// assert_eq!(kept.column(0).as_ref(), &Int64Array::from(vec![1, 3]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LeftRows {
    decoded: Option<BooleanBuffer>,
    cut: Cut,
}

impl LeftRows {
    /// Of rows of which these are left.
    #[must_use]
    pub fn of(left: &BooleanBuffer) -> Self {
        let decoded = to_decode(left);
        // Of runs that are short the Parquet reader, unless it is told otherwise, decodes for one batch whatever it takes: then it decodes all.
        let selectors = 2 * decoded.set_slices().count();
        if decoded.len() / LONG_RUN < selectors || decoded.count_set_bits() == decoded.len() {
            return Self { decoded: None, cut: Cut::of(&BooleanBuffer::new_set(left.len()), left) };
        }
        let cut = Cut::of(&decoded, left);
        Self { decoded: Some(decoded), cut }
    }

    /// The rows to decode; `None` if all are.
    #[must_use]
    pub fn to_decode(&self) -> Option<&BooleanBuffer> {
        self.decoded.as_ref()
    }

    /// What is left of the rows that were decoded next, with columns of these types: those of the batch, or if the batch has them as
    /// [`FileShape::narrow`](super::FileShape::narrow) says, what they are, texts and bytes also as views.
    ///
    /// # Errors
    /// `Corrupt` if more rows come than are to be decoded, or the columns are others.
    pub fn keep(&mut self, batch: RecordBatch, to: &SchemaRef) -> Result<RecordBatch> {
        let more = || corrupt("it has more rows than its footer says");
        let left = self.cut.next(batch.num_rows()).ok_or_else(more)?;
        kept(batch, left, to).map_err(|error| corrupt(error.to_string()))
    }
}

/// Rows by which the Parquet reader calls a run long, on the average of those that it is to decode and those that it is not.
const LONG_RUN: usize = 32;

fn kept(
    batch: RecordBatch,
    left: BooleanBuffer,
    to: &SchemaRef,
) -> std::result::Result<RecordBatch, ArrowError> {
    let ty = |at: usize| to.fields().get(at).map(|field| field.data_type());
    let texts = |at: usize| match ty(at) {
        Some(DataType::Utf8View | DataType::BinaryView) => Texts::Views,
        _ => Texts::Plain,
    };
    let (columns, rows) = match left.count_set_bits() < left.len() {
        true => sift(batch, left, texts)?,
        false => (batch.columns().to_vec(), batch.num_rows()),
    };
    let columns =
        columns.into_iter().enumerate().map(|(at, column)| match ty(at) == Some(column.data_type()) {
            true => Ok(column),
            false => widened(&column, texts(at)),
        });
    let columns = columns.collect::<std::result::Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(SchemaRef::clone(to), columns, &options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_gaps_are_passed_over_unless_runs_between_them_are_short() {
        let check = |parts: &[(usize, bool)], decoded: Option<usize>| {
            let bits = parts.iter().flat_map(|(rows, left)| std::iter::repeat_n(*left, *rows));
            let left = LeftRows::of(&bits.collect());
            assert_eq!(left.to_decode().map(BooleanBuffer::count_set_bits), decoded, "{parts:?}");
        };
        check(&[(100, true)], None);
        check(&[(100, true), (31, false), (100, true)], None);
        check(&[(100, true), (32, false), (100, true)], Some(200));
        check(&[(1, true), (40, false), (1, true), (40, false)].repeat(10), None);
        check(&[(1, true), (70, false)].repeat(10), Some(10));
    }
}
