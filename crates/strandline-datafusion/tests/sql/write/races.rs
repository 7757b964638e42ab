//! Statements of several sessions at the same time that put one key in: there is one row of it in the end, and none of them fails.

use futures::future::join_all;
use strandline::ErrorKind;
use strandline_datafusion::{LakeSql, Session, lake_error};

use crate::fixture::Counted;

/// Four sessions, of two processes, run a statement eight times each.
async fn check(key: &str, statement: &str) {
    let counted = Counted::new().await;
    let lake = counted.lake.clone();
    lake.sql(&format!("CREATE TABLE t (id BIGINT NOT NULL{key}, v BIGINT)")).await.unwrap();
    lake.sql("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)").await.unwrap();
    let lakes = [lake.clone(), counted.cold().await, lake, counted.cold().await];
    let sessions = lakes.iter().enumerate().map(|(at, lake)| async move {
        let session = Session::new(lake).unwrap();
        for round in 0..8 {
            let statement = statement.replace("$v", &format!("{}", 100 * (at + 1) + round));
            session.sql(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    });
    join_all(sessions).await;
    let session = Session::new(&counted.cold().await).unwrap();
    let count = async |query: &str| session.sql(query).await.unwrap().count().await.unwrap();
    assert_eq!(count("SELECT id FROM t GROUP BY id HAVING count(*) > 1").await, 0, "{statement}");
    assert_eq!(count("SELECT id FROM t").await, 5, "{statement}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_put_in_once_however_many_do_it_at_the_same_time() {
    check(" PRIMARY KEY", "REPLACE INTO t VALUES (100, $v), (101, $v)").await;
    // Where rows are looked up by ON, it needs no key of the table.
    let merge = "MERGE INTO t USING (VALUES (100, $v), (101, $v)) s(id, v) ON t.id = s.id \
                 WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v)";
    check("", merge).await;
    check("", &format!("{merge} WHEN MATCHED THEN UPDATE SET v = s.v")).await;
}

#[tokio::test]
async fn a_merge_within_a_transaction_collides_with_whoever_adds_its_key() {
    let lake = Counted::new().await.lake;
    lake.sql("CREATE TABLE t (id BIGINT, v BIGINT, f DOUBLE)").await.unwrap();
    for (on, code) in [
        ("t.id = s.id", "keys"),
        ("s.id = t.id AND t.v > 0", "keys"),
        ("CAST(t.id AS INT) = s.id", "keys"),
        ("t.id = s.id AND t.f = s.id", "keys"),
        // What is asked for is not what a column has, so all that came meanwhile may be it.
        ("t.id + 1 = s.id + 1", "read"),
        ("t.f = s.id", "read"),
    ] {
        lake.sql("DELETE FROM t").await.unwrap();
        let session = Session::new(&lake).unwrap();
        let merge = format!(
            "BEGIN; MERGE INTO t USING (VALUES (7, 1)) s(id, v) ON {on} WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v)"
        );
        session.sql(&merge).await.unwrap();
        lake.sql("INSERT INTO t VALUES (7, 2, 7)").await.unwrap();
        let error = session.sql("COMMIT").await.unwrap_err();
        let error = lake_error(&error).unwrap();
        assert_eq!((error.kind(), error.conflicts()[0].code()), (ErrorKind::Conflict, code), "{on}: {error}");
        assert!(code != "keys" || error.message().contains("(id = 7"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_anew_from_itself_beside_appends() {
    let counted = Counted::new().await;
    counted.lake.sql("CREATE TABLE t (id BIGINT)").await.unwrap();
    let other = counted.cold().await;
    let anew = async {
        for _ in 0..4 {
            counted.lake.sql("CREATE OR REPLACE TABLE t AS SELECT id FROM t").await.unwrap();
        }
    };
    let appends = async {
        for id in 0..12 {
            other.sql(&format!("INSERT INTO t VALUES ({id})")).await.unwrap();
        }
    };
    futures::join!(anew, appends);
    assert_eq!(counted.lake.sql("SELECT DISTINCT id FROM t").await.unwrap().count().await.unwrap(), 12);
}
