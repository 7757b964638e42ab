//! `strand log`: the versions up to one, newest first; with `--graph` those of all branches in one picture.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use clap::Args as ClapArgs;
use futures::{StreamExt, TryStreamExt};
use strandline::format::Hash;
use strandline::{Commit, Lake};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::graph::{Drawn, Node, draw};
use crate::names;
use crate::output::{Format, Screen, harmless, short_hash};
use crate::version::Version;

/// Shows versions, newest first
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// At most so many
    #[arg(short = 'n', long, value_name = "COMMITS", default_value_t = 50)]
    limit: u64,
    /// Only versions that changed this table, view or namespace
    #[arg(short, long, value_parser = names::table)]
    table: Option<String>,
    /// The oldest first
    #[arg(long, conflicts_with = "graph")]
    forwards: bool,
    /// All branches in one picture
    #[arg(short, long, conflicts_with = "table")]
    graph: bool,
}

/// The names that stand on each commit.
type Names = HashMap<Hash, Vec<String>>;

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    if args.graph {
        return graph(context, args.limit).await;
    }
    let at = context.at().await?;
    let mut log = at.log().limit(args.limit);
    if let Some(table) = &args.table {
        log = log.table(table.as_str());
    }
    if args.forwards {
        log = log.forwards();
    }
    let commits: Vec<Commit> =
        log.stream().try_collect().await.map_err(|error| Failure::from(error).of_arguments())?;
    if let (Some(table), true) = (&args.table, commits.is_empty()) {
        context.stands(&at, table).await?;
    }
    let versions: Vec<Version> = commits.iter().map(Version::from).collect();
    context.out.list(&versions)
}

async fn graph(context: &Context, limit: u64) -> Result<()> {
    context.no_reference("log --graph")?;
    let lake = context.lake_of_refs().await?;
    let commits = ordered(commits_of_all(&lake, limit).await?, limit);
    let names = names_of(&lake).await?;
    let versions: Vec<Version> = commits
        .iter()
        .map(|commit| Version::from(commit).named(names.get(&commit.hash()).cloned().unwrap_or_default()))
        .collect();
    if context.out.format() != Format::Table {
        return context.out.list(&versions);
    }
    let node = |commit: &Commit| Node { id: commit.hash(), parents: commit.parents().collect() };
    let drawn = draw(&commits.iter().map(node).collect::<Vec<_>>());
    let mut out = context.out.screen();
    for ((drawn, version), commit) in drawn.iter().zip(&versions).zip(&commits) {
        print(&mut out, drawn, version, commit.hash())?;
    }
    Ok(out.flush()?)
}

/// The newest commits of every branch.
async fn commits_of_all(lake: &Lake, limit: u64) -> Result<Vec<Commit>> {
    let mut commits = BTreeMap::new();
    for branch in lake.branches().await? {
        let at = lake.at(format!("branch:{}", branch.name.as_str())).await?;
        let mut log = at.log().limit(limit).stream();
        while let Some(commit) = log.next().await {
            let commit = commit?;
            // What is before a known commit is known, as far as it is asked for.
            let known = commits.insert(commit.hash().to_string(), commit).is_some();
            if known {
                break;
            }
        }
    }
    Ok(commits.into_values().collect())
}

/// Children before what they follow; of those that may come next, the youngest.
fn ordered(commits: Vec<Commit>, limit: u64) -> Vec<Commit> {
    let mut children: HashMap<Hash, usize> = HashMap::new();
    for parent in commits.iter().flat_map(Commit::parents) {
        *children.entry(parent).or_default() += 1;
    }
    let mut waiting: HashMap<Hash, Commit> =
        commits.into_iter().map(|commit| (commit.hash(), commit)).collect();
    let age = |commit: &&Commit| (commit.time(), commit.version(), commit.hash().to_string());
    let mut order = Vec::new();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    while order.len() < limit {
        let free =
            waiting.values().filter(|commit| children.get(&commit.hash()).is_none_or(|open| *open == 0));
        let Some(next) = free.max_by_key(age).map(Commit::hash).and_then(|hash| waiting.remove(&hash)) else {
            break;
        };
        for parent in next.parents() {
            children.entry(parent).and_modify(|open| *open -= 1);
        }
        order.push(next);
    }
    order
}

async fn names_of(lake: &Lake) -> Result<Names> {
    let mut names = Names::new();
    for branch in lake.branches().await? {
        names.entry(branch.head).or_default().push(branch.name.as_str().to_owned());
    }
    for tag in lake.tags().await? {
        names.entry(tag.commit).or_default().push(format!("tag {}", tag.name.as_str()));
    }
    Ok(names)
}

fn print(out: &mut Screen, drawn: &Drawn, version: &Version, hash: Hash) -> io::Result<()> {
    for line in &drawn.before {
        writeln!(out, "{line}")?;
    }
    write!(out, "{} v{} {} {}", drawn.line, version.version, short_hash(hash), version.when())?;
    if !version.refs().is_empty() {
        write!(out, " ({})", version.refs().join(", "))?;
    }
    let said = [version.message().to_owned(), version.summary()];
    let said: Vec<String> = said.into_iter().filter(|text| !text.is_empty()).map(harmless).collect();
    writeln!(out, " {}", said.join(" - "))?;
    for line in &drawn.after {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
