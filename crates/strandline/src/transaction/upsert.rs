//! Upserts: rows that take the place of those with the same key, or are added.
//!
//! Invariants: no key comes twice, on either side, and none is null; a row that is replaced keeps its id; files whose bounds rule out every key
//! are not read, and of the others first the columns of the key alone. Memory: the rows of one portion ([`WriteOptions::memory_bytes`] ÷ 8), as
//! much again for their keys, and about 64 bytes for each row that has come.
//!
//! What does not belong here: keeping keys unique over transactions that go on at once, which the merge does [REB-17].
//!
//! [`WriteOptions::memory_bytes`]: crate::WriteOptions::memory_bytes

use std::collections::BTreeMap;
use std::future::IntoFuture;

use arrow::array::RecordBatch;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, StreamExt, TryStreamExt};
use strandline_format::{DeletionVector, FileEntry, Filter, Operation, TableName};

use crate::error::Result;
use crate::filter::Predicate;
use crate::scan::{Scan, identify};
use crate::table::TableState;
use crate::transaction::change::{Change, Changed, Needs};
use crate::transaction::key::{Index, Key, Portion};
use crate::transaction::rows::Rows;
use crate::transaction::touch;
use crate::transaction::{RowChanges, RowSet, Transaction};
use crate::tree::FileFilter;

/// How many files are searched at once.
const FILES: usize = 4;

/// Rows that are about to be put in by their keys: `.await` it.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let load = lake.begin().await?;
/// // By the key of the table: 3 is there and becomes another one, 4 is added.
/// load.upsert("orders", orders(&[(3, 7), (4, 99)])).await?;
/// load.commit().await?;
/// assert_eq!(lake.table("orders").await?.rows(), 4);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NotFound`, offering the nearest names; `InvalidInput` if the rows do not fit the table, break a constraint, have a null in the key or
/// a key twice, if the table has a key of theirs twice, or if it has no key and none was given; the store's errors. Nothing has changed then.
#[derive(Debug)]
#[must_use = "rows are put in when this is awaited"]
pub struct Upsert {
    transaction: Transaction,
    table: String,
    rows: Rows,
    by: Option<Vec<String>>,
}

impl Transaction {
    /// Puts rows in by the table's key: each takes the place of the row with its key, whose id it keeps, or is added if there is none.
    /// Whoever adds a row with the key of one that is added here, and commits first, makes this transaction's commit a `Conflict`.
    ///
    /// Columns that the rows do not have get their default, in rows that are replaced too.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strandline::Lake;
    /// use strandline::arrow::array::{Int64Array, RecordBatch};
    /// use std::sync::Arc;
    ///
    /// let lake = Lake::create("memory://upserts").await?;
    /// let batch = |ids: Vec<i64>, ages: Vec<i64>| {
    ///     let ids = Arc::new(Int64Array::from(ids)) as _;
    ///     RecordBatch::try_from_iter([("id", ids), ("age", Arc::new(Int64Array::from(ages)) as _)])
    /// };
    /// let transaction = lake.begin().await?;
    /// transaction.create_table("people").like(&batch(vec![], vec![])?.schema()).await?;
    /// transaction.append("people", batch(vec![1, 2], vec![30, 40])?).await?;
    /// let changes = transaction.upsert("people", batch(vec![2, 3], vec![41, 50])?).by(["id"]).await?;
    /// assert_eq!((changes.updated, changes.inserted), (1, 1));
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn upsert(&self, table: impl Into<String>, rows: impl Into<Rows>) -> Upsert {
        Upsert { transaction: self.clone(), table: table.into(), rows: rows.into(), by: None }
    }
}

impl Transaction {
    /// Says that rows which were put into a table, in whatever way, were first looked up by these columns and not found, as those of a MERGE
    /// are: should another transaction that commits first add a row with the same values, the commit is a `Conflict`. An upsert says so
    /// itself. Without columns, they were looked up by what cannot be told of columns, such as an expression: then whatever the other one changes
    /// in the table's rows is a `Conflict`.
    ///
    /// # Errors
    /// `NotFound` for the table or a column, offering the nearest names; `InvalidInput` for a column that cannot tell rows apart.
    pub async fn looked_up<N: Into<String>>(
        &self,
        table: &str,
        columns: impl IntoIterator<Item = N>,
    ) -> Result<()> {
        let name = TableName::new(table)?;
        let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        let mut state = self.open().await?;
        let now = self.touched_table(&mut state, &name).await?;
        if columns.is_empty() {
            let everything = Predicate::all();
            self.0.looked.scan(now.table.id, &everything.bind(&now.schema)?, everything.to_string());
            return Ok(());
        }
        let key = Key::new(&now, Some(&columns));
        let key = key.map_err(|error| error.at(format_args!("table {:?}", name.as_str())))?;
        let mut draft = state.work.drafted(&name).await?;
        draft.looked_up.insert(key.fields().collect());
        state.work.put_draft(&name, draft, Operation::Append).await
    }
}

impl Upsert {
    /// By these columns, instead of the table's key.
    pub fn by<N: Into<String>>(mut self, columns: impl IntoIterator<Item = N>) -> Self {
        self.by = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// The rows are matched and written without the transaction being held.
    async fn run(self) -> Result<RowChanges> {
        let name = TableName::new(self.table.as_str())?;
        let Self { transaction, rows, by, .. } = self;
        let change = {
            let mut state = transaction.open().await?;
            transaction.begin_change(&mut state, &name, Needs::Rows).await?
        };
        let now = change.now.clone();
        let putting = put(&transaction, change, rows, by.as_deref());
        let changed = putting.await.map_err(|error| error.at(format_args!("table {:?}", name.as_str())))?;
        transaction.enter_later(&name, &now, changed).await
    }
}

async fn put(
    transaction: &Transaction,
    mut change: Change,
    rows: Rows,
    by: Option<&[String]>,
) -> Result<Changed> {
    let now = change.now.clone();
    let mut key = Key::new(&now, by)?;
    change.looked_up(key.fields());
    let limit = transaction.0.writing.memory_bytes / 8;
    let (mut rows, mut gone, mut portion) = (rows.into_stream(), RowSet::new(), Portion::default());
    loop {
        let batch = rows.try_next().await?;
        let last = batch.is_none();
        if let Some(batch) = batch {
            portion.push(change.fit(&batch)?);
        }
        if !portion.is_empty() && (last || portion.bytes() >= limit) {
            let portion = std::mem::take(&mut portion);
            let filter = key.filter(&portion)?;
            transaction.0.reads.scan(now.table.id, &filter, key.text());
            for batch in match_portion(&now, &mut key, &filter, portion, &mut gone).await? {
                change.take(&batch).await?;
            }
        }
        if last {
            return change.finish(touch::located(&now, &gone).await?).await;
        }
    }
}

/// The rows of a portion, each with the id of the row that it replaces; that row's place is noted.
async fn match_portion(
    now: &TableState,
    key: &mut Key,
    filter: &Filter,
    portion: Portion,
    gone: &mut RowSet,
) -> Result<Vec<RecordBatch>> {
    let index = key.index(&portion)?;
    let reach = FileFilter::new(filter.clone(), &now.table, &now.schema);
    let entries = now.trees.collect(&now.table.files, &reach).await?;
    let search = |entry: FileEntry| search(now, key, &index, filter, entry);
    let mut found = stream::iter(entries).map(search).buffered(FILES);
    let mut ids: Vec<Option<u64>> = vec![None; portion.rows()];
    while let Some((entry, matched)) = found.try_next().await? {
        let row_ids = ids_at(now, &entry, matched.keys().copied()).await?;
        for ((position, at), id) in matched.into_iter().zip(row_ids) {
            if ids[at].replace(id).is_some() {
                return Err(key.twice_there(&portion, at));
            }
            gone.insert(entry.id, position)?;
        }
    }
    drop(found);
    portion.with_ids(&ids)
}

/// Which positions of a file have which rows' keys.
async fn search(
    now: &TableState,
    key: &Key,
    index: &Index,
    filter: &Filter,
    entry: FileEntry,
) -> Result<(FileEntry, BTreeMap<u64, usize>)> {
    let scan = Scan::of(touch::alone(now, &entry)).fields(key.fields()).having(filter.clone());
    let mut batches = scan.row_ids(true).await?;
    let mut matched = BTreeMap::new();
    while let Some(batch) = batches.try_next().await? {
        key.look_up(index, &batch, |position, at| {
            matched.insert(position, at);
        })?;
    }
    Ok((entry, matched))
}

/// The ids of the rows at these positions, which ascend.
async fn ids_at(
    now: &TableState,
    entry: &FileEntry,
    positions: impl Iterator<Item = u64>,
) -> Result<Vec<u64>> {
    let wanted = DeletionVector::from_positions(positions)?;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut ids = Vec::new();
    let others = DeletionVector::below(entry.rows)?.added_since(&wanted);
    identify(now, entry, &others, |row| {
        ids.push(row.id);
        Ok(())
    })
    .await?;
    Ok(ids)
}

impl IntoFuture for Upsert {
    type Output = Result<RowChanges>;
    type IntoFuture = BoxFuture<'static, Result<RowChanges>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}
