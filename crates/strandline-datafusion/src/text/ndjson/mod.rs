//! JSON, an object on each line.
//!
//! Invariant: a value is exactly what its column keeps, at any depth, and no member of an object is passed over unless that is asked for: no reader that
//! takes one number for another has a part in it. What does not belong here: what a text is as a value (`leaf`).

mod json;
mod lines;
mod names;
mod rows;
mod shape;

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;

use strandline::arrow::array::RecordBatch;
use strandline::arrow::datatypes::{Schema, SchemaRef};

use self::json::Json;
use self::lines::Lines;
use self::names::Names;
use self::rows::Rows;
pub(in crate::text) use self::rows::Value;
use self::shape::Shape;
use super::{About, BATCH_BYTES, BATCH_ROWS, CHUNK, Columns, Misread, feed};

/// Rows of NDJSON.
pub struct Reader {
    lines: Lines,
    batches: Batches,
}

impl Reader {
    /// Rows of these columns, each of which has the members of their names.
    ///
    /// # Errors
    /// A column of a type that has no form in JSON.
    pub fn new(columns: &Columns) -> Result<Self, Misread> {
        let rows = Rows::of(columns)?;
        let batches =
            Batches { schema: SchemaRef::clone(&columns.schema), rows, bytes: 0, made: VecDeque::new() };
        Ok(Self { lines: Lines::default(), batches })
    }
}

impl super::Reader for Reader {
    fn schema(&self) -> Option<&SchemaRef> {
        Some(&self.batches.schema)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Misread> {
        let batches = &mut self.batches;
        self.lines.push(bytes, &mut |number, line| batches.push(number, line))
    }

    fn end(&mut self) -> Result<(), Misread> {
        let batches = &mut self.batches;
        self.lines.end(&mut |number, line| batches.push(number, line))?;
        batches.finish()
    }

    fn batch(&mut self) -> Option<RecordBatch> {
        self.batches.made.pop_front()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ndjson::Reader").field("lines", &self.lines).finish_non_exhaustive()
    }
}

/// Rows on their way into batches.
struct Batches {
    schema: SchemaRef,
    rows: Rows,
    bytes: usize,
    made: VecDeque<RecordBatch>,
}

impl Batches {
    fn push(&mut self, number: u64, line: &str) -> Result<(), Misread> {
        self.rows.push(line).map_err(|wrong| wrong.on(number))?;
        self.bytes += line.len();
        match self.rows.count() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            true => self.finish(),
            false => Ok(()),
        }
    }

    /// Makes a batch of what came since the last one.
    fn finish(&mut self) -> Result<(), Misread> {
        self.bytes = 0;
        if self.rows.count() > 0 {
            self.made.push_back(self.rows.finish()?);
        }
        Ok(())
    }
}

/// The columns of all objects, in the order in which they first come; `Null` where there are no values.
///
/// # Errors
/// What is no object on each line, has no type in common, or cannot be read.
pub fn infer(reader: impl Read) -> Result<Schema, Misread> {
    let (mut lines, mut shape) = (Lines::default(), Shape::default());
    let mut each = |number, line: &str| shape.see_row(line).map_err(|wrong| wrong.on(number));
    feed(reader, |bytes| lines.push(bytes, &mut each))?;
    lines.end(&mut each)?;
    Ok(shape.schema())
}

/// Which of some columns the objects have, looked for until all are found.
#[derive(Debug)]
pub struct Looking {
    lines: Lines,
    names: Names,
    found: Vec<bool>,
}

impl Looking {
    /// For columns of these names.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let names = Names::of(names);
        Self { lines: Lines::default(), found: vec![false; names.count()], names }
    }

    /// Takes in what comes next.
    ///
    /// # Errors
    /// What is no object on each line.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Misread> {
        let (names, found) = (&mut self.names, &mut self.found);
        self.lines.push(bytes, &mut |number, line| look(names, found, line).map_err(|wrong| wrong.on(number)))
    }

    /// Nothing follows.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn end(&mut self) -> Result<(), Misread> {
        let (names, found) = (&mut self.names, &mut self.found);
        self.lines.end(&mut |number, line| look(names, found, line).map_err(|wrong| wrong.on(number)))
    }

    /// Whether nothing is left to look for.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.found.iter().all(|found| *found)
    }

    /// For each column, whether an object had it.
    #[must_use]
    pub fn found(&self) -> &[bool] {
        &self.found
    }

    /// The same of all that a reader has, or as much of it as says so.
    ///
    /// # Errors
    /// As [`Self::push`], and what cannot be read.
    pub fn read(mut self, mut reader: impl Read) -> Result<Vec<bool>, Misread> {
        let mut chunk = vec![0; CHUNK];
        while !self.is_done() {
            match reader.read(&mut chunk) {
                Ok(0) => {
                    self.end()?;
                    break;
                }
                Ok(read) => self.push(chunk.get(..read).unwrap_or_default())?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Misread::new(error.to_string())),
            }
        }
        Ok(self.found)
    }
}

fn look(names: &mut Names, found: &mut [bool], line: &str) -> Result<(), Wrong> {
    Json::of(line).object(|json, name| {
        if let Some(found) = names.place(&name).and_then(|place| found.get_mut(place)) {
            *found = true;
        }
        json.skip().map(drop)
    })
}

/// What is wrong with a line.
#[derive(Debug)]
struct Wrong {
    /// The names that lead to a value, the innermost first.
    path: Vec<String>,
    text: String,
    about: About,
    /// Whether it is about the whole line: that it is no JSON.
    of_line: bool,
}

impl Wrong {
    fn new(text: impl Into<String>) -> Self {
        Self { path: Vec::new(), text: text.into(), about: About::Other, of_line: false }
    }

    /// No JSON, for this reason.
    fn json(text: &str) -> Self {
        Self { of_line: true, ..Self::new(format!("it is no JSON object: {text}")) }
    }

    /// The line ends within this.
    fn ends(within: &str) -> Self {
        Self { about: About::Spread, ..Self::json(&format!("{within} does not end on its line")) }
    }

    /// A text whose escapes are none.
    fn escapes(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        Self::new(format!("it is no text: {text}"))
    }

    /// The same, of a value within a member of this name.
    fn within(mut self, name: &str) -> Self {
        if !self.of_line {
            self.path.push(name.to_owned());
        }
        self
    }

    /// The same, of a value that is all that stands in a column of something else.
    fn in_column(mut self, name: &str) -> Self {
        if std::mem::take(&mut self.of_line) {
            self.text = self.text.replacen("no JSON object", "no JSON", 1);
            // Such a value may go over several lines.
            self.text = self.text.replacen("does not end on its line", "does not end", 1);
            self.about = About::Other;
        }
        self.within(name)
    }

    fn on(self, line: u64) -> Misread {
        let path: Vec<_> = self.path.iter().rev().map(String::as_str).collect();
        let path = path.join(".");
        let misread = match self.about {
            About::Missing => super::misread::missing(&path),
            _ if path.is_empty() => Misread::new(self.text),
            _ => Misread::new(format!("column {path:?}: {}", self.text)),
        };
        misread.about(self.about).on(line)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use strandline::arrow::array::AsArray;
    use strandline::arrow::datatypes::{DataType, Field, TimeUnit};
    use strandline::arrow::json::LineDelimitedWriter;

    use super::super::{Reader as _, Required};
    use super::*;

    fn read(schema: &SchemaRef, text: &str) -> Result<Vec<RecordBatch>, Misread> {
        let columns = Columns::new(SchemaRef::clone(schema), &Required::of(["required"]));
        let mut reader = Reader::new(&columns)?;
        text.as_bytes().chunks(1000).try_for_each(|bytes| reader.push(bytes))?;
        reader.end()?;
        Ok(std::iter::from_fn(|| reader.batch()).collect())
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
        let missing = "line 1: column \"s.x\" is required, and has no value here";
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
            "line 2: the table has no column \"strase\"",
        );
    }

    #[test]
    fn a_line_is_one_object() {
        let columns = [("id", DataType::Int64)];
        for (line, expected) in [
            ("[1]", "the file is one array, and not an object on each line"),
            ("7", "it is no JSON object"),
            ("{\"id\":1} {\"id\":2}", "it is no JSON object: trailing characters at byte 10"),
            ("{\"id\":1", "it is no JSON object: an object does not end on its line"),
            ("{\n\"id\":1\n}", "it is no JSON object: an object does not end on its line"),
            ("{\"id\":[1,", "it is no JSON object: a value does not end on its line"),
            ("{\"id\":01}", "it is no JSON object: invalid number at byte 7"),
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
        let schema = Arc::new(infer(text.as_bytes()).unwrap());
        let batch = read(&schema, text).unwrap().remove(0);
        let cells = super::super::cells::Cells::of(&batch).unwrap().row(0);
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
