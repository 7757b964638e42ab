//! Rows that both sides changed: their values on all sides, and what they come to cell by cell [MRG-8].
//!
//! Invariants: a cell that one side left as the base has it is the other side's; the columns of a key are one cell, so that no row gets a key which neither
//! side gave it; a row of which both sides changed one cell
//! differently, or that one side changed and the other deleted, is a conflict and never guessed at. What does not belong here: how it
//! was found that both sides touched a row (`rows`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{filter_record_batch, interleave_record_batch};
use futures::TryStreamExt;
use strandline_format::merge::{CellsMerge, RowFate};
use strandline_format::{DeletionVector, Field, FieldId, FileEntry, FileId, Pieces, RowId, Schema};

use crate::changes::{broken, columns, differing, differing_column, ids, only, read};
use crate::error::Result;
use crate::merge::choices::{RowChoice, RowChoices, Side};
use crate::merge::conflict::{Contested, RowConflict};
use crate::merge::doubt::Disputed;
use crate::merge::table::told_as;
use crate::scan::{LAST_UPDATED, ROW_ID};
use crate::table::TableState;
use crate::transaction::key::Key;

/// Rows on which two sides disagree, with their values on all sides.
///
/// All batches have the columns of the merged table and then `_row_id`, as our side counts them. A row that a side deleted is not in its batch.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
/// use strandline::refs::Preview;
///
/// lake.create_branch("dev").await?;
/// for (branch, amount) in [("main", 31), ("dev", 32)] {
///     let change = lake.begin().branch(branch).await?;
///     change.update("orders", col("id").eq(1)).set("amount", amount).await?;
///     change.commit().await?;
/// }
///
/// let Preview::Conflicts(found) = lake.merge("dev").into("main").dry_run().await? else { panic!("both changed it") };
/// let contested = &found.rows[0];
/// assert_eq!(contested.table, "orders");
/// let amounts = |rows: &RecordBatch| rows.column_by_name("amount").cloned();
/// assert_eq!(amounts(&contested.base), amounts(&orders(&[(1, 30)])));
/// assert_eq!(amounts(&contested.ours), amounts(&orders(&[(1, 31)])));
/// assert_eq!(amounts(&contested.theirs), amounts(&orders(&[(1, 32)])));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ContestedRows {
    /// The table.
    pub table: String,
    /// Which rows, in the order of their ids.
    pub rows: Vec<RowId>,
    /// Of each row the columns of the table's key and their values, as our side has them, or else as it was; nothing if the table has no key.
    pub keys: Vec<String>,
    /// As the common ancestor has them.
    pub base: RecordBatch,
    /// As our side has them.
    pub ours: RecordBatch,
    /// As their side has them.
    pub theirs: RecordBatch,
}

/// Where the rows of each side are read: its state, with the files that it has of them.
pub(super) struct Places<'a> {
    pub(super) base: (&'a TableState, BTreeMap<FileId, FileEntry>),
    pub(super) ours: (&'a TableState, BTreeMap<FileId, FileEntry>),
    pub(super) theirs: (&'a TableState, BTreeMap<FileId, FileEntry>),
    pub(super) schema: Arc<Schema>,
    /// The fields of the key.
    pub(super) key: Vec<FieldId>,
    /// Rows that others stand for.
    pub(super) same: &'a Pieces,
    /// Rows that stand for others.
    pub(super) stand_in: &'a Pieces,
    /// Rows, and columns of them, that neither side has left as the base has them.
    pub(super) disputed: &'a Disputed,
}

/// The values of some rows on one side.
pub(super) struct Values {
    batches: Vec<RecordBatch>,
    places: HashMap<u64, (usize, usize)>,
}

/// The contested rows on all sides.
pub(super) struct Cells {
    schema: Arc<Schema>,
    /// The fields of the key, and which columns have parts of it.
    key_fields: Vec<FieldId>,
    key: Vec<usize>,
    base: Values,
    ours: Values,
    theirs: Values,
    /// Ids that rows of the other side are told by and have not.
    stand_in: BTreeSet<u64>,
    disputed: Disputed,
}

impl Places<'_> {
    /// Reads the rows: of each file on each side only these.
    pub(super) async fn read(&self, contested: &[Contested]) -> Result<Cells> {
        let base = self.side(&self.base, contested.iter().map(|row| row.base));
        let ours = self.side(&self.ours, contested.iter().map(|row| row.ours));
        let theirs = self.side(&self.theirs, contested.iter().map(|row| row.theirs));
        let (base, ours, theirs) = futures::try_join!(base, ours, theirs)?;
        let schema = Arc::clone(&self.schema);
        let holds = |field: &Field| {
            let is_within = |id: &FieldId| {
                schema.path(*id).is_some_and(|path| path.first() == Some(&field.name.as_str()))
            };
            self.key.iter().any(is_within)
        };
        let fields = schema.fields().iter().enumerate();
        let key = fields.filter(|(_, field)| holds(field)).map(|(at, _)| at).collect();
        let all = contested.iter().map(|row| row.row.row.0);
        let stand_in = all.filter(|id| self.stand_in.get(*id).is_some()).collect();
        let of_these = |row: &Contested| self.disputed.get_key_value(&row.row.row.0);
        let disputed =
            contested.iter().filter_map(of_these).map(|(id, dispute)| (*id, dispute.clone())).collect();
        Ok(Cells { schema, key_fields: self.key.clone(), key, base, ours, theirs, stand_in, disputed })
    }

    async fn side(
        &self,
        (state, files): &(&TableState, BTreeMap<FileId, FileEntry>),
        places: impl Iterator<Item = Option<(FileId, u64)>>,
    ) -> Result<Values> {
        let mut rows: BTreeMap<FileId, DeletionVector> = BTreeMap::new();
        for (file, position) in places.flatten() {
            rows.entry(file).or_default().insert(position)?;
        }
        let mut entries = Vec::new();
        for (file, rows) in &rows {
            if let Some(entry) = files.get(file) {
                entries.extend(only(entry, rows)?);
            }
        }
        let batches: Vec<RecordBatch> = match entries.is_empty() {
            true => Vec::new(),
            false => {
                let found = read((*state).clone(), Arc::clone(&self.schema), entries).await?;
                found.try_collect().await?
            }
        };
        match self.same.as_slice() {
            [] => Values::of(&batches),
            _ => Values::of(&batches.iter().map(|batch| self.told(batch)).collect::<Result<Vec<_>>>()?),
        }
    }

    /// Rows under the ids that they are told by.
    fn told(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let told = ids(batch)?.values().iter().map(|id| told_as(self.same, *id));
        let told: ArrayRef = Arc::new(UInt64Array::from_iter_values(told));
        let mut columns = batch.columns().to_vec();
        if let Some((at, _)) = batch.schema().column_with_name(ROW_ID.0) {
            columns[at] = told;
        }
        RecordBatch::try_new(batch.schema(), columns).map_err(broken)
    }
}

impl Values {
    pub(super) fn of(batches: &[RecordBatch]) -> Result<Self> {
        let kept = |batch: &RecordBatch| {
            let kept =
                (0..batch.num_columns()).filter(|at| batch.schema().field(*at).name() != LAST_UPDATED.0);
            batch.project(&kept.collect::<Vec<_>>()).map_err(broken)
        };
        let batches = batches.iter().map(kept).collect::<Result<Vec<_>>>()?;
        let mut places = HashMap::new();
        for (at, batch) in batches.iter().enumerate() {
            places.extend(ids(batch)?.values().iter().enumerate().map(|(row, id)| (*id, (at, row))));
        }
        Ok(Self { batches, places })
    }

    /// The rows with these ids that it has, in their order.
    pub(super) fn rows(&self, wanted: &[u64], schema: &Schema) -> Result<RecordBatch> {
        let places: Vec<_> = wanted.iter().filter_map(|id| self.places.get(id).copied()).collect();
        if places.is_empty() {
            return Ok(RecordBatch::new_empty(columns(schema)));
        }
        interleave_record_batch(&self.batches.iter().collect::<Vec<_>>(), &places).map_err(broken)
    }

    fn has(&self, id: u64) -> bool {
        self.places.contains_key(&id)
    }
}

impl Cells {
    /// Decides what can be decided without asking: rows that are equal on both sides, or of which one side is as the base, and
    /// rows of which each side changed other columns; and, for a base, cells that both changed, which are theirs.
    pub(super) fn decide(
        &self,
        contested: &[Contested],
        of_base: bool,
        choices: &mut RowChoices,
    ) -> Result<()> {
        let in_all = |id: u64| self.ours.has(id) && self.theirs.has(id) && self.base.has(id);
        let both: Vec<&RowConflict> =
            contested.iter().map(|row| &row.row).filter(|row| in_all(row.row.0)).collect();
        self.decide_both(&both, of_base, choices)?;
        self.decide_restored(contested, choices)?;
        // One side deleted it: if the other one only moved it, it is gone.
        for (kept, wins, side) in
            [(&self.ours, Side::Theirs, Side::Ours), (&self.theirs, Side::Ours, Side::Theirs)]
        {
            let other = if side == Side::Ours { &self.theirs } else { &self.ours };
            let fate = |row: &Contested| if side == Side::Ours { row.row.theirs } else { row.row.ours };
            let single: Vec<u64> = contested
                .iter()
                .filter(|row| fate(row) == RowFate::Deleted)
                .map(|row| row.row.row.0)
                .filter(|id| kept.has(*id) && !other.has(*id) && self.base.has(*id))
                .collect();
            let differs =
                differing(&self.base.rows(&single, &self.schema)?, &kept.rows(&single, &self.schema)?);
            for (id, changed) in single.iter().zip(differs.values()) {
                if CellsMerge::deleted(changed, self.disputed.contains_key(id)) == CellsMerge::Deleted {
                    choices.rows.insert(*id, RowChoice::Side(wins));
                }
            }
        }
        Ok(())
    }

    /// Rows of theirs that are taken where nothing else is decided: those that ones of ours stand for are written under the ids of these.
    pub(super) fn take_theirs(&self, contested: &[Contested], choices: &mut RowChoices) -> Result<()> {
        let is_open = |id: &u64| self.stand_in.contains(id) && !choices.rows.contains_key(id);
        let open = contested.iter().map(|row| row.row.row.0).filter(is_open);
        let taken: Vec<u64> = open.filter(|id| self.theirs.has(*id)).collect();
        if !taken.is_empty() {
            choices.given.push(self.theirs.rows(&taken, &self.schema)?);
            choices.rows.extend(taken.iter().map(|id| (*id, RowChoice::Given)));
        }
        Ok(())
    }

    /// Rows that the base had deleted and both sides have: equal ones are one.
    fn decide_restored(&self, contested: &[Contested], choices: &mut RowChoices) -> Result<()> {
        let back = contested.iter().filter(|row| row.base.is_none()).map(|row| row.row.row.0);
        let back: Vec<u64> = back.filter(|id| self.ours.has(*id) && self.theirs.has(*id)).collect();
        if back.is_empty() {
            return Ok(());
        }
        let rows = |side: &Values| side.rows(&back, &self.schema);
        let differs = differing(&rows(&self.ours)?, &rows(&self.theirs)?);
        let is_one = |(_, apart): &(&u64, bool)| CellsMerge::restored(*apart) == CellsMerge::Alike;
        let equal = back.iter().zip(differs.values()).filter(is_one);
        choices.rows.extend(equal.map(|(id, _)| (*id, RowChoice::Side(Side::Ours))));
        Ok(())
    }

    fn decide_both(&self, both: &[&RowConflict], of_base: bool, choices: &mut RowChoices) -> Result<()> {
        if both.is_empty() {
            return Ok(());
        }
        let wanted: Vec<u64> = both.iter().map(|row| row.row.0).collect();
        let rows = |side: &Values| side.rows(&wanted, &self.schema);
        let sides = [&rows(&self.base)?, &rows(&self.ours)?, &rows(&self.theirs)?];
        let merged = merge_cells(sides, &self.key, &self.disputed_cells(&wanted))?;
        let mut given = Vec::with_capacity(both.len());
        for (row, merge) in both.iter().zip(&merged.merges) {
            // What a side left, with a field that is back, stands nowhere any more.
            let of =
                |side, fate| if fate == RowFate::Left { RowChoice::Given } else { RowChoice::Side(side) };
            let choice = match merge {
                CellsMerge::Conflict if !of_base => None,
                CellsMerge::Both | CellsMerge::Conflict => Some(RowChoice::Given),
                // A row of theirs that one of ours stands for has another id, and is written under ours.
                CellsMerge::Theirs if self.stand_in.contains(&row.row.0) => Some(RowChoice::Given),
                CellsMerge::Theirs => Some(of(Side::Theirs, row.theirs)),
                CellsMerge::Alike | CellsMerge::Ours | CellsMerge::Deleted => Some(of(Side::Ours, row.ours)),
            };
            given.push(choice == Some(RowChoice::Given));
            choices.rows.extend(choice.map(|choice| (row.row.0, choice)));
        }
        let given = filter_record_batch(&merged.rows, &BooleanArray::from(given)).map_err(broken)?;
        choices.given.extend((given.num_rows() > 0).then_some(given));
        Ok(())
    }

    /// Of each column which of these rows have a cell there that the base does not tell; nothing of columns that have none.
    fn disputed_cells(&self, wanted: &[u64]) -> Vec<Option<BooleanArray>> {
        if self.disputed.is_empty() {
            return Vec::new();
        }
        let of_field = |field: &Field| {
            let is_disputed = |id: &u64| self.disputed.get(id).is_some_and(|dispute| dispute.has(field.id));
            let cells: BooleanArray = wanted.iter().map(|id| Some(is_disputed(id))).collect();
            (cells.true_count() > 0).then_some(cells)
        };
        self.schema.fields().iter().map(of_field).collect()
    }

    /// The values of rows that are still contested.
    pub(super) fn told(&self, table: &str, rows: &[RowId]) -> Result<ContestedRows> {
        let wanted: Vec<u64> = rows.iter().map(|row| row.0).collect();
        Ok(ContestedRows {
            table: table.to_owned(),
            rows: rows.to_vec(),
            keys: self.keys(&wanted)?,
            base: self.base.rows(&wanted, &self.schema)?,
            ours: self.ours.rows(&wanted, &self.schema)?,
            theirs: self.theirs.rows(&wanted, &self.schema)?,
        })
    }
}

impl Cells {
    /// The keys of rows, as messages show them.
    fn keys(&self, wanted: &[u64]) -> Result<Vec<String>> {
        let is_there = |id: &FieldId| self.schema.field(*id).is_some();
        if self.key_fields.is_empty() || !self.key_fields.iter().all(is_there) {
            return Ok(Vec::new());
        }
        let key = Key::of(&self.key_fields, &self.schema)?;
        let shown = |id: &u64| {
            let side = [&self.ours, &self.base, &self.theirs].into_iter().find(|side| side.has(*id));
            let mut shown = String::new();
            if let Some(side) = side {
                let row = side.rows(&[*id], &self.schema)?;
                key.tell(&row, |_, _, text| {
                    shown = text()?;
                    Ok(())
                })?;
            }
            Ok(shown)
        };
        wanted.iter().map(shown).collect()
    }
}

/// What rows come to, cell by cell: a cell that both sides changed is theirs.
struct MergedCells {
    rows: RecordBatch,
    merges: Vec<CellsMerge>,
}

/// The columns of the key are one cell.
fn merge_cells(
    [base, ours, theirs]: [&RecordBatch; 3],
    key: &[usize],
    disputed: &[Option<BooleanArray>],
) -> Result<MergedCells> {
    let rows = base.num_rows();
    let mut merges = vec![CellsMerge::Alike; rows];
    let mut columns = Vec::with_capacity(base.num_columns());
    for (at, field) in base.schema().fields().iter().enumerate() {
        if field.name() == ROW_ID.0 {
            columns.push(Arc::clone(ours.column(at)));
            continue;
        }
        let one_cell = if key.contains(&at) { key } else { &[at] };
        let apart_in = |one: &RecordBatch, other: &RecordBatch| -> Result<BooleanArray> {
            match one_cell {
                [at] => Ok(differing_column(one.column(*at), other.column(*at))),
                key => {
                    Ok(differing(&one.project(key).map_err(broken)?, &other.project(key).map_err(broken)?))
                }
            }
        };
        let (by_ours, by_theirs) = (apart_in(base, ours)?, apart_in(base, theirs)?);
        let apart = apart_in(ours, theirs)?;
        let disputed: Vec<&BooleanArray> =
            one_cell.iter().filter_map(|at| disputed.get(*at)?.as_ref()).collect();
        let mut of_theirs = Vec::with_capacity(rows);
        for (row, merge) in merges.iter_mut().enumerate() {
            let changed = [by_ours.value(row), by_theirs.value(row)];
            let is_disputed = disputed.iter().any(|cells| cells.value(row));
            let cell = CellsMerge::cell(changed, apart.value(row), is_disputed);
            of_theirs.push(matches!(cell, CellsMerge::Theirs | CellsMerge::Conflict));
            *merge = merge.and(cell);
        }
        let of_theirs = BooleanArray::from(of_theirs);
        columns.push(zip(&of_theirs, theirs.column(at), ours.column(at)).map_err(broken)?);
    }
    let rows = RecordBatch::try_new(base.schema(), columns).map_err(broken)?;
    Ok(MergedCells { rows, merges })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt64Array};

    use super::{CellsMerge, merge_cells};

    fn rows(a: [Option<i64>; 5], b: [Option<i64>; 5]) -> RecordBatch {
        let ids: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..5));
        let column = |values: [Option<i64>; 5]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
        let columns = [("a", column(a), true), ("b", column(b), true), ("_row_id", ids, false)];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    #[test]
    fn each_cell_is_of_the_side_that_changed_it() {
        let base = rows([Some(1); 5], [Some(1); 5]);
        let ours =
            rows([Some(2), Some(2), Some(1), Some(2), Some(2)], [Some(1), Some(1), Some(1), Some(3), None]);
        let theirs =
            rows([Some(1), Some(3), Some(1), Some(2), Some(1)], [None, Some(1), Some(4), Some(1), Some(1)]);
        let merged = merge_cells([&base, &ours, &theirs], &[], &[]).unwrap();
        use CellsMerge::{Both, Conflict, Ours, Theirs};
        assert_eq!(merged.merges, [Both, Conflict, Theirs, Ours, Ours]);
        let expected =
            rows([Some(2), Some(3), Some(1), Some(2), Some(2)], [None, Some(1), Some(4), Some(3), None]);
        assert_eq!(merged.rows, expected);
    }

    #[test]
    fn the_columns_of_a_key_are_one_cell() {
        let base = rows([Some(1); 5], [Some(1); 5]);
        let ours = rows([Some(2), Some(2), Some(1), Some(2), Some(1)], [Some(1); 5]);
        let theirs = rows(
            [Some(1), Some(2), Some(1), Some(1), Some(1)],
            [Some(3), Some(1), Some(3), Some(1), Some(1)],
        );
        let merged = merge_cells([&base, &ours, &theirs], &[0, 1], &[]).unwrap();
        let conflicts = merged.merges.iter().map(|merge| *merge == CellsMerge::Conflict);
        assert_eq!(
            conflicts.collect::<Vec<_>>(),
            [true, false, false, false, false],
            "which the cells alone would not say"
        );
        let key = |at: usize| [0, 1].map(|column| merged.rows.column(column).slice(at, 1));
        assert_eq!(
            (key(1), key(2), key(3)),
            (
                [0, 1].map(|column| ours.column(column).slice(1, 1)),
                [0, 1].map(|column| theirs.column(column).slice(2, 1)),
                [0, 1].map(|column| ours.column(column).slice(3, 1)),
            )
        );
    }
}
