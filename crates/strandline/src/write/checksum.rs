//! Pages on their way from the Parquet encoder into a file: zstd, and the checksums that the encoder leaves out [FILE-14].
//!
//! Why: of a large file only ranges are read, so its hash is not compared. The checksum in a page's header is then what tells
//! a wrong byte from a value.
//!
//! And pages are compressed here if that is by zstd: the encoder makes two contexts for each column of each row group, which for
//! few rows takes as long as all else. The other codecs are its own business. A short chunk that hardly gets shorter by it stays as it is: to
//! decompress a page of a few hundred bytes takes longer than to read what it spares.
//!
//! The encoder puts each page into a [`PageStore`], first the header and then the page behind it; [`Pages`] is one that keeps them
//! apart, so that nothing has to be taken to pieces again. Invariants: the chunk that comes out is the encoder's but for
//! compression and checksums, and its metadata places every page where it is; whatever is not as expected of the encoder is an
//! error, never a file. Pure: no I/O, and what comes out depends on what goes in.

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::arrow::arrow_writer::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::{odd, refused};
use crate::error::Result;
use crate::page_header::PageHeader;
use crate::storage::zstd_context::{self, Settings};

/// A column chunk, ready for a file.
pub(super) struct Chunk {
    pub(super) bytes: ChunkBytes,
    pub(super) close: ColumnCloseResult,
}

/// Its bytes: the dictionary, if it has one, and its data pages, in pieces as they were made. Joined they would be copied once
/// more, which takes longer than all checksums.
pub(super) struct ChunkBytes(Vec<Bytes>);

impl Length for ChunkBytes {
    fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }
}

impl ChunkReader for ChunkBytes {
    type T = Unread;

    fn get_read(&self, start: u64) -> std::result::Result<Unread, ParquetError> {
        let mut unread = Unread { now: Bytes::new(), rest: self.0.clone().into_iter() };
        std::io::copy(&mut unread.by_ref().take(start), &mut std::io::sink())?;
        Ok(unread)
    }

    fn get_bytes(&self, start: u64, length: usize) -> std::result::Result<Bytes, ParquetError> {
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// The bytes that are still to be read.
pub(super) struct Unread {
    now: Bytes,
    rest: std::vec::IntoIter<Bytes>,
}

impl Read for Unread {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.now.is_empty() {
            match self.rest.next() {
                Some(piece) => self.now = piece,
                None => return Ok(0),
            }
        }
        let count = into.len().min(self.now.len());
        into[..count].copy_from_slice(&self.now.split_to(count));
        Ok(count)
    }
}

/// What the encoder put: a header, or a page, which may be compressed by now.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    bytes: Bytes,
    /// How long it came.
    came: usize,
    /// As it came, if it was compressed and its chunk is short so far.
    raw: Option<Bytes>,
}

/// A chunk of fewer bytes is compressed only if that spares a part of it: one of so many.
const SHORT: usize = 32 << 10;
const PARTS: usize = 4;

/// Headers and pages by turns, in the order in which the encoder made them.
type Blobs = Arc<Mutex<Vec<Blob>>>;

/// Where the encoders of one column leave their pages: one list for each of its leaves.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    leaves: Arc<Mutex<Vec<Blobs>>>,
    zstd: Option<ZstdLevel>,
}

impl Pages {
    /// Pages that are compressed here at this level, if they are by zstd; the encoder does not compress them then.
    pub(super) fn new(zstd: Option<ZstdLevel>) -> Self {
        Self { leaves: Arc::default(), zstd }
    }

    /// The pages of one leaf. They are gone then.
    pub(super) fn take(&self, leaf: usize) -> Vec<Blob> {
        locked(&self.leaves).get(leaf).map(|blobs| std::mem::take(&mut *locked(blobs))).unwrap_or_default()
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PageStoreFactory for Pages {
    fn create(&self, args: &PageStoreArgs<'_>) -> std::result::Result<Box<dyn PageStore>, ParquetError> {
        let mut leaves = locked(&self.leaves);
        if args.column_index() != leaves.len() {
            return Err(ParquetError::General("the leaves of a column come out of order".to_owned()));
        }
        let blobs = Blobs::default();
        leaves.push(Arc::clone(&blobs));
        Ok(Box::new(Store { blobs, zstd: self.zstd, came: 0 }))
    }
}

struct Store {
    blobs: Blobs,
    zstd: Option<ZstdLevel>,
    /// How many bytes have come.
    came: usize,
}

impl PageStore for Store {
    fn put(&mut self, blob: Bytes) -> std::result::Result<PageKey, ParquetError> {
        let mut blobs = locked(&self.blobs);
        let (came, is_page) = (blob.len(), blobs.len() % 2 == 1);
        self.came += came;
        let (bytes, raw) = match self.zstd.filter(|_| is_page) {
            Some(level) => (compressed(&blob, level)?, Some(blob).filter(|_| self.came < SHORT)),
            None => (blob, None),
        };
        if self.came >= SHORT {
            // None of them will be left as it came.
            blobs.iter_mut().for_each(|blob| blob.raw = None);
        }
        blobs.push(Blob { bytes, came, raw });
        Ok(PageKey::new(blobs.len() as u64 - 1))
    }

    /// The encoder asks for its pages only where it writes the file itself.
    fn take(&mut self, _: PageKey) -> std::result::Result<Bytes, ParquetError> {
        Err(ParquetError::General("the pages of a chunk are taken all at once".to_owned()))
    }

    fn memory_size(&self) -> usize {
        locked(&self.blobs)
            .iter()
            .map(|blob| blob.bytes.len() + blob.raw.as_ref().map_or(0, Bytes::len))
            .sum()
    }
}

fn compressed(page: &[u8], level: ZstdLevel) -> std::io::Result<Bytes> {
    let settings = Settings { level: level.compression_level(), window_log: None };
    let mut frame = zstd_context::compress(page, settings)?;
    frame.shrink_to_fit();
    Ok(frame.into())
}

/// Takes the pages as they came, if they are few and compressing them has spared little; whether it does.
fn left_raw(blobs: &mut [Blob]) -> bool {
    let raw: Option<usize> =
        blobs.iter().skip(1).step_by(2).map(|page| page.raw.as_ref().map(Bytes::len)).sum();
    let frames: usize = blobs.iter().skip(1).step_by(2).map(|page| page.bytes.len()).sum();
    let is_raw = raw.is_some_and(|raw| frames > raw - raw / PARTS);
    for page in blobs {
        let raw = page.raw.take().filter(|_| is_raw);
        page.bytes = raw.unwrap_or_else(|| std::mem::take(&mut page.bytes));
    }
    is_raw
}

/// A page as the encoder made it, and the header that it gets.
struct Page {
    header: Bytes,
    data: Bytes,
    /// How long the encoder's header was, and the page behind it.
    came: (usize, usize),
    is_dictionary: bool,
}

impl Page {
    fn of(header: &Blob, data: Blob) -> Result<Self> {
        let found = PageHeader::read(&header.bytes).map_err(refused)?;
        if found.page != data.came || !(found.is_data() || found.is_dictionary()) {
            return Err(odd("a page that is not what its header says"));
        }
        let crc = crc32fast::hash(&data.bytes);
        let with = found.of_page(&header.bytes, data.bytes.len(), crc).map_err(refused)?;
        let came = (header.came, data.came);
        Ok(Self { header: with.into(), data: data.bytes, came, is_dictionary: found.is_dictionary() })
    }

    fn came(&self) -> usize {
        self.came.0 + self.came.1
    }

    fn len(&self) -> usize {
        self.header.len() + self.data.len()
    }
}

/// Puts a chunk together: the dictionary first, a checksum in every header. Pages are not copied.
pub(super) fn checked(
    mut blobs: Vec<Blob>,
    mut close: ColumnCloseResult,
    zstd: Option<ZstdLevel>,
) -> Result<Chunk> {
    let zstd = zstd.filter(|_| !left_raw(&mut blobs));
    let mut blobs = blobs.into_iter();
    let mut pages = Vec::with_capacity(blobs.len() / 2);
    while let Some(header) = blobs.next() {
        let data = blobs.next().ok_or_else(|| odd("a header without a page"))?;
        pages.push(Page::of(&header, data)?);
    }
    // The encoder makes the dictionary when it is complete, which is behind pages that use it.
    pages.sort_by_key(|page| !page.is_dictionary);
    place_chunk(&pages, &mut close)?;
    if let Some(level) = zstd {
        let metadata = close.metadata.clone().into_builder().set_compression(Codec::ZSTD(level));
        close.metadata = metadata.build().map_err(refused)?;
    }
    let bytes = pages.into_iter().flat_map(|page| [page.header, page.data]);
    Ok(Chunk { bytes: ChunkBytes(bytes.collect()), close })
}

/// Makes the metadata of a chunk say where its pages are, counted from the first one, and how long they became.
fn place_chunk(pages: &[Page], close: &mut ColumnCloseResult) -> Result<()> {
    let metadata = close.metadata.clone();
    let (dictionaries, data) = pages.split_at(pages.partition_point(|page| page.is_dictionary));
    let dictionary = metadata.dictionary_page_offset().map(|_| 0);
    if dictionaries.len() != usize::from(dictionary.is_some()) {
        return Err(odd("a dictionary that its metadata does not know"));
    }
    let size = number(pages.iter().map(Page::len).sum())?;
    let came = number(pages.iter().map(Page::came).sum())?;
    if came != metadata.compressed_size() {
        return Err(odd("a chunk of another size than its metadata says"));
    }
    let start = number(dictionaries.iter().map(Page::len).sum())?;
    let headers = pages.iter().map(|page| page.header.len() - page.came.0).sum();
    let uncompressed = metadata.uncompressed_size() + number(headers)?;
    let metadata = metadata
        .into_builder()
        .set_dictionary_page_offset(dictionary)
        .set_data_page_offset(start)
        .set_total_compressed_size(size)
        .set_total_uncompressed_size(uncompressed);
    close.metadata = metadata.build().map_err(refused)?;
    close.bytes_written = close.bytes_written.wrapping_add_signed(size - came);
    place_pages(data, start, close)
}

/// The same for the index of its data pages, the first of which is here.
fn place_pages(pages: &[Page], mut offset: i64, close: &mut ColumnCloseResult) -> Result<()> {
    let Some(index) = &mut close.offset_index else { return Ok(()) };
    if index.page_locations.len() != pages.len() {
        return Err(odd("an index of other pages than it made"));
    }
    for (location, page) in index.page_locations.iter_mut().zip(pages) {
        let size = i32::try_from(page.len()).map_err(refused)?;
        if usize::try_from(location.compressed_page_size) != Ok(page.came()) {
            return Err(odd("a page of another size than its index says"));
        }
        (location.offset, location.compressed_page_size) = (offset, size);
        offset += i64::from(size);
    }
    Ok(())
}

fn number(bytes: usize) -> Result<i64> {
    i64::try_from(bytes).map_err(refused)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryArray, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use parquet::arrow::ArrowSchemaConverter;
    use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;

    use super::*;

    /// What the encoder makes of a column of two pages and a dictionary.
    fn encoded(zstd: Option<ZstdLevel>) -> (Vec<Blob>, ColumnCloseResult) {
        let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Utf8, true)]));
        let root = ArrowSchemaConverter::new().convert(&schema).unwrap().root_schema_ptr();
        let properties = Arc::new(WriterProperties::builder().set_data_page_row_count_limit(4).build());
        let writer = SerializedFileWriter::new(Vec::new(), root, properties).unwrap();
        let pages = Pages::new(zstd);
        let encoders = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&schema));
        let encoders = encoders.with_page_store_factory(Arc::new(pages.clone()));
        let mut encoder = encoders.create_column_writers(0).unwrap().remove(0);
        for texts in [["a", "b", "a", "b"], ["b", "b", "c", "a"]] {
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
            encoder.write(&compute_leaves(schema.field(0), &texts).unwrap()[0]).unwrap();
        }
        let close = encoder.close().unwrap().close().clone();
        let blobs = pages.take(0);
        assert_eq!((blobs.len(), pages.take(0).len(), pages.take(1).len()), (6, 0, 0));
        (blobs, close)
    }

    #[test]
    fn the_dictionary_comes_first_and_all_is_where_it_is_said_to_be() {
        let (blobs, close) = encoded(None);
        let chunk = checked(blobs.clone(), close.clone(), None).unwrap();
        let all = chunk.bytes.get_bytes(0, usize::try_from(chunk.bytes.len()).unwrap()).unwrap();
        let mut at = 0;
        let found: Vec<(usize, PageHeader)> = std::iter::from_fn(|| {
            let header = PageHeader::read(all.get(at..).filter(|rest| !rest.is_empty())?).unwrap();
            let start = at;
            at += header.length + header.page;
            assert_eq!(header.crc, Some(crc32fast::hash(&all[at - header.page..at])));
            Some((start, header))
        })
        .collect();
        let order: Vec<bool> = found.iter().map(|(_, header)| header.is_dictionary()).collect();
        assert_eq!(order, [true, false, false]);
        let before: usize = blobs.iter().map(|blob| blob.bytes.len()).sum();
        let growth = i64::try_from(all.len() - before).unwrap();
        assert!((9..=18).contains(&growth), "{growth}");
        let metadata = &chunk.close.metadata;
        assert_eq!(metadata.dictionary_page_offset(), Some(0));
        assert_eq!(usize::try_from(metadata.data_page_offset()), Ok(found[1].0));
        assert_eq!(metadata.compressed_size(), close.metadata.compressed_size() + growth);
        assert_eq!(metadata.uncompressed_size(), close.metadata.uncompressed_size() + growth);
        assert_eq!(chunk.close.bytes_written, close.bytes_written + growth.cast_unsigned());
        let locations = chunk.close.offset_index.unwrap().page_locations;
        let places = locations.iter().map(|page| usize::try_from(page.offset).unwrap());
        assert_eq!(places.collect::<Vec<_>>(), [found[1].0, found[2].0]);
        assert_eq!(usize::try_from(locations[1].compressed_page_size), Ok(all.len() - found[2].0));
    }

    /// The chunk of the encoder that compresses by itself, its pages put together as a file has them.
    #[test]
    fn what_is_compressed_here_is_what_the_encoder_makes_of_it() {
        let level = ZstdLevel::try_new(3).unwrap();
        let file = |encoders_own: bool| {
            let texts: ArrayRef =
                Arc::new(StringArray::from_iter_values((0..5000).map(|n| format!("text {}", n % 700))));
            let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Utf8, true)]));
            let root = ArrowSchemaConverter::new().convert(&schema).unwrap().root_schema_ptr();
            let codec = if encoders_own { Codec::ZSTD(level) } else { Codec::UNCOMPRESSED };
            let properties = WriterProperties::builder().set_compression(codec);
            let properties = properties.set_data_page_row_count_limit(1024).build();
            let mut writer = SerializedFileWriter::new(Vec::new(), root, Arc::new(properties)).unwrap();
            let zstd = (!encoders_own).then_some(level);
            let pages = Pages::new(zstd);
            let encoders = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&schema));
            let encoders = encoders.with_page_store_factory(Arc::new(pages.clone()));
            let mut encoder = encoders.create_column_writers(0).unwrap().remove(0);
            encoder.write(&compute_leaves(schema.field(0), &texts).unwrap()[0]).unwrap();
            let close = encoder.close().unwrap().close().clone();
            let chunk = checked(pages.take(0), close, zstd).unwrap();
            let mut group = writer.next_row_group().unwrap();
            group.append_column(&chunk.bytes, chunk.close).unwrap();
            group.close().unwrap();
            writer.into_inner().unwrap()
        };
        assert_eq!(file(false), file(true));
    }

    #[test]
    fn a_short_chunk_that_hardly_gets_shorter_stays_as_it_is() {
        let level = ZstdLevel::try_new(3).unwrap();
        let check = |texts: Vec<String>, expected: Codec| {
            let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Binary, true)]));
            let root = ArrowSchemaConverter::new().convert(&schema).unwrap().root_schema_ptr();
            let properties = WriterProperties::builder().set_dictionary_enabled(false);
            let properties = Arc::new(properties.set_data_page_row_count_limit(10).build());
            let writer = SerializedFileWriter::new(Vec::new(), root, properties).unwrap();
            let pages = Pages::new(Some(level));
            let encoders = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&schema));
            let encoders = encoders.with_page_store_factory(Arc::new(pages.clone()));
            let mut encoder = encoders.create_column_writers(0).unwrap().remove(0);
            let texts: ArrayRef = Arc::new(BinaryArray::from_iter_values(texts));
            encoder.write(&compute_leaves(schema.field(0), &texts).unwrap()[0]).unwrap();
            let close = encoder.close().unwrap().close().clone();
            let chunk = checked(pages.take(0), close, Some(level)).unwrap();
            let metadata = &chunk.close.metadata;
            // The level is not told by a file.
            assert_eq!(std::mem::discriminant(&metadata.compression()), std::mem::discriminant(&expected));
            assert_eq!(chunk.bytes.len(), metadata.compressed_size().cast_unsigned());
            let is_raw = metadata.compressed_size() == metadata.uncompressed_size();
            assert_eq!(is_raw, expected == Codec::UNCOMPRESSED);
        };
        // Of few letters, or of so many that nothing is spared.
        let texts = |rows: u64, letters: u64| {
            let mut state = 1_u64;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from_u32(u32::try_from(33 + (state >> 33) % letters).unwrap()).unwrap()
            };
            (0..rows).map(|_| (0..200).map(|_| next()).collect()).collect::<Vec<String>>()
        };
        check(texts(30, 90), Codec::UNCOMPRESSED);
        check(texts(30, 4), Codec::ZSTD(level));
        check(texts(300, 90), Codec::ZSTD(level));
    }

    #[test]
    fn what_the_encoder_never_makes_is_refused() {
        let check = |change: fn(&mut Vec<Blob>, &mut ColumnCloseResult)| {
            let (mut blobs, mut close) = encoded(None);
            change(&mut blobs, &mut close);
            assert!(checked(blobs, close, None).is_err());
        };
        let (blobs, close) = encoded(None);
        assert!(checked(blobs, close, None).is_ok());
        check(|blobs, _| drop(blobs.pop()));
        check(|blobs, _| blobs.truncate(4));
        check(|blobs, _| drop(blobs.drain(..2)));
        check(|blobs, _| blobs.swap(0, 1));
        check(|blobs, _| blobs[1].came -= 1);
        check(|blobs, _| {
            let again = blobs.clone();
            blobs.extend_from_slice(&again[4..]);
        });
        check(|_, close| {
            close.offset_index.as_mut().unwrap().page_locations.pop();
        });
        check(|_, close| close.offset_index.as_mut().unwrap().page_locations[0].compressed_page_size += 1);
    }

    #[test]
    fn pieces_are_read_as_one() {
        let pieces = [&b"ab"[..], b"", b"cde", b"f"].map(Bytes::from_static);
        let bytes = ChunkBytes(pieces.to_vec());
        let check = |start: u64, length: usize, expected: Option<&[u8]>| {
            let found = bytes.get_bytes(start, length).ok();
            assert_eq!(found.as_deref(), expected, "{start}, {length}");
        };
        check(0, 6, Some(b"abcdef"));
        check(1, 2, Some(b"bc"));
        check(4, 2, Some(b"ef"));
        check(6, 0, Some(b""));
        check(5, 2, None);
        check(9, 1, None);
        assert_eq!(bytes.len(), 6);
    }
}
