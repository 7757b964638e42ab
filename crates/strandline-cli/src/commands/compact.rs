//! `strand compact`: small files of tables, and those with many deletes, become fewer ones with the same rows.

use clap::Args as ClapArgs;
use serde::Serialize;
use strandline::transaction::Compacted;
use strandline::{Lake, Transaction};

use crate::args::ForTheLog;
use crate::context::{Context, near_table};
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::names;
use crate::output::{Cell, Kind, Record, counted, number, size, text};
use crate::progress::Progress;

/// Writes small files, and those of which many rows are deleted, anew as fewer ones, in one commit that changes no row
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The tables
    #[arg(required = true, value_parser = names::table)]
    tables: Vec<String>,
    /// Writes all files anew: after the order or the split of a table was changed
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    log: ForTheLog,
}

/// What became of the tables.
#[derive(Serialize)]
struct Outcome {
    tables: Vec<String>,
    version: Option<u64>,
    rows: u64,
    files_removed: u64,
    files_written: u64,
    bytes_removed: u64,
    bytes_written: u64,
}

impl Record for Outcome {
    const COLUMNS: &'static [(&'static str, Kind)] = &[
        text("tables"),
        number("version"),
        number("rows"),
        number("files removed"),
        number("files written"),
        number("bytes removed"),
        number("bytes written"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(self.tables.join(" ")),
            self.version.map_or(Cell::None, Cell::Number),
            Cell::Number(self.rows),
            Cell::Number(self.files_removed),
            Cell::Number(self.files_written),
            Cell::Bytes(self.bytes_removed),
            Cell::Bytes(self.bytes_written),
        ]
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    let lake = context.lake().await?;
    let progress = Progress::of_tables(context, "compacting", lake.storage().objects(), args.tables.len());
    let shown = progress.show();
    let work = Box::pin(transact(context, &lake, &args, &progress));
    let (transaction, done) = interrupt::before_commit(work).await?;
    let mut outcome = Outcome {
        tables: args.tables.clone(),
        version: None,
        rows: done.rows,
        files_removed: done.files_removed,
        files_written: done.files_written,
        bytes_removed: done.bytes_removed,
        bytes_written: done.bytes_written,
    };
    if done == Compacted::default() {
        drop(shown);
        return context.out.done(&outcome, "nothing to do: no files that would become fewer");
    }
    let message = args.log.message.clone().unwrap_or_else(|| format!("compact {}", args.tables.join(", ")));
    let mut commit = transaction.commit().message(message);
    if let Some(author) = &args.log.author {
        commit = commit.author(author);
    }
    progress.names("committing");
    let report = interrupt::commit(context, &transaction, commit).await?;
    drop(shown);
    outcome.version = Some(report.commit.version().0);
    let sentence = format!(
        "compacted {} of {} into {}: version {}",
        counted(done.files_removed, "file"),
        size(done.bytes_removed),
        size(done.bytes_written),
        report.commit.version(),
    );
    context.out.done(&outcome, sentence)
}

/// Does all but the commit.
async fn transact(
    context: &Context,
    lake: &Lake,
    args: &Args,
    progress: &Progress,
) -> Result<(Transaction, Compacted)> {
    let transaction =
        context.begin(lake).await?.await.map_err(|error| Failure::from(error).of_arguments())?;
    let mut all = Compacted::default();
    for table in &args.tables {
        let compact = transaction.compact(table);
        let done = match if args.all { compact.all() } else { compact }.await {
            Ok(done) => done,
            Err(error) => {
                return Err(near_table(&context.at().await?, table, error.into()).await.of_arguments());
            }
        };
        progress.did_table();
        all.rows += done.rows;
        all.files_removed += done.files_removed;
        all.files_written += done.files_written;
        all.bytes_removed += done.bytes_removed;
        all.bytes_written += done.bytes_written;
    }
    Ok((transaction, all))
}
