//! Transactions over any number of tables of one branch (chapter TXN of the protocol).
//!
//! A transaction pins the head that it begins on: all that it reads is of that commit, plus its own writes [TXN-14]. Data files
//! are encoded and uploaded while they are produced; nothing of it is visible before the commit, and a transaction that is
//! dropped leaves nothing but unreferenced objects. Invariants: its id is chosen once [TXN-1]; an operation happens whole or
//! not at all, and one that was cut off in the middle makes the transaction refuse to commit. What does not belong here: the
//! commit loop (`commit`), and encoding (`write`).

mod alter;
mod annotate;
mod begin;
mod change;
mod compact;
mod create;
pub(crate) mod draft;
pub(crate) mod key;
mod overwrite;
pub(crate) mod reads;
mod row_set;
mod row_writer;
mod rows;
mod savepoint;
mod sieve;
mod splits;
mod touch;
mod update;
mod upsert;
pub(crate) mod work;

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{
    Author, EntryType, Message, Namespace, PropertyKey, PropertyValue, RefName, TableId, TableName, TxnId,
    View,
};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

pub use alter::{AlterTable, Place};
pub use annotate::Annotate;
pub use begin::{Begin, Isolation};
pub use change::RowChanges;
pub use compact::{Compact, Compacted};
pub use create::CreateTable;
pub(crate) use create::field_at;
pub use overwrite::{Overwrite, Overwritten};
pub use row_set::RowSet;
pub(crate) use row_writer::{fit_rows, write_rows};
pub use rows::Rows;
pub use savepoint::Savepoint;
pub(crate) use touch::{alone, check_rows};
pub use update::Update;
pub use upsert::Upsert;

use crate::commit::build::Label;
use crate::commit::{Member, Patience, Report, Unresolved, Written};
use crate::error::{Error, ErrorKind, Result};
use crate::history::Commit;
use crate::lake::{Head, Lake};
use crate::table::Table;
use crate::transaction::reads::Reads;
use crate::transaction::rows::Slot;
use crate::transaction::work::{StandingId, Work};
use crate::write::{Uploads, WriteOptions};

/// A transaction that is open. Cloning gives another handle to the same one.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::Lake;
/// use strandline::arrow::array::{Int64Array, RecordBatch};
/// use std::sync::Arc;
///
/// let lake = Lake::create("memory://transactions").await?;
/// let batch = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2])) as _)])?;
/// let transaction = lake.begin().await?;
/// transaction.create_table("orders").like(&batch.schema()).await?;
/// transaction.append("orders", batch).await?;
/// let report = transaction.commit().message("the first orders").await?;
/// assert_eq!(report.commit.version().0, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Transaction(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lake: Lake,
    branch: RefName,
    start: Arc<Head>,
    commit: Commit,
    txn: TxnId,
    keyed: bool,
    isolation: Isolation,
    /// How its files are written where their table does not say.
    writing: WriteOptions,
    reads: Reads,
    /// What rows were looked up by before others were put in, where that counts under any isolation [REB-17].
    looked: Reads,
    /// The commit of an earlier run with the same idempotency key.
    already: Option<Commit>,
    state: Mutex<State>,
}

/// What the transaction has done.
#[derive(Debug)]
struct State {
    work: Work,
    /// Rows that were appended and are being encoded, by table.
    open: BTreeMap<TableId, Arc<Mutex<Slot>>>,
    /// Files that are listed, and may still be on their way into the store.
    pending: Uploads,
    phase: Phase,
    written: Written,
}

/// Whether the transaction still takes anything.
#[derive(Clone, Debug)]
enum Phase {
    Open,
    /// It was handed to the committer, or was given up.
    Ended,
    /// An operation was cut off half-way: what of it was done is not known.
    Broken(String),
}

impl State {
    fn check_open(&self) -> Result<()> {
        match &self.phase {
            Phase::Open => Ok(()),
            Phase::Ended => {
                Err(Error::new(ErrorKind::InvalidInput, "this transaction has ended: begin another"))
            }
            Phase::Broken(why) => {
                let message = format!("this transaction cannot go on, begin another: {why}");
                Err(Error::new(ErrorKind::InvalidInput, message))
            }
        }
    }
}

impl Transaction {
    /// Its id, which is found in the history once it has committed.
    #[must_use]
    pub fn id(&self) -> TxnId {
        self.0.txn
    }

    /// The lake that it is of.
    #[must_use]
    pub fn lake(&self) -> &Lake {
        &self.0.lake
    }

    /// The branch that it commits to.
    #[must_use]
    pub fn branch(&self) -> &RefName {
        &self.0.branch
    }

    /// The commit that it reads.
    #[must_use]
    pub fn start(&self) -> &Commit {
        &self.0.commit
    }

    /// The commit that an earlier run with the same idempotency key made: then there is nothing left to do, and committing
    /// this one changes nothing.
    #[must_use]
    pub fn committed_before(&self) -> Option<&Commit> {
        self.0.already.as_ref()
    }

    /// What to look for if this process loses sight of the commit.
    #[must_use]
    pub fn unresolved(&self) -> Unresolved {
        Unresolved {
            branch: self.0.branch.clone(),
            txn: self.0.txn,
            keyed: self.0.keyed,
            start: self.0.commit.version(),
            start_commit: self.0.commit.hash(),
        }
    }

    /// A table as the transaction sees it, its own writes included. What was appended to it and is still being encoded is
    /// written to files first.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names; the store's errors.
    pub async fn table(&self, name: &str) -> Result<Table> {
        let name = TableName::new(name)?;
        let mut state = self.open().await?;
        self.0.reads.name(&name);
        let id = self.find_table(&state, &name).await?;
        self.finish_appends(&mut state, Some(id)).await?;
        let table = state.work.table(&name).await?;
        self.0.reads.schema(id);
        Ok(Table::in_transaction(table, self.0.reads.clone()))
    }

    /// A view as the transaction sees it.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names; the store's errors.
    pub async fn view(&self, name: &str) -> Result<View> {
        let name = TableName::new(name)?;
        let state = self.open().await?;
        self.0.reads.name(&name);
        state.work.view(&name).await
    }

    /// A namespace as the transaction sees it: what is told of it.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names.
    pub async fn namespace(&self, name: &str) -> Result<Namespace> {
        let name = TableName::new(name)?;
        let state = self.open().await?;
        self.0.reads.name(&name);
        state.work.namespace(&name).await
    }

    /// The names that stand, of a namespace or of the whole lake: tables, views and namespaces.
    ///
    /// # Errors
    /// `NotFound` if there is no such namespace; the store's errors.
    pub async fn list(&self, namespace: Option<&str>) -> Result<Vec<(String, EntryType)>> {
        let namespace = namespace.map(TableName::new).transpose()?;
        let state = self.open().await?;
        self.0.reads.listing(namespace.as_ref());
        if let Some(name) = &namespace {
            self.0.reads.name(name);
            state.work.expect(name, EntryType::Namespace).await?;
        }
        let within = |name: &TableName| match &namespace {
            Some(namespace) => name.namespace().is_some_and(|around| around.key() == namespace.key()),
            None => true,
        };
        let entries = state.work.entries().await?.into_iter().filter(|(name, ..)| within(name));
        Ok(entries.map(|(name, entry_type, _)| (name.as_str().to_owned(), entry_type)).collect())
    }

    /// Drops a table or view. What it held stays readable at earlier versions.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names; `InvalidInput` for a namespace.
    pub async fn drop_table(&self, name: &str) -> Result<()> {
        self.drop_named(name, &[EntryType::Table, EntryType::View]).await
    }

    /// Drops a namespace that holds nothing.
    ///
    /// # Errors
    /// `NotFound` if there is none; `InvalidInput`, naming what it holds, if it is not empty.
    pub async fn drop_namespace(&self, name: &str) -> Result<()> {
        self.drop_named(name, &[EntryType::Namespace]).await
    }

    async fn drop_named(&self, name: &str, allowed: &[EntryType]) -> Result<()> {
        let name = TableName::new(name)?;
        let mut state = self.open().await?;
        self.0.reads.name(&name);
        let standing = match state.work.standing(&name).await? {
            Some(standing) if allowed.contains(&standing.entry_type()) => standing,
            Some(other) => {
                let message = format!("{:?} is a {}", name.as_str(), other.entry_type().as_str());
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            None => {
                return Err(state
                    .work
                    .expect(&name, allowed[0])
                    .await
                    .err()
                    .unwrap_or_else(|| missing(&name)));
            }
        };
        let (id, written, is_namespace) =
            (standing.id(), standing.name().clone(), standing.entry_type() == EntryType::Namespace);
        let standing = StandingId::from(standing);
        if is_namespace {
            refuse_members(&self.0.reads, &state.work, &name, "is not empty").await?;
        }
        state.open.remove(&id);
        state.work.drop_standing(standing, &written);
        Ok(())
    }

    /// Gives a table, view or empty namespace another name, in the same namespace or another one.
    ///
    /// # Errors
    /// `NotFound` if there is none; `AlreadyExists` if something has the new name; `InvalidInput` for a namespace that holds
    /// something, or would stand in itself.
    pub async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (TableName::new(from)?, TableName::new(to)?);
        let mut state = self.open().await?;
        self.0.reads.name(&from);
        self.0.reads.name(&to);
        if let Some(standing) = state.work.standing(&from).await? {
            let id = standing.id();
            self.finish_appends(&mut state, Some(id)).await?;
        }
        let Some(standing) = state.work.standing(&from).await? else {
            return Err(state
                .work
                .expect(&from, EntryType::Table)
                .await
                .err()
                .unwrap_or_else(|| missing(&from)));
        };
        let is_namespace = standing.entry_type() == EntryType::Namespace;
        let (standing, written) = (standing.name().clone(), StandingId::from(standing));
        if is_namespace {
            refuse_members(
                &self.0.reads,
                &state.work,
                &from,
                "holds something, and can only be renamed empty",
            )
            .await?;
            refuse_itself(&from, &to)?;
        }
        if from.key() != to.key() {
            create::refuse_taken(&state.work, &to).await?;
        }
        create::require_namespace(&self.0.reads, &state.work, &to).await?;
        state.work.rename(written, &standing, &to);
        Ok(())
    }

    /// Ends the transaction without a commit. Dropping its last handle does the same.
    pub async fn abandon(&self) {
        let mut state = self.0.state.lock().await;
        state.open.clear();
        state.phase = Phase::Ended;
    }

    /// Whether committing it would make a version without a change: nothing was done in it, or what was done comes to what had been there.
    ///
    /// ```
    #[doc = include_str!("../orders.example")]
    /// let transaction = lake.begin().await?;
    /// transaction.alter_table("orders").comment("what was sold").await?;
    /// assert!(!transaction.changes_nothing().await?);
    /// transaction.alter_table("orders").comment("").await?;
    /// assert!(transaction.changes_nothing().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Requests: those of reading what it touched as it was, where that is not known any more.
    ///
    /// # Errors
    /// `InvalidInput` if it has ended, or was cut off in the middle of an operation; the store's errors.
    pub async fn changes_nothing(&self) -> Result<bool> {
        let state = self.open().await?;
        for slot in state.open.values() {
            if slot.lock().await.has_rows() {
                return Ok(false);
            }
        }
        state.work.changes_nothing().await
    }

    /// Commits; `.await` carries it out. See [`CommitTransaction`].
    pub fn commit(&self) -> CommitTransaction {
        CommitTransaction {
            transaction: self.clone(),
            label: Ok(Label::default()),
            patience: Patience::default(),
        }
    }

    async fn open(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.0.state.lock().await;
        state.check_open()?;
        Ok(state)
    }
}

fn missing(name: &TableName) -> Error {
    Error::new(ErrorKind::NotFound, format!("nothing is called {:?}", name.as_str()))
}

/// Refuses to take a namespace away from what stands in it [CAT-4]. What that is was listed, then [REB-12].
async fn refuse_members(reads: &Reads, work: &Work, namespace: &TableName, why: &str) -> Result<()> {
    reads.listing(Some(namespace));
    let entries = work.entries().await?;
    let within = |name: &TableName| name.namespace().is_some_and(|around| around.key() == namespace.key());
    let members: Vec<&str> =
        entries.iter().filter(|(name, ..)| within(name)).map(|(name, ..)| name.as_str()).take(3).collect();
    if members.is_empty() {
        return Ok(());
    }
    let message = format!("namespace {:?} {why}: {}", namespace.as_str(), members.join(", "));
    Err(Error::new(ErrorKind::InvalidInput, message))
}

/// Refuses to put a namespace into itself, where nothing would hold it [CAT-4].
fn refuse_itself(namespace: &TableName, to: &TableName) -> Result<()> {
    let mut around = to.namespace();
    while let Some(name) = around {
        if name.key() == namespace.key() {
            let message =
                format!("namespace {:?} cannot stand in itself, as {:?}", namespace.as_str(), to.as_str());
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        around = name.namespace();
    }
    Ok(())
}

/// Transactions with so many bytes of data hand them to the store before they go to the committer, where their upload would use
/// up the time of the commit, and hold up everybody who goes in the same swap.
const ALONG: u64 = 1 << 20;

/// A commit that is about to be made: `.await` it.
///
/// Two waves of requests after the last byte of data: the files that are not stored yet, if all of them are small, all nodes and the
/// commit at once, then one swap of the pointer. The patience begins with the first wave. If the branch has moved, the work is carried over in metadata and tried again. Transactions of one
/// process on one branch go in one swap. A dropped future leaves the outcome unknown: the commit goes on by itself, and its id tells later.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let load = lake.begin().await?;
/// load.append("orders", orders(&[(4, 99)])).await?;
/// let report = load.commit().message("the orders of monday").author("ada").property("job", "17").await?;
/// assert_eq!((report.commit.message(), report.commit.author()), ("the orders of monday", "ada"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `Conflict`, with [`Error::conflicts`], if somebody else's commit stands in the way; `CommitUnknown`, with
/// [`Error::unresolved`], if it could not be found out in time whether it happened; `Unavailable` if it certainly did not,
/// because the store could not be reached or others were always faster; `SnapshotExpired` if the start was expired meanwhile;
/// `InvalidInput` if the transaction has ended or was cut off in the middle of an operation; else what the store refuses.
#[derive(Debug)]
#[must_use = "a transaction commits when this is awaited"]
pub struct CommitTransaction {
    transaction: Transaction,
    label: Result<Label>,
    patience: Patience,
}

impl CommitTransaction {
    /// Why; the log shows it.
    pub fn message(self, message: impl Into<String>) -> Self {
        self.labelled(|label| {
            label.message = Message::new(message)?;
            Ok(())
        })
    }

    /// Who; the log shows it.
    pub fn author(self, author: impl Into<String>) -> Self {
        self.labelled(|label| {
            label.author = Author::new(author)?;
            Ok(())
        })
    }

    /// Something that programs keep with the commit.
    pub fn property(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labelled(|label| Ok(label.properties.set(PropertyKey::new(key)?, PropertyValue::new(value)?)?))
    }

    /// How often and how long it is tried.
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// How long it is tried in all.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.patience.timeout = timeout;
        self
    }

    fn labelled(mut self, set: impl FnOnce(&mut Label) -> Result<()>) -> Self {
        self.label = self.label.and_then(|mut label| set(&mut label).map(|()| label));
        self
    }

    async fn run(self) -> Result<Report> {
        let label = self.label?;
        let inner = &self.transaction.0;
        if let Some(commit) = &inner.already {
            return Ok(Report { already: true, ..Report::of(commit.clone()) });
        }
        let member = self.transaction.end(label, self.patience).await?;
        inner.lake.carry_through(&inner.branch, member).await
    }
}

impl IntoFuture for CommitTransaction {
    type Output = Result<Report>;
    type IntoFuture = BoxFuture<'static, Result<Report>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

impl Transaction {
    /// Finishes what is being written and takes the work out, for the committer.
    async fn end(&self, label: Label, patience: Patience) -> Result<Member> {
        let begun = Instant::now();
        let mut state = self.open().await?;
        let mut uploads = self.seal_appends(&mut state, None).await?;
        uploads.extend(std::mem::take(&mut state.pending));
        if state.written.bytes > ALONG {
            state.stored(&mut uploads).await?;
        }
        state.phase = Phase::Ended;
        state.written.took = begun.elapsed();
        let work = std::mem::replace(
            &mut state.work,
            Work::on(self.0.start.snapshot(&self.0.lake), self.0.start.pointer().era()),
        );
        let mut reads = self.0.looked.so_far();
        if self.0.isolation == Isolation::Serializable {
            reads = self.0.reads.so_far().and(reads);
        }
        Ok(Member {
            txn: self.0.txn,
            keyed: self.0.keyed,
            start: self.0.commit.clone(),
            work,
            reads: Some(reads).filter(|reads| !reads.is_empty()),
            label,
            patience,
            written: state.written,
            uploads,
            brings: None,
        })
    }
}
