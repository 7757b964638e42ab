//! `strand files`: the data files of a table.

use clap::Args as ClapArgs;
use serde::Serialize;
use strandline::format::{FileEntry, Hash, ObjectPath, TableId};

use crate::context::Context;
use crate::failure::Result;
use crate::names;
use crate::output::{Cell, Kind, Record, number, word};

/// Lists a table's data files
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The table
    #[arg(value_parser = names::table)]
    table: String,
}

/// A data file.
#[derive(Serialize)]
struct File {
    id: u64,
    hash: String,
    path: String,
    bytes: u64,
    rows: u64,
    deleted: u64,
    row_groups: u64,
    added: u64,
    #[serde(skip)]
    object: Hash,
}

impl Record for File {
    const COLUMNS: &'static [(&'static str, Kind)] = &[
        number("id"),
        word("hash"),
        number("bytes"),
        number("rows"),
        number("deleted"),
        number("row groups"),
        number("version"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Number(self.id),
            Cell::Hash(self.object),
            Cell::Bytes(self.bytes),
            Cell::Number(self.rows),
            Cell::Number(self.deleted),
            Cell::Number(self.row_groups),
            Cell::Number(self.added),
        ]
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    let at = context.at().await?;
    let table = context.table(&at, &args.table).await?;
    let files = table.files().await?;
    let files: Vec<File> = files.iter().map(|entry| file(table.id(), entry)).collect();
    context.out.list(&files)
}

fn file(table: TableId, entry: &FileEntry) -> File {
    let path = match &entry.external {
        Some(external) => external.url.clone(),
        None => ObjectPath::data(table, &entry.hash, entry.era).to_string(),
    };
    File {
        id: entry.id.0,
        hash: entry.hash.to_string(),
        path,
        bytes: entry.size,
        rows: entry.live_rows(),
        deleted: entry.rows.saturating_sub(entry.live_rows()),
        row_groups: entry.row_groups.len() as u64,
        added: entry.added.0,
        object: entry.hash,
    }
}
