//! The wire under a bucket's clients: what really happened to one conditional put, which the stores' errors do not say, what
//! the server calls itself, and bounds on how much of an answer `object_store` reads whole. How long one is waited for is in `pace`.
//!
//! Invariants: [`Attempt`] is written by the transport alone, so what it holds is a fact about the last request that
//! carried it; it is only meaningful for a client that was built with [`ObservingConnector`] and does not retry. No answer
//! is read past its bound; only the body of a whole object has none here, because who reads it has one of its own.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService, ReqwestConnector,
};
use object_store::{ClientConfigKey, ClientOptions};

use super::identity::{Deed, Server};
use super::options::is_written;
use super::pace::Link;
use super::trust::Untrusted;

/// How much of an error's text is read.
const ERROR_BYTES: usize = 64 << 10;
/// How long the answer to anything but a read may be: a page of a listing has a thousand keys of at most a KiB each.
const ANSWER_BYTES: u64 = 16 << 20;

/// How long one word may be that the metadata of an instance says.
const WORD_BYTES: u64 = 4 << 10;

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

/// What a read of a ref carries: whoever answers it is the store, and not somebody who hands out credentials.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfRef;

/// Makes clients that tell the [`Attempt`] of a request how it went, and who answers.
#[derive(Debug)]
pub(crate) struct ObservingConnector {
    server: Server,
    link: Link,
}

impl ObservingConnector {
    /// Clients that tell this one who answers, over this link.
    pub(crate) fn of(server: &Server, link: &Link) -> Self {
        Self { server: server.clone(), link: link.clone() }
    }
}

impl HttpConnector for ObservingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        // Who sets a timeout knows how slow the store is, and the client keeps to it.
        let paced = options.get_config_value(&ClientConfigKey::Timeout).is_none();
        let link = paced.then(|| self.link.clone());
        Ok(HttpClient::new(Observing { inner, link, server: self.server.clone() }))
    }
}

#[derive(Debug)]
struct Observing {
    inner: HttpClient,
    /// By which it is judged whether an answer takes too long; `None`: the client has a timeout of its own.
    link: Option<Link>,
    server: Server,
}

#[async_trait]
impl HttpService for Observing {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let attempt = request.extensions().get::<Attempt>().cloned().unwrap_or_default();
        let (bound, asks, word) = (answer_bound(&request), Asks::of(&request), asks_for_a_word(&request));
        attempt.reach(Progress::Sent);
        match self.execute(request).await {
            Ok(response) => {
                if let Some(deed) = asks.deed(&response) {
                    let name = response.headers().get("server").and_then(|name| name.to_str().ok());
                    self.server.hear(name.unwrap_or_default(), deed);
                }
                attempt.reach(Progress::Answered(response.status().as_u16()));
                match word && response.status().is_success() {
                    true => one_word(response).await,
                    false => Ok(bounded(response, bound).await),
                }
            }
            Err(error) => {
                if error.kind() == HttpErrorKind::Connect {
                    attempt.reach(Progress::NotConnected);
                }
                Err(Untrusted::of(&error).unwrap_or(error))
            }
        }
    }
}

impl Observing {
    /// The answer, if it begins in time and does not stall.
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match &self.link {
            Some(link) => link.execute(&self.inner, request).await,
            None => self.inner.execute(request).await,
        }
    }
}

/// Whether a request can only be one of the store itself. The same client also asks for credentials, elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    ReadRef,
    CreateRef,
    SwapRef,
    Put,
    Other,
}

impl Asks {
    fn of(request: &HttpRequest) -> Self {
        let extensions = request.extensions();
        if extensions.get::<OfRef>().is_some() {
            Self::ReadRef
        } else if extensions.get::<Attempt>().is_some() {
            if creates(request) { Self::CreateRef } else { Self::SwapRef }
        } else if request.method() == "PUT" {
            Self::Put
        } else {
            Self::Other
        }
    }

    /// What the store has done, if the answer comes from it and not from something before it that is in trouble. Who hands out a token of
    /// an instance is asked by a PUT too, but gives nothing an ETag.
    fn deed(self, response: &HttpResponse) -> Option<Deed> {
        let status = response.status();
        match (self, status.as_u16()) {
            (Self::ReadRef, 304) => Some(Deed::Read),
            (Self::ReadRef, _) if status.is_success() => Some(Deed::Read),
            // Azure says of what is there already that it conflicts.
            (Self::CreateRef, 409 | 412) => Some(Deed::RefusedCreation),
            (Self::SwapRef, 412) => Some(Deed::RefusedSwap),
            (Self::CreateRef | Self::SwapRef, _) if status.is_success() => Some(Deed::Put),
            (Self::Put, _) if status.is_success() && response.headers().contains_key("etag") => {
                Some(Deed::Put)
            }
            _ => None,
        }
    }
}

/// Whether a conditional put is on condition that nothing is there: S3 and Azure say `*`, Google generation 0.
fn creates(request: &HttpRequest) -> bool {
    let is = |name, value| request.headers().get(name).is_some_and(|found| found == value);
    is("if-none-match", "*") || is("x-goog-if-generation-match", "0")
}

/// How many bytes a successful answer may have; `None`: as many as the object that is read.
fn answer_bound(request: &HttpRequest) -> Option<u64> {
    if request.method() != "GET" || is_listing(request.uri().query().unwrap_or_default()) {
        return Some(ANSWER_BYTES);
    }
    let range = request.headers().get("range").and_then(|range| range.to_str().ok());
    let (first, last) = range?.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    Some(last.saturating_sub(first).saturating_add(1))
}

/// Whether a query asks for a listing: S3 and Google say `list-type`, Azure `comp=list`. Other queries belong to reads of
/// objects as well, a shared access signature for instance.
fn is_listing(query: &str) -> bool {
    query.split('&').any(|pair| pair == "comp=list" || pair.starts_with("list-type="))
}

/// Whether it is the metadata of an instance that is asked, for its session or the name of its role: `object_store` puts that into its
/// next request as it is, and panics if it cannot. Nothing of a lake is called so.
fn asks_for_a_word(request: &HttpRequest) -> bool {
    ["/latest/api/token", "/meta-data/iam/security-credentials/"]
        .iter()
        .any(|path| request.uri().path().ends_with(path))
}

/// An answer that is one word, whatever blanks are around it.
async fn one_word(response: HttpResponse) -> Result<HttpResponse, HttpError> {
    let (parts, body) = response.into_parts();
    let body = HttpResponseBody::new(Bounded { body, left: WORD_BYTES }).bytes().await?;
    match std::str::from_utf8(&body).map(str::trim) {
        Ok(word) if is_written(word) => {
            Ok(HttpResponse::from_parts(parts, word.to_owned().into_bytes().into()))
        }
        _ => {
            let text = "the metadata of the instance says more than the one word that it was asked for";
            Err(HttpError::new(HttpErrorKind::Decode, std::io::Error::other(text)))
        }
    }
}

async fn bounded(response: HttpResponse, bound: Option<u64>) -> HttpResponse {
    let (parts, body) = response.into_parts();
    let body = match bound {
        _ if !parts.status.is_success() => error_text(body).await.into(),
        Some(left) => HttpResponseBody::new(Bounded { body, left }),
        None => body,
    };
    HttpResponse::from_parts(parts, body)
}

/// The beginning of an error's text. Whatever is wrong with the rest of it, the status is worth more.
async fn error_text(body: HttpResponseBody) -> String {
    let mut chunks = body.bytes_stream();
    let mut text = Vec::new();
    while text.len() < ERROR_BYTES
        && let Some(Ok(chunk)) = chunks.next().await
    {
        text.extend_from_slice(&chunk);
    }
    text.truncate(ERROR_BYTES);
    String::from_utf8_lossy(&text).into_owned()
}

/// A body that is an error once it is longer than it may be.
#[derive(Debug)]
struct Bounded {
    body: HttpResponseBody,
    left: u64,
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = &polled else { return polled };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(length) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Some(Err(too_long()))),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // What the server announces is allocated at once by who collects the body.
        let announced = self.body.size_hint();
        if announced.lower() <= self.left { announced } else { SizeHint::default() }
    }
}

fn too_long() -> HttpError {
    HttpError::new(HttpErrorKind::Decode, std::io::Error::other("the answer is longer than it may be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_body_of_a_whole_object_has_no_bound_here() {
        let check = |method: &str, uri: &str, range: Option<&str>, expected: Option<u64>| {
            let mut request = HttpRequest::new(Bytes::new().into());
            *request.method_mut() = method.parse().unwrap();
            *request.uri_mut() = uri.parse().unwrap();
            if let Some(range) = range {
                request.headers_mut().insert("range", range.parse().unwrap());
            }
            assert_eq!(answer_bound(&request), expected, "{method} {uri} {range:?}");
        };
        check("GET", "http://host/bucket/key", None, None);
        check("GET", "http://host/bucket/key", Some("bytes=10-19"), Some(10));
        check("GET", "http://host/bucket/key", Some("bytes=-8"), None);
        check("GET", "http://host/bucket?list-type=2", None, Some(ANSWER_BYTES));
        check("GET", "http://host/c?restype=container&comp=list&sig=x", None, Some(ANSWER_BYTES));
        check("GET", "http://host/c/key?sv=2024&sig=x", None, None);
        check("GET", "http://host/c/key?sv=2024&sig=x", Some("bytes=0-33554431"), Some(32 << 20));
        check("PUT", "http://host/bucket/key", None, Some(ANSWER_BYTES));
        check("POST", "http://host/bucket?delete", None, Some(ANSWER_BYTES));
    }

    #[tokio::test]
    async fn what_goes_into_the_next_request_is_one_word() {
        let check = async |said: &[u8], expected: Option<&str>| {
            let answer = one_word(HttpResponse::new(said.to_vec().into())).await.ok();
            let answer = match answer {
                Some(answer) => Some(answer.into_body().bytes().await.unwrap()),
                None => None,
            };
            assert_eq!(answer.as_deref(), expected.map(str::as_bytes), "{said:?}");
        };
        check(b"writer", Some("writer")).await;
        check(b"writer\r\n", Some("writer")).await;
        check(b"AQAEAN//+==", Some("AQAEAN//+==")).await;
        check(b"writer\nreader", None).await;
        check(b"<html>", None).await;
        check(b"\xff", None).await;
        check(&[b'x'; 5000], None).await;
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_bound() {
        let long = || HttpResponseBody::from(vec![b'x'; ERROR_BYTES + 1]);
        assert!(
            HttpResponseBody::new(Bounded { body: long(), left: ERROR_BYTES as u64 }).bytes().await.is_err()
        );
        let fits = HttpResponseBody::new(Bounded { body: long(), left: ERROR_BYTES as u64 + 1 });
        assert_eq!(fits.bytes().await.unwrap().len(), ERROR_BYTES + 1);
        assert_eq!(error_text(long()).await.len(), ERROR_BYTES);
        assert_eq!(error_text(vec![b'<', 0xff].into()).await, "<\u{fffd}");
    }
}
