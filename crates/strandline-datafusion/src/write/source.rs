//! The rows of a plan on their way into a transaction.
//!
//! Invariants: an error of the plan comes out as it went in, whatever the transaction made of it; few rows are handed over as
//! batches, which share files with other small writes of the transaction, and many as a stream, of which only what is in flight is
//! in memory. What does not belong here: which rows these are.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use strandline::arrow::array::RecordBatch;
use strandline::transaction::Rows;
use strandline::{Error, ErrorKind};

use crate::error::{external, lake_error};

/// As much as this is held in memory to be written along with other small writes.
const SMALL: usize = 1 << 20;

/// The first error of a plan, kept for whoever drives it.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure(Arc<Mutex<Option<DataFusionError>>>);

impl Failure {
    /// Passes on the batches of a plan, and keeps its error.
    pub(super) fn watch(
        &self,
        batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    ) -> impl Stream<Item = strandline::Result<RecordBatch>> + Send + 'static {
        let failure = self.clone();
        batches.map_err(move |error| failure.keep(error))
    }

    /// Keeps an error, and gives one to stand for it.
    pub(super) fn keep(&self, error: DataFusionError) -> Error {
        let stand_in = match lake_error(&error) {
            Some(ours) => Error::new(ours.kind(), ours.message()),
            None => Error::new(ErrorKind::InvalidInput, error.to_string()),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        stand_in
    }

    /// The outcome of what was done with the batches: the error of the plan, if there was one.
    pub(super) fn explain<T>(&self, outcome: strandline::Result<T>) -> Result<T> {
        outcome.map_err(|error| {
            let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            kept.unwrap_or_else(|| external(error))
        })
    }
}

/// The batches of a plan as rows to be written: few of them are read here.
///
/// # Errors
/// Those of the plan.
pub(super) async fn rows(mut batches: SendableRecordBatchStream, failure: &Failure) -> Result<Rows> {
    let (mut first, mut bytes) = (Vec::new(), 0);
    while let Some(batch) = batches.try_next().await? {
        bytes += batch.get_array_memory_size();
        first.push(batch);
        if bytes > SMALL {
            let first = stream::iter(first).map(Ok);
            return Ok(Rows::stream(failure.watch(first.chain(batches))));
        }
    }
    Ok(first.into())
}
