//! A table that both sides changed: its node member by member, its files entry by entry [REB-2].

use std::sync::Arc;

use strandline_format::merge::{TableMerge, TableSide, merge_tables};
use strandline_format::tree::Root;
use strandline_format::{Constraint, Era, FileEntry, FileId, Files, Pieces, Renumbering, RowId, Seq, Table};

use crate::error::{ErrorKind, Result};
use crate::merge::conflict::{Conflict, ConflictKind};
use crate::merge::files::FilesMerge;
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
        if conflicts.len() == found {
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

    /// The rows that one side added, held against the constraints that the other one added or changed [REB-11].
    async fn check_rows(&self, merged: &TableMerge, conflicts: &mut Vec<Conflict>) -> Result<()> {
        if !merged.ours_constraints.is_empty() {
            let added = self.theirs.new_files().cloned().collect();
            self.hold(added, &self.theirs.table, &merged.ours_constraints, merged, conflicts).await?;
        }
        if !merged.theirs_constraints.is_empty() {
            let (base, ours) = (&self.base.table, self.ours);
            let since = KeyRange::new(base.next_file..);
            let added = ours.trees.collect(&ours.table.files, &since).await?;
            self.hold(added, &ours.table, &merged.theirs_constraints, merged, conflicts).await?;
        }
        Ok(())
    }

    async fn hold(
        &self,
        added: Vec<FileEntry>,
        table: &Table,
        constraints: &[Constraint],
        merged: &TableMerge,
        conflicts: &mut Vec<Conflict>,
    ) -> Result<()> {
        let mut files: Root<Files> = Root::default();
        files.edit(added.into_iter().map(|entry| (entry.id, Some(entry))));
        let table = Table { files, ..table.clone() };
        for constraint in constraints {
            let held = check_rows(self.ours, &table, &merged.schema, std::slice::from_ref(constraint)).await;
            match held {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    let name = constraint.name.as_str().to_owned();
                    conflicts.push(self.conflict(ConflictKind::Constraint(name, error.message().to_owned())));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn conflict(&self, kind: ConflictKind) -> Conflict {
        Conflict::of_table(self.ours.table.id, &self.ours.name, kind)
    }

    /// Which numbers of ours what theirs added gets, and the next ones after them [REB-3].
    fn numbers(&self) -> Result<(Renumbering, FileId, RowId)> {
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
