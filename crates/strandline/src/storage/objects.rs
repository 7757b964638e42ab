//! Content-addressed objects: commits, tree nodes, data files, deletion vectors.
//!
//! Invariants: an object is put unconditionally under the name that its hash and era give, so that repeating a put is
//! harmless and none is ever skipped because the store says that the key exists; whatever is read whole is checked
//! against its hash before anybody sees it [HASH-3], within bounds that are known before the body is read; only checked
//! bytes enter a cache. Pointers are not objects: see [`refs`](super::refs).

mod compression;
mod kind;
mod options;
mod writer;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    GetOptions, GetResult, GetResultPayload, OBJECT_STORE_COALESCE_DEFAULT, ObjectStore, ObjectStoreExt,
    coalesce_ranges,
};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use strandline_format::{COMPRESS_ABOVE, Era, Hash, MAX_META_BYTES, ObjectPath, ObjectRef, TableId};

use super::classify::{bucket_is_missing, key_is_missing, range_is_beyond, store_error};
use super::durable::read_files;
use super::folder::Folder;
use super::footers::FooterCache;
use super::nodes::NodeCache;
use super::tables::TableCache;
use super::traffic::{Counters, Traffic};
use super::waiting::Waiting;
use crate::error::{Error, ErrorKind, Result};

pub use kind::DataKind;
pub use options::ObjectOptions;
pub use writer::DataWriter;

/// Puts and gets objects by their hash. Cloning gives another handle to the same store and cache.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::Era;
///
/// let objects = lake.storage().objects();
/// let put = objects.put_meta(r#"{"a":1}"#.into(), Era(0)).await?;
/// // Named by their hash, and held against it whenever they are read.
/// assert_eq!(&objects.get_meta(&put).await?[..], br#"{"a":1}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Objects(Arc<Inner>);

/// The place only: a store's own shows its credentials.
impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Objects").field(&self.0.place).finish()
    }
}

struct Inner {
    store: Arc<dyn ObjectStore>,
    place: Arc<str>,
    options: ObjectOptions,
    cache: Cache<Hash, Bytes, ByBytes>,
    footers: FooterCache,
    /// Data objects of at most [`SMALL_DATA`] bytes.
    small: Cache<Hash, Bytes, ByBytes>,
    tables: TableCache,
    nodes: NodeCache,
    /// Where a local lake stages its spill files, so that a rename puts them into place.
    folder: Option<Arc<Folder>>,
    waiting: Waiting,
    counters: Counters,
}

/// What an entry costs: its bytes, and about what the cache keeps beside it.
#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Hash, Bytes> for ByBytes {
    fn weight(&self, _: &Hash, bytes: &Bytes) -> u64 {
        bytes.len() as u64 + 128
    }
}

/// About how long a metadata text or a small file is, for the cache's first allocation.
const TYPICAL_BYTES: u64 = 16 << 10;

/// Data objects of more bytes are not kept: to fetch one takes longer than to ask for it.
const SMALL_DATA: u64 = 256 << 10;

impl Objects {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        place: Arc<str>,
        options: ObjectOptions,
        folder: Option<Arc<Folder>>,
    ) -> Self {
        Self::of(store, place, options, folder, Waiting::default())
    }

    /// Those of a bucket, whose reads wait so long for it.
    pub(crate) fn waiting(
        store: Arc<dyn ObjectStore>,
        place: Arc<str>,
        options: ObjectOptions,
        waiting: Waiting,
    ) -> Self {
        Self::of(store, place, options, None, waiting)
    }

    fn of(
        store: Arc<dyn ObjectStore>,
        place: Arc<str>,
        options: ObjectOptions,
        folder: Option<Arc<Folder>>,
        waiting: Waiting,
    ) -> Self {
        let cache_of = |bytes: u64| {
            let items = usize::try_from(bytes / TYPICAL_BYTES).unwrap_or(usize::MAX).max(16);
            Cache::with_weighter(items, bytes, ByBytes)
        };
        let (cache, small) = (cache_of(options.cache_bytes), cache_of(options.small_cache_bytes));
        let footers = FooterCache::new(options.footer_cache_bytes);
        let (tables, nodes) = (TableCache::new(), NodeCache::new(options.cache_bytes));
        let counters = Counters::default();
        Self(Arc::new(Inner {
            store,
            place,
            options,
            cache,
            footers,
            small,
            tables,
            nodes,
            folder,
            waiting,
            counters,
        }))
    }

    /// The reference that [`Objects::put_meta`] will give, so that a whole tree can be named before any of it is put.
    #[must_use]
    pub fn meta_ref(text: &[u8], era: Era) -> ObjectRef {
        ObjectRef { hash: Hash::of(text), era, size: text.len() as u64 }
    }

    /// Puts the text of a metadata object, compressed if it is long [PATH-4]. One request.
    ///
    /// A dropped future may leave an unreferenced object.
    ///
    /// # Errors
    /// `InvalidInput` if the text is longer than the format allows; what the store refuses or cannot do.
    pub async fn put_meta(&self, text: Bytes, era: Era) -> Result<ObjectRef> {
        let object = Self::meta_ref(&text, era);
        let path = ObjectPath::meta(&object);
        if text.len() > MAX_META_BYTES {
            let message = format!("{} bytes of metadata, the limit is {MAX_META_BYTES}", text.len());
            return Err(Error::new(ErrorKind::InvalidInput, message).at(self.at(&path)));
        }
        let body = if object.size > COMPRESS_ABOVE { self.compress(&text, &path)? } else { text.clone() };
        self.0.counters.wrote(body.len());
        self.put(&path, body).await?;
        self.0.cache.insert(object.hash, text);
        Ok(object)
    }

    /// Puts many texts, [`ObjectOptions::parallel_requests`] at a time, and gives their references in the same order.
    /// One request for each.
    ///
    /// # Errors
    /// As [`Objects::put_meta`]; the others may or may not have been put.
    pub async fn put_metas(&self, texts: Vec<Bytes>, era: Era) -> Result<Vec<ObjectRef>> {
        let puts = texts.into_iter().map(|text| self.put_meta(text, era));
        stream::iter(puts).buffered(self.0.options.parallel_requests.get()).try_collect().await
    }

    /// The checked text of a metadata object. One request, or none if it is in the cache; callers that want the same
    /// object at the same time share one.
    ///
    /// # Errors
    /// `Corrupt`, naming the object, if it is missing or is not what its hash says; what the store refuses or cannot do.
    pub async fn get_meta(&self, object: &ObjectRef) -> Result<Bytes> {
        let text = self.0.cache.get_or_insert_async(&object.hash, self.fetch_meta(object)).await?;
        // Another reference may have brought it into the cache, with another size [REFR-3].
        self.check_size(object, text.len(), &ObjectPath::meta(object))?;
        Ok(text)
    }

    /// Many texts, [`ObjectOptions::parallel_requests`] at a time, in the same order. At most one request for each.
    ///
    /// # Errors
    /// As [`Objects::get_meta`].
    pub async fn get_metas(&self, objects: &[ObjectRef]) -> Result<Vec<Bytes>> {
        let gets = objects.iter().map(|object| self.get_meta(object));
        stream::iter(gets).buffered(self.0.options.parallel_requests.get()).try_collect().await
    }

    /// Takes a text that came another way (a pointer's pack) into the cache, after checking it. No request.
    ///
    /// # Errors
    /// `Corrupt` if the text is not what the reference says.
    pub fn remember(&self, object: &ObjectRef, text: &[u8]) -> Result<()> {
        self.verify(object, text, &ObjectPath::meta(object))?;
        // A copy, because the text may be a slice of something much larger that would be kept alive with it.
        self.0.cache.insert(object.hash, Bytes::copy_from_slice(text));
        Ok(())
    }

    /// Puts a data object that is in memory already. One request up to [`ObjectOptions::part_bytes`], else one for
    /// each part and two more; again while the store is away, as [`ObjectOptions::put_patience`] says.
    ///
    /// # Errors
    /// What the store refuses or cannot do. A dropped future may leave an unreferenced object.
    pub async fn put_data(
        &self,
        kind: DataKind,
        table: TableId,
        bytes: Bytes,
        era: Era,
    ) -> Result<ObjectRef> {
        let object = Self::meta_ref(&bytes, era);
        let path = kind.path(table, &object);
        self.0.counters.wrote(bytes.len());
        self.patiently(|| self.upload(&path, bytes.clone())).await?;
        self.0.counters.finished_data();
        Ok(object)
    }

    /// Begins a data object whose bytes are still to come. No request until it is finished.
    #[must_use]
    pub fn write_data(&self, kind: DataKind, table: TableId, era: Era) -> DataWriter {
        DataWriter::new(self.clone(), kind, table, era)
    }

    /// A whole data object, checked. One request; its size in memory.
    ///
    /// # Errors
    /// As [`Objects::get_meta`].
    pub async fn get_data(&self, kind: DataKind, table: TableId, object: &ObjectRef) -> Result<Bytes> {
        let path = kind.path(table, object);
        let bytes = self.fetch(&path, Some(object.size), object.size).await?;
        self.verify(object, &bytes, &path)?;
        Ok(bytes)
    }

    /// The same, kept if it is small: then no request if it was read lately, and one for all who want it at the same time.
    ///
    /// # Errors
    /// As [`Objects::get_meta`].
    pub(crate) async fn keep_data(
        &self,
        kind: DataKind,
        table: TableId,
        object: &ObjectRef,
    ) -> Result<Bytes> {
        // Behind a pointer, because reads stand deep in what merges wait for.
        let get = Box::pin(self.get_data(kind, table, object));
        if !self.keeps_data(object.size) {
            return get.await;
        }
        let bytes = self.0.small.get_or_insert_async(&object.hash, get).await?;
        // Another reference may have brought it into the cache, with another size [REFR-3].
        self.check_size(object, bytes.len(), &kind.path(table, object))?;
        Ok(bytes)
    }

    /// Whether a data object of so many bytes would be kept.
    pub(crate) fn keeps_data(&self, size: u64) -> bool {
        size <= SMALL_DATA.min(self.0.options.small_cache_bytes)
    }

    /// A whole data object that is kept. No request.
    pub(crate) fn kept_data(&self, object: &ObjectRef) -> Option<Bytes> {
        self.0.small.get(&object.hash).filter(|bytes| bytes.len() as u64 == object.size)
    }

    /// Some ranges of a data object. They are **not** checked against its hash, which is over the whole.
    ///
    /// Neighbouring ranges share a request.
    ///
    /// # Errors
    /// `Corrupt` if the object is missing or ends before a range does; `InvalidInput` for an empty range; what the store
    /// refuses or cannot do.
    pub async fn get_ranges(&self, path: &ObjectPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.refuse_empty(path, ranges)?;
        let read = match self.0.folder {
            Some(_) => {
                let read = self.0.store.get_ranges(&store_path(path), ranges).await;
                read.map_err(|error| self.ranges_error(&error, path, ranges))?
            }
            // Each request's length is checked before it is taken apart: the store's own call panics on a short one.
            None => {
                let get = |range| self.get_range(path, range);
                coalesce_ranges(ranges, get, OBJECT_STORE_COALESCE_DEFAULT).await?
            }
        };
        self.0.counters.read(read.iter().map(Bytes::len).sum());
        Ok(read)
    }

    /// Ranges of several data objects, each as [`Objects::get_ranges`] gives them: [`ObjectOptions::parallel_requests`] of them at a time, and of
    /// a folder all in one blocking call.
    ///
    /// # Errors
    /// As [`Objects::get_ranges`], of the first object that has one.
    pub(crate) async fn get_ranges_of(
        &self,
        wanted: &[(ObjectPath, Vec<Range<u64>>)],
    ) -> Result<Vec<Vec<Bytes>>> {
        let Some(folder) = &self.0.folder else {
            let gets = (0..wanted.len()).map(|at| self.get_ranges(&wanted[at].0, &wanted[at].1));
            return stream::iter(gets).buffered(self.0.options.parallel_requests.get()).try_collect().await;
        };
        wanted.iter().try_for_each(|(path, ranges)| self.refuse_empty(path, ranges))?;
        let read =
            read_files(folder, wanted.to_vec()).await.map_err(|error| store_error(&error, &*self.0.place))?;
        let read = read
            .into_iter()
            .zip(wanted)
            .map(|(read, (path, ranges))| read.map_err(|error| self.ranges_error(&error, path, ranges)));
        let read = read.collect::<Result<Vec<_>>>()?;
        self.0.counters.read(read.iter().flatten().map(Bytes::len).sum());
        Ok(read)
    }

    fn refuse_empty(&self, path: &ObjectPath, ranges: &[Range<u64>]) -> Result<()> {
        let Some(empty) = ranges.iter().find(|range| range.is_empty()) else { return Ok(()) };
        Err(Error::new(ErrorKind::InvalidInput, format!("an empty range {empty:?}")).at(self.at(path)))
    }

    fn ranges_error(&self, error: &object_store::Error, path: &ObjectPath, ranges: &[Range<u64>]) -> Error {
        match ranges.iter().map(|range| range.end).max() {
            Some(end) if range_is_beyond(error) => self.ends_before(path, end),
            _ => self.read_error(error, path),
        }
    }

    fn ends_before(&self, path: &ObjectPath, end: u64) -> Error {
        let message = format!("it ends before byte {end}, up to which it should be read");
        Error::new(ErrorKind::Corrupt, message).at(self.at(path))
    }

    async fn get_range(&self, path: &ObjectPath, range: Range<u64>) -> Result<Bytes> {
        self.0.waiting.read(|| self.get_range_once(path, range.clone())).await
    }

    async fn get_range_once(&self, path: &ObjectPath, range: Range<u64>) -> Result<Bytes> {
        let beyond = || self.ends_before(path, range.end);
        match self.0.store.get_range(&store_path(path), range.clone()).await {
            Ok(bytes) if bytes.len() as u64 == range.end - range.start => Ok(bytes),
            Ok(_) => Err(beyond()),
            Err(error) if range_is_beyond(&error) => Err(beyond()),
            Err(error) => Err(self.read_error(&error, path)),
        }
    }

    /// The store under the objects, for readers that bring their own I/O (Parquet). Paths are relative to the lake.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.0.store
    }

    /// Whether they are files of a local folder.
    pub(crate) fn is_local(&self) -> bool {
        self.0.folder.is_some()
    }

    /// The options that it was opened with.
    #[must_use]
    pub fn options(&self) -> &ObjectOptions {
        &self.0.options
    }

    /// How much went to and from the store so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.0.counters.traffic()
    }

    /// The footers of data files that were read.
    pub(crate) fn footers(&self) -> &FooterCache {
        &self.0.footers
    }

    async fn fetch_meta(&self, object: &ObjectRef) -> Result<Bytes> {
        let path = ObjectPath::meta(object);
        let Some(size) = usize::try_from(object.size).ok().filter(|size| *size <= MAX_META_BYTES) else {
            let message =
                format!("a reference says {} bytes, metadata has at most {MAX_META_BYTES}", object.size);
            return Err(Error::new(ErrorKind::Corrupt, message).at(self.at(&path)));
        };
        let text = if object.size > COMPRESS_ABOVE {
            let body = self.fetch(&path, None, compression::bound(size)).await?;
            self.decompress(&body, size, &path)?
        } else {
            self.fetch(&path, Some(object.size), object.size).await?
        };
        self.verify(object, &text, &path)?;
        Ok(text)
    }

    /// Reads an object of at most `bound` bytes, and of exactly `exact` if that is known.
    async fn fetch(&self, path: &ObjectPath, exact: Option<u64>, bound: u64) -> Result<Bytes> {
        let body = self.0.waiting.read(|| self.fetch_once(path, exact, bound)).await?;
        self.0.counters.read(body.len());
        Ok(body)
    }

    async fn fetch_once(&self, path: &ObjectPath, exact: Option<u64>, bound: u64) -> Result<Bytes> {
        let got = self.0.store.get_opts(&store_path(path), GetOptions::default()).await;
        let result = got.map_err(|error| self.read_error(&error, path))?;
        let length = result.meta.size;
        if length > bound || exact.is_some_and(|exact| length != exact) {
            let message = format!("expected {} bytes, found {length}", exact.unwrap_or(bound));
            return Err(Error::new(ErrorKind::Corrupt, message).at(self.at(path)));
        }
        self.collect(result, bound, path).await
    }

    /// Reads the body, but never more than the store announced and the caller allows.
    async fn collect(&self, result: GetResult, bound: u64, path: &ObjectPath) -> Result<Bytes> {
        if matches!(result.payload, GetResultPayload::File(..)) {
            // One blocking call reads as much as the file had when it was opened; a stream makes one for every few KiB.
            return result.bytes().await.map_err(|error| self.read_error(&error, path));
        }
        // As long as it will be, so that what a cache keeps of it takes no more.
        let mut bytes = BytesMut::with_capacity(usize::try_from(result.meta.size.min(bound)).unwrap_or(0));
        let mut stream = result.into_stream();
        while let Some(chunk) = stream.try_next().await.map_err(|error| self.read_error(&error, path))? {
            if (bytes.len() + chunk.len()) as u64 > bound {
                let message = format!("more than {bound} bytes arrived");
                return Err(Error::new(ErrorKind::Corrupt, message).at(self.at(path)));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    async fn put(&self, path: &ObjectPath, body: Bytes) -> Result<()> {
        let put = self.0.store.put(&store_path(path), body.into()).await;
        put.map(drop).map_err(|error| store_error(&error, self.at(path)))
    }

    fn compress(&self, text: &[u8], path: &ObjectPath) -> Result<Bytes> {
        let compressed = compression::compress(text, self.0.options.compression);
        compressed.map(Bytes::from).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, format!("cannot be compressed: {error}")).at(self.at(path))
        })
    }

    /// Makes at most `size` bytes out of a body, whatever the body claims.
    fn decompress(&self, body: &[u8], size: usize, path: &ObjectPath) -> Result<Bytes> {
        let text = compression::decompress(body, size);
        text.map(Bytes::from).map_err(|error| {
            let message = format!("does not decompress to the {size} bytes that its reference says: {error}");
            Error::new(ErrorKind::Corrupt, message).at(self.at(path))
        })
    }

    fn verify(&self, object: &ObjectRef, bytes: &[u8], path: &ObjectPath) -> Result<()> {
        object.hash.verify(bytes).map_err(|error| Error::from(error).at(self.at(path)))?;
        self.check_size(object, bytes.len(), path)
    }

    fn check_size(&self, object: &ObjectRef, found: usize, path: &ObjectPath) -> Result<()> {
        if found as u64 == object.size {
            return Ok(());
        }
        let message = format!("its reference says {} bytes, it has {found}", object.size);
        Err(Error::new(ErrorKind::Corrupt, message).at(self.at(path)))
    }

    fn read_error(&self, error: &object_store::Error, path: &ObjectPath) -> Error {
        if key_is_missing(error) && !bucket_is_missing(error) {
            return Error::new(ErrorKind::Corrupt, "the object is missing").at(self.at(path));
        }
        store_error(error, self.at(path))
    }

    /// The nodes of trees that were parsed.
    pub(crate) fn nodes(&self) -> &NodeCache {
        &self.0.nodes
    }

    /// The tables that were parsed or made.
    pub(crate) fn tables(&self) -> &TableCache {
        &self.0.tables
    }

    /// An object as messages name it.
    pub(crate) fn at(&self, path: &ObjectPath) -> String {
        format!("{}/{path}", self.0.place)
    }
}

fn store_path(path: &ObjectPath) -> Path {
    Path::from(path.as_str())
}

#[cfg(test)]
mod tests {
    use super::options::at_least_one;
    use super::*;
    use object_store::memory::InMemory;

    fn objects(store: &Arc<InMemory>) -> Objects {
        let options =
            ObjectOptions { part_bytes: at_least_one(1000), spill_above: 1500, ..ObjectOptions::default() };
        Objects::new(store.clone(), Arc::from("memory://test"), options, None)
    }

    fn text(length: usize) -> Bytes {
        b"{\"format\":1} ".iter().copied().cycle().take(length).collect()
    }

    async fn replace(store: &InMemory, object: &ObjectRef, body: Bytes) {
        store.put(&store_path(&ObjectPath::meta(object)), body.into()).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_put_is_got_by_another_reader() {
        let store = Arc::new(InMemory::new());
        for length in [0, 1, 4096, 4097, 100_000] {
            let object = objects(&store).put_meta(text(length), Era(3)).await.unwrap();
            assert_eq!(objects(&store).get_meta(&object).await.unwrap(), text(length));
            let path = ObjectPath::meta(&object);
            assert_eq!(path.as_str().ends_with(".zst"), length > 4096);
        }
    }

    #[tokio::test]
    async fn many_come_in_order() {
        let store = Arc::new(InMemory::new());
        let texts: Vec<Bytes> = (0..50).map(|n| text(100 + n)).collect();
        let refs = objects(&store).put_metas(texts.clone(), Era(0)).await.unwrap();
        assert_eq!(objects(&store).get_metas(&refs).await.unwrap(), texts);
    }

    #[tokio::test]
    async fn every_wrong_body_is_an_error_that_names_the_object() {
        let store = Arc::new(InMemory::new());
        let long = text(10_000);
        let mut flipped = long.to_vec();
        flipped[77] ^= 1;
        let packed = |bytes: &[u8]| Bytes::from(zstd::bulk::compress(bytes, 3).unwrap());
        let cut = packed(&long);
        let bomb = packed(&vec![0; 50 << 20]);
        for (what, length, body) in [
            ("flipped", 100, text(100).iter().map(|byte| byte ^ 1).collect()),
            ("shorter", 100, text(99)),
            ("longer", 100, text(101)),
            ("empty", 10_000, Bytes::new()),
            ("not zstd", 10_000, long.clone()),
            ("flipped inside", 10_000, packed(&flipped)),
            ("cut", 10_000, cut.slice(..cut.len() - 1)),
            ("bomb", 10_000, bomb),
            ("short inside", 10_000, packed(&long[..9999])),
            ("far too long", 10_000, vec![0; 1 << 20].into()),
        ] {
            let object = objects(&store).put_meta(text(length), Era(0)).await.unwrap();
            replace(&store, &object, body).await;
            let error = objects(&store).get_meta(&object).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
            assert!(error.to_string().contains(&object.hash.to_string()), "{what}: {error}");
        }
    }

    #[tokio::test]
    async fn a_wrong_hash_says_what_was_expected_and_found() {
        let store = Arc::new(InMemory::new());
        let object = objects(&store).put_meta(text(100), Era(0)).await.unwrap();
        let other: Bytes = text(100).iter().rev().copied().collect();
        replace(&store, &object, other.clone()).await;
        let error = objects(&store).get_meta(&object).await.unwrap_err().to_string();
        let expected = format!("expected hash {}, found {}", object.hash, Hash::of(&other));
        assert!(error.contains(&expected), "{error}");
    }

    #[tokio::test]
    async fn missing_and_absurd_references_are_corrupt() {
        let store = Arc::new(InMemory::new());
        for size in [10, 10_000, u64::MAX] {
            let object = ObjectRef { hash: Hash::of(b"gone"), era: Era(0), size };
            let error = objects(&store).get_meta(&object).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        }
    }

    #[tokio::test]
    async fn the_cache_takes_only_what_is_right_and_then_needs_no_request() {
        let store = Arc::new(InMemory::new());
        let reader = objects(&store);
        let object = Objects::meta_ref(b"{}", Era(0));
        assert_eq!(reader.remember(&object, b"[]").unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(reader.get_meta(&object).await.is_err());
        reader.remember(&object, b"{}").unwrap();
        assert_eq!(reader.get_meta(&object).await.unwrap(), "{}");
        let other_size = ObjectRef { size: 3, ..object };
        assert_eq!(reader.get_meta(&other_size).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[tokio::test]
    async fn the_cache_is_bounded_in_bytes() {
        let store = Arc::new(InMemory::new());
        let options = ObjectOptions { cache_bytes: 1 << 20, ..ObjectOptions::default() };
        let objects = Objects::new(store, Arc::from("memory://test"), options, None);
        for n in 0..200 {
            objects.put_meta(text(20_000 + n), Era(0)).await.unwrap();
        }
        assert!(objects.0.cache.weight() <= 1 << 20);
    }

    #[tokio::test]
    async fn small_data_is_kept_once_it_was_right() {
        let store = Arc::new(InMemory::new());
        let (writer, reader) = (objects(&store), objects(&store));
        let (kind, table) = (DataKind::File, TableId::from_random([1; 16]));
        let put = async |length: usize| writer.put_data(kind, table, text(length), Era(0)).await.unwrap();
        let write = async |object: &ObjectRef, body: Bytes| {
            store.put(&store_path(&kind.path(table, object)), body.into()).await.unwrap();
        };
        let object = put(1000).await;
        write(&object, text(1001)).await;
        assert_eq!(reader.keep_data(kind, table, &object).await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(reader.kept_data(&object), None);
        write(&object, text(1000)).await;
        assert_eq!(reader.keep_data(kind, table, &object).await.unwrap(), text(1000));
        // What the store has become does not matter to a reader, but to whoever wants to know what it has.
        write(&object, text(1001)).await;
        assert_eq!(reader.keep_data(kind, table, &object).await.unwrap(), text(1000));
        assert_eq!(reader.kept_data(&object), Some(text(1000)));
        assert_eq!(reader.get_data(kind, table, &object).await.unwrap_err().kind(), ErrorKind::Corrupt);
        let other_size = ObjectRef { size: 999, ..object };
        assert_eq!(reader.kept_data(&other_size), None);
        assert_eq!(reader.keep_data(kind, table, &other_size).await.unwrap_err().kind(), ErrorKind::Corrupt);
        let large = put(usize::try_from(SMALL_DATA).unwrap() + 1).await;
        reader.keep_data(kind, table, &large).await.unwrap();
        assert_eq!(reader.kept_data(&large), None);
    }

    #[tokio::test]
    async fn what_is_kept_of_data_is_bounded_in_bytes() {
        let store = Arc::new(InMemory::new());
        let options = ObjectOptions { small_cache_bytes: 1 << 20, ..ObjectOptions::default() };
        let objects = Objects::new(store, Arc::from("memory://test"), options, None);
        let (kind, table) = (DataKind::File, TableId::from_random([1; 16]));
        for n in 0..100 {
            let object = objects.put_data(kind, table, text(20_000 + n), Era(0)).await.unwrap();
            objects.keep_data(kind, table, &object).await.unwrap();
        }
        assert!(objects.0.small.weight() <= 1 << 20 && objects.0.small.len() > 20);
    }

    #[tokio::test]
    async fn data_is_checked_whole_and_readable_in_ranges() {
        let store = Arc::new(InMemory::new());
        let objects = objects(&store);
        let table = TableId::from_random([1; 16]);
        for kind in [DataKind::File, DataKind::DeletionVector] {
            let object = objects.put_data(kind, table, text(3500), Era(2)).await.unwrap();
            assert_eq!(objects.get_data(kind, table, &object).await.unwrap(), text(3500));
            let path = kind.path(table, &object);
            let ranges = objects.get_ranges(&path, &[0..4, 100..110]).await.unwrap();
            assert_eq!(ranges, [text(3500).slice(0..4), text(3500).slice(100..110)]);
            for beyond in [[0..4, 3490..3501], [0..4, 3500..3501], [0..4, 9000..9001], [0..10, 3600..3700]] {
                let error = objects.get_ranges(&path, &beyond).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{beyond:?}: {error}");
                assert!(error.to_string().contains(&object.hash.to_string()), "{error}");
            }
            store.put(&store_path(&path), vec![0; 3500].into()).await.unwrap();
            let error = objects.get_data(kind, table, &object).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }
}
