//! The bench "tpch": the 22 queries of TPC-H over tables of a lake in a local folder, against the same rows in plain Parquet files,
//! one for each table, in sessions of DataFusion that are configured alike.
//!
//! Both are asked in turns, several rounds, and must give the same rows; what is compared are medians. With more appends than one
//! the lake's tables come in as many commits; with more files than one the plain tables are folders of so many. What does not belong here: how DataFusion runs a query.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::util::pretty::pretty_format_batches;
use datafusion::physical_plan::collect;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use strandline::Lake;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow,
    SupplierArrow,
};

use crate::cost::{Cost, Meter, median, ratio, show};
use crate::phase::{Failure, Task, say};
use crate::plain;
use crate::tpch_queries::{QUERIES, query};

/// The rows of a row group, for both.
const GROUP_ROWS: usize = 500_000;

/// Runs the bench.
pub(crate) async fn run(task: &Task) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let (theirs, ours) = load(folder.path(), task).await?;
    say(&format!("tpch: scale {}, {} appends to a table, {} rounds", task.scale, task.appends, task.rounds));
    let (mut wall, mut processor) = (Sums::default(), Sums::default());
    let mut planning = Sums::default();
    let queries = task.query.map_or(1..=QUERIES, |number| number..=number);
    for number in queries {
        let (their, our) = compare(&theirs, &ours, number, task.rounds.get()).await?;
        let times = wall.add(our.all.wall, their.all.wall);
        let processors = processor.add(our.all.processor, their.all.processor);
        planning.add(our.plan.processor, their.plan.processor);
        say(&format!(
            "q{number:<2} {:>10} against {:>10}, {times:.3} times; {processors:.3} times the processors",
            show(our.all.wall),
            show(their.all.wall)
        ));
    }
    if let Some(number) = task.query {
        for ctx in [&theirs, &ours] {
            say(&as_run(ctx, number).await?);
        }
    }
    say(&format!("time on the wall: {wall} plain Parquet"));
    say(&format!("time of the processors: {processor} plain Parquet"));
    say(&format!("planning, of the processors: {planning} plain Parquet"));
    Ok(())
}

/// What all queries take of both, and how often as long the one is as the other.
#[derive(Default)]
struct Sums {
    ours: Duration,
    theirs: Duration,
    logs: f64,
    queries: f64,
}

impl Sums {
    fn add(&mut self, ours: Duration, theirs: Duration) -> f64 {
        let times = ratio(ours, theirs);
        (self.ours, self.theirs) = (self.ours + ours, self.theirs + theirs);
        (self.logs, self.queries) = (self.logs + times.ln(), self.queries + 1.0);
        times
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ours, theirs) = (show(self.ours), show(self.theirs));
        let mean = (self.logs / self.queries.max(1.0)).exp();
        let all = ratio(self.ours, self.theirs);
        write!(f, "{ours} against {theirs}, {all:.3} times; geometric mean {mean:.3} times")
    }
}

/// A session over plain Parquet, in as many files as the task says, and one over a lake with the same rows.
async fn load(folder: &Path, task: &Task) -> Result<(SessionContext, SessionContext), Failure> {
    let lake = Lake::create(folder.join("lake").to_string_lossy()).await?;
    let config = SessionConfig::new().with_default_catalog_and_schema("lake", "public");
    let (theirs, ours) = (SessionContext::new(), SessionContext::new_with_config(config));
    for (name, batches) in tables(task.scale)? {
        let path = folder.join(name);
        std::fs::create_dir(&path)?;
        for (number, part) in parts(&batches, task.files.get()).iter().enumerate() {
            let file = path.join(format!("{number}.parquet"));
            plain::write(&file, part, GROUP_ROWS, std::thread::available_parallelism()?, false)?;
        }
        theirs.register_parquet(name, path.to_string_lossy(), ParquetReadOptions::default()).await?;
        fill(&lake, name, &batches, task.appends.get()).await?;
    }
    strandline_datafusion::register(&ours, "lake", &lake)?;
    Ok((theirs, ours))
}

/// A table of a lake with these rows, in so many commits.
async fn fill(lake: &Lake, name: &str, batches: &[RecordBatch], appends: usize) -> Result<(), Failure> {
    let Some(first) = batches.first() else { return Err(format!("{name} has no rows").into()) };
    let transaction = lake.begin().await?;
    transaction
        .create_table(name)
        .like(&first.schema())
        .property("strandline.row-group-rows", GROUP_ROWS.to_string())
        .property("strandline.compression", "zstd(1)")
        .await?;
    transaction.commit().await?;
    for part in parts(batches, appends) {
        lake.append(name, part).await?;
    }
    Ok(())
}

/// Rows in so many parts of about the same size, or as many as there are rows.
fn parts(batches: &[RecordBatch], parts: usize) -> Vec<Vec<RecordBatch>> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let each = rows.div_ceil(parts).max(1);
    let (mut out, mut part, mut room) = (Vec::new(), Vec::new(), each);
    for batch in batches {
        let mut start = 0;
        while start < batch.num_rows() {
            let taken = room.min(batch.num_rows() - start);
            part.push(batch.slice(start, taken));
            (start, room) = (start + taken, room - taken);
            if room == 0 {
                out.push(std::mem::take(&mut part));
                room = each;
            }
        }
    }
    out.extend(Some(part).filter(|part| !part.is_empty()));
    out
}

/// What a query takes of both, in turns. Fails if their answers differ.
async fn compare(
    theirs: &SessionContext,
    ours: &SessionContext,
    number: i32,
    rounds: usize,
) -> Result<(Costs, Costs), Failure> {
    let sql = query(number)?;
    let (mut their_costs, mut our_costs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (expected, cost) = ask(theirs, &sql).await?;
        their_costs.push(cost);
        let (found, cost) = ask(ours, &sql).await?;
        our_costs.push(cost);
        if found != expected {
            return Err(format!(
                "q{number} differs:\n{}\nagainst\n{}",
                found.join("\n"),
                expected.join("\n")
            )
            .into());
        }
    }
    Ok((Costs::median(&their_costs), Costs::median(&our_costs)))
}

/// What a query costs, and what of that is planning it.
#[derive(Clone, Copy)]
struct Costs {
    plan: Cost,
    all: Cost,
}

impl Costs {
    fn median(rounds: &[Self]) -> Self {
        let of = |part: fn(&Self) -> Cost| median(&rounds.iter().map(part).collect::<Vec<_>>());
        Self { plan: of(|costs| costs.plan), all: of(|costs| costs.all) }
    }
}

/// The rows of an answer, in an order of their own because rows that are equal to ORDER BY come in any.
async fn ask(ctx: &SessionContext, sql: &str) -> Result<(Vec<String>, Costs), Failure> {
    let (all, plan) = (Meter::start(), Meter::start());
    let frame = ctx.sql(sql).await?;
    let task = Arc::new(frame.task_ctx());
    let planned = frame.create_physical_plan().await?;
    let plan = plan.stop();
    let batches = collect(planned, task).await?;
    let cost = Costs { plan, all: all.stop() };
    let mut rows: Vec<String> =
        pretty_format_batches(&batches)?.to_string().lines().map(str::to_owned).collect();
    rows.sort_unstable();
    Ok((rows, cost))
}

/// The plan of a query as it ran, with what each node took.
async fn as_run(ctx: &SessionContext, number: i32) -> Result<String, Failure> {
    let explained = ctx.sql(&format!("EXPLAIN ANALYZE {}", query(number)?)).await?.collect().await?;
    Ok(pretty_format_batches(&explained)?.to_string())
}

/// All tables of TPC-H at a scale.
fn tables(scale: f64) -> Result<Vec<(&'static str, Vec<RecordBatch>)>, Failure> {
    Ok(vec![
        ("nation", plain_texts(NationArrow::new(NationGenerator::new(scale, 1, 1)))?),
        ("region", plain_texts(RegionArrow::new(RegionGenerator::new(scale, 1, 1)))?),
        ("part", plain_texts(PartArrow::new(PartGenerator::new(scale, 1, 1)))?),
        ("supplier", plain_texts(SupplierArrow::new(SupplierGenerator::new(scale, 1, 1)))?),
        ("partsupp", plain_texts(PartSuppArrow::new(PartSuppGenerator::new(scale, 1, 1)))?),
        ("customer", plain_texts(CustomerArrow::new(CustomerGenerator::new(scale, 1, 1)))?),
        ("orders", plain_texts(OrderArrow::new(OrderGenerator::new(scale, 1, 1)))?),
        ("lineitem", plain_texts(LineItemArrow::new(LineItemGenerator::new(scale, 1, 1)))?),
    ])
}

/// Batches with texts as the type that most programs have them in.
fn plain_texts(
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> Result<Vec<RecordBatch>, Failure> {
    let plain = |batch: Result<RecordBatch, ArrowError>| {
        let batch = batch?;
        let viewed = batch.schema();
        let fields = viewed.fields().iter().map(|field| match field.data_type() {
            DataType::Utf8View => Field::new(field.name(), DataType::Utf8, field.is_nullable()),
            _ => field.as_ref().clone(),
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns = batch.columns().iter().zip(schema.fields());
        let columns =
            columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>()?;
        Ok::<_, Failure>(RecordBatch::try_new(schema, columns)?)
    };
    batches.map(plain).collect()
}
