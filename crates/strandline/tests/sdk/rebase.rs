//! What a transaction's work comes to upon another head, and what is left of an operation that failed or was cut off half-way.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch};
use object_store::memory::InMemory;
use strandline::{ErrorKind, Lake};
use strandline_format::Operation;
use strandline_testkit::{Answer, Effect, FaultyStore, PathClass, RequestKind, Script, Target};

use crate::faults::storage;
use crate::fixture::{Counted, open, paused};
use crate::histories::cut::Cut;

fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from_iter_values(ids)) as _)]).unwrap()
}

/// A lake with two tables, and the same lake as another process sees it.
async fn two_processes() -> (Lake, Lake) {
    let counted = Counted::new();
    let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
    let transaction = lake.begin().await.unwrap();
    for name in ["a", "b"] {
        transaction.create_table(name).like(&rows(0..0).schema()).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let other = open(counted.cold().storage).await.unwrap();
    (lake, other)
}

async fn count(lake: &Lake, table: &str) -> u64 {
    lake.table(table).await.unwrap().rows()
}

#[test]
fn a_key_that_another_process_committed_says_nothing_of_the_rest_of_the_group() {
    paused(async {
        let (lake, other) = two_processes().await;
        let (plain, keyed) = (lake.begin().await.unwrap(), lake.begin().key("once").await.unwrap());
        plain.append("a", rows(0..3)).await.unwrap();
        keyed.append("b", rows(0..5)).await.unwrap();
        let twin = other.begin().key("once").await.unwrap();
        twin.append("b", rows(0..5)).await.unwrap();
        let first = twin.commit().await.unwrap();
        let (plain, keyed) = futures::join!(plain.commit().into_future(), keyed.commit().into_future());
        let (plain, keyed) = (plain.unwrap(), keyed.unwrap());
        assert_eq!((count(&other, "a").await, count(&other, "b").await), (3, 5));
        assert!(keyed.already && !plain.already);
        assert_eq!(keyed.commit.hash(), first.commit.hash());
        assert_eq!(plain.commit.version().0, 3);
    });
}

#[test]
fn a_table_that_another_one_replaces_under_its_name_is_told_as_dropped() {
    paused(async {
        let (lake, other) = two_processes().await;
        lake.append("a", rows(0..4)).await.unwrap();
        let dropped = lake.table("a").await.unwrap().id();
        let transaction = lake.begin().await.unwrap();
        transaction.drop_table("a").await.unwrap();
        transaction.create_table("a").like(&rows(0..0).schema()).await.unwrap();
        other.append("b", rows(0..1)).await.unwrap();
        let report = transaction.commit().await.unwrap();
        assert_eq!(report.retries, 1, "it was carried over");
        let changes = report.commit.changes();
        let gone =
            changes.iter().find(|change| change.table == dropped).expect("a change for the table that went");
        assert_eq!((gone.operation, gone.rows.removed, gone.new), (Operation::Drop, 4, None));
        assert_eq!(changes.len(), 2);
    });
}

#[test]
fn a_namespace_cannot_be_put_into_itself() {
    paused(async {
        let (lake, _) = two_processes().await;
        let transaction = lake.begin().await.unwrap();
        transaction.create_namespace("n").await.unwrap();
        for inside in ["n.m", "N.m"] {
            let error = transaction.rename("n", inside).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
        transaction.rename("n", "nm").await.unwrap();
    });
}

#[test]
fn a_table_that_cannot_be_made_leaves_no_namespaces() {
    paused(async {
        let (lake, _) = two_processes().await;
        let transaction = lake.begin().await.unwrap();
        let table =
            transaction.create_table("n.m.t").like(&rows(0..0).schema()).key(["nothing"]).with_namespaces();
        assert_eq!(table.await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(transaction.list(None).await.unwrap().len(), 2);
        let table = transaction.create_table("n.m.t").like(&rows(0..0).schema()).with_namespaces();
        assert_eq!(table.await.unwrap().rows(), 0);
        assert_eq!(transaction.list(None).await.unwrap().len(), 5);
    });
}

#[test]
fn rows_that_were_taken_are_committed_or_the_commit_is_refused() {
    let (mut refused, mut whole) = (0, 0);
    for polls in 0..40 {
        paused(async {
            let (lake, _) = two_processes().await;
            let transaction = lake.begin().await.unwrap();
            transaction.append("a", rows(0..3)).await.unwrap();
            drop(Cut::after(polls, transaction.table("a")).await);
            match transaction.commit().await {
                Ok(_) => whole += usize::from(count(&lake, "a").await == 3),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                    refused += 1;
                }
            }
        });
    }
    assert_eq!(whole + refused, 40, "a commit lacks rows");
    assert!(refused > 0, "no future was cut off half-way");
}

#[test]
fn what_stood_under_a_name_that_was_written_to_was_read() {
    paused(async {
        let (lake, other) = two_processes().await;
        for (serializable, conflicts) in [(false, false), (true, true)] {
            let begin = lake.begin();
            let begin = if serializable { begin.serializable() } else { begin };
            let transaction = begin.await.unwrap();
            transaction.append("a", rows(0..1)).await.unwrap();
            let swap = other.begin().await.unwrap();
            swap.rename("a", "old").await.unwrap();
            swap.rename("b", "a").await.unwrap();
            swap.rename("old", "b").await.unwrap();
            swap.commit().await.unwrap();
            let outcome = transaction.commit().await;
            assert_eq!(outcome.is_err(), conflicts, "{outcome:?}");
        }
    });
}

#[test]
fn a_commit_that_may_have_landed_on_a_branch_before_it_was_made_anew_is_unknown() {
    paused(async {
        let inner = Arc::new(InMemory::new());
        let keeper = Lake::create_in(storage(inner.clone(), 1)).await.unwrap();
        keeper.create_branch("dev").await.unwrap();
        let store = FaultyStore::new(inner.clone(), Script::empty());
        let writer = open(storage(Arc::new(store.clone()), 2)).await.unwrap();
        let first = writer.begin().branch("dev").await.unwrap();
        first.create_table("a").like(&rows(0..0).schema()).await.unwrap();
        first.commit().await.unwrap();
        let second = writer.begin().branch("dev").await.unwrap();
        second.append("a", rows(0..3)).await.unwrap();
        // The swap is applied and not answered, and the look that follows takes its time.
        let pointer = |kind| Target::any().class(PathClass::Pointer).kind(kind);
        let script = Script::empty()
            .and(pointer(RequestKind::PutIfMatch), Effect::apply_then(Answer::Timeout))
            .and(pointer(RequestKind::Get), Effect::Slow(Duration::from_secs(10)));
        store.set_script(script);
        let anew = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert_eq!(keeper.at("branch:dev").await.unwrap().version().0, 2, "it has landed");
            keeper.delete_branch("dev").await.unwrap();
            keeper.create_branch("dev").from("main").await.unwrap();
        };
        let (told, ()) = futures::join!(second.commit().into_future(), anew);
        assert_eq!(told.unwrap_err().kind(), ErrorKind::CommitUnknown);
    });
}

#[test]
fn a_namespace_that_was_looked_for_and_members_that_stood_in_its_way_were_read() {
    paused(async {
        let (lake, other) = two_processes().await;
        let transaction = lake.begin().serializable().await.unwrap();
        assert!(transaction.create_table("n.t").like(&rows(0..0).schema()).await.is_err());
        let made = other.begin().await.unwrap();
        made.create_table("n.m").like(&rows(0..0).schema()).with_namespaces().await.unwrap();
        made.commit().await.unwrap();
        assert_eq!(transaction.commit().await.unwrap_err().kind(), ErrorKind::Conflict);
        let transaction = lake.begin().serializable().await.unwrap();
        assert!(transaction.drop_namespace("n").await.is_err());
        let emptied = other.begin().await.unwrap();
        emptied.drop_table("n.m").await.unwrap();
        emptied.commit().await.unwrap();
        assert_eq!(transaction.commit().await.unwrap_err().kind(), ErrorKind::Conflict);
    });
}
