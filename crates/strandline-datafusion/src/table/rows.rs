//! Reading a table through the SDK's own scan, in one partition.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use futures::TryStreamExt;
use strandline::Table;

use crate::error::external;

#[derive(Debug)]
struct Rows {
    table: Table,
    schema: SchemaRef,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let scan = self.table.scan();
        let batches = async move { scan.await.map(|batches| batches.map_err(external)).map_err(external) };
        let stream = futures::stream::once(batches).try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream))
    }
}

pub(super) fn plan(
    table: &Table,
    schema: &SchemaRef,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let rows = Rows { table: table.clone(), schema: Arc::clone(schema) };
    let plan =
        StreamingTableExec::try_new(Arc::clone(schema), vec![Arc::new(rows)], projection, [], false, limit)?;
    Ok(Arc::new(plan))
}
