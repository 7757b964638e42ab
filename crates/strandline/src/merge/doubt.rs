//! What the base of a merge cannot tell: tables of which nobody knows what was done to them since, and rows on which the last common commits
//! disagree [MRG-2, MRG-11].
//!
//! Invariants: of what is in doubt nothing is merged by the base, so that no decision of one side passes for none; what both sides have alike is
//! not asked for, and the rest of a merge goes on. What does not belong here: how a base is made (`base`), and what the rows come to (`cells`).

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Field;
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use strandline_format::merge::{Dispute, DoubtMerge};
use strandline_format::{CatalogEntry, EntryType, FieldId, HistoryEntry, Table as TableNode, TableId};

use crate::changes::{broken, differing_column, ids};
use crate::error::Result;
use crate::history::{Commit, Ref};
use crate::merge::cells::ContestedRows;
use crate::merge::choices::{Decided, Side};
use crate::merge::conflict::{BaseConflict, Conflict, ConflictKind};
use crate::merge::kin::Kin;
use crate::snapshot::Snapshot;
use crate::tree::Trees;

/// How many commits are read at once to see whether they are picks.
const READS: usize = 8;

/// Rows on which the last common commits disagree, by their ids in the base.
pub(crate) type Disputed = BTreeMap<u64, Dispute>;

/// What a base leaves open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubts {
    /// Tables, views and namespaces that are decided as a whole.
    pub(crate) tables: BTreeMap<TableId, BaseConflict>,
    /// Rows that each side has decided on by itself: whatever the base has, it is nobody's.
    pub(crate) rows: BTreeMap<TableId, Disputed>,
}

/// The tables that one side has taken as a whole with a pick and that the other side has changed as well: the rows that came with them may be rows of
/// the other side, and nothing says which. Requests: none unless either side has commits with keys; then, of tables that both have changed, the nodes,
/// and if one of these says that rows came from elsewhere the commits with keys of its side.
pub(super) async fn taken_whole(kin: &Kin, base: &Commit) -> Result<BTreeMap<TableId, BaseConflict>> {
    let mut found = BTreeMap::new();
    let keyed = kin.keyed_alone().await?;
    if keyed.iter().all(Vec::is_empty) {
        return Ok(found);
    }
    let [ours, theirs] = kin.heads().map(|head| tables_since(&kin.trees, base, head));
    let (ours, theirs) = futures::try_join!(ours, theirs)?;
    let changed = |table: &&TableId| ours.contains_key(table) && theirs.contains_key(table);
    let changed: Vec<TableId> = ours.keys().filter(changed).copied().collect();
    for (keyed, side) in keyed.into_iter().zip([&ours, &theirs]) {
        let mut taking = BTreeSet::new();
        for table in changed.iter().filter(|_| !keyed.is_empty()) {
            let Some(entry) = side.get(table) else { continue };
            let node = TableNode::parse(&kin.trees.text(&entry.node).await?);
            if node.map_err(|error| error.at(entry.node.hash))?.restored > kin.shared().seq {
                taking.insert(*table);
            }
        }
        if taking.is_empty() {
            continue;
        }
        let read = |entry: HistoryEntry| async move { kin.commit(&entry).await };
        let commits: Vec<Commit> = stream::iter(keyed).map(read).buffered(READS).try_collect().await?;
        for commit in &commits {
            let why = BaseConflict::Picked(commit.version(), commit.hash());
            let untold = commit.node().picked_untold().filter(|table| taking.contains(table));
            found.extend(untold.map(|table| (table, why)));
        }
    }
    Ok(found)
}

/// The tables that are others at a head than at a commit.
async fn tables_since(trees: &Trees, base: &Commit, head: &Ref) -> Result<BTreeMap<TableId, CatalogEntry>> {
    let changes = trees.changes(&base.node().catalog, &head.commit().node().catalog).await?;
    let tables = changes.into_iter().filter_map(|change| change.after);
    let tables = tables.filter(|entry| entry.entry_type == EntryType::Table);
    Ok(tables.map(|entry| (entry.id, entry)).collect())
}

/// An entry of ours and one of theirs.
pub(super) type Pair = (Option<CatalogEntry>, Option<CatalogEntry>);

impl Doubts {
    /// The tables in doubt that the sides have not alike, as each has them. Requests: the catalogs' nodes in which these differ, if there are any.
    pub(super) async fn open(&self, ours: &Snapshot, theirs: &Snapshot) -> Result<BTreeMap<TableId, Pair>> {
        let mut open: BTreeMap<TableId, Pair> = BTreeMap::new();
        if self.tables.is_empty() {
            return Ok(open);
        }
        for change in theirs.trees.changes(&ours.catalog, &theirs.catalog).await? {
            let in_doubt = |entry: &CatalogEntry| self.tables.contains_key(&entry.id);
            if let Some(ours) = change.before.filter(in_doubt) {
                open.entry(ours.id).or_default().0 = Some(ours.clone());
            }
            if let Some(theirs) = change.after.filter(in_doubt) {
                open.entry(theirs.id).or_default().1 = Some(theirs.clone());
            }
        }
        Ok(open)
    }

    /// Those of them that nobody has decided.
    pub(super) fn conflicts(&self, open: &BTreeMap<TableId, Pair>, decided: &Decided) -> Vec<Conflict> {
        let conflict = |(id, (ours, theirs)): (&TableId, &Pair)| {
            let kind = ConflictKind::Base(*self.tables.get(id)?);
            match DoubtMerge::of(ours.as_ref(), theirs.as_ref(), decided.whole.get(id)) {
                DoubtMerge::Alike | DoubtMerge::Taken(_) => None,
                DoubtMerge::Conflict => {
                    Some(Conflict::of_table(*id, &ours.as_ref().or(theirs.as_ref())?.name, kind))
                }
            }
        };
        open.iter().filter_map(conflict).collect()
    }

    /// Whether a table is to be as theirs has it, whatever the base says.
    pub(super) fn takes_theirs(&self, table: TableId, decided: &Decided) -> bool {
        self.tables.contains_key(&table) && decided.whole.get(&table) == Some(&Side::Theirs)
    }

    /// More of them, of a base that is made of several commits.
    pub(super) fn leave(&mut self, tables: &BTreeSet<TableId>, why: BaseConflict) {
        for table in tables {
            self.tables.entry(*table).or_insert(why);
            self.rows.remove(table);
        }
    }
}

/// The rows on which two commits disagree, with the columns in which they differ; and, for a base, values of those that one of the commits has not, which
/// are to stand in a place that no side has.
pub(super) fn disputed(rows: &ContestedRows) -> Result<(Disputed, Vec<RecordBatch>)> {
    let places = |side: &RecordBatch| -> Result<BTreeMap<u64, u64>> {
        Ok(ids(side)?.values().iter().copied().zip(0_u64..).collect())
    };
    let (in_base, in_ours, in_theirs) = (places(&rows.base)?, places(&rows.ours)?, places(&rows.theirs)?);
    let mut disputed = Disputed::new();
    let (mut both, mut of_ours, mut of_theirs) =
        ((Vec::new(), Vec::new(), Vec::new()), Vec::new(), Vec::new());
    for row in rows.rows.iter().map(|row| row.0) {
        let has = [&in_base, &in_ours, &in_theirs].map(|side| side.contains_key(&row));
        match (in_ours.get(&row), in_theirs.get(&row)) {
            (Some(ours), Some(theirs)) if has[0] => {
                both.0.push(row);
                both.1.push(*ours);
                both.2.push(*theirs);
            }
            (_, Some(theirs)) => of_theirs.push(*theirs),
            (Some(ours), None) => of_ours.push(*ours),
            (None, None) => {}
        }
        disputed.insert(row, Dispute::between(has, []));
    }
    let take = |side: &RecordBatch, rows: Vec<u64>| {
        take_record_batch(side, &UInt64Array::from(rows)).map_err(broken)
    };
    let (ours, theirs) = (take(&rows.ours, both.1)?, take(&rows.theirs, both.2)?);
    for (at, field) in ours.schema().fields().iter().enumerate() {
        let Some(id) = field_id(field) else { continue };
        let differs = differing_column(ours.column(at), theirs.column(at));
        for (row, _) in both.0.iter().zip(differs.iter()).filter(|(_, differs)| *differs == Some(true)) {
            if let Some(dispute) = disputed.remove(row) {
                disputed.insert(*row, dispute.and(Dispute::Cells([id].into())));
            }
        }
    }
    let given = [take(&rows.ours, of_ours)?, take(&rows.theirs, of_theirs)?];
    Ok((disputed, given.into_iter().filter(|rows| rows.num_rows() > 0).collect()))
}

/// The id of a column.
fn field_id(field: &Field) -> Option<FieldId> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok().map(FieldId)
}
