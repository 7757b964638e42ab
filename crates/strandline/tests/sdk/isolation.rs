//! What the two levels of isolation keep apart.

use std::sync::Arc;

use arrow::array::Int64Array;
use strandline::filter::{Predicate, col};
use strandline::format::RowIds;
use strandline::{ErrorKind, Lake, Transaction};

use crate::fixture::paused;
use crate::work::{batch, change, ids, ids_of, longs, orders, race, serial_race, shop};

async fn count(on: &Transaction, table: &str, filter: Predicate) -> u64 {
    on.table(table).await.unwrap().scan().filter(filter).count().await.unwrap()
}

/// Two tables of doctors on call, one in each; each transaction sends one home if the other is there.
async fn on_call() -> Lake {
    let lake = shop(0).await.1;
    change(&lake, async |on| {
        for table in ["east", "west"] {
            on.create_table(table).like(&batch([("id", longs([]))]).schema()).await.unwrap();
            on.append(table, batch([("id", longs([1]))])).await.unwrap();
        }
    })
    .await;
    lake
}

async fn go_home(on: &Transaction, mine: &str, other: &str) {
    if count(on, other, Predicate::all()).await > 0 {
        on.delete(mine, Predicate::all()).await.unwrap();
    }
}

#[test]
fn a_snapshot_lets_write_skew_through_and_serializable_does_not() {
    paused(async {
        let (east, west) = (
            async |on: &Transaction| go_home(on, "east", "west").await,
            async |on: &Transaction| go_home(on, "west", "east").await,
        );
        let lake = on_call().await;
        race(&lake, east, west).await.unwrap();
        assert_eq!((ids_of(&lake, "east").await, ids_of(&lake, "west").await), (vec![], vec![]));
        let lake = on_call().await;
        let error = serial_race(&lake, east, west).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        let [conflict] = error.conflicts() else { panic!("{error}") };
        assert_eq!((conflict.name.as_str(), conflict.code()), ("east", "read"));
        assert!(conflict.commit.is_some(), "{error}");
        assert_eq!(ids_of(&lake, "west").await, [1]);
    });
}

type Act = for<'a> fn(&'a Transaction) -> futures::future::BoxFuture<'a, ()>;

/// What was read, what the other side does meanwhile, and whether that touches it.
const READS: &[(&str, Act, Act, bool)] = &[
    ("rows that are not there yet", |on| read(on, col("id").ge(100)), |on| append(on, 100), true),
    ("other rows", |on| read(on, col("id").ge(100)), |on| append(on, 50), false),
    ("rows that go", |on| read(on, col("id").eq(1)), |on| delete(on, 1), true),
    ("rows of a file of which others go", |on| read(on, col("id").eq(1)), |on| delete(on, 2), false),
    ("rows that get other values", |on| read(on, col("id").eq(1)), |on| update(on, 1, "id", 77), true),
    (
        "rows of a file of which others get other values",
        |on| read(on, col("id").eq(1)),
        |on| update(on, 2, "amount", 9),
        false,
    ),
    (
        "rows of which another one becomes one",
        |on| read(on, col("amount").ge(100)),
        |on| update(on, 2, "amount", 100),
        true,
    ),
    (
        "how many there are",
        |on| boxed(async { assert_eq!(on.table("orders").await.unwrap().rows(), 3) }),
        |on| append(on, 50),
        true,
    ),
    (
        "what they come to",
        |on| boxed(async { assert_eq!(on.table("orders").await.unwrap().totals().files, 1) }),
        |on| delete(on, 1),
        true,
    ),
    (
        "which files",
        |on| boxed(async { drop(on.table("orders").await.unwrap().files().await) }),
        |on| append(on, 50),
        true,
    ),
    ("the schema", |on| boxed(async { drop(on.table("orders").await.unwrap()) }), alter, true),
    (
        "the schema, not the rows",
        |on| boxed(async { drop(on.table("orders").await.unwrap()) }),
        |on| append(on, 50),
        false,
    ),
    ("a name that is not there", |on| boxed(async { drop(on.table("new").await.unwrap_err()) }), make, true),
    (
        "a failed append",
        |on| boxed(async { drop(on.append("new", orders(0..1)).await.unwrap_err()) }),
        make,
        true,
    ),
    ("a failed drop", |on| boxed(async { drop(on.drop_table("new").await.unwrap_err()) }), make, true),
    (
        "another name that is not there",
        |on| boxed(async { drop(on.table("old").await.unwrap_err()) }),
        make,
        false,
    ),
    ("a listing", |on| boxed(async { drop(on.list(None).await.unwrap()) }), make, true),
    (
        "a listing of a namespace",
        |on| boxed(async { drop(on.list(Some("sales")).await.unwrap()) }),
        |on| boxed(async { on.create_namespace("sales.north").await.unwrap() }),
        true,
    ),
    ("a listing of another", |on| boxed(async { drop(on.list(Some("sales")).await.unwrap()) }), make, false),
    (
        "a listing of an empty one that goes",
        |on| boxed(async { drop(on.list(Some("sales")).await.unwrap()) }),
        |on| boxed(async { on.drop_namespace("sales").await.unwrap() }),
        true,
    ),
    (
        "a name that moves",
        |on| read(on, col("id").eq(1)),
        |on| boxed(async { on.rename("orders", "sold").await.unwrap() }),
        true,
    ),
    (
        "the rows of a delete",
        |on| boxed(async { assert_eq!(on.delete("orders", col("id").gt(100)).await.unwrap(), 0) }),
        |on| append(on, 101),
        true,
    ),
    ("nothing, by an append", |on| append(on, 60), |on| append(on, 61), false),
    // Whoever renamed it may have read its rows before: then neither order of the two is theirs.
    (
        "the name of what is appended to",
        |on| append(on, 60),
        |on| boxed(async { on.rename("orders", "sold").await.unwrap() }),
        true,
    ),
    ("nothing, by a read", |on| read(on, col("id").eq(1)), |on| read(on, col("id").eq(1)), false),
];

fn boxed<'a>(act: impl Future<Output = ()> + Send + 'a) -> futures::future::BoxFuture<'a, ()> {
    Box::pin(act)
}

fn read(on: &Transaction, filter: Predicate) -> futures::future::BoxFuture<'_, ()> {
    boxed(async move { assert!(count(on, "orders", filter).await <= 3) })
}

fn append(on: &Transaction, id: i64) -> futures::future::BoxFuture<'_, ()> {
    boxed(async move { assert_eq!(on.append("orders", orders(id..id + 1)).await.unwrap(), 1) })
}

fn delete(on: &Transaction, id: i64) -> futures::future::BoxFuture<'_, ()> {
    boxed(async move { assert_eq!(on.delete("orders", col("id").eq(id)).await.unwrap(), 1) })
}

fn update<'a>(
    on: &'a Transaction,
    id: i64,
    column: &'a str,
    value: i64,
) -> futures::future::BoxFuture<'a, ()> {
    boxed(async move {
        let changes = on.update("orders", col("id").eq(id)).set(column, value).await.unwrap();
        assert_eq!(changes.updated, 1);
    })
}

fn alter(on: &Transaction) -> futures::future::BoxFuture<'_, ()> {
    boxed(async { on.alter_table("orders").rename_column("name", "title").await.unwrap() })
}

fn make(on: &Transaction) -> futures::future::BoxFuture<'_, ()> {
    boxed(async { drop(on.create_table("new").like(&orders(0..0).schema()).await.unwrap()) })
}

#[test]
fn serializable_holds_all_that_was_read() {
    paused(async {
        for (name, reads, writes, touched) in READS {
            for serializable in [true, false] {
                let lake = shop(3).await.1;
                change(&lake, async |on| on.create_namespace("sales").await.unwrap()).await;
                let (one, two) = (
                    async |on: &Transaction| writes(on).await,
                    async |on: &Transaction| {
                        reads(on).await;
                    },
                );
                let outcome = if serializable {
                    serial_race(&lake, one, two).await
                } else {
                    race(&lake, one, two).await
                };
                match outcome {
                    Ok(_) => assert!(!(serializable && *touched), "{name}"),
                    Err(error) => {
                        assert!(serializable && *touched, "{name}: {error}");
                        assert!(
                            error.conflicts().iter().all(|found| found.code() == "read"),
                            "{name}: {error}"
                        );
                    }
                }
            }
        }
    });
}

/// A file of which little is left is written anew: the rows that are left are where they were not, and are as they were.
#[test]
fn rows_that_only_moved_are_not_touched() {
    paused(async {
        let most = || col("id").ge(2);
        for (read, updates, touched) in [
            (col("id").eq(1), false, false),
            (col("id").lt(2), false, false),
            (col("id").ge(100), false, false),
            (col("id").eq(5), false, true),
            (Predicate::all(), false, true),
            (col("id").eq(1), true, true),
            (col("id").eq(0), true, false),
            (col("name").is_not_null().and(col("id").lt(3)), false, true),
        ] {
            let lake = shop(9).await.1;
            let writes = async |on: &Transaction| {
                assert_eq!(on.delete("orders", most()).await.unwrap(), 7);
                if updates {
                    update(on, 1, "amount", 7).await;
                }
            };
            let reads = async |on: &Transaction| {
                assert!(count(on, "orders", read.clone()).await <= 9);
            };
            let outcome = serial_race(&lake, writes, reads).await;
            let files = lake.table("orders").await.unwrap().files().await.unwrap();
            assert!(files[0].row_ids == RowIds::Stored, "it was not written anew");
            match outcome {
                Ok(_) => assert!(!touched, "{read:?}"),
                Err(error) => assert!(touched && error.conflicts()[0].code() == "read", "{read:?}: {error}"),
            }
        }
    });
}

#[test]
fn a_transaction_sees_its_start_and_itself() {
    paused(async {
        let lake = shop(3).await.1;
        let transaction = lake.begin().serializable().await.unwrap();
        let before = transaction.table("orders").await.unwrap();
        transaction.append("orders", orders(10..12)).await.unwrap();
        let after = transaction.table("orders").await.unwrap();
        assert_eq!((ids(&before).await, ids(&after).await), (vec![0, 1, 2], vec![0, 1, 2, 10, 11]));
        assert_eq!(transaction.delete("orders", col("id").is_in([1, 10])).await.unwrap(), 2);
        transaction.create_table("mine").like(&orders(0..0).schema()).await.unwrap();
        assert_eq!(transaction.list(None).await.unwrap().len(), 2);
        transaction.rename("mine", "yours").await.unwrap();
        assert_eq!(transaction.table("mine").await.unwrap_err().kind(), ErrorKind::NotFound);
        transaction.commit().await.unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [0, 2, 11]);

        // What others commit is not seen, and does not collide with what the transaction wrote and read itself.
        let transaction = lake.begin().serializable().await.unwrap();
        transaction.append("orders", orders(20..21)).await.unwrap();
        lake.append("orders", orders(30..31)).await.unwrap();
        let own = transaction.table("orders").await.unwrap();
        assert_eq!(own.scan().filter(col("id").eq(20)).count().await.unwrap(), 1);
        assert_eq!(own.scan().filter(col("id").eq(31)).count().await.unwrap(), 0);
        transaction.commit().await.unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [0, 2, 11, 20, 30]);
    });
}

#[test]
fn blind_appends_of_serializable_transactions_all_commit() {
    paused(async {
        let lake = shop(0).await.1;
        let append = async |id: i64| {
            let transaction = lake.begin().serializable().await.unwrap();
            let ids = Arc::new(Int64Array::from(vec![id])) as _;
            transaction.append("orders", batch([("id", ids)])).await.unwrap();
            transaction.commit().await.unwrap()
        };
        futures::future::join_all((0..30).map(append)).await;
        assert_eq!(ids_of(&lake, "orders").await, (0..30).collect::<Vec<_>>());
    });
}
