//! Three-way merge of catalogs: tables, views and namespaces by id, so that a rename is a change like any other [REB-1].

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::catalog::{CatalogEntry, EntryType};
use crate::hash::ObjectRef;
use crate::id::TableId;
use crate::merge::value::{Merged, merge_value};
use crate::name::{NameKey, TableName};

/// What two catalogs come to.
///
/// ```
#[doc = include_str!("../catalog.example")]
/// use strandline_format::merge::merge_catalogs;
///
/// let base = [table("orders", 1, "empty"), table("returns", 2, "empty")];
/// let ours = [table("orders", 1, "empty")];
/// let theirs = [table("orders", 1, "three rows"), table("returns", 2, "empty")];
/// let merge = merge_catalogs(&base, &ours, &theirs);
/// // Ours has dropped one table, theirs has filled the other one.
/// assert!(merge.removes.is_empty() && merge.conflicts.is_empty());
/// assert_eq!(merge.puts[0].name.as_str(), "orders");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CatalogMerge {
    /// The names of our catalog that no longer stand for what they did; they are removed first.
    pub removes: Vec<NameKey>,
    /// What is put into our catalog then.
    pub puts: Vec<MergedEntry>,
    /// All that the sides disagree on; nothing may be committed while there is any.
    pub conflicts: Vec<CatalogConflict>,
}

/// An entry of the merged catalog.
///
/// ```
#[doc = include_str!("../catalog.example")]
/// use strandline_format::merge::{MergedNode, merge_catalogs};
///
/// let base = [table("orders", 1, "empty")];
/// let theirs = [table("sales", 1, "empty")];
/// let merge = merge_catalogs(&base, &base, &theirs);
/// // A rename: the old name goes, and the entry stands under the new one.
/// assert_eq!(merge.removes, [base[0].name.key().clone()]);
/// assert_eq!(merge.puts[0].name.as_str(), "sales");
/// assert_eq!(merge.puts[0].node, MergedNode::Taken(base[0].node));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MergedEntry {
    /// The name.
    pub name: TableName,
    /// What it stands for.
    pub entry_type: EntryType,
    /// Which.
    pub id: TableId,
    /// Its node.
    pub node: MergedNode,
}

/// The node of a merged entry.
///
/// ```
#[doc = include_str!("../catalog.example")]
/// use strandline_format::merge::{MergedNode, merge_catalogs};
///
/// let [base, ours, theirs] = ["empty", "three rows", "two rows"].map(|state| [table("orders", 1, state)]);
/// let merge = merge_catalogs(&base, &ours, &theirs);
/// // Both have changed it, so their nodes are to be merged as well.
/// let both = MergedNode::Merge { base: base[0].node, ours: ours[0].node, theirs: theirs[0].node };
/// assert_eq!(merge.puts[0].node, both);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergedNode {
    /// One that a side has.
    Taken(ObjectRef),
    /// Both sides changed the table: its nodes are to be merged.
    Merge {
        /// The node at the base.
        base: ObjectRef,
        /// Our node.
        ours: ObjectRef,
        /// Their node.
        theirs: ObjectRef,
    },
}

/// Something that the sides disagree on.
///
/// ```
#[doc = include_str!("../catalog.example")]
/// use strandline_format::merge::merge_catalogs;
///
/// let base = [table("orders", 1, "empty")];
/// let theirs = [table("orders", 1, "three rows")];
/// let conflict = &merge_catalogs(&base, &[], &theirs).conflicts[0];
/// assert_eq!((&conflict.ours, conflict.theirs.as_ref()), (&None, Some(&theirs[0])));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogConflict {
    /// What of it.
    pub kind: CatalogConflictKind,
    /// Our entry, if there is one.
    pub ours: Option<CatalogEntry>,
    /// Their entry, if there is one.
    pub theirs: Option<CatalogEntry>,
}

/// What two catalogs disagree on.
///
/// ```
#[doc = include_str!("../catalog.example")]
/// use strandline_format::merge::{CatalogConflictKind, merge_catalogs};
///
/// let base = [table("orders", 1, "empty")];
/// let dropped = merge_catalogs(&base, &[], &[table("orders", 1, "three rows")]);
/// assert_eq!(dropped.conflicts[0].kind, CatalogConflictKind::Dropped);
/// let renamed = merge_catalogs(&base, &[table("sales", 1, "empty")], &[table("all", 1, "empty")]);
/// assert_eq!(renamed.conflicts[0].kind, CatalogConflictKind::Renamed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CatalogConflictKind {
    /// One side dropped it, the other changed or renamed it.
    Dropped,
    /// Both renamed it, to different names.
    Renamed,
    /// Two different things have one name.
    SameName,
    /// One side dropped the namespace, the other put something into it: both are told.
    NamespaceInUse,
    /// Both changed the view or namespace, or made what has one id.
    Changed,
}

/// Merges what two sides did to a catalog since the base.
///
/// Given are, of each of the three catalogs, at least all entries under names that either side touched: those that the
/// diffs from the base give. Entries that no side touched change nothing.
///
/// ```
#[doc = include_str!("../catalog.example")]
/// use strandline_format::merge::merge_catalogs;
///
/// // Each side has made a table.
/// let ours = [table("orders", 1, "empty")];
/// let theirs = [table("returns", 2, "empty")];
/// let merge = merge_catalogs(&[], &ours, &theirs);
/// assert_eq!(merge.puts[0].name.as_str(), "returns");
/// ```
#[must_use]
pub fn merge_catalogs(base: &[CatalogEntry], ours: &[CatalogEntry], theirs: &[CatalogEntry]) -> CatalogMerge {
    let (base, ours, theirs) = (by_id(base), by_id(ours), by_id(theirs));
    let ids: BTreeSet<TableId> =
        [&base, &ours, &theirs].into_iter().flat_map(|side| side.keys().copied()).collect();
    let mut merge = CatalogMerge::default();
    let mut merged: Vec<MergedEntry> = Vec::new();
    for id in ids {
        let sides = Sides {
            base: base.get(&id).copied(),
            ours: ours.get(&id).copied(),
            theirs: theirs.get(&id).copied(),
        };
        match sides.merge() {
            Ok(entry) => merged.extend(entry),
            Err(kind) => merge.conflict(kind, sides.ours, sides.theirs),
        }
    }
    merge.report_same_names(&merged, &ours, &theirs);
    merge.report_lost_namespaces(&merged, &base, &ours, &theirs);
    let same = |entry: &MergedEntry| ours.get(&entry.id).is_some_and(|mine| entry.is(mine));
    let kept: HashSet<&NameKey> =
        merged.iter().filter(|entry| same(entry)).map(|entry| entry.name.key()).collect();
    merge.removes =
        ours.values().map(|entry| entry.name.key()).filter(|key| !kept.contains(key)).cloned().collect();
    merge.puts = merged.iter().filter(|entry| !same(entry)).cloned().collect();
    let put: HashSet<&NameKey> = merge.puts.iter().map(|entry| entry.name.key()).collect();
    merge.removes.retain(|key| !put.contains(key));
    merge
}

type ById<'a> = BTreeMap<TableId, &'a CatalogEntry>;

fn by_id(entries: &[CatalogEntry]) -> ById<'_> {
    entries.iter().map(|entry| (entry.id, entry)).collect()
}

/// One table, view or namespace on all sides.
#[derive(Clone, Copy)]
struct Sides<'a> {
    base: Option<&'a CatalogEntry>,
    ours: Option<&'a CatalogEntry>,
    theirs: Option<&'a CatalogEntry>,
}

impl Sides<'_> {
    fn merge(self) -> Result<Option<MergedEntry>, CatalogConflictKind> {
        match (self.ours, self.theirs) {
            (None, None) => Ok(None),
            (Some(kept), None) | (None, Some(kept)) => match self.base {
                None => Ok(Some(MergedEntry::taken(kept))),
                Some(base) if same_entry(base, kept) => Ok(None),
                Some(_) => Err(CatalogConflictKind::Dropped),
            },
            (Some(ours), Some(theirs)) => both(self.base, ours, theirs).map(Some),
        }
    }
}

fn both(
    base: Option<&CatalogEntry>,
    ours: &CatalogEntry,
    theirs: &CatalogEntry,
) -> Result<MergedEntry, CatalogConflictKind> {
    let written = |entry: &CatalogEntry| entry.name.as_str().to_owned();
    let name = match merge_value(&base.map(written), Some(written(ours)), Some(written(theirs))) {
        Merged::Value(name) if name == Some(written(ours)) => &ours.name,
        Merged::Value(_) => &theirs.name,
        Merged::Conflict => return Err(CatalogConflictKind::Renamed),
    };
    if ours.entry_type != theirs.entry_type {
        return Err(CatalogConflictKind::Changed);
    }
    let node =
        match merge_value(&base.map(|entry| entry.node.hash), Some(ours.node.hash), Some(theirs.node.hash)) {
            Merged::Value(hash) if hash == Some(ours.node.hash) => MergedNode::Taken(ours.node),
            Merged::Value(_) => MergedNode::Taken(theirs.node),
            Merged::Conflict => match base.filter(|_| ours.entry_type == EntryType::Table) {
                Some(base) => MergedNode::Merge { base: base.node, ours: ours.node, theirs: theirs.node },
                None => return Err(CatalogConflictKind::Changed),
            },
        };
    Ok(MergedEntry { name: name.clone(), entry_type: ours.entry_type, id: ours.id, node })
}

/// Whether two entries say the same; where their node was uploaded last makes no difference [REFR-2].
fn same_entry(one: &CatalogEntry, other: &CatalogEntry) -> bool {
    one.name.as_str() == other.name.as_str()
        && one.entry_type == other.entry_type
        && one.node.hash == other.node.hash
}

impl MergedEntry {
    fn taken(entry: &CatalogEntry) -> Self {
        Self {
            name: entry.name.clone(),
            entry_type: entry.entry_type,
            id: entry.id,
            node: MergedNode::Taken(entry.node),
        }
    }

    fn is(&self, entry: &CatalogEntry) -> bool {
        self.name.as_str() == entry.name.as_str()
            && matches!(self.node, MergedNode::Taken(node) if node.hash == entry.node.hash)
    }
}

impl CatalogMerge {
    fn conflict(
        &mut self,
        kind: CatalogConflictKind,
        ours: Option<&CatalogEntry>,
        theirs: Option<&CatalogEntry>,
    ) {
        self.conflicts.push(CatalogConflict { kind, ours: ours.cloned(), theirs: theirs.cloned() });
    }

    fn report_same_names(&mut self, merged: &[MergedEntry], ours: &ById<'_>, theirs: &ById<'_>) {
        let mut by_name: BTreeMap<&NameKey, TableId> = BTreeMap::new();
        for entry in merged {
            let Some(other) = by_name.insert(entry.name.key(), entry.id) else { continue };
            // Of the two, each side has at least one, by its own catalog's rule.
            let with_name = |side: &ById<'_>| {
                let held = |id: &TableId| {
                    side.get(id).filter(|held| held.name == entry.name).map(|held| (*held).clone())
                };
                held(&other).or_else(|| held(&entry.id))
            };
            let kind = CatalogConflictKind::SameName;
            self.conflicts.push(CatalogConflict { kind, ours: with_name(ours), theirs: with_name(theirs) });
        }
    }

    fn report_lost_namespaces(
        &mut self,
        merged: &[MergedEntry],
        base: &ById<'_>,
        ours: &ById<'_>,
        theirs: &ById<'_>,
    ) {
        // A table that took the name of a namespace holds nothing [CAT-4].
        let is_namespace = |entry: &&MergedEntry| entry.entry_type == EntryType::Namespace;
        let kept: HashSet<&NameKey> =
            merged.iter().filter(is_namespace).map(|entry| entry.name.key()).collect();
        let namespaces = base.values().chain(ours.values()).chain(theirs.values());
        let lost: HashSet<&NameKey> = namespaces
            .filter(|entry| entry.entry_type == EntryType::Namespace && !kept.contains(entry.name.key()))
            .map(|entry| entry.name.key())
            .collect();
        for entry in merged {
            if entry.name.namespace().is_some_and(|namespace| lost.contains(namespace.key())) {
                let (mine, yours) = (ours.get(&entry.id).copied(), theirs.get(&entry.id).copied());
                self.conflict(CatalogConflictKind::NamespaceInUse, mine, yours);
            }
        }
    }
}
