//! One query sees one commit over all its tables, whatever is committed while it is planned.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::memory::MemoryCatalogProvider;
use datafusion::catalog::{CatalogProvider, MemTable, SchemaProvider, TableProvider};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use strandline::{ErrorKind, Lake};
use strandline_datafusion::{At, LakeCatalog, LakeSql, Session, lake_error};

use crate::fixture::{Counted, batch, lines, longs, rows, session, table};

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

/// A schema in which looking for a table commits a row to `a` and one to `b`.
#[derive(Debug)]
struct Committing(Lake);

#[async_trait]
impl SchemaProvider for Committing {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn table_exist(&self, _: &str) -> bool {
        true
    }

    async fn table(&self, _: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        commit(&self.0).await;
        let batch = batch(&[("id", longs([1]))]);
        Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
    }
}

async fn commit(lake: &Lake) {
    let transaction = lake.begin().await.unwrap();
    for name in ["a", "b"] {
        transaction.append(name, batch(&[("id", longs([7]))])).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// Two tables of a row each in version 2, and one row more in each version after that.
async fn growing() -> (Lake, SessionContext) {
    let lake = Counted::new().await.lake;
    table(&lake, "a", &[("id", longs([1]))]).await;
    table(&lake, "b", &[("id", longs([1]))]).await;
    let config = SessionConfig::new().with_default_catalog_and_schema("lake", "public");
    let ctx = SessionContext::new_with_config(config.with_create_default_catalog_and_schema(false));
    let committing = MemoryCatalogProvider::new();
    committing.register_schema("public", Arc::new(Committing(lake.clone()))).unwrap();
    ctx.register_catalog("committing", Arc::new(committing));
    (lake, ctx)
}

/// What tells its version; tables are looked up in the order of their names, those without a catalog before those with one, so that
/// somebody commits in between.
const EVERYTHING: &str = r#"SELECT
    (SELECT count(*) + 1 FROM a) AS t,
    (SELECT sum(rows) + 1 FROM a$files) AS files,
    (SELECT max(version) FROM b$history) AS history,
    (SELECT max(version) FROM lake_log()) AS log,
    (SELECT max(version) FROM lake_log('main')) AS log_of,
    (SELECT max(version) FROM lake_refs()) AS refs,
    (SELECT max(version) FROM a$refs) AS refs_of,
    (SELECT count(*) + 1 FROM lake.public.b) AS u,
    (SELECT count(*) + 1 FROM lake.public."a@main") AS named,
    (SELECT count(*) + 1 FROM lake.public."b$stats@main") AS stats,
    (SELECT max(version) FROM lake.public.a$history) AS history_too
    FROM committing.public.now"#;

async fn everything(frame: DataFrame) -> Vec<String> {
    lines(&frame.collect().await.unwrap())
}

#[tokio::test]
async fn all_that_a_query_reads_is_of_the_newest_commit_that_it_saw() {
    let (lake, ctx) = growing().await;
    strandline_datafusion::register(&ctx, "lake", &lake).unwrap();
    let behind = ", (SELECT count(*) + 2 FROM lake.public.\"a@main~\") AS before FROM committing";
    let planned = ctx.sql(&EVERYTHING.replace("FROM committing", behind)).await.unwrap();
    commit(&lake).await;
    assert_eq!(everything(planned.clone()).await, ["3 ".repeat(12).trim()]);
    // What is kept follows the branch when it is run again.
    commit(&lake).await;
    assert_eq!(everything(planned).await, ["5 ".repeat(12).trim()]);
}

#[tokio::test]
async fn what_tells_of_a_version_behind_a_head_is_of_the_same_moment() {
    let (lake, ctx) = growing().await;
    lake.sql("CREATE VIEW counted AS SELECT count(*) AS n FROM a").await.unwrap();
    commit(&lake).await;
    strandline_datafusion::register(&ctx, "lake", &lake).unwrap();
    // Those without a catalog are looked up before two commits, the last one behind them.
    let text = r#"SELECT
        (SELECT n FROM "counted@main~") AS view,
        (SELECT count(*) FROM "a$stats@main~") AS stats,
        (SELECT count(*) FROM "a$files@main~") AS files,
        (SELECT max(version) - 2 FROM "a$history@main~") AS history,
        (SELECT count(*) FROM lake.public."a@main~") AS rows
        FROM committing.public.now, committing.public.later"#;
    let planned = ctx.sql(text).await.unwrap();
    assert_eq!(everything(planned).await, ["3 3 3 3 3"]);
}

#[tokio::test]
async fn all_that_a_statement_reads_is_of_the_commit_that_it_saw_first() {
    let (lake, ctx) = growing().await;
    let session = Session::with_context(ctx, &lake).unwrap();
    session.sql("CREATE VIEW w AS SELECT count(*) + 2 AS n FROM b").await.unwrap();
    commit(&lake).await;
    let more = ", (SELECT n FROM w) AS v, (SELECT count(*) + 3 FROM lake.public.\"a@main~\") AS before FROM committing";
    let text = EVERYTHING.replace("FROM committing", "%").replace("+ 1", "+ 2").replace("%", more);
    let planned = session.sql(&text).await.unwrap();
    for _ in 0..2 {
        commit(&lake).await;
        assert_eq!(everything(planned.clone()).await, ["4 ".repeat(13).trim()]);
    }
    // The next one sees what was committed.
    let now = session.sql("SELECT count(*) FROM a").await.unwrap();
    assert_eq!(everything(now).await, ["5"]);
}

#[tokio::test]
async fn a_prepared_statement_reads_what_is_there_when_it_is_run() {
    let (lake, ctx) = growing().await;
    let session = Session::with_context(ctx, &lake).unwrap();
    session.sql("PREPARE counted AS SELECT count(*) FROM a").await.unwrap();
    for expected in ["2", "3"] {
        commit(&lake).await;
        assert_eq!(everything(session.sql("EXECUTE counted").await.unwrap()).await, [expected]);
    }
}

#[tokio::test]
async fn a_branch_that_was_named_is_only_read() {
    let (lake, ctx) = growing().await;
    strandline_datafusion::register(&ctx, "lake", &lake).unwrap();
    let error = match ctx.sql("INSERT INTO \"a@main\" VALUES (1)").await {
        Ok(frame) => frame.collect().await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(lake_error(&error).map(strandline::Error::kind), Some(ErrorKind::InvalidInput), "{error}");
}
