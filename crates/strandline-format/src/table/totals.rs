//! What a table's files come to.

use crate::file::{FileEntry, Files};
use crate::tree::{Columns, Root};

/// Sums over all files of a table [TBL-6].
///
/// ```
#[doc = include_str!("../file/file.example")]
/// use strandline_format::Totals;
///
/// let before = Totals::of([&file(1, 3)]);
/// let after = before.edited(None, Some(&file(2, 5)));
/// assert_eq!((after.files, after.rows), (2, 8));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// File entries.
    pub files: u64,
    /// Rows that are not deleted.
    pub rows: u64,
    /// The bytes of the entries' files.
    pub bytes: u64,
    /// Rows that are deleted but still stand in files.
    pub deleted: u64,
}

impl Totals {
    /// The sums over these entries.
    #[must_use]
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a FileEntry>) -> Self {
        entries.into_iter().fold(Self::default(), |sum, entry| sum.plus(Self::of_one(entry)))
    }

    /// These sums once an entry has taken another's place, come, or gone.
    #[must_use]
    pub fn edited(self, before: Option<&FileEntry>, after: Option<&FileEntry>) -> Self {
        self.minus(Self::of(before)).plus(Self::of(after))
    }

    /// The sums over a whole tree, if its root shows them: it does when no edit may hide what a child holds.
    #[must_use]
    pub fn of_root(root: &Root<Files>) -> Option<Self> {
        if root.level() == 0 {
            return Some(Self::of(root.edits().values().flatten()));
        }
        if !root.edits().is_empty() {
            return None;
        }
        let children = root.children().items();
        let sum = |of: fn(&crate::file::FileSummary) -> u64| {
            children.iter().fold(0_u64, |sum, child| sum.saturating_add(of(&child.summary)))
        };
        let (rows, deleted) = (sum(|below| below.rows), sum(|below| below.deleted));
        Some(Self {
            files: root.children().count.iter().fold(0, |sum, count| sum.saturating_add(*count)),
            rows: rows.saturating_sub(deleted),
            bytes: sum(|below| below.bytes),
            deleted,
        })
    }

    fn of_one(entry: &FileEntry) -> Self {
        let rows = entry.live_rows();
        Self { files: 1, rows, bytes: entry.size, deleted: entry.rows.saturating_sub(rows) }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            files: self.files.saturating_add(other.files),
            rows: self.rows.saturating_add(other.rows),
            bytes: self.bytes.saturating_add(other.bytes),
            deleted: self.deleted.saturating_add(other.deleted),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            files: self.files.saturating_sub(other.files),
            rows: self.rows.saturating_sub(other.rows),
            bytes: self.bytes.saturating_sub(other.bytes),
            deleted: self.deleted.saturating_sub(other.deleted),
        }
    }
}
