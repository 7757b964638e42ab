//! A table whose rows are made when they are asked for, and that nothing is written to.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use strandline::ErrorKind;

use crate::error::{external, refused};
use crate::pin::{Moment, Moments, Used};

/// Makes the rows, anew each time, at the moments of the plan that asks.
type Rows = dyn Fn(Moments) -> BoxStream<'static, strandline::Result<RecordBatch>> + Send + Sync;

/// A listing: its columns, what makes its rows, and the branch that it follows.
#[derive(Clone)]
pub(crate) struct Listing {
    what: String,
    schema: SchemaRef,
    rows: Arc<Rows>,
    follows: Option<(Moment, Used)>,
    moments: Moments,
}

impl Listing {
    /// A listing; `empty` is a batch of no rows, whose schema is that of all.
    pub(super) fn new(
        what: impl Into<String>,
        empty: &RecordBatch,
        rows: impl Fn(Moments) -> BoxStream<'static, strandline::Result<RecordBatch>> + Send + Sync + 'static,
    ) -> Self {
        let (schema, rows, moments) = (empty.schema(), Arc::new(rows), Moments::default());
        Self { what: what.into(), schema, rows, follows: None, moments }
    }

    /// The same as one that follows a branch.
    pub(super) fn following(self, moment: Moment, used: Used) -> Self {
        Self { follows: Some((moment, used)), ..self }
    }

    /// The moment at which it is read, if it follows a branch.
    pub(crate) fn moment(&self) -> Option<(&Moment, &Used)> {
        self.follows.as_ref().map(|(moment, used)| (moment, used))
    }

    /// The same, read at the moments of a plan.
    pub(crate) fn at_moments(&self, moments: Moments) -> Self {
        Self { moments, ..self.clone() }
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listing").field(&self.what).finish()
    }
}

impl PartitionStream for Listing {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = (self.rows)(self.moments.clone()).map_err(external);
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

#[async_trait]
impl TableProvider for Listing {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (schema, rows) = (Arc::clone(&self.schema), vec![Arc::new(self.clone()) as _]);
        Ok(Arc::new(StreamingTableExec::try_new(schema, rows, projection, [], false, limit)?))
    }

    async fn insert_into(
        &self,
        _: &dyn Session,
        _: Arc<dyn ExecutionPlan>,
        _: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(self.only_read())
    }

    async fn delete_from(&self, _: &dyn Session, _: Vec<Expr>) -> Result<Arc<dyn ExecutionPlan>> {
        Err(self.only_read())
    }

    async fn update(
        &self,
        _: &dyn Session,
        _: Vec<(String, Expr)>,
        _: Vec<Expr>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(self.only_read())
    }

    async fn truncate(&self, _: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        Err(self.only_read())
    }
}

impl Listing {
    fn only_read(&self) -> datafusion::error::DataFusionError {
        refused(ErrorKind::InvalidInput, format!("{:?} tells what is known, and is only read", self.what))
    }
}
