//! `strand branch`: what branches there are, and making, renaming and deleting them.

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use strandline::format::{Hash, Timestamp};
use strandline::history::Revision;
use strandline::refs;
use strandline::{ErrorKind, Lake, Ref};

use crate::context::{Context, near_ref};
use crate::failure::{Failure, Result};
use crate::output::{Cell, Kind, Record, number, text};

/// Lists, makes, renames and deletes branches
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Lists the branches
    List,
    /// Makes a branch
    Create {
        /// Its name
        name: String,
        /// The version to begin at [default: what --ref says]
        #[arg(long, value_name = "REFERENCE")]
        from: Option<String>,
        /// Keeps that version alone, and not what is before it
        #[arg(long)]
        without_history: bool,
    },
    /// Gives a branch another name
    Rename {
        /// Its name
        old: String,
        /// Its name from now on
        new: String,
    },
    /// Deletes a branch
    Delete {
        /// Its name
        name: String,
    },
}

/// A branch.
#[derive(Serialize)]
struct Branch {
    name: String,
    version: u64,
    commit: String,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<u64>,
    #[serde(skip)]
    hash: Hash,
    #[serde(skip)]
    at: Timestamp,
}

impl Record for Branch {
    const COLUMNS: &'static [(&'static str, Kind)] =
        &[text("branch"), number("version"), text("commit"), text("time"), number("oldest")];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.name),
            Cell::Number(self.version),
            Cell::Hash(self.hash),
            Cell::Time(self.at),
            self.oldest.map_or(Cell::None, Cell::Number),
        ]
    }
}

impl From<refs::Branch> for Branch {
    fn from(branch: refs::Branch) -> Self {
        Self {
            name: branch.name.as_str().to_owned(),
            version: branch.version.0,
            commit: branch.head.to_string(),
            time: branch.time.to_string(),
            oldest: Some(branch.oldest.0),
            hash: branch.head,
            at: branch.time,
        }
    }
}

impl From<&Ref> for Branch {
    fn from(at: &Ref) -> Self {
        Self {
            name: at.branch().as_str().to_owned(),
            version: at.version().0,
            commit: at.commit().hash().to_string(),
            time: at.commit().time().to_string(),
            oldest: None,
            hash: at.commit().hash(),
            at: at.commit().time(),
        }
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    let lake = context.lake_of_refs().await?;
    match args.act {
        Act::List => {
            let branches: Vec<Branch> = lake.branches().await?.into_iter().map(Branch::from).collect();
            context.out.list(&branches)
        }
        Act::Create { name, from, without_history } => {
            let from = context.one_reference(from.as_deref(), "--from")?;
            let made = create(context, &lake, &name, from, without_history).await?;
            context
                .out
                .done(&Branch::from(&made), format!("branch {name} begins at version {}", made.version()))
        }
        Act::Rename { old, new } => {
            let renamed = match lake.rename_branch(&old, &new).await {
                Ok(renamed) => renamed,
                Err(error) => return Err(unknown(&lake, &old, error.into()).await),
            };
            context.out.done(&Branch::from(&renamed), format!("branch {old} is called {new}"))
        }
        Act::Delete { name } => {
            if let Err(error) = lake.delete_branch(&name).await {
                let hint = "make another one first: `strand branch create NAME`";
                return Err(unknown(&lake, &name, error.into()).await.hint_if(ErrorKind::Conflict, hint));
            }
            context.out.note(format!("deleted branch {name}"));
            Ok(())
        }
    }
}

async fn create(
    context: &Context,
    lake: &Lake,
    name: &str,
    from: &str,
    without_history: bool,
) -> Result<Ref> {
    let from: Revision = context.at_reference(lake, Some(from)).await?.into();
    let creating = lake.create_branch(name).from(from);
    let creating = if without_history { creating.without_history() } else { creating };
    creating.await.map_err(|error| Failure::from(error).of_arguments())
}

/// A mistake that is about a branch of this name.
pub(super) async fn unknown(lake: &Lake, name: &str, failure: Failure) -> Failure {
    if !failure.is(ErrorKind::NotFound) {
        return failure.of_arguments();
    }
    near_ref(lake, name, failure.hint("`strand branch list` shows what there is")).await
}
