//! `strand sql`: statements of the command line, of files or of standard input, or the shell.

use std::io::{self, IsTerminal, Read};

use clap::Args as ClapArgs;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::query::Queries;
use crate::shell;

/// Runs SQL; without any, from standard input, or in a shell on a terminal
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Statements, one or several
    #[arg(value_name = "SQL")]
    statements: Vec<String>,
    /// Files with statements, which are run first; - is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Vec<String>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    let mut texts: Vec<Text> = args.file.iter().map(|name| read(name)).collect::<Result<_>>()?;
    let several = args.statements.len() > 1;
    texts.extend(args.statements.into_iter().map(|text| Text { of: None, text }));
    if texts.is_empty() {
        if io::stdin().is_terminal() {
            return Box::pin(shell::run(context)).await;
        }
        texts.push(read("-")?);
    }
    let work = async {
        let queries = Queries::open(context).await?;
        let mut stay = 0;
        for text in &texts {
            let ran = queries.run(&text.text, stay).await;
            // Of a version that was named on the command line, which is at fault.
            let named = |failure: Failure| match context.reference() {
                Some(_) if failure.is_only_read() => failure.of_arguments(),
                _ => failure,
            };
            stay = ran.map_err(named).map_err(|failure| match &text.of {
                Some(name) => failure.at(name),
                None if several => failure.hint_if_none(SEVERAL),
                None => failure,
            })?;
        }
        queries.finish().await
    };
    interrupt::statements(Box::pin(work), interrupt::STATEMENT).await
}

/// Whoever forgets the quotes gives each word as a statement.
const SEVERAL: &str = "each argument is a statement: put one that has spaces in quotes";

/// Statements, and what they were read of.
struct Text {
    of: Option<String>,
    text: String,
}

fn read(name: &str) -> Result<Text> {
    let mut bytes = Vec::new();
    let read = match name {
        "-" => io::stdin().read_to_end(&mut bytes).map(drop),
        _ => std::fs::read(name).map(|found| bytes = found),
    };
    let name = if name == "-" { "standard input" } else { name };
    read.map_err(|error| Failure::io(name, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = valid.filter(|byte| **byte == b'\n').count() + 1;
        let failure = Failure::input(format!("{name}: line {line}: it is not text in UTF-8"));
        failure.hint("nothing was carried out; save it as UTF-8")
    })?;
    // A mark of UTF-8, as some editors write one, says nothing.
    let text = text.strip_prefix('\u{feff}').map(ToOwned::to_owned).unwrap_or(text);
    Ok(Text { of: Some(name.to_owned()), text })
}
