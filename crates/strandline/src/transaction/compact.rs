//! Compaction: small files, and files of which rows are deleted, are written anew as fewer files with the same rows.
//!
//! Invariants: no row changes, each keeps its id and the version that last updated it, so that whoever changes rows meanwhile does not
//! collide [REB-10]; nothing counts as read; what would come out as it is stays. What does not belong here: how rows that move are written
//! (`row_writer`), and what becomes of them in a rebase (`merge`).

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::num::NonZeroUsize;

use arrow::array::RecordBatch;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use strandline_format::{FieldId, FileEntry, Operation, RowIds, Scalar, TableName};

use crate::error::Result;
use crate::scan::Scan;
use crate::table::TableState;
use crate::transaction::change::{Change, Changed, Needs, of};
use crate::transaction::{RowChanges, Transaction};
use crate::tree::All;
use crate::write::{NewFile, Uploads, WriteOptions, weight};

/// How many files are read ahead: of each, a row group or a small file is in memory.
const FILES: usize = 8;

/// A compaction that is about to be made: `.await` it.
///
/// Files are put together that are smaller than three quarters of what the table's options make of a file, and those of which a tenth of the
/// rows or more is deleted are written anew. Rows come into the table's present order and split. Memory is that of a writer, see
/// [`WriteOptions`], and of a scan of eight files, with the entries of all files of the table. Requests: the nodes of the tree of files, those of a scan of the files that are written
/// anew, and of writing them.
///
/// ```
#[doc = include_str!("../orders.example")]
/// for id in 4..8 {
///     lake.append("orders", orders(&[(id, 10 * id)])).await?;
/// }
/// let tidy = lake.begin().await?;
/// let done = tidy.compact("orders").await?;
/// tidy.commit().await?;
/// assert_eq!((done.files_removed, done.files_written), (5, 1));
/// assert_eq!(lake.table("orders").await?.rows(), 7);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NotFound`, offering the nearest names; `InvalidInput` if the table's properties do not let anything be written, or the transaction changed
/// the table meanwhile; the store's errors. Nothing has changed then.
#[derive(Clone, Debug)]
#[must_use = "nothing is written before this is awaited"]
pub struct Compact {
    transaction: Transaction,
    table: String,
    all: bool,
}

/// What a compaction did.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let tidy = lake.begin().await?;
/// // One file, of which nothing is deleted, stays as it is.
/// assert_eq!(tidy.compact("orders").await?, Default::default());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Rows that stand in other files now.
    pub rows: u64,
    /// Files that are listed no more.
    pub files_removed: u64,
    /// The bytes of those.
    pub bytes_removed: u64,
    /// Files that were written.
    pub files_written: u64,
    /// The bytes of those.
    pub bytes_written: u64,
}

impl Transaction {
    /// Writes small files of a table, and those with many deletes, anew; what this returns may be told to write all, `.await` carries it out.
    pub fn compact(&self, table: impl Into<String>) -> Compact {
        Compact { transaction: self.clone(), table: table.into(), all: false }
    }
}

impl Compact {
    /// Writes all files anew: after the order or the split of the table, or how its files are encoded, was changed.
    pub fn all(mut self) -> Self {
        self.all = true;
        self
    }

    async fn run(self) -> Result<Compacted> {
        let name = TableName::new(self.table.as_str())?;
        let change = {
            let mut state = self.transaction.open().await?;
            Box::pin(self.transaction.begin_change(&mut state, &name, Needs::Rows)).await?
        };
        let now = change.now.clone();
        let mut compaction =
            Compaction { change, all: self.all, files: Vec::new(), done: Compacted::default() };
        Box::pin(compaction.run()).await.map_err(|error| of(&name, error))?;
        let done = compaction.done;
        self.transaction.enter_later(&name, &now, compaction.changed()).await?;
        Ok(done)
    }
}

impl IntoFuture for Compact {
    type Output = Result<Compacted>;
    type IntoFuture = BoxFuture<'static, Result<Compacted>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

/// What a file comes to be, by its writer's options.
#[derive(Clone, Copy, Debug)]
struct Full {
    bytes: u64,
    /// Sorted files hold one run each.
    rows: u64,
}

/// How many rows are sorted at once, by what those of one file weigh. Others may weigh a little more.
async fn rows_of_run(now: &TableState, file: &FileEntry, options: &WriteOptions) -> Result<u64> {
    let scan = Scan::of(now.of_file(file.clone())).row_ids(true).prefetch(NonZeroUsize::MIN);
    let Some(batch) = scan.await?.try_next().await? else { return Ok(u64::MAX) };
    let each = weight(&batch).div_ceil(batch.num_rows().max(1) as u64).max(1);
    Ok((options.run_limit() / 8 * 7 / each).max(1))
}

fn live_bytes(file: &FileEntry) -> u64 {
    let share = u128::from(file.size) * u128::from(file.live_rows()) / u128::from(file.rows.max(1));
    u64::try_from(share).unwrap_or(file.size)
}

fn has_many_deletes(file: &FileEntry) -> bool {
    let deleted = file.rows - file.live_rows().min(file.rows);
    deleted > 0 && deleted.saturating_mul(10) >= file.rows
}

/// Sorted files by where their values begin, others as they came.
fn in_order(files: &mut [FileEntry], first: Option<FieldId>) {
    let least = |file: &FileEntry| file.stats.0.get(&first?)?.min.as_ref().map(|bound| bound.value.clone());
    let mut kinds = files.iter().filter_map(least).map(|value| std::mem::discriminant(&value));
    let one_kind = kinds.next().is_none_or(|kind| kinds.all(|other| other == kind));
    if first.is_none() || !one_kind {
        return;
    }
    files.sort_by(|one, other| match (least(one), least(other)) {
        (Some(one), Some(other)) => one.compare(&other).unwrap_or(std::cmp::Ordering::Equal),
        (one, other) => one.is_some().cmp(&other.is_some()),
    });
}

/// One value of a split, by which files of one part of the table are told from others: floats by their bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Null,
    Bool(bool),
    Int(i64),
    Float(u64),
    Text(String),
}

impl Part {
    fn of(value: &Scalar) -> Self {
        match value {
            Scalar::Null => Self::Null,
            Scalar::Bool(value) => Self::Bool(*value),
            Scalar::Int(value) => Self::Int(*value),
            Scalar::Float(value) => Self::Float(value.to_bits()),
            Scalar::Text(value) => Self::Text(value.clone()),
        }
    }
}

impl Full {
    fn is_small(self, file: &FileEntry) -> bool {
        let below = |part: u64, whole: u64| part < whole / 4 * 3;
        below(live_bytes(file), self.bytes) && below(file.live_rows(), self.rows)
    }

    /// As many next to each other as make one file, or where they are sorted, one run.
    fn bins(self, files: Vec<FileEntry>) -> Vec<Vec<FileEntry>> {
        let sorted = self.rows < u64::MAX;
        let mut bins: Vec<Vec<FileEntry>> = Vec::new();
        let (mut bytes, mut rows) = (0_u64, 0_u64);
        for file in files {
            bytes = bytes.saturating_add(live_bytes(&file));
            rows = rows.saturating_add(file.live_rows());
            let over = if sorted { rows > self.rows } else { bytes > self.bytes };
            match bins.last_mut().filter(|_| !over) {
                Some(bin) => bin.push(file),
                None => {
                    (bytes, rows) = (live_bytes(&file), file.live_rows());
                    bins.push(vec![file]);
                }
            }
        }
        bins
    }
}

/// A compaction that is under way.
struct Compaction {
    change: Change,
    all: bool,
    files: Vec<NewFile>,
    done: Compacted,
}

impl Compaction {
    async fn run(&mut self) -> Result<()> {
        for bin in self.bins().await? {
            self.put_together(bin).await?;
        }
        Ok(())
    }

    /// Files to be written anew together, those that are to come together next to each other.
    async fn bins(&mut self) -> Result<Vec<Vec<FileEntry>>> {
        let (all, now) = (self.all, &self.change.now);
        let files = now.trees.collect(&now.table.files, &All).await?;
        let files: Vec<FileEntry> = files.into_iter().filter(|file| file.external.is_none()).collect();
        let spec = self.change.writer()?.spec().clone();
        let first = spec.order.as_ref().and_then(|order| Some(order.fields.first()?.field));
        let full = Full { bytes: spec.options.target_file_bytes, rows: u64::MAX };
        let full = match files.first().filter(|_| first.is_some()) {
            Some(file) => Full { rows: rows_of_run(&self.change.now, file, &spec.options).await?, ..full },
            None => full,
        };
        let mut groups: BTreeMap<Vec<Part>, Vec<FileEntry>> = BTreeMap::new();
        for file in files.into_iter().filter(|file| all || full.is_small(file) || has_many_deletes(file)) {
            let split = spec.split.as_ref().map(|split| split.id);
            let values = file.split.as_ref().filter(|values| Some(values.split) == split.map(|id| id.0));
            let part = values.map(|values| values.values.iter().map(Part::of).collect());
            groups.entry(part.unwrap_or_default()).or_default().push(file);
        }
        let bins = groups.into_values().flat_map(|mut group| {
            in_order(&mut group, first);
            full.bins(group)
        });
        Ok(bins.filter(|bin| all || bin.len() > 1 || bin.iter().any(has_many_deletes)).collect())
    }

    /// Writes the rows of these files to others. They stay if that makes no fewer files, and takes no deletes away.
    async fn put_together(&mut self, bin: Vec<FileEntry>) -> Result<()> {
        let mut batches = self.rows_of(bin.clone());
        let writer = self.change.writer()?;
        while let Some(batch) = batches.try_next().await? {
            writer.keep(&batch).await?;
        }
        let (files, mut uploads) = writer.finish().await?;
        // Otherwise those of all bins were held in memory.
        uploads.stored().await?;
        if !self.all && files.len() >= bin.len() && bin.iter().all(|file| file.deletes.is_none()) {
            return Ok(());
        }
        for file in &bin {
            self.done.rows += file.live_rows();
            self.done.files_removed += 1;
            self.done.bytes_removed += file.size;
            self.change.draft.remove(file);
        }
        for file in files {
            self.done.files_written += 1;
            self.done.bytes_written += file.object.size;
            self.change.draft.add(file.clone(), RowIds::Stored)?;
            self.files.push(file);
        }
        Ok(())
    }

    /// The live rows of files with their ids and versions, in the order of the files and of their places in them.
    fn rows_of(&self, files: Vec<FileEntry>) -> BoxStream<'static, Result<RecordBatch>> {
        let now = self.change.now.clone();
        let files: Vec<FileEntry> = files.into_iter().map(|file| self.change.unsettled(file)).collect();
        // The first piece of each is read when its turn is near.
        let open = move |file: FileEntry| {
            let scan = Scan::of(now.of_file(file)).row_ids(true).prefetch(NonZeroUsize::MIN);
            async move {
                let mut batches = scan.await?;
                let first = batches.try_next().await?;
                Result::Ok(stream::iter(first.map(Ok)).chain(batches))
            }
        };
        stream::iter(files).map(open).buffered(FILES).try_flatten().boxed()
    }

    /// What is to be entered: nothing, if nothing was written anew.
    fn changed(self) -> Changed {
        let Compacted { files_removed, files_written, bytes_written, .. } = self.done;
        let changes = RowChanges {
            files_touched: files_removed,
            files_written,
            bytes_written,
            ..RowChanges::default()
        };
        let (draft, files, uploads) = (self.change.draft, self.files, Uploads::default());
        Changed { operation: Operation::Compact, draft, files, uploads, changes }
    }
}
