//! Statements that only a session of ours understands, or understands rightly.

use strandline::ErrorKind;
use strandline_datafusion::Session;

use super::assert_kind;
use crate::fixture::{Counted, rows};

async fn fresh() -> Session {
    let session = Session::new(&Counted::new().await.lake).unwrap();
    session.sql("CREATE TABLE t (id BIGINT, n BIGINT DEFAULT 7, name VARCHAR)").await.unwrap();
    session.sql("INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b')").await.unwrap();
    session
}

pub(super) async fn shown(session: &Session) -> Vec<String> {
    rows(session.context(), "SELECT * FROM t ORDER BY id").await
}

pub(super) async fn check_refused(session: &Session, sql: &str, kind: ErrorKind, says: &str) {
    let before = shown(session).await;
    let error = session.sql(sql).await.expect_err(sql);
    assert_kind(&error, kind, says);
    assert_eq!(shown(session).await, before, "{sql}");
}

#[tokio::test]
async fn stars_stand_for_the_columns_of_the_table() {
    let session = fresh().await;
    let source = "(VALUES ('z', 2, 200), ('y', 3, 300)) AS s (name, id, n)";
    let merge = format!("MERGE INTO t USING {source} ON t.id = s.id");
    session
        .sql(&format!("{merge} WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"))
        .await
        .unwrap();
    assert_eq!(shown(&session).await, ["1 10 a", "2 200 z", "3 300 y"]);
    session
        .sql("MERGE INTO t USING (SELECT 4 AS id) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) *")
        .await
        .unwrap_err();
    session
        .sql("MERGE INTO t USING (SELECT 4 AS id) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)")
        .await
        .unwrap();
    assert_eq!(shown(&session).await[3], "4 7", "the default of n");
    let missing = session
        .sql("MERGE INTO t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET *")
        .await
        .unwrap_err();
    assert!(missing.to_string().contains("s.n"), "{missing}");
    let nameless = "MERGE INTO t USING (SELECT 1 AS id, 2 AS n, 'x' AS name) ON t.id = id WHEN MATCHED THEN UPDATE SET *";
    check_refused(&session, nameless, ErrorKind::InvalidInput, "name for the source").await;
}

#[tokio::test]
async fn a_column_is_assigned_to_once_and_as_a_whole() {
    let session = fresh().await;
    check_refused(&session, "UPDATE t SET n = 1, n = 2", ErrorKind::InvalidInput, "twice").await;
    check_refused(&session, "UPDATE t SET n = 1, N = 2", ErrorKind::InvalidInput, "twice").await;
    check_refused(&session, "UPDATE t SET name.n = 2", ErrorKind::Unsupported, "nested").await;
    check_refused(&session, "UPDATE t AS u SET t.n = 2", ErrorKind::Unsupported, "nested").await;
    check_refused(&session, "UPDATE t SET (n, id) = (1, 2)", ErrorKind::Unsupported, "one by one").await;
    session.sql("UPDATE t SET T.N = n + 1 WHERE ID = 1").await.unwrap();
    session.sql("UPDATE lake.public.t AS u SET u.N = u.n + 1 WHERE u.id = 2").await.unwrap();
    assert_eq!(shown(&session).await, ["1 11 a", "2 21 b"]);
}

#[tokio::test]
async fn a_transaction_reads_what_it_has_changed() {
    let session = fresh().await;
    session.sql("BEGIN").await.unwrap();
    session.sql("UPDATE t SET n = n + 1").await.unwrap();
    session.sql("DELETE FROM t WHERE n = 11").await.unwrap();
    session.sql("INSERT INTO t VALUES (3, 30, 'c')").await.unwrap();
    session
        .sql("MERGE INTO t USING (SELECT id, n FROM t) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = s.n * 2")
        .await
        .unwrap();
    assert_eq!(shown(&session).await, ["2 42 b", "3 60 c"]);
    session.sql("UPDATE t SET n = 0 WHERE id = 3").await.unwrap();
    session.sql("ROLLBACK").await.unwrap();
    assert_eq!(shown(&session).await, ["1 10 a", "2 20 b"]);
    session
        .sql("BEGIN; UPDATE t SET n = n + 1; UPDATE t SET n = n + 1; DELETE FROM t WHERE id = 2; COMMIT")
        .await
        .unwrap();
    assert_eq!(shown(&session).await, ["1 12 a"]);
}

#[tokio::test]
async fn replace_into_takes_the_place_of_rows_with_the_same_key() {
    let session = Session::new(&Counted::new().await.lake).unwrap();
    session.sql("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)").await.unwrap();
    session.sql("INSERT INTO t VALUES (1, 10), (2, 20)").await.unwrap();
    session.sql("REPLACE INTO t VALUES (2, 200), (3, 300)").await.unwrap();
    assert_eq!(shown(&session).await, ["1 10", "2 200", "3 300"]);
    check_refused(&session, "REPLACE INTO t VALUES (5, 1), (5, 2)", ErrorKind::InvalidInput, "5").await;
}
