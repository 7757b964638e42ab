//! The harness: runs cases by name, and counts what it had to skip.

use std::panic::{AssertUnwindSafe, catch_unwind};
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

/// A test that is made of parts: one of many cases, at one of many places.
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) run: Box<dyn Fn() -> Outcome>,
}

impl From<&Case> for Test {
    fn from(case: &Case) -> Self {
        Self { name: case.name.to_owned(), run: Box::new(case.run) }
    }
}

/// Runs the tests whose names contain one of the arguments that were given, or all; `--list` only names them.
pub(crate) fn main(groups: &[&[Case]], matrix: Vec<Test>) -> ExitCode {
    if let Some(role) = child::role() {
        return child::run(&role);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |test: &Test| {
        let mut filters = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        filters.peek().is_none() || filters.any(|filter| test.name.contains(filter.as_str()))
    };
    let tests = groups.iter().copied().flatten().map(Test::from).chain(matrix);
    let tests: Vec<Test> = tests.filter(wanted).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    report(&tests)
}

fn report(tests: &[Test]) -> ExitCode {
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), 0);
    for test in tests {
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(&test.run));
        let took = started.elapsed().as_secs_f64();
        match outcome {
            Ok(Outcome::Passed) => {
                println!("{} ... ok ({took:.1} s)", test.name);
                passed += 1;
            }
            Ok(Outcome::Skipped(why)) => {
                println!("{} ... skipped: {why}", test.name);
                skipped += 1;
            }
            // The panic has printed what it had to say.
            Err(_) => {
                println!("{} ... FAILED ({took:.1} s)", test.name);
                failed.push(&test.name);
            }
        }
    }
    println!("\nintegration: {passed} passed, {} failed, {skipped} skipped", failed.len());
    failed.iter().for_each(|name| println!("failed: {name}"));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
