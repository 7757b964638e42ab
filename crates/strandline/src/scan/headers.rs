//! The headers of pages, held against the footer, where no hash vouches for the bytes [FILE-14].
//!
//! Why: the checksum in a header is about the page behind it. A wrong byte in the header itself could still turn data into a page
//! to be passed over, into more or fewer values, or into values of another encoding, and rows after it would be those of others. The
//! footer says how many values a chunk has, and mostly how many pages of which encoding.
//!
//! Pages that are read without the rest of their chunk are held against the index of pages, which says how many rows each of them has. In
//! which encoding is certain only of our own files, where those that refer to a dictionary come first.
//!
//! Invariant: of a chunk or page that passes, a single header that was changed says nothing else of its values. What does not belong here:
//! the pages themselves, whose checksums the Parquet reader compares while it decodes them.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use parquet::basic::PageType;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;

use super::footer::corrupt;
use crate::error::Result;
use crate::page_header::PageHeader;

/// The encodings of pages that refer to a dictionary. They mean the same.
const DICTIONARY: [i32; 2] = [2, 8];

/// How many data pages there are of each encoding.
#[derive(Default, PartialEq, Eq)]
struct Encodings([u64; ENCODINGS]);

/// One more than there are encodings: the last stands for all that nobody knows.
const ENCODINGS: usize = 11;

impl Encodings {
    fn of(&mut self, encoding: i32) -> &mut u64 {
        let at = if DICTIONARY.contains(&encoding) { DICTIONARY[0] } else { encoding };
        let at = usize::try_from(at).unwrap_or(ENCODINGS).min(ENCODINGS - 1);
        &mut self.0[at]
    }
}

/// Checks the column chunks of row groups, or pages of them, that were read by these ranges.
pub(super) fn check(
    footer: &ParquetMetaData,
    groups: &[usize],
    ranges: &[Range<u64>],
    bytes: &[Bytes],
) -> Result<()> {
    let groups = groups.iter().filter_map(|at| Some((*at, footer.row_groups().get(*at)?)));
    let chunks = groups.flat_map(|(at, group)| {
        group.columns().iter().enumerate().map(move |(leaf, chunk)| (chunk, Place { group: at, leaf }))
    });
    let chunks: BTreeMap<u64, (&ColumnChunkMetaData, Place)> =
        chunks.filter_map(|(chunk, place)| Some((start(chunk)?, (chunk, place)))).collect();
    ranges.iter().zip(bytes).try_for_each(|(range, bytes)| {
        let nothing = || corrupt(format!("its footer places no column chunk at {range:?}"));
        let (first, (chunk, place)) = chunks.range(..=range.start).next_back().ok_or_else(nothing)?;
        if *first == range.start && u64::try_from(chunk.compressed_size()) == Ok(bytes.len() as u64) {
            return check_chunk(chunk, bytes);
        }
        let pages = Pages::of(footer, chunk, *place).ok_or_else(nothing)?;
        pages.check(range, bytes)
    })
}

/// Which column chunk of a file.
#[derive(Clone, Copy)]
struct Place {
    group: usize,
    leaf: usize,
}

/// The pages of a column chunk with one value in each row, as the index of pages has them.
struct Pages<'f> {
    chunk: &'f ColumnChunkMetaData,
    locations: &'f [PageLocation],
    rows: i64,
}

impl<'f> Pages<'f> {
    fn of(footer: &'f ParquetMetaData, chunk: &'f ColumnChunkMetaData, place: Place) -> Option<Self> {
        let locations = footer.offset_index()?.get(place.group)?.get(place.leaf)?.page_locations();
        let rows = footer.row_groups().get(place.group)?.num_rows();
        (chunk.column_descr().max_rep_level() == 0).then_some(Self { chunk, locations, rows })
    }

    /// Checks the page in these bytes.
    fn check(&self, range: &Range<u64>, bytes: &[u8]) -> Result<()> {
        let header = PageHeader::read(bytes).map_err(|odd| contradicts(self.chunk, odd.to_string()))?;
        if header.length.checked_add(header.page) != Some(bytes.len()) {
            return Err(contradicts(self.chunk, format!("the page at {range:?} is of another length")));
        }
        let found = |page: &PageLocation| u64::try_from(page.offset).ok().cmp(&Some(range.start));
        match self.locations.binary_search_by(found) {
            Ok(at) => self.check_data(at, &header),
            Err(0) if header.is_dictionary() && start(self.chunk) == Some(range.start) => Ok(()),
            Err(_) => Err(contradicts(self.chunk, format!("it has no page at {range:?}"))),
        }
    }

    fn check_data(&self, at: usize, header: &PageHeader) -> Result<()> {
        let first = |at: usize| self.locations.get(at).map_or(self.rows, |page| page.first_row_index);
        let rows = first(at + 1).checked_sub(first(at));
        if !header.is_data() || rows != Some(i64::from(header.values)) {
            let message = format!("page {at} has {} values, its index says {rows:?}", header.values);
            return Err(contradicts(self.chunk, message));
        }
        let Some(mut expected) = expected(self.chunk) else { return Ok(()) };
        let by_dictionary = *expected.of(DICTIONARY[0]);
        let fits = match DICTIONARY.contains(&header.encoding) {
            true => (at as u64) < by_dictionary,
            false => at as u64 >= by_dictionary && *expected.of(header.encoding) > 0,
        };
        if fits { Ok(()) } else { Err(contradicts(self.chunk, format!("page {at} is of another encoding"))) }
    }
}

/// Checks those of the ranges that are whole column chunks. Parts of chunks, and what else stands in a file, are passed over.
pub(super) fn check_whole(footer: &ParquetMetaData, ranges: &[Range<u64>], bytes: &[Bytes]) -> Result<()> {
    let chunks = Chunks::of(footer);
    ranges.iter().zip(bytes).try_for_each(|(range, bytes)| match chunks.beginning_at(range.start) {
        Some(chunk) if u64::try_from(chunk.compressed_size()) == Ok(bytes.len() as u64) => {
            check_chunk(chunk, bytes)
        }
        _ => Ok(()),
    })
}

/// The column chunks of a file, to be found by where they begin.
///
/// Nearly all writers put row groups one behind the other, and their columns in order; for such a file nothing is made, since a
/// file of many columns is asked for some of them again and again.
struct Chunks<'f> {
    groups: &'f [RowGroupMetaData],
    /// All of them by their places, if they are in another order.
    mixed: OnceCell<Option<BTreeMap<u64, &'f ColumnChunkMetaData>>>,
}

impl<'f> Chunks<'f> {
    fn of(footer: &'f ParquetMetaData) -> Self {
        Self { groups: footer.row_groups(), mixed: OnceCell::new() }
    }

    fn beginning_at(&self, place: u64) -> Option<&'f ColumnChunkMetaData> {
        let group = last_from(self.groups, place, |group| group.columns().first().and_then(start));
        let chunk = group.and_then(|group| last_from(group.columns(), place, start));
        chunk.filter(|chunk| start(chunk) == Some(place)).or_else(|| {
            let mixed = self.mixed.get_or_init(|| self.if_mixed());
            mixed.as_ref().and_then(|chunks| chunks.get(&place).copied())
        })
    }

    fn if_mixed(&self) -> Option<BTreeMap<u64, &'f ColumnChunkMetaData>> {
        let chunks = || self.groups.iter().flat_map(|group| group.columns());
        let mixed = !chunks().map(start).is_sorted();
        mixed.then(|| chunks().filter_map(|chunk| Some((start(chunk)?, chunk))).collect())
    }
}

/// The last of these that begins at this place or before, if they are in order.
fn last_from<T>(all: &[T], place: u64, start: impl Fn(&T) -> Option<u64>) -> Option<&T> {
    let behind = all.partition_point(|one| start(one).is_some_and(|start| start <= place));
    behind.checked_sub(1).and_then(|at| all.get(at))
}

/// Where a chunk begins.
fn start(chunk: &ColumnChunkMetaData) -> Option<u64> {
    u64::try_from(chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset())).ok()
}

fn check_chunk(chunk: &ColumnChunkMetaData, mut bytes: &[u8]) -> Result<()> {
    let (mut values, mut encodings) = (0, Encodings::default());
    while !bytes.is_empty() {
        let header = PageHeader::read(bytes).map_err(|odd| contradicts(chunk, odd.to_string()))?;
        let end = header.length.checked_add(header.page);
        let rest = end.and_then(|end| bytes.get(end..));
        bytes = rest.ok_or_else(|| contradicts(chunk, "a page goes beyond it"))?;
        if header.is_data() {
            values += i64::from(header.values);
            *encodings.of(header.encoding) += 1;
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
    let mut encodings = Encodings::default();
    for stats in chunk.page_encoding_stats()? {
        if matches!(stats.page_type, PageType::DATA_PAGE | PageType::DATA_PAGE_V2) && stats.count != 0 {
            *encodings.of(stats.encoding as i32) += u64::try_from(stats.count).ok()?;
        }
    }
    Some(encodings)
}

fn contradicts(chunk: &ColumnChunkMetaData, what: impl std::fmt::Display) -> crate::error::Error {
    corrupt(format!("its column chunk {:?} contradicts itself: {what}", chunk.column_path().string()))
}
