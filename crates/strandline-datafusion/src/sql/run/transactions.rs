//! Transactions of a session, and those of single statements.
//!
//! Invariant: whatever comes of a commit, the session's transaction is over with it. What does not belong here: what is done in
//! them.

use strandline::{ErrorKind, Isolation, Result, Transaction};

use super::{Run, invalid};
use crate::catalog::At;
use crate::error::only_read;
use crate::write::Writing;

impl Run<'_> {
    /// The transaction that is open, or one of the statement's own, of which the log says this.
    pub(super) async fn acting(&self, statement: String) -> Result<Writing> {
        if let Some(transaction) = &self.standing.transaction {
            return Writing::whole(transaction.clone(), self.standing.undo.clone()).await;
        }
        let transaction = Box::pin(self.begin_on(Isolation::Snapshot)).await?;
        Ok(Writing::alone(transaction, statement))
    }

    async fn begin_on(&self, isolation: Isolation) -> Result<Transaction> {
        match &self.standing.place {
            At::Branch(branch) => self.lake.begin().branch(branch.as_str()).isolation(isolation).await,
            At::Transaction(transaction) => Ok(transaction.clone()),
            At::Ref(at) => Err(only_read(said(at), "USE BRANCH name to write")),
        }
    }

    pub(super) async fn begin(&mut self, isolation: Isolation) -> Result<()> {
        if self.standing.transaction.is_some() {
            return Err(invalid(
                "a transaction is open: COMMIT or ROLLBACK it first, there are none within others",
            ));
        }
        self.standing.transaction = Some(Box::pin(self.begin_on(isolation)).await?);
        self.show_lake();
        Ok(())
    }

    pub(super) async fn commit(&mut self, message: Option<String>) -> Result<()> {
        let transaction = self.ended("COMMIT")?;
        if message.is_none() && transaction.changes_nothing().await? {
            transaction.abandon().await;
            return Ok(());
        }
        let commit = transaction.commit();
        let commit = match message {
            Some(message) => commit.message(message),
            None => commit,
        };
        commit.await.map(drop)
    }

    pub(super) async fn rollback(&mut self) -> Result<()> {
        self.ended("ROLLBACK")?.abandon().await;
        Ok(())
    }

    /// Takes the transaction out of the session, whatever comes of it.
    fn ended(&mut self, by: &str) -> Result<Transaction> {
        let open = self.standing.transaction.take();
        self.show_lake();
        open.ok_or_else(|| invalid(format!("{by} without a transaction: BEGIN opens one")))
    }

    /// Refuses what no transaction holds.
    pub(super) fn outside_of_transactions(&self, what: &str) -> Result<()> {
        match &self.standing.transaction {
            None => Ok(()),
            Some(_) => {
                let message = format!("{what} is not part of a transaction: COMMIT or ROLLBACK it first");
                Err(strandline::Error::new(ErrorKind::InvalidInput, message))
            }
        }
    }
}

/// A version in words.
pub(super) fn said(at: &strandline::Ref) -> String {
    match at.tag() {
        Some(tag) => format!("tag {:?}", tag.as_str()),
        None => format!("version {} of branch {:?}", at.version(), at.branch().as_str()),
    }
}
