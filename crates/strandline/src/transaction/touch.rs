//! Rows that a predicate finds, taken out of their files: whole files are removed, others get deletion vectors.
//!
//! Invariants: only live rows count; a file is read only where statistics leave it open whether all of its rows pass, and only
//! the columns that the question asks for; deletes only ever grow [DV-5]. What does not belong here: which rows come instead.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use futures::stream::{self, StreamExt, TryStreamExt};
use strandline_format::{
    Constraint, Deletes, DeletionVector, FileEntry, FileId, MAX_INLINE_DELETES, NumberMap, RowId, RowIds,
    Schema, Table as TableNode, TableId,
};

use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Checks, Predicate};
use crate::merge::reaches;
use crate::scan::{ROW_ID, Scan, deletion_vector, identify};
use crate::storage::{DataKind, Objects};
use crate::table::TableState;
use crate::transaction::RowSet;
use crate::transaction::draft::Draft;
use crate::tree::{All, FileFilter};
use crate::write::Uploads;

/// How many files are read at once.
const FILES: usize = 8;

/// A file of which some live rows pass.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) entry: FileEntry,
    /// Which rows pass; `None`: all that are live.
    pub(super) rows: Option<DeletionVector>,
    /// Which rows were deleted before, if that is at hand.
    pub(super) deleted: Option<DeletionVector>,
}

impl Found {
    fn whole(entry: FileEntry) -> Self {
        Self { entry, rows: None, deleted: None }
    }

    /// These rows of a file, all of which are live; `None` if there are none.
    pub(super) fn some(entry: FileEntry, rows: DeletionVector) -> Option<Self> {
        let count = rows.cardinality();
        let all = count >= entry.live_rows();
        (count > 0).then(|| Self { rows: (!all).then_some(rows), entry, deleted: None })
    }

    /// How many rows go.
    pub(super) fn count(&self) -> u64 {
        self.rows.as_ref().map_or(self.entry.live_rows(), DeletionVector::cardinality)
    }

    /// Whether the file goes as a whole, and could come again as it is.
    pub(super) fn is_whole(&self) -> bool {
        let FileEntry { deletes, row_ids, external, .. } = &self.entry;
        self.rows.is_none() && deletes.is_none() && *row_ids == RowIds::Derived && external.is_none()
    }
}

/// All files, as they go when everything goes.
pub(super) async fn everything(state: &TableState) -> Result<Vec<Found>> {
    let entries = state.trees.collect(&state.table.files, &All).await?;
    Ok(entries.into_iter().map(Found::whole).collect())
}

/// The rows that pass a predicate, file by file.
pub(super) async fn matching(state: &TableState, predicate: &Predicate) -> Result<Vec<Found>> {
    let filter = predicate.bind(&state.schema)?;
    let doubt = FileFilter::in_doubt(&filter, &state.table, &state.schema);
    let reach = FileFilter::new(filter, &state.table, &state.schema);
    let entries = state.trees.collect(&state.table.files, &reach).await?;
    let look = |entry: FileEntry| {
        let in_doubt = reaches(&doubt, &entry);
        async move {
            if !in_doubt {
                return Ok(Some(Found::whole(entry)));
            }
            let rows = positions(state, &entry, predicate).await?;
            Ok::<_, Error>(Found::some(entry, rows))
        }
    };
    let all = stream::iter(entries).map(look).buffered(FILES);
    all.try_filter_map(|found| async { Ok(found) }).try_collect().await
}

/// Rows that were given by their places, file by file.
///
/// # Errors
/// `InvalidInput` for a row that is not there, or is deleted.
pub(super) async fn located(state: &TableState, rows: &RowSet) -> Result<Vec<Found>> {
    let keys: Vec<FileId> = rows.files().map(|(file, _)| file).collect();
    let entries = state.trees.get_many(&state.table.files, &keys).await?;
    let look = |((file, rows), entry): ((FileId, &DeletionVector), Option<FileEntry>)| {
        let rows = rows.clone();
        async move {
            let Some(entry) = entry else { return Err(not_there(file, "the table has no such file")) };
            let deleted = deletion_vector(&state.objects, state.table.id, &entry).await?.unwrap_or_default();
            if rows.max().is_some_and(|last| last >= entry.rows) {
                return Err(not_there(file, &format!("it has {} rows", entry.rows)));
            }
            if let Some(row) = rows.intersection(&deleted).positions().next() {
                return Err(not_there(file, &format!("row {row} is deleted")));
            }
            Ok(Found::some(entry, rows).map(|found| Found { deleted: Some(deleted), ..found }))
        }
    };
    let all = stream::iter(rows.files().zip(entries)).map(look).buffered(FILES);
    all.try_filter_map(|found| async { Ok(found) }).try_collect().await
}

fn not_there(file: FileId, why: &str) -> Error {
    let message =
        format!("rows of file {file} are not there to be changed: {why}; find them in the same transaction");
    Error::new(ErrorKind::InvalidInput, message)
}

/// Which rows of a file were deleted before others go.
pub(super) async fn deleted(state: &TableState, found: &Found) -> Result<DeletionVector> {
    match &found.deleted {
        Some(deleted) => Ok(deleted.clone()),
        None => Ok(deletion_vector(&state.objects, state.table.id, &found.entry).await?.unwrap_or_default()),
    }
}

/// Adds the ids of rows that go. No request if they follow from their places; else those of the column of ids.
pub(super) async fn add_ids(state: &TableState, found: &Found, ids: &mut DeletionVector) -> Result<()> {
    let others = match &found.rows {
        Some(going) => DeletionVector::below(found.entry.rows)?.added_since(going),
        None => deleted(state, found).await?,
    };
    identify(state, &found.entry, &others, |row| {
        ids.insert(row.id)?;
        Ok(())
    })
    .await
}

/// The positions of the live rows of one file that pass.
async fn positions(state: &TableState, entry: &FileEntry, predicate: &Predicate) -> Result<DeletionVector> {
    let scan = Scan::of(alone(state, entry)).columns::<String>([]).filter(predicate.clone()).row_ids(true);
    let mut batches = scan.await?;
    let mut rows = DeletionVector::new();
    while let Some(batch) = batches.try_next().await? {
        for position in row_ids_of(&batch) {
            rows.insert(position)?;
        }
    }
    Ok(rows)
}

/// The row ids of a batch that has them.
pub(super) fn row_ids_of(batch: &RecordBatch) -> impl Iterator<Item = u64> + '_ {
    let ids = batch.column_by_name(ROW_ID.0).and_then(|ids| ids.as_primitive_opt::<UInt64Type>());
    ids.into_iter().flat_map(|ids| ids.values().iter().copied())
}

/// The table with one file only, in which a row's id is its position.
pub(crate) fn alone(state: &TableState, entry: &FileEntry) -> TableState {
    let entry = FileEntry {
        first_row: RowId(0),
        row_ids: RowIds::Derived,
        shifts: NumberMap::default(),
        ..entry.clone()
    };
    state.of_file(entry)
}

impl Draft {
    /// Takes the rows out, of several files at once. Requests: deletion vectors that are objects are read; those that are too long for an entry
    /// are put when it is waited for what is given.
    pub(super) async fn take_out(&mut self, going: Vec<Found>, objects: &Objects) -> Result<Uploads> {
        let (table, era) = (self.table.id, self.era);
        let less = |found| lessened(found, table, objects);
        let mut all = std::pin::pin!(stream::iter(going).map(less).buffered(FILES));
        let mut uploads = Uploads::default();
        while let Some((before, after)) = all.try_next().await? {
            let Some(deletes) = after else {
                self.remove(&before);
                continue;
            };
            let (rows, blob) = (deletes.cardinality(), deletes.encode()?);
            let deletes = if blob.len() <= MAX_INLINE_DELETES {
                Deletes::Inline { rows, blob }
            } else {
                let object = Objects::meta_ref(&blob, era);
                self.uploads.insert(object.hash, (DataKind::DeletionVector, object));
                let objects = objects.clone();
                uploads.add(async move {
                    objects.put_data(DataKind::DeletionVector, table, blob.into(), era).await.map(drop)
                });
                Deletes::Stored { rows, object }
            };
            let after = FileEntry { deletes: Some(deletes), ..before.clone() };
            self.put(Some(&before), after);
        }
        Ok(uploads)
    }
}

/// An entry, and which of its rows are deleted then; `None`: nothing is left of it.
async fn lessened(
    found: Found,
    table: TableId,
    objects: &Objects,
) -> Result<(FileEntry, Option<DeletionVector>)> {
    let Found { entry, rows: Some(rows), deleted } = found else { return Ok((found.entry, None)) };
    let before = match deleted {
        Some(before) => before,
        None => deletion_vector(objects, table, &entry).await?.unwrap_or_default(),
    };
    let deletes = before.union(&rows);
    let some_left = deletes.cardinality() < entry.rows;
    Ok((entry, some_left.then_some(deletes)))
}

/// Holds all rows of a table against constraints, under the schema that the constraints are of. Only files whose statistics leave
/// it open are read, and of them only what the constraints ask for.
///
/// # Errors
/// `InvalidInput`, naming the constraint and a row that breaks it; `Unsupported` for one that is beyond the filter language.
pub(crate) async fn check_rows(
    state: &TableState,
    table: &TableNode,
    schema: &Schema,
    constraints: &[Constraint],
) -> Result<()> {
    let state = TableState { table: table.clone().into(), schema: schema.clone().into(), ..state.clone() };
    for constraint in constraints {
        let checks = Checks::new(std::slice::from_ref(constraint), schema)?;
        let broken = Predicate::parse(constraint.check.as_str())?.not();
        let scan = Scan::of(state.clone()).fields(checks.fields()).filter(broken);
        for batch in scan.row_ids(true).limit(1).collect().await? {
            let id = row_ids_of(&batch).next().unwrap_or_default();
            checks.verify(&batch).map_err(|error| {
                Error::new(ErrorKind::InvalidInput, format!("{} (the row with the id {id})", error.message()))
            })?;
        }
    }
    Ok(())
}
