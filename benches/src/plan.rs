//! The bench "plan": a query whose filter passes one of many files is planned, by a lake and by `deltalake`, whose tables have the same entries
//! and no data.
//!
//! Invariants: each is planned in a process of its own, first with nothing at hand, the table to open included, then again and again with
//! what is at hand by then; `deltalake`'s table has a checkpoint, so that it reads its entries as columns; the bench fails if a plan has
//! another number of files. What does not belong here: how queries run.

use std::fmt::Write as _;
use std::path::Path;

use arrow::array::temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime};
use datafusion::physical_plan::displayable;
use datafusion::prelude::SessionContext;
use serde_json::{Map, Value as Json, json};
use strandline::Lake;
use strandline::storage::Durability;
use strandline_datafusion::Session;
use strandline_format::{FileEntry, TableName, Value};
use strandline_testkit::commits::{TableEdit, commit};
use strandline_testkit::generate::entries;

use crate::cost::{Cost, Meter, median, ratio, show};
use crate::phase::{Failure, Measured, Task, say};
use crate::write::storage;

/// How often a query is planned again.
const AGAIN: usize = 20;

/// Beyond so many entries a lake is measured alone.
const BESIDE: u64 = 100_000;

/// Runs the bench, or one phase of it.
pub(crate) async fn run(task: &Task) -> Result<(), Failure> {
    let Some((phase, folder)) = &task.phase else { return all(task) };
    let lake = folder.join("lake");
    let measured = match phase.as_str() {
        "make" => make(&lake, task.entries).await,
        "make-delta" => make_delta(&folder.join("delta"), task.entries),
        "open" => open(&lake, task).await,
        "again" => again(&lake, task).await,
        other => Err(format!("no such phase: {other}").into()),
    };
    say(&measured?.to_line());
    Ok(())
}

/// The order that is asked for: one in the middle of the table.
fn order(task: &Task) -> u64 {
    task.entries / 2 * entries::ROWS + 5
}

fn all(task: &Task) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    say(&format!("plan: one file of {}, with statistics of {} fields", task.entries, entries::FIELDS));
    task.run("plan", "make", folder)?;
    let beside = task.entries <= BESIDE;
    let theirs = |phase: &str| task.run_peer("delta", phase, folder, &order(task).to_string());
    if beside {
        task.run("plan", "make-delta", folder)?;
        theirs("checkpoint")?;
    }
    for (phase, what) in [("open", "opened and planned"), ("again", "planned again")] {
        let ours = task.run("plan", phase, folder)?;
        tell(what, &ours, beside.then(|| theirs(phase)).transpose()?.as_ref());
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn tell(what: &str, ours: &Measured, theirs: Option<&Measured>) {
    let peak = |measured: &Measured| measured.peak.unwrap_or(0) as f64 / 1024.0;
    let shown = |measured: &Measured| format!("{} and {:.1} MiB", show(measured.cost.wall), peak(measured));
    let mut line = format!("{what}: the lake takes {}", shown(ours));
    if let Some(theirs) = theirs {
        let times = ratio(theirs.cost.wall, ours.cost.wall);
        _ = write!(line, ", deltalake {}: {times:.1} times faster", shown(theirs));
    }
    say(&line);
}

/// A query that one file may have rows of.
async fn plan(ctx: &SessionContext, task: &Task) -> Result<(), Failure> {
    let frame =
        ctx.sql(&format!("SELECT column_1, column_5 FROM t WHERE column_1 = {}", order(task))).await?;
    let plan = frame.create_physical_plan().await?;
    let shown = displayable(plan.as_ref()).indent(true).to_string();
    if shown.contains(&format!(" 1 of {} files ", task.entries)) {
        return Ok(());
    }
    Err(format!("another number of files is left instead of one:\n{shown}").into())
}

async fn session(folder: &Path) -> Result<SessionContext, Failure> {
    let (ctx, lake) = (SessionContext::new(), Lake::open(folder.to_string_lossy()).await?);
    drop(Session::with_context(ctx.clone(), &lake)?);
    Ok(ctx)
}

async fn open(folder: &Path, task: &Task) -> Result<Measured, Failure> {
    let meter = Meter::start();
    plan(&session(folder).await?, task).await?;
    Ok(Measured::since(meter, String::new()))
}

async fn again(folder: &Path, task: &Task) -> Result<Measured, Failure> {
    let (ctx, mut costs): (_, Vec<Cost>) = (session(folder).await?, Vec::new());
    plan(&ctx, task).await?;
    let all = Meter::start();
    for _ in 0..AGAIN {
        let meter = Meter::start();
        plan(&ctx, task).await?;
        costs.push(meter.stop());
    }
    Ok(Measured { cost: median(&costs), ..Measured::since(all, String::new()) })
}

/// A table of these entries, in one commit.
async fn make(folder: &Path, count: u64) -> Result<Measured, Failure> {
    let meter = Meter::start();
    let lake = Lake::create(folder.to_string_lossy()).storage(storage(Durability::None)).await?;
    let puts = (0..count).map(entries::file).collect();
    let edit = TableEdit { name: TableName::new("t")?, puts, removes: Vec::new() };
    commit(&lake, &lake.branch(lake.default_branch()).await?, vec![edit]).await?;
    Ok(Measured::since(meter, String::new()))
}

/// The same as `deltalake` has it: a log of one commit.
fn make_delta(folder: &Path, count: u64) -> Result<Measured, Failure> {
    let meter = Meter::start();
    let log = folder.join("_delta_log");
    std::fs::create_dir_all(&log)?;
    let protocol = json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
    let mut lines = vec![protocol.to_string(), metadata().to_string()];
    for id in 0..count {
        lines.push(added(&entries::file(id))?.to_string());
    }
    std::fs::write(log.join("00000000000000000000.json"), lines.join("\n"))?;
    Ok(Measured::since(meter, String::new()))
}

fn metadata() -> Json {
    let types = ["long", "timestamp", "integer", "double", "string", "date", "decimal(12,2)", "boolean"];
    let field = |(at, ty): (usize, &&str)| json!({"name": format!("column_{}", at + 1), "type": ty, "nullable": true, "metadata": {}});
    let fields: Vec<Json> = types.iter().enumerate().map(field).collect();
    let schema = json!({"type": "struct", "fields": fields}).to_string();
    json!({"metaData": {
        "id": "5f1a0e0c-5a43-4a3c-9f2e-3f5a0c8d9b10",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema,
        "partitionColumns": [],
        "configuration": {},
        "createdTime": 0,
    }})
}

fn added(entry: &FileEntry) -> Result<Json, Failure> {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (field, stats) in &entry.stats.0 {
        let name = format!("column_{}", field.0);
        nulls.insert(name.clone(), json!(0));
        for (bounds, bound) in [(&mut min, &stats.min), (&mut max, &stats.max)] {
            if let Some(value) = bound.as_ref().map(|bound| shown(&bound.value)).transpose()?.flatten() {
                bounds.insert(name.clone(), value);
            }
        }
    }
    let stats =
        json!({"numRecords": entry.rows, "minValues": min, "maxValues": max, "nullCount": nulls}).to_string();
    Ok(json!({"add": {
        "path": format!("part-{:08}.parquet", entry.id.0),
        "partitionValues": {},
        "size": entry.size,
        "modificationTime": 0,
        "dataChange": true,
        "stats": stats,
    }}))
}

/// A bound as Delta has it; booleans have none.
fn shown(value: &Value) -> Result<Option<Json>, Failure> {
    let beyond = "a time that cannot be shown";
    Ok(Some(match value {
        Value::Long(number) => json!(number),
        Value::Int(number) => json!(number),
        Value::Double(number) => json!(number),
        Value::String(text) => json!(text),
        Value::Timestamp(micros) => {
            let time = timestamp_us_to_datetime(*micros).ok_or(beyond)?;
            json!(time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
        }
        Value::Date(days) => {
            json!(date32_to_datetime(*days).ok_or(beyond)?.format("%Y-%m-%d").to_string())
        }
        Value::Decimal { unscaled, .. } => {
            serde_json::from_str(&format!("{}.{:02}", unscaled / 100, unscaled % 100))?
        }
        _ => return Ok(None),
    }))
}
