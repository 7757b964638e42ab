//! How many requests tables and transactions make on the wire, of what kind, and on how many connections.

use futures::future::LocalBoxFuture;
use strandline::Lake;
use strandline::filter::col;
use strandline_datafusion::Session;
use strandline_testkit::wire::Proxy;
use strandline_testkit::{Counts, PathClass, RequestKind};

use super::Site;
use super::rows::{self, batch, read};
use crate::lake::{self, Place};

/// How many commits the lake has that is measured.
const COMMITS: i64 = 12;

/// How many writers race in the two races of a probe.
const PROBE: u64 = 32;
/// How many requests go side by side at the most: two files, five nodes, and the swap behind them.
const WAVE: u64 = 8;

/// What a piece of work costs.
fn cost<'a, T: 'a>(proxy: &'a Proxy, work: impl Future<Output = T> + 'a) -> LocalBoxFuture<'a, (T, Counts)> {
    Box::pin(async move {
        let before = proxy.counts();
        let done = work.await;
        (done, proxy.counts().since(&before))
    })
}

/// So many requests of one kind to one part of the lake, at least and at most.
type Expected = (RequestKind, PathClass, u64, u64);

const SWAP: Expected = (RequestKind::PutIfMatch, PathClass::Pointer, 1, 1);
const POLL: Expected = (RequestKind::Get, PathClass::Pointer, 1, 1);

const fn data(count: u64) -> Expected {
    (RequestKind::Put, PathClass::Data, count, count)
}

/// Nodes and commits: a node of each table and the commit, and sometimes a leaf, when a buffer is full.
const fn nodes(least: u64, most: u64) -> Expected {
    (RequestKind::Put, PathClass::Meta, least, most)
}

#[track_caller]
fn check(what: &str, counts: &Counts, expected: &[Expected]) {
    let found = |(kind, class, ..): &Expected| counts.of_to(*kind, *class).requests;
    for each in expected {
        let (kind, class, least, most) = each;
        assert!((*least..=*most).contains(&found(each)), "{what}: {kind} {class}: {counts}");
    }
    assert_eq!(counts.total().requests, expected.iter().map(found).sum::<u64>(), "{what}: {counts}");
}

pub(super) fn requests(site: &Site) {
    let (proxy, place) = site.proxied();
    lake::run(async {
        let lake = rows::create(&place, &["t", "u"]).await;
        for number in 0..COMMITS {
            lake.append("t", batch(&[(number, 0)])).await.unwrap();
        }
        let connected = proxy.connections();
        let writing = cost(&proxy, writes(&proxy, &lake)).await.1;
        let connected = proxy.connections() - connected;
        // A wave of two tables is wider than what went before; from then on all are used again.
        assert!(connected <= WAVE, "{connected} connections for {writing}");
        let (polled, counts) = cost(&proxy, lake.main()).await;
        polled.unwrap();
        check("a poll", &counts, &[POLL]);
        assert_eq!(counts.total().received, 0, "what has not changed is not sent: {counts}");
        let (connections, requests) = (proxy.connections(), proxy.counts().total().requests);
        // The races of the probe take the most: some servers close a connection behind each refusal.
        assert!(connections <= PROBE + WAVE, "{connections} connections for {requests} requests");
        println!("  {connections} connections for {requests} requests");
        lost_race(&proxy, &lake, &rows::open(&site.place).await).await;
        let reading = cost(&proxy, reads(&proxy, &place)).await.1;
        let in_sql = cost(&proxy, Box::pin(statements(&proxy, &place))).await.1;
        let (made, branching) = cost(&proxy, async { lake.create_branch("dev").await }).await;
        made.unwrap();
        // Looked up twice, pinned, reserved, the source asked, made live, unpinned.
        assert!(branching.total().requests <= 8, "{branching}");
        for counts in [writing, reading, in_sql, branching] {
            assert_eq!(counts.of(RequestKind::List).requests, 0, "nothing is ever listed: {counts}");
        }
    });
}

async fn writes(proxy: &Proxy, lake: &Lake) {
    for number in 0..5 {
        let (report, counts) = cost(proxy, lake.append("t", batch(&[(100 + number, 0)]))).await;
        report.unwrap();
        check("an append", &counts, &[data(1), nodes(2, 3), SWAP]);
        let (report, counts) = cost(proxy, async {
            let transaction = lake.begin().await.unwrap();
            for table in ["t", "u"] {
                transaction.append(table, batch(&[(200 + number, 0)])).await.unwrap();
            }
            transaction.commit().await
        })
        .await;
        report.unwrap();
        check("a commit of two tables", &counts, &[POLL, data(2), nodes(3, 5), SWAP]);
    }
}

/// One that is lost costs a look, the nodes anew, and a swap.
async fn lost_race(proxy: &Proxy, lake: &Lake, other: &Lake) {
    // It has seen the newest head, and swapped through this endpoint before.
    other.append("t", batch(&[(300, 0)])).await.unwrap();
    let (report, counts) = cost(proxy, lake.append("t", batch(&[(301, 0)]))).await;
    assert_eq!(report.unwrap().retries, 1);
    let swaps = (RequestKind::PutIfMatch, PathClass::Pointer, 2, 2);
    check("a lost race", &counts, &[data(1), nodes(4, 6), POLL, swaps]);
}

/// Each from a handle with nothing at hand.
async fn reads(proxy: &Proxy, place: &Place) {
    let (lake, counts) = cost(proxy, rows::open(place)).await;
    check("opening", &counts, &[POLL]);
    let (table, counts) = cost(proxy, lake.table("t")).await;
    check("a table that is in the pack", &counts, &[POLL]);
    let table = table.unwrap();
    let (plan, counts) = cost(proxy, table.scan().filter(col("id").eq(3)).plan()).await;
    assert_eq!(plan.unwrap().files.len(), 1);
    check("planning", &counts, &[]);
    let (rows, counts) = cost(proxy, rows::read_where(&table, col("id").eq(3))).await;
    assert_eq!(rows.unwrap(), [(3, 0)]);
    assert_eq!(counts.to(PathClass::Data).requests, counts.total().requests, "{counts}");
    assert!(counts.total().requests <= 2, "reading a small file: {counts}");
    let lake = rows::open(place).await;
    let (past, counts) = cost(proxy, lake.at("main@{6}")).await;
    assert_eq!(counts.of_to(RequestKind::Get, PathClass::Pointer).requests, 1, "{counts}");
    assert!(counts.total().requests <= 3, "travelling: {counts}");
    // The version itself is at hand by then, and its five rows are.
    assert_eq!(read(&past.unwrap().table("t").await.unwrap()).await.len(), 5);
}

/// Statements cost what the calls do that they stand for.
async fn statements(proxy: &Proxy, place: &Place) {
    let session = Session::new(&rows::open(place).await).unwrap();
    let run = async |text: &'static str| {
        let session = session.clone();
        let answer = Box::pin(async move { session.sql(text).await.unwrap().collect().await });
        let (answer, counts) = cost(proxy, answer).await;
        answer.unwrap();
        counts
    };
    check("a count", &run("SELECT count(*) FROM t").await, &[POLL]);
    let counts = run("SELECT who FROM t WHERE id = 3").await;
    assert_eq!(counts.of_to(RequestKind::Get, PathClass::Pointer).requests, 1, "{counts}");
    let data_alone = counts.to(PathClass::Data).requests;
    assert!(data_alone <= 2 && counts.total().requests == 1 + data_alone, "{counts}");
    check("an insert", &run("INSERT INTO t VALUES (400, 0)").await, &[POLL, data(1), nodes(2, 3), SWAP]);
}
