//! `strand head`: some rows of a table.

use std::num::NonZeroUsize;

use clap::Args as ClapArgs;
use strandline::Table;
use strandline::filter::Predicate;
use strandline::scan::Scan;

use crate::apart::apart_stream;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::names::{self, Columns};

/// Shows some rows of a table
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The table
    #[arg(value_parser = names::table)]
    table: String,
    /// How many rows
    #[arg(short = 'n', long, default_value_t = 10)]
    rows: u64,
    #[command(flatten)]
    which: Which,
}

/// Which part of a table is meant.
#[derive(Debug, ClapArgs)]
pub(crate) struct Which {
    /// Only these columns, in this order
    #[arg(short, long, value_name = "COLUMN,…")]
    columns: Vec<Columns>,
    /// Only rows that pass, as in "amount > 100"
    #[arg(short = 'w', long = "where", value_name = "PREDICATE")]
    filter: Option<String>,
}

impl Which {
    /// The scan of that part, in the order in which rows were written.
    pub(crate) fn scan(&self, table: &Table) -> Result<Scan> {
        let mut scan = table.scan().prefetch(NonZeroUsize::MIN);
        if !self.columns.is_empty() {
            scan = scan.columns(Columns::names(&self.columns));
        }
        if let Some(text) = &self.filter {
            let filter: Predicate = text.parse().map_err(|error| Failure::from(error).of_arguments())?;
            scan = scan.filter(filter);
        }
        Ok(scan)
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    let at = context.at().await?;
    let table = context.table(&at, &args.table).await?;
    let scan = args.which.scan(&table)?.limit(args.rows);
    let batches = scan.await.map_err(|error| Failure::from(error).of_arguments())?;
    let schema = batches.schema().clone();
    context.out.rows(&schema, apart_stream(batches)).await?;
    Ok(())
}
