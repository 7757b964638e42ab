//! Bytes of CSV taken apart into records.
//!
//! Values stand in quotes or not, as RFC 4180 has it; a record ends with LF, CR or both. A value that is nothing, or the text that stands for
//! null, is null, and one in quotes is a text. A line of nothing is a record of one null where records have one value, and is passed over
//! elsewhere.
//!
//! Invariants: quotes are closed, and nothing stands behind them in their value, or the file is refused; a record is told with the line on which it
//! begins, whatever ends lines, in quotes too. What does not belong here: what values are (`leaf`).

use super::super::Misread;
use super::super::beginning::Beginning;
use super::Csv;

/// A record as it was taken apart.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// All values, one behind the other.
    bytes: Vec<u8>,
    /// Where each ends, and whether it is null.
    ends: Vec<(usize, bool)>,
    /// The line on which it begins, counted from 1.
    pub(super) line: u64,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes its values have.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The values; of a value that is no text, its place.
    pub(super) fn values(&self) -> Result<impl Iterator<Item = Option<&str>>, usize> {
        let text = std::str::from_utf8(&self.bytes).map_err(|error| {
            let wrong = error.valid_up_to();
            self.ends.iter().position(|(end, _)| *end > wrong).unwrap_or_default()
        })?;
        let mut from = 0;
        Ok(self.ends.iter().map(move |(end, is_null)| {
            let value = text.get(std::mem::replace(&mut from, *end)..*end);
            value.filter(|_| !is_null)
        }))
    }

    fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.bytes.is_empty()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Where in a record one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At the beginning of a value.
    Value,
    /// In a value without quotes.
    Plain,
    Quoted,
    /// Behind the letter that takes the meaning of the next.
    Escaped,
    /// Behind a quote within quotes: it closes them, or is the first of two.
    Quote,
}

/// What takes records apart.
#[derive(Debug)]
pub(super) struct Records {
    csv: Csv,
    beginning: Beginning,
    at: At,
    record: Record,
    /// Where the value begins that one is in.
    from: usize,
    /// The line on which one is.
    line: u64,
    /// The line of the last quote that opened a value.
    opened: u64,
    /// Whether the last byte was a carriage return.
    behind_return: bool,
    /// How many values the first record has.
    width: Option<usize>,
    /// How many lines of nothing stand before it.
    leading: u64,
    /// Which bytes end what is plain, and what is in quotes.
    ends: [[bool; 256]; 2],
}

/// Takes a record.
pub(super) type Each<'e> = &'e mut dyn FnMut(&Record) -> Result<(), Misread>;

impl Records {
    pub(super) fn of(csv: &Csv) -> Self {
        let ends = |letters: &[u8]| {
            let mut ends = [false; 256];
            letters.iter().for_each(|letter| ends[usize::from(*letter)] = true);
            ends
        };
        let plain = ends(&[csv.delimiter, b'\n', b'\r']);
        let quoted = ends(&[csv.quote, csv.escape.unwrap_or(csv.quote), b'\n', b'\r']);
        Self {
            csv: csv.clone(),
            beginning: Beginning::default(),
            at: At::Value,
            record: Record::default(),
            from: 0,
            line: 1,
            opened: 0,
            behind_return: false,
            width: None,
            leading: 0,
            ends: [plain, quoted],
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], each: Each<'_>) -> Result<(), Misread> {
        let bytes = self.beginning.pass(bytes)?;
        self.take_apart(&bytes, each)
    }

    /// Nothing follows.
    pub(super) fn end(&mut self, each: Each<'_>) -> Result<(), Misread> {
        let held = self.beginning.end()?;
        self.take_apart(&held, each)?;
        match self.at {
            At::Quoted | At::Escaped => {
                Err(Misread::new("a quote is opened that nothing closes").on(self.opened))
            }
            At::Value if self.record.is_empty() => Ok(()),
            at => self.ends_record(at, each),
        }
    }

    fn take_apart(&mut self, mut rest: &[u8], each: Each<'_>) -> Result<(), Misread> {
        while let Some(byte) = rest.first().copied() {
            if let At::Plain | At::Quoted = self.at {
                let ends = &self.ends[usize::from(self.at == At::Quoted)];
                let run = rest.iter().position(|byte| ends[usize::from(*byte)]).unwrap_or(rest.len());
                if run > 0 {
                    let (run, behind) = rest.split_at(run);
                    self.record.bytes.extend_from_slice(run);
                    (rest, self.behind_return) = (behind, false);
                    continue;
                }
            }
            if self.byte(byte, each)? {
                rest = rest.get(1..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Takes one byte, or only finds out where it stands.
    fn byte(&mut self, byte: u8, each: Each<'_>) -> Result<bool, Misread> {
        let at = self.at;
        let in_quotes = matches!(at, At::Quoted | At::Escaped);
        match byte {
            b'\n' | b'\r' => {
                let of_two = byte == b'\n' && self.behind_return;
                let line = self.line;
                self.line += u64::from(!of_two);
                self.behind_return = byte == b'\r';
                if in_quotes {
                    self.record.bytes.push(byte);
                    self.at = At::Quoted;
                } else if !self.record.is_empty() || at != At::Value {
                    self.ends_record(at, each)?;
                } else if !of_two {
                    self.empty_line(line, each)?;
                }
                return Ok(true);
            }
            _ => self.behind_return = false,
        }
        if at == At::Value && self.record.is_empty() {
            self.record.line = self.line;
        }
        match at {
            At::Value if byte == self.csv.quote => {
                (self.at, self.opened) = (At::Quoted, self.line);
            }
            At::Escaped => {
                self.record.bytes.push(byte);
                self.at = At::Quoted;
            }
            At::Quoted if byte == self.csv.quote => self.at = At::Quote,
            At::Quoted if Some(byte) == self.csv.escape => self.at = At::Escaped,
            At::Quote if byte == self.csv.quote => {
                self.record.bytes.push(byte);
                self.at = At::Quoted;
            }
            At::Value | At::Plain | At::Quote if byte == self.csv.delimiter => {
                self.ends_value(at);
                self.at = At::Value;
            }
            At::Quote => {
                let text = "something stands behind the closing quote of a value";
                return Err(Misread::new(text).on(self.opened));
            }
            At::Value => {
                self.at = At::Plain;
                return Ok(false);
            }
            // Runs of these are taken as a whole.
            At::Plain | At::Quoted => self.record.bytes.push(byte),
        }
        Ok(true)
    }

    fn ends_value(&mut self, at: At) {
        let value = self.record.bytes.get(self.from..).unwrap_or_default();
        let is_null = at != At::Quote && value == self.csv.null.as_bytes();
        self.from = self.record.bytes.len();
        self.record.ends.push((self.from, is_null));
    }

    fn ends_record(&mut self, at: At, each: Each<'_>) -> Result<(), Misread> {
        self.ends_value(at);
        (self.at, self.from) = (At::Value, 0);
        if self.width.is_none() {
            self.width = Some(self.record.len());
            self.leading_lines(each)?;
        }
        each(&self.record)?;
        self.record.clear();
        Ok(())
    }

    fn empty_line(&mut self, line: u64, each: Each<'_>) -> Result<(), Misread> {
        match self.width {
            None => self.leading = line,
            Some(1) => {
                self.record.line = line;
                self.ends_record(At::Value, each)?;
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Lines of nothing before the first record are records if no names stand there and each has one value.
    fn leading_lines(&mut self, each: Each<'_>) -> Result<(), Misread> {
        if self.csv.header || self.width != Some(1) {
            return Ok(());
        }
        let is_null = self.csv.null.is_empty();
        (1..=self.leading)
            .try_for_each(|line| each(&Record { bytes: Vec::new(), ends: vec![(0, is_null)], line }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (u64, Vec<Option<String>>);

    fn read(csv: &Csv, text: &str, step: usize) -> Result<Vec<Row>, Misread> {
        let (mut records, mut rows) = (Records::of(csv), Vec::new());
        let mut each = |record: &Record| {
            rows.push((
                record.line,
                record.values().unwrap().map(|value| value.map(str::to_owned)).collect(),
            ));
            Ok(())
        };
        text.as_bytes().chunks(step).try_for_each(|bytes| records.push(bytes, &mut each))?;
        records.end(&mut each)?;
        Ok(rows)
    }

    const STEPS: [usize; 4] = [1, 2, 3, 1 << 16];

    fn check_of(csv: &Csv, text: &str, expected: &[(u64, &[Option<&str>])]) {
        let row = |(line, row): &(u64, &[Option<&str>])| {
            (*line, row.iter().map(|value| value.map(str::to_owned)).collect())
        };
        let expected: Vec<Row> = expected.iter().map(row).collect();
        for step in STEPS {
            assert_eq!(read(csv, text, step).unwrap(), expected, "{text:?} by {step}");
        }
    }

    fn check(text: &str, expected: &[(u64, &[Option<&str>])]) {
        check_of(&Csv::default(), text, expected);
    }

    fn bare() -> Csv {
        Csv { header: false, ..Csv::default() }
    }

    fn check_lines(text: &str, lines: &[u64]) {
        for step in STEPS {
            let found: Vec<u64> =
                read(&Csv::default(), text, step).unwrap().iter().map(|row| row.0).collect();
            assert_eq!(found, lines, "{text:?} by {step}");
        }
    }

    fn check_refused(text: &str, expected: &str) {
        for step in STEPS {
            assert_eq!(read(&bare(), text, step).unwrap_err().message(), expected, "{text:?} by {step}");
        }
    }

    #[test]
    fn a_quoted_empty_value_is_a_text_and_nothing_is_null() {
        let rows: &[(u64, &[Option<&str>])] = &[
            (1, &[Some("n"), Some("s")]),
            (2, &[Some("1"), Some("")]),
            (3, &[Some("2"), None]),
            (4, &[Some(""), Some("")]),
            (5, &[None, None]),
        ];
        check("n,s\n1,\"\"\n2,\n\"\",\"\"\n,", rows);
        check("n,s\r\n1,\"\"\r\n2,\r\n\"\",\"\"\r\n,\r\n", rows);
        check("n,s\r1,\"\"\r2,\r\"\",\"\"\r,\r", rows);
        let csv = Csv { null: "-".to_owned(), ..bare() };
        check_of(&csv, "-,\"-\",,--\n", &[(1, &[None, Some("-"), Some(""), Some("--")])]);
    }

    #[test]
    fn quotes_within_quotes_are_no_empty_values() {
        check("\"\"\"\",\"a\"\"\"\n", &[(1, &[Some("\""), Some("a\"")])]);
        check("\"\"\"\"\"\",x\"\"\n", &[(1, &[Some("\"\""), Some("x\"\"")])]);
        check("\",\"\",\n\",\"\"\n", &[(1, &[Some(",\",\n"), Some("")])]);
        check("5\" a,b\"\"\n", &[(1, &[Some("5\" a"), Some("b\"\"")])]);
    }

    #[test]
    fn other_letters_divide_quote_and_escape() {
        let csv = Csv { delimiter: b'|', quote: b'\'', escape: Some(b'\\'), ..bare() };
        check_of(&csv, "'a\\'b|\\\\'|''|\"\n", &[(1, &[Some("a'b|\\"), Some(""), Some("\"")])]);
        check_of(
            &csv,
            "'a\\\nb'|a\\\nc|''''",
            &[(1, &[Some("a\nb"), Some("a\\")]), (3, &[Some("c"), Some("'")])],
        );
    }

    #[test]
    fn quotes_that_nothing_closes_or_that_something_follows_are_refused() {
        check_refused("a,b\n1,\"abc\n2,def\n", "line 2: a quote is opened that nothing closes");
        check_refused("a,b\r1,\"abc\r2,def\r", "line 2: a quote is opened that nothing closes");
        check_refused("a,\"", "line 1: a quote is opened that nothing closes");
        let behind = "something stands behind the closing quote of a value";
        check_refused("a,\"b\nc\"d\n", &format!("line 1: {behind}"));
        check_refused("a,b\n\"\"a,\"\"", &format!("line 2: {behind}"));
        check_refused("a,\"say \\\"no\\\"\"\n", &format!("line 1: {behind}"));
    }

    #[test]
    fn a_line_of_nothing_is_a_record_of_one_value_and_none_of_more() {
        let rows: &[(u64, &[Option<&str>])] =
            &[(2, &[Some("s")]), (3, &[Some("a")]), (4, &[None]), (5, &[None]), (6, &[Some("")])];
        check("\ns\na\n\n\n\"\"\n", rows);
        check("\r\ns\r\na\r\n\r\n\r\n\"\"", rows);
        check("\rs\ra\r\r\r\"\"\r", rows);
        check_of(&bare(), "\r\n\na\n", &[(1, &[None]), (2, &[None]), (3, &[Some("a")])]);
        check("s,t\n\na,b\n", &[(1, &[Some("s"), Some("t")]), (3, &[Some("a"), Some("b")])]);
        check("\n\n", &[]);
        check("", &[]);
    }

    #[test]
    fn records_stand_on_the_lines_on_which_they_begin() {
        check_lines("a\nb\nc\n", &[1, 2, 3]);
        check_lines("a\r\nb\r\n", &[1, 2]);
        check_lines("a\rb\rc", &[1, 2, 3]);
        check_lines("a,x\n\"x\ny\",\nb,x\nc,x\n", &[1, 2, 4, 5]);
        check_lines("a,x\r\"x\ry\",\rb,x\r", &[1, 2, 4]);
        check_lines("a,x\r\n\"x\r\n\r\ny\",\r\nb,x\r\n", &[1, 2, 5]);
        check_lines("a\n\"say \"\"no\"\"\"\nb\n", &[1, 2, 3]);
        check_lines("a,x\n\"x\n\"\"y\",\"\nz\"\nb,\n", &[1, 2, 5]);
        check_lines("a,x\n5\" x,6\"\"\nb,\n\nc,\n", &[1, 2, 3, 5]);
    }
}
