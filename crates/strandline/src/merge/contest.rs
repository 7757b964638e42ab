//! A table that another version changed, upon ours: what can be decided of rows that both sides changed is, the rest is told [MRG-8].
//!
//! Invariants: what the caller decided comes before what the cells say, and both only count for rows that are contested; rows are read only
//! if rows are all that the sides disagree on. What does not belong here: how contested rows are found (`rows`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use strandline_format::merge::TableConflict;
use strandline_format::{
    FileEntry, FileId, RowId, RowIds, Schema, SchemaMerge, Seq, Table as TableNode, TableName,
};

use crate::changes::ids;
use crate::error::{Error, ErrorKind, Result};
use crate::merge::cells::{Cells, Places};
use crate::merge::choices::{RowChoice, RowChoices};
use crate::merge::conflict::{Conflict, ConflictKind, Contested};
use crate::merge::table::{Brought, TableRebase};
use crate::merge::theirs::{Theirs, Translated};
use crate::merge::{Disagreements, Rebase};
use crate::table::TableState;
use crate::transaction::draft::Draft;
use crate::transaction::write_rows;
use crate::tree::Trees;

/// A table that is brought in.
pub(super) struct TableBringing<'a> {
    pub(super) rebase: &'a Rebase<'a>,
    pub(super) trees: &'a Trees,
    pub(super) name: &'a TableName,
    pub(super) ours: &'a TableState,
}

/// What is known of both sides before they are merged.
struct Sides<'a> {
    our_places: Option<Vec<FileEntry>>,
    told: Seq,
    translated: &'a Translated,
}

impl TableBringing<'_> {
    /// The draft upon our node; `None` if there are conflicts, which are added to the list.
    pub(super) async fn run(&self, theirs: &Theirs, found: &mut Disagreements) -> Result<Option<Draft>> {
        let translated = theirs.upon(self.ours, self.trees, self.rebase.era).await?;
        if !translated.strangers.is_empty() {
            let kind = ConflictKind::Files(translated.strangers);
            found.conflicts.push(Conflict::of_table(self.ours.table.id, &self.ours.name, kind));
            return Ok(None);
        }
        let our_places = theirs.our_places(self.ours, self.trees).await?;
        let sides = Sides { our_places, told: theirs.told(self.ours), translated: &translated };
        let mut conflicts = Vec::new();
        let merged = self.merge(&sides, &RowChoices::default(), &mut conflicts).await?;
        let contested = match &conflicts[..] {
            [Conflict { kind: ConflictKind::Rows(rows), .. }] => rows.contested(),
            _ => &[],
        };
        self.refuse_others(contested)?;
        if contested.is_empty() {
            found.conflicts.extend(conflicts);
            return self.finish(merged, &translated, &RowChoices::default()).await;
        }
        let cells = self.cells(theirs, &translated, contested).await?;
        let choices = self.decided(&cells, contested)?;
        let mut left = Vec::new();
        let merged = self.merge(&sides, &choices, &mut left).await?;
        for conflict in &left {
            if let ConflictKind::Rows(rows) = &conflict.kind {
                let rows: Vec<RowId> = rows.contested().iter().map(|row| row.row.row).collect();
                found.contested.push(cells.told(self.ours.name.as_str(), &rows)?);
            }
        }
        found.conflicts.extend(left);
        self.finish(merged, &translated, &choices).await
    }

    async fn merge(
        &self,
        sides: &Sides<'_>,
        choices: &RowChoices,
        conflicts: &mut Vec<Conflict>,
    ) -> Result<Option<Draft>> {
        let translated = sides.translated;
        let merge = TableRebase {
            base: &translated.base,
            ours: self.ours,
            theirs: &translated.draft,
            our_places: sides.our_places.as_deref(),
            brought: Some(Brought {
                places: &translated.places,
                restores: translated.restores,
                told: sides.told,
                next: translated.next,
            }),
            choices,
            version: self.rebase.version,
            era: self.rebase.era,
        };
        Box::pin(merge.run(conflicts)).await
    }

    /// Adds the rows that were given, and notes where the numbers of theirs are.
    async fn finish(
        &self,
        draft: Option<Draft>,
        translated: &Translated,
        choices: &RowChoices,
    ) -> Result<Option<Draft>> {
        let Some(mut draft) = draft else { return Ok(None) };
        if !choices.given.is_empty() {
            let into = (&draft.table, &draft.schema);
            let files = write_rows(into, &self.ours.objects, self.rebase.era, &choices.given).await?;
            files.into_iter().try_for_each(|file| draft.add(file, RowIds::Stored))?;
        }
        draft.renumbered = Some(translated.numbers.clone());
        Ok(Some(draft))
    }

    /// What the caller decided, what the cells say of the others, and whose rows count otherwise.
    fn decided(&self, cells: &Cells, contested: &[Contested]) -> Result<RowChoices> {
        let mut choices = RowChoices::default();
        cells.decide(contested, &mut choices)?;
        let given = self.given()?;
        if !given.is_empty() {
            choices.without_given(&given)?;
            choices.rows.extend(given.into_iter().map(|id| (id, RowChoice::Given)));
            choices.given.extend(self.given_rows().cloned());
        }
        choices.others = self.rebase.choices.rows.get(self.name.key()).copied();
        Ok(choices)
    }

    fn given_rows(&self) -> impl Iterator<Item = &arrow::array::RecordBatch> {
        self.rebase.choices.given.get(self.name.key()).into_iter().flatten()
    }

    fn given(&self) -> Result<BTreeSet<u64>> {
        let mut given = BTreeSet::new();
        for batch in self.given_rows() {
            given.extend(ids(batch)?.values());
        }
        Ok(given)
    }

    /// Refuses rows that were given and are not contested: they would stand beside what is there.
    fn refuse_others(&self, contested: &[Contested]) -> Result<()> {
        let contested: BTreeSet<u64> = contested.iter().map(|row| row.row.row.0).collect();
        match self.given()?.into_iter().find(|id| !contested.contains(id)) {
            Some(id) => {
                let message = format!(
                    "table {:?}: the sides do not disagree on row {id}, so no values can be given for it",
                    self.name.as_str()
                );
                Err(Error::new(ErrorKind::InvalidInput, message))
            }
            None => Ok(()),
        }
    }

    /// The values of contested rows on all sides, in the merged columns.
    async fn cells(
        &self,
        theirs: &Theirs,
        translated: &Translated,
        contested: &[Contested],
    ) -> Result<Cells> {
        let schema = merged_schema(&translated.base.schema, &self.ours.schema, &theirs.theirs.schema)?;
        let by_id = |entries: Vec<FileEntry>| entries.into_iter().map(|entry| (entry.id, entry)).collect();
        let listed = |table: &TableNode| table.files.edits().values().flatten().cloned().collect::<Vec<_>>();
        let wanted: BTreeSet<FileId> =
            contested.iter().filter_map(|row| row.ours).map(|(file, _)| file).collect();
        let wanted: Vec<FileId> = wanted.into_iter().collect();
        let ours = self.trees.get_many(&self.ours.table.files, &wanted).await?;
        let their_state =
            TableState { table: Arc::new(translated.draft.table.clone()), ..theirs.theirs.clone() };
        let places = Places {
            base: (&translated.base, by_id(listed(&translated.base.table))),
            ours: (self.ours, by_id(ours.into_iter().flatten().collect())),
            theirs: (&their_state, by_id(listed(&translated.draft.table))),
            schema: Arc::new(schema),
        };
        let files: &BTreeMap<FileId, FileEntry> = &places.base.1;
        let is_lost = |row: &&Contested| row.base.is_some_and(|(file, _)| !files.contains_key(&file));
        if let Some(lost) = contested.iter().find(is_lost) {
            let message = format!("row {} stands in no file of the common ancestor", lost.row.row);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        places.read(contested).await
    }
}

/// The columns that both sides come to, which agreed when the tables were merged.
fn merged_schema(base: &Schema, ours: &Schema, theirs: &Schema) -> Result<Schema> {
    match Schema::merge(base, ours, theirs)? {
        SchemaMerge::Merged(schema) => Ok(schema),
        SchemaMerge::Conflicts(found) => {
            let first = found.into_iter().next().map(TableConflict::Schema);
            let message = format!("the schemas do not merge: {first:?}");
            Err(Error::new(ErrorKind::Conflict, message))
        }
    }
}
