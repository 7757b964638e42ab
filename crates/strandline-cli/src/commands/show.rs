//! `strand show`: one version, and what it changed.

use std::io::{self, Write};

use clap::Args as ClapArgs;

use crate::context::Context;
use crate::failure::Result;
use crate::output::{Screen, harmless};
use crate::version::Version;

/// Shows one version and what it changed
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The version [default: what --ref says]
    #[arg(value_name = "REFERENCE")]
    version: Option<String>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    let lake = context.lake_of_refs().await?;
    let reference = context.one_reference(args.version.as_deref(), "REFERENCE")?;
    let at = context.at_reference(&lake, Some(reference)).await?;
    let version = Version::from(at.commit());
    context.out.one(&version, |out| describe(&version, out))
}

fn describe(version: &Version, out: &mut Screen) -> io::Result<()> {
    writeln!(out, "version     {}", version.version)?;
    writeln!(out, "commit      {}", version.commit)?;
    for parent in version.parents() {
        writeln!(out, "parent      {parent}")?;
    }
    writeln!(out, "time        {}", version.time())?;
    writeln!(out, "transaction {}", version.transaction())?;
    for (name, value) in [("author      ", version.author()), ("message     ", version.message())] {
        if !value.is_empty() {
            writeln!(out, "{name}{}", harmless(value.to_owned()))?;
        }
    }
    for property in version.properties() {
        writeln!(
            out,
            "property    {} = {}",
            harmless(property.name.clone()),
            harmless(property.value.clone())
        )?;
    }
    for change in &version.changes {
        writeln!(out, "  {}", change.summary())?;
    }
    Ok(())
}
