//! Taking back what a transaction has done since some moment.
//!
//! Invariant: what was taken back leaves nothing but unreferenced objects; what was read meanwhile stays read. What does not belong here:
//! taking one act back, which happens whole or not at all by itself.

use strandline_format::TxnId;

use super::Transaction;
use super::work::Work;
use crate::error::{Error, ErrorKind, Result};

/// What a transaction had done at some moment: [`Transaction::savepoint`] makes one.
///
/// ```
#[doc = include_str!("../orders.example")]
/// let transaction = lake.begin().await?;
/// transaction.append("orders", orders(&[(4, 99)])).await?;
/// let before = transaction.savepoint().await?;
/// transaction.drop_table("orders").await?;
/// transaction.undo(&before).await?;
/// assert_eq!(transaction.table("orders").await?.rows(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Savepoint {
    txn: TxnId,
    work: Work,
}

impl Transaction {
    /// Remembers what the transaction has done so far, so that what it does from here on can be taken back. What was appended is written to files first.
    ///
    /// Requests: those of storing what was appended. A dropped future leaves the transaction refusing to commit, if it was storing rows.
    ///
    /// # Errors
    /// `InvalidInput` if the transaction has ended or was cut off; the store's errors.
    pub async fn savepoint(&self) -> Result<Savepoint> {
        let mut state = self.open().await?;
        self.finish_appends(&mut state, None).await?;
        Ok(Savepoint { txn: self.id(), work: state.work.clone() })
    }

    /// Takes back all that the transaction has done since. No request.
    ///
    /// # Errors
    /// `InvalidInput` if the savepoint is of another transaction, or this one has ended or was cut off in the middle of an operation.
    pub async fn undo(&self, to: &Savepoint) -> Result<()> {
        if to.txn != self.id() {
            return Err(Error::new(ErrorKind::InvalidInput, "the savepoint is of another transaction"));
        }
        let mut state = self.open().await?;
        state.open.clear();
        state.work = to.work.clone();
        Ok(())
    }
}
