//! What a merge asks for: requests however many files the table has, and of data files only those that hold rows which both sides touched.
//!
//! What does not belong here: what a merge comes to, but for a look at the rows that it is counted for.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use strandline_format::{Deletes, DeletionVector, FileEntry};
use strandline_testkit::Counts;
use strandline_testkit::generate::entries;

use super::*;
use crate::many_files::{ManyFiles, Place, put};

/// The entry of a file of the testkit's table of which one row is deleted.
fn without(id: u64, position: u64) -> FileEntry {
    let blob = DeletionVector::from_positions([position]).unwrap().encode().unwrap();
    FileEntry { deletes: Some(Deletes::Inline { rows: 1, blob }), ..entries::file(id) }
}

#[test]
fn a_merge_of_ten_rows_on_each_side_costs_what_they_do_however_many_files_there_are() {
    for (files, most) in [(100, 12), (10_000, 24)] {
        paused(async {
            let counted = Counted::new();
            let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
            put(&lake, "main", (0..files).map(entries::file).collect()).await;
            lake.create_branch("dev").await.unwrap();
            let spread = |at: u64| at * (files / 10);
            put(&lake, "main", (0..10).map(|at| without(spread(at), 1)).collect()).await;
            put(&lake, "dev", (0..10).map(|at| without(spread(at) + at % 2, 2)).collect()).await;
            let cold = open(counted.cold().storage).await.unwrap();
            let before = counted.store.snapshot();
            let report = merge(&cold, "dev", "main").await;
            let asked = counted.store.since(&before);
            assert_eq!(report.tables[0].rows, (0, 10));
            assert_eq!(asked.to(PathClass::Data).requests, 0, "{asked}");
            assert!(asked.total().requests <= most, "{files} files: {asked}");
        });
    }
}

/// What is in `a` and `b` of a row; zero: what was there at first.
type Cell = (i64, i64);

/// One commit, which sets one column of some rows.
type Edit = (Vec<Place>, &'static str, i64);

/// What two branches did.
struct Case {
    name: &'static str,
    ours: Vec<Edit>,
    theirs: Vec<Edit>,
    /// The rows that both of them touched.
    both: Vec<Place>,
    /// On how many rows they disagree, for which theirs is taken then.
    disagree: usize,
    ends: Vec<(Place, Cell)>,
}

impl Case {
    async fn check(&self, many: &ManyFiles, most: u64) {
        for (branch, edits) in [("ours", &self.ours), ("theirs", &self.theirs)] {
            many.lake.create_branch(branch).await.unwrap();
            for (at, column, value) in edits {
                many.update(branch, at, column, *value).await;
            }
        }
        let name = format!("{} files, {}", many.files, self.name);
        let holding = many.holding(&["main", "ours", "theirs"], &self.both).await;
        let within = |asked: &Counts, read: &BTreeSet<String>| {
            assert!(asked.total().requests <= most, "{name}: {asked}");
            assert_eq!(*read, holding, "{name}: {asked}");
        };
        let mut take = None;
        if self.disagree > 0 {
            let (merged, asked, read) = merged(many, None).await;
            let Merged::Conflicts(found) = merged else { panic!("{name}: {merged:?}") };
            assert_eq!(found.rows[0].rows.len(), self.disagree, "{name}");
            within(&asked, &read);
            take = Some(Side::Theirs);
        }
        let (merged, asked, read) = merged(many, take).await;
        merged.committed().unwrap();
        within(&asked, &read);
        for (at, expected) in &self.ends {
            assert_eq!(cell(many, *at).await, *expected, "{name}: {at:?}");
        }
        for branch in ["ours", "theirs"] {
            many.lake.delete_branch(branch).await.unwrap();
        }
    }
}

/// `theirs` merged into `ours` in a process that has read nothing yet; what it asked for, and which data files it read.
async fn merged(many: &ManyFiles, take: Option<Side>) -> (Merged, Counts, BTreeSet<String>) {
    let (storage, read) = many.counted.watched();
    let cold = open(storage).await.unwrap();
    let mut merge = cold.merge("theirs").into("ours");
    if let Some(side) = take {
        merge = merge.rows("t", side);
    }
    let (merged, asked) = many.counted.store.measure(merge.into_future()).await;
    (merged.unwrap(), asked, read.take())
}

async fn cell(many: &ManyFiles, at: Place) -> Cell {
    let row = many.row(at);
    let found = many.table("ours").await.scan().filter(col("u").eq(row)).collect().await.unwrap();
    let found: Vec<_> = found.iter().flat_map(triples).collect();
    let [(_, a, b)] = found[..] else { panic!("row {row}: {found:?}") };
    let set = |value| if value == row { 0 } else { value };
    (set(a), set(b))
}

/// One row of each of some files.
fn in_files(files: RangeInclusive<u64>, position: u64) -> Vec<Place> {
    files.map(|file| (file, position)).collect()
}

fn cases() -> [Case; 4] {
    let (ten, two) = (|| in_files(1..=10, 3), || vec![(3, 3), (8, 3)]);
    // Each row by a commit of its own, so that each has a file of its own.
    let one = |(file, position): Place, column| (vec![(file, position)], column, -2);
    [
        Case {
            name: "other rows",
            ours: vec![(ten(), "a", -1)],
            theirs: vec![(in_files(6..=15, 4), "a", -2)],
            both: Vec::new(),
            disagree: 0,
            ends: vec![((1, 3), (-1, 0)), ((6, 3), (-1, 0)), ((6, 4), (-2, 0)), ((15, 4), (-2, 0))],
        },
        Case {
            name: "other cells",
            ours: vec![(ten(), "a", -1)],
            theirs: vec![(ten(), "b", -2)],
            both: ten(),
            disagree: 0,
            ends: ten().into_iter().map(|at| (at, (-1, -2))).collect(),
        },
        Case {
            name: "some of all",
            ours: vec![(ten(), "a", -1)],
            theirs: vec![
                (in_files(1..=2, 3), "a", -2),
                (in_files(3..=4, 3), "b", -2),
                (in_files(5..=6, 4), "a", -2),
                (in_files(11..=14, 3), "a", -2),
            ],
            both: in_files(1..=4, 3),
            disagree: 2,
            ends: vec![
                ((2, 3), (-2, 0)),
                ((3, 3), (-1, -2)),
                ((5, 3), (-1, 0)),
                ((5, 4), (-2, 0)),
                ((14, 3), (-2, 0)),
            ],
        },
        Case {
            name: "row by row",
            ours: ten().into_iter().map(|at| one(at, "a")).collect(),
            theirs: (1..=10)
                .map(|file| one((file, if two().contains(&(file, 3)) { 3 } else { 4 }), "b"))
                .collect(),
            both: two(),
            disagree: 0,
            ends: vec![((3, 3), (-2, -2)), ((4, 3), (-2, 0)), ((4, 4), (0, -2))],
        },
    ]
}

#[test]
fn a_merge_of_ten_updates_on_each_side_reads_the_files_of_rows_that_both_touched_and_no_other() {
    for (files, most) in [(100, 40), (10_000, 60)] {
        paused(async {
            let many = ManyFiles::new(files).await;
            for case in cases() {
                case.check(&many, most).await;
            }
        });
    }
}
