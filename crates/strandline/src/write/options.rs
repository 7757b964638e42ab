//! How data files are written: sizes, compression, and how much is done and held at once.
//!
//! Invariant: what an option says is checked before anything is written. What does not belong here: what a table is
//! laid out by (orders and splits are the table's), and anything that changes what a row means.

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use parquet::basic::{BrotliLevel, Compression as Codec, GzipLevel, ZstdLevel};
use strandline_format::FieldId;

use crate::error::{Error, ErrorKind, Result};

/// How the pages of data files are compressed: what Parquet knows of.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::write::Compression;
/// use strandline::WriteOptions;
///
/// let options = WriteOptions { compression: Compression::Zstd(9), ..WriteOptions::default() };
/// let archive = lake.begin().writing(options).await?;
/// archive.append("orders", orders(&[(4, 99)])).await?;
/// archive.commit().await?;
/// assert_eq!(lake.table("orders").await?.rows(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy.
    Snappy,
    /// Gzip, at a level from 0 to 9.
    Gzip(u32),
    /// Brotli, at a level from 0 to 11.
    Brotli(u32),
    /// LZ4, as the codec `LZ4_RAW` of Parquet.
    Lz4Raw,
    /// Zstandard, at a level from 1 to 22.
    Zstd(i32),
}

impl Compression {
    pub(super) fn codec(self) -> Result<Codec> {
        let codec = match self {
            Self::None => Ok(Codec::UNCOMPRESSED),
            Self::Snappy => Ok(Codec::SNAPPY),
            Self::Gzip(level) => GzipLevel::try_new(level).map(Codec::GZIP),
            Self::Brotli(level) => BrotliLevel::try_new(level).map(Codec::BROTLI),
            Self::Lz4Raw => Ok(Codec::LZ4_RAW),
            Self::Zstd(level) => ZstdLevel::try_new(level).map(Codec::ZSTD),
        };
        codec.map_err(|error| invalid(format!("{self:?} is no compression: {error}")))
    }
}

/// What becomes of a file when some of its rows go.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
/// use strandline::{RowRemoval, WriteOptions};
///
/// let options = WriteOptions { row_removal: RowRemoval::CopyOnWrite, ..WriteOptions::default() };
/// let tidy = lake.begin().writing(options).await?;
/// tidy.delete("orders", col("id").eq(1)).await?;
/// tidy.commit().await?;
/// // The file was written anew, so that scans have nothing to skip.
/// assert_eq!(lake.table("orders").await?.files().await?[0].rows, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowRemoval {
    /// What costs less in the long run: a file of which at most a quarter is left is written anew, since every later scan would skip over
    /// the rest; of any other a deletion vector says what is gone, since little is written then.
    #[default]
    Auto,
    /// A deletion vector says what is gone.
    MergeOnRead,
    /// What is left is written anew.
    CopyOnWrite,
}

impl RowRemoval {
    /// Whether a file of so many rows is written anew if so many of them are left.
    pub(crate) fn rewrites(self, left: u64, rows: u64) -> bool {
        match self {
            Self::Auto => left.saturating_mul(4) <= rows,
            Self::MergeOnRead => false,
            Self::CopyOnWrite => true,
        }
    }
}

/// How a table's data files are written.
///
/// Memory, for a stream of any length: a writer holds at most
///
/// ```text
/// memory_bytes + 4 · B + parallelism · E + parallel_uploads · U
/// ```
///
/// and a transaction has a writer for each table that it has appended rows to. B is the largest batch that it was given,
/// E what encoding one column takes beside its rows (a dictionary and a page, of at most 1 MiB each, a Bloom filter if
/// there is one, and in sorted files the column of one row group), and U
/// what one upload takes (see [`ObjectOptions`](crate::storage::ObjectOptions): the greater of `spill_above` and
/// `part_bytes · (parallel_parts + 1)`). Of `memory_bytes`, a quarter is for rows that wait for their row group, an
/// eighth for batches that are being split, a half for row groups that are sorted and encoded (counted twice: as rows,
/// and as what becomes of them) and an eighth for files that are not finished. Rows weigh what their values take, and a
/// constant for each array; a batch that keeps much larger buffers alive is copied first.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::WriteOptions;
///
/// let options = WriteOptions { target_file_bytes: 64 << 20, memory_bytes: 256 << 20, ..WriteOptions::default() };
/// let load = lake.begin().writing(options).await?;
/// load.append("orders", orders(&[(4, 99)])).await?;
/// load.commit().await?;
/// assert_eq!(lake.table("orders").await?.rows(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct WriteOptions {
    /// About how large files become; the last one of a stream, and those of a split with few rows, stay smaller.
    pub target_file_bytes: u64,
    /// How pages are compressed.
    pub compression: Compression,
    /// How many rows a row group has at most.
    pub row_group_rows: NonZeroUsize,
    /// About how many bytes of memory the rows of a row group take at most, before they are encoded; never more than a
    /// quarter of [`Self::memory_bytes`] or than [`Self::target_file_bytes`].
    pub row_group_bytes: u64,
    /// About how many bytes of memory are collected to be sorted, where files are sorted: one run makes one file, or
    /// several if it is larger than the target. Never more than a quarter of [`Self::memory_bytes`].
    pub sort_run_bytes: u64,
    /// For which fields Bloom filters are written.
    pub bloom_filters: Vec<FieldId>,
    /// How often a Bloom filter says yes though it should say no, between 0 and 1.
    pub bloom_fpp: f64,
    /// How many columns are encoded at once; besides, one thread puts files together.
    pub parallelism: NonZeroUsize,
    /// How many finished files are uploaded at once.
    pub parallel_uploads: NonZeroUsize,
    /// How many files of different splits are being written at once. Past it the largest is finished.
    pub open_files: NonZeroUsize,
    /// How much memory is used, as the formula above says.
    pub memory_bytes: u64,
    /// What becomes of files that lose some of their rows.
    pub row_removal: RowRemoval,
}

impl Default for WriteOptions {
    /// Files of 128 MiB in zstd 3, row groups of at most 1 Mi rows and 128 MiB, all cores, 4 uploads, 64 open files, 1
    /// GiB.
    fn default() -> Self {
        Self {
            target_file_bytes: 128 << 20,
            compression: Compression::Zstd(3),
            row_group_rows: at_least_one(1 << 20),
            row_group_bytes: 128 << 20,
            sort_run_bytes: 256 << 20,
            bloom_filters: Vec::new(),
            bloom_fpp: 0.01,
            parallelism: *CORES,
            parallel_uploads: at_least_one(4),
            open_files: at_least_one(64),
            memory_bytes: 1 << 30,
            row_removal: RowRemoval::Auto,
        }
    }
}

/// All cores. Asked for once: Linux tells in several files, which take as long to read as a few rows to encode.
static CORES: LazyLock<NonZeroUsize> =
    LazyLock::new(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));

const fn at_least_one(count: usize) -> NonZeroUsize {
    match NonZeroUsize::new(count) {
        Some(count) => count,
        None => NonZeroUsize::MIN,
    }
}

impl WriteOptions {
    pub(super) fn check(&self) -> Result<()> {
        self.compression.codec()?;
        let sizes = [
            ("target_file_bytes", self.target_file_bytes),
            ("row_group_bytes", self.row_group_bytes),
            ("sort_run_bytes", self.sort_run_bytes),
            ("memory_bytes", self.memory_bytes),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(invalid(format!("{name} is 0; give it at least one byte")));
        }
        if !(self.bloom_fpp > 0.0 && self.bloom_fpp < 1.0) {
            return Err(invalid(format!("bloom_fpp is {}; it is between 0 and 1", self.bloom_fpp)));
        }
        Ok(())
    }

    /// Row groups, as far as the other options allow.
    pub(super) fn row_group_limit(&self) -> u64 {
        self.row_group_bytes.min(self.target_file_bytes).min(self.waiting_limit())
    }

    /// Runs to be sorted, as far as memory allows.
    pub(crate) fn run_limit(&self) -> u64 {
        self.sort_run_bytes.min(self.waiting_limit())
    }

    /// The share of memory for rows that wait.
    pub(super) fn waiting_limit(&self) -> u64 {
        self.memory_bytes / 4
    }

    /// The share for rows that are being split, which are there twice.
    pub(super) fn splitting_limit(&self) -> u64 {
        self.memory_bytes / 16
    }

    /// The share for what is sorted and encoded.
    pub(super) fn encoding_limit(&self) -> u64 {
        self.memory_bytes / 2
    }

    /// The share for the bytes of open files.
    pub(super) fn open_bytes_limit(&self) -> u64 {
        self.memory_bytes / 16
    }

    /// The share for what the footers of open files will say.
    pub(super) fn footers_limit(&self) -> u64 {
        self.memory_bytes / 16
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_cannot_be_are_refused() {
        let check = |change: fn(&mut WriteOptions), allowed: bool| {
            let mut options = WriteOptions::default();
            change(&mut options);
            assert_eq!(options.check().is_ok(), allowed, "{options:?}");
        };
        check(|_| (), true);
        check(|options| options.target_file_bytes = 0, false);
        check(|options| options.row_group_bytes = 0, false);
        check(|options| options.sort_run_bytes = 0, false);
        check(|options| options.memory_bytes = 0, false);
        check(|options| options.bloom_fpp = 0.0, false);
        check(|options| options.bloom_fpp = 1.0, false);
        check(|options| options.bloom_fpp = f64::NAN, false);
        check(|options| options.compression = Compression::Zstd(0), false);
        check(|options| options.compression = Compression::Zstd(23), false);
        check(|options| options.compression = Compression::Gzip(10), false);
        check(|options| options.compression = Compression::Brotli(12), false);
        check(|options| options.compression = Compression::Brotli(11), true);
    }
}
