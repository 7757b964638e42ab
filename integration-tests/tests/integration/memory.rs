//! Acts on many times as much as may be in memory: the process that appends a stream keeps to the formula that `WriteOptions` states, the one that merges
//! rows which both sides changed to that of `Merge`.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::stream;
use strandline::arrow::array::{Int64Array, RecordBatch};
use strandline::filter::col;
use strandline::storage::{Durability, ObjectOptions, StorageOptions};
use strandline::transaction::Rows;
use strandline::{Lake, WriteOptions};

use crate::child::{Start, acknowledge};
use crate::lake;
use crate::runner::{Case, Outcome};
use crate::tables::scattered;

pub(crate) const CASES: &[Case] = &[
    Case { name: "memory::of_an_append_is_bounded_by_its_formula", run: is_bounded },
    Case { name: "memory::of_a_merge_is_bounded_by_its_formula", run: merge_is_bounded },
];

const MEMORY: u64 = 64 << 20;
const COLUMNS: usize = 8;
const ROWS: usize = 16 << 10;
/// 384 MiB, six times what may be held.
const BATCHES: u64 = 384;
const BATCH_BYTES: u64 = (COLUMNS * ROWS * 8) as u64;
const PARALLEL: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// What encoding one column takes: a dictionary and a page.
const COLUMN_BYTES: u64 = 2 << 20;
const SPILL_ABOVE: usize = 1 << 20;
const PART_BYTES: NonZeroUsize = NonZeroUsize::new(1 << 20).unwrap();

fn options() -> WriteOptions {
    WriteOptions {
        memory_bytes: MEMORY,
        parallelism: PARALLEL,
        parallel_uploads: PARALLEL,
        target_file_bytes: 32 << 20,
        ..WriteOptions::default()
    }
}

/// The formula of `WriteOptions`.
fn allowed() -> u64 {
    let upload = (SPILL_ABOVE as u64).max(PART_BYTES.get() as u64 * (1 + PARALLEL.get() as u64));
    let both = PARALLEL.get() as u64;
    MEMORY + 4 * BATCH_BYTES + both * COLUMN_BYTES + both * upload
}

fn batch(number: u64) -> RecordBatch {
    let column = |at: usize| {
        let first = number * ROWS as u64;
        let value = |row: u64| scattered(row * COLUMNS as u64 + at as u64).cast_signed();
        Int64Array::from_iter_values((first..first + ROWS as u64).map(value))
    };
    let columns = (0..COLUMNS).map(|at| (format!("c{at}"), Arc::new(column(at)) as _));
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The most memory that this process ever had, if the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// Appends so many batches, made as they are asked for, and says what that took beyond what a small append does.
pub(crate) async fn append_a_stream(arguments: &[String]) {
    let [location] = arguments else { panic!("{arguments:?}") };
    let objects = ObjectOptions {
        spill_above: SPILL_ABOVE,
        part_bytes: PART_BYTES,
        parallel_parts: PARALLEL,
        ..ObjectOptions::default()
    };
    let storage = StorageOptions { durability: Durability::None, objects, ..StorageOptions::default() };
    let lake = Lake::create(location).storage(storage).await.unwrap();
    let transaction = lake.begin().await.unwrap();
    // Bytes that neither compress nor repeat need no dictionary.
    let table =
        transaction.create_table("t").like(&batch(0).schema()).property("strandline.compression", "none");
    table.await.unwrap();
    transaction.append("t", batch(0).slice(0, 10)).await.unwrap();
    transaction.commit().await.unwrap();
    let before = peak();
    let transaction = lake.begin().writing(options()).await.unwrap();
    let batches = stream::iter((0..BATCHES).map(|number| Ok::<_, strandline::Error>(batch(number))));
    let rows = transaction.append("t", Rows::stream(batches)).await.unwrap();
    assert_eq!(rows, BATCHES * ROWS as u64);
    transaction.commit().await.unwrap();
    let after = peak();
    acknowledge(
        &before.zip(after).map_or("unknown".to_owned(), |(before, after)| format!("{}", after - before)),
    );
}

fn is_bounded() -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join("lake");
    // glibc keeps what is freed, in pieces that fit nothing; given back at once, the peak is what was held.
    let start = Start::new("stream", &[location.to_str().unwrap()]).with("MALLOC_MMAP_THRESHOLD_", "65536");
    let said = start.spawn().finish();
    let Ok(took) = said[0].parse::<u64>() else {
        return Outcome::Skipped("the system does not tell how much memory a process had".to_owned());
    };
    println!(
        "  {} MiB in {} MiB, allowed are {} MiB",
        (BATCHES * BATCH_BYTES) >> 20,
        took >> 20,
        allowed() >> 20
    );
    assert!(took <= allowed(), "{took} bytes, the formula allows {}", allowed());
    let rows = lake::run(async {
        Lake::open(location.display().to_string()).await.unwrap().table("t").await.unwrap().rows()
    });
    assert_eq!(rows, BATCHES * ROWS as u64 + 10);
    Outcome::Passed
}

/// Rows that both branches change: more than are told apart at once.
const CONTESTED: u64 = 500_000;
/// Three columns and the id.
const CONTESTED_BYTES: u64 = 4 * 8;
/// What it takes to find the values of one row.
const PLACE_BYTES: u64 = 64;
/// Footers, encoders and the commit, whatever is merged.
const ANY_MERGE: u64 = 32 << 20;

/// The formula of `Merge`: rows that are written are in memory as they were put together and as they are encoded.
fn allowed_of_a_merge() -> u64 {
    let told_apart = 40 << 20;
    let at_once = 65_536 * 3 * (CONTESTED_BYTES + PLACE_BYTES);
    told_apart + 150 * CONTESTED + at_once + 2 * CONTESTED * CONTESTED_BYTES + ANY_MERGE
}

/// Merges a branch, and says what that took.
pub(crate) async fn merge_a_branch(arguments: &[String]) {
    let [location] = arguments else { panic!("{arguments:?}") };
    let lake = Lake::open(location).await.unwrap();
    let before = peak();
    lake.merge("dev").into("main").await.unwrap().committed().unwrap();
    let after = peak();
    acknowledge(
        &before.zip(after).map_or("unknown".to_owned(), |(before, after)| format!("{}", after - before)),
    );
}

/// A table of which `main` sets one column of all rows, and `dev` another one.
async fn contested(location: &str) {
    let storage = StorageOptions { durability: Durability::None, ..StorageOptions::default() };
    let lake = Lake::create(location).storage(storage).await.unwrap();
    let column = |by: i64| Arc::new(Int64Array::from_iter_values((0..CONTESTED as i64).map(|row| row * by)));
    let rows = [("u", 1), ("a", 3), ("b", 5)].map(|(name, by)| (name, column(by) as _));
    let rows = RecordBatch::try_from_iter(rows).unwrap();
    let transaction = lake.begin().await.unwrap();
    transaction.create_table("t").like(&rows.schema()).await.unwrap();
    transaction.append("t", rows).await.unwrap();
    transaction.commit().await.unwrap();
    lake.create_branch("dev").await.unwrap();
    for (branch, column) in [("main", "a"), ("dev", "b")] {
        let transaction = lake.begin().branch(branch).await.unwrap();
        transaction.update("t", col("u").ge(0)).set(column, -1).await.unwrap();
        transaction.commit().await.unwrap();
    }
}

fn merge_is_bounded() -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join("lake");
    let location = location.to_str().unwrap();
    lake::run(contested(location));
    let said = Start::new("merge", &[location]).with("MALLOC_MMAP_THRESHOLD_", "65536").spawn().finish();
    let Ok(took) = said[0].parse::<u64>() else {
        return Outcome::Skipped("the system does not tell how much memory a process had".to_owned());
    };
    let allowed = allowed_of_a_merge();
    println!("  {CONTESTED} rows in {} MiB, allowed are {} MiB", took >> 20, allowed >> 20);
    assert!(took <= allowed, "{took} bytes, the formula allows {allowed}");
    let merged = lake::run(async {
        let lake = Lake::open(location).await.unwrap();
        let both = col("a").eq(-1).and(col("b").eq(-1));
        lake.table("t").await.unwrap().scan().filter(both).count().await.unwrap()
    });
    assert_eq!(merged, CONTESTED);
    Outcome::Passed
}
