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
    Era, FileEntry, FileId, Files, Renumbering, RowId, Schema, SchemaMerge, Seq, Table as TableNode,
    TableSchema, Totals,
};

use crate::changes::{FileChange, Sides, empty};
use crate::error::{Error, ErrorKind, Result};
use crate::merge::files::brings_back;
use crate::merge::kin::{Ends, Known};
use crate::table::TableState;
use crate::transaction::draft::Draft;
use crate::tree::Trees;

/// A table that another version changed, on both ends of what was done to it.
#[derive(Clone, Debug)]
pub(crate) struct Theirs {
    /// As the base has it; `None`: theirs made it.
    pub(crate) base: Option<TableState>,
    pub(crate) theirs: TableState,
    /// As ours had it last, if ours has dropped it.
    pub(crate) gone: Option<TableState>,
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
            if let (Some(before), Some(after)) = (&before, &after) {
                restores |= brings_back((&base, before), (&self.theirs, after)).await?;
            }
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
        self.in_numbers_of(ours, Draft::of(ours, era), trees).await
    }

    /// The same where ours has nothing any more, but may have handed out numbers [TBL-4].
    pub(crate) async fn again(&self, trees: &Trees, era: Era) -> Result<(Draft, Renumbering)> {
        let gone = self.gone.clone().unwrap_or_else(|| empty(&self.theirs));
        self.in_numbers_of(&gone, Draft::of(&unlisted(&gone), era), trees).await
    }

    async fn in_numbers_of(
        &self,
        ours: &TableState,
        mut draft: Draft,
        trees: &Trees,
    ) -> Result<(Draft, Renumbering)> {
        let everything = Self { base: None, base_is_ours: false, ..self.clone() };
        let translated = everything.upon(ours, trees, draft.era).await?;
        let mut table = (*self.theirs.table).clone();
        let schema;
        (table.schema, schema) = upon_schema(&self.theirs, &ours.schema)?;
        (table.next_file, table.next_row) = (FileId(translated.next.file), RowId(translated.next.row));
        draft.clear();
        draft.take_over(table, schema);
        let entries: Vec<FileEntry> =
            translated.draft.table.files.edits().values().flatten().cloned().collect();
        let ids: Vec<FileId> = entries.iter().map(|entry| entry.id).collect();
        let known = trees.get_many(&ours.table.files, &ids).await?;
        for (entry, known) in entries.into_iter().zip(known) {
            // What ours has already came in the version that ours says; all else comes in the commit's own.
            let added = known.map_or(Seq(0), |known| known.added);
            draft.put(None, FileEntry { added, ..entry });
        }
        Ok((draft, translated.numbers))
    }
}

/// An older or another state's schema, as a change of the one that stands now: what goes by it is dropped, so that no id is given
/// again [MRG-10]. With where it stands, or is to stand.
pub(crate) fn upon_schema(state: &TableState, now: &Schema) -> Result<(TableSchema, Arc<Schema>)> {
    match Schema::merge(now, now, &state.schema)? {
        SchemaMerge::Merged(merged) if merged == *state.schema => {
            Ok((state.table.schema.clone(), Arc::clone(&state.schema)))
        }
        SchemaMerge::Merged(merged) => Ok((TableSchema::Inline(merged.clone()), Arc::new(merged))),
        SchemaMerge::Conflicts(_) => {
            let message =
                format!("the columns of table {} do not stand in each other's place", state.name.as_str());
            Err(Error::new(ErrorKind::InvalidInput, message))
        }
    }
}

/// The table without rows, with all numbers that it has handed out.
pub(crate) fn unlisted(state: &TableState) -> TableState {
    let table = TableNode { files: Root::default(), totals: Totals::default(), ..(*state.table).clone() };
    TableState { table: Arc::new(table), ..state.clone() }
}
