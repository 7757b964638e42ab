//! Logs give the truth, forwards and backwards, whole and in part.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use proptest::prelude::*;
use strandline::history::Log;
use strandline::{ErrorKind, Lake};
use strandline_testkit::VirtualClock;
use strandline_testkit::commits::commit;

use crate::fixture::paused;
use crate::past::{append, expire, grow, storage};

async fn versions(log: Log) -> Vec<u64> {
    log.stream().map_ok(|commit| commit.version().0).try_collect().await.unwrap()
}

/// A lake whose version n+1 changed the tables that `touched[n]` names.
async fn lake_of(touched: &[Vec<u8>]) -> Lake {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let lake = Lake::create_in(storage(&store, 1, &VirtualClock::default())).await.unwrap();
    let mut head = lake.head().clone();
    for (file, tables) in (1_u64..).zip(touched) {
        let edits = tables.iter().map(|table| append(&format!("t{table}"), file)).collect();
        head = commit(&lake, &head, edits).await.unwrap();
    }
    lake
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_log_is_what_was_committed(
        touched in proptest::collection::vec(proptest::sample::subsequence(vec![0_u8, 1, 2], 0..3), 1..40),
        from in 0_u64..45,
        to in 0_u64..45,
        limit in 1_u64..50,
        prefetch in 1_usize..20,
    ) {
        paused(async {
            let lake = lake_of(&touched).await;
            let main = lake.at("main").await.unwrap();
            let prefetch = NonZeroUsize::new(prefetch).unwrap();
            let log = || main.log().from(strandline_format::Seq(from)).to(strandline_format::Seq(to)).prefetch(prefetch);
            let all: Vec<u64> = (0..=touched.len() as u64).filter(|at| (from..=to).contains(at)).collect();
            let mut back = all.clone();
            back.reverse();
            assert_eq!(versions(log()).await, back);
            assert_eq!(versions(log().forwards()).await, all);
            let limited: Vec<u64> = back.iter().copied().take(usize::try_from(limit).unwrap()).collect();
            assert_eq!(versions(log().limit(limit)).await, limited);
            let changed = |at: &u64| at.checked_sub(1).is_some_and(|at| touched[usize::try_from(at).unwrap()].contains(&1));
            let of_table: Vec<u64> = all.iter().copied().filter(changed).collect();
            assert_eq!(versions(log().table("t1").forwards()).await, of_table);
        });
    }
}

#[test]
fn a_long_log_is_read_window_by_window() {
    paused(async {
        let lake = lake_of(&vec![Vec::new(); 300]).await;
        let main = lake.at("main").await.unwrap();
        assert_eq!(versions(main.log()).await, (0..=300).rev().collect::<Vec<_>>());
        assert_eq!(versions(main.log().forwards()).await, (0..=300).collect::<Vec<_>>());
        let past = lake.at("main~100").await.unwrap();
        assert_eq!(versions(past.log().limit(3)).await, [200, 199, 198]);
    });
}

#[test]
fn expired_versions_are_left_out_and_said_to_be_if_they_are_asked_for() {
    paused(async {
        let lake = lake_of(&vec![Vec::new(); 6]).await;
        lake.create_tag("four").on("main~2").await.unwrap();
        expire(&lake, "main", 3).await.unwrap();
        let main = lake.at("main").await.unwrap();
        assert_eq!(versions(main.log()).await, [6, 5, 4, 3]);
        assert_eq!(versions(main.log().forwards()).await, [3, 4, 5, 6]);
        assert_eq!(versions(lake.at("four").await.unwrap().log()).await, [4, 3]);
        let asked = main.log().from(strandline_format::Seq(1));
        let kinds = |read: Vec<strandline::Result<strandline::Commit>>| -> Vec<_> {
            read.into_iter()
                .map(|item| item.map(|commit| commit.version().0).map_err(|error| error.kind()))
                .collect()
        };
        let expired = Err(ErrorKind::SnapshotExpired);
        let backwards = kinds(asked.clone().stream().collect().await);
        assert_eq!(backwards, [Ok(6), Ok(5), Ok(4), Ok(3), expired]);
        assert_eq!(kinds(asked.clone().forwards().stream().collect().await), [expired]);
        assert_eq!(kinds(asked.limit(2).stream().collect().await), [Ok(6), Ok(5)]);
        // A tag that no branch reaches keeps its commit alone.
        expire(&lake, "main", 6).await.unwrap();
        assert_eq!(versions(lake.at("four").await.unwrap().log()).await, [4]);
    });
}

#[test]
fn a_commit_says_what_it_follows_and_what_it_changed() {
    paused(async {
        let lake = lake_of(&[vec![1], vec![1, 2]]).await;
        grow(&lake, "main", 1).await;
        let log: Vec<_> =
            lake.at("main").await.unwrap().log().forwards().stream().try_collect().await.unwrap();
        assert_eq!(log[0].parents().count(), 0);
        for pair in log.windows(2) {
            assert_eq!(pair[1].parent(), Some(pair[0].hash()));
            assert_eq!(pair[1].parents().collect::<Vec<_>>(), [pair[0].hash()]);
        }
        assert_eq!(log[2].changes().len(), 2);
        assert!(log[1].merged().is_none() && !log[1].is_keyed() && log[1].properties().is_empty());
        let changed = lake.at("main").await.unwrap().log().table("t");
        assert_eq!(versions(changed).await, [3]);
        // A name that is nowhere has no log, and what can be no name is refused.
        assert!(versions(lake.at("main").await.unwrap().log().table("nowhere")).await.is_empty());
        let bad = lake.at("main").await.unwrap().log().table("a..b").stream().try_next().await;
        assert_eq!(bad.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}
