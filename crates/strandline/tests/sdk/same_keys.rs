//! Rows of one key that two sides add: upserts and branches that meet, what is read to find them, and what is decided [REB-17].

mod told;

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, UInt64Type};
use strandline::filter::col;
use strandline::format::PrimitiveType;
use strandline::merge::Side;
use strandline::refs::{Merge, MergeConflicts, Merged};
use strandline::{Conflict, ConflictKind, ErrorKind, Lake, Transaction};
use strandline_testkit::{PathClass, RequestKind};

use crate::collector::check_whole;
use crate::fixture::{Counted, open, paused};
use crate::work::{batch, change, column, longs, race};

/// Rows of the columns `k`, which is the key, and `v`.
fn rows(rows: &[(i64, i64)]) -> RecordBatch {
    batch([("k", longs(rows.iter().map(|row| row.0))), ("v", longs(rows.iter().map(|row| row.1)))])
}

/// The rows of a branch, sorted.
async fn rows_on(lake: &Lake, branch: &str) -> Vec<(i64, i64)> {
    let table = lake.at(branch).await.unwrap().table("t").await.unwrap();
    let mut all = Vec::new();
    for batch in table.scan().collect().await.unwrap() {
        all.extend(pairs(&batch));
    }
    all.sort_unstable();
    all
}

fn pairs(batch: &RecordBatch) -> Vec<(i64, i64)> {
    let [k, v] =
        ["k", "v"].map(|name| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone());
    (0..batch.num_rows()).map(|at| (k.value(at), v.value(at))).collect()
}

async fn on(lake: &Lake, branch: &str, act: impl AsyncFnOnce(&Transaction)) {
    let transaction = lake.begin().branch(branch).await.unwrap();
    act(&transaction).await;
    transaction.commit().await.unwrap();
}

async fn append(lake: &Lake, branch: &str, new: &[(i64, i64)]) {
    on(lake, branch, async |on| on.append("t", rows(new)).await.map(drop).unwrap()).await;
}

async fn upsert(lake: &Lake, branch: &str, new: &[(i64, i64)]) {
    on(lake, branch, async |on| on.upsert("t", rows(new)).await.map(drop).unwrap()).await;
}

async fn set_key(lake: &Lake, branch: &str, from: i64, to: i64) {
    on(lake, branch, async |on| on.update("t", col("k").eq(from)).set("k", to).await.map(drop).unwrap())
        .await;
}

/// A lake with rows of the keys 0 to 3, whose values are ten times as much, and the branch `dev`.
async fn keyed() -> (Counted, Lake) {
    let counted = Counted::new();
    let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
    change(&lake, async |on| {
        on.create_table("t").like(&rows(&[]).schema()).key(["k"]).await.unwrap();
        on.append("t", rows(&[(0, 0), (1, 10), (2, 20), (3, 30)])).await.unwrap();
    })
    .await;
    lake.create_branch("dev").await.unwrap();
    (counted, lake)
}

/// The keys of conflicts, and the ids of both rows.
fn keys_of(conflicts: &[Conflict]) -> Vec<(String, u64, u64)> {
    let [Conflict { kind: ConflictKind::Keys(found), .. }] = conflicts else { panic!("{conflicts:?}") };
    assert_eq!(found.keys().len() as u64, found.count());
    found.keys().iter().map(|key| (key.key.clone(), key.ours.0, key.theirs.0)).collect()
}

async fn conflicts(merge: Merge) -> MergeConflicts {
    match merge.into("main").await.unwrap() {
        Merged::Conflicts(found) => found,
        other => panic!("{other:?}"),
    }
}

/// What a merge that is decided so comes to, on a copy of `main`.
async fn decided(lake: &Lake, name: &str, merge: Merge) -> Vec<(i64, i64)> {
    lake.create_branch(name).from("main").await.unwrap();
    merge.into(name).await.unwrap().committed().unwrap();
    rows_on(lake, name).await
}

#[test]
fn an_upsert_collides_with_whatever_adds_its_key_and_goes_through_when_it_is_run_again() {
    type Act = for<'a> fn(&'a Transaction) -> futures::future::BoxFuture<'a, ()>;
    let others: [(&str, Act); 4] = [
        ("upsert", |on| Box::pin(async move { on.upsert("t", rows(&[(9, 1)])).await.map(drop).unwrap() })),
        ("append", |on| Box::pin(async move { on.append("t", rows(&[(9, 1)])).await.map(drop).unwrap() })),
        ("key", |on| {
            Box::pin(async move { on.update("t", col("k").eq(1)).set("k", 9).await.map(drop).unwrap() })
        }),
        ("many", |on| {
            Box::pin(async move { on.append("t", rows(&[(5, 1), (9, 1), (12, 1)])).await.map(drop).unwrap() })
        }),
    ];
    paused(async {
        for (what, other) in others {
            let (_, lake) = keyed().await;
            let own =
                async |on: &Transaction| on.upsert("t", rows(&[(9, 2), (2, 2)])).await.map(drop).unwrap();
            let error = race(&lake, async |on| other(on).await, own).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict, "{what}: {error}");
            assert_eq!(error.conflicts()[0].code(), "keys", "{what}");
            assert_eq!(keys_of(error.conflicts())[0].0, "(k = 9)", "{what}");
            assert!(error.message().contains("(k = 9)"), "{error}");
            upsert(&lake, "main", &[(9, 2), (2, 2)]).await;
            let all = rows_on(&lake, "main").await;
            assert_eq!(all.iter().filter(|row| row.0 == 9).collect::<Vec<_>>(), [&(9, 2)], "{what}");
        }
    });
}

#[test]
fn what_looks_nothing_up_or_finds_other_keys_collides_with_nobody() {
    paused(async {
        let (counted, lake) = keyed().await;
        // Appends are not held against keys, as they would not be if they ran one after the other.
        let (outcome, asked) = counted
            .store
            .measure(race(
                &lake,
                async |on| on.upsert("t", rows(&[(9, 1)])).await.map(drop).unwrap(),
                async |on| on.append("t", rows(&[(8, 2)])).await.map(drop).unwrap(),
            ))
            .await;
        outcome.unwrap();
        // What the upsert itself reads to find its key.
        assert!(asked.of_to(RequestKind::Get, PathClass::Data).requests <= 2, "{asked}");
        // Between the keys of the other one, and none of them.
        race(
            &lake,
            async |on| on.append("t", rows(&[(20, 1), (30, 1)])).await.map(drop).unwrap(),
            async |on| on.upsert("t", rows(&[(25, 2), (1, 2)])).await.map(drop).unwrap(),
        )
        .await
        .unwrap();
        let all = [(0, 0), (1, 2), (2, 20), (3, 30), (8, 2), (9, 1), (20, 1), (25, 2), (30, 1)];
        assert_eq!(rows_on(&lake, "main").await, all);
        // A table whose key was broken before stays as it is, and nobody else is blamed.
        append(&lake, "main", &[(2, 21)]).await;
        race(
            &lake,
            async |on| on.update("t", col("v").eq(21)).set("v", 22).await.map(drop).unwrap(),
            async |on| on.upsert("t", rows(&[(50, 2), (3, 3)])).await.map(drop).unwrap(),
        )
        .await
        .unwrap();
        check_whole(&lake, "rebased").await;
    });
}

#[test]
fn keys_that_statistics_tell_apart_are_not_read_for() {
    paused(async {
        let (counted, lake) = keyed().await;
        for (ours, theirs, reads) in [((40, 50), 60, 0), ((70, 80), 75, 2)] {
            let one = lake.begin().await.unwrap();
            let two = lake.begin().await.unwrap();
            one.append("t", rows(&[(ours.0, 1), (ours.1, 1)])).await.unwrap();
            two.upsert("t", rows(&[(theirs, 2)])).await.unwrap();
            one.commit().await.unwrap();
            let (outcome, asked) = counted.store.measure(async { two.commit().await.map(drop) }).await;
            outcome.unwrap();
            let asked = asked.of_to(RequestKind::Get, PathClass::Data).requests;
            // Footers are at hand; of each of the two files the column of the key.
            assert!(asked <= reads * 2 && (asked > 0) == (reads > 0), "{asked} for {theirs}");
        }
    });
}

#[test]
fn an_upsert_by_other_columns_collides_by_these() {
    paused(async {
        let (_, lake) = keyed().await;
        change(&lake, async |on| {
            drop(
                on.create_table("plain")
                    .fields([column("k", PrimitiveType::Long), column("v", PrimitiveType::Long)])
                    .await
                    .unwrap(),
            );
        })
        .await;
        let by = |name: &'static str, v: i64| {
            async move |on: &Transaction| {
                on.upsert("plain", rows(&[(v, 7)])).by([name]).await.map(drop).unwrap();
            }
        };
        let error = race(&lake, by("v", 1), by("v", 2)).await.unwrap_err();
        assert_eq!(keys_of(error.conflicts()), [("(v = 7)".to_owned(), 0, 1)]);
        // And what another statement says that it has looked up.
        let said = async |on: &Transaction| {
            on.append("plain", rows(&[(9, 9)])).await.unwrap();
            on.looked_up("plain", ["k", "v"]).await.unwrap();
        };
        let plain = async |on: &Transaction| on.append("plain", rows(&[(9, 9)])).await.map(drop).unwrap();
        let error = race(&lake, plain, said).await.unwrap_err();
        assert_eq!(keys_of(error.conflicts())[0].0, "(k = 9, v = 9)");
        // By what is no column it may have been any row, of this table.
        let said = async |on: &Transaction| {
            on.append("plain", rows(&[(8, 8)])).await.unwrap();
            on.looked_up::<String>("plain", []).await.unwrap();
        };
        let error = race(&lake, plain, said).await.unwrap_err();
        assert!(matches!(error.conflicts()[0].kind, ConflictKind::Read(_)), "{error}");
        let other = async |on: &Transaction| on.append("t", rows(&[(90, 9)])).await.map(drop).unwrap();
        race(&lake, other, said).await.unwrap();
        let on = lake.begin().await.unwrap();
        let error = on.looked_up("plain", ["vv"]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let error = on.looked_up("plaine", ["v"]).await.unwrap_err();
        assert!(error.kind() == ErrorKind::NotFound && error.message().contains("\"plain\""), "{error}");
    });
}

#[test]
fn an_upsert_whose_rows_were_changed_again_by_its_transaction_collides_as_well() {
    paused(async {
        let (_, lake) = keyed().await;
        let own = async |on: &Transaction| {
            on.upsert("t", rows(&[(9, 2)])).await.unwrap();
            on.update("t", col("k").eq(9)).set("v", 3).await.unwrap();
        };
        let other = async |on: &Transaction| on.upsert("t", rows(&[(9, 1)])).await.map(drop).unwrap();
        let error = race(&lake, other, own).await.unwrap_err();
        assert_eq!(keys_of(error.conflicts())[0].0, "(k = 9)");
        // What it has taken out again is no key of anybody's.
        let own = async |on: &Transaction| {
            on.upsert("t", rows(&[(11, 2)])).await.unwrap();
            on.delete("t", col("k").eq(11)).await.unwrap();
        };
        let other = async |on: &Transaction| on.upsert("t", rows(&[(11, 1)])).await.map(drop).unwrap();
        race(&lake, other, own).await.unwrap();
        let all = [(0, 0), (1, 10), (2, 20), (3, 30), (9, 1), (11, 1)];
        assert_eq!(rows_on(&lake, "main").await, all);
    });
}

#[test]
fn branches_that_add_or_make_one_key_disagree_on_it() {
    type Act = for<'a> fn(&'a Lake, &'a str, i64) -> futures::future::BoxFuture<'a, ()>;
    let adds: [Act; 3] = [
        |lake, branch, v| Box::pin(async move { append(lake, branch, &[(9, v)]).await }),
        |lake, branch, v| Box::pin(async move { upsert(lake, branch, &[(9, v), (2, 20)]).await }),
        // Each side makes it of another row.
        |lake, branch, _| Box::pin(async move { set_key(lake, branch, i64::from(branch == "dev"), 9).await }),
    ];
    paused(async {
        for (ours, theirs) in adds.into_iter().flat_map(|one| adds.map(|two| (one, two))) {
            let (_, lake) = keyed().await;
            ours(&lake, "main", 1).await;
            theirs(&lake, "dev", 2).await;
            let before = lake.at("main").await.unwrap().version();
            let found = conflicts(lake.merge("dev")).await;
            let [(key, _, _)] = &keys_of(&found.conflicts)[..] else { panic!("{found}") };
            assert_eq!(key, "(k = 9)");
            let [told] = &found.keys[..] else { panic!("{found:?}") };
            assert_eq!((told.table.as_str(), &told.keys[..]), ("t", &["(k = 9)".to_owned()][..]));
            assert_eq!((pairs(&told.ours)[0].0, pairs(&told.theirs)[0].0), (9, 9));
            assert!(found.conflicts[0].commit.is_some(), "{found}");
            assert_eq!(lake.at("main").await.unwrap().version(), before);
            let kept: BTreeMap<i64, i64> = rows_on(&lake, "main").await.into_iter().collect();
            let took: BTreeMap<i64, i64> = rows_on(&lake, "dev").await.into_iter().collect();
            for (name, side) in [("ours", Side::Ours), ("theirs", Side::Theirs)] {
                let merged = decided(&lake, name, lake.merge("dev").rows("t", side)).await;
                let keys: Vec<i64> = merged.iter().map(|row| row.0).collect();
                assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{name}: {merged:?}");
                // Rows that both know are all there, however they were called.
                for known in 0..=3 {
                    let is_gone = |side: &BTreeMap<i64, i64>| !side.contains_key(&known);
                    let remade =
                        (is_gone(&kept) && side == Side::Ours) || (is_gone(&took) && side == Side::Theirs);
                    assert!(keys.contains(&known) != remade, "{name}, {known}: {merged:?}");
                }
                let nine = merged.iter().find(|row| row.0 == 9).unwrap().1;
                assert_eq!(nine, if side == Side::Ours { kept[&9] } else { took[&9] }, "{name}");
                assert!(matches!(lake.merge("dev").into(name).await.unwrap(), Merged::UpToDate(_)));
            }
            check_whole(&lake, "merged").await;
        }
    });
}

#[test]
fn rows_that_are_equal_on_both_sides_are_one() {
    paused(async {
        let (_, lake) = keyed().await;
        append(&lake, "main", &[(8, 1), (9, 1)]).await;
        append(&lake, "dev", &[(9, 1), (8, 1), (7, 7)]).await;
        lake.merge("dev").into("main").await.unwrap().committed().unwrap();
        let all = [(0, 0), (1, 10), (2, 20), (3, 30), (7, 7), (8, 1), (9, 1)];
        assert_eq!(rows_on(&lake, "main").await, all);
        // The other way it is the same, and then both have one row of one id.
        lake.merge("main").into("dev").await.unwrap().committed().unwrap();
        assert_eq!(rows_on(&lake, "dev").await, all);
        on(&lake, "dev", async |on| on.update("t", col("k").eq(9)).set("v", 5).await.map(drop).unwrap())
            .await;
        lake.merge("dev").into("main").await.unwrap().committed().unwrap();
        assert_eq!(rows_on(&lake, "main").await.last(), Some(&(9, 5)));
        check_whole(&lake, "merged").await;
    });
}

/// Two rows of the key 9 that became one when `dev` was merged into `main`, with what each side had; and the id of the one that stands.
async fn twins(ours: i64, theirs: i64) -> (Lake, u64) {
    let (_, lake) = keyed().await;
    append(&lake, "main", &[(8, 8)]).await;
    append(&lake, "main", &[(9, ours)]).await;
    append(&lake, "dev", &[(9, theirs), (7, 7)]).await;
    let merge = lake.merge("dev").into("main");
    let merge = if ours == theirs { merge } else { merge.rows("t", Side::Ours) };
    merge.await.unwrap().committed().unwrap();
    let id = id_of(&lake, "main", 9).await;
    (lake, id)
}

async fn id_of(lake: &Lake, branch: &str, k: i64) -> u64 {
    let table = lake.at(branch).await.unwrap().table("t").await.unwrap();
    let found = table.scan().filter(col("k").eq(k)).row_ids(true).collect().await.unwrap();
    found[0].column_by_name("_row_id").unwrap().as_primitive::<UInt64Type>().value(0)
}

async fn nine(lake: &Lake, branch: &str) -> Option<i64> {
    rows_on(lake, branch).await.into_iter().find(|row| row.0 == 9).map(|row| row.1)
}

async fn set_nine(lake: &Lake, branch: &str, v: i64) {
    on(lake, branch, async |on| on.update("t", col("k").eq(9)).set("v", v).await.map(drop).unwrap()).await;
}

async fn delete_nine(lake: &Lake, branch: &str) {
    on(lake, branch, async |on| assert_eq!(on.delete("t", col("k").eq(9)).await.unwrap(), 1)).await;
}

async fn merged(lake: &Lake, from: &str, into: &str) {
    lake.merge(from).into(into).await.unwrap().committed().unwrap();
}

#[test]
fn what_is_done_to_one_of_two_rows_that_became_one_is_done_to_both() {
    paused(async {
        for (ours, theirs) in [(1, 1), (1, 2)] {
            for (by, into) in [("dev", "main"), ("main", "dev")] {
                let (lake, _) = twins(ours, theirs).await;
                delete_nine(&lake, by).await;
                if ours != theirs && by == "dev" {
                    // Its values were decided against, which is a change of them.
                    let Merged::Conflicts(found) = lake.merge(by).into(into).await.unwrap() else { panic!() };
                    assert!(
                        matches!(found.conflicts[..], [Conflict { kind: ConflictKind::Rows(_), .. }]),
                        "{found}"
                    );
                    continue;
                }
                merged(&lake, by, into).await;
                assert_eq!((nine(&lake, "main").await, nine(&lake, "dev").await), (None, None), "by {by}");
                // Changed: the id that stands on a branch stays there.
                let (lake, id) = twins(ours, theirs).await;
                let before = [id, id_of(&lake, "dev", 9).await];
                set_nine(&lake, by, 5).await;
                merged(&lake, by, into).await;
                assert_eq!(
                    (nine(&lake, "main").await, nine(&lake, "dev").await),
                    (Some(5), Some(5)),
                    "by {by}"
                );
                let now = [id_of(&lake, "main", 9).await, id_of(&lake, "dev", 9).await];
                assert_eq!(now[0], before[0], "by {by}");
                // And again, from the other side.
                delete_nine(&lake, into).await;
                merged(&lake, into, by).await;
                assert_eq!((nine(&lake, "main").await, nine(&lake, "dev").await), (None, None), "by {into}");
                check_whole(&lake, "merged").await;
            }
        }
    });
}

#[test]
fn a_delete_is_not_undone_by_a_merge_of_the_row_that_stands_for_it() {
    paused(async {
        let (lake, _) = twins(1, 1).await;
        delete_nine(&lake, "dev").await;
        append(&lake, "main", &[(20, 1)]).await;
        merged(&lake, "main", "dev").await;
        assert_eq!(nine(&lake, "dev").await, None);
        merged(&lake, "dev", "main").await;
        assert_eq!(nine(&lake, "main").await, None);
    });
}

#[test]
fn both_sides_of_two_rows_that_became_one_disagree_as_of_one_row() {
    paused(async {
        for (from, into) in [("dev", "main"), ("main", "dev")] {
            let (lake, _) = twins(1, 1).await;
            set_nine(&lake, from, 5).await;
            delete_nine(&lake, into).await;
            let Merged::Conflicts(found) = lake.merge(from).into(into).await.unwrap() else { panic!() };
            assert!(matches!(found.conflicts[..], [Conflict { kind: ConflictKind::Rows(_), .. }]), "{found}");
            let (lake, _) = twins(1, 1).await;
            set_nine(&lake, from, 5).await;
            set_nine(&lake, into, 6).await;
            let Merged::Conflicts(found) = lake.merge(from).into(into).await.unwrap() else { panic!() };
            let [told] = &found.rows[..] else { panic!("{found:?}") };
            assert_eq!(
                (pairs(&told.base), pairs(&told.ours), pairs(&told.theirs)),
                (vec![(9, 1)], vec![(9, 6)], vec![(9, 5)])
            );
            lake.merge(from).into(into).rows("t", Side::Theirs).await.unwrap().committed().unwrap();
            assert_eq!(nine(&lake, into).await, Some(5));
            delete_nine(&lake, into).await;
            merged(&lake, into, from).await;
            assert_eq!(nine(&lake, from).await, None);
        }
    });
}

#[test]
fn a_row_that_stands_for_others_does_so_along_a_chain_of_branches() {
    paused(async {
        let (lake, _) = twins(1, 1).await;
        // A branch that has the row by way of main, and one that had put it in as well.
        lake.create_branch("late").from("main").await.unwrap();
        append(&lake, "late", &[(30, 1)]).await;
        lake.create_branch("third").from("main@{1}").await.unwrap();
        append(&lake, "third", &[(9, 1)]).await;
        merged(&lake, "third", "main").await;
        delete_nine(&lake, "dev").await;
        merged(&lake, "dev", "late").await;
        assert_eq!(nine(&lake, "late").await, None);
        set_nine(&lake, "third", 4).await;
        merged(&lake, "third", "main").await;
        assert_eq!(nine(&lake, "main").await, Some(4));
        let Merged::Conflicts(_) = lake.merge("dev").into("main").await.unwrap() else {
            panic!("deleted and changed")
        };
        lake.merge("dev").into("main").rows("t", Side::Theirs).await.unwrap().committed().unwrap();
        assert_eq!(nine(&lake, "main").await, None);
        merged(&lake, "main", "third").await;
        assert_eq!(nine(&lake, "third").await, None);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn a_row_that_is_given_stands_in_the_place_of_both_or_makes_room() {
    paused(async {
        let (_, lake) = keyed().await;
        append(&lake, "main", &[(9, 1)]).await;
        append(&lake, "dev", &[(9, 2), (10, 3)]).await;
        let found = conflicts(lake.merge("dev")).await;
        let ours = found.keys[0].ours.clone();
        let given = |k: i64, v: i64| {
            let mut columns = ours.columns().to_vec();
            (columns[0], columns[1]) = (longs([k]), longs([v]));
            RecordBatch::try_new(ours.schema(), columns).unwrap()
        };
        let base = [(0, 0), (1, 10), (2, 20), (3, 30)];
        let with = |more: &[(i64, i64)]| [&base[..], more].concat();
        let merge = |row| lake.merge("dev").with_rows("t", [row]);
        assert_eq!(decided(&lake, "both", merge(given(9, 7))).await, with(&[(9, 7), (10, 3)]));
        assert_eq!(decided(&lake, "room", merge(given(11, 7))).await, with(&[(9, 2), (10, 3), (11, 7)]));
        // What was given may itself have a key that is there: of their new row, or of one that nobody touched.
        let merged = decided(&lake, "taken", merge(given(10, 7))).await;
        assert_eq!(merged, with(&[(9, 2), (10, 7)]));
        let found = conflicts(merge(given(2, 7))).await;
        assert_eq!(keys_of(&found.conflicts)[0].0, "(k = 2)");
        // Their new row has no id that the caller could know.
        let theirs = found.keys[0].theirs.clone();
        let ids = theirs.column_by_name("_row_id").unwrap().as_primitive::<UInt64Type>().clone();
        let mut columns = ours.columns().to_vec();
        columns[2] = std::sync::Arc::new(arrow::array::UInt64Array::from(vec![ids.value(0) + 1_000]));
        let stranger = RecordBatch::try_new(ours.schema(), columns).unwrap();
        let error = lake.merge("dev").into("main").with_rows("t", [stranger]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn keys_and_cells_are_decided_together() {
    paused(async {
        let (_, lake) = keyed().await;
        // One row gets a key here and a value there; another one is added under that key there.
        set_key(&lake, "main", 1, 9).await;
        on(&lake, "dev", async |on| {
            on.update("t", col("k").eq(1)).set("v", 11).await.unwrap();
            on.append("t", rows(&[(9, 99)])).await.unwrap();
        })
        .await;
        let found = conflicts(lake.merge("dev")).await;
        assert_eq!(keys_of(&found.conflicts)[0].0, "(k = 9)");
        assert_eq!(
            (pairs(&found.keys[0].ours), pairs(&found.keys[0].theirs)),
            (vec![(9, 11)], vec![(9, 99)])
        );
        let ours = decided(&lake, "ours", lake.merge("dev").rows("t", Side::Ours)).await;
        assert_eq!(ours, [(0, 0), (2, 20), (3, 30), (9, 11)]);
        let theirs = decided(&lake, "theirs", lake.merge("dev").rows("t", Side::Theirs)).await;
        assert_eq!(theirs, [(0, 0), (1, 11), (2, 20), (3, 30), (9, 99)]);
        // A row in conflict, and a key.
        on(&lake, "main", async |on| on.update("t", col("k").eq(2)).set("v", 21).await.map(drop).unwrap())
            .await;
        on(&lake, "dev", async |on| on.update("t", col("k").eq(2)).set("v", 22).await.map(drop).unwrap())
            .await;
        append(&lake, "main", &[(5, 1)]).await;
        append(&lake, "dev", &[(5, 2)]).await;
        let found = conflicts(lake.merge("dev")).await;
        let codes: Vec<_> = found.conflicts.iter().map(Conflict::code).collect();
        assert_eq!(codes, ["rows", "keys"], "{found}");
        assert_eq!(found.keys[0].keys, ["(k = 9)", "(k = 5)"]);
        assert_eq!(found.rows[0].keys, ["(k = 2)"]);
        let both = decided(&lake, "both", lake.merge("dev").rows("t", Side::Theirs)).await;
        assert_eq!(both, [(0, 0), (1, 11), (2, 22), (3, 30), (5, 2), (9, 99)]);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn one_decision_that_brings_other_keys_together_is_followed_to_its_end() {
    paused(async {
        let (_, lake) = keyed().await;
        // Theirs turns keys round: 1 becomes 9, 2 becomes 1, 3 becomes 2.
        append(&lake, "main", &[(9, 1)]).await;
        for (from, to) in [(1, 9), (2, 1), (3, 2)] {
            set_key(&lake, "dev", from, to).await;
        }
        let ours = decided(&lake, "ours", lake.merge("dev").rows("t", Side::Ours)).await;
        assert_eq!(ours, [(0, 0), (1, 10), (2, 20), (3, 30), (9, 1)]);
        let theirs = decided(&lake, "theirs", lake.merge("dev").rows("t", Side::Theirs)).await;
        assert_eq!(theirs, [(0, 0), (1, 20), (2, 30), (9, 10)]);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn picks_and_reverts_do_not_bring_a_key_twice() {
    paused(async {
        let (_, lake) = keyed().await;
        append(&lake, "dev", &[(9, 2)]).await;
        append(&lake, "main", &[(9, 1)]).await;
        let Merged::Conflicts(found) = lake.cherry_pick("dev").on("main").await.unwrap() else { panic!() };
        assert_eq!(keys_of(&found.conflicts)[0].0, "(k = 9)");
        on(&lake, "main", async |on| on.delete("t", col("k").eq(3)).await.map(drop).unwrap()).await;
        append(&lake, "main", &[(3, 33)]).await;
        let Merged::Conflicts(found) = lake.revert("main~").await.unwrap() else { panic!() };
        assert_eq!(keys_of(&found.conflicts)[0].0, "(k = 3)");
        assert_eq!(
            (pairs(&found.keys[0].ours), pairs(&found.keys[0].theirs)),
            (vec![(3, 33)], vec![(3, 30)])
        );
    });
}

#[test]
fn branches_that_met_before_are_compared_by_what_the_other_does_not_know() {
    paused(async {
        let (_, lake) = keyed().await;
        append(&lake, "main", &[(9, 1)]).await;
        append(&lake, "dev", &[(8, 2)]).await;
        lake.merge("dev").into("main").await.unwrap().committed().unwrap();
        // `main` had it before they met, and `dev` never saw it.
        append(&lake, "dev", &[(9, 2)]).await;
        let found = conflicts(lake.merge("dev")).await;
        assert_eq!(keys_of(&found.conflicts)[0].0, "(k = 9)");
        // What came from the other side is no row of one's own.
        on(&lake, "dev", async |on| {
            on.delete("t", col("k").eq(9)).await.unwrap();
            on.upsert("t", rows(&[(8, 3)])).await.unwrap();
        })
        .await;
        on(&lake, "main", async |on| on.update("t", col("k").eq(9)).set("v", 4).await.map(drop).unwrap())
            .await;
        lake.merge("dev").into("main").await.unwrap().committed().unwrap();
        lake.merge("main").into("dev").await.unwrap().committed().unwrap();
        let all = [(0, 0), (1, 10), (2, 20), (3, 30), (8, 3), (9, 4)];
        assert_eq!((rows_on(&lake, "main").await, rows_on(&lake, "dev").await), (all.to_vec(), all.to_vec()));
        append(&lake, "dev", &[(12, 1)]).await;
        append(&lake, "main", &[(12, 2)]).await;
        assert_eq!(keys_of(&conflicts(lake.merge("dev")).await.conflicts)[0].0, "(k = 12)");
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn a_merge_of_a_keyed_table_reads_the_files_that_may_have_one_key_and_no_others() {
    paused(async {
        let (counted, lake) = keyed().await;
        for at in 1..40 {
            append(&lake, "main", &[(at * 100, 1), (at * 100 + 5, 1)]).await;
        }
        lake.create_branch("other").await.unwrap();
        for (branch, at) in [("main", 10_000), ("other", 20_000)] {
            append(&lake, branch, &[(at, 2), (at + 5, 2)]).await;
            on(&lake, branch, async |on| {
                assert_eq!(
                    on.delete("t", col("k").eq(if branch == "main" { 100 } else { 105 })).await.unwrap(),
                    1
                );
            })
            .await;
        }
        let cold = open(counted.cold().storage).await.unwrap();
        let before = counted.store.snapshot();
        cold.merge("other").into("main").await.unwrap().committed().unwrap();
        let asked = counted.store.since(&before);
        assert_eq!(asked.to(PathClass::Data).requests, 0, "{asked}");
        assert!(asked.total().requests <= 40, "{asked}");
        // One file on each side that may have a key of the other one's.
        append(&lake, "main", &[(30_000, 3), (30_009, 3)]).await;
        append(&lake, "other", &[(30_005, 3)]).await;
        let before = counted.store.snapshot();
        lake.merge("other").into("main").await.unwrap().committed().unwrap();
        let read = counted.store.since(&before).of_to(RequestKind::Get, PathClass::Data).requests;
        assert!((1..=4).contains(&read), "{read}");
    });
}

/// Whichever side has put its row in, and whichever has given that key to a row that both know.
#[test]
fn equal_rows_of_one_key_are_one_whichever_side_knows_the_other_one() {
    paused(async {
        for (from, into) in [("main", "dev"), ("dev", "main")] {
            let (_, lake) = keyed().await;
            append(&lake, "main", &[(7, 30)]).await;
            set_key(&lake, "dev", 3, 7).await;
            lake.merge(from).into(into).await.unwrap().committed().unwrap();
            assert_eq!(rows_on(&lake, into).await, [(0, 0), (1, 10), (2, 20), (7, 30)], "{from} into {into}");
            check_whole(&lake, "merged").await;
        }
    });
}
