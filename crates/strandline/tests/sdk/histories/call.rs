//! What a transaction can be asked for: done to the lake, and done to the model.
//!
//! Invariant: both sides are given the same call and give answers that can be compared. What does not belong here: which calls
//! there are in a history (`script`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{
    DataType, Field as ArrowField, Int32Type, Int64Type, Schema as ArrowSchema, UInt64Type,
};
use futures::stream;
use strandline::filter::{Predicate, col};
use strandline::transaction::Rows;
use strandline::{Result, RowSet, Table, Transaction};
use strandline_format::{ColumnName, Field, PrimitiveType, RowId, Transform, Value};

use crate::histories::model::{self, Column, K, Reach, Row, U, Work, around};

/// Something that a transaction does.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    CreateNamespace(String),
    DropNamespace(String),
    CreateTable {
        name: String,
        split: bool,
    },
    DropTable(String),
    Rename(String, String),
    Alter(String, Alter),
    Append {
        table: String,
        rows: Vec<Vec<Row>>,
        streamed: bool,
    },
    Overwrite {
        table: String,
        what: Reach,
        splits: bool,
        rows: Vec<Row>,
    },
    Delete(String, Reach),
    /// By the ids of the rows with these values of `U`.
    DeleteRows {
        table: String,
        numbers: BTreeSet<i64>,
    },
    Update {
        table: String,
        reach: Reach,
        column: u32,
        value: Option<i64>,
    },
    /// By the values of `U`.
    Upsert {
        table: String,
        rows: Vec<Row>,
    },
    Compact {
        table: String,
        all: bool,
    },
    Read(String, Reach),
    List,
}

/// One change of the columns.
#[derive(Clone, Debug)]
pub(crate) enum Alter {
    Add { name: String, long: bool, initial: Option<i64> },
    Drop(String),
    Rename(String, String),
    Widen(String),
}

/// What is seen of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    columns: BTreeMap<String, bool>,
    rows: BTreeMap<i64, BTreeMap<String, Option<i64>>>,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Rows(u64),
    /// Inserted, updated.
    Put(u64, u64),
    Seen(Seen),
    Names(BTreeSet<String>),
}

fn predicate(reach: &Reach) -> Predicate {
    match reach {
        Reach::All => Predicate::all(),
        Reach::Below(bound) => col("k").lt(*bound),
        Reach::Equal(bound) => col("k").eq(*bound),
        Reach::From(bound) => col("k").ge(*bound),
        Reach::In(values) => col("k").is_in(values.iter().copied()),
        Reach::Numbers(values) => col("u").is_in(values.iter().copied()),
    }
}

/// What is read of a table. No number comes twice.
pub(crate) async fn seen(table: &Table, reach: &Reach) -> Result<Seen> {
    let long = |field: &Arc<ArrowField>| (field.name().clone(), *field.data_type() == DataType::Int64);
    let columns = table.arrow_schema().fields().iter().map(long).collect();
    let mut rows = BTreeMap::new();
    for batch in table.scan().filter(predicate(reach)).collect().await? {
        let schema = batch.schema();
        let values: Vec<(&String, Vec<Option<i64>>)> = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| (field.name(), integers(column)))
            .collect();
        for at in 0..batch.num_rows() {
            let row: BTreeMap<String, Option<i64>> =
                values.iter().map(|(name, values)| ((*name).clone(), values[at])).collect();
            let u = row["u"].unwrap();
            assert!(rows.insert(u, row).is_none(), "row {u} is there twice");
        }
    }
    Ok(Seen { columns, rows })
}

/// The row ids of a table, and the versions that last updated the rows, by the values of `U`.
pub(crate) async fn identities(table: &Table) -> Result<BTreeMap<i64, (u64, u64)>> {
    let mut identities = BTreeMap::new();
    for batch in table.scan().columns(["u"]).row_ids(true).collect().await? {
        let numbers = integers(batch.column(0)).into_iter().flatten();
        let [ids, versions] =
            [1, 2].map(|at| batch.column(at).as_primitive::<UInt64Type>().values().to_vec());
        identities.extend(numbers.zip(ids.into_iter().zip(versions)));
    }
    Ok(identities)
}

/// Where the rows with these values of `U` stand.
async fn places(table: &Table, numbers: &BTreeSet<i64>) -> Result<RowSet> {
    let identities = identities(table).await?;
    let ids = numbers.iter().map(|number| RowId(identities[number].0));
    let mut places = RowSet::new();
    for place in table.places(ids).await? {
        assert!(places.insert(place.file, place.position)?, "two rows at {place:?}");
    }
    Ok(places)
}

fn integers(column: &ArrayRef) -> Vec<Option<i64>> {
    match column.as_primitive_opt::<Int64Type>() {
        Some(longs) => longs.iter().collect(),
        None => column.as_primitive::<Int32Type>().iter().map(|value| value.map(i64::from)).collect(),
    }
}

impl Seen {
    /// What the model shows.
    pub(crate) fn of(table: &model::Table, reach: &Reach) -> Self {
        let columns = table.columns.values().map(|column| (column.name.clone(), column.long)).collect();
        let shown = |row: &Row| {
            let value = |(id, column): (&u32, &Column)| (column.name.clone(), table.value(row, *id));
            table.columns.iter().map(value).collect()
        };
        let rows = table.rows.iter().filter(|(_, row)| reach.holds(row)).map(|(u, row)| (*u, shown(row)));
        Self { columns, rows: rows.collect() }
    }
}

/// The rows as the lake is given them. Columns in which no row says anything are left out.
fn batch(columns: &BTreeMap<u32, Column>, rows: &[Row]) -> RecordBatch {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (id, column) in
        columns.iter().filter(|(id, _)| **id <= U || rows.iter().any(|row| row[*id].is_some()))
    {
        let values = rows.iter().map(|row| row[id]);
        let array: ArrayRef = match column.long {
            true => Arc::new(values.collect::<Int64Array>()),
            false => Arc::new(
                values.map(|value| value.map(|value| i32::try_from(value).unwrap())).collect::<Int32Array>(),
            ),
        };
        fields.push(ArrowField::new(&column.name, array.data_type().clone(), *id > U));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), arrays).unwrap()
}

/// The two columns that every table has.
pub(crate) fn first_columns() -> BTreeMap<u32, Column> {
    let column = |name: &str| Column { name: name.to_owned(), long: true, initial: None };
    BTreeMap::from([(K, column("k")), (U, column("u"))])
}

impl Call {
    /// Does it to the lake. `columns` are those that the model's table has.
    pub(crate) async fn carry_out(
        self,
        transaction: Transaction,
        columns: BTreeMap<u32, Column>,
    ) -> Result<Answer> {
        match self {
            Self::CreateNamespace(name) => transaction.create_namespace(&name).await?,
            Self::DropNamespace(name) => transaction.drop_namespace(&name).await?,
            Self::CreateTable { name, split } => {
                let table = transaction.create_table(name).like(&batch(&first_columns(), &[]).schema());
                drop(if split { table.split_by("k", Transform::Identity) } else { table }.await?);
            }
            Self::DropTable(name) => transaction.drop_table(&name).await?,
            Self::Rename(from, to) => transaction.rename(&from, &to).await?,
            Self::Alter(table, alter) => {
                let table = transaction.alter_table(table);
                match alter {
                    Alter::Add { name, long, initial } => table.add_column(field(&name, long, initial)),
                    Alter::Drop(name) => table.drop_column(name),
                    Alter::Rename(name, to) => table.rename_column(name, to),
                    Alter::Widen(name) => table.widen_column(name, PrimitiveType::Long),
                }
                .await?;
            }
            Self::Append { table, rows, streamed } => {
                let batches: Vec<RecordBatch> = rows.iter().map(|rows| batch(&columns, rows)).collect();
                let rows = match streamed {
                    true => Rows::stream(stream::iter(batches.into_iter().map(Ok::<_, std::io::Error>))),
                    false => batches.into(),
                };
                return transaction.append(&table, rows).await.map(Answer::Rows);
            }
            Self::Overwrite { table, what, splits, rows } => {
                let overwrite = transaction.overwrite(table, batch(&columns, &rows));
                let done = match (splits, &what) {
                    (true, _) => overwrite.splits(),
                    (false, Reach::All) => overwrite,
                    (false, reach) => overwrite.matching(predicate(reach)),
                };
                return done.await.map(|done| Answer::Rows(done.rows));
            }
            Self::Delete(table, reach) => {
                return transaction.delete(&table, predicate(&reach)).await.map(Answer::Rows);
            }
            Self::DeleteRows { table, numbers } => {
                let places = places(&transaction.table(&table).await?, &numbers).await?;
                return transaction.delete_rows(&table, places).await.map(Answer::Rows);
            }
            Self::Update { table, reach, column, value } => {
                let update = transaction.update(table, predicate(&reach));
                let name = columns[&column].name.clone();
                let update = match value {
                    Some(value) => update.set(name, value),
                    None => update.set_null(name),
                };
                return update.await.map(|changes| Answer::Put(changes.inserted, changes.updated));
            }
            Self::Upsert { table, rows } => {
                let changes = transaction.upsert(table, batch(&columns, &rows)).by(["u"]).await?;
                return Ok(Answer::Put(changes.inserted, changes.updated));
            }
            Self::Compact { table, all } => {
                let compact = transaction.compact(table);
                _ = if all { compact.all() } else { compact }.await?;
            }
            Self::Read(table, reach) => {
                return seen(&transaction.table(&table).await?, &reach).await.map(Answer::Seen);
            }
            Self::List => {
                let names = transaction.list(None).await?.into_iter().map(|(name, _)| name);
                return Ok(Answer::Names(names.collect()));
            }
        }
        Ok(Answer::Done)
    }
}

fn field(name: &str, long: bool, initial: Option<i64>) -> Field {
    let ty = if long { PrimitiveType::Long } else { PrimitiveType::Int };
    let value =
        |number: i64| if long { Value::Long(number) } else { Value::Int(i32::try_from(number).unwrap()) };
    Field { initial: initial.map(value), ..Field::optional(ColumnName::new(name).unwrap(), ty) }
}

/// Numbers for what is new in the model.
#[derive(Debug)]
pub(crate) struct Numbers {
    next: u32,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { next: 100 }
    }
}

impl Numbers {
    pub(crate) fn draw(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn stamp(&mut self) -> u64 {
        u64::from(self.draw())
    }
}

/// The model would not let it happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl Call {
    /// Does it to the model.
    pub(crate) fn apply(
        &self,
        work: &mut Work,
        numbers: &mut Numbers,
    ) -> std::result::Result<Answer, Refused> {
        match self {
            Self::CreateNamespace(name) => {
                work.reads.names.insert(name.clone());
                room_for(work, name)?;
                work.now.namespaces.insert(numbers.draw(), name.clone());
            }
            Self::DropNamespace(name) => {
                work.reads.names.insert(name.clone());
                let id = *work.now.namespaces.iter().find(|(_, found)| *found == name).ok_or(Refused)?.0;
                work.reads.members.insert(name.clone());
                let held = work.now.tables.values().any(|table| around(&table.name) == Some(name));
                if held {
                    return Err(Refused);
                }
                work.now.namespaces.remove(&id);
            }
            Self::CreateTable { name, split } => {
                work.reads.names.insert(name.clone());
                room_for(work, name)?;
                let table = model::Table {
                    name: name.clone(),
                    columns: first_columns(),
                    rows: BTreeMap::new(),
                    marks: BTreeMap::new(),
                    split: *split,
                    stamp: numbers.stamp(),
                    altered: 0,
                    written: 0,
                    removed: 0,
                };
                work.now.tables.insert(numbers.draw(), table);
            }
            Self::DropTable(name) => {
                let id = table_id(work, name)?;
                work.now.tables.remove(&id);
            }
            Self::Rename(from, to) => {
                let id = table_id(work, from)?;
                work.reads.names.insert(to.clone());
                if from != to {
                    room_for(work, to)?;
                }
                let table = work.now.tables.get_mut(&id).ok_or(Refused)?;
                (table.name, table.stamp) = (to.clone(), numbers.stamp());
            }
            Self::Alter(name, alter) => {
                let id = table_id(work, name)?;
                let table = work.now.tables.get_mut(&id).ok_or(Refused)?;
                alter.apply(table, numbers)?;
                (table.stamp, table.altered) = (numbers.stamp(), numbers.stamp());
            }
            Self::Append { table, rows, .. } => {
                let id = table_id(work, table)?;
                let rows: Vec<&Row> = rows.iter().flatten().collect();
                put(work.now.tables.get_mut(&id).ok_or(Refused)?, &rows, numbers);
                return Ok(Answer::Rows(rows.len() as u64));
            }
            Self::Overwrite { table, what, rows, .. } => {
                let id = table_id(work, table)?;
                let table = work.now.tables.get_mut(&id).ok_or(Refused)?;
                if rows.iter().any(|row| !what.holds(row)) {
                    return Err(Refused);
                }
                take(table, what, numbers);
                put(table, &rows.iter().collect::<Vec<_>>(), numbers);
                table.stamp = numbers.stamp();
                work.overwrites.push((id, what.clone()));
                return Ok(Answer::Rows(rows.len() as u64));
            }
            Self::Delete(name, reach) => {
                let id = table_id(work, name)?;
                work.reads.scans.push((id, reach.clone()));
                return Ok(Answer::Rows(take(work.now.tables.get_mut(&id).ok_or(Refused)?, reach, numbers)));
            }
            Self::DeleteRows { table, numbers: gone } => {
                let id = table_id(work, table)?;
                work.reads.schemas.insert(id);
                work.reads.scans.push((id, Reach::All));
                let table = work.now.tables.get_mut(&id).ok_or(Refused)?;
                return Ok(Answer::Rows(take(table, &Reach::Numbers(gone.clone()), numbers)));
            }
            Self::Update { table, reach, column, value } => {
                let id = table_id(work, table)?;
                work.reads.scans.push((id, reach.clone()));
                let table = work.now.tables.get_mut(&id).ok_or(Refused)?;
                let within: Vec<Row> = table.rows.values().filter(|row| reach.holds(row)).cloned().collect();
                let set = |row: Row| row.into_iter().chain([(*column, *value)]).collect();
                let updated: Vec<Row> = within.into_iter().map(set).collect();
                replace(table, &updated, numbers);
                return Ok(Answer::Put(0, updated.len() as u64));
            }
            Self::Upsert { table, rows } => {
                let id = table_id(work, table)?;
                if !rows.is_empty() {
                    let keys = rows.iter().filter_map(|row| row[&U]).collect();
                    work.reads.scans.push((id, Reach::Numbers(keys)));
                }
                let table = work.now.tables.get_mut(&id).ok_or(Refused)?;
                let known = |row: &&Row| table.rows.contains_key(&row[&U].unwrap());
                let (old, new): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(known);
                let old: Vec<Row> = old.into_iter().cloned().collect();
                replace(table, &old, numbers);
                put(table, &new, numbers);
                return Ok(Answer::Put(new.len() as u64, old.len() as u64));
            }
            // Rows stay what they are.
            Self::Compact { table, .. } => _ = table_id(work, table)?,
            Self::Read(name, reach) => {
                let id = table_id(work, name)?;
                work.reads.schemas.insert(id);
                work.reads.scans.push((id, reach.clone()));
                return Ok(Answer::Seen(Seen::of(&work.now.tables[&id], reach)));
            }
            Self::List => {
                work.reads.listed = true;
                return Ok(Answer::Names(work.now.names().into_keys().map(str::to_owned).collect()));
            }
        }
        Ok(Answer::Done)
    }
}

fn table_id(work: &mut Work, name: &str) -> std::result::Result<u32, Refused> {
    work.reads.names.insert(name.to_owned());
    let tables = work.now.tables.iter();
    tables.clone().find(|(_, table)| table.name == name).map(|(id, _)| *id).ok_or(Refused)
}

fn room_for(work: &mut Work, name: &str) -> std::result::Result<(), Refused> {
    if work.now.named(name).is_some() {
        return Err(Refused);
    }
    let Some(around) = around(name) else { return Ok(()) };
    work.reads.names.insert(around.to_owned());
    if work.now.namespaces.values().any(|found| found == around) { Ok(()) } else { Err(Refused) }
}

fn put(table: &mut model::Table, rows: &[&Row], numbers: &mut Numbers) {
    if rows.is_empty() {
        return;
    }
    for row in rows {
        let known = row.iter().filter(|(id, _)| table.columns.contains_key(id));
        let row: Row = known.map(|(id, value)| (*id, *value)).collect();
        table.rows.insert(row[&U].unwrap(), row);
    }
    (table.stamp, table.written) = (numbers.stamp(), numbers.stamp());
}

/// Rows that are there get other values, and marks.
fn replace(table: &mut model::Table, rows: &[Row], numbers: &mut Numbers) {
    if rows.is_empty() {
        return;
    }
    put(table, &rows.iter().collect::<Vec<_>>(), numbers);
    for row in rows {
        table.marks.insert(row[&U].unwrap(), numbers.stamp());
    }
    table.removed = numbers.stamp();
}

fn take(table: &mut model::Table, reach: &Reach, numbers: &mut Numbers) -> u64 {
    let before = table.rows.len();
    table.rows.retain(|_, row| !reach.holds(row));
    let gone = before - table.rows.len();
    if gone > 0 {
        (table.stamp, table.removed) = (numbers.stamp(), numbers.stamp());
    }
    gone as u64
}

impl Alter {
    fn apply(&self, table: &mut model::Table, numbers: &mut Numbers) -> std::result::Result<(), Refused> {
        let find = |name: &str| {
            let found = table.columns.iter().find(|(_, column)| column.name == name).map(|(id, _)| *id);
            found.filter(|id| *id > U).ok_or(Refused)
        };
        let free = |name: &str| {
            if table.columns.values().any(|column| column.name == name) { Err(Refused) } else { Ok(()) }
        };
        match self {
            Self::Add { name, long, initial } => {
                free(name)?;
                let column = Column { name: name.clone(), long: *long, initial: *initial };
                table.columns.insert(numbers.draw(), column);
            }
            Self::Drop(name) => {
                let id = find(name)?;
                table.columns.remove(&id);
            }
            Self::Rename(name, to) => {
                let id = find(name)?;
                free(to)?;
                table.columns.get_mut(&id).ok_or(Refused)?.name.clone_from(to);
            }
            Self::Widen(name) => {
                let id = find(name)?;
                let column = table.columns.get_mut(&id).ok_or(Refused)?;
                if column.long {
                    return Err(Refused);
                }
                column.long = true;
            }
        }
        Ok(())
    }
}
