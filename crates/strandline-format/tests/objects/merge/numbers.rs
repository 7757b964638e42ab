//! Entries of one branch with the numbers of another.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use strandline_format::merge::ListMap;
use strandline_format::*;

use crate::generate;

fn table() -> impl Strategy<Value = Table> {
    generate::table().prop_filter("with files", |table| table.next_file > FileId(0))
}

/// A stored row id as a reader reads it [FILE-9].
fn read(shifts: &NumberMap, stored: u64) -> u64 {
    let last = shifts.steps().iter().rev().find(|step| step.from <= stored);
    stored.checked_add_signed(last.map_or(0, |step| step.by)).unwrap()
}

fn steps(steps: &[(u64, i64)]) -> NumberMap {
    NumberMap::new(steps.iter().map(|(from, by)| Step { from: *from, by: *by })).unwrap()
}

/// A translation that takes no id below zero.
fn translation() -> impl Strategy<Value = Vec<(u64, i64)>> {
    let step = |from: u64| (-from.cast_signed()..100).prop_map(move |by| (from, by));
    prop::collection::btree_set(0..300_u64, 0..5)
        .prop_flat_map(move |froms| froms.into_iter().map(step).collect::<Vec<_>>())
}

/// A table of one file.
fn with(entry: FileEntry) -> Table {
    let schema = TableSchema::Inline(Schema::numbered(Vec::new()).unwrap());
    let mut table = Table::new(TableId::from_random([1; 16]), Timestamp::EPOCH, schema);
    table.field_set(&FieldSet::default()).unwrap();
    generate::append(&mut table, vec![entry]);
    table
}

fn renumbered(table: &Table, rows: &[(u64, i64)]) -> Result<Vec<FileEntry>> {
    let numbers = Renumbering { rows: steps(rows), ..Renumbering::default() };
    let lists = ListMap::merge(&mut table.clone(), table).unwrap();
    table.files.edits().values().flatten().map(|entry| numbers.translate(entry, &lists, Seq(77))).collect()
}

proptest! {
    /// A rebase: what theirs added stands behind what ours added, without gaps or overlaps.
    #[test]
    fn additions_follow_ours(theirs in table(), ours_files in 0..50_u64, ours_rows in 0..5000_u64) {
        let (files, next_file) = Pieces::shared(0).complete(theirs.next_file.0, ours_files).unwrap();
        let (rows, next_row) = Pieces::shared(0).complete(theirs.next_row.0, ours_rows).unwrap();
        prop_assert_eq!((next_file, next_row), (ours_files + theirs.next_file.0, ours_rows + theirs.next_row.0));
        let numbers = Renumbering { files, rows, ..Renumbering::default() };
        let mut ours = Table { files: Default::default(), totals: Totals::default(), ..theirs.clone() };
        let lists = ListMap::merge(&mut ours, &theirs).unwrap();
        (ours.next_file, ours.next_row) = (FileId(next_file), RowId(next_row));
        let mut end = (ours_files, ours_rows);
        for entry in theirs.files.edits().values().flatten() {
            let merged = numbers.translate(entry, &lists, Seq(77)).unwrap();
            prop_assert_eq!((merged.id.0, merged.first_row.0), end);
            prop_assert_eq!((merged.added, merged.fields), (Seq(77), entry.fields));
            prop_assert_eq!((merged.hash, &merged.deletes), (entry.hash, &entry.deletes));
            end = (merged.id.0 + 1, merged.first_row.0 + merged.rows);
            for stored in [0, 6, 7, 8, 100, 10_000] {
                let expected = numbers.rows.get(read(&entry.shifts, stored)).unwrap();
                if entry.row_ids == RowIds::Stored {
                    prop_assert_eq!(read(&merged.shifts, stored), expected);
                }
            }
            ours.totals = ours.totals.edited(None, Some(&merged));
            ours.files.edit([(merged.id, Some(merged))]);
        }
        prop_assert!(ours.to_json().is_ok());
    }

    /// Shifts after two merges are the first one's translation and then the second one's, up and down.
    #[test]
    fn shifts_are_the_translations_in_turn(entry in generate::entry(), one in translation(), two in translation()) {
        let entry = FileEntry { row_ids: RowIds::Stored, ..entry };
        let first = renumbered(&with(entry.clone()), &one).unwrap().remove(0);
        let second = renumbered(&with(first.clone()), &two).unwrap().remove(0);
        for stored in 0..400 {
            let after_one = read(&steps(&one), read(&entry.shifts, stored));
            prop_assert_eq!(read(&first.shifts, stored), after_one, "{:?}", first.shifts);
            prop_assert_eq!(read(&second.shifts, stored), read(&steps(&two), after_one), "{:?}", second.shifts);
        }
        prop_assert!(second.check().is_ok());
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let entry = |row_ids: RowIds| {
        let runner = &mut proptest::test_runner::TestRunner::deterministic();
        let mut entry = generate::entry().new_tree(runner).unwrap().current();
        (entry.row_ids, entry.rows, entry.shifts) = (row_ids, 100, NumberMap::default());
        entry
    };
    let kind = |row_ids, rows: &[(u64, i64)]| {
        renumbered(&with(entry(row_ids)), rows).map_err(|error| error.kind()).map(drop)
    };
    assert_eq!(kind(RowIds::Derived, &[(0, 5)]), Ok(()));
    assert_eq!(kind(RowIds::Derived, &[(50, 5)]), Err(ErrorKind::Malformed), "a run of ids is torn");
    assert_eq!(kind(RowIds::Derived, &[(0, -1)]), Err(ErrorKind::Malformed), "no such id");
    assert_eq!(kind(RowIds::Stored, &[(50, 5), (60, 7)]), Ok(()));
    assert_eq!(kind(RowIds::Stored, &[(50, 5), (60, -4)]), Ok(()));
    assert_eq!(kind(RowIds::Stored, &[(50, -51)]), Err(ErrorKind::Malformed), "below zero");
}
