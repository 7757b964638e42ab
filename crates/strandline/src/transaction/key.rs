//! The key by which rows are put in: which columns, which values, and where they are the same.
//!
//! Invariants: keys are compared as a whole, column by column, by value; a null is no key, and a key that has come does not come again. What does
//! not belong here: which files are searched, and what becomes of rows that are found (`upsert`, and `merge` of both sides' rows).

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{FilterBuilder, SortOptions, sort_to_indices};
use arrow::datatypes::{DataType, Field as ArrowField, Schema as ArrowSchema, UInt64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows as KeyRows, SortField};
use strandline_format::{FieldId, Filter, Hash, PrimitiveType, Schema, Test, Value};

use crate::columns::{arrow_type, value_at};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::find_column;
use crate::scan::ROW_ID;
use crate::table::TableState;
use crate::transaction::sieve::Sieve;
use crate::write::weight;

/// Up to so many keys of one column are looked for one by one; of more, what lies between the first and the last.
const ONE_BY_ONE: usize = 256;

/// The columns of a key, and the keys that have come so far.
pub(crate) struct Key {
    columns: Vec<KeyColumn>,
    converter: RowConverter,
    /// The hash of each.
    seen: HashSet<Hash>,
}

struct KeyColumn {
    id: FieldId,
    ty: PrimitiveType,
    path: String,
}

/// Rows that are looked for at once.
#[derive(Default)]
pub(crate) struct Portion {
    batches: Vec<RecordBatch>,
    bytes: u64,
}

/// The rows of a portion by their keys, counted through all of its batches.
pub(super) struct Index {
    rows: HashMap<Box<[u8]>, usize>,
    sieve: Option<Sieve>,
}

impl Portion {
    /// Adds rows in the table's own schema.
    pub(crate) fn push(&mut self, batch: RecordBatch) {
        self.bytes += weight(&batch);
        if batch.num_rows() > 0 {
            self.batches.push(batch);
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(crate) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The rows, each with the id that it gets, if it gets one.
    pub(super) fn with_ids(self, ids: &[Option<u64>]) -> Result<Vec<RecordBatch>> {
        let mut rest = ids;
        let with = |batch: RecordBatch| {
            let (ids, others) = rest.split_at(batch.num_rows().min(rest.len()));
            rest = others;
            let ids: ArrayRef = Arc::new(ids.iter().copied().collect::<UInt64Array>());
            let field = Arc::new(ArrowField::new(ROW_ID.0, DataType::UInt64, true));
            let fields = batch.schema().fields().iter().cloned().chain([field]).collect::<Vec<_>>();
            let columns = batch.columns().iter().cloned().chain([ids]).collect();
            RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns).map_err(|error| refused(&error))
        };
        self.batches.into_iter().map(with).collect()
    }
}

impl Index {
    /// The rows that may have one of the keys: their columns, and another one.
    fn sifted(&self, arrays: Vec<ArrayRef>, other: &ArrayRef) -> Result<(Vec<ArrayRef>, ArrayRef)> {
        let Some(passing) = self.sieve.as_ref().and_then(|sieve| sieve.passing(&arrays)) else {
            return Ok((arrays, Arc::clone(other)));
        };
        let passing = FilterBuilder::new(&BooleanArray::new(passing, None)).optimize().build();
        let sift = |array: &ArrayRef| passing.filter(array).map_err(|error| refused(&error));
        Ok((arrays.iter().map(sift).collect::<Result<_>>()?, sift(other)?))
    }
}

impl Key {
    /// The key of a table, or other columns of it.
    ///
    /// # Errors
    /// `InvalidInput` if it has none, or one of the columns can be no key; `NotFound` if one is not there.
    pub(super) fn new(table: &TableState, by: Option<&[String]>) -> Result<Self> {
        let schema = &table.schema;
        let ids = match by {
            Some(columns) => columns.iter().map(|column| find(column, schema)).collect::<Result<Vec<_>>>()?,
            None => table.table.key.clone(),
        };
        if ids.is_empty() {
            return Err(invalid(
                "it has no key: give it one, or say by which columns rows are the same".to_owned(),
            ));
        }
        Self::of(&ids, schema)
    }

    /// The key of these fields.
    ///
    /// # Errors
    /// `InvalidInput` if one of them is not there or can be no key.
    pub(crate) fn of(ids: &[FieldId], schema: &Schema) -> Result<Self> {
        let columns = ids.iter().map(|id| KeyColumn::new(*id, schema)).collect::<Result<Vec<_>>>()?;
        let sort = |column: &KeyColumn| SortField::new(arrow_type(&column.ty.into()));
        let converter =
            RowConverter::new(columns.iter().map(sort).collect()).map_err(|error| refused(&error))?;
        Ok(Self { columns, converter, seen: HashSet::new() })
    }

    /// The columns.
    pub(crate) fn fields(&self) -> impl Iterator<Item = FieldId> + '_ {
        self.columns.iter().map(|column| column.id)
    }

    /// What was asked for, in words.
    pub(super) fn text(&self) -> String {
        let paths: Vec<&str> = self.columns.iter().map(|column| column.path.as_str()).collect();
        format!("({}) is one of the keys of an upsert", paths.join(", "))
    }

    /// What the keys of a portion have in common.
    pub(crate) fn filter(&self, portion: &Portion) -> Result<Filter> {
        let one_by_one = self.columns.len() == 1 && portion.rows() <= ONE_BY_ONE;
        let test = |column: &KeyColumn| {
            let values = if one_by_one { column.values(portion)? } else { column.bounds(portion)? };
            Ok(match <[Value; 2]>::try_from(values) {
                Ok([low, high]) if !one_by_one => Filter::Field(column.id, Test::Between(low, high)),
                Ok(two) => Filter::Field(column.id, Test::In(two.into())),
                Err(values) => Filter::Field(column.id, Test::In(values)),
            })
        };
        Ok(Filter::And(self.columns.iter().map(test).collect::<Result<_>>()?))
    }

    /// The rows of a portion by their keys, none of which has come before.
    ///
    /// # Errors
    /// `InvalidInput` for a null, and for a key that came before, naming it.
    pub(super) fn index(&mut self, portion: &Portion) -> Result<Index> {
        let mut index = HashMap::with_capacity(portion.rows());
        let mut columns = Vec::with_capacity(portion.batches.len());
        let mut at = 0;
        for batch in &portion.batches {
            let (keys, arrays) = self.keys(batch)?;
            self.check_nulls(&arrays)?;
            for (row, key) in keys.iter().enumerate() {
                match index.entry(Box::from(key.as_ref())) {
                    Entry::Vacant(free) if self.seen.insert(Hash::of(key.as_ref())) => drop(free.insert(at)),
                    _ => {
                        let key = self.shown(&arrays, row)?;
                        return Err(invalid(format!("two of the rows to put in have the key {key}")));
                    }
                }
                at += 1;
            }
            columns.push(arrays);
        }
        Ok(Index { rows: index, sieve: Sieve::of(&columns) })
    }

    fn check_nulls(&self, arrays: &[ArrayRef]) -> Result<()> {
        for (column, array) in self.columns.iter().zip(arrays) {
            if let Some(row) = (0..array.len()).find(|row| array.null_count() > 0 && array.is_null(*row)) {
                let key = self.shown(arrays, row)?;
                let message =
                    format!("a row to put in has a null in its key, in column {:?}: {key}", column.path);
                return Err(invalid(message));
            }
        }
        Ok(())
    }

    /// Tells of each row that a portion has the key of where it stands in its file, and which row of the portion that is. The batch is one
    /// of a scan with row ids, which are positions there.
    pub(super) fn look_up(
        &self,
        index: &Index,
        batch: &RecordBatch,
        mut found: impl FnMut(u64, usize),
    ) -> Result<()> {
        let Some(positions) = batch.column_by_name(ROW_ID.0) else { return Ok(()) };
        let (arrays, positions) = index.sifted(self.arrays(batch)?, positions)?;
        let Some(positions) = positions.as_primitive_opt::<UInt64Type>() else { return Ok(()) };
        let keys = self.converter.convert_columns(&arrays).map_err(|error| refused(&error))?;
        for (key, position) in keys.iter().zip(positions.values()) {
            if let Some(at) = index.rows.get(key.as_ref()) {
                found(*position, *at);
            }
        }
        Ok(())
    }

    /// Tells of each row that has a key, no value of which is null, its place in the batch, the key, and how messages show it.
    pub(crate) fn tell(
        &self,
        batch: &RecordBatch,
        mut found: impl FnMut(usize, &[u8], &dyn Fn() -> Result<String>) -> Result<()>,
    ) -> Result<()> {
        let (keys, arrays) = self.keys(batch)?;
        for (row, key) in
            keys.iter().enumerate().filter(|(row, _)| arrays.iter().all(|array| array.is_valid(*row)))
        {
            found(row, key.as_ref(), &|| self.shown(&arrays, row))?;
        }
        Ok(())
    }

    /// A key that the table has twice.
    pub(super) fn twice_there(&self, portion: &Portion, at: usize) -> Error {
        let mut row = at;
        let batch = portion.batches.iter().find(|batch| {
            let here = row < batch.num_rows();
            row -= if here { 0 } else { batch.num_rows() };
            here
        });
        let arrays = batch.map(|batch| self.arrays(batch)).transpose();
        let shown =
            arrays.and_then(|arrays| arrays.map_or(Ok(String::new()), |arrays| self.shown(&arrays, row)));
        let message = match shown {
            Ok(key) => {
                format!("two rows of the table have the key {key}, so that it is open which one to replace")
            }
            Err(error) => return error,
        };
        invalid(message)
    }

    fn keys(&self, batch: &RecordBatch) -> Result<(KeyRows, Vec<ArrayRef>)> {
        let arrays = self.arrays(batch)?;
        let keys = self.converter.convert_columns(&arrays).map_err(|error| refused(&error))?;
        Ok((keys, arrays))
    }

    fn arrays(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        self.columns.iter().map(|column| column.array(batch)).collect()
    }

    /// A key as messages show it.
    fn shown(&self, arrays: &[ArrayRef], row: usize) -> Result<String> {
        let shown = self.columns.iter().zip(arrays).map(|(column, array)| {
            let value = value_at(array, row, column.ty)?;
            let value = value.map_or_else(|| "null".to_owned(), |value| value.to_string());
            Ok(format!("{} = {value}", column.path))
        });
        Ok(format!("({})", shown.collect::<Result<Vec<_>>>()?.join(", ")))
    }
}

impl KeyColumn {
    fn new(id: FieldId, schema: &Schema) -> Result<Self> {
        let path = schema.describe(id);
        let field = schema.field(id);
        let ty = field.and_then(|field| field.ty.primitive()).filter(|ty| !ty.is_floating());
        let ty = ty.ok_or_else(|| {
            let ty = field.map_or_else(String::new, |field| field.ty.describe());
            invalid(format!("column {path:?} is of type {ty}, by which rows cannot be told apart"))
        })?;
        Ok(Self { id, ty, path })
    }

    /// Its values, null where what is around it is.
    fn array(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let found = find_column(batch, self.id)?;
        if found.nulls.as_ref().map_or(0, arrow::buffer::NullBuffer::null_count) == found.array.null_count() {
            return Ok(found.array);
        }
        let data = found.array.to_data().into_builder().nulls(found.nulls).build();
        data.map(arrow::array::make_array).map_err(|error| refused(&error))
    }

    fn values(&self, portion: &Portion) -> Result<Vec<Value>> {
        let mut values = Vec::with_capacity(portion.rows());
        for batch in &portion.batches {
            let array = self.array(batch)?;
            for row in 0..array.len() {
                values.extend(value_at(&array, row, self.ty)?);
            }
        }
        Ok(values)
    }

    /// The least and the greatest value; nothing if all are null.
    fn bounds(&self, portion: &Portion) -> Result<Vec<Value>> {
        let mut bounds: Option<[Value; 2]> = None;
        for batch in &portion.batches {
            let array = self.array(batch)?;
            let (Some(low), Some(high)) = (self.end(&array, false)?, self.end(&array, true)?) else {
                continue;
            };
            bounds = Some(match bounds {
                None => [low, high],
                Some([least, greatest]) => [
                    if low.compare(&least).is_some_and(std::cmp::Ordering::is_lt) { low } else { least },
                    if high.compare(&greatest).is_some_and(std::cmp::Ordering::is_gt) {
                        high
                    } else {
                        greatest
                    },
                ],
            });
        }
        Ok(bounds.map(Vec::from).unwrap_or_default())
    }

    fn end(&self, array: &ArrayRef, greatest: bool) -> Result<Option<Value>> {
        let options = SortOptions { descending: greatest, nulls_first: false };
        let first = sort_to_indices(array, Some(options), Some(1)).map_err(|error| refused(&error))?;
        let row = first.values().first().and_then(|row| usize::try_from(*row).ok());
        row.map_or(Ok(None), |row| value_at(array, row, self.ty))
    }
}

fn find(column: &str, schema: &Schema) -> Result<FieldId> {
    if let Some(field) = schema.find([column]).or_else(|| schema.find(column.split('.'))) {
        return Ok(field.id);
    }
    let names = schema.fields().iter().map(|field| field.name.as_str());
    Err(crate::near::not_there(format!("there is no column {column:?}"), column, names))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

fn refused(error: &ArrowError) -> Error {
    invalid(format!("the keys cannot be compared: {error}"))
}
