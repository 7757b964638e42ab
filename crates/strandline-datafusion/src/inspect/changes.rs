//! `t$changes@v2..v4`, `t$net_changes@v2..v4`: what became of the rows of a table after one version up to another one.
//!
//! Invariant: both versions are known before it is planned, since its columns depend on them, and no more is read until rows are
//! asked for. What does not belong here: what counts as a change, which is the SDK's.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};
use strandline::changes::ChangeBatches;
use strandline::{Ref, Result, Table};

use super::listing::Listing;

/// Which changes.
#[derive(Clone, Debug)]
pub(super) struct Of {
    pub(super) table: Table,
    pub(super) from: Ref,
    pub(super) to: Ref,
    /// On balance, and not commit by commit.
    pub(super) net: bool,
}

impl Of {
    async fn read(self) -> Result<ChangeBatches> {
        let changes = self.table.changes(self.from, self.to);
        if self.net { changes.net().await } else { changes.await }
    }
}

pub(super) async fn listing(what: String, of: Of) -> Result<Listing> {
    let first = of.clone().read().await?;
    let empty = RecordBatch::new_empty(Arc::clone(first.schema()));
    // What was begun for the columns serves the first who asks for rows.
    let first = Mutex::new(Some(first));
    Ok(Listing::new(what, &empty, move |_| {
        match first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(batches) => batches.boxed(),
            None => stream::once(of.clone().read()).try_flatten().boxed(),
        }
    }))
}
