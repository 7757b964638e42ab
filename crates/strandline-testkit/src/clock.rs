//! A clock that a test sets.
//!
//! Invariant: it moves only when told, and nothing about it is monotone. Waiting is not its business: pause tokio's time
//! for that.

use std::time::Duration;

use strandline::{Clock, Result};
use strandline_format::Timestamp;

use crate::shared::Shared;

/// A clock that stands still until a test moves it. Clones are the same clock, but each may be off by its own skew.
///
/// ```
/// use std::time::Duration;
/// use strandline::{Clock, Runtime};
/// use strandline_testkit::VirtualClock;
///
/// let clock = VirtualClock::at("2026-01-02T03:04:05.000000Z".parse()?);
/// let runtime = Runtime::system().with_clock(clock.clone());
/// clock.advance(Duration::from_secs(1))?;
/// assert_eq!(runtime.now().to_string(), "2026-01-02T03:04:06.000000Z");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct VirtualClock {
    state: Shared<State>,
    skew_micros: i64,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    /// By how much each reading moves the clock.
    step_micros: i64,
}

impl VirtualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { state: Shared::new(State { now, step_micros: 0 }), skew_micros: 0 }
    }

    /// The same clock, which goes on by `step` after each reading, so that no two readings are alike.
    #[must_use]
    pub fn stepping(self, step: Duration) -> Self {
        self.state.with(|state| state.step_micros = micros(step));
        self
    }

    /// The same clock as another machine sees it: off by this many microseconds, before or after.
    #[must_use]
    pub fn skewed(&self, micros: i64) -> Self {
        Self { state: self.state.clone(), skew_micros: self.skew_micros.saturating_add(micros) }
    }

    /// Sets the clock, also back.
    pub fn set(&self, now: Timestamp) {
        self.state.with(|state| state.now = now);
    }

    /// Moves the clock forward.
    ///
    /// # Errors
    /// `Invalid` at the end of the years that a time can name; the clock then stands where it stood.
    pub fn advance(&self, by: Duration) -> Result<()> {
        self.shift(micros(by))
    }

    /// Moves the clock back.
    ///
    /// # Errors
    /// `Invalid` at the begin of the years that a time can name; the clock then stands where it stood.
    pub fn set_back(&self, by: Duration) -> Result<()> {
        self.shift(-micros(by))
    }

    fn shift(&self, by: i64) -> Result<()> {
        self.state.with(|state| {
            state.now = shifted(state.now, by)?;
            Ok(())
        })
    }
}

impl Default for VirtualClock {
    /// A clock that shows 1970-01-01.
    fn default() -> Self {
        Self::at(Timestamp::EPOCH)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let now = self.state.with(|state| {
            let now = state.now;
            state.now = shifted(now, state.step_micros).unwrap_or(now);
            now
        });
        shifted(now, self.skew_micros).unwrap_or(now)
    }
}

fn shifted(time: Timestamp, by: i64) -> Result<Timestamp> {
    Ok(Timestamp::from_micros(time.as_micros().saturating_add(by))?)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(micros: i64) -> VirtualClock {
        VirtualClock::at(Timestamp::from_micros(micros).unwrap())
    }

    #[test]
    fn it_moves_as_told_and_both_ways() {
        let clock = clock(100);
        clock.advance(Duration::from_micros(5)).unwrap();
        assert_eq!(clock.now().as_micros(), 105);
        assert_eq!(clock.now().as_micros(), 105);
        clock.set_back(Duration::from_micros(10)).unwrap();
        assert_eq!(clock.now().as_micros(), 95);
        clock.set(Timestamp::from_micros(7).unwrap());
        assert_eq!(clock.now().as_micros(), 7);
        assert!(clock.advance(Duration::from_secs(1 << 50)).is_err());
        assert_eq!(clock.now().as_micros(), 7);
    }

    #[test]
    fn another_machine_s_clock_is_off_but_goes_along() {
        let clock = clock(100);
        let other = clock.skewed(-30);
        assert_eq!((clock.now().as_micros(), other.now().as_micros()), (100, 70));
        other.advance(Duration::from_micros(1)).unwrap();
        assert_eq!((clock.now().as_micros(), other.now().as_micros()), (101, 71));
    }

    #[test]
    fn a_stepping_clock_never_repeats() {
        let clock = clock(100).stepping(Duration::from_micros(2));
        assert_eq!([(); 3].map(|()| clock.now().as_micros()), [100, 102, 104]);
    }
}
