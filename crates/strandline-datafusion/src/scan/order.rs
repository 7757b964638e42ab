//! In which order the rows of a scan come, where its files are sorted.
//!
//! Invariants: an order is declared only if every file has it and those of one group follow each other; what DataFusion orders
//! otherwise than the format ends the order (floats that may be NaN, keys that are transformed). What does not belong here: sorting.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::common::stats::Precision;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion_datasource::PartitionedFile;
use strandline::Table;
use strandline::format::{Direction, NullOrder, SortField};

use super::{LakeFile, spread};
use crate::table::layout::Layout;

/// The files in groups, and the order that the rows of each have.
pub(super) fn arranged(
    table: &Table,
    layout: &Layout,
    files: Vec<PartitionedFile>,
    partitions: usize,
) -> Result<(Vec<FileGroup>, Vec<LexOrdering>)> {
    let Some(ordering) = common(table, layout, &files) else {
        return Ok((spread(files, partitions), Vec::new()));
    };
    let schema = layout.table_schema();
    let one = [FileGroup::new(files)];
    let groups = FileScanConfig::split_groups_by_statistics_with_target_partitions(
        schema.table_schema(),
        &one,
        &ordering,
        partitions,
    );
    match groups {
        Ok(groups) if groups.len() <= partitions => Ok((groups, vec![ordering])),
        // Files that overlap are better read evenly than merged.
        _ => {
            let [one] = one;
            Ok((spread(one.into_inner(), partitions), Vec::new()))
        }
    }
}

/// The order that all files have, as far as DataFusion has the same.
fn common(table: &Table, layout: &Layout, files: &[PartitionedFile]) -> Option<LexOrdering> {
    let id = |file: &PartitionedFile| file.extension::<LakeFile>().and_then(|file| file.0.order);
    let first = files.first().and_then(id)?;
    if !files.iter().all(|file| id(file) == Some(first)) {
        return None;
    }
    let order = table.orders().iter().find(|order| order.id.0 == first)?;
    let keys = order.fields.iter().map_while(|key| key_of(table, layout, files, key));
    LexOrdering::new(keys.collect::<Vec<_>>())
}

/// A key of an order; `None` if DataFusion would order its values otherwise, or could not tell whether files follow each other.
fn key_of(
    table: &Table,
    layout: &Layout,
    files: &[PartitionedFile],
    key: &SortField,
) -> Option<PhysicalSortExpr> {
    let fields = table.schema().fields();
    let at = fields.iter().position(|field| field.id == key.field)?;
    fields[at].ty.primitive()?;
    let known = |file: &PartitionedFile| {
        let column = file.statistics.as_ref().and_then(|known| known.column_statistics.get(at));
        column.is_some_and(|column| {
            // Bounds say nothing of nulls, which stand at one end of each file. Where there are NaNs, there are no bounds.
            let no_nulls = fields[at].required || column.null_count == Precision::Exact(0);
            no_nulls
                && matches!(
                    (&column.min_value, &column.max_value),
                    (Precision::Exact(_), Precision::Exact(_))
                )
        })
    };
    let options = SortOptions {
        descending: key.direction == Direction::Descending,
        nulls_first: key.nulls == NullOrder::First,
    };
    let name = layout.columns.field(at).name();
    files.iter().all(known).then(|| PhysicalSortExpr::new(Arc::new(Column::new(name, at)), options))
}
