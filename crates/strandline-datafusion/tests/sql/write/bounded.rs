//! Statements whose join does not fit into the memory of their session: what does not fit is spilled, and they come to the same.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::collect;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use strandline::Lake;

use crate::fixture::{Counted, longs, rows, session, table};

/// How many rows both tables have; half of the one are in the other.
const ROWS: i64 = 300_000;

/// Less than the rows of either side of the join need.
const MEMORY: usize = 6 << 20;

/// `t` has rows of the numbers from zero, and `s` of those from half of that on, with `n` below zero.
async fn lake() -> Lake {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs(0..ROWS)), ("n", longs(0..ROWS))]).await;
    let source = || ROWS / 2..ROWS / 2 + ROWS;
    table(&lake, "s", &[("id", longs(source())), ("n", longs(source().map(|id| -id)))]).await;
    lake
}

fn narrow(lake: &Lake) -> SessionContext {
    // What a sort keeps free to merge what it has spilled.
    let kept = "datafusion.execution.sort_spill_reservation_bytes";
    let config = SessionConfig::new().with_target_partitions(2).set_u64(kept, 64 << 10);
    // It has a batch of each piece that it has spilled in memory.
    let config = config.with_batch_size(1024);
    // One sort must not take what the other one needs to begin.
    let pool = Arc::new(FairSpillPool::new(MEMORY));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
    let ctx = SessionContext::new_with_config_rt(config, runtime);
    strandline_datafusion::register(&ctx, "lake", lake).unwrap();
    ctx
}

/// Carries a statement out with little memory: how often it spilled, and the plan that says so.
async fn spills(lake: &Lake, sql: &str) -> (usize, String) {
    let ctx = narrow(lake);
    let plan = ctx.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let done = collect(Arc::clone(&plan), ctx.task_ctx()).await;
    let told = DisplayableExecutionPlan::with_metrics(plan.as_ref()).indent(true).to_string();
    done.unwrap_or_else(|error| panic!("{sql}: {error}\n{told}"));
    let counts = told.split("spill_count=").skip(1);
    let counts = counts.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    (counts.map(|count| count.parse::<usize>().unwrap()).sum(), told)
}

#[tokio::test]
async fn a_statement_whose_source_does_not_fit_into_memory_spills_and_does_what_it_says() {
    let lake = lake().await;
    // The same rows joined by a query, which holds a side of them, do not fit.
    let join = "SELECT t.n, s.n FROM lake.public.t AS t JOIN lake.public.s AS s ON t.id = s.id";
    let error = narrow(&lake).sql(join).await.unwrap().collect().await.unwrap_err();
    assert!(matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)), "{error}");

    let whole = session(&lake);
    let sums = "SELECT count(*), sum(n), sum(id) FROM lake.public.t";
    let sum = |numbers: std::ops::Range<i64>| numbers.sum::<i64>();
    let (half, end) = (ROWS / 2, ROWS / 2 + ROWS);
    for (sql, expected) in [
        (
            "UPDATE lake.public.t SET n = 1 WHERE id IN (SELECT id FROM lake.public.s)",
            (ROWS, sum(0..half) + half, sum(0..ROWS)),
        ),
        (
            "MERGE INTO lake.public.t AS t USING lake.public.s AS s ON t.id = s.id
             WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.n)",
            (end, sum(0..half) - sum(half..end), sum(0..end)),
        ),
        (
            "DELETE FROM lake.public.t WHERE id IN (SELECT id FROM lake.public.s)",
            (half, sum(0..half), sum(0..half)),
        ),
    ] {
        let (count, told) = spills(&lake, sql).await;
        assert!(count > 0, "{sql}: {told}");
        let (rows_left, n, id) = expected;
        assert_eq!(rows(&whole, sums).await, [format!("{rows_left} {n} {id}")], "{sql}");
    }
}
