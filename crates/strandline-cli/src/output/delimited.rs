//! Comma-separated values, quoted as RFC 4180 says. Nothing is nothing; a text of no characters is quoted.

use std::io::Write;

use strandline::arrow::array::RecordBatch;
use strandline::arrow::datatypes::Schema;

use super::sheet::{Column, columns_of};
use crate::cells::Cells;
use crate::failure::Result;

/// Rows that are being printed.
pub(crate) struct Delimited {
    out: Box<dyn Write + Send>,
    columns: Vec<Column>,
    begun: bool,
}

impl Delimited {
    pub(super) fn new(out: impl Write + Send + 'static, columns: Vec<Column>) -> Self {
        Self { out: Box::new(out), columns, begun: false }
    }

    /// For batches of this schema.
    pub(crate) fn of_schema(out: impl Write + Send + 'static, schema: &Schema) -> Self {
        Self::new(out, columns_of(schema))
    }

    pub(crate) fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let cells = Cells::of(batch)?;
        (0..batch.num_rows()).try_for_each(|row| self.row(cells.row(row).into_iter()))
    }

    pub(super) fn row(&mut self, cells: impl Iterator<Item = Option<String>>) -> Result<()> {
        self.begin()?;
        self.line(cells)
    }

    fn begin(&mut self) -> Result<()> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        let names: Vec<_> = self.columns.iter().map(|column| Some(column.name.clone())).collect();
        self.line(names.into_iter())
    }

    fn line(&mut self, cells: impl Iterator<Item = Option<String>>) -> Result<()> {
        for (at, cell) in cells.enumerate() {
            if at > 0 {
                self.out.write_all(b",")?;
            }
            self.out.write_all(cell.map(quoted).unwrap_or_default().as_bytes())?;
        }
        Ok(self.out.write_all(b"\n")?)
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        if !self.columns.is_empty() {
            self.begin()?;
        }
        Ok(self.out.flush()?)
    }
}

/// A text as one field.
fn quoted(text: String) -> String {
    if !text.is_empty() && !text.contains([',', '"', '\n', '\r']) {
        return text;
    }
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_misread_is_quoted() {
        let check = |text: &str, expected| assert_eq!(quoted(text.to_owned()), expected);
        check("plain", "plain");
        check("a b", "a b");
        check("", "\"\"");
        check("a,b", "\"a,b\"");
        check("say \"no\"", "\"say \"\"no\"\"\"");
        check("two\nlines", "\"two\nlines\"");
    }
}
