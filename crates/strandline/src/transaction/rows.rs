//! Rows that come into a table: conformed, checked, encoded while they come.
//!
//! Invariants: rows that do not fit are refused before any of their call is taken; small appends to one table go into the same
//! files; a call that was cut off half-way in the middle of a write breaks the transaction, since nobody knows which of its
//! rows are in. A stream of batches is written apart, so that one that fails leaves nothing.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use serde::Serialize;
use strandline_format::{
    Constraint, EntryType, Era, Filter, Operation, RowIds, Schema, Table, TableId, TableName,
};
use tokio::sync::Mutex;

use crate::blocking::blocking;
use crate::columns::{Conform, arrow_schema, batch_of_rows};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Checks, passes};
use crate::table::TableState;
use crate::transaction::draft::Draft;
use crate::transaction::{Phase, State, Transaction};
use crate::write::{FileSpec, NewFile, TableWriter, Uploads, WriteOptions};

/// How many tables' appends are brought to their end at once. Each writer has the memory that its table's options give it.
const FINISHED_AT_ONCE: usize = 8;

/// So many rows are not looked at by one thread, nor by the one that asks.
const MANY_ROWS: usize = 1 << 16;

/// Rows to be written: a batch, several, or a stream of them.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::transaction::Rows;
///
/// let pages = vec![orders(&[(4, 1)]), orders(&[(5, 2)]), orders(&[(6, 3)])];
/// let stream = futures::stream::iter(pages.into_iter().map(Ok::<_, std::io::Error>));
/// // Encoded and uploaded while it comes; a batch, or a list of batches, is taken as well.
/// lake.append("orders", Rows::stream(stream)).await?;
/// assert_eq!(lake.table("orders").await?.rows(), 6);
/// # Ok(())
/// # }
/// ```
pub struct Rows(Source);

enum Source {
    Batches(Vec<RecordBatch>),
    Stream(BoxStream<'static, Result<RecordBatch>>),
}

impl Rows {
    /// A stream of batches. Whatever its error, it becomes an `InvalidInput` of the write, with the error as its source, unless
    /// it is one of ours.
    pub fn stream<E>(
        batches: impl Stream<Item = std::result::Result<RecordBatch, E>> + Send + 'static,
    ) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        Self(Source::Stream(batches.map_err(source_error).boxed()))
    }

    /// The batches, if they are all at hand.
    pub(crate) fn batches(&self) -> Option<&[RecordBatch]> {
        match &self.0 {
            Source::Batches(batches) => Some(batches),
            Source::Stream(_) => None,
        }
    }

    /// The rows as a stream.
    pub(super) fn into_stream(self) -> BoxStream<'static, Result<RecordBatch>> {
        match self.0 {
            Source::Batches(batches) => stream::iter(batches.into_iter().map(Ok)).boxed(),
            Source::Stream(batches) => batches,
        }
    }
}

fn source_error(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    match error.into().downcast::<Error>() {
        Ok(ours) => *ours,
        Err(other) => {
            let message = format!("the rows to write could not be had: {other}");
            Error::new(ErrorKind::InvalidInput, message).with_source(other)
        }
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Batches(batches) => f.debug_tuple("Rows").field(&batches.len()).finish(),
            Source::Stream(_) => f.write_str("Rows(..)"),
        }
    }
}

impl From<RecordBatch> for Rows {
    fn from(batch: RecordBatch) -> Self {
        Self(Source::Batches(vec![batch]))
    }
}

impl From<&RecordBatch> for Rows {
    fn from(batch: &RecordBatch) -> Self {
        batch.clone().into()
    }
}

impl From<Vec<RecordBatch>> for Rows {
    fn from(batches: Vec<RecordBatch>) -> Self {
        Self(Source::Batches(batches))
    }
}

/// How a table's rows come in: what they must be, and where they go.
#[derive(Clone, Debug)]
pub(super) struct Intake {
    pub(super) table: TableId,
    pub(super) schema: Arc<Schema>,
    checks: Checks,
    constraints: Vec<Constraint>,
    /// What every row must pass besides, and its text.
    required: Option<(Filter, String)>,
    pub(super) spec: FileSpec,
}

/// The rows of one table that are being encoded.
pub(super) struct Slot {
    name: TableName,
    intake: Intake,
    /// `None` before the first row.
    writer: Option<TableWriter>,
    /// Set while a batch is handed over: a future that was dropped then leaves it set.
    taking: bool,
    /// Its rows are in files; whoever finds it so takes a new one.
    closed: bool,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { taking, closed, .. } = self;
        f.debug_struct("Slot").field("taking", taking).field("closed", closed).finish_non_exhaustive()
    }
}

impl Transaction {
    /// Appends rows to a table. They are encoded and uploaded while the transaction goes on; small appends share files.
    ///
    /// Columns are found by name; those that are missing get their default, and types that widen without loss are widened.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names; `InvalidInput`, naming every difference, if the rows do not fit the table, have
    /// a null where none may be, or break a constraint: then none of them is taken, and the transaction goes on. What the store
    /// refuses: then the transaction cannot go on. A future that is dropped half-way may make it so as well.
    pub async fn append(&self, table: &str, rows: impl Into<Rows>) -> Result<u64> {
        let name = TableName::new(table)?;
        match rows.into().0 {
            Source::Batches(batches) => self.append_batches(&name, batches).await,
            Source::Stream(batches) => self.append_stream(&name, batches).await,
        }
        .map_err(|error| error.at(format_args!("table {:?}", name.as_str())))
    }

    /// Appends rows that are values of a type with fields named as the table's columns.
    ///
    /// # Errors
    /// As [`Transaction::append`].
    pub async fn append_rows<T: Serialize>(&self, table: &str, rows: &[T]) -> Result<u64> {
        let schema = {
            let state = self.open().await?;
            state.work.table(&TableName::new(table)?).await?.schema
        };
        self.append(table, batch_of_rows(&schema, rows)?).await
    }

    async fn append_batches(&self, name: &TableName, batches: Vec<RecordBatch>) -> Result<u64> {
        loop {
            let slot = {
                let mut state = self.open().await?;
                self.slot(&mut state, name).await?
            };
            let mut slot = slot.lock().await;
            if slot.closed {
                continue;
            }
            let fitting = slot.intake.fit_all(&batches).await?;
            let rows = fitting.iter().map(|batch| batch.num_rows() as u64).sum();
            if let Err(error) = slot.take(fitting, self.objects()).await {
                drop(slot);
                self.0.state.lock().await.phase = Phase::Broken(error.message().to_owned());
                return Err(error);
            }
            return Ok(rows);
        }
    }

    async fn append_stream(
        &self,
        name: &TableName,
        batches: BoxStream<'static, Result<RecordBatch>>,
    ) -> Result<u64> {
        let intake = {
            let state = self.open().await?;
            self.find_table(&state, name).await?;
            self.intake(&state, name).await?
        };
        let files = intake.write(batches, self.objects()).await?;
        let mut state = self.open().await?;
        self.same_schema(&state, name, &intake).await?;
        let rows = files.iter().map(|file| file.rows).sum();
        self.add_appended(&mut state, name, files).await?;
        Ok(rows)
    }

    /// The rows that are being encoded for a table.
    async fn slot(&self, state: &mut State, name: &TableName) -> Result<Arc<Mutex<Slot>>> {
        let id = self.find_table(state, name).await?;
        if let Some(slot) = state.open.get(&id) {
            return Ok(Arc::clone(slot));
        }
        let intake = self.intake(state, name).await?;
        let slot = Slot { name: name.clone(), intake, writer: None, taking: false, closed: false };
        let slot = Arc::new(Mutex::new(slot));
        state.open.insert(id, Arc::clone(&slot));
        Ok(slot)
    }

    /// How rows come into a table now. Nothing is done to the table by that.
    pub(super) async fn intake(&self, state: &State, name: &TableName) -> Result<Intake> {
        let TableState { table, schema, .. } = state.work.table(name).await?;
        Intake::of(&table, schema, self.0.start.pointer().era(), &self.0.writing)
    }
}

impl Intake {
    /// How rows come into a table.
    pub(super) fn of(table: &Table, schema: Arc<Schema>, era: Era, writing: &WriteOptions) -> Result<Self> {
        let checks = Checks::new(&table.constraints, &schema)?;
        let find = |id: Option<_>| id.and_then(|id| table.orders.iter().find(|order| order.id == id));
        // A layout is a hint: one that names a column which was dropped is ignored.
        let there = |field| schema.field(field).is_some();
        let order = find(table.layout.order)
            .filter(|order| order.fields.iter().all(|field| there(field.field)))
            .cloned();
        let split = table.layout.split.and_then(|id| table.splits.iter().find(|split| split.id == id));
        let split = split.filter(|split| split.fields.iter().all(|field| there(field.field))).cloned();
        let options = writing.for_table(table, &schema)?;
        let (id, arrow, known) = (table.id, arrow_schema(&schema), Arc::default());
        let spec =
            FileSpec { table: id, schema: Arc::clone(&schema), arrow, era, order, split, options, known };
        let constraints = table.constraints.clone();
        Ok(Self { table: id, schema, checks, constraints, required: None, spec })
    }
}

impl Transaction {
    /// Refuses files that were written for a schema or under constraints that the transaction itself has changed since.
    async fn same_schema(&self, state: &State, name: &TableName, intake: &Intake) -> Result<()> {
        let now = state.work.table(name).await?;
        let same_rules = *now.schema == *intake.schema && now.table.constraints == intake.constraints;
        if now.table.id == intake.table && same_rules {
            return Ok(());
        }
        let message = "the table was altered while rows were written to it: write them again";
        Err(Error::new(ErrorKind::InvalidInput, message))
    }

    /// Puts what is being encoded into files, of one table or of all, and the files into the store.
    pub(super) async fn finish_appends(&self, state: &mut State, table: Option<TableId>) -> Result<()> {
        let mut uploads = self.seal_appends(state, table).await?;
        uploads.extend(std::mem::take(&mut state.pending));
        state.stored(&mut uploads).await
    }

    /// The same, with the files still on their way into the store.
    pub(super) async fn seal_appends(&self, state: &mut State, table: Option<TableId>) -> Result<Uploads> {
        let ids: Vec<TableId> =
            state.open.keys().copied().filter(|id| table.is_none_or(|table| table == *id)).collect();
        if ids.is_empty() {
            return Ok(Uploads::default());
        }
        // Whoever drops this future from here on has lost rows that were taken.
        let cut_off = "what was appended was being put into files, and that was cut off half-way";
        state.phase = Phase::Broken(cut_off.to_owned());
        let slots: Vec<_> = ids.iter().filter_map(|id| state.open.remove(id)).collect();
        let finish = |slot: Arc<Mutex<Slot>>| async move { slot.lock().await.finish().await };
        let mut finished = stream::iter(slots).map(finish).buffered(FINISHED_AT_ONCE);
        let mut all = Uploads::default();
        while let Some(finished) = finished.next().await {
            let (name, files, uploads) = finished.inspect_err(|error| state.broke(error))?;
            all.extend(uploads);
            self.add_appended(state, &name, files).await?;
        }
        state.phase = Phase::Open;
        Ok(all)
    }

    /// Enters files of appended rows; none leave the table untouched.
    async fn add_appended(&self, state: &mut State, name: &TableName, files: Vec<NewFile>) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        state.count(&files);
        let draft = state.work.draft(name, Operation::Append).await?;
        add_files(draft, files).inspect_err(|error| state.broke(error))
    }

    /// The id of a table. What stands under the name counts as read, or that nothing does [REB-12].
    pub(super) async fn find_table(&self, state: &State, name: &TableName) -> Result<TableId> {
        self.0.reads.name(name);
        state.work.expect(name, EntryType::Table).await.map(|standing| standing.id())
    }

    pub(super) fn objects(&self) -> &crate::storage::Objects {
        self.0.lake.storage().objects()
    }
}

impl State {
    /// Waits until the files are in the store.
    pub(super) async fn stored(&mut self, uploads: &mut Uploads) -> Result<()> {
        // Dropped while they are on their way, they may never come to the store, and are listed already.
        let cut_off = "files were being put into the store, and that was cut off half-way";
        self.phase = Phase::Broken(cut_off.to_owned());
        uploads.stored().await.inspect_err(|error| self.broke(error))?;
        self.phase = Phase::Open;
        Ok(())
    }

    /// What of an operation was done is not known any more.
    fn broke(&mut self, error: &Error) {
        self.phase = Phase::Broken(error.message().to_owned());
    }

    /// Counts files that were written.
    pub(super) fn count(&mut self, files: &[NewFile]) {
        self.written.files += files.len() as u64;
        self.written.bytes += files.iter().map(|file| file.object.size).sum::<u64>();
    }
}

pub(super) fn add_files(draft: &mut Draft, files: Vec<NewFile>) -> Result<()> {
    files.into_iter().try_for_each(|file| draft.add(file, RowIds::Derived))
}

impl Intake {
    /// The batches as the table has them, if all of them fit. Many rows are looked at on all cores.
    async fn fit_all(&self, batches: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
        let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        if rows(batches) < MANY_ROWS {
            return self.fit_run(batches, 0);
        }
        let (intake, cores) = (Arc::new(self.clone()), self.spec.options.parallelism.get());
        let mut before = 0;
        let runs = batches.chunks(batches.len().div_ceil(cores)).map(|run| {
            let (intake, first) = (Arc::clone(&intake), before);
            before += rows(run) as u64;
            let run = run.to_vec();
            blocking(move || intake.fit_run(&run, first))
        });
        stream::iter(runs.collect::<Vec<_>>()).buffered(cores).try_concat().await
    }

    /// The same of some of them, before which so many rows came.
    fn fit_run(&self, batches: &[RecordBatch], mut before: u64) -> Result<Vec<RecordBatch>> {
        let mut conform = None;
        let mut fitting = Vec::with_capacity(batches.len());
        for batch in batches {
            fitting.push(self.fit(batch, &mut conform).map_err(|error| after(error, before))?);
            before += batch.num_rows() as u64;
        }
        Ok(fitting)
    }

    /// A batch as the table has it; batches of one schema share what was found out about it.
    pub(super) fn fit(
        &self,
        batch: &RecordBatch,
        conform: &mut Option<(SchemaRef, Conform)>,
    ) -> Result<RecordBatch> {
        let incoming = batch.schema();
        let known = match conform.take().filter(|(schema, _)| *schema == incoming) {
            Some(known) => known,
            None => (Arc::clone(&incoming), Conform::new(&self.schema, &incoming)?),
        };
        let batch = conform.insert(known).1.apply(batch)?;
        self.checks.verify(&batch)?;
        self.verify_required(&batch)?;
        Ok(batch)
    }

    /// Writes a stream of batches to files of its own.
    pub(super) async fn write(
        &self,
        mut batches: BoxStream<'static, Result<RecordBatch>>,
        objects: &crate::storage::Objects,
    ) -> Result<Vec<NewFile>> {
        let mut writer = TableWriter::new(objects.clone(), self.spec.clone())?;
        let mut conform = None;
        let mut before = 0_u64;
        while let Some(batch) = batches.try_next().await? {
            let batch = self.fit(&batch, &mut conform).map_err(|error| after(error, before))?;
            before += batch.num_rows() as u64;
            writer.write(batch).await?;
        }
        writer.finish().await
    }

    /// The same, with these files of the table at hand, which are not uploaded again.
    pub(super) fn reusing(
        mut self,
        known: std::collections::HashMap<strandline_format::Hash, strandline_format::ObjectRef>,
    ) -> Self {
        self.spec.known = Arc::new(known);
        self
    }

    fn verify_required(&self, batch: &RecordBatch) -> Result<()> {
        let Some((filter, text)) = &self.required else { return Ok(()) };
        let passing = passes(filter, batch)?;
        let failing = (0..batch.num_rows()).find(|row| !passing.value(*row));
        failing.map_or(Ok(()), |row| {
            let message =
                format!("row {row} is not among those that are replaced: {text} is not true for it");
            Err(Error::new(ErrorKind::InvalidInput, message))
        })
    }

    /// The same, for rows that must pass a filter.
    pub(super) fn requiring(self, filter: Filter, text: String) -> Self {
        Self { required: Some((filter, text)), ..self }
    }

    /// Whether rows go to files of one split each.
    pub(super) fn split(&self) -> Option<&strandline_format::Split> {
        self.spec.split.as_ref()
    }
}

/// Says how many rows of the same call came before the batch that an error counts its row in.
pub(super) fn after(error: Error, rows: u64) -> Error {
    if rows == 0 { error } else { error.at(format_args!("in a batch that begins at row {rows}")) }
}

impl Slot {
    /// Whether rows may have come into it.
    pub(super) fn has_rows(&self) -> bool {
        self.writer.is_some()
    }

    async fn take(&mut self, batches: Vec<RecordBatch>, objects: &crate::storage::Objects) -> Result<()> {
        self.check_whole()?;
        if batches.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(TableWriter::new(objects.clone(), self.intake.spec.clone())?),
        };
        self.taking = true;
        for batch in batches {
            writer.write(batch).await?;
        }
        self.taking = false;
        Ok(())
    }

    async fn finish(&mut self) -> Result<(TableName, Vec<NewFile>, Uploads)> {
        self.check_whole()?;
        self.closed = true;
        let (files, uploads) = match self.writer.take() {
            Some(writer) => writer.finish_early().await?,
            None => Default::default(),
        };
        Ok((self.name.clone(), files, uploads))
    }

    fn check_whole(&self) -> Result<()> {
        if self.taking {
            let message = "an append was cut off half-way, and which of its rows were taken is not known";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(())
    }
}
