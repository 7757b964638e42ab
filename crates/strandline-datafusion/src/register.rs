//! A lake in a session of DataFusion's.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use strandline::Lake;

use crate::catalog::{At, LakeCatalog};
use crate::compared::AsCompared;
use crate::external::{ExternalTables, STORED_AS};
use crate::membership::Membership;
use crate::pin::OneCommit;
use crate::scan::{SmallFiles, WholeFiles};
use crate::write::WriteRule;
use crate::{compared, functions, scan, sql};

/// Puts a lake into a session as a catalog: `SELECT … FROM lake.sales.orders`. It always shows the present state of the branch
/// that the lake was opened at. No request.
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
    prepare(ctx)?;
    let at = At::Branch(lake.default_branch().clone());
    ctx.register_catalog(name, LakeCatalog::new(lake.clone(), at).planned_by(ctx));
    Ok(())
}

/// Adds what queries over lakes need to a session, once: the rules that keep a query at one commit, carry out changes, hand filters
/// down to scans and let `IN` be unknown, functions, what refuses clauses that would be passed over, and `CREATE EXTERNAL TABLE … STORED AS STRANDLINE LOCATION '<url>#<table>'`.
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
    let known = ctx.state().analyzer().rules.iter().any(|rule| rule.name() == OneCommit::NAME);
    if known {
        return Ok(());
    }
    let state = ctx.state_ref();
    state.write().table_factories_mut().insert(STORED_AS.to_owned(), Arc::new(ExternalTables));
    put_first(ctx, Arc::new(WholeFiles));
    analyze_first(ctx, Arc::new(AsCompared));
    compared::register(ctx);
    ctx.add_analyzer_rule(Arc::new(OneCommit));
    ctx.add_analyzer_rule(Arc::new(Membership));
    ctx.add_analyzer_rule(Arc::new(WriteRule));
    functions::register(ctx);
    let state = ctx.state();
    let mut rules = scan::careful(state.physical_optimizers());
    rules.push(Arc::new(SmallFiles));
    let id = state.session_id().to_owned();
    let state = SessionStateBuilder::new_from_existing(state)
        .with_session_id(id)
        .with_physical_optimizer_rules(rules)
        .build();
    *ctx.state_ref().write() = state;
    ctx.state_ref().write().register_relation_planner(Arc::new(sql::Guard))
}

/// The same of a rule that comes before types are coerced.
fn analyze_first(ctx: &SessionContext, rule: Arc<dyn AnalyzerRule + Send + Sync>) {
    let state = ctx.state_ref();
    let mut state = state.write();
    let rules = std::iter::once(rule).chain(state.analyzer().rules.iter().cloned()).collect();
    let id = state.session_id().to_owned();
    let builder = SessionStateBuilder::new_from_existing(state.clone());
    *state = builder.with_session_id(id).with_analyzer_rules(rules).build();
}

/// Puts a rule before all others, where DataFusion has a way to add one behind them only.
fn put_first(ctx: &SessionContext, rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>) {
    let state = ctx.state_ref();
    let mut state = state.write();
    let rules = std::iter::once(rule).chain(state.physical_optimizers().iter().cloned()).collect();
    let id = state.session_id().to_owned();
    let builder = SessionStateBuilder::new_from_existing(state.clone());
    *state = builder.with_session_id(id).with_physical_optimizer_rules(rules).build();
}
