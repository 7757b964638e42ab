//! What really happened on the wire to one conditional put: the stores' errors do not say.
//!
//! Invariant: [`Attempt`] is written by the transport alone, so what it holds is a fact about the last request that
//! carried it. It is only meaningful for a client that was built with [`ObservingConnector`] and does not retry.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};

/// How far a request came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It was not handed to the transport, for want of credentials for instance.
    #[default]
    NotSent,
    /// No connection could be made, so no server has seen it.
    NotConnected,
    /// It may have reached the server; no answer came.
    Sent,
    /// The server answered with this status.
    Answered(u16),
}

/// One conditional put, as its transport saw it. It travels as an extension of the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempt(Arc<Mutex<Progress>>);

impl Attempt {
    /// How far it came.
    pub(crate) fn progress(&self) -> Progress {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self, progress: Progress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

/// Makes clients that tell the [`Attempt`] of a request how it went.
#[derive(Debug)]
pub(crate) struct ObservingConnector;

impl HttpConnector for ObservingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Observing(inner)))
    }
}

#[derive(Debug)]
struct Observing(HttpClient);

#[async_trait]
impl HttpService for Observing {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let attempt = request.extensions().get::<Attempt>().cloned().unwrap_or_default();
        attempt.reach(Progress::Sent);
        let result = self.0.execute(request).await;
        match &result {
            Ok(response) => attempt.reach(Progress::Answered(response.status().as_u16())),
            Err(error) if error.kind() == HttpErrorKind::Connect => attempt.reach(Progress::NotConnected),
            Err(_) => {}
        }
        result
    }
}
