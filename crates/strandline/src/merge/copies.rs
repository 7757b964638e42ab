//! Commits that stand in several lines because they were picked from one into another: which these are, and how the numbers of what they added are
//! related [MRG-11].
//!
//! Invariants: a copy is one that says so under the key of a pick, not one that looks alike; numbers are told by what picks have recorded, never by
//! what rows hold. What nothing keeps any more is told of, and not taken for nothing. What does not belong here: what a merge makes of copies (`base`).

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use strandline_format::merge::Ancestry;
use strandline_format::{EntryType, Hash, HistoryEntry, ObjectRef, Pieces, TableChange, TableId, TxnId};

use crate::error::{ErrorKind, Result};
use crate::history::Commit;
use crate::merge::kin::{Ends, Kin, Known};

/// The property that says which commit was picked [MRG-9].
pub(crate) const PICKED: &str = "strandline.picked";

/// How many commits are read at once to see whether they are copies.
const READS: usize = 8;

/// One commit, and where it stands: where it was committed first, if that is among them, and where it was picked.
#[derive(Clone, Debug)]
pub(crate) struct Copies {
    pub(crate) origin: Hash,
    pub(crate) commits: Vec<Commit>,
}

/// All copies among the ancestors of two versions.
#[derive(Debug, Default)]
pub(crate) struct AllCopies {
    pub(crate) found: Vec<Copies>,
    /// What may be a copy and is kept by nothing any more, so that nobody knows.
    pub(crate) lost: Vec<HistoryEntry>,
}

/// What a copy tells of the numbers that a table has where it was committed first.
pub(super) enum Told {
    /// It is where these are of.
    Origin,
    /// They are these here.
    Picked(Box<Known>),
    /// It did nothing to the table.
    Nothing,
    /// It does not say, as picks did not in former times.
    Unknown,
}

impl AllCopies {
    /// Reads what may be copies. One request for each commit that is told by the key of another one.
    pub(super) async fn of(kin: &Kin, groups: Vec<Vec<HistoryEntry>>) -> Result<Self> {
        let read = |entry: HistoryEntry| async move {
            match kin.commit(&entry).await {
                Ok(commit) => Ok((entry, Some(commit))),
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::SnapshotExpired) => {
                    Ok((entry, None))
                }
                Err(error) => Err(error),
            }
        };
        let mut all = Self::default();
        for group in groups {
            let txns: BTreeSet<TxnId> =
                group.iter().filter(|entry| entry.keyed).map(|entry| entry.txn).collect();
            let read: Vec<(HistoryEntry, Option<Commit>)> =
                stream::iter(group).map(read).buffered(READS).try_collect().await?;
            let (kept, lost): (Vec<_>, Vec<_>) = read.into_iter().partition(|(_, commit)| commit.is_some());
            let lost = lost.into_iter().map(|(entry, _)| entry);
            let mut commits: Vec<Commit> = kept.into_iter().filter_map(|(_, commit)| commit).collect();
            let Some(origin) = commits.iter().find_map(origin) else {
                // Two jobs may have one key on two branches.
                let is_of_jobs = commits.iter().any(|commit| txns.contains(&commit.txn()));
                all.lost.extend(lost.filter(|_| !is_of_jobs));
                continue;
            };
            all.lost.extend(lost);
            commits.retain(|commit| commit.hash() == origin || self::origin(commit) == Some(origin));
            // The first of several on one side is the one that counts.
            commits.sort_by_key(|commit| (commit.hash() != origin, commit.hash()));
            if commits.len() > 1 {
                all.found.push(Copies { origin, commits });
            }
        }
        Ok(all)
    }
}

impl Copies {
    /// What one of them tells of a table.
    pub(super) fn told(&self, commit: &Commit, table: TableId) -> Told {
        let Some(change) = commit.changes().iter().find(|change| change.table == table) else {
            return Told::Nothing;
        };
        match &change.picked {
            _ if commit.hash() == self.origin => Told::Origin,
            Some(picked) => Told::Picked(Box::new(Known::of_picked(picked))),
            None if is_of_rows(change) => Told::Unknown,
            None => Told::Nothing,
        }
    }

    /// The numbers of what one of them did to a table, as another one has it there, in those of the one.
    pub(super) fn between(&self, here: &Commit, there: &Commit, table: TableId) -> Result<Option<Known>> {
        Ok(match (self.told(here, table), self.told(there, table)) {
            (Told::Picked(here), Told::Picked(there)) => Some(there.reversed()?.then(&here)?),
            (Told::Picked(here), Told::Origin) => Some(*here),
            (Told::Origin, Told::Picked(there)) => Some(there.reversed()?),
            _ => None,
        })
    }

    /// The tables, views and namespaces that two of them changed.
    pub(super) fn changed_by_both(one: &Commit, other: &Commit) -> BTreeSet<TableId> {
        let of = |commit: &Commit| -> BTreeSet<TableId> {
            commit.changes().iter().map(|change| change.table).collect()
        };
        of(one).intersection(&of(other)).copied().collect()
    }
}

/// The tables that a pick wrote without a record of their numbers: as a whole, with rows of other commits, or in former times.
pub(super) fn untold(commit: &Commit) -> impl Iterator<Item = TableId> {
    let is_pick = origin(commit).is_some();
    let changes = commit.changes().iter().filter(move |_| is_pick);
    changes.filter(|change| change.picked.is_none() && is_of_rows(change)).map(|change| change.table)
}

/// Whether a table was written.
fn is_of_rows(change: &TableChange) -> bool {
    let node = |object: Option<ObjectRef>| object.map(|object| object.hash);
    change.entry_type == EntryType::Table && change.new.is_some() && node(change.old) != node(change.new)
}

/// What was picked from which commit, as what a pick records of a table [MRG-11]: the numbers of what that commit added.
#[derive(Clone, Debug)]
pub(crate) struct Picking {
    /// What the commit handed out, in its own numbers.
    pub(crate) first: Ends,
    pub(crate) end: Ends,
    /// If it is a pick itself, what it has recorded; `None` if that is nothing, so that nothing can be told.
    pub(crate) before: Option<Option<Box<Known>>>,
}

impl Picking {
    /// What is recorded, of numbers that are told in ours.
    pub(super) fn numbers(
        &self,
        numbers: &strandline_format::Renumbering,
    ) -> Result<Option<strandline_format::PickedNumbers>> {
        let first = self.first;
        let known = Known::recorded(numbers, self.end)?;
        let own = Known {
            files: Pieces::between(first.file, self.end.file),
            rows: Pieces::between(first.row, self.end.row),
            ..Known::default()
        };
        let own = own.then(&known)?;
        let told = match &self.before {
            None => own,
            Some(Some(before)) => before.then(&own)?,
            Some(None) => return Ok(None),
        };
        Ok(Some(strandline_format::PickedNumbers { files: told.files, rows: told.rows, same: told.same }))
    }
}

/// What a commit was picked from, if it was picked; of a pick of a pick the first.
pub(crate) fn origin(commit: &Commit) -> Option<Hash> {
    let (_, origin) = commit.properties().iter().find(|(key, _)| key.as_str() == PICKED)?;
    let origin: Hash = origin.as_str().parse().ok()?;
    (commit.is_keyed() && commit.txn() == TxnId::of_key(&pick_key(origin))).then_some(origin)
}

/// The idempotency key under which a commit is picked: it comes into a branch once, and is known there [MRG-11].
pub(crate) fn pick_key(commit: Hash) -> String {
    format!("strandline.pick {commit}")
}

/// The entries that have the key of one pick, or are what it is of.
pub(super) fn groups(entries: &BTreeMap<Hash, HistoryEntry>) -> Vec<Vec<HistoryEntry>> {
    let mut groups: BTreeMap<TxnId, Vec<HistoryEntry>> = BTreeMap::new();
    for entry in entries.values().filter(|entry| entry.keyed) {
        groups.entry(entry.txn).or_default().push(entry.clone());
    }
    if groups.is_empty() {
        return Vec::new();
    }
    for entry in entries.values() {
        if let Some(group) = groups.get_mut(&TxnId::of_key(&pick_key(entry.commit.hash))) {
            group.push(entry.clone());
        }
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

/// A commit that each of two sides has by itself, and the other one not: as one has it, and as the other one does.
#[derive(Clone, Debug)]
pub(super) struct OnBoth {
    pub(super) copies: Copies,
    pub(super) ours: Commit,
    pub(super) theirs: Commit,
}

/// The copies that both sides have and what they both come from has not, in the order in which they came.
pub(super) fn on_both(all: &AllCopies, graph: &Ancestry, [ours, theirs]: [Hash; 2]) -> Vec<OnBoth> {
    let (ours, theirs) = (graph.of(ours), graph.of(theirs));
    let mut found: Vec<OnBoth> = Vec::new();
    for copies in &all.found {
        let stands = |commit: &&Commit, [in_ours, in_theirs]: [bool; 2]| {
            let hash = commit.hash();
            (ours.contains(&hash), theirs.contains(&hash)) == (in_ours, in_theirs)
        };
        let first = |sides| copies.commits.iter().find(|commit| stands(commit, sides)).cloned();
        if let (Some(ours), Some(theirs), None) =
            (first([true, false]), first([false, true]), first([true, true]))
        {
            found.push(OnBoth { copies: copies.clone(), ours, theirs });
        }
    }
    // Whatever comes before another one on both sides has fewer of them behind it, on each.
    let behind = |one: &OnBoth| {
        let (of_ours, of_theirs) = (graph.of(one.ours.hash()), graph.of(one.theirs.hash()));
        found
            .iter()
            .map(|other| {
                usize::from(of_ours.contains(&other.ours.hash()))
                    + usize::from(of_theirs.contains(&other.theirs.hash()))
            })
            .sum::<usize>()
    };
    let mut order: Vec<((usize, Hash), usize)> =
        found.iter().enumerate().map(|(at, one)| ((behind(one), one.copies.origin), at)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, at)| found[at].clone()).collect()
}
