//! Measures, one bench for each claim: how fast, and in how much memory.
//!
//! Invariants: each phase of a bench runs in a process of its own, so that its peak of memory is its own; each bench prints
//! the baseline of the same run beside it. What does not belong here: assertions, which are the tests' business.

mod phase;
mod tree;

use std::process::ExitCode;

use phase::{Failure, Task};

/// `strandline-benches [bench] [--entries N]`; all benches if none is named.
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
        None | Some("tree") => tree::run(&task).await,
        Some(other) => Err(format!("no such bench: {other}; there is \"tree\"").into()),
    }
}
