//! Small files of a scan that are read together, as if they were the row groups of one file.
//!
//! What it takes to open a file (to judge it by filters, to fit its columns to the table's, to set up decoders, to hand on a batch of few
//! rows) takes longer than to decode a small one; so a table of many small appends would be read many times slower than one of the same rows
//! in one file. So neighbours of one group of files go together, when all other rules are done with the plan (`last`).
//!
//! A small file alone is read in the same way, which spares it the same.
//!
//! Invariants: a file is read once, and with all that its entry says; only files go together of which nothing is skipped but as a whole: those
//! of one row group, too few rows for several pages to matter, in a scan that does not filter while it decodes. What does not belong here: reading
//! them (`bundle`).

use std::sync::Arc;

use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion_datasource::PartitionedFile;
use strandline::format::FileEntry;
use strandline::scan::FileReader;

use super::{LakeFile, LakeSource};

/// How many rows a file has at most that is read with others: of more it may be worth to skip pages.
const FILE_ROWS: u64 = 1 << 16;

/// How many rows and bytes files have together at most, unless one alone has more.
const ROWS: u64 = 1 << 17;
const BYTES: u64 = 8 << 20;

/// How many bundles of rows each partition gets at least, if there are rows for full batches in so many, so that none has to wait for another.
const SHARES: u64 = 4;
const BATCH_ROWS: u64 = 8192;

/// Several files of a scan in place of one. A [`PartitionedFile`] carries it.
#[derive(Clone, Debug)]
pub(crate) struct Together {
    pub(crate) files: Arc<[PartitionedFile]>,
    /// Whether the first ones may do: then the others are not read with them, but step by step.
    pub(crate) stepwise: bool,
}

/// The files that this stands for.
pub(crate) fn files_of(file: &PartitionedFile) -> &[PartitionedFile] {
    match file.extension::<Together>() {
        Some(Together { files, .. }) => files,
        None => std::slice::from_ref(file),
    }
}

/// The groups of files of a scan with its small ones together; `None` if there are none to be put together. `ends` is whether what is above
/// the scan may have enough before it has all.
pub(super) fn together(config: &FileScanConfig, ends: bool) -> Option<Vec<FileGroup>> {
    let source = config.file_source().downcast_ref::<LakeSource>()?;
    // Where files are in an order, their neighbours are, but what is known of an order is known of each of them.
    if !source.reads_together() || config.preserve_order || !config.output_ordering.is_empty() {
        return None;
    }
    if !config.file_groups.iter().flat_map(FileGroup::iter).any(is_small) {
        return None;
    }
    let room = Room { stepwise: ends || config.limit.is_some(), ..Room::of(&config.file_groups) };
    let group =
        |group: &FileGroup| room.put_together(config.file_source().reorder_files(group.files().to_vec()));
    Some(config.file_groups.iter().map(group).collect())
}

/// Whether nothing within a file is worth to be skipped, and it is short.
fn is_small(file: &PartitionedFile) -> bool {
    let small = |entry: &FileEntry| {
        FileReader::is_small(entry) && entry.rows <= FILE_ROWS && entry.row_groups.len() == 1
    };
    file.extension::<LakeFile>().is_some_and(|LakeFile(entry)| small(entry))
}

/// Whether this is the part of a file that stands for its one row group, where it was cut for several partitions: of all parts of a file one
/// is the first.
pub(super) fn is_first_part(file: &PartitionedFile) -> bool {
    file.range.as_ref().is_none_or(|range| range.start == 0)
}

/// How much goes together in one scan.
struct Room {
    rows: u64,
    stepwise: bool,
}

impl Room {
    fn of(groups: &[FileGroup]) -> Self {
        let shares = SHARES.saturating_mul(groups.len() as u64).max(1);
        let files = groups.iter().flat_map(FileGroup::iter).filter(|file| is_first_part(file));
        let rows = files.map(rows_of).fold(0, u64::saturating_add);
        Self { rows: rows.div_ceil(shares).clamp(BATCH_ROWS, ROWS), stepwise: false }
    }

    fn put_together(&self, files: Vec<PartitionedFile>) -> FileGroup {
        let (mut out, mut open) = (Vec::new(), Open::default());
        for file in files {
            if !is_small(&file) {
                out.extend(open.close(self.stepwise));
                out.push(file);
                continue;
            }
            if !is_first_part(&file) {
                continue;
            }
            if open.rows.saturating_add(rows_of(&file)) > self.rows
                || open.bytes.saturating_add(file.object_meta.size) > BYTES
            {
                out.extend(open.close(self.stepwise));
            }
            open.add(PartitionedFile { range: None, ..file });
        }
        out.extend(open.close(self.stepwise));
        FileGroup::new(out)
    }
}

fn rows_of(file: &PartitionedFile) -> u64 {
    file.extension::<LakeFile>().map_or(0, |LakeFile(entry)| entry.rows)
}

/// Files that more may be put to.
#[derive(Default)]
struct Open {
    files: Vec<PartitionedFile>,
    rows: u64,
    bytes: u64,
}

impl Open {
    fn add(&mut self, file: PartitionedFile) {
        self.rows = self.rows.saturating_add(rows_of(&file));
        self.bytes = self.bytes.saturating_add(file.object_meta.size);
        self.files.push(file);
    }

    fn close(&mut self, stepwise: bool) -> Option<PartitionedFile> {
        let Self { files, bytes, .. } = std::mem::take(self);
        let first = files.first()?;
        let name = match files.len() {
            1 => first.object_meta.location.to_string(),
            several => format!("{} and {} more", first.object_meta.location, several - 1),
        };
        let known = first.statistics.clone().filter(|_| stepwise);
        let file =
            PartitionedFile::new(name, bytes).with_extension(Together { files: files.into(), stepwise });
        // By which the files of all partitions are put in order, where that matters: its own files have been.
        Some(match known {
            Some(known) => file.with_statistics(known),
            None => file,
        })
    }
}

#[cfg(test)]
mod tests {
    use strandline::format::{Era, FileId, Hash, NumberMap, RowId, RowIds, Seq};

    use super::*;

    fn file(id: u64, rows: u64, size: u64, row_groups: usize) -> PartitionedFile {
        let entry = FileEntry {
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
        };
        PartitionedFile::new(format!("{id}"), size).with_extension(LakeFile(Arc::new(entry)))
    }

    #[test]
    fn neighbours_go_together_as_long_as_they_are_small() {
        let check = |files: Vec<PartitionedFile>, expected: &[usize]| {
            let found = Room::of(&[FileGroup::new(files.clone())]).put_together(files);
            let found: Vec<usize> = found.iter().map(|file| files_of(file).len()).collect();
            assert_eq!(found, expected);
        };
        check(Vec::new(), &[]);
        check((0..10).map(|id| file(id, 100, 1000, 1)).collect(), &[10]);
        // As many rows as fill a batch.
        check((0..10).map(|id| file(id, 3000, 1000, 1)).collect(), &[2, 2, 2, 2, 2]);
        check((0..10).map(|id| file(id, 20, 1 << 20, 1)).collect(), &[8, 2]);
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
}
