//! `strand watch`: versions, as they come to be.

use std::io::Write;
use std::time::Duration;

use clap::Args as ClapArgs;
use futures::TryStreamExt;
use serde::Serialize;
use strandline::changes::Cursor;
use strandline::{Lake, Ref};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::names;
use crate::output::{Cell, Format, Kind, Record, Screen, harmless, number, text, word};
use crate::version::Version;

/// Shows versions as they come to be, until Ctrl-C
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Only versions that change these tables
    #[arg(value_parser = names::table)]
    tables: Vec<String>,
    /// Begins after this version, a number or a reference, or at the place that an earlier run said: `cursor` of its output
    #[arg(long, value_name = "VERSION|CURSOR")]
    since: Option<String>,
    /// Ends after so many versions
    #[arg(short = 'n', long, value_name = "VERSIONS")]
    limit: Option<usize>,
    /// How many seconds lie between two looks, 0.1 at the least
    #[arg(long, default_value = "1", value_name = "SECONDS", value_parser = pause)]
    every: Duration,
}

/// A version that came to be, and the place after it, where a watch goes on.
#[derive(Serialize)]
struct Seen {
    #[serde(flatten)]
    version: Version,
    cursor: String,
}

impl Record for Seen {
    const COLUMNS: &'static [(&'static str, Kind)] = &[
        number("version"),
        word("commit"),
        word("time"),
        text("author"),
        text("message"),
        text("changes"),
        word("cursor"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let mut cells = self.version.cells();
        cells.push(Cell::text(&self.cursor));
        cells
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    let lake = context.lake().await?;
    let at = context.at_reference(&lake, context.reference()).await?;
    for table in &args.tables {
        // It may come to be while it is waited for.
        if let Err(failure) = context.stands(&at, table).await {
            context.out.note(format!("by now {}", failure.message()));
        }
    }
    let since: Cursor = match &args.since {
        Some(since) => place(context, &lake, &at, since).await.map_err(|failure| failure.at("--since"))?,
        None => Cursor::at(&at),
    };
    let subscription = lake.subscribe(since, &args.tables).every(args.every);
    let mut events = subscription.stream();
    let mut lines = (context.out.format() != Format::Table).then(|| context.out.lines::<Seen>());
    let mut seen = 0;
    while args.limit.is_none_or(|limit| seen < limit) {
        let Some(event) = events.try_next().await? else { break };
        let (version, cursor) = (Version::from(event.commit()), event.cursor().to_string());
        match &mut lines {
            Some(lines) => lines.print(&Seen { version, cursor })?,
            None => print(&version)?,
        }
        seen += 1;
    }
    Ok(())
}

/// Where it begins: what looks like a cursor is nothing else.
async fn place(context: &Context, lake: &Lake, at: &Ref, since: &str) -> Result<Cursor> {
    let cursor: Cursor = if since.starts_with("strandline-cursor-") {
        since.parse().map_err(|error| Failure::from(error).of_arguments())?
    } else {
        Cursor::at(&context.version_of(lake, at, since).await?)
    };
    let (of, watched) = (cursor.branch().as_str(), at.branch().as_str());
    if context.reference().is_some() && of != watched {
        return Err(Failure::usage(format!("{since} is of branch {of}, and --ref says {watched}")));
    }
    Ok(cursor)
}

/// The shortest pause between two looks: each is a request.
const SHORTEST: Duration = Duration::from_millis(100);

fn pause(text: &str) -> std::result::Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|pause| *pause >= SHORTEST)
        .ok_or_else(|| "it is a number of seconds, of 0.1 at the least".to_owned())
}

/// Each version by itself, so that whoever reads has it at once.
fn print(version: &Version) -> Result<()> {
    let mut out = Screen::plain();
    let said = [version.message().to_owned(), version.summary()].join(" - ");
    writeln!(out, "v{} {} {}", version.version, version.when(), harmless(said))?;
    Ok(out.flush()?)
}
