//! Reading a piece of a file: its bytes in one request, its batches one after the other, decoded on blocking threads.
//!
//! Invariants: of a piece that is in flight there are the bytes of its column chunks and one batch in memory; bytes that were
//! not compared with a hash are decoded only if the headers of their pages agree with the footer; the rows that come out are as many
//! as it says [READ-9]. A stream that is dropped lets at most the batch that is being decoded finish.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection};
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use parquet::errors::ParquetError;

use super::blocking::blocking;
use super::file::{Group, OpenFile, left_of};
use super::footer::{corrupt, guarded};
use super::{headers, rows};
use crate::error::Result;

/// Some row groups of a file, to be read together.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) file: Arc<OpenFile>,
    pub(super) groups: Vec<Group>,
}

impl Piece {
    /// The rows that are left and pass, in batches without empty ones. One request, or none if the file is here or nothing of it
    /// is needed; more only where the needed column chunks lie far apart.
    pub(super) fn batches(self) -> BoxStream<'static, Result<RecordBatch>> {
        stream::try_unfold(State::Unread(self), State::next).boxed()
    }
}

enum State {
    Unread(Piece),
    Reading(Box<Reading>),
}

impl State {
    async fn next(self) -> Result<Option<(RecordBatch, Self)>> {
        let mut reading = match self {
            Self::Unread(piece) => {
                let file = Arc::clone(&piece.file);
                blocking(move || Reading::new(piece).map_err(|error| file.at(error))).await?
            }
            Self::Reading(reading) => reading,
        };
        loop {
            let step;
            (reading, step) = blocking(move || reading.step_on()).await?;
            match step {
                Step::Bytes(ranges) => reading = reading.fetch(ranges).await?,
                Step::Batch(batch) if batch.num_rows() == 0 => {}
                Step::Batch(batch) => return Ok(Some((batch, Self::Reading(reading)))),
                Step::End => return Ok(None),
            }
        }
    }
}

/// What it takes to go on.
enum Step {
    Bytes(Vec<Range<u64>>),
    Batch(RecordBatch),
    End,
}

struct Reading {
    file: Arc<OpenFile>,
    /// The row groups of the piece.
    groups: Vec<usize>,
    decoder: ParquetPushDecoder,
    /// The row group that is being decoded.
    reader: Option<ParquetRecordBatchReader>,
    /// How many rows are still to come.
    rows: usize,
}

impl Reading {
    fn new(piece: Piece) -> Result<Box<Self>> {
        let Piece { file, groups } = piece;
        let rows = groups.iter().map(Group::live).sum();
        let left = left_of(&groups);
        let groups: Vec<usize> = groups.iter().map(|group| group.at).collect();
        let mut builder = ParquetPushDecoderBuilder::new_with_metadata(file.reader.clone())
            .with_projection(file.mask.clone())
            .with_batch_size(file.task.batch_rows)
            .with_row_groups(groups.clone());
        if let Some(left) = left {
            builder = builder.with_row_selection(RowSelection::from_boolean_buffer(left));
        }
        let decoder = guarded(|| {
            let mut decoder = builder.build()?;
            if let Some(bytes) = &file.bytes {
                decoder.push_range(0..bytes.len() as u64, bytes.clone())?;
            }
            Ok(decoder)
        })?;
        Ok(Box::new(Self { file, groups, decoder, reader: None, rows }))
    }

    async fn fetch(mut self: Box<Self>, ranges: Vec<Range<u64>>) -> Result<Box<Self>> {
        if let Some(beyond) = ranges.iter().find(|range| range.is_empty() || range.end > self.file.entry.size)
        {
            let message = format!(
                "its footer places a column chunk at {beyond:?}, it has {} bytes",
                self.file.entry.size
            );
            return Err(self.file.at(corrupt(message)));
        }
        let bytes = self.file.task.objects.get_ranges(&self.file.path, &ranges).await?;
        blocking(move || match self.take(ranges, bytes) {
            Ok(()) => Ok(self),
            Err(error) => Err(self.file.at(error)),
        })
        .await
    }

    fn take(&mut self, ranges: Vec<Range<u64>>, bytes: Vec<Bytes>) -> Result<()> {
        headers::check(self.file.reader.metadata(), &self.groups, &ranges, &bytes)?;
        guarded(|| self.decoder.push_ranges(ranges, bytes))
    }

    fn step_on(mut self: Box<Self>) -> Result<(Box<Self>, Step)> {
        match self.step() {
            Ok(step) => Ok((self, step)),
            Err(error) => Err(self.file.at(error)),
        }
    }

    /// Decodes until there is a batch, or bytes are needed for it.
    fn step(&mut self) -> Result<Step> {
        let Some(decoded) = guarded(|| self.decode())? else {
            if self.rows > 0 {
                return Err(corrupt(format!("it ends {} rows before its footer says", self.rows)));
            }
            return Ok(Step::End);
        };
        Ok(match decoded {
            Decoded::Needs(ranges) if self.file.bytes.is_some() => {
                return Err(corrupt(format!(
                    "its footer places column chunks at {ranges:?}, where it has none"
                )));
            }
            Decoded::Needs(ranges) => Step::Bytes(ranges),
            Decoded::Batch(batch) => {
                let rest = self.rows.checked_sub(batch.num_rows());
                self.rows = rest.ok_or_else(|| corrupt("it has more rows than its footer says"))?;
                Step::Batch(self.adapt(&batch)?)
            }
        })
    }

    fn decode(&mut self) -> std::result::Result<Option<Decoded>, ParquetError> {
        loop {
            if let Some(batch) = self.reader.as_mut().and_then(Iterator::next) {
                return Ok(Some(Decoded::Batch(batch?)));
            }
            self.reader = match self.decoder.try_next_reader()? {
                DecodeResult::NeedsData(ranges) => return Ok(Some(Decoded::Needs(ranges))),
                DecodeResult::Data(reader) => Some(reader),
                DecodeResult::Finished => return Ok(None),
            };
        }
    }

    /// The rows that pass, as the table has them.
    fn adapt(&self, found: &RecordBatch) -> Result<RecordBatch> {
        let file = &*self.file;
        let passed = match (&file.task.filter, &file.filter) {
            (Some((filter, _)), Some(adapter)) => {
                let batch = adapter.adapt(found.columns(), found.num_rows())?;
                let passes: BooleanArray = crate::filter::passes(filter, &batch)?;
                filter_record_batch(found, &passes).map_err(|error| corrupt(error.to_string()))?
            }
            _ => found.clone(),
        };
        let batch = file.output.adapt(passed.columns(), passed.num_rows())?;
        if !file.task.row_ids {
            return Ok(batch);
        }
        let missing = || corrupt("it has fewer columns than its footer says");
        let positions = passed.columns().last().ok_or_else(missing)?;
        let stored = file.stored_rows.map(|places| places.map(|at| passed.column(at)));
        let ids = rows::columns(&file.entry, positions, stored)?;
        rows::with(&file.task.output, &batch, ids).map_err(|error| corrupt(error.to_string()))
    }
}

enum Decoded {
    Needs(Vec<Range<u64>>),
    Batch(RecordBatch),
}
