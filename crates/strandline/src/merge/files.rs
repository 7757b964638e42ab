//! The files of a table that both sides changed [REB-3..9, REB-16].

use futures::{StreamExt, TryStreamExt};
use strandline_format::merge::{FileMerge, FileSide, FileSides, ListMap};
use strandline_format::tree::Columns;
use strandline_format::{
    Deletes, DeletionVector, FileEntry, FileId, Files, Filter, MAX_INLINE_DELETES, ObjectRef, Renumbering,
    RowIds,
};

use crate::error::{Error, Result};
use crate::merge::conflict::{Conflict, ConflictKind};
use crate::merge::table::TableRebase;
use crate::scan::deletion_vector;
use crate::storage::DataKind;
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

/// What the walk over the changes has come to.
#[derive(Default)]
struct Found {
    edits: Vec<FileEdit>,
    /// Files that both sides touched in a way that only their rows could settle.
    collisions: Vec<FileId>,
    /// Deletion vectors that were put.
    stored: Vec<ObjectRef>,
    /// Whether our side added files that store row ids, once that was asked for.
    ours_moves: Option<bool>,
}

impl FilesMerge<'_> {
    /// What becomes of our entries. Requests: those of the difference between base and theirs, lookups in ours of what theirs
    /// changed, and deletion vectors of entries that both sides changed.
    pub(super) async fn run(&self, conflicts: &mut Vec<Conflict>) -> Result<(Vec<FileEdit>, Vec<ObjectRef>)> {
        let TableRebase { base, ours, theirs, .. } = *self.table;
        let mut found = Found::default();
        let changes = ours.trees.diff(&base.table.files, &theirs.table.files).chunks(LOOKUPS);
        let mut changes = std::pin::pin!(changes);
        while let Some(chunk) = changes.next().await {
            let chunk: Vec<Change<Files>> = chunk.into_iter().collect::<Result<_>>()?;
            self.merge_chunk(chunk, &mut found).await?;
        }
        self.check_overwrites(&mut found).await?;
        if !found.collisions.is_empty() {
            conflicts.push(self.table.conflict(ConflictKind::Files(found.collisions)));
        }
        Ok((found.edits, found.stored))
    }

    async fn merge_chunk(&self, chunk: Vec<Change<Files>>, found: &mut Found) -> Result<()> {
        let (added, changed): (Vec<_>, Vec<_>) =
            chunk.into_iter().partition(|change| self.table.theirs.is_new(change.key));
        for entry in added.into_iter().filter_map(|change| change.after) {
            let after = self.numbers.translate(&entry, self.lists, self.table.version)?;
            found.edits.push(FileEdit { before: None, after: Some(after) });
        }
        let keys: Vec<FileId> = changed.iter().map(|change| change.key).collect();
        let ours = self.table.ours.trees.get_many(&self.table.ours.table.files, &keys).await?;
        for (change, ours) in changed.into_iter().zip(ours) {
            self.merge_file(change, ours, found).await?;
        }
        Ok(())
    }

    async fn merge_file(
        &self,
        change: Change<Files>,
        ours: Option<FileEntry>,
        found: &mut Found,
    ) -> Result<()> {
        let id = change.key;
        // An overwrite that removed what the other side removed as well would leave what both put in its place.
        if change.after.is_none() && ours.is_none() && !self.table.theirs.overwrites.is_empty() {
            found.collisions.push(id);
            return Ok(());
        }
        let theirs = change.after.map(|entry| self.lists.translate(&entry)).transpose()?;
        let ours_moves = match found.ours_moves {
            Some(known) => known,
            None => *found.ours_moves.insert(self.ours_moves().await?),
        };
        let sides = (change.before.as_ref(), ours.as_ref(), theirs.as_ref());
        match self.merge_sides(sides, ours_moves).await? {
            FileMerge::Ours => {}
            FileMerge::Theirs => found.edits.push(FileEdit { before: ours, after: theirs }),
            FileMerge::Remove => found.edits.push(FileEdit { before: ours, after: None }),
            FileMerge::Deletes(deletes) => {
                let Some(before) = ours else { return Ok(()) };
                let deletes = self.store(&deletes).await?;
                if let Deletes::Stored { object, .. } = &deletes {
                    found.stored.push(*object);
                }
                let after = FileEntry { deletes: Some(deletes), ..before.clone() };
                found.edits.push(FileEdit { before: Some(before), after: Some(after) });
            }
            FileMerge::Rows(_) | FileMerge::Conflict(_) => found.collisions.push(id),
        }
        Ok(())
    }

    async fn merge_sides(
        &self,
        (base, ours, theirs): (Option<&FileEntry>, Option<&FileEntry>, Option<&FileEntry>),
        ours_moves: bool,
    ) -> Result<FileMerge> {
        let state = self.table.ours;
        let load = |entry: Option<&FileEntry>| {
            let entry = entry.cloned();
            async move {
                match &entry {
                    Some(entry) => {
                        Ok(deletion_vector(&state.objects, state.table.id, entry).await?.unwrap_or_default())
                    }
                    None => Ok::<_, Error>(DeletionVector::new()),
                }
            }
        };
        let (base_deletes, our_deletes, their_deletes) =
            futures::try_join!(load(base), load(ours), load(theirs))?;
        let sides = FileSides {
            base: side(base, &base_deletes),
            ours: side(ours, &our_deletes),
            theirs: side(theirs, &their_deletes),
            ours_moves,
            theirs_moves: self.table.theirs.new_files().any(|entry| entry.row_ids == RowIds::Stored),
        };
        Ok(sides.merge())
    }

    /// Whether our side added files that store row ids.
    async fn ours_moves(&self) -> Result<bool> {
        let (base, ours) = (&self.table.base.table, self.table.ours);
        let since = KeyRange::new(base.next_file..);
        let mut batches = std::pin::pin!(ours.trees.scan(&ours.table.files, &since));
        while let Some(batch) = batches.try_next().await? {
            if batch.entries().any(|entry| entry.row_ids == RowIds::Stored) {
                return Ok(true);
            }
        }
        Ok(false)
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
    async fn check_overwrites(&self, found: &mut Found) -> Result<()> {
        let TableRebase { base, ours, theirs, .. } = *self.table;
        if theirs.overwrites.is_empty() {
            return Ok(());
        }
        let filter = Filter::Or(theirs.overwrites.clone());
        let reach = FileFilter::new(filter, &ours.table, &ours.schema);
        let mut changes = std::pin::pin!(ours.trees.diff(&base.table.files, &ours.table.files));
        while let Some(change) = changes.try_next().await? {
            let collides = match (&change.before, &change.after) {
                (None, Some(written)) => reaches(&reach, written),
                _ => theirs.kept.contains(&change.key),
            };
            if collides {
                found.collisions.push(change.key);
            }
        }
        Ok(())
    }
}

fn side<'a>(entry: Option<&'a FileEntry>, deletes: &'a DeletionVector) -> Option<FileSide<'a>> {
    entry.map(|entry| FileSide { entry, deletes })
}

/// Whether a file may hold a row that passes.
pub(crate) fn reaches(filter: &FileFilter, entry: &FileEntry) -> bool {
    let columns = strandline_format::FileColumns::from_items(std::slice::from_ref(entry));
    !filter.entries(&columns).none()
}
