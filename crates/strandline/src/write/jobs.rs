//! Work beside the caller: CPU work on blocking threads, at most so many at once, and tasks that end with their owner.
//!
//! Invariants: no task outlives its [`Task`], but for a job that is already running on its thread: it cannot be
//! stopped, ends by itself with its column, and has effects nowhere. A panic of a job goes on in whoever waits for it.
//! While a job waits, so many threads work; each takes the next one by itself, since to be woken for each would leave cores idle.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use crate::error::{Error, ErrorKind, Result};

/// So many jobs at once, first come, first served. Cloning gives another handle to the same.
#[derive(Clone)]
pub(super) struct Cores(Arc<Queue>);

struct Queue {
    at_once: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    workers: usize,
}

impl Cores {
    pub(super) fn new(parallelism: NonZeroUsize) -> Self {
        Self(Arc::new(Queue { at_once: parallelism.get(), state: Mutex::default() }))
    }

    /// Lets a job run when its turn comes. It is left out if nobody waits for it by then.
    pub(super) fn start<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Task<T> {
        let (sender, receiver) = oneshot::channel();
        self.0.push(Box::new(move || {
            if !sender.is_closed() {
                // Whoever waited may be gone since.
                let _ = sender.send(catch_unwind(AssertUnwindSafe(job)));
            }
        }));
        if let Some(worker) = Worker::needed(&self.0) {
            tokio::task::spawn_blocking(move || worker.work());
        }
        Task::Queued(receiver)
    }
}

impl Queue {
    fn push(&self, job: Box<dyn FnOnce() + Send>) {
        self.state().waiting.push_back(job);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who takes jobs, on a thread of his own, until there are none.
struct Worker(Option<Arc<Queue>>);

impl Worker {
    /// One more, if there may be more.
    fn needed(queue: &Arc<Queue>) -> Option<Self> {
        let mut state = queue.state();
        let room = state.workers < queue.at_once;
        state.workers += usize::from(room);
        room.then(|| Self(Some(Arc::clone(queue))))
    }

    fn work(mut self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    /// The next job. Who finds none is no worker from then on: whoever brings one later needs another.
    fn next(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        let queue = self.0.take()?;
        let mut state = queue.state();
        let job = state.waiting.pop_front();
        if job.is_none() {
            state.workers -= 1;
            return None;
        }
        drop(state);
        self.0 = Some(queue);
        job
    }
}

impl Drop for Worker {
    /// A runtime that shuts down drops who has not begun. What then waits for nobody is let go, so that it is known to be.
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        let mut state = queue.state();
        state.workers -= 1;
        if state.workers == 0 {
            state.waiting.clear();
        }
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
    /// A job among those of [`Cores`].
    Queued(oneshot::Receiver<std::thread::Result<Result<T>>>),
    /// Nothing of it is done before somebody waits for it. The mutex is never locked: it makes shared what has one owner.
    Waited(Mutex<BoxFuture<'static, Result<T>>>),
    /// `None` once it was handed out.
    Done(Option<T>),
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running(_) => "Running",
            Self::Queued(_) => "Queued",
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
            Self::Queued(receiver) => !receiver.is_empty(),
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
            Self::Queued(receiver) => Pin::new(receiver).poll(context).map(|outcome| match outcome {
                Ok(outcome) => outcome.unwrap_or_else(|panic| resume_unwind(panic)),
                Err(_) => Err(stopped()),
            }),
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
        Ok(panic) => resume_unwind(panic),
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
            cores.start(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(number)
            })
        });
        let results: Vec<i32> = join_all(jobs).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, (0..20).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert!(cores.start(|| Ok(true)).await.unwrap(), "who comes later is served too");
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_is_left_out() {
        let cores = Cores::new(NonZeroUsize::MIN);
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let first = cores.start(move || Ok(wait.recv().is_ok()));
        let ran = Arc::new(AtomicUsize::new(0));
        let count = |ran: &Arc<AtomicUsize>| {
            let ran = Arc::clone(ran);
            cores.start(move || Ok(ran.fetch_add(1, Ordering::SeqCst)))
        };
        drop(count(&ran));
        let last = count(&ran);
        assert!(!last.is_finished());
        go.send(()).unwrap();
        assert!(first.await.unwrap());
        assert_eq!(last.await.unwrap(), 0);
    }

    /// Where nobody is left to do a job, whoever waits for it is told.
    #[test]
    fn the_end_of_a_runtime_is_the_end_of_its_jobs() {
        let cores = Cores::new(NonZeroUsize::MIN);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let _within = handle.enter();
        let job = cores.start(|| Ok(()));
        let error = futures::executor::block_on(job).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(cores.0.state().workers, 0);
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

    #[tokio::test]
    #[should_panic(expected = "as it was said")]
    async fn a_panic_of_a_job_goes_on() {
        let _ = Cores::new(NonZeroUsize::MIN).start::<()>(|| panic!("as it was said")).await;
    }
}
