//! Work in tasks of its own, which end when nobody waits for them any more. Some computes for minutes without a pause: done in the task
//! that waits, Ctrl-C would not be heard.

use futures::StreamExt;
use futures::stream::{self, Stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How many items are computed before they are asked for.
const AHEAD: usize = 1;

/// Does work apart.
pub(crate) async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(done) => outcome(done).await,
        None => std::future::pending().await,
    }
}

/// What comes of a stream that is polled apart. After its end it may be asked again.
pub(crate) fn apart_stream<T: Send + 'static>(
    items: impl Stream<Item = T> + Send + 'static,
) -> impl Stream<Item = T> + Unpin {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut items = std::pin::pin!(items);
        while let Some(item) = items.next().await {
            if sender.send(item).await.is_err() {
                break;
            }
        }
    });
    stream::unfold((receiver, task), |(mut receiver, mut task)| async move {
        match receiver.recv().await {
            Some(item) => Some((item, (receiver, task))),
            None => {
                if let Some(ended) = task.join_next().await {
                    outcome(ended).await;
                }
                None
            }
        }
    })
    .fuse()
    .boxed()
}

/// What came of a task, its panic too.
async fn outcome<T>(ended: Result<T, tokio::task::JoinError>) -> T {
    match ended {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // It is cancelled with this future, which then is not polled.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::time::Duration;
    use tokio::time::Instant;

    /// A computation that lasts, as one of another thread sees it.
    const LONG: Duration = Duration::from_secs(2);

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whoever_waits_may_stop_waiting_in_the_middle_of_a_computation() {
        let begun = Instant::now();
        let soon = Duration::from_millis(50);
        let never = stream::iter(0..1).inspect(|_| std::thread::sleep(LONG));
        let mut items = apart_stream(never);
        assert!(tokio::time::timeout(soon, items.next()).await.is_err());
        assert!(tokio::time::timeout(soon, apart(async { std::thread::sleep(LONG) })).await.is_err());
        assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn items_come_in_their_order_and_end_and_a_panic_is_not_the_end() {
        let items: Vec<u32> = apart_stream(stream::iter(0..5)).collect().await;
        assert_eq!(items, [0, 1, 2, 3, 4]);
        let mut none = apart_stream(stream::empty::<u32>());
        assert_eq!((none.next().await, none.next().await), (None, None));
        let broken = apart_stream(stream::iter(0..5).inspect(|item| assert!(*item < 2)));
        let ended = std::panic::AssertUnwindSafe(broken.collect::<Vec<u32>>()).catch_unwind().await;
        assert!(ended.is_err());
    }
}
