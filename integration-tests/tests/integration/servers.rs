//! A store that somebody runs: an object store on the net, or a server of one on this machine. Which it is the environment says.
//!
//! `STRANDLINE_TEST_STORE` is the location of a bucket that exists, `s3://bucket/prefix` say; endpoint and credentials stand in
//! the variables that the stores' own tools read. `STRANDLINE_TEST_UNSUITABLE_STORE` is one that the probe has to refuse.
//! Everything is put below a prefix of its own and removed in the end.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::StreamExt;
use object_store::ObjectStore;
use strandline::storage::{DataKind, Durability, RefKind, Reloaded, Storage, Swap};
use strandline::{ErrorKind, Runtime};
use strandline_format::{Era, ObjectPath, RefName};

use crate::attempt::{self, table};
use crate::crash::noise;
use crate::lake;
use crate::ledger::{self, Writers};
use crate::runner::{Case, Outcome};

pub(crate) const CASES: &[Case] = &[
    Case { name: "servers::a_store_keeps_its_conditions", run: || with_store(conditions) },
    Case { name: "servers::a_store_gives_back_what_was_put", run: || with_store(objects) },
    Case { name: "servers::a_store_swaps_pointers", run: || with_store(refs) },
    Case { name: "servers::4_processes_lose_no_swap", run: || with_store(race) },
    Case { name: "servers::a_store_without_conditions_is_refused", run: refused },
];

/// How many swaps each process of the race makes: losers wait long at some servers.
const SWAPS: u32 = 25;

fn variable(name: &str) -> Option<String> {
    Runtime::system().environment().variable(name)
}

/// A place of the test's own in the store that the environment names.
struct Place {
    location: String,
    storage: Storage,
}

impl Place {
    fn new(store: &str) -> Self {
        let nonce = Runtime::system().nonce().unwrap();
        let location = format!("{}/test-{nonce}", store.trim_end_matches('/'));
        Self { storage: lake::run(lake::open(&location, Durability::Fsync)), location }
    }

    fn remove(&self) {
        lake::run(async {
            let store = self.storage.objects().store();
            let found = store.list(None).map(|object| object.map(|object| object.location)).boxed();
            let mut removed = store.delete_stream(found);
            while let Some(object) = removed.next().await {
                object.unwrap();
            }
        });
    }
}

fn with_store(test: fn(&Place)) -> Outcome {
    let Some(store) = variable("STRANDLINE_TEST_STORE") else {
        return Outcome::Skipped("no server: STRANDLINE_TEST_STORE is not set".to_owned());
    };
    let place = Place::new(&store);
    if let Err(error) = lake::run(place.storage.refs().load(&lake::main())) {
        let required = variable("STRANDLINE_REQUIRE_ALL").is_some() || error.kind() != ErrorKind::Unavailable;
        assert!(!required, "{error}");
        return Outcome::Skipped(format!("no server: {error}"));
    }
    test(&place);
    place.remove();
    Outcome::Passed
}

fn conditions(place: &Place) {
    lake::run(async {
        place.storage.probe().await.unwrap();
    });
}

fn objects(place: &Place) {
    let noise = Bytes::from(noise(12 << 20));
    lake::run(async {
        let objects = place.storage.objects();
        for text in [Bytes::from_static(b"{}"), noise.slice(..4_096), noise.slice(..100_000)] {
            let object = objects.put_meta(text.clone(), Era(0)).await.unwrap();
            // Another handle has nothing in its cache.
            let cold = lake::open(&place.location, Durability::Fsync).await;
            assert_eq!(cold.objects().get_meta(&object).await.unwrap(), text);
        }
        let written = attempt::write(&place.storage, &noise).await.unwrap();
        assert_eq!(objects.get_data(DataKind::DeletionVector, table(), &written).await.unwrap(), noise);
        let put = objects.put_data(DataKind::File, table(), noise.slice(..1_000_000), Era(0)).await.unwrap();
        let path = DataKind::File.path(table(), &put);
        let ranges = objects.get_ranges(&path, &[10..20, 999_990..1_000_000]).await.unwrap();
        assert_eq!(ranges, [noise.slice(10..20), noise.slice(999_990..1_000_000)]);
        let absent = objects.get_data(DataKind::DeletionVector, table(), &put).await.unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::Corrupt, "{absent}");
    });
}

fn refs(place: &Place) {
    lake::run(async {
        let refs = place.storage.refs();
        assert_eq!(refs.load(&lake::main()).await.unwrap(), None);
        assert_eq!(refs.list(RefKind::Branch).await.unwrap(), []);
        let first = swapped(refs.swap(&lake::main(), None, "one".into()).await.unwrap());
        let loaded = refs.load(&lake::main()).await.unwrap().unwrap();
        assert_eq!((&loaded.bytes[..], &loaded.token), (&b"one"[..], &first));
        assert_eq!(refs.load_if_changed(&lake::main(), &first).await.unwrap(), Reloaded::Unchanged);
        let second = swapped(refs.swap(&lake::main(), Some(&first), "two".into()).await.unwrap());
        for stale in [None, Some(&first)] {
            let swap = refs.swap(&lake::main(), stale, "three".into()).await.unwrap();
            assert!(matches!(swap, Swap::Moved(_)), "{stale:?}: {swap:?}");
        }
        let Reloaded::Changed(loaded) = refs.load_if_changed(&lake::main(), &first).await.unwrap() else {
            panic!()
        };
        assert_eq!((&loaded.bytes[..], &loaded.token), (&b"two"[..], &second));
        let odd = RefName::new("feature/Ä").unwrap();
        let _ = swapped(refs.swap(&ObjectPath::branch(&odd), None, "odd".into()).await.unwrap());
        let names: Vec<String> = refs
            .list(RefKind::Branch)
            .await
            .unwrap()
            .iter()
            .map(|name| name.key().as_str().to_owned())
            .collect();
        assert_eq!(names, ["feature/ä", "main"]);
    });
}

fn swapped(swap: Swap) -> strandline::storage::Token {
    match swap {
        Swap::Swapped(token) => token,
        other => panic!("{other:?}"),
    }
}

fn race(place: &Place) {
    let writers =
        Writers { location: place.location.clone(), durability: Durability::Fsync, count: 4, swaps: SWAPS };
    let running: Vec<_> = (0..writers.count).map(|writer| (writer, writers.start(writer).spawn())).collect();
    let said: BTreeMap<u32, Vec<u32>> = running
        .into_iter()
        .map(|(writer, process)| (writer, ledger::numbers(&process.finish()).collect()))
        .collect();
    // An answer may be lost on the net, so a swap may land of which its writer does not know.
    writers.check(&lake::run(ledger::read(&place.storage)), &said, true);
}

fn refused() -> Outcome {
    let Some(store) = variable("STRANDLINE_TEST_UNSUITABLE_STORE") else {
        return Outcome::Skipped("no server: STRANDLINE_TEST_UNSUITABLE_STORE is not set".to_owned());
    };
    let place = Place::new(&store);
    let error = lake::run(place.storage.probe()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnsuitable, "{error}");
    println!("  {error}");
    Outcome::Passed
}
