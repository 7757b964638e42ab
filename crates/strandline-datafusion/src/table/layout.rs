//! The columns that a table has in a scan: its own, and those that are made of where a row stands.
//!
//! Strings and byte strings come as views, which spare DataFusion copying them. Columns come without their ids: DataFusion copies, hashes and
//! compares what is said beside a column wherever an expression has it, and a scan finds the ids by the names. Invariant: the columns that a query sees are the
//! table's, and behind them, only if they were asked for, [`Extra`]s in their order. What does not belong here: reading them
//! (`scan`).

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::parquet::arrow::{PARQUET_FIELD_ID_META_KEY, RowNumber};
use strandline::ErrorKind;
use strandline::scan::{LAST_UPDATED, ROW_ID};

use crate::error::refused;

/// A column that is made of where a row stands.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline_datafusion::{Extra, LakeTable};
///
/// let main = lake.main().await?;
/// let table = LakeTable::pinned(main.clone(), main.table("orders").await?)?.with_extras(&[Extra::Commit])?;
/// let schema = datafusion::catalog::TableProvider::schema(&table);
/// assert!(schema.field_with_name(Extra::Commit.name()).is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// `_file`: the id of the row's file among those of its table.
    File,
    /// `_row`: the row's place in its file, from 0.
    Row,
    /// `_row_id`: the row's id, which it keeps.
    RowId,
    /// `_last_updated`: the version that last wrote the row.
    LastUpdated,
    /// `_commit`: the same number.
    Commit,
}

impl Extra {
    /// All of them, as `t$rows` has them.
    pub const ALL: [Self; 5] = [Self::RowId, Self::File, Self::Row, Self::Commit, Self::LastUpdated];

    /// What the column is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "_file",
            Self::Row => "_row",
            Self::RowId => "_row_id",
            Self::LastUpdated => "_last_updated",
            Self::Commit => "_commit",
        }
    }

    fn field(self) -> FieldRef {
        Arc::new(Field::new(self.name(), DataType::UInt64, false))
    }
}

/// What extras are made of, in the order of a scan's own schema. Their names are none that a table's column can have.
pub(crate) const FILE: &str = "\u{0}file";
const FIRST_ROW: &str = "\u{0}first row";
const ADDED: &str = "\u{0}added";
const POSITION: &str = "\u{0}position";
const STORED_ID: &str = "\u{0}stored row id";
const STORED_VERSION: &str = "\u{0}stored version";

/// The columns of a table in a scan.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// What a query sees.
    pub(crate) schema: SchemaRef,
    /// The columns of the table.
    pub(crate) columns: SchemaRef,
    pub(crate) extras: Arc<[Extra]>,
}

/// Where the ingredients of extras stand in a scan's own schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    pub(crate) stored_id: usize,
    pub(crate) stored_version: usize,
    pub(crate) file: usize,
    pub(crate) first_row: usize,
    pub(crate) added: usize,
    pub(crate) position: usize,
}

impl Layout {
    /// The table's columns, and these.
    ///
    /// # Errors
    /// `Unsupported` if the table has a column of an extra's name.
    pub(crate) fn new(table: &SchemaRef, extras: &[Extra]) -> Result<Self> {
        let columns = Arc::new(Schema::new(table.fields().iter().map(viewed).collect::<Fields>()));
        let taken = extras
            .iter()
            .map(|extra| extra.name())
            .find(|name| columns.fields().iter().any(|field| field.name().to_lowercase() == *name));
        if let Some(name) = taken {
            let message =
                format!("the table has a column {name:?} of its own, which hides that of this name");
            return Err(refused(ErrorKind::Unsupported, message));
        }
        let added = extras.iter().map(|extra| extra.field());
        let schema = match extras {
            [] => Arc::clone(&columns),
            _ => Arc::new(Schema::new(columns.fields().iter().cloned().chain(added).collect::<Fields>())),
        };
        Ok(Self { schema, columns, extras: extras.into() })
    }

    /// The schema of the scan below the columns that a query sees: with the ingredients of extras, if there are any.
    pub(crate) fn table_schema(&self) -> TableSchema {
        if self.extras.is_empty() {
            return TableSchema::builder(Arc::clone(&self.columns)).build();
        }
        let stored = [(STORED_ID, ROW_ID.1), (STORED_VERSION, LAST_UPDATED.1)].map(|(name, id)| {
            let metadata = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
            Arc::new(Field::new(name, DataType::Int64, true).with_metadata(metadata))
        });
        let constant = |name| Arc::new(Field::new(name, DataType::UInt64, false));
        let position = Field::new(POSITION, DataType::Int64, false).with_extension_type(RowNumber);
        let file = Schema::new(self.columns.fields().iter().cloned().chain(stored).collect::<Fields>());
        TableSchema::builder(Arc::new(file))
            .with_table_partition_cols(vec![constant(FILE), constant(FIRST_ROW), constant(ADDED)])
            .with_virtual_columns(vec![Arc::new(position)])
            .build()
    }

    /// How many columns that schema has behind the table's.
    pub(crate) fn ingredients(&self) -> usize {
        if self.extras.is_empty() { 0 } else { self.places().position + 1 - self.columns.fields().len() }
    }

    /// Where the ingredients stand in that schema.
    pub(crate) fn places(&self) -> Places {
        let start = self.columns.fields().len();
        Places {
            stored_id: start,
            stored_version: start + 1,
            file: start + 2,
            first_row: start + 3,
            added: start + 4,
            position: start + 5,
        }
    }
}

/// The same schema, with the positions that a reader makes as if they were constants of files: these are sent to other processes, and in the same place.
pub(crate) fn positions_as_constants(schema: &TableSchema) -> TableSchema {
    let constants = schema.table_partition_cols().iter().chain(schema.virtual_columns().iter());
    described(schema, constants.cloned().collect(), Vec::new())
}

/// The schema of which that one was made.
pub(crate) fn positions_as_made(schema: &TableSchema) -> TableSchema {
    let is_made = |field: &FieldRef| field.try_extension_type::<RowNumber>().is_ok();
    let (made, constants) = schema.table_partition_cols().iter().cloned().partition(is_made);
    described(schema, constants, made)
}

fn described(schema: &TableSchema, constants: Vec<FieldRef>, made: Vec<FieldRef>) -> TableSchema {
    TableSchema::builder(Arc::clone(schema.file_schema()))
        .with_table_partition_cols(constants)
        .with_virtual_columns(made)
        .build()
}

/// A column with its values as views, if there are any, and without its id. Nested ones stay as they are.
fn viewed(field: &FieldRef) -> FieldRef {
    let ty = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        ty => ty.clone(),
    };
    let others = field.metadata().iter().filter(|(key, _)| *key != PARQUET_FIELD_ID_META_KEY);
    let others = others.map(|(key, value)| (key.clone(), value.clone())).collect();
    Arc::new(Field::new(field.name(), ty, field.is_nullable()).with_metadata(others))
}

#[cfg(test)]
mod tests {
    use strandline::columns::arrow_schema;
    use strandline::format::{ColumnName, PrimitiveType, Schema as TableSchema};

    use super::*;

    #[test]
    fn columns_have_no_ids_and_keep_what_else_is_said_of_them() {
        let field = |name, ty| strandline::format::Field::required(ColumnName::new(name).unwrap(), ty);
        let fields = vec![field("text", PrimitiveType::String), field("key", PrimitiveType::Uuid)];
        let table = arrow_schema(&TableSchema::numbered(fields).unwrap());
        let layout = Layout::new(&table, &[]).unwrap();
        let [text, key] = [0, 1].map(|at| layout.schema.field(at));
        assert_eq!(*text, Field::new("text", DataType::Utf8View, false));
        assert_eq!((key.metadata().len(), key.extension_type_name()), (1, Some("arrow.uuid")));
    }
}
