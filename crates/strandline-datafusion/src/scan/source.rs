//! The source of a scan: DataFusion's own for Parquet, with what a lake adds for each file.
//!
//! All optimisations are DataFusion's: this wraps its [`ParquetSource`](datafusion::datasource::physical_plan::ParquetSource) and
//! every source that it turns into. Invariants: the source inside is never handed out, so that nothing runs or ships it without
//! what the lake adds (deletes, columns by id, verified bytes); the source says nothing of itself to the default serialiser, which
//! would drop those (see `codec`); a filter that comes down a plan is only kept, until it is known to be of the right columns (`pushed`).

use std::fmt;
use std::sync::{Arc, Mutex};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::physical_plan::{FileOpener, FileScanConfig, FileSource, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use datafusion_datasource::PartitionedFile;
use datafusion_datasource::morsel::Morselizer;
use object_store::ObjectStore;

use super::Scanned;
use super::bundle::{Common, FileCounts, Fits};
use super::judged::Pruner;
use super::morsels::{Morsels, Reads};
use super::pushed::Certain;
use super::reader::Counts;

/// A scan of a lake's table.
#[derive(Clone)]
pub(crate) struct LakeSource {
    parquet: Arc<dyn FileSource>,
    scanned: Arc<Scanned>,
    /// Filters that came down the plan, over the table's columns.
    offers: Vec<Arc<dyn PhysicalExpr>>,
    batch_rows: usize,
    /// How columns of files become those of this projection.
    fits: Fits,
    /// Whether row groups may come in another order than they have.
    reordered: bool,
}

/// How many rows a batch has at most, until the session says it.
const BATCH_ROWS: usize = 8192;

impl LakeSource {
    /// The table through this source, whose files are read as the table has them.
    pub(crate) fn new(parquet: Arc<dyn FileSource>, scanned: Arc<Scanned>) -> Self {
        Self {
            parquet,
            scanned,
            offers: Vec::new(),
            batch_rows: BATCH_ROWS,
            fits: Fits::default(),
            reordered: false,
        }
    }

    /// What is scanned.
    pub(crate) fn scanned(&self) -> &Arc<Scanned> {
        &self.scanned
    }

    /// The source inside, for the codec alone: it knows nothing of deletes.
    pub(crate) fn parquet(&self) -> &Arc<dyn FileSource> {
        &self.parquet
    }

    fn with(&self, parquet: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
        Arc::new(Self { parquet, fits: Fits::default(), ..self.clone() })
    }

    /// The same scan, which skips data by those offers that are taken; `None` if none is.
    ///
    /// # Errors
    /// Those of the Parquet source.
    pub(super) fn taking(
        &self,
        is_taken: impl Fn(&Arc<dyn PhysicalExpr>) -> bool,
        config: &ConfigOptions,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        let filters: Vec<_> = self.offers.iter().filter(|offer| is_taken(offer)).cloned().collect();
        self.filtered(filters, config)
    }

    fn filtered(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        if filters.is_empty() {
            return Ok(None);
        }
        let parquet = self.parquet.try_pushdown_filters(filters, config)?.updated_node;
        Ok(parquet.map(|parquet| {
            let filtered: Arc<dyn FileSource> =
                Arc::new(Self { parquet, offers: Vec::new(), ..self.clone() });
            filtered
        }))
    }

    /// Whether filters tell numbers apart by their bits here: where rows are asked one by one, and in Bloom filters. By statistics they do not.
    pub(super) fn asks_bits(&self, config: &ConfigOptions) -> bool {
        let parquet = self.parquet.downcast_ref::<ParquetSource>();
        let by_rows = parquet.is_none_or(|parquet| parquet.table_parquet_options().global.pushdown_filters);
        by_rows || config.execution.parquet.pushdown_filters || self.scanned.skips.blooms
    }

    /// Whether files may be read together: nothing of where their rows stand is asked, and nothing is skipped within them.
    pub(super) fn reads_together(&self) -> bool {
        let schema = self.parquet.table_schema();
        let parquet = self.parquet.downcast_ref::<ParquetSource>();
        let decodes_all =
            parquet.is_some_and(|parquet| !parquet.table_parquet_options().global.pushdown_filters);
        let by_blooms = self.scanned.skips.blooms && self.parquet.filter().is_some();
        let plain = schema.virtual_columns().is_empty() && schema.table_partition_cols().is_empty();
        plain && decodes_all && !by_blooms
    }

    /// Whether files and row groups may come in another order than they have.
    pub(super) fn is_reordered(&self) -> bool {
        self.reordered
    }

    /// What files have in common that are read together.
    fn common(&self, partition: usize) -> Result<Common> {
        let (schema, metrics) = (self.parquet.table_schema(), self.parquet.metrics());
        let columns = Arc::clone(schema.file_schema());
        let all = || {
            let places: Vec<usize> = (0..schema.table_schema().fields().len()).collect();
            ProjectionExprs::from_indices(&places, schema.table_schema())
        };
        let projection = self.parquet.projection().cloned().unwrap_or_else(all);
        let max_in_list = self
            .parquet
            .downcast_ref::<ParquetSource>()
            .map_or(0, |parquet| parquet.table_parquet_options().global.max_in_list_size);
        let pruner = self.parquet.filter().filter(|_| self.scanned.skips.allowed).and_then(|filter| {
            Pruner::new(filter, Arc::clone(&columns), self.scanned.skips.all_asked, metrics, max_in_list)
        });
        Ok(Common {
            reader: self.scanned.reader.clone(),
            output: Arc::new(projection.project_schema(schema.table_schema())?),
            columns,
            projection,
            batch_rows: self.batch_rows,
            counts: Counts::new(partition, metrics),
            files: FileCounts::new(partition, metrics),
            pruner: pruner.map(Mutex::new),
            fits: Arc::clone(&self.fits),
        })
    }
}

impl fmt::Debug for LakeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LakeSource").field(&self.scanned).finish()
    }
}

impl FileSource for LakeSource {
    fn create_file_opener(
        &self,
        _: Arc<dyn ObjectStore>,
        _: &FileScanConfig,
        _: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        Err(DataFusionError::Internal("a lake's files are opened as morsels".to_owned()))
    }

    fn create_morselizer(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        let (parquet, scanned) = (Arc::clone(&self.parquet), Arc::clone(&self.scanned));
        let common = self.common(partition)?;
        let together = self.reads_together();
        let all = together && self.parquet.filter().is_none() && config.limit.is_none() && !self.reordered;
        Ok(Box::new(Morsels::new(
            parquet,
            scanned,
            store,
            config,
            partition,
            common,
            Reads { together, all },
        )))
    }

    fn table_schema(&self) -> &TableSchema {
        self.parquet.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        let parquet = self.parquet.with_batch_size(batch_size);
        Arc::new(Self { parquet, batch_rows: batch_size, ..self.clone() })
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.parquet.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.parquet.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.parquet.metrics()
    }

    fn file_type(&self) -> &str {
        self.parquet.file_type()
    }

    fn fmt_extra(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match format {
            DisplayFormatType::TreeRender => writeln!(f, "lake={}", self.scanned)?,
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, ", lake=[{}]", self.scanned)?;
            }
        }
        self.parquet.fmt_extra(format, f)
    }

    fn supports_repartitioning(&self) -> bool {
        self.parquet.supports_repartitioning()
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        min_size: usize,
        ordering: Option<LexOrdering>,
        config: &FileScanConfig,
    ) -> Result<Option<FileScanConfig>> {
        self.parquet.repartitioned(target_partitions, min_size, ordering, config)
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        // Whether a filter can be evaluated while decoding is judged by the table's columns here, and by each file's when it is
        // opened, where one that cannot be is passed over in silence. So none is promised: whoever asks filters again.
        let kept = vec![PushedDown::No; filters.len()];
        if filters.is_empty() {
            return Ok(FilterPushdownPropagation { filters: kept, updated_node: None });
        }
        if config.extensions.get::<Certain>().is_some() {
            return Ok(FilterPushdownPropagation {
                filters: kept,
                updated_node: self.filtered(filters, config)?,
            });
        }
        let offers = self.offers.iter().cloned().chain(filters).collect();
        let offered: Arc<dyn FileSource> = Arc::new(Self { offers, ..self.clone() });
        Ok(FilterPushdownPropagation { filters: kept, updated_node: Some(offered) })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        Ok(match self.parquet.try_pushdown_sort(order, properties)? {
            SortOrderPushdownResult::Exact { inner } => {
                SortOrderPushdownResult::Exact { inner: self.with(inner) }
            }
            SortOrderPushdownResult::Inexact { inner } => {
                let parquet = Self { reordered: true, ..self.clone() }.with(inner);
                SortOrderPushdownResult::Inexact { inner: parquet }
            }
            SortOrderPushdownResult::Unsupported => SortOrderPushdownResult::Unsupported,
        })
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.parquet.reorder_files(files)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        Ok(self.parquet.try_pushdown_projection(projection)?.map(|parquet| self.with(parquet)))
    }

    fn apply_expressions(
        &self,
        apply: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.parquet.apply_expressions(apply)
    }
}
