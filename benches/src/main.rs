//! Measures, one bench for each claim: how fast, and in how much memory.
//!
//! Invariants: each phase of a bench runs in a process of its own, so that its peak of memory is its own; each bench prints
//! the baseline of the same run beside it. What does not belong here: assertions, which are the tests' business.

mod append;
mod changes;
mod cost;
mod phase;
mod plain;
mod plan;
mod processes;
mod rows;
mod tpch;
mod tpch_queries;
mod tree;
mod wide;
mod write;

use std::process::ExitCode;

use phase::{Failure, Task};

/// `strandline-benches [bench] [--entries N] [--scale S] [--rounds N] [--appends N] [--files N] [--query N] [--rows N] [--each N] [--python PATH]`; all benches if none is named.
#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            phase::say(&format!("failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).peekable();
    let bench = arguments.next_if(|argument| !argument.starts_with("--"));
    let task = Task::of(arguments)?;
    match bench.as_deref() {
        Some("tree") => tree::run(&task).await,
        Some("write") => write::run(&task).await,
        Some("append") => append::run(&task).await,
        Some("processes") => processes::run(&task).await,
        Some("tpch") => tpch::run(&task).await,
        Some("changes") => changes::run(&task).await,
        Some("plan") => plan::run(&task).await,
        Some("wide") => wide::run().await,
        None => all(&task).await,
        Some(other) => {
            let there = "there are tree, write, append, processes, tpch, changes, plan and wide";
            Err(format!("no such bench: {other}; {there}").into())
        }
    }
}

async fn all(task: &Task) -> Result<(), Failure> {
    tree::run(task).await?;
    write::run(task).await?;
    append::run(task).await?;
    processes::run(task).await
}
