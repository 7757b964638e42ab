//! What comes back by a reset or a revert, or goes by one: columns, rows and whole tables, and work that was begun before.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::UInt64Type;
use strandline::filter::col;
use strandline::format::PrimitiveType;
use strandline::merge::Side;
use strandline::refs::{MergeConflicts, Merged};
use strandline::{ConflictKind, ErrorKind, Lake};

use crate::fixture::{Counted, open, paused};
use crate::work::{batch, change, column, ids_of, longs, numbers, orders, race, shop};

/// A lake with a table of so many columns of longs, one row in it.
async fn table_of(columns: usize) -> (Counted, Lake) {
    let counted = Counted::new();
    let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
    let fields = (0..columns).map(|at| column(&format!("a column of some length {at}"), PrimitiveType::Long));
    let fields: Vec<_> = fields.chain([column("id", PrimitiveType::Long)]).collect();
    change(&lake, async |on| drop(on.create_table("t").fields(fields).await.unwrap())).await;
    lake.append("t", numbered(1)).await.unwrap();
    (counted, lake)
}

fn numbered(id: i64) -> RecordBatch {
    batch([("id", longs([id]))])
}

fn with_x(id: i64, x: i64) -> RecordBatch {
    batch([("id", longs([id])), ("x", longs([x]))])
}

async fn add_x(lake: &Lake) {
    change(lake, async |on| {
        on.alter_table("t").add_column(column("x", PrimitiveType::Long)).await.unwrap();
    })
    .await;
}

async fn revert(lake: &Lake, commit: &str) -> MergeConflicts {
    match lake.revert(commit).await.unwrap() {
        Merged::Conflicts(found) => found,
        other => panic!("{other:?}"),
    }
}

async fn reset(lake: &Lake, to: &str) {
    let to = lake.at(to).await.unwrap();
    lake.reset(&to).await.unwrap().committed().unwrap();
}

/// Schemas that stand in their table, and such as are objects of their own.
const WIDTHS: [usize; 2] = [1, 120];

#[test]
fn a_column_whose_addition_is_reverted_is_dropped_and_what_was_written_with_it_stays_readable() {
    paused(async {
        for width in WIDTHS {
            let (counted, lake) = table_of(width).await;
            add_x(&lake).await;
            let late = lake.begin().await.unwrap();
            late.append("t", with_x(3, 30)).await.unwrap();
            lake.append("t", with_x(2, 20)).await.unwrap();
            lake.revert("main~").await.unwrap().committed().unwrap();
            late.commit().await.unwrap();
            let again = open(counted.cold().storage).await.unwrap();
            assert_eq!(ids_of(&again, "t").await, [1, 2, 3]);
            let table = again.table("t").await.unwrap();
            assert!(table.schema().find(["x"]).is_none());
            // The name comes back as another column.
            add_x(&again).await;
            assert_eq!(numbers(&again.table("t").await.unwrap(), "x").await, [0; 0]);
        }
    });
}

#[test]
fn what_was_begun_with_a_column_lands_after_a_reset_to_before_it() {
    paused(async {
        for width in WIDTHS {
            let (counted, lake) = table_of(width).await;
            add_x(&lake).await;
            let late = lake.begin().await.unwrap();
            late.append("t", with_x(2, 20)).await.unwrap();
            reset(&lake, "main~").await;
            late.commit().await.unwrap();
            let again = open(counted.cold().storage).await.unwrap();
            assert_eq!(ids_of(&again, "t").await, [1, 2]);
        }
    });
}

#[test]
fn what_was_begun_without_a_column_lands_after_a_reset_to_before_it_was_dropped() {
    paused(async {
        for width in WIDTHS {
            let (_, lake) = table_of(width).await;
            add_x(&lake).await;
            lake.append("t", with_x(2, 20)).await.unwrap();
            change(&lake, async |on| on.alter_table("t").drop_column("x").await.unwrap()).await;
            let late = lake.begin().await.unwrap();
            late.append("t", numbered(3)).await.unwrap();
            reset(&lake, "main~").await;
            late.commit().await.unwrap();
            assert_eq!(ids_of(&lake, "t").await, [1, 2, 3]);
            assert_eq!(numbers(&lake.table("t").await.unwrap(), "x").await, [20]);
        }
    });
}

/// The ids of the table's rows by which they are told apart.
async fn row_ids(lake: &Lake) -> Vec<u64> {
    let table = lake.table("orders").await.unwrap();
    let batches = table.scan().columns::<String>([]).row_ids(true).collect().await.unwrap();
    let mut ids: Vec<u64> = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<UInt64Type>().values().to_vec())
        .collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_table_that_comes_back_hands_out_no_number_again() {
    paused(async {
        let (_, lake) = shop(10).await;
        lake.append("orders", orders(10..20)).await.unwrap();
        change(&lake, async |on| on.drop_table("orders").await.unwrap()).await;
        reset(&lake, "main~2").await;
        lake.append("orders", orders(20..23)).await.unwrap();
        assert_eq!(row_ids(&lake).await, (0..10).chain(20..23).collect::<Vec<_>>());
        // It is dropped again, and the first drop is taken back, whose state knew less.
        change(&lake, async |on| on.drop_table("orders").await.unwrap()).await;
        lake.revert("main~3").await.unwrap().committed().unwrap();
        lake.append("orders", orders(30..31)).await.unwrap();
        assert_eq!(row_ids(&lake).await, (0..20).chain(23..24).collect::<Vec<_>>());
    });
}

#[test]
fn a_table_that_is_taken_from_a_branch_hands_out_no_number_again() {
    paused(async {
        let (_, lake) = shop(2).await;
        lake.create_branch("dev").await.unwrap();
        lake.append("orders", orders(2..5)).await.unwrap();
        change(&lake, async |on| on.drop_table("orders").await.unwrap()).await;
        let dev = lake.begin().branch("dev").await.unwrap();
        dev.append("orders", orders(10..11)).await.unwrap();
        dev.commit().await.unwrap();
        let merge = lake.merge("dev").into("main").take("orders", Side::Theirs);
        merge.await.unwrap().committed().unwrap();
        assert_eq!(row_ids(&lake).await, [0, 1, 5]);
    });
}

/// The name of the constraint that a conflict is about.
fn broken(found: &MergeConflicts) -> Vec<&str> {
    found
        .conflicts
        .iter()
        .filter_map(|conflict| match &conflict.kind {
            ConflictKind::Constraint(name, _) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn rows_that_come_back_are_held_against_constraints_that_they_have_not_met() {
    paused(async {
        let (_, lake) = table_of(0).await;
        lake.append("t", numbered(-1)).await.unwrap();
        change(&lake, async |on| on.delete("t", col("id").lt(0)).await.map(drop).unwrap()).await;
        change(&lake, async |on| on.alter_table("t").add_check("positive", "id > 0").await.unwrap()).await;
        assert_eq!(broken(&revert(&lake, "main~").await), ["positive"]);
        // The other way round: the constraint comes after the rows have come back.
        let late = lake.begin().await.unwrap();
        late.alter_table("t").drop_check("positive").await.unwrap();
        late.alter_table("t").add_check("natural", "id >= 0").await.unwrap();
        change(&lake, async |on| on.alter_table("t").drop_check("positive").await.unwrap()).await;
        lake.revert("main~2").await.unwrap().committed().unwrap();
        let error = late.commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert_eq!(ids_of(&lake, "t").await, [-1, 1]);
    });
}

#[test]
fn rows_are_held_against_a_constraint_whose_columns_have_changed_their_names() {
    paused(async {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        change(&lake, async |on| {
            let fields = ["a", "b"].map(|name| column(name, PrimitiveType::Long));
            on.create_table("t").fields(fields).check("positive", "a > 0").await.unwrap();
        })
        .await;
        let rename = async |on: &strandline::Transaction| {
            on.alter_table("t").rename_column("a", "c").rename_column("b", "a").await.unwrap();
        };
        let rows = |a, b| batch([("a", longs([a])), ("b", longs([b]))]);
        let error =
            race(&lake, rename, async |on| on.append("t", rows(5, -1)).await.map(drop).unwrap()).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(lake.table("t").await.unwrap().scan().count().await.unwrap(), 0);
    });
}

#[test]
fn nulls_that_came_since_a_column_was_relaxed_keep_that_from_being_reverted() {
    paused(async {
        let (_, lake) = shop(2).await;
        change(&lake, async |on| on.alter_table("orders").make_optional("id").await.unwrap()).await;
        let null = batch([("id", Arc::new(Int64Array::from(vec![None])) as ArrayRef)]);
        lake.append("orders", null).await.unwrap();
        assert_eq!(broken(&revert(&lake, "main~").await), ["id"]);
        change(&lake, async |on| on.delete("orders", col("id").is_null()).await.map(drop).unwrap()).await;
        lake.revert("main~2").await.unwrap().committed().unwrap();
        assert!(lake.table("orders").await.unwrap().schema().fields()[0].required);
        assert_eq!(ids_of(&lake, "orders").await, [0, 1]);
    });
}

#[test]
fn an_overwrite_does_not_leave_rows_that_came_back_beside_its_own() {
    paused(async {
        let (_, lake) = shop(4).await;
        change(&lake, async |on| on.delete("orders", col("id").eq(1)).await.map(drop).unwrap()).await;
        let late = lake.begin().await.unwrap();
        late.overwrite("orders", orders(2..3)).matching(col("id").between(1, 2)).await.unwrap();
        lake.revert("main").await.unwrap().committed().unwrap();
        let error = late.commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 3]);
    });
}
