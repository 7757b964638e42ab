//! The `strand` command: a lake at the command line.
//!
//! A thin skin over the SDK: a verb reads its arguments, calls the SDK, prints what came of it. One file for each verb in
//! `commands/`; `output/` prints what they give, `sink` rows of an export; `failure` and `exit` say how a verb ends.

mod apart;
mod args;
mod around;
mod commands;
mod config;
mod contested;
mod context;
mod exit;
mod failure;
mod graph;
mod interrupt;
mod meanings;
mod names;
mod output;
mod progress;
mod query;
mod running;
mod shell;
mod sink;
mod source;
mod statements;
mod version;
mod wording;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind as ClapError;
use strandline::Runtime;

use args::Args;
use context::Context;
use exit::Exit;
use failure::Failure;
use output::Style;

/// So long an interrupted process waits for its threads at most.
const LET_GO: Duration = Duration::from_secs(2);

/// The stack of a thread: statements that are nested as deeply as is allowed are planned there, by unoptimised builds too.
const STACK: usize = 16 << 20;

fn main() -> ExitCode {
    let runtime = Runtime::system();
    let style = Style::of(&io::stderr(), runtime.environment());
    let args = match Args::try_parse_from(args::given()) {
        Ok(args) => args,
        Err(error) => return refuse(&error, style).into(),
    };
    let json = args.global.output.is_json();
    run(args, runtime, |failure| failure.say(json, style)).into()
}

/// Does what is asked, and says why if it was not done.
fn run(args: Args, runtime: Runtime, say: impl Fn(&Failure) -> Exit) -> Exit {
    let context = Context::new(args.global, runtime);
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    let tokio = tokio.worker_threads(threads()).thread_stack_size(STACK).enable_all().build();
    let tokio = match tokio {
        Ok(tokio) => tokio,
        Err(error) => return say(&Failure::io("the runtime", &error)),
    };
    let ended = tokio.block_on(commands::run(&context, args.command));
    let exit = ended.unwrap_or_else(|failure| say(&failure));
    match exit {
        // What writes lets go of what it has staged.
        Exit::Interrupted => tokio.shutdown_timeout(LET_GO),
        // A read of standard input that nobody waits for any more would hold the process up. Nor is it let go of: to detach threads that end just
        // then is a fault in older versions of glibc (its bug 19951), of a process that has done what was asked. They end with it.
        _ => std::mem::forget(tokio),
    }
    exit
}

/// Twice as many as there are processors: a query that was given up may compute on for a while on each of them.
fn threads() -> usize {
    2 * std::thread::available_parallelism().map_or(1, usize::from)
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
        return Failure::usage(message).say(true, style);
    }
    let _ = error.print();
    Exit::Usage
}
