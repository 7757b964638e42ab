//! JSON, an object on each line.
//!
//! A column of numbers and texts is one of texts, and so is one of numbers that no type has all digits of. Texts that are all dates or
//! times are those.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use strandline::arrow::array::RecordBatch;
use strandline::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use strandline::arrow::error::ArrowError;
use strandline::arrow::json::ReaderBuilder;
use strandline::arrow::json::reader::infer_json_schema_from_iterator;

use super::encoded::{Encoded, is_decimal};
use super::infer::{Inferred, loses_digits};
use super::types::{of_table, settle};
use super::{BATCH_ROWS, Input, Reading, Required, Source};
use crate::cells::is_uuid;
use crate::failure::{Failure, Result};
use crate::progress::Progress;

pub(super) fn open(input: Input, reading: &Reading, progress: &Progress) -> Result<Source> {
    let (schema, input) = match &reading.table {
        Some(table) => {
            let names = table.fields().iter().map(|field| field.name().as_str());
            (of_table(names, table), input)
        }
        None => {
            let input = input.seekable()?;
            (settle(&infer(progress.looking(input.again()?))?, &reading.overrides)?, input)
        }
    };
    let reader = BufReader::new(progress.reading(input.read()?));
    let encoded = Encoded::of(&schema, |field| is_uuid(field) || is_decimal(field));
    let required = reading.required.clone();
    Ok(Source::new(schema, Batches { reader, encoded, required, line: 0, over: false }))
}

/// The columns of all objects, in the order in which they first come.
fn infer(reader: impl Read) -> Result<Schema> {
    let (mut names, mut long) = (Vec::<String>::new(), BTreeSet::new());
    let mut seen = BTreeMap::<String, Inferred>::new();
    let values = lines(BufReader::new(reader)).map(|line| {
        let (number, text) = line.map_err(|failure| ArrowError::JsonError(failure.message().to_owned()))?;
        let value =
            parse(number, &text).map_err(|failure| ArrowError::JsonError(failure.message().to_owned()))?;
        let known = value.as_object().is_some_and(|object| object.keys().all(|key| names.contains(key)));
        if !known {
            let fresh: Vec<String> = keys(&text).into_iter().filter(|key| !names.contains(key)).collect();
            names.extend(fresh);
        }
        for (key, value) in value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            let seen = seen.entry(key.clone()).or_default();
            match value.as_str() {
                Some(text) => seen.see(text),
                None => seen.see_other(),
            }
        }
        let members = value.as_object().into_iter().flatten();
        long.extend(members.filter(|(key, value)| is_long(value, key, &text)).map(|(key, _)| key.clone()));
        Ok(value)
    });
    let schema = infer_json_schema_from_iterator(values).map_err(|error| said(&error))?;
    let place = |field: &FieldRef| names.iter().position(|name| name == field.name());
    let settled = |field: &FieldRef| match field.data_type() {
        DataType::Float64 if long.contains(field.name()) => {
            Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8))
        }
        DataType::Utf8 => match seen.get(field.name()).and_then(Inferred::time) {
            Some(time) => Arc::new(field.as_ref().clone().with_data_type(time)),
            None => Arc::clone(field),
        },
        _ => Arc::clone(field),
    };
    let mut fields: Vec<FieldRef> = schema.fields().iter().map(settled).collect();
    fields.sort_by_key(place);
    Ok(Schema::new(fields))
}

/// Whether it is a number that a double does not have, or a whole one that it may not have. Of one beyond 64 bits, and of fractions,
/// only the text of the line has the digits.
fn is_long(value: &Value, key: &str, line: &str) -> bool {
    let Value::Number(number) = value else { return false };
    match (number.as_i64(), number.as_f64()) {
        (Some(number), _) => number.unsigned_abs() > 1 << f64::MANTISSA_DIGITS,
        (None, _) if number.is_u64() => true,
        (None, Some(_)) if has_long_number(line) => {
            let texts: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap_or_default();
            let is_whole = |text: &str| text.bytes().all(|byte| matches!(byte, b'-' | b'0'..=b'9'));
            texts.get(key).is_some_and(|text| is_whole(text.get()) || loses_digits(text.get()))
        }
        _ => false,
    }
}

/// Whether a line may have a number in it with more digits than a double is sure to keep.
fn has_long_number(line: &str) -> bool {
    let mut runs = line.as_bytes().split(|byte| !matches!(byte, b'.' | b'0'..=b'9'));
    runs.any(|run| run.len() > f64::DIGITS as usize)
}

/// The lines that hold something, with their numbers.
fn lines(reader: impl BufRead) -> impl Iterator<Item = Result<(u64, String)>> {
    let line = |(number, line): (u64, std::io::Result<String>)| match line {
        Ok(line) if line.trim().is_empty() => None,
        Ok(line) => Some(Ok((number, line))),
        Err(error) => Some(Err(Failure::input(format!("line {number}: {error}")))),
    };
    (1..).zip(reader.lines()).filter_map(line)
}

fn parse(number: u64, line: &str) -> Result<Value> {
    match serde_json::from_str(line) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(not_committed(number, "it is no JSON object")),
        Err(_) if number == 1 && line.trim_start().starts_with('[') => {
            let failure = not_committed(number, "the file is one array, and not an object on each line");
            Err(failure.hint("nothing was committed; `jq -c '.[]'` puts each object on a line of its own"))
        }
        Err(error) => Err(not_committed(number, &format!("it is no JSON object: {error}"))),
    }
}

fn not_committed(number: u64, what: &str) -> Failure {
    Failure::input(format!("line {number}: {what}")).hint("nothing was committed")
}

/// The keys of an object in the order in which they stand.
fn keys(line: &str) -> Vec<String> {
    struct Keys;
    impl<'de> Visitor<'de> for Keys {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Vec<String>, A::Error> {
            let mut keys = Vec::new();
            while let Some((key, IgnoredAny)) = map.next_entry()? {
                keys.push(key);
            }
            Ok(keys)
        }
    }
    serde_json::Deserializer::from_str(line).deserialize_map(Keys).unwrap_or_default()
}

/// Some lines at a time as a batch.
struct Batches<R> {
    reader: R,
    encoded: Encoded,
    required: Required,
    /// How many lines were read.
    line: u64,
    over: bool,
}

impl<R: BufRead> Batches<R> {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let first = self.line + 1;
        let mut chunk: Vec<Vec<u8>> = Vec::new();
        while chunk.len() < BATCH_ROWS {
            let mut line = Vec::new();
            let read = self.reader.read_until(b'\n', &mut line);
            if read.map_err(|error| Failure::input(error.to_string()))? == 0 {
                break;
            }
            self.line += 1;
            chunk.push(line);
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        match self.decode(&chunk.concat()) {
            Ok(Some(batch)) => Ok(Some(batch)),
            // Nothing but empty lines.
            Ok(None) => Ok(Some(RecordBatch::new_empty(SchemaRef::clone(self.encoded.schema())))),
            Err(failure) => Err(self.culprit(first, &chunk, failure)),
        }
    }

    fn decode(&self, lines: &[u8]) -> Result<Option<RecordBatch>> {
        let builder = ReaderBuilder::new(SchemaRef::clone(self.encoded.read()))
            .with_strict_mode(true)
            .with_coerce_primitive(true);
        let read = builder.with_batch_size(BATCH_ROWS).build_decoder().and_then(|mut decoder| {
            decoder.decode(lines)?;
            decoder.flush()
        });
        let Some(batch) = read.map_err(|error| said(&error))? else { return Ok(None) };
        let batch = self.encoded.decoded(&batch).map_err(|(_, failure)| failure)?;
        self.required.check(&batch).map_err(|(_, failure)| failure)?;
        Ok(Some(batch))
    }

    /// Which line it was that could not be read.
    fn culprit(&self, first: u64, chunk: &[Vec<u8>], failure: Failure) -> Failure {
        for (number, line) in (first..).zip(chunk) {
            let text = String::from_utf8_lossy(line);
            if text.trim().is_empty() {
                continue;
            }
            if let Err(failure) = parse(number, &text) {
                return failure;
            }
            if let Err(failure) = self.decode(line) {
                return not_committed(number, failure.message());
            }
        }
        failure.hint("nothing was committed")
    }
}

impl<R: BufRead> Iterator for Batches<R> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let batch = self.next_batch().transpose();
        self.over = !matches!(batch, Some(Ok(_)));
        batch
    }
}

/// What is wrong, without the words in front.
fn said(error: &ArrowError) -> Failure {
    let text = error.to_string();
    let text = text.strip_prefix("Json error: ").unwrap_or(&text);
    Failure::input(text).hint("nothing was committed")
}

#[cfg(test)]
mod tests {
    use strandline::arrow::array::AsArray;

    use super::*;

    #[test]
    fn no_digit_is_lost_by_a_type_that_nobody_gave() {
        let check = |text: &str, expected: DataType| {
            let schema = infer(text.as_bytes()).unwrap();
            assert_eq!(schema.field(0).data_type(), &expected, "{text}");
        };
        check("{\"n\":9007199254740993}\n{\"n\":1}", DataType::Int64);
        check("{\"n\":9007199254740992}\n{\"n\":0.5}", DataType::Float64);
        check("{\"n\":9007199254740993}\n{\"n\":0.5}", DataType::Utf8);
        check("{\"n\":18446744073709551615}", DataType::Utf8);
        check("{\"n\":1}\n{\"n\":\"s\"}", DataType::Utf8);
        check("{\"n\":18446744073709551616}", DataType::Utf8);
        check("{\"n\":1e300}", DataType::Float64);
        check("{\"n\":0.12345678901234567890}", DataType::Utf8);
        check("{\"n\":0.30000000000000004}", DataType::Float64);
    }

    #[test]
    fn numbers_become_texts_where_the_column_is_one() {
        let schema =
            SchemaRef::new(infer(&b"{\"n\":1}\n{\"n\":\"s\"}\n{\"n\":18446744073709551616}"[..]).unwrap());
        let text: &[u8] = b"{\"n\":1}\n{\"n\":\"s\"}\n{\"n\":18446744073709551616}";
        let encoded = Encoded::of(&schema, is_uuid);
        let mut batches =
            Batches { reader: text, encoded, required: Required::default(), line: 0, over: false };
        let batch = batches.next().unwrap().unwrap();
        let found: Vec<_> = batch.column(0).as_string::<i32>().iter().flatten().collect();
        assert_eq!(found, ["1", "s", "18446744073709551616"]);
    }
}
