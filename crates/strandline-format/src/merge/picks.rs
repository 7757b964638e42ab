//! Commits that stand on several lines because they were picked from one into another, and what a pick records of its numbers [MRG-11].
//!
//! Invariants: a copy is one that says so under the key of a pick, not one that looks alike; numbers are told by what picks have recorded, never by
//! what rows hold. What does not belong here: reading commits, and what a merge makes of copies.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::EntryType;
use crate::commit::{Commit, TableChange};
use crate::error::Result;
use crate::file::RowIds;
use crate::hash::{Hash, ObjectRef};
use crate::id::{FileId, TableId, TxnId};
use crate::merge::Ancestry;
use crate::numbering::{PickedNumbers, Pieces, Renumbering};
use crate::table::Table;

/// The property that says which commit was picked [MRG-9].
pub const PICKED: &str = "strandline.picked";

/// The idempotency key under which a commit is picked: it comes into a branch once, and is known there [MRG-11].
///
/// ```
/// use strandline_format::merge::pick_key;
/// use strandline_format::Hash;
///
/// assert!(pick_key(Hash::of(b"a commit")).starts_with("strandline.pick "));
/// ```
#[must_use]
pub fn pick_key(commit: Hash) -> String {
    format!("strandline.pick {commit}")
}

impl Commit {
    /// What it was picked from, if it was picked; of a pick of a pick the first.
    #[must_use]
    pub fn picked_from(&self) -> Option<Hash> {
        let (_, origin) = self.properties.iter().find(|(key, _)| key.as_str() == PICKED)?;
        let origin: Hash = origin.as_str().parse().ok()?;
        (self.keyed && self.txn == TxnId::of_key(&pick_key(origin))).then_some(origin)
    }

    /// The tables that it wrote without a record of their numbers, if it is a pick: as a whole, with rows of other commits, or in former times.
    pub fn picked_untold(&self) -> impl Iterator<Item = TableId> {
        let is_pick = self.picked_from().is_some();
        let untold = |change: &&TableChange| change.picked.is_none() && change.writes_table();
        self.changes.iter().filter(move |_| is_pick).filter(untold).map(|change| change.table)
    }
}

impl TableChange {
    /// Whether it gave a table another node.
    fn writes_table(&self) -> bool {
        let node = |object: Option<ObjectRef>| object.map(|object| object.hash);
        self.entry_type == EntryType::Table && self.new.is_some() && node(self.old) != node(self.new)
    }
}

/// A commit that each of two heads has a copy of by itself, and not the other one's.
///
/// ```
/// use strandline_format::Hash;
/// use strandline_format::merge::{Ancestry, CopiedTwice};
///
/// let [root, commit, head, pick] = [b"root", b"comm", b"head", b"pick"].map(|text| Hash::of(text));
/// let mut graph = Ancestry::default();
/// graph.add(commit, [root]);
/// graph.add(head, [commit]);
/// graph.add(pick, [root]);
/// let found = graph.copied_twice([(commit, vec![commit, pick])], [pick, head]);
/// assert_eq!(found, [[[CopiedTwice { origin: commit, ours: pick, theirs: commit }]]]);
/// assert_eq!(found[0][0][0].source(), commit);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiedTwice {
    /// The commit that was picked, wherever it is.
    pub origin: Hash,
    /// The copy that ours has.
    pub ours: Hash,
    /// The copy that theirs has.
    pub theirs: Hash,
}

impl CopiedTwice {
    /// The copy whose change is picked into the base: the commit itself, if it is on one of the sides; else the same whichever side is ours.
    #[must_use]
    pub fn source(&self) -> Hash {
        let both = [self.ours, self.theirs];
        both.into_iter().find(|commit| *commit == self.origin).unwrap_or(self.ours.min(self.theirs))
    }
}

impl Ancestry {
    /// The commits of which each head has a copy among its ancestors that is none of the other one's, and both have none. Given are commits, each
    /// with all that may be copies of it.
    ///
    /// They are what is picked into a base, in groups of lines: one group upon the other, and of each group every line upon what was there before it.
    /// Beside each other is what comes in no order on either side, or in another one on each, so that no order tells which of them a row is of.
    #[must_use]
    pub fn copied_twice(
        &self,
        copies: impl IntoIterator<Item = (Hash, Vec<Hash>)>,
        [ours, theirs]: [Hash; 2],
    ) -> Vec<Vec<Vec<CopiedTwice>>> {
        let (ours, theirs) = (self.of(ours), self.of(theirs));
        let mut found: Vec<Dated> = Vec::new();
        for (origin, mut commits) in copies {
            // The first of several on one side is the one that counts.
            commits.sort_unstable_by_key(|commit| (*commit != origin, *commit));
            let first = |in_ours: bool, in_theirs: bool| {
                let stands = |commit: &&Hash| {
                    (ours.contains(*commit), theirs.contains(*commit)) == (in_ours, in_theirs)
                };
                commits.iter().find(stands).copied()
            };
            if let (Some(ours), Some(theirs), None) =
                (first(true, false), first(false, true), first(true, true))
            {
                found.push(Dated {
                    one: CopiedTwice { origin, ours, theirs },
                    pasts: [self.of(ours), self.of(theirs)],
                });
            }
        }
        let behind: BTreeMap<Hash, usize> =
            found.iter().map(|dated| (dated.one.origin, dated.behind(&found))).collect();
        found.sort_by_key(|dated| (behind.get(&dated.one.origin).copied(), dated.one.origin));
        in_groups(&found)
    }
}

/// A commit with all that each of its copies comes from.
struct Dated {
    one: CopiedTwice,
    pasts: [BTreeSet<Hash>; 2],
}

impl Dated {
    /// The copies of both sides.
    fn copies(&self) -> [Hash; 2] {
        [self.one.ours, self.one.theirs]
    }

    /// On which sides this one comes after another one.
    fn follows(&self, other: &Self) -> [bool; 2] {
        let [ours, theirs] = other.copies();
        [self.pasts[0].contains(&ours), self.pasts[1].contains(&theirs)]
    }

    /// Whether this one comes after another one: as on the side that has the commits themselves, which nobody put in that order by picking them; else
    /// on one side, and before it on none.
    fn is_after(&self, other: &Self) -> bool {
        let (after, before) = (self.follows(other), other.follows(self));
        let is_itself =
            |side: usize| self.copies()[side] == self.one.origin && other.copies()[side] == other.one.origin;
        match [0, 1].into_iter().find(|side| is_itself(*side)) {
            Some(side) => after[side],
            None => after != [false; 2] && before == [false; 2],
        }
    }

    /// How many of these it comes after.
    fn behind(&self, all: &[Self]) -> usize {
        all.iter().filter(|other| other.one.origin != self.one.origin && self.is_after(other)).count()
    }
}

/// The most groups of which each comes after all of those before it, and the lines of each.
fn in_groups(found: &[Dated]) -> Vec<Vec<Vec<CopiedTwice>>> {
    let mut groups: Vec<Vec<Vec<&Dated>>> = Vec::new();
    for (at, dated) in found.iter().enumerate() {
        let (before, rest) = found.split_at(at);
        let begins = rest.iter().all(|later| before.iter().all(|earlier| later.is_after(earlier)));
        let goes_on = |line: &&mut Vec<&Dated>| line.iter().all(|earlier| dated.is_after(earlier));
        match groups.last_mut().filter(|_| !begins) {
            None => groups.push(vec![vec![dated]]),
            Some(lines) => match lines.iter_mut().find(goes_on) {
                Some(line) => line.push(dated),
                None => lines.push(vec![dated]),
            },
        }
    }
    let line = |line: Vec<&Dated>| line.into_iter().map(|dated| dated.one).collect();
    groups.into_iter().map(|lines| lines.into_iter().map(line).collect()).collect()
}

/// A number of a file and one of a row, below which all that matter are, or from which on.
///
/// ```
/// use strandline_format::merge::TableEnds;
///
/// let before = TableEnds { file: 3, row: 1_000 };
/// assert!(before.file < before.row);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableEnds {
    /// Of a file.
    pub file: u64,
    /// Of a row.
    pub row: u64,
}

impl TableEnds {
    /// The first numbers that a table has not handed out.
    #[must_use]
    pub fn of(table: &Table) -> Self {
        Self { file: table.next_file.0, row: table.next_row.0 }
    }

    /// Those below which both have handed out all.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self { file: self.file.min(other.file), row: self.row.min(other.row) }
    }
}

/// What is picked of one table, as what its pick records [MRG-11].
///
/// ```
/// use strandline_format::merge::{Picking, TableEnds};
/// use strandline_format::{NumberMap, Renumbering, Step};
///
/// // The commit handed out the rows 5 to 7, which are greater by 10 where it is picked.
/// let (first, end) = (TableEnds { file: 1, row: 5 }, TableEnds { file: 2, row: 8 });
/// let rows = NumberMap::new([Step { from: 5, by: 10 }])?;
/// let picked = Picking { first, end, ..Picking::default() }.record(&Renumbering { rows, ..Renumbering::default() })?;
/// assert_eq!((picked.rows.get(5), picked.rows.get(4)), (Some(15), None));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picking {
    /// The first numbers that the commit handed out.
    pub first: TableEnds,
    /// The first that it did not hand out any more.
    pub end: TableEnds,
    /// Files and rows that it has put back and that nothing told of before where it is picked.
    pub back: PutBack,
    /// If it is a pick itself, what it has recorded.
    pub before: Option<PickedNumbers>,
}

/// What a commit has put back that is older than it and that nothing told of where it is picked: the numbers of it, as a reset lists them again.
///
/// ```
/// use strandline_format::merge::{PutBack, TableEnds};
/// use strandline_format::{FileId, PickedNumbers, Pieces, RowIds};
///
/// let known = PickedNumbers { rows: Pieces::shared(10), ..PickedNumbers::default() };
/// let mut back = PutBack::default();
/// back.note((FileId(2), RowIds::Derived, Some((15, 19))), TableEnds { file: 4, row: 30 }, &known);
/// assert!(back != PutBack::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutBack {
    files: BTreeSet<u64>,
    rows: Pieces,
}

impl PutBack {
    /// Adds a file that the commit lists and the one before it does not, with the least and the greatest id that a row of it may have. `first` is what
    /// the commit handed out first, `known` what is told of numbers where it is picked.
    ///
    /// Where ids are stored, all older ones are taken that nothing tells of, whether or not they came: files whose ids follow from places stay whole.
    pub fn note(
        &mut self,
        (file, row_ids, rows): (FileId, RowIds, Option<(u64, u64)>),
        first: TableEnds,
        known: &PickedNumbers,
    ) {
        if file.0 < first.file && known.files.get(file.0).is_none() {
            self.files.insert(file.0);
        }
        let untold = known.rows.gaps(first.row);
        if let Some((least, greatest)) = rows.filter(|rows| untold.meets(*rows)) {
            let back = match row_ids {
                RowIds::Derived => Pieces::between(least, greatest.saturating_add(1).min(first.row)),
                RowIds::Stored => untold,
            };
            self.rows = self.rows.or(&back);
        }
    }
}

impl Picking {
    /// What is recorded, of numbers that are told in those of the branch.
    ///
    /// # Errors
    /// `Malformed` if a number is none on the other side.
    pub fn record(&self, numbers: &Renumbering) -> Result<PickedNumbers> {
        let back = self.back.files.iter().map(|file| (*file, *file)).collect();
        let own = PickedNumbers {
            files: Pieces::between(self.first.file, self.end.file).or(&Pieces::of_pairs(&back)?),
            rows: Pieces::between(self.first.row, self.end.row).or(&self.back.rows),
            same: Pieces::default(),
        };
        let own = own.then(&PickedNumbers::recorded(numbers, self.end)?)?;
        let PickedNumbers { files, rows, same } = match &self.before {
            Some(before) => before.then(&own)?,
            None => own,
        };
        Ok(PickedNumbers { files: files.joined(), rows: rows.joined(), same: same.joined() })
    }
}

impl PickedNumbers {
    /// What a translation tells of all that was handed out [MRG-4].
    ///
    /// # Errors
    /// `Malformed` if a number is none on the other side.
    pub fn recorded(numbers: &Renumbering, ends: TableEnds) -> Result<Self> {
        let (files, rows) = (numbers.files.pieces(ends.file), numbers.rows.pieces(ends.row));
        let same = rows.then(&numbers.same)?;
        Ok(Self { files, rows, same })
    }

    /// These numbers and then others.
    ///
    /// # Errors
    /// `Malformed` if a number is none on the other side.
    pub fn then(&self, next: &Self) -> Result<Self> {
        let same = self.same.then(&next.same)?;
        let same = same.or(&self.same.then(&next.rows)?).or(&self.rows.then(&next.same)?);
        Ok(Self { files: self.files.then(&next.files)?, rows: self.rows.then(&next.rows)?, same })
    }
}
