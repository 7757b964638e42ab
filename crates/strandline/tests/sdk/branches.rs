//! Branches: made, deleted, renamed, moved forward, and what is refused.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline::changes::Cursor;
use strandline::{ErrorKind, Lake, Result};
use strandline_format::{ObjectPath, Pointer, RefState};
use strandline_testkit::{Answer, Effect, FaultyStore, RequestKind, Script, Status, Target, VirtualClock};

use crate::collector::{check_whole, collect};
use crate::fixture::paused;
use crate::past::{branch, expire, fence, grow, hour, reopen, storage};
use crate::work::{change, ids, order_fields, orders};

async fn lake_of(commits: u64) -> (Lake, Arc<dyn ObjectStore>) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let lake = Lake::create_in(storage(&store, 1, &VirtualClock::at(hour(1)))).await.unwrap();
    grow(&lake, "main", commits).await;
    (lake, store)
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

async fn pointer(lake: &Lake, name: &str) -> Pointer {
    let path = ObjectPath::branch(&branch(name));
    Pointer::parse(&lake.storage().refs().load(&path).await.unwrap().unwrap().bytes).unwrap()
}

#[test]
fn a_branch_begins_at_what_it_is_made_from_and_goes_its_own_way() {
    paused(async {
        let (lake, _) = lake_of(5).await;
        lake.create_tag("three").on("main@{3}").await.unwrap();
        for (name, from, version) in
            [("head", "main", 5), ("older", "main~2", 3), ("tagged", "three", 3), ("named", "v4", 4)]
        {
            let made = lake.create_branch(name).from(from).await.unwrap();
            assert_eq!((made.version().0, made.branch().as_str(), made.is_head()), (version, name, true));
            assert_eq!(lake.at(format!("{name}@{{1}}")).await.unwrap().version().0, 1, "{name}");
        }
        let hash = lake.at("main~4").await.unwrap().commit().hash();
        let alone =
            lake.create_branch("alone").from(format!("commit:{hash}")).without_history().await.unwrap();
        assert_eq!(alone.version().0, 1);
        assert_eq!(kind(lake.at("alone~").await), ErrorKind::SnapshotExpired);
        grow(&lake, "older", 4).await;
        assert_eq!(lake.at("main").await.unwrap().version().0, 5);
        assert_ne!(
            lake.at("older@{5}").await.unwrap().commit().hash(),
            lake.at("main").await.unwrap().commit().hash()
        );
        let listed = lake.branches().await.unwrap();
        let listed: Vec<_> =
            listed.iter().map(|found| (found.name.as_str(), found.version.0, found.oldest.0)).collect();
        assert_eq!(
            listed,
            [
                ("alone", 1, 1),
                ("head", 5, 0),
                ("main", 5, 0),
                ("named", 4, 0),
                ("older", 7, 0),
                ("tagged", 3, 0)
            ]
        );
        assert!(pointer(&lake, "main").await.pins().is_empty());
    });
}

#[test]
fn what_cannot_be_made_is_refused_by_kind() {
    paused(async {
        let (lake, _) = lake_of(5).await;
        lake.create_branch("dev").await.unwrap();
        expire(&lake, "main", 3).await.unwrap();
        assert_eq!(kind(lake.create_branch("DEV").await), ErrorKind::AlreadyExists);
        assert_eq!(kind(lake.create_branch("a b").await), ErrorKind::InvalidInput);
        assert_eq!(kind(lake.create_branch("x").from("main@{2}").await), ErrorKind::SnapshotExpired);
        assert_eq!(kind(lake.create_branch("x").from("main@{6}").await), ErrorKind::NotFound);
        assert_eq!(kind(lake.create_branch("x").from("nowhere").await), ErrorKind::NotFound);
        // A ref that was looked up before its version was expired.
        let stale = lake.at("main@{3}").await.unwrap();
        expire(&lake, "main", 4).await.unwrap();
        assert_eq!(kind(lake.create_branch("x").from(&stale).await), ErrorKind::SnapshotExpired);
        assert_eq!(lake.branches().await.unwrap().len(), 2);
        assert_eq!(kind(lake.delete_branch("x").await), ErrorKind::NotFound);
        let made = lake.create_branch("x").from("main").await.unwrap();
        assert_eq!(pointer(&lake, "x").await.expired_before().0, 4);
        assert_eq!(made.version().0, 5);
    });
}

#[test]
fn a_deleted_branch_is_gone_and_can_be_made_again() {
    paused(async {
        let (lake, _) = lake_of(2).await;
        let dev = lake.create_branch("dev").from("main~").await.unwrap();
        let main = lake.at("main").await.unwrap().commit().hash();
        assert_eq!(kind(lake.delete_branch("dev").expecting(main).await), ErrorKind::Conflict);
        lake.delete_branch("dev").expecting(dev.commit().hash()).await.unwrap();
        assert_eq!(kind(lake.at("branch:dev").await), ErrorKind::NotFound);
        assert_eq!(kind(lake.delete_branch("dev").await), ErrorKind::NotFound);
        let tombstone = pointer(&lake, "dev").await;
        assert_eq!(tombstone.state(), RefState::Deleted);
        assert_eq!((tombstone.pins().len(), tombstone.pins()[0].from.0), (1, 0));
        let again = lake.create_branch("Dev").from("main").await.unwrap();
        assert_eq!((again.branch().as_str(), again.version().0), ("Dev", 2));
        lake.delete_branch("main").await.unwrap();
        assert_eq!(kind(lake.delete_branch("dev").await), ErrorKind::Conflict);
    });
}

#[test]
fn who_reads_a_branch_that_is_deleted_goes_on_and_is_told_when_it_looks_again() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = Lake::create_in(storage(&store, 1, &VirtualClock::at(hour(1)))).await.unwrap();
        change(&lake, async |on| drop(on.create_table("orders").fields(order_fields()).await.unwrap())).await;
        lake.append("orders", orders(0..3)).await.unwrap();
        lake.create_branch("dev").await.unwrap();
        for from in [10, 20] {
            let on = lake.begin().branch("dev").await.unwrap();
            on.append("orders", orders(from..from + 3)).await.unwrap();
            on.commit().await.unwrap();
        }
        let reader = reopen(&store, 5).await;
        let dev = reader.at("dev").await.unwrap();
        let table = dev.table("orders").await.unwrap();
        let mut scan = table.scan().batch_rows(NonZeroUsize::MIN).await.unwrap();
        assert_eq!(scan.try_next().await.unwrap().unwrap().num_rows(), 1);
        let changes = table.changes("dev~2", "dev").await.unwrap();
        let unfinished = reader.begin().branch("dev").await.unwrap();
        unfinished.append("orders", orders(30..31)).await.unwrap();
        let late = reopen(&store, 6).await.at("dev").await.unwrap();
        let mut events = reader.subscribe(Cursor::at(&dev), [""; 0]).stream();
        lake.delete_branch("dev").await.unwrap();

        // Whatever is open goes on from the commit that it has.
        let rows = |batches: Vec<RecordBatch>| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        assert_eq!(rows(scan.try_collect().await.unwrap()), 8);
        assert_eq!(rows(changes.try_collect().await.unwrap()), 6);
        assert_eq!(ids(&table).await, [0, 1, 2, 10, 11, 12, 20, 21, 22]);
        assert_eq!(dev.table("orders").await.unwrap().rows(), 9);
        assert_eq!(dev.parent().await.unwrap().unwrap().table("orders").await.unwrap().rows(), 6);

        // Whoever looks at the branch again is told.
        let told = [
            ("at", reader.at("dev").await.map(drop)),
            ("begin", reader.begin().branch("dev").await.map(drop)),
            ("commit", unfinished.commit().await.map(drop)),
            ("merge", reader.merge("dev").into("main").await.map(drop)),
            ("subscription", events.try_next().await.map(drop)),
        ];
        for (what, told) in told {
            let error = told.expect_err(what);
            assert_eq!(error.kind(), ErrorKind::NotFound, "{what}: {error}");
            assert!(error.message().contains("\"dev\""), "{what}: {error}");
        }

        // What it alone had is collected in time, and reading on is no defect of the lake.
        for _ in 0..4 {
            collect(&lake, &store).await;
        }
        let log: Result<Vec<_>> = late.log().stream().try_collect().await;
        assert_eq!(log.unwrap_err().kind(), ErrorKind::SnapshotExpired);
        check_whole(&lake, "deleted").await;
    });
}

#[test]
fn a_branch_is_renamed_with_what_was_committed_meanwhile() {
    paused(async {
        let (lake, _) = lake_of(2).await;
        lake.create_branch("other").await.unwrap();
        assert_eq!(kind(lake.rename_branch("main", "Main").await), ErrorKind::InvalidInput);
        assert_eq!(kind(lake.rename_branch("main", "other").await), ErrorKind::AlreadyExists);
        assert_eq!(kind(lake.rename_branch("nowhere", "x").await), ErrorKind::NotFound);
        let renamed = lake.rename_branch("main", "trunk").await.unwrap();
        assert_eq!((renamed.branch().as_str(), renamed.version().0), ("trunk", 2));
        let names: Vec<_> =
            lake.branches().await.unwrap().into_iter().map(|found| found.name.as_str().to_owned()).collect();
        assert_eq!(names, ["other", "trunk"]);
        // Asked again, it is done.
        assert_eq!(lake.rename_branch("main", "trunk").await.unwrap().version().0, 2);
    });
}

#[test]
fn a_branch_goes_forward_and_nowhere_else() {
    paused(async {
        let (lake, _) = lake_of(3).await;
        lake.create_branch("dev").from("main~2").await.unwrap();
        lake.create_branch("far").from("main~2").await.unwrap();
        grow(&lake, "far", 1).await;
        let (first, second) = (lake.at("dev").await.unwrap(), lake.at("main~").await.unwrap());
        assert_eq!(lake.fast_forward("dev").to("main~").await.unwrap().version().0, 2);
        assert_eq!(
            kind(lake.fast_forward("dev").to("main").expecting(first.commit().hash()).await),
            ErrorKind::Conflict
        );
        lake.fast_forward("dev").to("main").expecting(second.commit().hash()).await.unwrap();
        assert_eq!(lake.fast_forward("dev").to("main").await.unwrap().version().0, 3);
        assert_eq!(kind(lake.fast_forward("dev").to("main~").await), ErrorKind::Conflict);
        assert_eq!(kind(lake.fast_forward("far").to("main").await), ErrorKind::Conflict);
        assert_eq!(kind(lake.fast_forward("nowhere").to("main").await), ErrorKind::NotFound);
        assert_eq!(lake.at("dev~3").await.unwrap().version().0, 0);
        assert!(pointer(&lake, "main").await.pins().is_empty());
        check_whole(&lake, "forward").await;
    });
}

#[test]
fn a_fast_forward_over_expired_versions_takes_the_expiry_over() {
    paused(async {
        let (lake, store) = lake_of(6).await;
        lake.create_branch("dev").from("main~5").await.unwrap();
        expire(&lake, "main", 4).await.unwrap();
        fence(&lake, "main", 1).await;
        lake.fast_forward("dev").to("main").await.unwrap();
        let dev = pointer(&lake, "dev").await;
        assert_eq!((dev.expired_before().0, dev.era().0), (4, 1));
        let released = &dev.pins()[0];
        assert_eq!((released.from.0, dev.pins().len()), (0, 1));
        for _ in 0..3 {
            collect(&lake, &store).await;
        }
        check_whole(&reopen(&store, 9).await, "after collections").await;
    });
}

#[test]
fn what_only_a_tag_keeps_is_taken_over_from_the_tag() {
    paused(async {
        let (lake, store) = lake_of(4).await;
        lake.create_tag("two").on("main@{2}").await.unwrap();
        expire(&lake, "main", 4).await.unwrap();
        for _ in 0..3 {
            collect(&lake, &store).await;
        }
        let lake = reopen(&store, 2).await;
        assert_eq!(kind(lake.at("main@{2}").await), ErrorKind::SnapshotExpired);
        let made = lake.create_branch("dev").from("two").await.unwrap();
        assert_eq!((made.version().0, pointer(&lake, "dev").await.expired_before().0), (2, 2));
        let copied = lake.create_tag("again").on("two").await.unwrap();
        assert_eq!(copied.version.0, 2);
        lake.delete_tag("two").await.unwrap();
        for _ in 0..3 {
            collect(&lake, &store).await;
        }
        check_whole(&reopen(&store, 3).await, "after collections").await;
    });
}

#[test]
fn a_store_that_forbids_a_swap_is_named_with_the_ref() {
    paused(async {
        let (_, store) = lake_of(2).await;
        let faulty = FaultyStore::recording(store);
        let shared: Arc<dyn ObjectStore> = Arc::new(faulty.clone());
        let lake = reopen(&shared, 5).await;
        lake.create_branch("old").await.unwrap();
        lake.create_tag("t").await.unwrap();
        let check = async |kind, path: &str, act: futures::future::BoxFuture<'_, Result<()>>| {
            let target = Target::any().kind(kind).path(object_store::path::Path::from(path)).always();
            faulty.set_script(Script::empty().and(target, Effect::fail(Answer::Status(Status::Forbidden))));
            let error = act.await.unwrap_err();
            let name = path.rsplit('/').next().unwrap().trim_end_matches(".json");
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            assert!(error.message().contains(&format!("{name:?}")), "{path}: {error}");
            faulty.set_script(Script::empty());
            check_whole(&lake, path).await;
        };
        let (swap, put) = (RequestKind::PutIfMatch, RequestKind::PutIfAbsent);
        let (main, dev) = ("refs/branches/main.json", "refs/branches/dev.json");
        let create = || Box::pin(async { lake.create_branch("dev").await.map(drop) });
        check(swap, main, create()).await;
        check(put, dev, create()).await;
        check(swap, dev, create()).await;
        check(swap, "refs/branches/old.json", Box::pin(async { lake.delete_branch("old").await })).await;
        check(put, "refs/tags/v.json", Box::pin(async { lake.create_tag("v").await.map(drop) })).await;
        check(swap, "refs/tags/t.json", Box::pin(async { lake.delete_tag("t").await })).await;
        create().await.unwrap();
    });
}
