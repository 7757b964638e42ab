//! One query sees one commit over all its tables, whatever is committed while it is planned.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::{DataFrame, SessionContext};
use strandline::{ErrorKind, Lake};
use strandline_datafusion::{At, LakeCatalog, lake_error};

use crate::fixture::{Counted, batch, longs, rows, session, table};

async fn provider(lake: &Lake, name: &str) -> Arc<dyn TableProvider> {
    let catalog = LakeCatalog::new(lake.clone(), At::Branch(lake.default_branch().clone()));
    Arc::new(catalog.table(name).await.unwrap().unwrap())
}

fn scan(name: &str, provider: Arc<dyn TableProvider>) -> LogicalPlanBuilder {
    LogicalPlanBuilder::scan(name, provider_as_source(provider), None).unwrap()
}

async fn collected(ctx: &SessionContext, plan: LogicalPlan) -> usize {
    DataFrame::new(ctx.state(), plan).count().await.unwrap()
}

#[tokio::test]
async fn tables_that_were_looked_up_at_different_heads_are_read_at_the_newest() {
    let lake = Counted::new().await.lake;
    table(&lake, "a", &[("id", longs([1]))]).await;
    table(&lake, "b", &[("id", longs([1]))]).await;
    let ctx = session(&lake);
    let a = provider(&lake, "a").await;
    let transaction = lake.begin().await.unwrap();
    transaction.append("a", batch(&[("id", longs([2, 3]))])).await.unwrap();
    transaction.append("b", batch(&[("id", longs([2, 3]))])).await.unwrap();
    transaction.commit().await.unwrap();
    let b = provider(&lake, "b").await;
    let plan = scan("a", a).cross_join(scan("b", b).build().unwrap()).unwrap().build().unwrap();
    assert_eq!(collected(&ctx, plan).await, 9);
}

#[tokio::test]
async fn a_table_that_was_altered_in_between_is_a_conflict() {
    let lake = Counted::new().await.lake;
    table(&lake, "a", &[("id", longs([1]))]).await;
    table(&lake, "b", &[("id", longs([1]))]).await;
    let ctx = session(&lake);
    let a = provider(&lake, "a").await;
    let transaction = lake.begin().await.unwrap();
    transaction.alter_table("a").rename_column("id", "key").await.unwrap();
    transaction.commit().await.unwrap();
    let b = provider(&lake, "b").await;
    let plan = scan("a", a).cross_join(scan("b", b).build().unwrap()).unwrap().build().unwrap();
    let error = DataFrame::new(ctx.state(), plan).collect().await.unwrap_err();
    assert_eq!(lake_error(&error).map(strandline::Error::kind), Some(ErrorKind::Conflict), "{error}");
}

#[tokio::test]
async fn a_query_goes_on_reading_its_commit_though_the_table_is_dropped() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2]))]).await;
    let ctx = session(&lake);
    let planned = ctx.sql("SELECT sum(id) FROM lake.public.t").await.unwrap();
    let transaction = lake.begin().await.unwrap();
    transaction.drop_table("t").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(planned.count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_view_of_the_session_follows_its_branch() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1]))]).await;
    let ctx = session(&lake);
    ctx.sql("CREATE VIEW v AS SELECT * FROM lake.public.t").await.unwrap();
    assert_eq!(rows(&ctx, "SELECT count(*) FROM v").await, ["1"]);
    lake.append("t", batch(&[("id", longs([2, 3]))])).await.unwrap();
    assert_eq!(rows(&ctx, "SELECT count(*) FROM v").await, ["3"]);
}

#[tokio::test]
async fn a_statement_that_runs_again_changes_what_it_reads_then() {
    let lake = Counted::new().await.lake;
    table(&lake, "a", &[("id", longs([1, 2]))]).await;
    let ctx = session(&lake);
    let plan = ctx.state().create_logical_plan("UPDATE lake.public.a SET id = id + 10 WHERE id <> 2").await;
    let plan = plan.unwrap();
    for _ in 0..2 {
        // The second run finds the row where the first one has put it, which the head that was seen at first does not have.
        ctx.execute_logical_plan(plan.clone()).await.unwrap().collect().await.unwrap();
    }
    assert_eq!(rows(&ctx, "SELECT id FROM lake.public.a ORDER BY id").await, ["2", "21"]);
}
