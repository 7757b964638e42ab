//! The stream of a scan's batches: files are opened ahead, and several pieces are read and decoded at once.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};

use super::file::{Task, Work, open};
use super::piece::Piece;
use crate::error::{Error, Result};

/// The batches of a scan, each of the schema that [`Batches::schema`] says and none of them empty.
///
/// Dropping it drops all requests that are under way; a batch that is being decoded is finished and thrown away. After an error
/// nothing more comes.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use futures::TryStreamExt;
///
/// let mut batches = lake.table("orders").await?.scan().columns(["id"]).await?;
/// assert_eq!(batches.schema().fields().len(), 1);
/// let mut rows = 0;
/// while let Some(batch) = batches.try_next().await? {
///     rows += batch.num_rows();
/// }
/// assert_eq!(rows, 3);
/// # Ok(())
/// # }
/// ```
pub struct Batches {
    schema: SchemaRef,
    /// `None` once all is said.
    batches: Option<BoxStream<'static, Result<RecordBatch>>>,
    /// How many rows may still come.
    left: u64,
}

impl Batches {
    /// Nothing is read before the stream is polled.
    pub(super) fn new(task: Arc<Task>, files: Vec<Work>, prefetch: usize, limit: Option<u64>) -> Self {
        let schema = Arc::clone(&task.output);
        let batches = stream::iter(files)
            .map(move |work| open(Arc::clone(&task), work))
            .buffered(prefetch)
            .map_ok(|pieces| stream::iter(pieces).map(Ok::<_, Error>))
            .try_flatten()
            .map_ok(Piece::batches)
            .try_flatten_unordered(prefetch)
            .boxed();
        Self { schema, batches: Some(batches), left: limit.unwrap_or(u64::MAX) }
    }

    /// The schema of every batch.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// All that is left, in memory.
    ///
    /// # Errors
    /// The first error of the stream.
    pub async fn collect(self) -> Result<Vec<RecordBatch>> {
        self.try_collect().await
    }

    /// As much of a batch as may still come.
    fn limited(&mut self, batch: RecordBatch) -> RecordBatch {
        let rows = batch.num_rows() as u64;
        let batch = match usize::try_from(self.left) {
            Ok(left) if rows > self.left => batch.slice(0, left),
            _ => batch,
        };
        self.left = self.left.saturating_sub(rows);
        batch
    }
}

impl Stream for Batches {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            self.batches = None;
        }
        let Some(batches) = &mut self.batches else { return Poll::Ready(None) };
        let next = std::task::ready!(batches.poll_next_unpin(context));
        if !matches!(next, Some(Ok(_))) {
            self.batches = None;
        }
        Poll::Ready(next.map(|batch| batch.map(|batch| self.limited(batch))))
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("schema", &self.schema).finish_non_exhaustive()
    }
}
