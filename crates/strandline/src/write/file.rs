//! Putting files together, and getting them into the store.
//!
//! Invariants: row groups are appended in the order in which they were given, and when a file is finished follows from
//! what it holds alone; so the same rows give the same files. At most
//! [`WriteOptions::open_files`](super::WriteOptions::open_files) files are being written and
//! [`WriteOptions::parallel_uploads`](super::WriteOptions::parallel_uploads) uploaded. What a file's entry says of the
//! file is read off the file's own metadata. Nothing here knows what a row is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parquet::file::writer::SerializedFileWriter;
use strandline_format::{Era, ObjectRef, SplitValues, Stats, TableId};

use super::checksum::Chunk;
use super::encode::EncodedGroup;
use super::jobs::{Task, blocking};
use super::plan::Plan;
use super::split::Key;
use super::stats::LeafStats;
use super::uploads::Uploads;
use super::{NewFile, odd, refused};
use crate::error::Result;
use crate::storage::{DataKind, DataWriter, Objects};

/// So few bytes are put together and hashed at once, in some tens of microseconds: to hand them over to another thread takes longer.
const FEW_BYTES: u64 = 128 << 10;

/// A footer of so few chunks is written at once.
const FEW_CHUNKS: usize = 64;

/// About what a footer and its page index take for one column of one row group.
const CHUNK_BYTES: u64 = 1 << 10;

/// The most row groups that Parquet allows in a file.
const MAX_ROW_GROUPS: usize = (1 << 15) - 1;

/// The files of one writer.
pub(super) struct Files {
    objects: Objects,
    plan: Arc<Plan>,
    table: TableId,
    era: Era,
    open: BTreeMap<Key, OpenFile>,
    uploads: VecDeque<Task<()>>,
    /// All files in the order in which they were begun.
    files: Vec<Option<NewFile>>,
}

/// A file that row groups are still added to.
struct OpenFile {
    slot: usize,
    parquet: SerializedFileWriter<Vec<u8>>,
    data: DataWriter,
    facts: Facts,
}

/// What is known of a file so far.
struct Facts {
    rows: u64,
    row_groups: Vec<u64>,
    stats: Vec<LeafStats>,
    split: Option<SplitValues>,
}

impl Files {
    pub(super) fn new(objects: Objects, plan: Arc<Plan>, table: TableId, era: Era) -> Self {
        let (open, uploads) = (BTreeMap::new(), VecDeque::new());
        Self { objects, plan, table, era, open, uploads, files: Vec::new() }
    }

    /// Adds row groups to the file of their group, and finishes it if it is large enough, or if these are its last.
    pub(super) async fn append(
        &mut self,
        key: &Key,
        split: Option<&SplitValues>,
        groups: Vec<EncodedGroup>,
        last: bool,
    ) -> Result<()> {
        for group in groups {
            let file = match self.open.remove(key) {
                Some(file) => file,
                None => self.begin(split.cloned())?,
            };
            let file = file.append(group).await?;
            let full = file.is_full(self.plan.options.target_file_bytes);
            self.open.insert(Arc::clone(key), file);
            if full {
                self.close(key, false).await?;
            }
        }
        if last {
            self.close(key, false).await?;
        }
        self.make_room(key).await
    }

    fn begin(&mut self, split: Option<SplitValues>) -> Result<OpenFile> {
        let slot = self.files.len();
        self.files.push(None);
        let data = self.objects.write_data(DataKind::File, self.table, self.era);
        OpenFile::new(&self.plan, slot, data, split)
    }

    /// Moves bytes out of memory, and finishes the largest files, until there is as little open as there may be.
    async fn make_room(&mut self, key: &Key) -> Result<()> {
        let held: u64 = self.open.values().map(|file| file.data.held()).sum();
        if held > self.plan.options.open_bytes_limit()
            && let Some(file) = self.open.get_mut(key)
        {
            file.data.spill().await?;
        }
        while self.is_crowded() {
            let largest = self.open.iter().max_by_key(|(_, file)| file.data.size());
            let Some(key) = largest.map(|(key, _)| Arc::clone(key)) else { break };
            self.close(&key, false).await?;
        }
        Ok(())
    }

    fn is_crowded(&self) -> bool {
        let chunks: usize =
            self.open.values().map(|file| file.facts.row_groups.len() * self.plan.columns.len()).sum();
        let options = &self.plan.options;
        self.open.len() > options.open_files.get() || chunks as u64 * CHUNK_BYTES > options.footers_limit()
    }

    /// Finishes a file, if there is one, and begins to upload it; whoever takes over the last ones waits for them soon.
    async fn close(&mut self, key: &Key, last: bool) -> Result<()> {
        let Some(file) = self.open.remove(key) else { return Ok(()) };
        while self.uploads.len() >= self.plan.options.parallel_uploads.get() {
            self.uploaded().await?;
        }
        let slot = file.slot;
        let (data, describe) = file.finish(Arc::clone(&self.plan)).await?;
        let (object, sealed) = data.seal_unless(|hash| self.plan.known.get(hash).copied());
        self.files[slot] = Some(NewFile { reused: sealed.is_none(), ..describe(object) });
        self.uploads.extend(sealed.map(|sealed| {
            match last && self.open.is_empty() && self.objects.is_local() {
                // Fsyncs that begin together share a commit of the file system's journal; those of the commit are about to begin.
                true => Task::when_waited_for(sealed.put()),
                false => Task::spawn(sealed.put()),
            }
        }));
        Ok(())
    }

    /// Waits for the upload that began first.
    async fn uploaded(&mut self) -> Result<()> {
        if let Some(upload) = self.uploads.front_mut() {
            upload.await?;
            self.uploads.pop_front();
        }
        Ok(())
    }

    /// Finishes all files. The last ones may still be on their way into the store.
    pub(super) async fn finish(mut self) -> Result<(Vec<NewFile>, Uploads)> {
        while let Some((key, _)) = self.open.first_key_value() {
            let key = Arc::clone(key);
            self.close(&key, true).await?;
        }
        Ok((self.files.into_iter().flatten().collect(), Uploads::new(self.uploads)))
    }
}

impl OpenFile {
    fn new(plan: &Plan, slot: usize, data: DataWriter, split: Option<SplitValues>) -> Result<Self> {
        let (root, properties) = (Arc::clone(&plan.root), Arc::clone(&plan.properties));
        let parquet = SerializedFileWriter::new(Vec::new(), root, properties).map_err(refused)?;
        let stats = plan.columns.iter().map(|column| LeafStats::new(column.leaf.ty)).collect();
        let facts = Facts { rows: 0, row_groups: Vec::new(), stats, split };
        Ok(Self { slot, parquet, data, facts })
    }

    /// Whether another row group like those before would rather take it past the target than up to it.
    fn is_full(&self, target: u64) -> bool {
        let (size, groups) = (self.data.size(), self.facts.row_groups.len());
        groups >= MAX_ROW_GROUPS || size + size / (2 * groups.max(1) as u64) >= target
    }

    async fn append(self, group: EncodedGroup) -> Result<Self> {
        let Self { slot, parquet, mut data, mut facts } = self;
        facts.rows += group.rows as u64;
        let mut chunks = Vec::with_capacity(group.columns.len());
        for (column, stats) in group.columns.into_iter().zip(&mut facts.stats) {
            stats.merge(column.stats);
            chunks.push(column.chunk);
        }
        let bytes: u64 = chunks.iter().map(|chunk| chunk.close.bytes_written).sum();
        let few = bytes <= FEW_BYTES && !data.spills(usize::try_from(2 * bytes).unwrap_or(usize::MAX));
        let job = move || {
            let (parquet, offset, bytes) = append_chunks(parquet, chunks)?;
            data.write_blocking(&bytes)?;
            Ok((parquet, offset, data))
        };
        let (parquet, offset, data) = if few { job()? } else { blocking(job).await? };
        facts.row_groups.push(offset);
        Ok(Self { slot, parquet, data, facts })
    }

    /// Writes the footer. Gives the bytes that are to be uploaded, and how their entry is made of the object they
    /// become.
    async fn finish(self, plan: Arc<Plan>) -> Result<(DataWriter, impl FnOnce(ObjectRef) -> NewFile + Send)> {
        let Self { mut parquet, mut data, facts, .. } = self;
        let few = facts.row_groups.len() * plan.columns.len() <= FEW_CHUNKS && !data.spills(1 << 20);
        let job = move || {
            parquet.finish().map_err(refused)?;
            let end = std::mem::take(parquet.inner_mut());
            data.write_blocking(&end)?;
            Ok((data, footer_length(&end)?))
        };
        let (data, footer) = if few { job()? } else { blocking(job).await? };
        Ok((data, move |object| facts.describe(&plan, object, footer)))
    }
}

type Parquet = SerializedFileWriter<Vec<u8>>;

/// Adds a row group. Gives the offset of its first byte, and the bytes that were added.
fn append_chunks(mut parquet: Parquet, chunks: Vec<Chunk>) -> Result<(Parquet, u64, Vec<u8>)> {
    // A vector that grows is copied again and again.
    let size: u64 = chunks.iter().map(|chunk| chunk.close.bytes_written).sum();
    parquet.inner_mut().reserve_exact(usize::try_from(size).map_err(refused)?);
    let mut row_group = parquet.next_row_group().map_err(refused)?;
    for chunk in chunks {
        row_group.append_column(&chunk.bytes, chunk.close).map_err(refused)?;
    }
    let offset = row_group.close().map_err(refused)?.file_offset();
    parquet.flush().map_err(refused)?;
    let bytes = std::mem::take(parquet.inner_mut());
    let offset = offset.and_then(|offset| u64::try_from(offset).ok());
    Ok((parquet, offset.ok_or_else(|| odd("a row group without an offset"))?, bytes))
}

/// A Parquet file ends with the length of its metadata in four bytes, and a magic word of four.
fn footer_length(end: &[u8]) -> Result<u64> {
    let (_, last) = end.split_last_chunk::<8>().ok_or_else(|| odd("a file without a footer"))?;
    let [a, b, c, d, ..] = *last;
    Ok(u64::from(u32::from_le_bytes([a, b, c, d])) + 8)
}

impl Facts {
    fn describe(self, plan: &Plan, object: ObjectRef, footer: u64) -> NewFile {
        let stats = plan.columns.iter().zip(self.stats);
        let stats = stats.map(|(column, stats)| (column.leaf.id, stats.finish(column.leaf.is_repeated())));
        NewFile {
            object,
            reused: false,
            rows: self.rows,
            footer,
            row_groups: self.row_groups,
            stats: Stats(stats.collect()),
            order: plan.order.as_ref().map(|order| order.id),
            split: self.split,
            fields: plan.fields.clone(),
        }
    }
}
