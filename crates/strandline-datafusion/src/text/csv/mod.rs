//! Comma-separated values.

mod records;

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;

use strandline::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use strandline::arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use strandline::arrow::error::ArrowError;

use self::records::{Record, Records};
use super::infer::Inferred;
use super::leaf::{Form, Leaf, refused};
use super::misread::missing;
use super::ndjson::Value;
use super::{About, BATCH_BYTES, BATCH_ROWS, Columns, Misread, feed};

/// How CSV is written: the letters are of ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csv {
    /// Whether the first record names the columns.
    pub header: bool,
    /// What stands between values.
    pub delimiter: u8,
    /// What stands around values that have one of these letters in them.
    pub quote: u8,
    /// What stands before a quote within quotes, if not another quote.
    pub escape: Option<u8>,
    /// What stands for null, without quotes.
    pub null: String,
}

impl Default for Csv {
    fn default() -> Self {
        Self { header: true, delimiter: b',', quote: b'"', escape: None, null: String::new() }
    }
}

/// What the first record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// These names.
    Names(Vec<String>),
    /// No names, of so many values.
    Values(usize),
}

impl First {
    fn of(record: &Record, header: bool) -> Result<Self, Misread> {
        if !header {
            return Ok(Self::Values(record.len()));
        }
        let names = record.values().map_err(|_| Misread::new("it is not text in UTF-8").on(record.line))?;
        Ok(Self::Names(names.map(|name| name.unwrap_or_default().to_owned()).collect()))
    }

    /// The names, or `column_1` and so on.
    fn names(self) -> Vec<String> {
        match self {
            Self::Names(names) => names,
            Self::Values(count) => (1..=count).map(|place| format!("column_{place}")).collect(),
        }
    }
}

/// Says which columns values go into, as many of them as the first record has.
type Says = Box<dyn FnOnce(First) -> Result<Columns, Misread> + Send>;

/// Rows of CSV.
pub struct Reader {
    records: Records,
    rows: Rows,
    header: bool,
}

enum Rows {
    Unknown(Option<Says>),
    Known(Values),
}

impl Reader {
    /// Rows of the columns that are said of the first record, as many as that has.
    pub fn new(csv: &Csv, says: impl FnOnce(First) -> Result<Columns, Misread> + Send + 'static) -> Self {
        let (records, header) = (Records::of(csv), csv.header);
        Self { records, rows: Rows::Unknown(Some(Box::new(says))), header }
    }

    fn values(&self) -> Option<&Values> {
        match &self.rows {
            Rows::Known(values) => Some(values),
            Rows::Unknown(_) => None,
        }
    }
}

impl super::Reader for Reader {
    fn schema(&self) -> Option<&SchemaRef> {
        self.values().map(|values| &values.columns.schema)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Misread> {
        let (rows, header) = (&mut self.rows, self.header);
        self.records.push(bytes, &mut |record| rows.push(record, header))
    }

    fn end(&mut self) -> Result<(), Misread> {
        let (rows, header) = (&mut self.rows, self.header);
        self.records.end(&mut |record| rows.push(record, header))?;
        match rows {
            Rows::Known(values) => values.finish(),
            Rows::Unknown(_) => Ok(()),
        }
    }

    fn batch(&mut self) -> Option<RecordBatch> {
        match &mut self.rows {
            Rows::Known(values) => values.batches.pop_front(),
            Rows::Unknown(_) => None,
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("csv::Reader").field("records", &self.records).finish_non_exhaustive()
    }
}

impl Rows {
    fn push(&mut self, record: &Record, header: bool) -> Result<(), Misread> {
        match self {
            Self::Known(values) => values.push(record),
            Self::Unknown(says) => {
                let first = First::of(record, header)?;
                let Some(says) = says.take() else { return Ok(()) };
                let mut values = Values::of(says(first)?)?;
                if !header {
                    values.push(record)?;
                }
                *self = Self::Known(values);
                Ok(())
            }
        }
    }
}

/// Values on their way into batches.
struct Values {
    columns: Columns,
    fills: Vec<Fill>,
    rows: usize,
    bytes: usize,
    batches: VecDeque<RecordBatch>,
}

impl Values {
    fn of(columns: Columns) -> Result<Self, Misread> {
        let fills = columns.schema.fields().iter().map(Fill::of).collect::<Result<_, _>>()?;
        Ok(Self { columns, fills, rows: 0, bytes: 0, batches: VecDeque::new() })
    }

    fn push(&mut self, record: &Record) -> Result<(), Misread> {
        if record.len() != self.fills.len() {
            return Err(unequal(record, self.fills.len()));
        }
        let values = record.values().map_err(|place| self.not_utf8(record.line, place))?;
        for ((fill, required), value) in self.fills.iter_mut().zip(&self.columns.required).zip(values) {
            // What no column but one of texts has in its quotes is nothing.
            match value.filter(|text| !text.is_empty() || fill.has_empty()) {
                Some(text) if *required && fill.is_null(text) => {
                    return Err(missing(fill.field().name()).on(record.line));
                }
                Some(text) => fill.push(text, record.line)?,
                None if *required => return Err(missing(fill.field().name()).on(record.line)),
                None => fill.null(),
            }
        }
        self.rows += 1;
        self.bytes += record.size();
        match self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            true => self.finish(),
            false => Ok(()),
        }
    }

    fn not_utf8(&self, line: u64, place: usize) -> Misread {
        let name = self.fills.get(place).map(|fill| fill.field().name().as_str()).unwrap_or_default();
        Misread::new(format!("column {name:?}: it is not text in UTF-8")).on(line)
    }

    /// Makes a batch of what came since the last one.
    fn finish(&mut self) -> Result<(), Misread> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        if rows == 0 {
            return Ok(());
        }
        let arrays = self.fills.iter_mut().map(Fill::finish).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = SchemaRef::clone(&self.columns.schema);
        self.batches.push_back(RecordBatch::try_new_with_options(schema, arrays, &options)?);
        Ok(())
    }
}

/// The values of a column: single ones, or those that have others in them, which are JSON.
enum Fill {
    Leaf(Leaf),
    Json(Box<Value>),
}

impl Fill {
    fn of(field: &FieldRef) -> Result<Self, Misread> {
        Ok(match field.data_type().is_nested() {
            true => Self::Json(Box::new(Value::of(field)?)),
            false => Self::Leaf(Leaf::of(field)?),
        })
    }

    fn field(&self) -> &FieldRef {
        match self {
            Self::Leaf(leaf) => leaf.field(),
            Self::Json(value) => value.field(),
        }
    }

    fn has_empty(&self) -> bool {
        matches!(self, Self::Leaf(leaf) if leaf.has_empty())
    }

    /// Whether a text says that there is no value.
    fn is_null(&self, text: &str) -> bool {
        matches!(self, Self::Json(_)) && text.trim_ascii() == "null"
    }

    fn push(&mut self, text: &str, line: u64) -> Result<(), Misread> {
        match self {
            Self::Json(value) => value.push(text, line),
            Self::Leaf(leaf) => leaf.push(text, Form::Text).map_err(|why| {
                let field = leaf.field();
                let text = format!("column {:?}: {}", field.name(), refused(field, text, why));
                Misread::new(text).about(About::Value(why)).on(line)
            }),
        }
    }

    fn null(&mut self) {
        match self {
            Self::Leaf(leaf) => leaf.null(),
            Self::Json(value) => value.null(),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Leaf(leaf) => leaf.finish(),
            Self::Json(value) => value.finish(),
        }
    }
}

fn unequal(record: &Record, expected: usize) -> Misread {
    let text = "the number of values is not that of the columns: expected";
    Misread::new(format!("{text} {expected}, found {}", record.len())).on(record.line)
}

/// The columns of a file, each of the narrowest type that all of its values have; `Null` where there are none.
///
/// # Errors
/// What is no CSV, or cannot be read.
pub fn infer(csv: &Csv, reader: impl Read) -> Result<Schema, Misread> {
    let (mut records, mut columns) = (Records::of(csv), None::<Vec<(String, Inferred)>>);
    let mut each = |record: &Record| {
        let Some(columns) = &mut columns else {
            let names = First::of(record, csv.header)?.names();
            let mut first: Vec<_> = names.into_iter().map(|name| (name, Inferred::default())).collect();
            if !csv.header {
                see(record, &mut first)?;
            }
            columns = Some(first);
            return Ok(());
        };
        see(record, columns)
    };
    feed(reader, |bytes| records.push(bytes, &mut each))?;
    records.end(&mut each)?;
    let field = |(name, seen): (String, Inferred)| Field::new(name, seen.data_type(), true);
    Ok(Schema::new(columns.unwrap_or_default().into_iter().map(field).collect::<Vec<_>>()))
}

fn see(record: &Record, columns: &mut [(String, Inferred)]) -> Result<(), Misread> {
    if record.len() != columns.len() {
        return Err(unequal(record, columns.len()));
    }
    let values = record.values().map_err(|place| {
        let name = columns.get(place).map(|(name, _)| name.as_str()).unwrap_or_default();
        Misread::new(format!("column {name:?}: it is not text in UTF-8")).on(record.line)
    })?;
    // What is empty, in quotes or not, says nothing of a type.
    for ((_, seen), value) in columns.iter_mut().zip(values) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            seen.see(value);
        }
    }
    Ok(())
}
