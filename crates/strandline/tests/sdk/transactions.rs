//! Transactions from outside: what is seen when, and what a commit costs.

use std::future::IntoFuture;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline::commit::Patience;
use strandline::filter::col;
use strandline::{ErrorKind, Lake, Table, Transaction};
use strandline_testkit::{Effect, FaultyStore, PathClass, RequestKind, Script, Target, VirtualClock};

use crate::fixture::{Counted, open, paused};
use crate::past::storage;

fn orders(ids: std::ops::Range<i64>) -> RecordBatch {
    let names: Vec<String> = ids.clone().map(|id| format!("order {id}")).collect();
    RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from_iter_values(ids)) as _),
        ("name", Arc::new(StringArray::from(names)) as _),
    ])
    .unwrap()
}

async fn ids(table: &Table) -> Vec<i64> {
    let batches = table.scan().columns(["id"]).collect().await.unwrap();
    let mut ids: Vec<i64> = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect();
    ids.sort_unstable();
    ids
}

async fn with_table(lake: &Lake) {
    let transaction = lake.begin().await.unwrap();
    transaction.create_table("orders").like(&orders(0..0).schema()).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn lake_with_table() -> (Counted, Lake) {
    let counted = Counted::new();
    let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
    with_table(&lake).await;
    (counted, lake)
}

/// The same lake, opened twice.
async fn two_handles() -> (Lake, Lake) {
    let (counted, lake) = lake_with_table().await;
    let other = open(counted.cold().storage).await.unwrap();
    (lake, other)
}

#[test]
fn two_tables_in_one_commit_are_read_back() {
    paused(async {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        let transaction = lake.begin().await.unwrap();
        transaction.create_namespace("sales").await.unwrap();
        for name in ["sales.orders", "sales.returns"] {
            transaction.create_table(name).like(&orders(0..0).schema()).await.unwrap();
        }
        transaction.append("sales.orders", orders(0..10)).await.unwrap();
        transaction.append("sales.returns", orders(3..5)).await.unwrap();
        assert_eq!(ids(&transaction.table("sales.orders").await.unwrap()).await, (0..10).collect::<Vec<_>>());
        assert_eq!(lake.table("sales.orders").await.unwrap_err().kind(), ErrorKind::NotFound);
        let report = transaction.commit().message("first").await.unwrap();
        assert_eq!(report.commit.version().0, 1);
        let cold = crate::fixture::open(counted.cold().storage).await.unwrap();
        assert_eq!(ids(&cold.table("sales.orders").await.unwrap()).await, (0..10).collect::<Vec<_>>());
        assert_eq!(ids(&cold.table("sales.returns").await.unwrap()).await, [3, 4]);
    });
}

#[test]
fn what_comes_to_what_was_there_changes_nothing() {
    paused(async {
        let (_, lake) = lake_with_table().await;
        lake.append("orders", orders(0..3)).await.unwrap();
        let transaction = lake.begin().await.unwrap();
        let mut changes = Vec::new();
        transaction.append("orders", orders(0..0)).await.unwrap();
        changes.push(transaction.changes_nothing().await.unwrap());
        transaction.rename("orders", "Orders").await.unwrap();
        changes.push(transaction.changes_nothing().await.unwrap());
        transaction.rename("Orders", "orders").await.unwrap();
        changes.push(transaction.changes_nothing().await.unwrap());
        transaction.alter_table("orders").comment("what was sold").await.unwrap();
        changes.push(transaction.changes_nothing().await.unwrap());
        transaction.alter_table("orders").comment("").await.unwrap();
        transaction.overwrite("orders", orders(0..3)).await.unwrap();
        changes.push(transaction.changes_nothing().await.unwrap());
        assert_eq!(changes, [true, false, true, false, true]);
        // Whoever commits it all the same gets a version that tells of no change.
        let report = transaction.commit().await.unwrap();
        assert_eq!((report.commit.version().0, report.tables.len()), (3, 0));
        let transaction = lake.begin().await.unwrap();
        transaction.alter_table("orders").rename_column("name", "Name").await.unwrap();
        assert!(!transaction.changes_nothing().await.unwrap());
        let transaction = lake.begin().await.unwrap();
        transaction.append("orders", orders(3..4)).await.unwrap();
        assert!(!transaction.changes_nothing().await.unwrap());
        transaction.delete("orders", col("id").gt(-1)).await.unwrap();
        assert!(!transaction.changes_nothing().await.unwrap());
        transaction.abandon().await;
        assert_eq!(transaction.changes_nothing().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn what_is_told_of_namespaces_and_views_again_changes_nothing() {
    paused(async {
        let (_, lake) = lake_with_table().await;
        let transaction = lake.begin().await.unwrap();
        transaction.create_namespace("sales").await.unwrap();
        transaction.alter_namespace("sales").comment("what we sell").await.unwrap();
        transaction.create_view("v", "SELECT 1 AS one", "test", &orders(0..0).schema()).await.unwrap();
        assert!(!transaction.changes_nothing().await.unwrap());
        transaction.commit().await.unwrap();
        let transaction = lake.begin().await.unwrap();
        transaction.alter_namespace("sales").comment("what we sell").await.unwrap();
        transaction.alter_view("v").unset_property("owner").await.unwrap();
        assert!(transaction.changes_nothing().await.unwrap());
        transaction.alter_view("v").set_property("owner", "ada").await.unwrap();
        assert!(!transaction.changes_nothing().await.unwrap());
    });
}

#[test]
fn an_append_costs_what_it_must() {
    paused(async {
        let (counted, lake) = lake_with_table().await;
        for round in 0..3 {
            let (report, counts) =
                counted.store.measure(lake.append("orders", orders(round..round + 1))).await;
            let report = report.unwrap();
            assert_eq!(counts.total().requests, 4, "{counts:?} {report:?}");
            assert_eq!(counts.depth(), 2, "{counts:?}");
        }
        assert_eq!(ids(&lake.table("orders").await.unwrap()).await, [0, 1, 2]);
    });
}

#[test]
fn deletes_and_overwrites() {
    paused(async {
        let (_, lake) = lake_with_table().await;
        lake.append("orders", orders(0..10)).await.unwrap();
        let transaction = lake.begin().await.unwrap();
        assert_eq!(transaction.delete("orders", col("id").lt(4)).await.unwrap(), 4);
        assert_eq!(ids(&transaction.table("orders").await.unwrap()).await, (4..10).collect::<Vec<_>>());
        transaction.overwrite("orders", orders(20..22)).matching(col("id").ge(20)).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(ids(&lake.table("orders").await.unwrap()).await, [4, 5, 6, 7, 8, 9, 20, 21]);
        let transaction = lake.begin().await.unwrap();
        transaction.overwrite("orders", orders(0..2)).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(ids(&lake.table("orders").await.unwrap()).await, [0, 1]);
    });
}

#[test]
fn concurrent_appends_both_stay() {
    paused(async {
        let (lake, other) = two_handles().await;
        let (one, two) = (lake.begin().await.unwrap(), other.begin().await.unwrap());
        one.append("orders", orders(0..2)).await.unwrap();
        two.append("orders", orders(5..7)).await.unwrap();
        one.commit().await.unwrap();
        let report = two.commit().await.unwrap();
        assert_eq!((report.retries, report.commit.version().0), (1, 3));
        assert_eq!(ids(&lake.table("orders").await.unwrap()).await, [0, 1, 5, 6]);
    });
}

/// A transaction with a key that appends one order.
async fn keyed(lake: &Lake, id: i64) -> Transaction {
    let transaction = lake.begin().key("load").await.unwrap();
    transaction.append("orders", orders(id..id + 1)).await.unwrap();
    transaction
}

#[test]
fn of_two_runs_with_a_key_that_overlap_the_second_is_told_of_the_first() {
    paused(async {
        let (lake, other) = two_handles().await;
        let (one, two) = (keyed(&lake, 1).await, keyed(&other, 2).await);
        let first = one.commit().await.unwrap().commit;
        let second = two.commit().await.unwrap();
        assert_eq!((second.already, second.commit.hash()), (true, first.hash()));
        assert_eq!(ids(&other.table("orders").await.unwrap()).await, [1]);
    });
}

#[test]
fn another_run_with_a_key_does_not_stand_for_the_group_of_this_one() {
    paused(async {
        let (lake, other) = two_handles().await;
        let (one, two) = (keyed(&lake, 1).await, keyed(&other, 2).await);
        let beside = other.begin().await.unwrap();
        beside.append("orders", orders(7..8)).await.unwrap();
        let first = one.commit().await.unwrap().commit;
        // They go in one swap, which comes too late.
        let (beside, two) = futures::join!(beside.commit().into_future(), two.commit().into_future());
        let (beside, two) = (beside.unwrap(), two.unwrap());
        assert_eq!((two.already, two.commit.hash()), (true, first.hash()));
        assert_eq!((beside.already, beside.commit.version().0), (false, first.version().0 + 1));
        assert_eq!(ids(&lake.table("orders").await.unwrap()).await, [1, 7]);
    });
}

#[test]
fn a_branch_that_was_made_anew_cannot_tell_what_became_of_a_commit() {
    paused(async {
        let (_, lake) = lake_with_table().await;
        lake.create_branch("dev").from("main").await.unwrap();
        let transaction = lake.begin().branch("dev").await.unwrap();
        transaction.append("orders", orders(0..1)).await.unwrap();
        let unresolved = transaction.unresolved();
        assert!(matches!(lake.resolve(&unresolved).await.unwrap(), strandline::Resolution::Open));
        transaction.commit().await.unwrap();
        assert!(matches!(lake.resolve(&unresolved).await.unwrap(), strandline::Resolution::Committed(_)));
        lake.delete_branch("dev").await.unwrap();
        let gone = lake.resolve_by_fence(&unresolved).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::CommitUnknown, "{gone}");
        lake.append("orders", orders(5..6)).await.unwrap();
        lake.create_branch("dev").from("main~2").without_history().await.unwrap();
        let anew = lake.resolve_by_fence(&unresolved).await.unwrap_err();
        assert_eq!((anew.kind(), anew.unresolved()), (ErrorKind::CommitUnknown, Some(&unresolved)), "{anew}");
    });
}

/// Rows of nearly two megabytes however they are compressed: numbers that differ in no pattern either.
fn heavy() -> RecordBatch {
    let ids = 0..200_000_i64;
    let scattered = ids.map(|id| id.wrapping_mul(0x1E37_79B9_7F4A_7C15));
    let scattered = scattered.map(|id| (id ^ (id >> 31)).wrapping_mul(0x3F58_476D_1CE4_E5B9));
    let ids = Int64Array::from_iter_values(scattered);
    let names = StringArray::from_iter_values(std::iter::repeat_n("heavy", ids.len()));
    RecordBatch::try_from_iter([("id", Arc::new(ids) as _), ("name", Arc::new(names) as _)]).unwrap()
}

#[test]
fn data_that_takes_long_costs_a_commit_no_patience_and_holds_nobody_up() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        with_table(&Lake::create_in(storage(&store, 1, &VirtualClock::default())).await.unwrap()).await;
        let longer = Patience::default().timeout * 5;
        let script = Script::empty()
            .and(Target::any().kind(RequestKind::Put).class(PathClass::Data), Effect::Slow(longer));
        let slow: Arc<dyn ObjectStore> = Arc::new(FaultyStore::new(store, script));
        let lake = open(storage(&slow, 2, &VirtualClock::default())).await.unwrap();
        let large = lake.begin().await.unwrap();
        large.append("orders", heavy()).await.unwrap();
        let small = async {
            tokio::time::sleep(longer / 2).await;
            lake.append("orders", orders(0..1)).await.unwrap()
        };
        let (large, small) = tokio::join!(large.commit().into_future(), small);
        assert_eq!((small.commit.version().0, large.unwrap().commit.version().0), (2, 3));
    });
}

#[test]
fn what_was_done_since_a_savepoint_is_taken_back_whole() {
    paused(async {
        let (_, lake) = lake_with_table().await;
        let transaction = lake.begin().await.unwrap();
        transaction.append("orders", orders(0..3)).await.unwrap();
        let before = transaction.savepoint().await.unwrap();
        for _ in 0..2 {
            transaction.append("orders", orders(3..5)).await.unwrap();
            transaction.drop_table("orders").await.unwrap();
            transaction.create_table("orders").like(&orders(0..0).schema()).await.unwrap();
            transaction.create_table("others").like(&orders(0..0).schema()).await.unwrap();
            transaction.append("orders", orders(7..9)).await.unwrap();
            transaction.undo(&before).await.unwrap();
            assert_eq!(ids(&transaction.table("orders").await.unwrap()).await, [0, 1, 2]);
            assert_eq!(transaction.table("others").await.unwrap_err().kind(), ErrorKind::NotFound);
        }
        transaction.append("orders", orders(5..6)).await.unwrap();
        let other = lake.begin().await.unwrap();
        assert_eq!(other.undo(&before).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        transaction.commit().await.unwrap();
        assert_eq!(transaction.undo(&before).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        let orders = lake.table("orders").await.unwrap();
        assert_eq!(ids(&orders).await, [0, 1, 2, 5]);
        assert_eq!(lake.main().await.unwrap().commit().changes().len(), 1);
    });
}
