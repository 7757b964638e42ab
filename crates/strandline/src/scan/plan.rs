//! Which files a scan reads: planned from the tree of entries alone.
//!
//! Invariant: pruning never changes results [READ-6]. Entries stay in columns until they are known to be of interest, so planning a
//! large table makes rows only of what is kept. What does not belong here: opening a file.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use strandline_format::tree::Columns;
use strandline_format::{FieldId, FileColumns, FileEntry, Files, Filter, Mask};

use super::by_id::Ids;
use crate::error::Result;
use crate::table::TableState;
use crate::tree::{All, FileFilter, Holding, Select};

/// The files of a table that may hold rows that a scan is after: for a query engine that reads them itself.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
///
/// lake.append("orders", orders(&[(1_000, 1)])).await?;
/// // Statistics say which of the two files is worth a look.
/// let plan = lake.table("orders").await?.scan().filter(col("id").gt(100)).plan().await?;
/// assert_eq!((plan.files.len(), plan.of_files), (1, 2));
/// assert_eq!((plan.rows, plan.of_rows), (1, 4));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// Their entries, in the order of their ids, with the statistics that were [asked for](crate::scan::Scan::statistics_of). Files of which no row
    /// is left are not among them.
    pub files: Vec<FileEntry>,
    /// Of each of them, whether its statistics say that all rows that are left pass the filter.
    pub whole: Vec<bool>,
    /// The rows that are left in them, whether they pass the filter or not.
    pub rows: u64,
    /// The rows that are deleted in them.
    pub deleted: u64,
    /// How many files the table has.
    pub of_files: u64,
    /// How many rows are left in all of them.
    pub of_rows: u64,
}

impl Plan {
    /// Leaves out the files of which all rows pass, and says how many rows these are.
    pub(super) fn take_whole(&mut self) -> u64 {
        let mut rows = 0_u64;
        let mut whole = std::mem::take(&mut self.whole).into_iter();
        self.files.retain(|entry| {
            let open = !whole.next().unwrap_or(false);
            rows = rows.saturating_add(if open { 0 } else { entry.live_rows() });
            open
        });
        self.whole = vec![false; self.files.len()];
        self.rows = self.rows.saturating_sub(rows);
        rows
    }

    /// Leaves out rows with other ids, as far as entries tell them.
    fn only(&mut self, ids: &Ids) -> Result<()> {
        let files = std::mem::take(&mut self.files).into_iter().map(|entry| ids.of_entry(entry));
        let files = files.collect::<Result<Vec<_>>>()?;
        self.files = files.into_iter().filter(|entry| entry.live_rows() > 0).collect();
        self.whole = vec![false; self.files.len()];
        self.rows = self.files.iter().map(FileEntry::live_rows).fold(0, u64::saturating_add);
        Ok(())
    }
}

/// The files that may hold rows that pass; without a filter, the first ones that have `limit` rows. Of rows with these ids, if they are told. What is
/// known of their fields comes with them, or of some alone.
pub(super) async fn plan(
    state: &TableState,
    filter: Option<&Filter>,
    ids: Option<&Ids>,
    limit: Option<u64>,
    known: Option<&BTreeSet<FieldId>>,
) -> Result<Plan> {
    if let Some(ids) = ids {
        let filter = filter.cloned().unwrap_or(Filter::True);
        let reach = FileFilter::new(filter, &state.table, &state.schema);
        let holding = Holding { any_within: |bounds| ids.any_within(bounds), of: &reach };
        let mut plan = keep(state, &holding, |files| Mask::of(true, files.len()), None, known).await?;
        plan.only(ids)?;
        return Ok(plan);
    }
    match filter {
        Some(filter) => {
            let reach = FileFilter::new(filter.clone(), &state.table, &state.schema);
            let doubt = FileFilter::in_doubt(filter, &state.table, &state.schema);
            keep(state, &reach, |files| doubt.entries(files), None, known).await
        }
        None => keep(state, &All, |files| Mask::of(false, files.len()), limit, known).await,
    }
}

async fn keep(
    state: &TableState,
    select: &impl Select<Files>,
    doubt: impl Fn(&FileColumns) -> Mask,
    limit: Option<u64>,
    known: Option<&BTreeSet<FieldId>>,
) -> Result<Plan> {
    let totals = state.table.totals;
    let (of_files, of_rows) = (totals.files, totals.rows);
    let mut plan = Plan { files: Vec::new(), whole: Vec::new(), rows: 0, deleted: 0, of_files, of_rows };
    let enough = |plan: &Plan| limit.is_some_and(|limit| plan.rows >= limit);
    let mut batches = std::pin::pin!(state.trees.scan(&state.table.files, select));
    while !enough(&plan)
        && let Some(batch) = batches.try_next().await?
    {
        let doubt = doubt(&batch.columns);
        for at in batch.keep.ones() {
            let entry = match known {
                Some(known) => batch.columns.item_of(at, known),
                None => batch.columns.item(at),
            };
            if entry.live_rows() == 0 {
                continue;
            }
            if enough(&plan) {
                break;
            }
            plan.rows = plan.rows.saturating_add(entry.live_rows());
            plan.deleted = plan.deleted.saturating_add(entry.rows.saturating_sub(entry.live_rows()));
            plan.files.push(entry);
            plan.whole.push(!doubt.get(at));
        }
    }
    Ok(plan)
}
