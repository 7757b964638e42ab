//! Rows that change. As with DELETE, a condition may not get lost on the way.

use std::sync::Arc;

use datafusion::arrow::array::StringArray;
use strandline::ErrorKind;
use strandline_testkit::{PathClass, RequestKind};

use super::{assert_kind, refused, run};
use crate::fixture::{Counted, batch, longs, rows, session, table};

/// Updates a table with the ids 1 to 4 in two files, beside one with 2, 3 and 9.
async fn check(statement: &str, expected: &[&str], count: u64) {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2])), ("n", longs([10, 20]))]).await;
    lake.append("t", batch(&[("id", longs([3, 4])), ("n", longs([30, 40]))])).await.unwrap();
    table(&lake, "other", &[("id", longs([2, 3, 9])), ("n", longs([5, 6, 7]))]).await;
    let ctx = session(&lake);
    let found = run(&ctx, &format!("UPDATE lake.public.t {statement}")).await.unwrap();
    assert_eq!(rows(&ctx, "SELECT id, n FROM lake.public.t ORDER BY id, n").await, expected, "{statement}");
    assert_eq!(found, count, "{statement}");
}

#[tokio::test]
async fn assignments_see_the_row_as_it_was() {
    check("SET n = n + 1 WHERE id = 2", &["1 10", "2 21", "3 30", "4 40"], 1).await;
    check("SET n = id, id = n", &["10 1", "20 2", "30 3", "40 4"], 4).await;
    check("SET n = NULL WHERE id > 2", &["1 10", "2 20", "3", "4"], 2).await;
    check("AS u SET n = u.id * 2 WHERE u.id < 3", &["1 2", "2 4", "3 30", "4 40"], 2).await;
}

#[tokio::test]
async fn conditions_that_are_never_true_update_nothing() {
    let all = &["1 10", "2 20", "3 30", "4 40"];
    check("SET n = 0 WHERE 1 = 0", all, 0).await;
    check("SET n = 0 WHERE NULL", all, 0).await;
    check("SET n = 0 WHERE id = NULL", all, 0).await;
}

#[tokio::test]
async fn subqueries_update_what_they_say() {
    check("SET n = 0 WHERE id IN (SELECT id FROM lake.public.other)", &["1 10", "2 0", "3 0", "4 40"], 2)
        .await;
    check(
        "SET n = 0 WHERE NOT EXISTS (SELECT 1 FROM lake.public.other o WHERE o.id = t.id)",
        &["1 0", "2 20", "3 30", "4 0"],
        2,
    )
    .await;
    check("SET n = (SELECT max(n) FROM lake.public.other)", &["1 7", "2 7", "3 7", "4 7"], 4).await;
    check(
        "SET n = (SELECT max(o.n) FROM lake.public.other o WHERE o.id = t.id) WHERE id < 4",
        &["1", "2 5", "3 6", "4 40"],
        3,
    )
    .await;
}

#[tokio::test]
async fn what_update_does_not_have_is_refused() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2])), ("n", longs([1, 2]))]).await;
    let ctx = session(&lake);
    refused(&lake, &ctx, "UPDATE lake.public.t SET n = 1 FROM lake.public.t AS u WHERE u.id = t.id").await;
    refused(&lake, &ctx, "UPDATE lake.public.t SET n = 1 WHERE id = 1 RETURNING id").await;
    refused(&lake, &ctx, "UPDATE lake.public.t SET n = 1 LIMIT 1").await;
    refused(&lake, &ctx, "UPDATE lake.public.t SET m = 1").await;
    let joined = "UPDATE lake.public.t JOIN lake.public.t AS u ON u.id = t.id SET n = 1";
    refused(&lake, &ctx, joined).await;
}

#[tokio::test]
async fn updated_rows_keep_their_ids() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2, 3])), ("n", longs([10, 20, 30]))]).await;
    let ctx = session(&lake);
    let ids = async || {
        let batches = lake.table("t").await.unwrap().scan().row_ids(true).collect().await.unwrap();
        let text = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
        let mut pairs: Vec<String> = text
            .lines()
            .skip(3)
            .filter(|line| line.starts_with('|'))
            .map(|line| {
                let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
                format!("{}={}", cells[0], cells[2])
            })
            .collect();
        pairs.sort();
        pairs
    };
    let before = ids().await;
    run(&ctx, "UPDATE lake.public.t SET n = n + 1 WHERE id >= 2").await.unwrap();
    assert_eq!(ids().await, before);
}

#[tokio::test]
async fn a_rule_of_the_table_holds_for_updated_rows() {
    let lake = Counted::new().await.lake;
    let transaction = lake.begin().await.unwrap();
    let rows_before = batch(&[("id", longs([1, 2]))]);
    transaction.create_table("t").like(&rows_before.schema()).check("small", "id < 10").await.unwrap();
    transaction.append("t", rows_before).await.unwrap();
    transaction.commit().await.unwrap();
    let ctx = session(&lake);
    let error = refused(&lake, &ctx, "UPDATE lake.public.t SET id = id * 9").await;
    assert_kind(&error, ErrorKind::InvalidInput, "small");
}

#[tokio::test]
async fn two_sessions_may_update_different_rows_of_one_file_and_not_the_same() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([1, 2, 3])), ("n", longs([0, 0, 0]))]).await;
    let ctx = session(&lake);
    let late = ctx.sql("UPDATE lake.public.t SET n = 1 WHERE id = 1").await.unwrap();
    let too_late = ctx.sql("UPDATE lake.public.t SET n = 5 WHERE id = 2").await.unwrap();
    run(&ctx, "UPDATE lake.public.t SET n = 2 WHERE id = 2").await.unwrap();
    late.collect().await.unwrap();
    let error = too_late.collect().await.unwrap_err();
    assert_kind(&error, ErrorKind::Conflict, "");
    assert_eq!(rows(&ctx, "SELECT id, n FROM lake.public.t ORDER BY id").await, ["1 1", "2 2", "3 0"]);
}

#[tokio::test]
async fn of_rows_that_stay_nothing_is_read_but_what_the_condition_asks_for() {
    let mixed = |number: i64| number.wrapping_mul(0x5851_F42D_4C95_7F2D).rotate_left(29);
    let texts = (0..60_000).map(|at| format!("{:016x}{:016x}", mixed(at), mixed(at + 100_000)));
    let Counted { store, lake } = Counted::new().await;
    let texts = Arc::new(StringArray::from_iter_values(texts));
    table(&lake, "t", &[("id", longs((0..60_000).map(mixed))), ("text", texts)]).await;
    let size = lake.table("t").await.unwrap().files().await.unwrap()[0].size;
    let before = store.snapshot();
    let update = format!("UPDATE lake.public.t SET text = text || 'x' WHERE id = {}", mixed(54_321));
    assert_eq!(run(&session(&lake), &update).await.unwrap(), 1);
    let read = store.since(&before).of_to(RequestKind::Get, PathClass::Data).received;
    // The ids are a third of the file, and take as much of it.
    assert!(read < size / 2, "{read} of {size} bytes");
}
