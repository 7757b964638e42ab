//! A filter that is asked before anything but its own columns is read, so that of the others only what is left is read and decoded.
//!
//! Of the other columns those rows are decoded that pass, and short gaps between them (`cut`).
//!
//! Invariant: the Parquet reader may give the filter fewer rows than a file should have, and passes over it in silence; so what was asked is
//! counted, and whoever reads holds it against the footer [READ-9]. What does not belong here: which columns are read first (`file`).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicate, RowFilter};

use super::cut::{Cut, to_decode};
use super::file::OpenFile;
use super::footer::corrupt;
use crate::error::{Error, Result};

/// What became of the rows that a filter was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    rows: AtomicUsize,
    decoded: AtomicUsize,
    passed: Mutex<Cut>,
    failed: Mutex<Option<Error>>,
}

impl Asked {
    /// The filter of a file's scan, if it is asked first: of these rows those that are left.
    pub(super) fn of(file: &Arc<OpenFile>, left: Option<Cut>) -> Option<(RowFilter, Self)> {
        let (columns, asked) = (file.mask(file.first.as_ref()?), Self::default());
        let first = First { file: Arc::clone(file), columns, left, asked: asked.clone() };
        Some((RowFilter::new(vec![Box::new(first)]), asked))
    }

    /// How many rows were asked for.
    pub(super) fn rows(&self) -> usize {
        self.0.rows.load(Ordering::Relaxed)
    }

    /// How many rows are to be decoded for those of them that passed.
    pub(super) fn decoded(&self) -> usize {
        self.0.decoded.load(Ordering::Relaxed)
    }

    /// Which of the next rows that are decoded passed; `None` if there are not so many.
    pub(super) fn passed(&self, rows: usize) -> Option<BooleanBuffer> {
        self.0.passed.lock().unwrap_or_else(PoisonError::into_inner).next(rows)
    }

    /// Why the filter could not be asked, if the reader has failed for that.
    pub(super) fn failure(&self) -> Option<Error> {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct First {
    file: Arc<OpenFile>,
    columns: ProjectionMask,
    /// Of the rows that are asked for, those that are left; `None` where all are.
    left: Option<Cut>,
    asked: Asked,
}

impl First {
    fn passes(&mut self, found: &RecordBatch) -> Result<BooleanBuffer> {
        let (Some((filter, _)), Some(adapter)) = (&self.file.task.filter, &self.file.filter) else {
            return Err(corrupt("it is read by a filter that is not there"));
        };
        let batch = adapter.adapt(found.columns(), found.num_rows())?;
        let passes = crate::filter::passes(filter, &batch)?;
        let Some(left) = &mut self.left else { return Ok(passes.values().clone()) };
        let left =
            left.next(found.num_rows()).ok_or_else(|| corrupt("it has more rows than its footer says"))?;
        Ok(passes.values() & &left)
    }

    /// The rows to decode, of which those that pass are noted.
    fn decodes(&mut self, found: &RecordBatch) -> Result<BooleanArray> {
        let passes = self.passes(found)?;
        // The reader counts up to a limit what it is told here.
        let decoded = if self.file.limit().is_some() { passes.clone() } else { to_decode(&passes) };
        let counts = &self.asked.0;
        counts.rows.fetch_add(found.num_rows(), Ordering::Relaxed);
        counts.decoded.fetch_add(decoded.count_set_bits(), Ordering::Relaxed);
        counts.passed.lock().unwrap_or_else(PoisonError::into_inner).add(&decoded, &passes);
        Ok(BooleanArray::new(decoded, None))
    }
}

impl ArrowPredicate for First {
    fn projection(&self) -> &ProjectionMask {
        &self.columns
    }

    fn evaluate(&mut self, batch: RecordBatch) -> std::result::Result<BooleanArray, ArrowError> {
        self.decodes(&batch).map_err(|error| {
            let said = ArrowError::ComputeError(error.to_string());
            *self.asked.0.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            said
        })
    }
}
