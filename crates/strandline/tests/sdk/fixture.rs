//! What the tests share: a lake's storage in memory, counted.

use std::sync::Arc;

use object_store::memory::InMemory;
use strandline::Runtime;
use strandline::storage::{ObjectOptions, Storage, StoreLocation};
use strandline_testkit::CountingStore;

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

    fn over(store: CountingStore, options: ObjectOptions) -> Self {
        let shared: Arc<dyn object_store::ObjectStore> = Arc::new(store.clone());
        let location = StoreLocation::parse("memory://test").unwrap();
        let storage = Storage::from_stores(location, shared.clone(), shared, options, Runtime::system());
        Self { store, storage }
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
