//! Rows that come into a table: INSERT, OVERWRITE, TRUNCATE.

use std::sync::Arc;

use datafusion::arrow::array::StringArray;
use strandline::ErrorKind;
use strandline::format::{ColumnName, Field, PrimitiveType, Value};

use super::{assert_kind, refused, run};
use crate::fixture::{Counted, longs, rows, session, table};

/// A table with a required column, one with a default, and a check.
async fn orders() -> (strandline::Lake, datafusion::prelude::SessionContext) {
    let lake = Counted::new().await.lake;
    let field = |name: &str, ty: PrimitiveType| Field::optional(ColumnName::new(name).unwrap(), ty);
    let id = Field { required: true, ..field("id", PrimitiveType::Long) };
    let state =
        Field { default: Some(Value::String("open".into())), ..field("state", PrimitiveType::String) };
    let fields = [id, state, field("price", PrimitiveType::Decimal { precision: 9, scale: 2 })];
    let transaction = lake.begin().await.unwrap();
    transaction.create_table("orders").fields(fields).check("positive", "price > 0").await.unwrap();
    transaction.commit().await.unwrap();
    let ctx = session(&lake);
    (lake, ctx)
}

#[tokio::test]
async fn an_insert_appends_and_tells_its_count() {
    let (lake, ctx) = orders().await;
    let before = lake.at("main").await.unwrap().version().0;
    let count =
        run(&ctx, "INSERT INTO lake.public.orders VALUES (1, 'done', 1.50), (2, NULL, 2)").await.unwrap();
    assert_eq!(count, 2);
    assert_eq!(lake.at("main").await.unwrap().version().0, before + 1);
    assert_eq!(rows(&ctx, "SELECT * FROM lake.public.orders ORDER BY id").await, ["1 done 1.50", "2  2.00"]);
}

#[tokio::test]
async fn columns_that_are_left_out_get_their_default() {
    let (_, ctx) = orders().await;
    run(&ctx, "INSERT INTO lake.public.orders (price, id) VALUES (7, 3)").await.unwrap();
    assert_eq!(rows(&ctx, "SELECT * FROM lake.public.orders").await, ["3 open 7.00"]);
}

#[tokio::test]
async fn a_table_can_be_inserted_into_itself() {
    let (_, ctx) = orders().await;
    run(&ctx, "INSERT INTO lake.public.orders (id) VALUES (1), (2)").await.unwrap();
    run(&ctx, "INSERT INTO lake.public.orders SELECT id + 10, state, price FROM lake.public.orders")
        .await
        .unwrap();
    assert_eq!(rows(&ctx, "SELECT id FROM lake.public.orders ORDER BY id").await, ["1", "2", "11", "12"]);
}

#[tokio::test]
async fn rows_that_break_a_rule_of_the_table_leave_nothing() {
    let (lake, ctx) = orders().await;
    let null = refused(&lake, &ctx, "INSERT INTO lake.public.orders (price) VALUES (1)").await;
    assert_kind(&null, ErrorKind::InvalidInput, "id");
    let null = refused(&lake, &ctx, "INSERT INTO lake.public.orders VALUES (NULL, 'x', 1)").await;
    assert_kind(&null, ErrorKind::InvalidInput, "id");
    let check = refused(&lake, &ctx, "INSERT INTO lake.public.orders VALUES (1, 'x', 5), (2, 'x', -5)").await;
    assert_kind(&check, ErrorKind::InvalidInput, "positive");
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.public.orders").await, ["0"]);
}

#[tokio::test]
async fn values_of_other_types_are_refused_unless_they_fit() {
    let (lake, ctx) = orders().await;
    table(&lake, "wild", &[("name", Arc::new(StringArray::from(vec!["abc"])))]).await;
    let check = async |sql: &str, says: &str| {
        let error = refused(&lake, &ctx, sql).await;
        assert_kind(&error, ErrorKind::InvalidInput, says);
    };
    check("INSERT INTO lake.public.orders (id) SELECT true", "id").await;
    check("INSERT INTO lake.public.orders (id) VALUES (true)", "id").await;
    check("INSERT INTO lake.public.orders (id) SELECT 1.5", "round it").await;
    check("INSERT INTO lake.public.orders (id) VALUES (1.5)", "round it").await;
    run(&ctx, "INSERT INTO lake.public.orders (id) VALUES ('5'), (6.0)").await.unwrap();
    run(&ctx, "INSERT INTO lake.public.orders (id) SELECT CAST(1.5 AS BIGINT)").await.unwrap();
    let unread =
        refused(&lake, &ctx, "INSERT INTO lake.public.orders (id) SELECT name FROM lake.public.wild").await;
    assert!(unread.to_string().contains("abc"), "{unread}");
    let too_many = refused(&lake, &ctx, "INSERT INTO lake.public.orders SELECT 1").await;
    assert!(too_many.to_string().contains("Column count"), "{too_many}");
    let unknown = refused(&lake, &ctx, "INSERT INTO lake.public.orders (nr) VALUES (1)").await;
    assert!(unknown.to_string().contains("nr"), "{unknown}");
}

#[tokio::test]
async fn overwrite_replaces_all_rows_even_by_some_of_their_own() {
    let (_, ctx) = orders().await;
    run(&ctx, "INSERT INTO lake.public.orders (id) VALUES (1), (2), (3)").await.unwrap();
    let count =
        run(&ctx, "INSERT OVERWRITE lake.public.orders SELECT * FROM lake.public.orders WHERE id > 1")
            .await
            .unwrap();
    assert_eq!(count, 2);
    assert_eq!(rows(&ctx, "SELECT id FROM lake.public.orders ORDER BY id").await, ["2", "3"]);
}

#[tokio::test]
async fn truncate_leaves_no_row_and_tells_how_many_there_were() {
    let (lake, ctx) = orders().await;
    run(&ctx, "INSERT INTO lake.public.orders (id) VALUES (1), (2), (3)").await.unwrap();
    assert_eq!(run(&ctx, "TRUNCATE TABLE lake.public.orders").await.unwrap(), 3);
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.public.orders").await, ["0"]);
    assert_eq!(lake.table("orders").await.unwrap().rows(), 0);
}

#[tokio::test]
async fn many_rows_from_several_partitions_come_in_whole() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([]))]).await;
    let ctx = session(&lake);
    let count = run(&ctx, "INSERT INTO lake.public.t SELECT value FROM range(0, 300000)").await.unwrap();
    assert_eq!(count, 300_000);
    assert_eq!(
        rows(&ctx, "SELECT count(*), min(id), max(id), count(DISTINCT id) FROM lake.public.t").await,
        ["300000 0 299999 300000"]
    );
}

#[tokio::test]
async fn an_insert_into_a_past_version_is_refused() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1]))]).await;
    let old = lake.at("main").await.unwrap();
    lake.append("t", crate::fixture::batch(&[("id", longs([2]))])).await.unwrap();
    let ctx = session(&lake);
    let pinned = lake.at(format!("v{}", old.version().0)).await.unwrap();
    let catalog =
        strandline_datafusion::LakeCatalog::new(lake.clone(), strandline_datafusion::At::Ref(pinned));
    ctx.register_catalog("old", catalog);
    for sql in [
        "INSERT INTO old.public.t VALUES (3)",
        "TRUNCATE TABLE old.public.t",
        "DELETE FROM old.public.t WHERE id = 1",
        "UPDATE old.public.t SET id = 5",
    ] {
        let error = refused(&lake, &ctx, sql).await;
        assert_kind(&error, ErrorKind::InvalidInput, "not the head of a branch");
    }
}

#[tokio::test]
async fn explain_writes_nothing() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2]))]).await;
    let ctx = session(&lake);
    let before = lake.at("main").await.unwrap().version();
    for (sql, said) in [
        ("INSERT INTO lake.public.t VALUES (3)", "INSERT INTO t"),
        ("INSERT OVERWRITE lake.public.t VALUES (3)", "INSERT OVERWRITE t"),
        ("TRUNCATE TABLE lake.public.t", "TRUNCATE t"),
        ("DELETE FROM lake.public.t", "DELETE FROM t"),
        ("DELETE FROM lake.public.t WHERE id = 1", "DELETE FROM t"),
        ("UPDATE lake.public.t SET id = 5", "UPDATE t"),
        (
            "MERGE INTO lake.public.t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN DELETE",
            "MERGE INTO t",
        ),
    ] {
        let text = rows(&ctx, &format!("EXPLAIN {sql}")).await.join("\n");
        for part in [format!("table=[{said}]"), format!("DataSinkExec: sink={said}")] {
            assert!(text.contains(&part), "{part}: {text}");
        }
        let error = run(&ctx, &format!("EXPLAIN ANALYZE {sql}")).await.unwrap_err();
        assert_kind(&error, ErrorKind::Unsupported, "EXPLAIN ANALYZE");
    }
    assert_eq!(lake.at("main").await.unwrap().version(), before);
}
