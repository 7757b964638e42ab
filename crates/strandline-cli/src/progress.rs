//! Progress of long work on standard error, where a person looks on.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::context::Context;

const BYTES: &str =
    "{spinner} {msg} {rows} rows, {bytes} of {total_bytes} [{wide_bar}] {bytes_per_sec}, {eta} left";
const UNKNOWN: &str = "{spinner} {msg} {rows} rows, {bytes}, {bytes_per_sec}, {elapsed}";
const ROWS: &str = "{spinner} {msg} {human_pos} of {human_len} rows [{wide_bar}] {per_sec}, {eta} left";

/// How far some work is. Cloning gives another handle to the same.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    rows: Arc<AtomicU64>,
}

impl Progress {
    /// Of reading so many bytes, if that is known, and making rows of them.
    pub(crate) fn of_bytes(context: &Context, what: &str, total: Option<u64>) -> Self {
        Self::new(context, what, total, if total.is_some() { BYTES } else { UNKNOWN })
    }

    /// Of writing so many rows.
    pub(crate) fn of_rows(context: &Context, what: &str, total: u64) -> Self {
        Self::new(context, what, Some(total), ROWS)
    }

    fn new(context: &Context, what: &str, total: Option<u64>, template: &str) -> Self {
        let watched = context.out.is_watched();
        let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target).with_message(what.to_owned());
        let rows = Arc::new(AtomicU64::new(0));
        let shown = Arc::clone(&rows);
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("rows", move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}", HumanCount(shown.load(Ordering::Relaxed)));
        }));
        Self { bar, rows }
    }

    /// So many rows more came out of what is read.
    pub(crate) fn came(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.bar.tick();
    }

    /// So many bytes more were read.
    pub(crate) fn read(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// So many rows more were written.
    pub(crate) fn wrote(&self, rows: usize) {
        self.bar.inc(rows as u64);
    }

    /// A reader that tells how much was read.
    pub(crate) fn reading<R: Read>(&self, reader: R) -> Watched<R> {
        Watched { reader, bar: self.bar.clone() }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A reader that is watched.
#[derive(Debug)]
pub(crate) struct Watched<R> {
    reader: R,
    bar: ProgressBar,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.bar.inc(read as u64);
        Ok(read)
    }
}
