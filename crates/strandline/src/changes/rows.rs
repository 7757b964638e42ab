//! What became of rows between two states of a table: inserted, deleted, or changed.
//!
//! Rows are matched by their ids, or by what stands for them where a merge made one of two, and one that stands in another file with the same
//! values has not changed: compaction, reordering and an update that sets what was there already are no changes. A column that was dropped and came back has changed where
//! it has values.
//!
//! Invariants: only files that differ are read, and of those that both states list only the rows that differ. Memory: a few batches; if rows that
//! came may be some that went, 262,144 of those that went besides, with about 48 bytes for each, and about two bytes for each row that differs
//! (`ranges`). What does not belong here: which files differ (`files`).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, RecordBatch, UInt64Array};
use arrow::compute::{filter_record_batch, interleave_record_batch, take_record_batch};
use arrow::datatypes::{SchemaRef, UInt64Type};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use strandline_format::tree::Root;
use strandline_format::{FileEntry, Files, Schema, Table as TableNode};

use crate::changes::files::{Part, Parts};
use crate::changes::ranges::{ROWS, ranges};
use crate::error::{Error, ErrorKind, Result};
use crate::merge::Known;
use crate::scan::{Batches, LAST_UPDATED, ROW_ID, Scan};
use crate::table::TableState;

/// Some rows that differ between two states of a table.
///
/// All batches have the table's columns and then `_row_id`, unsigned: the id that the row has in the state that it is of.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use futures::TryStreamExt;
/// use strandline::changes::RowChange;
///
/// let diff = lake.diff("main~1", "main").await?;
/// let mut changes = diff.table("orders").await?.rows().await?;
/// while let Some(change) = changes.try_next().await? {
///     match change {
///         RowChange::Inserted(rows) => assert_eq!(rows.num_rows(), 3),
///         RowChange::Deleted(rows) => panic!("{} rows are gone", rows.num_rows()),
///         RowChange::Updated { before, after } => panic!("{before:?} became {after:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub enum RowChange {
    /// Rows that are there only after.
    Inserted(RecordBatch),
    /// Rows that were there only before.
    Deleted(RecordBatch),
    /// Rows that have other values: as many before as after, each in the same place.
    Updated {
        /// As they were.
        before: RecordBatch,
        /// As they are.
        after: RecordBatch,
    },
}

impl RowChange {
    /// How many rows were inserted, deleted or updated.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Inserted(rows) | Self::Deleted(rows) | Self::Updated { after: rows, .. } => rows.num_rows(),
        }
    }
}

/// How many rows were inserted, deleted and updated.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
///
/// let fix = lake.begin().await?;
/// fix.update("orders", col("amount").lt(0)).set("amount", 0).await?;
/// fix.commit().await?;
///
/// let counts = lake.diff("main~1", "main").await?.table("orders").await?.counts().await?;
/// assert_eq!((counts.inserted, counts.deleted, counts.updated), (0, 0, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows that are there only after.
    pub inserted: u64,
    /// Rows that were there only before.
    pub deleted: u64,
    /// Rows that have other values.
    pub updated: u64,
}

impl RowCounts {
    /// The same and these rows more.
    pub(crate) fn with(mut self, change: &RowChange) -> Self {
        let count = match change {
            RowChange::Inserted(_) => &mut self.inserted,
            RowChange::Deleted(_) => &mut self.deleted,
            RowChange::Updated { .. } => &mut self.updated,
        };
        *count = count.saturating_add(change.rows() as u64);
        self
    }
}

/// The rows of both states, to be read in the same columns.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(super) before: TableState,
    pub(super) after: TableState,
    schema: Arc<Schema>,
    /// The numbers of the state after in those of the state before.
    pub(super) known: Known,
    /// How many of the rows that went are in memory at once.
    pub(super) rows_at_once: u64,
}

impl Reading {
    pub(crate) fn new(before: TableState, after: TableState, schema: Arc<Schema>, known: Known) -> Self {
        Self { before, after, schema, known, rows_at_once: ROWS }
    }

    /// The rows that differ.
    pub(crate) fn changes(self, parts: Parts) -> BoxStream<'static, Result<RowChange>> {
        let Parts { gone, came } = parts;
        let (fresh, others): (Vec<Part>, Vec<Part>) =
            came.into_iter().partition(|part| part.is_fresh || gone.is_empty());
        let entries = |parts: Vec<Part>| parts.into_iter().map(|part| part.entry).collect::<Vec<_>>();
        let (fresh, others) = (entries(fresh), entries(others));
        let inserted = self.rows(&self.after, fresh).map_ok(RowChange::Inserted).boxed();
        if others.is_empty() {
            let deleted = self.rows(&self.before, gone).map_ok(RowChange::Deleted).boxed();
            return deleted.chain(inserted).boxed();
        }
        let rows: u64 = gone.iter().map(FileEntry::live_rows).sum();
        let matched = match rows > self.rows_at_once {
            true => stream::once(self.in_ranges(gone, others)).try_flatten().boxed(),
            false => stream::once(self.matched(gone, others)).try_flatten().boxed(),
        };
        matched.chain(inserted).boxed()
    }

    /// The rows of some entries. Nothing is read before the stream is polled.
    fn rows(&self, of: &TableState, entries: Vec<FileEntry>) -> BoxStream<'static, Result<RecordBatch>> {
        if entries.is_empty() {
            return stream::empty().boxed();
        }
        let begin = read(of.clone(), Arc::clone(&self.schema), entries);
        stream::once(begin).try_flatten().and_then(|batch| async move { without_updated(&batch) }).boxed()
    }

    /// Rows that came, held against those that went, range by range of their ids.
    async fn in_ranges(
        self,
        gone: Vec<FileEntry>,
        came: Vec<FileEntry>,
    ) -> Result<BoxStream<'static, Result<RowChange>>> {
        let (before, after) = ((&self.before, gone), (&self.after, came));
        let [gone, came] = ranges(before, after, &self.known, self.rows_at_once).await?;
        let count = gone.len();
        let one = move |range: usize| {
            let parts = gone.of_range(range).and_then(|gone| Ok((gone, came.of_range(range)?)));
            let reading = self.clone();
            async move {
                let (gone, came) = parts?;
                reading.matched(gone, came).await
            }
        };
        Ok(stream::iter(0..count).then(one).try_flatten().boxed())
    }

    /// Rows that came, held against all that went.
    async fn matched(
        self,
        gone: Vec<FileEntry>,
        came: Vec<FileEntry>,
    ) -> Result<BoxStream<'static, Result<RowChange>>> {
        let gone: Vec<RecordBatch> = self.rows(&self.before, gone).try_collect().await?;
        let went = Went::new(gone)?;
        let batches = self.rows(&self.after, came);
        let state = (Some(went), batches, self.known);
        let step = |(went, mut batches, known): (Option<Went>, BoxStream<'static, _>, Known)| async move {
            let Some(mut went) = went else { return Ok(None) };
            let (found, went) = match batches.try_next().await? {
                Some(batch) => (went.meet(&batch, &known)?, Some(went)),
                None => (went.rest()?, None),
            };
            Ok::<_, Error>(Some((stream::iter(found).map(Ok), (went, batches, known))))
        };
        Ok(stream::try_unfold(state, step).try_flatten().boxed())
    }
}

/// The rows of some entries of a table, in these columns and with their ids. Columns that the state has not are as if no file had them.
pub(crate) async fn read(state: TableState, schema: Arc<Schema>, entries: Vec<FileEntry>) -> Result<Batches> {
    let mut files: Root<Files> = Root::default();
    files.edit(entries.into_iter().map(|entry| (entry.id, Some(entry))));
    let table = TableNode { files, ..(*state.table).clone() };
    let own = Arc::clone(&state.schema);
    Scan::of(TableState { table: Arc::new(table), schema, ..state }).known_by(own).row_ids(true).await
}

/// A batch of a scan without the column of last updates, which is of one branch only [READ-5].
fn without_updated(batch: &RecordBatch) -> Result<RecordBatch> {
    let kept = (0..batch.num_columns()).filter(|at| batch.schema().field(*at).name() != LAST_UPDATED.0);
    batch.project(&kept.collect::<Vec<_>>()).map_err(broken)
}

/// The columns of changes: those of the table, and `_row_id`.
pub(crate) fn columns(schema: &Schema) -> SchemaRef {
    let with_ids = crate::scan::with_row_ids(&crate::columns::arrow_schema(schema));
    let kept = with_ids.fields().iter().filter(|field| field.name() != LAST_UPDATED.0).cloned();
    Arc::new(arrow::datatypes::Schema::new(kept.collect::<arrow::datatypes::Fields>()))
}

/// The ids of the rows of a batch of changes.
pub(crate) fn ids(batch: &RecordBatch) -> Result<&UInt64Array> {
    let column = batch.column_by_name(ROW_ID.0).and_then(|column| column.as_primitive_opt::<UInt64Type>());
    column.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "rows without the column _row_id"))
}

/// The rows that went, until they are met again.
struct Went {
    batches: Vec<RecordBatch>,
    /// Where the row of an id is: which batch, which place in it.
    places: HashMap<u64, (usize, usize)>,
}

impl Went {
    fn new(batches: Vec<RecordBatch>) -> Result<Self> {
        let mut places = HashMap::new();
        for (at, batch) in batches.iter().enumerate() {
            places.extend(ids(batch)?.values().iter().enumerate().map(|(row, id)| (*id, (at, row))));
        }
        Ok(Self { batches, places })
    }

    /// What rows that came are: rows that went and have other values, or new ones. Those that are as they were are nothing.
    fn meet(&mut self, batch: &RecordBatch, known: &Known) -> Result<Vec<RowChange>> {
        let (mut again, mut places, mut inserted) = (Vec::new(), Vec::new(), Vec::new());
        for (row, id) in (0_u64..).zip(ids(batch)?.values()) {
            match known.rows_of(*id).find_map(|id| self.places.remove(&id)) {
                Some(place) => {
                    again.push(row);
                    places.push(place);
                }
                None => inserted.push(row),
            }
        }
        let mut found = Vec::new();
        if !inserted.is_empty() {
            found.push(RowChange::Inserted(take(batch, inserted)?));
        }
        if !again.is_empty() {
            let batches: Vec<&RecordBatch> = self.batches.iter().collect();
            let before = interleave_record_batch(&batches, &places).map_err(broken)?;
            found.extend(updated(&before, &take(batch, again)?)?);
        }
        Ok(found)
    }

    /// The rows that were not met again.
    fn rest(self) -> Result<Vec<RowChange>> {
        let mut rows: Vec<Vec<u64>> = vec![Vec::new(); self.batches.len()];
        for (batch, row) in self.places.into_values() {
            rows[batch].push(row as u64);
        }
        let of_batch = |(batch, mut rows): (&RecordBatch, Vec<u64>)| {
            rows.sort_unstable();
            Ok(RowChange::Deleted(take(batch, rows)?))
        };
        let left = self.batches.iter().zip(rows).filter(|(_, rows)| !rows.is_empty());
        left.map(of_batch).collect()
    }
}

fn take(batch: &RecordBatch, rows: Vec<u64>) -> Result<RecordBatch> {
    take_record_batch(batch, &UInt64Array::from(rows)).map_err(broken)
}

/// Of rows side by side, those whose values differ.
fn updated(before: &RecordBatch, after: &RecordBatch) -> Result<Option<RowChange>> {
    let differs = differing(before, after);
    if differs.true_count() == 0 {
        return Ok(None);
    }
    let keep = |batch| filter_record_batch(batch, &differs).map_err(broken);
    Ok(Some(RowChange::Updated { before: keep(before)?, after: keep(after)? }))
}

/// Which rows of two batches of the same columns differ, ids apart.
pub(crate) fn differing(before: &RecordBatch, after: &RecordBatch) -> arrow::array::BooleanArray {
    let rows = after.num_rows();
    let mut bits = BooleanBufferBuilder::new(rows);
    bits.append_n(rows, false);
    for (at, field) in after.schema().fields().iter().enumerate() {
        if field.name() != ROW_ID.0 {
            mark(before.column(at), after.column(at), 0..rows, &mut bits);
        }
    }
    bits.finish().into()
}

/// The places in which two arrays differ.
pub(crate) fn differing_column(before: &ArrayRef, after: &ArrayRef) -> arrow::array::BooleanArray {
    let mut bits = BooleanBufferBuilder::new(after.len());
    bits.append_n(after.len(), false);
    mark(before, after, 0..after.len(), &mut bits);
    bits.finish().into()
}

/// Marks the places in which two arrays differ, by halves: whole stretches are mostly equal.
fn mark(before: &ArrayRef, after: &ArrayRef, rows: Range<usize>, bits: &mut BooleanBufferBuilder) {
    let stretch = |array: &ArrayRef| array.slice(rows.start, rows.len());
    if rows.is_empty() || stretch(before) == stretch(after) {
        return;
    }
    if rows.len() == 1 {
        bits.set_bit(rows.start, true);
        return;
    }
    let middle = rows.start.midpoint(rows.end);
    mark(before, after, rows.start..middle, bits);
    mark(before, after, middle..rows.end, bits);
}

/// Arrow refuses nothing that is made from batches of one schema.
pub(crate) fn broken(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Corrupt, "rows that differ could not be put together").with_source(error)
}
