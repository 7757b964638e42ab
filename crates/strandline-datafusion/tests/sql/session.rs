//! Sessions: what one statement leaves for the next, what a query sees, and how errors come out.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::prelude::{SessionConfig, SessionContext};
use strandline::{ErrorKind, Lake};
use strandline_datafusion::{At, LakeSql, Session, lake_error};

use crate::fixture::{Counted, longs, session as stock, table};

/// The kind of the error that a text gives.
async fn kind(session: &Session, text: &str) -> Option<ErrorKind> {
    let error = match session.sql(text).await {
        Ok(frame) => frame.collect().await.unwrap_err(),
        Err(error) => error,
    };
    lake_error(&error).map(strandline::Error::kind)
}

async fn count(session: &Session, text: &str) -> usize {
    session.sql(text).await.unwrap().count().await.unwrap()
}

async fn new() -> Session {
    Session::new(&Counted::new().await.lake).unwrap()
}

#[tokio::test]
async fn a_statement_has_happened_once_when_it_is_answered() {
    let session = new().await;
    session.sql("CREATE TABLE t (id INT)").await.unwrap();
    let answer = session.sql("INSERT INTO t VALUES (1), (2)").await.unwrap();
    assert_eq!(count(&session, "SELECT * FROM t").await, 2);
    for _ in 0..2 {
        let batches = answer.clone().collect().await.unwrap();
        assert_eq!(
            batches[0].column(0).as_primitive::<datafusion::arrow::datatypes::UInt64Type>().value(0),
            2
        );
    }
    assert_eq!(count(&session, "SELECT * FROM t").await, 2);
    session.sql("PREPARE add AS INSERT INTO t VALUES ($1)").await.unwrap();
    session.sql("EXECUTE add(3)").await.unwrap();
    assert_eq!(count(&session, "SELECT * FROM t").await, 3);
    let plan = session.sql("EXPLAIN EXECUTE add(4)").await.unwrap().collect().await.unwrap();
    let plan = datafusion::arrow::util::pretty::pretty_format_batches(&plan).unwrap().to_string();
    assert!(plan.contains("INSERT INTO t") && plan.contains("Int32(4)"), "{plan}");
    assert_eq!(count(&session, "SELECT * FROM t").await, 3);
}

#[tokio::test]
async fn each_statement_outside_of_a_transaction_is_one_commit() {
    let session = new().await;
    let version = || async { session.lake().at("main").await.unwrap().version().0 };
    session.sql("CREATE SCHEMA a; CREATE TABLE a.t AS SELECT 1 AS id").await.unwrap();
    assert_eq!(version().await, 2);
    session.sql("BEGIN; INSERT INTO a.t VALUES (2); ALTER TABLE a.t ADD COLUMN b INT; COMMIT").await.unwrap();
    assert_eq!(version().await, 3);
}

#[tokio::test]
async fn of_several_statements_those_before_an_error_have_happened() {
    let session = new().await;
    let failed = kind(&session, "CREATE TABLE t (id INT); DROP TABLE missing; CREATE TABLE u (id INT)").await;
    assert_eq!(failed, Some(ErrorKind::NotFound));
    assert_eq!(count(&session, "SELECT * FROM t").await, 0);
    assert_eq!(kind(&session, "SELECT * FROM u").await, Some(ErrorKind::NotFound));
    assert_eq!(kind(&session, "SELECT 1 / 0; CREATE TABLE u (id INT)").await, None);
    assert_eq!(kind(&session, "SELECT * FROM u").await, Some(ErrorKind::NotFound));
    assert_eq!(kind(&session, " ; ").await, Some(ErrorKind::InvalidInput));
}

#[tokio::test]
async fn a_query_finishes_from_its_commit_whatever_becomes_of_its_table() {
    let session = new().await;
    session.sql("CREATE TABLE t AS SELECT 1 AS id").await.unwrap();
    let (dropped, altered) =
        (session.sql("SELECT id FROM t").await.unwrap(), session.sql("SELECT * FROM t").await.unwrap());
    session.sql("INSERT INTO t VALUES (2); ALTER TABLE t RENAME COLUMN id TO key").await.unwrap();
    assert_eq!(altered.count().await.unwrap(), 1);
    session.sql("DROP TABLE t").await.unwrap();
    assert_eq!(dropped.count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_lake_is_asked_in_one_line_and_loses_no_transaction_silently() {
    let lake = Counted::new().await.lake;
    lake.sql("CREATE TABLE t (id INT); BEGIN; INSERT INTO t VALUES (1); COMMIT").await.unwrap();
    assert_eq!(lake.sql("SELECT * FROM t").await.unwrap().count().await.unwrap(), 1);
    let error = lake.sql("BEGIN; INSERT INTO t VALUES (2)").await.unwrap_err();
    assert_eq!(lake_error(&error).unwrap().kind(), ErrorKind::InvalidInput);
    assert_eq!(lake.sql("SELECT * FROM t").await.unwrap().count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_conflict_comes_out_with_all_that_collides() {
    let session = new().await;
    session.sql("CREATE TABLE t AS SELECT 1 AS id").await.unwrap();
    session.sql("BEGIN; UPDATE t SET id = 2").await.unwrap();
    let other = Session::new(session.lake()).unwrap();
    other.sql("UPDATE t SET id = 3").await.unwrap();
    let error = session.sql("COMMIT").await.unwrap_err();
    let error = lake_error(&error).unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(!error.conflicts().is_empty());
    assert!(matches!(session.at().await, At::Branch(_)));
    assert_eq!(count(&session, "SELECT * FROM t WHERE id = 3").await, 1);
}

#[tokio::test]
async fn an_overwrite_of_what_others_changed_is_a_conflict_when_serializable() {
    let session = new().await;
    session.sql("CREATE TABLE t AS SELECT 1 AS id; BEGIN ISOLATION LEVEL SERIALIZABLE").await.unwrap();
    session.sql("INSERT OVERWRITE t SELECT id + 1 FROM t").await.unwrap();
    Session::new(session.lake()).unwrap().sql("INSERT INTO t VALUES (7)").await.unwrap();
    assert_eq!(kind(&session, "COMMIT").await, Some(ErrorKind::Conflict));
    assert_eq!(count(&session, "SELECT * FROM t WHERE id IN (1, 7)").await, 2);
}

#[tokio::test]
async fn a_transaction_that_ended_is_not_read_any_more() {
    let session = new().await;
    session.sql("CREATE TABLE t (id INT); BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    assert!(matches!(session.at().await, At::Transaction(_)));
    session.sql("ROLLBACK").await.unwrap();
    assert_eq!(count(&session, "SELECT * FROM t").await, 0);
}

/// Without the guard, DataFusion's planner drops the clause and reads the present.
#[tokio::test]
async fn a_session_that_knows_no_versions_refuses_them() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1]))]).await;
    for (dialect, clause) in [
        ("Databricks", "VERSION AS OF 1"),
        ("Databricks", "TIMESTAMP AS OF '2026-01-01'"),
        ("BigQuery", "FOR SYSTEM_TIME AS OF '2026-01-01'"),
        ("Snowflake", "AT (TIMESTAMP => '2026-01-01')"),
        ("Snowflake", "BEFORE (STATEMENT => 'x')"),
        ("MsSQL", "FOR SYSTEM_TIME AS OF '2026-01-01'"),
    ] {
        let config = SessionConfig::new().set_str("datafusion.sql_parser.dialect", dialect);
        let ctx = SessionContext::new_with_config(config);
        strandline_datafusion::register(&ctx, "lake", &lake).unwrap();
        let error = ctx.sql(&format!("SELECT * FROM lake.public.t {clause}")).await.unwrap_err();
        assert_eq!(
            lake_error(&error).map(strandline::Error::kind),
            Some(ErrorKind::Unsupported),
            "{dialect}: {error}"
        );
    }
}

#[tokio::test]
async fn names_with_references_and_inspections_work_in_any_session() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1]))]).await;
    lake.append("t", crate::fixture::batch(&[("id", longs([2, 3]))])).await.unwrap();
    let ctx = stock(&lake);
    for (text, rows) in [
        ("SELECT * FROM lake.public.\"t@v1\"", 1),
        ("SELECT * FROM lake.public.t$files", 2),
        ("SELECT * FROM lake_log()", 3),
        ("SELECT * FROM lake_refs()", 1),
    ] {
        assert_eq!(ctx.sql(text).await.unwrap().count().await.unwrap(), rows, "{text}");
    }
    let error = ctx.sql("INSERT INTO lake.public.t$files SELECT * FROM lake.public.t$files").await.unwrap();
    let error = error.collect().await.unwrap_err();
    assert_eq!(lake_error(&error).unwrap().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn statements_of_lakes_are_refused_by_a_session_that_does_not_know_them() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1]))]).await;
    let ctx = stock(&lake);
    for text in
        ["CREATE TABLE lake.public.u AS SELECT 1 AS id", "CREATE VIEW lake.public.v AS SELECT 1 AS id"]
    {
        let error = ctx.sql(text).await.unwrap_err();
        let kind = lake_error(&error).map(strandline::Error::kind);
        assert_eq!(kind, Some(ErrorKind::Unsupported), "{text}: {error}");
    }
    // Of these DataFusion says by itself that there is no such table, or such a schema already.
    ctx.sql("DROP TABLE lake.public.t").await.unwrap_err();
    ctx.sql("CREATE SCHEMA lake.s").await.unwrap_err();
    assert_eq!(lake.at("main").await.unwrap().version().0, 1);
}

#[tokio::test]
async fn functions_ask_which_lake_where_there_are_several() {
    let (one, other) = (Counted::new().await.lake, Counted::new().await.lake);
    let ctx = stock(&one);
    strandline_datafusion::register(&ctx, "other", &other).unwrap();
    let error = ctx.sql("SELECT * FROM lake_log()").await.unwrap_err();
    assert_eq!(lake_error(&error).unwrap().kind(), ErrorKind::InvalidInput);
    ctx.sql("SET datafusion.catalog.default_catalog = 'other'").await.unwrap();
    assert_eq!(ctx.sql("SELECT * FROM lake_log()").await.unwrap().count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_session_takes_a_context_with_its_tables_and_functions() {
    let lake = Counted::new().await.lake;
    let ctx = SessionContext::new();
    ctx.register_batch("mine", crate::fixture::batch(&[("id", longs([1, 2]))])).unwrap();
    let session = Session::with_context(ctx, &lake).unwrap();
    session.sql("CREATE TABLE t AS SELECT * FROM datafusion.public.mine").await.unwrap();
    assert_eq!(count(&session, "SELECT * FROM t JOIN datafusion.public.mine USING (id)").await, 2);
}

#[tokio::test]
async fn what_is_shown_has_these_columns() {
    let session = new().await;
    session.sql("CREATE TABLE t (id INT); CREATE TAG v1").await.unwrap();
    for (text, columns, rows) in [
        ("SHOW BRANCHES", "name version time oldest commit", 1),
        ("SHOW TAGS", "name version time branch author message commit", 1),
        ("SHOW SCHEMAS", "schema_name", 1),
        ("SHOW TABLES", "table_schema table_name", 1),
        ("SHOW VIEWS", "table_schema table_name", 0),
        ("SHOW LOG", "version time author message changes commit parent merged transaction", 2),
        (
            "SHOW LOG FOR main~ LIMIT 5",
            "version time author message changes commit parent merged transaction",
            1,
        ),
        ("SHOW BRANCH", "branch", 1),
        ("DESCRIBE t", "column_name data_type is_nullable is_key default comment", 1),
    ] {
        let frame = session.sql(text).await.unwrap();
        let found: Vec<String> = frame.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(found.join(" "), columns, "{text}");
        assert_eq!(frame.count().await.unwrap(), rows, "{text}");
    }
    let history = session.sql("DESCRIBE HISTORY t LIMIT 1").await.unwrap();
    assert_eq!(history.schema().field(0).name(), "version");
    assert_eq!(history.count().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_one_session_run_one_after_the_other() {
    let session = Arc::new(new().await);
    session.sql("CREATE TABLE t (id INT)").await.unwrap();
    let insert = |id: i32| {
        let session = Arc::clone(&session);
        tokio::spawn(async move { session.sql(&format!("INSERT INTO t VALUES ({id})")).await.map(drop) })
    };
    for task in (0..8).map(insert).collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert_eq!(count(&session, "SELECT DISTINCT id FROM t").await, 8);
}

#[tokio::test]
async fn a_lake_that_was_opened_at_a_branch_is_asked_there() {
    let counted = Counted::new().await;
    counted.lake.sql("CREATE TABLE t AS SELECT 1 AS id; CREATE BRANCH dev; DROP TABLE t").await.unwrap();
    let dev = strandline::format::RefName::new("dev").unwrap();
    let at_dev = Lake::open_in(crate::fixture::storage(&counted.store), &dev).await.unwrap();
    assert_eq!(at_dev.sql("SELECT * FROM t").await.unwrap().count().await.unwrap(), 1);
    at_dev.sql("INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(counted.lake.sql("SELECT * FROM \"t@dev\"").await.unwrap().count().await.unwrap(), 2);
}
