//! Which of several files may hold rows that pass a filter, as their statistics say: for filters that are filled in while the query runs.
//!
//! Invariant: what cannot be judged is read. What does not belong here: what was known when the files were planned (`table::predicate`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::DynamicFilterTracking;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use strandline::format::FileEntry;
use strandline::scan::FileReader;

use crate::table::statistics;

/// Skips files by a filter that is filled in while the query runs.
pub(super) struct Pruner {
    predicate: Arc<dyn PhysicalExpr>,
    columns: SchemaRef,
    tracking: DynamicFilterTracking,
    /// What the filter has come to say; `None` before it was asked.
    built: Option<Option<Arc<PruningPredicate>>>,
    errors: Count,
    max_in_list: usize,
}

impl Pruner {
    /// `None` if the filter says nothing that was not known when the files were planned.
    pub(super) fn new(
        predicate: Arc<dyn PhysicalExpr>,
        columns: SchemaRef,
        all_known: bool,
        metrics: &ExecutionPlanMetricsSet,
        max_in_list: usize,
    ) -> Option<Self> {
        let tracking = DynamicFilterTracking::classify(&predicate);
        let errors = MetricBuilder::new(metrics).global_counter("num_predicate_creation_errors");
        let new = Self { predicate, columns, tracking, built: None, errors, max_in_list };
        (!all_known || new.tracking.contains_dynamic_filter()).then_some(new)
    }

    /// Which files may hold rows that pass; `None` if all may.
    pub(super) fn keep(&mut self, reader: &FileReader, files: &[Arc<FileEntry>]) -> Option<Vec<bool>> {
        let moved = self.tracking.watcher().is_some_and(|watcher| watcher.changed());
        if moved || self.built.is_none() {
            let builder = PruningPredicateBuilder::new()
                .with_file_schema(Arc::clone(&self.columns))
                .with_error_counter(&self.errors)
                .with_max_in_list_size(self.max_in_list);
            self.built = Some(builder.build(Arc::clone(&self.predicate)));
        }
        let built = self.built.as_ref()?.as_ref()?;
        built.prune(&self.known(reader, files)).ok()
    }

    fn known(&self, reader: &FileReader, files: &[Arc<FileEntry>]) -> Known {
        let fields = reader.schema().fields();
        let of_column = |column: &datafusion::physical_expr::expressions::Column| {
            let place = self.columns.index_of(column.name()).ok()?;
            let (field, ty) = (fields.get(place)?, self.columns.field(place).data_type());
            let of_file =
                |entry: &Arc<FileEntry>| statistics::of_column(field, ty, entry, reader.fields(entry).ok());
            let of_files = files.iter().map(of_file).collect();
            Some((column.name().to_owned(), OfFiles { ty: ty.clone(), of_files }))
        };
        let columns = collect_columns(&self.predicate).iter().filter_map(of_column).collect();
        let rows = |entry: &Arc<FileEntry>| Some(entry.rows).filter(|_| entry.deletes.is_none());
        Known { columns, rows: files.iter().map(rows).collect() }
    }
}

/// What is known of files, for columns that a filter asks for.
struct Known {
    columns: HashMap<String, OfFiles>,
    rows: UInt64Array,
}

/// What is known of one column in each file.
struct OfFiles {
    ty: DataType,
    of_files: Vec<ColumnStatistics>,
}

impl OfFiles {
    fn bounds(&self, bound: impl Fn(&ColumnStatistics) -> &Precision<ScalarValue>) -> Option<ArrayRef> {
        let null = ScalarValue::try_from(&self.ty).ok()?;
        let exact = |known| match bound(known) {
            Precision::Exact(value) => value.clone(),
            _ => null.clone(),
        };
        ScalarValue::iter_to_array(self.of_files.iter().map(exact)).ok()
    }
}

impl PruningStatistics for Known {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.columns.get(column.name())?.bounds(|known| &known.min_value)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.columns.get(column.name())?.bounds(|known| &known.max_value)
    }

    fn num_containers(&self) -> usize {
        self.rows.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let nulls = |known: &ColumnStatistics| match known.null_count {
            Precision::Exact(nulls) => u64::try_from(nulls).ok(),
            _ => None,
        };
        let counts: UInt64Array = self.columns.get(column.name())?.of_files.iter().map(nulls).collect();
        Some(Arc::new(counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.rows.clone()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
