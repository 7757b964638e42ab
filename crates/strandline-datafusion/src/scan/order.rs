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
use strandline::format::{Direction, FileEntry, NullOrder, SortField, SortOrder};

use crate::table::layout::Layout;

/// The files in groups of which the rows of each come in an order, and that order; `None` if they are better read in any.
pub(super) fn arranged(
    table: &Table,
    layout: &Layout,
    entries: &[FileEntry],
    file: &impl Fn(FileEntry) -> Result<PartitionedFile>,
    partitions: usize,
) -> Result<Option<(Vec<FileGroup>, LexOrdering)>> {
    let Some(order) = common(table, entries) else { return Ok(None) };
    let files = entries.iter().cloned().map(file).collect::<Result<Vec<_>>>()?;
    let keys = order.fields.iter().map_while(|key| key_of(table, layout, &files, key));
    let Some(ordering) = LexOrdering::new(keys.collect::<Vec<_>>()) else { return Ok(None) };
    let groups = FileScanConfig::split_groups_by_statistics_with_target_partitions(
        layout.table_schema().table_schema(),
        &[FileGroup::new(files)],
        &ordering,
        partitions,
    );
    // Files that overlap are better read evenly than merged.
    Ok(groups.ok().filter(|groups| groups.len() <= partitions).map(|groups| (groups, ordering)))
}

/// The order that all files have.
fn common<'t>(table: &'t Table, entries: &[FileEntry]) -> Option<&'t SortOrder> {
    let first = entries.first()?.order?;
    let order = table.orders().iter().find(|order| order.id.0 == first)?;
    entries.iter().all(|entry| entry.order == Some(first)).then_some(order)
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
