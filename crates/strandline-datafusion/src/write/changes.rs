//! Rows that take the place of others, on their way into a transaction: those of UPDATE and MERGE.
//!
//! Invariants: only what is in flight is in memory, about two bytes for each row that is changed, and about 40 for each that is inserted by the
//! key of its table; a row is changed once, or nothing is, and a key is inserted once. What does not belong here: which rows these are (`rule`, `merge`).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt64Array};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{Int32Type, SchemaRef, UInt64Type};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::{StreamExt, TryStreamExt};
use strandline::columns::value_text;
use strandline::format::{FileId, Hash};
use strandline::transaction::Rows;
use strandline::{Error, ErrorKind, RowChanges, RowSet, Transaction};

use crate::error::external;
use crate::write::source::Failure;

/// How the rows of a plan change a table: they have its columns, then file, position and id of the row that each takes the place of,
/// then for a MERGE the number of its clause and the values that name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// How many columns the table has.
    pub(super) columns: usize,
    /// What the clauses do, by their numbers. Without any, all rows are updates.
    pub(super) kinds: Vec<Kind>,
    /// The columns that name a row.
    pub(super) keys: Vec<String>,
    /// The columns by which a MERGE looks rows up, if it does by their values alone.
    pub(super) by: Vec<String>,
    /// Whether these are the key of the table, which no two rows that are inserted have alike.
    pub(super) by_key: bool,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Update,
    Insert,
    Delete,
}

impl Changes {
    /// Changes the table; gives what became of rows.
    pub(super) async fn carry_out(
        self: Arc<Self>,
        transaction: &Transaction,
        table: &str,
        batches: SendableRecordBatchStream,
        failure: &Failure,
    ) -> strandline::Result<RowChanges> {
        if !self.kinds.is_empty() && self.kinds.iter().all(|kind| *kind == Kind::Insert) {
            let columns: Vec<usize> = (0..self.columns).collect();
            let mut keys = self.inserted_keys(&batches.schema())?;
            let new = batches.map(move |batch| {
                let rows = batch?.project(&columns)?;
                keys.iter_mut().try_for_each(|keys| keys.add(&rows))?;
                Ok(rows)
            });
            let inserted = transaction.append(table, Rows::stream(failure.watch(new))).await?;
            self.say_looked_up(transaction, table, inserted).await?;
            return Ok(RowChanges { inserted, ..RowChanges::default() });
        }
        let gone = Arc::new(Mutex::new(RowSet::new()));
        let mut keys = self.inserted_keys(&batches.schema())?;
        let (noted, changes) = (Arc::clone(&gone), Arc::clone(&self));
        let new = batches.and_then(move |batch| {
            let mut gone = noted.lock().unwrap_or_else(PoisonError::into_inner);
            let coming = changes.coming(&batch, &mut gone, keys.as_mut());
            async { coming }
        });
        let gone = move || std::mem::take(&mut *gone.lock().unwrap_or_else(PoisonError::into_inner));
        let changes = transaction.change_rows_found(table, Rows::stream(failure.watch(new)), gone).await?;
        self.say_looked_up(transaction, table, changes.inserted).await?;
        Ok(changes)
    }

    /// What was inserted was looked for, and not found: should somebody else add it meanwhile, this does not hold.
    async fn say_looked_up(
        &self,
        transaction: &Transaction,
        table: &str,
        inserted: u64,
    ) -> strandline::Result<()> {
        match inserted > 0 {
            true => transaction.looked_up(table, &self.by).await,
            false => Ok(()),
        }
    }

    /// The keys of what is inserted, if no two rows may have one.
    fn inserted_keys(&self, rows: &SchemaRef) -> strandline::Result<Option<InsertedKeys>> {
        let refused = |error: DataFusionError| Error::new(ErrorKind::InvalidInput, error.to_string());
        self.by_key.then(|| InsertedKeys::new(&self.by, rows)).transpose().map_err(refused)
    }

    /// The rows of a batch that come into the table, with the ids that they keep; those that go are noted.
    fn coming(
        &self,
        batch: &RecordBatch,
        gone: &mut RowSet,
        keys: Option<&mut InsertedKeys>,
    ) -> Result<RecordBatch> {
        let kinds = self.kinds_of(batch)?;
        self.note(batch, &kinds, gone)?;
        if let Some(keys) = keys {
            let inserted: BooleanArray = kinds.iter().map(|kind| Some(*kind == Kind::Insert)).collect();
            keys.add(&filter_record_batch(batch, &inserted)?)?;
        }
        let columns: Vec<usize> = (0..self.columns).chain([self.columns + 2]).collect();
        let rows = batch.project(&columns)?;
        if kinds.iter().all(|kind| *kind != Kind::Delete) {
            return Ok(rows);
        }
        let comes: BooleanArray = kinds.iter().map(|kind| Some(*kind != Kind::Delete)).collect();
        Ok(filter_record_batch(&rows, &comes)?)
    }

    fn kinds_of(&self, batch: &RecordBatch) -> Result<Vec<Kind>> {
        if self.kinds.is_empty() {
            return Ok(vec![Kind::Update; batch.num_rows()]);
        }
        let clauses = batch.column(self.columns + 3).as_primitive_opt::<Int32Type>().ok_or_else(odd)?;
        let kind = |clause: Option<i32>| {
            let clause = clause.and_then(|clause| usize::try_from(clause).ok());
            clause.and_then(|clause| self.kinds.get(clause)).copied().ok_or_else(odd)
        };
        clauses.iter().map(kind).collect()
    }

    fn note(&self, batch: &RecordBatch, kinds: &[Kind], gone: &mut RowSet) -> Result<()> {
        let [files, rows] = [0, 1].map(|at| numbers(batch.column(self.columns + at)));
        let (files, rows) = (files?, rows?);
        for (row, kind) in kinds.iter().enumerate().filter(|(_, kind)| **kind != Kind::Insert) {
            let is_first = gone.insert(FileId(files.value(row)), rows.value(row)).map_err(external)?;
            if !is_first {
                return Err(self.twice(batch, row, *kind));
            }
        }
        Ok(())
    }

    /// The error of a row that two rows of the source want to change.
    fn twice(&self, batch: &RecordBatch, row: usize, kind: Kind) -> DataFusionError {
        let value = |(at, key): (usize, &String)| {
            let value = value_text(batch.column(self.columns + 4 + at), row).unwrap_or_default();
            format!("{key} = {value}")
        };
        let key: Vec<String> = self.keys.iter().enumerate().map(value).collect();
        let what = if kind == Kind::Delete { "deleted" } else { "updated" };
        let message = format!(
            "several rows of the source match the row with {}, which can be {what} only once: let ON or USING give one of them",
            key.join(", ")
        );
        external(Error::new(ErrorKind::InvalidInput, message))
    }
}

/// The keys of rows that were inserted, none of which may come again: each was looked for, and not found.
struct InsertedKeys {
    /// Where the columns of the key stand, by their names.
    columns: Vec<(String, usize)>,
    converter: RowConverter,
    /// Half the hash of each.
    seen: HashSet<[u8; 16]>,
}

impl InsertedKeys {
    fn new(by: &[String], rows: &SchemaRef) -> Result<Self> {
        let place = |name: &String| Ok((name.clone(), rows.index_of(name)?));
        let columns = by.iter().map(place).collect::<Result<Vec<_>>>()?;
        let sort = |(_, at): &(String, usize)| SortField::new(rows.field(*at).data_type().clone());
        let converter = RowConverter::new(columns.iter().map(sort).collect())?;
        Ok(Self { columns, converter, seen: HashSet::new() })
    }

    /// Adds rows. Those with a null in their key are equal to no others.
    fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        let arrays: Vec<ArrayRef> = self.columns.iter().map(|(_, at)| Arc::clone(rows.column(*at))).collect();
        let keys = self.converter.convert_columns(&arrays)?;
        for (row, key) in keys.iter().enumerate() {
            if arrays.iter().any(|array| array.is_null(row)) {
                continue;
            }
            let mut half = [0; 16];
            half.copy_from_slice(&Hash::of(key.as_ref()).as_bytes()[..16]);
            if !self.seen.insert(half) {
                let value =
                    |(name, array): (&String, &ArrayRef)| Ok(format!("{name} = {}", value_text(array, row)?));
                let named = self.columns.iter().map(|(name, _)| name).zip(&arrays);
                let key = named.map(value).collect::<Result<Vec<_>>>()?.join(", ");
                let message = format!("two of the rows to insert have the key ({key})");
                return Err(external(Error::new(ErrorKind::InvalidInput, message)));
            }
        }
        Ok(())
    }
}

/// Where the rows of a DELETE lie.
pub(super) async fn positions(mut batches: SendableRecordBatchStream) -> Result<RowSet> {
    let mut all = RowSet::new();
    while let Some(batch) = batches.try_next().await? {
        let (files, rows) = (numbers(batch.column(0))?, numbers(batch.column(1))?);
        for (file, row) in files.values().iter().zip(rows.values()) {
            all.insert(FileId(*file), *row).map_err(external)?;
        }
    }
    Ok(all)
}

fn numbers(array: &ArrayRef) -> Result<&UInt64Array> {
    array.as_primitive_opt::<UInt64Type>().ok_or_else(odd)
}

fn odd() -> DataFusionError {
    DataFusionError::Internal("a statement's rows without their positions".to_owned())
}
