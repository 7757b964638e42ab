//! What DataFusion would get wrong of a lake's files, if a scan did not hold it off.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, StringArray};
use strandline::filter::col;
use strandline::format::{ColumnName, Field, PrimitiveType};

use crate::fixture::{Counted, batch, longs, rows, session, table};

#[tokio::test]
async fn nan_is_above_all_numbers_and_never_skipped() {
    let lake = Counted::new().await.lake;
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, 3.0]));
    table(&lake, "t", &[("f", floats)]).await;
    let ctx = session(&lake);
    assert_eq!(rows(&ctx, "SELECT max(f), count(*) FROM lake.public.t").await, ["NaN 3"]);
    assert_eq!(rows(&ctx, "SELECT f FROM lake.public.t WHERE f > 5").await, ["NaN"]);
}

#[tokio::test]
async fn the_two_zeros_are_not_skipped_as_each_other() {
    let lake = Counted::new().await.lake;
    let zeros: ArrayRef = Arc::new(Float64Array::from(vec![-0.0, -0.0]));
    table(&lake, "t", &[("f", Arc::clone(&zeros))]).await;
    let ctx = session(&lake);
    ctx.register_batch("memory", batch(&[("f", zeros)])).unwrap();
    for test in ["f < 0.0", "f <> 0.0", "f = 0.0", "f >= 0.0", "f = -0.0", "f IN (0.0, 1.0)"] {
        let count = async |table| rows(&ctx, &format!("SELECT count(*) FROM {table} WHERE {test}")).await;
        assert_eq!(count("lake.public.t").await, count("memory").await, "{test}");
    }
}

#[tokio::test]
async fn deleted_rows_are_in_no_count_and_in_no_extreme() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs(0..10))]).await;
    let transaction = lake.begin().await.unwrap();
    transaction.delete("t", col("id").ge(7)).await.unwrap();
    transaction.commit().await.unwrap();
    let ctx = session(&lake);
    assert_eq!(rows(&ctx, "SELECT count(*), count(id), max(id) FROM lake.public.t").await, ["7 7 6"]);
    assert_eq!(rows(&ctx, "SELECT sum(id) FROM lake.public.t WHERE id > 5").await, ["6"]);
    assert_eq!(rows(&ctx, "SELECT id FROM lake.public.t ORDER BY id DESC LIMIT 1").await, ["6"]);
    assert_eq!(rows(&ctx, "SELECT count(*) FROM (SELECT id FROM lake.public.t LIMIT 9)").await, ["7"]);
}

/// Where all values of a file are null and some rows are deleted, the count of nulls is of all rows.
#[tokio::test]
async fn a_column_of_a_file_with_deletes_is_no_constant_by_its_counts() {
    let lake = Counted::new().await.lake;
    let texts: ArrayRef = Arc::new(StringArray::from(vec![None, None, Some("x"), None]));
    table(&lake, "t", &[("id", longs(0..4)), ("s", texts)]).await;
    let transaction = lake.begin().await.unwrap();
    transaction.delete("t", col("id").eq(0)).await.unwrap();
    transaction.commit().await.unwrap();
    let ctx = session(&lake);
    assert_eq!(rows(&ctx, "SELECT id, s FROM lake.public.t ORDER BY id").await, ["1", "2 x", "3"]);
}

#[tokio::test]
async fn bounds_that_were_cut_to_the_same_text_are_no_constant() {
    let lake = Counted::new().await.lake;
    let long =
        "a long text that goes on and on and on and on and on and on and on and on and on until it is cut ";
    let texts = [format!("{long}one"), format!("{long}two")];
    table(&lake, "t", &[("s", Arc::new(StringArray::from(texts.to_vec())) as ArrayRef)]).await;
    let ctx = session(&lake);
    assert_eq!(rows(&ctx, "SELECT s FROM lake.public.t ORDER BY s").await, texts);
    assert_eq!(rows(&ctx, "SELECT max(s) FROM lake.public.t").await, [texts[1].clone()]);
    let found = rows(&ctx, &format!("SELECT count(*) FROM lake.public.t WHERE s = '{}'", texts[0])).await;
    assert_eq!(found, ["1"]);
}

#[tokio::test]
async fn a_name_that_was_dropped_and_given_anew_does_not_read_the_old_column() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2])), ("a", longs([10, 20]))]).await;
    let alter = async |change: bool| {
        let transaction = lake.begin().await.unwrap();
        let table = transaction.alter_table("t");
        if change {
            table.drop_column("a").await.unwrap();
        } else {
            let field = Field::optional(ColumnName::new("a").unwrap(), PrimitiveType::Long);
            table.add_column(field).await.unwrap();
        }
        transaction.commit().await.unwrap();
    };
    alter(true).await;
    alter(false).await;
    lake.append("t", batch(&[("id", longs([3])), ("a", longs([30]))])).await.unwrap();
    let ctx = session(&lake);
    assert_eq!(rows(&ctx, "SELECT id, a FROM lake.public.t ORDER BY id").await, ["1", "2", "3 30"]);
    assert_eq!(rows(&ctx, "SELECT count(a), min(a), sum(a) FROM lake.public.t").await, ["1 30 30"]);
    assert_eq!(rows(&ctx, "SELECT id FROM lake.public.t WHERE a = 10").await, [""; 0]);
}

#[tokio::test]
async fn a_plan_says_what_it_reads_and_what_that_costs() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs(0..10))]).await;
    lake.append("t", batch(&[("id", longs(10..20))])).await.unwrap();
    let ctx = session(&lake);
    let plan =
        rows(&ctx, "EXPLAIN FORMAT INDENT SELECT id FROM lake.public.t WHERE id > 15").await.join("\n");
    assert!(plan.contains("lake=[t at main v2 "), "{plan}");
    assert!(plan.contains("1 of 2 files by id > 15, 0 rows deleted in them, "), "{plan}");
    let ran = rows(&ctx, "EXPLAIN ANALYZE SELECT id FROM lake.public.t WHERE id > 15").await.join("\n");
    for part in ["lake_requests=1", "lake_footer_cache_hits=", "lake_bytes_read="] {
        assert!(ran.contains(part), "{part}: {ran}");
    }
}

/// The last of the first ten rows is told to scans as it becomes known; DataFusion tells it to the other side of a semi join as well, if there
/// is a column of that name.
#[tokio::test]
async fn what_becomes_known_of_a_column_is_not_told_to_another_of_its_name() {
    let lake = Counted::new().await.lake;
    table(&lake, "v", &[("id", longs(1000..1010)), ("k", longs(0..10))]).await;
    table(&lake, "w", &[("id", longs(0..10)), ("k", longs(0..10))]).await;
    let ctx = session(&lake);
    let query = "SELECT w.id FROM lake.public.w WHERE EXISTS \
                 (SELECT 1 FROM lake.public.v WHERE v.k = w.id AND v.id + w.k > 0) ORDER BY w.id DESC LIMIT 2";
    assert_eq!(rows(&ctx, query).await, ["9", "8"]);
    let plan = rows(&ctx, &format!("EXPLAIN FORMAT INDENT {query}")).await.join("\n");
    let told = |table: &str| {
        let scan = plan.split("DataSourceExec").find(|scan| scan.contains(&format!("lake=[{table} at main")));
        scan.map(|scan| scan.matches("DynamicFilter").count())
    };
    assert_eq!((told("w"), told("v")), (Some(1), Some(1)), "{plan}");
}
