//! Rows that come from files or from standard input, in one of the formats that people have.
//!
//! Invariants: types are inferred from all of an input, never from its beginning, unless a table says what they are; what
//! does not fit is an error with the line where it stands; nothing is held in memory but some batches (standard input that
//! must be read twice goes through a file). What does not belong here: what a text is as a value (`strandline_datafusion::text`), and what
//! becomes of the rows (`commands/import`).

mod csv;
mod input;
mod ipc;
mod ndjson;
mod parquet;
mod text;
mod type_words;
mod types;
mod waiting;

use std::path::Path;

use clap::ValueEnum;
use futures::stream::{self, Stream};
use strandline::arrow::array::RecordBatch;
use strandline::arrow::datatypes::SchemaRef;
use strandline::columns::{Conform, arrow_schema};
use strandline::format::Schema as TableSchema;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

pub(crate) use input::Input;
pub(crate) use strandline_datafusion::text::Required;
pub(crate) use types::{Override, check_given};

use crate::failure::{Failure, Result};
use crate::progress::Progress;
use crate::wording::plain;

/// How many rows a batch has.
const BATCH_ROWS: usize = 8192;

/// How many batches are read ahead.
const AHEAD: usize = 2;

/// What rows are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Comma-separated values.
    Csv,
    /// A JSON object on each line.
    Ndjson,
    /// Parquet.
    Parquet,
    /// Arrow IPC, as a file or a stream.
    Arrow,
}

impl Kind {
    /// What a file's name says.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let extension = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "csv" | "tsv" | "txt" => Self::Csv,
            "ndjson" | "jsonl" | "json" => Self::Ndjson,
            "parquet" | "pq" => Self::Parquet,
            "arrow" | "arrows" | "ipc" | "feather" => Self::Arrow,
            _ => return None,
        })
    }
}

/// How rows are to be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// What the table is like that they are for; without it, types are inferred.
    pub(crate) table: Option<SchemaRef>,
    /// Whether it has its types by the first of the files, so that others could be given.
    pub(crate) made: bool,
    /// Columns in which a value must stand.
    pub(crate) required: Required,
    /// Columns of the table that have a default.
    pub(crate) defaults: Vec<String>,
    /// Columns whose types are not inferred.
    pub(crate) overrides: Vec<Override>,
    /// What stands between the values of CSV, if it is no comma.
    pub(crate) delimiter: Option<u8>,
    /// Whether the first line of CSV names no columns.
    pub(crate) no_header: bool,
}

/// Rows that are about to be read.
pub(crate) struct Source {
    /// What messages call the input.
    pub(crate) place: String,
    pub(crate) schema: SchemaRef,
    /// Whether the input itself says the types of its columns.
    is_typed: bool,
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
}

impl Source {
    /// Opens an input, and infers its types if no table says them. It blocks.
    pub(crate) fn open(input: Input, kind: Kind, reading: &Reading, progress: &Progress) -> Result<Self> {
        let place = input.name().to_owned();
        let opened = match kind {
            Kind::Parquet | Kind::Arrow if !reading.overrides.is_empty() => {
                Err(Failure::usage("--type is for CSV and ndjson: this file says the types of its columns"))
            }
            Kind::Csv => csv::open(input, reading, progress),
            Kind::Ndjson => ndjson::open(input, reading, progress),
            Kind::Parquet => parquet::open(input, progress),
            Kind::Arrow => ipc::open(input, progress),
        };
        let source = opened.map_err(|failure| failure.at(&place))?;
        let name = place.clone();
        let batches = source.batches.map(move |batch| batch.map_err(|failure| failure.at(&name)));
        let is_typed = matches!(kind, Kind::Parquet | Kind::Arrow);
        Ok(Self { place, schema: source.schema, is_typed, batches: Box::new(batches) })
    }

    fn new(schema: SchemaRef, batches: impl Iterator<Item = Result<RecordBatch>> + Send + 'static) -> Self {
        Self { place: String::new(), schema, is_typed: false, batches: Box::new(batches) }
    }

    /// The same rows as a table has them: of what does not fit, no one but who reads a file knows in which it is.
    pub(crate) fn fitting(self, table: &TableSchema) -> Result<Self> {
        let is_typed = self.is_typed;
        let conform = Conform::new(table, &self.schema);
        let conform = conform.map_err(|error| misfit(error, is_typed).at(&self.place))?;
        let (place, mut before) = (self.place.clone(), 0);
        let batches = self.batches.map(move |batch| {
            let batch = batch?;
            let first = before;
            before += batch.num_rows();
            conform.apply_from(&batch, first).map_err(|error| misfit(error, is_typed).at(&place))
        });
        Ok(Self { place: self.place, schema: arrow_schema(table), is_typed, batches: Box::new(batches) })
    }

    /// The batches, read on a thread that may block. It ends with the stream.
    pub(crate) fn stream(self, progress: Progress) -> impl Stream<Item = Result<RecordBatch>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        spawn_blocking(move || {
            for batch in self.batches {
                let failed = batch.is_err();
                progress.came(batch.as_ref().map_or(0, RecordBatch::num_rows));
                if sender.blocking_send(batch).is_err() || failed {
                    return;
                }
            }
            progress.read_file();
        });
        let next = |mut receiver: mpsc::Receiver<_>| async move {
            let batch: Option<Result<RecordBatch>> = receiver.recv().await;
            batch.map(|batch| (batch, receiver))
        };
        stream::unfold(receiver, next)
    }
}

/// What is said of batches, of which nobody knows who has a file. What text was read as, where the table has no such column, is no type of the file's.
fn misfit(error: strandline::Error, is_typed: bool) -> Failure {
    Failure::from(error).reworded(|text| {
        let text = text.replace("the batch", "the file");
        if is_typed { text } else { text.replace("no such column, the file has Utf8", "no such column") }
    })
}

/// What a library says of what it reads.
fn unreadable(error: impl std::fmt::Display) -> Failure {
    Failure::input(plain(&error.to_string()))
}
