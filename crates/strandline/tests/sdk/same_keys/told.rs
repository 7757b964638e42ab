//! What diffs and changes tell of two rows that a merge made one: it is one row, whichever id it has on which branch [MRG-4].

use arrow::array::Array;
use futures::TryStreamExt;
use strandline::changes::{RowChange, RowCounts};

use super::*;

/// The kinds, keys, values and ids of some changes, sorted.
type Told = Vec<(&'static str, i64, i64, u64)>;

fn lines(kind: &'static str, batch: &RecordBatch) -> Told {
    let ids = batch.column_by_name("_row_id").unwrap().as_primitive::<UInt64Type>().clone();
    let rows = pairs(batch).into_iter().zip(ids.values().iter());
    rows.map(|((k, v), id)| (kind, k, v, *id)).collect()
}

/// What differs between two versions, by the diff; the net changes and the counts are the same.
async fn diff(lake: &Lake, from: &str, to: &str) -> Told {
    let table = lake.diff(from, to).await.unwrap().table("t").await.unwrap();
    let (mut told, mut counts) = (Told::new(), RowCounts::default());
    for change in table.rows().await.unwrap().try_collect::<Vec<_>>().await.unwrap() {
        match &change {
            RowChange::Inserted(rows) => told.extend(lines("insert", rows)),
            RowChange::Deleted(rows) => told.extend(lines("delete", rows)),
            RowChange::Updated { before, after } => {
                told.extend(lines("update_preimage", before));
                told.extend(lines("update_postimage", after));
            }
        }
        match change {
            RowChange::Inserted(rows) => counts.inserted += rows.num_rows() as u64,
            RowChange::Deleted(rows) => counts.deleted += rows.num_rows() as u64,
            RowChange::Updated { after, .. } => counts.updated += after.num_rows() as u64,
        }
    }
    told.sort_unstable();
    assert_eq!(table.counts().await.unwrap(), counts, "{from} to {to}");
    assert_eq!(changes(lake, from, to, true).await, told, "{from} to {to}");
    told
}

/// What a changelog tells, on balance or commit by commit.
async fn changes(lake: &Lake, from: &str, to: &str, net: bool) -> Told {
    let changes = lake.at(to).await.unwrap().table("t").await.unwrap().changes(from, to);
    let changes = if net { changes.net() } else { changes };
    let batches: Vec<RecordBatch> = changes.await.unwrap().try_collect().await.unwrap();
    let mut told = Told::new();
    for batch in &batches {
        let kinds = batch.column_by_name("_change_type").unwrap().as_string::<i32>();
        for kind in ["insert", "delete", "update_preimage", "update_postimage"] {
            let rows = (0..batch.num_rows()).filter(|at| kinds.value(*at) == kind);
            let rows = rows.flat_map(|at| lines(kind, &batch.slice(at, 1)));
            told.extend(rows);
        }
        assert!(!kinds.is_empty());
    }
    told.sort_unstable();
    told
}

/// An update, with the ids that the row has before and after.
fn update(k: i64, (before, after): (i64, i64), ids: [u64; 2]) -> Told {
    vec![("update_postimage", k, after, ids[1]), ("update_preimage", k, before, ids[0])]
}

#[test]
fn two_rows_that_became_one_do_not_differ() {
    paused(async {
        let (lake, id) = twins(1, 1).await;
        let eight = id_of(&lake, "main", 8).await;
        assert_ne!(id_of(&lake, "dev", 9).await, id, "the branches call it otherwise");
        assert_eq!(diff(&lake, "dev", "main").await, [("insert", 8, 8, eight)]);
        assert_eq!(diff(&lake, "main", "dev").await, [("delete", 8, 8, eight)]);
        assert!(changes(&lake, "main~", "main", false).await.iter().all(|row| row.1 == 7));
        // Nor once the other branch has merged it too, on which the row stays what it was.
        let own = id_of(&lake, "dev", 9).await;
        merged(&lake, "main", "dev").await;
        assert_eq!(id_of(&lake, "dev", 9).await, own);
        let of_merge = changes(&lake, "dev~", "dev", false).await;
        assert_eq!(of_merge.iter().map(|row| (row.0, row.1)).collect::<Vec<_>>(), [("insert", 8)]);
        assert_eq!(diff(&lake, "dev", "main").await, []);
        assert_eq!(diff(&lake, "main", "dev").await, []);
    });
}

#[test]
fn two_rows_that_became_one_by_a_decision_differ_in_their_values() {
    paused(async {
        let (lake, id) = twins(1, 2).await;
        let ids = [id_of(&lake, "dev", 9).await, id];
        let eight = id_of(&lake, "main", 8).await;
        let expected = [vec![("insert", 8, 8, eight)], update(9, (2, 1), ids)].concat();
        assert_eq!(diff(&lake, "dev", "main").await, expected);
    });
}

#[test]
fn what_was_done_to_one_of_two_rows_that_became_one_is_told_as_done_to_it() {
    paused(async {
        for (by, other) in [("main", "dev"), ("dev", "main")] {
            let (lake, _) = twins(1, 1).await;
            let nines = async |from: &str, to: &str| {
                let told = diff(&lake, from, to).await;
                told.into_iter().filter(|row| row.1 == 9).collect::<Told>()
            };
            let ids = [id_of(&lake, other, 9).await, id_of(&lake, by, 9).await];
            assert_ne!(ids[0], ids[1]);
            set_nine(&lake, by, 5).await;
            assert_eq!(nines(other, by).await, update(9, (1, 5), ids), "by {by}");
            assert_eq!(nines(by, other).await, update(9, (5, 1), [ids[1], ids[0]]), "by {by}");
            // Where it only moved it is as it was.
            on(&lake, other, async |on| on.compact("t").all().await.map(drop).unwrap()).await;
            assert_eq!(nines(other, by).await, update(9, (1, 5), ids), "by {by}");
            assert_eq!(changes(&lake, &format!("{by}~"), by, false).await, update(9, (1, 5), [ids[1]; 2]));
            merged(&lake, by, other).await;
            let of_merge = changes(&lake, &format!("{other}~"), other, false).await;
            let of_merge: Told = of_merge.into_iter().filter(|row| row.1 == 9).collect();
            assert_eq!(of_merge, update(9, (1, 5), [ids[0]; 2]), "of the row that {other} knows");
            assert_eq!(nines(other, by).await, [], "by {by}");
            delete_nine(&lake, other).await;
            assert_eq!(nines(by, other).await, [("delete", 9, 5, ids[1])], "by {by}");
            assert_eq!(nines(other, by).await, [("insert", 9, 5, ids[1])], "by {by}");
            check_whole(&lake, "told").await;
        }
    });
}

/// Whichever side is taken where both changed it: the row is the one that the branch knows.
#[test]
fn a_row_that_is_taken_of_the_other_side_keeps_the_id_that_it_has() {
    paused(async {
        for (by, other) in [("main", "dev"), ("dev", "main")] {
            let (lake, _) = twins(1, 1).await;
            let ids = [id_of(&lake, other, 9).await, id_of(&lake, by, 9).await];
            set_nine(&lake, by, 5).await;
            set_nine(&lake, other, 6).await;
            let merge = lake.merge(by).into(other).rows("t", Side::Theirs);
            merge.await.unwrap().committed().unwrap();
            assert_eq!(id_of(&lake, other, 9).await, ids[0], "by {by}");
            assert_eq!(nine(&lake, other).await, Some(5), "by {by}");
            merged(&lake, other, by).await;
            assert_eq!(id_of(&lake, by, 9).await, ids[1], "by {by}");
            // Against a delete as well.
            set_nine(&lake, by, 7).await;
            delete_nine(&lake, other).await;
            let merge = lake.merge(by).into(other).rows("t", Side::Theirs);
            merge.await.unwrap().committed().unwrap();
            assert_eq!(id_of(&lake, other, 9).await, ids[0], "by {by}");
            assert_eq!(diff(&lake, by, other).await.iter().filter(|row| row.1 == 9).count(), 0, "by {by}");
            check_whole(&lake, "taken").await;
        }
    });
}

/// A side that has a key twice by itself has one row more than the other one.
#[test]
fn of_two_rows_that_one_stands_for_one_is_more() {
    paused(async {
        let (_, lake) = keyed().await;
        append(&lake, "main", &[(8, 8)]).await;
        append(&lake, "main", &[(9, 1)]).await;
        append(&lake, "dev", &[(9, 1)]).await;
        append(&lake, "dev", &[(9, 1)]).await;
        merged(&lake, "dev", "main").await;
        assert_eq!(nine(&lake, "main").await, Some(1));
        let kinds = |told: Told| told.into_iter().map(|row| (row.0, row.1)).collect::<Vec<_>>();
        assert_eq!(kinds(diff(&lake, "dev", "main").await), [("delete", 9), ("insert", 8)]);
        assert_eq!(kinds(diff(&lake, "main", "dev").await), [("delete", 8), ("insert", 9)]);
    });
}
