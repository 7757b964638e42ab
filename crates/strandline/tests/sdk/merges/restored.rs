//! Rows that a reset or a revert brought back, met by merges and by transactions that began before.

use strandline::filter::{Predicate, col};
use strandline::format::PrimitiveType;
use strandline::merge::{RowConflict, Side};
use strandline::refs::Merged;
use strandline::{ConflictKind, ErrorKind, Lake};
use strandline_format::RowId;
use strandline_format::merge::RowFate;

use super::{State, conflicts, delete, merge, on, rows, set, state, tens, triples};
use crate::collector::check_whole;
use crate::fixture::paused;
use crate::work::{batch, change, column, longs, numbers};

fn start() -> State {
    (0..10).map(|u| (u, (u * 10, u * 100))).collect()
}

fn without(gone: &[i64]) -> State {
    start().into_iter().filter(|(u, _)| !gone.contains(u)).collect()
}

async fn revert(lake: &Lake, commit: &str, branch: &str) {
    lake.revert(commit).on(branch).await.unwrap().committed().unwrap();
}

/// `main` sets a cell of row 0, `dev` takes that over and deletes the row, `main` goes back to before.
async fn reset_under_a_delete(value: i64) -> Lake {
    let (_, lake) = tens().await;
    set(&lake, "main", 0, "b", value).await;
    assert!(matches!(lake.merge("main").into("dev").await.unwrap(), Merged::Forwarded(_)));
    lake.reset("main~").on("main").await.unwrap().committed().unwrap();
    delete(&lake, "dev", 0).await;
    lake
}

#[test]
fn a_row_that_a_reset_put_back_unchanged_stays_deleted() {
    paused(async {
        for (from, into) in [("main", "dev"), ("dev", "main")] {
            let lake = reset_under_a_delete(0).await;
            merge(&lake, from, into).await;
            assert_eq!(state(&lake, into).await, without(&[0]), "{from} into {into}");
            check_whole(&lake, "merged").await;
        }
    });
}

#[test]
fn a_row_that_a_reset_changed_and_the_other_side_deleted_is_a_conflict() {
    paused(async {
        for (from, into) in [("main", "dev"), ("dev", "main")] {
            let lake = reset_under_a_delete(7).await;
            let found = conflicts(&lake, from, into).await;
            let ConflictKind::Rows(told) = &found.conflicts[0].kind else { panic!("{found:?}") };
            let fates = match from {
                "main" => (RowFate::Deleted, RowFate::Changed),
                _ => (RowFate::Changed, RowFate::Deleted),
            };
            assert_eq!(told.rows(), [RowConflict { row: RowId(0), ours: fates.0, theirs: fates.1 }]);
            let [rows] = &found.rows[..] else { panic!("{found:?}") };
            let kept = if from == "main" { &rows.theirs } else { &rows.ours };
            assert_eq!((triples(&rows.base), triples(kept)), (vec![(0, 0, 7)], vec![(0, 0, 0)]));
            lake.merge(from).into(into).rows("t", Side::Theirs).await.unwrap().committed().unwrap();
            let expected = if from == "main" { start() } else { without(&[0]) };
            assert_eq!(state(&lake, into).await, expected, "{from} into {into}");
            check_whole(&lake, "decided").await;
        }
    });
}

/// `main` deletes row 3, `dev` takes that over, and both take it back.
async fn restored_on_both() -> Lake {
    let (_, lake) = tens().await;
    delete(&lake, "main", 3).await;
    assert!(matches!(lake.merge("main").into("dev").await.unwrap(), Merged::Forwarded(_)));
    revert(&lake, "main", "main").await;
    revert(&lake, "dev", "dev").await;
    lake
}

#[test]
fn a_row_that_both_sides_have_back_is_there_once() {
    paused(async {
        let lake = restored_on_both().await;
        set(&lake, "dev", 4, "a", -4).await;
        merge(&lake, "dev", "main").await;
        let mut expected = start();
        expected.insert(4, (-4, 400));
        assert_eq!(state(&lake, "main").await, expected);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn a_row_that_both_sides_have_back_and_one_has_changed_is_a_conflict_without_a_base() {
    paused(async {
        for (from, into) in [("main", "dev"), ("dev", "main")] {
            let lake = restored_on_both().await;
            set(&lake, "dev", 3, "b", 5).await;
            let found = conflicts(&lake, from, into).await;
            let [rows] = &found.rows[..] else { panic!("{found:?}") };
            let (ours, theirs) = if from == "dev" { (300, 5) } else { (5, 300) };
            assert_eq!(triples(&rows.base), []);
            assert_eq!(
                (triples(&rows.ours), triples(&rows.theirs)),
                (vec![(3, 30, ours)], vec![(3, 30, theirs)])
            );
            lake.merge(from).into(into).rows("t", Side::Theirs).await.unwrap().committed().unwrap();
            let mut expected = start();
            expected.insert(3, (30, theirs));
            assert_eq!(state(&lake, into).await, expected, "{from} into {into}");
            check_whole(&lake, "decided").await;
        }
    });
}

/// As both had it back before the last change, so both changed it, and to the same.
#[test]
fn a_row_that_both_sides_have_back_and_changed_alike_is_there_once() {
    paused(async {
        let lake = restored_on_both().await;
        set(&lake, "main", 3, "b", 5).await;
        set(&lake, "dev", 3, "b", 5).await;
        merge(&lake, "dev", "main").await;
        let mut expected = start();
        expected.insert(3, (30, 5));
        assert_eq!(state(&lake, "main").await, expected);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn rows_of_a_file_that_is_gone_are_listed_again_and_each_once() {
    paused(async {
        let (_, lake) = tens().await;
        delete(&lake, "main", 3).await;
        assert!(matches!(lake.merge("main").into("dev").await.unwrap(), Merged::Forwarded(_)));
        revert(&lake, "dev", "dev").await;
        change(&lake, async |on| assert_eq!(on.delete("t", Predicate::all()).await.unwrap(), 9)).await;
        let wiped = lake.at("main").await.unwrap().version();
        merge(&lake, "dev", "main").await;
        let three: State = [(3, (30, 300))].into();
        assert_eq!(state(&lake, "main").await, three);
        merge(&lake, "main", "dev").await;
        assert_eq!(state(&lake, "dev").await, three);
        // The rest of the same file comes back beside it.
        revert(&lake, &format!("main@{{{wiped}}}"), "main").await;
        assert_eq!(state(&lake, "main").await, start());
        delete(&lake, "dev", 3).await;
        merge(&lake, "dev", "main").await;
        assert_eq!(state(&lake, "main").await, without(&[3]));
        merge(&lake, "main", "dev").await;
        assert_eq!(state(&lake, "dev").await, without(&[3]));
        check_whole(&lake, "listed again").await;
    });
}

#[test]
fn a_merge_that_was_taken_back_stays_so_until_that_is_taken_back() {
    paused(async {
        let (_, lake) = tens().await;
        set(&lake, "dev", 1, "a", -1).await;
        delete(&lake, "main", 9).await;
        merge(&lake, "dev", "main").await;
        revert(&lake, "main", "main").await;
        assert_eq!(state(&lake, "main").await, without(&[9]));
        assert!(matches!(lake.merge("dev").into("main").await.unwrap(), Merged::UpToDate(_)));
        // What is new on the branch comes, what was taken back does not.
        set(&lake, "dev", 2, "a", -2).await;
        merge(&lake, "dev", "main").await;
        let mut expected = without(&[9]);
        expected.insert(2, (-2, 200));
        assert_eq!(state(&lake, "main").await, expected);
        revert(&lake, "main~", "main").await;
        expected.insert(1, (-1, 100));
        assert_eq!(state(&lake, "main").await, expected);
        merge(&lake, "main", "dev").await;
        assert_eq!(state(&lake, "dev").await, expected);
        check_whole(&lake, "reverted").await;
    });
}

#[test]
fn transactions_meet_a_reset_row_by_row() {
    paused(async {
        let (_, lake) = tens().await;
        set(&lake, "main", 0, "b", 7).await;
        let [deletes, updates, others] =
            [lake.begin().await.unwrap(), lake.begin().await.unwrap(), lake.begin().await.unwrap()];
        assert_eq!(deletes.delete("t", col("u").eq(0)).await.unwrap(), 1);
        updates.update("t", col("u").eq(0)).set("a", 1).await.unwrap();
        assert_eq!(others.delete("t", col("u").eq(1)).await.unwrap(), 1);
        lake.reset("main~").on("main").await.unwrap().committed().unwrap();
        for transaction in [deletes, updates] {
            let error = transaction.commit().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            let [conflict] = error.conflicts() else { panic!("{error}") };
            let ConflictKind::Rows(rows) = &conflict.kind else { panic!("{error}") };
            assert_eq!((rows.rows()[0].row, rows.rows()[0].ours), (RowId(0), RowFate::Changed));
        }
        others.commit().await.unwrap();
        assert_eq!(state(&lake, "main").await, without(&[1]));
        check_whole(&lake, "rebased").await;
    });
}

#[test]
fn an_overwrite_meets_rows_that_came_back_into_its_range() {
    paused(async {
        let (_, lake) = tens().await;
        delete(&lake, "main", 3).await;
        let within = lake.begin().await.unwrap();
        within.overwrite("t", rows(&[(4, 0, 0)])).matching(col("u").between(2, 4)).await.unwrap();
        revert(&lake, "main", "main").await;
        let error = within.commit().await.unwrap_err();
        assert!(matches!(error.conflicts()[0].kind, ConflictKind::Files(_)), "{error}");
        assert_eq!(state(&lake, "main").await, start());
    });
}

#[test]
fn rows_that_came_back_are_held_against_constraints_of_the_other_side() {
    paused(async {
        for (from, into) in [("main", "dev"), ("dev", "main")] {
            let (_, lake) = tens().await;
            delete(&lake, "main", 9).await;
            assert!(matches!(lake.merge("main").into("dev").await.unwrap(), Merged::Forwarded(_)));
            on(&lake, "dev", async |on| {
                on.alter_table("t").add_check("small", "b < 900").await.unwrap();
            })
            .await;
            revert(&lake, "main", "main").await;
            let found = conflicts(&lake, from, into).await;
            let ConflictKind::Constraint(name, _) = &found.conflicts[0].kind else { panic!("{found:?}") };
            assert_eq!(name, "small", "{from} into {into}");
        }
    });
}

/// The table of tens with a column `n` that was an integer and is a long, on both branches.
async fn widened() -> Lake {
    let (_, lake) = tens().await;
    change(&lake, async |on| {
        on.alter_table("t").add_column(column("n", PrimitiveType::Int)).await.unwrap();
    })
    .await;
    change(&lake, async |on| {
        on.alter_table("t").widen_column("n", PrimitiveType::Long).await.unwrap();
    })
    .await;
    assert!(matches!(lake.merge("main").into("dev").await.unwrap(), Merged::Forwarded(_)));
    lake
}

const WIDE: i64 = 5_000_000_000;

fn wide() -> arrow::array::RecordBatch {
    batch([("u", longs([10])), ("a", longs([100])), ("b", longs([1000])), ("n", longs([WIDE]))])
}

async fn widest(lake: &Lake, branch: &str) -> Option<i64> {
    let table = lake.at(branch).await.unwrap().table("t").await.unwrap();
    numbers(&table, "n").await.into_iter().max()
}

#[test]
fn a_revert_of_a_wider_type_leaves_values_readable_that_need_it() {
    paused(async {
        let lake = widened().await;
        lake.append("t", wide()).await.unwrap();
        // The type is all that it did, and that stays.
        assert!(matches!(lake.revert("main~").on("main").await.unwrap(), Merged::UpToDate(_)));
        assert_eq!(widest(&lake, "main").await, Some(WIDE));
        check_whole(&lake, "reverted").await;
    });
}

#[test]
fn a_type_that_one_branch_has_narrow_again_is_wide_where_the_other_one_needs_it() {
    paused(async {
        for (from, into) in [("main", "dev"), ("dev", "main")] {
            let lake = widened().await;
            lake.reset("dev~").on("dev").await.unwrap().committed().unwrap();
            lake.append("t", wide()).await.unwrap();
            merge(&lake, from, into).await;
            assert_eq!(widest(&lake, into).await, Some(WIDE), "{from} into {into}");
            check_whole(&lake, "merged").await;
        }
    });
}

#[test]
fn a_transaction_with_wide_values_meets_a_reset_to_a_narrow_type() {
    paused(async {
        let lake = widened().await;
        let writes = lake.begin().await.unwrap();
        writes.append("t", wide()).await.unwrap();
        lake.reset("main~").on("main").await.unwrap().committed().unwrap();
        writes.commit().await.unwrap();
        assert_eq!(widest(&lake, "main").await, Some(WIDE));
        check_whole(&lake, "rebased").await;
    });
}

/// Both branches have dropped the column `b`.
async fn without_b() -> Lake {
    let (_, lake) = tens().await;
    change(&lake, async |on| on.alter_table("t").drop_column("b").await.map(drop).unwrap()).await;
    assert!(matches!(lake.merge("main").into("dev").await.unwrap(), Merged::Forwarded(_)));
    lake
}

fn with_a(u: i64, a: i64) -> State {
    let mut expected = without(&[2]);
    expected.insert(u, (a, u * 100));
    expected
}

#[test]
fn a_column_that_a_revert_brings_back_has_its_values_in_rows_that_were_updated_without_it() {
    paused(async {
        let lake = without_b().await;
        set(&lake, "main", 1, "a", -1).await;
        delete(&lake, "main", 2).await;
        revert(&lake, "main~2", "main").await;
        assert_eq!(state(&lake, "main").await, with_a(1, -1));
        check_whole(&lake, "reverted").await;
    });
}

#[test]
fn a_column_that_one_branch_has_back_has_its_values_in_rows_that_the_other_one_updated_without_it() {
    paused(async {
        for (from, into) in [("main", "dev"), ("dev", "main")] {
            let lake = without_b().await;
            lake.reset("dev~").on("dev").await.unwrap().committed().unwrap();
            set(&lake, "dev", 3, "b", 7).await;
            set(&lake, "main", 1, "a", -1).await;
            set(&lake, "main", 3, "a", -3).await;
            delete(&lake, "main", 2).await;
            merge(&lake, from, into).await;
            let mut expected = with_a(1, -1);
            expected.insert(3, (-3, 7));
            assert_eq!(state(&lake, into).await, expected, "{from} into {into}");
            check_whole(&lake, "merged").await;
        }
    });
}

#[test]
fn a_transaction_that_wrote_rows_without_a_column_that_is_back_is_a_conflict() {
    paused(async {
        let lake = without_b().await;
        let [updates, deletes] = [lake.begin().await.unwrap(), lake.begin().await.unwrap()];
        updates.update("t", col("u").eq(1)).set("a", -1).await.unwrap();
        assert_eq!(deletes.delete("t", col("u").eq(2)).await.unwrap(), 1);
        lake.reset("main~").on("main").await.unwrap().committed().unwrap();
        let error = updates.commit().await.unwrap_err();
        let [conflict] = error.conflicts() else { panic!("{error}") };
        let ConflictKind::Rows(told) = &conflict.kind else { panic!("{error}") };
        let row = RowConflict { row: RowId(1), ours: RowFate::Left, theirs: RowFate::Changed };
        assert_eq!(told.rows(), [row]);
        deletes.commit().await.unwrap();
        assert_eq!(state(&lake, "main").await, without(&[2]));
    });
}

/// A row without a value of the column stands where theirs has it no more, and is written there alone.
#[test]
fn a_compaction_that_is_taken_back_after_a_column_came_back_loses_no_row() {
    paused(async {
        for (updates, older) in [(false, true), (true, true), (false, false), (true, false)] {
            let (_, lake) = tens().await;
            // Without rows from before, and with some that have values of the column.
            if !older {
                change(&lake, async |on| on.delete("t", col("u").ge(0)).await.map(drop).unwrap()).await;
            }
            change(&lake, async |on| {
                on.alter_table("t").add_column(column("c", PrimitiveType::Long)).await.map(drop).unwrap();
            })
            .await;
            if older {
                change(&lake, async |on| on.update("t", col("u").lt(2)).set("c", 5).await.map(drop).unwrap())
                    .await;
            }
            change(&lake, async |on| on.alter_table("t").drop_column("c").await.map(drop).unwrap()).await;
            for u in [20, 21] {
                change(&lake, async |on| on.append("t", rows(&[(u, 1, 1)])).await.map(drop).unwrap()).await;
            }
            change(&lake, async |on| {
                if updates {
                    on.update("t", col("u").ge(20)).set("b", 1).await.map(drop).unwrap();
                } else {
                    on.compact("t").all().await.map(drop).unwrap();
                }
            })
            .await;
            let then = state(&lake, "main").await;
            revert(&lake, "main~3", "main").await;
            assert_eq!(state(&lake, "main").await, then);
            revert(&lake, "main~", "main").await;
            let mut expected = if older { start() } else { State::new() };
            expected.extend([(20, (1, 1)), (21, (1, 1))]);
            assert_eq!(state(&lake, "main").await, expected, "updated: {updates}, with older rows: {older}");
            check_whole(&lake, "reverted").await;
        }
    });
}

/// Both have it and the base has not: one side kept it against the delete that the other one takes back.
#[test]
fn a_row_that_was_kept_against_a_delete_that_is_taken_back_is_one_row() {
    paused(async {
        for (whole, value, from, into) in [
            (false, 5, "dev", "main"),
            (false, 5, "main", "dev"),
            (true, 5, "dev", "main"),
            (false, 10, "dev", "main"),
            (false, 10, "main", "dev"),
        ] {
            let (_, lake) = tens().await;
            delete(&lake, "dev", 1).await;
            set(&lake, "main", 1, "a", 5).await;
            set(&lake, "main", 1, "a", value).await;
            set(&lake, "main", 1, "b", 7).await;
            let keep = lake.merge("dev").into("main");
            let keep = if whole { keep.take("t", Side::Ours) } else { keep.rows("t", Side::Ours) };
            keep.await.unwrap().committed().unwrap();
            set(&lake, "main", 1, "b", 100).await;
            revert(&lake, "dev", "dev").await;
            let mut expected = start();
            if value == 5 {
                let found = conflicts(&lake, from, into).await;
                let [told] = &found.rows[..] else { panic!("{found}") };
                assert!(triples(&told.base).is_empty());
                let kept = if from == "dev" { &told.ours } else { &told.theirs };
                assert_eq!(triples(kept), [(1, 5, 100)]);
                lake.merge(from).into(into).rows("t", Side::Ours).await.unwrap().committed().unwrap();
                expected.insert(1, (if into == "main" { 5 } else { 10 }, 100));
            } else {
                merge(&lake, from, into).await;
            }
            assert_eq!(state(&lake, into).await, expected, "{whole} {value} {from}");
            check_whole(&lake, "merged").await;
        }
    });
}

/// The branch has had the row all along.
#[test]
fn a_picked_revert_of_a_delete_that_the_branch_never_had_is_one_row() {
    paused(async {
        for (on_main, on_dev) in [(Some(5), None), (None, Some(8)), (None, None), (Some(8), Some(8))] {
            let (_, lake) = tens().await;
            if let Some(value) = on_dev {
                set(&lake, "dev", 1, "a", value).await;
            }
            delete(&lake, "dev", 1).await;
            revert(&lake, "dev", "dev").await;
            if let Some(value) = on_main {
                set(&lake, "main", 1, "a", value).await;
            }
            let outcome = lake.cherry_pick("dev").on("main").await.unwrap();
            if on_main == on_dev {
                assert!(!matches!(outcome, Merged::Conflicts(_)), "{outcome:?}");
            } else {
                let Merged::Conflicts(found) = outcome else { panic!("{on_main:?} {on_dev:?}") };
                let [told] = &found.rows[..] else { panic!("{found}") };
                assert_eq!(triples(&told.ours), [(1, on_main.unwrap_or(10), 100)]);
                assert_eq!(triples(&told.theirs), [(1, on_dev.unwrap_or(10), 100)]);
            }
            let expected = on_main.map_or_else(start, |value| {
                let mut expected = start();
                expected.insert(1, (value, 100));
                expected
            });
            assert_eq!(state(&lake, "main").await, expected);
            check_whole(&lake, "picked").await;
        }
    });
}
