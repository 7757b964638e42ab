//! How long an answer is waited for: as long as the link moves bytes.
//!
//! A timeout for all of a transfer gives up on every large object where the link is slow, and asks again for the same; a short one for all
//! makes slow links useless, a long one notices a dead server late. So an answer must begin within some seconds and the time that the
//! uploads take which share the link, and its body must go on. Invariants: a slow link makes nobody fail as long as it carries
//! [`Pace::upload`] in all; time in which nobody asks for more of a body does not count; whoever uploads makes the others' time longer,
//! and no wait is without an end, since so many requests are in flight at most. What does not belong here: which requests are sent again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{
    HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
};
use tokio::time::{Instant, Sleep};

/// What is expected of a link and a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long the head of an answer may take.
    head: Duration,
    /// The same where a server puts the parts of an object together.
    assembly: Duration,
    /// How many bytes go up in a second at the least, of all requests together.
    upload: u64,
    /// How long nothing of a body may come.
    stall: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let (head, assembly) = (Duration::from_secs(8), Duration::from_secs(60));
        Self { head, assembly, upload: 128 << 10, stall: Duration::from_secs(10) }
    }
}

/// The way to a store, which all of its requests share. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    pace: Pace,
    load: Arc<Load>,
}

/// The uploads of a link.
#[derive(Debug, Default)]
struct Load {
    /// All that were begun, and their bytes.
    begun: Tally,
    /// Those that have come to an end, whichever it was.
    ended: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    count: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    fn add(&self, bytes: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn read(&self) -> (u64, u64) {
        (self.count.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// A request that is under way.
struct Upload<'a> {
    load: &'a Load,
    bytes: u64,
    /// What had ended before it began, and so does not share the link with it.
    ended_before: (u64, u64),
}

impl<'a> Upload<'a> {
    fn begin(load: &'a Load, bytes: u64) -> Self {
        let ended_before = load.ended.read();
        if bytes > 0 {
            load.begun.add(bytes);
        }
        Self { load, bytes, ended_before }
    }

    /// How many bytes the link carries at the most until all of this one's are through: as many of each other upload as of this, and no
    /// more than those have.
    fn shared(&self) -> u64 {
        let (count, bytes) = self.load.begun.read();
        let (count, bytes) =
            (count.saturating_sub(self.ended_before.0), bytes.saturating_sub(self.ended_before.1));
        self.bytes.saturating_mul(count).min(bytes)
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.load.ended.add(self.bytes);
        }
    }
}

impl Link {
    /// The answer to a request, an error if it does not begin in time or stalls.
    pub(crate) async fn execute(
        &self,
        client: &HttpClient,
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpError> {
        let upload = Upload::begin(&self.load, request.body().content_length() as u64);
        let patience = if assembles(&request) { self.pace.assembly } else { self.pace.head };
        let begun = Instant::now();
        let answered = client.execute(request);
        tokio::pin!(answered);
        let mut until = begun;
        let response = loop {
            // Others may have begun to upload since.
            let allowed = begun + patience + self.pace.time_for(upload.shared());
            if allowed <= until {
                return Err(late("no answer came in time"));
            }
            until = allowed;
            if let Ok(answered) = tokio::time::timeout_at(until, &mut answered).await {
                break answered?;
            }
        };
        let stall = self.pace.stall;
        Ok(response.map(|body| HttpResponseBody::new(Flowing { body, stall, waits: None })))
    }
}

impl Pace {
    fn time_for(&self, bytes: u64) -> Duration {
        Duration::from_millis(bytes.saturating_mul(1_000) / self.upload)
    }
}

/// Whether a request makes one object of parts, for which a server takes its time: by `uploadId` at S3 and Google, as a list of
/// blocks at Azure.
fn assembles(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let has = |wanted: &str| query.split('&').any(|pair| pair.starts_with(wanted));
    match request.method().as_str() {
        "POST" => has("uploadId="),
        "PUT" => has("comp=blocklist"),
        _ => false,
    }
}

fn late(why: &'static str) -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, std::io::Error::new(std::io::ErrorKind::TimedOut, why))
}

/// A body that is an error once nothing of it comes any more.
#[derive(Debug)]
struct Flowing {
    body: HttpResponseBody,
    stall: Duration,
    /// Set while somebody waits for more.
    waits: Option<Pin<Box<Sleep>>>,
}

impl Body for Flowing {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waits = None;
            return Poll::Ready(frame);
        }
        let stall = self.stall;
        ready!(self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall))).as_mut().poll(context));
        Poll::Ready(Some(Err(late("nothing more of the answer came"))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use futures::future::join_all;
    use object_store::aws::AmazonS3Builder;
    use object_store::client::HttpService;
    use object_store::path::Path;
    use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};
    use strandline_testkit::wire::{NarrowLink, StubBucket};

    use crate::storage::http::ObservingConnector;
    use crate::storage::identity::Server;

    const PART: usize = 8 << 20;

    /// A link that carries so many bytes a second, to a server that answers at once, or never.
    #[derive(Debug)]
    struct Slow {
        bytes_a_second: u64,
        /// How many uploads share it.
        sharing: u64,
        answers: bool,
    }

    #[async_trait]
    impl HttpService for Slow {
        async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            let bytes = request.body().content_length() as u64 * self.sharing;
            tokio::time::sleep(Duration::from_millis(bytes * 1_000 / self.bytes_a_second)).await;
            if !self.answers {
                std::future::pending::<()>().await;
            }
            Ok(HttpResponse::new(HttpResponseBody::from("done".to_owned())))
        }
    }

    fn put(bytes: usize) -> HttpRequest {
        let mut request = HttpRequest::new(vec![0; bytes].into());
        *request.method_mut() = "PUT".parse().unwrap();
        request
    }

    async fn puts(link: &Link, count: usize, slow: Slow) -> (Vec<bool>, Duration) {
        let (client, begun) = (HttpClient::new(slow), Instant::now());
        let puts = (0..count).map(|_| async { link.execute(&client, put(PART)).await.is_ok() });
        (join_all(puts).await, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn parts_go_up_over_a_slow_link_however_many_share_it() {
        // A little more than 1 Mbit/s.
        let bytes_a_second = 140_000;
        for count in [1, 4, 16] {
            let slow = Slow { bytes_a_second, sharing: count, answers: true };
            let (put, took) = puts(&Link::default(), usize::try_from(count).unwrap(), slow).await;
            assert!(
                put.iter().all(|put| *put) && took > Duration::from_secs(30),
                "{count}: {put:?} {took:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_began_alone_is_given_the_time_of_those_who_joined() {
        let link = Link::default();
        let slow = |sharing| Slow { bytes_a_second: 140_000, sharing, answers: true };
        let first = puts(&link, 1, slow(4));
        let joined = async {
            tokio::time::sleep(Duration::from_secs(50)).await;
            puts(&link, 3, slow(4)).await.0
        };
        let ((first, took), joined) = tokio::join!(first, joined);
        assert!(took > link.pace.time_for(PART as u64) + link.pace.head, "{took:?}");
        assert!(first.into_iter().chain(joined).all(|put| put));
        // What has ended counts for nobody.
        let (put, took) = puts(&link, 1, Slow { bytes_a_second: 1 << 30, sharing: 1, answers: false }).await;
        assert!(!put[0] && took == link.pace.head + link.pace.time_for(PART as u64), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_nothing_is_given_up() {
        let (pace, begun) = (Pace::default(), Instant::now());
        let client = HttpClient::new(Slow { bytes_a_second: 1 << 30, sharing: 1, answers: false });
        let error = Link::default().execute(&client, put(100)).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Timeout);
        assert!(begun.elapsed() < pace.head + Duration::from_secs(1), "{:?}", begun.elapsed());
        let mut assembly = put(100);
        *assembly.method_mut() = "POST".parse().unwrap();
        *assembly.uri_mut() = "http://host/bucket/key?uploadId=7".parse().unwrap();
        let begun = Instant::now();
        assert!(Link::default().execute(&client, assembly).await.is_err());
        assert!(begun.elapsed() >= pace.assembly, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn small_requests_are_not_given_the_time_of_large_ones() {
        let link = Link::default();
        let dead = || Slow { bytes_a_second: 1 << 30, sharing: 1, answers: false };
        let client = HttpClient::new(dead());
        let small = async {
            let begun = Instant::now();
            let (get, put) = tokio::join!(link.execute(&client, put(0)), link.execute(&client, put(50_000)));
            assert!(get.is_err() && put.is_err());
            begun.elapsed()
        };
        let (large, took) = tokio::join!(puts(&link, 8, dead()), small);
        assert!(took < link.pace.head + Duration::from_secs(5), "{took:?}");
        assert!(large.1 >= link.pace.time_for(8 * PART as u64), "{large:?}");
    }

    /// A body that comes in pieces, with such pauses before each, and then not at all.
    #[derive(Debug)]
    struct Pieces {
        pauses: Vec<Duration>,
        waits: Option<Pin<Box<Sleep>>>,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = HttpError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
            let Some(pause) = self.pauses.first().copied() else { return Poll::Pending };
            let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            ready!(waits.as_mut().poll(context));
            self.waits = None;
            self.pauses.remove(0);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"piece")))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_take_its_time_as_long_as_it_goes_on() {
        use futures::StreamExt;
        let stall = Pace::default().stall;
        let pause = stall - Duration::from_secs(1);
        let pieces = Pieces { pauses: vec![pause; 20], waits: None };
        let flowing = Flowing { body: HttpResponseBody::new(pieces), stall, waits: None };
        let mut chunks = HttpResponseBody::new(flowing).bytes_stream();
        for piece in 0..20 {
            assert!(chunks.next().await.unwrap().is_ok(), "{piece}");
            // Whoever reads takes his time as well.
            tokio::time::sleep(stall * 3).await;
        }
        let begun = Instant::now();
        assert_eq!(chunks.next().await.unwrap().unwrap_err().kind(), HttpErrorKind::Timeout);
        assert_eq!(begun.elapsed(), stall);
    }

    fn client(url: &str, link: &Link) -> impl ObjectStore {
        let options = ClientOptions::new().with_timeout_disabled().with_allow_http(true);
        let builder = AmazonS3Builder::new().with_endpoint(url).with_bucket_name("b").with_region("x");
        let builder =
            builder.with_access_key_id("id").with_secret_access_key("key").with_client_options(options);
        let builder = builder.with_http_connector(ObservingConnector::of(&Server::default(), link));
        builder.with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() }).build().unwrap()
    }

    /// Over sockets, and in tenths of the time.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_narrow_link_is_waited_for_and_a_dead_one_is_not() {
        let server = StubBucket::s3().serve().unwrap();
        let narrow = NarrowLink::start(&server.url(), 512 << 10).unwrap();
        let patience = Duration::from_millis(400);
        let pace = Pace { head: patience, assembly: patience, upload: 256 << 10, stall: patience };
        let store = client(&narrow.url(), &Link { pace, load: Arc::default() });
        let body = |bytes: usize| PutPayload::from(vec![7; bytes]);
        let paths: Vec<Path> = (0..5).map(|number| Path::from(format!("data/{number}"))).collect();
        let begun = Instant::now();
        let puts = paths[..4].iter().map(|path| store.put(path, body(128 << 10)));
        assert!(join_all(puts).await.iter().all(Result::is_ok));
        assert!(begun.elapsed() > patience + pace.time_for(128 << 10), "it was not narrow");
        store.put(&paths[4], body(512 << 10)).await.unwrap();
        let begun = Instant::now();
        assert_eq!(store.get(&paths[4]).await.unwrap().bytes().await.unwrap().len(), 512 << 10);
        assert!(begun.elapsed() > patience * 2, "it was not narrow");
        let begun = Instant::now();
        let torn = async {
            let got = store.get(&paths[4]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            narrow.hold();
            got.bytes().await
        };
        assert!(torn.await.is_err());
        let (get, put) = tokio::join!(store.get(&paths[4]), store.put(&paths[4], body(100)));
        assert!(get.is_err() && put.is_err());
        assert!(begun.elapsed() < patience * 10, "{:?}", begun.elapsed());
    }
}
