//! What commits cost, in requests and bytes, whatever the length of the history and the number of files.

use std::future::IntoFuture;

use futures::future::join_all;
use strandline::Lake;
use strandline::format::{FileEntry, HistoryEntry, PrimitiveType, TableName};
use strandline_testkit::commits::{TableEdit, commit};
use strandline_testkit::generate::entries;
use strandline_testkit::{Counts, PathClass, RequestKind};

use crate::fixture::{Counted, open, paused};
use crate::work::{batch, change, column, ids_of, longs, order_fields, orders, shop};

fn swaps(counts: &Counts) -> u64 {
    counts.of_to(RequestKind::PutIfMatch, PathClass::Pointer).requests
}

fn data(counts: &Counts) -> u64 {
    counts.of_to(RequestKind::Put, PathClass::Data).requests
}

fn nodes(counts: &Counts) -> u64 {
    counts.of_to(RequestKind::Put, PathClass::Meta).requests
}

fn never_lists(counts: &Counts) {
    assert_eq!(counts.of(RequestKind::List).requests, 0, "{counts}");
}

#[test]
fn an_append_is_four_requests_and_five_with_its_begin() {
    paused(async {
        let (counted, lake) = shop(3).await;
        let (_, short) = counted.store.measure(lake.append("orders", orders(5..6))).await;
        let long = async {
            let transaction = lake.begin().await.unwrap();
            transaction.append("orders", orders(6..7)).await.unwrap();
            transaction.commit().await.unwrap()
        };
        let (report, long) = counted.store.measure(long).await;
        assert_eq!((short.total().requests, short.depth()), (4, 2), "{short}");
        assert_eq!((long.total().requests, long.depth()), (5, 3), "{long}");
        for counts in [&short, &long] {
            assert_eq!((data(counts), nodes(counts), swaps(counts)), (1, 2, 1), "{counts}");
            never_lists(counts);
        }
        let asked = report.requests;
        assert_eq!((asked.data, asked.metadata, asked.reads, asked.swaps), (1, 2, 0, 1));
    });
}

#[test]
fn two_tables_in_one_commit_are_one_wave_of_data_and_one_of_nodes() {
    paused(async {
        let (counted, lake) = shop(3).await;
        change(&lake, async |on| drop(on.create_table("returns").fields(order_fields()).await.unwrap()))
            .await;
        let both = change(&lake, async |on| {
            on.append("orders", orders(5..6)).await.unwrap();
            on.append("returns", orders(5..6)).await.unwrap();
        });
        let (_, counts) = counted.store.measure(both).await;
        // The head, two files, two tables and the commit, the swap.
        assert_eq!((counts.total().requests, counts.depth()), (7, 3), "{counts}");
        assert_eq!((data(&counts), nodes(&counts), swaps(&counts)), (2, 3, 1), "{counts}");
        never_lists(&counts);
    });
}

#[test]
fn a_lost_race_is_one_get_one_wave_and_one_swap_more() {
    paused(async {
        let (counted, lake) = shop(3).await;
        let other = open(counted.cold().storage).await.unwrap();
        other.append("orders", orders(5..6)).await.unwrap();
        lake.append("orders", orders(6..7)).await.unwrap();
        for id in 7..10 {
            let (report, counts) = counted.store.measure(other.append("orders", orders(id..id + 1))).await;
            let report = report.unwrap();
            assert_eq!((counts.total().requests, counts.depth()), (8, 5), "{counts}");
            assert_eq!((data(&counts), nodes(&counts), swaps(&counts)), (1, 4, 2), "{counts}");
            assert_eq!(counts.of_to(RequestKind::Get, PathClass::Pointer).requests, 1, "{counts}");
            assert_eq!((report.retries, report.checked), (1, 1));
            never_lists(&counts);
            lake.main().await.unwrap();
            lake.append("orders", orders(id + 100..id + 101)).await.unwrap();
        }
    });
}

#[test]
fn a_hundred_transactions_at_once_are_a_few_swaps() {
    paused(async {
        let (counted, lake) = shop(0).await;
        let one = async |id: i64| {
            let transaction = lake.begin().await.unwrap();
            transaction.append("orders", orders(id..id + 1)).await.unwrap();
            transaction.commit().await.unwrap()
        };
        let (reports, counts) = counted.store.measure(join_all((0..100).map(one))).await;
        assert!(swaps(&counts) <= 20, "{counts}");
        assert!(reports.iter().any(|report| report.group > 1));
        let mut versions: Vec<u64> = reports.iter().map(|report| report.commit.version().0).collect();
        versions.sort_unstable();
        assert_eq!(versions, (2..102).collect::<Vec<_>>());
        assert_eq!(ids_of(&lake, "orders").await, (0..100).collect::<Vec<_>>());
        never_lists(&counts);
    });
}

/// Appends so many small batches, and says what each cost on average: requests, and bytes of metadata.
async fn appends(counted: &Counted, lake: &Lake, table: &str, count: i64) -> (f64, f64) {
    let before = counted.store.snapshot();
    for id in 0..count {
        lake.append(table, batch([("column_1", longs([id]))])).await.unwrap();
    }
    let counts = counted.store.since(&before);
    never_lists(&counts);
    let each =
        |number: u64| f64::from(u32::try_from(number).unwrap()) / f64::from(u32::try_from(count).unwrap());
    (each(counts.total().requests), each(counts.of_to(RequestKind::Put, PathClass::Meta).sent))
}

const FILES: u64 = 100_000;

/// A lake at version 100,000, with a table of as many files.
async fn old_lake() -> (Counted, Lake) {
    let counted = Counted::new();
    let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
    let entries = crate::ref_counts::made_up(FILES - 1);
    crate::ref_counts::replace_history(&lake, lake.head(), entries).await;
    let main = strandline::format::RefName::new("main").unwrap();
    let mut head = lake.branch(&main).await.unwrap();
    let puts: Vec<FileEntry> = (0..FILES).map(entries::file).collect();
    let name = TableName::new("big").unwrap();
    head = commit(&lake, &head, vec![TableEdit { name, puts, removes: Vec::new() }]).await.unwrap();
    assert_eq!(head.commit().seq.0, FILES);
    let cold = counted.cold();
    let lake = open(cold.storage.clone()).await.unwrap();
    (cold, lake)
}

#[test]
fn appends_cost_the_same_at_version_ten_and_a_hundred_thousand() {
    paused(async {
        let young = Counted::new();
        let lake = Lake::create_in(young.storage.clone()).await.unwrap();
        change(&lake, async |on| {
            let fields = (1..=8).map(|at| column(&format!("column_{at}"), PrimitiveType::Long));
            on.create_table("small").fields(fields).await.unwrap();
        })
        .await;
        let (requests, bytes) = appends(&young, &lake, "small", 200).await;
        println!("from version 1: {requests:.2} requests, {bytes:.0} bytes of metadata");
        assert!(requests <= 5.0 && bytes <= 8.0 * 1024.0, "{requests} requests, {bytes} bytes");

        let (old, lake) = old_lake().await;
        let (requests, bytes) = appends(&old, &lake, "big", 200).await;
        println!("from version 100,000: {requests:.2} requests, {bytes:.0} bytes of metadata");
        assert!(requests <= 5.0 && bytes <= 8.0 * 1024.0, "{requests} requests, {bytes} bytes");
    });
}

/// What is before its start was searched for its key when it began [HIST-6].
#[test]
fn a_commit_with_a_key_does_not_search_the_history_again() {
    paused(async {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        let keyed = |entry| HistoryEntry { keyed: true, ..entry };
        let entries = crate::ref_counts::made_up(5_000).into_iter().map(keyed).collect();
        crate::ref_counts::replace_history(&lake, lake.head(), entries).await;
        let forgetful = counted.forgetful();
        let lake = open(forgetful.storage.clone()).await.unwrap();
        change(&lake, async |on| drop(on.create_table("orders").fields(order_fields()).await.unwrap())).await;
        let transaction = lake.begin().key("monday").await.unwrap();
        transaction.append("orders", orders(5..6)).await.unwrap();
        let (report, counts) = forgetful.store.measure(transaction.commit().into_future()).await;
        assert!(!report.unwrap().already);
        assert_eq!((counts.total().requests, counts.depth()), (4, 2), "{counts}");
    });
}
