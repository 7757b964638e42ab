//! Where things are cut off: a future after some polls, and a process at some point before or after one of its requests.
//!
//! Invariant: what is cut off never goes on; a process's requests are counted over all of its tasks, so a commit, which runs in a
//! task of its own, is cut at each of its awaits of the store.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures::FutureExt;
use strandline_testkit::{Layer, Reply, Request, Sending};
use tokio::sync::Notify;

/// A future that is polled some times and dropped then: `None`.
pub(crate) struct Cut<F> {
    left: usize,
    future: Pin<Box<F>>,
}

impl<F: Future> Cut<F> {
    pub(crate) fn after(polls: usize, future: impl IntoFuture<IntoFuture = F>) -> Self {
        Self { left: polls, future: Box::pin(future.into_future()) }
    }
}

impl<F: Future> Future for Cut<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        match self.future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// A layer before a store that lets some points pass, two for each request, and none after that.
#[derive(Debug)]
pub(crate) struct Fuse {
    left: AtomicU64,
    /// Whether something was cut off, which never goes on.
    is_blown: AtomicBool,
    blown: Notify,
}

/// How many points pass while nothing is to be cut off.
const ENDLESS: u64 = u64::MAX;

impl Default for Fuse {
    fn default() -> Self {
        Self { left: AtomicU64::new(ENDLESS), is_blown: AtomicBool::new(false), blown: Notify::new() }
    }
}

impl Fuse {
    /// Lets this many points pass from now on.
    pub(crate) fn set(&self, points: u64) {
        self.left.store(points, Ordering::SeqCst);
    }

    /// Lets everything pass again; whether nothing has been cut off by then, which work that goes on beside a call may have been.
    pub(crate) fn reset(&self) -> bool {
        self.set(ENDLESS);
        !self.is_blown.load(Ordering::SeqCst)
    }

    /// Ends when nothing passes any more.
    pub(crate) async fn blown(&self) {
        self.blown.notified().await;
    }

    async fn point(&self) {
        tokio::task::yield_now().await;
        let passes = |left: u64| if left == ENDLESS { Some(left) } else { left.checked_sub(1) };
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, passes).is_err() {
            self.is_blown.store(true, Ordering::SeqCst);
            self.blown.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

impl Layer for Fuse {
    const NAME: &'static str = "Fuse";

    fn pass<T: Reply>(self: Arc<Self>, _: Request, send: Sending<T>) -> Sending<T> {
        async move {
            self.point().await;
            let reply = send.await;
            self.point().await;
            reply
        }
        .boxed()
    }
}
