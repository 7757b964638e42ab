//! Reading small files of a scan together (see `together`), and what that has in common with reading row groups of large ones (`holes`).
//!
//! What depends on the query and a file's columns is made once for all files that have the same columns ([`Fit`]); what depends on filters
//! that are filled in while the query runs is asked of all files of a bundle at once. Invariants are those of `morsels` and `reader`: columns are
//! found by their ids, deleted rows are left out, bytes are verified. What does not belong here: decoding (`pages`).

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection};
use datafusion::parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::schema::types::SchemaDescPtr;
use datafusion::physical_expr::projection::{ProjectionExprs, Projector};
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, PruningMetrics};
use datafusion_datasource::morsel::{Morsel, MorselPlan, MorselPlanner};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use strandline::ErrorKind;
use strandline::format::FileEntry;
use strandline::scan::{FileReader, LeftRows};

use super::adapt::Columns;
use super::judged::Pruner;
use super::pages::{AsRowGroups, Part, Parts};
use super::reader::{Counts, Opened, Reader, ranges_of};
use crate::error::external;

/// How many files are read at once.
const FILES: usize = 8;

/// What all that is read in one partition has in common.
pub(super) struct Common {
    pub(super) reader: FileReader,
    /// The columns of the table that are stored.
    pub(super) columns: SchemaRef,
    pub(super) projection: ProjectionExprs,
    pub(super) output: SchemaRef,
    pub(super) batch_rows: usize,
    pub(super) counts: Counts,
    pub(super) files: FileCounts,
    pub(super) pruner: Option<Mutex<Pruner>>,
    pub(super) fits: Fits,
}

/// What has been made for files of a scan so far, for all of its partitions.
pub(super) type Fits = Arc<Mutex<Vec<Arc<Fit>>>>;

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Common").field("output", &self.output).finish_non_exhaustive()
    }
}

/// What became of files, for EXPLAIN ANALYZE.
#[derive(Debug)]
pub(super) struct FileCounts {
    pruned: PruningMetrics,
    deleted: Count,
}

impl FileCounts {
    pub(super) fn new(partition: usize, metrics: &ExecutionPlanMetricsSet) -> Self {
        let builder = || MetricBuilder::new(metrics);
        Self {
            pruned: builder().pruning_metrics("files_ranges_pruned_statistics", partition),
            deleted: builder().counter("lake_rows_deleted", partition),
        }
    }

    /// Counts files that are read, and such as are not.
    pub(super) fn count(&self, read: usize, pruned: usize) {
        self.pruned.add_matched(read);
        self.pruned.add_pruned(pruned);
    }

    /// Counts what is gone of rows of which these are left, or all.
    pub(super) fn count_gone(&self, left: Option<&BooleanBuffer>) {
        self.deleted.add(left.map_or(0, |left| left.len() - left.count_set_bits()));
    }
}

impl Common {
    /// Those of which rows may pass, by what filters have come to say.
    fn kept(&self, files: &[Arc<FileEntry>]) -> Vec<Arc<FileEntry>> {
        let keep = self.pruner.as_ref().and_then(|pruner| {
            let mut pruner = pruner.lock().unwrap_or_else(PoisonError::into_inner);
            pruner.keep(&self.reader, files)
        });
        let is_kept = |at: usize| keep.as_ref().is_none_or(|keep| keep.get(at) != Some(&false));
        let kept: Vec<_> = files
            .iter()
            .enumerate()
            .filter(|(at, _)| is_kept(*at))
            .map(|(_, file)| Arc::clone(file))
            .collect();
        self.files.count(kept.len(), files.len() - kept.len());
        kept
    }

    /// Reads what is needed of all files: their footers where these are not known, and then their columns.
    async fn load(self: Arc<Self>, entries: Vec<Arc<FileEntry>>) -> Result<Vec<Run>> {
        let open = |entry: Arc<FileEntry>| {
            let reader = Reader::new(self.reader.clone(), Opened::new(entry), self.counts.clone());
            async move {
                let footer = reader.footer().await.map_err(external)?;
                Ok::<_, DataFusionError>((reader, footer))
            }
        };
        let opened: Vec<_> = stream::iter(entries).map(open).buffered(FILES).try_collect().await?;
        let (mut files, mut fits) = (Vec::with_capacity(opened.len()), Vec::with_capacity(opened.len()));
        for (reader, footer) in opened {
            let fit = self.fit(reader.entry(), &footer)?;
            let ranges = self.ranges(reader.entry(), &footer, 0, &fit)?;
            files.push((reader, footer, ranges));
            fits.push(fit);
        }
        let chunks = ranges_of(&files, FILES).await.map_err(external)?;
        let this = &self;
        let part = |((reader, footer, _), chunks): ((Reader, Arc<ParquetMetaData>, _), _)| async move {
            let entry = Arc::clone(reader.entry());
            let left = this.reader.rows_left(&entry, &footer).await.map_err(external)?.pop().flatten();
            this.files.count_gone(left.as_ref());
            Ok::<_, DataFusionError>(Part { entry, footer, group: 0, chunks, left })
        };
        let parts = stream::iter(files.into_iter().zip(chunks)).map(part).buffered(FILES);
        let parts: Vec<Part> = parts.try_collect().await?;
        let mut runs: Vec<Run> = Vec::new();
        for (fit, part) in fits.into_iter().zip(parts) {
            match runs.iter_mut().find(|run| Arc::ptr_eq(&run.fit, &fit)) {
                Some(run) => run.parts.push(part),
                None => runs.push(Run { fit, narrow: None, parts: vec![part] }),
            }
        }
        Ok(runs)
    }

    /// Where the column chunks stand that are read of a row group.
    pub(super) fn ranges(
        &self,
        entry: &FileEntry,
        footer: &ParquetMetaData,
        group: usize,
        fit: &Fit,
    ) -> Result<Vec<Range<u64>>> {
        let group = footer.row_groups().get(group);
        let columns = group.map(|group| group.columns()).unwrap_or_default();
        let range = |leaf: &usize| {
            let (start, length) = columns.get(*leaf)?.byte_range();
            Some(start..start.checked_add(length)?)
        };
        let ranges: Option<Vec<_>> = fit.leaves.iter().map(range).collect();
        ranges.ok_or_else(|| {
            DataFusionError::Internal(format!("{} was opened as another file", self.reader.place(entry)))
        })
    }

    /// How a file's columns become what is asked for.
    pub(super) fn fit(&self, entry: &Arc<FileEntry>, footer: &Arc<ParquetMetaData>) -> Result<Arc<Fit>> {
        let schema = footer.file_metadata().schema_descr_ptr();
        let mut fits = self.fits.lock().unwrap_or_else(PoisonError::into_inner);
        // Footers mostly share what describes the same columns.
        let is_of =
            |fit: &Fit| Arc::ptr_eq(&fit.stored, &schema) || fit.stored.root_schema() == schema.root_schema();
        let known = fits.iter().find(|fit| fit.fields == entry.fields && is_of(fit));
        if let Some(known) = known {
            return Ok(Arc::clone(known));
        }
        let shape = self.reader.shape(entry, footer).map_err(external)?;
        let file = viewed(shape.stored_schema());
        let ids = Arc::clone(self.reader.schema());
        let columns = Columns::new(Arc::clone(&self.columns), Arc::clone(&file), ids, shape);
        let fit = Arc::new(Fit::new(&self.projection, &columns, &file, schema, entry.fields)?);
        fits.push(Arc::clone(&fit));
        Ok(fit)
    }
}

/// Strings and byte strings as views, as tables have them (`table::layout`).
fn viewed(schema: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| match field.data_type() {
        DataType::Utf8 => Arc::new(Field::clone(field).with_data_type(DataType::Utf8View)),
        DataType::Binary => Arc::new(Field::clone(field).with_data_type(DataType::BinaryView)),
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// How the columns of files become what is asked for: for all files of one Parquet schema that were written with the same fields.
#[derive(Debug)]
pub(super) struct Fit {
    /// Which of the table's sets of fields they were written with.
    fields: u32,
    stored: SchemaDescPtr,
    /// The leaf columns that are read.
    pub(super) leaves: Arc<[usize]>,
    levels: FieldLevels,
    /// What these are.
    read: SchemaRef,
    projector: Projector,
}

impl Fit {
    fn new(
        projection: &ProjectionExprs,
        columns: &Columns,
        file: &SchemaRef,
        stored: SchemaDescPtr,
        fields: u32,
    ) -> Result<Self> {
        use datafusion::physical_expr_adapter::PhysicalExprAdapter;
        let fitted = projection.clone().try_map_exprs(|expr| columns.rewrite(expr))?;
        let mut roots: Vec<usize> =
            fitted.expr_iter().flat_map(|expr| collect_columns(&expr)).map(|column| column.index()).collect();
        roots.sort_unstable();
        roots.dedup();
        let read = file.project(&roots)?;
        let mask = ProjectionMask::roots(&stored, roots);
        let leaves = (0..stored.num_columns()).filter(|leaf| mask.leaf_included(*leaf)).collect();
        let levels = parquet_to_arrow_field_levels(&stored, mask, Some(file.fields()))?;
        let fitted = fitted.try_map_exprs(|expr| reassign_expr_columns(expr, &read))?;
        let projector = fitted.make_projector(&read)?;
        Ok(Self { fields, stored, leaves, levels, read: Arc::new(read), projector })
    }

    /// The same columns in other types, which have strings as tables have them.
    pub(super) fn levels_as(&self, types: &Schema) -> Result<FieldLevels> {
        let mask = ProjectionMask::leaves(&self.stored, self.leaves.iter().copied());
        Ok(parquet_to_arrow_field_levels(&self.stored, mask, Some(viewed(types).fields()))?)
    }

    fn projected(&self, batch: &RecordBatch, output: &SchemaRef) -> Result<RecordBatch> {
        let batch = self.projector.project_batch(batch)?;
        if self.projector.output_schema() == output {
            return Ok(batch);
        }
        // A file may have what the table requires as something that may be null.
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(output), batch.columns().to_vec(), &options)?)
    }
}

/// Row groups with the same fit, one behind the other.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) fit: Arc<Fit>,
    /// How columns are decoded until rows that are gone are left out, if not as what they are.
    pub(super) narrow: Option<FieldLevels>,
    pub(super) parts: Vec<Part>,
}

impl Run {
    pub(super) fn batches(self, common: &Common) -> Result<Batches> {
        let Self { fit, narrow, parts } = self;
        let parts = Arc::new(Parts::new(Arc::clone(&fit.leaves), parts, common.reader.clone()));
        let groups = AsRowGroups(Arc::clone(&parts));
        let left = parts.left();
        let decoded = left.as_ref().and_then(LeftRows::to_decode).cloned();
        let missing = decoded.as_ref().map_or(parts.rows(), BooleanBuffer::count_set_bits);
        let read = ParquetRecordBatchReader::try_new_with_row_groups(
            narrow.as_ref().unwrap_or(&fit.levels),
            &groups,
            common.batch_rows,
            decoded.map(RowSelection::from_boolean_buffer),
        );
        match read {
            Ok(read) => Ok(Batches { read, missing, left, fit, parts, output: Arc::clone(&common.output) }),
            Err(error) => Err(parts.failed().map_or(error.into(), external)),
        }
    }
}

/// The rows of a run.
pub(super) struct Batches {
    read: ParquetRecordBatchReader,
    /// How many rows have not come yet of those that are decoded.
    missing: usize,
    left: Option<LeftRows>,
    fit: Arc<Fit>,
    parts: Arc<Parts>,
    output: SchemaRef,
}

impl Batches {
    fn batch(&mut self, batch: std::result::Result<RecordBatch, ArrowError>) -> Result<RecordBatch> {
        let batch = batch.map_err(|error| self.parts.failed().map_or(error.into(), external))?;
        self.missing = self.missing.saturating_sub(batch.num_rows());
        let kept = match &mut self.left {
            Some(left) => left.keep(batch, &self.fit.read).map_err(|error| external(self.parts.at(error)))?,
            None => batch,
        };
        self.fit.projected(&kept, &self.output)
    }

    /// That rows are missing, once.
    fn end(&mut self) -> Option<Result<RecordBatch>> {
        match std::mem::take(&mut self.missing) {
            0 => None,
            missing => {
                let message = format!("it ends {missing} rows before its footer says");
                let error = strandline::Error::new(ErrorKind::Corrupt, message);
                Some(Err(external(self.parts.at(error))))
            }
        }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.read.next() {
            Some(batch) => Some(self.batch(batch)),
            None => self.end(),
        }
    }
}

/// Files that are to be read together.
#[derive(Debug)]
pub(super) struct Bundle {
    files: Arc<[Arc<FileEntry>]>,
    /// How many of them have been read.
    done: usize,
    stepwise: bool,
    common: Arc<Common>,
}

impl Bundle {
    pub(super) fn new(files: Arc<[Arc<FileEntry>]>, stepwise: bool, common: Arc<Common>) -> Self {
        Self { files, done: 0, stepwise, common }
    }

    /// Up to where files are read next: step by step, each step is as long as all before it.
    fn next(&self) -> usize {
        match self.stepwise {
            true => self.done.saturating_mul(2).max(1).min(self.files.len()),
            false => self.files.len(),
        }
    }
}

impl MorselPlanner for Bundle {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let mut bundle = *self;
        let mut entries = Vec::new();
        while entries.is_empty() {
            let next = bundle.next();
            if bundle.done == next {
                return Ok(None);
            }
            entries = bundle.common.kept(&bundle.files[bundle.done..next]);
            bundle.done = next;
        }
        Ok(Some(MorselPlan::new().with_pending_planner(async move {
            let common = Arc::clone(&bundle.common);
            let runs = Arc::clone(&common).load(entries).await?;
            let rest = (bundle.done < bundle.files.len()).then_some(bundle);
            Ok(Box::new(Loaded { rows: Rows { runs, common }, rest }) as Box<dyn MorselPlanner>)
        })))
    }
}

/// Files whose needed columns are here, and those that are read when their rows were taken.
#[derive(Debug)]
struct Loaded {
    rows: Rows,
    rest: Option<Bundle>,
}

impl MorselPlanner for Loaded {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let rest = self.rest.into_iter().map(|rest| Box::new(rest) as Box<dyn MorselPlanner>);
        let plan = MorselPlan::new().with_morsels(vec![Box::new(self.rows)]);
        Ok(Some(plan.with_planners(rest.collect())))
    }
}

/// The rows of files whose needed columns are here.
#[derive(Debug)]
struct Rows {
    runs: Vec<Run>,
    common: Arc<Common>,
}

impl Morsel for Rows {
    fn into_stream(self: Box<Self>) -> BoxStream<'static, Result<RecordBatch>> {
        let Self { runs, common } = *self;
        let batches = move |run: Run| match run.batches(&common) {
            Ok(batches) => stream::iter(batches).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        };
        stream::iter(runs).flat_map(batches).boxed()
    }
}
