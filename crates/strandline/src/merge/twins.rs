//! Rows of two branches that have one key: their values, and what is decided of them [MRG-8, REB-17].
//!
//! Invariants: equal rows are one, ours; what the caller gave by hand comes before what was said of all; a side that is not taken keeps no row of
//! its own, but a row that both sides know is as the other side has it, and never lost. A decision may bring other keys together, so what it
//! comes to is compared again; each round takes at least one more row away. What does not belong here: how such rows are found (`keys`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::filter_record_batch;
use futures::TryStreamExt;
use strandline_format::{DeletionVector, FileEntry, FileId, RowId, Schema};

use crate::changes::{broken, columns, differing, ids, only, read};
use crate::error::Result;
use crate::merge::cells::Values;
use crate::merge::choices::{RowChoice, RowChoices, Side};
use crate::merge::keys::{At, Twin, Twins};
use crate::merge::theirs::{Theirs, Translated};
use crate::scan::ROW_ID;
use crate::table::TableState;
use crate::tree::Trees;

/// Pairs of rows, one of each side, that have one key, with their values.
///
/// Both batches have the columns of the merged table and then `_row_id`, as our side counts rows, or will. The rows of a pair stand
/// at the same place.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::merge::Side;
/// use strandline::refs::Preview;
///
/// lake.create_branch("dev").await?;
/// for (branch, amount) in [("main", 1), ("dev", 2)] {
///     let change = lake.begin().branch(branch).await?;
///     change.append("orders", orders(&[(4, amount)])).await?;
///     change.commit().await?;
/// }
///
/// let merge = lake.merge("dev").into("main");
/// let Preview::Conflicts(found) = merge.clone().dry_run().await? else { panic!("both added the key 4") };
/// let contested = &found.keys[0];
/// assert_eq!(contested.keys, ["(id = 4)"]);
/// let amounts = |rows: &RecordBatch| rows.column_by_name("amount").cloned();
/// assert_eq!(amounts(&contested.theirs), amounts(&orders(&[(4, 2)])));
///
/// merge.rows("orders", Side::Theirs).await?.committed()?;
/// assert_eq!(lake.table("orders").await?.rows(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ContestedKeys {
    /// The table.
    pub table: String,
    /// The columns of the key and their values, pair by pair.
    pub keys: Vec<String>,
    /// The rows of our side.
    pub ours: RecordBatch,
    /// The rows of their side.
    pub theirs: RecordBatch,
}

/// Where the rows of both sides are read.
pub(super) struct Reading<'a> {
    pub(super) trees: &'a Trees,
    pub(super) ours: &'a TableState,
    pub(super) theirs: &'a Theirs,
    pub(super) translated: &'a Translated,
    pub(super) schema: Arc<Schema>,
}

/// What the caller has said.
pub(super) struct Said<'a> {
    pub(super) given: &'a [RecordBatch],
    pub(super) side: Option<Side>,
}

impl Reading<'_> {
    /// Decides what can be decided of rows with one key; whether that was anything.
    pub(super) async fn decide(
        &self,
        twins: &[Twins],
        said: &Said<'_>,
        choices: &mut RowChoices,
    ) -> Result<bool> {
        let equal = self.equal(twins, choices).await?;
        let mut done = BTreeSet::new();
        for (twins, is_equal) in twins.iter().zip(equal) {
            let [ours, theirs] = [&twins.ours, &twins.theirs];
            if done.contains(&ours.at) || done.contains(&theirs.at) {
                continue;
            }
            let [ours_given, theirs_given] =
                [ours, theirs].map(|twin| matches!(twin.at, At::Given(id) if choices.by_hand.contains(&id)));
            if let Some(twin) = self.by_hand(twins, said, choices)? {
                done.insert(twin.at);
                continue;
            }
            let is_new = matches!(theirs.at, At::Theirs(..)) && !theirs.is_shared;
            let taken = match (ours_given, theirs_given) {
                (true, false) if matches!(theirs.at, At::Theirs(..)) => Some(Side::Ours),
                (false, false) if is_equal && is_new => Some(Side::Ours),
                // The other way round: what ours has put in goes, and both go on with the row that they know.
                (false, false) if is_equal && matches!(ours.at, At::Ours(..)) && !ours.is_shared => {
                    Some(Side::Theirs)
                }
                (false, false) => said.side,
                // What was given has the key of a row that nothing was said of.
                _ => None,
            };
            if let Some(taken) = taken {
                let goes = if taken == Side::Ours { theirs } else { ours };
                if self.leave(goes, taken, choices).await? {
                    done.insert(goes.at);
                    if taken == Side::Ours {
                        self.stand_for(ours, theirs, choices)?;
                    }
                }
            }
        }
        Ok(!done.is_empty())
    }

    /// Puts a row that the caller gave in the place of the one whose id it has.
    fn by_hand<'t>(
        &self,
        twins: &'t Twins,
        said: &Said<'_>,
        choices: &mut RowChoices,
    ) -> Result<Option<&'t Twin>> {
        let may_be_given = |twin: &&Twin| {
            let is_named = matches!(twin.at, At::Ours(..)) || twin.is_shared;
            is_named && !choices.by_hand.contains(&twin.row.0)
        };
        for twin in [&twins.ours, &twins.theirs].into_iter().filter(may_be_given) {
            if let Some(row) = of_id(said.given, twin.row.0)? {
                lose(twin, choices)?;
                choices.without_given(&BTreeSet::from([twin.row.0]))?;
                choices.given.push(row);
                choices.by_hand.insert(twin.row.0);
                return Ok(Some(twin));
            }
        }
        Ok(None)
    }

    /// Takes a row away, if it can be. If the side that was taken knows it, it stays as that side has it.
    async fn leave(&self, twin: &Twin, taken: Side, choices: &mut RowChoices) -> Result<bool> {
        let given = BTreeSet::from([twin.row.0]);
        if let At::Given(id) = twin.at {
            // Made of both sides' cells: one of them has it whole.
            let is_mixed = choices.rows.get(&id) == Some(&RowChoice::Given);
            if is_mixed {
                choices.without_given(&given)?;
                choices.rows.insert(id, RowChoice::Side(taken));
            }
            return Ok(is_mixed);
        }
        lose(twin, choices)?;
        if twin.is_shared {
            choices.without_given(&given)?;
            choices.given.extend(self.as_of(taken, twin.row).await?);
        }
        Ok(true)
    }

    /// Notes that one row is the other one from now on: of rows that each side has put in by itself, so that neither knows the other's id [MRG-4].
    fn stand_for(&self, ours: &Twin, theirs: &Twin, choices: &mut RowChoices) -> Result<()> {
        let is_known = self.theirs.known.rows.reversed()?.get(ours.row.0).is_some();
        if matches!(theirs.at, At::Theirs(..)) && !theirs.is_shared && !is_known {
            choices.same.insert(theirs.row.0, ours.row.0);
        }
        Ok(())
    }

    /// A row as one side has it, with the id that it has on ours.
    async fn as_of(&self, side: Side, row: RowId) -> Result<Option<RecordBatch>> {
        let theirs = &self.theirs.theirs;
        let (state, id) = match side {
            Side::Ours => (self.ours, Some(row.0)),
            Side::Theirs => (theirs, self.theirs.known.rows.reversed()?.get(row.0)),
        };
        let Some(id) = id else { return Ok(None) };
        let Some((entry, _, places)) = state.found([RowId(id)]).await?.pop() else { return Ok(None) };
        let rows = DeletionVector::from_positions(places.iter().map(|place| place.position))?;
        let entries = only(&entry, &rows)?.into_iter().collect();
        let batches: Vec<RecordBatch> =
            read(state.clone(), Arc::clone(&self.schema), entries).await?.try_collect().await?;
        let found = Values::of(&batches)?.rows(&[id], &self.schema)?;
        renamed(&found, row.0).map(|found| (found.num_rows() > 0).then_some(found))
    }

    /// Of which twins both rows are the same in all columns.
    async fn equal(&self, twins: &[Twins], choices: &RowChoices) -> Result<Vec<bool>> {
        let told = self.told("", twins, choices).await?;
        let differs = differing(&told.ours, &told.theirs);
        Ok((0..twins.len()).map(|at| differs.is_valid(at) && !differs.value(at)).collect())
    }

    /// The values of twins.
    pub(super) async fn told(
        &self,
        table: &str,
        twins: &[Twins],
        choices: &RowChoices,
    ) -> Result<ContestedKeys> {
        let translated = &self.translated.draft.table;
        let their_state = TableState { table: Arc::new(translated.clone()), ..self.theirs.theirs.clone() };
        let their_entries = translated.files.edits().values().flatten().cloned().collect();
        let all = || twins.iter().flat_map(|twins| [twins.ours.at, twins.theirs.at]);
        let of_ours = |at| if let At::Ours(file, position) = at { Some((file, position)) } else { None };
        let of_theirs = |at| if let At::Theirs(file, position) = at { Some((file, position)) } else { None };
        let (our_rows, their_rows) =
            (by_file(all().filter_map(of_ours))?, by_file(all().filter_map(of_theirs))?);
        let files: Vec<FileId> = our_rows.keys().copied().collect();
        let our_entries = self.trees.get_many(&self.ours.table.files, &files).await?;
        let our_entries = our_entries.into_iter().flatten().collect();
        let ours = self.values(self.ours, our_entries, &our_rows);
        let theirs = self.values(&their_state, their_entries, &their_rows);
        let (ours, theirs) = futures::try_join!(ours, theirs)?;
        let given = Values::of(&choices.given)?;
        let side = |pick: fn(&Twins) -> &Twin| -> Result<RecordBatch> {
            let rows: Vec<RecordBatch> = twins
                .iter()
                .map(|twins| {
                    let twin = pick(twins);
                    let values = match twin.at {
                        At::Ours(..) => &ours,
                        At::Theirs(..) => &theirs,
                        At::Given(_) => &given,
                    };
                    values.rows(&[twin.row.0], &self.schema)
                })
                .collect::<Result<_>>()?;
            let columns = rows.first().map_or_else(|| columns(&self.schema), RecordBatch::schema);
            arrow::compute::concat_batches(&columns, &rows).map_err(broken)
        };
        Ok(ContestedKeys {
            table: table.to_owned(),
            keys: twins.iter().map(|twins| twins.key.clone()).collect(),
            ours: side(|twins| &twins.ours)?,
            theirs: side(|twins| &twins.theirs)?,
        })
    }

    async fn values(
        &self,
        state: &TableState,
        entries: Vec<FileEntry>,
        rows: &BTreeMap<FileId, DeletionVector>,
    ) -> Result<Values> {
        let mut wanted = Vec::new();
        for entry in entries {
            if let Some(rows) = rows.get(&entry.id) {
                wanted.extend(only(&entry, rows)?);
            }
        }
        if wanted.is_empty() {
            return Values::of(&[]);
        }
        let batches: Vec<RecordBatch> =
            read(state.clone(), Arc::clone(&self.schema), wanted).await?.try_collect().await?;
        Values::of(&batches)
    }
}

fn lose(twin: &Twin, choices: &mut RowChoices) -> Result<()> {
    let (side, file, position) = match twin.at {
        At::Ours(file, position) => (0, file, position),
        At::Theirs(file, position) => (1, file, position),
        At::Given(_) => return Ok(()),
    };
    choices.lost[side].entry(file).or_default().insert(position)?;
    Ok(())
}

fn by_file(places: impl Iterator<Item = (FileId, u64)>) -> Result<BTreeMap<FileId, DeletionVector>> {
    let mut rows: BTreeMap<FileId, DeletionVector> = BTreeMap::new();
    for (file, position) in places {
        rows.entry(file).or_default().insert(position)?;
    }
    Ok(rows)
}

/// The row with this id.
fn of_id(batches: &[RecordBatch], id: u64) -> Result<Option<RecordBatch>> {
    for batch in batches {
        let mask: BooleanArray = ids(batch)?.values().iter().map(|found| Some(*found == id)).collect();
        if mask.true_count() > 0 {
            return filter_record_batch(batch, &mask).map(Some).map_err(broken);
        }
    }
    Ok(None)
}

/// The same rows under another id.
fn renamed(batch: &RecordBatch, id: u64) -> Result<RecordBatch> {
    let mut columns = batch.columns().to_vec();
    if let Some((at, _)) = batch.schema().column_with_name(ROW_ID.0) {
        columns[at] = Arc::new(UInt64Array::from(vec![id; batch.num_rows()]));
    }
    RecordBatch::try_new(batch.schema(), columns).map_err(broken)
}
