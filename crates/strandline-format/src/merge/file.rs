//! Three-way merge of one file entry, by its id [REB-6, REB-9].
//!
//! Invariant: what can be told from the entries and their deletion vectors is told; where a row may have been touched by both
//! sides, and only the files themselves know what became of it, the answer is which rows those are [REB-8], never a guess.

use crate::deletion_vector::DeletionVector;
use crate::file::FileEntry;

/// One file on one side: its entry with its deletion vector, which may be an object of its own and is therefore handed in.
///
/// ```
#[doc = include_str!("../file/file.example")]
/// use strandline_format::DeletionVector;
/// use strandline_format::merge::FileSide;
///
/// let (entry, deletes) = (file(1, 3), DeletionVector::from_positions([2])?);
/// let side = FileSide { entry: &entry, deletes: &deletes };
/// assert!(side.deletes.max() < Some(side.entry.rows));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FileSide<'a> {
    /// The entry.
    pub entry: &'a FileEntry,
    /// Which of its rows are deleted.
    pub deletes: &'a DeletionVector,
}

/// One file id on all sides. Ids of base and theirs were translated to ours' numbers before [MRG-3].
///
/// ```
#[doc = include_str!("../file/file.example")]
/// use strandline_format::DeletionVector;
/// use strandline_format::merge::{FileMerge, FileSide, FileSides};
///
/// let entry = file(1, 3);
/// let [none, first, last] = [vec![], vec![0], vec![2]].map(|rows| DeletionVector::from_positions(rows).unwrap());
/// let side = |deletes| Some(FileSide { entry: &entry, deletes });
/// let sides =
///     FileSides { base: side(&none), ours: side(&first), theirs: side(&last), ours_moves: false, theirs_moves: false };
/// // Each side has deleted another row, so both are gone.
/// assert_eq!(sides.merge(), FileMerge::Deletes(first.union(&last)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FileSides<'a> {
    /// At the base.
    pub base: Option<FileSide<'a>>,
    /// On our side.
    pub ours: Option<FileSide<'a>>,
    /// On their side.
    pub theirs: Option<FileSide<'a>>,
    /// Whether our side has rows of the base in places that it did not have them in there, in whatever file: only then may what it
    /// deleted have moved.
    pub ours_moves: bool,
    /// The same of their side.
    pub theirs_moves: bool,
}

/// What an entry comes to.
///
/// ```
#[doc = include_str!("../file/file.example")]
/// use strandline_format::DeletionVector;
/// use strandline_format::merge::{FileMerge, FileSide, FileSides};
///
/// let (entry, none) = (file(1, 3), DeletionVector::new());
/// let side = Some(FileSide { entry: &entry, deletes: &none });
/// let kept = FileSides { base: side, ours: side, theirs: side, ours_moves: false, theirs_moves: false };
/// assert_eq!(kept.merge(), FileMerge::Ours);
/// let removed = FileSides { theirs: None, ..kept };
/// // Theirs has nothing there any more.
/// assert_eq!(removed.merge(), FileMerge::Theirs);
/// ```
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
    /// Their entry with these rows deleted, listed again under an id of its own: rows are back of a file that ours does not list [REB-9].
    Again(DeletionVector),
    /// Both sides touched these rows: what became of each is found by the ids of the rows in the places that are new [REB-8].
    Rows(TouchedTwice),
    /// The sides have different files under one id: they were not translated, or one of them is damaged.
    Conflict(Box<FileConflict>),
}

/// Rows of the base that both sides touched.
///
/// ```
#[doc = include_str!("../file/file.example")]
/// use strandline_format::DeletionVector;
/// use strandline_format::merge::{FileMerge, FileSide, FileSides, TouchedTwice};
///
/// let entry = file(1, 3);
/// let [none, some, more] = [vec![], vec![0, 1], vec![1, 2]].map(|rows| DeletionVector::from_positions(rows).unwrap());
/// let side = |deletes| Some(FileSide { entry: &entry, deletes });
/// // Rows may have been written elsewhere, so it is to be asked what became of the row that both have taken away.
/// let sides =
///     FileSides { base: side(&none), ours: side(&some), theirs: side(&more), ours_moves: true, theirs_moves: true };
/// let twice = TouchedTwice::Positions(DeletionVector::from_positions([1])?);
/// assert_eq!(sides.merge(), FileMerge::Rows(twice));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum TouchedTwice {
    /// Those at these positions.
    Positions(DeletionVector),
    /// All that were live at the base: no side has any of them there any more.
    AllLive,
}

/// Different files under one id.
///
/// ```
#[doc = include_str!("../file/file.example")]
/// use strandline_format::DeletionVector;
/// use strandline_format::merge::{FileMerge, FileSide, FileSides};
///
/// let (ours, theirs, none) = (file(1, 3), FileEntry { hash: Hash::of(b"other"), ..file(1, 5) }, DeletionVector::new());
/// let side = |entry| Some(FileSide { entry, deletes: &none });
/// let sides =
///     FileSides { base: None, ours: side(&ours), theirs: side(&theirs), ours_moves: false, theirs_moves: false };
/// let FileMerge::Conflict(conflict) = sides.merge() else { panic!("two files with one id") };
/// assert_eq!((conflict.ours, conflict.theirs), (Some(ours), Some(theirs)));
/// ```
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
        if let (None, Some(theirs)) = (self.ours, self.theirs)
            && self.base.is_none_or(|base| is_same_file(base.entry, theirs.entry))
        {
            return self.without_ours(theirs);
        }
        if same(self.ours, self.base) {
            return FileMerge::Theirs;
        }
        let listed = [self.base, self.ours, self.theirs].into_iter().flatten();
        if listed.clone().zip(listed.skip(1)).any(|(one, other)| !is_same_file(one.entry, other.entry)) {
            return self.conflict();
        }
        match (self.base, self.ours, self.theirs) {
            (Some(_), None, None) if self.ours_moves || self.theirs_moves => {
                FileMerge::Rows(TouchedTwice::AllLive)
            }
            (_, None, _) => FileMerge::Ours,
            (Some(base), Some(ours), None) => self.without_theirs(base, ours),
            (None, Some(_), None) => FileMerge::Ours,
            (base, Some(ours), Some(theirs)) => self.both(base, ours, theirs),
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

    /// Theirs no longer lists the file, ours changed its deletes: rows that are back stay.
    fn without_theirs(&self, base: FileSide<'_>, ours: FileSide<'_>) -> FileMerge {
        let plain = self.only_back((base, ours), FileMerge::Deletes);
        self.unless_moved(ours.deletes.added_since(base.deletes), plain)
    }

    /// Ours no longer lists the file, or never did: what came back in theirs is listed again.
    fn without_ours(&self, theirs: FileSide<'_>) -> FileMerge {
        let Some(base) = self.base else { return FileMerge::Again(theirs.deletes.clone()) };
        let plain = self.only_back((base, theirs), FileMerge::Again);
        self.unless_moved(theirs.deletes.added_since(base.deletes), plain)
    }

    /// An entry with nothing but the rows that the base had deleted and a side has.
    fn only_back(
        &self,
        (base, side): (FileSide<'_>, FileSide<'_>),
        listed: fn(DeletionVector) -> FileMerge,
    ) -> FileMerge {
        let back = base.deletes.added_since(side.deletes);
        if back.is_empty() {
            return FileMerge::Remove;
        }
        let all = DeletionVector::below(base.entry.rows);
        all.map_or_else(|_| self.conflict(), |all| listed(all.added_since(&back)))
    }

    /// Both list it. Where the base does not, all that either side has of it is back.
    fn both(&self, base: Option<FileSide<'_>>, ours: FileSide<'_>, theirs: FileSide<'_>) -> FileMerge {
        let Some(base) = base else {
            let deletes = ours.deletes.intersection(theirs.deletes);
            return if deletes == *ours.deletes { FileMerge::Ours } else { FileMerge::Deletes(deletes) };
        };
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
