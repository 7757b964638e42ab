//! What something cost: the time on the wall and the time of all processors, medians of several rounds, and ratios.
//!
//! The machine may be busy with other things; so what is compared is measured in turns, and the time of the processors, which
//! waits for nobody, stands beside that of the wall.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::phase::Failure;

/// What one round took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// All threads of this process together.
    pub(crate) processor: Duration,
}

/// A measurement under way.
pub(crate) struct Meter {
    started: Instant,
    processor: Duration,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), processor: processor_time() }
    }

    pub(crate) fn stop(self) -> Cost {
        let processor = processor_time().saturating_sub(self.processor);
        Cost { wall: self.started.elapsed(), processor }
    }
}

/// The processor time of this process so far; zero where the system does not tell.
fn processor_time() -> Duration {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
        Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
    }
    #[cfg(not(unix))]
    Duration::ZERO
}

/// The middle of several rounds, wall and processor apart; zero of none.
pub(crate) fn median(rounds: &[Cost]) -> Cost {
    Cost {
        wall: middle(rounds.iter().map(|cost| cost.wall)),
        processor: middle(rounds.iter().map(|cost| cost.processor)),
    }
}

fn middle(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// How often one time goes into another.
pub(crate) fn ratio(time: Duration, unit: Duration) -> f64 {
    time.as_secs_f64() / unit.as_secs_f64().max(1e-9)
}

/// A time, for people.
pub(crate) fn show(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds => format!("{:.2} ms", seconds * 1000.0),
    }
}

/// How many files there are below a folder, and how many bytes they have.
pub(crate) fn size_of(folder: &Path) -> Result<(u64, u64), Failure> {
    let mut size = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (files, bytes) =
            if entry.file_type()?.is_dir() { size_of(&entry.path())? } else { (1, entry.metadata()?.len()) };
        size = (size.0 + files, size.1 + bytes);
    }
    Ok(size)
}
