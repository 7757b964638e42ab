//! `strand export`: a table's rows in a file, or on standard output.

use std::io::{self, IsTerminal};

use clap::Args as ClapArgs;
use futures::TryStreamExt;
use serde::Serialize;
use strandline::scan::Batches;
use tokio::task::yield_now;

use super::head::Which;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::names;
use crate::output::{Cell, Kind as CellKind, Record, counted, number, text};
use crate::progress::Progress;
use crate::sink::Sink;
use crate::source::Kind;

/// Writes a table's rows to a file
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The table
    #[arg(value_parser = names::table)]
    table: String,
    /// The file; - is standard output
    file: String,
    /// The format: csv, ndjson, parquet or arrow [default: what the file's name says]
    #[arg(short, long, value_enum, hide_possible_values = true)]
    format: Option<Kind>,
    /// Replaces a file that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    which: Which,
}

/// What was exported.
#[derive(Serialize)]
struct Exported {
    table: String,
    file: String,
    version: u64,
    rows: u64,
}

impl Record for Exported {
    const COLUMNS: &'static [(&'static str, CellKind)] =
        &[text("table"), text("file"), number("version"), number("rows")];

    fn cells(&self) -> Vec<Cell> {
        let (table, file) = (Cell::text(&self.table), Cell::text(&self.file));
        vec![table, file, Cell::Number(self.version), Cell::Number(self.rows)]
    }
}

/// What standard output is called.
const STANDARD_OUTPUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

impl Args {
    /// Whether rows go to standard output. What that leads to may be a file, which is written on and never replaced.
    fn goes_out(&self) -> bool {
        STANDARD_OUTPUT.contains(&self.file.as_str())
    }
}

/// What is said of an export that is interrupted.
pub(crate) fn interrupted(args: &Args) -> String {
    match args.goes_out() {
        true => "interrupted".to_owned(),
        false => format!("interrupted; {} was not written", args.file),
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    let kind = args.format.or_else(|| Kind::of_name(&args.file)).ok_or_else(|| {
        Failure::usage(format!("the name {:?} does not say a format", args.file))
            .hint("--format is one of csv, ndjson, parquet and arrow")
    })?;
    let at = context.at().await?;
    let table = context.table(&at, &args.table).await?;
    let progress = Progress::of_rows(context, "exporting", table.rows());
    // Rows that come to the same terminal would run into it.
    let goes_out = args.goes_out();
    let mixes = goes_out && io::stdout().is_terminal();
    let shown = (!mixes).then(|| progress.show());
    let batches = args.which.scan(&table)?.await.map_err(|error| Failure::from(error).of_arguments())?;
    let place = if goes_out { "standard output" } else { args.file.as_str() };
    let sink = match goes_out {
        true => Sink::standard_output(kind, batches.schema(), &progress)?,
        false => Sink::open(&args.file, kind, batches.schema(), args.force, &progress)?,
    };
    let rows = write(sink, batches, &progress, place).await?;
    drop(shown);
    // What is on standard output is the rows, so nothing else is.
    let sentence = format!("exported {} of version {}", counted(rows, "row"), at.version());
    if goes_out {
        context.out.note(sentence);
        return Ok(());
    }
    let done = Exported { table: table.name().to_owned(), file: args.file, version: at.version().0, rows };
    context.out.done(&done, sentence)
}

/// Writes the rows. What goes wrong with writing is of this place; what goes wrong with reading says its own.
async fn write(mut sink: Sink, batches: Batches, progress: &Progress, place: &str) -> Result<u64> {
    let mut batches = std::pin::pin!(batches);
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await? {
        sink.write(&batch).map_err(|failure| failure.at(place))?;
        progress.wrote(batch.num_rows());
        rows += batch.num_rows() as u64;
        // Rows that are always there must not keep Ctrl-C from being heard.
        yield_now().await;
    }
    sink.finish().map_err(|failure| failure.at(place))?;
    Ok(rows)
}
