//! The `strand` command: a lake at the command line.
//!
//! A thin skin over the SDK: a verb reads its arguments, calls the SDK, prints what came of it. One file for each verb in
//! `commands/`; `output/` is the only place that prints; `failure` and `exit` say how a verb ends.

mod apart;
mod args;
mod cells;
mod commands;
mod config;
mod contested;
mod context;
mod exit;
mod failure;
mod graph;
mod interrupt;
mod names;
mod near;
mod output;
mod progress;
mod query;
mod running;
mod shell;
mod sink;
mod source;
mod statements;
mod version;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind as ClapError;
use strandline::Runtime;

use args::Args;
use context::Context;
use exit::Exit;
use failure::{Failure, Result};
use output::Style;

/// So long an interrupted process waits for its threads at most.
const LET_GO: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let runtime = Runtime::system();
    let style = Style::of(&io::stderr(), runtime.environment());
    let args = match Args::try_parse_from(args::given()) {
        Ok(args) => args,
        Err(error) => return refuse(&error, style).into(),
    };
    let json = args.global.output.is_json();
    match run(args, runtime) {
        Ok(exit) => exit.into(),
        Err(failure) => say(&failure, json, style).into(),
    }
}

fn run(args: Args, runtime: Runtime) -> Result<Exit> {
    let context = Context::new(args.global, runtime);
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(threads()).enable_all().build();
    let tokio = tokio.map_err(|error| Failure::io("the runtime", &error))?;
    let ended = tokio.block_on(commands::run(&context, args.command));
    match &ended {
        // What writes lets go of what it has staged.
        Err(failure) if failure.exit() == Exit::Interrupted => tokio.shutdown_timeout(LET_GO),
        // A read of standard input that nobody waits for any more would hold the process up.
        _ => tokio.shutdown_background(),
    }
    ended
}

/// Twice as many as there are processors: a query that was given up may compute on for a while on each of them.
fn threads() -> usize {
    2 * std::thread::available_parallelism().map_or(1, usize::from)
}

/// Says why a verb did not do what it was asked. Nobody hears it if standard error is closed.
fn say(failure: &Failure, json: bool, style: Style) -> Exit {
    let text = if json { failure.json() } else { failure.text(style) };
    let _ = io::stderr().write_all(text.as_bytes());
    failure.exit()
}

/// What is said of a command line that was not understood; help and version are no mistakes.
fn refuse(error: &clap::Error, style: Style) -> Exit {
    let asked = matches!(error.kind(), ClapError::DisplayHelp | ClapError::DisplayVersion);
    if asked {
        let _ = error.print();
        return Exit::Ok;
    }
    if args::asks_for_json() {
        let text = error.to_string();
        let message = text.strip_prefix("error: ").unwrap_or(&text).trim();
        return say(&Failure::usage(message), true, style);
    }
    let _ = error.print();
    Exit::Usage
}
