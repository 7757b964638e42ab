//! Statements that DataFusion plans.
//!
//! Invariants: what writes is carried out before it is answered, so that statements take effect in their order; a query is
//! answered by a frame that reads when it is asked for rows. What does not belong here: how rows are written (`write`).

use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use strandline::{Error, ErrorKind};

use super::names::full_name;
use super::transactions::said;
use super::{Run, invalid};
use crate::catalog::At;
use crate::error::{external, lake_error, refused};
use crate::sql::names::Asked;
use crate::sql::{lookup, travel};
use crate::write;

impl Run<'_> {
    pub(super) async fn plain(&self, mut statement: DfStatement) -> Result<DataFrame> {
        refuse_external(&statement, self)?;
        Box::pin(travel::replace(self.ctx, &self.standing.at(), &mut statement)).await.map_err(external)?;
        Box::pin(write::prepare(&self.ctx.state(), &mut statement)).await?;
        let plan = self.plan(statement).await?;
        let frame = self.ctx.execute_logical_plan(plan).await?;
        // Of a statement that was prepared, this is the plan as well.
        match frame.logical_plan() {
            LogicalPlan::Dml(dml) => {
                self.check_written(&dml.table_name)?;
                self.at_once(frame).await
            }
            LogicalPlan::Copy(_) => self.at_once(frame).await,
            _ => Ok(frame),
        }
    }

    /// The plan of a statement whose versions were replaced.
    pub(super) async fn plan(&self, statement: DfStatement) -> Result<LogicalPlan> {
        let state = self.ctx.state();
        match state.statement_to_plan(statement.clone()).await {
            Ok(plan) => Ok(plan),
            Err(error) => Err(self.explain(error, &statement).await),
        }
    }

    /// Carries a plan out and answers with what it gave.
    async fn at_once(&self, frame: DataFrame) -> Result<DataFrame> {
        let schema = Arc::clone(frame.schema().inner());
        let batches = frame.collect().await?;
        let schema = batches.first().map_or(schema, |batch| batch.schema());
        self.ctx.read_table(Arc::new(MemTable::try_new(schema, vec![batches])?))
    }

    /// Refuses to write to what is only read.
    fn check_written(&self, table: &TableReference) -> Result<()> {
        let options = self.ctx.state().config_options().catalog.clone();
        let resolved = table.clone().resolve(&options.default_catalog, &options.default_schema);
        if *resolved.catalog != *self.catalog {
            return Ok(());
        }
        let asked = Asked::parse(&resolved.table).map_err(external)?;
        if asked.inspection.is_some() {
            return Err(external(invalid(format!(
                "{:?} tells what is known of a table, and is only read",
                table.table()
            ))));
        }
        if let Some(reference) = asked.reference {
            let message = format!(
                "{:?} is the table as {reference} has it, and is only read: USE BRANCH to write to another branch",
                table.table()
            );
            return Err(external(invalid(message)));
        }
        match &self.standing.place {
            At::Ref(at) => {
                let message = format!(
                    "this session stands at {}, which is only read: USE BRANCH name to write",
                    said(at)
                );
                Err(external(invalid(message)))
            }
            At::Branch(_) | At::Transaction(_) => Ok(()),
        }
    }

    /// The error of a plan: where a table is missing, the SDK says which names are near.
    async fn explain(&self, error: DataFusionError, statement: &DfStatement) -> DataFusionError {
        if lake_error(&error).is_some() {
            return error;
        }
        let state = self.ctx.state();
        let options = state.config_options().catalog.clone();
        for table in state.resolve_table_references(statement).unwrap_or_default() {
            let resolved = table.resolve(&options.default_catalog, &options.default_schema);
            if *resolved.catalog == *self.catalog
                && let Some(missing) = self.missing(&resolved.schema, &resolved.table).await
            {
                return external(missing);
            }
        }
        error
    }

    /// Says that nothing has a name, if so.
    async fn missing(&self, schema: &str, table: &str) -> Option<Error> {
        let seen = self.seen();
        match lookup::provider(&seen, |name| full_name(schema, name), table).await {
            Ok(None) => {
                let asked = Asked::parse(table).ok()?;
                lookup::table_of(&seen, asked.reference, &full_name(schema, asked.table)).await.err()
            }
            _ => None,
        }
    }

    /// `COPY t FROM …`.
    pub(super) async fn copy_from(&self, copy: SqlStatement) -> Result<DataFrame> {
        let plan = Box::pin(write::copy_from(&self.ctx.state(), &copy)).await?;
        if let LogicalPlan::Dml(dml) = &plan {
            self.check_written(&dml.table_name)?;
        }
        self.at_once(DataFrame::new(self.ctx.state(), plan)).await
    }
}

/// An external table is of the session: a lake has no place for one.
fn refuse_external(statement: &DfStatement, run: &Run<'_>) -> Result<()> {
    let DfStatement::CreateExternalTable(table) = statement else { return Ok(()) };
    let options = run.ctx.state().config_options().catalog.clone();
    let parts: Vec<String> = table.name.0.iter().map(ToString::to_string).collect();
    let catalog = if let [catalog, _, _] = parts.as_slice() { catalog } else { &options.default_catalog };
    if catalog != run.catalog {
        return Ok(());
    }
    let message = format!(
        "{} would be an external table in the lake, which holds its own files: name it in another catalog, as \
         datafusion.public.{}",
        table.name,
        parts.last().map_or("name", String::as_str)
    );
    Err(refused(ErrorKind::Unsupported, message))
}
