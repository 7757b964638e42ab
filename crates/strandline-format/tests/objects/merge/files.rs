//! File entries with their deletion vectors.

use proptest::prelude::*;
use strandline_format::merge::{FileMerge, FileSide, FileSides, TouchedTwice};
use strandline_format::*;

const ROWS: u64 = 10;

/// A file, by the rows that are deleted; `None` is a file that is not listed.
type Deleted<'a> = Option<&'a [u64]>;

fn vector(rows: &[u64]) -> DeletionVector {
    DeletionVector::from_positions(rows.iter().copied()).unwrap()
}

fn entry(rows: &[u64]) -> FileEntry {
    let blob = vector(rows);
    FileEntry {
        id: FileId(1),
        hash: Hash::of(b"file"),
        era: Era(0),
        size: 100,
        rows: ROWS,
        footer: 50,
        first_row: RowId(0),
        added: Seq(1),
        fields: 0,
        deletes: (!rows.is_empty())
            .then(|| Deletes::Inline { rows: blob.cardinality(), blob: blob.encode().unwrap() }),
        row_groups: vec![4],
        order: None,
        split: None,
        shifts: NumberMap::default(),
        row_ids: RowIds::Derived,
        external: None,
        stats: Stats::default().into(),
    }
}

fn merge(base: Deleted<'_>, ours: Deleted<'_>, theirs: Deleted<'_>, moves: (bool, bool)) -> FileMerge {
    let sides = [base, ours, theirs].map(|side| side.map(|rows| (entry(rows), vector(rows))));
    let [base, ours, theirs] =
        sides.each_ref().map(|side| side.as_ref().map(|(entry, deletes)| FileSide { entry, deletes }));
    FileSides { base, ours, theirs, ours_moves: moves.0, theirs_moves: moves.1 }.merge()
}

const NO_MOVES: (bool, bool) = (false, false);

fn check(base: Deleted<'_>, ours: Deleted<'_>, theirs: Deleted<'_>, expected: &FileMerge) {
    assert_eq!(merge(base, ours, theirs, NO_MOVES), *expected, "{base:?} {ours:?} {theirs:?}");
}

#[test]
fn deletes_are_united() {
    let deletes = |rows: &[u64]| FileMerge::Deletes(vector(rows));
    check(Some(&[]), Some(&[1]), Some(&[2]), &deletes(&[1, 2]));
    check(Some(&[1]), Some(&[1, 2]), Some(&[1, 3]), &deletes(&[1, 2, 3]));
    check(Some(&[]), Some(&[1, 2]), Some(&[2]), &FileMerge::Ours);
    check(Some(&[]), Some(&[1]), Some(&[1, 2]), &deletes(&[1, 2]));
    check(Some(&[]), Some(&[0, 1, 2, 3, 4]), Some(&[5, 6, 7, 8, 9]), &FileMerge::Remove);
    check(Some(&[]), Some(&[1]), None, &FileMerge::Remove);
    check(Some(&[]), None, Some(&[1]), &FileMerge::Remove);
    check(Some(&[]), None, None, &FileMerge::Ours);
    // Rows that were restored stay so.
    check(Some(&[1, 2]), Some(&[2]), Some(&[1, 2, 3]), &deletes(&[2, 3]));
    check(Some(&[1, 2]), Some(&[2]), Some(&[1]), &deletes(&[]));
}

#[test]
fn what_may_have_moved_is_looked_up() {
    let rows = |positions: &[u64]| FileMerge::Rows(TouchedTwice::Positions(vector(positions)));
    for moves in [(true, false), (false, true), (true, true)] {
        assert_eq!(merge(Some(&[]), Some(&[1, 2]), Some(&[2, 3]), moves), rows(&[2]));
        assert_eq!(merge(Some(&[]), Some(&[1]), Some(&[2]), moves), FileMerge::Deletes(vector(&[1, 2])));
        assert_eq!(merge(Some(&[4]), Some(&[1, 4]), None, moves), rows(&[1]));
        assert_eq!(merge(Some(&[]), Some(&[1]), Some(&[1]), moves), rows(&[1]));
        assert_eq!(merge(Some(&[]), None, None, moves), FileMerge::Rows(TouchedTwice::AllLive));
        assert_eq!(merge(Some(&[]), None, Some(&[]), moves), FileMerge::Ours);
        assert_eq!(merge(Some(&[]), Some(&[]), None, moves), FileMerge::Theirs);
    }
    // Rows that are back stay, and are listed again where ours does not list their file.
    let all_but = |row| vector(&(0..ROWS).filter(|other| *other != row).collect::<Vec<_>>());
    check(Some(&[1, 2]), Some(&[1, 3]), None, &FileMerge::Deletes(all_but(2)));
    check(Some(&[1, 2]), None, Some(&[1, 3]), &FileMerge::Again(all_but(2)));
    check(None, Some(&[1, 2]), Some(&[2, 3]), &FileMerge::Deletes(vector(&[2])));
    assert_eq!(merge(Some(&[1, 2]), None, Some(&[1, 3]), (true, false)), rows(&[3]));
}

#[test]
fn another_file_under_the_same_id_is_a_conflict() {
    let (plain, other) = (entry(&[]), FileEntry { hash: Hash::of(b"other"), ..entry(&[]) });
    let (none, one) = (vector(&[]), vector(&[1]));
    let deleted = entry(&[1]);
    let side = |entry, deletes| Some(FileSide { entry, deletes });
    let sides = |base, ours, theirs| FileSides { base, ours, theirs, ours_moves: false, theirs_moves: false };
    let found = [
        sides(side(&plain, &none), side(&other, &none), side(&deleted, &one)),
        sides(side(&plain, &none), side(&deleted, &one), side(&other, &none)),
        sides(None, side(&plain, &none), side(&other, &none)),
    ];
    for sides in found {
        assert!(matches!(sides.merge(), FileMerge::Conflict(_)), "{sides:?}");
    }
    // Hints and statistics may differ.
    let hinted = FileEntry { order: Some(3), era: Era(2), ..entry(&[]) };
    assert_eq!(
        sides(side(&plain, &none), side(&hinted, &none), side(&deleted, &one)).merge(),
        FileMerge::Deletes(one.clone())
    );
}

fn side() -> impl Strategy<Value = Option<Vec<u64>>> {
    let rows = prop::collection::btree_set(0..ROWS, 0..4).prop_map(|rows| rows.into_iter().collect());
    prop::option::weighted(0.8, rows)
}

/// The rows that are live after a merge that could be told, by the definition for each single row.
fn live(base: Deleted<'_>, ours: Deleted<'_>, theirs: Deleted<'_>) -> Vec<u64> {
    let is_live = |side: Deleted<'_>, row: u64| side.is_some_and(|deleted| !deleted.contains(&row));
    let merged = |row: &u64| match (is_live(base, *row), is_live(ours, *row), is_live(theirs, *row)) {
        (true, ours, theirs) => ours && theirs,
        (false, ours, theirs) => ours || theirs,
    };
    (0..ROWS).filter(merged).collect()
}

proptest! {
    #[test]
    fn the_base_gives_the_other_side(base in side(), x in side(), moves in any::<(bool, bool)>()) {
        let (base, x) = (base.as_deref(), x.as_deref());
        prop_assert_eq!(merge(base, x, base, moves), FileMerge::Ours);
        let expected = match (base, x) {
            _ if x == base => FileMerge::Ours,
            (None, Some(rows)) => FileMerge::Again(vector(rows)),
            _ => FileMerge::Theirs,
        };
        prop_assert_eq!(merge(base, base, x, moves), expected);
    }

    #[test]
    fn the_same_twice_is_the_same(base in side(), x in side()) {
        let x = x.as_deref();
        prop_assert_eq!(merge(base.as_deref(), x, x, NO_MOVES), FileMerge::Ours);
    }

    #[test]
    fn the_sides_are_equal_and_each_row_is_right(base in side(), ours in side(), theirs in side()) {
        let (base, ours, theirs) = (base.as_deref(), ours.as_deref(), theirs.as_deref());
        let rows = |merged: FileMerge, ours: Deleted<'_>, theirs: Deleted<'_>| -> Option<Vec<u64>> {
            let kept = |side: Deleted<'_>| (0..ROWS).filter(|row| side.is_some_and(|gone| !gone.contains(row))).collect();
            match merged {
                FileMerge::Ours => Some(kept(ours)),
                FileMerge::Theirs => Some(kept(theirs)),
                FileMerge::Remove => Some(Vec::new()),
                FileMerge::Deletes(gone) | FileMerge::Again(gone) => Some((0..ROWS).filter(|row| !gone.contains(*row)).collect()),
                FileMerge::Rows(_) | FileMerge::Conflict(_) => None,
            }
        };
        let one = rows(merge(base, ours, theirs, NO_MOVES), ours, theirs);
        let other = rows(merge(base, theirs, ours, NO_MOVES), theirs, ours);
        prop_assert_eq!(&one, &other);
        if let Some(found) = one {
            prop_assert_eq!(found, live(base, ours, theirs));
        }
    }
}
