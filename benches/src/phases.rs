//! The phases: build, the baseline, load, prune.

use std::path::Path;

use futures::{StreamExt, TryStreamExt, stream};
use strandline::Runtime;
use strandline::storage::{Durability, Storage, StorageOptions, StoreLocation};
use strandline::tree::{All, FileFilter, Select, Trees};
use strandline_format::tree::{Columns, Root, TreeKind};
use strandline_format::{Era, FieldId, Files, Filter, Comparison, Table, TableId, TableSchema, Timestamp, Value};
use strandline_testkit::generate::entries;
use tokio::time::Instant;

use crate::{Result, process};

/// In the order in which they run.
pub(crate) const NAMES: &[&str] = &["build", BASELINE, "load", "prune", "prune-loaded"];
/// What the others are compared with.
pub(crate) const BASELINE: &str = "read";

/// Where the text of the root is kept between phases, beside the lake's own folders.
const ROOT: &str = "root.json";

/// Runs one phase in this process.
pub(crate) fn run(name: &str, folder: &Path, count: u64) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let trees = open(folder).await?;
        match name {
            "build" => build(&trees, folder, count).await,
            BASELINE => read(&trees, &root(folder)?, folder).await,
            "load" => load(&trees, &root(folder)?, count).await,
            "prune" => prune(&trees, &root(folder)?, count).await,
            "prune-loaded" => prune_loaded(&trees, &root(folder)?, count).await,
            _ => Err(format!("no phase {name:?}").into()),
        }
    })
}

async fn open(folder: &Path) -> Result<Trees> {
    let location = StoreLocation::parse(&folder.display().to_string())?;
    let options = StorageOptions { durability: Durability::None, ..StorageOptions::default() };
    let storage = Storage::open(&location, &options, Runtime::system()).await?;
    Ok(Trees::new(storage.objects().clone()))
}

fn root(folder: &Path) -> Result<Root<Files>> {
    Ok(Files::parse_root(&std::fs::read_to_string(folder.join(ROOT))?)?)
}

async fn build(trees: &Trees, folder: &Path, count: u64) -> Result<()> {
    let started = Instant::now();
    let files = stream::iter((0..count).map(|id| Ok(entries::file(id)))).boxed();
    let root = trees.build::<Files>(files, Era(0)).await?;
    std::fs::write(folder.join(ROOT), Files::write_root(&root)?)?;
    process::report("bulk build, with making the entries", started.elapsed().as_secs_f64())
}

/// The least that the same bytes cost: read, decompress, hash.
async fn read(trees: &Trees, root: &Root<Files>, folder: &Path) -> Result<()> {
    // Which nodes there are is found out beforehand; the clock runs for their bytes alone.
    let paths: Vec<_> = walk(&folder.join("meta"))?;
    let _ = (trees, root);
    let started = Instant::now();
    let mut bytes = 0;
    for path in paths {
        let text = zstd::decode_all(&*std::fs::read(path)?)?;
        bytes += text.len();
        std::hint::black_box(blake3::hash(&text));
    }
    process::report(&format!("read, decompress, hash: {} MiB", bytes >> 20), started.elapsed().as_secs_f64())
}

fn walk(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { paths.extend(walk(&path)?) } else { paths.push(path) }
    }
    Ok(paths)
}

async fn load(trees: &Trees, root: &Root<Files>, count: u64) -> Result<()> {
    let started = Instant::now();
    let rows = sum_rows(trees, root, &All).await?;
    ensure(rows == count * entries::ROWS, "the rows do not add up")?;
    process::report("load every entry, with its statistics", started.elapsed().as_secs_f64())
}

async fn sum_rows(trees: &Trees, root: &Root<Files>, select: &impl Select<Files>) -> Result<u64> {
    let mut batches = std::pin::pin!(trees.scan(root, select));
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await? {
        rows += batch.keep.ones().map(|at| batch.columns.rows()[at]).sum::<u64>();
    }
    Ok(rows)
}

/// A predicate on a clustered column that ten files pass: subtrees are skipped unread.
async fn prune(trees: &Trees, root: &Root<Files>, count: u64) -> Result<()> {
    let started = Instant::now();
    let found = trees.collect(root, &ten(count)?).await?.len();
    ensure(found == 10, &format!("{found} files pass, not 10"))?;
    process::report("prune to 10 entries, cold", started.elapsed().as_secs_f64())
}

/// The same where every leaf is in memory: what the vectors alone cost.
async fn prune_loaded(trees: &Trees, root: &Root<Files>, count: u64) -> Result<()> {
    let batches: Vec<_> = trees.scan(root, &All).map_ok(|batch| batch.columns).try_collect().await?;
    let select = ten(count)?;
    let started = Instant::now();
    let kept = batches.iter().map(|columns| Select::<Files>::entries(&select, columns).ones().count());
    let found: usize = kept.sum();
    ensure(found == 10, &format!("{found} files pass, not 10"))?;
    ensure(batches.iter().map(Columns::len).sum::<usize>() as u64 == count, "entries are missing")?;
    process::report("prune to 10 entries, all of them in memory", started.elapsed().as_secs_f64())
}

fn ten(count: u64) -> Result<FileFilter> {
    let bound = |file: u64| Ok::<_, std::num::TryFromIntError>(Value::Long(i64::try_from(file * entries::ROWS)?));
    let first = count / 2;
    let filter = Filter::And(vec![
        Filter::compare(FieldId(1), Comparison::GreaterOrEqual, bound(first)?),
        Filter::compare(FieldId(1), Comparison::Less, bound(first + 10)?),
    ]);
    let schema = entries::schema()?;
    let table = Table::new(TableId::from_random([1; 16]), Timestamp::EPOCH, TableSchema::Inline(schema.clone()));
    Ok(FileFilter::new(filter, &table, &schema))
}

fn ensure(holds: bool, what: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(what.into()) }
}
