//! Three-way merge of one file entry, by its id [REB-6].
//!
//! Invariant: what can be told from the entries and their deletion vectors is told; where a row may have been touched by both
//! sides, and only the files themselves know what became of it, the answer is which rows those are [REB-8], never a guess.

use crate::deletion_vector::DeletionVector;
use crate::file::FileEntry;

/// One file on one side: its entry with its deletion vector, which may be an object of its own and is therefore handed in.
#[derive(Clone, Copy, Debug)]
pub struct FileSide<'a> {
    /// The entry.
    pub entry: &'a FileEntry,
    /// Which of its rows are deleted.
    pub deletes: &'a DeletionVector,
}

/// One file id on all sides. Ids of base and theirs were translated to ours' numbers before [MRG-3].
#[derive(Clone, Copy, Debug)]
pub struct FileSides<'a> {
    /// At the base.
    pub base: Option<FileSide<'a>>,
    /// On our side.
    pub ours: Option<FileSide<'a>>,
    /// On their side.
    pub theirs: Option<FileSide<'a>>,
    /// Whether our side added files to the table that store row ids: only then may what it deleted have moved there.
    pub ours_moves: bool,
    /// The same of their side.
    pub theirs_moves: bool,
}

/// What an entry comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum FileMerge {
    /// What ours has, if anything.
    Ours,
    /// What theirs has, if anything.
    Theirs,
    /// Nothing: no live row is left.
    Remove,
    /// Our entry with these rows deleted.
    Deletes(DeletionVector),
    /// Both sides touched these rows: what became of each is in the row ids that the added files store [REB-8].
    Rows(TouchedTwice),
    /// The sides have different files under one id: they were not translated, or one of them is damaged.
    Conflict(Box<FileConflict>),
}

/// Rows of the base that both sides touched.
#[derive(Clone, Debug, PartialEq)]
pub enum TouchedTwice {
    /// Those at these positions.
    Positions(DeletionVector),
    /// All that were live at the base: no side lists the file any more.
    AllLive,
}

/// Different files under one id.
#[derive(Clone, Debug, PartialEq)]
pub struct FileConflict {
    /// Our entry.
    pub ours: Option<FileEntry>,
    /// Their entry.
    pub theirs: Option<FileEntry>,
}

impl FileSides<'_> {
    /// Merges the three.
    #[must_use]
    pub fn merge(&self) -> FileMerge {
        if same(self.theirs, self.base) {
            return FileMerge::Ours;
        }
        if same(self.ours, self.base) {
            return FileMerge::Theirs;
        }
        let Some(base) = self.base else {
            // Added by both; additions of theirs were given numbers of their own.
            return if same(self.ours, self.theirs) { FileMerge::Ours } else { self.conflict() };
        };
        if [self.ours, self.theirs].into_iter().flatten().any(|side| !is_same_file(base.entry, side.entry)) {
            return self.conflict();
        }
        match (self.ours, self.theirs) {
            (None, None) if self.ours_moves || self.theirs_moves => FileMerge::Rows(TouchedTwice::AllLive),
            (None, None) => FileMerge::Ours,
            (Some(kept), None) | (None, Some(kept)) => self.removed(base, kept),
            (Some(ours), Some(theirs)) => self.both(base, ours, theirs),
        }
    }

    fn conflict(&self) -> FileMerge {
        let entry = |side: Option<FileSide<'_>>| side.map(|side| side.entry.clone());
        FileMerge::Conflict(Box::new(FileConflict { ours: entry(self.ours), theirs: entry(self.theirs) }))
    }

    /// What both sides deleted is deleted, unless one of them may have moved it.
    fn unless_moved(&self, touched_twice: DeletionVector, plain: FileMerge) -> FileMerge {
        let moves = self.ours_moves || self.theirs_moves;
        if moves && !touched_twice.is_empty() {
            return FileMerge::Rows(TouchedTwice::Positions(touched_twice));
        }
        plain
    }

    /// One side no longer lists the file, the other changed its deletes.
    fn removed(&self, base: FileSide<'_>, kept: FileSide<'_>) -> FileMerge {
        let restored = base.deletes.added_since(kept.deletes);
        if !restored.is_empty() {
            let deleted = kept.deletes.added_since(base.deletes);
            return FileMerge::Rows(TouchedTwice::Positions(restored.union(&deleted)));
        }
        self.unless_moved(kept.deletes.added_since(base.deletes), FileMerge::Remove)
    }

    fn both(&self, base: FileSide<'_>, ours: FileSide<'_>, theirs: FileSide<'_>) -> FileMerge {
        let (our_deletes, their_deletes) =
            (ours.deletes.added_since(base.deletes), theirs.deletes.added_since(base.deletes));
        let restored =
            base.deletes.added_since(ours.deletes).union(&base.deletes.added_since(theirs.deletes));
        let deletes = base.deletes.union(&our_deletes).union(&their_deletes).added_since(&restored);
        let plain = if deletes == *ours.deletes {
            FileMerge::Ours
        } else if deletes.cardinality() >= base.entry.rows {
            FileMerge::Remove
        } else {
            FileMerge::Deletes(deletes)
        };
        self.unless_moved(our_deletes.intersection(&their_deletes), plain)
    }
}

/// Whether two sides say the same of an id.
fn same(one: Option<FileSide<'_>>, other: Option<FileSide<'_>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.entry == other.entry && one.deletes == other.deletes,
        _ => false,
    }
}

/// Whether two entries are of one file with the same rows. Where it was uploaded last, statistics and hints may differ: they
/// say nothing about rows.
fn is_same_file(one: &FileEntry, other: &FileEntry) -> bool {
    let identity = |entry: &FileEntry| (entry.hash, entry.rows, entry.first_row, entry.row_ids);
    identity(one) == identity(other) && one.external == other.external
}
