//! A file's columns as the table has them: by field id, where DataFusion's own adapter goes by name.
//!
//! A column may be called otherwise in a file, be narrower, or not be there. Expressions over the table's columns are rewritten into
//! ones over the file's, so that predicates prune by the file's own statistics. Invariant: which column it is says the SDK, as for
//! its own scans [READ-2] [READ-3] [READ-8].

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::CastOptions;
use datafusion::arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::parquet::arrow::{PARQUET_FIELD_ID_META_KEY, RowNumber};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, lit};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use strandline::format::{FieldId, FileEntry};
use strandline::scan::{ColumnSource, FileReader, FileShape, LAST_UPDATED, NestedColumn, ROW_ID};

use crate::error::external;

/// A footer that is there once the file was opened.
pub(super) type Footer = Arc<OnceLock<Arc<ParquetMetaData>>>;

/// Adapts one file.
#[derive(Debug)]
pub(super) struct FieldIds {
    pub(super) reader: FileReader,
    pub(super) entry: Arc<FileEntry>,
    pub(super) footer: Footer,
}

impl PhysicalExprAdapterFactory for FieldIds {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let footer = self.footer.get().ok_or_else(|| {
            DataFusionError::Internal(
                "the columns of a file are adapted before its footer is there".to_owned(),
            )
        })?;
        let shape = self.reader.shape(&self.entry, footer).map_err(external)?;
        Ok(Arc::new(Columns::new(table, file, Arc::clone(self.reader.schema()), shape)))
    }
}

/// The columns of one file.
#[derive(Debug)]
pub(super) struct Columns {
    table: SchemaRef,
    file: SchemaRef,
    /// The table's columns with their ids, in the same order.
    ids: Arc<strandline::format::Schema>,
    shape: FileShape,
}

impl PhysicalExprAdapter for Columns {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let rewrite = |expr: Arc<dyn PhysicalExpr>| match expr.downcast_ref::<Column>() {
            Some(column) => self.column(column.name()).map(Transformed::yes),
            None => Ok(Transformed::no(expr)),
        };
        expr.transform_up(rewrite).data()
    }
}

impl Columns {
    /// Those of the table, of a file of this shape, which has these as Arrow has them.
    pub(super) fn new(
        table: SchemaRef,
        file: SchemaRef,
        ids: Arc<strandline::format::Schema>,
        shape: FileShape,
    ) -> Self {
        Self { table, file, ids, shape }
    }

    /// The id of a column: the table's, or one that is reserved for what it is stored with.
    fn id(&self, at: usize, field: &Field) -> Option<FieldId> {
        let own = self.ids.fields().get(at).filter(|own| own.name.as_str() == field.name());
        own.map(|own| own.id).or_else(|| field_id(field.metadata()))
    }

    fn column(&self, name: &str) -> Result<Arc<dyn PhysicalExpr>> {
        let at = self.table.index_of(name)?;
        let field = self.table.field(at);
        let Some(id) = self.id(at, field) else { return self.position(name) };
        if let Some(place) = [ROW_ID.1, LAST_UPDATED.1].iter().position(|reserved| *reserved == id) {
            return match self.shape.stored_rows() {
                Some(places) => self.leaf(places[place], field.data_type()),
                None => Ok(lit(ScalarValue::try_from(field.data_type())?)),
            };
        }
        match self.shape.source(id).map_err(external)? {
            ColumnSource::Constant(array) => {
                Ok(lit(ScalarValue::try_from_array(&array, 0)?.cast_to(field.data_type())?))
            }
            ColumnSource::Leaf(at) => self.leaf(at, field.data_type()),
            ColumnSource::Nested(at, _) if self.file.field(at).data_type() == field.data_type() => {
                Ok(self.stored(at))
            }
            ColumnSource::Nested(at, nested) => Ok(Arc::new(Evolved {
                column: self.stored(at),
                field: Arc::new(field.clone()),
                nested: Arc::new(nested),
            })),
        }
    }

    /// The position of a row, which the Parquet reader gives behind the file's own columns.
    fn position(&self, name: &str) -> Result<Arc<dyn PhysicalExpr>> {
        let is_position = |field: &FieldRef| field.try_extension_type::<RowNumber>().is_ok();
        match self.file.fields().iter().rposition(is_position) {
            Some(at) => Ok(self.stored(at)),
            None => Err(DataFusionError::Internal(format!("column {name:?} is of no table"))),
        }
    }

    fn stored(&self, at: usize) -> Arc<dyn PhysicalExpr> {
        Arc::new(Column::new(self.file.field(at).name(), at))
    }

    fn leaf(
        &self,
        at: usize,
        wanted: &datafusion::arrow::datatypes::DataType,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        if self.file.field(at).data_type() == wanted {
            return Ok(self.stored(at));
        }
        // A value that has no image is an error, never null.
        let exact = CastOptions { safe: false, ..CastOptions::default() };
        Ok(Arc::new(CastExpr::new(self.stored(at), wanted.clone(), Some(exact))))
    }
}

fn field_id(metadata: &std::collections::HashMap<String, String>) -> Option<FieldId> {
    metadata.get(PARQUET_FIELD_ID_META_KEY).and_then(|id| id.parse().ok()).map(FieldId)
}

/// A nested column that the file has otherwise than the table.
#[derive(Clone, Debug)]
struct Evolved {
    column: Arc<dyn PhysicalExpr>,
    /// What it becomes.
    field: FieldRef,
    nested: Arc<NestedColumn>,
}

impl fmt::Display for Evolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evolved({})", self.column)
    }
}

impl PartialEq for Evolved {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.nested, &other.nested) && self.column.eq(&other.column)
    }
}

impl Eq for Evolved {}

impl Hash for Evolved {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
    }
}

impl PhysicalExpr for Evolved {
    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(self.nested.adapt(&column).map_err(external)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let column = children.pop().unwrap_or_else(|| Arc::clone(&self.column));
        Ok(Arc::new(Self { column, field: Arc::clone(&self.field), nested: Arc::clone(&self.nested) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt_sql(f)
    }
}
