//! Views: stored queries, planned where they are asked.
//!
//! A view's text is planned in the version that the name was looked up in, and becomes part of the plan of the query that asks
//! it, so that it is optimised with it. It sees the lake and nothing else of the session: the same text means the same wherever it is
//! asked. What does not belong here: making views (`run`).

use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use strandline::ErrorKind;
use strandline::format::{NameKey, View};

use crate::catalog::{LakeCatalog, PUBLIC};
use crate::error::{lake_error, refused};
use crate::sql::statement::Statement;
use crate::sql::{parse, reference};

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
    let state = of_the_lake(&state, catalog);
    let limit = state.config_options().sql_parser.recursion_limit.get();
    let mut statements = parse::statements(text, limit).map_err(crate::error::external)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(Statement::Plain(query)), true) => state.statement_to_plan(*query).await,
        _ => Err(refused(ErrorKind::Corrupt, format!("the text of the view is no query: {text}"))),
    }
}

/// A session that knows this lake only.
fn of_the_lake(state: &SessionState, catalog: LakeCatalog) -> SessionState {
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    let mut config = state.config().clone().with_create_default_catalog_and_schema(false);
    config.options_mut().catalog.default_catalog = CATALOG.to_owned();
    config.options_mut().catalog.default_schema = PUBLIC.to_owned();
    SessionStateBuilder::new_from_existing(state.clone())
        .with_config(config)
        .with_catalog_list(Arc::new(catalogs))
        .build()
}
