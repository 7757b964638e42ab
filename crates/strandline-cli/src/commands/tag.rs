//! `strand tag`: what tags there are, and setting and deleting them.

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use strandline::format::{Hash, Timestamp};
use strandline::{ErrorKind, Lake, refs};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::meanings;
use crate::output::{Cell, Kind, Record, number, said, text, word};

/// Lists, sets and deletes tags
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Lists the tags
    List,
    /// Sets a tag
    Create {
        /// Its name
        name: String,
        /// The version that it names [default: what --ref says]
        #[arg(value_name = "REFERENCE")]
        on: Option<String>,
        /// What for
        #[arg(short, long, default_value = "")]
        message: String,
        /// Who sets it
        #[arg(long, default_value = "")]
        author: String,
        /// Moves the tag if there is one
        #[arg(long = "move")]
        moving: bool,
    },
    /// Deletes a tag
    Delete {
        /// Its name
        name: String,
    },
}

/// A tag.
#[derive(Serialize)]
struct Tag {
    name: String,
    version: u64,
    branch: String,
    commit: String,
    time: String,
    author: Option<String>,
    message: Option<String>,
    #[serde(skip)]
    hash: Hash,
    #[serde(skip)]
    at: Timestamp,
}

impl Record for Tag {
    const COLUMNS: &'static [(&'static str, Kind)] = &[
        text("tag"),
        number("version"),
        text("branch"),
        word("commit"),
        word("time"),
        text("author"),
        text("message"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.name),
            Cell::Number(self.version),
            Cell::text(&self.branch),
            Cell::Hash(self.hash),
            Cell::Time(self.at),
            Cell::text(self.author.as_deref().unwrap_or_default()),
            Cell::text(self.message.as_deref().unwrap_or_default()),
        ]
    }
}

impl From<refs::Tag> for Tag {
    fn from(tag: refs::Tag) -> Self {
        Self {
            name: tag.name.as_str().to_owned(),
            version: tag.version.0,
            branch: tag.branch.as_str().to_owned(),
            commit: tag.commit.to_string(),
            time: tag.time.to_string(),
            author: said(tag.author),
            message: said(tag.message),
            hash: tag.commit,
            at: tag.time,
        }
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    if !matches!(args.act, Act::Create { .. }) {
        context.no_reference("tag")?;
    }
    let lake = context.lake_of_refs().await?;
    match args.act {
        Act::List => {
            let tags: Vec<Tag> = lake.tags().await?.into_iter().map(Tag::from).collect();
            context.out.list(&tags)
        }
        Act::Create { name, on, message, author, moving } => {
            let on = context.one_reference(on.as_deref(), "REFERENCE")?;
            let on = context.at_reference(&lake, Some(on)).await?;
            let setting = lake.create_tag(&name).on(on).message(message).author(author);
            let set = if moving { setting.moving().await } else { setting.await };
            let tag = Tag::from(set.map_err(taken)?);
            let sentence = format!("tag {name} names version {} of {}", tag.version, tag.branch);
            context.out.done(&tag, sentence)?;
            meanings::tell(context, &lake, &name).await;
            Ok(())
        }
        Act::Delete { name } => {
            let tag = lake.tags().await?.into_iter().find(|tag| tag.name.as_str() == name).map(Tag::from);
            if let Err(error) = lake.delete_tag(&name).await {
                return Err(unknown(&lake, &name, error.into()).await);
            }
            let Some(tag) = tag else {
                context.out.note(format!("deleted tag {name}"));
                return Ok(());
            };
            let sentence =
                format!("deleted tag {name}, which named version {} of {}", tag.version, tag.branch);
            context.out.done(&tag, sentence)
        }
    }
}

fn taken(error: strandline::Error) -> Failure {
    Failure::from(error).of_arguments().hint_if(ErrorKind::AlreadyExists, "--move moves it")
}

/// A mistake that is about a tag of this name.
async fn unknown(lake: &Lake, name: &str, failure: Failure) -> Failure {
    if !failure.is(ErrorKind::NotFound) {
        return failure.of_arguments();
    }
    let tags = lake.tags().await.unwrap_or_default();
    let failure = failure.offer(name, tags.iter().map(|tag| tag.name.as_str()));
    failure.hint("`strand tag list` shows what there is")
}
