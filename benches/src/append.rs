//! The bench "append": small appends to a table in a local folder, each a commit, against writing one plain Parquet file of
//! the same rows; with fsync and without, in turns. And whether the thousandth costs what the first did.

use arrow::array::RecordBatch;
use strandline::Lake;
use strandline::storage::Durability;

use crate::cost::{Cost, Meter, median, ratio, show, size_of};
use crate::phase::{Failure, Task, say};
use crate::{plain, rows, write};

/// How many of the first and the last appends are compared, at most.
const ENDS: usize = 100;

/// Runs the bench.
pub(crate) async fn run(task: &Task) -> Result<(), Failure> {
    let appends = task.appends.get();
    let rows = task.rows.get();
    let batches = small_batches(rows)?;
    say(&format!("append: {appends} appends of {rows} rows of lineitem, each a commit"));
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

/// Batches that differ, so that few files are another's copy.
fn small_batches(rows: usize) -> Result<Vec<RecordBatch>, Failure> {
    let batches = rows::lineitem(0.1)?;
    let cut = |batch: &RecordBatch| {
        (0..batch.num_rows() / rows).map(|at| batch.slice(at * rows, rows)).collect::<Vec<_>>()
    };
    let small: Vec<_> = batches.iter().flat_map(cut).collect();
    if small.is_empty() {
        Err(format!("batches of {rows} rows are too large for this bench").into())
    } else {
        Ok(small)
    }
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
