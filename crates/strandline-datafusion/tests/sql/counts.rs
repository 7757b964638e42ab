//! How many requests a query takes, and how many of them wait for each other.

use datafusion::prelude::{SessionConfig, SessionContext};
use strandline_datafusion::{LakeSql, Session};
use strandline_testkit::{PathClass, RequestKind};

use crate::fixture::{Counted, batch, lines, longs, noise, paused, rows, session, table};

#[test]
fn a_cold_query_of_a_small_table_is_at_most_four_requests_deep() {
    paused(async {
        let counted = Counted::new().await;
        table(&counted.lake, "t", &[("id", longs(0..100))]).await;
        let query = async {
            let lake = counted.cold().await;
            rows(&session(&lake), "SELECT sum(id) FROM lake.public.t").await
        };
        let (found, counts) = counted.store.measure(query).await;
        assert_eq!(found, ["4950"]);
        assert!(counts.depth() <= 4, "{counts}");
        assert_eq!(counts.of_to(RequestKind::Get, PathClass::Data).requests, 1, "{counts}");
    });
}

#[test]
fn a_statement_over_several_tables_asks_for_the_head_once() {
    paused(async {
        let counted = Counted::new().await;
        for name in ["a", "b", "c"] {
            table(&counted.lake, name, &[("id", longs(0..10))]).await;
        }
        let session = Session::new(&counted.cold().await).unwrap();
        let sql =
            "SELECT count(*) FROM a, b, c WHERE a.id = b.id AND b.id = c.id AND a.id IN (SELECT id FROM a)";
        for _ in 0..2 {
            let query = async { session.sql(sql).await.unwrap().collect().await.unwrap() };
            let (found, counts) = counted.store.measure(query).await;
            assert_eq!(lines(&found), ["10"]);
            assert_eq!(counts.to(PathClass::Pointer).requests, 1, "{counts}");
        }
    });
}

/// A table of this many files, each of ten rows.
async fn many_files(counted: &Counted, files: i64) {
    table(&counted.lake, "t", &[("id", longs(0..10)), ("even", longs((0..10).map(|id| id * 2)))]).await;
    let transaction = counted.lake.begin().await.unwrap();
    for file in 1..files {
        let ids = || file * 10..file * 10 + 10;
        let batch = batch(&[("id", longs(ids())), ("even", longs(ids().map(|id| id * 2)))]);
        transaction.append("t", batch).await.unwrap();
        // Reading one's own writes ends a file.
        transaction.table("t").await.unwrap();
    }
    transaction.commit().await.unwrap();
    assert_eq!(counted.lake.table("t").await.unwrap().totals().files, u64::try_from(files).unwrap());
}

#[test]
fn counts_and_extremes_open_no_data_file() {
    paused(async {
        let counted = Counted::new().await;
        many_files(&counted, 300).await;
        let lake = counted.cold().await;
        let query = async {
            rows(&session(&lake), "SELECT count(*), count(id), min(id), max(even) FROM lake.public.t").await
        };
        let (found, counts) = counted.store.measure(query).await;
        assert_eq!(found, ["3000 3000 0 5998"]);
        assert_eq!(counts.to(PathClass::Data).requests, 0, "{counts}");
    });
}

#[test]
fn one_file_of_many_takes_six_requests_cold() {
    paused(async {
        let counted = Counted::new().await;
        many_files(&counted, 300).await;
        let query = async {
            let lake = counted.cold().await;
            rows(&session(&lake), "SELECT even FROM lake.public.t WHERE id = 1234").await
        };
        let (found, counts) = counted.store.measure(query).await;
        assert_eq!(found, ["2468"]);
        assert!(counts.total().requests <= 6, "{counts}");
        assert_eq!(counts.to(PathClass::Data).requests, 1, "{counts}");
    });
}

#[test]
fn a_row_is_found_by_its_id_without_a_scan() {
    paused(async {
        let counted = Counted::new().await;
        many_files(&counted, 300).await;
        let change = counted.lake.begin().await.unwrap();
        change.update("t", strandline::filter::col("id").eq(1234)).set("even", -1).await.unwrap();
        change.commit().await.unwrap();
        // One of a row in its place, and one of a row that moved to another file, whose old place nobody looks at.
        for (id, expected) in [(1235, "1235 2470"), (1234, "1234 -1")] {
            let sql = format!("SELECT id, even FROM lake.public.\"t$rows\" WHERE _row_id = {id} AND id > 0");
            let query = async {
                let lake = counted.cold().await;
                rows(&session(&lake), &sql).await
            };
            let (found, counts) = counted.store.measure(query).await;
            assert_eq!(found, [expected]);
            assert!(counts.total().requests <= 6, "{counts}");
            assert_eq!(counts.to(PathClass::Data).requests, 1, "{counts}");
        }
        let sql = "SELECT count(*) FROM lake.public.\"t$rows\" WHERE _row_id IN (1, 1234, 2999, 3000, 70000) OR _row_id < 1";
        let (found, counts) = counted.store.measure(rows(&session(&counted.cold().await), sql)).await;
        assert_eq!(found, ["4"]);
        assert_eq!(counts.to(PathClass::Data).requests, 3, "{counts}");
    });
}

#[test]
fn footers_are_read_once() {
    paused(async {
        let counted = Counted::new().await;
        table(&counted.lake, "t", &[("id", longs(0..400_000)), ("noise", noise(400_000))]).await;
        let lake = counted.cold().await;
        let ctx = session(&lake);
        let query = || rows(&ctx, "SELECT avg(noise) FROM lake.public.t");
        let (_, first) = counted.store.measure(query()).await;
        let (_, second) = counted.store.measure(query()).await;
        let data = |counts: &strandline_testkit::Counts| counts.to(PathClass::Data).requests;
        assert_eq!(data(&first), data(&second) + 1, "{first}\n{second}");
    });
}

#[test]
fn what_there_is_is_told_without_a_look_at_each_table() {
    paused(async {
        let counted = Counted::new().await;
        // Wider than what a pointer brings along of tables.
        let names: Vec<String> = (0..100).map(|at| format!("a_column_with_a_long_name_{at}")).collect();
        let columns: Vec<_> = names.iter().map(|name| (name.as_str(), longs([]))).collect();
        let schema = batch(&columns).schema();
        let transaction = counted.lake.begin().await.unwrap();
        for at in 0..30 {
            transaction
                .create_table(format!("s{}.t{at}", at % 6))
                .with_namespaces()
                .like(&schema)
                .await
                .unwrap();
        }
        transaction.commit().await.unwrap();
        let text = "SELECT count(*), count(DISTINCT table_schema) FROM information_schema.tables WHERE table_schema LIKE 's%'";
        let session = Session::new(&counted.cold().await).unwrap();
        let listed = async { lines(&session.sql(text).await.unwrap().collect().await.unwrap()) };
        let (found, counts) = counted.store.measure(listed).await;
        assert_eq!(found, ["30 6"]);
        assert!(counts.total().requests <= 4, "{counts}");
        // In a session that knows nothing else of lakes as well, and what is committed after is seen.
        let ctx = SessionContext::new_with_config(SessionConfig::new().with_information_schema(true));
        strandline_datafusion::register(&ctx, "lake", &counted.cold().await).unwrap();
        let (found, counts) = counted.store.measure(rows(&ctx, text)).await;
        assert_eq!(found, ["30 6"]);
        assert!(counts.total().requests <= 4, "{counts}");
        counted.lake.sql("CREATE TABLE s1.more AS SELECT 1 AS id").await.unwrap();
        assert_eq!(rows(&ctx, text).await, ["31 6"]);
        let columns = "SELECT count(*) FROM information_schema.columns WHERE table_schema LIKE 's%'";
        assert_eq!(rows(&ctx, columns).await, ["3001"]);
    });
}
