//! What finding a version and reading a log cost, in requests, among a hundred thousand versions.

use futures::{StreamExt, TryStreamExt, stream};
use strandline::storage::{Loaded, Settled};
use strandline::{Deadline, Head, Lake};
use strandline_format::tree::{Edit, Root};
use strandline_format::{
    Author, Commit, CommitProperties, Era, Hash, History, HistoryEntry, Message, ObjectRef, Pack, Parents,
    Pointer, Seq, Timestamp, TxnId,
};
use strandline_testkit::{PathClass, RequestKind};

use crate::fixture::{Counted, open, paused};

const VERSIONS: u64 = 100_000;

fn time(version: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(version).unwrap() * 1_000_000).unwrap()
}

/// Entries of a history whose commits are not there.
pub(crate) fn made_up(versions: u64) -> Vec<HistoryEntry> {
    let entry = |version: u64| HistoryEntry {
        seq: Seq(version),
        commit: ObjectRef { hash: Hash::of(&version.to_be_bytes()), era: Era(0), size: 800 },
        time: time(version),
        txn: TxnId::from_bytes(u128::from(version + 1).to_be_bytes()),
        keyed: false,
        merged: None,
    };
    (0..versions).map(entry).collect()
}

/// A commit that follows an entry, with this history.
fn after(entry: &HistoryEntry, history: Root<History>) -> Commit {
    Commit {
        seq: entry.seq.next().unwrap(),
        parents: Parents::One(entry.commit),
        time: time(entry.seq.0 + 1),
        txn: TxnId::from_bytes([7; 16]),
        keyed: false,
        author: Author::default(),
        message: Message::default(),
        properties: CommitProperties::default(),
        catalog: Root::default(),
        history,
        changes: Vec::new(),
    }
}

async fn put(lake: &Lake, commit: &Commit) -> (ObjectRef, Vec<u8>) {
    let text = commit.to_json().unwrap();
    let object = lake.storage().objects().put_meta(text.clone().into(), Era(0)).await.unwrap();
    (object, text)
}

/// Commits that can be read, in the place of made-up ones. Each has its parent for all its past.
async fn make_real(lake: &Lake, entries: &mut [HistoryEntry], versions: impl Iterator<Item = u64>) {
    for version in versions {
        let at = usize::try_from(version).unwrap();
        let before = entries[at - 1].clone();
        let mut history = Root::default();
        let edit: Edit<History> = Some(before.clone());
        history.edit([(before.seq, edit)]);
        entries[at].commit = put(lake, &after(&before, history)).await.0;
    }
}

/// Makes this history the past of a new head of the branch.
pub(crate) async fn replace_history(lake: &Lake, head: &Head, entries: Vec<HistoryEntry>) {
    let last = entries.last().unwrap().clone();
    let history = head.trees().build(stream::iter(entries.into_iter().map(Ok)), Era(0)).await.unwrap();
    let (object, text) = put(lake, &after(&last, history)).await;
    let mut pack = Pack::builder();
    pack.push(object.hash, std::str::from_utf8(&text).unwrap()).unwrap();
    let (pack, mine) =
        (pack.finish(), |nonce| move |now: &Loaded| Ok(Pointer::parse(&now.bytes)?.nonce() == nonce));
    let deadline = Deadline::after(std::time::Duration::from_secs(10));
    let settled = lake.swap(head, |next| Ok(next.advance(object, pack)?), mine, deadline).await.unwrap();
    assert!(matches!(settled, Settled::Applied(_)));
}

async fn long_lake(counted: &Counted, real: impl Iterator<Item = u64>) {
    let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
    let mut entries = made_up(VERSIONS);
    make_real(&lake, &mut entries, real).await;
    replace_history(&lake, lake.head(), entries).await;
}

/// Whoever gives keys most often gives them to all transactions.
#[test]
fn a_key_among_a_hundred_thousand_is_looked_for_in_two_waves() {
    paused(async {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        let mut entries = made_up(VERSIONS);
        for entry in &mut entries {
            (entry.txn, entry.keyed) = (TxnId::of_key(&format!("load {}", entry.seq)), true);
        }
        make_real(&lake, &mut entries, [40_000].into_iter()).await;
        replace_history(&lake, lake.head(), entries).await;
        for (key, found) in [("load 40000", true), ("load 100001", false)] {
            let cold = counted.cold();
            let lake = open(cold.storage.clone()).await.unwrap();
            let (begun, counts) = cold.store.measure(async { lake.begin().key(key).await }).await;
            // The pointer, the inner nodes side by side, the leaf with one in a hundred others, the commit.
            assert!(counts.depth() <= if found { 4 } else { 3 }, "{key}: {counts}");
            assert!(counts.to(PathClass::Meta).requests <= 40, "{key}: {counts}");
            assert_eq!(counts.total().requests, counts.reads().requests);
            let before = begun.unwrap().committed_before().map(|commit| commit.version().0);
            assert_eq!(before, found.then_some(40_000), "{key}");
        }
    });
}

#[test]
fn which_commit_a_version_or_time_among_a_hundred_thousand_is_three_requests_tell() {
    paused(async {
        let counted = Counted::new();
        long_lake(&counted, [1, 50_000, 99_999].into_iter()).await;
        for (text, version) in [
            ("version:50000".to_owned(), 50_000),
            ("main~50000".to_owned(), 50_000),
            (format!("main@{{{}}}", time(50_000)), 50_000),
            (format!("time:{}", time(1)), 1),
            ("main~".to_owned(), 99_999),
        ] {
            let cold = counted.cold();
            let lake = open(cold.storage.clone()).await.unwrap();
            let (found, counts) = cold.store.measure(lake.at(text.as_str())).await;
            assert_eq!(found.unwrap().version().0, version, "{text}");
            assert_eq!(counts.of_to(RequestKind::Get, PathClass::Pointer).requests, 1, "{text}: {counts}");
            // The pointer and at most two nodes tell its hash; then it is read.
            assert!(counts.to(PathClass::Meta).requests <= 3, "{text}: {counts}");
            assert!(counts.depth() <= 4, "{text}: {counts}");
            assert_eq!(counts.total().requests, counts.reads().requests);
            assert_eq!(counts.of(RequestKind::List).requests, 0);
        }
    });
}

#[test]
fn the_first_ten_of_a_long_log_cost_a_way_down_the_history_and_ten_commits() {
    paused(async {
        let counted = Counted::new();
        long_lake(&counted, 99_980..100_000).await;
        let cold = counted.cold();
        let lake = open(cold.storage.clone()).await.unwrap();
        let read = async {
            let log = lake.at("main").await.unwrap().log();
            log.limit(10).stream().try_collect::<Vec<_>>().await.unwrap()
        };
        let (log, counts) = cold.store.measure(read).await;
        let versions: Vec<u64> = log.iter().map(|commit| commit.version().0).collect();
        assert_eq!(versions, (99_991..=100_000).rev().collect::<Vec<_>>());
        assert_eq!(counts.to(PathClass::Pointer).requests, 1, "{counts}");
        // The head was at hand; nine commits and the nodes on the way to them are read.
        assert!(counts.to(PathClass::Meta).requests <= 9 + 2, "{counts}");
    });
}

#[test]
fn a_log_reads_no_further_ahead_than_its_prefetch() {
    paused(async {
        let counted = Counted::new();
        long_lake(&counted, 99_900..100_000).await;
        let cold = counted.cold();
        let lake = open(cold.storage.clone()).await.unwrap();
        let read = async {
            let log = lake.at("main").await.unwrap().log();
            log.prefetch(std::num::NonZeroUsize::new(3).unwrap())
                .stream()
                .take(5)
                .try_collect::<Vec<_>>()
                .await
                .unwrap()
        };
        let (log, counts) = cold.store.measure(read).await;
        assert_eq!(log.len(), 5);
        assert!(counts.to(PathClass::Meta).requests <= 4 + 3 + 4, "{counts}");
    });
}

#[test]
fn making_a_branch_takes_few_requests_and_leaves_no_pin() {
    paused(async {
        let counted = Counted::new();
        let made = Lake::create_in(counted.storage.clone()).await.unwrap();
        crate::past::grow(&made, "main", 3).await;
        let cold = counted.cold();
        let lake = open(cold.storage.clone()).await.unwrap();
        let (dev, counts) = cold.store.measure(async { lake.create_branch("dev").await }).await;
        assert_eq!(dev.unwrap().version().0, 3);
        // Looked up, pinned, looked up again, reserved, the source asked, made live, unpinned; the probe is not repeated.
        assert_eq!(counts.depth(), 7, "{counts}");
        assert_eq!(counts.total().requests, 8, "{counts}");
        let (list, counts) = cold.store.measure(lake.branches()).await;
        assert_eq!(list.unwrap().len(), 2);
        assert_eq!(counts.depth(), 2, "{counts}");
        let main = lake.branch(&crate::past::branch("main")).await.unwrap();
        assert!(main.pointer().pins().is_empty());
    });
}
