//! Idempotency keys: a job that is run again commits once.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline::{ErrorKind, Lake, Report, Resolution, Result};
use strandline_testkit::{Answer, Effect, FaultyStore, PathClass, RequestKind, Script, Target, VirtualClock};

use crate::fixture::{open, paused};
use crate::past::storage;
use crate::work::{change, ids_of, order_fields, orders, shop};

/// The job: appends a row, under a key.
async fn job(lake: &Lake, key: &str) -> Result<Report> {
    let transaction = lake.begin().key(key).await?;
    if transaction.committed_before().is_none() {
        transaction.append("orders", orders(7..8)).await?;
    }
    transaction.commit().await
}

#[test]
fn a_job_that_is_run_again_commits_once() {
    paused(async {
        let (counted, lake) = shop(0).await;
        let first = job(&lake, "monday").await.unwrap();
        assert!(!first.already && first.commit.is_keyed());
        let other = open(counted.cold().storage).await.unwrap();
        for lake in [&lake, &other] {
            for _ in 0..2 {
                let again = job(lake, "monday").await.unwrap();
                assert!(again.already);
                assert_eq!(again.commit.hash(), first.commit.hash());
            }
        }
        // Others have built upon it, so that it stands in the history only.
        for id in 10..13 {
            other.append("orders", orders(id..id + 1)).await.unwrap();
        }
        assert!(job(&lake, "monday").await.unwrap().already);
        assert!(!job(&lake, "tuesday").await.unwrap().already);
        assert_eq!(ids_of(&lake, "orders").await, [7, 7, 10, 11, 12]);
    });
}

#[test]
fn of_jobs_that_run_at_once_one_commits() {
    paused(async {
        let (counted, lake) = shop(0).await;
        let other = open(counted.cold().storage).await.unwrap();
        let jobs = (0..6).map(|at| job(if at % 2 == 0 { &lake } else { &other }, "monday"));
        let reports = futures::future::join_all(jobs).await;
        let reports: Vec<Report> = reports.into_iter().collect::<Result<_>>().unwrap();
        assert_eq!(reports.iter().filter(|report| !report.already).count(), 1);
        assert!(reports.iter().all(|report| report.commit.hash() == reports[0].commit.hash()));
        assert_eq!(ids_of(&lake, "orders").await, [7]);
    });
}

/// A commit of another process under the same key says nothing of those who went along in one swap.
#[test]
fn who_goes_along_with_a_job_that_another_did_commits_too() {
    paused(async {
        let (counted, lake) = shop(0).await;
        let begun = lake.begin().key("monday").await.unwrap();
        let along = lake.begin().await.unwrap();
        begun.append("orders", orders(7..8)).await.unwrap();
        along.append("orders", orders(9..10)).await.unwrap();
        let other = open(counted.cold().storage).await.unwrap();
        let first = job(&other, "monday").await.unwrap();
        let (along, begun) = futures::join!(along.commit().into_future(), begun.commit().into_future());
        let (along, begun) = (along.unwrap(), begun.unwrap());
        assert!(begun.already && !along.already);
        assert_eq!(begun.commit.hash(), first.commit.hash());
        assert_eq!(lake.main().await.unwrap().commit().hash(), along.commit.hash());
        assert_eq!(ids_of(&lake, "orders").await, [7, 9]);
    });
}

/// The same key before the first of them has committed: the work of the second is not done twice, and not lost by a conflict.
#[test]
fn a_job_that_began_before_the_other_committed_finds_it() {
    paused(async {
        let (_, lake) = shop(3).await;
        let begin = async || {
            let transaction = lake.begin().key("monday").await.unwrap();
            transaction.overwrite("orders", orders(7..8)).await.unwrap();
            transaction
        };
        let (one, two) = (begin().await, begin().await);
        let first = one.commit().await.unwrap();
        let second = two.commit().await.unwrap();
        assert!(second.already);
        assert_eq!(second.commit.hash(), first.commit.hash());
    });
}

#[test]
fn a_key_holds_for_one_branch() {
    paused(async {
        let (_, lake) = shop(0).await;
        lake.create_branch("before").await.unwrap();
        job(&lake, "monday").await.unwrap();
        lake.create_branch("after").await.unwrap();
        let on = async |branch: &str| lake.begin().branch(branch).key("monday").await.unwrap();
        assert!(on("before").await.committed_before().is_none());
        assert!(on("after").await.committed_before().is_some());
        let transaction = on("before").await;
        transaction.append("orders", orders(9..10)).await.unwrap();
        assert!(!transaction.commit().await.unwrap().already);
    });
}

/// The swap is applied or not, and every answer is lost until the time is up: a re-run settles it.
#[test]
fn after_an_unknown_outcome_the_job_is_run_again() {
    paused(async {
        for applied in [true, false] {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let clock = VirtualClock::default();
            let lake = Lake::create_in(storage(&store, 1, &clock)).await.unwrap();
            change(&lake, async |on| drop(on.create_table("orders").fields(order_fields()).await.unwrap()))
                .await;
            let swap = Target::any().kind(RequestKind::PutIfMatch).class(PathClass::Pointer);
            let script = Script::empty()
                .and(swap.clone(), Effect::Fail { applied, answer: Answer::Timeout })
                .and(swap.nth(1).always(), Effect::fail(Answer::Timeout))
                .and(
                    Target::any().kind(RequestKind::Get).class(PathClass::Pointer).nth(2).always(),
                    Effect::fail(Answer::Timeout),
                );
            let faulty: Arc<dyn ObjectStore> = Arc::new(FaultyStore::new(store.clone(), script));
            let unlucky = open(storage(&faulty, 2, &clock)).await.unwrap();
            let transaction = unlucky.begin().key("monday").await.unwrap();
            transaction.append("orders", orders(7..8)).await.unwrap();
            let error = transaction.commit().timeout(Duration::from_secs(5)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CommitUnknown, "{error}");
            let unresolved = error.unresolved().unwrap().clone();
            let lucky = open(storage(&store, 3, &clock)).await.unwrap();
            match lucky.resolve(&unresolved).await.unwrap() {
                Resolution::Committed(commit) => assert!(applied && commit.is_keyed()),
                Resolution::Open => assert!(!applied),
                Resolution::Aborted => panic!("nobody has fenced"),
            }
            assert_eq!(job(&lucky, "monday").await.unwrap().already, applied);
            assert!(job(&lucky, "monday").await.unwrap().already);
            assert_eq!(ids_of(&lucky, "orders").await, [7]);
        }
    });
}
