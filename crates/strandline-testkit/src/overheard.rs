//! Everything that a process logs, at every level and whoever says it, as text: what a test searches for what must not be there.
//!
//! Invariant: nothing is filtered, so that what is not found here was not logged. What does not belong here: logging of the
//! product, which has no subscriber of its own.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Who is told each line.
type Hear = dyn Fn(&str) + Send + Sync;

/// Tells each event, span and record of the process's `tracing` and `log`, from here on and for its whole life.
///
/// # Errors
/// If somebody listens already.
pub fn overhear(hear: impl Fn(&str) + Send + Sync + 'static) -> Result<(), &'static str> {
    let hear: &'static Hear = Box::leak(Box::new(hear));
    log::set_logger(Box::leak(Box::new(Listener { hear, spans: AtomicU64::new(0) })))
        .map_err(|_| "somebody hears `log` already")?;
    log::set_max_level(log::LevelFilter::Trace);
    tracing::subscriber::set_global_default(Listener { hear, spans: AtomicU64::new(0) })
        .map_err(|_| "somebody hears `tracing` already")
}

struct Listener {
    hear: &'static Hear,
    spans: AtomicU64,
}

impl Listener {
    fn say(&self, metadata: &Metadata<'_>, line: &Line) {
        (self.hear)(&format!("{} {} {}{}", metadata.level(), metadata.target(), metadata.name(), line.0));
    }
}

/// Fields with their values.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line::default();
        span.record(&mut line);
        self.say(span.metadata(), &line);
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line::default();
        values.record(&mut line);
        (self.hear)(&line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.say(event.metadata(), &line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        (self.hear)(&format!("{} {} {}", record.level(), record.target(), record.args()));
    }

    fn flush(&self) {}
}
