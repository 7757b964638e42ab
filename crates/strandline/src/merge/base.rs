//! The base of a merge of branches: the commit that both come from, or one that is made for the merge of all that both have [MRG-1, MRG-2, MRG-11].
//!
//! Invariants: a base that is made has what each of several last common commits has, and what was picked into both sides, done to that in
//! the order in which it came; it is stored nowhere but for rows that were put together of cells, and rows on which these commits disagree. What nobody can
//! tell is told as a doubt, or refused, and never left out. What does not belong here: what is merged upon it (`bring`), and what comes of doubts (`doubt`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use strandline_format::merge::{Dispute, PICKED, pick_key};
use strandline_format::{
    CommitProperties, Era, HistoryEntry, MergedCommit, PropertyKey, PropertyValue, TableId, TableName, TxnId,
};

use crate::commit::build::{Identity, Label, Tip, build};
use crate::error::{Error, ErrorKind, Result};
use crate::history::{Commit, Ref};
use crate::merge::Disagreements;
use crate::merge::bring::{Act, Bringing, Brought, Upon};
use crate::merge::choices::{Choices, OfBase};
use crate::merge::conflict::{BaseConflict, ConflictKind};
use crate::merge::copies::{Copies, OnBoth};
use crate::merge::doubt::{Doubts, disputed, taken_whole};
use crate::merge::kin::{Kin, MadeLine, Stands};
use crate::merge::lines::own_entry;
use crate::snapshot::Snapshot;
use crate::tree::Trees;

/// The property of a table in a base that is made, by which its node is that of no side. It has no prefix of ours, as properties have that say how rows are written.
const DISPUTED: &str = "strandline-disputed";

/// Where the base stands, and in whose numbers it counts.
#[derive(Clone, Debug)]
pub(super) enum Base {
    Ours,
    Theirs,
    /// On another line, of which both sides have it.
    Elsewhere(Commit),
}

/// A base, and how the versions stand to each other beside it.
pub(super) struct Based {
    pub(super) kin: Kin,
    pub(super) commit: Commit,
    pub(super) stands: Base,
    /// Through what it is read, if it was made.
    pub(super) trees: Option<Arc<Trees>>,
    pub(super) doubts: Doubts,
}

/// A base in the making: the versions that were made of it, upon a commit that stands somewhere.
#[derive(Clone)]
struct Making<'a> {
    kin: &'a Kin,
    ours: &'a Ref,
    era: Era,
    line: MadeLine,
    /// Lines that were put together with it.
    others: Vec<MadeLine>,
    tip: Tip,
    doubts: Doubts,
}

/// The base of a merge of a version into ours, as they are related. Requests: those of [`Kin::ancestors`] and [`Kin::copies`]; if it has to be made, those of a
/// merge for each commit of which it is.
pub(super) async fn base_of(kin: Kin, ours: &Ref, era: Era) -> Result<Based> {
    let bases = last_common(&kin).await?;
    let copies = kin.on_both().await?;
    let doubts = Doubts { tables: picked_untold(copies.iter().flatten().flatten()), ..Doubts::default() };
    if let ([base], []) = (&bases[..], &copies[..]) {
        let commit = kin.commit(base).await?;
        let stands = match kin.stands(base) {
            Stands::Ours => Base::Ours,
            Stands::Theirs | Stands::Both => Base::Theirs,
            Stands::Elsewhere => Base::Elsewhere(commit.clone()),
        };
        return Based { kin, commit, stands, trees: None, doubts }.with_taken().await;
    }
    let Making { line, others, tip, doubts, .. } = made(&kin, ours, (&bases, &copies, doubts), era).await?;
    let trees = tip.snapshot.trees;
    let kin = kin.beside(&trees, others.into_iter().chain([line]).collect());
    let stands = Base::Elsewhere(tip.commit.clone());
    Based { kin, commit: tip.commit, stands, trees: Some(trees), doubts }.with_taken().await
}

impl Based {
    /// With the doubts that come of tables which were picked as a whole.
    async fn with_taken(mut self) -> Result<Self> {
        for (table, why) in taken_whole(&self.kin, &self.commit).await? {
            self.doubts.leave(&BTreeSet::from([table]), why);
        }
        Ok(self)
    }
}

/// What several last common ancestors come to together, and what both sides have picked upon that, as commits that are stored nowhere: the base of a
/// merge must have what each of them has [MRG-2, MRG-11].
fn made<'a>(
    kin: &'a Kin,
    ours: &'a Ref,
    (bases, copies, doubts): (&'a [HistoryEntry], &'a [Vec<Vec<OnBoth>>], Doubts),
    era: Era,
) -> BoxFuture<'a, Result<Making<'a>>> {
    async move {
        // One of our own line first, on which all else is counted.
        let (own, others): (Vec<_>, Vec<_>) = bases.iter().partition(|base| kin.stands(base) == Stands::Ours);
        let mut bases = own.into_iter().chain(others);
        let on = bases.next().ok_or_else(unrelated)?;
        let at = Ref::on(Arc::clone(ours.line()), kin.commit(on).await?);
        let tip = Tip { commit: at.commit().clone(), snapshot: at.snapshot().clone() };
        let line = MadeLine { on: on.clone(), made: Vec::new() };
        let mut making = Making { kin, ours, era, line, others: Vec::new(), tip, doubts };
        for base in bases {
            let at = Ref::on(Arc::clone(ours.line()), kin.commit(base).await?);
            Box::pin(making.join(&at)).await?;
        }
        for lines in copies {
            making.pick_beside(lines).await?;
        }
        Ok(making)
    }
    .boxed()
}

impl Making<'_> {
    /// One more commit, merged into what there is. Where they disagree each side has decided by itself, so that what stands in the base is nobody's.
    async fn join(&mut self, other: &Ref) -> Result<()> {
        let one = self.at(&self.tip.commit);
        let txn = TxnId::of_key(&format!("{} and {}", one.commit().hash(), other.commit().hash()));
        let upon = Upon { ours: &one, version: one.version().next()?, era: self.era, txn };
        let mut choices = Choices::default();
        let mut work = loop {
            let bringing = Bringing::new(Act::Merge(other.clone()), choices.clone());
            let found = match Box::pin(bringing.upon(&upon)).await? {
                Brought::Done(work) => break work,
                Brought::Nothing => return Ok(()),
                Brought::Disagreed(found) => found,
            };
            let before = choices.of_base.replace(self.disputed(&found, choices.of_base.clone())?);
            if let (Some(before), Some(now)) = (before, &mut choices.of_base)
                && before.left.len() == now.left.len()
            {
                // One of them may have another table of that name, which cannot come beside it.
                now.left.extend(named(&found, [&one, other]).await?);
                if before.left.len() == now.left.len() {
                    return Err(disagreeing(&one, other, &found));
                }
            }
        };
        if let Some(OfBase { left, .. }) = &choices.of_base {
            self.doubts.leave(left, BaseConflict::Disagreement);
        }
        // A side that has the table just as it stands in the base has decided that as well.
        for draft in work.drafts_mut().filter(|draft| self.doubts.rows.contains_key(&draft.table.id)) {
            draft.table.properties.set(PropertyKey::new(DISPUTED)?, PropertyValue::new(txn.to_string())?)?;
        }
        let merged = MergedCommit { seq: other.version(), commit: other.commit().object() };
        let identity = Identity { txn, keyed: false, era: self.era, merged: Some(merged) };
        self.go_on(&work, identity, &Label::default()).await
    }

    /// What is in doubt of that on which two commits disagree: rows, of tables of which nothing else is; the tables of all else.
    fn disputed(&mut self, found: &Disagreements, decided: Option<OfBase>) -> Result<OfBase> {
        let is_first = decided.is_none();
        let mut decided = decided.unwrap_or_default();
        let is_of_rows = |table: Option<TableId>| {
            let mut of_table = found.conflicts.iter().filter(|conflict| conflict.table == table);
            is_first && of_table.all(|conflict| matches!(conflict.kind, ConflictKind::Rows(_)))
        };
        for conflict in &found.conflicts {
            let Some(table) = conflict.table else { continue };
            if !is_of_rows(Some(table)) {
                decided.left.insert(table);
                continue;
            }
            for rows in found.contested.iter().filter(|rows| rows.table == conflict.name) {
                let (rows, given) = disputed(rows)?;
                decided.given.insert(table, given);
                let known = self.doubts.rows.entry(table).or_default();
                for (row, dispute) in rows {
                    let before = known.remove(&row);
                    known.insert(row, before.map_or(dispute.clone(), |before| Dispute::and(before, dispute)));
                }
            }
        }
        Ok(decided)
    }

    /// What both sides have picked, line by line upon what there is, and put together: what the lines disagree on no order tells.
    async fn pick_beside(&mut self, lines: &[Vec<OnBoth>]) -> Result<()> {
        let start = self.clone();
        for (at, line) in lines.iter().enumerate() {
            if at == 0 {
                self.pick_all(line).await?;
                continue;
            }
            let own = MadeLine { on: own_entry(&start.tip.commit), made: Vec::new() };
            let mut other = Making { line: own, others: Vec::new(), ..start.clone() };
            other.pick_all(line).await?;
            let trees = self.tip.snapshot.trees.beside(&other.tip.snapshot.trees);
            self.tip.snapshot.trees = Arc::new(trees);
            Box::pin(self.join(&other.at(&other.tip.commit))).await?;
            self.others.push(other.line);
        }
        Ok(())
    }

    async fn pick_all(&mut self, copies: &[OnBoth]) -> Result<()> {
        for copy in copies {
            Box::pin(self.pick(copy)).await?;
        }
        Ok(())
    }

    /// What both sides have picked, picked. A cell that it changed is as it made it, whatever stood there before; of a table that disagrees in
    /// more than its rows nothing is taken, and neither of one that only one of the sides got something of.
    async fn pick(&mut self, copy: &OnBoth) -> Result<()> {
        let source = &copy.source;
        let before = self.kin.before(source).await?;
        let (one, commit, before) = (self.at(&self.tip.commit), self.at(source), self.at(&before));
        let txn = TxnId::of_key(&pick_key(copy.copies.origin));
        let both = Copies::changed_by_both(&copy.ours, &copy.theirs);
        let is_left = |table: &TableId| !both.contains(table) || self.doubts.tables.contains_key(table);
        let mut left: BTreeSet<TableId> =
            source.changes().iter().map(|change| change.table).filter(is_left).collect();
        let work = loop {
            let of_base = OfBase { left: left.clone(), ..OfBase::default() };
            let choices = Choices { of_base: Some(of_base), ..Choices::default() };
            let act = Act::Pick { commit: commit.clone(), before: before.clone() };
            let upon = Upon { ours: &one, version: one.version().next()?, era: self.era, txn };
            let found = match Box::pin(Bringing::new(act, choices).upon(&upon)).await? {
                Brought::Done(work) => break work,
                Brought::Nothing => return Ok(()),
                Brought::Disagreed(found) => found,
            };
            let before = left.len();
            left.extend(found.conflicts.iter().filter_map(|conflict| conflict.table));
            if left.len() == before {
                let what = found.conflicts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                return Err(copy.refused(&format!("cannot be done to what both sides come from ({what})")));
            }
        };
        let mut properties = CommitProperties::default();
        properties.set(PropertyKey::new(PICKED)?, PropertyValue::new(copy.copies.origin.to_string())?)?;
        let identity = Identity { txn, keyed: true, era: self.era, merged: None };
        self.go_on(&work, identity, &Label { properties, ..Label::default() }).await
    }

    /// The version that a work comes to, without storing it.
    async fn go_on(
        &mut self,
        work: &crate::transaction::work::Work,
        identity: Identity,
        label: &Label,
    ) -> Result<()> {
        let runtime = self.ours.lake().storage().runtime();
        self.tip = build(work, &self.tip, identity, label, runtime).await?.tip;
        self.line.made.push(own_entry(&self.tip.commit));
        Ok(())
    }

    /// A commit to be read by what is at hand.
    fn at(&self, commit: &Commit) -> Ref {
        let snapshot =
            Snapshot { catalog: Arc::new(commit.node().catalog.clone()), ..self.tip.snapshot.clone() };
        Ref::read_by(Arc::clone(self.ours.line()), commit.clone(), snapshot)
    }
}

impl OnBoth {
    fn refused(&self, why: &str) -> Error {
        let message = format!(
            "commit {} (version {}) was picked as {} (version {}), which {why}: pick the other commits one by one as well",
            self.theirs.hash(),
            self.theirs.version(),
            self.ours.hash(),
            self.ours.version()
        );
        Error::new(ErrorKind::Unsupported, message)
    }
}

/// The tables that were picked into either side without a record of their numbers, where both have what was picked [MRG-11].
fn picked_untold<'a>(copies: impl Iterator<Item = &'a OnBoth>) -> BTreeMap<TableId, BaseConflict> {
    let mut tables = BTreeMap::new();
    for copy in copies {
        let both = Copies::changed_by_both(&copy.ours, &copy.theirs);
        for pick in [&copy.theirs, &copy.ours] {
            let why = BaseConflict::Picked(pick.version(), pick.hash());
            let untold = pick.node().picked_untold().filter(|table| both.contains(table));
            tables.extend(untold.map(|table| (table, why)));
        }
    }
    tables
}

/// The tables, views and namespaces that have the names on which two versions disagree.
async fn named(found: &Disagreements, versions: [&Ref; 2]) -> Result<Vec<TableId>> {
    let mut named = Vec::new();
    for conflict in &found.conflicts {
        let name = TableName::new(conflict.name.as_str())?;
        for version in versions {
            named.extend(version.snapshot().entry(&name).await?.map(|entry| entry.id));
        }
    }
    Ok(named)
}

/// What two last common commits disagree on that no table is told of.
fn disagreeing(one: &Ref, other: &Ref, found: &Disagreements) -> Error {
    let what = found.conflicts.iter().map(|conflict| format!("{conflict:#}")).collect::<Vec<_>>().join("; ");
    let message = format!(
        "the branches have two last commits in common, {} (version {}) and {} (version {}), that disagree with each other ({what}), so that nobody can tell what was done since: pick the commits that are missing one by one",
        one.commit().hash(),
        one.version(),
        other.commit().hash(),
        other.version()
    );
    Error::new(ErrorKind::Unsupported, message)
}

/// The commits that both come from and no other such commit does, of which there is one as a rule [MRG-1, MRG-2].
async fn last_common(kin: &Kin) -> Result<Vec<HistoryEntry>> {
    let ancestors = kin.ancestors().await?;
    if let Some(lost) = ancestors.lost.first() {
        let message = format!(
            "commit {} (version {} of its branch) was merged since the branches last met and is not kept any more, so that nobody can tell what they have in common: pick the commits that are missing one by one",
            lost.commit.hash, lost.seq
        );
        return Err(Error::new(ErrorKind::SnapshotExpired, message));
    }
    if let Some(lost) = kin.copies(false).await?.lost.first() {
        let message = format!(
            "commit {} (version {}), which was picked or may be a pick, is not kept any more, so that nobody can tell which of its rows are which: pick the commits that are missing one by one",
            lost.commit.hash, lost.seq
        );
        return Err(Error::new(ErrorKind::SnapshotExpired, message));
    }
    if ancestors.bases.is_empty() {
        return Err(unrelated());
    }
    Ok(ancestors.bases.clone())
}

fn unrelated() -> Error {
    Error::new(ErrorKind::InvalidInput, "the two versions share no history: they are not of one lake")
}
