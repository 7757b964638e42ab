//! Acts upon refs that race with each other and with collections, each begun at every tick of the other.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline::{ErrorKind, Lake, Result};
use strandline_format::{ObjectPath, Pointer};
use strandline_testkit::{
    CountingStore, Effect, FaultyStore, Release, RequestKind, Script, Target, VirtualClock,
};

use crate::collector::{check_whole, collect};
use crate::fixture::paused;
use crate::past::{branch, expire, grow, hour, reopen, storage};

/// How many ticks one begins after the other: more than an act takes.
const TICKS: u64 = 16;

async fn begin() -> Arc<dyn ObjectStore> {
    // Each request takes a tick, so that acts interleave.
    let store: Arc<dyn ObjectStore> = Arc::new(CountingStore::new(Arc::new(InMemory::new())));
    let lake = Lake::create_in(storage(&store, 1, &VirtualClock::at(hour(1)))).await.unwrap();
    grow(&lake, "main", 4).await;
    lake.create_branch("src").from("main~2").await.unwrap();
    grow(&lake, "src", 2).await;
    store
}

async fn after<T>(ticks: u64, act: impl Future<Output = T>) -> T {
    tokio::time::sleep(Duration::from_millis(ticks)).await;
    act.await
}

#[test]
fn of_two_who_make_one_branch_one_does() {
    paused(async {
        for ticks in 0..TICKS {
            let store = begin().await;
            let (one, other) = (reopen(&store, 2).await, reopen(&store, 3).await);
            let make = |lake: &Lake| lake.create_branch("dev").from("src").into_future();
            let (first, second) = futures::join!(make(&one), after(ticks, make(&other)));
            let kinds: Vec<_> =
                [first, second].into_iter().filter_map(Result::err).map(|error| error.kind()).collect();
            assert_eq!(kinds, [ErrorKind::AlreadyExists], "{ticks}");
            check_whole(&reopen(&store, 4).await, "two creators").await;
        }
    });
}

type Act = fn(&Lake) -> BoxFuture<'_, Result<()>>;

const TAKING: &[(&str, Act)] = &[
    ("branch", |lake| async move { lake.create_branch("dev").from("src").await.map(drop) }.boxed()),
    ("tag", |lake| async move { lake.create_tag("t").on("src").await.map(drop) }.boxed()),
    ("forward", |lake| async move { lake.fast_forward("behind").to("src").await.map(drop) }.boxed()),
    ("rename", |lake| async move { lake.rename_branch("src", "renamed").await.map(drop) }.boxed()),
];

const LETTING_GO: &[(&str, Act)] = &[
    ("delete", |lake| async move { lake.delete_branch("src").await }.boxed()),
    ("expire", |lake| expire(lake, "src", 4).boxed()),
];

/// One takes over what another lets go, while collections run: what a ref names afterwards is there, whoever won.
#[test]
fn what_is_taken_over_while_it_is_let_go_and_collected_is_kept_or_refused() {
    paused(async {
        let mut told = std::collections::BTreeMap::new();
        for (what, take) in TAKING {
            for (how, let_go) in LETTING_GO {
                for ticks in 0..TICKS {
                    let store = begin().await;
                    let (one, other) = (reopen(&store, 2).await, reopen(&store, 3).await);
                    one.create_branch("behind").from("src~").without_history().await.unwrap();
                    let collector = reopen(&store, 4).await;
                    let collecting = async {
                        for _ in 0..4 {
                            collect(&collector, &store).await;
                        }
                    };
                    let work = async {
                        let (taken, gone) =
                            futures::join!(after(ticks, take(&one)), after(TICKS / 2, let_go(&other)));
                        (taken.map_err(|error| error.kind()), gone.map_err(|error| error.kind()))
                    };
                    let (outcome, ()) = futures::join!(work, collecting);
                    *told.entry(format!("{what} {how} {outcome:?}")).or_insert(0) += 1;
                    for _ in 0..3 {
                        collect(&collector, &store).await;
                    }
                    let what = format!("{what} against {how} at {ticks}: {outcome:?}");
                    check_whole(&reopen(&store, 5).await, &what).await;
                    if let Err(kind) = outcome.0 {
                        let refused = matches!(kind, ErrorKind::NotFound | ErrorKind::SnapshotExpired);
                        assert!(refused, "{what}");
                    }
                }
            }
        }
        println!("taking over against letting go: {told:#?}");
    });
}

/// One who takes over stalls at any of its requests, while the source lets go and so many collections pass. The commits are
/// on the source alone.
#[test]
fn whoever_stalls_while_collections_pass_is_refused_or_keeps_what_it_names() {
    paused(async {
        for (what, take) in TAKING {
            for (how, let_go) in LETTING_GO {
                for collections in 0..4 {
                    for number in 0.. {
                        let store = begin().await;
                        let (collector, other) = (reopen(&store, 3).await, reopen(&store, 4).await);
                        collector.create_branch("behind").from("src~").without_history().await.unwrap();
                        let faulty = FaultyStore::recording(store.clone());
                        let shared: Arc<dyn ObjectStore> = Arc::new(faulty.clone());
                        let stalling = reopen(&shared, 2).await;
                        let slow = Effect::Slow(Duration::from_secs(10));
                        faulty.set_script(Script::empty().and(Target::any().nth(number), slow));
                        let meanwhile = after(1_000, async {
                            let_go(&other).await.map_err(|error| error.kind())?;
                            for _ in 0..collections {
                                collect(&collector, &store).await;
                            }
                            Ok::<_, ErrorKind>(())
                        });
                        let outcome = futures::join!(take(&stalling), meanwhile);
                        let at = format!(
                            "{what} against {how}, stalled at {number} for {collections} collections: {outcome:?}\n{}",
                            faulty.log()
                        );
                        if !faulty.unfired().is_empty() {
                            break;
                        }
                        for _ in 0..3 {
                            check_whole(&reopen(&store, 5).await, &at).await;
                            collect(&collector, &store).await;
                        }
                        check_whole(&reopen(&store, 6).await, &at).await;
                        if let Err(error) = outcome.0 {
                            let refused =
                                matches!(error.kind(), ErrorKind::NotFound | ErrorKind::SnapshotExpired);
                            assert!(refused, "{at}");
                        }
                    }
                }
            }
        }
    });
}

/// A reservation whose answer was lost lands long after its branch was given up.
#[test]
fn a_reservation_that_lands_late_is_a_tombstone() {
    paused(async {
        let store = begin().await;
        let faulty = FaultyStore::recording(store.clone());
        let shared: Arc<dyn ObjectStore> = Arc::new(faulty.clone());
        let lake = reopen(&shared, 2).await;
        let target = Target::any().kind(RequestKind::PutIfAbsent).always();
        faulty.set_script(Script::empty().and(target, Effect::Zombie(Release::ByHand)));
        let error = lake.create_branch("dev").from("src").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        // Nothing keeps the commit any more.
        let other = reopen(&store, 3).await;
        other.delete_branch("src").await.unwrap();
        for _ in 0..4 {
            collect(&other, &store).await;
        }
        faulty.release_zombies().await;
        let path = ObjectPath::branch(&branch("dev"));
        let loaded = other.storage().refs().load(&path).await.unwrap().unwrap();
        assert_eq!(Pointer::parse(&loaded.bytes).unwrap().state(), strandline_format::RefState::Deleted);
        collect(&other, &store).await;
        check_whole(&reopen(&store, 4).await, "late reservation").await;
        other.create_branch("dev").from("main").await.unwrap();
    });
}
