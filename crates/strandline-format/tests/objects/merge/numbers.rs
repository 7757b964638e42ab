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
fn read(shifts: &[Shift], stored: u64) -> u64 {
    shifts.iter().fold(stored, |id, shift| if id >= shift.from.0 { id + shift.by } else { id })
}

fn steps(steps: &[(u64, i64)]) -> NumberMap {
    NumberMap::new(steps.iter().map(|(from, by)| Step { from: *from, by: *by })).unwrap()
}

fn renumbered(table: &Table, rows: &[(u64, i64)]) -> Result<Vec<FileEntry>> {
    let numbers = Renumbering { files: NumberMap::default(), rows: steps(rows) };
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
        let numbers = Renumbering { files, rows };
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

    /// Any translation that rises can be written as shifts, and means the same.
    #[test]
    fn shifts_are_the_translation(
        theirs in table(),
        parts in prop::collection::btree_map(0..3000_u64, 0..50_i64, 0..4),
    ) {
        let mut by = 0;
        let rising: Vec<(u64, i64)> = parts.into_iter().map(|(from, more)| { by += more; (from, by) }).collect();
        let map = steps(&rising);
        let Ok(entries) = renumbered(&theirs, &rising) else { return Ok(()) };
        for (before, after) in theirs.files.edits().values().flatten().zip(entries) {
            for stored in (0..4000).step_by(7).filter(|_| after.row_ids == RowIds::Stored) {
                let expected = map.get(read(&before.shifts, stored)).unwrap();
                prop_assert_eq!(read(&after.shifts, stored), expected, "{:?}", after.shifts);
            }
        }
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let entry = |row_ids: RowIds| {
        let runner = &mut proptest::test_runner::TestRunner::deterministic();
        let mut entry = generate::entry().new_tree(runner).unwrap().current();
        (entry.row_ids, entry.rows, entry.shifts) = (row_ids, 100, Vec::new());
        entry
    };
    let table = |row_ids: RowIds| {
        let schema = TableSchema::Inline(Schema::numbered(Vec::new()).unwrap());
        let mut table = Table::new(TableId::from_random([1; 16]), Timestamp::EPOCH, schema);
        table.field_set(&FieldSet::default()).unwrap();
        generate::append(&mut table, vec![entry(row_ids)]);
        table
    };
    let kind = |row_ids, rows: &[(u64, i64)]| {
        renumbered(&table(row_ids), rows).map_err(|error| error.kind()).map(drop)
    };
    assert_eq!(kind(RowIds::Derived, &[(0, 5)]), Ok(()));
    assert_eq!(kind(RowIds::Derived, &[(50, 5)]), Err(ErrorKind::Malformed), "a run of ids is torn");
    assert_eq!(kind(RowIds::Derived, &[(0, -1)]), Err(ErrorKind::Malformed), "no such id");
    assert_eq!(kind(RowIds::Stored, &[(50, 5), (60, 7)]), Ok(()));
    assert_eq!(kind(RowIds::Stored, &[(50, 5), (60, 4)]), Err(ErrorKind::Unsupported), "down");
}
