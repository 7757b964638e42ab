//! A table of a lake as DataFusion reads it.
//!
//! Invariant: a scan reads one state of the table, the one that the query was planned with or, of a branch, the one that all
//! tables of the query have in common. What does not belong here: finding a table by its name (`catalog`).

mod rows;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use strandline::{Lake, Ref, Table, Transaction};

use crate::catalog::At;

/// A table of a lake, ready to be scanned.
#[derive(Clone, Debug)]
pub struct LakeTable {
    lake: Lake,
    at: At,
    table: Table,
    schema: SchemaRef,
}

impl LakeTable {
    /// A table of a branch: its queries read the head that they find.
    pub(crate) fn floating(lake: Lake, head: Ref, table: Table) -> Self {
        Self::new(lake, At::Ref(head), table)
    }

    /// A table of one version.
    #[must_use]
    pub fn pinned(at: Ref, table: Table) -> Self {
        Self::new(at.lake().clone(), At::Ref(at), table)
    }

    /// A table as a transaction sees it.
    pub(crate) fn within(transaction: Transaction, table: Table) -> Self {
        Self::new(transaction.lake().clone(), At::Transaction(transaction), table)
    }

    fn new(lake: Lake, at: At, table: Table) -> Self {
        let schema = table.arrow_schema();
        Self { lake, at, table, schema }
    }

    /// The lake that it is of.
    #[must_use]
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The state that it is of.
    #[must_use]
    pub fn at(&self) -> &At {
        &self.at
    }

    /// The table, as it was when its name was looked up.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        rows::plan(&self.table, &self.schema, projection, limit)
    }
}
