//! The headers of pages, held against the footer, where no hash vouches for the bytes [FILE-14].
//!
//! Why: the checksum in a header is about the page behind it. A wrong byte in the header itself could still turn data into a page
//! to be passed over, into more or fewer values, or into values of another encoding, and rows after it would be those of others. The
//! footer says how many values a chunk has, and mostly how many pages of which encoding.
//!
//! Invariant: of a chunk that passes, a single header that was changed says nothing else of its values. What does not belong here:
//! the pages themselves, whose checksums the Parquet reader compares while it decodes them.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use parquet::basic::PageType;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::footer::corrupt;
use crate::error::Result;
use crate::page_header::PageHeader;

/// The encodings of pages that refer to a dictionary. They mean the same.
const DICTIONARY: [i32; 2] = [2, 8];

/// How many data pages there are of each encoding.
type Encodings = BTreeMap<i32, u64>;

/// Checks the column chunks of row groups that were read by these ranges.
pub(super) fn check(
    footer: &ParquetMetaData,
    groups: &[usize],
    ranges: &[Range<u64>],
    bytes: &[Bytes],
) -> Result<()> {
    let groups = groups.iter().filter_map(|group| footer.row_groups().get(*group));
    let chunks = groups.flat_map(|group| group.columns()).filter_map(|chunk| Some((start(chunk)?, chunk)));
    let chunks: BTreeMap<u64, &ColumnChunkMetaData> = chunks.collect();
    ranges.iter().zip(bytes).try_for_each(|(range, bytes)| {
        let chunk = chunks
            .get(&range.start)
            .filter(|chunk| u64::try_from(chunk.compressed_size()) == Ok(bytes.len() as u64));
        let chunk =
            chunk.ok_or_else(|| corrupt(format!("its footer places no column chunk at {range:?}")))?;
        check_chunk(chunk, bytes)
    })
}

/// Checks those of the ranges that are whole column chunks. Parts of chunks, and what else stands in a file, are passed over.
pub(super) fn check_whole(footer: &ParquetMetaData, ranges: &[Range<u64>], bytes: &[Bytes]) -> Result<()> {
    let chunks = footer.row_groups().iter().flat_map(|group| group.columns());
    let chunks: BTreeMap<u64, &ColumnChunkMetaData> =
        chunks.filter_map(|chunk| Some((start(chunk)?, chunk))).collect();
    ranges.iter().zip(bytes).try_for_each(|(range, bytes)| match chunks.get(&range.start) {
        Some(chunk) if u64::try_from(chunk.compressed_size()) == Ok(bytes.len() as u64) => {
            check_chunk(chunk, bytes)
        }
        _ => Ok(()),
    })
}

/// Where a chunk begins.
fn start(chunk: &ColumnChunkMetaData) -> Option<u64> {
    u64::try_from(chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset())).ok()
}

fn check_chunk(chunk: &ColumnChunkMetaData, mut bytes: &[u8]) -> Result<()> {
    let (mut values, mut encodings) = (0, Encodings::new());
    while !bytes.is_empty() {
        let header = PageHeader::read(bytes).map_err(|odd| contradicts(chunk, odd.to_string()))?;
        let end = header.length.checked_add(header.page);
        let rest = end.and_then(|end| bytes.get(end..));
        bytes = rest.ok_or_else(|| contradicts(chunk, "a page goes beyond it"))?;
        if header.is_data() {
            values += i64::from(header.values);
            *encodings.entry(plain(header.encoding)).or_default() += 1;
        }
    }
    if values != chunk.num_values() {
        return Err(contradicts(
            chunk,
            format!("its pages have {values} values, the footer says {}", chunk.num_values()),
        ));
    }
    if expected(chunk).is_some_and(|expected| expected != encodings) {
        return Err(contradicts(chunk, "its pages are of other encodings than the footer says"));
    }
    Ok(())
}

/// What the footer says of the encodings of data pages, if it does.
fn expected(chunk: &ColumnChunkMetaData) -> Option<Encodings> {
    let mut encodings = Encodings::new();
    for stats in chunk.page_encoding_stats()? {
        if matches!(stats.page_type, PageType::DATA_PAGE | PageType::DATA_PAGE_V2) && stats.count != 0 {
            *encodings.entry(plain(stats.encoding as i32)).or_default() += u64::try_from(stats.count).ok()?;
        }
    }
    Some(encodings)
}

/// One number for all encodings that mean the same.
fn plain(encoding: i32) -> i32 {
    if DICTIONARY.contains(&encoding) { DICTIONARY[0] } else { encoding }
}

fn contradicts(chunk: &ColumnChunkMetaData, what: impl std::fmt::Display) -> crate::error::Error {
    corrupt(format!("its column chunk {:?} contradicts itself: {what}", chunk.column_path().string()))
}
