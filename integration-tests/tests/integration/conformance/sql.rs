//! A lake in SQL: what one session writes another one reads, on whatever store it lies.

use strandline::Lake;
use strandline::arrow::array::{AsArray, RecordBatch};
use strandline::arrow::datatypes::Int64Type;
use strandline_datafusion::Session;

use super::Site;
use super::rows::{self, Row};
use crate::lake;

/// Tables are made and written, read as they were, changed on a branch, and merged.
pub(super) fn round(site: &Site) {
    lake::run(async {
        let lake =
            Lake::create(&site.place.location).storage(site.place.how(Default::default())).await.unwrap();
        let (one, other) =
            (Session::new(&lake).unwrap(), Session::new(&rows::open(&site.place).await).unwrap());
        write(&one).await;
        past(&other).await;
        merge(&one, &other).await;
    });
}

/// Every version is a transaction of its own.
async fn write(session: &Session) {
    // 1
    run(session, "CREATE TABLE t (id BIGINT NOT NULL, v BIGINT) CLUSTER BY (id)").await;
    // 2: rows and the table that they belong to in one.
    run(
        session,
        "BEGIN; CREATE TABLE u (id BIGINT NOT NULL, v BIGINT); INSERT INTO u VALUES (7, 70); \
         INSERT INTO t VALUES (1, 10), (2, 20), (3, 30); COMMIT",
    )
    .await;
    // 3
    run(session, "UPDATE t SET v = v + 1 WHERE id > 1").await;
    // 4
    run(
        session,
        "MERGE INTO t USING (VALUES (3, 300), (4, 400)) AS s(id, v) ON t.id = s.id \
         WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v)",
    )
    .await;
    // 5
    run(session, "DELETE FROM t WHERE id IN (SELECT id FROM t WHERE v < 20)").await;
    // 6
    run(session, "INSERT INTO u SELECT id, v FROM t VERSION AS OF 2 WHERE id = 1").await;
}

/// As another one sees it, with nothing at hand.
async fn past(session: &Session) {
    let versions: [(u32, &[Row]); 5] = [
        (1, &[]),
        (2, &[(1, 10), (2, 20), (3, 30)]),
        (3, &[(1, 10), (2, 21), (3, 31)]),
        (4, &[(1, 10), (2, 21), (3, 300), (4, 400)]),
        (6, &[(2, 21), (3, 300), (4, 400)]),
    ];
    for (version, expected) in versions {
        let found = read(session, &format!("SELECT id, v FROM t VERSION AS OF {version} ORDER BY id")).await;
        assert_eq!(found, expected, "version {version}");
    }
    assert_eq!(read(session, "SELECT id, v FROM u ORDER BY id").await, [(1, 10), (7, 70)]);
    // What metadata and statistics answer, and what has to be read for it.
    assert_eq!(read(session, "SELECT count(*), max(v) FROM t").await, [(3, 400)]);
    let joined =
        "SELECT t.id, sum(u.v) FROM t JOIN u VERSION AS OF 2 AS u ON u.id > t.id GROUP BY t.id ORDER BY t.id";
    assert_eq!(read(session, joined).await, [(2, 70), (3, 70), (4, 70)]);
}

/// What both have changed comes together, row by row, and both see it.
async fn merge(one: &Session, other: &Session) {
    run(one, "CREATE BRANCH dev").await;
    run(other, "USE BRANCH dev; UPDATE t SET v = 0 WHERE id = 2; INSERT INTO t VALUES (5, 500)").await;
    run(one, "DELETE FROM t WHERE id = 4").await;
    assert_eq!(read(one, "SELECT id, v FROM t ORDER BY id").await, [(2, 21), (3, 300)]);
    run(one, "MERGE BRANCH dev; DROP BRANCH dev").await;
    let merged = [(2, 0), (3, 300), (5, 500)];
    run(other, "USE BRANCH main").await;
    for session in [one, other] {
        assert_eq!(read(session, "SELECT id, v FROM t ORDER BY id").await, merged);
    }
}

async fn run(session: &Session, text: &str) -> Vec<RecordBatch> {
    let frame = session.sql(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    frame.collect().await.unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The rows of a query for two numbers.
async fn read(session: &Session, text: &str) -> Vec<Row> {
    let batches = run(session, text).await;
    let column =
        |batch: &RecordBatch, at: usize| batch.column(at).as_primitive::<Int64Type>().values().to_vec();
    batches.iter().flat_map(|batch| column(batch, 0).into_iter().zip(column(batch, 1))).collect()
}
