//! What happens to the rows of a statement.
//!
//! Invariants: nothing happens before the first batch is asked for; a sink gives the number of rows that it changed. What does not
//! belong here: which rows a statement finds (`rule`).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::datasource::TableProvider;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, SendableRecordBatchStream};
use datafusion_datasource::sink::{DataSink, DataSinkExec};
use strandline::filter::Predicate;
use strandline::{ErrorKind, Report, RowChanges, Transaction};

use crate::error::refused;
use crate::write::changes::{self, Changes};
use crate::write::source::{self, Failure};
use crate::write::spill;
use crate::write::target::Target;

/// What is done with rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// They come into the table.
    Append,
    /// They take the place of all rows.
    Overwrite,
    /// They take the place of rows with the same key.
    Replace,
    /// There are none, and all rows go, whoever adds some meanwhile collides.
    Truncate,
    /// There are none, and all rows go.
    DeleteAll,
    /// There are none, and the rows that pass go.
    DeleteWhere(Predicate),
    /// They are positions of rows that go.
    Delete,
    /// They take the place of those whose positions come with them.
    Update(Arc<Changes>),
    /// They are rows of either kind.
    Merge(Arc<Changes>),
    /// They are those of an UPDATE by another table.
    UpdateFrom(Arc<Changes>),
}

impl Act {
    /// The beginning of the statement, for plans and for the log.
    pub(crate) fn on(&self, table: &str) -> String {
        let verb = match self {
            Self::Append => "INSERT INTO",
            Self::Overwrite => "INSERT OVERWRITE",
            Self::Replace => "REPLACE INTO",
            Self::Truncate => "TRUNCATE",
            Self::DeleteAll | Self::DeleteWhere(_) | Self::Delete => "DELETE FROM",
            Self::Update(_) | Self::UpdateFrom(_) => "UPDATE",
            Self::Merge(_) => "MERGE INTO",
        };
        format!("{verb} {table}")
    }
}

/// What the metrics of a sink are called: rows by what became of them, files, and their bytes.
const INSERTED: &str = "rows_inserted";
/// Rows that got other values.
const UPDATED: &str = "rows_updated";
/// Rows that went.
const DELETED: &str = "rows_deleted";
/// Files that were written.
const FILES_WRITTEN: &str = "files_written";
/// The bytes that were.
const BYTES_WRITTEN: &str = "bytes_written";

/// A table that rows only go into: the other end of a statement.
#[derive(Clone, Debug)]
pub(crate) struct SinkTable(LakeSink);

impl SinkTable {
    /// A sink for rows of this schema.
    pub(crate) fn new(target: Target, act: Act, schema: &Schema) -> Self {
        Self(LakeSink { target, act, schema: nullable(schema), told: ExecutionPlanMetricsSet::new() })
    }
}

/// What may not be null is for the transaction to say, which names the row.
fn nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| Field::clone(field).with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[async_trait]
impl TableProvider for SinkTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(refused(ErrorKind::Unsupported, "what a statement writes cannot be read"))
    }

    async fn insert_into(
        &self,
        session: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        _: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = match self.0.act {
            Act::Merge(_) | Act::UpdateFrom(_) | Act::Update(_) | Act::Delete => {
                spill::bounded(session, input)?
            }
            _ => input,
        };
        Ok(Arc::new(DataSinkExec::new(input, Arc::new(self.0.clone()), None)))
    }
}

#[derive(Clone, Debug)]
struct LakeSink {
    target: Target,
    act: Act,
    schema: SchemaRef,
    /// What became of rows and files, once it is done.
    told: ExecutionPlanMetricsSet,
}

impl DisplayAs for LakeSink {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.statement())?;
        match &self.act {
            Act::DeleteWhere(condition) => write!(f, " WHERE {condition}"),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl DataSink for LakeSink {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.told.clone_inner())
    }

    async fn write_all(&self, batches: SendableRecordBatchStream, _: &Arc<TaskContext>) -> Result<u64> {
        let writing = self.target.begin(self.statement()).await.map_err(crate::error::external)?;
        let outcome = self.act_on(writing.transaction(), batches).await;
        // What changes no row makes no version. An overwrite says how many rows came, not how many went.
        if matches!(outcome, Ok(changes) if count(changes) == 0) && !matches!(self.act, Act::Overwrite) {
            writing.leave().await;
            return Ok(0);
        }
        let (changes, report) = writing.end_with_report(outcome, crate::error::external).await?;
        self.tell(changes, report.as_ref());
        Ok(count(changes))
    }
}

/// How many rows were changed, in whatever way.
fn count(changes: RowChanges) -> u64 {
    changes.inserted + changes.updated + changes.deleted
}

impl LakeSink {
    fn statement(&self) -> String {
        self.act.on(self.target.name())
    }

    /// Tells what became of rows, and of a statement that is a transaction of its own how many files were written, and how many bytes.
    fn tell(&self, changes: RowChanges, report: Option<&Report>) {
        let files = report.map(|report| report.tables.iter().map(|table| table.files.0).sum::<u64>());
        let bytes = report.map(|report| report.bytes_uploaded);
        let told = [
            (INSERTED, changes.inserted),
            (UPDATED, changes.updated),
            (DELETED, changes.deleted),
            (FILES_WRITTEN, files.unwrap_or(changes.files_written)),
            (BYTES_WRITTEN, bytes.unwrap_or(changes.bytes_written)),
        ];
        for (name, number) in told {
            let number = usize::try_from(number).unwrap_or(usize::MAX);
            MetricBuilder::new(&self.told).global_counter(name).add(number);
        }
    }

    async fn act_on(
        &self,
        transaction: &Transaction,
        batches: SendableRecordBatchStream,
    ) -> Result<RowChanges> {
        let (name, failure) = (self.target.name(), Failure::default());
        let came = |inserted| RowChanges { inserted, ..RowChanges::default() };
        let went = |deleted| RowChanges { deleted, ..RowChanges::default() };
        let outcome = match &self.act {
            Act::Append => transaction.append(name, source::rows(batches, &failure).await?).await.map(came),
            Act::Overwrite => {
                let rows = source::rows(batches, &failure).await?;
                transaction.overwrite(name, rows).await.map(|done| came(done.rows))
            }
            Act::Truncate => truncate(transaction, name).await.map(went),
            Act::DeleteAll => transaction.delete(name, Predicate::all()).await.map(went),
            Act::DeleteWhere(condition) => self.delete_where(transaction, condition).await.map(went),
            Act::Delete => transaction.delete_rows(name, changes::positions(batches).await?).await.map(went),
            Act::Update(changes) | Act::Merge(changes) | Act::UpdateFrom(changes) => {
                Arc::clone(changes).carry_out(transaction, name, batches, &failure).await
            }
            Act::Replace => {
                let rows = source::rows(batches, &failure).await?;
                transaction.upsert(name, rows).await
            }
        };
        failure.explain(outcome)
    }

    /// Unlike positions, a condition would find rows in another table of the name as well.
    async fn delete_where(
        &self,
        transaction: &Transaction,
        condition: &Predicate,
    ) -> strandline::Result<u64> {
        self.target.check_unaltered(transaction).await?;
        transaction.delete(self.target.name(), condition.clone()).await
    }
}

async fn truncate(transaction: &Transaction, name: &str) -> strandline::Result<u64> {
    let rows = transaction.table(name).await?.rows();
    transaction.overwrite(name, Vec::new()).await?;
    Ok(rows)
}
