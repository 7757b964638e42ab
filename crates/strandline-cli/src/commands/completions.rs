//! `strand completions`: what makes a shell complete verbs and options.

use std::io::{self, Write};

use clap::{Args as ClapArgs, CommandFactory};
use clap_complete::{Shell, generate};

use crate::args;
use crate::context::Context;
use crate::failure::Result;

/// Prints a script that makes a shell complete verbs and options
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<()> {
    context.no_reference("completions")?;
    let mut script = Vec::new();
    generate(args.shell, &mut args::Args::command(), "strand", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
