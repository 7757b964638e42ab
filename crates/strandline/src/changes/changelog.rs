//! The changelog of a table: what became of its rows, commit by commit or on balance.
//!
//! Invariants: changes come in the order of the commits, and applied one after the other to the rows of the first version they give
//! those of the last; what changes no row (compaction, a rename, a new column) gives none, but a column that comes back does. What does not belong here: how rows
//! of two states are compared (`rows`).

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema, SchemaRef, TimeUnit};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, Stream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use strandline_format::{
    CatalogEntry, EntryType, ObjectRef, Operation, Schema, Seq, TableChange, TableId, Timestamp,
};

use crate::changes::Diff;
use crate::changes::diff::empty;
use crate::changes::files::Sides;
use crate::changes::rows::{self, Reading, RowChange};
use crate::changes::schema::{of_one_side, side_by_side};
use crate::error::{Error, ErrorKind, Result};
use crate::history::{Commit, Ref, Revision};
use crate::merge::Known;
use crate::scan::ROW_ID;
use crate::table::{Table, TableState};

/// The column that says what became of a row: `insert`, `delete`, `update_preimage` or `update_postimage`.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::changes::CHANGE_TYPE;
///
/// let orders = lake.table("orders").await?;
/// let changes = orders.changes("main~1", "main").await?;
/// assert!(changes.schema().field_with_name(CHANGE_TYPE).is_ok());
/// # Ok(())
/// # }
/// ```
pub const CHANGE_TYPE: &str = "_change_type";

/// The column with the version that did it.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::changes::COMMIT_VERSION;
///
/// let orders = lake.table("orders").await?;
/// let changes = orders.changes("main~1", "main").await?;
/// assert!(changes.schema().field_with_name(COMMIT_VERSION).is_ok());
/// # Ok(())
/// # }
/// ```
pub const COMMIT_VERSION: &str = "_commit_version";

/// The column with the time of that version.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::changes::COMMIT_TIMESTAMP;
///
/// let orders = lake.table("orders").await?;
/// let changes = orders.changes("main~1", "main").await?;
/// assert!(changes.schema().field_with_name(COMMIT_TIMESTAMP).is_ok());
/// # Ok(())
/// # }
/// ```
pub const COMMIT_TIMESTAMP: &str = "_commit_timestamp";

/// The changes of a table's rows between two versions, about to be read: `.await` it for its [`ChangeBatches`].
///
/// Requests: those of finding both versions; one for each commit between them; for each commit that changed rows those of
/// [`TableDiff::rows`](crate::changes::TableDiff::rows), as the stream gets there. Memory: the list of commits, and what
/// [`TableDiff::rows`](crate::changes::TableDiff::rows) says, of one commit.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use futures::TryStreamExt;
/// use strandline::filter::col;
///
/// let fix = lake.begin().await?;
/// fix.update("orders", col("id").eq(3)).set("amount", 7).await?;
/// fix.commit().await?;
///
/// // Commit by commit: three inserts, then the row before and after the update. On balance: three inserts.
/// let orders = lake.table("orders").await?;
/// let all: Vec<RecordBatch> = orders.changes("main~2", "main").await?.try_collect().await?;
/// let net: Vec<RecordBatch> = orders.changes("main~2", "main").net().await?.try_collect().await?;
/// let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
/// assert_eq!((rows(&all), rows(&net)), (5, 3));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of [`Lake::at`](crate::Lake::at); `InvalidInput` if the first version does not come before the second one on its branch
/// and changes are asked for commit by commit, or if the table has columns of these names itself; `SnapshotExpired` if a
/// version between them is not kept; `Corrupt` and the store's errors, in the stream too. Dropping it leaves nothing.
#[derive(Clone, Debug)]
#[must_use = "changes are read when this is awaited"]
pub struct Changes {
    table: Table,
    from: Revision,
    to: Revision,
    net: bool,
}

impl Table {
    /// What became of the rows of this table after one version up to another one, that included, whatever it was called then.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::TryStreamExt;
    /// use strandline::Lake;
    /// use strandline::arrow::array::{Int64Array, RecordBatch};
    /// use strandline::filter::col;
    /// use std::sync::Arc;
    ///
    /// let lake = Lake::create("memory://changes").await?;
    /// let batch = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)])?;
    /// let transaction = lake.begin().await?;
    /// transaction.create_table("orders").like(&batch.schema()).await?;
    /// transaction.append("orders", batch).await?;
    /// transaction.commit().await?;
    /// let transaction = lake.begin().await?;
    /// transaction.delete("orders", col("id").eq(2)).await?;
    /// transaction.commit().await?;
    ///
    /// let orders = lake.table("orders").await?;
    /// let changes: Vec<_> = orders.changes("main~", "main").await?.try_collect().await?;
    /// assert_eq!(changes[0].num_rows(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn changes(&self, from: impl Into<Revision>, to: impl Into<Revision>) -> Changes {
        Changes { table: self.clone(), from: from.into(), to: to.into(), net: false }
    }
}

impl Changes {
    /// On balance, not commit by commit: a row comes at most once, with the version and time of the last one. The versions may
    /// then be of any branches, and either may be the older one.
    pub fn net(mut self) -> Self {
        self.net = true;
        self
    }

    async fn run(self) -> Result<ChangeBatches> {
        let at = self.table.version().ok_or_else(|| {
            let message = "a table in a transaction has no past: ask for changes of one that a version has";
            Error::new(ErrorKind::InvalidInput, message)
        })?;
        let lake = at.lake();
        let (from, to) = futures::try_join!(lake.at(self.from), lake.at(self.to))?;
        let (id, name) = (self.table.id(), self.table.name().to_owned());
        let found = match self.net {
            true => net(&self.table, from, to).await,
            false => by_commit(&self.table, from, to).await,
        };
        found.map_err(|error| error.at(format_args!("changes of table {name:?} ({id})")))
    }
}

impl IntoFuture for Changes {
    type Output = Result<ChangeBatches>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

/// Batches of changes: the table's columns, then `_change_type`, `_commit_version`, `_commit_timestamp` and `_row_id`.
///
/// The two rows of an update follow each other, as it was and as it is. Columns are those of the table in the last version, as
/// wide as what came before needs them. After an error nothing more comes.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use futures::TryStreamExt;
///
/// let mut changes = lake.table("orders").await?.changes("main~1", "main").await?;
/// let names: Vec<String> = changes.schema().fields().iter().map(|field| field.name().clone()).collect();
/// assert_eq!(names, ["id", "amount", "_change_type", "_commit_version", "_commit_timestamp", "_row_id"]);
/// let mut rows = 0;
/// while let Some(batch) = changes.try_next().await? {
///     rows += batch.num_rows();
/// }
/// assert_eq!(rows, 3);
/// # Ok(())
/// # }
/// ```
pub struct ChangeBatches {
    schema: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch>>,
}

impl ChangeBatches {
    /// The schema of every batch.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl Stream for ChangeBatches {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_next_unpin(context)
    }
}

impl std::fmt::Debug for ChangeBatches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeBatches").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// What changed from one version to another one, as of the latter.
async fn net(table: &Table, from: Ref, to: Ref) -> Result<ChangeBatches> {
    let moment = Moment { version: to.version(), time: to.commit().time() };
    let diff = Diff::between(from, to).await?;
    let entry = diff.tables().find(|entry| entry.id() == table.id()).cloned();
    let Some(entry) = entry else {
        return Ok(ChangeBatches { schema: Told::of(table.schema())?.0, batches: stream::empty().boxed() });
    };
    let opened = diff.open(&entry).await?;
    let told = Told::of(&opened.reading_schema()?)?;
    let schema = Arc::clone(&told.0);
    let batches = opened.rows().await?.and_then(move |change| {
        let batch = told.batch(&change, moment);
        async move { batch }
    });
    Ok(ChangeBatches { schema, batches: batches.boxed() })
}

/// What each commit changed, the oldest first.
async fn by_commit(table: &Table, from: Ref, to: Ref) -> Result<ChangeBatches> {
    check_order(&from, &to).await?;
    let steps = steps(&to, from.version(), table.id()).await?;
    told(Reader { id: table.id(), at: to }, steps, Some(table.schema())).await
}

/// What some commits changed, in their order; of none, in these columns.
pub(crate) async fn told(
    reader: Reader,
    steps: Vec<Step>,
    of_none: Option<&Schema>,
) -> Result<ChangeBatches> {
    let wide = match (reader.schema_over(&steps).await?, of_none) {
        (Some(schema), _) => schema,
        (None, Some(schema)) => schema.clone(),
        (None, None) => Schema::numbered(Vec::new())?,
    };
    let told = Told::of(&wide)?;
    let (schema, wide, reader) = (Arc::clone(&told.0), Arc::new(wide), Arc::new(reader));
    let of_step = move |step: Step| {
        let (reader, wide, told) = (Arc::clone(&reader), Arc::clone(&wide), told.clone());
        async move {
            let moment = step.moment;
            let changes = match reader.changes(&step, wide).await {
                Ok(changes) => changes,
                Err(error) => return Err(reader.at.explain(error).await),
            };
            Ok(changes.and_then(move |change| std::future::ready(told.batch(&change, moment))))
        }
    };
    let batches = stream::iter(steps).then(of_step).try_flatten().boxed();
    Ok(ChangeBatches { schema, batches })
}

/// Refuses two versions of which the first does not come before the second one.
async fn check_order(from: &Ref, to: &Ref) -> Result<()> {
    let entry = to.line().entry(from.version()).await?;
    if from.version() <= to.version() && entry.is_some_and(|entry| entry.commit.hash == from.commit().hash())
    {
        return Ok(());
    }
    let message = format!(
        "version {} ({}) does not come before version {} ({}) on its branch: ask for the net changes",
        from.version(),
        from.commit().hash(),
        to.version(),
        to.commit().hash()
    );
    Err(Error::new(ErrorKind::InvalidInput, message))
}

/// One commit that changed a table's rows.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) moment: Moment,
    pub(crate) change: TableChange,
}

/// When it happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) version: Seq,
    pub(crate) time: Timestamp,
}

impl Step {
    /// What a commit did to the rows of a table, if it did anything.
    pub(crate) fn of(commit: &Commit, id: TableId) -> Option<Self> {
        let change = commit.changes().iter().find(|change| change.table == id)?;
        let moment = Moment { version: commit.version(), time: commit.time() };
        Some(Self { moment, change: change.clone() })
    }

    /// Operations that touch no row, whatever files they write. A column that goes takes values along if it comes back later.
    fn leaves_rows(&self) -> bool {
        matches!(self.change.operation, Operation::Compact | Operation::Rename)
    }
}

async fn steps(to: &Ref, after: Seq, id: TableId) -> Result<Vec<Step>> {
    if after >= to.version() {
        return Ok(Vec::new());
    }
    let commits = to.log().forwards().from(after.next()?).table(id).stream();
    let step = |commit: Commit| std::future::ready(Ok(Step::of(&commit, id)));
    commits.try_filter_map(step).try_collect().await
}

/// Reads the states of one table through a version that keeps them.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) id: TableId,
    pub(crate) at: Ref,
}

impl Reader {
    async fn state(&self, step: &Step, node: Option<ObjectRef>) -> Result<Option<TableState>> {
        let Some(node) = node else { return Ok(None) };
        let name = step.change.name.clone();
        let entry = CatalogEntry { name, entry_type: EntryType::Table, id: self.id, node };
        self.at.snapshot().table_of(&entry).await.map(Some)
    }

    /// The columns in which the changes of all steps are told: those of the last state. Where a state was taken back, those in
    /// between may have been wider. `None` without steps.
    async fn schema_over(&self, steps: &[Step]) -> Result<Option<Schema>> {
        let Some(last) = steps.last() else { return Ok(None) };
        let node = last.change.new.or(last.change.old);
        let Some(state) = self.state(last, node).await? else { return Ok(None) };
        let mut schema = (*state.schema).clone();
        let takes_back = |step: &Step| matches!(step.change.operation, Operation::Restore | Operation::Merge);
        if steps.iter().any(takes_back) {
            for step in steps {
                for node in [step.change.old, step.change.new] {
                    if let Some(state) = self.state(step, node).await? {
                        schema = side_by_side(&state.schema, &schema)?;
                    }
                }
            }
        }
        Ok(Some(schema))
    }

    /// What a step did to rows.
    pub(crate) async fn changes(
        &self,
        step: &Step,
        schema: Arc<Schema>,
    ) -> Result<BoxStream<'static, Result<RowChange>>> {
        if step.leaves_rows() {
            return Ok(stream::empty().boxed());
        }
        let states = (self.state(step, step.change.old), self.state(step, step.change.new));
        let (before, after) = match futures::try_join!(states.0, states.1)? {
            (Some(before), Some(after)) => (before, after),
            (Some(before), None) => (before.clone(), empty(&before)),
            (None, Some(after)) => (empty(&after), after),
            (None, None) => return Ok(stream::empty().boxed()),
        };
        let known = Known::on_one_line(&before.table, &after.table);
        let trees = &after.trees;
        let sides = Sides { trees, before: &before.table, after: &after.table, known: &known };
        let of_one_side = of_one_side(&schema, (&before.schema, &after.schema));
        let parts = sides.parts((&before, &after), &of_one_side).await?;
        Ok(Reading::new(before, after, schema, known).changes(parts))
    }
}

/// Makes batches of changes, of this schema.
#[derive(Clone, Debug)]
struct Told(SchemaRef);

impl Told {
    fn of(schema: &Schema) -> Result<Self> {
        let rows = rows::columns(schema);
        let added = [CHANGE_TYPE, COMMIT_VERSION, COMMIT_TIMESTAMP];
        if let Some(taken) = added.into_iter().find(|name| rows.field_with_name(name).is_ok()) {
            let message = format!("the table has a column {taken:?} of its own");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let types = [DataType::Utf8, DataType::UInt64, utc];
        let added = added.into_iter().zip(types).map(|(name, ty)| Arc::new(Field::new(name, ty, false)));
        let (ids, columns): (Vec<FieldRef>, Vec<FieldRef>) =
            rows.fields().iter().cloned().partition(|field| field.name() == ROW_ID.0);
        let fields: Vec<FieldRef> = columns.into_iter().chain(added).chain(ids).collect();
        Ok(Self(Arc::new(ArrowSchema::new(fields))))
    }

    fn batch(&self, change: &RowChange, moment: Moment) -> Result<RecordBatch> {
        let (rows, kinds) = match change {
            RowChange::Inserted(rows) => (rows.clone(), ["insert"; 2]),
            RowChange::Deleted(rows) => (rows.clone(), ["delete"; 2]),
            RowChange::Updated { before, after } => {
                let places: Vec<(usize, usize)> =
                    (0..after.num_rows()).flat_map(|row| [(0, row), (1, row)]).collect();
                let both = interleave_record_batch(&[before, after], &places).map_err(rows::broken)?;
                (both, ["update_preimage", "update_postimage"])
            }
        };
        let count = rows.num_rows();
        let kinds: StringArray = (0..count).map(|row| Some(kinds[row % 2])).collect();
        let versions = UInt64Array::from(vec![moment.version.0; count]);
        let times =
            TimestampMicrosecondArray::from(vec![moment.time.as_micros(); count]).with_timezone("UTC");
        let (ids, columns) = rows.columns().split_last().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "rows without columns cannot be told as changes")
        })?;
        let added: [ArrayRef; 3] = [Arc::new(kinds), Arc::new(versions), Arc::new(times)];
        let all = columns.iter().cloned().chain(added).chain([Arc::clone(ids)]).collect();
        RecordBatch::try_new(Arc::clone(&self.0), all).map_err(rows::broken)
    }
}
