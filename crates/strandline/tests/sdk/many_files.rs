//! A table of as many files as a test wants, all of which can be read, in a moment: most list the bytes of one file again, which are stored once.
//!
//! Invariant: rows of the few files that have rows of their own are told by their numbers, which are their row ids as well; no other row has a
//! number above zero. What does not belong here: what is counted, and what it may come to.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use strandline::filter::col;
use strandline::format::RowId;
use strandline::{Lake, Table};
use strandline_format::{FileEntry, FileId, RefName, TableName};
use strandline_testkit::commits::{TableEdit, commit};

use crate::fixture::Counted;
use crate::work::{batch, change, longs};

/// The rows of the table.
const ROWS: u64 = 1_000_000;

/// How many files have rows of their own, spread over all; the first of all is none of them.
const OWN: u64 = 20;

/// A row, by which of the files with rows of their own it is in, counted from one, and where.
pub(crate) type Place = (u64, u64);

/// The table `t` on `main`, with the columns `u`, `a` and `b`, which are the row's number at first.
pub(crate) struct ManyFiles {
    pub(crate) counted: Counted,
    pub(crate) lake: Lake,
    pub(crate) files: u64,
}

/// Entries for the table `t` of a branch, as they are.
pub(crate) async fn put(lake: &Lake, branch: &str, puts: Vec<FileEntry>) {
    let head = lake.branch(&RefName::new(branch).unwrap()).await.unwrap();
    let edit = TableEdit { name: TableName::new("t").unwrap(), puts, removes: Vec::new() };
    commit(lake, &head, vec![edit]).await.unwrap();
}

impl ManyFiles {
    pub(crate) async fn new(files: u64) -> Self {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        let many = Self { counted, lake, files };
        let (each, block) = (i64::try_from(many.each()).unwrap(), files / OWN);
        let first = numbered(-each, each);
        change(&many.lake, async |on| {
            on.create_table("t").like(&first.schema()).await.unwrap();
            on.append("t", first.clone()).await.unwrap();
        })
        .await;
        let again = many.table("main").await.files().await.unwrap().remove(0);
        let listed =
            |id: u64| FileEntry { id: FileId(id), first_row: RowId(id * many.each()), ..again.clone() };
        put(&many.lake, "main", (1..block).map(listed).collect()).await;
        for own in 1..OWN {
            let id = own * block;
            many.lake.append("t", numbered(many.row((own, 0)), each)).await.unwrap();
            put(&many.lake, "main", (id + 1..id + block).map(listed).collect()).await;
        }
        let totals = many.table("main").await.totals();
        assert_eq!((totals.files, totals.rows), (files, ROWS));
        many
    }

    /// The rows of each file.
    fn each(&self) -> u64 {
        ROWS / self.files
    }

    pub(crate) async fn table(&self, at: &str) -> Table {
        self.lake.at(at).await.unwrap().table("t").await.unwrap()
    }

    /// The number of a row.
    pub(crate) fn row(&self, (own, position): Place) -> i64 {
        assert!(position < self.each());
        i64::try_from(own * (self.files / OWN) * self.each() + position).unwrap()
    }

    /// One commit of a branch that sets one column of some rows.
    pub(crate) async fn update(&self, branch: &str, at: &[Place], column: &str, value: i64) {
        let on = self.lake.begin().branch(branch).await.unwrap();
        let wanted = col("u").is_in(at.iter().map(|at| self.row(*at)));
        let report = on.update("t", wanted).set(column, value).await.unwrap();
        assert_eq!(report.updated, at.len() as u64);
        on.commit().await.unwrap();
    }

    /// The names of the files in which these rows stand in any of these versions.
    pub(crate) async fn holding(&self, versions: &[&str], at: &[Place]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for version in versions {
            let table = self.table(version).await;
            let ids = at.iter().map(|at| RowId(self.row(*at).unsigned_abs()));
            let places = table.places(ids).await.unwrap();
            let holds = |entry: &&FileEntry| places.iter().any(|place| place.file == entry.id);
            let name = |entry: &FileEntry| format!("{}-{}.parquet", entry.hash, entry.era.0);
            names.extend(table.files().await.unwrap().iter().filter(holds).map(name));
        }
        names
    }
}

fn numbered(from: i64, count: i64) -> RecordBatch {
    let numbers = || longs(from..from + count);
    batch([("u", numbers()), ("a", numbers()), ("b", numbers())])
}
