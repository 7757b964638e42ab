//! A table that another version changed, upon ours: what can be decided of rows that both sides changed is, the rest is told [MRG-8].
//!
//! Invariants: what the caller decided comes before what the cells say, and both only count for rows that are contested; rows are read only
//! if rows are all that the sides disagree on. Memory: the values of [`PORTION`] contested rows on all sides, about 150 bytes for each contested row, and the
//! rows that are put together of both sides' cells, or are theirs under an id of ours; of those that nobody decides the values, which are told. What does not belong here: how contested rows are found (`rows`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use strandline_format::merge::{TableMerge, TableSide, merge_tables};
use strandline_format::{
    FileEntry, FileId, Pieces, Renumbering, RowId, RowIds, Schema, Seq, Table as TableNode, TableName,
};

use crate::changes::{broken, ids, side_by_side};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Checks;
use crate::merge::cells::{Cells, Places};
use crate::merge::choices::{RowChoice, RowChoices, Side};
use crate::merge::conflict::{Conflict, ConflictKind, Contested};
use crate::merge::keys::Twins;
use crate::merge::table::{Brought, TableRebase};
use crate::merge::theirs::{BaseNumbers, Theirs, Translated};
use crate::merge::twins::{Reading, Said};
use crate::merge::{Disagreements, Rebase};
use crate::table::TableState;
use crate::transaction::draft::Draft;
use crate::transaction::write_rows;
use crate::tree::Trees;

/// Of how many contested rows the values are in memory at once.
const PORTION: usize = 1 << 16;

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
    our_came: Vec<FileEntry>,
    told: Seq,
    theirs: &'a Theirs,
    translated: &'a Translated,
    /// The table that they come to, but for its files.
    agreed: &'a TableMerge,
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
        // A row that theirs has back may stand in a place of ours that the base has not, whatever ours took from elsewhere; and both may have kept one
        // against a base that each of them has merged.
        let is_back = translated.restores || matches!(theirs.numbers, BaseNumbers::Own(_));
        let seeks = translated.seeks || is_back && !translated.places.is_empty();
        let our_places = theirs.our_places(self.ours, self.trees, seeks).await?;
        let agreed = self.agreed(&translated)?;
        let our_came = match translated.came.is_empty() || agreed.table.key.is_empty() {
            true => Vec::new(),
            false => theirs.our_came(self.ours, self.trees).await?,
        };
        let (told, translated) = (theirs.told(self.ours), &translated);
        let sides = Sides { our_places, our_came, told, theirs, translated, agreed: &agreed };
        let mut choices = RowChoices::default();
        let mut conflicts = Vec::new();
        let mut merged = self.merge(&sides, &choices, &mut conflicts).await?;
        let mut contested: BTreeSet<u64> = BTreeSet::new();
        let mut cells = None;
        if let (Some(rows), _) = of_rows(&conflicts) {
            contested.extend(rows.iter().map(|row| row.row.row.0));
            (choices, cells) = self.decided(&sides, rows).await?;
            choices.keeps_deleted = rows.iter().any(|row| choices.keeps_deleted(&row.row));
            conflicts.clear();
            merged = self.merge(&sides, &choices, &mut conflicts).await?;
        }
        let are_read = !contested.is_empty();
        while let (_, Some(twins)) = of_rows(&conflicts) {
            let reading = self.reading(&sides)?;
            contested.extend(twins.iter().flat_map(Twins::named));
            let given: Vec<RecordBatch> = self.given_rows().cloned().collect();
            let said = Said { given: &given, side: choices.others.or(self.side()) };
            if !reading.decide(twins, &said, &mut choices).await? {
                break;
            }
            conflicts.clear();
            merged = self.merge(&sides, &choices, &mut conflicts).await?;
        }
        self.refuse_others(&contested)?;
        let read = are_read.then_some(cells.as_ref());
        self.tell(&conflicts, read, (&sides, &choices), found).await?;
        found.conflicts.extend(conflicts);
        self.finish(merged, sides.theirs, translated, &choices).await
    }

    /// The values of all rows that are still contested, if rows were read at all: beside anything else they are not.
    async fn tell(
        &self,
        conflicts: &[Conflict],
        read: Option<Option<&Cells>>,
        (sides, choices): (&Sides<'_>, &RowChoices),
        found: &mut Disagreements,
    ) -> Result<()> {
        let table = self.ours.name.as_str();
        for conflict in conflicts {
            match (&conflict.kind, read) {
                (ConflictKind::Rows(rows), Some(cells)) => {
                    let contested = rows.contested();
                    let rows: Vec<RowId> = contested.iter().map(|row| row.row.row).collect();
                    let told = match cells {
                        Some(cells) => cells.told(table, &rows)?,
                        // They were more than are kept.
                        None => {
                            let cells = self.cells(sides, contested).await?;
                            cells.told(table, &rows)?
                        }
                    };
                    found.contested.push(told);
                }
                (ConflictKind::Keys(keys), _) => {
                    let reading = self.reading(sides)?;
                    found.keys.push(reading.told(table, keys.twins(), choices).await?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn reading<'r>(&'r self, sides: &Sides<'r>) -> Result<Reading<'r>> {
        let schema = self.columns(sides)?;
        let (trees, ours, theirs, translated) = (self.trees, self.ours, sides.theirs, sides.translated);
        Ok(Reading { trees, ours, theirs, translated, schema: Arc::new(schema) })
    }

    /// The merged columns, such that rows of all sides can be told in them.
    fn columns(&self, sides: &Sides<'_>) -> Result<Schema> {
        let states = [&sides.translated.base.schema, &self.ours.schema, &sides.theirs.theirs.schema];
        let merged = sides.agreed.schema.clone();
        states.into_iter().try_fold(merged, |merged, state| side_by_side(state, &merged))
    }

    /// The table that both sides come to, but for its files.
    fn agreed(&self, translated: &Translated) -> Result<TableMerge> {
        let (base, theirs) = (&translated.base, &translated.draft);
        Ok(merge_tables(
            TableSide { table: &base.table, schema: &base.schema },
            TableSide { table: &self.ours.table, schema: &self.ours.schema },
            TableSide { table: &theirs.table, schema: &theirs.schema },
        )?)
    }

    fn side(&self) -> Option<Side> {
        let said = self.rebase.choices.rows.get(&self.ours.table.id).copied();
        said.or(self.rebase.choices.of_base.then_some(Side::Theirs))
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
            told: sides.told,
            start: None,
            brought: Some(Brought {
                places: &translated.places,
                came: &translated.came,
                our_came: &sides.our_came,
                whole: &sides.theirs.theirs,
                known: &sides.theirs.known,
                same: &translated.same,
                stand_in: &translated.stand_in,
                restores: translated.restores,
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
        theirs: &Theirs,
        translated: &Translated,
        choices: &RowChoices,
    ) -> Result<Option<Draft>> {
        let Some(mut draft) = draft else { return Ok(None) };
        if !choices.given.is_empty() {
            let mut into = draft.table.clone();
            if self.rebase.choices.of_base {
                // It may have rows that stand nowhere, and promises nothing.
                into.constraints.clear();
            }
            let into = (&into, &draft.schema);
            let files = write_rows(into, &self.ours.objects, self.rebase.era, &choices.given).await?;
            files.into_iter().try_for_each(|file| draft.add(file, RowIds::Stored))?;
        }
        let same = Pieces::of_pairs(&choices.same)?.or(&translated.numbers.same);
        let numbers = Renumbering { same, ..translated.numbers.clone() };
        if choices.keeps_deleted && !self.rebase.choices.of_base {
            // Whoever merges the side that deleted it has a base without it [TBL-12].
            draft.table.restored = self.rebase.version;
        }
        theirs.note(&mut draft, numbers, Some(&translated.back))?;
        Ok(Some(draft))
    }

    /// What the caller decided, what the cells say of the others, and whose rows count otherwise; with the cells, if they are few.
    async fn decided(
        &self,
        sides: &Sides<'_>,
        contested: &[Contested],
    ) -> Result<(RowChoices, Option<Cells>)> {
        let (mut choices, mut kept) = (RowChoices::default(), None);
        let of_base = self.rebase.choices.of_base;
        self.rebase.progress.found_rows(contested.len());
        for portion in contested.chunks(PORTION) {
            let cells = self.cells(sides, portion).await?;
            cells.decide(portion, of_base, &mut choices)?;
            if self.side() == Some(Side::Theirs) {
                cells.take_theirs(portion, &mut choices)?;
            }
            self.rebase.progress.did_rows(portion.len());
            kept = (portion.len() == contested.len()).then_some(cells);
        }
        if !of_base {
            choices.open_broken(&Checks::new(&sides.agreed.table.constraints, &sides.agreed.schema)?)?;
        }
        let contested: BTreeSet<u64> = contested.iter().map(|row| row.row.row.0).collect();
        let given: BTreeSet<u64> = self.given()?.intersection(&contested).copied().collect();
        if !given.is_empty() {
            choices.without_given(&given)?;
            for batch in self.given_rows() {
                let is_contested = ids(batch)?.values().iter().map(|id| Some(given.contains(id)));
                let of_these = filter_record_batch(batch, &is_contested.collect::<BooleanArray>());
                choices.given.extend(Some(of_these.map_err(broken)?).filter(|batch| batch.num_rows() > 0));
            }
            choices.rows.extend(given.iter().map(|id| (*id, RowChoice::Given)));
            choices.by_hand = given;
        }
        choices.others = self.side();
        Ok((choices, kept))
    }

    fn given_rows(&self) -> impl Iterator<Item = &RecordBatch> {
        self.rebase.choices.given.get(&self.ours.table.id).into_iter().flatten()
    }

    fn given(&self) -> Result<BTreeSet<u64>> {
        let mut given = BTreeSet::new();
        for batch in self.given_rows() {
            given.extend(ids(batch)?.values());
        }
        Ok(given)
    }

    /// Refuses rows that were given and are not contested: they would stand beside what is there.
    fn refuse_others(&self, contested: &BTreeSet<u64>) -> Result<()> {
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
    async fn cells(&self, sides: &Sides<'_>, contested: &[Contested]) -> Result<Cells> {
        let (theirs, translated) = (sides.theirs, sides.translated);
        let schema = self.columns(sides)?;
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
            key: sides.agreed.table.key.clone(),
            same: &translated.same,
            stand_in: &translated.stand_in,
            disputed: &translated.disputed,
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

/// The rows that the sides disagree on, and those that have one key, if there is nothing else.
fn of_rows(conflicts: &[Conflict]) -> (Option<&[Contested]>, Option<&[Twins]>) {
    let (mut rows, mut keys) = (None, None);
    for conflict in conflicts {
        match &conflict.kind {
            ConflictKind::Rows(found) => rows = Some(found.contested()),
            ConflictKind::Keys(found) => keys = Some(found.twins()),
            _ => return (None, None),
        }
    }
    (rows, keys)
}
