//! The bench "write": `lineitem` in bulk into a lake in a local folder, against plain Parquet by the same encoder.
//!
//! Both have the rows in memory and write them in turns, several rounds; each with fsync and without.

use std::num::NonZeroUsize;
use std::path::Path;

use arrow::array::RecordBatch;
use strandline::Lake;
use strandline::storage::{Durability, StorageOptions};

use crate::cost::{Cost, Meter, median, ratio, show};
use crate::phase::{Failure, Task, say};
use crate::{plain, rows};

/// The rows of a row group, for both.
const GROUP_ROWS: usize = 500_000;

/// Runs the bench.
pub(crate) async fn run(task: &Task) -> Result<(), Failure> {
    let batches = rows::lineitem(task.scale)?;
    let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let cores = std::thread::available_parallelism()?;
    say(&format!(
        "write: lineitem at scale {}, {count} rows in {} batches, row groups of {GROUP_ROWS} rows, zstd 1, {cores} cores",
        task.scale,
        batches.len()
    ));
    for durability in [Durability::None, Durability::Fsync] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..task.rounds.get() {
            theirs.push(write_plain(&batches, cores, durability == Durability::Fsync)?);
            ours.push(write_lake(&batches, durability).await?);
        }
        tell(&ours, &theirs, count, durability);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn tell(ours: &[Cost], theirs: &[Cost], count: usize, durability: Durability) {
    let (ours, theirs) = (median(ours), median(theirs));
    let fsync = if durability == Durability::Fsync { "with fsync" } else { "without fsync" };
    say(&format!(
        "{fsync}: the lake takes {:.0} rows/s, {:.3} times the speed of plain Parquet ({} against {}); processor time {} against {}, {:.3} times",
        count as f64 / ours.wall.as_secs_f64(),
        ratio(theirs.wall, ours.wall),
        show(ours.wall),
        show(theirs.wall),
        show(ours.processor),
        show(theirs.processor),
        ratio(ours.processor, theirs.processor),
    ));
}

fn write_plain(batches: &[RecordBatch], cores: NonZeroUsize, fsync: bool) -> Result<Cost, Failure> {
    let folder = tempfile::tempdir()?;
    let meter = Meter::start();
    plain::write(&folder.path().join("lineitem.parquet"), batches, GROUP_ROWS, cores, fsync)?;
    Ok(meter.stop())
}

async fn write_lake(batches: &[RecordBatch], durability: Durability) -> Result<Cost, Failure> {
    let folder = tempfile::tempdir()?;
    let lake = make(folder.path(), durability, &["lineitem"]).await?;
    let meter = Meter::start();
    lake.append("lineitem", batches.to_vec()).await?;
    Ok(meter.stop())
}

/// A lake in a folder, with empty tables like `lineitem`.
pub(crate) async fn make(folder: &Path, durability: Durability, tables: &[&str]) -> Result<Lake, Failure> {
    let lake = Lake::create(folder.join("lake").to_string_lossy()).storage(storage(durability)).await?;
    let transaction = lake.begin().await?;
    for table in tables {
        transaction
            .create_table(*table)
            .like(&rows::schema())
            .property("strandline.row-group-rows", GROUP_ROWS.to_string())
            .property("strandline.compression", "zstd(1)")
            .await?;
    }
    transaction.commit().await?;
    Ok(lake)
}

/// How a folder is opened.
pub(crate) fn storage(durability: Durability) -> StorageOptions {
    StorageOptions { durability, ..StorageOptions::default() }
}
