//! What another version did to a table, as a work upon ours: the same that a transaction's draft is to a rebase [MRG-3].
//!
//! The files that differ between base and theirs are put into our numbers: those that ours knows get the numbers that they
//! have there, all others the next ones of ours [REB-3]. What comes of it is a base and a draft that hold nothing but these
//! files, so that the one merge of tables takes them as it takes a transaction's.
//!
//! Invariant: a translation is made anew for each state of ours, whose next numbers it begins from. What does not belong here:
//! which versions are merged (`bring`), and what both sides did to a row (`rows`).

use std::sync::Arc;

use strandline_format::tree::Root;
use strandline_format::{
    Era, FieldId, FileEntry, FileId, Files, Renumbering, RowId, Schema, Seq, Table as TableNode,
};

use crate::changes::{FileChange, Sides, empty};
use crate::error::{Error, Result};
use crate::merge::kin::{Ends, Known};
use crate::scan::deletion_vector;
use crate::table::TableState;
use crate::transaction::draft::Draft;
use crate::tree::Trees;

/// A table that another version changed, on both ends of what was done to it.
#[derive(Clone, Debug)]
pub(crate) struct Theirs {
    /// As the base has it; `None`: theirs made it.
    pub(crate) base: Option<TableState>,
    pub(crate) theirs: TableState,
    /// The numbers of theirs in those of ours.
    pub(crate) known: Known,
    /// Whether the base is a version of ours, counted in our numbers, and not one of theirs.
    pub(crate) base_is_ours: bool,
    /// The last version that both sides count alike.
    pub(crate) shared: Seq,
}

/// The same, in the numbers of one state of ours.
#[derive(Debug)]
pub(crate) struct Translated {
    pub(crate) base: TableState,
    pub(crate) draft: Draft,
    /// The numbers of theirs in those of ours, all of them [MRG-4].
    pub(crate) numbers: Renumbering,
    /// The first numbers of ours that are left then.
    pub(crate) next: Ends,
    /// Files of the base that theirs changed and ours never had: of a commit that is picked alone [MRG-9], or of a table that was
    /// kept as ours at the last merge.
    pub(crate) strangers: Vec<FileId>,
    /// Whether rows that the base had deleted are back in theirs.
    pub(crate) restores: bool,
}

impl Theirs {
    /// Puts it into the numbers of a state of ours. Requests: the files that differ between base and theirs, and lookups in ours
    /// of those that come back.
    pub(crate) async fn upon(&self, ours: &TableState, trees: &Trees, era: Era) -> Result<Translated> {
        let base = self.base.clone().unwrap_or_else(|| empty(&self.theirs));
        let (their_table, our_table) = (&self.theirs.table, &ours.table);
        let files = self.known.files.complete(their_table.next_file.0, our_table.next_file.0)?;
        let rows = self.known.rows.complete(their_table.next_row.0, our_table.next_row.0)?;
        let numbers = Renumbering { files: files.0, rows: rows.0 };
        let mut next = Ends { file: files.1, row: rows.1 };
        let mut sides = (Root::<Files>::default(), Root::<Files>::default());
        let (mut strangers, mut restores) = (Vec::new(), false);
        for FileChange { before, after } in self.changes(&base, trees).await? {
            let is_known = |entry: &FileEntry| self.known.files.get(entry.id.0).is_some();
            let known_before = self.base_is_ours || before.as_ref().is_none_or(is_known);
            if !known_before {
                strangers.extend(before.iter().map(|entry| entry.id));
            }
            let before = match before {
                Some(entry) if !self.base_is_ours => Some(numbers.renumber(&entry)?),
                entry => entry,
            };
            restores |= self.brings_back((&base, before.as_ref()), after.as_ref()).await?;
            let comes_back = before.is_none() && after.as_ref().is_some_and(is_known);
            let mut after = after.map(|entry| numbers.renumber(&entry)).transpose()?;
            restores |= comes_back;
            if comes_back && let Some(entry) = &mut after {
                // Listed anew, so that nobody takes it for the file that ours has removed [REB-9].
                if trees.get(&our_table.files, &entry.id).await?.is_none() {
                    entry.id = FileId(next.file);
                    next.file += 1;
                }
            }
            sides.0.edit(before.into_iter().map(|entry| (entry.id, Some(entry))));
            sides.1.edit(after.into_iter().map(|entry| (entry.id, Some(entry))));
        }
        let only = |table: &TableNode, files: Root<Files>| TableNode {
            files,
            next_file: FileId(self.known.shared.file),
            next_row: our_table.next_row,
            ..table.clone()
        };
        let base = TableState { table: Arc::new(only(&base.table, sides.0)), ..base };
        let draft = Draft::of_theirs(
            only(their_table, sides.1),
            Arc::clone(&self.theirs.schema),
            our_table.next_file,
            era,
        );
        Ok(Translated { base, draft, numbers, next, strangers, restores })
    }

    /// Whether rows of a file that the base had deleted are back.
    async fn brings_back(
        &self,
        (base, before): (&TableState, Option<&FileEntry>),
        after: Option<&FileEntry>,
    ) -> Result<bool> {
        let (Some(before), Some(after)) = (before, after) else { return Ok(false) };
        let deletes = async |state: &TableState, entry: &FileEntry| {
            Ok::<_, Error>(deletion_vector(&state.objects, state.table.id, entry).await?.unwrap_or_default())
        };
        if before.deletes.is_none() {
            return Ok(false);
        }
        let (before, after) = futures::try_join!(deletes(base, before), deletes(&self.theirs, after))?;
        Ok(!after.contains_all(&before))
    }

    /// The files that differ between base and theirs, in the numbers that each has.
    async fn changes(&self, base: &TableState, trees: &Trees) -> Result<Vec<FileChange>> {
        let on_one_line = Known::on_one_line(&base.table, &self.theirs.table);
        let known = if self.base_is_ours { &self.known } else { &on_one_line };
        Sides { trees, before: &base.table, after: &self.theirs.table, known }.files().await
    }

    /// The whole state of theirs in the numbers of ours, in the place of what ours has [MRG-8, MRG-10]. Reads the trees of the files
    /// of both.
    pub(crate) async fn instead(
        &self,
        ours: &TableState,
        trees: &Trees,
        era: Era,
    ) -> Result<(Draft, Renumbering)> {
        let everything = Self { base: None, base_is_ours: false, ..self.clone() };
        let translated = everything.upon(ours, trees, era).await?;
        let our_files = ours.table.files.clone();
        let mut table = (*self.theirs.table).clone();
        let schema = with_dropped(&self.theirs.schema, &ours.schema)?;
        (table.next_file, table.next_row) = (FileId(translated.next.file), RowId(translated.next.row));
        let mut draft = Draft::of(ours, era);
        draft.clear();
        draft.take_over(table, Arc::new(schema));
        let entries: Vec<FileEntry> =
            translated.draft.table.files.edits().values().flatten().cloned().collect();
        let ids: Vec<FileId> = entries.iter().map(|entry| entry.id).collect();
        let known = trees.get_many(&our_files, &ids).await?;
        for (entry, known) in entries.into_iter().zip(known) {
            // What ours has already came in the version that ours says; all else comes in the commit's own.
            let added = known.map_or(Seq(0), |known| known.added);
            draft.put(None, FileEntry { added, ..entry });
        }
        Ok((draft, translated.numbers))
    }
}

/// A schema that remembers what the other one has dropped, or has and this one lacks, so that no id is given again [MRG-10].
pub(crate) fn with_dropped(schema: &Schema, other: &Schema) -> Result<Schema> {
    let lacking = |id: &FieldId| schema.field(*id).is_none();
    let known = other.dropped().iter().copied().chain(other.ids());
    let dropped = schema.dropped().iter().copied().chain(known.filter(lacking)).collect();
    Ok(Schema::new(schema.id().max(other.id()), schema.fields().to_vec(), dropped)?)
}
