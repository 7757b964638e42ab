//! The bench "append": small appends to a table in a local folder, each a commit, against writing one plain Parquet file of
//! the same rows; with fsync and without, in turns. And whether the thousandth costs what the first did.

use arrow::array::RecordBatch;
use strandline::Lake;
use strandline::storage::Durability;

use crate::cost::{Cost, Meter, median, ratio, show, size_of};
use crate::phase::{Failure, Task, say};
use crate::{plain, rows, write};

/// The rows of an append.
const ROWS: usize = 100;

/// How many of the first and the last appends are compared, at most.
const ENDS: usize = 100;

/// Runs the bench.
pub(crate) async fn run(task: &Task) -> Result<(), Failure> {
    let appends = task.appends.get();
    let batches = small_batches()?;
    say(&format!("append: {appends} appends of {ROWS} rows of lineitem, each a commit"));
    let (lasting, quick) = (Pair::new(Durability::Fsync).await?, Pair::new(Durability::None).await?);
    let mut costs: [Vec<Cost>; 4] = Default::default();
    for number in 0..appends {
        let batch = &batches[number % batches.len()];
        costs[0].push(quick.plain(number, batch)?);
        costs[1].push(quick.append(batch).await?);
        costs[2].push(lasting.plain(number, batch)?);
        costs[3].push(lasting.append(batch).await?);
    }
    let [plain, lake, plain_fsync, lake_fsync] = &costs;
    for (name, lake, plain) in [("without fsync", lake, plain), ("with fsync", lake_fsync, plain_fsync)] {
        tell(name, lake, plain);
    }
    quick.tell_size(appends)
}

/// Batches that differ, so that no file is another's copy.
fn small_batches() -> Result<Vec<RecordBatch>, Failure> {
    let batches = rows::lineitem(0.01)?;
    Ok(batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows() / ROWS).map(|at| batch.slice(at * ROWS, ROWS)))
        .collect())
}

fn tell(name: &str, lake: &[Cost], plain: &[Cost]) {
    let (all, one) = (median(lake), median(plain));
    say(&format!(
        "{name}: an append takes {:.2} times what one plain Parquet file takes ({} against {}); processor time {} against {}, {:.2} times",
        ratio(all.wall, one.wall),
        show(all.wall),
        show(one.wall),
        show(all.processor),
        show(one.processor),
        ratio(all.processor, one.processor),
    ));
    let ends = ENDS.min(lake.len() / 2);
    let (first, last) = (median(&lake[..ends]), median(&lake[lake.len() - ends..]));
    say(&format!(
        "{name}: the last {ends} appends take {:.2} times what the first {ends} took ({} against {}); processor time {:.2} times",
        ratio(last.wall, first.wall),
        show(last.wall),
        show(first.wall),
        ratio(last.processor, first.processor),
    ));
}

/// A lake, and a folder for plain files beside it.
struct Pair {
    folder: tempfile::TempDir,
    lake: Lake,
    fsync: bool,
}

impl Pair {
    async fn new(durability: Durability) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("plain"))?;
        let lake = write::make(folder.path(), durability, &["lineitem"]).await?;
        Ok(Self { folder, lake, fsync: durability == Durability::Fsync })
    }

    fn plain(&self, number: usize, batch: &RecordBatch) -> Result<Cost, Failure> {
        let path = self.folder.path().join(format!("plain/{number}.parquet"));
        let meter = Meter::start();
        plain::write_small(&path, batch, self.fsync)?;
        Ok(meter.stop())
    }

    async fn append(&self, batch: &RecordBatch) -> Result<Cost, Failure> {
        let meter = Meter::start();
        self.lake.append("lineitem", batch).await?;
        Ok(meter.stop())
    }

    /// What the metadata of all versions takes.
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    fn tell_size(&self, appends: usize) -> Result<(), Failure> {
        let (objects, bytes) = size_of(&self.folder.path().join("lake/meta"))?;
        say(&format!(
            "metadata that stays: {:.1} objects and {:.0} bytes for each append",
            objects as f64 / appends as f64,
            bytes as f64 / appends as f64
        ));
        Ok(())
    }
}
