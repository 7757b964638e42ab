//! The kinds of places that a lake may lie in, and a site in each for a test to work on.
//!
//! Invariants: a site is empty and the test's own; what it leaves goes with its folder or server, or is removed where those
//! stay, whatever came of the test.

use std::any::Any;

use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use strandline::Runtime;
use strandline::storage::{Durability, Storage};
use strandline_testkit::wire::{Proxy, StubBucket};

use crate::lake::{self, Place};
use crate::servers::{self, Server};

/// A kind of place.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    /// How many names a page of its listings has; `None`: it has no pages.
    pub(crate) page: Option<usize>,
    /// Whether several processes reach it.
    pub(crate) shared: bool,
    /// Whether it is reached over HTTP, so that a proxy fits in between.
    pub(crate) wire: bool,
    /// How often each of several writers writes when they race: as often as shows something, on a place where each race takes so
    /// long.
    turns: u32,
    /// How often all writers are killed, where that is tried.
    kills: u32,
    /// Whether it answers at once, so that a test can try everything.
    at_once: bool,
    /// Whether that is tried twice in a row too: on one of those that differ in their tokens alone.
    pub(crate) pairs: bool,
    origin: Origin,
}

enum Origin {
    Memory,
    Folder,
    /// A bucket in this process.
    Stub(fn() -> StubBucket),
    Server(Server),
    Own,
}

const fn server(server: Server, page: usize, turns: u32) -> Backend {
    let name = server.name;
    let origin = Origin::Server(server);
    Backend {
        name,
        page: Some(page),
        shared: true,
        wire: true,
        turns,
        kills: 5,
        at_once: false,
        pairs: false,
        origin,
    }
}

const fn stub(name: &'static str, pairs: bool, bucket: fn() -> StubBucket) -> Backend {
    let origin = Origin::Stub(bucket);
    Backend {
        name,
        page: Some(1_000),
        shared: true,
        wire: true,
        turns: 8,
        kills: 5,
        at_once: true,
        pairs,
        origin,
    }
}

const fn local(name: &'static str, shared: bool, origin: Origin) -> Backend {
    Backend {
        name,
        page: None,
        shared,
        wire: false,
        turns: 8,
        kills: 5,
        at_once: false,
        pairs: false,
        origin,
    }
}

/// All of them.
pub(crate) const BACKENDS: &[Backend] = &[
    local("memory", false, Origin::Memory),
    local("folder", true, Origin::Folder),
    stub("s3_stub", true, StubBucket::s3),
    stub("gcs_stub", false, StubBucket::gcs),
    // The one that is most like those that people run, so it is tried the most.
    Backend { kills: 10, ..server(servers::MINIO, 1_000, 8) },
    // Whoever loses a race there waits for a second or more.
    server(servers::SEAWEEDFS, 1_000, 4),
    server(servers::MINISTACK, 1_000, 8),
    server(servers::AZURITE, 5_000, 8),
];

/// A store of the user's own, which is tried if the environment names it. A proxy does not fit in, because it has TLS.
pub(crate) const OWN: Backend = Backend {
    name: "own",
    page: Some(1_000),
    shared: true,
    wire: false,
    turns: 4,
    kills: 5,
    at_once: false,
    pairs: false,
    origin: Origin::Own,
};

/// An empty place of one test.
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) page: Option<usize>,
    /// How often each of several writers writes.
    pub(crate) turns: u32,
    /// How often all writers are killed.
    pub(crate) kills: u32,
    /// Whether it answers at once, so that a test can try everything.
    pub(crate) at_once: bool,
    /// What must live as long: a folder, a server.
    _owned: Option<Box<dyn Any>>,
    /// Whether the place outlives the tests.
    stays: bool,
}

impl Backend {
    /// A site of this kind, or why there is none.
    pub(crate) fn site(&self) -> Result<Site, String> {
        let (place, owned): (Place, Option<Box<dyn Any>>) = match &self.origin {
            Origin::Memory => ("memory://conformance".into(), None),
            Origin::Folder => {
                let folder = tempfile::tempdir().unwrap();
                (folder.path().to_str().unwrap().into(), Some(Box::new(folder)))
            }
            Origin::Stub(bucket) => {
                let server = bucket().serve().unwrap();
                (stub_at(self.name, &server.url()), Some(Box::new(server)))
            }
            Origin::Server(server) => (server.place()?, None),
            Origin::Own => (servers::own().ok_or("STRANDLINE_TEST_STORE is not set")?, None),
        };
        let nonce = Runtime::system().nonce().unwrap();
        let stays = matches!(self.origin, Origin::Memory | Origin::Own);
        let place = place.below(&format!("test-{nonce}"));
        let &Self { page, turns, kills, at_once, .. } = self;
        Ok(Site { place, page, turns, kills, at_once, _owned: owned, stays })
    }

    /// Whether it is reached through a client of a store.
    pub(crate) fn is_remote(&self) -> bool {
        !matches!(self.origin, Origin::Memory | Origin::Folder)
    }

    /// The server, if there is one that keeps what it has acknowledged when it is killed.
    pub(crate) fn lasting(&self) -> Option<&Server> {
        match &self.origin {
            Origin::Server(server) if server.lasts => Some(server),
            _ => None,
        }
    }
}

/// A bucket at a stub, which looks at no credentials.
fn stub_at(name: &str, url: &str) -> Place {
    if name == "s3_stub" {
        let options =
            format!("endpoint={url} access_key_id=k secret_access_key=s region=us-east-1 allow_http=true");
        return Place { location: "s3://lake".to_owned(), options };
    }
    let key = r#"{"disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}"#;
    let options = format!("google_base_url={url} google_service_account_key={key} allow_http=true");
    Place { location: "gs://lake".to_owned(), options }
}

impl Site {
    /// Opens it anew: nothing is shared with another handle but the store.
    pub(crate) async fn open(&self) -> Storage {
        lake::open_at(&self.place, Durability::None).await
    }

    /// A proxy on the way to its server, and the same place by this way.
    pub(crate) fn proxied(&self) -> (Proxy, Place) {
        let (name, endpoint) = self.place.words().find(|(_, value)| value.starts_with("http://")).unwrap();
        let slash = endpoint["http://".len()..].find('/').map_or(endpoint.len(), |at| at + "http://".len());
        let (host, account) = endpoint.split_at(slash);
        let (_, bucket) = self.place.location.split_once("://").unwrap();
        let proxy = Proxy::start(host, Path::from(format!("{account}/{bucket}"))).unwrap();
        let (direct, through) = (format!("{name}={endpoint}"), format!("{name}={}{account}", proxy.url()));
        let place = Place { options: self.place.options.replace(&direct, &through), ..self.place.clone() };
        (proxy, place)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !self.stays {
            return;
        }
        let removed = lake::run(async {
            let store = self.open().await.objects().store().clone();
            let found = store.list(None).map(|object| object.map(|object| object.location)).boxed();
            store.delete_stream(found).all(async |removed| removed.is_ok()).await
        });
        if !removed {
            println!("  something stays at {}", self.place.location);
        }
    }
}
