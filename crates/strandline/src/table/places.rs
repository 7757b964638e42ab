//! Finding rows by their ids, without a scan.
//!
//! Invariants: only live rows are found, each in one place [READ-1]; of data files nothing is read but the ids that they store, and only where an
//! id that is looked for is within their bounds. What does not belong here: which ids there are.

use arrow::array::RecordBatch;
use futures::stream::{self, StreamExt, TryStreamExt};
use strandline_format::{DeletionVector, FileEntry, FileId, RowId, RowIds};

use super::{Table, TableState};
use crate::error::Result;
use crate::scan::{deletion_vector, identify, without};
use crate::tree::{All, Holding};

/// How many files are asked for their ids at once.
const FILES: usize = 8;

/// Where a row stands.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::RowId;
///
/// let orders = lake.table("orders").await?;
/// let places = orders.places([RowId(2)]).await?;
/// assert_eq!(places[0].position, 2);
/// assert_eq!(places[0].file, orders.files().await?[0].id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowPlace {
    /// Which row.
    pub row: RowId,
    /// In which file.
    pub file: FileId,
    /// At which position in it.
    pub position: u64,
}

impl Table {
    /// Where the rows with these ids stand; those that are not there, or no longer, are left out. In the order of files and positions.
    ///
    /// Requests: the nodes of the tree of files below which an id that is looked for may be, so for few ids about as many as the tree has levels;
    /// where ids follow from places, nothing of a data file; of files that store ids, of which an id
    /// that is looked for may be one, the column of ids.
    ///
    /// # Errors
    /// `Corrupt` for an object that is not what its reference says; the store's errors. Dropping the future leaves nothing.
    pub async fn places(&self, ids: impl IntoIterator<Item = RowId>) -> Result<Vec<RowPlace>> {
        self.note_all();
        let found = self.state.found(ids).await?;
        Ok(found.into_iter().flat_map(|(_, _, places)| places).collect())
    }

    /// The row with this id as a batch of one row, with the columns that a scan with row ids gives; `None` if there is no such row.
    /// Requests as of [`Table::places`], and what it takes to read one file.
    ///
    /// # Errors
    /// As [`Table::places`], and those of a scan.
    pub async fn row(&self, id: RowId) -> Result<Option<RecordBatch>> {
        self.note_all();
        let Some((entry, _, places)) = self.state.found([id]).await?.pop() else { return Ok(None) };
        let wanted = DeletionVector::from_positions(places.iter().map(|place| place.position))?;
        let others = DeletionVector::below(entry.rows)?.added_since(&wanted);
        Ok(without(&self.state, &entry, &others)?.row_ids(true).collect().await?.pop())
    }
}

/// A file, what is deleted there, and places in it.
pub(crate) type InFile = (FileEntry, DeletionVector, Vec<RowPlace>);

impl TableState {
    /// The live rows with these ids, file by file, with what is deleted there.
    pub(crate) async fn found(&self, ids: impl IntoIterator<Item = RowId>) -> Result<Vec<InFile>> {
        let wanted = DeletionVector::from_positions(ids.into_iter().map(|id| id.0))?;
        let holding =
            Holding { any_within: |(first, last)| wanted.within(first, last).next().is_some(), of: &All };
        let entries = self.trees.collect(&self.table.files, &holding).await?;
        let look = |entry: FileEntry| self.found_in(entry, &wanted);
        let found = stream::iter(entries).map(look).buffered(FILES);
        found.try_filter(|found| std::future::ready(!found.2.is_empty())).try_collect().await
    }

    async fn found_in(&self, entry: FileEntry, wanted: &DeletionVector) -> Result<InFile> {
        let deleted = deletion_vector(&self.objects, self.table.id, &entry).await?.unwrap_or_default();
        let place = |id: u64, position: u64| RowPlace { row: RowId(id), file: entry.id, position };
        if entry.row_ids == RowIds::Derived {
            let first = entry.first_row.0;
            let (_, last) = entry.row_id_bounds().unwrap_or((first, first));
            let places = wanted.within(first, last);
            let places =
                places.map(|id| place(id, id - first)).filter(|place| !deleted.contains(place.position));
            let places = places.collect();
            return Ok((entry, deleted, places));
        }
        let mut places = Vec::new();
        identify(self, &entry, &deleted, |row| {
            if wanted.contains(row.id) {
                places.push(place(row.id, row.position));
            }
            Ok(())
        })
        .await?;
        Ok((entry, deleted, places))
    }
}
