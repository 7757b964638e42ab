//! Comma-separated values. Nothing is nothing; a text of no characters is quoted.

use std::io::Write;

use strandline::arrow::array::RecordBatch;
use strandline::arrow::datatypes::Schema;

use strandline_datafusion::text::Sheet;

use super::sheet::{Column, columns_of};
use crate::failure::Result;

/// Rows that are being printed.
pub(crate) struct Delimited {
    out: Box<dyn Write + Send>,
    columns: Vec<Column>,
    begun: bool,
    /// What is written at a time.
    lines: Vec<u8>,
}

impl Delimited {
    pub(super) fn new(out: impl Write + Send + 'static, columns: Vec<Column>) -> Self {
        Self { out: Box::new(out), columns, begun: false, lines: Vec::new() }
    }

    /// For batches of this schema.
    pub(crate) fn of_schema(out: impl Write + Send + 'static, schema: &Schema) -> Self {
        Self::new(out, columns_of(schema))
    }

    pub(crate) fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        self.begin()?;
        self.lines.clear();
        Sheet::default().rows(batch, &mut self.lines)?;
        Ok(self.out.write_all(&self.lines)?)
    }

    pub(super) fn row(&mut self, cells: impl Iterator<Item = Option<String>>) -> Result<()> {
        self.begin()?;
        let cells: Vec<_> = cells.collect();
        self.line(cells.iter().map(Option::as_deref))
    }

    fn begin(&mut self) -> Result<()> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        let columns = self.columns.clone();
        self.line(columns.iter().map(|column| Some(column.name.as_str())))
    }

    fn line<'c>(&mut self, cells: impl Iterator<Item = Option<&'c str>>) -> Result<()> {
        self.lines.clear();
        Sheet::default().record(cells, &mut self.lines);
        Ok(self.out.write_all(&self.lines)?)
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        if !self.columns.is_empty() {
            self.begin()?;
        }
        Ok(self.out.flush()?)
    }
}
