//! Reading a table without a query engine: as a stream of Arrow batches.
//!
//! A scan reads one state of one table: it plans the files from their entries, skips what a filter rules out (subtrees,
//! files, row groups), and gives the rows that are left and pass in the table's present schema. Nothing is ever listed.
//!
//! Invariants: a scan gives the live rows of all entries, each counting for itself, and nothing else [READ-1]; columns are found by
//! field id [READ-2]; what contradicts an entry is an error that names the object, never wrong rows [READ-9]. Order is not promised: with more
//! than one piece in flight, whichever is ready comes first.
//!
//! # Requests and memory
//!
//! | for | requests |
//! |---|---|
//! | the plan | a node of the tree of files each, as far as the filter does not rule it out; none if the tree lies in the pack or the table's node |
//! | a file of at most 1 MiB | one: it is read whole and verified |
//! | a larger file | one for its footer, unless it was read lately, and one for the needed column chunks of each row group |
//! | the same by a filter | one for its footer with the index of pages, two if that is of more than 256 KiB; of each row group one for the filter's columns, and one for the others if rows pass and they take more than 1 MiB |
//! | a deletion vector that is an object | one, at the same time as the footer |
//!
//! By a filter only those pages of files of this writer are read that may hold rows that pass: by their bounds in the index, and of the columns
//! that the filter does not ask for, by its own word. Pages within lists and maps do not say how many rows they have: there it is whole chunks.
//!
//! What is needed of a row group and lies more than 1 MiB apart takes a request each. At most [`Scan::prefetch`] files are being
//! opened, and as many pieces (a row group; a small file) read and decoded at once. So a scan holds the kept entries and at most
//! `prefetch` × (2 footers with their indexes + 2 × 1 MiB or the needed chunks of a row group + 4 bits for each row of a file with deletes or a
//! row group that a filter is asked for, and 32 bytes for each long gap between rows that are left or pass + 2 batches). For a batch no more
//! rows are decoded than it may have: where many are gone in short gaps, batches are smaller.
//!
//! What does not belong here: SQL, joins and aggregates (a query engine takes [`Scan::plan`]), and writing.

mod adapt;
mod batches;
mod by_id;
mod cut;
mod deletes;
mod engine;
mod file;
mod footer;
mod gaps;
mod headers;
mod identity;
mod late;
mod leaf;
mod left;
mod narrow;
mod piece;
mod plan;
mod prune;
mod rows;
mod select;
mod shape;
mod sift;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::future::IntoFuture;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use futures::future::{BoxFuture, FutureExt};
use strandline_format::{FieldId, FileEntry, Filter, Schema};

pub use batches::Batches;
pub(crate) use deletes::deletion_vector;
pub use engine::{ColumnSource, FileReader, FileShape, NestedColumn};
pub use footer::footer;
pub(crate) use identity::{identify, without};
pub use left::LeftRows;
pub use plan::Plan;
pub(crate) use rows::schema_with as with_row_ids;
pub(crate) use rows::stored_schema;
pub use rows::{LAST_UPDATED, ROW_ID};

use crate::error::{Error, ErrorKind, Result};
use crate::filter::Predicate;
use crate::table::TableState;
use crate::transaction::reads::Reads;
use by_id::Ids;
use file::{Task, Work};
use select::Wanted;

/// How many rows a batch has at most, unless told otherwise.
const BATCH_ROWS: NonZeroUsize = NonZeroUsize::new(8192).unwrap();

/// How many files and row groups are in flight, unless told otherwise.
const PREFETCH: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// Which columns a scan gives.
#[derive(Clone, Debug)]
enum Columns {
    All,
    /// By name, or by the path of names to a part.
    Named(Vec<String>),
    Fields(Vec<FieldId>),
}

/// A scan that is being put together. Awaiting it plans the files and gives the [`Batches`].
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
///
/// let scan = lake.table("orders").await?.scan().columns(["amount"]).filter(col("id").gt(1));
/// assert_eq!(scan.clone().count().await?, 2);
/// let batches = scan.limit(1).collect().await?;
/// assert_eq!((batches[0].num_rows(), batches[0].num_columns()), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a scan reads nothing before it is awaited"]
pub struct Scan {
    state: TableState,
    columns: Columns,
    filter: Option<Predicate>,
    /// What rows must pass besides, in terms of the table.
    having: Option<Filter>,
    limit: Option<u64>,
    batch_rows: NonZeroUsize,
    prefetch: NonZeroUsize,
    row_ids: bool,
    /// Which rows it is of, as far as that can be told without a look into files.
    ids: Option<Arc<Ids>>,
    pruning: bool,
    /// The fields of which a plan tells the statistics; `None`: all.
    statistics_of: Option<BTreeSet<FieldId>>,
    /// Fields that this schema lacks are as if no file had them.
    known: Option<Arc<Schema>>,
    /// Files of at most this size are read whole.
    small_file: u64,
    /// Where a transaction notes what it reads.
    reads: Option<Reads>,
}

impl Scan {
    /// All rows and columns of a table.
    pub(crate) fn of(state: TableState) -> Self {
        Self {
            state,
            columns: Columns::All,
            filter: None,
            having: None,
            limit: None,
            batch_rows: BATCH_ROWS,
            prefetch: PREFETCH,
            row_ids: false,
            ids: None,
            pruning: true,
            statistics_of: None,
            known: None,
            small_file: file::SMALL_FILE,
            reads: None,
        }
    }

    /// The same, but that files of at most so many bytes are read whole.
    #[cfg(test)]
    fn small_file(mut self, bytes: u64) -> Self {
        self.small_file = bytes;
        self
    }

    /// Only the rows that pass this as well.
    pub(crate) fn having(mut self, filter: Filter) -> Self {
        self.having = Some(filter);
        self
    }

    /// Fields that this schema lacks as if no file had them: one that was dropped still stands in old files, and by now the table may have it back, in
    /// another type.
    pub(crate) fn known_by(mut self, schema: Arc<Schema>) -> Self {
        self.known = Some(schema);
        self
    }

    /// The same, noted by a transaction as something that it has read.
    pub(crate) fn noted_in(mut self, reads: Reads) -> Self {
        self.reads = Some(reads);
        self
    }

    /// Only these columns, in this order; case does not matter. A path of names between dots is a part of a nested column (the
    /// parts of lists and maps are called `element`, `key` and `value`; a map keeps its keys), and parts of one column come as
    /// one. Only what is needed is read. No columns at all give batches of nothing but a number of rows.
    pub fn columns<N: Into<String>>(mut self, columns: impl IntoIterator<Item = N>) -> Self {
        self.columns = Columns::Named(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Only the columns with these ids, or that have such fields within.
    pub(crate) fn fields(mut self, ids: impl IntoIterator<Item = FieldId>) -> Self {
        self.columns = Columns::Fields(ids.into_iter().collect());
        self
    }

    /// Only the rows that pass, besides those of an earlier call.
    pub fn filter(mut self, predicate: Predicate) -> Self {
        self.filter = Some(match self.filter {
            Some(before) => before.and(predicate),
            None => predicate,
        });
        self
    }

    /// At most this many rows, whichever come first. Files that are not needed for them are not opened.
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// How many rows a batch has at most: 8192 unless told otherwise. A batch never spans row groups.
    pub fn batch_rows(mut self, rows: NonZeroUsize) -> Self {
        self.batch_rows = rows;
        self
    }

    /// How many files are opened ahead, and how many pieces are read and decoded at once: 8 unless told otherwise. With 1, rows come in
    /// the order of the files' ids and their places in them.
    pub fn prefetch(mut self, pieces: NonZeroUsize) -> Self {
        self.prefetch = pieces;
        self
    }

    /// Whether each row comes with its id and the version that last updated it, as the last columns [`ROW_ID`] and [`LAST_UPDATED`],
    /// unsigned and never null [READ-4] [READ-5].
    pub fn row_ids(mut self, row_ids: bool) -> Self {
        self.row_ids = row_ids;
        self
    }

    /// Passes over what cannot be a row whose id is within one of these ranges: files by the bounds of their ids, and where ids follow from places
    /// all other rows of them if these are few. Files that store ids are not looked into for that, so some rows with other ids may come as well:
    /// for a query engine that asks for the ids itself. Whoever wants rows by their ids takes [`Table::row`](crate::Table::row).
    ///
    /// ```
    #[doc = include_str!("../orders.example")]
    /// lake.append("orders", orders(&[(4, 1), (5, 2)])).await?;
    /// // The first append has given out the ids 0 to 2.
    /// let plan = lake.table("orders").await?.scan().row_ids_within([4..=4]).plan().await?;
    /// assert_eq!((plan.files.len(), plan.rows), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn row_ids_within(mut self, ranges: impl IntoIterator<Item = RangeInclusive<u64>>) -> Self {
        self.ids = Some(Arc::new(Ids::of(ranges)));
        self
    }

    /// Whether statistics, of files, row groups and pages, may save reading: they may unless told otherwise. The rows are the same either way.
    pub fn pruning(mut self, pruning: bool) -> Self {
        self.pruning = pruning;
        self
    }

    /// Of which columns, by their ids, the files of a [plan](Scan::plan) come with statistics: of all unless told otherwise. Who needs few of many
    /// spares making the others. What is pruned, and by what, is the same either way.
    pub fn statistics_of(mut self, columns: impl IntoIterator<Item = FieldId>) -> Self {
        self.statistics_of = Some(columns.into_iter().collect());
        self
    }

    /// The files that the scan would read, without opening any. Requests as for the plan, see the [module](self).
    ///
    /// # Errors
    /// `InvalidInput` if the filter does not fit the table; `Corrupt` for a node that is not what its reference says; what the store
    /// refuses or cannot do. Dropping the future leaves nothing.
    pub async fn plan(&self) -> Result<Plan> {
        self.planned(self.bound()?.as_ref()).await
    }

    /// All rows, in memory.
    ///
    /// # Errors
    /// Those of awaiting the scan and of its [`Batches`].
    pub async fn collect(self) -> Result<Vec<RecordBatch>> {
        self.await?.collect().await
    }

    /// How many rows there are. No request without a filter [READ-7]; else the columns that the filter asks for are read, of the files
    /// whose statistics do not tell that all or none of their rows pass.
    ///
    /// # Errors
    /// Those of awaiting the scan and of its [`Batches`].
    pub async fn count(self) -> Result<u64> {
        let within = |rows: u64, limit: Option<u64>| limit.map_or(rows, |limit| limit.min(rows));
        let Some(filter) = self.bound()? else {
            let rows = match self.ids {
                Some(_) => self.planned(None).await?.rows,
                None => self.state.table.totals.rows,
            };
            return Ok(within(rows, self.limit));
        };
        let mut plan = self.planned(Some(&filter)).await?;
        let known = within(plan.take_whole(), self.limit);
        let left = self.limit.map(|limit| limit - known);
        let scan = Self { row_ids: false, limit: left, ..self.columns::<String>([]) };
        let add =
            |sum: u64, batch: RecordBatch| async move { Ok(sum.saturating_add(batch.num_rows() as u64)) };
        let others = scan.over(plan, Some(filter))?.try_fold(0, add).await?;
        Ok(known.saturating_add(others))
    }

    /// The filter in terms of the table, unless all rows pass.
    fn bound(&self) -> Result<Option<Filter>> {
        let bind = |predicate: &Predicate| predicate.bind(&self.state.schema);
        let filter = self.filter.as_ref().map(bind).transpose().map_err(|error| self.of_table(error))?;
        if let Some(reads) = &self.reads {
            let text = self.filter.as_ref().map_or_else(|| "TRUE".to_owned(), ToString::to_string);
            reads.scan(self.state.table.id, filter.as_ref().unwrap_or(&Filter::True), text);
        }
        let filter = match (filter, self.having.clone()) {
            (Some(one), Some(other)) => Some(Filter::And(vec![one, other])),
            (one, other) => one.or(other),
        };
        Ok(filter.filter(|filter| *filter != Filter::True))
    }

    async fn planned(&self, filter: Option<&Filter>) -> Result<Plan> {
        let by = filter.filter(|_| self.pruning);
        let limit = self.limit.filter(|_| filter.is_none());
        let known = self.statistics_of.as_ref();
        let mut plan = plan::plan(&self.state, by, self.ids.as_deref(), limit, known).await?;
        if filter.is_some() && by.is_none() {
            plan.whole.fill(false);
        }
        Ok(plan)
    }

    /// Starts with a filter that is bound already.
    async fn start(self, filter: Option<Filter>) -> Result<Batches> {
        if self.limit == Some(0) || filter == Some(Filter::False) {
            return Ok(Batches::new(Arc::new(self.task(filter)?), Vec::new(), 1, Some(0)));
        }
        // Before a plan is made: what is wrong with the scan needs no request.
        let task = self.task(filter.clone())?;
        let plan = self.planned(filter.as_ref()).await?;
        Ok(self.run(task, plan))
    }

    /// Starts on files that were planned.
    fn over(self, plan: Plan, filter: Option<Filter>) -> Result<Batches> {
        let task = self.task(filter)?;
        Ok(self.run(task, plan))
    }

    fn run(self, task: Task, plan: Plan) -> Batches {
        let limit = self.limit.filter(|_| task.filter.is_none());
        Batches::new(Arc::new(task), works(plan, limit), self.prefetch.get(), self.limit)
    }

    fn of_table(&self, error: Error) -> Error {
        error.at(format!("table {:?}", self.state.name.as_str()))
    }

    fn task(&self, filter: Option<Filter>) -> Result<Task> {
        let schema = &self.state.schema;
        let wanted = match &self.columns {
            Columns::Named(columns) => {
                Wanted::named(schema, columns).map_err(|error| self.of_table(error))?
            }
            Columns::Fields(ids) => Wanted::with_ids(schema, ids)?,
            Columns::All => Wanted::all(schema)?,
        };
        if self.row_ids {
            check_row_ids(&wanted).map_err(|error| self.of_table(error))?;
        }
        let output =
            if self.row_ids { rows::schema_with(&wanted.schema) } else { Arc::clone(&wanted.schema) };
        let asked = |filter: Filter| {
            let wanted = Wanted::with_ids(schema, &filter.fields())?;
            Ok::<_, Error>((filter, Arc::new(wanted)))
        };
        Ok(Task {
            objects: self.state.objects.clone(),
            table: Arc::clone(&self.state.table),
            schema: Arc::clone(schema),
            known: self.known.clone(),
            wanted: Arc::new(wanted),
            filter: filter.map(asked).transpose()?,
            output,
            row_ids: self.row_ids,
            batch_rows: self.batch_rows.get(),
            pruning: self.pruning,
            limit: self.limit,
            small_file: self.small_file,
        })
    }
}

/// The files to read, each with how many of its rows are wanted.
fn works(plan: Plan, limit: Option<u64>) -> Vec<Work> {
    let mut left = limit.unwrap_or(u64::MAX);
    let work = |entry: FileEntry| {
        let rows = left;
        left = left.saturating_sub(entry.live_rows());
        // Statistics have done their part, and are most of an entry.
        Work { entry: FileEntry { stats: Arc::default(), ..entry }, rows }
    };
    plan.files.into_iter().map(work).collect()
}

fn check_row_ids(wanted: &Wanted) -> Result<()> {
    let taken =
        [ROW_ID.0, LAST_UPDATED.0].into_iter().find(|name| wanted.schema.field_with_name(name).is_ok());
    let Some(name) = taken else { return Ok(()) };
    let message = format!("the table has a column {name:?} of its own, beside which row ids cannot be given");
    Err(Error::new(ErrorKind::InvalidInput, message))
}

/// Plans the files, with the requests that the [module](self) says, and reads none of them yet.
///
/// # Errors
/// `NotFound` for an unknown column, with the nearest ones; `InvalidInput` for a filter that does not fit the table; `Corrupt` for a node that is not what
/// its reference says; what the store refuses or cannot do. Dropping the future leaves nothing. The stream's own errors are
/// `Corrupt`, naming the object, `Unsupported` for files outside of the lake, and the store's.
impl IntoFuture for Scan {
    type Output = Result<Batches>;
    type IntoFuture = BoxFuture<'static, Result<Batches>>;

    fn into_future(self) -> Self::IntoFuture {
        async {
            let filter = self.bound()?;
            self.start(filter).await
        }
        .boxed()
    }
}
