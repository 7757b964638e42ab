//! The harness: runs cases by name, and counts what it had to skip.

use std::panic::catch_unwind;
use std::process::ExitCode;

use tokio::time::Instant;

use crate::child;

/// How a case ended that did not panic.
pub(crate) enum Outcome {
    Passed,
    /// What was missing.
    Skipped(String),
}

/// A test.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> Outcome,
}

/// Runs the cases whose names contain the argument that was given, or all; `--list` only names them.
pub(crate) fn main(groups: &[&[Case]]) -> ExitCode {
    if let Some(role) = child::role() {
        return child::run(&role);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |case: &&Case| {
        let mut filters = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        filters.peek().is_none() || filters.any(|filter| case.name.contains(filter.as_str()))
    };
    let cases: Vec<&Case> = groups.iter().copied().flatten().filter(wanted).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        cases.iter().for_each(|case| println!("{}: test", case.name));
        return ExitCode::SUCCESS;
    }
    report(&cases)
}

fn report(cases: &[&Case]) -> ExitCode {
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), 0);
    for case in cases {
        let started = Instant::now();
        let outcome = catch_unwind(case.run);
        let took = started.elapsed().as_secs_f64();
        match outcome {
            Ok(Outcome::Passed) => {
                println!("{} ... ok ({took:.1} s)", case.name);
                passed += 1;
            }
            Ok(Outcome::Skipped(why)) => {
                println!("{} ... skipped: {why}", case.name);
                skipped += 1;
            }
            // The panic has printed what it had to say.
            Err(_) => {
                println!("{} ... FAILED ({took:.1} s)", case.name);
                failed.push(case.name);
            }
        }
    }
    println!("\nintegration: {passed} passed, {} failed, {skipped} skipped", failed.len());
    failed.iter().for_each(|name| println!("failed: {name}"));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
