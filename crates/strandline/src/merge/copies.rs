//! Commits that stand in several lines because they were picked from one into another: which these are, and how the numbers of what they added are
//! related [MRG-11].
//!
//! Invariants: a copy is one that says so under the key of a pick, not one that looks alike; numbers are told by what picks have recorded, never by
//! what rows hold. What nothing keeps any more is told of, and not taken for nothing. What does not belong here: what a merge makes of copies (`base`).

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use strandline_format::merge::{Ancestry, CopiedTwice, pick_key};
use strandline_format::{Hash, HistoryEntry, TableId, TxnId};

use crate::error::{ErrorKind, Result};
use crate::history::Commit;
use crate::merge::kin::Kin;
use crate::merge::known::Known;

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
    /// Nothing: it did nothing to the table, or took it as a whole.
    Nothing,
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
            let Some(origin) = commits.iter().find_map(|commit| commit.node().picked_from()) else {
                // Two jobs may have one key on two branches.
                let is_of_jobs = commits.iter().any(|commit| txns.contains(&commit.txn()));
                all.lost.extend(lost.filter(|_| !is_of_jobs));
                continue;
            };
            all.lost.extend(lost);
            commits.retain(|commit| commit.hash() == origin || commit.node().picked_from() == Some(origin));
            if commits.len() > 1 {
                all.found.push(Copies { origin, commits });
            }
        }
        all.found.sort_by_key(|copies| copies.origin);
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
            Some(picked) => Told::Picked(Box::new(Known::of_picked(picked.clone()))),
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
    /// The one of the two whose changes are picked into a base.
    pub(super) source: Commit,
}

/// The copies that both sides have and what they both come from has not, in groups of lines as they are picked into a base.
pub(super) fn on_both(all: &AllCopies, graph: &Ancestry, heads: [Hash; 2]) -> Vec<Vec<Vec<OnBoth>>> {
    let of = |copies: &Copies| (copies.origin, copies.commits.iter().map(Commit::hash).collect::<Vec<_>>());
    let on_both = |twice: CopiedTwice| {
        let copies = all.found.iter().find(|copies| copies.origin == twice.origin)?;
        let commit = |hash| copies.commits.iter().find(|commit| commit.hash() == hash).cloned();
        let (ours, theirs, source) = (commit(twice.ours)?, commit(twice.theirs)?, commit(twice.source())?);
        Some(OnBoth { copies: copies.clone(), ours, theirs, source })
    };
    let line = |line: Vec<CopiedTwice>| line.into_iter().filter_map(on_both).collect();
    let groups = graph.copied_twice(all.found.iter().map(of), heads).into_iter();
    groups.map(|lines| lines.into_iter().map(line).collect()).collect()
}
