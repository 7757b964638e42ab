//! What a verb prints: data on standard output in the form that was asked for, all else on standard error.
//!
//! Invariants: standard output carries data only; the shape of JSON is a contract (verbs that list give an array of
//! objects, verbs about one thing one object; of `ndjson` each object is a line); colours only where a person looks on. What
//! does not belong here: what the data is.

mod cell;
mod delimited;
mod json;
mod plan;
mod record;
mod records;
mod screen;
mod sheet;
mod style;
mod table;

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use futures::{Stream, StreamExt};
use strandline::arrow::array::RecordBatch;
use strandline::arrow::datatypes::Schema;
use tokio::task::yield_now;

pub(crate) use cell::{Cell, Kind, short_hash, size};
pub(crate) use delimited::Delimited;
pub(crate) use json::{Json, objects};
pub(crate) use record::{Record, number, said, text, word};
pub(crate) use screen::{Pager, Screen};
use sheet::Column;
pub(crate) use sheet::Sheet;
pub(crate) use style::Style;
pub(crate) use table::harmless;

use crate::failure::{Failure, Result};

/// The form in which data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// An array of objects, or one object.
    Json,
    /// An object on each line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
}

impl Format {
    /// Whether errors are said as JSON as well.
    pub(crate) fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Ndjson)
    }
}

/// Where a verb prints.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    pager: Option<Pager>,
}

impl Output {
    pub(crate) fn new(format: Format, quiet: bool, pager: Option<Pager>) -> Self {
        Self { format, quiet, pager }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Where verbs print that have text of their own.
    pub(crate) fn screen(&self) -> Screen {
        Screen::paged_by(self.pager.as_ref())
    }

    /// Prints a list of things.
    pub(crate) fn list<R: Record>(&self, records: &[R]) -> Result<()> {
        let mut sheet = self.sheet(columns::<R>());
        records.iter().try_for_each(|record| sheet.record(record))?;
        sheet.finish()
    }

    /// Prints one thing that `table` shows as text, and the others as one object.
    pub(crate) fn one<R: Record>(
        &self,
        record: &R,
        text: impl FnOnce(&mut Screen) -> io::Result<()>,
    ) -> Result<()> {
        match self.format {
            Format::Table => {
                let mut out = self.screen();
                text(&mut out)?;
                Ok(out.flush()?)
            }
            Format::Csv => self.list(std::slice::from_ref(record)),
            Format::Json | Format::Ndjson => json::one(self.screen(), record),
        }
    }

    /// Prints things as they come, each at once and as a line, to no pager.
    pub(crate) fn lines<R: Record>(&self) -> Lines {
        match self.format {
            Format::Json | Format::Ndjson => Lines::Json(Json::lines(Screen::plain())),
            Format::Table | Format::Csv => Lines::Csv(Delimited::new(Screen::plain(), columns::<R>())),
        }
    }

    /// Says what was done: to a person as a sentence, to a program as an object.
    pub(crate) fn done<R: Record>(&self, record: &R, sentence: impl AsRef<str>) -> Result<()> {
        if self.format == Format::Table {
            self.note(sentence);
            return Ok(());
        }
        let answered = self.one(record, |_| Ok(()));
        answered.map_err(|failure| failure.at("standard output").hint(DONE))
    }

    /// Prints rows while they come, and tells how many there were. Rows that are always there must not keep Ctrl-C from being heard.
    pub(crate) async fn rows<E: Into<Failure>>(
        &self,
        schema: &Schema,
        batches: impl Stream<Item = std::result::Result<RecordBatch, E>>,
    ) -> Result<u64> {
        if matches!(self.format, Format::Json | Format::Ndjson) {
            json::check_names(schema)?;
        }
        let mut batches = std::pin::pin!(batches);
        let mut sheet = self.sheet(sheet::columns_of(schema));
        let mut rows = 0_u64;
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(Into::into)?;
            rows += batch.num_rows() as u64;
            sheet.batch(&batch)?;
            yield_now().await;
        }
        sheet.finish()?;
        Ok(rows)
    }

    /// Prints rows of several lists of columns as objects of one list, while they come.
    pub(crate) async fn objects<E: Into<Failure>>(
        &self,
        batches: impl Stream<Item = std::result::Result<RecordBatch, E>>,
    ) -> Result<()> {
        let mut batches = std::pin::pin!(batches);
        let mut sheet = self.sheet(Vec::new());
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(Into::into)?;
            json::check_names(batch.schema_ref())?;
            sheet.batch(&batch)?;
            yield_now().await;
        }
        sheet.finish()
    }

    /// Prints what a statement would do.
    pub(crate) async fn plan<E: Into<Failure>>(
        &self,
        batches: impl Stream<Item = std::result::Result<RecordBatch, E>>,
    ) -> Result<()> {
        plan::print(self.screen(), batches).await
    }

    /// Something that a person wants to know besides the data. It is not worth an error if nobody can hear it.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.answer(text);
        }
    }

    /// The same, where a person has asked for it, and nothing else was asked for.
    pub(crate) fn answer(&self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr(), "{}", text.as_ref());
    }

    /// Whether a person sees standard error and wants to.
    pub(crate) fn is_watched(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    fn sheet(&self, columns: Vec<Column>) -> Sheet {
        Sheet::new(self.format, columns, self.screen())
    }
}

/// What is said where what was asked for is done, and its answer could not be written.
pub(crate) const DONE: &str = "it is done; only its answer could not be written";

/// The columns of things of a kind.
fn columns<R: Record>() -> Vec<Column> {
    R::COLUMNS.iter().map(|(name, kind)| Column::new(*name, *kind)).collect()
}

/// Things that are printed as they come.
pub(crate) enum Lines {
    Json(Json),
    Csv(Delimited),
}

impl Lines {
    pub(crate) fn print<R: Record>(&mut self, record: &R) -> Result<()> {
        match self {
            Self::Json(json) => {
                json.record(record)?;
                json.flush()
            }
            Self::Csv(csv) => {
                csv.row(record.cells().iter().map(Cell::whole))?;
                csv.flush()
            }
        }
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(number: u64, one: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {one}{end}")
}
