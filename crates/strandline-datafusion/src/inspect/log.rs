//! `lake_log()`: the commits up to a reference, newest first, with what each did.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListArray, RecordBatch, StructArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field};
use futures::{StreamExt, TryStreamExt, stream};
use strandline::format::TableChange;
use strandline::{Commit, Ref, Result};

use super::columns::{Column, batch, maybe_texts, numbers, texts, times};
use super::defect;
use super::listing::Listing;
use crate::catalog::{At, LakeCatalog};
use crate::pin::Moment;
use crate::sql::lookup;

/// How many commits are told of in one batch.
const BATCH: usize = 1024;

pub(super) fn listing(catalog: LakeCatalog, from: Option<String>, limit: Option<u64>) -> Result<Listing> {
    let empty = log(&[])?;
    let follows = match (catalog.at(), &from) {
        (At::Branch(branch), None) => {
            Some((Moment::unseen(catalog.lake().clone(), branch.clone()), catalog.used()))
        }
        _ => None,
    };
    let listing = Listing::new("lake_log()", &empty, move |moments| {
        let (catalog, from) = (catalog.clone(), from.clone());
        let at = async move {
            let catalog = catalog.at_moments(&moments).await?;
            match from {
                Some(text) => catalog.find(&text).await,
                None => lookup::present(&catalog).await,
            }
        };
        stream::once(at).map_ok(move |at| batches(&at, limit)).try_flatten().boxed()
    });
    Ok(match follows {
        Some((moment, used)) => listing.following(moment, used),
        None => listing,
    })
}

fn batches(at: &Ref, limit: Option<u64>) -> stream::BoxStream<'static, Result<RecordBatch>> {
    let log_of = at.log();
    let commits = match limit {
        Some(limit) => log_of.limit(limit).stream(),
        None => log_of.stream(),
    };
    let batches = commits.try_chunks(BATCH).map(|chunk| match chunk {
        Ok(chunk) => [Some(log(&chunk)), None],
        Err(broken) => [Some(log(&broken.0)), Some(Err(broken.1))],
    });
    batches.flat_map(|batches| stream::iter(batches.into_iter().flatten())).boxed()
}

fn log(commits: &[Commit]) -> Result<RecordBatch> {
    batch(vec![
        numbers(commits, "version", |commit| commit.version().0),
        times(commits, "time", Commit::time),
        texts(commits, "author", |commit| commit.author().to_owned()),
        texts(commits, "message", |commit| commit.message().to_owned()),
        changes(commits)?,
        texts(commits, "commit", |commit| commit.hash().to_string()),
        maybe_texts(commits, "parent", |commit| commit.parent().map(|hash| hash.to_string())),
        maybe_texts(commits, "merged", |commit| commit.merged().map(|merged| merged.hash.to_string())),
        texts(commits, "transaction", |commit| commit.txn().to_string()),
    ])
}

/// What each commit did: a list, with an item for each table, view or namespace.
fn changes(commits: &[Commit]) -> Result<Column> {
    let all: Vec<&TableChange> = commits.iter().flat_map(Commit::changes).collect();
    let items = batch(vec![
        texts(&all, "name", |change| change.name.as_str().to_owned()),
        texts(&all, "kind", |change| change.entry_type.as_str().to_owned()),
        texts(&all, "operation", |change| change.operation.as_str().to_owned()),
        numbers(&all, "rows_added", |change| change.rows.added),
        numbers(&all, "rows_removed", |change| change.rows.removed),
    ])?;
    let ends = OffsetBuffer::from_lengths(commits.iter().map(|commit| commit.changes().len()));
    let items: ArrayRef = Arc::new(StructArray::from(items));
    let item = Arc::new(Field::new("item", DataType::clone(items.data_type()), false));
    let lists = ListArray::try_new(item, ends, items, None).map_err(|error| defect(&error))?;
    Ok(("changes", Arc::new(lists), false))
}
