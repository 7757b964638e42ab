//! Every form of a reference, against a lake with branches, tags, expired versions and clocks that went back.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline::{ErrorKind, Lake};
use strandline_testkit::VirtualClock;

use crate::fixture::paused;
use crate::past::{branch, expire, grow, hour, reopen, storage};

/// `main` has the versions 0 to 9, version n of hour n, but 5 is of the hour of 4: its clock was behind. Those before 2 are
/// expired. `dev` comes from version 7 and has 8 and 9 of its own; `v1` is main's 3, `old` its 1, `gone` was deleted, and
/// `dead` is the tombstone of a branch. The branch `20` and the tag `main` are there to be mistaken for others.
async fn lake(store: &Arc<dyn ObjectStore>) -> Lake {
    let clock = VirtualClock::at(hour(0));
    let lake = Lake::create_in(storage(store, 1, &clock)).await.unwrap();
    for at in 1..=9 {
        clock.set(hour(if at == 5 { 3 } else { at }));
        grow(&lake, "main", 1).await;
    }
    lake.create_tag("v1").on("main@{3}").await.unwrap();
    lake.create_tag("old").on("version:1").await.unwrap();
    lake.create_tag("main").on("main").await.unwrap();
    lake.create_tag("gone").await.unwrap();
    lake.delete_tag("gone").await.unwrap();
    lake.create_branch("Team/dev").from("main~2").await.unwrap();
    clock.set(hour(20));
    grow(&lake, "Team/dev", 2).await;
    for name in ["20", "dead"] {
        lake.create_branch(name).from("v4").await.unwrap();
    }
    lake.delete_branch("dead").await.unwrap();
    expire(&lake, "main", 2).await.unwrap();
    reopen(store, 9).await
}

type Found = Result<(&'static str, u64), (ErrorKind, &'static str)>;

const CASES: &[(&str, Found)] = &[
    ("main", Ok(("main", 9))),
    ("MAIN", Ok(("main", 9))),
    ("branch:main", Ok(("main", 9))),
    ("tag:main", Ok(("main", 9))),
    ("team/dev", Ok(("Team/dev", 9))),
    ("Team/dev~", Ok(("Team/dev", 8))),
    ("Team/dev~2", Ok(("Team/dev", 7))),
    ("Team/dev@{1}", Ok(("Team/dev", 1))),
    ("main~0", Ok(("main", 9))),
    ("main~~3", Ok(("main", 5))),
    ("main~7", Ok(("main", 2))),
    ("main~3@{4}", Ok(("main", 4))),
    ("main~3@{6}~", Ok(("main", 5))),
    ("main~4@{2026-01-01T08:00:00Z}", Ok(("main", 5))),
    ("v1", Ok(("main", 3))),
    ("tag:v1~", Ok(("main", 2))),
    ("v1@{2}", Ok(("main", 2))),
    ("old", Ok(("main", 1))),
    ("v4", Ok(("main", 4))),
    ("4", Ok(("main", 4))),
    ("20", Ok(("20", 4))),
    ("version:9", Ok(("main", 9))),
    ("2026-01-02", Ok(("main", 9))),
    ("2026-01-01T04:30:00Z", Ok(("main", 5))),
    ("2026-01-01T04:00:00Z", Ok(("main", 5))),
    ("2026-01-01T06:00:00+03:00", Ok(("main", 3))),
    ("time:2026-01-01T06:59:59.999999Z", Ok(("main", 6))),
    ("Team/dev@{2026-01-01T20:00:00Z}", Ok(("Team/dev", 9))),
    ("Team/dev@{2026-01-01T19:00:00Z}", Ok(("Team/dev", 7))),
    ("branch:mian", Err((ErrorKind::NotFound, "did you mean \"main\""))),
    ("team/de", Err((ErrorKind::NotFound, "\"Team/dev\""))),
    ("tag:mian", Err((ErrorKind::NotFound, "did you mean \"main\""))),
    ("dead", Err((ErrorKind::NotFound, "no branch and no tag"))),
    ("gone", Err((ErrorKind::NotFound, "no branch and no tag"))),
    ("branch:v1", Err((ErrorKind::NotFound, "no branch \"v1\""))),
    ("tag:team/dev", Err((ErrorKind::NotFound, "no tag"))),
    ("version:10", Err((ErrorKind::NotFound, "its newest is 9"))),
    ("v10", Err((ErrorKind::NotFound, "version of the default branch"))),
    ("main@{10}", Err((ErrorKind::NotFound, "above version 9"))),
    ("main~3@{7}", Err((ErrorKind::NotFound, "above version 6"))),
    ("main~10", Err((ErrorKind::NotFound, "beyond the first commit"))),
    ("2025-12-31", Err((ErrorKind::NotFound, "time with a commit"))),
    ("time:2025-12-31", Err((ErrorKind::NotFound, "as old"))),
    ("main@{2025-12-31}", Err((ErrorKind::NotFound, "as old"))),
    ("commit:abcdef", Err((ErrorKind::NotFound, "begins with abcdef"))),
    ("version:1", Err((ErrorKind::SnapshotExpired, "the oldest that is kept is 2"))),
    ("v0", Err((ErrorKind::SnapshotExpired, "version 0"))),
    ("main~8", Err((ErrorKind::SnapshotExpired, "version 1"))),
    ("2026-01-01T01:30:00Z", Err((ErrorKind::SnapshotExpired, "version 1"))),
    ("old~", Err((ErrorKind::SnapshotExpired, "version 0"))),
    ("main~x", Err((ErrorKind::InvalidInput, "\"main~x\""))),
    ("main@3", Err((ErrorKind::InvalidInput, "\"@3\""))),
    ("a b", Err((ErrorKind::InvalidInput, "\"a b\""))),
    ("commit:abc", Err((ErrorKind::InvalidInput, "\"abc\""))),
];

#[test]
fn every_form_names_what_the_grammar_says() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = lake(&store).await;
        for (text, expected) in CASES {
            let found = lake.at(*text).await;
            match (&found, expected) {
                (Ok(found), Ok((branch, version))) => {
                    assert_eq!((found.branch().as_str(), found.version().0), (*branch, *version), "{text}");
                }
                (Err(error), Err((kind, part))) => {
                    assert_eq!(error.kind(), *kind, "{text}: {error}");
                    assert!(error.message().contains(part), "{text}: {error}");
                }
                _ => panic!("{text}: {found:?}"),
            }
        }
    });
}

#[test]
fn a_ref_knows_what_keeps_it_and_whether_it_is_a_head() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = lake(&store).await;
        let check = async |text: &str, tag: Option<&str>, head: bool| {
            let found = lake.at(text).await.unwrap();
            assert_eq!(found.tag().map(|tag| tag.as_str()), tag, "{text}");
            assert_eq!(found.is_head(), head, "{text}");
        };
        check("main", None, true).await;
        check("version:9", None, true).await;
        check("main~0", None, true).await;
        check("main~1", None, false).await;
        check("tag:main", Some("main"), false).await;
        check("v1", Some("v1"), false).await;
        check("v1~", None, false).await;
        let parent = lake.at("main").await.unwrap().parent().await.unwrap().unwrap();
        assert_eq!(parent.version().0, 8);
        let error = lake.at("main~7").await.unwrap().parent().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SnapshotExpired);
        assert!(lake.at("Team/dev@{0}").await.unwrap().parent().await.unwrap().is_none());
    });
}

#[test]
fn a_commit_is_found_by_the_digits_of_its_hash() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = lake(&store).await;
        // What is expired on main is found on the branch that keeps it.
        for (text, branch) in [("main~3", "main"), ("Team/dev", "Team/dev"), ("main", "main"), ("old", "20")]
        {
            let wanted = lake.at(text).await.unwrap();
            let hash = wanted.commit().hash().to_string();
            for named in [hash.clone(), hash.to_uppercase(), format!("commit:{}", &hash[..12])] {
                let found = lake.at(named.as_str()).await.unwrap();
                assert_eq!(found.commit().hash(), wanted.commit().hash(), "{text}");
                assert_eq!(found.branch().as_str(), branch, "{text}");
            }
        }
        // Expired on main, and kept by the branch that was made before [EXP-6].
        let first = lake.at("Team/dev@{0}").await.unwrap().commit().hash();
        let found = lake.at(format!("commit:{first}")).await.unwrap();
        assert_ne!(found.branch().as_str(), "main");
    });
}

#[test]
fn more_than_one_commit_for_some_digits_are_all_named() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = lake(&store).await;
        let head = lake.branch(&branch("main")).await.unwrap();
        // Two commits that begin alike, as the history says; the commits themselves need not be there to be named.
        let mut entries = crate::ref_counts::made_up(6);
        for (at, last) in [(2, 1_u8), (4, 2)] {
            let mut hash = [0xab; 32];
            hash[31] = last;
            entries[at].commit.hash = strandline_format::Hash::from_bytes(hash);
        }
        crate::ref_counts::replace_history(&lake, &head, entries).await;
        let error = lake.at("commit:abababab").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.message().contains("version 2") && error.message().contains("version 4"), "{error}");
        let one = format!("commit:{}02", "ab".repeat(31));
        assert_eq!(lake.at(one).await.unwrap_err().kind(), ErrorKind::Corrupt);
    });
}

#[test]
fn what_is_missing_under_a_reader_is_expired_or_a_defect() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let reader = lake(&store).await;
        let old = reader.at("main@{3}").await.unwrap();
        let object = strandline_format::ObjectPath::meta(&strandline_format::ObjectRef {
            hash: old.commit().hash(),
            era: strandline_format::Era(0),
            size: 1,
        });
        let folder = object.as_str().rsplit_once('/').unwrap().0.to_owned();
        let stale = reopen(&store, 4).await;
        let remove = async || {
            use futures::TryStreamExt;
            let prefix = object_store::path::Path::from(folder.clone());
            let mut found = store.list(Some(&prefix));
            while let Some(meta) = found.try_next().await.unwrap() {
                object_store::ObjectStoreExt::delete(&*store, &meta.location).await.unwrap();
            }
        };
        remove().await;
        assert_eq!(stale.at("version:3").await.unwrap_err().kind(), ErrorKind::Corrupt);
        // The log was begun before the expiry, and meets what was collected after it.
        let log = stale.at("main").await.unwrap().log();
        let remover = reopen(&store, 5).await;
        expire(&remover, "main", 5).await.unwrap();
        let read: Vec<_> = futures::StreamExt::collect(log.stream()).await;
        let last = read.last().unwrap().as_ref().unwrap_err();
        assert_eq!(last.kind(), ErrorKind::SnapshotExpired, "{last}");
    });
}

#[test]
fn names_are_listed_by_kind_and_namespace() {
    use strandline_testkit::commits::commit;
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = Lake::create_in(storage(&store, 1, &VirtualClock::default())).await.unwrap();
        let names = ["a", "Sales.orders", "sales.items", "sales_old.x"];
        let edits = names.iter().map(|name| crate::past::append(name, 1)).collect();
        commit(&lake, lake.head(), edits).await.unwrap();
        let main = lake.at("main").await.unwrap();
        let spelled = |listed: Vec<strandline::history::Listed>| {
            listed.into_iter().map(|listed| listed.name.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            spelled(main.tables().await.unwrap()),
            ["a", "sales.items", "Sales.orders", "sales_old.x"]
        );
        assert_eq!(spelled(main.tables().within("SALES").await.unwrap()), ["sales.items", "Sales.orders"]);
        assert_eq!(spelled(main.namespaces().await.unwrap()), ["Sales", "sales_old"]);
        assert!(main.views().await.unwrap().is_empty());
        let error = main.tables().within("sals").await.unwrap_err();
        assert!(error.message().contains("\"Sales\""), "{error}");
        assert_eq!(main.view("a").await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}
