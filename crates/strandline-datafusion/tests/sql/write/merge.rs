//! A table changed by the rows of a source.

use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use strandline::ErrorKind;

use super::{assert_kind, refused, run};
use crate::fixture::{Counted, batch, longs, rows, session, table};

/// A lake with `t` (ids 1 to 4 in two files) and `s` (ids 2, 4 and 7).
async fn lake() -> strandline::Lake {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2])), ("n", longs([10, 20]))]).await;
    lake.append("t", batch(&[("id", longs([3, 4])), ("n", longs([30, 40]))])).await.unwrap();
    table(&lake, "s", &[("id", longs([2, 4, 7])), ("n", longs([200, 400, 700]))]).await;
    lake
}

async fn check(clauses: &str, expected: &[&str], count: u64) {
    let lake = lake().await;
    let ctx = session(&lake);
    let sql = format!("MERGE INTO lake.public.t AS t USING lake.public.s AS s ON t.id = s.id {clauses}");
    assert_eq!(run(&ctx, &sql).await.unwrap(), count, "{clauses}");
    assert_eq!(rows(&ctx, "SELECT id, n FROM lake.public.t ORDER BY id").await, expected, "{clauses}");
}

#[tokio::test]
async fn each_kind_of_clause_changes_its_rows() {
    check("WHEN MATCHED THEN UPDATE SET n = s.n", &["1 10", "2 200", "3 30", "4 400"], 2).await;
    check("WHEN MATCHED THEN DELETE", &["1 10", "3 30"], 2).await;
    check(
        "WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, s.n)",
        &["1 10", "2 20", "3 30", "4 40", "7 700"],
        1,
    )
    .await;
    check(
        "WHEN NOT MATCHED BY TARGET THEN INSERT VALUES (s.id, s.n + 1)",
        &["1 10", "2 20", "3 30", "4 40", "7 701"],
        1,
    )
    .await;
    check("WHEN NOT MATCHED BY SOURCE THEN DELETE", &["2 20", "4 40"], 2).await;
    check("WHEN NOT MATCHED BY SOURCE THEN UPDATE SET n = 0", &["1 0", "2 20", "3 0", "4 40"], 2).await;
}

#[tokio::test]
async fn the_first_clause_that_applies_is_carried_out() {
    check(
        "WHEN MATCHED AND s.n > 300 THEN DELETE
         WHEN MATCHED AND t.n = 20 THEN UPDATE SET n = t.n + s.n
         WHEN MATCHED THEN UPDATE SET n = -1
         WHEN NOT MATCHED AND s.id > 100 THEN INSERT VALUES (s.id, -2)
         WHEN NOT MATCHED THEN INSERT (n, id) VALUES (s.n, s.id)
         WHEN NOT MATCHED BY SOURCE AND t.id = 1 THEN DELETE
         WHEN NOT MATCHED BY SOURCE THEN UPDATE SET n = t.n * 2",
        &["2 220", "3 60", "7 700"],
        5,
    )
    .await;
    check("WHEN MATCHED AND s.n > 300 THEN UPDATE SET n = 0", &["1 10", "2 20", "3 30", "4 0"], 1).await;
    check("WHEN MATCHED AND NULL THEN DELETE", &["1 10", "2 20", "3 30", "4 40"], 0).await;
}

#[tokio::test]
async fn an_inserted_row_has_nulls_where_nothing_is_given() {
    check("WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)", &["1 10", "2 20", "3 30", "4 40", "7"], 1).await;
}

#[tokio::test]
async fn a_row_that_several_rows_of_the_source_match_is_named() {
    let lake = lake().await;
    lake.append("s", batch(&[("id", longs([2])), ("n", longs([201]))])).await.unwrap();
    let ctx = session(&lake);
    let merge = "MERGE INTO lake.public.t AS t USING lake.public.s AS s ON t.id = s.id";
    for clause in ["WHEN MATCHED THEN UPDATE SET n = s.n", "WHEN MATCHED THEN DELETE"] {
        let error = refused(&lake, &ctx, &format!("{merge} {clause}")).await;
        assert_kind(&error, ErrorKind::InvalidInput, "id = 2");
    }
    // Only one of the two is to change the row.
    run(&ctx, &format!("{merge} WHEN MATCHED AND s.n = 201 THEN UPDATE SET n = s.n")).await.unwrap();
    assert_eq!(rows(&ctx, "SELECT n FROM lake.public.t WHERE id = 2").await, ["201"]);
}

#[tokio::test]
async fn rows_without_a_key_match_nothing() {
    let lake = lake().await;
    let ctx = session(&lake);
    run(&ctx, "INSERT INTO lake.public.t VALUES (NULL, 1)").await.unwrap();
    let sql = "MERGE INTO lake.public.t AS t USING (SELECT CAST(NULL AS BIGINT) AS id) AS s ON t.id = s.id
               WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, 2)";
    assert_eq!(run(&ctx, sql).await.unwrap(), 1);
    assert_eq!(rows(&ctx, "SELECT n FROM lake.public.t WHERE id IS NULL ORDER BY n").await, ["1", "2"]);
}

#[tokio::test]
async fn a_condition_without_an_equality_of_the_sides_is_refused() {
    let lake = lake().await;
    let ctx = session(&lake);
    for on in ["true", "1 = 1", "t.id = 2", "s.id = 2", "t.id > s.id", "t.id = t.n"] {
        let sql = format!(
            "MERGE INTO lake.public.t AS t USING lake.public.s AS s ON {on} WHEN MATCHED THEN DELETE"
        );
        let error = refused(&lake, &ctx, &sql).await;
        assert_kind(&error, ErrorKind::InvalidInput, "equality");
    }
}

#[tokio::test]
async fn a_merge_of_a_table_with_itself_and_of_a_query() {
    let lake = lake().await;
    let ctx = session(&lake);
    let sql =
        "MERGE INTO lake.public.t AS t USING (SELECT id + 2 AS id, n FROM lake.public.t) AS s ON t.id = s.id
               WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.n)";
    assert_eq!(run(&ctx, sql).await.unwrap(), 4);
    assert_eq!(
        rows(&ctx, "SELECT id, n FROM lake.public.t ORDER BY id").await,
        ["1 10", "2 20", "3 10", "4 20", "5 30", "6 40"]
    );
}

#[tokio::test]
async fn a_merge_that_changes_nothing_makes_no_rows() {
    check("WHEN MATCHED AND s.n > 1000 THEN DELETE", &["1 10", "2 20", "3 30", "4 40"], 0).await;
}

#[tokio::test]
async fn a_column_that_no_clause_keeps_is_not_read() {
    let lake = lake().await;
    let check = async |clauses: &str, read: &str| {
        let merge = "MERGE INTO lake.public.t AS t USING lake.public.s AS s ON t.id = s.id";
        let plan = planned(&lake, None, &format!("{merge} {clauses}")).await;
        assert!(plan.contains(&format!("projection=[{read}, _file, _row, _row_id]")), "{clauses}: {plan}");
    };
    check("WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.n)", "id").await;
    check("WHEN MATCHED AND s.n > 1 THEN DELETE WHEN MATCHED THEN UPDATE SET n = s.n", "id").await;
    check("WHEN MATCHED THEN DELETE", "id").await;
    check("WHEN MATCHED THEN UPDATE SET id = s.id", "id, n").await;
    check("WHEN MATCHED AND t.n > 1 THEN DELETE", "id, n").await;
}

/// The plan of a MERGE in a session with so much memory.
async fn planned(lake: &strandline::Lake, memory: Option<usize>, sql: &str) -> String {
    let runtime = RuntimeEnvBuilder::new();
    let runtime = match memory {
        Some(bytes) => runtime.with_memory_limit(bytes, 1.0),
        None => runtime,
    };
    let ctx = SessionContext::new_with_config_rt(SessionConfig::new(), runtime.build_arc().unwrap());
    strandline_datafusion::register(&ctx, "lake", lake).unwrap();
    rows(&ctx, &format!("EXPLAIN {sql}")).await.join("\n")
}

#[tokio::test]
async fn a_merge_that_may_not_fit_into_memory_has_a_join_that_spills() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs(0..100_000)), ("n", longs(0..100_000))]).await;
    let sql = "MERGE INTO lake.public.t AS t USING (SELECT value + 50000 AS id, value AS n FROM range(0, 100000)) AS s
               ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.n)";
    let unbounded = planned(&lake, None, sql).await;
    assert!(unbounded.contains("HashJoin"), "{unbounded}");
    let bounded = planned(&lake, Some(4 << 20), sql).await;
    assert!(bounded.contains("SortMergeJoin"), "{bounded}");
    let roomy = planned(&lake, Some(1 << 30), sql).await;
    assert!(roomy.contains("HashJoin"), "{roomy}");
}

#[tokio::test]
async fn the_plan_of_a_statement_tells_what_became_of_rows_and_files() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs(0..10)), ("a", longs(0..10))]).await;
    let ctx = session(&lake);
    let told = async |sql: &str| {
        let plan = ctx.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        datafusion::physical_plan::collect(Arc::clone(&plan), ctx.task_ctx()).await.unwrap();
        let metrics = plan.metrics().unwrap();
        ["rows_inserted", "rows_updated", "rows_deleted", "files_written", "bytes_written"]
            .map(|name| metrics.sum_by_name(name).map_or(0, |told| told.as_usize()))
    };
    let merge = "MERGE INTO lake.public.t USING (VALUES (1, 7), (2, 8), (3, 9), (70, 1)) s(id, x) ON t.id = s.id \
                 WHEN MATCHED AND s.x = 7 THEN DELETE WHEN MATCHED THEN UPDATE SET a = s.x \
                 WHEN NOT MATCHED THEN INSERT (id, a) VALUES (s.id, s.x)";
    let [inserted, updated, deleted, files, bytes] = told(merge).await;
    assert_eq!((inserted, updated, deleted), (1, 2, 1));
    assert!(files >= 1 && bytes > 0, "{files} {bytes}");
    assert_eq!(told("DELETE FROM lake.public.t WHERE id > 5").await[..3], [0, 0, 5]);
    let [inserted, .., files, bytes] = told("INSERT INTO lake.public.t VALUES (100, 1)").await;
    assert!((inserted, files) == (1, 1) && bytes > 0, "{bytes}");
    assert_eq!(told("DELETE FROM lake.public.t WHERE id = -1").await, [0; 5]);
}
