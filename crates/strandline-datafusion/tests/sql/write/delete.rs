//! Rows that go. DataFusion's own planning loses conditions that become joins, limits or nothing; each of its traps is here.

use strandline::ErrorKind;
use strandline_datafusion::{LakeSql, lake_error};

use super::{assert_kind, refused, run};
use crate::fixture::{Counted, batch, longs, rows, session, table};

/// Deletes from a table with the ids 1 to 6 in two files, beside one with 2, 3 and 9.
async fn check(condition: &str, left: &[&str]) {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2, 3])), ("n", longs([10, 20, 30]))]).await;
    lake.append("t", batch(&[("id", longs([4, 5, 6])), ("n", longs([40, 50, 60]))])).await.unwrap();
    table(&lake, "other", &[("id", longs([2, 3, 9]))]).await;
    let ctx = session(&lake);
    let count = run(&ctx, &format!("DELETE FROM lake.public.t {condition}")).await.unwrap();
    assert_eq!(rows(&ctx, "SELECT id FROM lake.public.t ORDER BY id").await, left, "{condition}");
    assert_eq!(count, 6 - left.len() as u64, "{condition}");
}

#[tokio::test]
async fn plain_conditions() {
    check("WHERE id = 2", &["1", "3", "4", "5", "6"]).await;
    check("WHERE id > 3 AND n < 60", &["1", "2", "3", "6"]).await;
    check("WHERE id % 2 = 0 OR n = 10", &["3", "5"]).await;
    check("WHERE id > 100", &["1", "2", "3", "4", "5", "6"]).await;
    check("", &[]).await;
    check("WHERE true", &[]).await;
}

#[tokio::test]
async fn what_the_sdk_can_be_told_needs_no_query() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2, 3])), ("n", longs([10, 20, 30]))]).await;
    let ctx = session(&lake);
    let explained = async |condition: &str| {
        let text = format!("EXPLAIN DELETE FROM lake.public.t WHERE {condition}");
        rows(&ctx, &text).await.join("\n")
    };
    let told = explained("t.id BETWEEN 2 AND 7 OR n IS NULL").await;
    assert!(told.contains("DELETE FROM t WHERE id BETWEEN 2 AND 7 OR n IS NULL"), "{told}");
    assert!(!told.contains("DataSource"), "{told}");
    // A literal is of the widest type, whatever the column is.
    lake.sql("CREATE TABLE small (id INT, day DATE, at TIMESTAMP)").await.unwrap();
    for asked in
        ["id = 2", "id IN (1, 2)", "id > 1 AND id < 5000", "day < '2026-01-01'", "at >= '2026-01-01'"]
    {
        let text = format!("EXPLAIN DELETE FROM lake.public.small WHERE {asked}");
        let told = rows(&ctx, &text).await.join("\n");
        assert!(told.contains(" WHERE ") && !told.contains("DataSource"), "{told}");
    }
    for asked in ["id % 2 = 0", "id > 1 AND n = id", "id IN (SELECT 2)"] {
        let asked = explained(asked).await;
        assert!(asked.contains("DataSource") && !asked.contains(" WHERE "), "{asked}");
    }
}

#[tokio::test]
async fn a_condition_is_never_asked_of_another_table() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2, 3])), ("n", longs([10, 20, 30]))]).await;
    let ctx = session(&lake);
    let delete = ctx.state().create_logical_plan("DELETE FROM lake.public.t WHERE id = 2").await.unwrap();
    let run = async || ctx.execute_logical_plan(delete.clone()).await.unwrap().collect().await;
    run().await.unwrap();
    lake.append("t", batch(&[("id", longs([2, 4])), ("n", longs([21, 40]))])).await.unwrap();
    run().await.unwrap();
    assert_eq!(rows(&ctx, "SELECT id FROM lake.public.t ORDER BY id").await, ["1", "3", "4"]);
    let alter = lake.begin().await.unwrap();
    alter.alter_table("t").rename_column("id", "old").await.unwrap();
    alter.alter_table("t").rename_column("n", "id").await.unwrap();
    alter.commit().await.unwrap();
    let error = run().await.unwrap_err();
    assert_eq!(lake_error(&error).map(strandline::Error::kind), Some(ErrorKind::Conflict), "{error}");
}

#[tokio::test]
async fn conditions_that_are_never_true_delete_nothing() {
    let all = &["1", "2", "3", "4", "5", "6"];
    check("WHERE 1 = 0", all).await;
    check("WHERE false", all).await;
    check("WHERE NULL", all).await;
    check("WHERE id = NULL", all).await;
    check("WHERE id > 1 AND false", all).await;
}

#[tokio::test]
async fn what_changes_no_row_makes_no_version() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2])), ("n", longs([10, 20]))]).await;
    let ctx = session(&lake);
    let version = async || lake.at("main").await.unwrap().version();
    let before = version().await;
    for statement in [
        "DELETE FROM lake.public.t WHERE id > 2",
        "UPDATE lake.public.t SET n = 0 WHERE id > 2",
        "INSERT INTO lake.public.t SELECT id, n FROM lake.public.t WHERE id > 2",
        "MERGE INTO lake.public.t USING (SELECT 7 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE",
    ] {
        assert_eq!(run(&ctx, statement).await.unwrap(), 0, "{statement}");
        assert_eq!(version().await, before, "{statement}");
    }
    run(&ctx, "INSERT OVERWRITE lake.public.t SELECT id, n FROM lake.public.t WHERE id > 2").await.unwrap();
    assert_ne!(version().await, before);
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.public.t").await, ["0"]);
}

#[tokio::test]
async fn subqueries_delete_what_they_say() {
    check("WHERE id IN (SELECT id FROM lake.public.other)", &["1", "4", "5", "6"]).await;
    check("WHERE id NOT IN (SELECT id FROM lake.public.other)", &["2", "3"]).await;
    check("WHERE id > 2 AND id IN (SELECT id FROM lake.public.other)", &["1", "2", "4", "5", "6"]).await;
    check("WHERE EXISTS (SELECT 1 FROM lake.public.other o WHERE o.id = t.id)", &["1", "4", "5", "6"]).await;
    check("WHERE NOT EXISTS (SELECT 1 FROM lake.public.other o WHERE o.id = t.id) OR id = 3", &["2"]).await;
    check("WHERE id = (SELECT max(id) FROM lake.public.t)", &["1", "2", "3", "4", "5"]).await;
    check(
        "WHERE n = (SELECT max(o.id) * 10 FROM lake.public.other o WHERE o.id = t.id)",
        &["1", "4", "5", "6"],
    )
    .await;
    check("WHERE id IN (SELECT id FROM lake.public.other WHERE id > 100)", &["1", "2", "3", "4", "5", "6"])
        .await;
}

#[tokio::test]
async fn what_delete_does_not_have_is_refused() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2]))]).await;
    let ctx = session(&lake);
    let limit = refused(&lake, &ctx, "DELETE FROM lake.public.t WHERE id > 0 LIMIT 1").await;
    assert_kind(&limit, ErrorKind::Unsupported, "LIMIT");
    refused(&lake, &ctx, "DELETE FROM lake.public.t USING lake.public.t AS u WHERE u.id = 1").await;
    refused(&lake, &ctx, "DELETE FROM lake.public.t WHERE id = 1 RETURNING id").await;
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.public.t").await, ["2"]);
}

#[tokio::test]
async fn rows_that_were_deleted_before_are_not_counted_again() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2, 3, 4]))]).await;
    let ctx = session(&lake);
    assert_eq!(run(&ctx, "DELETE FROM lake.public.t WHERE id <= 2").await.unwrap(), 2);
    assert_eq!(run(&ctx, "DELETE FROM lake.public.t WHERE id <= 3").await.unwrap(), 1);
    assert_eq!(run(&ctx, "DELETE FROM lake.public.t").await.unwrap(), 1);
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.public.t").await, ["0"]);
}

#[tokio::test]
async fn a_conflict_keeps_its_kind() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2, 3]))]).await;
    let ctx = session(&lake);
    let late = ctx.sql("DELETE FROM lake.public.t WHERE id = 2").await.unwrap();
    run(&ctx, "UPDATE lake.public.t SET id = 20 WHERE id = 2").await.unwrap();
    let error = late.collect().await.unwrap_err();
    assert_kind(&error, ErrorKind::Conflict, "");
    assert_eq!(rows(&ctx, "SELECT id FROM lake.public.t ORDER BY id").await, ["1", "3", "20"]);
}
