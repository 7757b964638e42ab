//! The baseline of writing: Parquet and nothing else, by the same encoder on as many cores, with the same settings but that it puts all
//! numbers into dictionaries, as the encoder does by itself.
//!
//! One job for each column of each row group, taken in order by one thread for each core, while this thread puts finished row
//! groups into the file: what the writer of a lake does too, without its statistics, hashes and commits, and without a
//! bound of its memory. It makes one file, not several of a target size.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;

use crate::phase::Failure;

/// The settings of a lake's files.
pub(crate) fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .build()
}

/// Writes row groups of so many rows, each column in a job of its own.
pub(crate) fn write(
    path: &Path,
    batches: &[RecordBatch],
    rows: usize,
    cores: NonZeroUsize,
    fsync: bool,
) -> Result<(), Failure> {
    let Some(first) = batches.first() else { return Err("no rows to write".into()) };
    let schema = first.schema();
    let root = ArrowSchemaConverter::new().convert(&schema)?.root_schema_ptr();
    let mut file = SerializedFileWriter::new(File::create(path)?, root, Arc::new(properties()))?;
    let factory = ArrowRowGroupWriterFactory::new(&file, schema);
    let groups = groups(batches, rows);
    let encoders =
        (0..groups.len()).map(|group| factory.create_column_writers(group)).collect::<Result<_, _>>()?;
    let work = Work::new(groups, encoders);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..cores.get() {
            let (work, sender) = (&work, sender.clone());
            scope.spawn(move || work.run(&sender));
        }
        drop(sender);
        append(&mut file, &receiver, &work)
    })?;
    let file = file.into_inner()?;
    if fsync { sync(&file, path) } else { Ok(()) }
}

/// Writes one small file as anybody would, by the writer of Arrow batches.
pub(crate) fn write_small(path: &Path, batch: &RecordBatch, fsync: bool) -> Result<(), Failure> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties()))?;
    writer.write(batch)?;
    let mut file = File::create(path)?;
    file.write_all(&writer.into_inner()?)?;
    if fsync { sync(&file, path) } else { Ok(()) }
}

/// A file lasts when its entry in the folder does.
fn sync(file: &File, path: &Path) -> Result<(), Failure> {
    file.sync_all()?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The batches, cut where a row group ends.
fn groups(batches: &[RecordBatch], rows: usize) -> Vec<Vec<RecordBatch>> {
    let (mut groups, mut group, mut room) = (Vec::new(), Vec::new(), rows);
    for batch in batches {
        let mut rest = batch.clone();
        while rest.num_rows() >= room {
            group.push(rest.slice(0, room));
            rest = rest.slice(room, rest.num_rows() - room);
            groups.push(std::mem::take(&mut group));
            room = rows;
        }
        if rest.num_rows() > 0 {
            room -= rest.num_rows();
            group.push(rest);
        }
    }
    groups.extend((!group.is_empty()).then_some(group));
    groups
}

/// What a job came to: which one it was, and its chunk.
type Done = (usize, Result<ArrowColumnChunk, Failure>);

/// The jobs, in the order in which they are taken.
struct Work {
    groups: Vec<Vec<RecordBatch>>,
    columns: usize,
    encoders: Vec<Mutex<Option<ArrowColumnWriter>>>,
    next: AtomicUsize,
}

impl Work {
    fn new(groups: Vec<Vec<RecordBatch>>, encoders: Vec<Vec<ArrowColumnWriter>>) -> Self {
        let columns = encoders.first().map_or(0, Vec::len);
        let encoders = encoders.into_iter().flatten().map(|encoder| Mutex::new(Some(encoder))).collect();
        Self { groups, columns, encoders, next: AtomicUsize::new(0) }
    }

    /// Takes jobs until there are none.
    fn run(&self, done: &mpsc::Sender<Done>) {
        loop {
            let job = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(encoder) = self.encoders.get(job) else { return };
            let encoder = encoder.lock().unwrap_or_else(PoisonError::into_inner).take();
            let chunk = encoder.ok_or_else(|| "a job was taken twice".into());
            if done.send((job, chunk.and_then(|encoder| self.encode(job, encoder)))).is_err() {
                return;
            }
        }
    }

    fn encode(&self, job: usize, mut encoder: ArrowColumnWriter) -> Result<ArrowColumnChunk, Failure> {
        let (group, column) = (job / self.columns, job % self.columns);
        for batch in &self.groups[group] {
            for leaf in compute_leaves(batch.schema().field(column), batch.column(column))? {
                encoder.write(&leaf)?;
            }
        }
        Ok(encoder.close()?)
    }
}

/// Puts the chunks into the file in order, each row group when all of its columns are there.
fn append(
    file: &mut SerializedFileWriter<File>,
    done: &mpsc::Receiver<Done>,
    work: &Work,
) -> Result<(), Failure> {
    let mut chunks: Vec<Option<ArrowColumnChunk>> = work.encoders.iter().map(|_| None).collect();
    let mut next = 0;
    for (job, chunk) in done {
        chunks[job] = Some(chunk?);
        while next < chunks.len() && chunks[next..next + work.columns].iter().all(Option::is_some) {
            let mut group = file.next_row_group()?;
            for chunk in chunks[next..next + work.columns].iter_mut().filter_map(Option::take) {
                chunk.append_to_row_group(&mut group)?;
            }
            group.close()?;
            next += work.columns;
        }
    }
    Ok(())
}
