//! All that two versions come from, by way of whatever branches: what the bases of a merge and the picks that stand in its way are found by [MRG-1].
//!
//! Invariants: a commit that one side merged, and that is not on the other one's line, is followed to where its own line left ours, and so is what
//! was merged there; what one side had merged by a version that the other one merged is in what they have in common, and is not followed. What nothing keeps any more is
//! told, and not taken for nothing. What does not belong here: where two lines part (`lines`), and what the numbers of one commit are in another one (`numbers`).

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use strandline_format::merge::Ancestry;
use strandline_format::{Hash, HistoryEntry, MergedCommit, ObjectRef, Seq};

use crate::commit::resolve::read_commit;
use crate::error::{ErrorKind, Result};
use crate::history::Commit;
use crate::merge::copies::groups;
use crate::merge::lines::{Parted, parted};
use crate::tree::Trees;

/// How many commits that were merged are read at once.
const LINES: usize = 8;

/// Two heads and what they come from, down to where their lines parted and further where other lines left them before.
#[derive(Clone, Debug)]
pub(crate) struct Ancestors {
    graph: Ancestry,
    entries: BTreeMap<Hash, HistoryEntry>,
    /// The last commits that both come from.
    pub(crate) bases: Vec<HistoryEntry>,
    /// What was merged and is kept by nothing any more, so that nobody knows what it came from.
    pub(crate) lost: Vec<MergedCommit>,
}

/// Two lines since they parted.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a> {
    pub(super) shared: &'a HistoryEntry,
    /// Of both sides, oldest first, heads included.
    pub(super) pasts: [&'a [HistoryEntry]; 2],
    /// Whether what a side had merged before the other one last merged it is followed as well.
    pub(super) whole: bool,
}

impl Ancestors {
    /// Requests: for each commit that one side has merged since the two last met, and that is on neither line, itself and the nodes of its
    /// history that differ from ours.
    pub(super) async fn of(trees: &Trees, ours: &Commit, theirs: &Commit, lines: Lines<'_>) -> Result<Self> {
        let mut found = Self {
            graph: Ancestry::default(),
            entries: BTreeMap::from([(lines.shared.commit.hash, lines.shared.clone())]),
            bases: Vec::new(),
            lost: Vec::new(),
        };
        lines.pasts.iter().for_each(|past| found.add(lines.shared, past));
        let mut open = lines.merged();
        let mut asked = BTreeSet::new();
        while !open.is_empty() {
            open.retain(|merged| {
                !found.entries.contains_key(&merged.commit.hash) && asked.insert(merged.commit.hash)
            });
            let followed =
                stream::iter(std::mem::take(&mut open))
                    .map(|merged| async move {
                        follow(trees, ours, &merged.commit).await.map(|line| (merged, line))
                    })
                    .buffered(LINES);
            for (merged, line) in followed.try_collect::<Vec<_>>().await? {
                let Some(Parted { shared, ours, theirs }) = line else {
                    found.lost.push(merged);
                    continue;
                };
                found.add(&shared, &ours);
                found.add(&shared, &theirs);
                found.entries.insert(shared.commit.hash, shared);
                open.extend(theirs.iter().filter_map(|entry| entry.merged));
            }
        }
        let bases = found.graph.common(ours.hash(), theirs.hash());
        found.bases = bases.iter().filter_map(|hash| found.entries.get(hash).cloned()).collect();
        Ok(found)
    }

    /// Adds the versions of a line above one of its commits.
    fn add(&mut self, from: &HistoryEntry, past: &[HistoryEntry]) {
        let mut before = from.commit.hash;
        for entry in past {
            let merged = entry.merged.map(|merged| merged.commit.hash);
            self.graph.add(entry.commit.hash, std::iter::once(before).chain(merged));
            self.entries.insert(entry.commit.hash, entry.clone());
            before = entry.commit.hash;
        }
    }

    /// Whether a commit is among what another one comes from.
    pub(crate) fn reaches(&self, from: Hash, commit: Hash) -> bool {
        self.graph.of(from).contains(&commit)
    }

    /// Whether two commits have more in common than what a third one comes from.
    pub(super) fn meet_above(&self, one: Hash, other: Hash, below: Hash) -> bool {
        let below = self.graph.of(below);
        self.graph.common(one, other).iter().any(|commit| !below.contains(commit))
    }

    /// The commits that may be copies of one another, each of which has been picked or is what was picked.
    pub(super) fn groups(&self) -> Vec<Vec<HistoryEntry>> {
        groups(&self.entries)
    }

    /// The commits with keys that each of two heads has alone.
    pub(super) fn keyed_alone(&self, heads: [Hash; 2]) -> [Vec<HistoryEntry>; 2] {
        let [ours, theirs] = heads.map(|head| self.graph.of(head));
        let alone = |of: &BTreeSet<Hash>, other: &BTreeSet<Hash>| {
            let entries = of.difference(other).filter_map(|commit| self.entries.get(commit));
            entries.filter(|entry| entry.keyed).cloned().collect()
        };
        [alone(&ours, &theirs), alone(&theirs, &ours)]
    }

    /// The same with more versions of a line above one of its commits.
    pub(super) fn with(&self, from: &HistoryEntry, past: &[HistoryEntry]) -> Self {
        let mut more = self.clone();
        more.add(from, past);
        more
    }

    pub(super) fn graph(&self) -> &Ancestry {
        &self.graph
    }
}

/// The line of a commit that was merged, beside ours; `None` if nothing keeps it any more.
async fn follow(trees: &Trees, ours: &Commit, merged: &ObjectRef) -> Result<Option<Parted>> {
    let found = async {
        let merged = read_commit(trees, merged).await?;
        parted(trees, ours, &merged).await
    };
    match found.await {
        Ok(line) => Ok(line),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        Err(error) => Err(error),
    }
}

impl Lines<'_> {
    /// What is followed: nothing if one line goes on where the other one ends.
    fn merged(&self) -> Vec<MergedCommit> {
        let [ours, theirs] = self.pasts;
        if ours.is_empty() || theirs.is_empty() {
            return Vec::new();
        }
        let later = |by: &[HistoryEntry], other: &[HistoryEntry]| -> Vec<MergedCommit> {
            let since = last_meeting(by, other).filter(|_| !self.whole);
            let later = by.iter().filter(|entry| since.is_none_or(|since| entry.seq > since));
            later.filter_map(|entry| entry.merged).collect()
        };
        let mut merged = later(ours, theirs);
        merged.extend(later(theirs, ours));
        merged
    }
}

/// The last version of one line that the other one has merged: all that this had merged by then the other one has as well.
pub(super) fn last_meeting(by: &[HistoryEntry], other: &[HistoryEntry]) -> Option<Seq> {
    let own: BTreeMap<Hash, Seq> = by.iter().map(|entry| (entry.commit.hash, entry.seq)).collect();
    other.iter().filter_map(|entry| own.get(&entry.merged?.commit.hash).copied()).max()
}
