//! Reading a piece of a file: its bytes in one request, or two if a filter is asked first; its batches one after the other, decoded on
//! blocking threads.
//!
//! Invariants: of a piece that is in flight there are the bytes of its column chunks and one batch in memory; bytes that were
//! not compared with a hash are decoded only if the headers of their pages agree with the footer; the rows that come out are as many
//! as it says [READ-9]. A stream that is dropped lets at most the batch that is being decoded finish.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::BooleanBuffer;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection, RowSelectionPolicy};
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;

use super::cut::{Cut, to_decode};
use super::file::{Group, OpenFile, left_of};
use super::footer::{corrupt, guarded};
use super::late::Asked;
use super::narrow::Texts;
use super::sift::sift;
use super::{headers, rows};
use crate::blocking::blocking;
use crate::error::Result;

/// So few bytes are read with the columns of a filter, before it is asked.
const LITTLE: u64 = 1 << 20;

/// Some row groups of a file, to be read together.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) file: Arc<OpenFile>,
    pub(super) groups: Vec<Group>,
}

impl Piece {
    /// The rows that are left and pass, in batches without empty ones. One request, or none if the file is here or nothing of it
    /// is needed; two if a filter is asked first, rows pass and the rest is large; more only where what is needed lies far apart.
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
    /// How many rows there are to be decoded.
    rows: usize,
    /// How many have come.
    came: usize,
    /// Which of them are left; `None` where all are, or the filter is asked first.
    cut: Option<Cut>,
    /// What became of them, if the filter is asked first.
    asked: Option<Asked>,
    /// Whether bytes were asked for.
    begun: bool,
}

impl Reading {
    fn new(piece: Piece) -> Result<Box<Self>> {
        let Piece { file, groups } = piece;
        let left = left_of(&groups);
        let decoded = left.as_ref().map(to_decode);
        let rows = match &decoded {
            Some(decoded) => decoded.count_set_bits(),
            None => groups.iter().map(|group| group.rows).sum(),
        };
        let cut = left.zip(decoded.as_ref()).map(|(left, decoded)| Cut::of(decoded, &left));
        let (cut_first, cut) = if file.first.is_some() { (cut, None) } else { (None, cut) };
        let groups: Vec<usize> = groups.iter().map(|group| group.at).collect();
        let mut builder = ParquetPushDecoderBuilder::new_with_metadata(file.reader.clone())
            .with_projection(file.mask(&file.leaves))
            .with_batch_size(file.task.batch_rows)
            .with_row_groups(groups.clone())
            .with_row_selection_policy(RowSelectionPolicy::Selectors);
        if let Some(decoded) = decoded.filter(|decoded| rows < decoded.len()) {
            builder = builder.with_row_selection(RowSelection::from_boolean_buffer(decoded));
        }
        let (filter, asked) = Asked::of(&file, cut_first).unzip();
        if let Some(filter) = filter {
            // What would be kept of decoded columns, to be given out again, has no small bound.
            builder = builder.with_row_filter(filter).with_max_predicate_cache_size(0);
            if let Some(limit) = file.limit() {
                builder = builder.with_limit(limit);
            }
        }
        let decoder = guarded(|| {
            let mut decoder = builder.build()?;
            if let Some(bytes) = &file.bytes {
                decoder.push_range(0..bytes.len() as u64, bytes.clone())?;
            }
            Ok(decoder)
        })?;
        Ok(Box::new(Self { file, groups, decoder, reader: None, rows, came: 0, cut, asked, begun: false }))
    }

    /// The ranges, and if a filter is asked first and what it leaves is little, that too: a request takes longer.
    fn with_rest(&mut self, mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
        if std::mem::replace(&mut self.begun, true) || self.asked.is_none() {
            return ranges;
        }
        let footer = self.file.reader.metadata();
        let chunks = self.groups.iter().flat_map(|group| {
            let columns = footer.row_groups().get(*group).map(RowGroupMetaData::columns).unwrap_or_default();
            self.file.leaves.iter().filter_map(|leaf| columns.get(*leaf))
        });
        let rest =
            chunks.map(|chunk| chunk.byte_range()).map(|(start, length)| start..start.saturating_add(length));
        let asked = |chunk: &Range<u64>| ranges.iter().any(|range| chunk.contains(&range.start));
        let rest: Vec<Range<u64>> = rest.filter(|chunk| !chunk.is_empty() && !asked(chunk)).collect();
        if rest.iter().fold(0_u64, |sum, chunk| sum.saturating_add(chunk.end - chunk.start)) <= LITTLE {
            ranges.extend(rest);
        }
        ranges
    }

    async fn fetch(mut self: Box<Self>, ranges: Vec<Range<u64>>) -> Result<Box<Self>> {
        let ranges = self.with_rest(ranges);
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
        let decoded = guarded(|| self.decode());
        let decoded = decoded.map_err(|error| self.asked.as_ref().and_then(Asked::failure).unwrap_or(error));
        let Some(decoded) = decoded? else { return self.end() };
        Ok(match decoded {
            Decoded::Needs(ranges) if self.file.bytes.is_some() => {
                return Err(corrupt(format!(
                    "its footer places column chunks at {ranges:?}, where it has none"
                )));
            }
            Decoded::Needs(ranges) => Step::Bytes(ranges),
            Decoded::Batch(batch) => Step::Batch(self.batch(batch)?),
        })
    }

    /// How many rows come out of the reader.
    fn expected(&self) -> usize {
        match &self.asked {
            Some(asked) => asked.decoded().min(self.file.limit().unwrap_or(usize::MAX)),
            None => self.rows,
        }
    }

    /// All rows were read that there are by the footer, or as many as were wanted.
    fn end(&self) -> Result<Step> {
        let enough = |asked: &Asked| self.file.limit().is_some_and(|limit| asked.decoded() >= limit);
        let unasked = match &self.asked {
            Some(asked) if !enough(asked) => self.rows.saturating_sub(asked.rows()),
            _ => 0,
        };
        match unasked + (self.expected() - self.came) {
            0 => Ok(Step::End),
            missing => Err(corrupt(format!("it ends {missing} rows before its footer says"))),
        }
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

    /// What is wanted of the rows that came, as the table has them.
    fn batch(&mut self, found: RecordBatch) -> Result<RecordBatch> {
        self.came += found.num_rows();
        let more = || corrupt("it has more rows than its footer says");
        if self.came > self.expected() {
            return Err(more());
        }
        let left = match (&mut self.cut, &self.asked) {
            (Some(cut), _) => Some(cut.next(found.num_rows()).ok_or_else(more)?),
            (None, Some(asked)) => Some(asked.passed(found.num_rows()).ok_or_else(more)?),
            (None, None) => None,
        };
        self.adapt(found, left)
    }

    /// Which rows pass, if the filter is asked with all columns at hand.
    fn passing(&self, found: &RecordBatch) -> Result<Option<BooleanBuffer>> {
        let file = &*self.file;
        match (&file.task.filter, &file.filter) {
            (Some((filter, _)), Some(adapter)) if self.asked.is_none() => {
                let batch = adapter.adapt(found.columns(), found.num_rows())?;
                Ok(Some(crate::filter::passes(filter, &batch)?.values().clone()))
            }
            _ => Ok(None),
        }
    }

    fn adapt(&self, found: RecordBatch, left: Option<BooleanBuffer>) -> Result<RecordBatch> {
        let file = &*self.file;
        let wanted = match (self.passing(&found)?, left) {
            (Some(passing), Some(left)) => Some(&passing & &left),
            (one, other) => one.or(other),
        };
        let (passed, rows) = match wanted.filter(|wanted| wanted.count_set_bits() < wanted.len()) {
            Some(wanted) => {
                sift(found, wanted, |_| Texts::Plain).map_err(|error| corrupt(error.to_string()))?
            }
            None => (found.columns().to_vec(), found.num_rows()),
        };
        let batch = file.output.adapt(&passed, rows)?;
        if !file.task.row_ids {
            return Ok(batch);
        }
        let missing = || corrupt("it has fewer columns than its footer says");
        let positions = passed.last().ok_or_else(missing)?;
        let stored = file.stored_rows.map(|places| places.map(|at| &passed[at]));
        let ids = rows::columns(&file.entry, positions, stored)?;
        rows::with(&file.task.output, &batch, ids).map_err(|error| corrupt(error.to_string()))
    }
}

enum Decoded {
    Needs(Vec<Range<u64>>),
    Batch(RecordBatch),
}
