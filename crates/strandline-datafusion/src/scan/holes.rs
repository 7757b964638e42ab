//! Large files of which a few rows are gone, where all others are read: row group by row group, decoded with what is gone, which is then left out.
//!
//! Why: by a selection of rows the Parquet reader fills a batch beyond the memory that it has for one, and copies what is left to other memory. The
//! SDK's own scans move what is left together where it is ([`LeftRows`](strandline::scan::LeftRows)). Invariants: those of `bundle`; a file goes this way only in a scan that
//! skips nothing within files, since DataFusion's own reader is what knows how to. What does not belong here: decoding (`pages`).

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use datafusion_datasource::morsel::{MorselPlan, MorselPlanner};
use datafusion_datasource::{FileRange, PartitionedFile};
use strandline::format::FileEntry;

use super::bundle::{Common, Loaded, Rows, Run};
use super::pages::Part;
use super::reader::{Opened, Reader};
use crate::error::external;

/// Of how many rows of a file one is gone at most: where more are, passing over them is worth more.
const ROWS_FOR_EACH: u64 = 4;

/// Whether few rows of a file are gone.
pub(super) fn has_holes(entry: &FileEntry) -> bool {
    let gone = entry.rows.saturating_sub(entry.live_rows());
    entry.deletes.is_some() && gone.saturating_mul(ROWS_FOR_EACH) <= entry.rows
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
        let groups = groups.filter(|(_, (group, _))| within(group)).map(|(at, (_, left))| (at, left));
        let mut groups: VecDeque<_> = groups.collect();
        groups.iter().for_each(|(_, left)| common.files.count_gone(left.as_ref()));
        groups.retain(|(_, left)| left.as_ref().is_none_or(|left| left.count_set_bits() > 0));
        Ok(Groups { groups, entry, footer: Arc::clone(&footer), reader, common })
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
    let first = group.columns().first();
    let start =
        first.map(|column| column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset()));
    start.is_some_and(|start| (range.start..range.end).contains(&start))
}

/// The row groups of a file that are still to be read, with the rows that are left of them.
struct Groups {
    groups: VecDeque<(usize, Option<BooleanBuffer>)>,
    entry: Arc<FileEntry>,
    footer: Arc<ParquetMetaData>,
    reader: Reader,
    common: Arc<Common>,
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").field("file", &self.entry.id).finish_non_exhaustive()
    }
}

impl Groups {
    async fn load(&self, group: usize, left: Option<BooleanBuffer>) -> Result<Run> {
        let Self { entry, footer, reader, common, .. } = self;
        let fit = common.fit(entry, footer)?;
        let ranges = common.ranges(entry, footer, group, &fit)?;
        let chunks = reader.ranges(ranges).await.map_err(external)?;
        let narrow = match &left {
            Some(_) => {
                let shape = common.reader.shape(entry, footer).map_err(external)?;
                Some(fit.levels_as(&shape.narrow(group))?)
            }
            None => None,
        };
        let (entry, footer) = (Arc::clone(entry), Arc::clone(footer));
        Ok(Run { fit, narrow, parts: vec![Part { entry, footer, group, chunks, left }] })
    }
}

impl MorselPlanner for Groups {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let mut rest = *self;
        let Some((group, left)) = rest.groups.pop_front() else { return Ok(None) };
        Ok(Some(MorselPlan::new().with_pending_planner(async move {
            let run = rest.load(group, left).await?;
            let rows = Rows { runs: vec![run], common: Arc::clone(&rest.common) };
            let loaded = Loaded { rows, rest: Some(Box::new(rest)) };
            Ok::<_, DataFusionError>(Box::new(loaded) as Box<dyn MorselPlanner>)
        })))
    }
}
