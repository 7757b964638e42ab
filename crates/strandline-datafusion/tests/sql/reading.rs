//! What a scan spares: sorting what is sorted, row groups, pages and files that cannot matter, and what comes after a limit.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::prelude::{SessionConfig, SessionContext};
use strandline::Lake;
use strandline_datafusion::Session;
use strandline_testkit::PathClass;

use crate::fixture::{Counted, batch, longs, noise, paused, rows, session, table};

/// A session with settings of its own.
fn session_with(lake: &Lake, config: SessionConfig) -> SessionContext {
    let ctx = SessionContext::new_with_config(config);
    strandline_datafusion::register(&ctx, "lake", lake).unwrap();
    ctx
}

async fn plan(ctx: &SessionContext, sql: &str) -> String {
    rows(ctx, &format!("EXPLAIN FORMAT INDENT {sql}")).await.join("\n")
}

/// What running a query tells of its scan.
async fn measured(ctx: &SessionContext, sql: &str) -> String {
    let lines = rows(ctx, &format!("EXPLAIN ANALYZE {sql}")).await;
    lines.into_iter().filter(|line| line.contains("DataSourceExec")).collect()
}

/// A number that a scan tells.
fn metric(told: &str, name: &str) -> u64 {
    let after = told.split(&format!("{name}=")).nth(1).unwrap_or_else(|| panic!("{name}: {told}"));
    let (number, rest) = after.split_at(after.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap());
    let factor = if rest.starts_with(" K") { 1_000.0 } else { 1.0 };
    format!("{:.0}", number.parse::<f64>().unwrap() * factor).parse().unwrap()
}

async fn made(lake: &Lake, sql: &str) {
    Session::new(lake).unwrap().sql(sql).await.unwrap();
}

/// Numbers in an order that no statistics can make use of.
fn mixed(count: i64) -> RecordBatch {
    batch(&[("id", longs((0..count).map(|id| id * 7_919 % count * 2))), ("at", longs(0..count))])
}

#[tokio::test]
async fn what_is_sorted_is_not_sorted_again() {
    let lake = Counted::new().await.lake;
    for name in ["a", "b"] {
        made(&lake, &format!("CREATE TABLE {name} (id BIGINT NOT NULL, at BIGINT) CLUSTER BY (id)")).await;
        for part in 0..3 {
            let ids = (0..1_000).rev().map(|id| part * 1_000 + id);
            lake.append(name, batch(&[("id", longs(ids.clone())), ("at", longs(ids))])).await.unwrap();
        }
    }
    let ctx = session_with(&lake, SessionConfig::new().with_target_partitions(2));
    for sql in ["SELECT id FROM lake.public.a ORDER BY id", "SELECT * FROM lake.public.a ORDER BY id LIMIT 5"]
    {
        let plan = plan(&ctx, sql).await;
        assert!(!plan.contains("SortExec"), "{sql}\n{plan}");
    }
    let plan_of_other = plan(&ctx, "SELECT id FROM lake.public.a ORDER BY at").await;
    assert!(plan_of_other.contains("SortExec"), "{plan_of_other}");
    let found = rows(&ctx, "SELECT id FROM lake.public.a ORDER BY id").await;
    assert_eq!(found, (0..3_000).map(|id| id.to_string()).collect::<Vec<_>>());
    let mut config = SessionConfig::new().with_target_partitions(2).with_prefer_existing_sort(true);
    config.options_mut().optimizer.prefer_hash_join = false;
    let ctx = session_with(&lake, config);
    let join = "SELECT count(*) FROM lake.public.a x JOIN lake.public.b y ON x.id = y.id";
    let merged = plan(&ctx, join).await;
    assert!(merged.contains("SortMergeJoin") && !merged.contains("SortExec"), "{merged}");
    assert_eq!(rows(&ctx, join).await, ["3000"]);
}

#[tokio::test]
async fn bloom_filters_rule_out_row_groups() {
    let lake = Counted::new().await.lake;
    for (name, filters) in [("with", "id"), ("without", "")] {
        made(
            &lake,
            &format!(
                "CREATE TABLE {name} (id BIGINT, at BIGINT) WITH ('strandline.bloom-filters' = '{filters}', \
                 'strandline.row-group-rows' = '1000')"
            ),
        )
        .await;
        lake.append(name, mixed(10_000)).await.unwrap();
    }
    let ctx = session(&lake);
    let matched = async |name: &str, id: i64| {
        let told = measured(&ctx, &format!("SELECT at FROM lake.public.{name} WHERE id = {id}")).await;
        let part = told.split("row_groups_pruned_bloom_filter=").nth(1).unwrap().to_owned();
        metric(&part.replace("→ ", "matched="), "matched")
    };
    assert_eq!(matched("without", 4_242).await, 10);
    assert!(matched("with", 4_242).await <= 2);
    // Odd numbers lie between the bounds of all row groups, and are in none.
    assert!(matched("with", 4_243).await <= 1);
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.public.with WHERE id = 4242").await, ["1"]);
}

#[tokio::test]
async fn pages_that_cannot_matter_are_not_decoded() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs(0..200_000)), ("at", longs(0..200_000))]).await;
    let ctx = session(&lake);
    let sql = "SELECT at FROM lake.public.t WHERE id = 123456";
    // The second query has the index of pages from the first.
    for _ in 0..2 {
        let told = measured(&ctx, sql).await;
        let decoded = metric(&told, "output_rows");
        assert!((1..=20_000).contains(&decoded), "{told}");
        assert_eq!(rows(&ctx, sql).await, ["123456"]);
    }
    ctx.sql("SET datafusion.execution.parquet.enable_page_index = false").await.unwrap();
    assert!(metric(&measured(&ctx, sql).await, "output_rows") > 20_000);
}

#[test]
fn the_index_of_pages_is_read_once() {
    paused(async {
        let counted = Counted::new().await;
        table(&counted.lake, "t", &[("id", longs(0..400_000)), ("noise", noise(400_000))]).await;
        let lake = counted.cold().await;
        let ctx = session(&lake);
        let mut requests = Vec::new();
        for _ in 0..3 {
            let query = rows(&ctx, "SELECT avg(noise) FROM lake.public.t WHERE id = 200000");
            let (found, counts) = counted.store.measure(query).await;
            assert_eq!(found.len(), 1);
            requests.push(counts.to(PathClass::Data).requests);
        }
        // The footer and the index of pages.
        assert_eq!(requests, [requests[2] + 2, requests[2], requests[2]]);
    });
}

#[tokio::test]
async fn one_large_file_is_read_on_all_cores() {
    let lake = Counted::new().await.lake;
    made(&lake, "CREATE TABLE t (id BIGINT, at BIGINT) WITH ('strandline.row-group-rows' = '10000')").await;
    lake.append("t", mixed(80_000)).await.unwrap();
    let config = SessionConfig::new().with_target_partitions(4).with_repartition_file_min_size(1);
    let ctx = session_with(&lake, config);
    let sql = "SELECT sum(id), count(at) FROM lake.public.t WHERE at >= 1";
    let told = plan(&ctx, sql).await;
    assert!(told.contains("file_groups={4 groups"), "{told}");
    let all: i64 = (1..80_000).map(|at| at * 7_919 % 80_000 * 2).sum();
    assert_eq!(rows(&ctx, sql).await, [format!("{all} 79999")]);
}

/// A table of this many files, each of ten ids.
async fn files(lake: &Lake, count: i64) {
    let file =
        |at: i64| batch(&[("id", longs(at * 10..at * 10 + 10)), ("even", longs((0..10).map(|id| id * 2)))]);
    table(lake, "t", &[("id", longs(0..10)), ("even", longs((0..10).map(|id| id * 2)))]).await;
    let transaction = lake.begin().await.unwrap();
    for at in 1..count {
        transaction.append("t", file(at)).await.unwrap();
        // Reading one's own writes ends a file.
        transaction.table("t").await.unwrap();
    }
    transaction.commit().await.unwrap();
}

#[test]
fn what_comes_after_a_limit_or_can_no_longer_matter_is_not_read() {
    paused(async {
        let counted = Counted::keeping_no_data().await;
        files(&counted.lake, 50).await;
        let ctx = session_with(&counted.lake, SessionConfig::new().with_target_partitions(1));
        ctx.register_batch("keys", batch(&[("key", longs([123, 125]))])).unwrap();
        for (sql, found, most) in [
            ("SELECT sum(id) FROM (SELECT id FROM lake.public.t LIMIT 15)", "105", 2),
            ("SELECT count(*) FROM (SELECT id FROM lake.public.t WHERE even % 4 = 0 LIMIT 7)", "7", 2),
            ("SELECT id FROM lake.public.t ORDER BY id DESC LIMIT 2", "499;498", 2),
            ("SELECT id FROM lake.public.t JOIN keys ON id = key ORDER BY id", "123;125", 1),
        ] {
            let (answer, counts) = counted.store.measure(rows(&ctx, sql)).await;
            assert_eq!(answer.join(";"), found, "{sql}");
            let read = counts.to(PathClass::Data).requests;
            assert!((1..=most).contains(&read), "{sql}: {read} files");
        }
        let (_, counts) = counted.store.measure(rows(&ctx, "SELECT sum(id) FROM lake.public.t")).await;
        assert_eq!(counts.to(PathClass::Data).requests, 50);
    });
}

#[tokio::test]
async fn sides_of_joins_are_compared_by_their_rows_and_not_by_the_bytes_of_files() {
    let lake = Counted::new().await.lake;
    // Texts that no encoding makes shorter: the file has more bytes than a side may have that is collected, and the two columns have few rows.
    let mut state = 1_u64;
    let mut digits = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{state:016x}")
    };
    let texts = (0..3_000).map(|_| (0..50).map(|_| digits()).collect::<String>());
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let kinds: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..3_000).map(|id| format!("k{}", id % 5))));
    table(&lake, "few", &[("id", longs(0..3_000)), ("kind", kinds), ("text", texts)]).await;
    table(&lake, "many", &[("of", longs((0..200_000).map(|id| id % 4_000)))]).await;
    assert!(lake.table("few").await.unwrap().totals().bytes > 1 << 20);
    let ctx = session_with(&lake, SessionConfig::new().with_target_partitions(2));
    let sql = "SELECT kind, count(*) FROM lake.public.few WHERE EXISTS (SELECT 1 FROM lake.public.many WHERE of = id) GROUP BY kind";
    let plan = plan(&ctx, sql).await;
    assert!(plan.contains("HashJoinExec: mode=CollectLeft, join_type=LeftSemi"), "{plan}");
}
