//! `strand changes`: what became of a table's rows, commit by commit or on balance.

use std::future::IntoFuture;

use clap::Args as ClapArgs;
use futures::stream::{self, StreamExt, TryStreamExt};
use strandline::ErrorKind;
use strandline::arrow::array::RecordBatch;

use crate::apart::{apart, apart_stream};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::names;
use crate::progress::Progress;

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
    let progress = Progress::of_traffic(context, "comparing", lake.storage().objects());
    let shown = progress.show();
    let batches = apart(changes.into_future()).await.map_err(told)?;
    let schema = batches.schema().clone();
    let mut batches = apart_stream(batches);
    let first = batches.next().await;
    let shown = shown.beside_rows();
    let came = |batch: &RecordBatch| progress.came(batch.num_rows());
    context.out.rows(&schema, stream::iter(first).chain(batches).inspect_ok(came)).await?;
    drop(shown);
    Ok(())
}

fn told(error: strandline::Error) -> Failure {
    let failure = Failure::from(error).of_arguments();
    failure.hint_if(ErrorKind::InvalidInput, "--net compares any two versions, each row at most once")
}
