//! Progress of long work on standard error, where a person looks on: rows, bytes, files, how fast it goes and how long it takes still.
//!
//! Invariants: nothing is shown where nobody looks on, nor of work that is soon done; what is shown goes away when the work ends, however
//! it ends. What does not belong here: what the work is.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use strandline::storage::{Objects, Traffic};
use tokio::task::AbortHandle;

use crate::context::Context;
use crate::interrupt;
use crate::output::size;

/// Work that is done within this time is not shown.
const SOON: Duration = Duration::from_millis(400);

/// How often what is shown is drawn anew.
const TICK: Duration = Duration::from_millis(150);

/// Before so much time, nothing is known of how fast it goes.
const KNOWN: Duration = Duration::from_secs(1);

const WITH_BAR: &str = "{spinner} {told} [{wide_bar}]{pace}";
const WITHOUT: &str = "{spinner} {told}{pace}";

/// How far some work is. Cloning gives another handle to the same.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    work: Arc<Work>,
    watched: bool,
}

#[derive(Default)]
struct Work {
    name: Mutex<&'static str>,
    /// What went to and from the store, if that is shown.
    store: OnceLock<Box<dyn Fn() -> Traffic + Send + Sync>>,
    rows: AtomicU64,
    bytes: AtomicU64,
    files: AtomicU64,
    /// How many tables there are to be done.
    tables: AtomicU64,
    tables_done: AtomicU64,
}

/// What there is of something, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) files: u64,
}

/// What is shown of work that tells how far it is only if it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Rows that came, and how many there are if that is known.
    pub(crate) rows: (u64, Option<u64>),
    /// Tables that are done, of how many.
    pub(crate) tables: (u64, u64),
    /// What went to and from the store for it.
    pub(crate) traffic: Traffic,
}

impl Progress {
    /// Of reading so many bytes, if that is known, of so many files, and making rows of them.
    pub(crate) fn of_bytes(context: &Context, name: &'static str, bytes: Option<u64>, files: usize) -> Self {
        let all = Amount { bytes: bytes.unwrap_or_default(), files: files as u64, rows: 0 };
        Self::counted(context, name, all)
    }

    /// Of writing so many rows.
    pub(crate) fn of_rows(context: &Context, name: &'static str, rows: u64) -> Self {
        Self::counted(context, name, Amount { rows, ..Amount::default() })
    }

    /// Of work that is asked now and then.
    pub(crate) fn asked(
        context: &Context,
        name: &'static str,
        sample: impl Fn() -> Sample + Send + Sync + 'static,
    ) -> Self {
        let sample = Arc::new(sample);
        let asked = Arc::clone(&sample);
        Self::new(
            context.out.is_watched(),
            name,
            WITHOUT,
            move |work| sampled(work.name(), work.with(asked())),
            move |work, elapsed| {
                let (rows, all) = work.with(sample()).rows;
                pace("row", rows, all, elapsed)
            },
        )
    }

    /// Of work on a lake of which nothing is known but what goes to and from its store.
    pub(crate) fn of_traffic(context: &Context, name: &'static str, objects: &Objects) -> Self {
        let traffic = since(objects);
        Self::asked(context, name, move || Sample { traffic: traffic(), ..Sample::default() })
    }

    /// The same of work on so many tables, one after the other is done.
    pub(crate) fn of_tables(context: &Context, name: &'static str, objects: &Objects, tables: usize) -> Self {
        let progress = Self::of_traffic(context, name, objects);
        progress.work.tables.store(tables as u64, Ordering::Relaxed);
        progress
    }

    fn counted(context: &Context, name: &'static str, all: Amount) -> Self {
        let length = if all.rows > 0 { all.rows } else { all.bytes };
        let template = if length > 0 { WITH_BAR } else { WITHOUT };
        let progress = Self::new(
            context.out.is_watched(),
            name,
            template,
            move |work| {
                let written = work.store.get().map_or(0, |store| store().bytes_written);
                let written =
                    if written > 0 { format!(", {} written", size(written)) } else { String::new() };
                counted(work.name(), work.so_far(), all) + &written
            },
            move |work, elapsed| match all.rows {
                0 => pace("byte", work.so_far().bytes, Some(all.bytes).filter(|all| *all > 0), elapsed),
                rows => pace("row", work.so_far().rows, Some(rows), elapsed),
            },
        );
        progress.bar.set_length(length);
        progress
    }

    fn new(
        watched: bool,
        name: &'static str,
        template: &str,
        told: impl Fn(&Work) -> String + Send + Sync + 'static,
        pace: impl Fn(&Work, Duration) -> String + Send + Sync + 'static,
    ) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let work = Arc::new(Work { name: Mutex::new(name), ..Work::default() });
        let (told, of_told) = (Arc::new(told), Arc::clone(&work));
        let told = move |_: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&told(&of_told));
        };
        let (pace, of_pace) = (Arc::new(pace), Arc::clone(&work));
        let pace = move |state: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&pace(&of_pace, state.elapsed()));
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("told", told).with_key("pace", pace));
        Self { bar, work, watched }
    }

    /// Shows it until what is given back is dropped.
    pub(crate) fn show(&self) -> Shown {
        let bar = self.bar.clone();
        let begun = self.watched.then(|| {
            tokio::spawn(async move {
                tokio::time::sleep(SOON).await;
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(TICK);
            })
            .abort_handle()
        });
        Shown { bar: self.bar.clone(), begun }
    }

    /// From here on this is what is done.
    pub(crate) fn names(&self, name: &'static str) {
        self.work.set_name(name);
    }

    /// What is written to this store from here on is told as well.
    pub(crate) fn writes_to(&self, objects: &Objects) {
        let _ = self.work.store.set(Box::new(since(objects)));
    }

    /// So many rows more came out of what is read.
    pub(crate) fn came(&self, rows: usize) {
        self.work.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// A table more is done.
    pub(crate) fn did_table(&self) {
        self.work.tables_done.fetch_add(1, Ordering::Relaxed);
    }

    /// A file more was read.
    pub(crate) fn read_file(&self) {
        self.work.files.fetch_add(1, Ordering::Relaxed);
    }

    /// So many bytes more were read.
    pub(crate) fn read(&self, bytes: u64) {
        self.work.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bar.inc(bytes);
    }

    /// So many rows more were written.
    pub(crate) fn wrote(&self, rows: usize) {
        self.came(rows);
        self.bar.inc(rows as u64);
    }

    /// How many rows came.
    pub(crate) fn rows(&self) -> u64 {
        self.work.rows.load(Ordering::Relaxed)
    }

    /// A writer that tells how much was written.
    pub(crate) fn writing<W: io::Write>(&self, writer: W) -> Counted<W> {
        Counted { writer, work: Arc::clone(&self.work) }
    }

    /// A reader that tells how much was read.
    pub(crate) fn reading<R: Read>(&self, reader: R) -> Watched<R> {
        Watched { reader, progress: self.clone(), first: None }
    }

    /// The same of a reader that reads what is read once more afterwards: then all is counted anew.
    pub(crate) fn looking<R: Read>(&self, reader: R) -> Watched<R> {
        let name = self.work.name();
        self.names("looking for types");
        Watched { reader, progress: self.clone(), first: Some(name) }
    }

    /// Counts anew, unless it was given up: whoever reads for it may hear of that later.
    fn begin_anew(&self, name: &'static str) {
        if self.bar.is_finished() {
            return;
        }
        self.names(name);
        self.work.bytes.store(0, Ordering::Relaxed);
        self.bar.reset();
    }
}

/// What was written to and read from a store since now.
pub(crate) fn since(objects: &Objects) -> impl Fn() -> Traffic + Send + Sync + 'static {
    let (objects, before) = (objects.clone(), objects.traffic());
    move || {
        let now = objects.traffic();
        Traffic {
            bytes_read: now.bytes_read.saturating_sub(before.bytes_read),
            bytes_written: now.bytes_written.saturating_sub(before.bytes_written),
            data_written: now.data_written.saturating_sub(before.data_written),
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("name", &self.name)
            .field("so_far", &self.so_far())
            .finish_non_exhaustive()
    }
}

impl Work {
    fn name(&self) -> &'static str {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_name(&self, name: &'static str) {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    fn so_far(&self) -> Amount {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Amount { rows: of(&self.rows), bytes: of(&self.bytes), files: of(&self.files) }
    }

    /// What was told without being asked, and what was found by asking.
    fn with(&self, asked: Sample) -> Sample {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (rows, all) = asked.rows;
        Sample {
            rows: if rows == 0 { (of(&self.rows), all) } else { (rows, all) },
            tables: if asked.tables.1 == 0 {
                (of(&self.tables_done), of(&self.tables))
            } else {
                asked.tables
            },
            ..asked
        }
    }
}

/// Progress that is shown, unless the work is soon done.
#[derive(Debug)]
#[must_use = "it is shown until it is dropped"]
pub(crate) struct Shown {
    bar: ProgressBar,
    begun: Option<AbortHandle>,
}

impl Shown {
    /// The same beside rows on standard output; nothing where these come to the terminal on which it is shown, and would run into it.
    pub(crate) fn beside_rows(self) -> Option<Self> {
        (!io::stdout().is_terminal()).then_some(self)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(begun) = &self.begun {
            begun.abort();
            self.bar.finish_and_clear();
            // Threads that have not heard of it yet still count.
            self.bar.set_draw_target(ProgressDrawTarget::hidden());
        }
    }
}

/// A writer whose bytes are counted.
#[derive(Debug)]
pub(crate) struct Counted<W> {
    writer: W,
    work: Arc<Work>,
}

impl<W: io::Write> io::Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.work.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A reader that is watched.
#[derive(Debug)]
pub(crate) struct Watched<R> {
    reader: R,
    progress: Progress,
    /// What is done after this reading, if it is the first of two.
    first: Option<&'static str>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A thread that reads hears of it nowhere else.
        if interrupt::was_pressed() {
            return Err(io::Error::other("interrupted"));
        }
        let read = self.reader.read(buffer)?;
        self.progress.read(read as u64);
        Ok(read)
    }
}

impl<R> Drop for Watched<R> {
    fn drop(&mut self) {
        if let Some(name) = self.first {
            self.progress.begin_anew(name);
        }
    }
}

/// `importing file 2 of 3, 1,000 rows, 3.0 MiB of 9.9 MiB`
fn counted(name: &str, so_far: Amount, all: Amount) -> String {
    let mut parts = Vec::new();
    if all.files > 1 {
        parts.push(format!("file {} of {}", (so_far.files + 1).min(all.files), all.files));
    }
    let rows = (all.rows > 0).then_some(HumanCount(all.rows));
    if so_far.rows > 0 || all.rows > 0 {
        parts.push(format!("{} rows", of(HumanCount(so_far.rows), rows)));
    }
    if so_far.bytes > 0 || all.bytes > 0 {
        parts.push(of(size(so_far.bytes), (all.bytes > 0).then(|| size(all.bytes))));
    }
    format!("{name} {}", parts.join(", "))
}

/// `merging 1,000 rows, 3.0 MiB read, 1.5 MiB in 2 files written`
fn sampled(name: &str, sample: Sample) -> String {
    let Sample { rows: (rows, all), tables: (tables, all_tables), traffic } = sample;
    let mut parts = Vec::new();
    if all_tables > 1 {
        parts.push(format!("table {} of {all_tables}", (tables + 1).min(all_tables)));
    }
    if rows > 0 {
        parts.push(format!("{} rows", of(HumanCount(rows), all.map(HumanCount))));
    }
    if traffic.bytes_read > 0 {
        parts.push(format!("{} read", size(traffic.bytes_read)));
    }
    if traffic.bytes_written > 0 {
        let files = match traffic.data_written {
            0 => String::new(),
            files => format!(" in {}", crate::output::counted(files, "file")),
        };
        parts.push(format!("{}{files} written", size(traffic.bytes_written)));
    }
    format!("{name} {}", parts.join(", ")).trim_end().to_owned()
}

fn of(some: impl std::fmt::Display, all: Option<impl std::fmt::Display>) -> String {
    all.map_or_else(|| some.to_string(), |all| format!("{some} of {all}"))
}

/// `, 1,000 rows/s, 12 s left`; where nobody knows how much there is, how long it has taken.
fn pace(unit: &str, so_far: u64, all: Option<u64>, elapsed: Duration) -> String {
    let taken = format!(", {} s", elapsed.as_secs());
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    if elapsed < KNOWN || so_far == 0 {
        return if elapsed < KNOWN { String::new() } else { taken };
    }
    let each_second = u64::try_from(u128::from(so_far) * 1000 / u128::from(millis)).unwrap_or(u64::MAX);
    let rate = match unit {
        "byte" => format!("{}/s", size(each_second)),
        _ => format!("{} {unit}s/s", HumanCount(each_second)),
    };
    match all.and_then(|all| all.checked_sub(so_far)) {
        Some(left) if each_second > 0 => format!(", {rate}, {} s left", left.div_ceil(each_second)),
        _ => format!(", {rate}{taken}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_bytes_and_files_are_told() {
        let amount = |rows, bytes, files| Amount { rows, bytes, files };
        let check = |so_far, all, expected: &str| assert_eq!(counted("at it", so_far, all), expected);
        check(amount(1000, 0, 0), amount(0, 0, 1), "at it 1,000 rows");
        check(amount(5, 1 << 20, 1), amount(0, 3 << 20, 3), "at it file 2 of 3, 5 rows, 1.0 MiB of 3.0 MiB");
        check(amount(5, 2048, 3), amount(0, 4096, 3), "at it file 3 of 3, 5 rows, 2.0 KiB of 4.0 KiB");
        check(amount(5, 0, 0), amount(9, 0, 0), "at it 5 of 9 rows");
        check(amount(0, 1024, 0), amount(0, 2048, 1), "at it 1.0 KiB of 2.0 KiB");
        let check = |rows, read, written, files, expected: &str| {
            let traffic = Traffic { bytes_read: read, bytes_written: written, data_written: files };
            assert_eq!(sampled("at it", Sample { rows, traffic, ..Sample::default() }), expected);
        };
        check((0, None), 0, 0, 0, "at it");
        check((7, Some(9)), 1024, 0, 0, "at it 7 of 9 rows, 1.0 KiB read");
        check((0, None), 0, 2048, 2, "at it 2.0 KiB in 2 files written");
        let tables = Sample { rows: (7, None), tables: (1, 3), ..Sample::default() };
        assert_eq!(sampled("at it", tables), "at it table 2 of 3, 7 rows");
    }

    #[test]
    fn what_was_given_up_does_not_begin_anew() {
        let progress = Progress::new(true, "at it", WITHOUT, |_| String::new(), |_, _| String::new());
        let looking = progress.looking(io::empty());
        progress.bar.finish_and_clear();
        drop(looking);
        assert!(progress.bar.is_finished());
    }

    #[test]
    fn the_pace_is_told_in_whole_numbers_once_it_is_known() {
        let check = |unit, so_far, all, millis, expected: &str| {
            assert_eq!(pace(unit, so_far, all, Duration::from_millis(millis)), expected);
        };
        check("row", 500, Some(1000), 999, "");
        check("row", 0, Some(1000), 3000, ", 3 s");
        check("row", 59_015, Some(100_000), 1000, ", 59,015 rows/s, 1 s left");
        check("row", 1000, None, 2000, ", 500 rows/s, 2 s");
        check("byte", 3 << 20, Some(9 << 20), 1500, ", 2.0 MiB/s, 3 s left");
        // More than was expected: nobody knows what is left.
        check("row", 10, Some(5), 1000, ", 10 rows/s, 1 s");
    }
}
