//! The committers of a process: who goes in one swap, who waits for whom and for how long, and what those are told whose committer
//! is slow, stands still or is stopped.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use strandline::commit::Patience;
use strandline::refs::Merged;
use strandline::{ErrorKind, Lake, Transaction};
use strandline_format::{Feature, Features};
use strandline_testkit::{Effect, FaultyStore, PathClass, RequestKind, Script, Target};
use tokio::time::{Instant, sleep};

use crate::faults::storage;
use crate::fixture::{open, paused};
use crate::past::{branch, fence, swap};
use crate::work::{change, ids_of, order_fields, orders};

const SECOND: Duration = Duration::from_secs(1);

/// A lake with the tables `orders` and `returns`, on a store that fails by script, and the same lake as another process sees it.
struct Shop {
    store: FaultyStore,
    lake: Lake,
    other: Lake,
}

async fn shop() -> Shop {
    let inner = Arc::new(InMemory::new());
    let other = Lake::create_in(storage(inner.clone(), 1)).await.unwrap();
    change(&other, async |on| {
        for name in ["orders", "returns"] {
            on.create_table(name).fields(order_fields()).await.unwrap();
        }
    })
    .await;
    let store = FaultyStore::new(inner, Script::empty());
    let lake = open(storage(Arc::new(store.clone()), 2)).await.unwrap();
    Shop { store, lake, other }
}

/// The swaps of a branch, from the next one on.
fn swaps(branch: &str) -> Target {
    let path = Path::from(format!("refs/branches/{branch}.json"));
    Target::any().kind(RequestKind::PutIfMatch).path(path)
}

fn slow(seconds: u32) -> Effect {
    Effect::Slow(SECOND * seconds)
}

impl Shop {
    fn script(&self, faults: impl IntoIterator<Item = (Target, Effect)>) {
        let script =
            faults.into_iter().fold(Script::empty(), |script, (target, effect)| script.and(target, effect));
        self.store.set_script(script);
    }

    /// A transaction that appends this order to a table.
    async fn append(&self, table: &str, id: i64) -> Transaction {
        let transaction = self.lake.begin().await.unwrap();
        transaction.append(table, orders(id..id + 1)).await.unwrap();
        transaction
    }

    /// One whose rows have to be read to see that none of them has the id 5.
    async fn around_five(&self) -> Transaction {
        let transaction = self.append("orders", 1).await;
        transaction.append("orders", orders(8..9)).await.unwrap();
        transaction
    }

    async fn keyed(&self, id: i64) -> Transaction {
        let transaction = self.lake.begin().key("monday").await.unwrap();
        transaction.append("orders", orders(id..id + 1)).await.unwrap();
        transaction
    }

    /// How many requests of a kind there were since the script began.
    fn count(&self, kind: RequestKind, class: PathClass) -> usize {
        let requests = self.store.requests();
        requests.iter().filter(|request| request.kind == kind && request.class == class).count()
    }
}

/// One that is patient no longer is told what became of itself, and takes nothing away from another one with its key.
#[test]
fn of_two_with_one_key_each_is_told_of_itself() {
    paused(async {
        let shop = shop().await;
        let (one, beside, two) = (shop.keyed(1).await, shop.append("orders", 2).await, shop.keyed(3).await);
        shop.script([(swaps("main"), slow(40))]);
        let second = async {
            sleep(SECOND / 2).await;
            two.commit().await
        };
        let (one, beside, two) =
            tokio::join!(one.commit().timeout(SECOND).into_future(), beside.commit().into_future(), second);
        beside.unwrap();
        let committed = ids_of(&shop.other, "orders").await;
        assert_eq!(one.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(!two.unwrap().already);
        assert_eq!(committed, [2, 3]);
    });
}

/// Who has little time is told within it and a fence, for certain; who has more is tried again.
#[test]
fn each_of_a_group_has_its_own_deadline() {
    paused(async {
        let shop = shop().await;
        let (hasty, patient) = (shop.append("orders", 1).await, shop.append("orders", 2).await);
        shop.script([(swaps("main"), slow(40))]);
        let begun = Instant::now();
        let hasty = async {
            let outcome = hasty.commit().timeout(SECOND).await;
            (outcome, begun.elapsed())
        };
        let ((hasty, took), patient) = tokio::join!(hasty, patient.commit().into_future());
        assert_eq!(hasty.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(took < SECOND * 9, "{took:?}");
        patient.unwrap();
        assert!(begun.elapsed() < SECOND * 12, "{:?}", begun.elapsed());
        assert_eq!(ids_of(&shop.other, "orders").await, [2]);
    });
}

/// The time of one passes while the committer is busy: it is not uploaded, sent or fenced.
#[test]
fn whoever_is_out_of_time_is_not_begun() {
    paused(async {
        let shop = shop().await;
        let (first, late) = (shop.append("orders", 1).await, shop.append("orders", 2).await);
        shop.script([(swaps("main"), slow(10))]);
        let late = async {
            sleep(SECOND).await;
            late.commit().timeout(SECOND * 5).await
        };
        let (first, late) = tokio::join!(first.commit().into_future(), late);
        assert_eq!(first.unwrap().commit.version().0, 2);
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(shop.count(RequestKind::PutIfMatch, PathClass::Pointer), 1, "{}", shop.store.log());
        assert_eq!(shop.count(RequestKind::Put, PathClass::Meta), 2, "{}", shop.store.log());
    });
}

/// A constraint was made meanwhile, so the rows of one are read, from a slow store; another one comes by.
#[test]
fn a_rebase_that_takes_long_lets_others_pass() {
    paused(async {
        let shop = shop().await;
        let long = shop.around_five().await;
        change(&shop.other, async |on| {
            on.alter_table("orders").add_check("not_five", "id <> 5").await.unwrap();
        })
        .await;
        shop.lake.main().await.unwrap();
        let quick = shop.append("returns", 2).await;
        shop.script([(Target::any().kind(RequestKind::Get).class(PathClass::Data).always(), slow(12))]);
        let begun = Instant::now();
        let quick = async {
            sleep(SECOND / 2).await;
            quick.commit().timeout(SECOND * 5).await.unwrap();
            begun.elapsed()
        };
        let (long, took) = tokio::join!(long.commit().into_future(), quick);
        assert!(took < SECOND * 2, "{took:?}");
        long.unwrap();
        assert_eq!(shop.count(RequestKind::Get, PathClass::Data), 2, "{}", shop.store.log());
        assert_eq!(ids_of(&shop.other, "orders").await, [1, 8]);
        assert_eq!(ids_of(&shop.other, "returns").await, [2]);
    });
}

/// Data that goes up along with its commit is waited for by nobody else, for long.
#[test]
fn data_that_is_late_lets_others_pass() {
    paused(async {
        let shop = shop().await;
        shop.script([(Target::any().kind(RequestKind::Put).class(PathClass::Data), slow(20))]);
        let (late, quick) = (shop.append("orders", 1).await, shop.append("returns", 2).await);
        let begun = Instant::now();
        let quick = async {
            let outcome = quick.commit().timeout(SECOND * 5).await;
            (outcome, begun.elapsed())
        };
        let (late, (quick, took)) = tokio::join!(late.commit().into_future(), quick);
        assert_eq!(quick.unwrap().commit.version().0, 2);
        assert!(took < SECOND * 4, "{took:?}");
        assert_eq!(late.unwrap().commit.version().0, 3);
        assert_eq!(ids_of(&shop.other, "orders").await, [1]);
    });
}

/// A server that is started anew costs a writer some time, and not what it has written.
#[test]
fn a_store_that_is_away_for_a_while_takes_the_data_later() {
    paused(async {
        let shop = shop().await;
        let away = Effect::fail(strandline_testkit::Answer::Refused);
        shop.script([(Target::any().kind(RequestKind::Put).class(PathClass::Data).always(), away)]);
        let append = shop.lake.append("orders", orders(1..2)).into_future();
        let back = async {
            sleep(SECOND * 20).await;
            shop.script([]);
        };
        let (appended, ()) = tokio::join!(append, back);
        appended.unwrap();
        assert_eq!(ids_of(&shop.other, "orders").await, [1]);
    });
}

/// What a store in trouble does to one is no reason for the others to wait.
#[test]
fn a_table_that_cannot_be_read_holds_up_nobody_else() {
    paused(async {
        let shop = shop().await;
        let unlucky = shop.around_five().await;
        change(&shop.other, async |on| {
            on.alter_table("orders").add_check("not_five", "id <> 5").await.unwrap();
        })
        .await;
        shop.lake.main().await.unwrap();
        let refused = Effect::fail(strandline_testkit::Answer::Refused);
        shop.script([(Target::any().kind(RequestKind::Get).class(PathClass::Data).always(), refused)]);
        let begun = Instant::now();
        let others = async {
            for id in 2..6 {
                sleep(SECOND).await;
                shop.lake.append("returns", orders(id..id + 1)).await.unwrap();
            }
            begun.elapsed()
        };
        let (unlucky, took) = tokio::join!(unlucky.commit().timeout(SECOND * 20).into_future(), others);
        assert!(took < SECOND * 12, "{took:?}");
        assert_eq!(unlucky.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(ids_of(&shop.other, "returns").await, [2, 3, 4, 5]);
        assert_eq!(ids_of(&shop.other, "orders").await, [0_i64; 0]);
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A commit that has ended leaves nothing behind in its runtime on which the next one, in another runtime, would wait.
#[test]
fn a_committer_that_has_served_all_is_gone() {
    let first = runtime();
    let shop = first.block_on(async {
        let shop = shop().await;
        shop.lake.append("orders", orders(1..2)).await.unwrap();
        shop
    });
    let next = shop.lake.append("orders", orders(2..3));
    let next = async { tokio::time::timeout(SECOND * 10, next).await };
    assert_eq!(runtime().block_on(next).expect("it is served").unwrap().commit.version().0, 3);
    drop(first);
}

/// Whoever comes to a committer that stands still is told that nothing was begun: plain commits, and merges too.
#[test]
fn nobody_waits_for_ever_on_a_committer_that_stands_still() {
    let still = runtime();
    let shop = still.block_on(async {
        let shop = shop().await;
        shop.other.create_branch("dev").await.unwrap();
        let on_dev = shop.other.begin().branch("dev").await.unwrap();
        on_dev.append("orders", orders(1..2)).await.unwrap();
        on_dev.commit().await.unwrap();
        shop.other.append("orders", orders(2..3)).await.unwrap();
        shop.script([(swaps("main"), Effect::Hang { applied: false })]);
        let stuck = shop.lake.append("returns", orders(1..2));
        assert!(tokio::time::timeout(SECOND / 4, stuck).await.is_err());
        shop
    });
    paused(async {
        let merge = tokio::time::timeout(SECOND * 600, shop.lake.merge("dev").into("main").into_future());
        let append = shop.lake.append("orders", orders(5..6));
        let (merge, append) = tokio::join!(merge, append);
        assert_eq!(merge.expect("it is told").unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(append.unwrap_err().kind(), ErrorKind::Unavailable);
        let dev = shop.other.branch(&branch("dev")).await.unwrap();
        assert!(dev.pointer().pins().is_empty());
        assert_eq!(ids_of(&shop.other, "orders").await, [2]);
    });
}

/// The runtime of a committer goes away: what was sent is unknown, what was not is not committed, and the next one is served.
#[test]
fn a_committer_that_is_stopped_tells_the_truth_and_is_replaced() {
    let (stopped, driven) = (runtime(), runtime());
    let shop = stopped.block_on(async {
        let shop = shop().await;
        shop.script([(swaps("main"), Effect::Hang { applied: false })]);
        let stuck = shop.lake.append("orders", orders(1..2));
        assert!(tokio::time::timeout(SECOND / 4, stuck).await.is_err());
        shop
    });
    let (behind,) = driven.block_on(async {
        let behind = shop.append("orders", 2).await;
        let mut commit = behind.commit().into_future();
        assert!(tokio::time::timeout(SECOND / 4, &mut commit).await.is_err());
        (commit,)
    });
    drop(stopped);
    driven.block_on(async {
        let told = tokio::time::timeout(SECOND * 10, behind).await.expect("it is told");
        assert_eq!(told.unwrap_err().kind(), ErrorKind::Unavailable);
        shop.lake.append("orders", orders(3..4)).await.unwrap();
        assert_eq!(ids_of(&shop.other, "orders").await, [3]);
    });
}

/// A branch `dev` whose merge into `main` is one commit.
async fn parted(shop: &Shop) {
    shop.other.create_branch("dev").await.unwrap();
    let on_dev = shop.other.begin().branch("dev").await.unwrap();
    on_dev.append("orders", orders(1..2)).await.unwrap();
    on_dev.commit().await.unwrap();
    shop.other.append("orders", orders(2..3)).await.unwrap();
}

#[test]
fn a_merge_that_takes_long_leaves_no_pin() {
    paused(async {
        let shop = shop().await;
        parted(&shop).await;
        shop.script([(swaps("main"), slow(40)), (swaps("dev").nth(1), slow(1))]);
        let merged = shop.lake.merge("dev").into("main").await.unwrap();
        assert!(matches!(merged, Merged::Committed(_)));
        let dev = shop.other.branch(&branch("dev")).await.unwrap();
        assert!(dev.pointer().pins().is_empty());
    });
}

/// A merge that turns out to conflict leaves nothing of its source in the pointer that those behind it swap [TXN-7].
#[test]
fn a_merge_that_failed_leaves_nothing_to_the_next_in_its_group() {
    paused(async {
        let shop = shop().await;
        parted(&shop).await;
        let rename = async |lake: &Lake, branch: &str, to: &str| {
            let transaction = lake.begin().branch(branch).await.unwrap();
            transaction.rename("orders", to).await.unwrap();
            transaction.commit().await.unwrap();
        };
        fence(&shop.other, "dev", 1).await;
        rename(&shop.other, "dev", "sold").await;
        let (before, behind) = (shop.append("returns", 1).await, shop.append("returns", 2).await);
        // The merge is looked at, and pins its source until others have made it conflict and the committer is busy.
        shop.script([(swaps("dev"), slow(5)), (swaps("main"), slow(5))]);
        let merge = shop.lake.merge("dev").into("main").into_future();
        let others = async {
            sleep(SECOND * 2).await;
            rename(&shop.other, "main", "bought").await;
            shop.lake.main().await.unwrap();
            sleep(SECOND * 2).await;
            let behind = async {
                sleep(SECOND * 2).await;
                behind.commit().await
            };
            tokio::join!(before.commit().into_future(), behind)
        };
        let (merged, (before, behind)) = tokio::join!(merge, others);
        assert!(matches!(merged.unwrap(), Merged::Conflicts(_)));
        before.unwrap();
        behind.unwrap();
        let main = shop.other.branch(&branch("main")).await.unwrap();
        assert_eq!((main.pointer().era().0, main.commit().seq.0), (0, 5));
    });
}

/// A branch requires what this writer does not know [TXN-4]: it is refused before anything is made upon it.
#[test]
fn a_writer_that_lacks_a_feature_of_the_base_stops_before_it_uploads() {
    paused(async {
        let shop = shop().await;
        let transaction = shop.append("orders", 1).await;
        let features = Features::new([], [Feature::new("later").unwrap()]).unwrap();
        swap(&shop.other, "main", |_, next| next.require(features.clone())).await.unwrap();
        shop.script([]);
        let error = transaction.commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        // Those of the attempt upon the head that was known.
        assert_eq!(shop.count(RequestKind::Put, PathClass::Meta), 2, "{}", shop.store.log());
    });
}

/// Rows for a branch that is gone are refused as such, and from then on before they are written.
#[test]
fn an_append_to_a_branch_that_was_deleted_finds_nothing() {
    paused(async {
        let shop = shop().await;
        shop.other.create_branch("dev").await.unwrap();
        let dev = Lake::open_in(storage(Arc::new(shop.store.clone()), 3), &branch("dev")).await.unwrap();
        dev.append("orders", orders(1..2)).await.unwrap();
        shop.other.delete_branch("dev").await.unwrap();
        for uploads in [1, 0] {
            shop.script([]);
            let error = dev.append("orders", orders(2..3)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert_eq!(shop.count(RequestKind::Put, PathClass::Data), uploads, "{}", shop.store.log());
        }
        // Made anew, it is the branch that rows go to.
        shop.other.create_branch("dev").await.unwrap();
        dev.append("orders", orders(2..3)).await.unwrap();
        shop.other.delete_branch("dev").await.unwrap();
        shop.other.create_branch("dev").await.unwrap();
        dev.append("orders", orders(3..4)).await.unwrap();
        let ids = crate::work::ids(&shop.other.at("dev").await.unwrap().table("orders").await.unwrap()).await;
        assert_eq!(ids, [3]);
    });
}

/// A pointer that somebody removes by hand is never taken for "not committed" where the store says no more than that the condition
/// failed: at the end of the time it is said what is missing [UNK-2].
#[test]
fn a_commit_whose_pointer_was_removed_by_hand_says_what_is_missing() {
    paused(async {
        let shop = shop().await;
        let transaction = shop.lake.begin().await.unwrap();
        transaction.append("orders", orders(1..2)).await.unwrap();
        shop.store.delete(&Path::from("refs/branches/main.json")).await.unwrap();
        let begun = Instant::now();
        let patience = Patience { timeout: 5 * SECOND, ..Patience::default() };
        let error = transaction.commit().patience(patience).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommitUnknown, "{error}");
        let names = ["refs/branches/main.json", "it was removed by hand"];
        assert!(names.iter().all(|names| error.message().contains(names)), "{error}");
        // A fence has as long again.
        assert!(begun.elapsed() <= 10 * SECOND, "{:?}", begun.elapsed());
        // Until somebody puts it back it is nowhere to be found out.
        assert!(shop.other.resolve(error.unresolved().unwrap()).await.is_err());
    });
}
