//! Processes that commit to the tables of one lake, at once and for as long as it takes: nothing is lost, nothing is there
//! twice, and what was acknowledged is a version of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::TryStreamExt;
use strandline::{Commit, Error, ErrorKind, Lake, Resolution, Result};
use strandline_format::Seq;

use super::Site;
use super::rows::{self, Row, batch, read};
use crate::child::{Process, Start, acknowledge};
use crate::lake::{self, Place};

/// How many processes race.
pub(super) const WRITERS: u32 = 8;
/// How long a writer waits before it tries again what the store could not do.
const PAUSE: Duration = Duration::from_millis(100);

/// What processes do to a lake: each adds rows to the tables that are its own or everybody's, to all of them in one commit.
pub(super) struct Load<'a> {
    pub(super) place: &'a Place,
    pub(super) writers: u32,
    /// How many commits each of them makes.
    pub(super) commits: u32,
    /// Whether each commit has an idempotency key, so that a writer that was killed goes on where it was.
    pub(super) keyed: bool,
    /// The tables of a writer.
    pub(super) tables: fn(u32) -> Vec<String>,
}

/// All write to one table.
pub(super) fn one(_: u32) -> Vec<String> {
    vec!["t0".to_owned()]
}

/// Each writes to a table of its own.
fn own(writer: u32) -> Vec<String> {
    vec![format!("t{writer}")]
}

/// All write to two tables.
pub(super) fn two(_: u32) -> Vec<String> {
    ["t0", "t1"].map(str::to_owned).into()
}

/// The races.
pub(super) fn to_one_table(site: &Site) {
    race(site, one);
}

pub(super) fn to_a_table_each(site: &Site) {
    race(site, own);
}

fn race(site: &Site, tables: fn(u32) -> Vec<String>) {
    let load = Load { place: &site.place, writers: WRITERS, commits: site.turns, keyed: false, tables };
    load.prepare();
    let running: Vec<Process> = (0..WRITERS).map(|writer| load.start(writer)).collect();
    let said: Vec<String> = running.into_iter().flat_map(Process::finish).collect();
    let landed = load.check(&said);
    assert_eq!((landed, said.len()), ((WRITERS * site.turns) as usize, landed));
}

impl Load<'_> {
    /// Makes the lake and its tables.
    pub(super) fn prepare(&self) {
        let names: BTreeSet<String> = (0..self.writers).flat_map(self.tables).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        lake::run(async { rows::create(self.place, &names).await });
    }

    /// One of the writers, beginning or going on after a kill.
    pub(super) fn start(&self, writer: u32) -> Process {
        let (tables, number, commits) =
            ((self.tables)(writer).join(","), writer.to_string(), self.commits.to_string());
        let keyed = if self.keyed { "keyed" } else { "" };
        let Place { location, options } = self.place;
        Start::new("commit", &[location, options, &tables, &number, &commits, keyed]).spawn()
    }

    /// Checks what stands in the lake against what was said, and gives how many commits have landed: each once, those that were
    /// acknowledged among them, of each writer all up to its last, and in every table the rows of them and no others.
    pub(super) fn check(&self, said: &[String]) -> usize {
        lake::run(async {
            let main = rows::open(self.place).await.main().await.unwrap();
            let log = main.log().forwards().from(Seq(2));
            let commits: Vec<Commit> = log.stream().try_collect().await.unwrap();
            let lines: BTreeSet<String> = commits.iter().map(line).collect();
            let lost: Vec<&String> = said.iter().filter(|line| !lines.contains(*line)).collect();
            assert!(lost.is_empty(), "acknowledged and not in the history: {lost:?}");
            let transactions: BTreeSet<_> = commits.iter().map(Commit::txn).collect();
            assert_eq!(transactions.len(), commits.len(), "a transaction has committed twice");
            let mut expected: BTreeMap<String, Vec<Row>> = BTreeMap::new();
            for writer in 0..self.writers {
                let landed = commits.iter().filter(|commit| commit.author() == writer.to_string()).count();
                let rows = (1..=u32::try_from(landed).unwrap()).map(|number| row(writer, number));
                (self.tables)(writer)
                    .into_iter()
                    .for_each(|table| expected.entry(table).or_default().extend(rows.clone()));
            }
            for (name, rows) in expected {
                assert_eq!(read(&main.table(&name).await.unwrap()).await, rows, "{name}");
            }
            commits.len()
        })
    }
}

fn row(writer: u32, number: u32) -> Row {
    (i64::from(writer) * 1000 + i64::from(number), i64::from(writer))
}

/// A commit as it is acknowledged.
fn line(commit: &Commit) -> String {
    format!("{} {}", commit.version(), commit.txn())
}

/// A writer: makes its commits one by one, and says each. One that was killed goes on behind its last row.
pub(crate) async fn commit_until_done(arguments: &[String]) {
    let [location, options, tables, writer, commits, keyed] = arguments else { panic!("{arguments:?}") };
    let place = Place { location: location.clone(), options: options.clone() };
    let (writer, commits): (u32, u32) = (writer.parse().unwrap(), commits.parse().unwrap());
    let tables: Vec<&str> = tables.split(',').collect();
    let lake = open(&place).await;
    let first = if keyed == "keyed" { 1 + written(&lake, tables[0], writer).await } else { 1 };
    for number in first..=commits {
        let attempt = || append(&lake, &tables, writer, number, keyed == "keyed");
        acknowledge(&line(&until_committed(&lake, attempt).await));
    }
}

/// How many rows of a writer stand in a table.
async fn written(lake: &Lake, table: &str, writer: u32) -> u32 {
    let rows = read(&lake.table(table).await.unwrap()).await;
    u32::try_from(rows.iter().filter(|row| row.1 == i64::from(writer)).count()).unwrap()
}

/// Opens the lake as soon as its server is there.
async fn open(place: &Place) -> Lake {
    loop {
        match rows::try_open(place).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => tokio::time::sleep(PAUSE).await,
            opened => return opened.unwrap(),
        }
    }
}

async fn append(lake: &Lake, tables: &[&str], writer: u32, number: u32, keyed: bool) -> Result<Commit> {
    let begin = if keyed { lake.begin().key(format!("{writer}/{number}")) } else { lake.begin() };
    let transaction = begin.await?;
    for table in tables {
        transaction.append(table, batch(&[row(writer, number)])).await?;
    }
    let committed = transaction.commit().author(writer.to_string()).await;
    let conflict = committed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Conflict);
    assert!(!conflict, "appends never conflict: {committed:?}");
    Ok(committed?.commit)
}

/// Tries until it has committed: again what has certainly not happened, and what is in doubt is found out first.
pub(super) async fn until_committed<F: Future<Output = Result<Commit>>>(
    lake: &Lake,
    attempt: impl Fn() -> F,
) -> Commit {
    loop {
        let error = match attempt().await {
            Ok(commit) => return commit,
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::CommitUnknown => {
                if let Resolution::Committed(commit) = resolve(lake, &error).await {
                    return commit;
                }
            }
            ErrorKind::Unavailable => tokio::time::sleep(PAUSE).await,
            ErrorKind::Conflict => {}
            _ => panic!("{error}"),
        }
    }
}

async fn resolve(lake: &Lake, error: &Error) -> Resolution {
    loop {
        match lake.resolve_by_fence(error.unresolved().unwrap()).await {
            Ok(resolution) => return resolution,
            Err(error) if matches!(error.kind(), ErrorKind::CommitUnknown | ErrorKind::Unavailable) => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}
