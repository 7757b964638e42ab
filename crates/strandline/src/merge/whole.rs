//! A table that is taken as another version has it, in the place of ours, or where ours has it no more [MRG-8, MRG-10].
//!
//! Invariant: all numbers that ours has handed out stay so, and no column's id is given again. What does not belong here: merging row by row
//! (`contest`).

use std::sync::Arc;

use strandline_format::tree::Root;
use strandline_format::{
    Era, FileEntry, FileId, Pieces, Renumbering, RowId, Schema, Seq, Table as TableNode, TableSchema, Totals,
};

use crate::changes::empty;
use crate::error::Result;
use crate::merge::theirs::{BaseNumbers, Theirs};
use crate::table::TableState;
use crate::transaction::draft::Draft;
use crate::tree::Trees;

impl Theirs {
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
        let everything = Self { base: None, numbers: BaseNumbers::Theirs, ..self.clone() };
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
        let listed = trees.get_many(&ours.table.files, &ids).await?;
        for (mut entry, listed) in entries.into_iter().zip(listed) {
            if listed.is_none() && entry.id < ours.table.next_file {
                // Listed again, so that nobody takes it for the file that ours has removed [REB-9].
                entry.id = draft.table.next_file;
                draft.table.next_file = entry.id.next()?;
            }
            // What ours has already came in the version that ours says; all else comes in the commit's own.
            let added = listed.map_or(Seq(0), |listed| listed.added);
            draft.put(None, FileEntry { added, ..entry });
        }
        // All of theirs stands, and nothing for it.
        Ok((draft, Renumbering { same: Pieces::default(), ..translated.numbers }))
    }
}

/// An older or another state's schema, as a change of the one that stands now: what goes by it is dropped, so that no id is given
/// again [MRG-10]. With where it stands, or is to stand.
pub(crate) fn upon_schema(state: &TableState, now: &Schema) -> Result<(TableSchema, Arc<Schema>)> {
    let schema = state.schema.in_place_of(now)?;
    if schema == *state.schema {
        return Ok((state.table.schema.clone(), Arc::clone(&state.schema)));
    }
    Ok((TableSchema::Inline(schema.clone()), Arc::new(schema)))
}

/// The table without rows, with all numbers that it has handed out.
pub(crate) fn unlisted(state: &TableState) -> TableState {
    let table = TableNode { files: Root::default(), totals: Totals::default(), ..(*state.table).clone() };
    TableState { table: Arc::new(table), ..state.clone() }
}
