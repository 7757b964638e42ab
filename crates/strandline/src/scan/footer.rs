//! The footer of a data file: what a query engine needs to know of a file before it reads any of it.
//!
//! Invariant: a footer that is handed out says as many rows and row groups, at the same places, as the entry does [READ-9].
//! What does not belong here: keeping footers (`storage::footers`), and what is made of one (`file`).

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use parquet::DecodeResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    FooterTail, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataPushDecoder, ParquetMetaDataReader,
    RowGroupMetaData,
};
use strandline_format::{FileEntry, ObjectPath, ObjectRef, TableId};

use crate::blocking::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::{DataKind, Objects};

/// What stands behind the metadata: its length in four bytes, and four of magic.
const TAIL_BYTES: usize = 8;

/// How much is read with a footer of what stands before it, if the index of pages is wanted, which does. It saves a request, which takes longer.
const AHEAD: u64 = 256 << 10;

/// An index of pages that did not come with the footer and is a larger part of its file than this one is not read: it would save less than it
/// costs.
const INDEX_PART: u64 = 16;

/// The footer of an entry's file. One request, or none if a file of this hash was read lately; parsing runs on a blocking thread.
///
/// Dropping the future leaves nothing.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::scan::footer;
///
/// let orders = lake.table("orders").await?;
/// let files = orders.files().await?;
/// let footer = footer(lake.storage().objects(), orders.id(), &files[0]).await?;
/// assert_eq!(footer.file_metadata().num_rows(), 3);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `Corrupt`, naming the object, if the file is missing, ends early, is not Parquet or contradicts the entry; `Unsupported` for an
/// `external` file; what the store refuses or cannot do.
pub async fn footer(objects: &Objects, table: TableId, entry: &FileEntry) -> Result<Arc<ParquetMetaData>> {
    if let Some(known) = known(objects, table, entry)? {
        return Ok(known);
    }
    let path = path(table, entry)?;
    let place = objects.at(&path);
    let fetch = async {
        let range = entry.size.saturating_sub(entry.footer)..entry.size;
        let bytes = objects.get_ranges(&path, &[range]).await?.pop().unwrap_or_default();
        let place = place.clone();
        blocking(move || parse(&bytes).map_err(|error| error.at(&place))).await
    };
    let footer = objects.footers().get_or(&entry.hash, fetch).await?;
    check(&footer, entry).map_err(|error| error.at(&place))?;
    Ok(footer)
}

/// The footer of a file that was read lately. No request.
///
/// # Errors
/// `Corrupt`, naming the object, if it contradicts the entry.
pub(super) fn known(
    objects: &Objects,
    table: TableId,
    entry: &FileEntry,
) -> Result<Option<Arc<ParquetMetaData>>> {
    // What lies outside of the lake is refused by its path.
    let Some(footer) = objects.footers().get(&entry.hash).filter(|_| entry.external.is_none()) else {
        return Ok(None);
    };
    match check(&footer, entry) {
        Ok(()) => Ok(Some(footer)),
        Err(error) => Err(error.at(objects.at(&path(table, entry)?))),
    }
}

/// The same with the index of pages, if the file is of this writer and has one of a sensible size: one request, or one more if the index is
/// large, none if the file was read so lately.
///
/// # Errors
/// As [`footer`]; `Corrupt` as well if the index is none.
pub(super) async fn footer_with_pages(
    objects: &Objects,
    table: TableId,
    entry: &FileEntry,
) -> Result<Arc<ParquetMetaData>> {
    let path = path(table, entry)?;
    let place = objects.at(&path);
    let fetch = async {
        let footer = entry.size.saturating_sub(entry.footer);
        let range = footer.saturating_sub(AHEAD)..entry.size;
        let ahead = usize::try_from(footer - range.start).unwrap_or(usize::MAX);
        let bytes = objects.get_ranges(&path, &[range]).await?.pop().unwrap_or_default();
        let (place, entry) = (place.clone(), entry.clone());
        blocking(move || parse_with_pages(&bytes, ahead, &entry).map_err(|error| error.at(&place))).await
    };
    let footer = objects.footers().get_or(&entry.hash, fetch).await?;
    check(&footer, entry).map_err(|error| error.at(&place))?;
    let Some(range) = useful_index(&footer, entry).filter(|_| !has_page_index(&footer)) else {
        return Ok(footer);
    };
    let bytes = objects.get_ranges(&path, std::slice::from_ref(&range)).await?.pop().unwrap_or_default();
    let (known, of) = (Arc::clone(&footer), entry.clone());
    let indexed = blocking(move || with_page_index(&known, &of, &range, &bytes)).await;
    let Some(indexed) = indexed.map_err(|error| error.at(place))? else { return Ok(footer) };
    objects.footers().keep(&entry.hash, Arc::clone(&indexed));
    Ok(indexed)
}

/// Both out of the end of a file, in which so much stands before the footer; the index only if all of it is there.
fn parse_with_pages(bytes: &Bytes, ahead: usize, entry: &FileEntry) -> Result<Arc<ParquetMetaData>> {
    let (before, footer) = (bytes.slice(..ahead.min(bytes.len())), bytes.slice(ahead.min(bytes.len())..));
    let footer = parse(&footer)?;
    let start = entry.size.saturating_sub(bytes.len() as u64);
    let part = useful_index(&footer, entry).and_then(|range| {
        let [from, to] = [range.start, range.end].map(|at| usize::try_from(at.checked_sub(start)?).ok());
        let part = from?..to?;
        (part.start <= part.end && part.end <= before.len()).then(|| (range, before.slice(part)))
    });
    match part {
        Some((range, bytes)) => Ok(with_page_index(&footer, entry, &range, &bytes)?.unwrap_or(footer)),
        None => Ok(footer),
    }
}

/// Where the index of pages stands, if pages may be read by it alone: only our own files have checksums in all of them for certain.
fn useful_index(footer: &ParquetMetaData, entry: &FileEntry) -> Option<Range<u64>> {
    let range = page_index(footer).filter(|_| has_checksums(footer))?;
    let length = range.end.checked_sub(range.start)?;
    (length <= AHEAD.max(entry.size / INDEX_PART) && range.end <= entry.size).then_some(range)
}

/// Whether the index of pages is there.
pub(super) fn has_page_index(footer: &ParquetMetaData) -> bool {
    footer.column_index().is_some() && footer.offset_index().is_some()
}

/// The same without the index of pages.
pub(super) fn without_page_index(footer: &ParquetMetaData) -> Arc<ParquetMetaData> {
    let bare = footer.clone().into_builder().set_column_index(None).set_offset_index(None);
    Arc::new(bare.build())
}

/// Whether all pages of a file have checksums for certain, because this SDK wrote it.
pub(super) fn has_checksums(footer: &ParquetMetaData) -> bool {
    footer.file_metadata().created_by().is_some_and(|writer| writer.starts_with(crate::write::WRITER))
}

/// The same out of the whole file, which was checked against its hash. No request.
pub(super) async fn footer_within(
    objects: &Objects,
    place: &str,
    entry: &FileEntry,
    file: &Bytes,
) -> Result<Arc<ParquetMetaData>> {
    let fetch = async {
        let start = file.len().saturating_sub(usize::try_from(entry.footer).unwrap_or(usize::MAX));
        let (bytes, place) = (file.slice(start..), place.to_owned());
        blocking(move || parse(&bytes).map_err(|error| error.at(place))).await
    };
    let footer = objects.footers().get_or(&entry.hash, fetch).await?;
    check(&footer, entry).map_err(|error| error.at(place))?;
    Ok(footer)
}

/// Where an entry's file lies.
///
/// # Errors
/// `Unsupported` if it lies outside of the lake.
pub(super) fn path(table: TableId, entry: &FileEntry) -> Result<ObjectPath> {
    if let Some(external) = &entry.external {
        let message = format!("file {} lies outside of the lake, which cannot be read here", entry.id);
        return Err(Error::new(ErrorKind::Unsupported, message).at(&external.url));
    }
    Ok(DataKind::File.path(table, &object_of(entry)))
}

pub(super) fn object_of(entry: &FileEntry) -> ObjectRef {
    ObjectRef { hash: entry.hash, era: entry.era, size: entry.size }
}

fn parse(bytes: &Bytes) -> Result<Arc<ParquetMetaData>> {
    let Some((metadata, tail)) = bytes.split_last_chunk::<TAIL_BYTES>() else {
        return Err(corrupt("it is too short for a Parquet file"));
    };
    let tail = FooterTail::try_new(tail).map_err(|error| unreadable(&error))?;
    if tail.metadata_length() != metadata.len() {
        return Err(corrupt(format!(
            "its footer is of {} bytes, its entry says {}",
            tail.metadata_length().saturating_add(TAIL_BYTES),
            bytes.len()
        )));
    }
    if tail.is_encrypted_footer() {
        return Err(Error::new(ErrorKind::Unsupported, "its footer is encrypted"));
    }
    // How many pages there are of each encoding is wanted in full, to hold their headers against it.
    let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
    let decode = || ParquetMetaDataReader::decode_metadata_with_options(metadata, Some(&options));
    guarded(decode).map(Arc::new)
}

/// Calls the Parquet reader on bytes that nobody vouches for: some of what they can say makes it panic.
pub(super) fn guarded<T>(read: impl FnOnce() -> std::result::Result<T, ParquetError>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => Err(unreadable(&error)),
        Err(_) => Err(corrupt("what it says of itself makes no sense to the Parquet reader")),
    }
}

/// A footer with the index of pages beside it, which these bytes are; `None` if they are something else, or it has that index.
///
/// # Errors
/// `Corrupt` if they cannot be read as that index.
pub(super) fn with_page_index(
    footer: &ParquetMetaData,
    entry: &FileEntry,
    range: &Range<u64>,
    bytes: &Bytes,
) -> Result<Option<Arc<ParquetMetaData>>> {
    if has_page_index(footer) || page_index(footer) != Some(range.clone()) {
        return Ok(None);
    }
    guarded(|| {
        let mut decoder = ParquetMetaDataPushDecoder::try_new_with_metadata(entry.size, footer.clone())?;
        decoder.push_range(range.clone(), bytes.clone())?;
        match decoder.try_decode()? {
            DecodeResult::Data(footer) => Ok(Some(Arc::new(footer))),
            DecodeResult::NeedsData(_) | DecodeResult::Finished => Ok(None),
        }
    })
}

/// Where the Parquet reader looks for the index of pages: all of it is one range.
fn page_index(footer: &ParquetMetaData) -> Option<Range<u64>> {
    let part = |offset: Option<i64>, length: Option<i32>| {
        let start = u64::try_from(offset?).ok()?;
        Some(start..start.checked_add(u64::try_from(length?).ok()?)?)
    };
    let columns = footer.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let parts = columns.flat_map(|column| {
        [
            part(column.column_index_offset(), column.column_index_length()),
            part(column.offset_index_offset(), column.offset_index_length()),
        ]
    });
    parts.flatten().reduce(|one, other| one.start.min(other.start)..one.end.max(other.end))
}

fn unreadable(error: &ParquetError) -> Error {
    match error {
        ParquetError::NYI(what) => {
            Error::new(ErrorKind::Unsupported, format!("its Parquet needs what is not known here: {what}"))
                .with_source(ParquetError::NYI(what.clone()))
        }
        error => corrupt(format!("it cannot be read as Parquet: {error}")),
    }
}

pub(super) fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

/// [READ-9].
fn check(footer: &ParquetMetaData, entry: &FileEntry) -> Result<()> {
    let said = |what: &str, found: String, entry: String| {
        Err(corrupt(format!("its footer says {found} {what}, its entry says {entry}")))
    };
    let groups = footer.row_groups();
    let rows = groups.iter().try_fold(0_u64, |sum, group| sum.checked_add(rows_of(group)?));
    let all = u64::try_from(footer.file_metadata().num_rows()).ok();
    if rows != Some(entry.rows) || all != rows {
        return said("rows", rows.or(all).unwrap_or_default().to_string(), entry.rows.to_string());
    }
    // A file without rows may have no row group, for which its entry still has a place.
    let starts: Option<Vec<u64>> = groups.iter().map(start_of).collect();
    let fits = starts.as_ref() == Some(&entry.row_groups) || (groups.is_empty() && entry.rows == 0);
    if fits {
        return Ok(());
    }
    said("as places of row groups", format!("{starts:?}"), format!("{:?}", entry.row_groups))
}

/// The positions of the rows of each row group.
///
/// # Errors
/// `Corrupt` if the numbers make no sense.
pub(super) fn row_ranges(footer: &ParquetMetaData) -> Result<Vec<Range<usize>>> {
    let mut end = 0_usize;
    let mut next = |rows: Option<u64>| {
        let start = end;
        end = start.checked_add(usize::try_from(rows?).ok()?)?;
        Some(start..end)
    };
    let ranges = footer.row_groups().iter().map(|group| next(rows_of(group)));
    ranges.collect::<Option<_>>().ok_or_else(|| corrupt("it has more rows than can be counted here"))
}

/// The rows of a row group, unless the number makes no sense.
pub(super) fn rows_of(group: &RowGroupMetaData) -> Option<u64> {
    u64::try_from(group.num_rows()).ok()
}

/// The offset of a row group's first byte.
fn start_of(group: &RowGroupMetaData) -> Option<u64> {
    let starts = group.columns().iter().map(|column| {
        let data = column.data_page_offset();
        u64::try_from(column.dictionary_page_offset().map_or(data, |dictionary| dictionary.min(data))).ok()
    });
    starts.collect::<Option<Vec<_>>>()?.into_iter().min()
}
