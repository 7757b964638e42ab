//! Rows that are changed one by one: deleted, or replaced by rows that keep their ids.
//!
//! Invariants: all of a change happens, or nothing; a row that is replaced is in one place only, under the id that it had; a file of
//! which little is left is written anew, of any other a deletion vector says what is gone [DV-5]. What does not belong here: which rows
//! (`touch`, or who hands in a [`RowSet`]), and encoding (`write`).

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use strandline_format::{DeletionVector, FieldId, FileEntry, Operation, RowIds, Seq, TableName};

use crate::error::{Error, ErrorKind, Result};
use crate::filter::Predicate;
use crate::scan::without;
use crate::storage::Objects;
use crate::table::TableState;
use crate::transaction::draft::Draft;
use crate::transaction::row_writer::{RowWriter, UNSETTLED};
use crate::transaction::rows::Rows;
use crate::transaction::touch::{self, Found};
use crate::transaction::{RowSet, State, Transaction};
use crate::write::{NewFile, RowRemoval, Uploads};

/// What a change of rows came to.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
///
/// let fix = lake.begin().await?;
/// let done = fix.update("orders", col("amount").lt(0)).set("amount", 0).await?;
/// assert_eq!((done.updated, done.inserted, done.deleted), (1, 0, 0));
/// assert_eq!(done.files_touched, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowChanges {
    /// Rows that came.
    pub inserted: u64,
    /// Rows that have other values, or were written anew with the same ones.
    pub updated: u64,
    /// Rows that went.
    pub deleted: u64,
    /// Files that had such rows.
    pub files_touched: u64,
    /// Files that were written.
    pub files_written: u64,
    /// The bytes of those.
    pub bytes_written: u64,
}

/// A change that is under way.
pub(super) struct Change {
    pub(super) now: TableState,
    pub(super) draft: Draft,
    objects: Objects,
    removal: RowRemoval,
    /// `None` where rows cannot be written, and then only go.
    writer: Option<RowWriter>,
    /// The fields by which rows are looked up.
    by: Vec<FieldId>,
}

/// A change that only has to be entered.
pub(super) struct Changed {
    pub(super) operation: Operation,
    pub(super) draft: Draft,
    pub(super) files: Vec<NewFile>,
    pub(super) uploads: Uploads,
    pub(super) changes: RowChanges,
}

impl Transaction {
    /// Deletes the rows that pass a predicate: by deletion vectors, by removing files none of whose rows is left, and by writing
    /// files anew of which little is left, as [`RowRemoval`] says.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names; `InvalidInput` if the predicate does not fit the table; the store's errors.
    pub async fn delete(&self, table: &str, predicate: Predicate) -> Result<u64> {
        let name = TableName::new(table)?;
        let mut state = self.open().await?;
        let change = Box::pin(self.begin_change(&mut state, &name, Needs::Room)).await?;
        self.0.reads.scan(change.now.table.id, &predicate.bind(&change.now.schema)?, predicate.to_string());
        let going = Box::pin(touch::matching(&change.now, &predicate)).await?;
        let changed = Box::pin(change.finish(going)).await?;
        self.enter(&mut state, &name, changed).await.map(|changes| changes.deleted)
    }

    /// Deletes rows by their places in the table as the transaction sees it.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names; `InvalidInput` for a row that is not there, or was deleted before; the store's errors.
    pub async fn delete_rows(&self, table: &str, rows: RowSet) -> Result<u64> {
        let name = TableName::new(table)?;
        let mut state = self.open().await?;
        let change = Box::pin(self.begin_change(&mut state, &name, Needs::Room)).await?;
        let going = touch::located(&change.now, &rows).await.map_err(|error| of(&name, error))?;
        let changed = Box::pin(change.finish(going)).await;
        let changed = changed.map_err(|error| of(&name, error))?;
        self.enter(&mut state, &name, changed).await.map(|changes| changes.deleted)
    }

    /// Replaces rows, each by a new one that keeps its id: the new rows have the table's columns, and as the last one `_row_id`, which
    /// says which of the rows in `rows` they replace. They may come from a scan of the same transaction.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names; `InvalidInput` if the new rows do not fit the table, break a constraint, or are not exactly
    /// those of `rows`, and for a row that is not there or was deleted before; the store's errors. Nothing has changed then.
    pub async fn update_rows(&self, table: &str, rows: RowSet, new: impl Into<Rows>) -> Result<u64> {
        let name = TableName::new(table)?;
        let check = |changes: &RowChanges| match (changes.inserted, changes.deleted) {
            (0, 0) => Ok(()),
            (0, missing) => Err(format!("{missing} of the rows to update have no new row")),
            (extra, _) => Err(format!("{extra} of the new rows have no row id")),
        };
        self.replace(&name, || rows, new.into(), check).await.map(|changes| changes.updated)
    }

    /// Deletes, updates and inserts rows at once, as a merge does: of the rows in `rows`, those are updated that a new row has the
    /// id of, and the others deleted; new rows without an id are inserted. New rows have the table's columns and as the last one `_row_id`.
    ///
    /// # Errors
    /// As [`Transaction::update_rows`], but that not every row needs a new one.
    pub async fn change_rows(&self, table: &str, rows: RowSet, new: impl Into<Rows>) -> Result<RowChanges> {
        self.replace(&TableName::new(table)?, || rows, new.into(), |_| Ok(())).await
    }

    /// The same, where the rows that go are found along with the new ones: `rows` is asked for when the last of `new` has come, so that a
    /// change of any size streams through.
    ///
    /// # Errors
    /// As [`Transaction::change_rows`].
    pub async fn change_rows_found(
        &self,
        table: &str,
        new: impl Into<Rows>,
        rows: impl FnOnce() -> RowSet + Send,
    ) -> Result<RowChanges> {
        self.replace(&TableName::new(table)?, rows, new.into(), |_| Ok(())).await
    }

    /// The new rows are written without the transaction being held, and before it is looked at those that go.
    async fn replace(
        &self,
        name: &TableName,
        rows: impl FnOnce() -> RowSet + Send,
        new: Rows,
        check: impl FnOnce(&RowChanges) -> std::result::Result<(), String>,
    ) -> Result<RowChanges> {
        let mut change = {
            let mut state = self.open().await?;
            Box::pin(self.begin_change(&mut state, name, Needs::Rows)).await?
        };
        let run = async {
            let mut new = new.into_stream();
            while let Some(batch) = new.try_next().await? {
                change.take(&batch).await?;
            }
            let going = touch::located(&change.now, &rows()).await?;
            let now = change.now.clone();
            let changed = Box::pin(change.finish(going)).await?;
            check(&changed.changes).map_err(|why| Error::new(ErrorKind::InvalidInput, why))?;
            Ok((now, changed))
        };
        let (now, changed) = run.await.map_err(|error| of(name, error))?;
        self.enter_later(name, &now, changed).await
    }

    /// A table as it is now, ready to be changed.
    pub(super) async fn begin_change(
        &self,
        state: &mut State,
        name: &TableName,
        needs: Needs,
    ) -> Result<Change> {
        let now = self.touched_table(state, name).await?;
        let draft = state.work.drafted(name).await?;
        let writer = async {
            let intake = self.intake(state, name).await?;
            let removal = intake.spec.options.row_removal;
            Result::Ok((removal, RowWriter::new(intake, self.objects().clone())?))
        };
        let (removal, writer) = match (writer.await, needs) {
            (Ok((removal, writer)), _) => (removal, Some(writer)),
            // A table that nothing can be written to can lose rows all the same.
            (Err(error), Needs::Room) if error.kind() == ErrorKind::InvalidInput => {
                (RowRemoval::MergeOnRead, None)
            }
            (Err(error), _) => return Err(of(name, error)),
        };
        Ok(Change { now, draft, objects: self.objects().clone(), removal, writer, by: Vec::new() })
    }

    /// Enters a change for which the transaction was not held meanwhile.
    pub(super) async fn enter_later(
        &self,
        name: &TableName,
        now: &TableState,
        changed: Changed,
    ) -> Result<RowChanges> {
        let mut state = self.open().await?;
        if *state.work.table(name).await?.table != *now.table {
            let message = "the table was changed while its rows were: change them again";
            return Err(of(name, Error::new(ErrorKind::InvalidInput, message)));
        }
        self.enter(&mut state, name, changed).await
    }

    pub(super) async fn enter(
        &self,
        state: &mut State,
        name: &TableName,
        changed: Changed,
    ) -> Result<RowChanges> {
        let Changed { operation, draft, files, uploads, changes } = changed;
        if changes == RowChanges::default() {
            return Ok(changes);
        }
        state.work.put_draft(name, draft, operation).await?;
        state.pending.extend(uploads);
        state.count(&files);
        Ok(changes)
    }
}

/// What a change must be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Take rows away.
    Room,
    /// Write others as well.
    Rows,
}

pub(super) fn of(name: &TableName, error: Error) -> Error {
    error.at(format_args!("table {:?}", name.as_str()))
}

impl Change {
    /// Notes the fields by which rows were looked up: those that are inserted were not found [REB-17].
    pub(super) fn looked_up(&mut self, key: impl Iterator<Item = FieldId>) {
        self.by.extend(key);
    }

    /// Rows as the table has them, if they fit.
    pub(super) fn fit(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        self.writer()?.fit(batch)
    }

    /// Writes new rows, the last column of which says which rows they are. Requests: a data file each time that one is full.
    pub(super) async fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer()?.take(batch).await
    }

    /// Takes out what goes. Requests: a data file each that is not written yet; of files that are written anew, those of a scan; deletion
    /// vectors that are objects are read. New ones are put along with the commit, or when the table is read before.
    pub(super) async fn finish(mut self, going: Vec<Found>) -> Result<Changed> {
        let (updated, inserted) = self.written(&going).await?;
        let gone: u64 = going.iter().map(Found::count).sum();
        let files_touched = going.len() as u64;
        let mut others = Vec::with_capacity(going.len());
        for found in going {
            match &found.rows {
                Some(rows) if self.rewrites(&found) => self.rewrite(&found, rows).await?,
                _ => others.push(found),
            }
        }
        let vectors = self.draft.take_out(others, &self.objects).await?;
        let (files, mut uploads) = match &mut self.writer {
            Some(writer) => writer.finish().await?,
            None => Default::default(),
        };
        uploads.extend(vectors);
        for file in &files {
            self.draft.add(file.clone(), RowIds::Stored)?;
        }
        if inserted > 0 && !self.by.is_empty() {
            self.draft.looked_up.insert(self.by);
        }
        let changes = RowChanges {
            inserted,
            updated,
            deleted: gone.saturating_sub(updated),
            files_touched,
            files_written: files.len() as u64,
            bytes_written: files.iter().map(|file| file.object.size).sum(),
        };
        let operation = match changes {
            RowChanges { inserted: 0, updated: 0, .. } => Operation::Delete,
            RowChanges { updated: 0, deleted: 0, .. } => Operation::Append,
            _ => Operation::Update,
        };
        Ok(Changed { operation, draft: self.draft, files, uploads, changes })
    }

    pub(super) fn writer(&mut self) -> Result<&mut RowWriter> {
        let none = || Error::new(ErrorKind::InvalidInput, "no rows can be written here");
        self.writer.as_mut().ok_or_else(none)
    }

    /// How many rows were updated and inserted; each row that keeps an id must be one that goes.
    async fn written(&self, going: &[Found]) -> Result<(u64, u64)> {
        let Some(writer) = &self.writer else { return Ok((0, 0)) };
        if !writer.updated.is_empty() {
            let mut known = DeletionVector::new();
            for found in going {
                touch::add_ids(&self.now, found, &mut known).await?;
            }
            if let Some(stranger) = writer.updated.added_since(&known).positions().next() {
                let message =
                    format!("a new row has the id {stranger}, which is not that of a row that it replaces");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        }
        Ok((writer.updated.cardinality(), writer.inserted))
    }

    /// Whether what is left of a file is better written anew.
    fn rewrites(&self, found: &Found) -> bool {
        let left = found.entry.live_rows().saturating_sub(found.count());
        let possible = found.entry.external.is_none() && self.writer.is_some();
        possible && self.removal.rewrites(left, found.entry.rows)
    }

    /// Takes a file out, and writes what is left of it anew.
    async fn rewrite(&mut self, found: &Found, going: &DeletionVector) -> Result<()> {
        let deleted = touch::deleted(&self.now, found).await?.union(going);
        self.keep(&found.entry, &deleted).await?;
        self.draft.remove(&found.entry);
        Ok(())
    }

    /// A file whose rows are to be written anew: of those that came in the same transaction the version stays open.
    pub(super) fn unsettled(&self, entry: FileEntry) -> FileEntry {
        let added = if self.draft.is_new(entry.id) { Seq(UNSETTLED) } else { entry.added };
        FileEntry { added, ..entry }
    }

    /// Writes the rows of a file anew that are not deleted. They are the same rows, of the same version.
    async fn keep(&mut self, entry: &FileEntry, deleted: &DeletionVector) -> Result<()> {
        let entry = self.unsettled(entry.clone());
        let mut batches = without(&self.now, &entry, deleted)?.row_ids(true).await?;
        while let Some(batch) = batches.try_next().await? {
            self.writer()?.keep(&batch).await?;
        }
        Ok(())
    }
}
