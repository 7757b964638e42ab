//! Heavy work, away from the threads that wait for requests.

use crate::error::{Error, ErrorKind, Result};

/// Runs work on a thread that may block, and waits for it. Dropping the future lets work that has begun run to its end; nobody
/// sees what came of it.
///
/// # Errors
/// Those of the work; `Unavailable` if the runtime shuts down.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::new(ErrorKind::Unavailable, "the runtime is shutting down")),
        },
    }
}
