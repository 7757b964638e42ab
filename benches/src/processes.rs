//! The bench "processes": eight processes that append to one table, and to a table each, of one lake in a local folder, against
//! one process that makes as many commits alone. None may be lost.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use strandline::Lake;
use strandline::storage::Durability;

use crate::cost::{Meter, show};
use crate::phase::{Failure, Task, say};
use crate::write::storage;

/// How many processes write at once.
const PROCESSES: usize = 8;

/// Runs the bench, or one of its processes.
pub(crate) async fn run(task: &Task) -> Result<(), Failure> {
    if let Some((phase, folder)) = &task.phase {
        return write(phase, folder).await;
    }
    let each = task.appends_each.get();
    say(&format!("processes: {PROCESSES} processes, {each} appends each, fsynced, in one folder"));
    let shared: Vec<Job> = (0..PROCESSES).map(|at| Job { table: 0, first: at * each, count: each }).collect();
    let apart: Vec<Job> = (0..PROCESSES).map(|at| Job { table: at, first: at * each, count: each }).collect();
    let alone = [Job { table: 0, first: 0, count: PROCESSES * each }];
    let serial = measure("one process alone", &alone, None).await?;
    measure("one table", &shared, Some(serial)).await?;
    measure("a table each", &apart, Some(serial)).await?;
    Ok(())
}

/// What one process appends: which numbers, to which table.
struct Job {
    table: usize,
    first: usize,
    count: usize,
}

/// Lets the jobs run at once, looks for every number, and tells the rate, in commits a second.
#[expect(clippy::cast_precision_loss, reason = "for people to read")]
async fn measure(name: &str, jobs: &[Job], serial: Option<f64>) -> Result<f64, Failure> {
    let folder = tempfile::tempdir()?;
    make(folder.path(), jobs).await?;
    let mut writers =
        jobs.iter().map(|job| Writer::start(folder.path(), job)).collect::<Result<Vec<_>, _>>()?;
    let meter = Meter::start();
    writers.iter_mut().try_for_each(Writer::go)?;
    let retries = writers.into_iter().map(Writer::end).sum::<Result<u64, _>>()?;
    let took = meter.stop().wall;
    let commits: usize = jobs.iter().map(|job| job.count).sum();
    let lost = missing(folder.path(), jobs).await?;
    let rate = commits as f64 / took.as_secs_f64();
    let against =
        serial.map_or_else(String::new, |serial| format!(", {:.2} times the serial rate", rate / serial));
    say(&format!(
        "{name}: {commits} commits in {}, {lost} lost, {rate:.0} commits/s{against}; {retries} races lost",
        show(took)
    ));
    if lost == 0 { Ok(rate) } else { Err(format!("{lost} of {commits} commits were lost").into()) }
}

fn table(number: usize) -> String {
    format!("numbers_{number}")
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("number", DataType::Int64, false)]))
}

async fn make(folder: &Path, jobs: &[Job]) -> Result<(), Failure> {
    let lake = Lake::create(folder.to_string_lossy()).storage(storage(Durability::Fsync)).await?;
    let transaction = lake.begin().await?;
    for number in jobs.iter().map(|job| job.table).collect::<BTreeSet<_>>() {
        transaction.create_table(table(number)).like(&schema()).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// How many numbers are not there exactly once.
async fn missing(folder: &Path, jobs: &[Job]) -> Result<usize, Failure> {
    let lake = Lake::open(folder.to_string_lossy()).await?;
    let mut lost = 0;
    for number in jobs.iter().map(|job| job.table).collect::<BTreeSet<_>>() {
        let batches = lake.table(&table(number)).await?.scan().collect().await?;
        let columns = batches.iter().map(|batch| batch.column(0).as_primitive::<Int64Type>());
        let mut found: Vec<i64> = columns.flat_map(|column| column.values().iter().copied()).collect();
        found.sort_unstable();
        let jobs = jobs.iter().filter(|job| job.table == number);
        let expected: BTreeSet<i64> = jobs
            .flat_map(|job| job.first..job.first + job.count)
            .map(i64::try_from)
            .collect::<Result<_, _>>()?;
        let kept: BTreeSet<i64> = found.iter().copied().collect();
        lost += expected.symmetric_difference(&kept).count() + (found.len() - kept.len());
    }
    Ok(lost)
}

/// One process of the bench: says when the lake is open, waits for the word, appends, says how many races it lost.
async fn write(job: &str, folder: &Path) -> Result<(), Failure> {
    let parts = job.split('-').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    let [number, first, count] = parts[..] else { return Err(format!("no such job: {job}").into()) };
    let lake = Lake::open(folder.to_string_lossy()).storage(storage(Durability::Fsync)).await?;
    say("ready");
    std::io::stdin().lock().read_line(&mut String::new())?;
    let (table, mut retries) = (table(number), 0);
    for value in first..first + count {
        let column = Int64Array::from(vec![i64::try_from(value)?]);
        let batch = RecordBatch::try_new(schema(), vec![Arc::new(column)])?;
        retries += u64::from(lake.append(&table, batch).await?.retries);
    }
    say(&retries.to_string());
    Ok(())
}

/// A process that writes.
struct Writer {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Writer {
    fn start(folder: &Path, job: &Job) -> Result<Self, Failure> {
        let phase = format!("{}-{}-{}", job.table, job.first, job.count);
        let mut child = Command::new(std::env::current_exe()?)
            .args(["processes", "--phase", &phase, "--folder"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(child.stdout.take().ok_or("a process without an output")?);
        let mut writer = Self { child, said };
        match writer.line()?.as_str() {
            "ready" => Ok(writer),
            other => Err(format!("a process said {other:?} instead of being ready").into()),
        }
    }

    fn go(&mut self) -> Result<(), Failure> {
        let input = self.child.stdin.as_mut().ok_or("a process without an input")?;
        Ok(input.write_all(b"go\n")?)
    }

    fn end(mut self) -> Result<u64, Failure> {
        let said = self.line()?;
        let status = self.child.wait()?;
        if status.success() {
            Ok(said.parse()?)
        } else {
            Err(format!("a process ended with {status}: {said}").into())
        }
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
