//! A lake in a session of DataFusion's.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::context::SessionContext;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use strandline::Lake;

use crate::catalog::{At, LakeCatalog};
use crate::compared::AsCompared;
use crate::external::{ExternalTables, STORED_AS};
use crate::membership::Membership;
use crate::pin::OneCommit;
use crate::scan::{LastRule, WholeFiles};
use crate::write::WriteRule;
use crate::{compared, extremes, functions, scan, sql};

/// Puts a lake into a session as a catalog: `SELECT … FROM lake.sales.orders`. It always shows the present state of the branch
/// that the lake was opened at. No request; a query makes one for each name in it, to be sure of the present state, where a
/// [`Session`](crate::Session) makes one for each statement.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use datafusion::prelude::SessionContext;
/// use strandline::Lake;
/// use strandline::arrow::array::{Int64Array, RecordBatch};
/// use std::sync::Arc;
///
/// let lake = Lake::create("memory://registered").await?;
/// let batch = RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)])?;
/// let transaction = lake.begin().await?;
/// transaction.create_table("orders").like(&batch.schema()).await?;
/// transaction.append("orders", batch).await?;
/// transaction.commit().await?;
///
/// let ctx = SessionContext::new();
/// strandline_datafusion::register(&ctx, "lake", &lake)?;
/// let found = ctx.sql("SELECT id FROM lake.public.orders WHERE id > 1").await?.count().await?;
/// assert_eq!(found, 2);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// None at present; what a session refuses to take.
pub fn register(ctx: &SessionContext, name: &str, lake: &Lake) -> Result<()> {
    register_at(ctx, name, lake, At::Branch(lake.default_branch().clone()))
}

/// The same as it is seen from somewhere.
pub(crate) fn register_at(ctx: &SessionContext, name: &str, lake: &Lake, at: At) -> Result<()> {
    prepare(ctx)?;
    ctx.register_catalog(name, LakeCatalog::new(lake.clone(), at).planned_by(ctx));
    Ok(())
}

/// Adds what queries over lakes need to a session, once: the rules that keep a query at one commit, carry out changes, hand filters
/// down to scans and let `IN` be unknown, functions, what refuses clauses of tables in FROM that would be passed over (those of whole statements are seen by
/// [`Session`](crate::Session) only), and `CREATE EXTERNAL TABLE … STORED AS STRANDLINE LOCATION '<url>#<table>'`.
/// [`register`] does so too. No request.
///
/// ```
#[doc = include_str!("orders.example")]
/// use datafusion::prelude::SessionContext;
/// use std::sync::Arc;
/// use strandline_datafusion::LakeTable;
///
/// // One table among others, without the catalog around it.
/// let ctx = SessionContext::new();
/// strandline_datafusion::prepare(&ctx)?;
/// let main = lake.main().await?;
/// let table = LakeTable::pinned(main.clone(), main.table("orders").await?)?;
/// ctx.register_table("orders", Arc::new(table))?;
/// assert_eq!(ctx.sql("SELECT * FROM orders WHERE id > 1").await?.count().await?, 2);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// What a session refuses to take.
pub fn prepare(ctx: &SessionContext) -> Result<()> {
    let state = ctx.state();
    if state.analyzer().rules.iter().any(|rule| rule.name() == OneCommit::NAME) {
        return Ok(());
    }
    *ctx.state_ref().write() = with_rules(state);
    compared::register(ctx);
    extremes::register(ctx);
    functions::register(ctx);
    let state = ctx.state_ref();
    let mut state = state.write();
    state.table_factories_mut().insert(STORED_AS.to_owned(), Arc::new(ExternalTables));
    state.register_relation_planner(Arc::new(sql::Using))?;
    state.register_relation_planner(Arc::new(sql::Numbered))?;
    state.register_relation_planner(Arc::new(sql::Guard))
}

/// The same session with our rules: those that come before others (before types are coerced, before aggregates are answered by statistics),
/// and those that come behind.
fn with_rules(state: SessionState) -> SessionState {
    type Analyzes = Arc<dyn AnalyzerRule + Send + Sync>;
    let first: [Analyzes; 1] = [Arc::new(AsCompared)];
    let last: [Analyzes; 3] = [Arc::new(OneCommit), Arc::new(Membership), Arc::new(WriteRule)];
    let analyzes = first.into_iter().chain(state.analyzer().rules.iter().cloned()).chain(last).collect();
    let whole: Arc<dyn PhysicalOptimizerRule + Send + Sync> = Arc::new(WholeFiles);
    let mut optimizes = scan::careful(state.physical_optimizers());
    optimizes.insert(0, whole);
    optimizes.push(Arc::new(LastRule));
    let id = state.session_id().to_owned();
    // Each of these registers all functions anew, so it is one for all rules.
    SessionStateBuilder::new_from_existing(state)
        .with_session_id(id)
        .with_analyzer_rules(analyzes)
        .with_physical_optimizer_rules(optimizes)
        .build()
}
