//! A filter that is asked before anything but its own columns is read, so that of the others only what is left is read and decoded.
//!
//! Invariant: the Parquet reader may give the filter fewer rows than a file should have, and passes over it in silence; so what was asked is
//! counted, and whoever reads holds it against the footer [READ-9]. What does not belong here: which columns are read first (`file`).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicate, RowFilter};

use super::file::OpenFile;
use super::footer::corrupt;
use crate::error::{Error, Result};

/// What became of the rows that a filter was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    rows: AtomicUsize,
    passed: AtomicUsize,
    failed: Mutex<Option<Error>>,
}

impl Asked {
    /// The filter of a file's scan, if it is asked first.
    pub(super) fn of(file: &Arc<OpenFile>) -> Option<(RowFilter, Self)> {
        let (columns, asked) = (file.mask(file.first.as_ref()?), Self::default());
        let first = First { file: Arc::clone(file), columns, asked: asked.clone() };
        Some((RowFilter::new(vec![Box::new(first)]), asked))
    }

    /// How many rows were asked for.
    pub(super) fn rows(&self) -> usize {
        self.0.rows.load(Ordering::Relaxed)
    }

    /// How many of them passed.
    pub(super) fn passed(&self) -> usize {
        self.0.passed.load(Ordering::Relaxed)
    }

    /// Why the filter could not be asked, if the reader has failed for that.
    pub(super) fn failure(&self) -> Option<Error> {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct First {
    file: Arc<OpenFile>,
    columns: ProjectionMask,
    asked: Asked,
}

impl First {
    fn passes(&self, found: &RecordBatch) -> Result<BooleanArray> {
        let (Some((filter, _)), Some(adapter)) = (&self.file.task.filter, &self.file.filter) else {
            return Err(corrupt("it is read by a filter that is not there"));
        };
        let batch = adapter.adapt(found.columns(), found.num_rows())?;
        crate::filter::passes(filter, &batch)
    }
}

impl ArrowPredicate for First {
    fn projection(&self) -> &ProjectionMask {
        &self.columns
    }

    fn evaluate(&mut self, batch: RecordBatch) -> std::result::Result<BooleanArray, ArrowError> {
        let counts = &self.asked.0;
        match self.passes(&batch) {
            Ok(passes) => {
                counts.rows.fetch_add(batch.num_rows(), Ordering::Relaxed);
                counts.passed.fetch_add(passes.true_count(), Ordering::Relaxed);
                Ok(passes)
            }
            Err(error) => {
                let said = ArrowError::ComputeError(error.to_string());
                *counts.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(said)
            }
        }
    }
}
