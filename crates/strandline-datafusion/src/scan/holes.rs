//! Large files of which a few rows are gone, where all others are read: row group by row group, decoded with what is gone, which is then left out.
//!
//! Why: by a selection of rows the Parquet reader fills a batch beyond the memory that it has for one, and copies what is left to other memory. The
//! SDK's own scans move what is left together where it is ([`LeftRows`](strandline::scan::LeftRows)). Invariants: those of `bundle`; a file goes this
//! way only in a scan that skips nothing within files, since DataFusion's own reader is what knows how to. What does not belong here: decoding
//! (`pages`), and how columns are fitted to the table's (`bundle`).

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::error::Result;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use datafusion_datasource::morsel::{Morsel, MorselPlan, MorselPlanner};
use datafusion_datasource::{FileRange, PartitionedFile};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use strandline::format::FileEntry;
use strandline::scan::FileShape;

use super::bundle::{Batches, Common, Fit, Run};
use super::pages::Part;
use super::reader::{Opened, Reader};
use crate::error::external;

/// Of how many rows of a file one is gone at most: where more are, passing over them is worth more.
const ROWS_PER_HOLE: u64 = 4;

/// Whether few rows of a file are gone.
pub(super) fn has_holes(entry: &FileEntry) -> bool {
    let gone = entry.rows.saturating_sub(entry.live_rows());
    entry.deletes.is_some() && gone.saturating_mul(ROWS_PER_HOLE) <= entry.rows
}

/// Such a file, or the part of it whose row groups begin in a range, before it was opened.
#[derive(Debug)]
pub(super) struct Holes {
    entry: Arc<FileEntry>,
    range: Option<FileRange>,
    common: Arc<Common>,
}

impl Holes {
    pub(super) fn new(file: &PartitionedFile, entry: Arc<FileEntry>, common: Arc<Common>) -> Self {
        Self { entry, range: file.range.clone(), common }
    }

    async fn opened(self) -> Result<Groups> {
        let Self { entry, range, common } = self;
        let reader =
            Reader::new(common.reader.clone(), Opened::new(Arc::clone(&entry)), common.counts.clone());
        let footer = reader.footer().await.map_err(external)?;
        let left = common.reader.rows_left(&entry, &footer).await.map_err(external)?;
        let within =
            |group: &RowGroupMetaData| range.as_ref().is_none_or(|range| begins_within(group, range));
        let groups = footer.row_groups().iter().zip(left).enumerate();
        let groups = groups.filter(|(_, (group, _))| within(group) && group.num_rows() > 0);
        let mut groups: Vec<Group> = groups.map(|(at, (_, left))| (at, left)).collect();
        common.files.count(1, 0);
        groups.iter().for_each(|(_, left)| common.files.count_gone(left.as_ref()));
        groups.retain(|(_, left)| left.as_ref().is_none_or(|left| left.count_set_bits() > 0));
        let fit = common.fit(&entry, &footer)?;
        let shape = common.reader.shape(&entry, &footer).map_err(external)?;
        Ok(Groups { groups, file: File { entry, footer, reader, fit, shape, common } })
    }
}

impl MorselPlanner for Holes {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        Ok(Some(MorselPlan::new().with_pending_planner(async move {
            Ok(Box::new(self.opened().await?) as Box<dyn MorselPlanner>)
        })))
    }
}

/// Where a row group begins, DataFusion says by its first column.
fn begins_within(group: &RowGroupMetaData, range: &FileRange) -> bool {
    let start = group
        .columns()
        .first()
        .map_or(0, |column| column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset()));
    (range.start..range.end).contains(&start)
}

/// A row group by its place, and which of its rows are left, unless all are.
type Group = (usize, Option<BooleanBuffer>);

/// A file that was opened.
struct File {
    entry: Arc<FileEntry>,
    footer: Arc<ParquetMetaData>,
    reader: Reader,
    fit: Arc<Fit>,
    shape: FileShape,
    common: Arc<Common>,
}

impl File {
    async fn read(self: Arc<Self>, (group, left): Group) -> Result<Batches> {
        let Self { entry, footer, reader, fit, shape, common } = &*self;
        let ranges = common.ranges(entry, footer, group, fit)?;
        let chunks = reader.ranges(ranges).await.map_err(external)?;
        let narrow = left.as_ref().map(|_| fit.levels_as(&shape.narrow(group)));
        let narrow = narrow.transpose().map_err(|error| error.context(shape.place()))?;
        let (entry, footer) = (Arc::clone(entry), Arc::clone(footer));
        let part = Part { entry, footer, group, chunks, left };
        Run { fit: Arc::clone(fit), narrow, parts: vec![part] }.batches(common)
    }
}

/// The row groups of a file that are read, one after the other.
struct Groups {
    groups: Vec<Group>,
    file: File,
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").field("file", &self.file.entry.id).finish_non_exhaustive()
    }
}

impl MorselPlanner for Groups {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        Ok(Some(MorselPlan::new().with_morsels(vec![self])))
    }
}

impl Morsel for Groups {
    fn into_stream(self: Box<Self>) -> BoxStream<'static, Result<RecordBatch>> {
        let Self { groups, file } = *self;
        let file = Arc::new(file);
        let read = move |group| Arc::clone(&file).read(group);
        stream::iter(groups).then(read).map_ok(stream::iter).try_flatten().boxed()
    }
}
