//! The one merge, over stored trees: what a work did since its base is done to another snapshot [REB-1..17].
//!
//! The rules are pure and stand in `strandline_format::merge`; here is what they need read, and what they decide carried out.
//! Invariants: a merge reads metadata, rows of new files only for constraints that the other side made [REB-11], ids of rows only where
//! both sides touched the same ones [REB-8], and keys only where both sides may have the same ones [REB-17]; it rewrites metadata only; all conflicts of all tables are found, not the first one. What does not belong here: the loop that
//! tries again (`commit`), and which commit on the other side it was (looked for once there is a conflict).

mod ancestry;
mod base;
mod bring;
mod cells;
mod choices;
mod conflict;
mod contest;
mod copies;
mod doubt;
mod files;
mod keys;
mod kin;
mod known;
mod lines;
mod moves;
mod numbers;
mod owners;
mod places;
mod progress;
mod rows;
mod table;
mod theirs;
mod twins;
mod whole;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use strandline_format::merge::{CatalogMerge, MergedEntry, MergedNode, merge_catalogs};
use strandline_format::{
    Catalog, CatalogEntry, EntryType, Era, Hash, NameKey, ObjectRef, Operation, Seq, TableId, TxnId,
};

pub(crate) use bring::{Act, Bringing, Brought, Upon, before};
pub use cells::ContestedRows;
pub use choices::Side;
pub(crate) use choices::{Choices, Decided};
pub use conflict::{
    BaseConflict, Conflict, ConflictKind, KeyConflict, KeyConflicts, ReadConflict, RowConflict, RowConflicts,
};
pub(crate) use doubt::Disputed;
pub(crate) use files::reaches;
pub(crate) use kin::Kin;
pub(crate) use known::Known;
pub(crate) use lines::came_since;
pub(crate) use moves::Moves;
pub use progress::MergeProgress;
pub(crate) use theirs::Theirs;
pub use twins::ContestedKeys;

use crate::error::Result;
use crate::merge::choices::RowChoices;
use crate::snapshot::Snapshot;
use crate::table::TableState;
use crate::transaction::reads::ReadSet;
use crate::transaction::work::{After, Node, Touched, Work};
use crate::tree::Change;

/// What a merge comes to.
pub(crate) enum Rebased {
    /// The same work upon the other snapshot.
    Done(Work),
    /// What the sides disagree on.
    Conflicts(Vec<Conflict>),
}

/// What is merged into what.
pub(crate) struct Rebase<'a> {
    /// What was done, and since when.
    pub(crate) work: &'a Work,
    /// What the transaction read, if that counts [REB-12].
    pub(crate) reads: Option<&'a ReadSet>,
    /// Where it is done now.
    pub(crate) onto: &'a Snapshot,
    /// The version that it becomes [REB-5].
    pub(crate) version: Seq,
    /// The era in which it is stored.
    pub(crate) era: Era,
    /// Which transaction, to tell its unstored nodes from any other's.
    pub(crate) txn: TxnId,
    /// What is decided where the sides disagree.
    pub(crate) choices: &'a Decided,
    /// What came into our line from others since.
    pub(crate) since: &'a Came,
    /// Who is told how far it is.
    pub(crate) progress: &'a MergeProgress,
}

/// What came into a line from others between two of its versions: rows may stand there that store versions of those lines [REB-7].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    /// The first of the two versions; `None` where they are not of one line.
    pub(crate) start: Option<Seq>,
    /// The last version that all of them count alike.
    pub(crate) told: Seq,
    /// Whether commits may have been picked, which only a table's node tells then.
    pub(crate) picks: bool,
}

impl Came {
    /// Nothing.
    pub(crate) const NOTHING: Self = Self { start: None, told: Seq(u64::MAX), picks: false };

    /// The first version, if nothing of a table came from other lines since: versions of all its rows can be compared with it then.
    pub(crate) fn start_of(&self, base: &TableState, ours: &TableState) -> Option<Seq> {
        let one_line = self.told == Self::NOTHING.told && base.table.restored == ours.table.restored;
        self.start.filter(|_| one_line)
    }

    /// Up to which version equal numbers of a row say that it has not changed.
    pub(crate) fn told_of(&self, base: &TableState, ours: &TableState) -> Seq {
        if self.picks && base.table.restored != ours.table.restored { Seq(0) } else { self.told }
    }
}

/// All that two sides disagree on.
#[derive(Debug, Default)]
pub(crate) struct Disagreements {
    pub(crate) conflicts: Vec<Conflict>,
    /// The values of rows among them, of tables that are merged from another version.
    pub(crate) contested: Vec<ContestedRows>,
    /// The values of rows with one key.
    pub(crate) keys: Vec<ContestedKeys>,
    /// The version of our side since which it did what theirs disagrees with.
    pub(crate) since: Seq,
}

impl Disagreements {
    pub(crate) fn is_empty(&self) -> bool {
        self.conflicts.is_empty()
    }
}

impl Rebase<'_> {
    /// Carries the work over. Requests: those of the differences between the snapshots.
    pub(crate) async fn run(&self) -> Result<Rebased> {
        let mut found = Disagreements::default();
        let work = self.carry(&mut found).await?;
        Ok(if found.is_empty() { Rebased::Done(work) } else { Rebased::Conflicts(found.conflicts) })
    }

    /// The same, with all that is known of what the sides disagree on; while there is any, the work is not whole.
    pub(crate) async fn carry(&self, found: &mut Disagreements) -> Result<Work> {
        let onto = self.joined();
        let base = self.work.base();
        let changes = onto.trees.changes(&base.catalog, &onto.catalog).await?;
        if let Some(reads) = self.reads {
            found.conflicts.extend(reads.conflicts(base, &onto, &changes, self.since).await?);
        }
        let mut sides = self.sides(&onto, changes).await?;
        sides.prefer_theirs(&self.choices.whole);
        self.overlook_moves(&onto, &mut sides).await?;
        let merge = merge_catalogs(&sides.base, &sides.ours, &sides.theirs);
        found.conflicts.extend(merge.conflicts.iter().map(Conflict::of_catalog));
        self.carry_over(&onto, &sides, merge, found).await
    }

    /// The other snapshot, with the base's nodes at hand as well.
    fn joined(&self) -> Snapshot {
        let trees = self.onto.trees.beside(&self.work.base().trees);
        Snapshot { trees: Arc::new(trees), ..self.onto.clone() }
    }

    /// All entries under names that either side touched.
    async fn sides(&self, onto: &Snapshot, changes: Vec<Change<Catalog>>) -> Result<Sides> {
        let mut base: BTreeMap<NameKey, CatalogEntry> = BTreeMap::new();
        let mut ours = BTreeMap::new();
        let mut theirs = BTreeMap::new();
        let moved: BTreeSet<TableId> = self.work.touched().keys().copied().collect();
        for change in changes {
            if let Some(before) = change.before {
                if !moved.contains(&before.id) {
                    theirs.insert(change.key.clone(), before.clone());
                }
                base.insert(change.key.clone(), before);
            }
            if let Some(after) = change.after {
                ours.insert(change.key, after);
            }
        }
        for (id, touched) in self.work.touched() {
            self.add_touched(onto, *id, touched, (&mut base, &mut ours, &mut theirs)).await?;
        }
        let list = |side: BTreeMap<NameKey, CatalogEntry>| side.into_values().collect();
        Ok(Sides { base: list(base), ours: list(ours), theirs: list(theirs) })
    }

    async fn add_touched(
        &self,
        onto: &Snapshot,
        id: TableId,
        touched: &Touched,
        (base, ours, theirs): (&mut ByName, &mut ByName, &mut ByName),
    ) -> Result<()> {
        if let Some(before) = &touched.before {
            base.insert(before.name.key().clone(), before.clone());
        }
        if let Some(after) = &touched.after {
            theirs.insert(after.name.key().clone(), self.stand_in(id, after)?);
        }
        let names = touched.before.iter().map(|entry| &entry.name);
        for name in names.chain(touched.after.iter().map(|after| &after.name)) {
            self.add_namespaces(onto, name, (base, ours, theirs)).await?;
            if let Some(entry) = onto.entry(name).await? {
                ours.insert(name.key().clone(), entry);
            }
        }
        Ok(())
    }

    /// The namespaces around a name, which must stand in the result [CAT-4].
    async fn add_namespaces(
        &self,
        onto: &Snapshot,
        name: &strandline_format::TableName,
        (base, ours, theirs): (&mut ByName, &mut ByName, &mut ByName),
    ) -> Result<()> {
        let mut around = name.namespace();
        while let Some(namespace) = around {
            if let Some(entry) = self.work.base().entry(&namespace).await? {
                if !self.work.touched().contains_key(&entry.id) {
                    theirs.entry(namespace.key().clone()).or_insert_with(|| entry.clone());
                }
                base.entry(namespace.key().clone()).or_insert(entry);
            }
            if let Some(entry) = onto.entry(&namespace).await? {
                ours.entry(namespace.key().clone()).or_insert(entry);
            }
            around = namespace.namespace();
        }
        Ok(())
    }

    /// The entry of a touched name, with a reference that no other side can have where its node is not stored yet.
    fn stand_in(&self, id: TableId, after: &After) -> Result<CatalogEntry> {
        let node = match &after.node {
            Node::Kept(_, node) => *node,
            Node::View(view) => reference(&view.to_json()?),
            Node::Namespace(namespace) => reference(&namespace.to_json()?),
            Node::Table(_) | Node::Theirs(_) => reference(format!("unstored {} {id}", self.txn).as_bytes()),
        };
        Ok(CatalogEntry { name: after.name.clone(), entry_type: after.node.entry_type(), id, node })
    }

    async fn carry_over(
        &self,
        onto: &Snapshot,
        sides: &Sides,
        merge: CatalogMerge,
        found: &mut Disagreements,
    ) -> Result<Work> {
        let ours: BTreeMap<TableId, &CatalogEntry> =
            sides.ours.iter().map(|entry| (entry.id, entry)).collect();
        let mut work = Work::on(onto.clone(), self.era);
        for entry in gone(&sides.ours, &merge) {
            let dropped = Touched { before: Some(entry.clone()), after: None, operation: Operation::Drop };
            work.touch(entry.id, dropped);
        }
        let is_table = |entry: &MergedEntry| entry.entry_type == EntryType::Table;
        self.progress.begin(merge.puts.iter().filter(|entry| is_table(entry)).count());
        for entry in merge.puts {
            let of_table = is_table(&entry);
            let before = ours.get(&entry.id).map(|entry| (*entry).clone());
            let operation =
                self.work.touched().get(&entry.id).map_or(Operation::Merge, |touched| touched.operation);
            let node = match self.work.touched().get(&entry.id).and_then(|touched| touched.after.as_ref()) {
                Some(After { node: Node::Theirs(theirs), .. }) => {
                    self.bring(onto, (&entry, before.as_ref()), theirs, found).await?
                }
                _ => self.node(onto, &entry, &mut found.conflicts).await?,
            };
            if let Some(node) = node {
                let after = After { name: entry.name, node };
                work.touch(entry.id, Touched { before, after: Some(after), operation });
            }
            if of_table {
                self.progress.did_table();
            }
        }
        Ok(work)
    }

    /// The node of a merged entry.
    async fn node(
        &self,
        onto: &Snapshot,
        entry: &MergedEntry,
        conflicts: &mut Vec<Conflict>,
    ) -> Result<Option<Node>> {
        let touched = self.work.touched().get(&entry.id).and_then(|touched| touched.after.as_ref());
        Ok(match (&entry.node, touched) {
            (MergedNode::Taken(node), Some(after))
                if self.stand_in(entry.id, after)?.node.hash == node.hash =>
            {
                Some(after.node.clone())
            }
            (MergedNode::Taken(node), _) => Some(Node::Kept(entry.entry_type, *node)),
            (MergedNode::Merge { base, ours, .. }, Some(After { node: Node::Table(draft), .. })) => {
                let at = |node: ObjectRef| CatalogEntry {
                    name: entry.name.clone(),
                    entry_type: EntryType::Table,
                    id: entry.id,
                    node,
                };
                let (base, ours) = (at(*base), at(*ours));
                let (base, ours) = futures::try_join!(onto.table_of(&base), onto.table_of(&ours))?;
                // On one line: equal unless a version since took rows from another one.
                let came = match base.table.restored == ours.table.restored {
                    true => None,
                    false => {
                        let known = Known::on_one_line(&base.table, &ours.table);
                        Some(places::came(&onto.trees, (&base, &ours), &known).await?)
                    }
                };
                let merge = table::TableRebase {
                    base: &base,
                    ours: &ours,
                    theirs: draft,
                    our_places: came.as_deref(),
                    told: self.since.told_of(&base, &ours),
                    start: self.since.start_of(&base, &ours),
                    brought: None,
                    choices: &RowChoices::default(),
                    version: self.version,
                    era: self.era,
                };
                Box::pin(merge.run(conflicts)).await?.map(|draft| Node::Table(Box::new(draft)))
            }
            (MergedNode::Merge { .. }, _) => None,
        })
    }
}

impl Rebase<'_> {
    /// A table that another version changed, upon what the branch has of it.
    async fn bring(
        &self,
        onto: &Snapshot,
        (entry, ours): (&MergedEntry, Option<&CatalogEntry>),
        theirs: &Theirs,
        found: &mut Disagreements,
    ) -> Result<Option<Node>> {
        let node = |draft| Ok(Some(Node::Table(Box::new(draft))));
        let Some(ours) = ours else {
            let (mut draft, numbers) = theirs.again(&onto.trees, self.era).await?;
            theirs.note(&mut draft, numbers, None)?;
            if theirs.gone.is_some() || draft.table.restored > Seq(0) {
                draft.table.restored = self.version;
            }
            return node(draft);
        };
        let ours = onto.table_of(ours).await?;
        if self.choices.whole.get(&entry.id) == Some(&Side::Theirs) {
            let (mut draft, numbers) = theirs.instead(&ours, &onto.trees, self.era).await?;
            theirs.note(&mut draft, numbers, None)?;
            draft.table.restored = self.version;
            return node(draft);
        }
        let bringing =
            contest::TableBringing { rebase: self, trees: &onto.trees, name: &entry.name, ours: &ours };
        match Box::pin(bringing.run(theirs, found)).await? {
            Some(draft) => node(draft),
            None => Ok(None),
        }
    }
}

type ByName = BTreeMap<NameKey, CatalogEntry>;

/// The entries of three catalogs under the names that were touched.
struct Sides {
    base: Vec<CatalogEntry>,
    ours: Vec<CatalogEntry>,
    theirs: Vec<CatalogEntry>,
}

impl Sides {
    /// Whatever is to be theirs as a whole is as if nothing had been done to it on our side since.
    fn prefer_theirs(&mut self, whole: &BTreeMap<TableId, Side>) {
        let theirs = whole.iter().filter(|(_, side)| **side == Side::Theirs);
        let ids: BTreeSet<TableId> = theirs.map(|(id, _)| *id).collect();
        if ids.is_empty() {
            return;
        }
        self.base.retain(|entry| !ids.contains(&entry.id));
        self.base.extend(self.ours.iter().filter(|entry| ids.contains(&entry.id)).cloned());
    }
}

/// Our entries that are in the result no more. The name of one may stand for something else there, which is put and not
/// removed; it is dropped all the same [COM-6].
fn gone<'s>(ours: &'s [CatalogEntry], merge: &CatalogMerge) -> impl Iterator<Item = &'s CatalogEntry> {
    let put: BTreeSet<TableId> = merge.puts.iter().map(|entry| entry.id).collect();
    let names = merge.removes.iter().chain(merge.puts.iter().map(|entry| entry.name.key()));
    let taken: BTreeSet<NameKey> = names.cloned().collect();
    ours.iter().filter(move |entry| taken.contains(entry.name.key()) && !put.contains(&entry.id))
}

fn reference(text: &[u8]) -> ObjectRef {
    ObjectRef { hash: Hash::of(text), era: Era(0), size: text.len() as u64 }
}
