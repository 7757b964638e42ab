//! Which empty values of CSV are null: those that are nothing. One that is quoted is a text of no characters.
//!
//! The reader of Arrow does not see quotes, and takes both for null. So a quoted empty value of a column of texts gets a mark on its
//! way to that reader, and is made empty again behind it. A line of nothing is a row without values where there is one column, as
//! RFC 4180 has it, and what is passed over elsewhere.
//!
//! Invariant: quotes are closed, and nothing stands behind them in their value, or the file is refused: that reader would make
//! one value of all that follows an open one. What does not belong here: the types of columns.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use strandline::arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use strandline::arrow::datatypes::{DataType, Schema};
use strandline::arrow::error::ArrowError;

/// What no text has: a noncharacter of Unicode on both sides.
const MARK: &str = "\u{FDD0}empty\u{FDD0}";

/// How many bytes are read at a time.
const CHUNK: usize = 64 << 10;

/// The empty texts of one file. Cloning gives another handle to the same.
#[derive(Clone, Debug)]
pub(super) struct Empties {
    /// For each column, whether it has an empty value: of texts, and of bytes.
    texts: Arc<[bool]>,
    delimiter: u8,
    header: bool,
    /// Whether a text was marked.
    marked: Arc<AtomicBool>,
}

impl Empties {
    /// Of a file with these columns.
    pub(super) fn of(schema: &Schema, delimiter: u8, header: bool) -> Self {
        let has_empty = |ty: &DataType| matches!(ty, DataType::Utf8 | DataType::Binary);
        let texts = schema.fields().iter().map(|field| has_empty(field.data_type())).collect();
        Self { texts, delimiter, header, marked: Arc::default() }
    }

    /// Whether a line of nothing is a row.
    pub(super) fn counts_empty_lines(&self) -> bool {
        self.texts.len() == 1
    }

    /// A reader of the same file with marks in it.
    pub(super) fn marking<R: Read>(&self, reader: R) -> Marking<R> {
        let state = State { at: At::Record, column: 0, behind_return: false, header: self.header };
        Marking {
            reader,
            empties: self.clone(),
            state,
            chunk: vec![0; CHUNK],
            out: Vec::new(),
            taken: 0,
            over: false,
            lines: 0,
            opened: 0,
            mistaken: None,
        }
    }

    /// The batch without marks.
    pub(super) fn unmarked(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if !self.marked.load(Ordering::Relaxed) {
            return Ok(batch);
        }
        let column = |(column, is_text): (&ArrayRef, &bool)| match is_text {
            true => Arc::new(emptied(column.as_string())) as ArrayRef,
            false => Arc::clone(column),
        };
        RecordBatch::try_new(
            batch.schema(),
            batch.columns().iter().zip(self.texts.iter()).map(column).collect(),
        )
    }
}

fn emptied(texts: &StringArray) -> StringArray {
    texts.iter().map(|text| text.map(|text| if text == MARK { "" } else { text })).collect()
}

/// Where in a record one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Nothing of it was seen.
    Record,
    /// At the beginning of a value.
    Value,
    /// In a value without quotes.
    Plain,
    /// Behind the quote that opens a value.
    Opened,
    Quoted,
    /// Behind a quote within quotes: it closes them, or is the first of two.
    Quote,
    /// Behind two quotes at the beginning of a value, which are held back.
    TwoQuotes,
}

#[derive(Debug)]
struct State {
    at: At,
    column: usize,
    /// Whether the last byte was a carriage return that ended a record.
    behind_return: bool,
    /// Whether the next record names the columns.
    header: bool,
}

/// A reader that puts marks in.
#[derive(Debug)]
pub(super) struct Marking<R> {
    reader: R,
    empties: Empties,
    state: State,
    chunk: Vec<u8>,
    out: Vec<u8>,
    /// How much of `out` was taken.
    taken: usize,
    over: bool,
    /// How many lines have ended.
    lines: u64,
    /// The line of the last quote that opened a value.
    opened: u64,
    /// What is wrong with the quotes.
    mistaken: Option<String>,
}

impl<R> Marking<R> {
    fn byte(&mut self, byte: u8) {
        self.lines += u64::from(byte == b'\n');
        let ends = matches!(byte, b'\n' | b'\r');
        let (at, divides) = (self.state.at, byte == self.empties.delimiter);
        let behind_return = std::mem::replace(&mut self.state.behind_return, false);
        self.state.at = match (at, byte) {
            (At::Record | At::Value, b'"') => {
                self.opened = self.lines + 1;
                At::Opened
            }
            (At::Opened, b'"') => {
                self.state.at = At::TwoQuotes;
                return;
            }
            (At::Quoted, b'"') => At::Quote,
            (At::Opened | At::Quoted, _) | (At::Quote, b'"') => At::Quoted,
            (At::TwoQuotes, b'"') => {
                self.out.push(b'"');
                At::Quoted
            }
            (At::Record, b'\n') if behind_return => At::Record,
            (At::Record, _) if ends => {
                self.empty_line();
                self.state.behind_return = byte == b'\r';
                At::Record
            }
            _ if ends || divides => {
                self.value_ends(at);
                self.next(ends);
                self.state.behind_return = byte == b'\r';
                if ends { At::Record } else { At::Value }
            }
            (At::Quote | At::TwoQuotes, _) => {
                let text = "something stands behind the closing quote of a value";
                self.mistaken = Some(format!("line {}: {text}", self.opened));
                At::Plain
            }
            _ => At::Plain,
        };
        self.out.push(byte);
    }

    fn next(&mut self, ends: bool) {
        self.state.column = if ends { 0 } else { self.state.column + 1 };
        self.state.header &= !ends;
    }

    /// A value without anything in its quotes gets its mark between them.
    fn value_ends(&mut self, at: At) {
        if at != At::TwoQuotes {
            return;
        }
        if !self.state.header && self.empties.texts.get(self.state.column) == Some(&true) {
            self.empties.marked.store(true, Ordering::Relaxed);
            self.out.extend_from_slice(MARK.as_bytes());
        }
        self.out.push(b'"');
    }

    /// Nothing follows.
    fn ends(&mut self) {
        self.value_ends(self.state.at);
        if matches!(self.state.at, At::Opened | At::Quoted) {
            self.mistaken = Some(format!("line {}: a quote is opened that nothing closes", self.opened));
        }
    }

    /// Quotes make a record of a line of nothing, whose value is null.
    fn empty_line(&mut self) {
        if self.empties.counts_empty_lines() && !self.state.header {
            self.out.extend_from_slice(b"\"\"");
        }
    }
}

impl<R: Read> Read for Marking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.taken == self.out.len() && !self.over {
            (self.taken, self.out) = (0, std::mem::take(&mut self.out));
            self.out.clear();
            let read = self.reader.read(&mut self.chunk)?;
            let chunk = std::mem::take(&mut self.chunk);
            chunk.iter().take(read).for_each(|byte| self.byte(*byte));
            self.chunk = chunk;
            if read == 0 {
                self.over = true;
                self.ends();
            }
            if let Some(text) = self.mistaken.take() {
                return Err(std::io::Error::other(text));
            }
        }
        let left = self.out.get(self.taken..).unwrap_or_default();
        let count = left.len().min(buffer.len());
        buffer.iter_mut().zip(left).for_each(|(to, from)| *to = *from);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strandline::arrow::csv::ReaderBuilder;
    use strandline::arrow::datatypes::Field;

    /// What the reader of Arrow makes of a text: of a number `n` and a text `s`, or of a text alone.
    fn read(
        columns: &[&str],
        header: bool,
        text: &str,
        step: usize,
    ) -> Result<Vec<Vec<Option<String>>>, ArrowError> {
        let schema = |of: fn(&str) -> DataType| {
            let field = |name: &&str| Field::new(*name, of(name), true);
            Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
        };
        let types = schema(|name| if name == "n" { DataType::Int64 } else { DataType::Utf8 });
        let empties = Empties::of(&types, b',', header);
        let mut marking = empties.marking(text.as_bytes());
        marking.chunk.truncate(step);
        let mut rows = Vec::new();
        for batch in ReaderBuilder::new(schema(|_| DataType::Utf8)).with_header(header).build(marking)? {
            let batch = empties.unmarked(batch?)?;
            let cells = crate::cells::Cells::of(&batch).unwrap();
            rows.extend((0..batch.num_rows()).map(|row| cells.row(row)));
        }
        Ok(rows)
    }

    const STEPS: [usize; 4] = [1, 2, 3, 1 << 16];

    fn check(columns: &[&str], header: bool, text: &str, expected: &[&[Option<&str>]]) {
        for step in STEPS {
            let expected: Vec<Vec<_>> =
                expected.iter().map(|row| row.iter().map(|cell| cell.map(str::to_owned)).collect()).collect();
            assert_eq!(read(columns, header, text, step).unwrap(), expected, "{text:?} by {step}");
        }
    }

    fn check_refused(text: &str, expected: &str) {
        for step in STEPS {
            let error = read(&["s", "t"], false, text, step).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?} by {step}: {error}");
        }
    }

    #[test]
    fn a_quoted_empty_value_is_a_text_where_texts_are_and_null_elsewhere() {
        let rows: &[&[Option<&str>]] =
            &[&[Some("1"), Some("")], &[Some("2"), None], &[None, Some("")], &[None, None]];
        check(&["n", "s"], true, "n,s\n1,\"\"\n2,\n\"\",\"\"\n,", rows);
        check(&["n", "s"], true, "n,s\r\n1,\"\"\r\n2,\r\n,\"\"\r\n\"\",\r\n", rows);
    }

    #[test]
    fn quotes_within_quotes_are_no_empty_values() {
        check(&["s", "t"], false, "\"\"\"\",\"a\"\"\"\n", &[&[Some("\""), Some("a\"")]]);
        check(&["s", "t"], false, "\"\"\"\"\"\",x\"\"\n", &[&[Some("\"\""), Some("x\"\"")]]);
        check(&["s", "t"], false, "\",\"\",\n\",\"\"\n", &[&[Some(",\",\n"), Some("")]]);
        check(&["s", "t"], false, "5\" a,b\"\"\n", &[&[Some("5\" a"), Some("b\"\"")]]);
    }

    #[test]
    fn quotes_that_nothing_closes_or_that_something_follows_are_refused() {
        check_refused("a,b\n1,\"abc\n2,def\n", "line 2: a quote is opened that nothing closes");
        check_refused("a,\"", "line 1: a quote is opened that nothing closes");
        check_refused("a,\"b\nc\"d\n", "line 1: something stands behind the closing quote");
        check_refused("a,b\n\"\"a,\"\"", "line 2: something stands behind the closing quote");
        check_refused("a,\"say \\\"no\\\"\"\n", "line 1: something stands behind the closing quote");
    }

    #[test]
    fn names_have_no_marks_in_them() {
        check(&["s", "t"], true, "\"\",\"\"\n\"\",\n", &[&[Some(""), None]]);
    }

    #[test]
    fn a_line_of_nothing_is_a_row_of_one_column_and_none_of_more() {
        let rows: &[&[Option<&str>]] = &[&[Some("a")], &[None], &[None], &[Some("")]];
        check(&["s"], true, "\ns\na\n\n\n\"\"\n", rows);
        check(&["s"], true, "\r\ns\r\na\r\n\r\n\r\n\"\"", rows);
        check(&["s"], false, "\na\n", &[&[None], &[Some("a")]]);
        check(&["s", "t"], true, "s,t\na,b\n\nc,d\n", &[&[Some("a"), Some("b")], &[Some("c"), Some("d")]]);
    }
}
