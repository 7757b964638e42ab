//! Comma-separated values.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use strandline::arrow::array::AsArray;
use strandline::arrow::csv::ReaderBuilder;
use strandline::arrow::csv::reader::Format;
use strandline::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use strandline::arrow::error::ArrowError;
use strandline::columns::fields_from_arrow;
use strandline::format::Type;

use super::empties::Empties;
use super::encoded::{Encoded, is_bytes, is_decimal};
use super::infer::Inferred;
use super::lines::Lines;
use super::types::{of_table, settle};
use super::{BATCH_ROWS, Input, Reading, Source};
use crate::failure::{Failure, Result};
use crate::progress::Progress;

/// What is to be done about a line that cannot be read.
const HINT: &str = "nothing was committed; --type COLUMN=string takes a column as text";
const NOT_COMMITTED: &str = "nothing was committed";

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
            let inferred = infer(progress.looking(input.again()?), &format, reading)?;
            (settle(&inferred, &reading.overrides)?, input.read()?)
        }
    };
    check_types(&schema)?;
    // The types of a table that is there are not to be given.
    let hint = if reading.table.is_some() { NOT_COMMITTED } else { HINT };
    let encoded = Encoded::of(&schema, |field| is_bytes(field) || is_decimal(field));
    let empties = Empties::of(encoded.read(), reading.delimiter.unwrap_or(b','), !reading.no_header);
    let lines = Lines::of(empties.counts_empty_lines(), !reading.no_header);
    let reader = BufReader::new(empties.marking(lines.watching(progress.reading(reader))));
    let builder = ReaderBuilder::new(encoded.read().clone()).with_format(format).with_batch_size(BATCH_ROWS);
    let batches = builder.build_buffered(reader).map_err(|error| said(&error))?;
    let mut records = u64::from(!reading.no_header);
    let required = reading.required.clone();
    let batches = batches.map(move |batch| {
        let batch = batch.and_then(|batch| empties.unmarked(batch));
        let batch = batch.map_err(|error| failed(located(&error, &lines, encoded.read()), hint))?;
        let before = records;
        records += batch.num_rows() as u64;
        let of_row = |row: usize, failure: &Failure, hint| {
            let line = lines.of_record(before + row as u64 + 1);
            failed(format!("line {line}: {}", failure.message()), hint)
        };
        let batch = encoded.decoded(&batch).map_err(|(row, failure)| of_row(row, &failure, hint))?;
        required.check(&batch).map_err(|(row, failure)| of_row(row, &failure, NOT_COMMITTED))?;
        Ok(batch)
    });
    Ok(Source::new(schema, batches))
}

/// The columns of a file, each of the type that all of its values have.
fn infer(reader: impl Read + Send + 'static, format: &Format, reading: &Reading) -> Result<Schema> {
    let (names, reader) = header(Box::new(reader), format)?;
    let text = |name: &String| Field::new(name, DataType::Utf8, true);
    let schema: SchemaRef = Arc::new(Schema::new(names.iter().map(text).collect::<Vec<_>>()));
    if names.is_empty() {
        return Ok(schema.as_ref().clone());
    }
    let lines = Lines::of(false, !reading.no_header);
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
    failed(text_of(error), NOT_COMMITTED)
}

fn failed(text: String, hint: &str) -> Failure {
    let hint = if text.starts_with(UNEQUAL) { NOT_COMMITTED } else { hint };
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

/// What is said of a line of another length.
fn unequal(text: &str) -> Option<String> {
    let (line, numbers) = text.strip_prefix("incorrect number of fields for ")?.split_once(", expected ")?;
    let (expected, found) = numbers.split_once(" got ")?;
    Some(format!("{UNEQUAL} {expected}, found {found} at {line}"))
}

/// What is wrong, with the line in the place of the record that Arrow calls a line, and the name in the place of the column's number.
/// Where a value cannot be read it counts records from 0, where a record has too few values or too many from 1.
fn located(error: &ArrowError, lines: &Lines, schema: &Schema) -> String {
    let text = text_of(error);
    let first = u64::from(matches!(error, ArrowError::ParseError(_)));
    let line = |record: &str| Some(lines.of_record(record.parse::<u64>().ok()? + first));
    if let Some((column, record, what)) = value_of(&text, schema)
        && let (Some(column), Some(line)) =
            (column.parse().ok().and_then(|at: usize| schema.fields().get(at)), line(record))
    {
        return format!("line {line}: column {:?}: {what}", column.name());
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

/// Of an error of one value: the numbers of its column and record, and what is wrong with it.
fn value_of<'t>(text: &'t str, schema: &Schema) -> Option<(String, &'t str, String)> {
    if let Some(rest) = text.strip_prefix("Error while parsing value '") {
        let (value, rest) = rest.split_once("' as type '")?;
        let (_, rest) = rest.split_once("' for column ")?;
        let (column, rest) = rest.split_once(" at line ")?;
        let (record, _) = rest.split_once(". Row data: ")?;
        return Some((column.to_owned(), record, not_of_type(value, column, schema)?));
    }
    if let Some(rest) = text.strip_prefix("Error parsing column ") {
        let (column, rest) = rest.split_once(" at line ")?;
        let (record, what) = rest.split_once(": ")?;
        let what = what.trim_start_matches("Parser error: ");
        let value =
            what.strip_prefix("Error parsing timestamp from '").and_then(|rest| rest.rsplit_once("': "));
        let what = value.and_then(|(value, _)| not_of_type(value, column, schema)).unwrap_or(what.to_owned());
        return Some((column.to_owned(), record, what));
    }
    // Here Arrow counts from 1.
    let rest = text.strip_prefix("Encountered invalid UTF-8 data for line ")?;
    let (record, field) = rest.split_once(" and field ")?;
    let column = field.parse::<usize>().ok()?.checked_sub(1)?;
    Some((column.to_string(), record, "it is not text in UTF-8".to_owned()))
}

fn not_of_type(value: &str, column: &str, schema: &Schema) -> Option<String> {
    let field = schema.fields().get(column.parse::<usize>().ok()?)?;
    Some(format!("{value:?} is not of type {}", type_of(field)?))
}

/// What a table calls the type of a column.
fn type_of(field: &FieldRef) -> Option<String> {
    let fields = fields_from_arrow(&Schema::new(vec![FieldRef::clone(field)])).ok()?;
    match fields.first()?.ty {
        Type::Primitive(ty) => Some(ty.to_string()),
        _ => None,
    }
}
