//! Versions by time: every form of SQL that names one, asked for a time between two versions.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline::storage::{ObjectOptions, Storage, StoreLocation};
use strandline::{Lake, Runtime};
use strandline_datafusion::Session;
use strandline_testkit::VirtualClock;

use crate::fixture::lines;

/// A lake with a version at each full hour: t is made at 0, and has a row more at 1, 2 and 3.
async fn hourly() -> Session {
    let clock = VirtualClock::at("2026-01-02T00:00:00.000000Z".parse().unwrap());
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let location = StoreLocation::parse("memory://hourly").unwrap();
    let runtime = Runtime::system().with_clock(clock.clone());
    let storage =
        Storage::from_stores(location, Arc::clone(&store), store, ObjectOptions::default(), runtime);
    let session = Session::new(&Lake::create_in(storage).await.unwrap()).unwrap();
    session.sql("CREATE TABLE t (id INT)").await.unwrap();
    for id in 1..=3 {
        clock.advance(Duration::from_secs(3600)).unwrap();
        session.sql(&format!("INSERT INTO t VALUES ({id})")).await.unwrap();
    }
    session
}

async fn answer(session: &Session, sql: &str) -> Vec<String> {
    lines(&session.sql(sql).await.unwrap().collect().await.unwrap())
}

#[tokio::test]
async fn every_form_of_a_time_reads_the_version_of_that_time() {
    let session = hourly().await;
    let forms = [
        "t TIMESTAMP AS OF '2026-01-02T02:30:00Z'",
        "t TIMESTAMP AS OF '2026-01-02 02:30:00'",
        "t TIMESTAMP AS OF TIMESTAMP '2026-01-02 02:30:00'",
        "t TIMESTAMP AS OF (to_timestamp('2026-01-02T03:30:00') - INTERVAL '1 hour')",
        "t FOR TIMESTAMP AS OF '2026-01-02T02:30:00Z'",
        "t FOR SYSTEM_TIME AS OF '2026-01-02T02:30:00Z'",
        "t FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-02 02:30:00'",
        "t AT (TIMESTAMP => '2026-01-02T02:30:00Z')",
        "t AT (TIMESTAMP => TIMESTAMP '2026-01-02 02:30:00')",
        "t VERSION AS OF '2026-01-02T02:30:00Z'",
        "\"t@2026-01-02T02:30:00Z\"",
        "\"t@main@{2026-01-02T02:30:00Z}\"",
    ];
    for form in forms {
        assert_eq!(answer(&session, &format!("SELECT sum(id) FROM {form}")).await, ["3"], "{form}");
    }
    // On the hour, a version is there; before the first, none is.
    let at = async |time: &str| answer(&session, &format!("SELECT count(*) FROM \"t@{time}\"")).await;
    assert_eq!(at("2026-01-02T01:00:00Z").await, ["1"]);
    assert_eq!(at("2026-01-02T00:59:59Z").await, ["0"]);
    assert!(session.sql("SELECT * FROM t TIMESTAMP AS OF '2025-01-01T00:00:00Z'").await.is_err());
}

#[tokio::test]
async fn a_time_means_the_same_wherever_a_table_stands() {
    let session = hourly().await;
    const PAST: &str = "t TIMESTAMP AS OF '2026-01-02T01:30:00Z'";
    let joined =
        format!("SELECT now.id, past.id FROM t AS now LEFT JOIN {PAST} AS past USING (id) ORDER BY 1");
    assert_eq!(answer(&session, &joined).await, ["1 1", "2", "3"]);
    let within = format!("SELECT count(*) FROM t WHERE id NOT IN (SELECT id FROM {PAST})");
    assert_eq!(answer(&session, &within).await, ["2"]);
    session.sql(&format!("CREATE VIEW then AS SELECT id FROM {PAST}")).await.unwrap();
    assert_eq!(answer(&session, "SELECT * FROM then").await, ["1"]);
    session.sql(&format!("CREATE TABLE copied AS SELECT id + 10 AS id FROM {PAST}")).await.unwrap();
    session.sql(&format!("INSERT INTO copied SELECT id FROM {PAST}")).await.unwrap();
    assert_eq!(answer(&session, "SELECT id FROM copied ORDER BY id").await, ["1", "11"]);
    let changes = "SELECT id FROM table_changes('t', '2026-01-02T01:30:00Z', '2026-01-02T02:30:00Z')";
    assert_eq!(answer(&session, changes).await, ["2"]);
}
