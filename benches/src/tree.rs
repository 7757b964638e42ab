//! The bench "tree": a table of many files, with statistics of eight fields, in a local folder. How fast its entries are
//! loaded, and how fast the ten are found that pass a predicate.
//!
//! The baseline of loading is to read the same objects and decompress them, without hashing or parsing a byte.

use std::path::PathBuf;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use strandline::Runtime;
use strandline::storage::{ObjectOptions, Storage, StorageOptions, StoreLocation};
use strandline::tree::{All, FileFilter, Select, Trees};
use strandline_format::{
    Era, FieldId, FileId, Files, Filter, MAX_META_BYTES, RowId, Schema, Table, TableId, TableSchema, Test,
    Timestamp, Totals, Value,
};
use strandline_testkit::CountingStore;
use strandline_testkit::generate::entries;

use crate::cost::{Meter, size_of};
use crate::phase::{Failure, Measured, Task, say};

/// How many files pass the predicate.
const HITS: u64 = 10;

/// Runs the bench, or one phase of it.
pub(crate) async fn run(task: &Task) -> Result<(), Failure> {
    let Some((phase, folder)) = &task.phase else { return all(task) };
    let lake = Lake { folder: folder.clone(), entries: task.entries };
    let measured = match phase.as_str() {
        "generate" => Ok(lake.generate()),
        "build" => lake.build().await,
        "raw" => lake.raw().await,
        "load" => lake.load().await,
        "prune" => lake.prune().await,
        "vectors" => lake.vectors().await,
        other => Err(format!("no such phase: {other}").into()),
    };
    say(&measured?.to_line());
    Ok(())
}

fn all(task: &Task) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    say(&format!("tree: {} entries with statistics of {} fields", task.entries, entries::FIELDS));
    let generated = task.measure("tree", "generate", folder.path(), None)?;
    task.measure("tree", "build", folder.path(), Some(&generated))?;
    let raw = task.measure("tree", "raw", folder.path(), None)?;
    task.measure("tree", "load", folder.path(), Some(&raw))?;
    task.measure("tree", "prune", folder.path(), Some(&raw))?;
    task.measure("tree", "vectors", folder.path(), Some(&raw))?;
    Ok(())
}

/// A lake of one table in a folder.
struct Lake {
    folder: PathBuf,
    entries: u64,
}

impl Lake {
    /// Makes the entries and lets them go.
    fn generate(&self) -> Measured {
        let started = Meter::start();
        (0..self.entries).for_each(|id| drop(std::hint::black_box(entries::file(id))));
        Measured::since(started, "the entries alone, not stored".to_owned())
    }

    /// Stores them, fsynced.
    async fn build(&self) -> Result<Measured, Failure> {
        let started = Meter::start();
        let trees = Trees::new(self.open().await?.objects().clone());
        let files = stream::iter((0..self.entries).map(|id| Ok(entries::file(id))));
        let root = trees.build::<Files>(files, Era(0)).await?;
        let mut table = Table::new(
            TableId::from_random([1; 16]),
            Timestamp::EPOCH,
            TableSchema::Inline(entries::schema()?),
        );
        table.field_set(&entries::field_set())?;
        (table.next_file, table.next_row) = (FileId(self.entries), RowId(self.entries * entries::ROWS));
        // A tree that was just built has nothing in its buffer, so its root shows the sums.
        table.totals = Totals::of_root(&root).ok_or("the root does not show its totals")?;
        table.files = root;
        std::fs::write(self.table_path(), table.to_json()?)?;
        let (objects, bytes) = size_of(&self.folder.join("lake/meta"))?;
        Ok(Measured::since(started, format!("{objects} objects of {bytes} bytes")))
    }

    /// Reads every object of the lake and decompresses it.
    async fn raw(&self) -> Result<Measured, Failure> {
        let started = Meter::start();
        let store = self.open().await?.objects().store().clone();
        let paths: Vec<_> = store.list(None).map_ok(|object| object.location).try_collect().await?;
        let read = |path| {
            let store = store.clone();
            async move {
                store.get_opts(&path, Default::default()).await?.bytes().await.map(|bytes| (path, bytes))
            }
        };
        let mut read = stream::iter(paths).map(read).buffered(16);
        let mut length = 0;
        while let Some((path, bytes)) = read.try_next().await? {
            let compressed = path.as_ref().ends_with(".zst");
            length +=
                if compressed { zstd::bulk::decompress(&bytes, MAX_META_BYTES)?.len() } else { bytes.len() };
        }
        Ok(Measured::since(started, format!("{length} bytes of JSON, read and decompressed only")))
    }

    /// Loads every entry.
    async fn load(&self) -> Result<Measured, Failure> {
        self.scan(&All, self.entries).await
    }

    /// Finds the entries that pass a predicate.
    async fn prune(&self) -> Result<Measured, Failure> {
        self.scan(&self.filter()?, HITS).await
    }

    /// The same with every leaf in memory: what comparing costs where no subtree can be skipped.
    async fn vectors(&self) -> Result<Measured, Failure> {
        let trees = Trees::new(self.open().await?.objects().clone());
        let files = self.table()?.0.files;
        let leaves: Vec<_> = trees.scan(&files, &All).map_ok(|batch| batch.columns).try_collect().await?;
        let filter = self.filter()?;
        let started = Meter::start();
        let found = leaves.iter().map(|leaf| filter.entries(leaf).count() as u64).sum();
        expect(found, HITS)?;
        Ok(Measured::since(started, format!("{found} entries found in {} leaves", leaves.len())))
    }

    /// A range of the first field, which ascends with the files.
    fn filter(&self) -> Result<FileFilter, Failure> {
        let first = self.entries / 2 * entries::ROWS;
        let last = first + HITS * entries::ROWS - 1;
        let test = Test::Between(long(first)?, long(last)?);
        let (table, schema) = self.table()?;
        Ok(FileFilter::new(Filter::Field(FieldId(1), test), &table, &schema))
    }

    /// Walks the tree as another process would that has just opened the lake.
    async fn scan(&self, select: &impl Select<Files>, expected: u64) -> Result<Measured, Failure> {
        let started = Meter::start();
        let (table, _) = self.table()?;
        let opened = self.open().await?;
        let counted = CountingStore::new(Arc::clone(opened.objects().store()));
        let shared: Arc<CountingStore> = Arc::new(counted.clone());
        let location = opened.location().clone();
        let storage = Storage::from_stores(
            location,
            shared.clone(),
            shared,
            ObjectOptions::default(),
            Runtime::system(),
        );
        let trees = Trees::new(storage.objects().clone());
        let mut batches = std::pin::pin!(trees.scan(&table.files, select));
        let mut found = 0;
        while let Some(batch) = batches.try_next().await? {
            found += batch.keep.count() as u64;
        }
        expect(found, expected)?;
        let total = counted.snapshot().total();
        let note = format!("{found} entries found in {} objects of {} bytes", total.requests, total.received);
        Ok(Measured::since(started, note))
    }

    async fn open(&self) -> Result<Storage, Failure> {
        let location = StoreLocation::parse(&self.folder.join("lake").to_string_lossy())?;
        Ok(Storage::open(&location, &StorageOptions::default(), Runtime::system()).await?)
    }

    /// The table, as its commit would lead to it.
    fn table(&self) -> Result<(Table, Schema), Failure> {
        let table = Table::parse(&std::fs::read(self.table_path())?)?;
        match table.schema.clone() {
            TableSchema::Inline(schema) => Ok((table, schema)),
            TableSchema::Stored(_) => Err("the bench writes its schema inline".into()),
        }
    }

    fn table_path(&self) -> PathBuf {
        self.folder.join("table.json")
    }
}

fn expect(found: u64, expected: u64) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(format!("{found} entries instead of {expected}").into()) }
}

fn long(number: u64) -> Result<Value, Failure> {
    Ok(Value::Long(i64::try_from(number)?))
}
