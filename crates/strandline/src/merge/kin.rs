//! How two versions are related: the base of their merge, and which of their numbers are of the same files and rows
//! [MRG-1..3].
//!
//! Invariants: numbers that are not known to be the same are of different things, never guessed at; what a translation needs and
//! nothing keeps any more is `SnapshotExpired`, not an older base [EXP-5]. What does not belong here: what a merge or diff makes
//! of it.

use std::collections::{BTreeMap, BTreeSet};

use strandline_format::merge::{Ancestry, CommonAncestor, Lineage, common_ancestor};
use strandline_format::{
    CatalogEntry, Hash, HistoryEntry, Pieces, Renumbering, Seq, Table as TableNode, TableId, TxnId,
};

use crate::commit::resolve::read_commit;
use crate::error::{Error, ErrorKind, Result};
use crate::history::{Commit, Ref};
use crate::merge::Came;
use crate::tree::{KeyRange, Trees};

/// Two versions, and what their histories have in common.
#[derive(Clone, Debug)]
pub(crate) struct Kin {
    ours: Ref,
    theirs: Ref,
    trees: Trees,
    /// The last version that both have in the same place.
    shared: HistoryEntry,
    /// The versions above it, oldest first, the heads included; of one that the other one comes before, the head alone.
    our_past: Vec<HistoryEntry>,
    their_past: Vec<HistoryEntry>,
}

/// Which numbers of theirs are of the same files and rows as which of ours, in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) files: Pieces,
    pub(crate) rows: Pieces,
    /// Below these, numbers are the same on both sides whatever was merged.
    pub(crate) shared: Ends,
    /// Whether merges since have given numbers of the one side to the other.
    pub(crate) met: bool,
}

/// The first file id and row id that were not handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) file: u64,
    pub(crate) row: u64,
}

impl Ends {
    pub(crate) fn of(table: &TableNode) -> Self {
        Self { file: table.next_file.0, row: table.next_row.0 }
    }

    fn min(self, other: Self) -> Self {
        Self { file: self.file.min(other.file), row: self.row.min(other.row) }
    }
}

impl Known {
    /// Of two states of one line: the numbers that both have.
    pub(crate) fn on_one_line(before: &TableNode, after: &TableNode) -> Self {
        Self::below(Ends::of(before).min(Ends::of(after)))
    }

    /// The numbers of ours in those of theirs.
    pub(crate) fn reversed(&self) -> Result<Self> {
        Ok(Self { files: self.files.reversed()?, rows: self.rows.reversed()?, ..self.clone() })
    }

    fn below(shared: Ends) -> Self {
        let (files, rows) = (Pieces::shared(shared.file), Pieces::shared(shared.row));
        Self { files, rows, shared, met: false }
    }
}

/// One merge of a branch into another one: the commit that it is, and the commit that it brought in.
struct Met {
    by: HistoryEntry,
    of: HistoryEntry,
}

impl Kin {
    /// Relates two versions. No request if their histories part within what their commits hold; else the nodes in which these
    /// differ.
    ///
    /// # Errors
    /// `InvalidInput` if they share nothing; `Corrupt` and the store's errors. Dropping the future leaves nothing.
    pub(crate) async fn of(ours: &Ref, theirs: &Ref) -> Result<Self> {
        let trees = ours.snapshot().trees.beside(&theirs.snapshot().trees);
        if let Some(shared) = direct(&trees, ours.commit(), theirs.commit()).await? {
            let past =
                |at: &Ref| (at.version() > shared.seq).then(|| own_entry(at.commit())).into_iter().collect();
            let (our_past, their_past) = (past(ours), past(theirs));
            return Ok(Self {
                ours: ours.clone(),
                theirs: theirs.clone(),
                trees,
                shared,
                our_past,
                their_past,
            });
        }
        let (our_past, their_past) = pasts(&trees, ours.commit(), theirs.commit()).await?;
        let shared = match parting(&our_past, &their_past) {
            Some(seq) => entry_of(&trees, ours.commit(), seq).await?,
            None => None,
        };
        let shared = shared.ok_or_else(unrelated)?;
        let since = |past: BTreeMap<Seq, HistoryEntry>| -> Vec<HistoryEntry> {
            past.into_values().filter(|entry| entry.seq > shared.seq).collect()
        };
        let (our_past, their_past) = (since(our_past), since(their_past));
        Ok(Self { ours: ours.clone(), theirs: theirs.clone(), trees, shared, our_past, their_past })
    }

    /// The base of a merge of theirs into ours.
    pub(crate) fn ancestor(&self) -> Result<CommonAncestor> {
        if self.our_past.is_empty() || self.their_past.is_empty() {
            return Ok(CommonAncestor {
                base: self.shared.clone(),
                shared: Some(self.shared.seq),
                ours_merged: Vec::new(),
                theirs_merged: Vec::new(),
            });
        }
        let lineage = |past: &[HistoryEntry]| -> Vec<HistoryEntry> {
            std::iter::once(&self.shared).chain(past).cloned().collect()
        };
        let (ours, theirs) = (lineage(&self.our_past), lineage(&self.their_past));
        match common_ancestor(Lineage::new(&ours), Lineage::new(&theirs)) {
            Ancestry::Common(common) => Ok(*common),
            Ancestry::NeedOlder(_) | Ancestry::Unrelated => Err(unrelated()),
        }
    }

    /// The last version that both have in the same place.
    pub(crate) fn shared(&self) -> &HistoryEntry {
        &self.shared
    }

    /// Whether either has merged anything since.
    pub(crate) fn has_merges(&self) -> bool {
        self.our_past.iter().chain(&self.their_past).any(|entry| entry.merged.is_some())
    }

    /// Where the nodes of both are read.
    pub(crate) fn trees(&self) -> &Trees {
        &self.trees
    }

    /// Whether our head is among the first parents of theirs.
    pub(crate) fn is_behind(&self) -> bool {
        self.our_past.is_empty()
    }

    /// A commit of one side since they parted that the other side has picked [MRG-11].
    pub(crate) fn picked(&self) -> Option<&HistoryEntry> {
        let picked = |by: &[HistoryEntry], of: &'_ [HistoryEntry]| {
            let keyed: BTreeSet<TxnId> =
                by.iter().filter(|entry| entry.keyed).map(|entry| entry.txn).collect();
            if keyed.is_empty() {
                return None;
            }
            of.iter().position(|entry| keyed.contains(&TxnId::of_key(&pick_key(entry.commit.hash))))
        };
        let theirs = picked(&self.our_past, &self.their_past).and_then(|at| self.their_past.get(at));
        theirs.or_else(|| picked(&self.their_past, &self.our_past).and_then(|at| self.our_past.get(at)))
    }

    /// Whether a version is one of ours, counted on our line.
    pub(crate) fn is_ours(&self, entry: &HistoryEntry) -> bool {
        entry.seq <= self.shared.seq || self.our_past.iter().any(|ours| ours.commit.hash == entry.commit.hash)
    }

    /// A commit of either line. At most one request.
    ///
    /// # Errors
    /// `SnapshotExpired` if neither keeps it.
    pub(crate) async fn commit(&self, entry: &HistoryEntry) -> Result<Commit> {
        let (mine, other) =
            if self.is_ours(entry) { (&self.ours, &self.theirs) } else { (&self.theirs, &self.ours) };
        let line = |at: &Ref| at.line().clone();
        match line(mine).commit(entry).await {
            Err(error) if entry.seq <= self.shared.seq => line(other).commit(entry).await.map_err(|_| error),
            found => found,
        }
        .map_err(|error| match error.kind() {
            ErrorKind::Corrupt | ErrorKind::SnapshotExpired => Error::new(
                ErrorKind::SnapshotExpired,
                format!(
                    "the versions are compared by version {} ({}), which is not kept any more: {}",
                    entry.seq,
                    entry.commit.hash,
                    error.message()
                ),
            ),
            _ => error,
        })
    }

    /// Which of their numbers in a table are which of ours. No request if one version comes before the other; else a few for each
    /// time the branches have met.
    pub(crate) async fn known(
        &self,
        table: TableId,
        (ours, theirs): (&CatalogEntry, &CatalogEntry),
    ) -> Result<Known> {
        let shared = self.shared_ends(table, ours, theirs).await?;
        let mut known = Known::below(shared);
        let forwards = meetings(&self.our_past, &self.their_past);
        if let Some((numbers, ends)) =
            self.latest(table, forwards, (&self.ours, &self.theirs, theirs)).await?
        {
            known.files = known.files.or(&numbers.files.pieces(ends.file));
            known.rows = known.rows.or(&numbers.rows.pieces(ends.row));
            known.met = true;
        }
        let backwards = meetings(&self.their_past, &self.our_past);
        if let Some((numbers, ends)) = self.latest(table, backwards, (&self.theirs, &self.ours, ours)).await?
        {
            known.files = known.files.or(&numbers.files.pieces(ends.file).reversed()?);
            known.rows = known.rows.or(&numbers.rows.pieces(ends.row).reversed()?);
            known.met = true;
        }
        Ok(known)
    }

    async fn shared_ends(&self, table: TableId, ours: &CatalogEntry, theirs: &CatalogEntry) -> Result<Ends> {
        let entry = match (self.our_past.is_empty(), self.their_past.is_empty()) {
            (true, _) => Some(ours.clone()),
            (_, true) => Some(theirs.clone()),
            (false, false) => {
                let shared = self.commit(&self.shared).await?;
                entry_at(&self.trees, table, (&shared, &self.ours), Some(ours)).await?
            }
        };
        self.ends(entry.as_ref()).await
    }

    async fn ends(&self, entry: Option<&CatalogEntry>) -> Result<Ends> {
        let Some(entry) = entry else { return Ok(Ends::default()) };
        let text = self.trees.text(&entry.node).await?;
        Ok(Ends::of(&TableNode::parse(&text).map_err(|error| error.at(entry.node.hash))?))
    }

    /// The translation of the latest merge that changed the table, from the numbers of the branch that was merged to those of
    /// the one that merged it, and where the former end.
    async fn latest(
        &self,
        table: TableId,
        meetings: Vec<Met>,
        (by, of, now): (&Ref, &Ref, &CatalogEntry),
    ) -> Result<Option<(Renumbering, Ends)>> {
        for met in meetings {
            let commit = by.line().commit(&met.by).await?;
            // A merge that did not change the table found nothing that is not known from the one before.
            let Some(change) = commit.changes().iter().find(|change| change.table == table) else { continue };
            let numbers = change.renumbered.clone().unwrap_or_default();
            let merged = self.commit(&met.of).await?;
            let entry = entry_at(&self.trees, table, (&merged, of), Some(now)).await?;
            return Ok(Some((numbers, self.ends(entry.as_ref()).await?)));
        }
        Ok(None)
    }
}

/// Where one version stands in the first-parent history of the other, the older one.
async fn direct(trees: &Trees, ours: &Commit, theirs: &Commit) -> Result<Option<HistoryEntry>> {
    let (old, new) = if ours.version() <= theirs.version() { (ours, theirs) } else { (theirs, ours) };
    let found = entry_of(trees, new, old.version()).await?;
    Ok(found.filter(|entry| entry.commit.hash == old.hash()))
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
pub(super) struct Parting {
    pub(super) shared: HistoryEntry,
    /// Whether either has merged anything since.
    pub(super) has_merges: bool,
}

/// Where two commits of any branches parted; `None` if they share nothing.
pub(super) async fn parting_of(trees: &Trees, one: &Commit, other: &Commit) -> Result<Option<Parting>> {
    let (one_past, other_past) = pasts(trees, one, other).await?;
    let Some(seq) = parting(&one_past, &other_past) else { return Ok(None) };
    let since = one_past.values().chain(other_past.values()).filter(|entry| entry.seq > seq);
    let has_merges = since.into_iter().any(|entry| entry.merged.is_some());
    Ok(entry_of(trees, one, seq).await?.map(|shared| Parting { shared, has_merges }))
}

/// What came into a line from others after one of its commits, up to another one. Requests: the nodes of the history that hold these
/// versions; for each merge among them what tells where its branch parted.
pub(crate) async fn came_since(trees: &Trees, since: &Commit, tip: &Commit) -> Result<Came> {
    let range = KeyRange::new(since.version().next()?..);
    let mut entries = trees.collect(&tip.node().history, &range).await?;
    entries.push(own_entry(tip));
    let mut came = Came { picks: entries.iter().any(|entry| entry.keyed), ..Came::NOTHING };
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

/// The idempotency key under which a commit is picked: it comes into a branch once, and is known there [MRG-11].
pub(crate) fn pick_key(commit: Hash) -> String {
    format!("strandline.pick {commit}")
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

fn own_entry(at: &Commit) -> HistoryEntry {
    at.node().history_entry(at.object())
}

/// The merges of one line's commits into the other one, the newest first.
fn meetings(by: &[HistoryEntry], of: &[HistoryEntry]) -> Vec<Met> {
    let met = |entry: &HistoryEntry| {
        let merged = entry.merged?;
        let of = of.iter().find(|other| other.commit.hash == merged.commit.hash)?;
        Some(Met { by: entry.clone(), of: of.clone() })
    };
    by.iter().rev().filter_map(met).collect()
}

/// A table's entry in the catalog of an earlier commit of a line, if it was there.
async fn entry_at(
    trees: &Trees,
    table: TableId,
    (commit, line): (&Commit, &Ref),
    now: Option<&CatalogEntry>,
) -> Result<Option<CatalogEntry>> {
    let changes = trees.changes(&commit.node().catalog, &line.commit().node().catalog).await?;
    let is_it = |entry: &&CatalogEntry| entry.id == table;
    if let Some(before) = changes.iter().filter_map(|change| change.before.as_ref()).find(is_it) {
        return Ok(Some(before.clone()));
    }
    let came = changes.iter().filter_map(|change| change.after.as_ref()).any(|entry| entry.id == table);
    Ok(now.filter(|_| !came).cloned())
}

fn unrelated() -> Error {
    Error::new(ErrorKind::InvalidInput, "the two versions share no history: they are not of one lake")
}
