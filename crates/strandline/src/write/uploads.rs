//! Data files that are on their way into the store.
//!
//! Invariants: whoever holds this owns the requests, and dropping it ends them; a failure is remembered, so that nobody who asks
//! later takes a file that is missing for one that is there. Nothing may be swapped before all of it is stored [TXN-6, STO-14].

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::jobs::Task;
use crate::error::{Error, Result};

/// Uploads that may not have come to their end.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    tasks: VecDeque<Task<()>>,
    failed: Option<Error>,
}

impl Uploads {
    pub(super) fn new(tasks: VecDeque<Task<()>>) -> Self {
        Self { tasks, failed: None }
    }

    /// Adds a request that is of no use before somebody waits for it.
    pub(crate) fn add(&mut self, put: impl Future<Output = Result<()>> + Send + 'static) {
        self.tasks.push_back(Task::when_waited_for(put));
    }

    /// Takes over those of another.
    pub(crate) fn extend(&mut self, other: Self) {
        self.tasks.extend(other.tasks);
        self.failed = self.failed.take().or(other.failed);
    }

    /// Whether one of them is known to have failed: then asking again is of no use.
    pub(crate) fn have_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Waits until all of them are in the store. A future that is dropped changes nothing: ask again.
    ///
    /// # Errors
    /// What the store refused or could not do, however often it is asked.
    pub(crate) async fn stored(&mut self) -> Result<()> {
        poll_fn(|context| self.poll(context)).await;
        self.failed.as_ref().map_or(Ok(()), |error| Err(error.again()))
    }

    /// All at once: some of them do nothing but when they are waited for.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.tasks.retain_mut(|task| match Pin::new(task).poll(context) {
            Poll::Pending => true,
            Poll::Ready(Ok(())) => false,
            Poll::Ready(Err(error)) => {
                self.failed.get_or_insert(error);
                false
            }
        });
        if self.tasks.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn a_failure_is_told_whenever_it_is_asked_for() {
        let failing = || Task::spawn(async { Err(Error::new(ErrorKind::StoreFull, "no space")) });
        let fine = || Task::spawn(async { Ok(()) });
        let mut uploads = Uploads::new([fine(), failing(), fine()].into());
        for _ in 0..2 {
            assert_eq!(uploads.stored().await.unwrap_err().kind(), ErrorKind::StoreFull);
        }
        let mut all = Uploads::new([fine()].into());
        assert!(all.stored().await.is_ok());
        all.extend(uploads);
        assert_eq!(all.stored().await.unwrap_err().kind(), ErrorKind::StoreFull);
    }
}
