//! Rows as CSV, quoted as RFC 4180 says. What is null is nothing, or the text that stands for null; a text that would be read as null is quoted.
//!
//! Invariant: what is written is read back the same (`csv`), by whoever is told the same letters.

use std::fmt;
use std::sync::Arc;

use strandline::arrow::array::{Array, ArrayRef, RecordBatch};
use strandline::arrow::datatypes::DataType;
use strandline::arrow::error::ArrowError;
use strandline::arrow::util::display::FormatOptions;
use strandline::columns::ValueTexts;

use super::cells::text_of;

/// Which values stand in quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// Those that would be read as something else.
    #[default]
    Needed,
    /// All but numbers.
    Texts,
    All,
    /// None, whatever comes of it.
    Never,
}

/// How CSV is written.
#[derive(Clone, Debug)]
pub struct Sheet<'o> {
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
    /// What stands before a quote within quotes, if not another quote, and before itself.
    pub(crate) escape: Option<u8>,
    pub(crate) null: &'o str,
    pub(crate) quotes: Quotes,
    /// Whether white space before and behind texts is left out.
    pub(crate) trims: (bool, bool),
    pub(crate) formats: FormatOptions<'o>,
}

impl Default for Sheet<'_> {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: b'"',
            escape: None,
            null: "",
            quotes: Quotes::Needed,
            trims: (false, false),
            formats: FormatOptions::default(),
        }
    }
}

/// Bytes that take texts.
struct Bytes<'o>(&'o mut Vec<u8>);

impl fmt::Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// A column as it is written.
struct Column<'a> {
    values: ValueTexts<'a>,
    array: &'a ArrayRef,
    is_text: bool,
    is_number: bool,
}

impl Sheet<'_> {
    /// Writes a record of texts, each null or what it says.
    pub fn record<'v>(&self, values: impl IntoIterator<Item = Option<&'v str>>, out: &mut Vec<u8>) {
        for (place, value) in values.into_iter().enumerate() {
            self.divide(place, out);
            match value {
                None => out.extend_from_slice(self.null.as_bytes()),
                Some(text) => {
                    let from = out.len();
                    out.extend_from_slice(text.as_bytes());
                    self.ends(out, from, false);
                }
            }
        }
        out.push(b'\n');
    }

    /// Writes the rows of a batch.
    ///
    /// # Errors
    /// Values that have no form as text.
    pub fn rows(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        let schema = batch.schema();
        let texts = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
            match column.data_type().is_nested() || crate::compared::is_uuid(field) {
                true => Ok(Arc::new(text_of(field, column, &self.formats)?) as ArrayRef),
                false => Ok(Arc::clone(column)),
            }
        });
        let arrays = texts.collect::<Result<Vec<_>, ArrowError>>()?;
        let column = |(array, original): (_, &ArrayRef)| {
            let is_text =
                matches!(original.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
            let is_number = original.data_type().is_numeric();
            let values = ValueTexts::of(array as &ArrayRef, &self.formats)?;
            Ok(Column { values, array, is_text, is_number })
        };
        let columns = arrays.iter().zip(batch.columns()).map(column);
        let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
        for row in 0..batch.num_rows() {
            for (place, column) in columns.iter().enumerate() {
                self.divide(place, out);
                self.value(column, row, out)?;
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn value(&self, column: &Column<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        if column.array.is_null(row) || column.array.data_type().is_null() {
            // Never in quotes, which would make a text of it.
            out.extend_from_slice(self.null.as_bytes());
            return Ok(());
        }
        let from = out.len();
        column.values.write(row, &mut Bytes(out))?;
        if column.is_text {
            self.trim(out, from);
        }
        self.ends(out, from, column.is_number);
        Ok(())
    }

    fn divide(&self, place: usize, out: &mut Vec<u8>) {
        if place > 0 {
            out.push(self.delimiter);
        }
    }

    fn trim(&self, out: &mut Vec<u8>, from: usize) {
        let (before, behind) = self.trims;
        let Ok(text) = std::str::from_utf8(out.get(from..).unwrap_or_default()) else { return };
        let mut kept = if before { text.trim_start() } else { text };
        kept = if behind { kept.trim_end() } else { kept };
        if kept.len() < text.len() {
            let kept = kept.to_owned();
            out.truncate(from);
            out.extend_from_slice(kept.as_bytes());
        }
    }

    /// Quotes the value that begins there, if it is to be.
    fn ends(&self, out: &mut Vec<u8>, from: usize, is_number: bool) {
        let value = out.get(from..).unwrap_or_default();
        let is_quoted = match self.quotes {
            Quotes::Never => false,
            Quotes::All => true,
            Quotes::Texts if !is_number => true,
            _ => {
                let is_told = |byte: &u8| {
                    [self.delimiter, self.quote, b'\n', b'\r'].contains(byte) || Some(*byte) == self.escape
                };
                value.is_empty() || value == self.null.as_bytes() || value.iter().any(is_told)
            }
        };
        if is_quoted {
            self.put_in_quotes(out, from);
        }
    }

    fn put_in_quotes(&self, out: &mut Vec<u8>, from: usize) {
        let value = out.split_off(from.min(out.len()));
        out.push(self.quote);
        for byte in value {
            if byte == self.quote || Some(byte) == self.escape {
                out.push(self.escape.unwrap_or(self.quote));
            }
            out.push(byte);
        }
        out.push(self.quote);
    }
}

#[cfg(test)]
mod tests {
    use strandline::arrow::array::{Int64Array, StringArray};

    use super::*;

    fn batch(texts: &[Option<&str>]) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1; texts.len()]));
        let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        RecordBatch::try_from_iter([("n", numbers), ("s", texts)]).unwrap()
    }

    fn check(sheet: &Sheet<'_>, text: Option<&str>, expected: &str) {
        let mut out = Vec::new();
        sheet.rows(&batch(&[text]), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"), "{text:?}");
        if sheet.quotes == Quotes::Needed && sheet.trims == (false, false) {
            let mut out = Vec::new();
            sheet.record([Some("1"), text], &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"), "{text:?}");
        }
    }

    #[test]
    fn only_what_would_be_misread_is_quoted() {
        let sheet = Sheet::default();
        for (text, expected) in [
            (None, "1,"),
            (Some(""), "1,\"\""),
            (Some("plain"), "1,plain"),
            (Some(" a b "), "1, a b "),
            (Some("a,b"), "1,\"a,b\""),
            (Some("say \"no\""), "1,\"say \"\"no\"\"\""),
            (Some("two\nlines"), "1,\"two\nlines\""),
            (Some("two\rlines"), "1,\"two\rlines\""),
            (Some("a\\b"), "1,a\\b"),
        ] {
            check(&sheet, text, expected);
        }
    }

    #[test]
    fn a_text_that_stands_for_null_is_quoted() {
        let sheet = Sheet { null: "-", ..Sheet::default() };
        check(&sheet, None, "1,-");
        check(&sheet, Some("-"), "1,\"-\"");
        check(&sheet, Some("--"), "1,--");
        check(&sheet, Some(""), "1,\"\"");
    }

    #[test]
    fn other_letters_divide_quote_and_escape() {
        let sheet = Sheet { delimiter: b'|', quote: b'\'', escape: Some(b'\\'), ..Sheet::default() };
        check(&sheet, Some("a,b"), "1|a,b");
        check(&sheet, Some("a|'b'\\"), "1|'a|\\'b\\'\\\\'");
        let sheet = Sheet { quotes: Quotes::Texts, ..Sheet::default() };
        check(&sheet, Some("a"), "1,\"a\"");
        let sheet = Sheet { quotes: Quotes::All, ..Sheet::default() };
        check(&sheet, Some("a"), "\"1\",\"a\"");
        let sheet = Sheet { trims: (true, true), ..Sheet::default() };
        check(&sheet, Some("  a "), "1,a");
    }

    /// What is written is read back the same, by the same letters.
    #[test]
    fn what_is_written_is_read_back() {
        use super::super::{Columns, Csv, Reader as _, Required, csv};
        let parts = ["", "-", "a", "\"", "'", "\\", ",", "|", "\n", "\r", "ä", " "];
        let mut texts: Vec<Option<String>> = vec![None];
        for one in parts {
            for two in parts {
                texts.extend(parts.map(|three| Some(format!("{one}{two}{three}"))));
            }
        }
        let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
        let batch = batch(&texts);
        for (delimiter, quote, escape, null) in [
            (b',', b'"', None, ""),
            (b'|', b'\'', Some(b'\\'), "-"),
            (b',', b'"', Some(b'\\'), ""),
            (b',', b'"', Some(b'"'), "a"),
        ] {
            let sheet = Sheet { delimiter, quote, escape, null, ..Sheet::default() };
            let mut out = Vec::new();
            sheet.rows(&batch, &mut out).unwrap();
            let csv = Csv { header: false, delimiter, quote, escape, null: null.to_owned() };
            let columns = Columns::new(batch.schema(), &Required::default());
            let mut reader = csv::Reader::new(&csv, move |_| Ok(columns));
            reader.push(&out).unwrap();
            reader.end().unwrap();
            assert_eq!(reader.batch().unwrap(), batch, "{sheet:?}");
        }
    }
}
