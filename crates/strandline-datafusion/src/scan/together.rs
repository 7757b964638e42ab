//! Small files of a scan that are read together, as if they were the row groups of one file.
//!
//! What it takes to open a file (to judge it by filters, to fit its columns to the table's, to set up decoders, to hand on a batch of few
//! rows) takes longer than to decode a small one; so a table of many small appends would be read many times slower than one of the same rows
//! in one file. So does what a planner does with each file. So neighbours go together before DataFusion sees any of them, and only a plan whose
//! scan turns out to need them one by one, or in another order, has them taken apart when all other rules are done with it (`last`).
//!
//! A small file alone is read in the same way, which spares it the same.
//!
//! Invariants: a file is read once, and with all that its entry says; only files go together of which nothing is skipped but as a whole: those
//! of one row group, too few rows for several pages to matter, in a scan that does not filter while it decodes. What does not belong here: reading
//! them (`bundle`).

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::Statistics;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileSource};
use datafusion::error::Result;
use datafusion_datasource::PartitionedFile;
use strandline::format::FileEntry;
use strandline::scan::FileReader;

use super::{LakeFile, LakeSource, alone};
use crate::error::external;
use crate::table::statistics::Needed;

/// How many rows a file has at most that is read with others: of more it may be worth to skip pages.
const FILE_ROWS: u64 = 1 << 16;

/// How many rows and bytes files have together at most, unless one alone has more.
const ROWS: u64 = 1 << 17;
const BYTES: u64 = 8 << 20;

/// How many bundles of files each partition gets at least, so that none has to wait for another, unless they would have fewer rows and bytes than these.
const SHARES: u64 = 4;
const BATCH_ROWS: u64 = 8192;
const SHARE_BYTES: u64 = 1 << 20;

/// Several files of a scan in place of one. A [`PartitionedFile`] carries it.
#[derive(Clone, Debug)]
pub(crate) struct Together {
    pub(crate) files: Arc<[Arc<FileEntry>]>,
    /// Whether the first ones may do: then the others are not read with them, but step by step.
    pub(crate) stepwise: bool,
}

impl Together {
    /// What stands for these files in a plan; `None` if there are none.
    ///
    /// # Errors
    /// `Unsupported` if the first one lies outside of the lake.
    pub(super) fn file(self, reader: &FileReader) -> Result<Option<PartitionedFile>> {
        let Some(first) = self.files.first() else { return Ok(None) };
        let path = reader.path(first).map_err(external)?;
        let name = match self.files.len() {
            1 => path,
            several => format!("{path} and {} more", several - 1),
        };
        let bytes = self.files.iter().map(|entry| entry.size).fold(0, u64::saturating_add);
        Ok(Some(PartitionedFile::new(name, bytes).with_extension(self)))
    }
}

/// The entries of the files that this stands for; of what was cut for several partitions, the first part stands for all.
pub(super) fn entries_of(file: &PartitionedFile) -> &[Arc<FileEntry>] {
    if !is_first_part(file) {
        return &[];
    }
    match (file.extension::<Together>(), file.extension::<LakeFile>()) {
        (Some(Together { files, .. }), _) => files,
        (None, Some(LakeFile(entry))) => std::slice::from_ref(entry),
        (None, None) => &[],
    }
}

/// A file as it is to be read: with others, or by itself.
pub(super) enum Read {
    /// What is known of it goes along where files are to be put in order by that.
    Small(Arc<FileEntry>, Option<Arc<Statistics>>),
    Alone(Box<PartitionedFile>),
}

impl Read {
    fn entries(&self) -> &[Arc<FileEntry>] {
        match self {
            Self::Small(entry, _) => std::slice::from_ref(entry),
            Self::Alone(file) => entries_of(file),
        }
    }
}

/// These files, the small ones together, for a scan of so many partitions.
///
/// # Errors
/// `Unsupported` if one of them lies outside of the lake.
pub(super) fn put_together(
    files: Vec<Read>,
    partitions: usize,
    reader: &FileReader,
) -> Result<Vec<PartitionedFile>> {
    Room::of(files.iter().flat_map(Read::entries), partitions).put_together(files, reader)
}

/// The groups of files of a scan as its plan came to need them; `None` if that is as they are. `ends` is whether what is above the scan may have
/// enough before it has all.
///
/// # Errors
/// `Unsupported` or `Corrupt` if nothing can be told of a file.
pub(super) fn together(config: &FileScanConfig, ends: bool) -> Result<Option<Vec<FileGroup>>> {
    let Some(source) = config.file_source().downcast_ref::<LakeSource>() else { return Ok(None) };
    let files = || config.file_groups.iter().flat_map(FileGroup::iter);
    // Where files are in an order, their neighbours are, but what is known of an order is known of each of them.
    let apart = !source.reads_together() || config.preserve_order || !config.output_ordering.is_empty();
    let stepwise = ends || config.limit.is_some();
    let changes = |file: &PartitionedFile| match file.extension::<Together>() {
        Some(_) => apart || stepwise || source.is_reordered() || file.range.is_some(),
        None => !apart && small(file).is_some(),
    };
    if !files().any(changes) {
        return Ok(None);
    }
    let room = Room::of(files().flat_map(entries_of), config.file_groups.len());
    let room = Room { stepwise, ranked: source.is_reordered(), ..room };
    let reader = &source.scanned().reader;
    let group = |group: &FileGroup| {
        if !apart && !source.is_reordered() {
            return room.put_together(group.iter().flat_map(reads), reader);
        }
        let files =
            source.reorder_files(taken_apart(group.iter(), source.table_schema().file_schema(), reader)?);
        match apart {
            true => Ok(files),
            false => room.put_together(files.iter().flat_map(reads), reader),
        }
    };
    config.file_groups.iter().map(|files| group(files).map(FileGroup::new)).collect::<Result<_>>().map(Some)
}

/// The files of a plan one by one.
///
/// # Errors
/// `Unsupported` or `Corrupt` if nothing can be told of a file.
pub(crate) fn taken_apart<'f>(
    files: impl Iterator<Item = &'f PartitionedFile>,
    columns: &Schema,
    reader: &FileReader,
) -> Result<Vec<PartitionedFile>> {
    let needed = Needed::all(columns.fields().len());
    let mut apart = Vec::new();
    for file in files {
        if file.extension::<Together>().is_none() {
            apart.push(file.clone());
            continue;
        }
        for entry in entries_of(file) {
            apart.push(alone(reader, columns, Arc::clone(entry), &needed)?);
        }
    }
    Ok(apart)
}

/// What a plan has in place of files.
fn reads(file: &PartitionedFile) -> Vec<Read> {
    if file.extension::<Together>().is_some() {
        return entries_of(file).iter().map(|entry| Read::Small(Arc::clone(entry), None)).collect();
    }
    match small(file) {
        Some(_) if !is_first_part(file) => Vec::new(),
        Some(entry) => vec![Read::Small(Arc::clone(entry), file.statistics.clone())],
        None => vec![Read::Alone(Box::new(file.clone()))],
    }
}

/// Whether nothing within a file is worth to be skipped, and it is short.
pub(super) fn is_small(entry: &FileEntry) -> bool {
    let short = FileReader::is_small(entry) && entry.rows <= FILE_ROWS;
    short && entry.row_groups.len() == 1 && entry.external.is_none()
}

/// The entry of a small file that is by itself.
fn small(file: &PartitionedFile) -> Option<&Arc<FileEntry>> {
    file.extension::<LakeFile>().map(|LakeFile(entry)| entry).filter(|entry| is_small(entry))
}

/// Whether this is the part of a file that stands for its one row group, where it was cut for several partitions: of all parts of a file one
/// is the first.
pub(super) fn is_first_part(file: &PartitionedFile) -> bool {
    file.range.as_ref().is_none_or(|range| range.start == 0)
}

/// How much goes together in one scan.
struct Room {
    rows: u64,
    bytes: u64,
    stepwise: bool,
    /// Whether what is known of files says in which order they are read.
    ranked: bool,
}

impl Room {
    fn of<'e>(files: impl Iterator<Item = &'e Arc<FileEntry>>, partitions: usize) -> Self {
        let (mut rows, mut bytes) = (0_u64, 0_u64);
        for entry in files {
            (rows, bytes) = (rows.saturating_add(entry.rows), bytes.saturating_add(entry.size));
        }
        let shares = SHARES.saturating_mul(partitions as u64).max(1);
        Self {
            rows: rows.div_ceil(shares).clamp(BATCH_ROWS, ROWS),
            bytes: bytes.div_ceil(shares).clamp(SHARE_BYTES, BYTES),
            stepwise: false,
            ranked: false,
        }
    }

    fn put_together(
        &self,
        files: impl IntoIterator<Item = Read>,
        reader: &FileReader,
    ) -> Result<Vec<PartitionedFile>> {
        let (mut out, mut open) = (Vec::new(), Open::default());
        for file in files {
            let (entry, known) = match file {
                Read::Small(entry, known) => (entry, known),
                Read::Alone(file) => {
                    out.extend(open.close(self.stepwise, reader)?);
                    out.push(*file);
                    continue;
                }
            };
            if open.rows.saturating_add(entry.rows) > self.rows
                || open.bytes.saturating_add(entry.size) > self.bytes
            {
                out.extend(open.close(self.stepwise, reader)?);
            }
            open.add(entry, known.filter(|_| self.ranked));
        }
        out.extend(open.close(self.stepwise, reader)?);
        Ok(out)
    }
}

/// Files that more may be put to.
#[derive(Default)]
struct Open {
    files: Vec<Arc<FileEntry>>,
    rows: u64,
    bytes: u64,
    /// What is known of the first, by which the files of all partitions are put in order where that matters: its own files have been.
    known: Option<Arc<Statistics>>,
}

impl Open {
    fn add(&mut self, entry: Arc<FileEntry>, known: Option<Arc<Statistics>>) {
        self.rows = self.rows.saturating_add(entry.rows);
        self.bytes = self.bytes.saturating_add(entry.size);
        self.known = if self.files.is_empty() { known } else { self.known.take() };
        self.files.push(entry);
    }

    fn close(&mut self, stepwise: bool, reader: &FileReader) -> Result<Option<PartitionedFile>> {
        let Self { files, known, .. } = std::mem::take(self);
        let file = Together { files: files.into(), stepwise }.file(reader)?;
        Ok(match known {
            Some(known) => file.map(|file| file.with_statistics(known)),
            None => file,
        })
    }
}

#[cfg(test)]
mod tests {
    use strandline::Lake;
    use strandline::format::{Era, FileId, Hash, NumberMap, RowId, RowIds, Seq};

    use super::*;

    async fn reader(lake: &str) -> FileReader {
        let lake = Lake::create(lake).await.unwrap();
        let transaction = lake.begin().await.unwrap();
        transaction.create_table("t").like(&Schema::empty()).await.unwrap();
        transaction.commit().await.unwrap();
        lake.table("t").await.unwrap().file_reader()
    }

    fn entry(id: u64, rows: u64, size: u64, row_groups: usize) -> FileEntry {
        FileEntry {
            id: FileId(id),
            hash: Hash::of(&id.to_le_bytes()),
            era: Era(0),
            size,
            rows,
            footer: 8,
            first_row: RowId(0),
            added: Seq(0),
            fields: 0,
            deletes: None,
            row_groups: vec![4; row_groups],
            order: None,
            split: None,
            shifts: NumberMap::default(),
            row_ids: RowIds::Derived,
            external: None,
            stats: Arc::default(),
        }
    }

    fn file(id: u64, rows: u64, size: u64, row_groups: usize) -> PartitionedFile {
        let entry = Arc::new(entry(id, rows, size, row_groups));
        PartitionedFile::new(format!("{id}"), size).with_extension(LakeFile(entry))
    }

    #[tokio::test]
    async fn neighbours_go_together_as_long_as_they_are_small() {
        let reader = reader("memory://together/neighbours").await;
        let check = |files: Vec<PartitionedFile>, expected: &[usize]| {
            let found = put_together(files.iter().flat_map(reads).collect(), 1, &reader).unwrap();
            let found: Vec<usize> = found.iter().map(|file| entries_of(file).len()).collect();
            assert_eq!(found, expected);
        };
        check(Vec::new(), &[]);
        check((0..10).map(|id| file(id, 100, 1000, 1)).collect(), &[10]);
        // As many rows as fill a batch.
        check((0..10).map(|id| file(id, 3000, 1000, 1)).collect(), &[2, 2, 2, 2, 2]);
        check((0..10).map(|id| file(id, 20, 1 << 20, 1)).collect(), &[2, 2, 2, 2, 2]);
        check((0..50).map(|id| file(id, 20, 1 << 20, 1)).collect(), &[8, 8, 8, 8, 8, 8, 2]);
        check((0..3).map(|id| file(id, FILE_ROWS, 1000, 1)).collect(), &[1, 1, 1]);
        // What is large stays alone, and what is around it in its order.
        let large = [file(2, FILE_ROWS + 1, 10, 1), file(2, 10, (1 << 20) + 1, 1), file(2, 10, 10, 2)];
        for large in large {
            let small = |id| file(id, 10, 10, 1);
            check(vec![small(0), small(1), large, small(3), small(4)], &[2, 1, 2]);
        }
        // Of a file that was cut, one part stands for all.
        let part = |id, start, end| file(id, 10, 10, 1).with_range(start, end);
        check(vec![part(0, 4, 10), part(1, 0, 10), part(2, 0, 3)], &[2]);
        check(vec![part(2, 3, 10)], &[]);
    }

    #[tokio::test]
    async fn of_files_that_were_cut_together_one_part_stands_for_all() {
        let files = [1, 2].map(|id| Arc::new(entry(id, 10, 10, 1))).into();
        let file = Together { files, stepwise: false }
            .file(&reader("memory://together/cut").await)
            .unwrap()
            .unwrap();
        assert!(file.object_meta.location.as_ref().ends_with("and 1 more"), "{file:?}");
        let [first, last] = [(0, 12), (12, 20)].map(|(start, end)| file.clone().with_range(start, end));
        assert_eq!([&file, &first, &last].map(|file| entries_of(file).len()), [2, 2, 0]);
    }
}
