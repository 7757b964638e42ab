//! `strand ls`: what stands in a version of the lake.

use clap::Args as ClapArgs;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use strandline::format::{EntryType, NameKey};
use strandline::history::Listed;
use strandline::{Ref, Transaction};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::names;
use crate::output::{Cell, Kind, Record, number, text};

/// How many tables are read at a time.
const TABLES: usize = 16;

/// Lists tables, views and namespaces
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Only what stands in this namespace
    #[arg(value_parser = names::table)]
    namespace: Option<String>,
}

/// Something that has a name.
#[derive(Serialize)]
struct Entry {
    name: String,
    kind: &'static str,
    rows: Option<u64>,
    files: Option<u64>,
    bytes: Option<u64>,
}

impl Record for Entry {
    const COLUMNS: &'static [(&'static str, Kind)] =
        &[text("name"), text("kind"), number("rows"), number("files"), number("bytes")];

    fn cells(&self) -> Vec<Cell> {
        let number = |value: Option<u64>| value.map_or(Cell::None, Cell::Number);
        let bytes = self.bytes.map_or(Cell::None, Cell::Bytes);
        vec![Cell::text(&self.name), Cell::text(self.kind), number(self.rows), number(self.files), bytes]
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    let at = context.at().await?;
    let mut names = Vec::new();
    for kind in [at.tables(), at.views(), at.namespaces()] {
        let kind = match &args.namespace {
            Some(namespace) => kind.within(namespace),
            None => kind,
        };
        names.extend(kind.await.map_err(|error| Failure::from(error).of_arguments())?);
    }
    names.sort_by(|one, other| one.name.key().cmp(other.name.key()));
    let entries = stream::iter(names).map(|listed| entry(&at, listed)).buffered(TABLES);
    let entries: Vec<Entry> = entries.try_collect().await?;
    context.out.list(&entries)
}

/// The names alone, of which no table is read.
#[derive(Serialize)]
struct Standing {
    name: String,
    kind: &'static str,
}

impl Record for Standing {
    const COLUMNS: &'static [(&'static str, Kind)] = &[text("name"), text("kind")];

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::text(&self.name), Cell::text(self.kind)]
    }
}

/// Shows the names of what stands in a version.
pub(crate) async fn show(context: &Context, at: &Ref) -> Result<()> {
    let mut names = Vec::new();
    for kind in [at.tables(), at.views(), at.namespaces()] {
        names.extend(kind.await?.into_iter().map(|listed| (listed.name.as_str().to_owned(), listed.kind)));
    }
    list(context, names)
}

/// Shows the names of what stands in a transaction, its own included.
pub(crate) async fn show_within(context: &Context, transaction: &Transaction) -> Result<()> {
    list(context, transaction.list(None).await?)
}

fn list(context: &Context, names: Vec<(String, EntryType)>) -> Result<()> {
    let standing = |(name, kind): (String, EntryType)| Standing { name, kind: kind.as_str() };
    let mut names: Vec<Standing> = names.into_iter().map(standing).collect();
    names.sort_by_cached_key(|standing| NameKey::of(&standing.name).as_str().to_owned());
    context.out.list(&names)
}

async fn entry(at: &Ref, listed: Listed) -> Result<Entry> {
    let totals = match listed.kind {
        EntryType::Table => Some(at.table(listed.name.as_str()).await?.totals()),
        _ => None,
    };
    Ok(Entry {
        name: listed.name.as_str().to_owned(),
        kind: listed.kind.as_str(),
        rows: totals.map(|totals| totals.rows),
        files: totals.map(|totals| totals.files),
        bytes: totals.map(|totals| totals.bytes),
    })
}
