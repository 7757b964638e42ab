//! A store whose every request passes through a layer: the one `ObjectStore` implementation of the testkit.
//!
//! Invariants:
//! - A request is a future that owns all it needs and does nothing before it is polled. So a layer can drop it (it was
//!   never sent), run it and throw the answer away, or keep it and run it later.
//! - No method of the trait is left to a default that would hide requests.
//! - A multipart upload is staged here and becomes visible in one step when it is completed, as on a real store; a part
//!   that was not applied is missing at that moment.
//!
//! What does not belong here: what the layers do.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result, coalesce_ranges,
};

use crate::multipart::Staged;
use crate::request::{Request, RequestKind, Root};

/// How many deletes of a stream are under way at a time, as S3-compatible clients do without bulk deletes.
const PARALLEL_DELETES: usize = 10;

/// What a request answers.
pub trait Reply: Send + Sized + 'static {
    /// The bytes of objects that the answer brings.
    fn received(&self) -> u64 {
        0
    }

    /// The same answer with another body; nothing changes in an answer that has none.
    fn with_body(self, _change: impl FnOnce(Bytes) -> Body + Send + 'static) -> Sending<Self> {
        std::future::ready(Ok(self)).boxed()
    }
}

/// The body of an answer: its bytes, and what breaks it off.
#[derive(Debug)]
pub struct Body {
    /// What arrives.
    pub bytes: Bytes,
    /// The error that comes after them. Without one the answer looks whole, whatever its length.
    pub broken: Option<Error>,
}

impl Reply for () {}
impl Reply for Path {}
impl Reply for PutResult {}
impl Reply for Vec<ObjectMeta> {}
impl Reply for ListResult {}

impl Reply for GetResult {
    fn received(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn with_body(self, change: impl FnOnce(Bytes) -> Body + Send + 'static) -> Sending<Self> {
        change_body(self, change).boxed()
    }
}

async fn change_body(reply: GetResult, change: impl FnOnce(Bytes) -> Body) -> Result<GetResult> {
    let (mut meta, mut range, attributes) =
        (reply.meta.clone(), reply.range.clone(), reply.attributes.clone());
    let whole = range == (0..meta.size);
    let body = change(reply.bytes().await?);
    if body.broken.is_none() {
        range.end = range.start + body.bytes.len() as u64;
        meta.size = if whole { range.end } else { meta.size };
    }
    let chunks = std::iter::once(Ok(body.bytes)).chain(body.broken.map(Err));
    let payload = GetResultPayload::Stream(stream::iter(chunks.collect::<Vec<_>>()).boxed());
    Ok(GetResult { payload, meta, range, attributes })
}

/// A request on its way: not yet sent until it is polled.
pub type Sending<T> = BoxFuture<'static, Result<T>>;

/// What happens to requests on their way: counted, delayed, failed.
pub trait Layer: fmt::Debug + Send + Sync + 'static {
    /// How the layer is called in a store's name.
    const NAME: &'static str;

    /// Passes one request on, or does not. Nothing may happen before the returned future is polled.
    fn pass<T: Reply>(self: Arc<Self>, request: Request, send: Sending<T>) -> Sending<T>;
}

/// A store with a layer before it. Clones share the layer.
#[derive(Debug)]
pub struct Intercepted<L> {
    inner: Arc<dyn ObjectStore>,
    layer: Arc<L>,
    root: Root,
}

impl<L: Layer> Intercepted<L> {
    /// The store `inner` with `layer` before it.
    pub fn layered(inner: Arc<dyn ObjectStore>, layer: L) -> Self {
        Self { inner, layer: Arc::new(layer), root: Root::default() }
    }

    /// Says under which path the lake lies, so that requests are classed by the part of the lake they go to.
    #[must_use]
    pub fn with_root(self, root: Path) -> Self {
        Self { root: Root(root), ..self }
    }

    /// The layer.
    pub fn layer(&self) -> &L {
        &self.layer
    }

    /// Passes a request through the layer. `send` is given the store below, and runs only if the layer lets it.
    pub(crate) fn pass<T, F>(
        &self,
        request: Request,
        send: impl FnOnce(Arc<dyn ObjectStore>) -> F,
    ) -> Sending<T>
    where
        T: Reply,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        Arc::clone(&self.layer).pass(request, send(Arc::clone(&self.inner)).boxed())
    }

    pub(crate) fn request(&self, kind: RequestKind, path: &Path, sent: usize) -> Request {
        self.root.request(kind, path, sent)
    }

    fn list_request(&self, prefix: Option<&Path>) -> Request {
        self.request(RequestKind::List, prefix.unwrap_or(&Path::default()), 0)
    }
}

impl<L> Clone for Intercepted<L> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), layer: Arc::clone(&self.layer), root: self.root.clone() }
    }
}

impl<L: Layer> fmt::Display for Intercepted<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", L::NAME, self.inner)
    }
}

fn get_kind(options: &GetOptions) -> RequestKind {
    match options {
        GetOptions { head: true, .. } => RequestKind::Head,
        GetOptions { range: Some(_), .. } => RequestKind::GetRange,
        _ => RequestKind::Get,
    }
}

fn put_kind(mode: &PutMode) -> RequestKind {
    match mode {
        PutMode::Overwrite => RequestKind::Put,
        PutMode::Create => RequestKind::PutIfAbsent,
        PutMode::Update(_) => RequestKind::PutIfMatch,
    }
}

fn listing(pages: Sending<Vec<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
    pages.map_ok(|found| stream::iter(found).map(Ok)).try_flatten_stream().boxed()
}

#[async_trait]
#[deny(clippy::missing_trait_methods, reason = "a default would hide requests from the layer")]
impl<L: Layer> ObjectStore for Intercepted<L> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let request = self.request(put_kind(&opts.mode), location, payload.content_length());
        let location = location.clone();
        self.pass(request, |inner| async move { inner.put_opts(&location, payload, opts).await }).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let request = self.request(RequestKind::CreateMultipart, location, 0);
        self.pass(request, |_| std::future::ready(Ok(()))).await?;
        Ok(Box::new(Staged::new(self.clone(), location.clone(), opts)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let request = self.request(get_kind(&options), location, 0);
        let location = location.clone();
        self.pass(request, |inner| async move { inner.get_opts(&location, options).await }).await
    }

    /// Ranges near each other are fetched as one. A range past the end of the object is an error.
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fetch = |range: Range<u64>| async move {
            let bytes = self.get_range(location, range.clone()).await?;
            if bytes.len() as u64 == range.end - range.start {
                Ok(bytes)
            } else {
                Err(cut_short(&range, &bytes))
            }
        };
        coalesce_ranges(ranges, fetch, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let request = store.request(RequestKind::Delete, &location, 0);
                store
                    .pass(request, |inner| async move { inner.delete(&location).await.map(|()| location) })
                    .await
            }
        };
        locations.map(delete).buffered(PARALLEL_DELETES).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        listing(self.pass(self.list_request(prefix.as_ref()), |inner| async move {
            inner.list(prefix.as_ref()).try_collect().await
        }))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (prefix, offset) = (prefix.cloned(), offset.clone());
        listing(self.pass(self.list_request(prefix.as_ref()), |inner| async move {
            inner.list_with_offset(prefix.as_ref(), &offset).try_collect().await
        }))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned();
        let request = self.list_request(prefix.as_ref());
        self.pass(request, |inner| async move { inner.list_with_delimiter(prefix.as_ref()).await }).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let kind = match options.mode {
            CopyMode::Overwrite => RequestKind::Copy,
            CopyMode::Create => RequestKind::CopyIfAbsent,
        };
        let (request, from, to) = (self.request(kind, to, 0), from.clone(), to.clone());
        self.pass(request, |inner| async move { inner.copy_opts(&from, &to, options).await }).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let kind = match options.target_mode {
            RenameTargetMode::Overwrite => RequestKind::Rename,
            RenameTargetMode::Create => RequestKind::RenameIfAbsent,
        };
        let (request, from, to) = (self.request(kind, to, 0), from.clone(), to.clone());
        self.pass(request, |inner| async move { inner.rename_opts(&from, &to, options).await }).await
    }
}

fn cut_short(range: &Range<u64>, bytes: &Bytes) -> Error {
    let message = format!("asked for bytes {range:?}, got {} of them", bytes.len());
    Error::Generic { store: "testkit", source: message.into() }
}
