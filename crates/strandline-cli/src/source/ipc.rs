//! Arrow IPC: files, whose end says where batches are, and streams.

use std::io::{BufReader, Read, Seek};

use strandline::arrow::ipc::reader::{FileReader, StreamReader};

use super::{Input, Source, unreadable};
use crate::failure::Result;
use crate::progress::Progress;

/// What a file begins with, and a stream does not.
const MAGIC: &[u8] = b"ARROW1";

pub(super) fn open(input: Input, progress: &Progress) -> Result<Source> {
    let mut file = input.file()?;
    let mut begins = Vec::new();
    file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut begins).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    if begins == MAGIC {
        let batches = FileReader::try_new(BufReader::new(file), None).map_err(unreadable)?;
        return Ok(Source::new(batches.schema(), batches.map(|batch| batch.map_err(unreadable))));
    }
    let batches = StreamReader::try_new(BufReader::new(progress.reading(file)), None).map_err(unreadable)?;
    Ok(Source::new(batches.schema(), batches.map(|batch| batch.map_err(unreadable))))
}
