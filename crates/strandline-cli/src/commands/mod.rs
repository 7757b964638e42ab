//! The verbs, one in each file: its arguments, and what it does.

mod branch;
mod changes;
mod compact;
mod completions;
pub(crate) mod describe;
mod diff;
mod doctor;
mod export;
mod files;
mod head;
mod import;
mod init;
mod log;
pub(crate) mod ls;
mod merge;
mod show;
mod sql;
mod tag;
mod version;
mod watch;

use clap::Subcommand;
use futures::FutureExt;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Result;
use crate::interrupt;

/// What is asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Args),
    Doctor(doctor::Args),
    Import(import::Args),
    Export(export::Args),
    Sql(sql::Args),
    Ls(ls::Args),
    Describe(describe::Args),
    Files(files::Args),
    Head(head::Args),
    Log(log::Args),
    Show(show::Args),
    Branch(branch::Args),
    Tag(tag::Args),
    Diff(diff::Args),
    Merge(merge::Args),
    Compact(compact::Args),
    Changes(changes::Args),
    Watch(watch::Args),
    Completions(completions::Args),
    Version(version::Args),
}

/// Does what is asked.
pub(crate) async fn run(context: &Context, command: Command) -> Result<Exit> {
    let work = match command {
        Command::Init(args) => init::run(context, args).boxed_local(),
        Command::Import(args) => return import::run(context, args).await.map(|()| Exit::Ok),
        Command::Doctor(args) => return interrupt::run(Box::pin(doctor::run(context, args))).await,
        Command::Sql(args) => return sql::run(context, args).await.map(|()| Exit::Ok),
        Command::Export(args) => {
            let message = export::interrupted(&args);
            let work = Box::pin(export::run(context, args));
            return interrupt::run_or(work, &message).await.map(|()| Exit::Ok);
        }
        Command::Ls(args) => ls::run(context, args).boxed_local(),
        Command::Describe(args) => describe::run(context, args).boxed_local(),
        Command::Files(args) => files::run(context, args).boxed_local(),
        Command::Head(args) => head::run(context, args).boxed_local(),
        Command::Log(args) => log::run(context, args).boxed_local(),
        Command::Show(args) => show::run(context, args).boxed_local(),
        Command::Branch(args) => branch::run(context, args).boxed_local(),
        Command::Tag(args) => tag::run(context, args).boxed_local(),
        Command::Diff(args) => return interrupt::run(Box::pin(diff::run(context, args))).await,
        Command::Merge(args) => return merge::run(context, args).await.map(|()| Exit::Ok),
        Command::Compact(args) => return compact::run(context, args).await.map(|()| Exit::Ok),
        Command::Changes(args) => changes::run(context, args).boxed_local(),
        // Ctrl-C is how it ends, and nothing to be told of.
        Command::Watch(args) => {
            let watched = interrupt::run(watch::run(context, args).boxed_local()).await;
            return watched.map(|()| Exit::Ok).or_else(|failure| match failure.exit() {
                Exit::Interrupted => Ok(Exit::Interrupted),
                _ => Err(failure),
            });
        }
        Command::Completions(args) => return completions::run(context, &args).map(|()| Exit::Ok),
        Command::Version(_) => return version::run(context).map(|()| Exit::Ok),
    };
    interrupt::run(work).await.map(|()| Exit::Ok)
}
