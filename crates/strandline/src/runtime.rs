//! The one value through which time, randomness and the environment come in, so that tests can own them.
//!
//! Invariants: nothing else in the workspace asks the operating system for them (clippy refuses it); waiting rides on
//! `tokio::time`, which a test can pause; a commit's time is never before its parent's, whatever the clock says.
//! What does not belong here: I/O, spawning, and any policy about how long to wait.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use strandline_format::{Nonce, Timestamp};
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};

/// The wall clock.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strandline::format::Timestamp;
/// use strandline::storage::StorageOptions;
/// use strandline::{Clock, Lake, Runtime};
///
/// #[derive(Debug)]
/// struct Midnight;
///
/// impl Clock for Midnight {
///     fn now(&self) -> Timestamp {
///         Timestamp::EPOCH
///     }
/// }
///
/// let lake = Lake::create("memory://clock").runtime(Runtime::system().with_clock(Midnight)).await?;
/// assert_eq!(lake.main().await?.commit().time(), Timestamp::EPOCH);
/// # Ok(())
/// # }
/// ```
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now. It may jump, even backwards: no outcome ever depends on it.
    fn now(&self) -> Timestamp;
}

/// A source of random bytes.
///
/// ```
/// use strandline::{Random, Runtime};
///
/// /// Every run of a simulation draws the same.
/// #[derive(Debug)]
/// struct Sevens;
///
/// impl Random for Sevens {
///     fn fill(&self, bytes: &mut [u8]) -> strandline::Result<()> {
///         bytes.fill(7);
///         Ok(())
///     }
/// }
///
/// let runtime = Runtime::system().with_random(Sevens);
/// assert_eq!(runtime.random::<4>()?, [7; 4]);
/// # Ok::<(), strandline::Error>(())
/// ```
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills the buffer with bytes that nobody can foresee or repeat.
    ///
    /// # Errors
    /// `Unavailable` if the system has no randomness to give. A token that repeats could lose a commit, so there is
    /// no fallback.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

/// The environment variables.
///
/// ```
/// use strandline::{Environment, Runtime};
///
/// /// Nothing of the machine's environment is to be heard of.
/// #[derive(Debug)]
/// struct Empty;
///
/// impl Environment for Empty {
///     fn variables(&self, _prefix: &str) -> Vec<(String, String)> {
///         Vec::new()
///     }
/// }
///
/// let runtime = Runtime::system().with_environment(Empty);
/// assert_eq!(runtime.environment().variable("AWS_REGION"), None);
/// ```
pub trait Environment: Send + Sync + fmt::Debug {
    /// All variables whose names begin with `prefix`. Names or values that are not Unicode are left out.
    fn variables(&self, prefix: &str) -> Vec<(String, String)>;

    /// One variable, if it is set.
    fn variable(&self, name: &str) -> Option<String> {
        self.variables(name).into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }
}

/// Time, randomness and the environment, as one handle.
///
/// ```
/// use strandline::Runtime;
/// let runtime = Runtime::system();
/// let time = runtime.commit_time(None);
/// assert!(runtime.commit_time(Some(time)) >= time);
/// ```
#[derive(Clone, Debug)]
pub struct Runtime {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    environment: Arc<dyn Environment>,
}

impl Runtime {
    /// The operating system's clock, randomness and environment.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(System), random: Arc::new(System), environment: Arc::new(System) }
    }

    /// The same, with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same, with another source of randomness.
    #[must_use]
    pub fn with_random(mut self, random: impl Random + 'static) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// The same, with another environment.
    #[must_use]
    pub fn with_environment(mut self, environment: impl Environment + 'static) -> Self {
        self.environment = Arc::new(environment);
        self
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time to write into a commit: now, but never before its parent's, so that travel by time is well defined
    /// under clocks that disagree.
    #[must_use]
    pub fn commit_time(&self, parent: Option<Timestamp>) -> Timestamp {
        let now = self.now();
        parent.map_or(now, |parent| now.max(parent))
    }

    /// Random bytes, as ids and nonces are made of.
    ///
    /// # Errors
    /// `Unavailable` if the system has no randomness to give.
    pub fn random<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A nonce for one attempt at a pointer.
    ///
    /// # Errors
    /// `Unavailable` if the system has no randomness to give.
    pub fn nonce(&self) -> Result<Nonce> {
        self.random().map(Nonce::from_bytes)
    }

    /// The environment variables.
    #[must_use]
    pub fn environment(&self) -> &dyn Environment {
        &*self.environment
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self::system()
    }
}

/// A moment after which waiting ends. It rides on tokio's clock, which stands still when a test pauses it.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use strandline::{Deadline, ErrorKind};
///
/// let deadline = Deadline::after(Duration::from_millis(5));
/// let never = std::future::pending::<()>();
/// let late = deadline.run("waiting for nothing", never).await.unwrap_err();
/// assert_eq!(late.kind(), ErrorKind::Unavailable);
/// assert!(deadline.passed());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// `None`: never, because it lies beyond what the clock can say.
    at: Option<Instant>,
    allowed: Duration,
}

impl Deadline {
    /// The moment this long from now. `Duration::MAX` is no deadline at all.
    #[must_use]
    pub fn after(allowed: Duration) -> Self {
        Self { at: Instant::now().checked_add(allowed), allowed }
    }

    /// The time that is left; zero once it has passed, `Duration::MAX` if it never does.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether the time is up.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Sleeps for this long, or until the deadline if that comes first.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.min(self.remaining())).await;
    }

    /// Runs a future, but drops it at the deadline.
    ///
    /// # Errors
    /// `Unavailable` if the time was up first, saying `what` took too long. What the future had begun may still
    /// happen.
    pub async fn run<F: Future>(&self, what: &str, future: F) -> Result<F::Output> {
        let Some(at) = self.at else { return Ok(future.await) };
        tokio::time::timeout_at(at, future).await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, format!("{what} took longer than {:?}", self.allowed))
        })
    }
}

#[derive(Debug)]
struct System;

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is the place that hands the clock in")]
    fn now(&self) -> Timestamp {
        let now = std::time::SystemTime::now();
        let micros = match now.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        // A clock that is off by millennia is as wrong as one that begins at 1970: commit times never go back anyway.
        Timestamp::from_micros(micros).unwrap_or(Timestamp::EPOCH)
    }
}

impl Random for System {
    #[expect(clippy::disallowed_methods, reason = "this is the place that hands randomness in")]
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the system has no randomness to give").with_source(error)
        })
    }
}

impl Environment for System {
    #[expect(clippy::disallowed_methods, reason = "this is the place that hands the environment in")]
    fn variables(&self, prefix: &str) -> Vec<(String, String)> {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(prefix))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct At(i64);
    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0).unwrap()
        }
    }

    #[test]
    fn a_commit_is_never_before_its_parent() {
        let check = |now, parent: Option<i64>, expected| {
            let parent = parent.map(|micros| Timestamp::from_micros(micros).unwrap());
            let time = Runtime::system().with_clock(At(now)).commit_time(parent);
            assert_eq!(time.as_micros(), expected);
        };
        check(5, None, 5);
        check(5, Some(3), 5);
        check(5, Some(9), 9);
    }

    #[test]
    fn the_system_has_a_clock_and_randomness() {
        let runtime = Runtime::system();
        assert!(runtime.now().as_micros() > 0);
        assert_ne!(runtime.nonce().unwrap(), runtime.nonce().unwrap());
        assert!(runtime.environment().variable("PATH").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_stands_still_with_the_clock() {
        let deadline = Deadline::after(Duration::from_secs(10));
        deadline.sleep(Duration::from_secs(4)).await;
        assert_eq!(deadline.remaining(), Duration::from_secs(6));
        let never = deadline.run("waiting", std::future::pending::<()>()).await;
        assert_eq!(never.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(deadline.passed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_wait_is_no_deadline() {
        let deadline = Deadline::after(Duration::MAX);
        deadline.sleep(Duration::from_secs(1 << 40)).await;
        assert!(!deadline.passed());
        assert_eq!(deadline.run("nothing", std::future::ready(1)).await.unwrap(), 1);
    }
}
