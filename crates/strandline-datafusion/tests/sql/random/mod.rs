//! Random queries over random tables, against the same rows in a memory table of DataFusion's own.
//!
//! A table goes through appends, deletes and changes of its schema, which the memory table goes through as queries. Each
//! query is asked of the memory table, and of the lake with everything that may skip data and with nothing of it. A failure names
//! its seed: `check(seed)` repeats it.

mod dice;
mod query;
mod world;

use dice::Dice;
use futures::stream::{self, StreamExt, TryStreamExt};
use world::World;

/// How many tables there are, and how many queries are asked of each.
const TABLES: u64 = 100;
const QUERIES: u64 = 20;
/// How many tables are worked on at once: each asks one query after the other.
const AT_ONCE: usize = 2;

async fn check(seed: u64) {
    let mut dice = Dice::new(seed);
    let world = World::make(&mut dice).await;
    let sessions = World::settings(&mut dice).map(|setting| (setting, world.session(setting)));
    for _ in 0..QUERIES {
        let sql = query::query(&mut dice, world.columns());
        let expected = world.expected(&sql).await;
        for (setting, ctx) in &sessions {
            let found = World::found(&sql, ctx).await;
            if found != expected {
                let (history, plan) = (world.history(), World::explained(&sql, ctx).await);
                assert_eq!(found, expected, "seed {seed}, {setting}\n{sql}\n{history}\n{plan}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_queries_have_the_answers_of_a_memory_table() {
    let checks = stream::iter(0..TABLES).map(|seed| tokio::spawn(check(seed)));
    checks.buffer_unordered(AT_ONCE).try_for_each(async |()| Ok(())).await.unwrap();
}
