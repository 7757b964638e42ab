//! Rows that both sides touched, told apart by their ids [REB-7, REB-8].
//!
//! Invariants: data files are read for nothing but ids, and only those that may hold a row that both sides touched; what became of a row is
//! found out, never guessed; the losing place of a row that stands twice is deleted. Memory: about 150 bytes for each of [`PORTION`] such rows, the
//! places being read once for each portion that they may have rows of; about 100 bytes for each row that is in conflict; and where both sides
//! have rows back, about 50 bytes for each that theirs has. What does not belong here: which files have such rows (`files`).

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

/// How many rows are looked for at once: as many as a map of 2^18 places holds.
const PORTION: usize = 7 << 15;

/// A version above all others: that of rows which are not committed yet.
const UNSETTLED: Seq = Seq(u64::MAX);

/// Where a row stands: in which file, at which position.
type Place = (FileId, u64);

/// Rows of one file of the base that both sides touched.
#[derive(Clone)]
pub(super) struct Twice {
    /// The file as the base has it.
    pub(super) base: FileEntry,
    pub(super) positions: DeletionVector,
    /// Which of its rows are deleted on each side; `None`: it is not listed.
    pub(super) ours: Option<DeletionVector>,
    pub(super) theirs: Option<DeletionVector>,
}

/// The same rows, so many at a time.
struct Portions<'t> {
    left: &'t [Twice],
    /// The first position of the first file that is left.
    first: u64,
}

impl Iterator for Portions<'_> {
    type Item = Result<Vec<Twice>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut taken, mut open) = (Vec::new(), PORTION);
        while let Some((file, left)) = self.left.split_first().filter(|_| open > 0) {
            let rest = file.positions.within(self.first, u64::MAX);
            let positions: Vec<u64> = rest.take(open).collect();
            open -= positions.len();
            match positions.last().filter(|_| open == 0) {
                Some(last) => self.first = last + 1,
                None => (self.left, self.first) = (left, 0),
            }
            if positions.is_empty() {
                continue;
            }
            match DeletionVector::from_positions(positions) {
                Ok(positions) => taken.push(Twice { positions, ..file.clone() }),
                Err(error) => return Some(Err(error.into())),
            }
        }
        (!taken.is_empty()).then_some(Ok(taken))
    }
}

/// What becomes of such rows.
#[derive(Default)]
pub(super) struct RowsMerged {
    pub(super) conflicts: RowConflicts,
    /// Places of ours which lose their row, and places of theirs, under the ids that theirs has.
    pub(super) ours_lose: BTreeMap<FileId, DeletionVector>,
    pub(super) theirs_lose: BTreeMap<FileId, DeletionVector>,
}

/// A row that both sides touched.
struct Row {
    /// `None`: the base had deleted it.
    base: Option<Place>,
    /// The version that had last updated it at the base: where it only moved, it still has that.
    version: Seq,
    ours: Side,
    theirs: Side,
}

/// Where one side has it.
#[derive(Clone, Copy)]
struct Side {
    fate: RowFate,
    /// In a place that the base has not got it in.
    place: Option<Place>,
    /// Whether it has another id there than the one that it is told by.
    is_other: bool,
}

impl Side {
    fn new(fate: RowFate, place: Option<Place>) -> Self {
        Self { fate, place, is_other: false }
    }
}

/// The rows that are looked for, by id.
#[derive(Default)]
struct Sought {
    rows: HashMap<u64, Row>,
}

impl TableRebase<'_> {
    /// Settles what became of the rows. Requests: those of the columns of ids of the files in question, and of deletion vectors that are
    /// objects.
    pub(super) async fn merge_rows(&self, twice: &[Twice], our_places: &[FileEntry]) -> Result<RowsMerged> {
        let their_places = self.their_places();
        let theirs = TableState { table: Arc::new(self.theirs.table.clone()), ..self.ours.clone() };
        let (mut merged, mut all) = (RowsMerged::default(), DeletionVector::new());
        for portion in (Portions { left: twice, first: 0 }) {
            let mut sought = self.sought(&portion?).await?;
            let ids = sorted(&sought.rows);
            let may_hold = |entry: &&FileEntry| may_hold(entry, &ids) || self.may_be_told_otherwise(entry);
            for entry in our_places.iter().filter(may_hold) {
                self.look((self.ours, entry), self.told, &mut sought, |row| &mut row.ours).await?;
            }
            let told = if self.brought.is_some() { self.told } else { UNSETTLED };
            for entry in their_places.iter().filter(may_hold) {
                self.look((&theirs, entry), told, &mut sought, |row| &mut row.theirs).await?;
            }
            if self.restores_on_both() {
                all = all.union(&DeletionVector::from_positions(sought.rows.keys().copied())?);
            }
            self.settle(sought, &mut merged)?;
        }
        if self.restores_on_both() {
            let back = self.seek_restored((our_places, &their_places), &theirs, &all).await?;
            self.settle(back, &mut merged)?;
        }
        Ok(merged)
    }

    /// What becomes of rows that were found. A place is of the same file on both sides if that is not new in theirs.
    fn settle(&self, sought: Sought, merged: &mut RowsMerged) -> Result<()> {
        let is_shared = |(file, _): Place| !self.theirs.is_new(file);
        // Nobody asks a transaction's conflict for more than it lists.
        let keeps = self.brought.is_some();
        sought.settle((self.choices, self.has_back(), keeps), is_shared, merged)
    }

    /// The places of theirs that the base has not.
    pub(super) fn their_places(&self) -> Vec<FileEntry> {
        match self.brought {
            Some(brought) => brought.places.to_vec(),
            None => {
                let moved = self.theirs.new_files().filter(|entry| self.moves(entry));
                moved.map(|entry| FileEntry { added: UNSETTLED, ..entry.clone() }).collect()
            }
        }
    }

    /// Whether there are any.
    pub(super) fn has_their_places(&self) -> bool {
        match self.brought {
            Some(brought) => !brought.places.is_empty(),
            None => self.theirs.new_files().any(|entry| self.moves(entry)),
        }
    }

    /// Whether both sides may have the same row, that the base has not: one has it back, and the other one as well, or against a delete.
    pub(super) fn restores_on_both(&self) -> bool {
        self.our_places.is_some_and(|places| !places.is_empty())
            && self.brought.is_some_and(|brought| !brought.places.is_empty())
    }

    /// The rows that both sides have and the base has not: of those that it has, both have touched the place that it has
    /// them in, so they were sought before.
    async fn seek_restored(
        &self,
        (our_places, their_places): (&[FileEntry], &[FileEntry]),
        theirs: &TableState,
        before: &DeletionVector,
    ) -> Result<Sought> {
        let (mut found, mut sought) = (HashMap::new(), Sought::default());
        let may_meet = |entry: &&FileEntry| {
            self.may_be_told_otherwise(entry)
                || entry.row_id_bounds().is_some_and(|bounds| {
                    our_places.iter().any(|ours| overlaps(ours, bounds) || self.may_be_told_otherwise(ours))
                })
        };
        for entry in their_places.iter().filter(may_meet) {
            let deleted = deletion_vector(&theirs.objects, theirs.table.id, entry).await?.unwrap_or_default();
            identify(theirs, entry, &deleted, |row| {
                let id = self.told_as(row.id);
                if !before.contains(id) {
                    found.insert(id, (entry.id, row.position));
                }
                Ok(())
            })
            .await?;
        }
        let ids = sorted(&found);
        let may_hold = |entry: &&FileEntry| may_hold(entry, &ids) || self.may_be_told_otherwise(entry);
        for entry in our_places.iter().filter(may_hold) {
            let ours = self.ours;
            let deleted = deletion_vector(&ours.objects, ours.table.id, entry).await?.unwrap_or_default();
            identify(ours, entry, &deleted, |row| {
                let id = self.told_as(row.id);
                if let Some(theirs) = found.remove(&id) {
                    let back = |place| Side::new(RowFate::Restored, Some(place));
                    let (ours, theirs) = (back((entry.id, row.position)), back(theirs));
                    sought.rows.insert(id, Row { base: None, version: UNSETTLED, ours, theirs });
                }
                Ok(())
            })
            .await?;
        }
        Ok(sought)
    }

    /// Whether a file that a side added may hold rows of the base: one that stores ids, or is listed anew.
    pub(super) fn moves(&self, entry: &FileEntry) -> bool {
        let stored = entry.row_ids == strandline_format::RowIds::Stored;
        stored || entry.first_row < self.base.table.next_row
    }

    async fn sought(&self, twice: &[Twice]) -> Result<Sought> {
        let mut sought = Sought::default();
        for file in twice {
            let others = DeletionVector::below(file.base.rows)?.added_since(&file.positions);
            let side = |deletes: &Option<DeletionVector>, position: u64| {
                let live = deletes.as_ref().is_some_and(|deletes| !deletes.contains(position));
                Side::new(if live { RowFate::Left } else { RowFate::Deleted }, None)
            };
            identify(self.base, &file.base, &others, |row| {
                let [ours, theirs] = [&file.ours, &file.theirs].map(|deletes| side(deletes, row.position));
                let (base, id) = (Some((file.base.id, row.position)), self.told_as(row.id));
                sought.rows.insert(id, Row { base, version: row.updated, ours, theirs });
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
        told: Seq,
        sought: &mut Sought,
        side: impl Fn(&mut Row) -> &mut Side,
    ) -> Result<()> {
        let deleted = deletion_vector(&state.objects, state.table.id, entry).await?.unwrap_or_default();
        identify(state, entry, &deleted, |found| {
            let (id, place) = (self.told_as(found.id), Some((entry.id, found.position)));
            // A file that may hold rows of the base may be one of the base's own, in which the row is left.
            if let Some(row) = sought.rows.get_mut(&id).filter(|row| row.base != place) {
                let moved = row.version <= told && found.updated == row.version;
                let fate = if moved { RowFate::Moved } else { RowFate::Changed };
                *side(row) = Side { fate, place, is_other: id != found.id };
            }
            Ok(())
        })
        .await
    }
}

impl Sought {
    /// Adds what becomes of them, with all conflicts or those that are listed.
    fn settle(
        mut self,
        (choices, has_back, keeps): (&RowChoices, [bool; 2], bool),
        is_shared: impl Fn(Place) -> bool,
        merged: &mut RowsMerged,
    ) -> Result<()> {
        for id in sorted(&self.rows) {
            let Some(row) = self.rows.remove(&id) else { continue };
            if row.ours.place == row.theirs.place && row.ours.place.is_some_and(&is_shared) {
                // Back in one place on both sides, which has one state of it.
                continue;
            }
            let merge = match RowMerge::with_fields_back(row.ours.fate, row.theirs.fate, has_back) {
                // What has another id there is written with its own [MRG-4].
                RowMerge::Theirs if row.theirs.is_other => RowMerge::Conflict,
                merge => merge,
            };
            match merge {
                RowMerge::Ours => lose(&mut merged.theirs_lose, row.theirs)?,
                RowMerge::Theirs => lose(&mut merged.ours_lose, row.ours)?,
                RowMerge::Deleted => {
                    lose(&mut merged.ours_lose, row.ours)?;
                    lose(&mut merged.theirs_lose, row.theirs)?;
                }
                RowMerge::Conflict => match choices.of(id).filter(|choice| row.can_have(*choice)) {
                    Some(RowChoice::Side(Whose::Ours)) => lose(&mut merged.theirs_lose, row.theirs)?,
                    Some(RowChoice::Side(Whose::Theirs)) => lose(&mut merged.ours_lose, row.ours)?,
                    Some(RowChoice::Given) => {
                        lose(&mut merged.ours_lose, row.ours)?;
                        lose(&mut merged.theirs_lose, row.theirs)?;
                    }
                    None => {
                        // What it comes to is open; until then it stands nowhere.
                        merged.conflicts.push(row.contested(id), keeps);
                        lose(&mut merged.ours_lose, row.ours)?;
                        lose(&mut merged.theirs_lose, row.theirs)?;
                    }
                },
            }
        }
        Ok(())
    }
}

impl Row {
    fn contested(&self, id: u64) -> Contested {
        let row = RowConflict { row: RowId(id), ours: self.ours.fate, theirs: self.theirs.fate };
        let place = |side: Side| if side.fate == RowFate::Left { self.base } else { side.place };
        Contested { row, base: self.base, ours: place(self.ours), theirs: place(self.theirs) }
    }

    /// Whether a choice leaves it somewhere: the place of a side that left it is gone, so it has to be given.
    fn can_have(&self, choice: RowChoice) -> bool {
        match choice {
            RowChoice::Side(Whose::Ours) => self.ours.fate != RowFate::Left,
            RowChoice::Side(Whose::Theirs) => self.theirs.fate != RowFate::Left,
            RowChoice::Given => true,
        }
    }
}

/// The ids of rows, ascending.
fn sorted<T>(rows: &HashMap<u64, T>) -> Vec<u64> {
    let mut ids: Vec<u64> = rows.keys().copied().collect();
    ids.sort_unstable();
    ids
}

/// Whether a file may hold any of these rows, which ascend: many small files lie between the first and the last of them.
fn may_hold(entry: &FileEntry, ids: &[u64]) -> bool {
    entry.row_id_bounds().is_some_and(|(min, max)| {
        let from = ids.partition_point(|id| *id < min);
        ids.get(from).is_some_and(|id| *id <= max)
    })
}

fn overlaps(entry: &FileEntry, (first, last): (u64, u64)) -> bool {
    entry.row_id_bounds().is_some_and(|(min, max)| min <= last && first <= max)
}

fn lose(places: &mut BTreeMap<FileId, DeletionVector>, side: Side) -> Result<()> {
    if let Some((file, position)) = side.place {
        places.entry(file).or_default().insert(position)?;
    }
    Ok(())
}
