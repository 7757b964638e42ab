//! What a transaction has read, so that it can be told whether the other side has touched it since [REB-12].
//!
//! Invariant: what is in doubt counts as touched. What does not belong here: what was only written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use futures::TryStreamExt;
use strandline_format::{
    Catalog, CatalogEntry, DeletionVector, EntryType, FileEntry, Filter, NameKey, RowIds, Seq, TableId,
    TableName,
};

use crate::error::{Error, ErrorKind, Result};
use crate::merge::{Came, Conflict, Moves, ReadConflict, reaches};
use crate::scan::{Batches, LAST_UPDATED, ROW_ID, deletion_vector, without};
use crate::snapshot::Snapshot;
use crate::table::TableState;
use crate::tree::{Change, FileFilter};

/// What one transaction has read so far; shared with the scans that it hands out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads(Arc<Mutex<ReadSet>>);

/// Names, listings, schemas and rows that were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadSet {
    names: BTreeMap<NameKey, TableName>,
    /// Namespaces whose members were listed; `None`: the whole lake.
    listed: BTreeSet<Option<NameKey>>,
    schemas: BTreeSet<TableId>,
    /// With the predicate as its caller wrote it.
    scans: BTreeMap<TableId, Vec<(Filter, String)>>,
}

impl Reads {
    fn note(&self, note: impl FnOnce(&mut ReadSet)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A name was looked up, whether or not something stood there.
    pub(crate) fn name(&self, name: &TableName) {
        self.note(|reads| drop(reads.names.insert(name.key().clone(), name.clone())));
    }

    /// The names in a namespace were listed, or all.
    pub(crate) fn listing(&self, namespace: Option<&TableName>) {
        self.note(|reads| {
            reads.listed.insert(namespace.map(|name| name.key().clone()));
        });
    }

    /// A table was planned.
    pub(crate) fn schema(&self, table: TableId) {
        self.note(|reads| {
            reads.schemas.insert(table);
        });
    }

    /// Rows that pass a filter were asked for, whether or not there were any.
    pub(crate) fn scan(&self, table: TableId, filter: &Filter, text: String) {
        self.note(|reads| {
            let scans = reads.scans.entry(table).or_default();
            if scans.iter().all(|(known, _)| known != filter) {
                scans.push((filter.clone(), text));
            }
        });
    }

    /// What was read up to now.
    pub(crate) fn so_far(&self) -> ReadSet {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ReadSet {
    /// Whether nothing was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.listed.is_empty() && self.schemas.is_empty() && self.scans.is_empty()
    }

    /// With rows that were asked for besides.
    pub(crate) fn and(mut self, more: Self) -> Self {
        for (table, scans) in more.scans {
            self.scans.entry(table).or_default().extend(scans);
        }
        self
    }

    /// What of it the other side has touched, since when others came into its line. Requests: the nodes of tables that were read and changed, and their files'
    /// difference.
    pub(crate) async fn conflicts(
        &self,
        base: &Snapshot,
        onto: &Snapshot,
        changes: &[Change<Catalog>],
        since: &Came,
    ) -> Result<Vec<Conflict>> {
        let mut conflicts = Vec::new();
        changes.iter().for_each(|change| self.check_name(change, &mut conflicts));
        // By id: a table that got another name is the same one.
        let now = changes.iter().filter_map(|change| change.after.as_ref());
        let now: BTreeMap<TableId, &CatalogEntry> = now.map(|entry| (entry.id, entry)).collect();
        let tables = changes.iter().filter_map(|change| change.before.as_ref());
        for before in tables.filter(|entry| entry.entry_type == EntryType::Table) {
            match now.get(&before.id) {
                Some(after) => self.check_table(base, onto, since, (before, after), &mut conflicts).await?,
                None => self.check_dropped(before, &mut conflicts),
            }
        }
        Ok(conflicts)
    }

    /// A table that was read and is gone.
    fn check_dropped(&self, before: &CatalogEntry, conflicts: &mut Vec<Conflict>) {
        if let Some((_, text)) = self.scans.get(&before.id).and_then(|scans| scans.first()) {
            let read = ReadConflict::Scan(text.clone());
            conflicts.push(Conflict::of_read(Some(before.id), before.name.as_str(), read));
        }
    }

    fn check_name(&self, change: &Change<Catalog>, conflicts: &mut Vec<Conflict>) {
        let identity =
            |entry: &Option<CatalogEntry>| entry.as_ref().map(|entry| (entry.id, entry.entry_type));
        let Some(entry) = change.after.as_ref().or(change.before.as_ref()) else { return };
        if identity(&change.before) == identity(&change.after) {
            return;
        }
        if self.names.contains_key(&change.key) {
            conflicts.push(Conflict::of_read(Some(entry.id), entry.name.as_str(), ReadConflict::Name));
        }
        let namespace = entry.name.namespace().map(|name| name.key().clone());
        if self.listed.contains(&None) || (namespace.is_some() && self.listed.contains(&namespace)) {
            conflicts.push(Conflict::of_read(Some(entry.id), entry.name.as_str(), ReadConflict::Listing));
        }
    }

    async fn check_table(
        &self,
        base: &Snapshot,
        onto: &Snapshot,
        since: &Came,
        (before, after): (&CatalogEntry, &CatalogEntry),
        conflicts: &mut Vec<Conflict>,
    ) -> Result<()> {
        let scans = self.scans.get(&before.id);
        if scans.is_none() && !self.schemas.contains(&before.id) {
            return Ok(());
        }
        let (before, after) = futures::try_join!(base.table_of(before), onto.table_of(after))?;
        if self.schemas.contains(&before.table.id) && !before.schema.has_same_fields(&after.schema) {
            let read = ReadConflict::Schema;
            conflicts.push(Conflict::of_read(Some(after.table.id), after.name.as_str(), read));
        }
        for (filter, text) in scans.into_iter().flatten() {
            if touches(&before, &after, onto, since, filter).await? {
                let read = ReadConflict::Scan(text.clone());
                conflicts.push(Conflict::of_read(Some(after.table.id), after.name.as_str(), read));
            }
        }
        Ok(())
    }
}

/// Of so many rows at most it is found out whether they only moved; of more it is in doubt.
const MOST_MOVED: usize = 1 << 18;

/// Whether rows that pass came, went or were changed. Requests: the nodes of the difference, and of files that lost rows or may hold moved ones
/// what the filter asks for, of the latter with the columns of ids. Memory: about 100 bytes for each row that passes in a file that is gone.
async fn touches(
    before: &TableState,
    after: &TableState,
    onto: &Snapshot,
    since: &Came,
    filter: &Filter,
) -> Result<bool> {
    let mut moves = Moves::since(before, since.start_of(before, after));
    let (old, new) = (
        FileFilter::new(filter.clone(), &before.table, &before.schema),
        FileFilter::new(filter.clone(), &after.table, &after.schema),
    );
    let (mut gone, mut came) = (Vec::new(), Vec::new());
    let mut changes = std::pin::pin!(onto.trees.diff(&before.table.files, &after.table.files));
    while let Some(change) = changes.try_next().await? {
        moves.note(&change);
        let touched = match (change.before, change.after) {
            (Some(entry), Some(after)) if entry.hash == after.hash => {
                reaches(&old, &entry) && deleted_between(before, &entry, &after, filter).await?
            }
            (left, right) => {
                gone.extend(left.filter(|entry| reaches(&old, entry)));
                let right = right.filter(|entry| reaches(&new, entry));
                let fresh = right.as_ref().is_some_and(|entry| !may_hold_moved(entry, before));
                came.extend(right);
                fresh
            }
        };
        if touched {
            return Ok(true);
        }
    }
    match (gone.is_empty(), came.is_empty()) {
        (true, true) => Ok(false),
        _ if moves.are_all() => Ok(false),
        (false, false) if before.schema.has_same_fields(&after.schema) => {
            let told = since.told_of(before, after);
            Ok(!only_moved((before, &gone), (after, &came), told, filter).await?)
        }
        _ => Ok(true),
    }
}

/// Whether a file may hold rows of the base: one that stores ids, or is listed anew.
fn may_hold_moved(entry: &FileEntry, base: &TableState) -> bool {
    entry.row_ids == RowIds::Stored || entry.first_row < base.table.next_row
}

/// Whether of the rows that pass the same are in both, each as it was: with the version that had last updated it, which says so up to
/// the one that is told [REB-7].
async fn only_moved(
    (before, gone): (&TableState, &[FileEntry]),
    (after, came): (&TableState, &[FileEntry]),
    told: Seq,
    filter: &Filter,
) -> Result<bool> {
    let mut left: HashMap<u64, u64> = HashMap::new();
    for entry in gone {
        let mut rows = passing(before, entry, filter).await?;
        while let Some(batch) = rows.try_next().await? {
            left.extend(versions(&batch)?);
            if left.len() > MOST_MOVED {
                return Ok(false);
            }
        }
    }
    for entry in came {
        let mut rows = passing(after, entry, filter).await?;
        while let Some(batch) = rows.try_next().await? {
            if versions(&batch)?.any(|(id, version)| version > told.0 || left.remove(&id) != Some(version)) {
                return Ok(false);
            }
        }
    }
    Ok(left.is_empty())
}

/// The rows of a file that are left and pass, as their ids and versions.
async fn passing(table: &TableState, entry: &FileEntry, filter: &Filter) -> Result<Batches> {
    let deleted = deletion_vector(&table.objects, table.table.id, entry).await?.unwrap_or_default();
    without(table, entry, &deleted)?.columns::<String>([]).having(filter.clone()).row_ids(true).await
}

/// The ids of rows and the versions that last updated them.
fn versions(batch: &RecordBatch) -> Result<impl Iterator<Item = (u64, u64)> + '_> {
    let column = |name: &str| {
        let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<UInt64Type>());
        column.ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("a scan gave no {name}")))
    };
    let (ids, versions) = (column(ROW_ID.0)?, column(LAST_UPDATED.0)?);
    Ok(ids.values().iter().copied().zip(versions.values().iter().copied()))
}

/// Whether one of the rows that a file has lost passes. Read are those rows, of what the filter asks for.
async fn deleted_between(
    table: &TableState,
    before: &FileEntry,
    after: &FileEntry,
    filter: &Filter,
) -> Result<bool> {
    let deletes = |entry: FileEntry| async move {
        Ok::<_, Error>(deletion_vector(&table.objects, table.table.id, &entry).await?.unwrap_or_default())
    };
    let (old, new) = futures::try_join!(deletes(before.clone()), deletes(after.clone()))?;
    // Rows that are back count as rows that came.
    let lost = new.added_since(&old);
    if lost.is_empty() || !new.contains_all(&old) || *filter == Filter::True {
        return Ok(!lost.is_empty() || !new.contains_all(&old));
    }
    let others = DeletionVector::below(before.rows)?.added_since(&lost);
    let scan = without(table, before, &others)?.columns::<String>([]).having(filter.clone());
    let mut rows = scan.await?;
    Ok(rows.try_next().await?.is_some_and(|batch| batch.num_rows() > 0))
}
