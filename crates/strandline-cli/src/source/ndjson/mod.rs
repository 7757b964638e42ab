//! JSON, an object on each line.
//!
//! Invariant: a value is exactly what its column keeps, at any depth, and no member of an object is passed over: no reader that
//! takes one number for another has a part in it. What does not belong here: what a text is as a value (`leaf`).

mod names;
mod rows;
mod shape;

use std::io::{BufRead, BufReader, Read};

use strandline::arrow::array::RecordBatch;
use strandline::arrow::datatypes::Schema;

use self::rows::Rows;
use self::shape::Shape;
use super::exact::Why;
use super::input::{Text, text};
use super::leaf::hint;
use super::types::{of_table, settle};
use super::{BATCH_ROWS, Input, Reading, Required, Source};
use crate::failure::{Failure, Result};
use crate::progress::Progress;

const NOT_COMMITTED: &str = "nothing was committed";

/// How many bytes of lines make a batch, but for the last of them.
const BATCH_BYTES: usize = 64 << 20;

/// What is to be done about a value that is refused.
type Hint = fn(Why) -> &'static str;

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
    // The types of a table that is there are not to be given.
    let hint: Hint = if reading.table.is_some() { |_| NOT_COMMITTED } else { hint };
    let (rows, required) = (Rows::of(&schema)?, reading.required.clone());
    let lines = Lines::of(progress.reading(input.read()?))?;
    Ok(Source::new(schema, Batches { lines, rows, required, hint, over: false }))
}

/// The columns of all objects, in the order in which they first come.
fn infer(reader: impl Read) -> Result<Schema> {
    let (mut lines, mut shape) = (Lines::of(reader)?, Shape::default());
    while let Some((number, line)) = lines.next()? {
        shape.see_row(line).map_err(|wrong| wrong.on(number, hint))?;
    }
    Ok(shape.schema())
}

/// The lines that hold something.
struct Lines<R> {
    reader: BufReader<Text<R>>,
    /// How many were read.
    number: u64,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    fn of(reader: R) -> Result<Self> {
        Ok(Self { reader: BufReader::new(text(reader)?), number: 0, line: Vec::new() })
    }

    /// One that has an object, with its number.
    fn next(&mut self) -> Result<Option<(u64, &str)>> {
        loop {
            self.line.clear();
            let read = self.reader.read_until(b'\n', &mut self.line);
            if read.map_err(|error| Failure::input(error.to_string()).hint(NOT_COMMITTED))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let number = self.number;
        let line = std::str::from_utf8(&self.line);
        let line = line.map_err(|_| not_committed(number, "it is not text in UTF-8"))?.trim();
        if line.starts_with('{') {
            return Ok(Some((number, line)));
        }
        if number == 1 && line.starts_with('[') {
            let failure = not_committed(number, "the file is one array, and not an object on each line");
            let hint = "nothing was committed; `jq -c '.[]'` puts each object on a line of its own";
            return Err(failure.hint(hint));
        }
        Err(not_committed(number, "it is no JSON object"))
    }
}

fn not_committed(number: u64, what: &str) -> Failure {
    Failure::input(format!("line {number}: {what}")).hint(NOT_COMMITTED)
}

/// What is wrong with a line.
#[derive(Debug)]
struct Wrong {
    /// The names that lead to a value, the innermost first.
    path: Vec<String>,
    text: String,
    /// If it is a value that has no place in its column.
    why: Option<Why>,
}

impl Wrong {
    fn new(text: impl Into<String>) -> Self {
        Self { path: Vec::new(), text: text.into(), why: None }
    }

    /// No JSON. The line is the file's, of which the reader knows nothing.
    fn json(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        Self::new(format!("it is no JSON object: {text} at byte {}", error.column()))
    }

    /// A text whose escapes are none.
    fn escapes(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        Self::new(format!("it is no text: {text}"))
    }

    /// The same, of a value within a member of this name.
    fn within(mut self, name: &str) -> Self {
        self.path.push(name.to_owned());
        self
    }

    fn on(self, line: u64, hint: Hint) -> Failure {
        let path: Vec<_> = self.path.iter().rev().map(String::as_str).collect();
        let failure = match path.is_empty() {
            true => not_committed(line, &self.text),
            false => not_committed(line, &format!("column {:?}: {}", path.join("."), self.text)),
        };
        failure.hint(self.why.map_or(NOT_COMMITTED, hint))
    }
}

/// Some lines at a time as a batch.
struct Batches<R> {
    lines: Lines<R>,
    rows: Rows,
    required: Required,
    hint: Hint,
    over: bool,
}

impl<R: Read> Batches<R> {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let (mut numbers, mut bytes) = (Vec::new(), 0);
        while numbers.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some((number, line)) = self.lines.next()? else { break };
            self.rows.push(line).map_err(|wrong| wrong.on(number, self.hint))?;
            numbers.push(number);
            bytes += line.len();
        }
        if numbers.is_empty() {
            return Ok(None);
        }
        let batch = self.rows.finish()?;
        self.required.check(&batch).map_err(|(row, failure)| {
            not_committed(numbers.get(row).copied().unwrap_or_default(), failure.message())
        })?;
        Ok(Some(batch))
    }
}

impl<R: Read> Iterator for Batches<R> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use strandline::arrow::array::AsArray;
    use strandline::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
    use strandline::arrow::json::LineDelimitedWriter;

    use super::*;

    fn read(schema: &SchemaRef, text: &str) -> Result<Vec<RecordBatch>> {
        let (lines, rows) = (Lines::of(text.as_bytes())?, Rows::of(schema)?);
        let required = Required::of(["required"]);
        Batches { lines, rows, required, hint, over: false }.collect()
    }

    /// What comes of a text in columns of these types, written as JSON.
    fn check(fields: &[(&str, DataType)], text: &str, expected: &str) {
        let fields: Vec<_> = fields.iter().map(|(name, ty)| Field::new(*name, ty.clone(), true)).collect();
        let batches = read(&Arc::new(Schema::new(fields)), text).unwrap();
        let mut writer = LineDelimitedWriter::new(Vec::new());
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
        assert_eq!(String::from_utf8(writer.into_inner()).unwrap().trim_end(), expected, "{text}");
    }

    fn check_refused(fields: &[(&str, DataType)], text: &str, expected: &str) {
        let fields: Vec<_> = fields.iter().map(|(name, ty)| Field::new(*name, ty.clone(), true)).collect();
        let failure = read(&Arc::new(Schema::new(fields)), text).unwrap_err();
        assert_eq!(failure.message(), expected, "{text}");
    }

    fn list(ty: DataType) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(ty, true)))
    }

    fn object(fields: Vec<Field>) -> DataType {
        DataType::Struct(fields.into())
    }

    fn map(value: DataType) -> DataType {
        let parts = vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)];
        DataType::Map(Arc::new(Field::new("entries", object(parts), false)), false)
    }

    #[test]
    fn no_value_becomes_another() {
        let long = [("id", DataType::Int64)];
        check(&long, "{\"id\":3.0}\n\n{\"id\":\"4\"}\n{\"id\":null}\n{}", "{\"id\":3}\n{\"id\":4}\n{}\n{}");
        check_refused(
            &long,
            "\n{\"id\":31}\n{\"id\":31.9}",
            "line 3: column \"id\": \"31.9\" is not of type long: it has more digits than the type keeps",
        );
        check_refused(&long, "{\"id\":true}", "line 1: column \"id\": \"true\" is not of type long");
        check_refused(&long, "{\"id\":[1]}", "line 1: column \"id\": \"[1]\" is not of type long");
        let time = [("t", DataType::Timestamp(TimeUnit::Microsecond, None))];
        check_refused(
            &time,
            "{\"t\":1700000000}",
            "line 1: column \"t\": \"1700000000\" is not of type timestamp",
        );
        check(&time, "{\"t\":\"2026-01-01 10:00:00\"}", "{\"t\":\"2026-01-01T10:00:00\"}");
        let text = [("s", DataType::Utf8)];
        check(
            &text,
            "{\"s\":1.50}\n{\"s\":false}\n{\"s\":\"a\\u0000\\\"\\n\\ud83d\\ude00\"}",
            "{\"s\":\"1.50\"}\n{\"s\":\"false\"}\n{\"s\":\"a\\u0000\\\"\\n😀\"}",
        );
        check_refused(
            &text,
            "{\"s\":{\"a\":1}}",
            "line 1: column \"s\": \"{\\\"a\\\":1}\" is not of type string",
        );
    }

    #[test]
    fn nested_values_go_by_the_same_rules() {
        let inner = object(vec![
            Field::new("x", DataType::Int32, true),
            Field::new("y", list(DataType::Int64), true),
        ]);
        let columns = [("s", inner.clone()), ("l", list(inner)), ("m", map(DataType::Float64))];
        check(
            &columns,
            r#"{"s":{"X":1.0,"y":[1,null,"3"]},"l":[{"x":2},null,{}],"m":{"a":0.1,"":null}}
{"s":null,"l":[],"m":{}}"#,
            r#"{"s":{"x":1,"y":[1,null,3]},"l":[{"x":2},null,{}],"m":{"a":0.1}}
{"l":[],"m":{}}"#,
        );
        for (line, expected) in [
            (
                r#"{"l":[{"x":1},{"y":[1,2.5]}]}"#,
                r#"column "l.y": "2.5" is not of type long: it has more digits than the type keeps"#,
            ),
            (r#"{"m":{"a":1e999}}"#, r#"column "m.a": "1e999" is not of type double"#),
            (r#"{"s":{"z":1}}"#, r#"column "s": the table has no field "z" there"#),
            (r#"{"s":{"x":1,"X":2}}"#, r#"column "s": "X" stands there twice"#),
            (r#"{"m":{"a":1,"a":2}}"#, r#"column "m": "a" stands there twice"#),
            (r#"{"s":[1]}"#, r#"column "s": an object should stand there"#),
            (r#"{"l":{"x":1}}"#, r#"column "l": a list should stand there"#),
            (r#"{"l":["x"]}"#, r#"column "l": an object should stand there"#),
            (r#"{"m":5}"#, r#"column "m": an object should stand there"#),
        ] {
            check_refused(&columns, line, &format!("line 1: {expected}"));
        }
    }

    #[test]
    fn what_must_have_a_value_is_not_left_out() {
        let inner = object(vec![Field::new("x", DataType::Int32, false)]);
        let columns = [("s", inner), ("required", DataType::Int64)];
        check(&columns, "{\"required\":1}", "{\"required\":1}");
        let missing = "line 1: column \"s.x\": it is required, and has no value here";
        check_refused(&columns, "{\"required\":1,\"s\":{}}", missing);
        check_refused(&columns, "{\"required\":1,\"s\":{\"x\":null}}", missing);
        check_refused(
            &columns,
            "{\"required\":1}\n\n{\"s\":null}",
            "line 3: column \"required\" is required, and has no value here",
        );
    }

    #[test]
    fn names_are_one_whatever_their_case_and_stand_once() {
        let columns = [("id", DataType::Int64), ("Straße", DataType::Int64)];
        check(&columns, "{\"ID\":1,\"STRASSE\":2}", "{\"id\":1,\"Straße\":2}");
        check_refused(&columns, "{\"id\":1,\"id\":2}", "line 1: \"id\" stands there twice");
        check_refused(&columns, "{\"id\":1,\"Id\":2}", "line 1: \"Id\" stands there twice");
        check_refused(
            &columns,
            "{\"id\":1}\n{\"strase\":null}",
            "line 2: the table has no column \"strase\", did you mean \"Straße\"?",
        );
    }

    #[test]
    fn a_line_is_one_object() {
        let columns = [("id", DataType::Int64)];
        for (line, expected) in [
            ("[1]", "the file is one array, and not an object on each line"),
            ("7", "it is no JSON object"),
            ("{\"id\":1} {\"id\":2}", "it is no JSON object: trailing characters at byte 10"),
            ("{\"id\":1", "it is no JSON object: EOF while parsing an object at byte 7"),
            ("{\"id\":01}", "it is no JSON object: invalid number at byte 8"),
            ("{\"id\":+1}", "it is no JSON object: expected value at byte 7"),
            ("{\"id\":NaN}", "it is no JSON object: expected value at byte 7"),
        ] {
            check_refused(&columns, line, &format!("line 1: {expected}"));
        }
        check_refused(
            &[("s", DataType::Utf8)],
            "{\"s\":\"\\ud800\"}",
            "line 1: column \"s\": it is no text: unexpected end of hex escape",
        );
        check(&columns, "\u{feff}{\"id\":1}\r\n{\"id\":2}", "{\"id\":1}\n{\"id\":2}");
    }

    #[test]
    fn what_is_inferred_keeps_what_is_written() {
        let text = r#"{"a":{"x":0.1234567890123456789,"y":12345678901234567890},"l":[9007199254740993,1.5]}"#;
        let schema = settle(&infer(text.as_bytes()).unwrap(), &[]).unwrap();
        let batch = read(&schema, text).unwrap().remove(0);
        let cells = crate::cells::Cells::of(&batch).unwrap().row(0);
        let expected = [
            r#"{"x":"0.1234567890123456789","y":"12345678901234567890"}"#,
            r#"["9007199254740993.0","1.5"]"#,
        ];
        assert_eq!(cells, expected.map(|cell| Some(cell.to_owned())));
    }

    #[test]
    fn batches_end_and_lines_are_counted_through_them() {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let text: String = (0..BATCH_ROWS + 1).map(|row| format!("{{\"id\":{row}}}\n")).collect();
        let batches = read(&schema, &text).unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [BATCH_ROWS, 1]);
        let last = batches.last().unwrap().column(0);
        let last = last.as_primitive::<strandline::arrow::datatypes::Int64Type>().value(0);
        assert_eq!(usize::try_from(last).unwrap(), BATCH_ROWS);
        let failure = read(&schema, &format!("{text}{{\"id\":1.5}}")).unwrap_err();
        assert!(failure.message().starts_with(&format!("line {}: ", BATCH_ROWS + 2)), "{failure}");
    }
}
