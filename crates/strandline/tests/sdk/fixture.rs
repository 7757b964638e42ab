//! What the tests share: a lake's storage in memory, counted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline::Runtime;
use strandline::storage::{ObjectOptions, Storage, StoreLocation};
use strandline_testkit::{CountingStore, Intercepted, Layer, PathClass, Reply, Request, Sending};

/// A storage in memory whose requests are counted. Each takes a tick, so depth is right under paused time.
pub(crate) struct Counted {
    pub(crate) store: CountingStore,
    pub(crate) storage: Storage,
}

impl Counted {
    pub(crate) fn new() -> Self {
        Self::over(CountingStore::new(Arc::new(InMemory::new())), ObjectOptions::default())
    }

    /// The same objects as another process would see them: with nothing in its cache.
    pub(crate) fn cold(&self) -> Self {
        Self::over(self.store.clone(), ObjectOptions::default())
    }

    /// The same in a process that keeps no metadata, so that each read of it is a request.
    pub(crate) fn forgetful(&self) -> Self {
        Self::over(self.store.clone(), ObjectOptions { cache_bytes: 0, ..ObjectOptions::default() })
    }

    /// The same as another process would see them, and the names of the data files that it reads.
    pub(crate) fn watched(&self) -> (Storage, ReadFiles) {
        let read = ReadFiles::default();
        let store = Intercepted::layered(Arc::new(self.store.clone()), read.clone());
        (in_memory(Arc::new(store), ObjectOptions::default()), read)
    }

    fn over(store: CountingStore, options: ObjectOptions) -> Self {
        let storage = in_memory(Arc::new(store.clone()), options);
        Self { store, storage }
    }
}

fn in_memory(store: Arc<dyn ObjectStore>, options: ObjectOptions) -> Storage {
    let location = StoreLocation::parse("memory://test").unwrap();
    Storage::from_stores(location, store.clone(), store, options, Runtime::system())
}

/// A layer before a store that notes which data files are read, by the names of their objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadFiles(Arc<Mutex<BTreeSet<String>>>);

impl ReadFiles {
    /// Those that were read since this was asked last.
    pub(crate) fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Layer for ReadFiles {
    const NAME: &'static str = "ReadFiles";

    fn pass<T: Reply>(self: Arc<Self>, request: Request, send: Sending<T>) -> Sending<T> {
        Box::pin(async move {
            if request.class == PathClass::Data && request.kind.is_read() {
                let name = request.path.filename().unwrap_or_default();
                self.0.lock().unwrap().insert(name.to_owned());
            }
            send.await
        })
    }
}

/// Runs a test under paused time, where waiting costs nothing and requests that overlap are seen to overlap. One thread encodes,
/// so that requests come in the same order each time.
pub(crate) fn paused<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .unwrap()
        .block_on(test)
}

/// Opens the lake in a storage at its first branch.
pub(crate) async fn open(storage: Storage) -> strandline::Result<strandline::Lake> {
    strandline::Lake::open_in(storage, &strandline_format::RefName::new("main").unwrap()).await
}
