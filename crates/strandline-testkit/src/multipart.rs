//! A multipart upload that passes through a layer, part by part.
//!
//! Invariant: the store below sees nothing until the upload is completed; a part whose request was not applied is
//! missing then, and the upload fails, as S3 refuses to complete it. The parts wait in memory.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{
    Error, MultipartUpload, ObjectStore, PutMultipartOptions, PutPayload, PutResult, Result, UploadPart,
};

use crate::intercept::{Intercepted, Layer};
use crate::request::RequestKind;
use crate::shared::Shared;

type Parts = Shared<Vec<Option<PutPayload>>>;

/// One upload under way.
#[derive(Debug)]
pub(crate) struct Staged<L> {
    store: Intercepted<L>,
    location: Path,
    opts: PutMultipartOptions,
    parts: Parts,
}

impl<L: Layer> Staged<L> {
    pub(crate) fn new(store: Intercepted<L>, location: Path, opts: PutMultipartOptions) -> Self {
        Self { store, location, opts, parts: Shared::default() }
    }
}

#[async_trait]
impl<L: Layer> MultipartUpload for Staged<L> {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let request = self.store.request(RequestKind::PutPart, &self.location, data.content_length());
        let number = self.parts.with(|parts| {
            parts.push(None);
            parts.len() - 1
        });
        let parts = self.parts.clone();
        self.store.pass(request, |_| async move {
            parts.with(|parts| parts.get_mut(number).map(|part| *part = Some(data)));
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let request = self.store.request(RequestKind::CompleteMultipart, &self.location, 0);
        let (location, opts, parts) = (self.location.clone(), self.opts.clone(), self.parts.clone());
        self.store.pass(request, |inner| async move { replay(inner, &location, opts, &parts).await }).await
    }

    async fn abort(&mut self) -> Result<()> {
        let request = self.store.request(RequestKind::AbortMultipart, &self.location, 0);
        let parts = self.parts.clone();
        self.store
            .pass(request, |_| async move {
                // A part that never comes: what was given up can not be completed later.
                parts.with(|parts| *parts = vec![None]);
                Ok(())
            })
            .await
    }
}

/// Uploads all parts to the store below.
async fn replay(
    inner: Arc<dyn ObjectStore>,
    location: &Path,
    opts: PutMultipartOptions,
    parts: &Parts,
) -> Result<PutResult> {
    let parts: Option<Vec<PutPayload>> = parts.with(|parts| parts.iter().cloned().collect());
    let parts = parts.ok_or_else(|| missing_part(location))?;
    let mut upload = inner.put_multipart_opts(location, opts).await?;
    for part in parts {
        upload.put_part(part).await?;
    }
    upload.complete().await
}

fn missing_part(location: &Path) -> Error {
    Error::Generic { store: "testkit", source: format!("a part of {location} was never applied").into() }
}
