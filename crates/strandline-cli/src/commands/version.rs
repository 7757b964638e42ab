//! `strand version`: which version of the command and of the format this is.

use clap::Args as ClapArgs;
use serde::Serialize;
use strandline::format::FORMAT_VERSION;

use crate::context::Context;
use crate::failure::Result;
use crate::output::{Cell, Kind, Record, number, text};

/// Says which version this is
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Versions {
    strand: &'static str,
    format: u64,
}

impl Record for Versions {
    const COLUMNS: &'static [(&'static str, Kind)] = &[text("strand"), number("format")];

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::text(self.strand), Cell::Number(self.format)]
    }
}

pub(crate) fn run(context: &Context) -> Result<()> {
    use std::io::Write;
    context.no_reference("version")?;
    let versions = Versions { strand: env!("CARGO_PKG_VERSION"), format: FORMAT_VERSION };
    context.out.one(&versions, |out| writeln!(out, "strand {}, format {}", versions.strand, versions.format))
}
