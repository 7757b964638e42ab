//! A table in the middle of a transaction: its node as it is to become, with files that nobody else sees yet.
//!
//! Invariants: ids of files and rows are handed out in order from what the base had [TBL-4]; totals and counts always are what
//! the entries add up to [TBL-6, COM-6]; `added` of new entries is set when the version is known [FILE-11].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use strandline_format::tree::Root;
use strandline_format::{
    Counts, Deletes, Era, FieldId, FileEntry, FileId, Filter, Hash, NumberMap, ObjectRef, PickedNumbers,
    Renumbering, RowId, RowIds, Schema, Seq, Table as TableNode, TableName, Totals,
};

use crate::error::Result;
use crate::snapshot::Snapshot;
use crate::storage::DataKind;
use crate::table::TableState;
use crate::write::NewFile;

/// What a table is to become.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) table: TableNode,
    pub(crate) schema: Arc<Schema>,
    pub(crate) moved: Moved,
    /// The totals of the base.
    base: Totals,
    /// Files with this id and above are new.
    first_new: FileId,
    /// The era in which its data is uploaded.
    pub(crate) era: Era,
    /// What was uploaded for it.
    pub(crate) uploads: BTreeMap<Hash, (DataKind, ObjectRef)>,
    /// What its overwrites replace: whoever else writes there meanwhile collides [REB-16].
    pub(crate) overwrites: Vec<Filter>,
    /// Files of the base that an overwrite would have replaced by themselves: they stay, and whoever else touches them
    /// collides as well [REB-16].
    pub(crate) kept: BTreeSet<FileId>,
    /// The fields by which rows were looked up before others were put in: whoever else adds such a row meanwhile collides [REB-17].
    pub(crate) looked_up: BTreeSet<Vec<FieldId>>,
    /// Of what a merge brought in: where the numbers of the other branch stand here [MRG-4].
    pub(crate) renumbered: Option<Renumbering>,
    /// Of what was picked: where the numbers of what it added stand here [MRG-11].
    pub(crate) picked: Option<PickedNumbers>,
}

/// What came and went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) rows: Counts,
    pub(crate) files: Counts,
    pub(crate) bytes: Counts,
}

impl Draft {
    /// A table that nothing was done to yet.
    pub(crate) fn of(state: &TableState, era: Era) -> Self {
        Self::new((*state.table).clone(), Arc::clone(&state.schema), era)
    }

    /// A table that stands on this node.
    pub(crate) fn new(table: TableNode, schema: Arc<Schema>, era: Era) -> Self {
        let (base, first_new) = (table.totals, table.next_file);
        Self {
            table,
            schema,
            moved: Moved::default(),
            base,
            first_new,
            era,
            uploads: BTreeMap::new(),
            overwrites: Vec::new(),
            kept: BTreeSet::new(),
            looked_up: BTreeSet::new(),
            renumbered: None,
            picked: None,
        }
    }

    /// What another version has of a table, to be merged: files with this number and above are new to the branch.
    pub(crate) fn of_theirs(table: TableNode, schema: Arc<Schema>, first_new: FileId, era: Era) -> Self {
        Self { first_new, ..Self::new(table, schema, era) }
    }

    /// Makes it another state of the table, of which no files are listed yet. The node says where this very schema stands.
    pub(crate) fn take_over(&mut self, table: TableNode, schema: Arc<Schema>) {
        self.clear();
        self.table = TableNode { files: Root::default(), totals: Totals::default(), ..table };
        self.schema = schema;
    }

    /// Makes it an earlier state of the table, files and all.
    pub(crate) fn restore(&mut self, table: TableNode, schema: Arc<Schema>) {
        let (files, totals) = (table.files.clone(), table.totals);
        self.take_over(table, schema);
        (self.table.files, self.table.totals) = (files, totals);
        (self.moved.rows.added, self.moved.files.added, self.moved.bytes.added) =
            (totals.rows, totals.files, totals.bytes);
    }

    /// The table as it is now, to be read.
    pub(crate) fn state(&self, base: &Snapshot, name: &TableName) -> TableState {
        TableState {
            objects: base.objects.clone(),
            trees: Arc::clone(&base.trees),
            name: name.clone(),
            table: Arc::new(self.table.clone()),
            schema: Arc::clone(&self.schema),
        }
    }

    /// Whether it comes to this state, but for numbers that were handed out. Names are equal in any letters, so what is stored is compared.
    pub(crate) fn is_as(&self, state: &TableState) -> Result<bool> {
        if self.schema.to_json()? != state.schema.to_json()? {
            return Ok(false);
        }
        let TableNode { next_file, next_row, restored, .. } = *state.table;
        let schema = state.table.schema.clone();
        let table = TableNode { next_file, next_row, restored, schema, ..self.table.clone() };
        Ok(table == *state.table && table.to_json()? == state.table.to_json()?)
    }

    /// Whether a file was added by this work.
    pub(crate) fn is_new(&self, id: FileId) -> bool {
        id >= self.first_new
    }

    /// The files that this work adds.
    pub(crate) fn new_files(&self) -> impl Iterator<Item = &FileEntry> {
        self.table.files.edits().range(self.first_new..).filter_map(|(_, edit)| edit.as_ref())
    }

    /// Adds a file that was just written, under the next ids. Rows of which it stores no id get one of these.
    pub(crate) fn add(&mut self, file: NewFile, row_ids: RowIds) -> Result<()> {
        let (id, first_row) = (self.table.next_file, self.table.next_row);
        let entry = FileEntry {
            id,
            hash: file.object.hash,
            era: file.object.era,
            size: file.object.size,
            rows: file.rows,
            footer: file.footer,
            first_row,
            added: Seq(0),
            fields: self.table.field_set(&file.fields)?,
            deletes: None,
            row_groups: file.row_groups,
            order: file.order.map(|order| order.0),
            split: file.split,
            shifts: NumberMap::default(),
            row_ids,
            external: None,
            stats: file.stats.into(),
        };
        entry.check()?;
        self.table.next_file = id.next()?;
        self.table.next_row = RowId(first_row.0.saturating_add(entry.rows));
        if !file.reused {
            self.uploads.insert(file.object.hash, (DataKind::File, file.object));
        }
        self.put(None, entry);
        Ok(())
    }

    /// Puts an entry, in the place of the one that stood under its id.
    pub(crate) fn put(&mut self, before: Option<&FileEntry>, after: FileEntry) {
        self.count(before, Some(&after));
        self.table.files.edit([(after.id, Some(after))]);
    }

    /// Removes an entry.
    pub(crate) fn remove(&mut self, before: &FileEntry) {
        self.kept.remove(&before.id);
        self.count(Some(before), None);
        self.table.files.edit([(before.id, None)]);
    }

    /// Removes all files. No request, however many there are.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.table.files = Root::default();
        self.table.totals = Totals::default();
        let gone = |total: u64| Counts { added: 0, removed: total };
        self.moved =
            Moved { rows: gone(self.base.rows), files: gone(self.base.files), bytes: gone(self.base.bytes) };
    }

    fn count(&mut self, before: Option<&FileEntry>, after: Option<&FileEntry>) {
        self.table.totals = self.table.totals.edited(before, after);
        let id = before.or(after).map(|entry| entry.id);
        let new = id.is_some_and(|id| self.is_new(id));
        let sums = |entry: Option<&FileEntry>| Totals::of(entry);
        let (old, now) = (sums(before), sums(after));
        self.moved.rows.shift(old.rows, now.rows, new);
        self.moved.files.shift(old.files, now.files, new);
        self.moved.bytes.shift(old.bytes, now.bytes, new);
    }

    /// Refers to an upload under the era in which it was put again [GC-11].
    pub(crate) fn renew(&mut self, kind: DataKind, object: ObjectRef) {
        self.uploads.insert(object.hash, (kind, object));
        let renewed = self.table.files.edits().iter().filter_map(|(id, edit)| {
            let mut entry = edit.clone()?;
            match (kind, &mut entry.deletes) {
                (DataKind::File, _) if entry.hash == object.hash && self.is_new(*id) => {
                    entry.era = object.era;
                }
                (DataKind::DeletionVector, Some(Deletes::Stored { object: stored, .. }))
                    if stored.hash == object.hash =>
                {
                    stored.era = object.era;
                }
                _ => return None,
            }
            Some((*id, Some(entry)))
        });
        let renewed: Vec<_> = renewed.collect();
        self.table.files.edit(renewed);
    }

    /// Says of the new files in which version they came.
    pub(crate) fn settle(&mut self, version: Seq) {
        let edits = self.table.files.edits().range(self.first_new..);
        let settled: Vec<_> = edits
            .map(|(id, edit)| (*id, edit.clone().map(|entry| FileEntry { added: version, ..entry })))
            .collect();
        self.table.files.edit(settled);
    }
}

/// How a sum changes what came and went.
trait Shift {
    fn shift(&mut self, before: u64, after: u64, new: bool);
}

impl Shift for Counts {
    fn shift(&mut self, before: u64, after: u64, new: bool) {
        if after >= before {
            self.added = self.added.saturating_add(after - before);
        } else if new {
            // What the work itself had added goes again.
            self.added = self.added.saturating_sub(before - after);
        } else {
            self.removed = self.removed.saturating_add(before - after);
        }
    }
}
