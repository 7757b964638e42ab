//! `CREATE EXTERNAL TABLE … STORED AS STRANDLINE`.

use datafusion::prelude::SessionContext;
use strandline::{ErrorKind, Lake};
use strandline_datafusion::{Session, lake_error};

use crate::fixture::{batch, longs, rows, table};

#[tokio::test]
async fn a_table_of_a_lake_is_an_external_table_that_follows_its_branch() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().to_str().unwrap().to_owned();
    let lake = Lake::create(url.clone()).await.unwrap();
    table(&lake, "sales.orders", &[("id", longs([1, 2]))]).await;
    let ctx = SessionContext::new();
    strandline_datafusion::prepare(&ctx).unwrap();
    let create = format!("CREATE EXTERNAL TABLE o STORED AS STRANDLINE LOCATION '{url}#sales.orders'");
    ctx.sql(&create).await.unwrap();
    assert_eq!(rows(&ctx, "SELECT sum(id) FROM o").await, ["3"]);
    lake.append("sales.orders", batch(&[("id", longs([10]))])).await.unwrap();
    assert_eq!(rows(&ctx, "SELECT sum(id) FROM o").await, ["13"]);
}

#[tokio::test]
async fn what_only_the_lake_can_say_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().to_str().unwrap().to_owned();
    let lake = Lake::create(url.clone()).await.unwrap();
    table(&lake, "orders", &[("id", longs([1, 2]))]).await;
    let ctx = SessionContext::new();
    strandline_datafusion::prepare(&ctx).unwrap();
    let check = async |rest: String, kind| {
        let error = ctx.sql(&format!("CREATE EXTERNAL TABLE o {rest}")).await.unwrap_err();
        assert_eq!(lake_error(&error).map(strandline::Error::kind), Some(kind), "{error}");
    };
    check(format!("(id INT) STORED AS STRANDLINE LOCATION '{url}#orders'"), ErrorKind::InvalidInput).await;
    check(format!("STORED AS STRANDLINE LOCATION '{url}'"), ErrorKind::InvalidInput).await;
    check(format!("STORED AS STRANDLINE LOCATION '{url}#ordres'"), ErrorKind::NotFound).await;
    check(format!("STORED AS STRANDLINE LOCATION '{url}-not#orders'"), ErrorKind::NotFound).await;
}

#[tokio::test]
async fn an_external_table_is_not_written_to_beside_an_open_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().to_str().unwrap().to_owned();
    let lake = Lake::create(url.clone()).await.unwrap();
    table(&lake, "orders", &[("id", longs([1, 2]))]).await;
    let session = Session::new(&lake).unwrap();
    let create =
        format!("CREATE EXTERNAL TABLE datafusion.public.o STORED AS STRANDLINE LOCATION '{url}#orders'");
    session.sql(&create).await.unwrap();
    session.sql("BEGIN").await.unwrap();
    for sql in ["INSERT INTO datafusion.public.o VALUES (3)", "DELETE FROM datafusion.public.o WHERE id = 1"]
    {
        let error = session.sql(sql).await.unwrap_err();
        assert_eq!(lake_error(&error).map(strandline::Error::kind), Some(ErrorKind::InvalidInput), "{error}");
    }
    session.sql("INSERT INTO orders VALUES (4); ROLLBACK").await.unwrap();
    session.sql("INSERT INTO datafusion.public.o VALUES (5)").await.unwrap();
    assert_eq!(rows(session.context(), "SELECT sum(id) FROM orders").await, ["8"]);
}

#[tokio::test]
async fn an_external_table_is_of_a_version_and_can_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().to_str().unwrap().to_owned();
    let lake = Lake::create(url.clone()).await.unwrap();
    table(&lake, "sales.orders", &[("id", longs([1, 2]))]).await;
    lake.create_branch("dev").from("main").await.unwrap();
    lake.append("sales.orders", batch(&[("id", longs([10]))])).await.unwrap();
    let session = Session::new(&lake).unwrap();
    for (name, at) in [("first", "@v1"), ("dev", "@dev"), ("before", "@main~1"), ("files", "$files")] {
        let create = format!(
            "CREATE EXTERNAL TABLE datafusion.public.{name} STORED AS STRANDLINE LOCATION '{url}#sales.orders{at}'"
        );
        session.sql(&create).await.unwrap();
    }
    let sums = "SELECT (SELECT sum(id) FROM datafusion.public.first), (SELECT sum(id) FROM datafusion.public.dev), \
        (SELECT sum(id) FROM datafusion.public.before), (SELECT count(*) FROM datafusion.public.files)";
    let ask = async || session.sql(sums).await.unwrap().collect().await.unwrap();
    let shown = |batches: Vec<_>| {
        datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string()
    };
    assert!(shown(ask().await).contains("| 3 "), "{}", shown(ask().await));
    let dev = Session::of(&lake.at("dev").await.unwrap()).unwrap();
    dev.sql("INSERT INTO sales.orders VALUES (100)").await.unwrap();
    lake.append("sales.orders", batch(&[("id", longs([20]))])).await.unwrap();
    let line = shown(ask().await).lines().nth(3).unwrap().split_whitespace().collect::<String>();
    assert_eq!(line, "|3|103|13|3|");
    let error = session.sql("INSERT INTO datafusion.public.first VALUES (3)").await.unwrap_err();
    assert!(lake_error(&error).is_some(), "{error}");
    session.sql("DROP TABLE datafusion.public.first, datafusion.public.files").await.unwrap();
    let error = session.sql("DROP TABLE datafusion.public.first").await.unwrap_err();
    assert_eq!(lake_error(&error).map(strandline::Error::kind), Some(ErrorKind::NotFound), "{error}");
    session.sql("DROP TABLE IF EXISTS datafusion.public.first").await.unwrap();
    session.sql("CREATE TABLE first (id INT)").await.unwrap();
    let error = session.sql("DROP TABLE datafusion.public.dev, first").await.unwrap_err();
    assert_eq!(lake_error(&error).map(strandline::Error::kind), Some(ErrorKind::Unsupported), "{error}");
}
