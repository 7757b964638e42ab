//! Which line a record of CSV stands on: quoted values have line ends in them, and empty lines are no records unless there is one
//! column, so Arrow, which counts records, would name another line.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many turns are remembered: those of all records that may have been read ahead, and more.
const TURNS: usize = 1 << 16;

/// Where the records that went by began. Cloning gives another handle to the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// How many lines have ended.
    lines: u64,
    /// How many records have begun.
    records: u64,
    in_record: bool,
    in_quotes: bool,
    /// Whether a quote opens a value here: at its beginning, and behind another one.
    may_open: bool,
    delimiter: u8,
    /// Whether an empty line is a record, but before the one that names the columns.
    counts_empty: bool,
    header: bool,
    /// Records from which on lines are counted anew, and the lines on which they begin.
    turns: VecDeque<(u64, u64)>,
}

impl Lines {
    /// Of a file in which empty lines are records, or are not.
    pub(super) fn of(counts_empty: bool, header: bool, delimiter: u8) -> Self {
        Self(Arc::new(Mutex::new(Seen { counts_empty, header, delimiter, ..Seen::default() })))
    }

    /// The line on which a record begins, both counted from 1.
    pub(super) fn of_record(&self, record: u64) -> u64 {
        let seen = self.seen();
        let turn = seen.turns.iter().rev().find(|(begun, _)| *begun <= record);
        turn.map_or(record, |(begun, line)| line + (record - begun))
    }

    /// A reader whose bytes are watched.
    pub(super) fn watching<R: Read>(&self, reader: R) -> Watching<R> {
        Watching { reader, lines: self.clone() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn byte(&mut self, byte: u8) {
        let is_empty_record = byte == b'\n' && self.counts_empty && !(self.header && self.records == 0);
        if !self.in_record && (is_empty_record || byte != b'\n' && byte != b'\r') {
            self.begin();
        }
        let is_quote = byte == b'"';
        let closes = self.in_quotes && is_quote;
        self.in_quotes = if self.in_quotes { !is_quote } else { is_quote && self.may_open };
        self.may_open = closes || !self.in_quotes && byte == self.delimiter;
        if byte == b'\n' {
            self.lines += 1;
            self.in_record = self.in_record && self.in_quotes;
        }
    }

    fn begin(&mut self) {
        (self.in_record, self.may_open) = (true, true);
        self.records += 1;
        let line = self.lines + 1;
        let expected =
            self.turns.back().map_or(self.records, |(record, line)| line + (self.records - record));
        if line != expected {
            self.turns.push_back((self.records, line));
        }
        if self.turns.len() > TURNS {
            self.turns.pop_front();
        }
    }
}

/// A reader whose bytes are watched.
#[derive(Debug)]
pub(super) struct Watching<R> {
    reader: R,
    lines: Lines,
}

impl<R: Read> Read for Watching<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let mut seen = self.lines.seen();
        buffer.iter().take(read).for_each(|byte| seen.byte(*byte));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, lines: &[u64]) {
        check_of(&Lines::of(false, true, b','), text, lines);
    }

    fn check_of(watched: &Lines, text: &str, lines: &[u64]) {
        let mut through = String::new();
        watched.watching(text.as_bytes()).read_to_string(&mut through).unwrap();
        assert_eq!(through, text);
        let found: Vec<u64> = (1..).take(lines.len()).map(|record| watched.of_record(record)).collect();
        assert_eq!(found, lines, "{text:?}");
    }

    #[test]
    fn records_stand_on_the_lines_on_which_they_begin() {
        check("a\nb\nc\n", &[1, 2, 3]);
        check("a\r\nb\r\n", &[1, 2]);
        check("\na\n\n\nb\nc\n", &[2, 5, 6]);
        check("a\n\"x\ny\"\nb\nc\n", &[1, 2, 4, 5]);
        check("a\n\"say \"\"no\"\"\"\nb\n", &[1, 2, 3]);
        check("a\n\"x\n\"\"y\",\"\nz\"\nb\n", &[1, 2, 5]);
        check("a\n5\" x,6\"\"\nb\n\nc\n", &[1, 2, 3, 5]);
    }

    #[test]
    fn an_empty_line_is_a_record_of_one_column() {
        check_of(&Lines::of(true, true, b','), "\na\n\nb\n", &[2, 3, 4]);
        check_of(&Lines::of(true, false, b','), "\r\na\r\n\r\nb", &[1, 2, 3, 4]);
    }
}
