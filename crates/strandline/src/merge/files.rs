//! The files of a table that both sides changed [REB-3..9, REB-16].

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use strandline_format::merge::{FileMerge, FileSide, FileSides, ListMap, TouchedTwice};
use strandline_format::tree::Columns;
use strandline_format::{
    Deletes, DeletionVector, FileEntry, FileId, Files, Filter, MAX_INLINE_DELETES, ObjectRef, Renumbering,
};

use crate::error::{Error, Result};
use crate::merge::conflict::{Conflict, ConflictKind};
use crate::merge::moves::Moves;
use crate::merge::rows::Twice;
use crate::merge::table::TableRebase;
use crate::scan::deletion_vector;
use crate::storage::DataKind;
use crate::table::TableState;
use crate::tree::{Change, FileFilter, KeyRange, Select};

/// How many changed files are looked up on our side at a time.
const LOOKUPS: usize = 1024;

/// What to do to one of our entries.
pub(super) struct FileEdit {
    pub(super) before: Option<FileEntry>,
    pub(super) after: Option<FileEntry>,
}

/// The files on all sides.
pub(super) struct FilesMerge<'a> {
    pub(super) table: &'a TableRebase<'a>,
    pub(super) numbers: &'a Renumbering,
    pub(super) lists: &'a ListMap,
}

/// What a merge of files comes to.
pub(super) struct FilesMerged {
    /// By the id of the entry: each is edited once.
    pub(super) edits: BTreeMap<FileId, FileEdit>,
    /// The numbers of theirs that are listed again, and what they are then [REB-9].
    again: BTreeMap<FileId, FileId>,
    /// Deletion vectors that were put.
    pub(super) stored: Vec<ObjectRef>,
    /// The first number that is left.
    pub(super) next_file: FileId,
}

/// Rows, by file and position.
type Places = BTreeMap<FileId, DeletionVector>;

impl FilesMerged {
    /// What the result deletes of a file of ours; `None` if it does not list it.
    pub(super) fn deletes_of_ours<'e>(&'e self, entry: &'e FileEntry) -> Option<&'e Option<Deletes>> {
        match self.edits.get(&entry.id) {
            Some(edit) => edit.after.as_ref().map(|after| &after.deletes),
            None => Some(&entry.deletes),
        }
    }

    /// The same of a file of theirs, of which it lists what was brought in.
    pub(super) fn deletes_of_theirs(&self, file: FileId, numbers: &Renumbering) -> Option<&Option<Deletes>> {
        let id = self.again.get(&file).copied().or_else(|| numbers.file(file))?;
        self.edits.get(&id)?.after.as_ref().map(|after| &after.deletes)
    }
}

/// What the walk over the changes has come to.
struct Found<'a> {
    /// By the id of the entry: each is edited once.
    edits: BTreeMap<FileId, FileEdit>,
    /// The first number that is left.
    next_file: FileId,
    /// The numbers of theirs that are listed again, and what they are then [REB-9].
    again: BTreeMap<FileId, FileId>,
    /// Files that the sides disagree on as a whole.
    collisions: Vec<FileId>,
    /// What our side moved; looked for where theirs overwrites.
    our_moves: Moves<'a>,
    /// Deletion vectors that were put.
    stored: Vec<ObjectRef>,
    /// The places that our side has and the base has not, once they were asked for.
    our_places: Option<Vec<FileEntry>>,
    /// Rows that both sides touched.
    twice: Vec<Twice>,
}

impl FilesMerge<'_> {
    /// What becomes of our entries. Requests: those of the difference between base and theirs, lookups in ours of what theirs
    /// changed, and deletion vectors of entries that both sides changed.
    pub(super) async fn run(&self, next_file: FileId, conflicts: &mut Vec<Conflict>) -> Result<FilesMerged> {
        let TableRebase { base, ours, theirs, .. } = *self.table;
        let overwrites = !theirs.overwrites.is_empty();
        let mut found = Found {
            edits: BTreeMap::new(),
            next_file,
            again: BTreeMap::new(),
            collisions: Vec::new(),
            our_moves: Moves::between(&ours.trees, (base, ours), self.table.start.filter(|_| overwrites))
                .await?,
            stored: Vec::new(),
            our_places: None,
            twice: Vec::new(),
        };
        let changes = ours.trees.diff(&base.table.files, &theirs.table.files).chunks(LOOKUPS);
        let mut changes = std::pin::pin!(changes);
        while let Some(chunk) = changes.next().await {
            let chunk: Vec<Change<Files>> = chunk.into_iter().collect::<Result<_>>()?;
            self.merge_chunk(chunk, &mut found).await?;
        }
        self.merge_left(&mut found).await?;
        self.check_overwrites(&mut found).await?;
        self.merge_twice(&mut found, conflicts).await?;
        let [ours, theirs] = self.table.choices.lost.clone();
        self.lose_all((ours, theirs), &mut found).await?;
        if !found.collisions.is_empty() {
            conflicts.push(self.table.conflict(ConflictKind::Files(found.collisions)));
        }
        let Found { edits, again, stored, next_file, .. } = found;
        Ok(FilesMerged { edits, again, stored, next_file })
    }

    async fn merge_chunk(&self, chunk: Vec<Change<Files>>, found: &mut Found<'_>) -> Result<()> {
        let (added, changed): (Vec<_>, Vec<_>) = chunk
            .into_iter()
            .partition(|change| change.before.is_none() && self.table.theirs.is_new(change.key));
        for entry in added.into_iter().filter_map(|change| change.after) {
            let after = self.numbers.translate(&entry, self.lists, self.table.version)?;
            found.edits.insert(after.id, FileEdit { before: None, after: Some(after) });
        }
        let keys: Vec<FileId> = changed.iter().map(|change| change.key).collect();
        let ours = self.table.ours.trees.get_many(&self.table.ours.table.files, &keys).await?;
        for (change, ours) in changed.into_iter().zip(ours) {
            self.merge_file(change, ours, found).await?;
        }
        Ok(())
    }

    /// Notes the rows of files that theirs has left which ours wrote anew, without a field that theirs has back. Requests: none
    /// unless there is one; then those of all files of the base.
    async fn merge_left(&self, found: &mut Found<'_>) -> Result<()> {
        let TableRebase { base, ours, theirs, .. } = *self.table;
        if !theirs.schema.has_back(&base.schema, &ours.schema) {
            return Ok(());
        }
        let everything = KeyRange::new(..);
        let mut batches = std::pin::pin!(ours.trees.scan(&base.table.files, &everything));
        while let Some(batch) = batches.try_next().await? {
            let entries: Vec<FileEntry> = batch.entries().collect();
            let ids: Vec<FileId> = entries.iter().map(|entry| entry.id).collect();
            let our_entries = ours.trees.get_many(&ours.table.files, &ids);
            let their_entries = ours.trees.get_many(&theirs.table.files, &ids);
            let (our_entries, their_entries) = futures::try_join!(our_entries, their_entries)?;
            for ((entry, ours), theirs) in entries.into_iter().zip(our_entries).zip(their_entries) {
                // Any other is among the changes.
                if theirs.as_ref() == Some(&entry) {
                    self.merge_sides((Some(&entry), ours.as_ref(), Some(&entry)), found).await?;
                }
            }
        }
        Ok(())
    }

    async fn merge_file(
        &self,
        change: Change<Files>,
        ours: Option<FileEntry>,
        found: &mut Found<'_>,
    ) -> Result<()> {
        let id = change.key;
        // An overwrite that removed what the other side removed as well would leave what both put in its place.
        let overwritten = !self.table.theirs.overwrites.is_empty() && !found.our_moves.are_moved();
        if change.after.is_none() && ours.is_none() && overwritten {
            found.collisions.push(id);
            return Ok(());
        }
        let theirs = change.after.map(|entry| self.lists.translate(&entry)).transpose()?;
        let sides = (change.before.as_ref(), ours.as_ref(), theirs.as_ref());
        let merged = self.merge_sides(sides, found).await?;
        self.enter(merged, (ours, theirs), id, found).await
    }

    /// Carries out what an entry comes to.
    async fn enter(
        &self,
        merged: FileMerge,
        (ours, theirs): (Option<FileEntry>, Option<FileEntry>),
        id: FileId,
        found: &mut Found<'_>,
    ) -> Result<()> {
        match merged {
            FileMerge::Ours => {}
            FileMerge::Theirs => {
                // What it is added in is the version of this branch in which its rows came [FILE-11].
                let added = ours.as_ref().map_or(self.table.version, |entry| entry.added);
                let after = theirs.map(|entry| FileEntry { added, ..entry });
                found.edits.insert(id, FileEdit { before: ours, after });
            }
            FileMerge::Remove => {
                found.edits.insert(id, FileEdit { before: ours, after: None });
            }
            FileMerge::Deletes(deletes) => {
                let Some(before) = ours else { return Ok(()) };
                let after = self.with_deletes(&before, &deletes, found).await?;
                found.edits.insert(id, FileEdit { before: Some(before), after });
            }
            FileMerge::Again(deletes) => {
                let Some(entry) = theirs else { return Ok(()) };
                let entry = FileEntry { id: found.next_file, added: self.table.version, ..entry };
                found.next_file = entry.id.next()?;
                found.again.insert(id, entry.id);
                let after = self.with_deletes(&entry, &deletes, found).await?;
                found.edits.insert(entry.id, FileEdit { before: None, after });
            }
            FileMerge::Rows(_) | FileMerge::Conflict(_) => found.collisions.push(id),
        }
        Ok(())
    }

    /// What an entry comes to by its deletion vectors. Rows that both sides touched are noted, to be told apart by their ids.
    async fn merge_sides(
        &self,
        (base, ours, theirs): (Option<&FileEntry>, Option<&FileEntry>, Option<&FileEntry>),
        found: &mut Found<'_>,
    ) -> Result<FileMerge> {
        let load = |entry: Option<&FileEntry>| self.deletes(entry.cloned());
        let (base_deletes, our_deletes, their_deletes) =
            futures::try_join!(load(base), load(ours), load(theirs))?;
        let our_places = match &mut found.our_places {
            Some(known) => known,
            slot => slot.insert(self.our_places().await?),
        };
        let mut sides = FileSides {
            base: side(base, &base_deletes),
            ours: side(ours, &our_deletes),
            theirs: side(theirs, &their_deletes),
            ours_moves: !our_places.is_empty(),
            theirs_moves: self.table.has_their_places(),
        };
        let merged = sides.merge();
        let Some(base) = base else { return Ok(merged) };
        let mut positions = unlike(&sides, self.table.has_back())?;
        if self.table.may_stand_for_others(base) {
            positions = positions.union(&gone(&sides, sides.theirs)?);
        }
        match &merged {
            FileMerge::Rows(TouchedTwice::Positions(touched)) => positions = positions.union(touched),
            FileMerge::Rows(TouchedTwice::AllLive) => {
                positions = DeletionVector::below(base.rows)?.added_since(&base_deletes);
            }
            _ if positions.is_empty() => return Ok(merged),
            _ => {}
        }
        // What the vectors say of all other rows.
        (sides.ours_moves, sides.theirs_moves) = (false, false);
        let merged = sides.merge();
        let of = |entry: Option<&FileEntry>, deletes: DeletionVector| entry.map(|_| deletes);
        let (ours, theirs) = (of(ours, our_deletes), of(theirs, their_deletes));
        found.twice.push(Twice { base: base.clone(), positions, ours, theirs });
        Ok(merged)
    }

    async fn deletes(&self, entry: Option<FileEntry>) -> Result<DeletionVector> {
        let state = self.table.ours;
        match &entry {
            Some(entry) => {
                Ok(deletion_vector(&state.objects, state.table.id, entry).await?.unwrap_or_default())
            }
            None => Ok(DeletionVector::new()),
        }
    }

    /// Where our side may have rows that the base has in other places, with what is known of their ids alone.
    async fn our_places(&self) -> Result<Vec<FileEntry>> {
        if let Some(known) = self.table.our_places {
            return Ok(known.to_vec());
        }
        let (base, ours) = (&self.table.base.table, self.table.ours);
        let since = KeyRange::new(base.next_file..);
        let mut batches = std::pin::pin!(ours.trees.scan(&ours.table.files, &since));
        let mut places = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            places.extend(batch.entries().filter(|entry| self.table.moves(entry)));
        }
        Ok(places)
    }

    /// Tells rows that both sides touched apart by their ids, and takes away the places that lose theirs.
    async fn merge_twice(&self, found: &mut Found<'_>, conflicts: &mut Vec<Conflict>) -> Result<()> {
        if found.twice.is_empty() && !self.table.restores_on_both() {
            return Ok(());
        }
        let our_places = match found.our_places.take() {
            Some(known) => known,
            None => self.our_places().await?,
        };
        let merged = Box::pin(self.table.merge_rows(&found.twice, &our_places)).await?;
        if merged.conflicts.count() > 0 {
            conflicts.push(self.table.conflict(ConflictKind::Rows(merged.conflicts.whole())));
        }
        self.lose_all((merged.ours_lose, merged.theirs_lose), found).await
    }

    /// Takes rows out of places of both sides, those of theirs under the ids that theirs has.
    async fn lose_all(&self, (ours, theirs): (Places, Places), found: &mut Found<'_>) -> Result<()> {
        self.ours_lose(ours, found).await?;
        for (file, lost) in theirs {
            let again = found.again.get(&file).copied();
            let Some(id) = again.or_else(|| self.numbers.file(file)) else { continue };
            let Some(edit) = found.edits.remove(&id) else { continue };
            self.lose(id, edit, &lost, found).await?;
        }
        Ok(())
    }

    /// Takes rows out of our places, whatever else is done to their files.
    async fn ours_lose(&self, lose: Places, found: &mut Found<'_>) -> Result<()> {
        let ids: Vec<FileId> = lose.keys().copied().collect();
        let entries = self.table.ours.trees.get_many(&self.table.ours.table.files, &ids).await?;
        for ((id, lost), entry) in lose.into_iter().zip(entries) {
            let untouched = || FileEdit { before: entry.clone(), after: entry };
            let edit = found.edits.remove(&id).unwrap_or_else(untouched);
            self.lose(id, edit, &lost, found).await?;
        }
        Ok(())
    }

    /// Takes rows out of what an edit leaves.
    async fn lose(
        &self,
        id: FileId,
        mut edit: FileEdit,
        lost: &DeletionVector,
        found: &mut Found<'_>,
    ) -> Result<()> {
        if let Some(after) = edit.after.take() {
            edit.after = self.losing(&after, lost, found).await?;
        }
        if edit.before.is_some() || edit.after.is_some() {
            found.edits.insert(id, edit);
        }
        Ok(())
    }

    /// An entry without these rows; `None` if none are left.
    async fn losing(
        &self,
        entry: &FileEntry,
        lost: &DeletionVector,
        found: &mut Found<'_>,
    ) -> Result<Option<FileEntry>> {
        let deletes = self.deletes(Some(entry.clone())).await?.union(lost);
        self.with_deletes(entry, &deletes, found).await
    }

    async fn with_deletes(
        &self,
        entry: &FileEntry,
        deletes: &DeletionVector,
        found: &mut Found<'_>,
    ) -> Result<Option<FileEntry>> {
        if deletes.cardinality() >= entry.rows {
            return Ok(None);
        }
        if deletes.is_empty() {
            return Ok(Some(FileEntry { deletes: None, ..entry.clone() }));
        }
        let deletes = self.store(deletes).await?;
        if let Deletes::Stored { object, .. } = &deletes {
            found.stored.push(*object);
        }
        Ok(Some(FileEntry { deletes: Some(deletes), ..entry.clone() }))
    }

    /// The united deletes as an entry holds them [FILE-7].
    async fn store(&self, deletes: &DeletionVector) -> Result<Deletes> {
        let (state, rows) = (self.table.ours, deletes.cardinality());
        let blob = deletes.encode()?;
        if blob.len() <= MAX_INLINE_DELETES {
            return Ok(Deletes::Inline { rows, blob });
        }
        let object = state
            .objects
            .put_data(DataKind::DeletionVector, state.table.id, blob.into(), self.table.era)
            .await?;
        Ok(Deletes::Stored { rows, object })
    }

    /// What the other side wrote since, where theirs replaces everything, collides, and what it did to a file that theirs would
    /// have replaced by itself [REB-16].
    async fn check_overwrites(&self, found: &mut Found<'_>) -> Result<()> {
        let TableRebase { base, ours, theirs, .. } = *self.table;
        if theirs.overwrites.is_empty() {
            return Ok(());
        }
        let filter = Filter::Or(theirs.overwrites.clone());
        let reach = FileFilter::new(filter, &ours.table, &ours.schema);
        let mut changes = std::pin::pin!(ours.trees.diff(&base.table.files, &ours.table.files));
        while let Some(change) = changes.try_next().await? {
            let collides = match (&change.before, &change.after) {
                (None, Some(written)) => reaches(&reach, written) && !found.our_moves.is_moved(written),
                (_, None) if theirs.kept.contains(&change.key) => !found.our_moves.are_all(),
                _ if theirs.kept.contains(&change.key) => true,
                (Some(before), Some(after)) if reaches(&reach, after) => {
                    brings_back((base, before), (ours, after)).await?
                }
                _ => false,
            };
            if collides {
                found.collisions.push(change.key);
            }
        }
        Ok(())
    }
}

/// Rows that only one side may have written anew, without a field that the other one has back.
fn unlike(sides: &FileSides<'_>, [by_ours, by_theirs]: [bool; 2]) -> Result<DeletionVector> {
    let mut unlike = DeletionVector::new();
    if by_theirs && sides.ours_moves {
        unlike = gone(sides, sides.ours)?.added_since(&gone(sides, sides.theirs)?);
    }
    if by_ours && sides.theirs_moves {
        unlike = unlike.union(&gone(sides, sides.theirs)?.added_since(&gone(sides, sides.ours)?));
    }
    Ok(unlike)
}

/// Rows of the base that are not live on a side in the place that the base has them in.
fn gone(sides: &FileSides<'_>, side: Option<FileSide<'_>>) -> Result<DeletionVector> {
    let Some(base) = sides.base else { return Ok(DeletionVector::new()) };
    match side {
        Some(side) => Ok(side.deletes.added_since(base.deletes)),
        None => Ok(DeletionVector::below(base.entry.rows)?.added_since(base.deletes)),
    }
}

fn side<'a>(entry: Option<&'a FileEntry>, deletes: &'a DeletionVector) -> Option<FileSide<'a>> {
    entry.map(|entry| FileSide { entry, deletes })
}

/// Whether rows of a file that one state had deleted are there in another. Requests: at most two, for vectors that are objects.
pub(super) async fn brings_back(
    (then, before): (&TableState, &FileEntry),
    (now, after): (&TableState, &FileEntry),
) -> Result<bool> {
    if before.deletes.is_none() || before.deletes == after.deletes {
        return Ok(false);
    }
    let deletes = async |state: &TableState, entry: &FileEntry| {
        Ok::<_, Error>(deletion_vector(&state.objects, state.table.id, entry).await?.unwrap_or_default())
    };
    let (before, after) = futures::try_join!(deletes(then, before), deletes(now, after))?;
    Ok(!after.contains_all(&before))
}

/// Whether a file may hold a row that passes.
pub(crate) fn reaches(filter: &FileFilter, entry: &FileEntry) -> bool {
    let columns = strandline_format::FileColumns::from_items(std::slice::from_ref(entry));
    !filter.entries(&columns).none()
}
