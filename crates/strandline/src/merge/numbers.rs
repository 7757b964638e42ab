//! Which numbers of one table are of the same files and rows in two versions [MRG-3].
//!
//! Invariant: numbers are told by what merges and picks have recorded along the lines, never by what files or rows hold. What does not belong here:
//! where the lines parted (`kin`), and which commits are copies (`copies`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::merge::{Ancestry, TableEnds};
use strandline_format::{
    CatalogEntry, Hash, HistoryEntry, MergedCommit, Renumbering, Seq, Table as TableNode, TableId,
};

use crate::error::Result;
use crate::history::Commit;
use crate::merge::ancestry::last_meeting;
use crate::merge::kin::Kin;
use crate::merge::known::Known;
use crate::merge::lines::{Parted, apart, direct};
use crate::tree::Trees;

/// One table whose numbers are followed from commit to commit.
pub(super) struct Numbers<'a> {
    pub(super) kin: &'a Kin,
    pub(super) table: TableId,
    /// Its entry in a version that has it, by which it is found in others.
    pub(super) now: (&'a Commit, &'a CatalogEntry),
    /// Whether what a side had merged before the other one last merged it counts as well, since it is older versions that are related.
    whole: bool,
    /// What was found, of either commit in the other one: picks lead to the same ones by many ways.
    found: Mutex<BTreeMap<(Hash, Hash), Known>>,
}

impl<'a> Numbers<'a> {
    pub(super) fn new(kin: &'a Kin, table: TableId, now: (&'a Commit, &'a CatalogEntry)) -> Self {
        Self { kin, table, now, whole: false, found: Mutex::default() }
    }

    /// The numbers of an older version than those that are merged in those of another one.
    async fn between_older(&self, to: &Commit, from: &Commit) -> Result<Known> {
        if self.whole {
            return self.between(to, from).await;
        }
        Numbers { whole: true, found: Mutex::default(), ..*self }.between(to, from).await
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<(Hash, Hash), Known>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The numbers of one commit in those of another one.
    pub(super) fn between<'b>(&'b self, to: &'b Commit, from: &'b Commit) -> BoxFuture<'b, Result<Known>> {
        async move {
            let which = (to.hash(), from.hash());
            let found = self.found().get(&which).cloned();
            if let Some(found) = found {
                return Ok(found);
            }
            let known = self.find(to, from).await?;
            self.found().insert(which, known.clone());
            Ok(known)
        }
        .boxed()
    }

    async fn find(&self, to: &Commit, from: &Commit) -> Result<Known> {
        // What the older one of one line has handed out both count alike, and nothing else is of both.
        if direct(&self.kin.trees, to, from).await?.is_some() {
            let older = if to.version() <= from.version() { to } else { from };
            return Ok(Known::below(self.ends_at(older).await?));
        }
        match apart(&self.kin.trees, to, from).await? {
            Some(lines) => self.known(&lines, (to, from)).await,
            None => Ok(Known::default()),
        }
    }

    /// What the merges on both lines have recorded. Each knew all that the lines had met in before, so that of those which merged of the other line
    /// the latest tells all that this had up to there; what either has merged of other lines and the other one not with it is followed by itself.
    pub(super) async fn known(&self, lines: &Parted, (to, from): (&Commit, &Commit)) -> Result<Known> {
        let shared = self.kin.commit(&lines.shared).await?;
        let mut known = Known::below(self.ends_at(&shared).await?);
        let (mut since, mut told) = ([lines.shared.seq; 2], [lines.shared.seq; 2]);
        let sides = [(&lines.ours, &lines.theirs), (&lines.theirs, &lines.ours)];
        for (at, (by, of)) in sides.into_iter().enumerate() {
            if let Some(met) = last_meeting(by, of) {
                since[at] = since[at].max(met);
            }
            if let Some((pieces, met)) = self.latest(by, of).await? {
                known.add(&if at == 0 { pieces } else { pieces.reversed()? })?;
                // What the one has merged of others until then the other one need not have.
                told[1 - at] = told[1 - at].max(met);
            }
        }
        let later: Vec<&HistoryEntry> = sides
            .iter()
            .zip(told)
            .flat_map(|((by, of), told)| elsewhere(by, of).filter(move |entry| entry.seq > told))
            .collect();
        // A merge that did not change the table has recorded nothing of what was found before it.
        let earlier = |(by, of, since): (&[HistoryEntry], &[HistoryEntry], Seq), told: Seq| {
            elsewhere(by, of).any(|entry| entry.seq > told && entry.seq <= since)
        };
        let is_whole =
            self.whole || (0..2).any(|at| earlier((sides[at].0, sides[at].1, since[at]), told[at]));
        if !later.is_empty() {
            let ancestors = match is_whole {
                true => self.kin.whole().await?,
                false => self.kin.ancestors().await?,
            };
            for (at, (by, of)) in sides.into_iter().enumerate() {
                let other = if at == 0 { from } else { to };
                let counts = |entry: &&HistoryEntry| {
                    let meets = |merged: MergedCommit| {
                        ancestors.meet_above(merged.commit.hash, other.hash(), lines.shared.commit.hash)
                    };
                    entry.seq > told[at] && entry.merged.is_some_and(meets)
                };
                for entry in elsewhere(by, of).rev().filter(counts) {
                    let Some(pieces) = self.by_way_of(entry, other).await? else { continue };
                    known.add(&if at == 0 { pieces } else { pieces.reversed()? })?;
                }
            }
        }
        self.add_picked(&mut known, lines, (to, from), is_whole).await?;
        Ok(known)
    }

    /// What commits were picked tell, of which one side has one copy and the other side another one.
    async fn add_picked(
        &self,
        known: &mut Known,
        lines: &Parted,
        (to, from): (&Commit, &Commit),
        is_whole: bool,
    ) -> Result<()> {
        let copies = self.kin.copies(is_whole).await?;
        if copies.found.is_empty() {
            return Ok(());
        }
        let graph =
            if is_whole { self.kin.whole().await?.graph() } else { self.kin.ancestors().await?.graph() };
        let [of_to, of_from] = [to, from].map(|head| graph.of(head.hash()));
        // What one has from the other it has by way of merges alone: the numbers are those of the first one that brought it.
        if of_to.contains(&from.hash()) {
            if let Some(before) = self.before_it_came(from, graph, (&lines.ours, &lines.shared)).await? {
                known.add(&self.between_older(&before, from).await?)?;
            }
            return Ok(());
        }
        if of_from.contains(&to.hash()) {
            if let Some(before) = self.before_it_came(to, graph, (&lines.theirs, &lines.shared)).await? {
                known.add(&self.between_older(to, &before).await?)?;
            }
            return Ok(());
        }
        let stand_on = |line: &[HistoryEntry]| -> BTreeSet<Hash> {
            line.iter().map(|entry| entry.commit.hash).collect()
        };
        let (on_ours, on_theirs) = (stand_on(&lines.ours), stand_on(&lines.theirs));
        for copies in &copies.found {
            let of = |side: &BTreeSet<Hash>| {
                let commits: Vec<&Commit> =
                    copies.commits.iter().filter(|commit| side.contains(&commit.hash())).collect();
                commits
            };
            // Copies on the two lines need nothing in between, and others of the same commit, which came by merges, tell no more of its rows.
            if let ([here], [there]) = (&of(&on_ours)[..], &of(&on_theirs)[..])
                && let Some(numbers) = copies.between(here, there, self.table)?
            {
                known.add(&numbers)?;
                continue;
            }
            for here in of(&of_to) {
                for there in of(&of_from).into_iter().filter(|there| there.hash() != here.hash()) {
                    if let Some(numbers) = copies.between(here, there, self.table)? {
                        known.add(&self.by_way_of_copies(&numbers, (to, here), (from, there)).await?)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The version of a line before the merge by which a commit came into it, if that merge has recorded nothing, since all that came was picked
    /// before: what it found by the picks is found anew then, between the two that it merged.
    async fn before_it_came(
        &self,
        commit: &Commit,
        graph: &Ancestry,
        (by, shared): (&[HistoryEntry], &HistoryEntry),
    ) -> Result<Option<Commit>> {
        let at = by.partition_point(|entry| !graph.of(entry.commit.hash).contains(&commit.hash()));
        let Some(merge) = by.get(at) else { return Ok(None) };
        if self.recorded(merge).await?.is_some() {
            return Ok(None);
        }
        let before = at.checked_sub(1).map_or(shared, |before| &by[before]);
        self.kin.commit(before).await.map(Some)
    }

    /// The numbers of one commit in those of another one, by what a copy that this one has says of one that the other one has.
    async fn by_way_of_copies(
        &self,
        numbers: &Known,
        (to, here): (&Commit, &Commit),
        (from, there): (&Commit, &Commit),
    ) -> Result<Known> {
        let (to_there, of_here) = (self.between(there, from).await?, self.between(to, here).await?);
        Ok(Known { met: true, ..to_there.then(numbers)?.then(&of_here)? })
    }

    /// What the latest merge of the other line has recorded that changed the table; one that did not found nothing that is not known from the
    /// one before.
    async fn latest(&self, by: &[HistoryEntry], of: &[HistoryEntry]) -> Result<Option<(Known, Seq)>> {
        for by in by.iter().rev() {
            let Some(merged) = by.merged else { continue };
            let Some(of) = of.iter().find(|other| other.commit.hash == merged.commit.hash) else { continue };
            let Some(numbers) = self.recorded(by).await? else { continue };
            let ends = self.ends_at(&self.kin.commit(of).await?).await?;
            return Ok(Some((Known::recorded(&numbers, ends)?, of.seq)));
        }
        Ok(None)
    }

    /// The numbers of a commit in those of a merge, by way of what was merged.
    async fn by_way_of(&self, by: &HistoryEntry, from: &Commit) -> Result<Option<Known>> {
        let Some(merged) = by.merged else { return Ok(None) };
        let Some(numbers) = self.recorded(by).await? else { return Ok(None) };
        let merged = self.kin.merged(&merged).await?;
        let recorded = Known::recorded(&numbers, self.ends_at(&merged).await?)?;
        self.between(&merged, from).await?.then(&recorded).map(Some)
    }

    async fn recorded(&self, by: &HistoryEntry) -> Result<Option<Renumbering>> {
        let commit = self.kin.commit(by).await?;
        let change = commit.changes().iter().find(|change| change.table == self.table);
        Ok(change.map(|change| change.renumbered.clone().unwrap_or_default()))
    }

    async fn ends_at(&self, commit: &Commit) -> Result<TableEnds> {
        let (at, entry) = self.now;
        let found = entry_at(&self.kin.trees, self.table, (commit, at), Some(entry)).await?;
        self.ends(found.as_ref()).await
    }

    pub(super) async fn ends(&self, entry: Option<&CatalogEntry>) -> Result<TableEnds> {
        let Some(entry) = entry else { return Ok(TableEnds::default()) };
        let text = self.kin.trees.text(&entry.node).await?;
        Ok(TableEnds::of(&TableNode::parse(&text).map_err(|error| error.at(entry.node.hash))?))
    }
}

/// The versions of a line that merged what is on neither.
fn elsewhere<'a>(
    by: &'a [HistoryEntry],
    of: &'a [HistoryEntry],
) -> impl DoubleEndedIterator<Item = &'a HistoryEntry> {
    let on_either = move |hash: Hash| by.iter().chain(of).any(|other| other.commit.hash == hash);
    by.iter().filter(move |entry| entry.merged.is_some_and(|merged| !on_either(merged.commit.hash)))
}

/// A table's entry in the catalog of a commit, if it was there, by that of another one.
async fn entry_at(
    trees: &Trees,
    table: TableId,
    (commit, at): (&Commit, &Commit),
    now: Option<&CatalogEntry>,
) -> Result<Option<CatalogEntry>> {
    let changes = trees.changes(&commit.node().catalog, &at.node().catalog).await?;
    let is_it = |entry: &&CatalogEntry| entry.id == table;
    if let Some(before) = changes.iter().filter_map(|change| change.before.as_ref()).find(is_it) {
        return Ok(Some(before.clone()));
    }
    let came = changes.iter().filter_map(|change| change.after.as_ref()).any(|entry| entry.id == table);
    Ok(now.filter(|_| !came).cloned())
}
