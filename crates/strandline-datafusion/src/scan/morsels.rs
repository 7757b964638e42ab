//! A file of a scan, made ready for DataFusion's Parquet reader, or for one of ours (`bundle`, `holes`).
//!
//! Each file brings its own adapter, which finds columns by their ids, and if rows of it are deleted, the selection of those that
//! are left. Deletion vectors are fetched when their file is opened. Invariant: no file is opened but through here.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder, FileSource};
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use datafusion::physical_plan::metrics::MetricBuilder;
use datafusion_datasource::PartitionedFile;
use datafusion_datasource::morsel::{MorselPlan, MorselPlanner, Morselizer};
use object_store::ObjectStore;
use strandline::ErrorKind;
use strandline::format::{DeletionVector, FileEntry};

use super::adapt::FieldIds;
use super::bundle::{Bundle, Common};
use super::holes::{Holes, has_holes};
use super::reader::Opened;
use super::together::{Together, is_first_part, taken_apart};
use super::{LakeFile, Scanned};
use crate::error::{external, refused};

/// Makes morsels of one partition's files.
pub(super) struct Morsels {
    parquet: Arc<dyn FileSource>,
    scanned: Arc<Scanned>,
    store: Arc<dyn ObjectStore>,
    /// The scan's configuration, without its files.
    config: FileScanConfig,
    partition: usize,
    /// For files that are read together, and those with few rows gone.
    common: Arc<Common>,
    reads: Reads,
}

/// How a scan may read its files.
#[derive(Clone, Copy)]
pub(super) struct Reads {
    /// Whether together.
    pub(super) together: bool,
    /// Whether nothing is skipped within them.
    pub(super) all: bool,
}

impl fmt::Debug for Morsels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Morsels").field("scanned", &self.scanned).finish_non_exhaustive()
    }
}

impl Morsels {
    pub(super) fn new(
        parquet: Arc<dyn FileSource>,
        scanned: Arc<Scanned>,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
        common: Common,
        reads: Reads,
    ) -> Self {
        let config = FileScanConfigBuilder::new(config.object_store_url.clone(), Arc::clone(&parquet))
            .with_limit(config.limit)
            .with_preserve_order(config.preserve_order)
            .build();
        Self { parquet, scanned, store, config, partition, common: Arc::new(common), reads }
    }
}

impl Morselizer for Morsels {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        if let Some(together) = file.extension::<Together>() {
            return self.plan_together(&file, together);
        }
        let entry = file.extension::<LakeFile>().map(|file| Arc::clone(&file.0)).ok_or_else(|| {
            DataFusionError::Internal(format!("{} is no file of a lake's table", file.object_meta.location))
        })?;
        if self.reads.all && has_holes(&entry) {
            return Ok(Box::new(Holes::new(&file, entry, Arc::clone(&self.common))));
        }
        let opened = Opened::new(Arc::clone(&entry));
        let adapter = FieldIds {
            reader: self.scanned.reader.clone(),
            entry: Arc::clone(&entry),
            footer: Arc::clone(&opened.footer),
        };
        let mut config = self.config.clone();
        config.expr_adapter_factory = Some(Arc::new(adapter));
        let parquet = self.parquet.create_morselizer(Arc::clone(&self.store), &config, self.partition)?;
        let file = file.with_extension(opened);
        if entry.deletes.is_none() {
            return parquet.plan_file(file);
        }
        let counter = MetricBuilder::new(self.parquet.metrics()).counter("lake_rows_deleted", self.partition);
        if is_first_part(&file) {
            counter.add(usize::try_from(entry.rows.saturating_sub(entry.live_rows())).unwrap_or(usize::MAX));
        }
        Ok(Box::new(WithDeletes { parquet, file, entry, scanned: Arc::clone(&self.scanned) }))
    }
}

impl Morsels {
    /// What DataFusion has cut since, and what cannot be read together after all, comes from a session without our rules.
    fn plan_together(&self, file: &PartitionedFile, together: &Together) -> Result<Box<dyn MorselPlanner>> {
        if !self.reads.together {
            let columns = self.parquet.table_schema().file_schema();
            let files = taken_apart(std::iter::once(file), columns, &self.scanned.reader)?;
            let planners = files.into_iter().map(|file| self.plan_file(file)).collect::<Result<_>>()?;
            return Ok(Box::new(Apart(planners)));
        }
        let files = if is_first_part(file) { Arc::clone(&together.files) } else { Arc::default() };
        Ok(Box::new(Bundle::new(files, together.stepwise, Arc::clone(&self.common))))
    }
}

/// Files one by one.
#[derive(Debug)]
struct Apart(Vec<Box<dyn MorselPlanner>>);

impl MorselPlanner for Apart {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        Ok(Some(MorselPlan::new().with_planners(self.0)))
    }
}

/// A file with deleted rows, before they are known.
struct WithDeletes {
    parquet: Box<dyn Morselizer>,
    file: PartitionedFile,
    entry: Arc<FileEntry>,
    scanned: Arc<Scanned>,
}

impl fmt::Debug for WithDeletes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithDeletes").field("file", &self.entry.id).finish_non_exhaustive()
    }
}

impl MorselPlanner for WithDeletes {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let Self { parquet, file, entry, scanned } = *self;
        Ok(Some(MorselPlan::new().with_pending_planner(async move {
            let deleted = scanned.reader.deletion_vector(&entry).await.map_err(external)?;
            let left = left(&deleted.unwrap_or_default(), entry.rows)?;
            parquet.plan_file(file.with_extension(ParquetRowSelection::new(left)))
        })))
    }
}

/// The rows of a file that are left, of all that it has.
fn left(deleted: &DeletionVector, rows: u64) -> Result<RowSelection> {
    let place = |at: u64| {
        usize::try_from(at).map_err(|_| refused(ErrorKind::Unsupported, "a file has more rows than memory"))
    };
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for at in deleted.positions() {
        let at = place(at)?;
        if at > start {
            ranges.push(start..at);
        }
        start = at.saturating_add(1);
    }
    let rows = place(rows)?;
    if rows > start {
        ranges.push(start..rows);
    }
    Ok(RowSelection::from_consecutive_ranges(ranges.into_iter(), rows))
}

#[cfg(test)]
mod tests {
    use datafusion::parquet::arrow::arrow_reader::RowSelector;

    use super::*;

    #[test]
    fn what_is_left_covers_the_file() {
        let check = |deleted: &[u64], rows, expected: &[RowSelector]| {
            let deleted = DeletionVector::from_positions(deleted.iter().copied()).unwrap();
            let found: Vec<RowSelector> = left(&deleted, rows).unwrap().into();
            assert_eq!(found, expected);
        };
        let (keep, skip) = (RowSelector::select, RowSelector::skip);
        check(&[], 3, &[keep(3)]);
        check(&[0, 1, 2], 3, &[skip(3)]);
        check(&[0, 2], 4, &[skip(1), keep(1), skip(1), keep(1)]);
        check(&[3], 4, &[keep(3), skip(1)]);
    }
}
