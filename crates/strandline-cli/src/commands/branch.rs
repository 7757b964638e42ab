//! `strand branch`: what branches there are, and making, renaming and deleting them.

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use strandline::format::{Hash, Timestamp};
use strandline::history::Revision;
use strandline::refs;
use strandline::{ErrorKind, Lake, Ref};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::meanings;
use crate::output::{Cell, Kind, Record, number, text, word};

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
    /// Deletes a branch whose commits another branch or a tag has too
    Delete {
        /// Its name
        name: String,
        /// Even if its commits are lost with it, or it is the branch that is meant where none is named
        #[arg(long)]
        force: bool,
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
        &[text("branch"), number("version"), word("commit"), word("time"), number("oldest")];

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
    if !matches!(args.act, Act::Create { .. }) {
        context.no_reference("branch")?;
    }
    let lake = context.lake_of_refs().await?;
    match args.act {
        Act::List => {
            let branches: Vec<Branch> = lake.branches().await?.into_iter().map(Branch::from).collect();
            context.out.list(&branches)
        }
        Act::Create { name, from, without_history } => {
            let from = context.one_reference(from.as_deref(), "--from")?;
            let made = create(context, &lake, &name, from, without_history).await?;
            let sentence = format!("branch {name} begins at version {}", made.version());
            context.out.done(&Branch::from(&made), sentence)?;
            meanings::tell(context, &lake, &name).await;
            Ok(())
        }
        Act::Rename { old, new } => {
            let renamed = match lake.rename_branch(&old, &new).await {
                Ok(renamed) => renamed,
                Err(error) => return Err(unknown(&lake, &old, error.into()).await),
            };
            context.out.done(&Branch::from(&renamed), format!("branch {old} is called {new}"))?;
            meanings::tell(context, &lake, &new).await;
            Ok(())
        }
        Act::Delete { name, force } => delete(context, &lake, &name, force).await,
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

async fn delete(context: &Context, lake: &Lake, name: &str, force: bool) -> Result<()> {
    let at = match lake.at(format!("branch:{name}").as_str()).await {
        Ok(at) => Some(at),
        // What cannot be read can be deleted all the same, and what is not there is told of below.
        Err(error) if force || error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(unknown(lake, name, error.into()).await),
    };
    let deleting = lake.delete_branch(name);
    let deleting = match &at {
        Some(at) if !force => {
            check_kept(lake, at).await?;
            deleting.expecting(at.commit().hash())
        }
        _ => deleting,
    };
    if let Err(error) = deleting.await {
        return Err(unknown(lake, name, error.into()).await);
    }
    let Some(at) = at else {
        context.out.note(format!("deleted branch {name}"));
        return Ok(());
    };
    let (version, commit) = (at.version(), at.commit().hash());
    let sentence = format!("deleted branch {name}, which was at version {version}, commit {commit}");
    context.out.done(&Branch::from(&at), sentence)
}

/// Refuses to delete what nothing else keeps, and the branch that is meant where none is named.
async fn check_kept(lake: &Lake, at: &Ref) -> Result<()> {
    let name = at.branch();
    let (branches, tags) = tokio::try_join!(lake.branches(), lake.tags())?;
    if branches.len() == 1 {
        let failure = Failure::refused(format!(
            "branch {:?} is the last one: a lake keeps at least one",
            name.as_str()
        ));
        return Err(failure.hint("make another one first: `strand branch create NAME`"));
    }
    if name == lake.default_branch() {
        let text =
            format!("branch {:?} is the one that is read and written where none is named", name.as_str());
        return Err(Failure::refused(text).hint("--force deletes it all the same"));
    }
    let others = branches.iter().map(|branch| &branch.name).filter(|other| *other != name);
    let others = others.map(|name| format!("branch:{}", name.as_str()));
    for other in others.chain(tags.iter().map(|tag| format!("tag:{}", tag.name.as_str()))) {
        // What cannot be read, or does not know any more where it comes from, keeps nothing for certain.
        let Ok(other) = lake.at(other.as_str()).await else { continue };
        if other.contains(at).await.unwrap_or(false) {
            return Ok(());
        }
    }
    let text = format!("branch {:?} has commits that no other branch and no tag has", name.as_str());
    Err(Failure::refused(text)
        .hint(format!("`strand merge {name}` brings them into main; --force deletes them")))
}

/// A mistake that is about a branch of this name.
pub(super) async fn unknown(lake: &Lake, name: &str, failure: Failure) -> Failure {
    if !failure.is(ErrorKind::NotFound) {
        return failure.of_arguments();
    }
    let branches = lake.branches().await.unwrap_or_default();
    let failure = failure.offer(name, branches.iter().map(|branch| branch.name.as_str()));
    failure.hint("`strand branch list` shows what there is")
}
