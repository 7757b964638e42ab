//! `t$history`: the commits that changed a table, newest first, and what they did to it.

use datafusion::arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};
use strandline::format::{TableChange, TableId};
use strandline::{Commit, Result};

use super::Told;
use super::columns::{batch, maybe_texts, numbers, texts, times};
use super::listing::Listing;

/// How many commits are told of in one batch.
const BATCH: usize = 1024;

type Changed = (Commit, TableChange);

pub(super) fn listing(what: String, told: Told, table: TableId) -> Result<Listing> {
    let empty = history(&[])?;
    Ok(Listing::new(what, &empty, move |moments| {
        let told = told.clone();
        let version = async move { told.version(&moments).await };
        let commits = stream::once(version).map_ok(move |at| at.log().table(table).stream()).try_flatten();
        let batches = commits.try_chunks(BATCH).map(move |chunk| {
            let (chunk, error) = match chunk {
                Ok(chunk) => (chunk, None),
                Err(broken) => (broken.0, Some(broken.1)),
            };
            let rows: Vec<Changed> = chunk.iter().flat_map(|commit| changes(commit, table)).collect();
            [Some(history(&rows)), error.map(Err)]
        });
        batches.flat_map(|batches| stream::iter(batches.into_iter().flatten())).boxed()
    }))
}

fn changes(commit: &Commit, table: TableId) -> Vec<Changed> {
    let of_table = commit.changes().iter().filter(|change| change.table == table);
    of_table.map(|change| (commit.clone(), change.clone())).collect()
}

fn history(rows: &[Changed]) -> Result<RecordBatch> {
    batch(vec![
        numbers(rows, "version", |(commit, _)| commit.version().0),
        times(rows, "time", |(commit, _)| commit.time()),
        texts(rows, "operation", |(_, change)| change.operation.as_str().to_owned()),
        numbers(rows, "rows_added", |(_, change)| change.rows.added),
        numbers(rows, "rows_removed", |(_, change)| change.rows.removed),
        numbers(rows, "files_added", |(_, change)| change.files.added),
        numbers(rows, "files_removed", |(_, change)| change.files.removed),
        numbers(rows, "bytes_added", |(_, change)| change.bytes.added),
        numbers(rows, "bytes_removed", |(_, change)| change.bytes.removed),
        texts(rows, "name", |(_, change)| change.name.as_str().to_owned()),
        maybe_texts(rows, "renamed_from", |(_, change)| {
            change.renamed_from.as_ref().map(|name| name.as_str().to_owned())
        }),
        texts(rows, "author", |(commit, _)| commit.author().to_owned()),
        texts(rows, "message", |(commit, _)| commit.message().to_owned()),
        texts(rows, "commit", |(commit, _)| commit.hash().to_string()),
        texts(rows, "transaction", |(commit, _)| commit.txn().to_string()),
    ])
}
