//! Comma-separated values, into the columns of a table or into inferred ones.

use strandline::arrow::datatypes::{Schema, SchemaRef};
use strandline_datafusion::text::csv::{First, Reader, infer};
use strandline_datafusion::text::{Columns, Csv};

use super::text::{Types, rows, told};
use super::types::{of_table, settle};
use super::{Input, Reading, Source};
use crate::failure::Result;
use crate::progress::Progress;

pub(super) fn open(input: Input, reading: &Reading, progress: &Progress) -> Result<Source> {
    let delimiter = reading.delimiter.unwrap_or(b',');
    let csv = Csv { header: !reading.no_header, delimiter, ..Csv::default() };
    let required = reading.required.clone();
    if let Some(table) = &reading.table {
        let table = SchemaRef::clone(table);
        let says = move |first| Ok(Columns::new(named(first, &table), &required));
        return rows(Reader::new(&csv, says), progress.reading(input.read()?), Types::of(reading));
    }
    let input = input.seekable()?;
    let inferred = infer(&csv, progress.looking(input.again()?));
    let inferred = inferred.map_err(|misread| told(&misread, Types::MayBeGiven))?;
    let schema = settle(&inferred, &reading.overrides)?;
    let says = move |_| Ok(Columns::new(schema, &required));
    rows(Reader::new(&csv, says), progress.reading(input.read()?), Types::MayBeGiven)
}

/// The columns of a file that goes into a table: without names, those of the table in its order.
fn named(first: First, table: &Schema) -> SchemaRef {
    let names = match first {
        First::Names(names) => names,
        First::Values(count) => {
            let of_table = table.fields().iter().map(|field| field.name().clone());
            let others = (table.fields().len() + 1..).map(|place| format!("column_{place}"));
            of_table.chain(others).take(count).collect()
        }
    };
    of_table(names.iter().map(String::as_str), table)
}
