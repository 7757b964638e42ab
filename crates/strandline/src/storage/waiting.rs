//! How long whoever reads waits for a store in trouble.
//!
//! A server that is started anew costs a reader some time, and not its work; an address at which nothing has ever answered is
//! more likely wrong, and is said to be so soon. Invariants: a read is repeated only for what may pass by itself, and what comes of
//! it is the last answer; whoever has a deadline of his own drops the read at it. What does not belong here: the client's own
//! few retries (`clients`), puts (`objects::writer`), and swaps, which are never repeated unseen (`settle`).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::classify::met_another;
use crate::error::{ErrorKind, Result};
use crate::runtime::Deadline;

/// The pause before it is asked again. Each time the client makes retries of its own, with pauses that grow.
const PAUSE: Duration = Duration::from_millis(500);

/// How long at least a store is asked again that is at another request for the same object, which the client itself does not, where
/// any store is waited for.
const MET: Duration = Duration::from_secs(1);

/// For how long reads of one store are repeated. Clones know the same of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting {
    /// A store that has answered before.
    known: Duration,
    /// One that has not.
    unknown: Duration,
    has_answered: Arc<AtomicBool>,
}

impl Waiting {
    /// So long for a store that has answered before, and so long for one that has not.
    pub(crate) fn new(known: Duration, unknown: Duration) -> Self {
        Self { known, unknown, has_answered: Arc::default() }
    }

    /// Reads until there is an answer, or an error that no waiting will mend, or the time is up.
    pub(crate) async fn read<T, F: Future<Output = Result<T>>>(&self, read: impl Fn() -> F) -> Result<T> {
        let patience = if self.has_answered.load(Ordering::Relaxed) { self.known } else { self.unknown };
        let mut deadline = None;
        loop {
            let answer = read().await;
            let patience = if answer.as_ref().is_err_and(met_another) {
                patience.max(MET.min(self.known))
            } else {
                patience
            };
            // What takes long over a slow link is in no trouble yet.
            let deadline: &mut Deadline = deadline.get_or_insert_with(|| Deadline::after(patience));
            match answer {
                Err(error) if error.kind() == ErrorKind::Unavailable && !deadline.passed() => {
                    tracing::debug!(%error, "a read is repeated");
                }
                Err(error) => return Err(error),
                Ok(answer) => {
                    self.has_answered.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
            }
            deadline.sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use std::sync::atomic::AtomicU32;
    use tokio::time::Instant;

    const KNOWN: Duration = Duration::from_secs(60);
    const UNKNOWN: Duration = Duration::from_secs(2);

    /// A store that fails so often, or for ever.
    async fn read(waiting: &Waiting, failures: u32, kind: ErrorKind) -> (Result<u32>, Duration) {
        let (asked, begun) = (AtomicU32::new(0), Instant::now());
        let read = || async {
            match asked.fetch_add(1, Ordering::Relaxed) {
                number if number < failures => Err(Error::new(kind, "it is away")),
                number => Ok(number),
            }
        };
        (waiting.read(read).await, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_has_answered_is_waited_for_and_another_is_not() {
        let waiting = Waiting::new(KNOWN, UNKNOWN);
        let (never, took) = read(&waiting, u32::MAX, ErrorKind::Unavailable).await;
        assert!(never.is_err() && took >= UNKNOWN && took < UNKNOWN * 2, "{took:?}");
        assert_eq!(read(&waiting, 0, ErrorKind::Unavailable).await.0.unwrap(), 0);
        let (late, took) = read(&waiting, 50, ErrorKind::Unavailable).await;
        assert!(late.unwrap() == 50 && took > UNKNOWN * 2, "{took:?}");
        let (never, took) = read(&waiting.clone(), u32::MAX, ErrorKind::Unavailable).await;
        assert!(never.is_err() && took >= KNOWN && took < KNOWN * 2, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_at_another_request_is_asked_again_though_it_is_not_known() {
        let asked = AtomicU32::new(0);
        let read = || async {
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => {
                    let met = object_store::Error::AlreadyExists { path: "a".into(), source: "409".into() };
                    Err(crate::storage::store_error(&met, "a"))
                }
                _ => Ok(()),
            }
        };
        Waiting::new(KNOWN, Duration::ZERO).read(read).await.unwrap();
        asked.store(0, Ordering::Relaxed);
        assert!(Waiting::default().read(read).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_begins_with_the_first_failure() {
        let waiting = Waiting::new(KNOWN, UNKNOWN);
        read(&waiting, 0, ErrorKind::Unavailable).await.0.unwrap();
        let asked = AtomicU32::new(0);
        let slow = || async {
            tokio::time::sleep(KNOWN * 2).await;
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 => Err(Error::new(ErrorKind::Unavailable, "it broke off")),
                _ => Ok(()),
            }
        };
        waiting.read(slow).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_pass_is_told_at_once() {
        let waiting = Waiting::new(KNOWN, UNKNOWN);
        read(&waiting, 0, ErrorKind::Unavailable).await.0.unwrap();
        for kind in
            [ErrorKind::PermissionDenied, ErrorKind::Corrupt, ErrorKind::NotFound, ErrorKind::InvalidInput]
        {
            let (refused, took) = read(&waiting, u32::MAX, kind).await;
            assert_eq!((refused.unwrap_err().kind(), took), (kind, Duration::ZERO));
        }
        let (refused, took) = read(&Waiting::default(), 1, ErrorKind::Unavailable).await;
        assert!(refused.is_err() && took.is_zero());
    }
}
