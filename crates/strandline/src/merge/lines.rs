//! Where the lines of two commits part: the versions that both have, and those that either has alone [MRG-1].
//!
//! Invariant: a line is one of first parents, of which equal at a version means equal below it. What does not belong here: what came to either by
//! way of merges (`ancestry`).

use std::collections::BTreeMap;

use strandline_format::{HistoryEntry, Seq};

use crate::commit::resolve::read_commit;
use crate::error::{ErrorKind, Result};
use crate::history::Commit;
use crate::merge::Came;
use crate::tree::{KeyRange, Trees};

/// Two lines, and how they stand to each other.
pub(super) struct Parted {
    /// The last version that both have in the same place.
    pub(super) shared: HistoryEntry,
    /// The versions above it, oldest first, the heads included.
    pub(super) ours: Vec<HistoryEntry>,
    pub(super) theirs: Vec<HistoryEntry>,
}

/// Where one version stands in the first-parent history of the other, the older one.
pub(super) async fn direct(trees: &Trees, ours: &Commit, theirs: &Commit) -> Result<Option<HistoryEntry>> {
    let (old, new) = if ours.version() <= theirs.version() { (ours, theirs) } else { (theirs, ours) };
    let found = entry_of(trees, new, old.version()).await?;
    Ok(found.filter(|entry| entry.commit.hash == old.hash()))
}

/// Two commits of any lines; `None` if they share nothing.
pub(super) async fn parted(trees: &Trees, ours: &Commit, theirs: &Commit) -> Result<Option<Parted>> {
    if let Some(shared) = direct(trees, ours, theirs).await? {
        // Also of a line that another one comes before all is wanted.
        let (old, new) = if ours.version() <= theirs.version() { (ours, theirs) } else { (theirs, ours) };
        let past = past_since(trees, new, old.version()).await?;
        let (ours, theirs) = if old.hash() == ours.hash() { (Vec::new(), past) } else { (past, Vec::new()) };
        return Ok(Some(Parted { shared, ours, theirs }));
    }
    apart(trees, ours, theirs).await
}

/// The same of two of which neither comes before the other one on its line.
pub(super) async fn apart(trees: &Trees, ours: &Commit, theirs: &Commit) -> Result<Option<Parted>> {
    let (our_past, their_past) = pasts(trees, ours, theirs).await?;
    let shared = match parting(&our_past, &their_past) {
        Some(seq) => entry_of(trees, ours, seq).await?,
        None => None,
    };
    let Some(shared) = shared else { return Ok(None) };
    let since = |past: Past| past.into_values().filter(|entry| entry.seq > shared.seq).collect();
    let (ours, theirs) = (since(our_past), since(their_past));
    Ok(Some(Parted { shared, ours, theirs }))
}

/// The versions of a line above one of them, its head included.
async fn past_since(trees: &Trees, head: &Commit, since: Seq) -> Result<Vec<HistoryEntry>> {
    if head.version() <= since {
        return Ok(Vec::new());
    }
    let range = KeyRange::new(since.next()?..);
    let mut entries = trees.collect(&head.node().history, &range).await?;
    entries.push(own_entry(head));
    Ok(entries)
}

type Past = BTreeMap<Seq, HistoryEntry>;

/// The versions of both that are not the same at one place, and the heads.
async fn pasts(trees: &Trees, ours: &Commit, theirs: &Commit) -> Result<(Past, Past)> {
    let changes = trees.changes(&ours.node().history, &theirs.node().history).await?;
    let (mut our_past, mut their_past) = (Past::new(), Past::new());
    for change in changes {
        our_past.extend(change.before.map(|entry| (entry.seq, entry)));
        their_past.extend(change.after.map(|entry| (entry.seq, entry)));
    }
    our_past.insert(ours.version(), own_entry(ours));
    their_past.insert(theirs.version(), own_entry(theirs));
    Ok((our_past, their_past))
}

/// Where two commits parted.
struct Parting {
    shared: HistoryEntry,
    /// Whether either has merged anything since.
    has_merges: bool,
}

/// Where two commits of any branches parted; `None` if they share nothing.
async fn parting_of(trees: &Trees, one: &Commit, other: &Commit) -> Result<Option<Parting>> {
    let (one_past, other_past) = pasts(trees, one, other).await?;
    let Some(seq) = parting(&one_past, &other_past) else { return Ok(None) };
    let since = one_past.values().chain(other_past.values()).filter(|entry| entry.seq > seq);
    let has_merges = since.into_iter().any(|entry| entry.merged.is_some());
    Ok(entry_of(trees, one, seq).await?.map(|shared| Parting { shared, has_merges }))
}

/// What came into a line from others after one of its commits, up to another one. Requests: the nodes of the history that hold these
/// versions; for each merge among them what tells where its branch parted.
pub(crate) async fn came_since(trees: &Trees, since: &Commit, tip: &Commit) -> Result<Came> {
    let entries = past_since(trees, tip, since.version()).await?;
    let picks = entries.iter().any(|entry| entry.keyed);
    let mut came = Came { start: Some(since.version()), picks, ..Came::NOTHING };
    for merged in entries.iter().filter_map(|entry| entry.merged.as_ref()) {
        let parting = match read_commit(trees, &merged.commit).await {
            Ok(theirs) => parting_of(trees, since, &theirs).await?,
            // Nothing keeps it any more, so nothing is told.
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            Err(error) => return Err(error),
        };
        let told = parting.filter(|parting| !parting.has_merges).map_or(Seq(0), |parting| parting.shared.seq);
        came.told = came.told.min(told);
    }
    Ok(came)
}

/// The last version that is the same on both: equal at one means equal below it.
fn parting(ours: &Past, theirs: &Past) -> Option<Seq> {
    let same = |(seq, entry): &(&Seq, &HistoryEntry)| {
        theirs.get(seq).is_some_and(|other| other.commit.hash == entry.commit.hash)
    };
    let found = ours.iter().filter(same).map(|(seq, _)| *seq).max();
    found.or_else(|| ours.keys().chain(theirs.keys()).min()?.0.checked_sub(1).map(Seq))
}

/// What the history of a commit says of a version, its own included.
async fn entry_of(trees: &Trees, at: &Commit, seq: Seq) -> Result<Option<HistoryEntry>> {
    if seq == at.version() {
        return Ok(Some(own_entry(at)));
    }
    trees.get(&at.node().history, &seq).await
}

pub(super) fn own_entry(at: &Commit) -> HistoryEntry {
    at.node().history_entry(at.object())
}
