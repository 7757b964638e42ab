//! The shell: statements at a prompt, with history, completion, and words of its own that begin with a backslash.
//!
//! Invariants: an error or Ctrl-C ends a statement and not the shell; a transaction that is open at the end is not committed, and
//! that is said. What does not belong here: running statements (`query`), and the terminal, which a library handles.

mod helper;
mod names;
mod quoted;
mod word;

use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Editor};
use tokio::time::Instant;

use crate::commands::{describe, ls};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::names as names_of;
use crate::output::Style;
use crate::query::Queries;
use helper::ShellHelper;
use names::Names;
use word::Word;

const HELP: &str = "\
Statements end with a semicolon and may go over several lines.
\\d            what stands in the lake
\\d TABLE      what a table is like
\\ref          where this session stands
\\ref REF      goes to a branch, tag, version or time, as --ref does
\\timing       shows how long statements take, or no longer
\\q            ends the shell, as do exit, quit and Ctrl-D
\\?            this, as does help";

/// The schema of what stands in no namespace.
const PUBLIC: &str = "public";

type Line = Editor<ShellHelper, DefaultHistory>;

/// A shell that is open.
struct Shell<'c> {
    context: &'c Context,
    queries: Queries<'c>,
    timing: bool,
    style: Style,
}

/// Reads statements until the end of the input.
pub(crate) async fn run(context: &Context) -> Result<()> {
    // The editor takes Ctrl-C for itself when it is made, so that listening comes after it.
    let mut line = editor().map_err(|error| broken(&error))?;
    interrupt::listen();
    let queries = interrupt::run(Box::pin(Queries::for_a_person(context))).await?;
    let style = Style::of(&std::io::stderr(), context.runtime.environment());
    let mut shell = Shell { context, queries, timing: false, style };
    let history = history();
    if let Some(path) = &history {
        // There is none the first time.
        let _ = line.load_history(path);
    }
    context.out.note("strand: \\? for help, \\q to leave");
    shell.refresh(&mut line).await;
    shell.read(&mut line, history.as_deref()).await?;
    shell.queries.finish().await
}

fn editor() -> rustyline::Result<Line> {
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(false).build();
    let mut line = Editor::with_config(config)?;
    line.set_helper(Some(ShellHelper::default()));
    Ok(line)
}

/// Where what was typed is kept.
fn history() -> Option<PathBuf> {
    let folder = choose_base_strategy().ok()?.data_dir().join("strandline");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

fn broken(error: &ReadlineError) -> Failure {
    Failure::input(format!("the terminal: {error}"))
}

impl Shell<'_> {
    async fn read(&mut self, line: &mut Line, history: Option<&Path>) -> Result<()> {
        loop {
            let prompt = format!("{}> ", self.queries.place().await);
            match line.readline(&prompt) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => {
                    let _ = line.add_history_entry(text.trim());
                    // At once: another shell has a history of its own, and this one may not come to its end.
                    if let Some(path) = history {
                        let _ = line.append_history(path);
                    }
                    match Word::of(&text) {
                        Some(Ok(Word::Quit)) => return Ok(()),
                        Some(Ok(Word::Timing)) => {
                            self.timing = !self.timing;
                            let now = if self.timing { "on" } else { "off" };
                            self.context.out.answer(format!("timing is {now}"));
                        }
                        Some(Ok(word)) => self.say(interrupt::run(Box::pin(self.obey(&word))).await),
                        Some(Err(failure)) => self.say(Err(failure)),
                        None => self.answer(&text, line).await,
                    }
                }
                // What was typed is given up, and not the shell.
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    async fn answer(&mut self, text: &str, line: &mut Line) {
        let begun = Instant::now();
        let work = Box::pin(self.queries.run(text, 0));
        let answered = interrupt::statements(work, interrupt::STATEMENT).await;
        let answered = match answered {
            Err(failure) if failure.exit() == Exit::Interrupted => Err(self.interrupted(failure).await),
            answered => answered,
        };
        self.say(answered.map(drop));
        if self.timing {
            self.context.out.answer(format!("time: {:.1?}", begun.elapsed()));
        }
        if changes_names(text) {
            self.refresh(line).await;
        }
    }

    /// What is said of a statement that was interrupted: one that was committing has ended its transaction.
    async fn interrupted(&self, failure: Failure) -> Failure {
        match self.queries.transaction().await {
            Some(_) => {
                let failure = Failure::interrupted("interrupted");
                failure.hint("the transaction is open, and nothing of it is committed")
            }
            None => failure,
        }
    }

    async fn obey(&self, word: &Word) -> Result<()> {
        match word {
            Word::Help => self.context.out.answer(HELP),
            Word::List => match self.queries.transaction().await {
                Some(transaction) => ls::show_within(self.context, &transaction).await?,
                None => ls::show(self.context, &self.queries.version().await?).await?,
            },
            Word::Describe(table) => {
                let table = names_of::table(table).map_err(Failure::usage)?;
                let table = without_public(&table);
                match self.queries.transaction().await {
                    Some(transaction) => {
                        Box::pin(describe::show_within(self.context, &transaction, table)).await?;
                    }
                    None => {
                        let at = self.queries.version().await?;
                        Box::pin(describe::show(self.context, &at, table)).await?;
                    }
                }
            }
            Word::Place => self.context.out.answer(self.queries.place().await),
            Word::GoTo(reference) => self.queries.stand_at(reference).await?,
            Word::Quit | Word::Timing => {}
        }
        Ok(())
    }

    fn say(&self, result: Result<()>) {
        if let Err(failure) = result {
            failure.say(self.context.out.format().is_json(), self.style);
        }
    }

    /// Looks up what can be completed. Names are a help: without them everything works.
    async fn refresh(&self, line: &mut Line) {
        let names = async { Names::of(&self.queries.version().await?).await };
        let names = interrupt::run(Box::pin(names)).await.unwrap_or_default();
        if let Some(helper) = line.helper_mut() {
            helper.know(names);
        }
    }
}

/// The name in the lake: what stands in no namespace is in the schema `public` of SQL.
fn without_public(name: &str) -> &str {
    match name.split_once('.') {
        Some((schema, rest)) if schema.eq_ignore_ascii_case(PUBLIC) => rest,
        _ => name,
    }
}

/// Whether other names may stand in the lake after these statements.
fn changes_names(text: &str) -> bool {
    const WORDS: [&str; 6] = ["CREATE", "DROP", "ALTER", "USE", "COMMIT", "ROLLBACK"];
    text.split(|letter: char| !letter.is_alphabetic()).any(|word| {
        let word = word.to_ascii_uppercase();
        WORDS.contains(&word.as_str())
    })
}
