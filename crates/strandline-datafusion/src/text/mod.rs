//! Rows of text, CSV and NDJSON, and values as text.
//!
//! ```text
//! bytes ──▶ csv: records, and which of their values are null  ─┐
//!       ──▶ ndjson: an object on each line, at any depth      ─┴─▶ leaf: a text in its column ──▶ exact: the value ──▶ batches
//! ```
//!
//! `COPY … FROM` and `strand import` read by this. Invariants: a value is exactly what its column keeps, or it is refused by its line and column; a
//! reader is given bytes as they come and holds no more than some batches; it asks nobody for bytes, so that files, pipes and stores are all one
//! to it. What does not belong here: where bytes come from, and what becomes of rows.

mod beginning;
pub mod cells;
pub mod csv;
mod exact;
mod infer;
mod leaf;
mod misread;
pub mod ndjson;
mod required;
mod sheet;

use std::io::Read;

use strandline::arrow::array::RecordBatch;
use strandline::arrow::datatypes::{SchemaRef, TimeUnit};

pub use self::csv::Csv;
pub use exact::Why;
pub use misread::{About, Misread};
pub use required::Required;
pub(crate) use sheet::Quotes;
pub use sheet::Sheet;

/// How many rows a batch has.
const BATCH_ROWS: usize = 8192;

/// How many bytes of text make a batch, but for the last row of them.
const BATCH_BYTES: usize = 64 << 20;

/// How many bytes are best given to a reader at a time.
pub const CHUNK: usize = 64 << 10;

/// Bytes that become rows as they come.
pub trait Reader: Send {
    /// The columns of all batches, once the bytes have said which these are.
    fn schema(&self) -> Option<&SchemaRef>;

    /// Takes in what comes next.
    ///
    /// # Errors
    /// What cannot be read, or has no place in its column. The reader is of no use afterwards.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Misread>;

    /// Nothing follows.
    ///
    /// # Errors
    /// As [`Self::push`].
    fn end(&mut self) -> Result<(), Misread>;

    /// The next batch that is whole.
    fn batch(&mut self) -> Option<RecordBatch>;
}

/// The columns that text is read into.
#[derive(Clone, Debug)]
pub struct Columns {
    schema: SchemaRef,
    required: Vec<bool>,
    passes_over: bool,
}

impl Columns {
    /// These columns; in those that are required every row has a value.
    #[must_use]
    pub fn new(schema: SchemaRef, required: &Required) -> Self {
        let required = schema.fields().iter().map(|field| required.has(field.name())).collect();
        Self { schema, required, passes_over: false }
    }

    /// The same, where what an object has beside them is not looked at.
    #[must_use]
    pub fn passing_over_others(self) -> Self {
        Self { passes_over: true, ..self }
    }
}

/// The microseconds since 1970 of a time whose year has a sign, which DataFusion reads no texts of; without an offset it is in UTC.
pub(crate) fn far_time(text: &str) -> Option<i64> {
    let is_far = text.starts_with(['+', '-']);
    let time = |zoned| exact::times::timestamp(text, TimeUnit::Microsecond, zoned);
    is_far.then(|| time(false).or_else(|_| time(true)).ok()).flatten()
}

/// Hands on all bytes of a reader.
fn feed(mut reader: impl Read, mut each: impl FnMut(&[u8]) -> Result<(), Misread>) -> Result<(), Misread> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => each(chunk.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Misread::new(error.to_string())),
        }
    }
}
