//! Making and opening lakes: what is there afterwards, whatever went wrong on the way.

use std::sync::Arc;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use strandline::storage::{ObjectOptions, Storage, StoreLocation};
use strandline::{ErrorKind, Lake, Runtime};
use strandline_format::{Lake as LakeFile, RefName};
use strandline_testkit::{FaultyStore, SeededRandom, VirtualClock, single_faults};

use crate::fixture::{open, paused};

fn storage_over(store: Arc<dyn ObjectStore>) -> Storage {
    seeded(store, 1)
}

/// Attempts with the same seed draw the same ids and nonces.
fn seeded(store: Arc<dyn ObjectStore>, seed: u64) -> Storage {
    let runtime = Runtime::system().with_random(SeededRandom::new(seed)).with_clock(VirtualClock::default());
    let location = StoreLocation::parse("memory://test").unwrap();
    Storage::from_stores(location, store.clone(), store, ObjectOptions::default(), runtime)
}

async fn kind_of_open(store: &Arc<dyn ObjectStore>) -> Option<ErrorKind> {
    open(storage_over(store.clone())).await.err().map(|error| error.kind())
}

async fn text(store: &dyn ObjectStore, path: &str) -> String {
    let bytes = store.get(&Path::from(path)).await.unwrap().bytes().await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn put(store: &dyn ObjectStore, path: &str, text: impl Into<Bytes>) {
    store.put(&Path::from(path), text.into().into()).await.unwrap();
}

const MAIN: &str = "refs/branches/main.json";

#[test]
fn a_lake_in_a_folder_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my lake").display().to_string();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        assert_eq!(Lake::open(&path).await.unwrap_err().kind(), ErrorKind::NotFound);
        let made = Lake::create(&path).await.unwrap();
        let found = Lake::open(&path).await.unwrap();
        assert_eq!(found.id(), made.id());
        assert_eq!(found.head().commit(), made.head().commit());
        assert_eq!(found.head().pointer().probed(), [found.storage().served()]);
        assert_eq!(Lake::create(&path).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
        let other = RefName::new("dev").unwrap();
        assert_eq!(found.branch(&other).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(Lake::open(&path).branch(other).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn no_lake_is_made_where_another_one_has_lost_its_main() {
    paused(async {
        for (kind, keeps_file) in [("branch", true), ("branch", false), ("tag", true), ("tag", false)] {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let lake = Lake::create_in(storage_over(store.clone())).await.unwrap();
            match kind {
                "branch" => drop(lake.create_branch("dev").await.unwrap()),
                _ => drop(lake.create_tag("v1").await.unwrap()),
            }
            store.delete(&"refs/branches/main.json".into()).await.unwrap();
            if !keeps_file {
                store.delete(&"lake.json".into()).await.unwrap();
            }
            let error = Lake::create_in(storage_over(store)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.message().contains(kind), "{error}");
        }
    });
}

#[test]
fn of_many_who_make_a_lake_one_does() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let create = |seed| {
            let storage = seeded(store.clone(), seed);
            async { Lake::create_in(storage).await }
        };
        let outcomes = futures::future::join_all((0..8).map(create)).await;
        let (made, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1);
        refused
            .into_iter()
            .for_each(|outcome| assert_eq!(outcome.unwrap_err().kind(), ErrorKind::AlreadyExists));
        let opened = open(storage_over(store.clone())).await.unwrap();
        assert_eq!(opened.id(), made[0].as_ref().unwrap().id());
    });
}

#[test]
fn a_creation_that_was_cut_off_is_completed_under_its_id() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let begun = Lake::create_in(storage_over(store.clone())).await.unwrap();
        store.delete(&Path::from(MAIN)).await.unwrap();
        let error = open(storage_over(store.clone())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("creating it again completes it"), "{error}");
        let completed = Lake::create_in(seeded(store.clone(), 2)).await.unwrap();
        assert_eq!(completed.id(), begun.id());
    });
}

/// Replaces a text within an object.
type Damage = (&'static str, &'static str, &'static str, ErrorKind);

#[test]
fn what_is_no_pointer_of_this_lake_is_refused_by_kind() {
    const DAMAGES: &[Damage] = &[
        (
            "a newer format",
            r#""format":1,"kind":"pointer""#,
            r#""format":2,"kind":"pointer""#,
            ErrorKind::Unsupported,
        ),
        ("another kind", r#""kind":"pointer""#, r#""kind":"commit""#, ErrorKind::Corrupt),
        ("an unknown feature", r#""read":[]"#, r#""read":["tea-leaves"]"#, ErrorKind::Unsupported),
        ("another branch", r#""branch":"main""#, r#""branch":"dev""#, ErrorKind::Corrupt),
        ("a packed commit that was changed", "the lake begins", "the lake begun", ErrorKind::Corrupt),
        ("a deleted branch", r#""state":"live""#, r#""state":"deleted""#, ErrorKind::NotFound),
        ("an unknown state", r#""state":"live""#, r#""state":"resting""#, ErrorKind::Unsupported),
        ("a cut text", r#""state":"live""#, "", ErrorKind::Corrupt),
    ];
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        Lake::create_in(storage_over(store.clone())).await.unwrap();
        let sound = text(&*store, MAIN).await;
        for (name, from, to, expected) in DAMAGES {
            let mut damaged = sound.replacen(from, to, 1);
            assert_ne!(damaged, sound, "{name}");
            if *name == "a deleted branch" {
                // A tombstone has an empty pack.
                damaged = format!("{}\"pack\":{{}}}}", damaged.split("\"pack\":").next().unwrap());
            }
            put(&*store, MAIN, damaged).await;
            assert_eq!(kind_of_open(&store).await, Some(*expected), "{name}");
        }
        for (name, bytes) in [
            ("empty", Vec::new()),
            ("not JSON", b"<html>not found</html>".to_vec()),
            ("nested too deep", b"[".repeat(100_000)),
            ("too long", vec![b' '; (1 << 20) + 1]),
        ] {
            put(&*store, MAIN, bytes).await;
            assert_eq!(kind_of_open(&store).await, Some(ErrorKind::Corrupt), "{name}");
        }
        put(&*store, MAIN, sound).await;
        assert_eq!(kind_of_open(&store).await, None);
    });
}

#[test]
fn a_pointer_without_its_lake_file_is_no_place_to_make_a_lake() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        Lake::create_in(storage_over(store.clone())).await.unwrap();
        let file = text(&*store, "lake.json").await;
        let id = LakeFile::parse(file.as_bytes()).unwrap().id.to_string();
        put(&*store, "lake.json", file.replace(&id, "00000000-0000-4000-8000-000000000000")).await;
        let error = Lake::create_in(seeded(store.clone(), 2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        store.delete(&Path::from("lake.json")).await.unwrap();
        let error = Lake::create_in(seeded(store.clone(), 3)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.message().contains(&id), "{error}");
    });
}

/// A pipe, or a device, in the place of an object: refused at once, where opening it would wait for ever.
#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        Lake::create(&path).await.unwrap();
        let pointer = folder.path().join(MAIN);
        std::fs::remove_file(&pointer).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &pointer).unwrap();
        assert_eq!(Lake::open(&path).await.unwrap_err().kind(), ErrorKind::Corrupt);
        std::fs::remove_file(&pointer).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pointer).status().unwrap();
        assert!(made.success());
        assert_eq!(Lake::open(&path).await.unwrap_err().kind(), ErrorKind::Corrupt);
    });
}

#[test]
fn an_unknown_feature_is_named() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        Lake::create_in(storage_over(store.clone())).await.unwrap();
        let changed = text(&*store, MAIN).await.replacen(r#""read":[]"#, r#""read":["tea-leaves"]"#, 1);
        put(&*store, MAIN, changed).await;
        let error = open(storage_over(store.clone())).await.unwrap_err();
        assert!(error.message().contains("tea-leaves"), "{error}");
    });
}

/// Every single fault at every request of making a lake: what the caller is told is the truth, at once and after requests
/// that were thought lost have landed.
#[test]
fn whatever_fails_while_a_lake_is_made_the_outcome_is_told_truly() {
    paused(async {
        let recording = FaultyStore::recording(Arc::new(InMemory::new()));
        Lake::create_in(storage_over(Arc::new(recording.clone()))).await.unwrap();
        let mut told = std::collections::BTreeMap::new();
        for script in single_faults(&recording.requests()) {
            let faulty = FaultyStore::new(Arc::new(InMemory::new()), script.clone());
            let store: Arc<dyn ObjectStore> = Arc::new(faulty.clone());
            let outcome = Lake::create_in(storage_over(store.clone())).await;
            faulty.release_zombies().await;
            faulty.set_script(strandline_testkit::Script::empty());
            let found = kind_of_open(&store).await;
            match &outcome {
                Ok(_) => assert_eq!(found, None, "{script}\n{}", faulty.log()),
                // Either may be true; making it again, below, must settle it.
                Err(error) if error.kind() == ErrorKind::CommitUnknown => {}
                Err(_) => {
                    assert_eq!(found, Some(ErrorKind::NotFound), "{script}: {outcome:?}\n{}", faulty.log());
                }
            }
            *told.entry(outcome.map_or_else(|error| error.kind().as_str(), |_| "made")).or_insert(0) += 1;
            if found.is_some() {
                // Whatever stands there does not keep the next attempt from completing it.
                Lake::create_in(seeded(store.clone(), 2)).await.unwrap();
                assert_eq!(kind_of_open(&store).await, None, "{script}");
            }
            LakeFile::parse(text(&*store, "lake.json").await.as_bytes()).unwrap();
        }
        println!("single faults while a lake is made: {told:?}");
    });
}
