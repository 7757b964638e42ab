//! Text that becomes rows: bytes of an input go through a reader, and what is wrong with them is told with what to do about it.

use std::io::{ErrorKind, Read};

use strandline::arrow::array::RecordBatch;
use strandline::arrow::datatypes::{Schema, SchemaRef};
use strandline_datafusion::text::{About, CHUNK, Misread, Reader, Why};

use super::{Reading, Source, unreadable};
use crate::failure::{Failure, Result};

const NOT_COMMITTED: &str = "nothing was committed";

/// Whether types may be given for the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Types {
    MayBeGiven,
    /// The table says them.
    AreThere,
}

impl Types {
    pub(super) fn of(reading: &Reading) -> Self {
        match reading.table.is_some() && !reading.made {
            true => Self::AreThere,
            false => Self::MayBeGiven,
        }
    }
}

/// The rows that a reader makes of bytes.
pub(super) fn rows(
    reader: impl Reader + 'static,
    bytes: impl Read + Send + 'static,
    types: Types,
) -> Result<Source> {
    let mut rows = Rows { reader, bytes, chunk: vec![0; CHUNK], types, over: false };
    while rows.reader.schema().is_none() && !rows.over {
        rows.read_on()?;
    }
    let schema = rows.reader.schema().map_or_else(|| Schema::empty().into(), SchemaRef::clone);
    Ok(Source::new(schema, rows))
}

struct Rows<R, B> {
    reader: R,
    bytes: B,
    chunk: Vec<u8>,
    types: Types,
    over: bool,
}

impl<R: Reader, B: Read> Rows<R, B> {
    fn read_on(&mut self) -> Result<()> {
        let read = match self.bytes.read(&mut self.chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            read => read.map_err(|error| unreadable(error).hint(NOT_COMMITTED))?,
        };
        self.over = read == 0;
        let taken = match read {
            0 => self.reader.end(),
            _ => self.reader.push(self.chunk.get(..read).unwrap_or_default()),
        };
        taken.map_err(|misread| told(&misread, self.types))
    }
}

impl<R: Reader, B: Read> Iterator for Rows<R, B> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.reader.batch() {
                return Some(Ok(batch));
            }
            if self.over {
                return None;
            }
            if let Err(failure) = self.read_on() {
                self.over = true;
                return Some(Err(failure));
            }
        }
    }
}

/// What is wrong, with what to do about it.
pub(super) fn told(misread: &Misread, types: Types) -> Failure {
    let failure = Failure::input(misread.message());
    if let About::Unknown { name, known, .. } = misread.what() {
        return failure.offer(name, known.iter().map(String::as_str)).hint(NOT_COMMITTED);
    }
    failure.hint(match misread.what() {
        About::Value(why) if types == Types::MayBeGiven => of_value(*why),
        About::Wide => "nothing was committed; `iconv -t UTF-8` writes it anew, after -f with what it is in",
        About::Array => "nothing was committed; `jq -c '.[]'` puts each object on a line of its own",
        About::Spread => "nothing was committed; `jq -c .` puts each object on a line of its own",
        _ => NOT_COMMITTED,
    })
}

/// Another type for a value that is refused.
fn of_value(why: Why) -> &'static str {
    match why {
        Why::Offset => "nothing was committed; --type COLUMN=timestamptz takes times that have offsets",
        Why::NoOffset => "nothing was committed; --type COLUMN=timestamp takes times that have none",
        _ => "nothing was committed; --type COLUMN=string takes a column as text",
    }
}
