//! `strand changes`: what became of a table's rows, commit by commit or on balance.

use clap::Args as ClapArgs;

use crate::apart::apart_stream;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::names;

/// Shows what became of a table's rows between two versions
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The table, by its name in the last version
    #[arg(value_parser = names::table)]
    table: String,
    /// The version after which changes are shown: a number or a reference [default: the one before the last]
    #[arg(long, value_name = "VERSION")]
    from: Option<String>,
    /// The last version whose changes are shown: a number or a reference [default: what --ref says]
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// On balance, each row at most once
    #[arg(long)]
    net: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    let lake = context.lake().await?;
    let on = context.at_reference(&lake, context.reference()).await?;
    let to = match &args.to {
        Some(to) => context.version_of(&lake, &on, to).await.map_err(|failure| failure.at("--to"))?,
        None => on.clone(),
    };
    let from = match &args.from {
        Some(from) => context.version_of(&lake, &on, from).await.map_err(|failure| failure.at("--from"))?,
        None => to.parent().await?.unwrap_or_else(|| to.clone()),
    };
    let table = context.table(&to, &args.table).await?;
    let changes = table.changes(from, to);
    let changes = if args.net { changes.net() } else { changes };
    let batches = changes.await.map_err(|error| Failure::from(error).of_arguments())?;
    let schema = batches.schema().clone();
    context.out.rows(&schema, apart_stream(batches)).await?;
    Ok(())
}
