//! JSON, an object on each line, into the columns of a table or into inferred ones.

use strandline_datafusion::text::Columns;
use strandline_datafusion::text::ndjson::{Looking, Reader, infer};

use super::text::{Types, rows, told};
use super::types::{of_table, settle};
use super::{Input, Reading, Source};
use crate::failure::Result;
use crate::progress::Progress;

pub(super) fn open(input: Input, reading: &Reading, progress: &Progress) -> Result<Source> {
    let types = Types::of(reading);
    let (schema, input) = match &reading.table {
        Some(table) => {
            let (missing, input) = missing(input, &reading.defaults, progress)?;
            let names = table.fields().iter().map(|field| field.name().as_str());
            (of_table(names.filter(|name| !missing.iter().any(|other| other == name)), table), input)
        }
        None => {
            let input = input.seekable()?;
            let inferred =
                infer(progress.looking(input.again()?)).map_err(|misread| told(&misread, types))?;
            (settle(&inferred, &reading.overrides)?, input)
        }
    };
    let reader = Reader::new(&Columns::new(schema, &reading.required));
    let reader = reader.map_err(|misread| told(&misread, types))?;
    rows(reader, progress.reading(input.read()?), types)
}

/// The columns which have defaults and which no object has, so that they get them, as where a file of CSV does not name a column.
fn missing(input: Input, defaults: &[String], progress: &Progress) -> Result<(Vec<String>, Input)> {
    if defaults.is_empty() {
        return Ok((Vec::new(), input));
    }
    let input = input.seekable()?;
    let looking = Looking::of(defaults.iter().map(String::as_str));
    let found = looking.read(progress.looking(input.again()?));
    let found = found.map_err(|misread| told(&misread, Types::AreThere))?;
    let missing = defaults.iter().zip(found).filter(|(_, found)| !found).map(|(name, _)| name.clone());
    Ok((missing.collect(), input))
}
