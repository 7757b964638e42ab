//! File entries in columns: what a leaf is in memory, made to be pruned without touching single entries.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::Result;
use crate::file::entry::{Deletes, External, FileEntry, FileSummary, RowIds, SplitValues};
use crate::hash::Hash;
use crate::id::{Era, FieldId, FileId, RowId, Seq};
use crate::numbering::NumberMap;
use crate::stats::StatsColumns;
use crate::tree::wire as tree_wire;
use crate::tree::{Children, Columns, Limits, Node, Root, Sparse, TreeKind};

/// A table's use of the tree.
///
/// ```
#[doc = include_str!("file.example")]
/// use strandline_format::Files;
/// use strandline_format::tree::{Root, TreeKind};
///
/// let mut files = Root::<Files>::default();
/// files.edit([(FileId(1), Some(file(1, 3)))]);
/// assert_eq!(Files::parse_root(&Files::write_root(&files)?)?, files);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Files;

/// File entries, an array for each attribute.
///
/// ```
#[doc = include_str!("file.example")]
/// use strandline_format::FileColumns;
/// use strandline_format::tree::Columns;
///
/// let columns = FileColumns::from_items(&[file(1, 3), file(2, 5)]);
/// assert_eq!(columns.rows(), [3, 5]);
/// assert_eq!(columns.item(1), file(2, 5));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FileColumns {
    pub(super) id: Vec<FileId>,
    pub(super) hash: Vec<Hash>,
    pub(super) era: Sparse<Era>,
    pub(super) size: Vec<u64>,
    pub(super) rows: Vec<u64>,
    pub(super) footer: Vec<u64>,
    pub(super) first_row: Vec<RowId>,
    pub(super) added: Vec<Seq>,
    pub(super) fields: Sparse<u32>,
    pub(super) deletes: Sparse<Option<Deletes>>,
    pub(super) row_groups: Sparse<RowGroups>,
    pub(super) order: Sparse<Option<u32>>,
    pub(super) split: Sparse<Option<SplitValues>>,
    pub(super) shifts: Sparse<NumberMap>,
    pub(super) row_ids: Sparse<RowIds>,
    pub(super) external: Sparse<Option<External>>,
    pub(super) stats: StatsColumns,
}

/// Where row groups begin; by default there is one, behind the file's magic bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RowGroups(pub(super) Vec<u64>);

impl Default for RowGroups {
    fn default() -> Self {
        Self(vec![4])
    }
}

impl FileColumns {
    /// The rows of each file, deleted ones too.
    #[must_use]
    pub fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// The statistics of all files.
    #[must_use]
    pub fn stats(&self) -> &StatsColumns {
        &self.stats
    }

    /// Which set of field ids a file was written with.
    #[must_use]
    pub fn fields(&self, at: usize) -> u32 {
        self.fields.get(at)
    }

    /// What all files' row ids lie within.
    fn row_ids(&self) -> Option<(u64, u64)> {
        let stored = !self.row_ids.is_left_out();
        let bounds = |at: usize| {
            let stats = if stored { self.stats.row(at).into() } else { Arc::default() };
            FileEntry { stats, ..self.without_stats(at) }.row_id_bounds()
        };
        (0..self.len()).filter_map(bounds).reduce(union)
    }

    fn deleted(&self) -> u64 {
        let deletes = self.deletes.values().iter().flatten();
        deletes.fold(0, |sum, deletes| sum.saturating_add(deletes.rows()))
    }
}

impl Columns for FileColumns {
    type Item = FileEntry;

    fn from_items(items: &[FileEntry]) -> Self {
        Self {
            id: items.iter().map(|item| item.id).collect(),
            hash: items.iter().map(|item| item.hash).collect(),
            era: Sparse::of(items.iter().map(|item| item.era)),
            size: items.iter().map(|item| item.size).collect(),
            rows: items.iter().map(|item| item.rows).collect(),
            footer: items.iter().map(|item| item.footer).collect(),
            first_row: items.iter().map(|item| item.first_row).collect(),
            added: items.iter().map(|item| item.added).collect(),
            fields: Sparse::of(items.iter().map(|item| item.fields)),
            deletes: Sparse::of(items.iter().map(|item| item.deletes.clone())),
            row_groups: Sparse::of(items.iter().map(|item| RowGroups(item.row_groups.clone()))),
            order: Sparse::of(items.iter().map(|item| item.order)),
            split: Sparse::of(items.iter().map(|item| item.split.clone())),
            shifts: Sparse::of(items.iter().map(|item| item.shifts.clone())),
            row_ids: Sparse::of(items.iter().map(|item| item.row_ids)),
            external: Sparse::of(items.iter().map(|item| item.external.clone())),
            stats: StatsColumns::from_rows(items.iter().map(|item| &*item.stats)),
        }
    }

    fn len(&self) -> usize {
        self.id.len()
    }

    fn item(&self, at: usize) -> FileEntry {
        FileEntry { stats: self.stats.row(at).into(), ..self.without_stats(at) }
    }
}

impl FileColumns {
    /// One entry, with what is known of these fields alone.
    #[must_use]
    pub fn item_of(&self, at: usize, fields: &BTreeSet<FieldId>) -> FileEntry {
        FileEntry { stats: self.stats.row_of(at, fields).into(), ..self.without_stats(at) }
    }

    /// One entry, with nothing known of its fields.
    pub(super) fn without_stats(&self, at: usize) -> FileEntry {
        FileEntry {
            id: self.id[at],
            hash: self.hash[at],
            era: self.era.get(at),
            size: self.size[at],
            rows: self.rows[at],
            footer: self.footer[at],
            first_row: self.first_row[at],
            added: self.added[at],
            fields: self.fields.get(at),
            deletes: self.deletes.get(at),
            row_groups: self.row_groups.get(at).0,
            order: self.order.get(at),
            split: self.split.get(at),
            shifts: self.shifts.get(at),
            row_ids: self.row_ids.get(at),
            external: self.external.get(at),
            stats: Arc::default(),
        }
    }
}

/// What subtrees of entries have in common, an array for each attribute.
///
/// ```
#[doc = include_str!("file.example")]
/// use strandline_format::tree::{Columns, TreeKind};
/// use strandline_format::{FileColumns, FileSummaries, Files};
///
/// let leaves = [vec![file(1, 3), file(2, 5)], vec![file(3, 7)]];
/// let summaries: Vec<_> = leaves.iter().map(|leaf| Files::summarize(&FileColumns::from_items(leaf))).collect();
/// assert_eq!(FileSummaries::from_items(&summaries).rows(), [8, 7]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FileSummaries {
    pub(super) rows: Vec<u64>,
    pub(super) bytes: Vec<u64>,
    pub(super) deleted: Sparse<u64>,
    pub(super) row_ids: Sparse<Option<(u64, u64)>>,
    pub(super) stats: StatsColumns,
}

impl FileSummaries {
    /// The rows below each child, deleted ones too.
    #[must_use]
    pub fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// The least and the greatest row id that a row below a child may have, if that is known.
    #[must_use]
    pub fn row_ids(&self, at: usize) -> Option<(u64, u64)> {
        self.row_ids.get(at)
    }

    /// The statistics of all children.
    #[must_use]
    pub fn stats(&self) -> &StatsColumns {
        &self.stats
    }
}

impl Columns for FileSummaries {
    type Item = FileSummary;

    fn from_items(items: &[FileSummary]) -> Self {
        Self {
            rows: items.iter().map(|item| item.rows).collect(),
            bytes: items.iter().map(|item| item.bytes).collect(),
            deleted: Sparse::of(items.iter().map(|item| item.deleted)),
            row_ids: Sparse::of(items.iter().map(|item| item.row_ids)),
            stats: StatsColumns::from_rows(items.iter().map(|item| &item.stats)),
        }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn item(&self, at: usize) -> FileSummary {
        FileSummary {
            rows: self.rows[at],
            bytes: self.bytes[at],
            deleted: self.deleted.get(at),
            row_ids: self.row_ids.get(at),
            stats: self.stats.row(at),
        }
    }
}

fn union(one: (u64, u64), other: (u64, u64)) -> (u64, u64) {
    (one.0.min(other.0), one.1.max(other.1))
}

fn total(values: &[u64]) -> u64 {
    values.iter().fold(0, |sum, value| sum.saturating_add(*value))
}

impl TreeKind for Files {
    const NAME: &'static str = "files";
    const LIMITS: Limits = Limits { buffer: 10 << 10, leaf: 48 << 10, inner: 64 << 10, root: 10 << 10 };
    type Key = FileId;
    type Entry = FileEntry;
    type Summary = FileSummary;
    type Columns = FileColumns;
    type Summaries = FileSummaries;

    fn key(entry: &FileEntry) -> FileId {
        entry.id
    }

    fn key_at(columns: &FileColumns, at: usize) -> FileId {
        columns.id[at]
    }

    fn summarize(columns: &FileColumns) -> FileSummary {
        FileSummary {
            rows: total(&columns.rows),
            bytes: total(&columns.size),
            deleted: columns.deleted(),
            row_ids: columns.row_ids(),
            stats: columns.stats.merged(&columns.rows),
        }
    }

    fn merge(children: &Children<Self>) -> FileSummary {
        let below = &children.summary;
        FileSummary {
            rows: total(&below.rows),
            bytes: total(&below.bytes),
            deleted: total(below.deleted.values()),
            // One that is not known may have any.
            row_ids: (0..below.len())
                .map(|at| below.row_ids(at))
                .reduce(|one, other| Some(union(one?, other?)))
                .flatten(),
            stats: below.stats.merged(&below.rows),
        }
    }

    fn entry_weight(entry: &FileEntry) -> usize {
        const HASH_AND_COMMAS: usize = 67 + 7;
        let numbers =
            [entry.id.0, entry.size, entry.rows, entry.footer, entry.first_row.0, entry.added.0, entry.era.0];
        let rare =
            if entry.row_groups == [4] { 0 } else { entry.row_groups.iter().map(|at| digits(*at) + 1).sum() };
        let deletes = match &entry.deletes {
            None => 0,
            Some(Deletes::Inline { blob, .. }) => 30 + blob.len().div_ceil(3) * 4,
            Some(Deletes::Stored { .. }) => 120,
        };
        let split = entry.split.as_ref().map_or(0, |split| 8 + 12 * split.values.len());
        let shifts: usize = entry.shifts.steps().iter().map(|_| 24).sum();
        let external = entry.external.as_ref().map_or(0, |external| external.url.len() + 60);
        let numbers: usize = numbers.iter().map(|number| digits(*number)).sum();
        HASH_AND_COMMAS + numbers + rare + deletes + split + shifts + external + entry.stats.weight()
    }

    fn summary_weight(summary: &FileSummary) -> usize {
        let row_ids = summary.row_ids.map_or(0, |(first, last)| digits(first) + digits(last) + 4);
        let numbers = digits(summary.rows) + digits(summary.bytes) + digits(summary.deleted) + row_ids;
        numbers + 3 + summary.stats.weight()
    }

    fn write_node(node: &Node<Self>) -> Result<Vec<u8>> {
        tree_wire::write_node(node)
    }

    fn parse_node(text: &[u8]) -> Result<Node<Self>> {
        tree_wire::parse_node(text)
    }

    fn write_root(root: &Root<Self>) -> Result<String> {
        tree_wire::write_root(root).map(|text| text.get().to_owned())
    }

    fn parse_root(text: &str) -> Result<Root<Self>> {
        tree_wire::parse_root(text)
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}
