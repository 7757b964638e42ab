//! A table that both sides changed: its node member by member, its files entry by entry [REB-2].

use std::sync::Arc;

use futures::TryStreamExt;
use strandline_format::merge::{TableEnds, TableMerge, TableSide, merge_tables};
use strandline_format::tree::Root;
use strandline_format::{
    Constraint, Era, FileEntry, FileId, Files, Pieces, Renumbering, RowId, Schema, SchemaEdit, Seq, Table,
};

use crate::error::{Error, ErrorKind, Result};
use crate::filter::{self, Checks};
use crate::merge::choices::RowChoices;
use crate::merge::conflict::{Conflict, ConflictKind};
use crate::merge::files::{FilesMerge, FilesMerged, brings_back};
use crate::merge::keys::KeysMerge;
use crate::merge::known::Known;
use crate::storage::DataKind;
use crate::table::TableState;
use crate::transaction::check_rows;
use crate::transaction::draft::Draft;
use crate::tree::{Change, KeyRange};

/// Through how many rows one may be stood for.
const LINKS: usize = 8;

/// One table on all sides.
pub(super) struct TableRebase<'a> {
    pub(super) base: &'a TableState,
    pub(super) ours: &'a TableState,
    pub(super) theirs: &'a Draft,
    /// The places that ours has and the base has not, where a version since the base took rows from another one; `None`: all of them
    /// are in files that ours added.
    pub(super) our_places: Option<&'a [FileEntry]>,
    /// Up to this version a row of ours that has its number in the base has not changed; others count as changed. In theirs the same, if it is a
    /// version: a transaction's rows are of the base's line.
    pub(super) told: Seq,
    /// The base's version, where versions of all rows of ours can be compared with it.
    pub(super) start: Option<Seq>,
    /// What more is known of theirs, if it is a version and not a transaction's.
    pub(super) brought: Option<Brought<'a>>,
    /// What is decided of rows that both sides changed.
    pub(super) choices: &'a RowChoices,
    pub(super) version: Seq,
    /// The era in which a united deletion vector is stored.
    pub(super) era: Era,
}

/// What a version brings in, in our numbers.
#[derive(Clone, Copy)]
pub(super) struct Brought<'a> {
    /// The places that it has and the base has not, of rows that the base can know.
    pub(super) places: &'a [FileEntry],
    /// The files with rows in places that the base has not, of any rows.
    pub(super) came: &'a [FileEntry],
    /// Those of ours, if keys are compared.
    pub(super) our_came: &'a [FileEntry],
    /// The whole of it, in its own numbers.
    pub(super) whole: &'a TableState,
    /// Its numbers in those of ours.
    pub(super) known: &'a Known,
    /// Rows of theirs and of the base that one of ours stands for, which is the same row under another id.
    pub(super) same: &'a Pieces,
    /// The same the other way round: rows that stand for others.
    pub(super) stand_in: &'a Pieces,
    /// Whether rows are among them that came back, from a version that is neither the base nor since.
    pub(super) restores: bool,
    /// The first numbers that are left.
    pub(super) next: TableEnds,
}

impl TableRebase<'_> {
    /// The draft upon our node; `None` if there are conflicts, which are added to the list.
    pub(super) async fn run(&self, conflicts: &mut Vec<Conflict>) -> Result<Option<Draft>> {
        let side = |state: &'_ TableState| (Arc::clone(&state.table), Arc::clone(&state.schema));
        let ((base, base_schema), (ours, our_schema)) = (side(self.base), side(self.ours));
        let merged = merge_tables(
            TableSide { table: &base, schema: &base_schema },
            TableSide { table: &ours, schema: &our_schema },
            TableSide { table: &self.theirs.table, schema: &self.theirs.schema },
        )?;
        let found = conflicts.len();
        conflicts.extend(
            merged.conflicts.iter().cloned().map(|conflict| self.conflict(ConflictKind::Table(conflict))),
        );
        let (numbers, next_file, next_row) = self.numbers()?;
        let files = FilesMerge { table: self, numbers: &numbers, lists: &merged.lists };
        let files = Box::pin(files.run(next_file, conflicts)).await?;
        // What the schemas or the key disagree on says nothing certain of constraints.
        if merged.conflicts.is_empty() {
            self.check_constraints(&merged, conflicts);
            self.check_rows(&merged, conflicts).await?;
            let keys = KeysMerge { table: self, merged: &merged, files: &files, numbers: &numbers };
            Box::pin(keys.run(conflicts)).await?;
        }
        if conflicts.len() > found {
            return Ok(None);
        }
        let FilesMerged { edits, stored, next_file, .. } = files;
        let mut draft = Draft::new(ours.as_ref().clone(), Arc::new(merged.schema), self.era);
        draft.uploads = self.theirs.uploads.clone();
        draft
            .uploads
            .extend(stored.into_iter().map(|object| (object.hash, (DataKind::DeletionVector, object))));
        draft.overwrites = self.theirs.overwrites.clone();
        draft.looked_up = self.theirs.looked_up.clone();
        let (files, totals) = (draft.table.files.clone(), draft.table.totals);
        let restored = match self.brought {
            Some(brought) if brought.restores => self.version,
            _ => ours.restored,
        };
        draft.table = Table { files, totals, next_file, next_row, restored, ..merged.table };
        for edit in edits.into_values() {
            apply(&mut draft, edit.before.as_ref(), edit.after);
        }
        Ok(Some(draft))
    }

    /// Whether ours, and whether theirs, has a field back that the base had dropped and the other side has not [REB-7].
    pub(super) fn has_back(&self) -> [bool; 2] {
        let (base, ours, theirs) = (&self.base.schema, &self.ours.schema, &self.theirs.schema);
        [ours.has_back(base, theirs), theirs.has_back(base, ours)]
    }

    /// Whether each constraint can still be evaluated: it names columns, which the other side may have dropped or renamed
    /// [REB-11].
    fn check_constraints(&self, merged: &TableMerge, conflicts: &mut Vec<Conflict>) {
        for constraint in &merged.table.constraints {
            if let Err(error) = Checks::new(std::slice::from_ref(constraint), &merged.schema) {
                conflicts.push(self.broken(constraint, &error));
            }
        }
    }

    /// The rows that each side added or brought back, held against what they were never held against on that side [REB-11]. Read are
    /// the columns that the constraints ask for, of files whose statistics leave it open.
    async fn check_rows(&self, merged: &TableMerge, conflicts: &mut Vec<Conflict>) -> Result<()> {
        let after = (merged.table.constraints.as_slice(), &merged.schema);
        let unheld = filter::unheld((&self.ours.table.constraints, &self.ours.schema), after)?;
        if !unheld.is_empty() {
            let files = self.our_files().await?;
            let schema = as_lenient(&merged.schema, &self.ours.schema)?;
            self.check_files(&unheld, (&self.ours.table, files), &schema, conflicts).await?;
        }
        let theirs = self.theirs;
        let unheld = filter::unheld((&theirs.table.constraints, &theirs.schema), after)?;
        if !unheld.is_empty() {
            let state = TableState { table: Arc::new(theirs.table.clone()), ..self.ours.clone() };
            let files = self.came_since_base(&state).await?;
            let schema = as_lenient(&merged.schema, &theirs.schema)?;
            self.check_files(&unheld, (&theirs.table, files), &schema, conflicts).await?;
        }
        Ok(())
    }

    /// The files of ours with rows that theirs did not see. If theirs is a version, the base holds only what theirs changed, and all of
    /// ours may be such.
    async fn our_files(&self) -> Result<Vec<FileEntry>> {
        match self.brought {
            None => self.came_since_base(self.ours).await,
            Some(_) => self.ours.trees.collect(&self.ours.table.files, &KeyRange::new(..)).await,
        }
    }

    /// The files of a side with rows that the base has not.
    async fn came_since_base(&self, side: &TableState) -> Result<Vec<FileEntry>> {
        let mut changes = std::pin::pin!(self.ours.trees.diff(&self.base.table.files, &side.table.files));
        let mut came = Vec::new();
        while let Some(Change { before, after, .. }) = changes.try_next().await? {
            let has_come = match (&before, &after) {
                (Some(before), Some(after)) => brings_back((self.base, before), (side, after)).await?,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            came.extend(after.filter(|_| has_come));
        }
        Ok(came)
    }

    async fn check_files(
        &self,
        constraints: &[Constraint],
        (table, added): (&Table, Vec<FileEntry>),
        merged: &Schema,
        conflicts: &mut Vec<Conflict>,
    ) -> Result<()> {
        if constraints.is_empty() || added.is_empty() {
            return Ok(());
        }
        let mut files: Root<Files> = Root::default();
        files.edit(added.into_iter().map(|entry| (entry.id, Some(entry))));
        let table = Table { files, ..table.clone() };
        for constraint in constraints {
            // One that cannot be evaluated has been told of.
            if Checks::new(std::slice::from_ref(constraint), merged).is_err() {
                continue;
            }
            match check_rows(self.ours, &table, merged, std::slice::from_ref(constraint)).await {
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    conflicts.push(self.broken(constraint, &error));
                }
                other => other?,
            }
        }
        Ok(())
    }

    fn broken(&self, constraint: &Constraint, error: &Error) -> Conflict {
        let name = constraint.name.as_str().to_owned();
        self.conflict(ConflictKind::Constraint(name, error.message().to_owned()))
    }

    /// The id by which a row is told: that of the row which stands for it, if there is one.
    pub(super) fn told_as(&self, id: u64) -> u64 {
        self.brought.map_or(id, |brought| told_as(brought.same, id))
    }

    /// Whether rows of a file may be told by other ids than they have.
    pub(super) fn may_be_told_otherwise(&self, entry: &FileEntry) -> bool {
        let meets = |brought: Brought<'_>| may_meet(brought.same, entry);
        self.brought.is_some_and(meets)
    }

    /// Whether rows of a file may stand for others, whose ids they are told by on the other side.
    pub(super) fn may_stand_for_others(&self, entry: &FileEntry) -> bool {
        self.brought.is_some_and(|brought| may_meet(brought.stand_in, entry))
    }

    pub(super) fn conflict(&self, kind: ConflictKind) -> Conflict {
        Conflict::of_table(self.ours.table.id, &self.ours.name, kind)
    }

    /// Which numbers of ours what theirs added gets, and the next ones after them [REB-3].
    fn numbers(&self) -> Result<(Renumbering, FileId, RowId)> {
        if let Some(Brought { next, .. }) = self.brought {
            return Ok((Renumbering::default(), FileId(next.file), RowId(next.row)));
        }
        let (base, ours, theirs) = (&self.base.table, &self.ours.table, &self.theirs.table);
        let files = Pieces::shared(base.next_file.0).complete(theirs.next_file.0, ours.next_file.0)?;
        let rows = Pieces::shared(base.next_row.0).complete(theirs.next_row.0, ours.next_row.0)?;
        Ok((
            Renumbering { files: files.0, rows: rows.0, ..Renumbering::default() },
            FileId(files.1),
            RowId(rows.1),
        ))
    }
}

/// The id of the row that stands for one. Rows that stand for it may themselves be stood for, by what another branch had put in under the key.
pub(super) fn told_as(same: &Pieces, mut id: u64) -> u64 {
    for _ in 0..same.as_slice().len().min(LINKS) {
        match same.get(id) {
            Some(other) => id = other,
            None => break,
        }
    }
    id
}

/// Whether a file may hold rows that others stand for.
pub(super) fn may_meet(same: &Pieces, entry: &FileEntry) -> bool {
    !same.as_slice().is_empty() && entry.row_id_bounds().is_none_or(|bounds| same.meets(bounds))
}

/// A schema to read rows by that were written under another one: with nulls wherever that one let them be.
fn as_lenient(schema: &Schema, written: &Schema) -> Result<Schema> {
    let edits: Vec<SchemaEdit> = filter::tightened(written, schema).map(SchemaEdit::Relax).collect();
    Ok(schema.edited(&edits, &[], &mut || 0)?)
}

fn apply(draft: &mut Draft, before: Option<&FileEntry>, after: Option<FileEntry>) {
    match (before, after) {
        (before, Some(after)) => draft.put(before, after),
        (Some(before), None) => draft.remove(before),
        (None, None) => {}
    }
}
