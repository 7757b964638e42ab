//! File entries of one branch with the numbers of another [REB-3..5, MRG-3].

use crate::error::{Error, Result};
use crate::file::{FileEntry, RowIds, Shift};
use crate::id::{RowId, Seq};
use crate::merge::ListMap;
use crate::numbering::{NumberMap, Renumbering};

impl Renumbering {
    /// An entry that their side added, as our branch gets it in version `added`: with our numbers for its id, its rows and
    /// what it refers to.
    ///
    /// # Errors
    /// `Malformed` if the entry has numbers that no translation can have, `Unsupported` if the row ids that its file stores
    /// cannot be shifted so.
    pub fn translate(&self, entry: &FileEntry, lists: &ListMap, added: Seq) -> Result<FileEntry> {
        let wrong =
            |what: &str| Error::malformed(format!("file {} has {what} that cannot be translated", entry.id));
        let id = self.file(entry.id).ok_or_else(|| wrong("an id"))?;
        let first_row = match entry.row_ids {
            RowIds::Derived => self.rows.get_run(entry.first_row.0, entry.rows),
            RowIds::Stored => self.rows.get(entry.first_row.0),
        };
        let first_row = RowId(first_row.ok_or_else(|| wrong("row ids"))?);
        let mut shifts = entry.shifts.clone();
        if entry.row_ids == RowIds::Stored {
            shifts
                .extend(shifts_of(&self.rows).map_err(|error| error.at(format_args!("file {}", entry.id)))?);
        }
        Ok(FileEntry { id, first_row, shifts, added, ..lists.translate(entry)? })
    }
}

/// A translation as shifts that are applied one after the other: the highest first, each by what it moves beyond the lower
/// ones. They only move upwards, so a translation must rise with the ids to be written so.
fn shifts_of(rows: &NumberMap) -> Result<Vec<Shift>> {
    let mut shifts = Vec::new();
    let mut before = 0;
    for step in rows.steps() {
        let by = step.by.checked_sub(before).and_then(|by| u64::try_from(by).ok());
        let by = by.ok_or_else(|| Error::unsupported("the row ids stored in it would have to move down"))?;
        before = step.by;
        if by > 0 {
            shifts.push(Shift { from: RowId(step.from), by });
        }
    }
    shifts.reverse();
    Ok(shifts)
}
