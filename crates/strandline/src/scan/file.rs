//! One data file of a scan: opened, held against its entry, and cut into pieces that are read each by itself.
//!
//! A small file is read whole, in one request, and checked against its hash; of a larger one the footer is read, and then for
//! each row group that is left the needed column chunks, or the pages of them that may hold rows that pass. Invariant: nothing is read of a
//! file before it was held against its entry [READ-9]. What does not belong here: which files there are (`plan`), and decoding (`piece`).

use std::sync::Arc;

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use strandline_format::{
    DeletionVector, FieldSet, FileEntry, Filter, Mask, ObjectPath, Schema, Table as TableNode,
};

use super::adapt::{Adapter, FileFields, Leaves, place_of};
use super::deletes::{deletion_vector, left};
use super::footer::{self, corrupt, guarded};
use super::narrow::narrow;
use super::piece::Piece;
use super::prune::Pruning;
use super::rows;
use super::select::Wanted;
use super::shape::{self, Node};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::storage::{DataKind, Objects};

/// Files of at most this size are read whole, which verifies them, and takes one request instead of two.
pub(super) const SMALL_FILE: u64 = 1 << 20;

/// Of a row group with more pages whole column chunks are read: the Parquet reader looks for each page among all that it was given.
const MOST_PAGES: usize = 4096;

/// What all files of a scan have in common.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) objects: Objects,
    pub(super) table: Arc<TableNode>,
    pub(super) schema: Arc<Schema>,
    /// Fields that this one lacks are as if no file had them.
    pub(super) known: Option<Arc<Schema>>,
    pub(super) wanted: Arc<Wanted>,
    /// Which rows pass, and the columns that it takes to say so.
    pub(super) filter: Option<(Filter, Arc<Wanted>)>,
    /// What comes out: the wanted columns, and those of row ids if they are asked for.
    pub(super) output: SchemaRef,
    pub(super) row_ids: bool,
    pub(super) batch_rows: usize,
    pub(super) pruning: bool,
    /// How many rows are wanted at most of those that pass the filter.
    pub(super) limit: Option<u64>,
    /// Files of at most this size are read whole.
    pub(super) small_file: u64,
}

/// A file to read, and how many of its rows it takes.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) entry: FileEntry,
    /// Row groups behind this many rows that are left are not read.
    pub(super) rows: u64,
}

/// A file that was opened: all that its pieces share.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) task: Arc<Task>,
    pub(super) entry: FileEntry,
    pub(super) path: ObjectPath,
    /// How messages name the file.
    pub(super) place: String,
    pub(super) reader: ArrowReaderMetadata,
    /// What is read of the rows: of all of them, or if the filter is asked first, of those that pass.
    pub(super) leaves: Leaves,
    pub(super) output: Adapter,
    pub(super) filter: Option<Adapter>,
    /// What is read to ask the filter, if that is done before anything else is read.
    pub(super) first: Option<Leaves>,
    /// Where `_row_id` and `_last_updated_sequence_number` stand among the columns that are read, if they are stored.
    pub(super) stored_rows: Option<[usize; 2]>,
    /// The whole file, if it is small.
    pub(super) bytes: Option<Bytes>,
}

/// Opens a file. One request, for all of a small file or the footer of a larger one, none if that footer is known, and one more in
/// the same wave if its deletion vector is an object.
pub(super) async fn open(task: Arc<Task>, work: Work) -> Result<Vec<Piece>> {
    let path = footer::path(task.table.id, &work.entry)?;
    let place = task.objects.at(&path);
    let contents = contents(&task, &work.entry, &place);
    let deletes = deletion_vector(&task.objects, task.table.id, &work.entry);
    let ((bytes, footer), deletes) = futures::future::try_join(contents, deletes).await?;
    blocking(move || {
        let opening = Opening { task, work, path, place: place.clone(), bytes, footer, deletes };
        opening.pieces().map_err(|error| error.at(place))
    })
    .await
}

async fn contents(
    task: &Task,
    entry: &FileEntry,
    place: &str,
) -> Result<(Option<Bytes>, Arc<ParquetMetaData>)> {
    if entry.size > task.small_file {
        let by_pages = task.filter.is_some() && task.pruning;
        let footer = match by_pages {
            true => footer::footer_with_pages(&task.objects, task.table.id, entry).await?,
            false => footer::footer(&task.objects, task.table.id, entry).await?,
        };
        return Ok((None, footer));
    }
    let object = footer::object_of(entry);
    let bytes = task.objects.keep_data(DataKind::File, task.table.id, &object).await?;
    let footer = footer::footer_within(&task.objects, place, entry, &bytes).await?;
    Ok((Some(bytes), footer))
}

/// A file whose metadata is here.
struct Opening {
    task: Arc<Task>,
    work: Work,
    path: ObjectPath,
    place: String,
    bytes: Option<Bytes>,
    footer: Arc<ParquetMetaData>,
    deletes: Option<DeletionVector>,
}

impl Opening {
    fn pieces(mut self) -> Result<Vec<Piece>> {
        let schema = self.reader(None)?;
        let own = schema.schema().fields().len() - if self.task.row_ids { 1 } else { 0 };
        let columns = shape::columns(&schema.schema().fields().iter().take(own).cloned().collect())?;
        let (set, known) = (self.field_set()?, self.task.known.as_deref());
        let fields = FileFields { columns: &columns, set, known, footer: &self.footer };
        let (mut leaves, mut asked) = (Leaves::new(), Leaves::new());
        let mut output = Adapter::new(&self.task.wanted, &fields, &mut leaves)?;
        let filter = self.task.filter.as_ref();
        let mut filter = filter.map(|(_, wanted)| Adapter::new(wanted, &fields, &mut asked)).transpose()?;
        let stored_rows = if self.task.row_ids { rows::stored(&self.work.entry, &columns)? } else { None };
        leaves.extend(stored_rows.iter().flatten().map(|at| columns[*at].leaves.start));
        // If nothing but the filter's columns is read, or none for it, there is nothing to be put off.
        let apart = !asked.is_empty() && !leaves.is_subset(&asked);
        if !apart {
            leaves.append(&mut asked);
        }
        output.place(&columns, &leaves);
        let first = apart.then_some(asked);
        filter.iter_mut().for_each(|filter| filter.place(&columns, first.as_ref().unwrap_or(&leaves)));
        let stored_rows = stored_rows.map(|places| places.map(|at| place_of(at, &columns, &leaves)));
        let kept = self.kept(&columns)?;
        let by_pages = self.reads_pages(&kept, leaves.iter().chain(first.iter().flatten()));
        let groups = self.row_groups(&kept, by_pages.then_some(&*columns))?;
        // With the index the reader would ask for single pages wherever rows are deleted.
        let unindexed = footer::has_page_index(&self.footer) && !by_pages;
        if unindexed {
            self.footer = footer::without_page_index(&self.footer);
        }
        let read: Vec<usize> = groups.iter().map(|group| group.at).collect();
        let types = || narrow(&schema.schema().fields()[..own], &columns, &self.footer, &read);
        let types = self.bytes.is_none().then(types);
        let reader = if unindexed || types.is_some() { self.reader(types)? } else { schema };
        let Self { task, work: Work { entry, .. }, path, place, bytes, .. } = self;
        let file =
            OpenFile { task, entry, path, place, reader, leaves, output, filter, first, stored_rows, bytes };
        Ok(cut(Arc::new(file), groups))
    }

    /// Whether single pages of these leaves are read: the index of pages is there, and each page says how many rows it has.
    fn reads_pages<'l>(&self, kept: &Mask, leaves: impl Iterator<Item = &'l usize>) -> bool {
        let flat =
            |leaf: &usize| self.footer.file_metadata().schema_descr().column(*leaf).max_rep_level() == 0;
        let leaves: Vec<usize> = leaves.copied().collect();
        let Some(index) =
            self.footer.offset_index().filter(|_| self.task.filter.is_some() && self.task.pruning)
        else {
            return false;
        };
        let pages = |group: &Vec<OffsetIndexMetaData>| {
            leaves.iter().filter_map(|leaf| Some(group.get(*leaf)?.page_locations().len())).sum::<usize>()
        };
        self.bytes.is_none()
            && footer::has_page_index(&self.footer)
            && footer::has_checksums(&self.footer)
            && leaves.iter().all(flat)
            && kept.ones().filter_map(|at| index.get(at)).all(|group| pages(group) <= MOST_PAGES)
    }

    /// Types come from the Parquet schema alone, if not from here: what an Arrow writer noted beside it is about its own arrays.
    fn reader(&self, types: Option<ArrowSchema>) -> Result<ArrowReaderMetadata> {
        let positions = if self.task.row_ids { vec![rows::position_field()] } else { Vec::new() };
        guarded(|| {
            let options =
                ArrowReaderOptions::new().with_skip_arrow_metadata(true).with_virtual_columns(positions)?;
            let options = match types {
                Some(types) => options.with_schema(Arc::new(types)),
                None => options,
            };
            ArrowReaderMetadata::try_new(Arc::clone(&self.footer), options)
        })
    }

    fn field_set(&self) -> Result<&FieldSet> {
        let entry = &self.work.entry;
        let set = usize::try_from(entry.fields).ok().and_then(|at| self.task.table.field_sets.get(at));
        set.ok_or_else(|| {
            corrupt(format!("its entry refers to set {} of field ids, which the table lacks", entry.fields))
        })
    }

    /// The row groups that may hold rows that pass.
    fn kept(&self, columns: &[Node]) -> Result<Mask> {
        Ok(match &self.task.filter {
            Some((filter, _)) if self.task.pruning => self.pruning(columns)?.row_groups(filter),
            _ => Mask::of(true, self.footer.num_row_groups()),
        })
    }

    fn pruning<'p>(&'p self, columns: &'p [Node]) -> Result<Pruning<'p>> {
        let fields = self.field_set()?;
        Ok(Pruning { schema: &self.task.schema, fields, columns, footer: &self.footer })
    }

    /// The row groups to read, until there are rows enough; with the file's columns, of their rows those that may pass by the index of pages.
    fn row_groups(&self, kept: &Mask, columns: Option<&[Node]>) -> Result<Vec<Group>> {
        let ranges = footer::row_ranges(&self.footer)?;
        let left = match &self.deletes {
            Some(deletes) => left(deletes, &ranges)?,
            None => vec![None; ranges.len()],
        };
        let pruning = columns.map(|columns| self.pruning(columns)).transpose()?;
        let of_pages = |at: usize| {
            let (filter, _) = self.task.filter.as_ref()?;
            pruning.as_ref()?.rows(filter, at)
        };
        let groups =
            ranges.iter().zip(left).enumerate().filter(|(at, _)| kept.get(*at)).map(|(at, (rows, left))| {
                let left = match (left, of_pages(at)) {
                    (Some(left), Some(passing)) => Some(&left & &passing),
                    (one, other) => one.or(other),
                };
                Group { at, rows: rows.len(), left }
            });
        let mut wanted = self.work.rows;
        let mut out = Vec::new();
        for group in groups.filter(|group| group.live() > 0) {
            if wanted == 0 {
                break;
            }
            wanted = wanted.saturating_sub(group.live() as u64);
            out.push(group);
        }
        Ok(out)
    }
}

/// A row group to read.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) at: usize,
    pub(super) rows: usize,
    /// Which of its rows are left and may pass; `None` where all are.
    pub(super) left: Option<BooleanBuffer>,
}

impl Group {
    /// How many these are.
    pub(super) fn live(&self) -> usize {
        self.left.as_ref().map_or(self.rows, BooleanBuffer::count_set_bits)
    }
}

/// A file that is here already is one piece; else each row group is, so that several are read and decoded at once.
fn cut(file: Arc<OpenFile>, groups: Vec<Group>) -> Vec<Piece> {
    if groups.is_empty() {
        return Vec::new();
    }
    if file.bytes.is_some() {
        return vec![Piece { file, groups }];
    }
    groups.into_iter().map(|group| Piece { file: Arc::clone(&file), groups: vec![group] }).collect()
}

/// Which rows of several row groups are left, one after the other; `None` where all are.
pub(super) fn left_of(groups: &[Group]) -> Option<BooleanBuffer> {
    if groups.iter().all(|group| group.left.is_none()) {
        return None;
    }
    let mut bits = BooleanBufferBuilder::new(groups.iter().map(|group| group.rows).sum());
    for group in groups {
        match &group.left {
            Some(left) => bits.append_buffer(left),
            None => bits.append_n(group.rows, true),
        }
    }
    Some(bits.finish())
}

impl OpenFile {
    /// What the Parquet reader is to read of some leaves.
    pub(super) fn mask(&self, leaves: &Leaves) -> ProjectionMask {
        ProjectionMask::leaves(self.reader.parquet_schema(), leaves.iter().copied())
    }

    /// How many rows of those that pass are wanted at most, if they are few: for more than a batch nothing is gained by not asking for the rest
    /// of a row group.
    pub(super) fn limit(&self) -> Option<usize> {
        self.task
            .limit
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit <= self.task.batch_rows)
    }

    /// The error, said to be in this file.
    pub(super) fn at(&self, error: Error) -> Error {
        error.at(&self.place)
    }
}
