//! The columns of where a row stands: its id, and the version that last wrote it.
//!
//! Invariant: a stored number goes before the one that follows from the row's place [READ-4] [READ-5]. What does not belong
//! here: where the ingredients come from (`table::layout` says).

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema, UInt64Type};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use strandline::ErrorKind;
use strandline::format::NumberMap;

use crate::error::refused;

/// How the stored row ids of files read, where that is not as they stand, by the files' ids.
pub(crate) type Shifts = Arc<HashMap<u64, NumberMap>>;

/// Which of the two columns it is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Of the stored id, the first row's id, the position and the file.
    RowId(Shifts),
    /// Of the stored version and that which added the file.
    Version,
}

/// One of the two columns, over its ingredients.
#[derive(Clone, Debug)]
pub(crate) struct RowNumbers {
    pub(crate) kind: Kind,
    pub(crate) of: Vec<Arc<dyn PhysicalExpr>>,
}

impl RowNumbers {
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::RowId(_) => "_row_id",
            Kind::Version => "_commit",
        }
    }
}

impl fmt::Display for RowNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for RowNumbers {
    fn eq(&self, other: &Self) -> bool {
        let kinds = match (&self.kind, &other.kind) {
            (Kind::RowId(mine), Kind::RowId(theirs)) => Arc::ptr_eq(mine, theirs),
            (Kind::Version, Kind::Version) => true,
            _ => false,
        };
        kinds && self.of == other.of
    }
}

impl Eq for RowNumbers {}

impl Hash for RowNumbers {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
        self.of.hash(state);
    }
}

impl PhysicalExpr for RowNumbers {
    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), DataType::UInt64, false)))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let array = |at: usize| {
            let part = self.of.get(at).ok_or_else(incomplete)?;
            part.evaluate(batch)?.into_array(rows)
        };
        let stored = array(0)?;
        let stored = Stored(stored.as_primitive_opt::<Int64Type>().ok_or_else(incomplete)?);
        let unsigned = |at| {
            let array = array(at)?;
            array.as_primitive_opt::<UInt64Type>().cloned().ok_or_else(incomplete)
        };
        let numbers: UInt64Array = match &self.kind {
            Kind::Version => {
                let added = unsigned(1)?;
                let version =
                    |row| stored.get(row).map(|stored| stored.unwrap_or(u64::MAX).min(added.value(row)));
                (0..rows).map(version).collect::<Result<Vec<_>>>()?.into()
            }
            Kind::RowId(shifts) => {
                let (first, file) = (unsigned(1)?, unsigned(3)?);
                let position = array(2)?;
                let position = position.as_primitive_opt::<Int64Type>().ok_or_else(incomplete)?;
                let id = |row| match stored.get(row)? {
                    Some(stored) => match shifts.get(&file.value(row)) {
                        Some(shifts) => shifts.get(stored).ok_or_else(no_number),
                        None => Ok(stored),
                    },
                    None => {
                        let place = u64::try_from(position.value(row)).map_err(|_| no_number())?;
                        first.value(row).checked_add(place).ok_or_else(no_number)
                    }
                };
                (0..rows).map(id).collect::<Result<Vec<_>>>()?.into()
            }
        };
        Ok(ColumnarValue::Array(Arc::new(numbers)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.of.iter().collect()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { kind: self.kind.clone(), of: children }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a file stores of its rows: null where nothing is stored.
struct Stored<'a>(&'a datafusion::arrow::array::Int64Array);

impl Stored<'_> {
    fn get(&self, row: usize) -> Result<Option<u64>> {
        if self.0.is_null(row) {
            return Ok(None);
        }
        let below = |_| refused(ErrorKind::Corrupt, "a row id or version that a file stores is below zero");
        u64::try_from(self.0.value(row)).map(Some).map_err(below)
    }
}

fn no_number() -> datafusion::error::DataFusionError {
    refused(ErrorKind::Corrupt, "a row id is beyond 64 bits")
}

fn incomplete() -> datafusion::error::DataFusionError {
    datafusion::error::DataFusionError::Internal("a column of row ids lacks what it is made of".to_owned())
}
