//! Rows that both sides touched, told apart by their ids [REB-7, REB-8].
//!
//! Invariants: data files are read for nothing but ids, and only those that may hold a row that both sides touched; what became of a row is
//! found out, never guessed; the losing place of a row that stands twice is deleted. Memory: about 100 bytes for each such row. What does not belong
//! here: which files have such rows (`files`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use strandline_format::merge::{RowFate, RowMerge};
use strandline_format::{DeletionVector, FileEntry, FileId, RowId, Seq};

use crate::error::Result;
use crate::merge::choices::{RowChoice, RowChoices, Side as Whose};
use crate::merge::conflict::{Contested, RowConflict, RowConflicts};
use crate::merge::table::TableRebase;
use crate::scan::{deletion_vector, identify};
use crate::table::TableState;

/// A version above all others: that of rows which are not committed yet.
const UNSETTLED: Seq = Seq(u64::MAX);

/// Rows of one file of the base that both sides touched.
pub(super) struct Twice {
    /// The file as the base has it.
    pub(super) base: FileEntry,
    pub(super) positions: DeletionVector,
    /// Which of its rows are deleted on each side; `None`: it is not listed.
    pub(super) ours: Option<DeletionVector>,
    pub(super) theirs: Option<DeletionVector>,
}

/// What becomes of such rows.
#[derive(Default)]
pub(super) struct RowsMerged {
    pub(super) conflicts: RowConflicts,
    /// Places in files that ours added which lose their row, and in those that theirs added, under the ids that theirs has.
    pub(super) ours_lose: BTreeMap<FileId, DeletionVector>,
    pub(super) theirs_lose: BTreeMap<FileId, DeletionVector>,
}

/// A row that both sides touched.
struct Row {
    base: (FileId, u64),
    /// The version that had last updated it at the base: where it only moved, it still has that.
    version: Seq,
    ours: Side,
    theirs: Side,
}

/// Where one side has it.
#[derive(Clone, Copy)]
struct Side {
    fate: RowFate,
    /// In a file that the side added.
    place: Option<(FileId, u64)>,
}

/// The rows that are looked for, by id.
struct Sought {
    rows: HashMap<u64, Row>,
    /// The least and the greatest id.
    bounds: (u64, u64),
}

impl TableRebase<'_> {
    /// Settles what became of the rows. Requests: those of the columns of ids of the files in question, and of deletion vectors that are
    /// objects.
    pub(super) async fn merge_rows(&self, twice: &[Twice], ours_added: &[FileEntry]) -> Result<RowsMerged> {
        let mut sought = self.sought(twice).await?;
        let bounds = sought.bounds;
        let theirs = TableState { table: Arc::new(self.theirs.table.clone()), ..self.ours.clone() };
        for entry in ours_added.iter().filter(|entry| may_hold(entry, bounds)) {
            self.look((self.ours, entry), &mut sought, |row| &mut row.ours).await?;
        }
        for entry in self.theirs.new_files().filter(|entry| self.moves(entry) && may_hold(entry, bounds)) {
            let entry = FileEntry { added: UNSETTLED, ..entry.clone() };
            self.look((&theirs, &entry), &mut sought, |row| &mut row.theirs).await?;
        }
        sought.settle(self.choices)
    }

    /// Whether a file that a side added may hold rows of the base: one that stores ids, or is listed anew.
    pub(super) fn moves(&self, entry: &FileEntry) -> bool {
        let stored = entry.row_ids == strandline_format::RowIds::Stored;
        stored || entry.first_row < self.base.table.next_row
    }

    async fn sought(&self, twice: &[Twice]) -> Result<Sought> {
        let mut sought = Sought { rows: HashMap::new(), bounds: (u64::MAX, 0) };
        for file in twice {
            let others = DeletionVector::below(file.base.rows)?.added_since(&file.positions);
            let side = |deletes: &Option<DeletionVector>, position: u64| {
                let live = deletes.as_ref().is_some_and(|deletes| !deletes.contains(position));
                Side { fate: if live { RowFate::Left } else { RowFate::Deleted }, place: None }
            };
            identify(self.base, &file.base, &others, |row| {
                let [ours, theirs] = [&file.ours, &file.theirs].map(|deletes| side(deletes, row.position));
                let (base, version) = ((file.base.id, row.position), row.updated);
                sought.rows.insert(row.id, Row { base, version, ours, theirs });
                sought.bounds = (sought.bounds.0.min(row.id), sought.bounds.1.max(row.id));
                Ok(())
            })
            .await?;
        }
        Ok(sought)
    }

    /// Finds out which of the rows a file of one side holds.
    async fn look(
        &self,
        (state, entry): (&TableState, &FileEntry),
        sought: &mut Sought,
        side: impl Fn(&mut Row) -> &mut Side,
    ) -> Result<()> {
        let deleted = deletion_vector(&state.objects, state.table.id, entry).await?.unwrap_or_default();
        identify(state, entry, &deleted, |found| {
            if let Some(row) = sought.rows.get_mut(&found.id) {
                let is_told = self.shared.is_none_or(|shared| row.version <= shared);
                let moved = is_told && found.updated == row.version;
                let fate = if moved { RowFate::Moved } else { RowFate::Changed };
                *side(row) = Side { fate, place: Some((entry.id, found.position)) };
            }
            Ok(())
        })
        .await
    }
}

impl Sought {
    fn settle(self, choices: &RowChoices) -> Result<RowsMerged> {
        let mut merged = RowsMerged::default();
        let mut rows: Vec<(u64, Row)> = self.rows.into_iter().collect();
        rows.sort_unstable_by_key(|(id, _)| *id);
        for (id, row) in rows {
            match RowMerge::of(row.ours.fate, row.theirs.fate) {
                RowMerge::Ours => lose(&mut merged.theirs_lose, row.theirs)?,
                RowMerge::Theirs => lose(&mut merged.ours_lose, row.ours)?,
                RowMerge::Deleted => {
                    lose(&mut merged.ours_lose, row.ours)?;
                    lose(&mut merged.theirs_lose, row.theirs)?;
                }
                RowMerge::Restored | RowMerge::Conflict => match choices.of(id) {
                    Some(RowChoice::Side(Whose::Ours)) => lose(&mut merged.theirs_lose, row.theirs)?,
                    Some(RowChoice::Side(Whose::Theirs)) => lose(&mut merged.ours_lose, row.ours)?,
                    Some(RowChoice::Given) => {
                        lose(&mut merged.ours_lose, row.ours)?;
                        lose(&mut merged.theirs_lose, row.theirs)?;
                    }
                    None => merged.conflicts.push(row.contested(id)),
                },
            }
        }
        Ok(merged)
    }
}

impl Row {
    fn contested(&self, id: u64) -> Contested {
        let row = RowConflict { row: RowId(id), ours: self.ours.fate, theirs: self.theirs.fate };
        Contested { row, base: self.base, ours: self.ours.place, theirs: self.theirs.place }
    }
}

fn may_hold(entry: &FileEntry, (first, last): (u64, u64)) -> bool {
    entry.row_id_bounds().is_some_and(|(min, max)| min <= last && first <= max)
}

fn lose(places: &mut BTreeMap<FileId, DeletionVector>, side: Side) -> Result<()> {
    if let Some((file, position)) = side.place {
        places.entry(file).or_default().insert(position)?;
    }
    Ok(())
}
