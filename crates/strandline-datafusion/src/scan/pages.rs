//! The pages of several files as if they were the row groups of one, for the Parquet reader.
//!
//! Decoders are set up once for all files, and batches go over the borders of files; a row group of a large file is alone. Invariants: all files have
//! the same Parquet schema; checksums of pages are compared; an error names the file. What does not belong here: which columns are read, and where
//! the bytes come from (`bundle`, `holes`).
//!
//! Pages that are compressed by Zstandard are decompressed here, by a context that a thread keeps: the Parquet reader would make two for each column
//! chunk, which takes longer than to decompress a short one.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use datafusion::arrow::array::BooleanBufferBuilder;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::parquet::arrow::arrow_reader::RowGroups;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::reader::{ChunkReader, Length};
use datafusion::parquet::file::serialized_reader::SerializedPageReader;
use strandline::ErrorKind;
use strandline::format::FileEntry;
use strandline::scan::{FileReader, LeftRows};
use zstd::bulk::Decompressor;
use zstd::zstd_safe::get_frame_content_size;

/// A page has at most as many bytes as its header can tell of.
const PAGE_BYTES: u64 = i32::MAX as u64;

/// A row group whose needed column chunks are here.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) entry: Arc<FileEntry>,
    pub(super) footer: Arc<ParquetMetaData>,
    /// Which of the file's row groups it is.
    pub(super) group: usize,
    /// The column chunks, in the order of [`Parts::leaves`].
    pub(super) chunks: Vec<Bytes>,
    /// The rows that are left, unless all are.
    pub(super) left: Option<BooleanBuffer>,
}

impl Part {
    fn group(&self) -> Result<&RowGroupMetaData> {
        self.footer.row_groups().get(self.group).ok_or_else(|| general("a file has no such row group"))
    }

    fn rows(&self) -> usize {
        self.group().map_or(0, |group| usize::try_from(group.num_rows()).unwrap_or(0))
    }
}

/// Row groups of files of the same schema, one behind the other.
#[derive(Debug)]
pub(super) struct Parts {
    /// Which leaf columns are read.
    pub(super) leaves: Arc<[usize]>,
    pub(super) parts: Vec<Part>,
    /// Names files in errors.
    pub(super) reader: FileReader,
    /// Why reading failed, which the Parquet reader hands on as a text.
    failed: Mutex<Option<strandline::Error>>,
}

impl Parts {
    pub(super) fn new(leaves: Arc<[usize]>, parts: Vec<Part>, reader: FileReader) -> Self {
        Self { leaves, parts, reader, failed: Mutex::default() }
    }

    /// Why reading failed, if that is known better than the Parquet reader says.
    pub(super) fn failed(&self) -> Option<strandline::Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn rows(&self) -> usize {
        self.parts.iter().map(Part::rows).fold(0, usize::saturating_add)
    }

    /// Which rows of all files are left; `None` if all are.
    pub(super) fn left(&self) -> Option<LeftRows> {
        self.parts.iter().find(|part| part.left.is_some())?;
        let mut bits = BooleanBufferBuilder::new(self.rows());
        for part in &self.parts {
            match &part.left {
                Some(left) => bits.append_buffer(left),
                None => bits.append_n(part.rows(), true),
            }
        }
        Some(LeftRows::of(&bits.finish()))
    }

    /// The error, said to be in one of the files.
    pub(super) fn at(&self, error: strandline::Error) -> strandline::Error {
        let place = self.parts.first().map(|part| self.reader.place(&part.entry)).unwrap_or_default();
        error.at(match self.parts.len() {
            0 | 1 => place,
            files => format!("one of {files} files, of which {place} is the first"),
        })
    }

    fn named(&self, part: &Part, error: ParquetError) -> ParquetError {
        let message = format!("it cannot be read as Parquet: {error}");
        let named = strandline::Error::new(ErrorKind::Corrupt, message).at(self.reader.place(&part.entry));
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(named);
        error
    }
}

/// [`Parts`] as the Parquet reader takes them.
pub(super) struct AsRowGroups(pub(super) Arc<Parts>);

impl RowGroups for AsRowGroups {
    fn num_rows(&self) -> usize {
        self.0.rows()
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>> {
        let place = self.0.leaves.iter().position(|known| *known == leaf);
        let place = place.ok_or_else(|| general("a column is read that was not asked for"))?;
        Ok(Box::new(Chunks { parts: Arc::clone(&self.0), leaf, place, next: 0 }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.0.parts.iter().filter_map(|part| part.group().ok()))
    }

    /// That of the first file: what is asked of it is the schema.
    fn metadata(&self) -> &ParquetMetaData {
        &self.0.parts[0].footer
    }
}

/// One column of all files.
struct Chunks {
    parts: Arc<Parts>,
    leaf: usize,
    place: usize,
    next: usize,
}

impl Iterator for Chunks {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.next;
        let part = self.parts.parts.get(at)?;
        self.next += 1;
        let pages = Pages::of(&self.parts, at, self.leaf, self.place);
        Some(match pages {
            Ok(pages) => Ok(Box::new(pages)),
            Err(error) => Err(self.parts.named(part, error)),
        })
    }
}

impl PageIterator for Chunks {}

/// The pages of one column of one file.
struct Pages {
    pages: SerializedPageReader<Chunk>,
    /// Whether they come compressed by Zstandard.
    zstd: bool,
    parts: Arc<Parts>,
    at: usize,
}

impl Pages {
    fn of(parts: &Arc<Parts>, at: usize, leaf: usize, place: usize) -> Result<Self> {
        let part = &parts.parts[at];
        let chunks = part.group()?.columns();
        let (column, bytes) = match (chunks.get(leaf), part.chunks.get(place)) {
            (Some(column), Some(bytes)) => (column, bytes.clone()),
            _ => return Err(general("a file has fewer columns than its schema")),
        };
        let zstd = matches!(column.compression(), Compression::ZSTD(_));
        let chunk = Arc::new(Chunk { start: column.byte_range().0, bytes });
        let pages = match zstd {
            true => SerializedPageReader::new(chunk, &as_it_stands(column)?, part.rows(), None)?,
            false => SerializedPageReader::new(chunk, column, part.rows(), None)?,
        };
        Ok(Self { pages, zstd, parts: Arc::clone(parts), at })
    }

    fn named<T>(&self, read: Result<T>) -> Result<T> {
        read.map_err(|error| self.parts.named(&self.parts.parts[self.at], error))
    }
}

/// The same chunk, whose pages are to be handed out as they are stored.
fn as_it_stands(column: &ColumnChunkMetaData) -> Result<ColumnChunkMetaData> {
    ColumnChunkMetaData::builder(column.column_descr_ptr())
        .set_compression(Compression::UNCOMPRESSED)
        .set_num_values(column.num_values())
        .set_total_compressed_size(column.compressed_size())
        .set_total_uncompressed_size(column.uncompressed_size())
        .set_data_page_offset(column.data_page_offset())
        .set_dictionary_page_offset(column.dictionary_page_offset())
        .build()
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page().and_then(|page| match page {
            Some(page) if self.zstd => decompressed(page).map(Some),
            page => Ok(page),
        });
        self.named(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let page = self.pages.peek_next_page();
        self.named(page)
    }

    fn skip_next_page(&mut self) -> Result<()> {
        let skipped = self.pages.skip_next_page();
        self.named(skipped)
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        let at = self.pages.at_record_boundary();
        self.named(at)
    }
}

/// A page whose bytes are compressed, without that.
fn decompressed(mut page: Page) -> Result<Page> {
    match &mut page {
        Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => *buf = unfold(buf, 0)?,
        Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, is_compressed, .. } => {
            // The levels of such a page are never compressed.
            let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
            let levels = usize::try_from(levels).ok().filter(|levels| *levels <= buf.len());
            let levels = levels.ok_or_else(|| general("a page is shorter than its levels"))?;
            if *is_compressed && levels < buf.len() {
                *buf = unfold(buf, levels)?;
            }
        }
    }
    Ok(page)
}

thread_local! {
    static CONTEXT: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Bytes of which those behind `plain` are a frame, without that.
fn unfold(bytes: &Bytes, plain: usize) -> Result<Bytes> {
    let frame = &bytes[plain..];
    let Some(size) = get_frame_content_size(frame).ok().flatten() else {
        return unmeasured(bytes, plain);
    };
    let size = Some(size).filter(|size| *size <= PAGE_BYTES).and_then(|size| usize::try_from(size).ok());
    let size = size.ok_or_else(|| general("a page is larger than pages can be"))?;
    CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            None => context.insert(Decompressor::new()?),
        };
        let frame = context.decompress(frame, size)?;
        if frame.len() != size {
            return Err(general("a page is shorter than it says"));
        }
        Ok(if plain == 0 { frame.into() } else { [&bytes[..plain], &frame].concat().into() })
    })
}

/// The same where the frame does not say how long it is.
fn unmeasured(bytes: &Bytes, plain: usize) -> Result<Bytes> {
    use std::io::Read;
    let mut out = bytes[..plain].to_vec();
    let most = PAGE_BYTES.saturating_sub(plain as u64);
    let read =
        zstd::Decoder::with_buffer(&bytes[plain..])?.take(most.saturating_add(1)).read_to_end(&mut out)?;
    if read as u64 > most {
        return Err(general("a page is larger than pages can be"));
    }
    Ok(out.into())
}

fn general(message: &str) -> ParquetError {
    ParquetError::General(message.to_owned())
}

/// A column chunk, found by its place in the file.
struct Chunk {
    start: u64,
    bytes: Bytes,
}

impl Chunk {
    fn within(&self, start: u64) -> Result<usize> {
        let at = start.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        at.filter(|at| *at <= self.bytes.len()).ok_or_else(|| general("a page lies outside of its column"))
    }
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.start.saturating_add(self.bytes.len() as u64)
    }
}

impl ChunkReader for Chunk {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.bytes.slice(self.within(start)?..).reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let at = self.within(start)?;
        let end = at.checked_add(length).filter(|end| *end <= self.bytes.len());
        Ok(self.bytes.slice(at..end.ok_or_else(|| general("a page goes beyond its column"))?))
    }
}
