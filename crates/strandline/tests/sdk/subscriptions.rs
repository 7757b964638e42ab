//! Subscriptions: each commit once and in order, also over restarts; what an idle one asks for, and what is refused.

use std::time::Duration;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use strandline::changes::Cursor;
use strandline::{ErrorKind, Lake};
use strandline_testkit::{PathClass, RequestKind};

use crate::fixture::{Counted, open, paused};
use crate::past::{expire, grow};
use crate::work::{change, order_fields, orders, shop};

const NONE: [&str; 0] = [];

async fn next_versions(lake: &Lake, since: &Cursor, count: usize) -> (Vec<u64>, Cursor) {
    let mut events = lake.subscribe(since, NONE).stream();
    let (mut versions, mut cursor) = (Vec::new(), since.clone());
    for _ in 0..count {
        let event = events.try_next().await.unwrap().unwrap();
        versions.push(event.commit().version().0);
        cursor = event.cursor();
    }
    (versions, cursor)
}

#[test]
fn each_commit_comes_once_and_in_order_also_after_a_restart() {
    paused(async {
        let (counted, lake) = shop(0).await;
        let start = Cursor::at(&lake.at("main").await.unwrap());
        for at in 0..5 {
            lake.append("orders", orders(at..at + 1)).await.unwrap();
        }
        let (versions, cursor) = next_versions(&lake, &start, 3).await;
        assert_eq!(versions, [2, 3, 4]);
        let kept = cursor.to_string();
        let again = open(counted.cold().storage).await.unwrap();
        let (versions, cursor) = next_versions(&again, &kept.parse().unwrap(), 2).await;
        assert_eq!(versions, [5, 6]);
        let writer = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            lake.append("orders", orders(7..8)).await.unwrap();
        };
        let ((versions, _), ()) = futures::join!(next_versions(&again, &cursor, 1), writer);
        assert_eq!(versions, [7]);
    });
}

#[test]
fn an_idle_subscriber_makes_one_request_for_each_look() {
    paused(async {
        let (counted, lake) = shop(1).await;
        let start = Cursor::at(&lake.at("main").await.unwrap());
        let before = counted.store.snapshot();
        let mut events = lake.subscribe(&start, NONE).every(Duration::from_secs(10)).stream();
        let looks = tokio::time::timeout(Duration::from_secs(95), events.try_next()).await;
        assert!(looks.is_err(), "nothing happened");
        let asked = counted.store.since(&before);
        // A GET that is answered without a body has a condition: what stands at the pointer is what was read last.
        let looks = asked.of_to(RequestKind::Get, PathClass::Pointer);
        assert_eq!((looks.requests, looks.received), (10, 0), "{asked}");
        assert_eq!(asked.total(), looks, "{asked}");
        // Another process commits: the next look is one GET as well, which brings the commit.
        open(counted.cold().storage).await.unwrap().append("orders", orders(1..2)).await.unwrap();
        let before = counted.store.snapshot();
        assert_eq!(events.try_next().await.unwrap().unwrap().commit().version().0, 3);
        let asked = counted.store.since(&before);
        let look = asked.of_to(RequestKind::Get, PathClass::Pointer);
        assert_eq!((asked.total(), look.requests), (look, 1), "{asked}");
        assert!(look.received > 0, "{asked}");
    });
}

#[test]
fn only_commits_of_the_tables_that_are_named_come_whatever_they_are_called_by_then() {
    paused(async {
        let (_, lake) = shop(1).await;
        let start = Cursor::at(&lake.at("main").await.unwrap());
        change(&lake, async |on| drop(on.create_table("other").fields(order_fields()).await.unwrap())).await;
        lake.append("orders", orders(1..3)).await.unwrap();
        change(&lake, async |on| on.rename("orders", "sales").await.unwrap()).await;
        lake.append("other", orders(0..1)).await.unwrap();
        lake.append("sales", orders(3..4)).await.unwrap();
        let mut events = lake.subscribe(&start, ["Orders"]).stream();
        let mut told = Vec::new();
        for _ in 0..3 {
            let event = events.try_next().await.unwrap().unwrap();
            let name = event.tables()[0].name.as_str().to_owned();
            let changes = event.changes(&name).await.unwrap();
            let batches: Vec<RecordBatch> = changes.try_collect().await.unwrap();
            let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
            told.push((event.commit().version().0, name, rows));
            assert_eq!(event.changes("other").await.unwrap_err().kind(), ErrorKind::NotFound);
        }
        let name = str::to_owned;
        assert_eq!(told, [(4, name("orders"), 2), (5, name("sales"), 0), (7, name("sales"), 1)]);
        // Who goes on after the rename follows the table still.
        let mut events = lake.subscribe(&start, ["orders"]).stream();
        events.try_next().await.unwrap();
        let kept = events.try_next().await.unwrap().unwrap().cursor().to_string();
        let mut events = lake.subscribe(kept.parse::<Cursor>().unwrap(), ["orders"]).stream();
        assert_eq!(events.try_next().await.unwrap().unwrap().commit().version().0, 7);
    });
}

#[test]
fn a_place_that_nothing_can_be_told_after_is_refused() {
    paused(async {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        grow(&lake, "main", 5).await;
        let old = Cursor::at(&lake.at("main@{1}").await.unwrap());
        let kind = async |lake: &Lake, cursor: &Cursor| {
            lake.subscribe(cursor, NONE).stream().try_next().await.unwrap_err().kind()
        };
        expire(&lake, "main", 3).await.unwrap();
        assert_eq!(kind(&lake, &old).await, ErrorKind::SnapshotExpired);
        let other = Lake::create_in(Counted::new().storage).await.unwrap();
        assert_eq!(kind(&other, &old).await, ErrorKind::InvalidInput);
        lake.create_branch("dev").await.unwrap();
        grow(&lake, "dev", 2).await;
        let dev = Cursor::at(&lake.at("dev").await.unwrap());
        lake.delete_branch("dev").await.unwrap();
        assert_eq!(kind(&lake, &dev).await, ErrorKind::NotFound);
        lake.create_branch("dev").await.unwrap();
        assert_eq!(kind(&lake, &dev).await, ErrorKind::Conflict);
    });
}
