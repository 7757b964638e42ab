//! Views: stored queries, planned where they are asked.
//!
//! A view's text is planned in the version that the name was looked up in, and becomes part of the plan of the query that asks
//! it, so that it is optimised with it. It sees the lake and nothing else of the session: the same text means the same wherever it is
//! asked. What does not belong here: making views (`run`).

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList, Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_plan::ExecutionPlan;
use strandline::ErrorKind;
use strandline::format::{NameKey, View};

use crate::catalog::{LakeCatalog, PUBLIC};
use crate::error::{lake_error, refused};
use crate::sql::statement::Statement;
use crate::sql::{lookup, parse, reference};

/// What the texts of views are said to be written in.
pub(crate) const DIALECT: &str = "datafusion";

/// What the lake is called within the texts of views.
pub(crate) const CATALOG: &str = "lake";

/// How many views may stand in each other.
const DEPTH: usize = 16;

/// A view as a table.
///
/// # Errors
/// `Unsupported` for a dialect that is not ours, and where no session plans; `InvalidInput` for views that stand in themselves, or
/// in each other too deeply; DataFusion's, for a text that cannot be planned any more.
pub(crate) async fn provider(
    catalog: &LakeCatalog,
    name: &str,
    view: &View,
) -> Result<Arc<dyn TableProvider>> {
    if view.dialect.as_str() != DIALECT {
        let message =
            format!("view {name:?} is in the dialect {:?}, which is not read here", view.dialect.as_str());
        return Err(refused(ErrorKind::Unsupported, message));
    }
    let within = within(catalog, name)?;
    let plan = Box::pin(plan(within, view.sql.as_str())).await.map_err(|error| unreadable(name, error))?;
    Ok(Arc::new(ViewTable::new(plan, Some(view.sql.as_str().to_owned()))))
}

/// The error of a view whose text cannot be planned any more, by its kind: `NotFound` if something that it names is gone.
fn unreadable(name: &str, error: DataFusionError) -> DataFusionError {
    if lake_error(&error).is_some() {
        return error;
    }
    let message = match error.find_root() {
        DataFusionError::Plan(message) => message.clone(),
        other => other.strip_backtrace(),
    };
    let is_gone = message.ends_with("not found");
    let kind = if is_gone { ErrorKind::NotFound } else { ErrorKind::InvalidInput };
    refused(kind, format!("view {name:?} cannot be read: {message}"))
}

/// A view that cannot be read, for whoever looks at all that there is: its text, and no columns.
///
/// # Errors
/// The given one, if it is not of a view, or not of what a view says.
pub(crate) async fn unreadable_one(
    catalog: &LakeCatalog,
    name: &str,
    error: DataFusionError,
) -> Result<Arc<dyn TableProvider>> {
    let Some((kind, why)) = lake_error(&error).map(|why| (why.kind(), why.message().to_owned())) else {
        return Err(error);
    };
    if !matches!(kind, ErrorKind::NotFound | ErrorKind::InvalidInput | ErrorKind::Unsupported) {
        return Err(error);
    }
    match lookup::view_of(catalog, name).await {
        Ok(view) => Ok(Arc::new(Unreadable { text: view.sql.as_str().to_owned(), kind, why })),
        Err(_) => Err(error),
    }
}

#[derive(Debug)]
struct Unreadable {
    text: String,
    kind: ErrorKind,
    why: String,
}

#[async_trait]
impl TableProvider for Unreadable {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::empty())
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_table_definition(&self) -> Option<&str> {
        Some(&self.text)
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(refused(self.kind, self.why.clone()))
    }
}

/// The catalog that the text of a view sees, if it does not stand in itself.
pub(crate) fn within(catalog: &LakeCatalog, name: &str) -> Result<LakeCatalog> {
    let called = format!("{}@{}", NameKey::of(name), reference::of(catalog.at()));
    let chain = || [catalog.views(), std::slice::from_ref(&called)].concat().join(" in ");
    if catalog.views().contains(&called) {
        return Err(refused(ErrorKind::InvalidInput, format!("a view stands in itself: {}", chain())));
    }
    if catalog.views().len() >= DEPTH {
        return Err(refused(
            ErrorKind::InvalidInput,
            format!("more than {DEPTH} views in each other: {}", chain()),
        ));
    }
    Ok(catalog.within_view(called))
}

/// The plan of a view's text.
pub(crate) async fn plan(catalog: LakeCatalog, text: &str) -> Result<LogicalPlan> {
    let Some(state) = catalog.session() else {
        let message = "a view needs a session to be planned in: register the lake with one";
        return Err(refused(ErrorKind::Unsupported, message));
    };
    let state = of_the_lake(state, catalog);
    let limit = state.config_options().sql_parser.recursion_limit.get();
    let mut statements = parse::statements(text, limit).map_err(crate::error::external)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(Statement::Plain(query)), true) => state.statement_to_plan(*query).await,
        _ => Err(refused(ErrorKind::Corrupt, format!("the text of the view is no query: {text}"))),
    }
}

/// A session that knows this lake only.
fn of_the_lake(mut state: SessionState, catalog: LakeCatalog) -> SessionState {
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    let options = &mut state.config_mut().options_mut().catalog;
    options.default_catalog = CATALOG.to_owned();
    options.default_schema = PUBLIC.to_owned();
    state.register_catalog_list(Arc::new(catalogs));
    state
}
