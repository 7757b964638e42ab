//! The table that a statement writes to, and the transaction in which it does.
//!
//! Invariant: the transaction begins at the commit that the statement's scans read, since the positions of rows are of that
//! commit. What does not belong here: what is written (`sink`).

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::error::Result as DataFusionResult;
use strandline::transaction::Savepoint;
use strandline::{Error, ErrorKind, Report, Result, Transaction};

use crate::catalog::At;
use crate::error::refused;
use crate::pin::altered;
use crate::table::LakeTable;

/// A table to be written to.
#[derive(Clone, Debug)]
pub(crate) struct Target(LakeTable);

impl Target {
    /// A table as it was planned. No request.
    ///
    /// # Errors
    /// `InvalidInput` if it is of a tag or a version.
    pub(crate) fn of(table: &LakeTable) -> DataFusionResult<Self> {
        let At::Ref(at) = table.at() else { return Ok(Self(table.clone())) };
        let place = match at.tag() {
            Some(tag) => format!("tag {:?}", tag.as_str()),
            None => format!("version {}", at.version()),
        };
        let message = format!(
            "table {:?} is read at {place}, which is not the head of a branch: write to a branch",
            table.table().name()
        );
        Err(refused(ErrorKind::InvalidInput, message))
    }

    /// Its name in the lake.
    pub(crate) fn name(&self) -> &str {
        self.0.table().name()
    }

    /// Refuses a table that is another one by now, or has other columns, to a statement that names columns.
    ///
    /// # Errors
    /// `Conflict`; those of finding it.
    pub(crate) async fn check_unaltered(&self, transaction: &Transaction) -> Result<()> {
        let (now, planned) = (transaction.table(self.name()).await?, self.0.table());
        let is_same = now.id() == planned.id() && now.arrow_schema() == planned.arrow_schema();
        if is_same { Ok(()) } else { Err(altered(planned)) }
    }

    /// Begins to write. Outside of an open transaction this begins one, at the head that the statement reads.
    ///
    /// # Errors
    /// Those of beginning a transaction.
    pub(crate) async fn begin(&self, statement: String) -> Result<Writing> {
        let begin = match (self.0.moment(), self.0.at()) {
            (Some((moment, _)), _) => moment.head().await?.begin(),
            (None, At::Transaction(transaction)) => return Ok(Writing::within(transaction)),
            (None, At::Ref(at)) => at.begin(),
            (None, At::Branch(branch)) => self.0.lake().begin().branch(branch.as_str()),
        };
        Ok(Writing::alone(begin.await?, statement))
    }
}

/// A statement in the middle of its work.
#[derive(Debug)]
pub(crate) struct Writing {
    transaction: Transaction,
    /// What the log says of the statement, if the transaction is the statement's and ends with it.
    own: Option<String>,
    /// What is taken back if the statement fails.
    undo: Option<Undo>,
}

/// What a transaction was before a statement of several acts, until that has ended: one that fails or is cut off is taken back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Undo(Arc<Mutex<Option<Savepoint>>>);

impl Undo {
    fn note(&self, savepoint: Option<Savepoint>) -> Option<Savepoint> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), savepoint)
    }

    /// Takes back what has not ended, if there is something.
    ///
    /// # Errors
    /// That of a transaction that cannot go on.
    pub(crate) async fn take_back(&self, transaction: &Transaction) -> Result<()> {
        match self.note(None) {
            Some(savepoint) => transaction.undo(&savepoint).await,
            None => Ok(()),
        }
    }
}

impl Writing {
    /// A statement of one act within a transaction, which goes on after it.
    pub(crate) fn within(transaction: Transaction) -> Self {
        Self { transaction, own: None, undo: None }
    }

    /// A statement of several acts within a transaction: all of them happen, or none.
    ///
    /// # Errors
    /// Those of [`Transaction::savepoint`].
    pub(crate) async fn whole(transaction: Transaction, undo: Undo) -> Result<Self> {
        undo.note(Some(transaction.savepoint().await?));
        Ok(Self { transaction, own: None, undo: Some(undo) })
    }

    /// A statement with a transaction of its own. The log says in short which one it was: its verb and what it was done to.
    pub(crate) fn alone(transaction: Transaction, statement: String) -> Self {
        Self { transaction, own: Some(statement), undo: None }
    }

    /// What the statement acts on.
    pub(crate) fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Ends a statement that has changed nothing: its own transaction is given up.
    pub(crate) async fn leave(self) {
        if self.own.is_some() {
            self.transaction.abandon().await;
        }
    }

    /// Ends the statement: its own transaction commits if all went well and something was done, and is given up if not.
    ///
    /// # Errors
    /// That of the statement; else those of the commit as `wrap` gives them, `Conflict` and `CommitUnknown` among them.
    pub(crate) async fn end<T, E>(
        self,
        outcome: std::result::Result<T, E>,
        wrap: impl FnOnce(Error) -> E,
    ) -> std::result::Result<T, E> {
        self.end_with_report(outcome, wrap).await.map(|(outcome, _)| outcome)
    }

    /// The same, with the report of a commit of its own.
    ///
    /// # Errors
    /// As of [`Writing::end`].
    pub(crate) async fn end_with_report<T, E>(
        self,
        outcome: std::result::Result<T, E>,
        wrap: impl FnOnce(Error) -> E,
    ) -> std::result::Result<(T, Option<Report>), E> {
        let mut report = None;
        if let Some(statement) = self.own {
            // As one IF NOT EXISTS of what is there, or a comment that is given again.
            let changes_nothing = matches!(self.transaction.changes_nothing().await, Ok(true));
            match &outcome {
                Ok(_) if !changes_nothing => {
                    report = Some(self.transaction.commit().message(statement).await.map_err(wrap)?);
                }
                _ => self.transaction.abandon().await,
            }
        }
        if let Some(undo) = self.undo {
            match &outcome {
                Ok(_) => drop(undo.note(None)),
                // It fails if the transaction cannot go on, which then says so itself.
                Err(_) => drop(undo.take_back(&self.transaction).await),
            }
        }
        outcome.map(|outcome| (outcome, report))
    }
}
