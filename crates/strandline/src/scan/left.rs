//! The rows that are left between deleted ones, for a query engine that decodes files itself.
//!
//! Invariant: what is kept of a file are the rows that its deletion vector leaves, in their order [READ-6]. What does not belong here: which these are
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
        let cut = Cut::of(&decoded, left);
        Self { decoded: Some(decoded).filter(|decoded| decoded.count_set_bits() < decoded.len()), cut }
    }

    /// The rows to decode; `None` if all are.
    #[must_use]
    pub fn to_decode(&self) -> Option<&BooleanBuffer> {
        self.decoded.as_ref()
    }

    /// What is left of the rows that were decoded next, with columns of these types: those of the batch, or what they are if the batch has them
    /// as [`FileShape::narrow`](super::FileShape::narrow) says.
    ///
    /// # Errors
    /// `Corrupt` if more rows come than are to be decoded, or the columns are others.
    pub fn keep(&mut self, batch: RecordBatch, to: &SchemaRef) -> Result<RecordBatch> {
        let more = || corrupt("it has more rows than its footer says");
        let left = self.cut.next(batch.num_rows()).ok_or_else(more)?;
        kept(batch, left, to).map_err(|error| corrupt(error.to_string()))
    }
}

fn kept(
    batch: RecordBatch,
    left: BooleanBuffer,
    to: &SchemaRef,
) -> std::result::Result<RecordBatch, ArrowError> {
    let is_view = |ty: &DataType| matches!(ty, DataType::Utf8View | DataType::BinaryView);
    let views = to.fields().iter().any(|field| is_view(field.data_type()));
    let texts = if views { Texts::Views } else { Texts::Plain };
    let (columns, rows) = match left.count_set_bits() < left.len() {
        true => sift(batch, left, texts)?,
        false => (batch.columns().to_vec(), batch.num_rows()),
    };
    let columns =
        columns.iter().map(|column| widened(column, texts)).collect::<std::result::Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(SchemaRef::clone(to), columns, &options)
}
