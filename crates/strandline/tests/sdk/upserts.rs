//! Updates by predicate and upserts by key: what comes of rows, what is read for it, and what is refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use strandline::filter::{Predicate, col};
use strandline::format::PrimitiveType;
use strandline::transaction::Rows;
use strandline::{ErrorKind, Lake, RowChanges, WriteOptions};
use strandline_testkit::{PathClass, RequestKind};

use crate::fixture::paused;
use crate::row_changes::{rows, rows_of};
use crate::work::{batch, change, column, ids_of, longs, orders, race, serial_race, shop, texts};

/// A lake with orders, of which `id` is the key, in files of ten.
async fn keyed(files: i64) -> (crate::fixture::Counted, Lake) {
    let (counted, lake) = shop(0).await;
    change(&lake, async |on| on.alter_table("orders").key(["id"]).await.unwrap()).await;
    for file in 0..files {
        lake.append("orders", orders(file * 10..file * 10 + 10)).await.unwrap();
    }
    (counted, lake)
}

/// Orders without a name.
fn nameless(ids: impl IntoIterator<Item = i64>) -> RecordBatch {
    batch([("id", longs(ids))])
}

#[test]
fn an_update_sets_columns_of_the_rows_that_pass() {
    paused(async {
        let (_, lake) = shop(6).await;
        let before = rows_of(&lake).await;
        let report = change(&lake, async |on| {
            let twice = |batch: &RecordBatch| {
                let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
                Ok(Arc::new(ids.iter().map(|id| id.map(|id| id * 100)).collect::<Int64Array>()) as ArrayRef)
            };
            let update = on.update("orders", col("id").ge(4)).set("NAME", "late").set("amount", 3);
            let changes = update.set_with("id", twice).await.unwrap();
            let RowChanges { inserted, updated, deleted, files_touched, files_written, .. } = changes;
            assert_eq!((inserted, updated, deleted, files_touched, files_written), (0, 2, 0, 1, 1));
            let none = on.update("orders", col("id").eq(77)).set_null("name").await.unwrap();
            assert_eq!(none, RowChanges::default());
        })
        .await;
        let version = report.commit.version().0;
        let mut expected = before;
        expected.insert(4, (400, "late".to_owned(), version));
        expected.insert(5, (500, "late".to_owned(), version));
        assert_eq!(rows_of(&lake).await, expected);
        let cheap = lake.table("orders").await.unwrap().scan().filter(col("amount").eq(3.0)).count();
        assert_eq!(cheap.await.unwrap(), 2);
    });
}

#[test]
fn updates_that_cannot_be_are_refused() {
    paused(async {
        let (_, lake) = shop(3).await;
        let on = lake.begin().await.unwrap();
        let all = || on.update("orders", Predicate::all());
        let error = all().set("nam", "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.message().contains("no column \"nam\""), "{error}");
        for (update, why) in [
            (all().set("name", 3), "cannot be 3"),
            (all().set("id", 1.5), "cannot be 1.5"),
            (all().set("name", "x").set("Name", "y"), "set twice"),
            (all().set_null("id"), "id"),
            (all().set("amount", -1), "positive"),
        ] {
            let error = update.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.message().contains(why), "{why}: {error}");
        }
        assert_eq!(on.update("none", Predicate::all()).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(on.commit().await.unwrap().tables.is_empty());
    });
}

#[test]
fn an_upsert_replaces_what_is_there_and_adds_what_is_not() {
    paused(async {
        let (_, lake) = keyed(3).await;
        let before = rows_of(&lake).await;
        let report = change(&lake, async |on| {
            let new = batch([("id", longs([25, 3, 77])), ("name", texts(&["a", "b", "c"]))]);
            let changes = on.upsert("orders", new).await.unwrap();
            let RowChanges { inserted, updated, deleted, files_touched, files_written, .. } = changes;
            assert_eq!((inserted, updated, deleted, files_touched, files_written), (1, 2, 0, 2, 1));
            // What it has just written it finds again.
            let again = batch([("id", longs([77, 3])), ("name", texts(&["d", "e"]))]);
            let changes = on.upsert("orders", again).await.unwrap();
            assert_eq!((changes.inserted, changes.updated), (0, 2));
        })
        .await;
        let version = report.commit.version().0;
        let after = rows_of(&lake).await;
        let mut expected = before;
        expected.insert(25, (25, "a".to_owned(), version));
        expected.insert(3, (3, "e".to_owned(), version));
        let (new, _) = after.iter().find(|(_, row)| row.0 == 77).unwrap();
        expected.insert(*new, (77, "d".to_owned(), version));
        assert_eq!(after, expected);
    });
}

#[test]
fn an_upsert_reads_the_files_that_may_have_its_keys() {
    paused(async {
        let (counted, lake) = keyed(12).await;
        let on = lake.begin().await.unwrap();
        let (changes, counts) =
            counted.store.measure(async { on.upsert("orders", nameless([34, 36, 999])).await }).await;
        assert_eq!(
            (changes.unwrap().updated, counts.of_to(RequestKind::Get, PathClass::Data).requests),
            (2, 1),
            "{counts}"
        );
        // Too many to be looked for one by one: the files between the first and the last are read, and no others.
        let ids = (40..60).chain(2_000..3_000);
        let (changes, counts) =
            counted.store.measure(async { on.upsert("orders", nameless(ids)).await }).await;
        let changes = changes.unwrap();
        assert_eq!((changes.updated, changes.inserted), (20, 1_000));
        let reads = counts.of_to(RequestKind::Get, PathClass::Data).requests;
        assert!((2..=9).contains(&reads), "{counts}");
    });
}

#[test]
fn an_upsert_in_portions_is_the_same_as_one_at_once() {
    paused(async {
        let (_, lake) = keyed(4).await;
        let options = WriteOptions { memory_bytes: 8 * 1024, ..WriteOptions::default() };
        let on = lake.begin().writing(options).await.unwrap();
        let batches: Vec<RecordBatch> = (0..30).map(|at| nameless([at * 2, 1_000 - at])).collect();
        let stream = futures::stream::iter(batches.into_iter().map(Ok::<_, std::io::Error>));
        let changes = on.upsert("orders", Rows::stream(stream)).await.unwrap();
        assert_eq!((changes.updated, changes.inserted), (20, 40));
        on.commit().await.unwrap();
        let ids = ids_of(&lake, "orders").await;
        let expected = (0..40).chain((40..60).step_by(2)).chain(971..=1_000);
        assert_eq!(ids, expected.collect::<Vec<i64>>());
        // A key that comes again in a later portion is still known.
        let on = lake
            .begin()
            .writing(WriteOptions { memory_bytes: 8 * 256, ..WriteOptions::default() })
            .await
            .unwrap();
        let batches: Vec<RecordBatch> =
            (0..30).chain([7_000, 3]).map(|at| nameless([at + 5_000])).chain([nameless([5_003])]).collect();
        let error = on.upsert("orders", batches).await.unwrap_err();
        assert!(error.message().contains("(id = 5003)"), "{error}");
    });
}

#[test]
fn keys_that_are_null_or_come_twice_are_refused_by_name() {
    paused(async {
        let (_, lake) = keyed(1).await;
        let on = lake.begin().await.unwrap();
        let error = on.upsert("orders", nameless([5, 6, 5])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("two of the rows to put in have the key (id = 5)"), "{error}");
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let error = on
            .upsert("orders", batch([("id", longs([1, 2])), ("name", names)]))
            .by(["id", "name"])
            .await
            .unwrap_err();
        assert!(
            error.message().contains("null in its key, in column \"name\": (id = 2, name = null)"),
            "{error}"
        );
        let error = on.upsert("orders", nameless([1])).by(["amount"]).await.unwrap_err();
        assert!(error.message().contains("cannot be told apart"), "{error}");
        let error = on.upsert("orders", nameless([1])).by(["idd"]).await.unwrap_err();
        assert!(error.message().contains("\"id\""), "{error}");
        // The table has a key twice: which row is meant is open.
        on.append("orders", orders(3..4)).await.unwrap();
        let error = on.upsert("orders", nameless([2, 3])).await.unwrap_err();
        assert!(error.message().contains("two rows of the table have the key (id = 3)"), "{error}");
        on.alter_table("orders").key(Vec::<String>::new()).await.unwrap();
        let error = on.upsert("orders", nameless([2])).await.unwrap_err();
        assert!(error.message().contains("it has no key"), "{error}");
        assert_eq!(rows(&on.table("orders").await.unwrap()).await.len(), 11);
    });
}

#[test]
fn keys_of_two_columns_and_of_every_type_are_compared_by_value() {
    paused(async {
        let (_, lake) = shop(0).await;
        change(&lake, async |on| {
            let fields = [column("part", PrimitiveType::String), column("number", PrimitiveType::Long)];
            on.create_table("parts").fields(fields).await.unwrap();
            let rows = batch([("part", texts(&["a", "a", "b", "b"])), ("number", longs([1, 2, 1, 2]))]);
            on.append("parts", rows).await.unwrap();
            let new = batch([("part", texts(&["b", "a", "c"])), ("number", longs([1, 2, 1]))]);
            let changes = on.upsert("parts", new).by(["part", "number"]).await.unwrap();
            assert_eq!((changes.updated, changes.inserted), (2, 1));
        })
        .await;
        assert_eq!(lake.table("parts").await.unwrap().rows(), 5);
    });
}

#[test]
fn two_upserts_of_other_keys_go_together_and_of_the_same_key_collide() {
    paused(async {
        let (_, lake) = keyed(1).await;
        let upsert = async |on: &strandline::Transaction, ids: &[i64]| {
            on.upsert("orders", nameless(ids.iter().copied())).await.unwrap();
        };
        race(&lake, async |one| upsert(one, &[1, 100]).await, async |two| upsert(two, &[2, 200]).await)
            .await
            .unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 200]);
        let outcome =
            race(&lake, async |one| upsert(one, &[1]).await, async |two| upsert(two, &[1]).await).await;
        assert_eq!(outcome.unwrap_err().conflicts()[0].code(), "rows");
        // A key that both add stands in no row that they could collide on: what they read does.
        let outcome =
            serial_race(&lake, async |one| upsert(one, &[300]).await, async |two| upsert(two, &[300]).await)
                .await;
        assert_eq!(outcome.unwrap_err().conflicts()[0].code(), "read");
    });
}
