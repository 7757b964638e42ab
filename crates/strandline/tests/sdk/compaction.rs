//! Compaction: the same rows in fewer files, and nobody who changes rows meanwhile notices it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::IntoFuture;

use futures::TryStreamExt;
use futures::future::{BoxFuture, FutureExt};
use strandline::filter::col;
use strandline::format::{Direction, NullOrder, Operation, PrimitiveType, RowIds, Transform};
use strandline::transaction::Compacted;
use strandline::{ErrorKind, Lake, Transaction, WriteOptions};
use strandline_testkit::{PathClass, RequestKind};

use crate::fixture::{Counted, open, paused};
use crate::row_changes::{Row, named, places, rows_of};
use crate::work::{batch, change, column, ids_of, longs, orders, race, serial_race, shop};

/// Forty orders in four files.
async fn scattered() -> (Counted, Lake) {
    let (counted, lake) = shop(0).await;
    for file in 0..4 {
        lake.append("orders", orders(10 * file..10 * file + 10)).await.unwrap();
    }
    (counted, lake)
}

async fn compact(lake: &Lake) -> Compacted {
    let on = lake.begin().await.unwrap();
    let done = on.compact("orders").await.unwrap();
    on.commit().await.unwrap();
    done
}

async fn file_count(lake: &Lake) -> usize {
    lake.table("orders").await.unwrap().files().await.unwrap().len()
}

#[test]
fn rows_come_into_fewer_files_and_stay_what_they_are() {
    paused(async {
        let (_, lake) = scattered().await;
        change(&lake, async |on| _ = on.update("orders", col("id").eq(7)).set("name", "new").await.unwrap())
            .await;
        change(&lake, async |on| _ = on.delete("orders", col("id").eq(13)).await.unwrap()).await;
        let before = rows_of(&lake).await;
        let on = lake.begin().await.unwrap();
        let done = on.compact("orders").await.unwrap();
        let report = on.commit().await.unwrap();
        assert_eq!((done.rows, done.files_removed, done.files_written), (39, 5, 1));
        let table = &report.tables[0];
        assert_eq!((table.operation, table.rows, table.files), (Operation::Compact, (39, 39), (1, 5)));
        assert_eq!(rows_of(&lake).await, before, "ids, values and versions are what they were");
        let table = lake.table("orders").await.unwrap();
        let [file] = &table.files().await.unwrap()[..] else { panic!("one file") };
        assert_eq!((file.rows, file.deletes.is_none(), file.row_ids), (39, true, RowIds::Stored));
        assert_eq!((file.size, table.rows()), (done.bytes_written, 39));

        let changes: Vec<_> = table.changes("main~1", "main").await.unwrap().try_collect().await.unwrap();
        assert!(changes.is_empty(), "{changes:?}");
        for id in before.keys() {
            assert_eq!(places(&table, &[*id]).await.len(), 1, "row {id} is found by its id");
        }
        assert_eq!(compact(&lake).await, Compacted::default(), "one file is as few as there can be");
    });
}

#[test]
fn what_is_not_worth_it_stays() {
    paused(async {
        let (_, lake) = shop(100).await;
        assert_eq!(compact(&lake).await, Compacted::default(), "one file without deletes");
        change(&lake, async |on| _ = on.delete("orders", col("id").lt(9)).await.unwrap()).await;
        assert_eq!(compact(&lake).await, Compacted::default(), "less than a tenth of a file is deleted");
        change(&lake, async |on| _ = on.delete("orders", col("id").eq(9)).await.unwrap()).await;
        assert_eq!(compact(&lake).await.rows, 90, "a tenth is");
        let on = lake.begin().await.unwrap();
        assert_eq!(on.compact("orders").all().await.unwrap().files_written, 1, "it was told to");
        let error = on.compact("order").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("orders"), "{error}");
    });
}

/// Files of about so many bytes: how many are there after each compaction, until nothing is left to do.
async fn settles(lake: &Lake, table: &str) -> Vec<usize> {
    let mut counts = Vec::new();
    for _ in 0..5 {
        let on = lake.begin().await.unwrap();
        let done = on.compact(table).await.unwrap();
        on.commit().await.unwrap();
        if done == Compacted::default() {
            return counts;
        }
        counts.push(lake.table(table).await.unwrap().files().await.unwrap().len());
    }
    panic!("it never comes to an end: {counts:?}");
}

#[test]
fn files_become_as_large_as_the_table_wants_them_and_then_stay() {
    paused(async {
        let (_, lake) = shop(0).await;
        for file in 0..60 {
            lake.append("orders", orders(10 * file..10 * file + 10)).await.unwrap();
        }
        let size = lake.table("orders").await.unwrap().files().await.unwrap()[0].size;
        let alter = async |on: &Transaction| {
            on.alter_table("orders").target_file_bytes(Some(size * 10)).await.unwrap();
        };
        change(&lake, alter).await;
        let before = rows_of(&lake).await;
        let counts = settles(&lake, "orders").await;
        // Of larger files a row takes less, so that more of them go together the next time.
        assert!(counts.is_sorted_by(|one, other| one > other), "{counts:?}");
        assert!(counts[0] <= 10 && (2..=6).contains(counts.last().unwrap()), "{counts:?}");
        assert_eq!(rows_of(&lake).await, before);
    });
}

#[test]
fn sorted_files_come_in_runs_that_hardly_overlap_and_splits_stay_apart() {
    paused(async {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        change(&lake, async |on| {
            let table = on.create_table("t").like(&batch([("k", longs([])), ("v", longs([]))]).schema());
            table.sorted_by("v").split_by("k", Transform::Identity).await.unwrap();
        })
        .await;
        // Every file has values of all the range.
        for file in 0..40_i64 {
            let rows = batch([
                ("k", longs((0..100).map(|row| row % 2))),
                ("v", longs((0..100).map(|row| row * 40 + file))),
            ]);
            lake.append("t", rows).await.unwrap();
        }
        assert_eq!(lake.table("t").await.unwrap().files().await.unwrap().len(), 80);
        // A row weighs 52 bytes in batches of fifty, so that a run has less than 500 of the 2,000 rows of a split.
        let writing = WriteOptions { sort_run_bytes: 500 * 52, ..WriteOptions::default() };
        let mut rounds = 0;
        while {
            let on = lake.begin().writing(writing.clone()).await.unwrap();
            let done = on.compact("t").await.unwrap();
            on.commit().await.unwrap();
            done != Compacted::default()
        } {
            rounds += 1;
            assert!(rounds < 4, "it never comes to an end");
        }
        let files = lake.table("t").await.unwrap().files().await.unwrap();
        assert!((8..=12).contains(&files.len()), "{}", files.len());
        for file in &files {
            assert!(file.order.is_some() && file.split.is_some(), "{file:?}");
        }
        let table = lake.table("t").await.unwrap();
        let rows: BTreeSet<i64> = crate::work::numbers(&table, "v").await.into_iter().collect();
        assert_eq!((table.rows(), rows.len()), (4_000, 4_000));
    });
}

#[test]
fn an_old_layout_is_left_behind_where_all_files_are_written_anew() {
    paused(async {
        let (_, lake) = scattered().await;
        change(&lake, async |on| {
            let descending = ("id".to_owned(), Direction::Descending, NullOrder::Last);
            on.alter_table("orders").sorted_by([descending]).await.unwrap();
            on.alter_table("orders").add_column(column("note", PrimitiveType::String)).await.unwrap();
        })
        .await;
        let before = rows_of(&lake).await;
        change(&lake, async |on| assert_eq!(on.compact("orders").all().await.unwrap().files_written, 1))
            .await;
        assert_eq!(rows_of(&lake).await, before);
        let files = lake.table("orders").await.unwrap().files().await.unwrap();
        assert!(files[0].order.is_some(), "{files:?}");
    });
}

#[test]
fn a_transaction_compacts_what_it_has_written_itself() {
    paused(async {
        let (_, lake) = scattered().await;
        let before = rows_of(&lake).await;
        let on = lake.begin().await.unwrap();
        on.append("orders", orders(40..45)).await.unwrap();
        on.delete("orders", col("id").lt(5)).await.unwrap();
        let done = on.compact("orders").await.unwrap();
        assert_eq!((done.rows, done.files_removed, done.files_written), (40, 5, 1));
        on.update("orders", col("id").eq(44)).set("name", "late").await.unwrap();
        on.delete("orders", col("id").eq(20)).await.unwrap();
        let report = on.commit().await.unwrap();
        let version = report.commit.version().0;
        let after = rows_of(&lake).await;
        let numbers: Vec<i64> = after.values().map(|row| row.0).collect();
        assert_eq!(numbers, (5..45).filter(|id| *id != 20).collect::<Vec<_>>());
        for (id, row) in &after {
            match before.get(id) {
                Some(old) => assert_eq!(row, old),
                None => assert_eq!(row.2, version, "{row:?}"),
            }
        }
        assert_eq!(after.values().filter(|row| row.1 == "late").count(), 1);
    });
}

type Act = for<'a> fn(&'a Transaction) -> BoxFuture<'a, ()>;

/// What another transaction does meanwhile.
const ACTS: &[(&str, Act)] = &[
    ("append", |on| async { _ = on.append("orders", orders(100..103)).await.unwrap() }.boxed()),
    ("delete", |on| async { _ = on.delete("orders", col("id").between(8, 12)).await.unwrap() }.boxed()),
    ("delete of a file", |on| async { _ = on.delete("orders", col("id").lt(10)).await.unwrap() }.boxed()),
    ("update", |on| {
        async { _ = on.update("orders", col("id").eq(15)).set("name", "new").await.unwrap() }.boxed()
    }),
    ("update by place", |on| {
        async {
            let rows = places(&on.table("orders").await.unwrap(), &[21]).await;
            on.update_rows("orders", rows, named("new", &[(21, Some(21))])).await.unwrap();
        }
        .boxed()
    }),
    ("upsert", |on| async { _ = on.upsert("orders", orders(38..42)).by(["id"]).await.unwrap() }.boxed()),
    ("overwrite", |on| async { _ = on.overwrite("orders", orders(200..205)).await.unwrap() }.boxed()),
    ("overwrite of a part", |on| {
        async { _ = on.overwrite("orders", orders(0..3)).matching(col("id").lt(15)).await.unwrap() }.boxed()
    }),
    ("overwrite by what is there", |on| {
        async {
            _ = on.overwrite("orders", orders(10..20)).matching(col("id").between(10, 19)).await.unwrap();
        }
        .boxed()
    }),
    ("column", |on| {
        async {
            on.alter_table("orders").add_column(column("note", PrimitiveType::String)).await.unwrap();
        }
        .boxed()
    }),
    ("rename", |on| async { on.rename("orders", "bills").await.unwrap() }.boxed()),
    ("drop", |on| async { on.drop_table("orders").await.unwrap() }.boxed()),
    ("compaction", |on| async { _ = on.compact("orders").await.unwrap() }.boxed()),
    ("reading", |on| {
        async {
            let orders = on.table("orders").await.unwrap();
            assert!(orders.scan().filter(col("id").gt(5)).count().await.unwrap() > 0);
            on.create_table("seen").like(&batch([("n", longs([]))]).schema()).await.unwrap();
        }
        .boxed()
    }),
];

/// The rows of whichever table there is, by number.
async fn content(lake: &Lake) -> Option<BTreeMap<i64, String>> {
    let table = match lake.table("orders").await {
        Ok(table) => table,
        Err(_) => lake.table("bills").await.ok()?,
    };
    let rows = crate::row_changes::rows(&table).await;
    assert_eq!(table.rows(), rows.len() as u64);
    let count = rows.len();
    let content: BTreeMap<i64, String> = rows.into_values().map(|(id, name, _): Row| (id, name)).collect();
    assert_eq!(content.len(), count, "no row is there twice");
    Some(content)
}

#[test]
fn whatever_others_do_meanwhile_happens_as_if_there_had_been_no_compaction() {
    paused(async {
        let tidy = async |on: &Transaction| _ = on.compact("orders").await.unwrap();
        for (name, act) in ACTS {
            let (_, lake) = scattered().await;
            change(&lake, async |on| act(on).await).await;
            let expected = content(&lake).await;
            for serial in [false, true] {
                for compacts_first in [true, false] {
                    let (_, lake) = scattered().await;
                    let other = async |on: &Transaction| act(on).await;
                    let outcome = match (compacts_first, serial) {
                        (true, false) => race(&lake, tidy, other).await,
                        (true, true) => serial_race(&lake, tidy, other).await,
                        (false, false) => race(&lake, other, tidy).await,
                        (false, true) => serial_race(&lake, other, tidy).await,
                    };
                    let case = format!("{name}, serializable: {serial}, compaction first: {compacts_first}");
                    // Which name the table has was read by both.
                    if serial && !compacts_first && matches!(*name, "rename" | "drop") {
                        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict, "{case}");
                    } else {
                        outcome.unwrap_or_else(|error| panic!("{case}: {error}"));
                    }
                    assert_eq!(content(&lake).await, expected, "{case}");
                }
            }
        }
    });
}

/// What else happened to the rows still collides.
#[test]
fn what_collides_collides_across_a_compaction_as_well() {
    paused(async {
        let update = async |on: &Transaction| {
            on.update("orders", col("id").eq(15)).set("name", "one").await.unwrap();
        };
        let tidy_and = async |on: &Transaction| {
            update(on).await;
            on.compact("orders").await.unwrap();
        };
        let append = async |on: &Transaction| {
            on.append("orders", orders(50..51)).await.unwrap();
            on.compact("orders").await.unwrap();
        };
        let overwrite = async |on: &Transaction| {
            _ = on.overwrite("orders", orders(10..20)).matching(col("id").between(10, 19)).await.unwrap();
        };
        let delete_and = async |on: &Transaction| {
            on.delete("orders", col("id").eq(12)).await.unwrap();
            on.compact("orders").await.unwrap();
        };
        let drop_table = async |on: &Transaction| on.drop_table("orders").await.unwrap();
        let again = async |on: &Transaction| _ = on.delete("orders", col("id").eq(15)).await.unwrap();
        let all = async |on: &Transaction| _ = on.overwrite("orders", orders(0..3)).await.unwrap();
        let outcomes = [
            race(&scattered().await.1, tidy_and, again).await,
            race(&scattered().await.1, tidy_and, all).await,
            race(&scattered().await.1, append, all).await,
            race(&scattered().await.1, delete_and, overwrite).await,
            race(&scattered().await.1, tidy_and, drop_table).await,
        ];
        for outcome in outcomes {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict);
        }
    });
}

#[test]
fn a_delete_is_carried_over_a_compaction_by_the_columns_of_ids_alone() {
    paused(async {
        let (counted, lake) = scattered().await;
        let other = open(counted.cold().storage).await.unwrap();
        let on = other.begin().await.unwrap();
        on.delete("orders", col("id").eq(11)).await.unwrap();
        compact(&lake).await;
        let (report, counts) = Box::pin(counted.store.measure(on.commit().into_future())).await;
        assert_eq!(report.unwrap().retries, 1);
        assert_eq!(counts.of_to(RequestKind::Put, PathClass::Data).requests, 0, "{counts}");
        assert!(counts.of_to(RequestKind::Get, PathClass::Data).requests <= 2, "{counts}");
        assert_eq!((ids_of(&lake, "orders").await.len(), file_count(&lake).await), (39, 1));
    });
}

#[test]
fn branches_merge_across_a_compaction_on_either_side() {
    paused(async {
        for into_main in [true, false] {
            let (_, lake) = scattered().await;
            lake.create_branch("dev").from("main").await.unwrap();
            let on = lake.begin().branch("dev").await.unwrap();
            on.compact("orders").await.unwrap();
            on.commit().await.unwrap();
            change(&lake, async |on| {
                on.update("orders", col("id").eq(3)).set("name", "new").await.unwrap();
                on.delete("orders", col("id").between(18, 22)).await.unwrap();
                on.append("orders", orders(60..62)).await.unwrap();
            })
            .await;
            let expected = content(&lake).await;
            let (from, into) = if into_main { ("dev", "main") } else { ("main", "dev") };
            lake.merge(from).into(into).await.unwrap().committed().unwrap();
            let merged = lake.at(into).await.unwrap().table("orders").await.unwrap();
            let rows = crate::row_changes::rows(&merged).await;
            let found: BTreeMap<i64, String> = rows.into_values().map(|(id, name, _)| (id, name)).collect();
            assert_eq!(Some(found), expected, "{from} into {into}");
            // What is done to rows that moved still collides.
            let on = lake.begin().branch("dev").await.unwrap();
            on.update("orders", col("id").eq(30)).set("name", "dev").await.unwrap();
            on.commit().await.unwrap();
            change(&lake, async |on| _ = on.delete("orders", col("id").eq(30)).await.unwrap()).await;
            assert!(lake.merge("dev").into("main").await.unwrap().committed().is_err());
        }
    });
}

#[test]
fn many_writers_go_on_while_a_table_is_compacted_again_and_again() {
    paused(async {
        let (counted, lake) = shop(0).await;
        change(&lake, async |on| on.alter_table("orders").key(["id"]).await.unwrap()).await;
        let others: Vec<Lake> = futures::future::join_all((0..3).map(|_| open(counted.cold().storage)))
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let writer = |number: i64, lake: Lake| async move {
            for round in 0..12 {
                let first = 1_000 * number + 10 * round;
                lake.append("orders", orders(first..first + 10)).await.unwrap();
                let on = lake.begin().await.unwrap();
                on.delete("orders", col("id").eq(first + 3)).await.unwrap();
                on.update("orders", col("id").eq(first + 4)).set("name", "new").await.unwrap();
                on.commit().await.unwrap();
            }
        };
        let tidier = async {
            let mut written = 0;
            for _ in 0..12 {
                tokio::task::yield_now().await;
                written += compact(&lake).await.files_written;
            }
            written
        };
        let writers =
            futures::future::join_all(others.into_iter().zip(0..).map(|(lake, number)| writer(number, lake)));
        let (_, written) = futures::join!(Box::pin(writers), Box::pin(tidier));
        assert!(written > 0);
        let rows = content(&lake).await.unwrap();
        let expected =
            (0..3).flat_map(|number| (0..120).map(move |id| (number, id))).filter(|(_, id)| id % 10 != 3);
        let expected: BTreeMap<i64, String> = expected
            .map(|(number, id)| {
                (
                    1_000 * number + id,
                    if id % 10 == 4 { "new".to_owned() } else { format!("order {}", 1_000 * number + id) },
                )
            })
            .collect();
        assert_eq!(rows, expected);
    });
}
