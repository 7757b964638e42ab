//! The shortest ways to read a table and to append to one.

use std::sync::Arc;

use strandline_format::{RefName, TableName};

use crate::commit::Report;
use crate::error::{ErrorKind, Result};
use crate::history::Ref;
use crate::lake::{DEFAULT_BRANCH, Lake};
use crate::table::Table;
use crate::transaction::Rows;

impl Lake {
    /// The version that stood at its branch when the lake was opened. No request: whoever has opened it for one thing need not ask
    /// for the newest again.
    ///
    /// ```
    #[doc = include_str!("../orders.example")]
    /// let before = lake.opened().version();
    /// lake.append("orders", orders(&[(4, 99)])).await?;
    /// assert_eq!(lake.opened().version(), before);
    /// assert!(lake.main().await?.version() > before);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn opened(&self) -> Ref {
        Ref::of_head(self.clone(), Arc::clone(&self.0.head))
    }

    /// The newest version of `main`. One request, which brings nothing if the head is the one that is known.
    ///
    /// # Errors
    /// The store's errors; `NotFound` if the branch was deleted.
    pub async fn main(&self) -> Result<Ref> {
        let head = self.newest(&RefName::new(DEFAULT_BRANCH)?).await?;
        Ok(Ref::of_head(self.clone(), head))
    }

    /// A table as the branch that the lake was opened at has it now. One request for the head, and at most two more unless the
    /// table is in its pack.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names; the store's errors.
    pub async fn table(&self, name: &str) -> Result<Table> {
        let head = self.newest(self.default_branch()).await?;
        Ref::of_head(self.clone(), head).table(name).await
    }

    /// Appends rows to a table of the branch that the lake was opened at, as one commit. Batches go upon the newest head that
    /// this process knows, because an append needs no newer one: the requests for the data, the nodes and the commit at once,
    /// and the swap. Only if they do not fit, or there is no such table, or the branch is another one by now, the newest head is asked for.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strandline::Lake;
    /// use strandline::arrow::array::{Int64Array, RecordBatch};
    /// use std::sync::Arc;
    ///
    /// let lake = Lake::create("memory://appends").await?;
    /// let batch = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2])) as _)])?;
    /// let transaction = lake.begin().await?;
    /// transaction.create_table("orders").like(&batch.schema()).await?;
    /// transaction.commit().await?;
    /// let report = lake.append("orders", batch).await?;
    /// assert_eq!(report.tables[0].rows, (2, 0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Transaction::append`](crate::Transaction::append) and
    /// [`CommitTransaction`](crate::transaction::CommitTransaction).
    pub async fn append(&self, table: &str, rows: impl Into<Rows>) -> Result<Report> {
        let rows = rows.into();
        if let Some(batches) = rows.batches() {
            let transaction = self.begin_known().await?;
            match transaction.append(table, batches.to_vec()).await {
                Ok(_) => match transaction.commit().await {
                    // Nothing of it conflicts, so it is the branch: deleted, or made anew.
                    Err(error) if error.kind() == ErrorKind::Conflict && error.conflicts().is_empty() => {}
                    outcome => return outcome,
                },
                // The table may have been made, or altered, since.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {}
                Err(error) => return Err(error),
            }
        }
        let transaction = self.begin().await?;
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
        Ok(Table::at(self.snapshot().table(&TableName::new(name)?).await?, self.clone()))
    }
}
