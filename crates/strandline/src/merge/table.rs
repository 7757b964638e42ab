//! A table that both sides changed: its node member by member, its files entry by entry [REB-2].

use std::sync::Arc;

use strandline_format::merge::{TableMerge, TableSide, merge_tables};
use strandline_format::tree::Root;
use strandline_format::{
    Constraint, Era, FileEntry, FileId, Files, Pieces, Renumbering, RowId, Schema, Seq, Table,
};

use crate::error::{Error, ErrorKind, Result};
use crate::filter::Checks;
use crate::merge::choices::RowChoices;
use crate::merge::conflict::{Conflict, ConflictKind};
use crate::merge::files::FilesMerge;
use crate::merge::kin::Ends;
use crate::storage::DataKind;
use crate::table::TableState;
use crate::transaction::check_rows;
use crate::transaction::draft::Draft;
use crate::tree::KeyRange;

/// One table on all sides.
pub(super) struct TableRebase<'a> {
    pub(super) base: &'a TableState,
    pub(super) ours: &'a TableState,
    pub(super) theirs: &'a Draft,
    /// The last version that both sides count alike, if theirs is a version: what later ones wrote cannot be told apart by their
    /// numbers, and counts as changed.
    pub(super) shared: Option<Seq>,
    /// The first numbers that are left, if theirs has ours already.
    pub(super) numbered: Option<Ends>,
    /// What is decided of rows that both sides changed.
    pub(super) choices: &'a RowChoices,
    pub(super) version: Seq,
    /// The era in which a united deletion vector is stored.
    pub(super) era: Era,
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
        let (edits, stored) = files.run(conflicts).await?;
        // What the schemas or the key disagree on says nothing certain of constraints.
        if merged.conflicts.is_empty() {
            self.check_constraints(&merged, conflicts);
            self.check_rows(&merged, conflicts).await?;
        }
        if conflicts.len() > found {
            return Ok(None);
        }
        let mut draft = Draft::new(ours.as_ref().clone(), Arc::new(merged.schema), self.era);
        draft.uploads = self.theirs.uploads.clone();
        draft
            .uploads
            .extend(stored.into_iter().map(|object| (object.hash, (DataKind::DeletionVector, object))));
        draft.overwrites = self.theirs.overwrites.clone();
        let (files, totals) = (draft.table.files.clone(), draft.table.totals);
        draft.table = Table { files, totals, next_file, next_row, ..merged.table };
        for edit in edits {
            apply(&mut draft, edit.before.as_ref(), edit.after);
        }
        Ok(Some(draft))
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

    /// The rows that each side added, held against the constraints that the other one added or changed since [REB-11]. Read
    /// are the columns that the constraints ask for, of the files that were added.
    async fn check_rows(&self, merged: &TableMerge, conflicts: &mut Vec<Conflict>) -> Result<()> {
        let ours = async {
            if merged.theirs_constraints.is_empty() { Ok(Vec::new()) } else { self.our_new_files().await }
        };
        let ours = ours.await?;
        let theirs = self.theirs.new_files().cloned().collect();
        self.check_files(&merged.theirs_constraints, (&self.ours.table, ours), &merged.schema, conflicts)
            .await?;
        self.check_files(&merged.ours_constraints, (&self.theirs.table, theirs), &merged.schema, conflicts)
            .await
    }

    /// The files that ours added since the base.
    async fn our_new_files(&self) -> Result<Vec<FileEntry>> {
        let added = KeyRange::new(self.base.table.next_file..);
        self.ours.trees.collect(&self.ours.table.files, &added).await
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

    pub(super) fn conflict(&self, kind: ConflictKind) -> Conflict {
        Conflict::of_table(self.ours.table.id, &self.ours.name, kind)
    }

    /// Which numbers of ours what theirs added gets, and the next ones after them [REB-3].
    fn numbers(&self) -> Result<(Renumbering, FileId, RowId)> {
        if let Some(next) = self.numbered {
            return Ok((Renumbering::default(), FileId(next.file), RowId(next.row)));
        }
        let (base, ours, theirs) = (&self.base.table, &self.ours.table, &self.theirs.table);
        let files = Pieces::shared(base.next_file.0).complete(theirs.next_file.0, ours.next_file.0)?;
        let rows = Pieces::shared(base.next_row.0).complete(theirs.next_row.0, ours.next_row.0)?;
        Ok((Renumbering { files: files.0, rows: rows.0 }, FileId(files.1), RowId(rows.1)))
    }
}

fn apply(draft: &mut Draft, before: Option<&FileEntry>, after: Option<FileEntry>) {
    match (before, after) {
        (before, Some(after)) => draft.put(before, after),
        (Some(before), None) => draft.remove(before),
        (None, None) => {}
    }
}
