//! Comma-separated values.
//!
//! The reader of Arrow only takes records apart: what its values are is said by `leaf`.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use strandline::arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use strandline::arrow::csv::ReaderBuilder;
use strandline::arrow::csv::reader::Format;
use strandline::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use strandline::arrow::error::ArrowError;

use super::empties::Empties;
use super::exact::Why;
use super::infer::Inferred;
use super::input::text;
use super::leaf::{Form, Leaf, hint, refused};
use super::lines::Lines;
use super::types::{of_table, settle};
use super::{BATCH_ROWS, Input, Reading, Source};
use crate::failure::{Failure, Result};
use crate::progress::Progress;

const NOT_COMMITTED: &str = "nothing was committed";

/// What is said of a line of another length.
const UNEQUAL: &str = "the number of values is not that of the columns: expected";

/// How the reader of Arrow begins its errors.
const PREFIXES: [&str; 3] = ["Csv error: ", "Parser error: ", "CSV error: "];

pub(super) fn open(input: Input, reading: &Reading, progress: &Progress) -> Result<Source> {
    let format = Format::default().with_header(!reading.no_header);
    let format = match reading.delimiter {
        Some(delimiter) => format.with_delimiter(delimiter),
        None => format,
    };
    let (schema, reader): (SchemaRef, Box<dyn Read + Send>) = match &reading.table {
        Some(table) => {
            let (names, reader) = header(input.read()?, &format)?;
            let names = named(names, table, reading.no_header);
            (of_table(names.iter().map(String::as_str), table), reader)
        }
        None => {
            let input = input.seekable()?;
            let inferred = infer(progress.looking(input.again()?), &format, reading)?;
            (settle(&inferred, &reading.overrides)?, input.read()?)
        }
    };
    check_types(&schema)?;
    let delimiter = reading.delimiter.unwrap_or(b',');
    let empties = Empties::of(&schema, delimiter, !reading.no_header);
    let lines = Lines::of(empties.counts_empty_lines(), !reading.no_header, delimiter);
    let reader = BufReader::new(empties.marking(lines.watching(text(progress.reading(reader))?)));
    let texts = as_texts(schema.fields().iter().map(|field| field.name()));
    let builder = ReaderBuilder::new(texts).with_format(format).with_batch_size(BATCH_ROWS);
    let batches = builder.build_buffered(reader).map_err(|error| said(&error))?;
    let mut values = Values::of(&schema)?;
    let mut records = u64::from(!reading.no_header);
    // The types of a table that is there are not to be given.
    let hint: fn(Why) -> &'static str = if reading.table.is_some() { |_| NOT_COMMITTED } else { hint };
    let required = reading.required.clone();
    let batches = batches.map(move |batch| {
        let batch = batch.and_then(|batch| empties.unmarked(batch));
        let batch = batch.map_err(|error| failed(located(&error, &lines, &values.schema), NOT_COMMITTED))?;
        let before = records;
        records += batch.num_rows() as u64;
        let of_row = |row: usize, text: &str, hint| {
            let line = lines.of_record(before + row as u64 + 1);
            failed(format!("line {line}: {text}"), hint)
        };
        let wrong = |wrong: Wrong| of_row(wrong.row, &wrong.text, hint(wrong.why));
        let batch = values.of_texts(&batch)?.map_err(wrong)?;
        required.check(&batch).map_err(|(row, failure)| of_row(row, failure.message(), NOT_COMMITTED))?;
        Ok(batch)
    });
    Ok(Source::new(schema, batches))
}

/// Columns of these names, all of texts.
fn as_texts<'n>(names: impl IntoIterator<Item = &'n String>) -> SchemaRef {
    let text = |name: &String| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(names.into_iter().map(text).collect::<Vec<_>>()))
}

/// The values of a batch.
struct Values {
    schema: SchemaRef,
    columns: Vec<Leaf>,
}

/// A value that its column does not keep.
struct Wrong {
    row: usize,
    text: String,
    why: Why,
}

impl Values {
    fn of(schema: &SchemaRef) -> Result<Self> {
        let columns = schema.fields().iter().map(Leaf::of).collect::<Result<_>>()?;
        Ok(Self { schema: SchemaRef::clone(schema), columns })
    }

    /// The values for which texts stand, or the first that is none.
    fn of_texts(&mut self, texts: &RecordBatch) -> Result<std::result::Result<RecordBatch, Wrong>> {
        let mut first: Option<Wrong> = None;
        for (leaf, texts) in self.columns.iter_mut().zip(texts.columns()) {
            for (row, text) in texts.as_string::<i32>().iter().enumerate() {
                let Some(text) = text else {
                    leaf.null();
                    continue;
                };
                let Err(why) = leaf.push(text, Form::Text) else { continue };
                if first.as_ref().is_none_or(|first| row < first.row) {
                    let field = leaf.field();
                    let text = format!("column {:?}: {}", field.name(), refused(field, text, why));
                    first = Some(Wrong { row, text, why });
                }
                break;
            }
        }
        if let Some(wrong) = first {
            return Ok(Err(wrong));
        }
        let columns = self.columns.iter_mut().map(Leaf::finish).collect::<std::result::Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(texts.num_rows()));
        Ok(Ok(RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), columns, &options)?))
    }
}

/// The columns of a file, each of the type that all of its values have.
fn infer(reader: impl Read + Send + 'static, format: &Format, reading: &Reading) -> Result<Schema> {
    let (names, reader) = header(Box::new(reader), format)?;
    let schema = as_texts(&names);
    if names.is_empty() {
        return Ok(schema.as_ref().clone());
    }
    let lines = Lines::of(false, !reading.no_header, reading.delimiter.unwrap_or(b','));
    let reader = BufReader::new(lines.watching(reader));
    let builder = ReaderBuilder::new(SchemaRef::clone(&schema)).with_format(format.clone());
    let batches = builder.with_batch_size(BATCH_ROWS).build_buffered(reader).map_err(|error| said(&error))?;
    let mut seen = vec![Inferred::default(); names.len()];
    for batch in batches {
        let batch = batch.map_err(|error| failed(located(&error, &lines, &schema), NOT_COMMITTED))?;
        for (seen, column) in seen.iter_mut().zip(batch.columns()) {
            column.as_string::<i32>().iter().flatten().for_each(|value| seen.see(value));
        }
    }
    let field = |(name, seen): (&String, &Inferred)| Field::new(name, seen.data_type(), true);
    Ok(Schema::new(names.iter().zip(&seen).map(field).collect::<Vec<_>>()))
}

/// The names in the first line, and a reader of all lines, that one included.
fn header(reader: Box<dyn Read + Send>, format: &Format) -> Result<(Vec<String>, Box<dyn Read + Send>)> {
    let mut reader = BufReader::new(text(reader)?);
    let line = first_line(&mut reader)?;
    let (schema, _) = format.infer_schema(line.as_slice(), Some(0)).map_err(|error| said(&error))?;
    let names = schema.fields().iter().map(|field| field.name().clone()).collect();
    Ok((names, Box::new(std::io::Cursor::new(line).chain(reader))))
}

/// The bytes up to the end of the first record; a quoted name may have line ends in it.
fn first_line(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let read = reader.read_until(b'\n', &mut line).map_err(|error| Failure::input(error.to_string()))?;
        let is_open = line.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
        let says = line.iter().any(|byte| !byte.is_ascii_whitespace());
        if read == 0 || (says && !is_open) {
            return Ok(line);
        }
    }
}

/// Without a header, columns are those of the table, in its order.
fn named(names: Vec<String>, table: &Schema, no_header: bool) -> Vec<String> {
    if !no_header {
        return names;
    }
    let of_table = table.fields().iter().map(|field| field.name().clone());
    let count = names.len();
    of_table.chain(names.into_iter().skip(table.fields().len())).take(count).collect()
}

/// Some types have no form in CSV.
fn check_types(schema: &Schema) -> Result<()> {
    match schema.fields().iter().find(|field| field.data_type().is_nested()) {
        None => Ok(()),
        Some(field) => Err(Failure::input(format!(
            "column {:?} is of type {}, which CSV cannot hold",
            field.name(),
            field.data_type()
        ))
        .hint("import it as Parquet, Arrow or ndjson")),
    }
}

/// What is wrong, without the words in front.
fn said(error: &ArrowError) -> Failure {
    failed(text_of(error), NOT_COMMITTED)
}

fn failed(text: String, hint: &str) -> Failure {
    Failure::input(text).hint(hint)
}

fn text_of(error: &ArrowError) -> String {
    if let ArrowError::IoError(_, error) = error {
        return error.to_string();
    }
    let text = error.to_string();
    let text = PREFIXES.iter().fold(text.as_str(), |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
    unequal(text).unwrap_or_else(|| text.to_owned())
}

/// How long the line is, and should be.
fn unequal(text: &str) -> Option<String> {
    let (line, numbers) = text.strip_prefix("incorrect number of fields for ")?.split_once(", expected ")?;
    let (expected, found) = numbers.split_once(" got ")?;
    Some(format!("{UNEQUAL} {expected}, found {found} at {line}"))
}

/// What is wrong, with the line in the place of the record that Arrow calls a line, and the name in the place of the column's number.
fn located(error: &ArrowError, lines: &Lines, schema: &Schema) -> String {
    let text = text_of(error);
    if matches!(error, ArrowError::IoError(..)) {
        return text;
    }
    let line = |record: &str| record.parse().ok().map(|record| lines.of_record(record));
    if let Some((record, column)) = not_utf8(&text)
        && let (Some(column), Some(line)) = (schema.fields().get(column), line(record))
    {
        return format!("line {line}: column {:?}: it is not text in UTF-8", column.name());
    }
    const AT: &str = "line ";
    let Some((before, after)) = text.split_once(AT) else { return text };
    let digits = after.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(after.len());
    let (number, rest) = after.split_at(digits);
    match line(number) {
        Some(line) => format!("{before}{AT}{line}{rest}"),
        None => text,
    }
}

/// The record and the column of a value that is no text.
fn not_utf8(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix("Encountered invalid UTF-8 data for line ")?;
    let (record, field) = rest.split_once(" and field ")?;
    Some((record, field.parse::<usize>().ok()?.checked_sub(1)?))
}
