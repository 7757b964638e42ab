//! Filters that statistics decide: what is counted of files of which all rows pass, without a look into them.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use datafusion::prelude::SessionContext;
use strandline::Lake;
use strandline::filter::col;
use strandline_testkit::PathClass;

use crate::fixture::{Counted, batch, longs, paused, rows, session, table};

/// Twenty files, each of ten ids in order, and of whatever else a row of that id is to have.
async fn twenty(lake: &Lake, other: impl Fn(i64) -> Option<i64>) {
    let file = |file: i64| {
        let ids = file * 10..file * 10 + 10;
        let others: ArrayRef = Arc::new(ids.clone().map(&other).collect::<Int64Array>());
        [("id", longs(ids)), ("other", others)]
    };
    table(lake, "t", &file(0)).await;
    let transaction = lake.begin().await.unwrap();
    for at in 1..20 {
        transaction.append("t", batch(&file(at))).await.unwrap();
        // Reading one's own writes ends a file.
        transaction.table("t").await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// What is asked of the rows that pass, its answer, and how many requests for data it took.
async fn asked(counted: &Counted, what: &str, filter: &str) -> (String, u64) {
    let ctx = session(&counted.cold().await);
    let sql = format!("SELECT {what} FROM lake.public.t WHERE {filter}");
    let (found, counts) = counted.store.measure(rows(&ctx, &sql)).await;
    (found.join(";"), counts.to(PathClass::Data).requests)
}

async fn plan(ctx: &SessionContext, sql: &str) -> String {
    rows(ctx, &format!("EXPLAIN FORMAT INDENT {sql}")).await.join("\n")
}

#[test]
fn only_files_that_a_filter_cuts_through_are_read_to_count() {
    paused(async {
        let counted = Counted::new().await;
        twenty(&counted.lake, |id| Some(-id)).await;
        let all = "count(*), min(id), max(id), min(other), count(other)";
        for (filter, answer, requests) in [
            ("id >= 0", "200 0 199 -199 200", 0),
            ("id BETWEEN 20 AND 149", "130 20 149 -149 130", 0),
            ("id BETWEEN 25 AND 154", "130 25 154 -154 130", 2),
            ("id > 42 AND other > -60", "17 43 59 -59 17", 1),
            ("id < 10 OR id > 189", "20 0 199 -199 20", 0),
            ("NOT (id < 190)", "10 190 199 -199 10", 0),
            ("id > 1000", "0    0", 0),
        ] {
            let (found, read) = asked(&counted, all, filter).await;
            let found = found.split_whitespace().collect::<Vec<_>>();
            assert_eq!(found, answer.split_whitespace().collect::<Vec<_>>(), "{filter}");
            assert_eq!(read, requests, "{filter}");
        }
        // Of what is not said exactly, or not known, every file that may matter is read.
        assert_eq!(
            asked(&counted, "count(*)", "id BETWEEN 20 AND 149 AND id % 2 = 0").await,
            ("65".into(), 13)
        );
        assert_eq!(asked(&counted, "sum(id), count(*)", "id BETWEEN 20 AND 39").await, ("590 20".into(), 2));
        assert_eq!(asked(&counted, "count(DISTINCT other)", "id BETWEEN 20 AND 39").await, ("20".into(), 2));
        assert_eq!(asked(&counted, "count(*) FILTER (WHERE id > 30)", "id < 40").await, ("9".into(), 4));
    });
}

#[test]
fn rows_that_are_null_or_deleted_are_not_counted() {
    paused(async {
        let counted = Counted::new().await;
        twenty(&counted.lake, |id| (id % 5 != 0).then_some(id)).await;
        let transaction = counted.lake.begin().await.unwrap();
        transaction.delete("t", col("id").between(27, 31)).await.unwrap();
        transaction.commit().await.unwrap();
        for (what, filter, answer) in [
            ("count(*)", "other >= 0", "156"),
            ("count(*)", "other IS NULL", "39"),
            ("count(*)", "id BETWEEN 20 AND 39", "15"),
            ("count(other)", "id BETWEEN 20 AND 39", "12"),
            ("min(id), max(id)", "id BETWEEN 28 AND 49", "32 49"),
            ("min(other), max(other)", "id BETWEEN 20 AND 39", "21 39"),
        ] {
            assert_eq!(asked(&counted, what, filter).await.0, answer, "{what} {filter}");
        }
        // Deleted rows are counted, if no more is asked; how many of them were null is not.
        assert_eq!(asked(&counted, "count(*)", "id BETWEEN 20 AND 39").await.1, 0);
        assert!(asked(&counted, "count(other)", "id BETWEEN 20 AND 39").await.1 > 0);
    });
}

#[tokio::test]
async fn bounds_that_hold_but_are_none_of_the_values_decide_no_extreme() {
    let lake = Counted::new().await.lake;
    let long = "x".repeat(200);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![format!("{long}a"), format!("{long}b")]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 1.0]));
    table(&lake, "t", &[("s", texts), ("f", floats)]).await;
    let ctx = session(&lake);
    let of = async |what: &str| rows(&ctx, &format!("SELECT {what} FROM lake.public.t WHERE s > 'a'")).await;
    assert_eq!(of("count(*)").await, ["2"]);
    assert_eq!(of("max(s)").await, [format!("{long}b")]);
    assert_eq!(of("min(f), max(f)").await, ["1.0 NaN"]);
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.public.t WHERE f > 0.5").await, ["2"]);
    assert_eq!(rows(&ctx, "SELECT count(*) FROM lake.public.t WHERE f < 5.0").await, ["1"]);
}

#[tokio::test]
async fn a_filter_that_all_rows_pass_is_not_asked() {
    let lake = Counted::new().await.lake;
    twenty(&lake, Some).await;
    let ctx = session(&lake);
    let plain = plan(&ctx, "SELECT sum(other) FROM lake.public.t WHERE id >= 50").await;
    assert!(!plain.contains("FilterExec"), "{plain}");
    assert!(plain.contains("15 of 20 files by id >= 50"), "{plain}");
    let cut = plan(&ctx, "SELECT sum(other) FROM lake.public.t WHERE id >= 51").await;
    assert!(cut.contains("FilterExec"), "{cut}");
    let apart = plan(&ctx, "SELECT count(*) FROM lake.public.t WHERE id >= 51").await;
    assert!(apart.contains("1 of 20 files by id >= 51, 14 more known whole"), "{apart}");
    ctx.sql("SET datafusion.execution.parquet.pruning = false").await.unwrap();
    let told = plan(&ctx, "SELECT count(*) FROM lake.public.t WHERE id >= 50").await;
    assert!(told.contains("FilterExec"), "{told}");
}
