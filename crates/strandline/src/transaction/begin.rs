//! Beginning a transaction.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::{RefName, TxnId};
use tokio::sync::Mutex;

use crate::commit::Written;
use crate::commit::check::find_key;
use crate::error::{Error, ErrorKind, Result};
use crate::history::Ref;
use crate::lake::{Head, KNOWN_FEATURES, Lake};
use crate::transaction::reads::Reads;
use crate::transaction::work::Work;
use crate::transaction::{Inner, Phase, State, Transaction};
use crate::write::{Uploads, WriteOptions};

/// What a transaction is kept apart from.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::{ErrorKind, Isolation};
///
/// let audit = lake.begin().isolation(Isolation::Serializable).await?;
/// let counted = audit.table("orders").await?.scan().count().await?;
/// audit.append("orders", orders(&[(4, counted as i64)])).await?;
/// // Somebody else changes what was counted. A snapshot would let that pass.
/// lake.append("orders", orders(&[(5, 1)])).await?;
/// assert_eq!(audit.commit().await.unwrap_err().kind(), ErrorKind::Conflict);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// What it reads is of one moment, and two that write the same rows collide. What was only read may be outdated by the
    /// time of the commit.
    #[default]
    Snapshot,
    /// The same, and it collides with whoever touched names, columns or rows that it read, rows that were not there included: the outcome is
    /// that of one transaction after the other. Properties, comments, constraints and keys that were only looked at do not count as read.
    Serializable,
}

/// A transaction that is about to begin: `.await` it.
///
/// One request for the newest head, which brings nothing if it is known; with an idempotency key, the nodes of the history
/// that hold keyed commits. Dropping it leaves nothing.
///
/// ```
#[doc = include_str!("../orders.example")]
/// lake.create_branch("dev").await?;
/// let load = lake.begin().branch("dev").key("load of monday").await?;
/// load.append("orders", orders(&[(4, 99)])).await?;
/// load.commit().await?;
///
/// // The job is run again, and sees that it was done.
/// let again = lake.begin().branch("dev").key("load of monday").await?;
/// assert!(again.committed_before().is_some());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NotFound`, offering the nearest names, if there is no such branch; `InvalidInput` for a name or key that is not allowed; `Unsupported` if the branch
/// requires a feature that is not known; the store's errors.
#[derive(Clone, Debug)]
#[must_use = "a transaction begins when this is awaited"]
pub struct Begin {
    lake: Lake,
    branch: On,
    isolation: Isolation,
    key: Option<String>,
    writing: WriteOptions,
}

/// Where a transaction begins.
#[derive(Clone, Debug)]
enum On {
    Named(String),
    /// The head that a ref has read, which must be the head of a branch.
    Ref(Ref),
    /// The newest head that this process knows: for appends, which need no newer one.
    Known,
}

impl Lake {
    /// Begins a transaction on the branch that the lake was opened at, `main` unless told otherwise, or the one that is set on
    /// what this returns; `.await` carries it out.
    pub fn begin(&self) -> Begin {
        Begin::new(self, On::Named(self.default_branch().as_str().to_owned()))
    }

    /// Begins on the newest head that this process has seen, without asking for a newer one: enough for appends, which never
    /// conflict.
    pub(crate) fn begin_known(&self) -> Begin {
        Begin::new(self, On::Known)
    }
}

impl Ref {
    /// Begins a transaction on exactly the head that this ref has read.
    ///
    /// # Errors
    /// When awaited: `InvalidInput` if it is a tag or a past version, which cannot be written to; else as [`Begin`].
    pub fn begin(&self) -> Begin {
        Begin::new(self.lake(), On::Ref(self.clone()))
    }
}

impl Begin {
    fn new(lake: &Lake, branch: On) -> Self {
        let (isolation, writing) = (Isolation::default(), WriteOptions::default());
        Self { lake: lake.clone(), branch, isolation, key: None, writing }
    }

    /// The branch, instead of that which the lake was opened at.
    pub fn branch(mut self, branch: impl Into<String>) -> Self {
        self.branch = On::Named(branch.into());
        self
    }

    /// What it is kept apart from, instead of [`Isolation::Snapshot`].
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// The same as `.isolation(Isolation::Serializable)`.
    pub fn serializable(self) -> Self {
        self.isolation(Isolation::Serializable)
    }

    /// An idempotency key: of all transactions with this key on the branch, one commits. It holds for one branch, not for
    /// those that are made from it before the commit.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// How data files are written, and how much memory that takes, where their table does not say: see
    /// [`WriteOptions::for_table`]. A transaction has a writer, with that memory, for each table that it has appended rows to since it
    /// last read the table; who appends to very many tables at once gives each less.
    pub fn writing(mut self, options: WriteOptions) -> Self {
        self.writing = options;
        self
    }

    async fn run(self) -> Result<Transaction> {
        let head = self.head().await?;
        head.pointer().features().check_write(KNOWN_FEATURES)?;
        let keyed = self.key.is_some();
        let txn = match &self.key {
            Some(key) if key.is_empty() => {
                return Err(Error::new(ErrorKind::InvalidInput, "an idempotency key of no characters"));
            }
            Some(key) => TxnId::of_key(key),
            None => TxnId::from_bytes(self.lake.storage().runtime().random()?),
        };
        let commit = head.version().clone();
        let already = if keyed { find_key(&head, txn).await? } else { None };
        let state = State {
            work: Work::on(head.snapshot(&self.lake), head.pointer().era()),
            open: BTreeMap::new(),
            pending: Uploads::default(),
            phase: Phase::Open,
            written: Written::default(),
        };
        Ok(Transaction(Arc::new(Inner {
            branch: head.pointer().branch().clone(),
            start: head,
            commit,
            txn,
            keyed,
            isolation: self.isolation,
            writing: self.writing,
            reads: Reads::default(),
            looked: Reads::default(),
            already,
            state: Mutex::new(state),
            lake: self.lake,
        })))
    }

    async fn head(&self) -> Result<Arc<Head>> {
        match &self.branch {
            On::Named(name) => {
                let name = RefName::new(name.as_str())?;
                match self.lake.newest(&name).await {
                    Err(error) => Err(self.lake.explain_branch(&name, error).await),
                    found => found,
                }
            }
            On::Known => {
                let branch = self.lake.default_branch();
                match self.lake.known(branch) {
                    Some(head) => Ok(head),
                    None => self.lake.newest(branch).await,
                }
            }
            On::Ref(at) => at.head().cloned().ok_or_else(|| {
                let message = format!(
                    "version {} is not the head of a branch, and only that can be written to: begin on a branch, or make one from it",
                    at.commit().version()
                );
                Error::new(ErrorKind::InvalidInput, message)
            }),
        }
    }
}

impl IntoFuture for Begin {
    type Output = Result<Transaction>;
    type IntoFuture = BoxFuture<'static, Result<Transaction>>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}
