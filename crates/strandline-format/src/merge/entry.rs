//! File entries of one branch with the numbers of another [REB-3..5, MRG-3].

use crate::error::{Error, Result};
use crate::file::{FileEntry, RowIds};
use crate::id::{RowId, Seq};
use crate::merge::ListMap;
use crate::numbering::Renumbering;

impl Renumbering {
    /// An entry that their side added, as our branch gets it in version `added`: with our numbers for its id, its rows and
    /// what it refers to.
    ///
    /// # Errors
    /// `Malformed` if the entry has numbers that no translation can have.
    pub fn translate(&self, entry: &FileEntry, lists: &ListMap, added: Seq) -> Result<FileEntry> {
        Ok(FileEntry { added, ..lists.translate(&self.renumber(entry)?)? })
    }

    /// The same entry with our numbers for its id and its rows, and all else as theirs has it.
    ///
    /// # Errors
    /// `Malformed` if the entry has numbers that no translation can have.
    pub fn renumber(&self, entry: &FileEntry) -> Result<FileEntry> {
        let wrong =
            |what: &str| Error::malformed(format!("file {} has {what} that cannot be translated", entry.id));
        let id = self.file(entry.id).ok_or_else(|| wrong("an id"))?;
        let first_row = match entry.row_ids {
            RowIds::Derived => self.rows.get_run(entry.first_row.0, entry.rows),
            RowIds::Stored => self.rows.get(entry.first_row.0),
        };
        let first_row = RowId(first_row.ok_or_else(|| wrong("row ids"))?);
        let shifts = match entry.row_ids {
            RowIds::Derived => entry.shifts.clone(),
            RowIds::Stored => {
                entry.shifts.then(&self.rows).map_err(|error| error.at(format_args!("file {}", entry.id)))?
            }
        };
        Ok(FileEntry { id, first_row, shifts, ..entry.clone() })
    }
}
