//! A store that counts its requests and how deep they are chained.
//!
//! Each request takes one tick of latency on tokio's clock. Under paused time that costs nothing, and requests that are
//! sent together end together, so that the level of a request is one more than the highest level that had ended when it
//! began. What does not belong here: what is done with the counts.
//!
//! Invariant: a request counts from the moment it is first polled, also when its answer is never waited for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use object_store::ObjectStore;

use crate::counts::{Counts, Tally};
use crate::intercept::{Intercepted, Layer, Reply, Sending};
use crate::request::{Request, RequestKind};
use crate::shared::Shared;

/// The latency of a request unless told otherwise. Under paused time any value gives the same depth.
const TICK: Duration = Duration::from_millis(1);

/// A store that counts. Clones count together.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// use std::sync::Arc;
/// use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
/// use strandline_testkit::{CountingStore, PathClass, RequestKind};
///
/// let store = CountingStore::new(Arc::new(InMemory::new()));
/// let path = Path::from("refs/branches/main.json");
/// let (_, counts) = store.measure(store.put(&path, "{}".into())).await;
/// assert_eq!(counts.of_to(RequestKind::Put, PathClass::Pointer).requests, 1, "{counts}");
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub type CountingStore = Intercepted<Counting>;

/// What a [`CountingStore`] has counted.
#[derive(Debug)]
pub struct Counting {
    latency: Duration,
    state: Shared<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    /// The highest level of the requests that have ended.
    ended: u64,
}

impl CountingStore {
    /// Counts the requests to `inner`, each of which takes one tick. Pause tokio's time to measure depth.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self::with_latency(inner, TICK)
    }

    /// The same, with another latency for each request: for benches, which do not pause time. With none, requests of
    /// an instant store look sequential, and the depth is only an upper bound.
    pub fn with_latency(inner: Arc<dyn ObjectStore>, latency: Duration) -> Self {
        Self::layered(inner, Counting { latency, state: Shared::default() })
    }

    /// What was counted until now.
    #[must_use]
    pub fn snapshot(&self) -> Counts {
        self.layer().state.with(|state| state.counts.clone())
    }

    /// What was counted after the snapshot. Its depth is right if no request was under way when it was taken.
    #[must_use]
    pub fn since(&self, before: &Counts) -> Counts {
        self.snapshot().since(before)
    }

    /// Runs one operation and counts its requests, and those of whatever else uses the store meanwhile.
    pub async fn measure<F: Future>(&self, operation: F) -> (F::Output, Counts) {
        let before = self.snapshot();
        let output = operation.await;
        (output, self.since(&before))
    }
}

impl Layer for Counting {
    const NAME: &'static str = "CountingStore";

    fn pass<T: Reply>(self: Arc<Self>, request: Request, send: Sending<T>) -> Sending<T> {
        async move {
            let _level = Level::begin(&self.state, &request);
            if !self.latency.is_zero() {
                tokio::time::sleep(self.latency).await;
            }
            let reply = send.await?;
            self.received(&request, reply.received());
            Ok(reply)
        }
        .boxed()
    }
}

impl Counting {
    fn received(&self, request: &Request, bytes: u64) {
        if request.kind != RequestKind::Head {
            let tally = Tally { received: bytes, ..Tally::default() };
            self.state.with(|state| state.counts.add(request, tally));
        }
    }
}

/// A request under way. It ends when its answer is there or when it is dropped, so that one given up does not hide the
/// depth of those after it.
struct Level {
    state: Shared<State>,
    level: u64,
}

impl Level {
    fn begin(state: &Shared<State>, request: &Request) -> Self {
        let level = state.with(|inside| {
            inside.counts.add(request, Tally { requests: 1, sent: request.sent, received: 0 });
            inside.counts.reach(inside.ended + 1);
            inside.ended + 1
        });
        Self { state: state.clone(), level }
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.state.with(|state| state.ended = state.ended.max(self.level));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::{StreamExt, TryStreamExt, future};
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{GetOptions, ObjectStoreExt, PutMode, UpdateVersion};

    use super::*;
    use crate::request::PathClass;

    fn store() -> CountingStore {
        CountingStore::new(Arc::new(InMemory::new()))
    }

    fn path(number: usize) -> Path {
        Path::from(format!("objects/{number}"))
    }

    async fn put(store: &CountingStore, number: usize) {
        store.put(&path(number), "12345".into()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn depth_is_the_longest_chain() {
        let store = store();
        let ((), counts) = store.measure(async { put(&store, 0).await }).await;
        assert_eq!(counts.depth(), 1, "{counts}");

        let parallel = future::join_all((0..10).map(|number| put(&store, number)));
        let (_, counts) = store.measure(parallel).await;
        assert_eq!((counts.depth(), counts.total().requests), (1, 10), "{counts}");

        let chain = async {
            for number in 0..4 {
                put(&store, number).await;
            }
        };
        let ((), counts) = store.measure(chain).await;
        assert_eq!((counts.depth(), counts.total().requests), (4, 4), "{counts}");

        let two_waves = async {
            future::join_all((0..5).map(|number| put(&store, number))).await;
            put(&store, 9).await;
        };
        let ((), counts) = store.measure(two_waves).await;
        assert_eq!((counts.depth(), counts.total().requests), (2, 6), "{counts}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_narrow_buffer_is_deep() {
        let store = store();
        let by_two =
            futures::stream::iter(0..6).map(|number| put(&store, number)).buffered(2).collect::<Vec<_>>();
        let (_, counts) = store.measure(by_two).await;
        assert_eq!((counts.depth(), counts.total().requests), (3, 6), "{counts}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_request_counts_and_ends() {
        let store = CountingStore::with_latency(Arc::new(InMemory::new()), TICK * 10);
        let before = store.snapshot();
        let given_up = tokio::time::timeout(TICK, put(&store, 0)).await;
        assert!(given_up.is_err());
        put(&store, 1).await;
        let counts = store.since(&before);
        assert_eq!((counts.depth(), counts.total().requests), (2, 2), "{counts}");
        assert!(store.head(&path(0)).await.is_err(), "it was dropped before it was sent");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_and_bytes_are_counted_by_kind() {
        let store = store();
        let path = path(1);
        let check = |counts: &Counts, kind, requests, sent, received| {
            assert_eq!(counts.of(kind), Tally { requests, sent, received }, "{kind} in {counts}");
        };
        let (result, counts) =
            store.measure(store.put_opts(&path, "123".into(), PutMode::Create.into())).await;
        check(&counts, RequestKind::PutIfAbsent, 1, 3, 0);
        let token = UpdateVersion::from(result.unwrap());
        let update = store.put_opts(&path, "12345".into(), PutMode::Update(token).into());
        check(&store.measure(update).await.1, RequestKind::PutIfMatch, 1, 5, 0);
        let (read, counts) = store.measure(async { store.get(&path).await?.bytes().await }).await;
        assert_eq!(read.unwrap(), Bytes::from("12345"));
        check(&counts, RequestKind::Get, 1, 0, 5);
        check(&store.measure(store.get_range(&path, 1..3)).await.1, RequestKind::GetRange, 1, 0, 2);
        check(&store.measure(store.head(&path)).await.1, RequestKind::Head, 1, 0, 0);
        check(&store.measure(store.list(None).try_collect::<Vec<_>>()).await.1, RequestKind::List, 1, 0, 0);
        check(&store.measure(store.copy(&path, &Path::from("copy"))).await.1, RequestKind::Copy, 1, 0, 0);
        check(&store.measure(store.delete(&path)).await.1, RequestKind::Delete, 1, 0, 0);
        let (read, counts) = store.measure(store.get_opts(&path, GetOptions::default())).await;
        assert!(read.is_err());
        check(&counts, RequestKind::Get, 1, 0, 0);
        assert_eq!(store.snapshot().total().requests, 9);
        assert_eq!(store.snapshot().reads().requests + store.snapshot().writes().requests, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn near_ranges_are_one_request_and_far_ones_are_parallel() {
        let store = store();
        store.put(&path(1), vec![7; 4 << 20].into()).await.unwrap();
        let (read, counts) =
            store.measure(store.get_ranges(&path(1), &[0..10, 20..30, 3 << 20..(3 << 20) + 5])).await;
        assert_eq!(read.unwrap().iter().map(Bytes::len).collect::<Vec<_>>(), [10, 10, 5]);
        assert_eq!((counts.of(RequestKind::GetRange).requests, counts.depth()), (2, 1), "{counts}");
        assert!(store.get_ranges(&path(1), &[0..10, (4 << 20) + 1..(4 << 20) + 2]).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_multipart_upload_is_its_parts() {
        let store = store();
        let upload = async {
            let mut upload = store.put_multipart(&path(1)).await.unwrap();
            let parts = [upload.put_part("ab".into()), upload.put_part("cde".into())];
            assert!(store.head(&path(1)).await.is_err(), "not visible before it is complete");
            future::try_join_all(parts).await.unwrap();
            upload.complete().await.unwrap();
        };
        let ((), counts) = store.measure(upload).await;
        assert_eq!(counts.of(RequestKind::PutPart), Tally { requests: 2, sent: 5, received: 0 }, "{counts}");
        assert_eq!(counts.of(RequestKind::CompleteMultipart).requests, 1);
        assert_eq!(
            (counts.depth(), counts.total().requests),
            (4, 5),
            "create, head, parts, complete: {counts}"
        );
        assert_eq!(store.get(&path(1)).await.unwrap().bytes().await.unwrap(), Bytes::from("abcde"));

        let mut given_up = store.put_multipart(&path(2)).await.unwrap();
        given_up.put_part("x".into()).await.unwrap();
        given_up.abort().await.unwrap();
        assert!(given_up.complete().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn counts_say_where_the_requests_went() {
        let store = CountingStore::new(Arc::new(InMemory::new())).with_root(Path::from("my/lake"));
        store.put(&Path::from("my/lake/refs/branches/main.json"), "{}".into()).await.unwrap();
        store.put(&Path::from("my/lake/lake.json"), "{}".into()).await.unwrap();
        let counts = store.snapshot();
        assert_eq!(counts.to(PathClass::Pointer), Tally { requests: 1, sent: 2, received: 0 });
        assert_eq!(counts.of_to(RequestKind::Put, PathClass::Lake).requests, 1);
        assert_eq!(counts.since(&counts), Counts::default());
        let text = counts.to_string();
        assert!(text.starts_with("2 requests, 2 deep, 4 bytes sent, 0 bytes received\n"), "{text}");
    }
}
