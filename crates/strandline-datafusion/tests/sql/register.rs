//! A lake as a catalog of a session that knows nothing else of lakes.

use strandline_datafusion::LakeSql;

use crate::fixture::{Counted, batch, longs, rows, session, table};

#[tokio::test]
async fn a_registered_lake_is_a_catalog_of_schemas() {
    let lake = Counted::new().await.lake;
    table(&lake, "orders", &[("id", longs([1, 2, 3]))]).await;
    table(&lake, "sales.orders", &[("id", longs([4]))]).await;
    table(&lake, "sales.eu.orders", &[("id", longs([5, 6]))]).await;
    let ctx = session(&lake);
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.public.orders").await, ["3"]);
    assert_eq!(rows(&ctx, "SELECT id FROM lake.sales.orders").await, ["4"]);
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.\"sales.eu\".ORDERS").await, ["2"]);
    let catalog = ctx.catalog("lake").unwrap();
    assert_eq!(catalog.schema_names(), ["public", "sales", "sales.eu"]);
    assert_eq!(catalog.schema("sales.eu").unwrap().table_names(), ["orders"]);
    assert!(catalog.schema("public").unwrap().table_exist("Orders"));
}

#[tokio::test]
async fn each_query_sees_the_present_state() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1]))]).await;
    let ctx = session(&lake);
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.public.t").await, ["1"]);
    lake.append("t", batch(&[("id", longs([2, 3]))])).await.unwrap();
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.public.t").await, ["3"]);
}

#[tokio::test]
async fn a_table_that_is_not_there_is_an_error() {
    let ctx = session(&Counted::new().await.lake);
    let error = ctx.sql("SELECT * FROM lake.public.missing").await.unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

#[tokio::test]
async fn times_of_all_years_are_compared_in_a_session_of_ones_own() {
    let lake = Counted::new().await.lake;
    lake.sql("CREATE TABLE t (k INT, ts TIMESTAMP, d DATE)").await.unwrap();
    lake.sql("INSERT INTO t VALUES (1, '2024-01-31', '9999-12-31'), (2, '9999-12-31', '2024-02-01')")
        .await
        .unwrap();
    let ctx = session(&lake);
    for condition in [
        "ts BETWEEN TIMESTAMP '2024-01-01' AND TIMESTAMP '9999-12-30'",
        "ts IN (TIMESTAMP '2024-01-31', TIMESTAMP '9999-12-30')",
        "d > now()",
        "ts < d AND d <> TIMESTAMP '2024-02-01'",
    ] {
        let sql = format!("SELECT k FROM lake.public.t WHERE {condition}");
        assert_eq!(rows(&ctx, &sql).await, ["1"], "{condition}");
    }
}
