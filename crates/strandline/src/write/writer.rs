//! The writer of a table's files: takes batches, keeps the stages busy, waits where too much is under way.
//!
//! Invariants: whoever writes holds the only handle, so the stages need no locks; a stage is entered only if its share
//! of memory allows it (or it is empty, so that whatever comes gets through); after an error, or a `write` that was
//! dropped half-way, nothing is written any more and no file is given out. Dropping the writer ends its tasks and
//! leaves nothing but unreferenced objects.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use strandline_format::SplitValues;

use super::buffer::Rows;
use super::encode::{Effort, EncodedGroup, encode, encode_alone};
use super::file::Files;
use super::jobs::{Cores, Task};
use super::options::invalid;
use super::size::{compact, weight};
use super::split::{Key, Part, partition};
use super::waiting::{Section, Waiting};
use super::{FileSpec, NewFile, Plan, Uploads, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::Objects;

/// Writes batches to files.
pub(crate) struct TableWriter {
    plan: Arc<Plan>,
    cores: Cores,
    splitting: VecDeque<Splitting>,
    waiting: Waiting,
    encoding: VecDeque<Encoding>,
    files: Files,
    under_way: UnderWay,
    /// Set while something is being done, so that it stays set if that does not come to its end.
    broken: bool,
}

/// A batch that is being split.
struct Splitting {
    weight: u64,
    parts: Task<Vec<Part>>,
}

/// Rows that are being encoded.
struct Encoding {
    weight: u64,
    key: Key,
    split: Option<SplitValues>,
    groups: Task<Vec<EncodedGroup>>,
}

/// What is held in memory at the moment.
#[derive(Debug, Default)]
struct UnderWay {
    splitting: u64,
    /// What waited, and is about to be encoded.
    next: u64,
    encoding: u64,
    /// The most that there ever was, with what waits.
    most: u64,
}

impl TableWriter {
    /// A writer of such files. No request, and no file before the first row.
    ///
    /// # Errors
    /// `InvalidInput` if the options, the order or the split cannot be, or the Arrow schema is not the table's.
    pub(crate) fn new(objects: Objects, spec: FileSpec) -> Result<Self> {
        let (table, era) = (spec.table, spec.era);
        let plan = Arc::new(Plan::new(spec)?);
        let cores = Cores::new(plan.options.parallelism);
        let waiting = Waiting::new(plan.limits, plan.options.waiting_limit());
        let files = Files::new(objects, Arc::clone(&plan), table, era);
        let (splitting, encoding) = (VecDeque::new(), VecDeque::new());
        let under_way = UnderWay::default();
        Ok(Self { plan, cores, splitting, waiting, encoding, files, under_way, broken: false })
    }

    /// Takes a batch in. It returns as soon as the batch is taken, unless too much is under way. Requests are made in
    /// the background, for files that are finished.
    ///
    /// # Errors
    /// `InvalidInput` for rows that are not of the schema; what the store refuses or cannot do, of any batch before.
    /// The writer is of no more use then, nor after a future that was dropped.
    pub(crate) async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.enter()?;
        self.take(batch).await?;
        self.broken = false;
        Ok(())
    }

    /// Writes all that is left. Gives the files in the order in which they were begun, which without split or order is
    /// that of the rows; no file if there were none.
    ///
    /// # Errors
    /// As [`TableWriter::write`]. A future that is dropped leaves unreferenced objects at most.
    pub(crate) async fn finish(self) -> Result<Vec<NewFile>> {
        let (files, mut uploads) = self.finish_early().await?;
        uploads.stored().await?;
        Ok(files)
    }

    /// The same, without waiting until the last files are in the store: whoever refers to them does [TXN-6].
    ///
    /// # Errors
    /// As [`TableWriter::finish`].
    pub(crate) async fn finish_early(mut self) -> Result<(Vec<NewFile>, Uploads)> {
        self.enter()?;
        while self.split().await? {}
        while let Some(section) = self.waiting.drain() {
            self.encode(section).await?;
        }
        while self.append().await? {}
        self.files.finish().await
    }

    fn enter(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.broken, true) {
            let message =
                "a write failed or was dropped half-way, so nothing of it is kept; begin with a new writer";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(())
    }

    async fn take(&mut self, batch: RecordBatch) -> Result<()> {
        let batch = compact(self.conformed(&batch)?)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.plan.split.is_some() {
            self.begin_split(batch).await?;
            while self.splitting.front().is_some_and(|splitting| splitting.parts.is_finished()) {
                self.split().await?;
            }
        } else {
            self.wait(Part { key: Key::from([]), values: None, batch }).await?;
        }
        while self.encoding.front().is_some_and(|encoding| encoding.groups.is_finished()) {
            self.append().await?;
        }
        Ok(())
    }

    /// The batch under the schema of the files, which has the field ids; its types and nulls are checked.
    fn conformed(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if batch.num_columns() != self.plan.arrow.fields().len() {
            let expected = self.plan.arrow.fields().len();
            return Err(invalid(format!("a batch of {} columns, not of {expected}", batch.num_columns())));
        }
        RecordBatch::try_new(Arc::clone(&self.plan.arrow), batch.columns().to_vec()).map_err(refused)
    }

    /// Begins to split a batch, when there is room.
    async fn begin_split(&mut self, batch: RecordBatch) -> Result<()> {
        // Rows are there twice while they are copied out.
        let weight = weight(&batch);
        let limit = self.plan.options.splitting_limit();
        let most = self.plan.options.parallelism.get();
        while !self.splitting.is_empty()
            && (self.under_way.splitting + weight > limit || self.splitting.len() >= most)
        {
            self.split().await?;
        }
        let plan = Arc::clone(&self.plan);
        let job = move || match &plan.split {
            Some(split) => partition(&plan, split, &batch),
            None => Ok(Vec::new()),
        };
        let parts = self.cores.start(job);
        self.splitting.push_back(Splitting { weight, parts });
        self.under_way.splitting += weight;
        self.note();
        Ok(())
    }

    /// Lets the rows of the batch that was split first wait; `false` if there is none.
    async fn split(&mut self) -> Result<bool> {
        let Some(splitting) = self.splitting.front_mut() else { return Ok(false) };
        let parts = (&mut splitting.parts).await?;
        let weight = splitting.weight;
        self.splitting.pop_front();
        for part in parts {
            self.wait(part).await?;
        }
        self.under_way.splitting -= weight;
        Ok(true)
    }

    async fn wait(&mut self, part: Part) -> Result<()> {
        let sections = self.waiting.push(part)?;
        self.under_way.next = sections.iter().map(|section| section.rows.bytes).sum();
        self.note();
        for section in sections {
            let bytes = section.rows.bytes;
            self.encode(section).await?;
            self.under_way.next -= bytes;
        }
        Ok(())
    }

    /// Begins to encode rows, when there is room.
    async fn encode(&mut self, section: Section) -> Result<()> {
        let Section { key, split, rows } = section;
        // They are there twice: as rows, and as what becomes of them.
        let weight = 2 * rows.bytes;
        let limit = self.plan.options.encoding_limit();
        while !self.encoding.is_empty()
            && (self.under_way.encoding + weight > limit || self.encoding.len() >= self.most_sections())
        {
            self.append().await?;
        }
        let groups = self.begin(rows)?;
        self.encoding.push_back(Encoding { weight, key, split, groups });
        self.under_way.encoding += weight;
        self.note();
        Ok(())
    }

    /// Each handing over to another thread takes a small append a part of its time.
    fn begin(&self, rows: Rows) -> Result<Task<Vec<EncodedGroup>>> {
        let plan = Arc::clone(&self.plan);
        Ok(match Effort::of(&plan, &rows) {
            Effort::None => Task::done(encode_alone(&plan, &rows)?),
            Effort::Job => self.cores.start(move || encode_alone(&plan, &rows)),
            Effort::Jobs => Task::spawn(encode(plan, self.cores.clone(), rows)),
        })
    }

    /// How many row groups or runs are encoded at once: as many as it takes to have two jobs for each core, and one
    /// more.
    fn most_sections(&self) -> usize {
        let jobs = 2 * self.plan.options.parallelism.get();
        1 + jobs.div_ceil(self.plan.columns.len())
    }

    /// Adds to its file what was begun to be encoded first; `false` if there is nothing.
    async fn append(&mut self) -> Result<bool> {
        let Some(encoding) = self.encoding.front_mut() else { return Ok(false) };
        let groups = (&mut encoding.groups).await?;
        // A run fills its files alone, as what follows it is not in its order.
        let last = self.plan.order.is_some();
        self.files.append(&encoding.key, encoding.split.as_ref(), groups, last).await?;
        self.under_way.encoding -= encoding.weight;
        self.encoding.pop_front();
        Ok(true)
    }

    fn note(&mut self) {
        let UnderWay { splitting, next, encoding, most } = &mut self.under_way;
        *most = (*most).max(2 * *splitting + self.waiting.bytes() + *next + *encoding);
    }

    /// The most bytes of rows, and of what became of them, that were ever held.
    #[cfg(test)]
    pub(super) fn most_held(&self) -> u64 {
        self.under_way.most
    }
}
