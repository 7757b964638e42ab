//! One data file of a scan: opened, held against its entry, and cut into pieces that are read each by itself.
//!
//! A small file is read whole, in one request, and checked against its hash; of a larger one the footer is read, and then for
//! each row group that is left the needed column chunks. Invariant: nothing is read of a file before it was held against its
//! entry [READ-9]. What does not belong here: which files there are (`plan`), and decoding (`piece`).

use std::ops::Range;
use std::sync::Arc;

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::ParquetMetaData;
use strandline_format::{
    DeletionVector, FieldSet, FileEntry, Filter, Mask, ObjectPath, ObjectRef, Schema, Table as TableNode,
};

use super::adapt::{Adapter, FileFields, Leaves, place_of};
use super::blocking::blocking;
use super::deletes::{deletion_vector, left};
use super::footer::{self, corrupt, guarded};
use super::piece::Piece;
use super::prune::Pruning;
use super::rows;
use super::select::Wanted;
use super::shape::{self, Node};
use crate::error::{Error, Result};
use crate::storage::{DataKind, Objects};

/// Files of at most this size are read whole, which verifies them, and takes one request instead of two.
pub(super) const SMALL_FILE: u64 = 1 << 20;

/// What all files of a scan have in common.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) objects: Objects,
    pub(super) table: Arc<TableNode>,
    pub(super) schema: Arc<Schema>,
    pub(super) wanted: Arc<Wanted>,
    /// Which rows pass, and the columns that it takes to say so.
    pub(super) filter: Option<(Filter, Arc<Wanted>)>,
    /// What comes out: the wanted columns, and those of row ids if they are asked for.
    pub(super) output: SchemaRef,
    pub(super) row_ids: bool,
    pub(super) batch_rows: usize,
    pub(super) pruning: bool,
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
    pub(super) mask: ProjectionMask,
    pub(super) output: Adapter,
    pub(super) filter: Option<Adapter>,
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
    if entry.size > SMALL_FILE {
        return Ok((None, footer::footer(&task.objects, task.table.id, entry).await?));
    }
    let object = ObjectRef { hash: entry.hash, era: entry.era, size: entry.size };
    let bytes = task.objects.get_data(DataKind::File, task.table.id, &object).await?;
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
    fn pieces(self) -> Result<Vec<Piece>> {
        let reader = self.reader()?;
        let own = reader.schema().fields().len() - if self.task.row_ids { 1 } else { 0 };
        let columns = shape::columns(&reader.schema().fields().iter().take(own).cloned().collect())?;
        let set = self.field_set()?;
        let fields = FileFields { columns: &columns, set, footer: &self.footer };
        let mut leaves = Leaves::new();
        let mut output = Adapter::new(&self.task.wanted, &fields, &mut leaves)?;
        let filter = self.task.filter.as_ref();
        let mut filter = filter.map(|(_, wanted)| Adapter::new(wanted, &fields, &mut leaves)).transpose()?;
        let stored_rows = if self.task.row_ids { rows::stored(&self.work.entry, &columns)? } else { None };
        leaves.extend(stored_rows.iter().flatten().map(|at| columns[*at].leaves.start));
        output.place(&columns, &leaves);
        filter.iter_mut().for_each(|filter| filter.place(&columns, &leaves));
        let stored_rows = stored_rows.map(|places| places.map(|at| place_of(at, &columns, &leaves)));
        let kept = self.kept(&columns, set);
        let groups = self.row_groups(&kept)?;
        let mask = ProjectionMask::leaves(reader.parquet_schema(), leaves);
        let file = OpenFile {
            task: self.task,
            entry: self.work.entry,
            path: self.path,
            place: self.place,
            reader,
            mask,
            output,
            filter,
            stored_rows,
            bytes: self.bytes,
        };
        Ok(cut(Arc::new(file), groups))
    }

    /// Types come from the Parquet schema alone: what an Arrow writer noted beside it is about its own arrays.
    fn reader(&self) -> Result<ArrowReaderMetadata> {
        let positions = if self.task.row_ids { vec![rows::position_field()] } else { Vec::new() };
        guarded(|| {
            let options =
                ArrowReaderOptions::new().with_skip_arrow_metadata(true).with_virtual_columns(positions)?;
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

    fn kept(&self, columns: &[Node], fields: &FieldSet) -> Mask {
        match &self.task.filter {
            Some((filter, _)) if self.task.pruning => {
                let pruning = Pruning { schema: &self.task.schema, fields, columns, footer: &self.footer };
                pruning.row_groups(filter)
            }
            _ => Mask::of(true, self.footer.num_row_groups()),
        }
    }

    /// The row groups to read, until there are rows enough.
    fn row_groups(&self, kept: &Mask) -> Result<Vec<Group>> {
        let ranges = self.ranges()?;
        let left = match &self.deletes {
            Some(deletes) => left(deletes, &ranges),
            None => vec![None; ranges.len()],
        };
        let groups = ranges.iter().zip(left).enumerate().map(|(at, (rows, left))| Group {
            at,
            rows: rows.len(),
            left,
        });
        let mut wanted = self.work.rows;
        let mut out = Vec::new();
        for group in groups.filter(|group| kept.get(group.at) && group.live() > 0) {
            if wanted == 0 {
                break;
            }
            wanted = wanted.saturating_sub(group.live() as u64);
            out.push(group);
        }
        Ok(out)
    }

    /// The positions of the rows of each row group.
    fn ranges(&self) -> Result<Vec<Range<usize>>> {
        let mut end = 0_usize;
        let mut next = |rows: Option<u64>| {
            let start = end;
            end = start.checked_add(usize::try_from(rows?).ok()?)?;
            Some(start..end)
        };
        let ranges = self.footer.row_groups().iter().map(|group| next(footer::rows_of(group)));
        ranges.collect::<Option<_>>().ok_or_else(|| corrupt("it has more rows than can be counted here"))
    }
}

/// A row group to read.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) at: usize,
    pub(super) rows: usize,
    /// Which of its rows are left; `None` where all are.
    pub(super) left: Option<BooleanBuffer>,
}

impl Group {
    /// How many rows are left.
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
    /// The error, said to be in this file.
    pub(super) fn at(&self, error: Error) -> Error {
        error.at(&self.place)
    }
}
