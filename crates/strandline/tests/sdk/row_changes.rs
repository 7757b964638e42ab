//! Rows that are deleted, updated and inserted by their places: what they become, what is written for it, and what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{Int64Type, UInt64Type};
use futures::TryStreamExt;
use object_store::ObjectStore;
use strandline::filter::col;
use strandline::format::{Operation, RowIds};
use strandline::{ErrorKind, Lake, RowChanges, RowSet, Table};
use strandline_testkit::{PathClass, RequestKind};

use crate::fixture::{Counted, paused};
use crate::work::{batch, change, ids_of, orders, race, shop};

/// What a reader sees of a row: its number and name, and the version that last updated it.
pub(crate) type Row = (i64, String, u64);

/// All rows of orders, by row id.
pub(crate) async fn rows(table: &Table) -> BTreeMap<u64, Row> {
    let mut rows = BTreeMap::new();
    for batch in table.scan().columns(["id", "name"]).row_ids(true).collect().await.unwrap() {
        let (ids, names) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        let [row_ids, versions] = [2, 3].map(|at| batch.column(at).as_primitive::<UInt64Type>().clone());
        for at in 0..batch.num_rows() {
            let row = (ids.value(at), names.value(at).to_owned(), versions.value(at));
            assert!(
                rows.insert(row_ids.value(at), row).is_none(),
                "row id {} is there twice",
                row_ids.value(at)
            );
        }
    }
    rows
}

pub(crate) async fn rows_of(lake: &Lake) -> BTreeMap<u64, Row> {
    rows(&lake.table("orders").await.unwrap()).await
}

/// Where the rows with these ids stand.
pub(crate) async fn places(table: &Table, ids: &[u64]) -> RowSet {
    let mut places = RowSet::new();
    for place in table.places(ids.iter().map(|id| strandline::format::RowId(*id))).await.unwrap() {
        places.insert(place.file, place.position).unwrap();
    }
    assert_eq!(places.len(), ids.len() as u64, "all of them are there");
    places
}

/// New orders of this name, each in the place of a row, or of none.
pub(crate) fn named(name: &str, numbers: &[(i64, Option<u64>)]) -> RecordBatch {
    let ids = numbers.iter().map(|(id, _)| *id);
    let names = numbers.iter().map(|_| Some(name));
    batch([
        ("id", Arc::new(Int64Array::from_iter_values(ids)) as _),
        ("name", Arc::new(names.collect::<StringArray>()) as _),
        ("amount", Arc::new(numbers.iter().map(|_| Some(1.5)).collect::<Float64Array>()) as _),
        ("_row_id", Arc::new(numbers.iter().map(|(_, row)| *row).collect::<UInt64Array>()) as _),
    ])
}

#[test]
fn an_updated_row_keeps_its_id_and_gets_the_version_of_its_commit() {
    paused(async {
        let (_, lake) = shop(6).await;
        let report = change(&lake, async |on| {
            let rows = places(&on.table("orders").await.unwrap(), &[1, 4]).await;
            let new = named("new", &[(40, Some(4)), (10, Some(1))]);
            assert_eq!(on.update_rows("orders", rows, new).await.unwrap(), 2);
        })
        .await;
        let table = &report.tables[0];
        assert_eq!((table.operation, table.rows, table.files), (Operation::Update, (2, 2), (1, 0)));
        let version = report.commit.version().0;
        let found = rows_of(&lake).await;
        assert_eq!(found[&1], (10, "new".to_owned(), version));
        assert_eq!(found[&4], (40, "new".to_owned(), version));
        assert_eq!(found[&0], (0, "order 0".to_owned(), version - 1));
        assert_eq!(found.len(), 6);
        // A second time, out of the file that stores its id, and with others from a file that does not.
        change(&lake, async |on| {
            let rows = places(&on.table("orders").await.unwrap(), &[4, 5]).await;
            let new = named("newer", &[(41, Some(4)), (50, Some(5))]);
            assert_eq!(on.update_rows("orders", rows, new).await.unwrap(), 2);
        })
        .await;
        let found = rows_of(&lake).await;
        assert_eq!(
            (&found[&4], &found[&5]),
            (&(41, "newer".to_owned(), version + 1), &(50, "newer".to_owned(), version + 1))
        );
        assert_eq!((found[&1].2, found.len()), (version, 6));
        let files = lake.table("orders").await.unwrap().files().await.unwrap();
        let kinds: Vec<(RowIds, u64)> = files.iter().map(|file| (file.row_ids, file.live_rows())).collect();
        assert_eq!(kinds, [(RowIds::Derived, 3), (RowIds::Stored, 1), (RowIds::Stored, 2)]);
    });
}

#[test]
fn rows_are_updated_deleted_and_inserted_at_once() {
    paused(async {
        let (counted, lake) = shop(6).await;
        let before = lake.table("orders").await.unwrap();
        let work = change(&lake, async |on| {
            let gone = places(&on.table("orders").await.unwrap(), &[0, 2, 3]).await;
            let new = named("new", &[(20, Some(2)), (100, None), (101, None)]);
            let changes = on.change_rows("orders", gone, new).await.unwrap();
            let RowChanges { inserted, updated, deleted, files_touched, files_written, bytes_written } =
                changes;
            assert_eq!((inserted, updated, deleted, files_touched, files_written), (2, 1, 2, 1, 1));
            assert!(bytes_written > 0);
        });
        let (report, counts) = counted.store.measure(work).await;
        assert_eq!(counts.of_to(RequestKind::Put, PathClass::Data).requests, 1, "{counts}");
        assert_eq!((report.tables[0].operation, report.tables[0].rows), (Operation::Update, (3, 3)));
        let found = rows_of(&lake).await;
        let numbers: Vec<i64> = found.values().map(|row| row.0).collect();
        assert_eq!(numbers.len(), 6);
        assert_eq!(found[&2].0, 20);
        assert!(!found.contains_key(&0) && !found.contains_key(&3));
        let fresh: Vec<i64> = found.range(6..).map(|(_, row)| row.0).collect();
        assert_eq!(fresh, [100, 101], "inserted rows have ids that no row had before");
        assert_eq!(before.rows(), 6);
        // Nothing at all changes nothing.
        let none = change(&lake, async |on| {
            let changes = on.change_rows("orders", RowSet::new(), Vec::new()).await.unwrap();
            assert_eq!(changes, RowChanges::default());
        })
        .await;
        assert!(none.tables.is_empty());
    });
}

#[test]
fn rows_that_the_transaction_itself_added_can_be_changed_and_keep_their_ids_when_it_is_carried_over() {
    paused(async {
        let (_, lake) = shop(2).await;
        let outcome = race(
            &lake,
            async |on| assert_eq!(on.append("orders", orders(50..53)).await.unwrap(), 3),
            async |on| {
                on.append("orders", orders(10..14)).await.unwrap();
                let table = on.table("orders").await.unwrap();
                let both = places(&table, &[0, 3]).await;
                on.update_rows("orders", both, named("new", &[(0, Some(0)), (11, Some(3))])).await.unwrap();
                let found = rows(&on.table("orders").await.unwrap()).await;
                assert_eq!((found[&3].0, found[&3].1.as_str(), found.len()), (11, "new", 6));
                let again = places(&on.table("orders").await.unwrap(), &[3]).await;
                on.update_rows("orders", again, named("newer", &[(11, Some(3))])).await.unwrap();
            },
        )
        .await;
        let version = outcome.unwrap().commit.version().0;
        let found = rows_of(&lake).await;
        let numbers: Vec<i64> = found.values().map(|row| row.0).collect();
        assert_eq!(numbers, [0, 1, 50, 51, 52, 10, 11, 12, 13], "theirs come after ours, in their order");
        let updated = found.values().find(|row| row.0 == 11).unwrap();
        assert_eq!(updated, &(11, "newer".to_owned(), version));
        assert_eq!(found[&0], (0, "new".to_owned(), version));
    });
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    paused(async {
        let (_, lake) = shop(6).await;
        change(&lake, async |on| assert_eq!(on.delete("orders", col("id").eq(5)).await.unwrap(), 1)).await;
        let on = lake.begin().await.unwrap();
        let table = on.table("orders").await.unwrap();
        let file = table.files().await.unwrap()[0].id;
        let at = |positions: &[u64]| {
            let mut rows = RowSet::new();
            positions.iter().for_each(|position| assert!(rows.insert(file, *position).unwrap()));
            rows
        };
        let mut elsewhere = RowSet::new();
        elsewhere.insert(strandline::format::FileId(77), 0).unwrap();
        for (rows, why) in
            [(at(&[5]), "row 5 is deleted"), (at(&[6]), "it has 6 rows"), (elsewhere, "no such file")]
        {
            let error = on.delete_rows("orders", rows).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(why), "{error}");
        }
        let negative = batch([
            ("id", Arc::new(Int64Array::from(vec![1])) as _),
            ("amount", Arc::new(Float64Array::from(vec![-1.0])) as _),
            ("_row_id", Arc::new(UInt64Array::from(vec![1])) as _),
        ]);
        for (rows, new, why) in [
            (at(&[1]), named("x", &[(1, Some(1)), (2, Some(1))]), "row id 1 twice"),
            (at(&[1]), named("x", &[(1, Some(2))]), "not that of a row"),
            (at(&[1, 2]), named("x", &[(1, Some(1))]), "1 of the rows to update have no new row"),
            (at(&[1]), named("x", &[(1, Some(1)), (2, None)]), "1 of the new rows have no row id"),
            (at(&[1]), orders(1..2), "the last column of new rows must be _row_id"),
            (at(&[1]), negative, "positive"),
        ] {
            let error = on.update_rows("orders", rows, new).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(why), "{why}: {error}");
        }
        assert_eq!(rows(&on.table("orders").await.unwrap()).await.len(), 5);
        assert!(on.commit().await.unwrap().tables.is_empty());
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn of_a_file_of_which_little_is_left_the_rest_is_written_anew_and_stays_what_it_was() {
    paused(async {
        for (removal, rewritten) in [("auto", true), ("merge-on-read", false), ("copy-on-write", true)] {
            let (_, lake) = shop(10).await;
            change(&lake, async |on| {
                on.alter_table("orders").set_property("strandline.row-removal", removal).await.unwrap();
            })
            .await;
            let before = rows_of(&lake).await;
            change(&lake, async |on| assert_eq!(on.delete("orders", col("id").ge(2)).await.unwrap(), 8))
                .await;
            let after = rows_of(&lake).await;
            let left: BTreeMap<u64, Row> = before.into_iter().filter(|(id, _)| *id < 2).collect();
            assert_eq!(after, left, "{removal}: ids and versions as they were");
            let files = lake.table("orders").await.unwrap().files().await.unwrap();
            let [file] = files.as_slice() else { panic!("{files:?}") };
            assert_eq!((file.rows == 2, file.deletes.is_none()), (rewritten, rewritten), "{removal}");
            // And once more, out of a file that stores ids, in the transaction that wrote it.
            let report = change(&lake, async |on| {
                on.append("orders", orders(20..28)).await.unwrap();
                let rows = places(&on.table("orders").await.unwrap(), &[0]).await;
                on.update_rows("orders", rows, named("new", &[(0, Some(0))])).await.unwrap();
                assert_eq!(on.delete("orders", col("id").between(21, 27)).await.unwrap(), 7);
            })
            .await;
            let found: Vec<(i64, String, u64)> = rows_of(&lake).await.into_values().collect();
            let version = report.commit.version().0;
            let expected = [(0, "new", version), (1, "order 1", left[&1].2), (20, "order 20", version)];
            assert_eq!(
                found,
                expected.map(|(id, name, version)| (id, name.to_owned(), version)),
                "{removal}"
            );
        }
    });
}

#[test]
fn many_deleted_rows_are_an_object_of_their_own() {
    paused(async {
        let (counted, lake) = shop(0).await;
        lake.append("orders", orders(0..40_000)).await.unwrap();
        let scattered = |id: &i64| id.wrapping_mul(2_654_435_761).rem_euclid(7) == 0;
        let gone: Vec<i64> = (0..40_000).filter(scattered).collect();
        let file = lake.table("orders").await.unwrap().files().await.unwrap()[0].id;
        let work = change(&lake, async |on| {
            let mut rows = RowSet::new();
            gone.iter().for_each(|id| assert!(rows.insert(file, u64::try_from(*id).unwrap()).unwrap()));
            assert_eq!(on.delete_rows("orders", rows).await.unwrap(), gone.len() as u64);
        });
        let (_, counts) = counted.store.measure(work).await;
        assert_eq!(counts.of_to(RequestKind::Put, PathClass::Data).requests, 1, "{counts}");
        let left: Vec<i64> = (0..40_000).filter(|id| !scattered(id)).collect();
        assert_eq!(ids_of(&lake, "orders").await, left);
    });
}

/// The bytes of all objects, those that nothing needs any more too.
async fn stored(counted: &Counted) -> u64 {
    let objects: Vec<_> = counted.store.list(None).try_collect().await.unwrap();
    objects.iter().map(|object| object.size).sum()
}

#[test]
fn twenty_versions_that_change_a_hundredth_of_the_rows_each_cost_less_than_a_third_of_the_first() {
    const ROWS: i64 = 300_000;
    const CHANGED: i64 = ROWS / 100;
    paused(async {
        let (counted, lake) = shop(0).await;
        // Amounts that no codec can guess: what a version costs besides its rows shall not hide behind them.
        let dice = |id: i64| id.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let amounts = (0..ROWS).map(|id| f64::from_bits(dice(id) >> 2));
        let mut columns = orders(0..ROWS).columns().to_vec();
        columns[2] = Arc::new(Float64Array::from_iter_values(amounts));
        let rows = RecordBatch::try_new(orders(0..1).schema(), columns).unwrap();
        lake.append("orders", rows).await.unwrap();
        let first = stored(&counted).await;
        for from in (0..20).map(|version| version * CHANGED) {
            let report = change(&lake, async |on| {
                let rows = col("id").ge(from).and(col("id").lt(from + CHANGED));
                on.update("orders", rows).set("name", "another").await.unwrap();
            })
            .await;
            let changed = CHANGED.unsigned_abs();
            assert_eq!(report.tables[0].rows, (changed, changed));
        }
        let all = stored(&counted).await;
        assert!(all * 10 <= first * 13, "{first} bytes of the first version, {all} of all");
    });
}
