//! Comma-separated values.

use std::io::{BufRead, BufReader, Read};

use strandline::arrow::csv::ReaderBuilder;
use strandline::arrow::csv::reader::Format;
use strandline::arrow::datatypes::{Schema, SchemaRef};
use strandline::arrow::error::ArrowError;

use super::empties::Empties;
use super::encoded::{Encoded, is_bytes};
use super::lines::Lines;
use super::types::{of_table, settle};
use super::{BATCH_ROWS, Input, Reading, Source};
use crate::failure::{Failure, Result};
use crate::progress::Progress;

/// What is to be done about a line that cannot be read.
const HINT: &str = "nothing was committed; --type COLUMN=string takes a column as text";

/// A line of another length is none that a type would mend.
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
            let (inferred, _) =
                format.infer_schema(BufReader::new(input.again()?), None).map_err(|error| said(&error))?;
            (settle(&inferred, &reading.overrides)?, input.read()?)
        }
    };
    check_types(&schema)?;
    let encoded = Encoded::of(&schema, is_bytes);
    let empties = Empties::of(encoded.read(), reading.delimiter.unwrap_or(b','), !reading.no_header);
    let lines = Lines::of(empties.counts_empty_lines(), !reading.no_header);
    let reader = BufReader::new(empties.marking(lines.watching(progress.reading(reader))));
    let builder = ReaderBuilder::new(encoded.read().clone()).with_format(format).with_batch_size(BATCH_ROWS);
    let batches = builder.build_buffered(reader).map_err(|error| said(&error))?;
    let mut records = u64::from(!reading.no_header);
    let batches = batches.map(move |batch| {
        let batch = batch.and_then(|batch| empties.unmarked(batch));
        let batch = batch.map_err(|error| failed(located(&error, &lines)))?;
        let before = records;
        records += batch.num_rows() as u64;
        encoded.decoded(&batch).map_err(|(row, failure)| {
            let line = lines.of_record(before + row as u64 + 1);
            failed(format!("line {line}: {}", failure.message()))
        })
    });
    Ok(Source::new(schema, batches))
}

/// The names in the first line, and a reader of all lines, that one included.
fn header(reader: Box<dyn Read + Send>, format: &Format) -> Result<(Vec<String>, Box<dyn Read + Send>)> {
    let mut reader = BufReader::new(reader);
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
    failed(text_of(error))
}

fn failed(text: String) -> Failure {
    let hint = if text.starts_with(UNEQUAL) { "nothing was committed" } else { HINT };
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

/// What is said of a line of another length, for which Arrow has two wordings, of what infers types and of what reads.
fn unequal(text: &str) -> Option<String> {
    const INFERS: &str = "Encountered unequal lengths between records on CSV file. Expected ";
    const READS: &str = "incorrect number of fields for ";
    let (expected, found, line) = if let Some(numbers) = text.strip_prefix(INFERS) {
        let (expected, found) = numbers.split_once(" records, found ")?;
        let (found, line) = found.split_once(" records at ")?;
        (expected, found, line)
    } else {
        let (line, numbers) = text.strip_prefix(READS)?.split_once(", expected ")?;
        let (expected, found) = numbers.split_once(" got ")?;
        (expected, found, line)
    };
    Some(format!("{UNEQUAL} {expected}, found {found} at {line}"))
}

/// The same, with the line in the place of the record that Arrow calls a line. Where a value cannot be read it counts from 0,
/// where a record has too few values or too many from 1.
fn located(error: &ArrowError, lines: &Lines) -> String {
    const AT: &str = "line ";
    let text = text_of(error);
    let Some((before, after)) = text.split_once(AT) else { return text };
    let digits = after.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(after.len());
    let (number, rest) = after.split_at(digits);
    let first = u64::from(matches!(error, ArrowError::ParseError(_)));
    match number.parse::<u64>() {
        Ok(number) => format!("{before}{AT}{}{rest}", lines.of_record(number + first)),
        Err(_) => text,
    }
}
