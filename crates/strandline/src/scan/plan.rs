//! Which files a scan reads: planned from the tree of entries alone.
//!
//! Invariant: pruning never changes results [READ-6]. Entries stay in columns until they are known to be of interest, so planning a
//! large table makes rows only of what is kept. What does not belong here: opening a file.

use futures::TryStreamExt;
use strandline_format::{FileEntry, Files, Filter};

use crate::error::Result;
use crate::table::TableState;
use crate::tree::{All, FileFilter, Select};

/// The files of a table that may hold rows that a scan is after: for a query engine that reads them itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// Their entries, in the order of their ids. Files of which no row is left are not among them.
    pub files: Vec<FileEntry>,
    /// The rows that are left in them, whether they pass the filter or not.
    pub rows: u64,
    /// How many files the table has.
    pub of_files: u64,
    /// How many rows are left in all of them.
    pub of_rows: u64,
}

/// The files that may hold rows that pass; without a filter, the first ones that have `limit` rows.
pub(super) async fn plan(state: &TableState, filter: Option<&Filter>, limit: Option<u64>) -> Result<Plan> {
    match filter {
        Some(filter) => {
            keep(state, &FileFilter::new(filter.clone(), &state.table, &state.schema), None).await
        }
        None => keep(state, &All, limit).await,
    }
}

async fn keep(state: &TableState, select: &impl Select<Files>, limit: Option<u64>) -> Result<Plan> {
    let totals = state.table.totals;
    let mut plan = Plan { files: Vec::new(), rows: 0, of_files: totals.files, of_rows: totals.rows };
    let enough = |plan: &Plan| limit.is_some_and(|limit| plan.rows >= limit);
    let mut batches = std::pin::pin!(state.trees.scan(&state.table.files, select));
    while !enough(&plan)
        && let Some(batch) = batches.try_next().await?
    {
        for entry in batch.entries().filter(|entry| entry.live_rows() > 0) {
            if enough(&plan) {
                break;
            }
            plan.rows = plan.rows.saturating_add(entry.live_rows());
            plan.files.push(entry);
        }
    }
    Ok(plan)
}
