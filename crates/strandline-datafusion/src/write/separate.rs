//! Queries of an INSERT that have VALUES somewhere within them.
//!
//! The planner gives all VALUES of an INSERT the types of the table's columns, those in a subquery as well, which there changes what the query
//! says. So such a query is planned by itself first, and the statement then selects from its plan. Invariant: nothing of this is seen
//! by the session. What does not belong here: an INSERT of bare VALUES, which are of the table's types by right.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::memory::{MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::catalog::{CatalogProvider, SchemaProvider};
use datafusion::datasource::ViewTable;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement as SqlStatement, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use strandline::ErrorKind;

use crate::catalog::Beside;
use crate::error::refused;

/// What the plan is called, as a catalog, a schema and a table. No lake can have such a name.
const SOURCE: &str = "$source";

/// Takes the query out of an INSERT that must be planned by itself, and leaves one that selects from its plan.
///
/// # Errors
/// None at present: a text of ours that cannot be parsed.
pub(crate) fn separate(statement: &mut Statement) -> Result<Option<Statement>> {
    let insert = match statement {
        Statement::Statement(statement) => match statement.as_mut() {
            SqlStatement::Insert(insert) => insert,
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let Some(source) = insert.source.as_mut().filter(|source| has_values_within(source)) else {
        return Ok(None);
    };
    let text = format!("SELECT * FROM \"{SOURCE}\".\"{SOURCE}\".\"{SOURCE}\"");
    let parsed = Parser::parse_sql(&GenericDialect, &text).ok().and_then(|mut parsed| parsed.pop());
    let Some(SqlStatement::Query(query)) = parsed else {
        return Err(refused(ErrorKind::Unsupported, "an INSERT of such a query"));
    };
    let separate = SqlStatement::Query(std::mem::replace(source, query));
    Ok(Some(Statement::Statement(Box::new(separate))))
}

/// Whether VALUES stand in a query, other than as all of it.
fn has_values_within(query: &Query) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if is_values(&query.body) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    match query.body.as_ref() {
        SetExpr::Values(_) => query.with.visit(&mut Find).is_break(),
        _ => query.visit(&mut Find).is_break(),
    }
}

/// Whether a side of a query is VALUES.
fn is_values(body: &SetExpr) -> bool {
    match body {
        SetExpr::Values(_) => true,
        SetExpr::SetOperation { left, right, .. } => is_values(left) || is_values(right),
        _ => false,
    }
}

/// The session in which the plan has its name.
///
/// # Errors
/// None at present: a plan that cannot be named.
pub(crate) fn with_source(mut state: SessionState, plan: LogicalPlan) -> Result<SessionState> {
    let schema = MemorySchemaProvider::new();
    schema.register_table(SOURCE.to_owned(), Arc::new(ViewTable::new(plan, None)))?;
    let source = MemoryCatalogProvider::new();
    source.register_schema(SOURCE, Arc::new(schema))?;
    let catalogs = Arc::clone(state.catalog_list());
    let beside = Beside { catalogs, name: SOURCE.to_owned(), catalog: Arc::new(source) };
    state.register_catalog_list(Arc::new(beside));
    Ok(state)
}
