//! What the tests share: a lake in memory whose requests are counted, and tables in it.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use object_store::memory::InMemory;
use strandline::storage::{ObjectOptions, Storage, StorageOptions, StoreLocation};
use strandline::{Lake, Runtime};
use strandline_testkit::CountingStore;

/// A lake in memory, and the store that counts what is asked of it.
pub(crate) struct Counted {
    pub(crate) store: CountingStore,
    pub(crate) lake: Lake,
}

impl Counted {
    /// A lake that was just made.
    pub(crate) async fn new() -> Self {
        let store = CountingStore::new(Arc::new(InMemory::new()));
        let lake = Lake::create_in(storage(&store)).await.unwrap();
        Self { store, lake }
    }

    /// A lake that was just made, and keeps no data that it has read.
    pub(crate) async fn keeping_no_data() -> Self {
        let store = CountingStore::new(Arc::new(InMemory::new()));
        let options = ObjectOptions { small_cache_bytes: 0, ..ObjectOptions::default() };
        let lake = Lake::create_in(storage_with(&store, options)).await.unwrap();
        Self { store, lake }
    }

    /// The same lake as another process would see it: with nothing in its caches.
    pub(crate) async fn cold(&self) -> Lake {
        open(storage(&self.store)).await
    }
}

/// A lake that was just made in a folder, and keeps no data that it has read.
pub(crate) async fn keeping_no_data(folder: &std::path::Path) -> Lake {
    let location = StoreLocation::parse(folder.to_str().unwrap()).unwrap();
    let objects = ObjectOptions { small_cache_bytes: 0, ..ObjectOptions::default() };
    let options = StorageOptions { objects, ..StorageOptions::default() };
    Lake::create_in(Storage::open(&location, &options, Runtime::system()).await.unwrap()).await.unwrap()
}

pub(crate) fn storage(store: &CountingStore) -> Storage {
    storage_with(store, ObjectOptions::default())
}

fn storage_with(store: &CountingStore, options: ObjectOptions) -> Storage {
    let shared: Arc<dyn object_store::ObjectStore> = Arc::new(store.clone());
    let location = StoreLocation::parse("memory://test").unwrap();
    Storage::from_stores(location, shared.clone(), shared, options, Runtime::system())
}

pub(crate) async fn open(storage: Storage) -> Lake {
    Lake::open_in(storage, &strandline::format::RefName::new("main").unwrap()).await.unwrap()
}

/// A session that has the lake as the catalog `lake`.
pub(crate) fn session(lake: &Lake) -> SessionContext {
    let ctx = SessionContext::new();
    strandline_datafusion::register(&ctx, "lake", lake).unwrap();
    ctx
}

/// A table with these columns, with these rows in one file.
pub(crate) async fn table(lake: &Lake, name: &str, columns: &[(&str, ArrayRef)]) {
    let batch = batch(columns);
    let transaction = lake.begin().await.unwrap();
    transaction.create_table(name).with_namespaces().like(&batch.schema()).await.unwrap();
    transaction.append(name, batch).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Numbers as a column.
pub(crate) fn longs(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// As many numbers that take all their room in a file: they differ in no pattern.
pub(crate) fn noise(count: i64) -> ArrayRef {
    let scattered = (0..count).map(|at| {
        let product = at.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed());
        (product ^ (product >> 31)).wrapping_mul(0x3F58_476D_1CE4_E5B9)
    });
    longs(scattered)
}

pub(crate) fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.iter().map(|(name, array)| (*name, Arc::clone(array), true)),
    )
    .unwrap()
}

/// The rows of a query as text, without the header and rules.
pub(crate) async fn rows(ctx: &SessionContext, sql: &str) -> Vec<String> {
    lines(&ctx.sql(sql).await.unwrap().collect().await.unwrap())
}

/// The rows of batches as text.
pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let text = pretty_format_batches(batches).unwrap().to_string();
    let lines = text.lines().skip(3).filter(|line| line.starts_with('|'));
    lines
        .map(|line| {
            line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
        })
        .collect()
}

/// Runs a test under paused time, where waiting costs nothing and requests that overlap are seen to overlap.
pub(crate) fn paused<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .unwrap()
        .block_on(test)
}
