//! JSON: an array with an object on each line, or the lines alone.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use serde_json::value::RawValue;
use strandline::arrow::array::RecordBatch;
use strandline::arrow::datatypes::Schema;
use strandline::arrow::json::writer::{LineDelimited, WriterBuilder};

use super::{Record, Screen};
use crate::failure::{Failure, Result};
use strandline_datafusion::text::cells::Texts;

/// Objects that are being printed.
pub(crate) struct Json {
    out: Box<dyn Write + Send>,
    array: bool,
    begun: bool,
}

impl Json {
    /// All objects in one array.
    pub(super) fn array(out: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), array: true, begun: false }
    }

    /// Each object on a line of its own.
    pub(crate) fn lines(out: impl Write + Send + 'static) -> Self {
        Self { array: false, ..Self::array(out) }
    }

    pub(super) fn record<R: Record>(&mut self, record: &R) -> Result<()> {
        let text = object(record)?;
        self.line(text.as_bytes())
    }

    /// Every object has all columns, null where there is nothing.
    pub(crate) fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_columns() == 0 {
            return (0..batch.num_rows()).try_for_each(|_| self.line(b"{}"));
        }
        lines(batch)?
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .try_for_each(|line| self.line(line))
    }

    fn line(&mut self, object: &[u8]) -> Result<()> {
        if self.array {
            self.out.write_all(if self.begun { b",\n" } else { b"[\n" })?;
        }
        self.begun = true;
        self.out.write_all(object)?;
        if !self.array {
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        if self.array {
            self.out.write_all(if self.begun { b"\n]\n" } else { b"[]\n" })?;
        }
        Ok(self.out.flush()?)
    }
}

/// An object on a line for each row.
fn lines(batch: &RecordBatch) -> Result<Vec<u8>> {
    let builder = WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(Texts));
    let mut writer = builder.build::<_, LineDelimited>(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    Ok(writer.into_inner())
}

/// The rows of a batch as objects, to stand in another one.
pub(crate) fn objects(batch: &RecordBatch) -> Result<Vec<Box<RawValue>>> {
    let text = String::from_utf8(lines(batch)?).map_err(|error| Failure::input(error.to_string()))?;
    let object = |line: &str| RawValue::from_string(line.to_owned());
    let objects = text.lines().filter(|line| !line.is_empty()).map(object);
    objects.collect::<serde_json::Result<_>>().map_err(|error| Failure::input(error.to_string()))
}

/// Refuses two columns of one name, of which a reader of objects would keep one.
pub(super) fn check_names(schema: &Schema) -> Result<()> {
    let mut names = HashSet::new();
    match schema.fields().iter().find(|field| !names.insert(field.name())) {
        None => Ok(()),
        Some(field) => Err(Failure::input(format!("two columns have the name {:?}", field.name()))
            .hint("an object of JSON has each name once: name one of them with AS, or take -o csv")),
    }
}

/// Prints one object on one line.
pub(super) fn one<R: Record>(out: Screen, record: &R) -> Result<()> {
    let mut json = Json::lines(out);
    json.record(record)?;
    json.finish()
}

fn object<R: Record>(record: &R) -> Result<String> {
    serde_json::to_string(record).map_err(|error| Failure::input(error.to_string()))
}
