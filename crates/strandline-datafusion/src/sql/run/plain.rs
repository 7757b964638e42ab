//! Statements that DataFusion plans.
//!
//! Invariants: what writes is carried out before it is answered, so that statements take effect in their order; a query is
//! answered by a frame that reads when it is asked for rows. What does not belong here: how rows are written (`write`).

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::{MemTable, ViewTable, source_as_provider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::logical_plan::DmlStatement;
use datafusion::physical_plan::collect;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Insert, ObjectName, ObjectNamePart, Set, Statement as SqlStatement, TableObject, Truncate,
    TruncateTableTarget,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use strandline::{Error, ErrorKind};
use tokio::time::Instant;

use super::names::full_name;
use super::transactions::said;
use super::{Run, invalid};
use crate::catalog::At;
use crate::error::{external, lake_error, only_read, refused};
use crate::sql::names::Asked;
use crate::sql::{lookup, travel};
use crate::table::LakeTable;
use crate::write;

/// What DataFusion calls the zone of a session.
const TIME_ZONE: &str = "timezone";

/// How often a statement is run again, and for how long: as a commit is tried.
const PATIENCE: (u32, Duration) = (100, Duration::from_secs(60));

impl Run<'_> {
    /// A statement that is a transaction of its own, and collides with what another one has committed meanwhile, is run again from its text: it
    /// has done nothing, and comes to what it would if it had begun after the other one.
    pub(super) async fn plain(&self, statement: DfStatement) -> Result<DataFrame> {
        self.rerun(|| self.plain_once(statement.clone()).boxed(), collides).await
    }

    /// The same of any statement.
    pub(super) async fn rerun<'r, T, E>(
        &'r self,
        once: impl Fn() -> BoxFuture<'r, std::result::Result<T, E>>,
        collides: impl Fn(&E) -> bool,
    ) -> std::result::Result<T, E> {
        let (begun, (reruns, patience)) = (Instant::now(), PATIENCE);
        for _ in 0..reruns {
            match once().await {
                Err(error) if self.is_alone() && collides(&error) && begun.elapsed() < patience => {
                    self.heads.forget().await;
                }
                outcome => return outcome,
            }
        }
        once().await
    }

    /// Whether a statement is a transaction of its own.
    fn is_alone(&self) -> bool {
        self.standing.transaction.is_none()
    }

    async fn plain_once(&self, statement: DfStatement) -> Result<DataFrame> {
        if Box::pin(self.is_of_nothing(&statement)).await? {
            return self.nothing();
        }
        let plan = Box::pin(self.planned_once(statement)).await?;
        let frame = self.ctx.execute_logical_plan(plan).await?;
        match frame.logical_plan() {
            LogicalPlan::Dml(dml) => {
                self.check_written(&dml.table_name)?;
                refuse_view(dml)?;
                self.check_within(dml)?;
                self.at_once(frame).await
            }
            LogicalPlan::Copy(copy) => {
                let place = copy.output_url.clone();
                write::check_copy(copy)?;
                self.copied_out(frame, &place).await
            }
            _ => Ok(frame),
        }
    }

    /// Whether a TRUNCATE … IF EXISTS is of a table that does not: the planner passes over the words.
    async fn is_of_nothing(&self, statement: &DfStatement) -> Result<bool> {
        let DfStatement::Statement(statement) = statement else { return Ok(false) };
        let SqlStatement::Truncate(Truncate { if_exists: true, table_names, .. }) = statement.as_ref() else {
            return Ok(false);
        };
        let [TruncateTableTarget { name, .. }] = table_names.as_slice() else { return Ok(false) };
        let state = self.state();
        let fold = state.config_options().sql_parser.enable_ident_normalization;
        let name = object_name_to_table_reference(name.clone(), fold)?;
        Ok(state.schema_for_ref(name.clone())?.table(name.table()).await?.is_none())
    }

    /// The plan of a statement as it was written.
    pub(super) async fn planned_once(&self, mut statement: DfStatement) -> Result<LogicalPlan> {
        refuse_external(&statement, self)?;
        set(&mut statement)?;
        let fold = self.ctx.state().config_options().sql_parser.enable_ident_normalization;
        write::rewrite(&mut statement, fold)?;
        if let Some(table) = inserted_into(&statement, fold)? {
            self.check_written(&table)?;
        }
        Box::pin(travel::replace(self.ctx, &self.standing.at(), &mut statement)).await.map_err(external)?;
        Box::pin(write::prepare(&self.state(), &mut statement)).await?;
        let plan = match write::aliased_delete(&statement) {
            Some(update) => write::as_delete(&self.plan(update).await?)?,
            None => self.plan(statement).await?,
        };
        refuse_lost_nulls(&plan)?;
        Ok(plan)
    }

    /// The plan of a statement whose versions were replaced.
    pub(super) async fn plan(&self, mut statement: DfStatement) -> Result<LogicalPlan> {
        let mut state = self.state();
        if let Some(source) = write::separate(&mut statement)? {
            let source = Box::pin(self.plan(source)).await?;
            state = write::with_source(state, source)?;
        }
        match state.statement_to_plan(statement.clone()).await {
            Ok(plan) => Ok(plan),
            Err(error) => Err(self.explain(error, &statement).await),
        }
    }

    /// Carries a plan out and answers with what it gave.
    async fn at_once(&self, frame: DataFrame) -> Result<DataFrame> {
        let schema = Arc::clone(frame.schema().inner());
        self.answered(schema, frame.collect().await?)
    }

    /// The same of `COPY … TO`.
    async fn copied_out(&self, frame: DataFrame, place: &str) -> Result<DataFrame> {
        let (context, schema) = (Arc::new(frame.task_ctx()), Arc::clone(frame.schema().inner()));
        let plan = write::as_read(frame.create_physical_plan().await?);
        let copied = collect(plan, context).await.map_err(|error| write::full(error, place))?;
        self.answered(schema, copied)
    }

    fn answered(&self, schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<DataFrame> {
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
            At::Ref(at) => Err(external(only_read(said(at), "USE BRANCH name to write"))),
            At::Branch(_) | At::Transaction(_) => Ok(()),
        }
    }

    /// Refuses to write beside the transaction that is open: it would happen at once, whatever becomes of the transaction.
    fn check_within(&self, dml: &DmlStatement) -> Result<()> {
        let target = source_as_provider(&dml.target)?;
        let Some(table) = target.downcast_ref::<LakeTable>() else { return Ok(()) };
        if self.standing.transaction.is_none() || matches!(table.at(), At::Transaction(_)) {
            return Ok(());
        }
        let message = format!(
            "{} is no part of the transaction that is open: name the table in catalog {}, or COMMIT before",
            dml.table_name, self.catalog
        );
        Err(refused(ErrorKind::InvalidInput, message))
    }

    /// The error of a plan: where a table is missing, the SDK says which names are near.
    async fn explain(&self, error: DataFusionError, statement: &DfStatement) -> DataFusionError {
        if lake_error(&error).is_some() {
            return error;
        }
        let state = self.ctx.state();
        let options = state.config_options().catalog.clone();
        let functions = state.table_functions();
        for table in state.resolve_table_references(statement).unwrap_or_default() {
            // The names of functions are among these.
            if functions.contains_key(table.table()) {
                continue;
            }
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
        let plan = Box::pin(write::copy_from(&self.state(), &copy)).await?;
        if let LogicalPlan::Dml(dml) = &plan {
            self.check_written(&dml.table_name)?;
        }
        self.at_once(DataFrame::new(self.ctx.state(), plan)).await
    }
}

/// The table that rows are inserted into: whether they are for its columns is asked of what can be written to.
fn inserted_into(statement: &DfStatement, fold: bool) -> Result<Option<TableReference>> {
    let DfStatement::Statement(statement) = statement else { return Ok(None) };
    match statement.as_ref() {
        SqlStatement::Insert(Insert { table: TableObject::TableName(name), .. }) => {
            object_name_to_table_reference(name.clone(), fold).map(Some)
        }
        _ => Ok(None),
    }
}

/// Whether a commit was refused because of what others have committed.
fn collides(error: &DataFusionError) -> bool {
    lake_error(error).is_some_and(|error| !error.conflicts().is_empty())
}

/// Refuses to write to what is made of other tables.
fn refuse_view(dml: &DmlStatement) -> Result<()> {
    if source_as_provider(&dml.target)?.downcast_ref::<ViewTable>().is_none() {
        return Ok(());
    }
    let message =
        format!("{} is a view, and is only read: write to the tables that it selects from", dml.table_name);
    Err(refused(ErrorKind::InvalidInput, message))
}

/// Refuses to copy into folders by a column that may be null: DataFusion puts such rows into the folder of 0 or of the empty text.
fn refuse_lost_nulls(plan: &LogicalPlan) -> Result<()> {
    let LogicalPlan::Copy(copy) = plan else { return Ok(()) };
    let schema = copy.input.schema();
    let lost = copy
        .partition_by
        .iter()
        .find(|name| schema.field_with_unqualified_name(name).is_ok_and(|field| field.is_nullable()));
    match lost {
        Some(name) => {
            let message = format!(
                "PARTITIONED BY ({name}): the column may be null, and a folder has no name for that: \
                 COPY (SELECT …, coalesce({name}, …) AS {name} FROM …)"
            );
            Err(refused(ErrorKind::Unsupported, message))
        }
        None => Ok(()),
    }
}

/// Writes `SET TIME ZONE 'name'` as the setting that it is of, and refuses what SET has no setting for.
fn set(statement: &mut DfStatement) -> Result<()> {
    let DfStatement::Statement(statement) = statement else { return Ok(()) };
    let SqlStatement::Set(set) = statement.as_mut() else { return Ok(()) };
    match set {
        Set::SingleAssignment { .. } => Ok(()),
        Set::SetTimeZone { local: false, value: value @ Expr::Value(_) } => {
            let values = vec![value.clone()];
            let variable = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(TIME_ZONE))]);
            *set = Set::SingleAssignment { scope: None, hivevar: false, variable, values };
            Ok(())
        }
        other => {
            let message = format!("{other} is not supported: SET name = value, or SET TIME ZONE 'name'");
            Err(refused(ErrorKind::Unsupported, message))
        }
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
