//! Refs in an object store: one conditional PUT, by strong ETag or by generation.
//!
//! What each answer means is the heart of it. `object_store`'s errors are trusted where they are decisive (a failed
//! condition), and the transport's own record where they are not: an error without an answer, or with a 5xx, leaves the
//! outcome unknown; one that was never sent, or that the server refused as such, does not.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error as StoreError, GetOptions, GetResult, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, UpdateVersion,
};
use strandline_format::{MAX_REF_BYTES, Nonce, ObjectPath, RefName};

use super::{Loaded, RefKind, RefStore, Reloaded, Swap, Token, check_length};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::classify::{
    body_came_too_slowly, bucket_is_missing, is_denied, key_is_missing, says_that_key_is_missing, store_error,
};
use crate::storage::http::{Attempt, OfRef, Progress};
use crate::storage::waiting::Waiting;

/// What a store compares by.
///
/// ```
/// use strandline::storage::TokenKind;
///
/// // What S3 and Azure swap by, and what GCS does.
/// assert_ne!(TokenKind::ETag, TokenKind::Generation);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// The ETag: S3 and its like, Azure, memory.
    ETag,
    /// The generation number: Google Cloud Storage, which takes no ETag on writes.
    Generation,
}

/// Whether the swapping client tells how far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// It was built with `ObservingConnector`.
    Observed,
    /// It is a store of somebody else's, or has no wire.
    Opaque,
}

/// Refs in an object store.
pub(crate) struct ObjectRefs {
    /// Loads and lists; may retry.
    reads: Arc<dyn ObjectStore>,
    /// Swaps; never retries, because a retry turns its own success into a failed condition.
    swaps: Arc<dyn ObjectStore>,
    transport: Transport,
    tokens: TokenKind,
    place: Arc<str>,
    /// How long it is waited for by who reads.
    waiting: Waiting,
}

/// The place only: a store's own shows its credentials.
impl fmt::Debug for ObjectRefs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectRefs").field(&self.place).finish()
    }
}

impl ObjectRefs {
    pub(crate) fn new(
        reads: Arc<dyn ObjectStore>,
        swaps: Arc<dyn ObjectStore>,
        transport: Transport,
        tokens: TokenKind,
        place: Arc<str>,
    ) -> Self {
        Self { reads, swaps, transport, tokens, place, waiting: Waiting::default() }
    }

    /// The same with reads that wait so long for the store.
    pub(crate) fn waiting(self, waiting: Waiting) -> Self {
        Self { waiting, ..self }
    }

    fn at(&self, path: &ObjectPath) -> String {
        format!("{}/{path}", self.place)
    }

    fn error(&self, error: &StoreError, path: &ObjectPath) -> Error {
        store_error(error, self.at(path))
    }

    /// The same of a read. Who may not list is told of what is not there that he may not read it.
    fn read_error(&self, error: &StoreError, path: &ObjectPath) -> Error {
        let explained = self.error(error, path);
        if !is_denied(error) {
            return explained;
        }
        let text = format!(
            "{}: it may not be read, or it is not there, which stores tell nobody without the right to list (s3:ListBucket, \
             storage.objects.list)",
            explained.message()
        );
        Error::new(explained.kind(), text).with_source(explained)
    }

    fn token(&self, e_tag: Option<&str>, version: Option<&str>, path: &ObjectPath) -> Result<Token> {
        let refuse = |why: &str| Err(Error::new(ErrorKind::StoreUnsuitable, why).at(self.at(path)));
        match (self.tokens, e_tag, version) {
            (TokenKind::Generation, e_tag, Some(version)) => Ok(Token::with_poll(version, e_tag)),
            (TokenKind::Generation, _, None) => refuse("the store gave no generation to compare by"),
            (TokenKind::ETag, Some(e_tag), _) if e_tag.starts_with("W/") => {
                refuse("the store gave a weak ETag, which does not stand for exact bytes")
            }
            (TokenKind::ETag, Some(e_tag), _) => Ok(Token::new(e_tag)),
            (TokenKind::ETag, None, _) => refuse("the store gave no ETag to compare by"),
        }
    }

    async fn receive(&self, result: GetResult, path: &ObjectPath) -> Result<Loaded> {
        let too_long = |length: u64| {
            let text = format!("{length} bytes, a ref has at most {MAX_REF_BYTES}");
            Error::new(ErrorKind::Corrupt, text).at(self.at(path))
        };
        let length = result.meta.size;
        if length > MAX_REF_BYTES as u64 {
            return Err(too_long(length));
        }
        let token = self.token(result.meta.e_tag.as_deref(), result.meta.version.as_deref(), path)?;
        let mut bytes = BytesMut::new();
        let mut stream = result.into_stream();
        while let Some(chunk) = stream.try_next().await.map_err(|error| self.error(&error, path))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_REF_BYTES {
                return Err(too_long(bytes.len() as u64));
            }
        }
        if bytes.len() as u64 != length {
            let text = format!("{} of {length} bytes arrived", bytes.len());
            return Err(Error::new(ErrorKind::Unavailable, text).at(self.at(path)));
        }
        Ok(Loaded { bytes: bytes.freeze(), token })
    }

    fn put_options(&self, expected: Option<&Token>, attempt: &Attempt) -> PutOptions {
        let mode = match (expected, self.tokens) {
            (None, _) => PutMode::Create,
            (Some(token), TokenKind::ETag) => {
                PutMode::Update(UpdateVersion { e_tag: Some(token.condition().to_owned()), version: None })
            }
            (Some(token), TokenKind::Generation) => {
                PutMode::Update(UpdateVersion { e_tag: None, version: Some(token.condition().to_owned()) })
            }
        };
        let mut options = PutOptions { mode, ..PutOptions::default() };
        if self.tokens == TokenKind::Generation {
            // Google serves public objects from caches unless it is told not to.
            options.attributes = Attributes::from_iter([(Attribute::CacheControl, "no-store")]);
        }
        options.extensions.insert(attempt.clone());
        options
    }

    async fn load_once(&self, path: &ObjectPath) -> Result<Option<Loaded>> {
        match self.reads.get_opts(&store_path(path), get_options(None)).await {
            Ok(result) => self.receive(result, path).await.map(Some),
            Err(error) if key_is_missing(&error) => Ok(None),
            Err(error) => Err(self.read_error(&error, path)),
        }
    }

    async fn load_if_changed_once(&self, path: &ObjectPath, token: &Token) -> Result<Reloaded> {
        let options = get_options(Some(token));
        match self.reads.get_opts(&store_path(path), options).await {
            Ok(result) => {
                let loaded = self.receive(result, path).await?;
                let same = loaded.token == *token;
                Ok(if same { Reloaded::Unchanged } else { Reloaded::Changed(loaded) })
            }
            Err(StoreError::NotModified { .. }) => Ok(Reloaded::Unchanged),
            Err(error) if key_is_missing(&error) => Ok(Reloaded::Absent),
            Err(error) => Err(self.read_error(&error, path)),
        }
    }

    async fn list_once(&self, kind: RefKind) -> Result<Vec<RefName>> {
        let mut listing = self.reads.list(Some(&Path::from(kind.folder())));
        let mut names = Vec::new();
        while let Some(object) = listing.next().await {
            match object {
                Ok(object) => names.extend(kind.name_at(object.location.as_ref())),
                Err(error) if key_is_missing(&error) => {}
                Err(error) => return Err(store_error(&error, format!("{}/{}", self.place, kind.folder()))),
            }
        }
        names.sort();
        Ok(names)
    }

    /// What a failed put means for the outcome.
    fn judge(&self, error: &StoreError, attempt: &Attempt, path: &ObjectPath, creates: bool) -> Result<Swap> {
        let explained = self.error(error, path);
        if bucket_is_missing(error) {
            return Err(explained);
        }
        if creates && says_that_key_is_missing(error) {
            let text = "it refused to create an object because it is not there: commits need a store that knows this condition";
            return Err(Error::new(ErrorKind::StoreUnsuitable, text)
                .at(self.at(path))
                .with_source(explained));
        }
        if says_that_key_is_missing(error) {
            let absent = Error::new(ErrorKind::NotFound, "there is nothing to be replaced");
            return Ok(Swap::Moved(Some(absent.at(self.at(path)).with_source(explained))));
        }
        match error {
            // Also S3's 409 (somebody is at it now) and its 404 for a condition on an absent key.
            StoreError::Precondition { .. }
            | StoreError::AlreadyExists { .. }
            | StoreError::NotModified { .. } => Ok(Swap::Moved(Some(explained))),
            StoreError::NotFound { .. } if !creates => Ok(Swap::Moved(Some(explained))),
            _ if body_came_too_slowly(error) => Ok(Swap::Unknown(explained)),
            StoreError::NotFound { .. }
            | StoreError::PermissionDenied { .. }
            | StoreError::Unauthenticated { .. }
            | StoreError::NotSupported { .. }
            | StoreError::NotImplemented { .. }
            | StoreError::InvalidPath { .. } => Err(explained),
            _ if self.was_never_applied(attempt.progress()) => Err(explained),
            _ => Ok(Swap::Unknown(explained)),
        }
    }

    fn was_never_applied(&self, progress: Progress) -> bool {
        if self.transport == Transport::Opaque {
            return false;
        }
        match progress {
            Progress::NotSent | Progress::NotConnected => true,
            Progress::Sent => false,
            Progress::Answered(status) => is_refusal(status),
        }
    }
}

/// Statuses by which a server says that it did not take the request at all [STO-6]. Not among them: whatever a proxy may
/// say of a request that it has already passed on (redirects, 408, 429, 5xx).
fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=407 | 410 | 411 | 413..=417 | 501)
}

fn get_options(unless: Option<&Token>) -> GetOptions {
    let mut options =
        GetOptions { if_none_match: unless.map(|token| token.poll().to_owned()), ..GetOptions::default() };
    options.extensions.insert(OfRef);
    options
}

fn store_path(path: &ObjectPath) -> Path {
    Path::from(path.as_str())
}

#[async_trait]
impl RefStore for ObjectRefs {
    async fn load(&self, path: &ObjectPath) -> Result<Option<Loaded>> {
        self.waiting.read(|| self.load_once(path)).await
    }

    async fn load_if_changed(&self, path: &ObjectPath, token: &Token) -> Result<Reloaded> {
        self.waiting.read(|| self.load_if_changed_once(path, token)).await
    }

    async fn swap(&self, path: &ObjectPath, expected: Option<&Token>, bytes: Bytes) -> Result<Swap> {
        check_length(path, &bytes)?;
        let attempt = Attempt::default();
        let options = self.put_options(expected, &attempt);
        match self.swaps.put_opts(&store_path(path), bytes.into(), options).await {
            Ok(result) => Ok(match self.token(result.e_tag.as_deref(), result.version.as_deref(), path) {
                Ok(token) => Swap::Swapped(token),
                Err(error) => Swap::Unknown(error),
            }),
            Err(error) => self.judge(&error, &attempt, path, expected.is_none()),
        }
    }

    async fn list(&self, kind: RefKind) -> Result<Vec<RefName>> {
        self.waiting.read(|| self.list_once(kind)).await
    }

    async fn remove_scratch(&self, probe: Nonce, objects: u64) {
        // By name: whoever may write need not be allowed to list.
        for path in (0..objects).map(|number| ObjectPath::scratch(probe, number)) {
            match self.reads.delete(&store_path(&path)).await {
                Err(error) if !key_is_missing(&error) => {
                    tracing::debug!(error = %self.error(&error, &path), "a probe's scratch object stays");
                }
                _ => {}
            }
        }
    }
}
