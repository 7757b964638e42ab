//! `strand ls`: what stands in a version of the lake.

use clap::Args as ClapArgs;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use strandline::Ref;
use strandline::format::EntryType;
use strandline::history::Listed;

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
