//! The shortest ways to read a table and to append to one.

use strandline_format::{RefName, TableName};

use crate::commit::Report;
use crate::error::{ErrorKind, Result};
use crate::history::Ref;
use crate::lake::{DEFAULT_BRANCH, Lake};
use crate::table::Table;
use crate::transaction::Rows;

impl Lake {
    /// The newest version of `main`. One request, which brings nothing if the head is the one that is known.
    ///
    /// # Errors
    /// The store's errors; `NotFound` if the branch was deleted.
    pub async fn main(&self) -> Result<Ref> {
        let head = self.newest(&RefName::new(DEFAULT_BRANCH)?).await?;
        Ok(Ref::of_head(self.clone(), head))
    }

    /// A table as `main` has it now. One request for the head, and at most two more unless the table is in its pack.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names; the store's errors.
    pub async fn table(&self, name: &str) -> Result<Table> {
        self.main().await?.table(name).await
    }

    /// Appends rows to a table of `main`, as one commit. It begins on the newest head that this process knows, because an
    /// append needs no newer one: the requests for the data, the nodes and the commit at once, and the swap.
    ///
    /// # Errors
    /// As [`Transaction::append`](crate::Transaction::append) and
    /// [`CommitTransaction`](crate::transaction::CommitTransaction).
    pub async fn append(&self, table: &str, rows: impl Into<Rows>) -> Result<Report> {
        let name = TableName::new(table)?;
        let mut transaction = self.begin_known().await?;
        if let Err(error) = transaction.require_table(&name).await {
            if error.kind() != ErrorKind::NotFound {
                return Err(error);
            }
            // It may have been made since.
            transaction = self.begin().await?;
        }
        transaction.append(table, rows).await?;
        transaction.commit().await
    }
}

impl Ref {
    /// A table as this version has it. At most two requests, none if it is in the pack.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names; `Corrupt` for a node that is not what its reference says; the store's errors.
    pub async fn table(&self, name: &str) -> Result<Table> {
        Ok(Table::at(self.snapshot().table(&TableName::new(name)?).await?))
    }
}
