//! One file entry, as a row, and what a subtree of entries has in common.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::hash::{Hash, ObjectRef};
use crate::id::{Era, FileId, RowId, Seq};
use crate::numbering::NumberMap;
use crate::stats::Stats;

/// One data file of a table.
///
/// ```
#[doc = include_str!("file.example")]
/// use strandline_format::{Deletes, DeletionVector};
///
/// let mut entry = file(1, 3);
/// let gone = DeletionVector::from_positions([2])?;
/// entry.deletes = Some(Deletes::Inline { rows: gone.cardinality(), blob: gone.encode()? });
/// entry.check()?;
/// assert_eq!((entry.rows, entry.live_rows()), (3, 2));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FileEntry {
    /// The entry's id within the table.
    pub id: FileId,
    /// The hash of the file's bytes.
    pub hash: Hash,
    /// The era in which the file was uploaded.
    pub era: Era,
    /// The length of the file.
    pub size: u64,
    /// How many rows the file holds, deleted ones too.
    pub rows: u64,
    /// The length of the Parquet footer, with the eight bytes that end it, so that one request reads it.
    pub footer: u64,
    /// The id of the file's first row; the others follow, where they are derived.
    pub first_row: RowId,
    /// The version in which the rows were last written on this branch.
    pub added: Seq,
    /// Which of the table's sets of field ids the file was written with [FILE-5].
    pub fields: u32,
    /// Which rows are deleted.
    pub deletes: Option<Deletes>,
    /// Where each row group begins.
    pub row_groups: Vec<u64>,
    /// The id of the table's order in which the rows lie, if any.
    pub order: Option<u32>,
    /// The values of the split transforms, if the file holds only rows of one split.
    pub split: Option<SplitValues>,
    /// Through what stored row ids are to be read, after merges [FILE-9].
    pub shifts: NumberMap,
    /// Whether row ids are derived from `first_row`, or stored in the file.
    pub row_ids: RowIds,
    /// Where the file lies, if it was imported in place.
    pub external: Option<External>,
    /// What is known of each field. Shared, because entries are copied from version to version.
    pub stats: Arc<Stats>,
}

/// The longest deletion vector that stands in its entry [FILE-7].
pub const MAX_INLINE_DELETES: usize = 1024;

/// The deleted rows of a file.
///
/// ```
/// use strandline_format::{Deletes, DeletionVector};
///
/// let gone = DeletionVector::from_positions([0, 7])?;
/// let deletes = Deletes::Inline { rows: gone.cardinality(), blob: gone.encode()? };
/// assert_eq!(deletes.rows(), 2);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Deletes {
    /// A vector of at most [`MAX_INLINE_DELETES`] bytes, in the entry itself.
    Inline {
        /// How many rows are deleted.
        rows: u64,
        /// The vector's bytes.
        blob: Vec<u8>,
    },
    /// A vector that is an object of its own.
    Stored {
        /// How many rows are deleted.
        rows: u64,
        /// The object under the table's data.
        object: ObjectRef,
    },
}

impl Deletes {
    /// How many rows are deleted.
    #[must_use]
    pub fn rows(&self) -> u64 {
        match self {
            Self::Inline { rows, .. } | Self::Stored { rows, .. } => *rows,
        }
    }
}

/// Where a file's row ids come from.
///
/// ```
#[doc = include_str!("file.example")]
/// // Rows that have not moved are numbered by their positions.
/// let entry = file(2, 3);
/// assert_eq!(entry.row_ids, RowIds::Derived);
/// assert_eq!(entry.row_id_bounds(), Some((200, 202)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowIds {
    /// The first row's id, and on from there.
    #[default]
    Derived,
    /// The columns `_row_id` and `_last_updated_sequence_number` of the file; null means derived.
    Stored,
}

/// The values that the split's transforms have for all rows of a file.
///
/// ```
/// use strandline_format::{Scalar, SplitValues};
///
/// // All rows of the file are of one day and one bucket.
/// let split = SplitValues { split: 0, values: vec![Scalar::Int(20_000), Scalar::Int(3)] };
/// assert_eq!(split.values.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SplitValues {
    /// The id of the table's split.
    pub split: u32,
    /// One value for each field of the split.
    pub values: Vec<Scalar>,
}

/// A value as JSON has it; the split's transform says what it means.
///
/// ```
/// use strandline_format::Scalar;
///
/// // Null is a value of its own: all rows of the file have null there.
/// assert_ne!(Scalar::Null, Scalar::Int(0));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(String),
}

/// A file outside of the lake, imported in place: the one exception to paths that are derived [PATH-1].
///
/// ```
#[doc = include_str!("file.example")]
/// use strandline_format::External;
///
/// let mut entry = file(1, 3);
/// entry.external = Some(External { url: "s3://elsewhere/part-0.parquet".to_owned(), etag: Some("\"1f\"".to_owned()) });
/// entry.check()?;
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// Where it lies.
    pub url: String,
    /// What the store said it was when it was imported.
    pub etag: Option<String>,
}

impl FileEntry {
    /// How many rows are left after deletes.
    #[must_use]
    pub fn live_rows(&self) -> u64 {
        self.rows.saturating_sub(self.deletes.as_ref().map_or(0, Deletes::rows))
    }

    /// Checks the entry against itself [FILE-2].
    ///
    /// # Errors
    /// `Malformed`, naming what contradicts what.
    pub fn check(&self) -> Result<()> {
        let deleted = self.deletes.as_ref().map_or(0, Deletes::rows);
        let wrong = if deleted > self.rows {
            "deletes more rows than the file has"
        } else if self.deletes.is_some() && deleted == 0 {
            "has a deletion vector of no rows"
        } else if self.footer < 12 || self.footer > self.size {
            "has a footer that does not fit into the file"
        } else if self.first_row.0.checked_add(self.rows).is_none() {
            "has row ids beyond 64 bits"
        } else if self.row_groups.windows(2).any(|pair| pair[0] >= pair[1])
            || self.row_groups.last().is_some_and(|offset| *offset >= self.size)
        {
            "has row groups that do not ascend within the file"
        } else if self.row_ids == RowIds::Derived && !self.shifts.steps().is_empty() {
            "shifts row ids that are derived"
        } else if !self.shifts.steps_fit() {
            "shifts row ids below zero or beyond 64 bits"
        } else {
            return Ok(());
        };
        Err(Error::malformed(format!("file entry {} {wrong}", self.id)))
    }
}

/// What the entries of a subtree have in common.
///
/// ```
#[doc = include_str!("file.example")]
/// use strandline_format::tree::{Columns, TreeKind};
/// use strandline_format::{FileColumns, Files};
///
/// let summary = Files::summarize(&FileColumns::from_items(&[file(1, 3), file(2, 5)]));
/// assert_eq!((summary.rows, summary.bytes, summary.deleted), (8, 2_000, 0));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileSummary {
    /// Their rows, deleted ones too.
    pub rows: u64,
    /// The bytes of their files.
    pub bytes: u64,
    /// Their deleted rows.
    pub deleted: u64,
    /// The least and the greatest row id that one of their rows may have; `None` where that is not known, or there are no rows [FILE-15].
    pub row_ids: Option<(u64, u64)>,
    /// What is known of each field over all of them.
    pub stats: Stats,
}
