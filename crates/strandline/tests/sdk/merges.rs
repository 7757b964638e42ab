//! Merges of branches: what they come to for names, schemas, rows and cells, what they ask for, and what is refused.

mod checked;
mod counted;
mod crossed;
mod disagreeing;
mod kept;
mod laws;
mod nested;
mod picked;
mod put_back;
mod random;
mod related;
mod restored;
mod rounds;
mod single;
mod webs;

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, UInt64Type};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline::filter::col;
use strandline::format::{Operation, PrimitiveType};
use strandline::merge::{BaseConflict, ContestedRows, Side};
use strandline::refs::{MergeConflicts, Merged, Preview};
use strandline::{ConflictKind, ErrorKind, Lake, Ref, Report, Transaction};
use strandline_format::RefName;
use strandline_testkit::{PathClass, RequestKind, VirtualClock};

use crate::collector::{check_whole, collect};
use crate::fixture::{Counted, open, paused};
use crate::past::{fence, hour, reopen, storage};
use crate::work::{batch, change, column, ids, longs, numbers, order_fields, orders, shop};

/// One transaction on a branch.
async fn on(lake: &Lake, branch: &str, act: impl AsyncFnOnce(&Transaction)) -> Report {
    let transaction = lake.begin().branch(branch).await.unwrap();
    act(&transaction).await;
    transaction.commit().await.unwrap()
}

async fn merge(lake: &Lake, from: &str, into: &str) -> Report {
    lake.merge(from).into(into).await.unwrap().committed().unwrap()
}

async fn conflicts(lake: &Lake, from: &str, into: &str) -> MergeConflicts {
    match lake.merge(from).into(into).await.unwrap() {
        Merged::Conflicts(found) => found,
        other => panic!("{other:?}"),
    }
}

async fn ids_on(lake: &Lake, branch: &str) -> Vec<i64> {
    ids(&lake.at(branch).await.unwrap().table("orders").await.unwrap()).await
}

/// What stands for no value.
const NULL: i64 = i64::MIN;

/// A row of the columns `u`, `a` and `b`, the first of which tells rows apart.
type State = BTreeMap<i64, (i64, i64)>;

fn rows(rows: &[(i64, i64, i64)]) -> RecordBatch {
    batch([
        ("u", longs(rows.iter().map(|row| row.0))),
        ("a", longs(rows.iter().map(|row| row.1))),
        ("b", longs(rows.iter().map(|row| row.2))),
    ])
}

fn triples(batch: &RecordBatch) -> Vec<(i64, i64, i64)> {
    let column = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>();
    let cells = |name| column(name).iter().map(|cell| cell.unwrap_or(NULL));
    cells("u").zip(cells("a").zip(cells("b"))).map(|(u, (a, b))| (u, a, b)).collect()
}

/// The same with the ids of rows.
type Rows = BTreeMap<i64, (u64, (i64, i64))>;

async fn state(lake: &Lake, at: &str) -> State {
    rows_at(&lake.at(at).await.unwrap()).await.into_iter().map(|(u, row)| (u, row.1)).collect()
}

async fn rows_at(at: &Ref) -> Rows {
    let table = at.table("t").await.unwrap();
    let batches = table.scan().row_ids(true).collect().await.unwrap();
    let mut ids: Vec<u64> = Vec::new();
    let mut rows = Rows::new();
    for batch in &batches {
        let of_batch = batch.column_by_name("_row_id").unwrap().as_primitive::<UInt64Type>().values();
        ids.extend(of_batch);
        for ((u, a, b), id) in triples(batch).into_iter().zip(of_batch) {
            assert!(rows.insert(u, (*id, (a, b))).is_none(), "row {u} is there twice");
        }
    }
    assert_eq!(rows.len() as u64, table.rows(), "what the table says of itself");
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "two rows have one id");
    rows
}

/// A lake with a table of rows 0 to 9, whose values are ten times and a hundred times as much, and the branch `dev`.
async fn tens() -> (Counted, Lake) {
    let counted = Counted::new();
    let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
    change(&lake, async |on| {
        on.create_table("t").like(&rows(&[]).schema()).await.unwrap();
        on.append("t", rows(&(0..10).map(|u| (u, u * 10, u * 100)).collect::<Vec<_>>())).await.unwrap();
    })
    .await;
    lake.create_branch("dev").await.unwrap();
    (counted, lake)
}

async fn set(lake: &Lake, branch: &str, u: i64, column: &str, value: i64) {
    on(lake, branch, async |on| {
        let update = on.update("t", col("u").eq(u));
        let update = if value == NULL { update.set_null(column) } else { update.set(column, value) };
        assert_eq!(update.await.unwrap().updated, 1);
    })
    .await;
}

async fn delete(lake: &Lake, branch: &str, u: i64) {
    on(lake, branch, async |on| assert_eq!(on.delete("t", col("u").eq(u)).await.unwrap(), 1)).await;
}

#[test]
fn a_branch_with_nothing_of_its_own_is_moved_forward_or_gets_one_commit() {
    paused(async {
        let (_, lake) = shop(3).await;
        lake.create_branch("dev").await.unwrap();
        lake.create_branch("squashed").await.unwrap();
        for at in 10..13 {
            on(&lake, "dev", async |on| on.append("orders", orders(at..at + 1)).await.map(drop).unwrap())
                .await;
        }
        assert!(matches!(lake.merge("dev").into("main").dry_run().await.unwrap(), Preview::Forward));
        let Merged::Forwarded(at) = lake.merge("dev").into("main").await.unwrap() else { panic!() };
        assert_eq!(at.commit().hash(), lake.at("dev").await.unwrap().commit().hash());
        let report = lake.merge("dev").into("squashed").squash().await.unwrap().committed().unwrap();
        assert_eq!((report.commit.version().0, report.tables[0].rows), (3, (3, 0)));
        assert_eq!(ids_on(&lake, "squashed").await, ids_on(&lake, "dev").await);
        assert!(matches!(lake.merge("dev").into("main").await.unwrap(), Merged::UpToDate(_)));
        assert!(matches!(lake.merge("dev").into("squashed").await.unwrap(), Merged::UpToDate(_)));
        check_whole(&lake, "merged").await;
    });
}

/// Whoever sets a property and whoever renames a column that it names do not collide, so files are written without what it asks for.
#[test]
fn a_column_that_a_property_names_may_go_by_another_writer() {
    paused(async {
        let (_, lake) = shop(3).await;
        let bloom = "strandline.bloom-filters";
        let [one, other] = [lake.begin().await.unwrap(), lake.begin().await.unwrap()];
        one.alter_table("orders").set_property(bloom, "name").await.unwrap();
        other.alter_table("orders").rename_column("name", "title").await.unwrap();
        one.commit().await.unwrap();
        other.commit().await.unwrap();
        let row = || batch([("id", longs([70])), ("title", Arc::new(StringArray::from(vec!["x"])) as _)]);
        lake.append("orders", row()).await.unwrap();
        lake.create_branch("dev").await.unwrap();
        change(&lake, async |on| {
            on.alter_table("orders").comment("as it was").await.unwrap();
            on.alter_table("orders").set_property(bloom, "title, amount").await.unwrap();
        })
        .await;
        on(&lake, "dev", async |on| {
            on.alter_table("orders").drop_check("positive").drop_column("amount").await.unwrap();
        })
        .await;
        merge(&lake, "dev", "main").await;
        lake.append("orders", row()).await.unwrap();
        let transaction = lake.begin().await.unwrap();
        let error = transaction.alter_table("orders").drop_column("title").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("bloom-filters\" names \"title\""), "{error}");
    });
}

#[test]
fn both_sides_come_together_whichever_way_and_however_often_they_are_merged() {
    paused(async {
        let (_, lake) = shop(3).await;
        lake.create_branch("dev").await.unwrap();
        lake.append("orders", orders(10..12)).await.unwrap();
        on(&lake, "dev", async |on| on.append("orders", orders(20..24)).await.map(drop).unwrap()).await;
        let report = merge(&lake, "dev", "main").await;
        assert_eq!(report.commit.changes()[0].operation, Operation::Merge);
        assert_eq!(report.commit.merged().unwrap().hash, lake.at("dev").await.unwrap().commit().hash());
        assert!(report.commit.changes()[0].renumbered.is_some(), "both had handed out the same numbers");
        assert_eq!(report.commit.message(), "merge dev (version 3) into main");
        assert!(matches!(lake.merge("dev").into("main").await.unwrap(), Merged::UpToDate(_)));
        // What was merged is deleted where it came from, and merged again.
        on(&lake, "dev", async |on| assert_eq!(on.delete("orders", col("id").eq(21)).await.unwrap(), 1))
            .await;
        lake.append("orders", orders(30..31)).await.unwrap();
        on(&lake, "dev", async |on| on.append("orders", orders(40..41)).await.map(drop).unwrap()).await;
        merge(&lake, "dev", "main").await;
        let all = [0, 1, 2, 10, 11, 20, 22, 23, 30, 40];
        assert_eq!(ids_on(&lake, "main").await, all);
        // And the other way: here the base is a commit of dev, and then one of main.
        change(&lake, async |on| assert_eq!(on.delete("orders", col("id").eq(20)).await.unwrap(), 1)).await;
        on(&lake, "dev", async |on| on.append("orders", orders(50..51)).await.map(drop).unwrap()).await;
        merge(&lake, "main", "dev").await;
        let all = [0, 1, 2, 10, 11, 22, 23, 30, 40, 50];
        assert_eq!(ids_on(&lake, "dev").await, all);
        change(&lake, async |on| assert_eq!(on.delete("orders", col("id").eq(40)).await.unwrap(), 1)).await;
        on(&lake, "dev", async |on| assert_eq!(on.delete("orders", col("id").eq(30)).await.unwrap(), 1))
            .await;
        merge(&lake, "dev", "main").await;
        assert_eq!(ids_on(&lake, "main").await, [0, 1, 2, 10, 11, 22, 23, 50]);
        assert_eq!(
            lake.diff("main", "dev")
                .await
                .unwrap()
                .table("orders")
                .await
                .unwrap()
                .counts()
                .await
                .unwrap()
                .deleted,
            0
        );
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn tables_views_schemas_and_namespaces_come_together_in_one_commit() {
    paused(async {
        let (_, lake) = shop(2).await;
        change(&lake, async |on| drop(on.create_table("old").fields(order_fields()).await.unwrap())).await;
        lake.create_branch("dev").await.unwrap();
        on(&lake, "dev", async |on| {
            on.create_namespace("n").await.unwrap();
            on.create_table("n.made").fields(order_fields()).await.unwrap();
            on.append("n.made", orders(0..5)).await.unwrap();
            on.drop_table("old").await.unwrap();
            on.alter_table("orders").add_column(column("note", PrimitiveType::String)).await.unwrap();
            on.append("orders", orders(5..6)).await.unwrap();
        })
        .await;
        change(&lake, async |on| {
            on.alter_table("orders").rename_column("name", "title").await.unwrap();
            on.rename("orders", "sales").await.unwrap();
        })
        .await;
        let Preview::Commit(names) = lake.merge("dev").into("main").dry_run().await.unwrap() else {
            panic!()
        };
        assert_eq!(names.len(), 4, "{names:?}");
        assert_eq!(lake.at("main").await.unwrap().version().0, 4, "a dry run commits nothing");
        merge(&lake, "dev", "main").await;
        let main = lake.at("main").await.unwrap();
        let names: Vec<_> =
            main.tables().await.unwrap().into_iter().map(|listed| listed.name.as_str().to_owned()).collect();
        assert_eq!(names, ["n.made", "sales"]);
        let sales = main.table("sales").await.unwrap();
        let columns: Vec<_> = sales.schema().fields().iter().map(|field| field.name.as_str()).collect();
        assert_eq!(columns, ["id", "title", "amount", "note"]);
        assert_eq!(ids(&sales).await, [0, 1, 5]);
        assert_eq!(ids(&main.table("n.made").await.unwrap()).await, [0, 1, 2, 3, 4]);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn rows_that_only_one_side_changed_come_together_without_a_data_file_being_read() {
    paused(async {
        let (counted, lake) = tens().await;
        set(&lake, "main", 1, "a", -1).await;
        delete(&lake, "main", 2).await;
        set(&lake, "dev", 3, "b", -3).await;
        delete(&lake, "dev", 4).await;
        let (main, dev) = (lake.at("main").await.unwrap().version(), lake.at("dev").await.unwrap().version());
        let cold = open(counted.cold().storage).await.unwrap();
        let before = counted.store.snapshot();
        merge(&cold, "dev", "main").await;
        let asked = counted.store.since(&before);
        assert_eq!(asked.to(PathClass::Data).requests, 0, "{asked}");
        assert!(asked.total().requests <= 40, "{asked}");
        let mut expected: State = (0..10).map(|u| (u, (u * 10, u * 100))).collect();
        expected.insert(1, (-1, 100));
        expected.insert(3, (30, -3));
        expected.remove(&2);
        expected.remove(&4);
        assert_eq!(state(&cold, "main").await, expected);
        assert_eq!((main.0, dev.0), (3, 3));
        check_whole(&cold, "merged").await;
    });
}

#[test]
fn a_row_of_which_each_side_changed_another_column_has_both() {
    paused(async {
        let (_, lake) = tens().await;
        set(&lake, "main", 1, "a", -1).await;
        set(&lake, "dev", 1, "b", -2).await;
        // The same change on both sides is none that they disagree on.
        set(&lake, "main", 2, "a", 7).await;
        set(&lake, "dev", 2, "a", 7).await;
        // And one that is as it was before is no change.
        set(&lake, "main", 3, "a", 8).await;
        set(&lake, "main", 3, "a", 30).await;
        delete(&lake, "dev", 3).await;
        merge(&lake, "dev", "main").await;
        let merged = state(&lake, "main").await;
        assert_eq!((merged[&1], merged[&2], merged.get(&3)), ((-1, -2), (7, 200), None));
        // The merged row is one row with the id that it had, and can be merged on.
        set(&lake, "dev", 1, "b", -3).await;
        merge(&lake, "dev", "main").await;
        assert_eq!(state(&lake, "main").await[&1], (-1, -3));
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn what_cannot_be_merged_comes_back_with_all_values_and_is_decided_by_the_caller() {
    paused(async {
        let (_, lake) = tens().await;
        for (u, ours, theirs) in [(1, -1, -2), (5, -5, -6)] {
            set(&lake, "main", u, "a", ours).await;
            set(&lake, "dev", u, "a", theirs).await;
        }
        set(&lake, "main", 2, "a", -3).await;
        delete(&lake, "dev", 2).await;
        set(&lake, "main", 7, "a", -7).await;
        set(&lake, "dev", 7, "b", -8).await;
        let head = lake.at("main").await.unwrap().version();
        let found = conflicts(&lake, "dev", "main").await;
        let [conflict] = &found.conflicts[..] else { panic!("{found:?}") };
        let ConflictKind::Rows(listed) = &conflict.kind else { panic!("{conflict}") };
        assert_eq!((conflict.name.as_str(), listed.count()), ("t", 3));
        let [ContestedRows { table, rows: contested, keys, base, ours, theirs }] = &found.rows[..] else {
            panic!()
        };
        assert_eq!((table.as_str(), contested.len(), keys.len()), ("t", 3, 0));
        assert_eq!(triples(base), [(1, 10, 100), (2, 20, 200), (5, 50, 500)]);
        assert_eq!(triples(ours), [(1, -1, 100), (2, -3, 200), (5, -5, 500)]);
        assert_eq!(triples(theirs), [(1, -2, 100), (5, -6, 500)]);
        assert_eq!(lake.at("main").await.unwrap().version(), head, "nothing was committed");
        let decided = async |name: &str, merge: strandline::refs::Merge| {
            lake.create_branch(name).from("main").await.unwrap();
            merge.into(name).await.unwrap().committed().unwrap();
            let merged = state(&lake, name).await;
            assert_eq!(merged[&7], (-7, -8), "{name}");
            (merged.get(&1).copied(), merged.get(&2).copied(), merged.get(&5).copied())
        };
        assert_eq!(
            decided("ours", lake.merge("dev").rows("t", Side::Ours)).await,
            (Some((-1, 100)), Some((-3, 200)), Some((-5, 500)))
        );
        assert_eq!(
            decided("theirs", lake.merge("dev").rows("t", Side::Theirs)).await,
            (Some((-2, 100)), None, Some((-6, 500)))
        );
        // One row by hand, the others by side.
        let one = ours.slice(0, 1);
        let mut columns = one.columns().to_vec();
        columns[2] = longs([77]);
        let by_hand = RecordBatch::try_new(one.schema(), columns).unwrap();
        let merge = lake.merge("dev").with_rows("t", [by_hand.clone()]).rows("t", Side::Theirs);
        assert_eq!(decided("by-hand", merge).await, (Some((-1, 77)), None, Some((-6, 500))));
        // A whole table.
        lake.create_branch("whole").from("main").await.unwrap();
        lake.merge("dev").into("whole").take("t", Side::Theirs).await.unwrap().committed().unwrap();
        assert_eq!(state(&lake, "whole").await, state(&lake, "dev").await);
        lake.create_branch("kept").from("main").await.unwrap();
        lake.merge("dev").into("kept").take("t", Side::Ours).await.unwrap().committed().unwrap();
        assert_eq!(state(&lake, "kept").await, state(&lake, "main").await);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn values_for_a_row_that_nobody_disagrees_on_are_refused() {
    paused(async {
        let (_, lake) = tens().await;
        set(&lake, "main", 1, "a", -1).await;
        set(&lake, "dev", 1, "a", -2).await;
        set(&lake, "dev", 3, "a", -3).await;
        let found = conflicts(&lake, "dev", "main").await;
        let mut columns = found.rows[0].ours.columns().to_vec();
        columns[3] = Arc::new(arrow::array::UInt64Array::from(vec![3]));
        let other = RecordBatch::try_new(found.rows[0].ours.schema(), columns).unwrap();
        let error = lake.merge("dev").into("main").with_rows("t", [other]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    });
}

#[test]
fn names_and_schemas_that_disagree_are_all_told_and_decided_by_table() {
    paused(async {
        let (_, lake) = shop(2).await;
        change(&lake, async |on| drop(on.create_table("gone").fields(order_fields()).await.unwrap())).await;
        lake.create_branch("dev").await.unwrap();
        change(&lake, async |on| {
            on.alter_table("orders").rename_column("name", "title").await.unwrap();
            on.drop_table("gone").await.unwrap();
        })
        .await;
        on(&lake, "dev", async |on| {
            on.alter_table("orders").rename_column("name", "label").await.unwrap();
            on.append("gone", orders(0..1)).await.unwrap();
        })
        .await;
        let found = conflicts(&lake, "dev", "main").await;
        let codes: Vec<_> =
            found.conflicts.iter().map(|conflict| (conflict.name.as_str(), conflict.code())).collect();
        assert_eq!(codes.len(), 2, "{codes:?}");
        let merge = lake.merge("dev").into("main").take("orders", Side::Theirs).take("gone", Side::Theirs);
        merge.await.unwrap().committed().unwrap();
        let main = lake.at("main").await.unwrap();
        assert!(main.table("orders").await.unwrap().schema().find(["label"]).is_some());
        assert_eq!(ids(&main.table("gone").await.unwrap()).await, [0]);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn a_table_that_both_sides_renamed_is_decided_by_any_of_its_names() {
    paused(async {
        for (name, side) in
            ["t", "tm", "td"].into_iter().flat_map(|name| [(name, Side::Ours), (name, Side::Theirs)])
        {
            let (_, lake) = tens().await;
            for (branch, to, key) in [("main", "tm", 20), ("dev", "td", 30)] {
                on(&lake, branch, async |on| {
                    on.rename("t", to).await.unwrap();
                    on.append(to, rows(&[(key, 0, 0)])).await.unwrap();
                })
                .await;
            }
            conflicts(&lake, "dev", "main").await;
            // Of the base's name neither version has anything any more.
            if name == "t" {
                let error = lake.merge("dev").into("main").take(name, side).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
                continue;
            }
            lake.merge("dev").into("main").take(name, side).await.unwrap().committed().unwrap();
            let (is, key) = if side == Side::Ours { ("tm", 20) } else { ("td", 30) };
            let table = lake.table(is).await.unwrap();
            let mut found: Vec<i64> = numbers(&table, "u").await;
            found.sort_unstable();
            assert_eq!(found, (0..10).chain([key]).collect::<Vec<_>>(), "{name} {side:?}");
            let other = if side == Side::Ours { "td" } else { "tm" };
            assert!(lake.table(other).await.is_err(), "{name} {side:?}");
            check_whole(&lake, "decided").await;
        }
        let (_, lake) = tens().await;
        for (branch, to) in [("main", "tm"), ("dev", "td")] {
            on(&lake, branch, async |on| on.rename("t", to).await.map(drop).unwrap()).await;
        }
        let both = lake.merge("dev").into("main").take("tm", Side::Ours).take("td", Side::Theirs);
        assert_eq!(both.await.unwrap_err().kind(), ErrorKind::InvalidInput);
        let merge = || lake.merge("dev").into("main");
        for twice in [
            merge().take("tm", Side::Ours).take("TM", Side::Theirs),
            merge().rows("tm", Side::Theirs).rows("tm", Side::Ours),
            merge().rows("tm", Side::Theirs).take("tm", Side::Theirs),
            merge().take("tm", Side::Theirs).with_rows("tm", []),
        ] {
            let error = twice.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.message().contains("say one of them"), "{error}");
        }
    });
}

#[test]
fn a_table_that_was_kept_as_ours_does_not_get_back_what_it_went_without() {
    paused(async {
        let (_, lake) = tens().await;
        on(&lake, "dev", async |on| on.append("t", rows(&[(20, 0, 0), (21, 0, 0)])).await.map(drop).unwrap())
            .await;
        set(&lake, "main", 1, "a", -1).await;
        let kept = state(&lake, "main").await;
        // Nothing is taken over, so there is nothing to do but to say that it was merged.
        lake.merge("dev").into("main").take("t", Side::Ours).await.unwrap().committed().unwrap();
        delete(&lake, "dev", 20).await;
        set(&lake, "dev", 21, "a", 1).await;
        let found = conflicts(&lake, "dev", "main").await;
        assert!(matches!(found.conflicts[0].kind, ConflictKind::Files(_)), "{found}");
        assert_eq!(state(&lake, "main").await, kept);
    });
}

/// More than are looked at together.
#[test]
fn many_rows_that_both_sides_changed_are_decided_portion_by_portion() {
    paused(async {
        const LAST: i64 = 66_000;
        let lake = Lake::create_in(Counted::new().storage).await.unwrap();
        change(&lake, async |on| {
            on.create_table("t").like(&rows(&[]).schema()).await.unwrap();
            on.append("t", rows(&(0..=LAST).map(|u| (u, 1, 1)).collect::<Vec<_>>())).await.unwrap();
        })
        .await;
        lake.create_branch("dev").await.unwrap();
        on(&lake, "main", async |on| {
            on.update("t", col("u").ge(0)).set("a", 2).await.unwrap();
        })
        .await;
        on(&lake, "dev", async |on| {
            on.update("t", col("u").lt(LAST)).set("b", 3).await.unwrap();
            on.update("t", col("u").eq(LAST)).set("a", 5).await.unwrap();
        })
        .await;
        let found = conflicts(&lake, "dev", "main").await;
        let [told] = &found.rows[..] else { panic!("{found}") };
        let sides = [&told.base, &told.ours, &told.theirs].map(triples);
        assert_eq!(sides, [[(LAST, 1, 1)], [(LAST, 2, 1)], [(LAST, 5, 1)]]);
        lake.merge("dev").into("main").rows("t", Side::Theirs).await.unwrap().committed().unwrap();
        let merged = state(&lake, "main").await;
        let expected: State = (0..=LAST).map(|u| (u, if u < LAST { (2, 3) } else { (5, 1) })).collect();
        assert!(merged == expected, "cells of both sides in each row");
    });
}

/// What it came to when it was looked at is what is committed, as long as the branch has not moved.
#[test]
fn a_merge_into_a_branch_that_stands_still_is_made_once() {
    paused(async {
        let (counted, lake) = tens().await;
        set(&lake, "main", 1, "a", -1).await;
        set(&lake, "dev", 1, "b", -2).await;
        let (_, asked) = counted.store.measure(merge(&lake, "dev", "main")).await;
        assert!(asked.total().requests <= 16, "{asked}");
        assert_eq!(asked.of_to(RequestKind::Put, PathClass::Data).requests, 1, "{asked}");
        assert_eq!(state(&lake, "main").await[&1], (-1, -2));
    });
}

#[test]
fn what_was_merged_from_branches_that_share_nothing_new_is_no_reason_to_refuse() {
    paused(async {
        let (_, lake) = shop(1).await;
        for name in ["dev", "one", "two"] {
            lake.create_branch(name).await.unwrap();
        }
        for (at, name) in (1_i64..).zip(["one", "two", "dev", "main"]) {
            let rows = orders(at * 10..at * 10 + 1);
            on(&lake, name, async |on| on.append("orders", rows).await.map(drop).unwrap()).await;
        }
        merge(&lake, "one", "main").await;
        merge(&lake, "two", "dev").await;
        merge(&lake, "dev", "main").await;
        assert_eq!(ids_on(&lake, "main").await, [0, 10, 20, 30, 40]);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn what_was_merged_stays_when_its_branch_is_gone_and_all_else_is_collected() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = Lake::create_in(storage(&store, 1, &VirtualClock::at(hour(1)))).await.unwrap();
        change(&lake, async |on| drop(on.create_table("orders").fields(order_fields()).await.unwrap())).await;
        lake.create_branch("dev").await.unwrap();
        fence(&lake, "dev", 1).await;
        on(&lake, "dev", async |on| on.append("orders", orders(0..3)).await.map(drop).unwrap()).await;
        lake.append("orders", orders(10..12)).await.unwrap();
        merge(&lake, "dev", "main").await;
        let main = lake.branch(&RefName::new("main").unwrap()).await.unwrap();
        assert_eq!((main.pointer().era().0, main.pointer().pins().len()), (1, 0));
        assert!(lake.branch(&RefName::new("dev").unwrap()).await.unwrap().pointer().pins().is_empty());
        lake.delete_branch("dev").await.unwrap();
        for _ in 0..4 {
            collect(&lake, &store).await;
        }
        let lake = reopen(&store, 9).await;
        check_whole(&lake, "after collections").await;
        assert_eq!(ids_on(&lake, "main").await, [0, 1, 2, 10, 11]);
    });
}

#[test]
fn merges_and_commits_at_the_same_time_all_happen() {
    paused(async {
        let (counted, lake) = shop(1).await;
        for name in ["one", "two"] {
            lake.create_branch(name).await.unwrap();
        }
        let other = open(counted.cold().storage).await.unwrap();
        for (at, name) in (1_i64..).zip(["one", "two"]) {
            let rows = orders(at * 10..at * 10 + 2);
            on(&lake, name, async |on| on.append("orders", rows).await.map(drop).unwrap()).await;
        }
        lake.append("orders", orders(30..31)).await.unwrap();
        let appends = async {
            for at in 40..45 {
                other.append("orders", orders(at..at + 1)).await.unwrap();
            }
        };
        let own = lake.append("orders", orders(50..51));
        let (one, two, own, ()) = futures::join!(
            lake.merge("one").into("main").into_future(),
            other.merge("two").into("main").into_future(),
            own,
            appends
        );
        one.unwrap().committed().unwrap();
        two.unwrap().committed().unwrap();
        own.unwrap();
        assert_eq!(ids_on(&other, "main").await, [0, 10, 11, 20, 21, 30, 40, 41, 42, 43, 44, 50]);
        check_whole(&lake, "merged").await;
    });
}

#[test]
fn a_conflict_names_the_commit_that_it_is_with() {
    paused(async {
        let (_, lake) = tens().await;
        set(&lake, "main", 1, "a", -1).await;
        set(&lake, "dev", 1, "a", -2).await;
        on(&lake, "main", async |on| on.append("t", rows(&[(20, 0, 0)])).await.map(drop).unwrap()).await;
        let found = conflicts(&lake, "dev", "main").await;
        let (version, _) = found.conflicts[0].commit.expect("a commit of main");
        assert!((2..=3).contains(&version.0), "{version}");
    });
}
