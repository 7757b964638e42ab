//! Work beside the caller: CPU work on blocking threads, at most so many at once, and tasks that end with their owner.
//!
//! Invariants: no task outlives its [`Task`], but for a job that is already running on its thread: it cannot be
//! stopped, ends by itself with its column, and has effects nowhere. A panic of a job goes on in whoever waits for it.

use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinHandle};

use crate::error::{Error, ErrorKind, Result};

/// So many jobs at once. Cloning gives another handle to the same.
#[derive(Clone, Debug)]
pub(super) struct Cores(Arc<Semaphore>);

impl Cores {
    pub(super) fn new(parallelism: NonZeroUsize) -> Self {
        Self(Arc::new(Semaphore::new(parallelism.get().min(Semaphore::MAX_PERMITS))))
    }

    /// A turn, if one is free at once.
    pub(super) fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// Runs a job when its turn comes, first come, first served.
    pub(super) async fn run<T: Send + Unpin + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(|_| stopped())?;
        let job = move || {
            let result = job();
            drop(turn);
            result
        };
        blocking(job).await
    }
}

/// Runs a job that takes its time on a thread of its own, whatever else runs.
pub(super) async fn blocking<T: Send + Unpin + 'static>(
    job: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    Task::blocking(job).await
}

/// A task that is aborted when it is dropped, or what it would have come to, if that is known already.
pub(super) enum Task<T> {
    Running(JoinHandle<Result<T>>),
    /// Nothing of it is done before somebody waits for it. The mutex is never locked: it makes shared what has one owner.
    Waited(Mutex<BoxFuture<'static, Result<T>>>),
    /// `None` once it was handed out.
    Done(Option<T>),
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running(_) => "Running",
            Self::Waited(_) => "Waited",
            Self::Done(_) => "Done",
        })
    }
}

impl<T: Send + 'static> Task<T> {
    pub(super) fn spawn(work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self::Running(tokio::spawn(work))
    }

    /// A job on a thread that may block.
    pub(super) fn blocking(job: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        Self::Running(tokio::task::spawn_blocking(job))
    }

    /// Work that is of no use before somebody waits for it.
    pub(super) fn when_waited_for(work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self::Waited(Mutex::new(Box::pin(work)))
    }

    /// What was done without a task, because handing it over would have taken longer.
    pub(super) fn done(outcome: T) -> Self {
        Self::Done(Some(outcome))
    }

    pub(super) fn is_finished(&self) -> bool {
        match self {
            Self::Running(handle) => handle.is_finished(),
            Self::Waited(_) => false,
            Self::Done(_) => true,
        }
    }
}

impl<T: Unpin> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        match &mut *self {
            Self::Running(handle) => {
                let joined = Pin::new(handle).poll(context);
                joined.map(|joined| joined.unwrap_or_else(|error| Err(failed(error))))
            }
            Self::Waited(work) => {
                work.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(context)
            }
            Self::Done(outcome) => Poll::Ready(outcome.take().ok_or_else(stopped)),
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if let Self::Running(handle) = self {
            handle.abort();
        }
    }
}

fn failed(error: JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => stopped(),
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Unavailable, "the runtime is shutting down")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::join_all;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_jobs_run_than_there_are_cores() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let cores = Cores::new(NonZeroUsize::new(3).unwrap());
        let jobs = (0..20).map(|number| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            cores.run(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(number)
            })
        });
        let results: Vec<i32> = join_all(jobs).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, (0..20).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_dropped_task_ends() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let task = Task::spawn(async move {
            std::future::pending::<()>().await;
            drop(sender);
            Ok(())
        });
        assert!(!task.is_finished());
        drop(task);
        assert!(receiver.await.is_err());
    }

    #[tokio::test]
    #[should_panic(expected = "as it was said")]
    async fn a_panic_goes_on() {
        let _ = blocking::<()>(|| panic!("as it was said")).await;
    }
}
