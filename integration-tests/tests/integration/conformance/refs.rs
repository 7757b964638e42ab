//! Pointers: created where nothing stands, swapped for what the token says, and by one of many.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use strandline::storage::{
    Change, Durability, Loaded, RefKind, Reloaded, Settled, Storage, Swap, Token, settle,
};
use strandline::{Deadline, Error, ErrorKind};
use strandline_format::{MAX_REF_BYTES, ObjectPath, RefName};

use super::Site;
use crate::lake;
use crate::ledger::{self, Writers};

/// How many race at once.
const RACERS: usize = 16;
/// How often they do: losers wait long at some servers.
const ROUNDS: usize = 3;
/// How many swaps each process of a race makes.
const SWAPS: u32 = 25;

fn branch(name: &str) -> ObjectPath {
    ObjectPath::branch(&RefName::new(name).unwrap())
}

/// What came of a swap, found out if its answer is lost: MinIO closes a connection behind each refusal without saying so, and
/// the next request on it may be lost. The token of what stands there by it; `None`: it was refused.
pub(super) async fn swap(
    storage: &Storage,
    path: &ObjectPath,
    expected: Option<&Token>,
    bytes: impl Into<Bytes>,
) -> Option<Token> {
    let change = Change { path: path.clone(), expected: expected.cloned(), bytes: bytes.into() };
    match outcome(storage, change, Duration::from_secs(60)).await.unwrap() {
        Settled::Applied(loaded) => Some(loaded.token),
        Settled::NotApplied(_) => None,
        Settled::Unknown(error) => panic!("{error}"),
    }
}

async fn outcome(storage: &Storage, change: Change, patience: Duration) -> Result<Settled, Error> {
    // No two bodies of a test are equal.
    let mine = |current: &Loaded| Ok(current.bytes == change.bytes);
    settle(storage.refs(), &change, &mine, Deadline::after(patience), storage.runtime()).await
}

/// What is gone is not replaced. Of a store that tells no difference between that and a lost race it is not believed that a ref is gone
/// which was there [UNK-2], so that nothing is known in the end; nothing is made either.
async fn refused_as_gone(storage: &Storage, path: &ObjectPath, token: &Token) -> bool {
    let change = Change { path: path.clone(), expected: Some(token.clone()), bytes: "two".into() };
    match outcome(storage, change, Duration::from_secs(2)).await {
        Ok(Settled::NotApplied(None) | Settled::Unknown(_)) => true,
        Err(error) => error.kind() == ErrorKind::Unavailable,
        Ok(other) => panic!("{other:?}"),
    }
}

/// The token of a pointer that is put where nothing stands.
pub(super) async fn create(storage: &Storage, bytes: &'static str) -> Token {
    swap(storage, &lake::main(), None, bytes).await.unwrap()
}

async fn load(storage: &Storage) -> Option<Loaded> {
    storage.refs().load(&lake::main()).await.unwrap()
}

pub(super) fn swaps(site: &Site) {
    lake::run(async {
        let (storage, main) = (site.open().await, lake::main());
        let refs = storage.refs();
        assert_eq!(load(&storage).await, None);
        let first = create(&storage, "one").await;
        assert_eq!(load(&storage).await, Some(Loaded { bytes: "one".into(), token: first.clone() }));
        assert_eq!(refs.load_if_changed(&main, &first).await.unwrap(), Reloaded::Unchanged);
        let second = swap(&storage, &main, Some(&first), "two").await.unwrap();
        assert_ne!(first, second);
        for stale in [None, Some(&first)] {
            assert_eq!(swap(&storage, &main, stale, "three").await, None, "{stale:?}");
        }
        let current = Loaded { bytes: "two".into(), token: second.clone() };
        assert_eq!(refs.load_if_changed(&main, &first).await.unwrap(), Reloaded::Changed(current.clone()));
        // Another handle sees the same, and its token is as good.
        let other = site.open().await;
        let seen = load(&other).await.unwrap();
        assert_eq!(seen, current);
        assert!(swap(&storage, &main, Some(&seen.token), "four").await.is_some());
        assert_eq!(load(&other).await.unwrap().bytes, "four");
    });
}

pub(super) fn absent(site: &Site) {
    lake::run(async {
        let storage = site.open().await;
        let refs = storage.refs();
        let token = create(&storage, "one").await;
        let (never, gone) = (branch("never"), branch("gone"));
        assert!(refused_as_gone(&storage, &never, &token).await);
        assert_eq!(refs.load(&never).await.unwrap(), None);
        assert_eq!(refs.load_if_changed(&never, &token).await.unwrap(), Reloaded::Absent);
        let token = swap(&storage, &gone, None, "one").await.unwrap();
        storage.objects().store().delete(&Path::from(gone.as_str())).await.unwrap();
        assert!(refused_as_gone(&storage, &gone, &token).await);
        assert_eq!(refs.load(&gone).await.unwrap(), None);
    });
}

pub(super) fn long(site: &Site) {
    lake::run(async {
        let storage = site.open().await;
        let full = |letter| Bytes::from(vec![letter; MAX_REF_BYTES]);
        let token = swap(&storage, &lake::main(), None, full(b'a')).await.unwrap();
        assert_eq!(load(&storage).await.unwrap().bytes, full(b'a'));
        assert!(swap(&storage, &lake::main(), Some(&token), full(b'b')).await.is_some());
        assert_eq!(load(&storage).await.unwrap().bytes, full(b'b'));
        let (longer, path) = (Bytes::from(vec![b'c'; MAX_REF_BYTES + 1]), branch("longer"));
        storage.refs().swap(&path, None, longer).await.unwrap_err();
        assert_eq!(storage.refs().load(&path).await.unwrap(), None);
    });
}

pub(super) fn names(site: &Site) {
    let odd = ["feature/Ä", "main", "a.b", "a-b", "a/b", "日本"];
    lake::run(async {
        let storage = site.open().await;
        let refs = storage.refs();
        assert_eq!(refs.list(RefKind::Branch).await.unwrap(), []);
        for name in odd {
            assert!(swap(&storage, &branch(name), None, name).await.is_some(), "{name}");
            assert_eq!(refs.load(&branch(name)).await.unwrap().unwrap().bytes, name, "{name}");
        }
        let found = refs.list(RefKind::Branch).await.unwrap();
        let found: BTreeSet<&str> = found.iter().map(RefName::as_str).collect();
        assert_eq!(found, odd.map(|name| if name == odd[0] { "feature/ä" } else { name }).into());
        assert_eq!(refs.list(RefKind::Tag).await.unwrap(), []);
    });
}

pub(super) fn races(site: &Site) {
    lake::run(async {
        let storages = join_all((0..RACERS).map(|_| site.open())).await;
        let mut expected = None;
        for round in 0..=ROUNDS {
            // The first round creates it. No two bodies are equal, or a stale ETag could fit again.
            let racers = storages.iter().enumerate().map(|(racer, storage)| {
                let (main, expected) = (lake::main(), expected.clone());
                let bytes = format!("racer {racer} of round {round}");
                async move { storage.refs().swap(&main, expected.as_ref(), bytes.into()).await.unwrap() }
            });
            let outcomes = join_all(racers).await;
            let current = load(&storages[0]).await.unwrap();
            let at = |racer: usize| current.bytes == format!("racer {racer} of round {round}");
            assert_eq!((0..RACERS).filter(|racer| at(*racer)).count(), 1, "{current:?}");
            for (racer, outcome) in outcomes.iter().enumerate() {
                match outcome {
                    Swap::Swapped(token) => assert!(at(racer) && *token == current.token, "{outcomes:?}"),
                    Swap::Moved(_) => assert!(!at(racer), "{outcomes:?}"),
                    // Its connection was lost: it says nothing of how it went.
                    Swap::Unknown(_) => {}
                }
            }
            expected = Some(current.token);
        }
    });
}

pub(super) fn probe(site: &Site) {
    lake::run(async {
        let storage = site.open().await;
        storage.probe().await.unwrap();
        let left: Vec<_> = storage.objects().store().list(None).collect().await;
        assert!(left.is_empty(), "{left:?}");
    });
}

pub(super) fn processes(site: &Site) {
    let writers = Writers { place: site.place.clone(), durability: Durability::None, count: 4, swaps: SWAPS };
    let running: Vec<_> = (0..writers.count).map(|writer| (writer, writers.start(writer).spawn())).collect();
    let said: BTreeMap<u32, Vec<u32>> = running
        .into_iter()
        .map(|(writer, process)| (writer, ledger::numbers(&process.finish()).collect()))
        .collect();
    // An answer may be lost on the net, so a swap may land of which its writer does not know.
    writers.check(&lake::run(async { ledger::read(&site.open().await).await }), &said, true);
}
