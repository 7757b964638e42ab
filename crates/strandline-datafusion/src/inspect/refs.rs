//! `t$refs` and `lake_refs()`: branches and tags, and those that a table is on.

use datafusion::arrow::array::RecordBatch;
use futures::stream::{self, StreamExt, TryStreamExt};
use strandline::format::{Base, RefName, Reference, Seq, TableId, Timestamp};
use strandline::{Lake, Ref, Result};

use super::columns::{batch, maybe_numbers, maybe_texts, numbers, texts, times};
use super::listing::Listing;
use crate::heads::Heads;

/// How many refs are looked at at a time.
const REFS: usize = 8;

/// Which are listed; the others are not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refs {
    All,
    Branches,
    Tags,
}

/// A branch or a tag.
struct Named {
    kind: &'static str,
    name: RefName,
    commit: String,
    version: Seq,
    time: Timestamp,
    /// The oldest version that a branch keeps.
    oldest: Option<Seq>,
    /// The branch on which a tag's version is.
    branch: Option<RefName>,
    author: Option<String>,
    message: Option<String>,
}

/// A table on a branch or a tag.
struct Held {
    on: Named,
    table: String,
    rows: u64,
}

pub(super) fn of_lake(lake: Lake, which: Refs) -> Result<Listing> {
    let empty = refs(&[])?;
    Ok(Listing::new("lake_refs()", &empty, move |moments| {
        let lake = lake.clone();
        stream::once(async move { refs(&listed(&lake, &moments.heads(&lake).await?, which).await?) }).boxed()
    }))
}

pub(super) fn of_table(what: String, lake: Lake, table: TableId) -> Result<Listing> {
    let empty = held(&[])?;
    Ok(Listing::new(what, &empty, move |moments| {
        let lake = lake.clone();
        stream::once(async move { held(&holding(&lake, &moments.heads(&lake).await?, table).await?) }).boxed()
    }))
}

/// Branches, then tags. Branches of which a head is read already stand there.
async fn listed(lake: &Lake, heads: &[Ref], which: Refs) -> Result<Vec<Named>> {
    let branches = async { if which == Refs::Tags { Ok(Vec::new()) } else { lake.branches().await } };
    let tags = async { if which == Refs::Branches { Ok(Vec::new()) } else { lake.tags().await } };
    let (branches, tags) = futures::try_join!(branches, tags)?;
    let branches = branches.into_iter().map(|branch| Named {
        kind: "branch",
        name: branch.name,
        commit: branch.head.to_string(),
        version: branch.version,
        time: branch.time,
        oldest: Some(branch.oldest),
        branch: None,
        author: None,
        message: None,
    });
    let tags = tags.into_iter().map(|tag| Named {
        kind: "tag",
        name: tag.name,
        commit: tag.commit.to_string(),
        version: tag.version,
        time: tag.time,
        oldest: None,
        branch: Some(tag.branch),
        author: Some(tag.author),
        message: Some(tag.message),
    });
    let mut all: Vec<Named> = branches.chain(tags).collect();
    for named in all.iter_mut().filter(|named| named.kind == "branch") {
        if let Some(head) = heads.iter().find(|head| *head.branch() == named.name) {
            named.commit = head.commit().hash().to_string();
            (named.version, named.time) = (head.version(), head.commit().time());
        }
    }
    Ok(all)
}

/// The refs that have a table, whatever it is called there.
async fn holding(lake: &Lake, heads: &[Ref], table: TableId) -> Result<Vec<Held>> {
    let seen = Heads::of(heads.iter().cloned());
    let look = |on: Named| {
        let seen = seen.clone();
        async move {
            let base =
                if on.kind == "branch" { Base::Branch(on.name.clone()) } else { Base::Tag(on.name.clone()) };
            let at = seen.at(lake, Reference::new(base, Vec::new())).await?;
            let listed = at.tables().await?.into_iter().find(|listed| listed.id == table);
            let Some(listed) = listed else { return Ok(None) };
            let found = at.table(listed.name.as_str()).await?;
            Result::Ok(Some(Held { on, table: listed.name.as_str().to_owned(), rows: found.rows() }))
        }
    };
    let found: Vec<Option<Held>> =
        stream::iter(listed(lake, heads, Refs::All).await?).map(look).buffered(REFS).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

fn refs(all: &[Named]) -> Result<RecordBatch> {
    batch(vec![
        texts(all, "kind", |named| named.kind.to_owned()),
        texts(all, "name", |named| named.name.as_str().to_owned()),
        numbers(all, "version", |named| named.version.0),
        times(all, "time", |named| named.time),
        maybe_numbers(all, "oldest", |named| named.oldest.map(|version| version.0)),
        maybe_texts(all, "branch", |named| named.branch.as_ref().map(|name| name.as_str().to_owned())),
        maybe_texts(all, "author", |named| named.author.clone()),
        maybe_texts(all, "message", |named| named.message.clone()),
        texts(all, "commit", |named| named.commit.clone()),
    ])
}

fn held(all: &[Held]) -> Result<RecordBatch> {
    batch(vec![
        texts(all, "kind", |held| held.on.kind.to_owned()),
        texts(all, "name", |held| held.on.name.as_str().to_owned()),
        texts(all, "table", |held| held.table.clone()),
        numbers(all, "rows", |held| held.rows),
        numbers(all, "version", |held| held.on.version.0),
        times(all, "time", |held| held.on.time),
        texts(all, "commit", |held| held.on.commit.clone()),
    ])
}
