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
    let mut texts: Vec<String> = args.file.iter().map(|name| read(name)).collect::<Result<_>>()?;
    texts.extend(args.statements);
    if texts.is_empty() {
        if io::stdin().is_terminal() {
            return Box::pin(shell::run(context)).await;
        }
        texts.push(read("-")?);
    }
    let work = async {
        let queries = Queries::open(context).await?;
        for text in &texts {
            queries.run(text).await?;
        }
        queries.finish().await
    };
    interrupt::statements(Box::pin(work), interrupt::STATEMENT).await
}

fn read(name: &str) -> Result<String> {
    let mut text = String::new();
    let read = match name {
        "-" => io::stdin().read_to_string(&mut text).map(drop),
        _ => std::fs::read_to_string(name).map(|found| text = found),
    };
    read.map_err(|error| Failure::io(if name == "-" { "standard input" } else { name }, &error))?;
    Ok(text)
}
