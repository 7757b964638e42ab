//! Rows by their places: which files, and which positions in each.
//!
//! Invariant: no file without a position is listed. What does not belong here: what is done to the rows (`change`), and which rows a
//! predicate finds (`touch`).

use std::collections::BTreeMap;

use strandline_format::{DeletionVector, FileId};

use crate::error::Result;

/// Some rows of a table, as the files that hold them and their positions there: what a scan that gives positions hands to
/// [`Transaction::delete_rows`](crate::Transaction::delete_rows) and its like. About two bytes for each row, whatever their number.
///
/// ```
/// use strandline::RowSet;
/// use strandline::format::FileId;
/// let mut rows = RowSet::new();
/// assert!(rows.insert(FileId(3), 17)?);
/// assert!(!rows.insert(FileId(3), 17)?, "it is in already");
/// assert_eq!(rows.len(), 1);
/// # Ok::<(), strandline::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowSet(BTreeMap<FileId, DeletionVector>);

impl RowSet {
    /// No rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row; whether it was not yet there.
    ///
    /// # Errors
    /// `InvalidInput` for a position that no file has.
    pub fn insert(&mut self, file: FileId, position: u64) -> Result<bool> {
        Ok(self.0.entry(file).or_default().insert(position)?)
    }

    /// Adds the rows of another set.
    pub fn extend(&mut self, other: Self) {
        for (file, rows) in other.0 {
            let known = self.0.entry(file).or_default();
            *known = known.union(&rows);
        }
    }

    /// Whether a row is in it.
    #[must_use]
    pub fn contains(&self, file: FileId, position: u64) -> bool {
        self.0.get(&file).is_some_and(|rows| rows.contains(position))
    }

    /// How many rows are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.values().map(DeletionVector::cardinality).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(DeletionVector::is_empty)
    }

    /// The files that hold them, in the order of their ids, each with the positions there.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &DeletionVector)> {
        self.0.iter().filter(|(_, rows)| !rows.is_empty()).map(|(file, rows)| (*file, rows))
    }
}
