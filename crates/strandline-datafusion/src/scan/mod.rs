//! A scan of a table: stock nodes of DataFusion's over the files that a query needs.
//!
//! The files are planned from the tree of their entries ([`Scan::plan`](strandline::scan::Scan::plan)); a `DataSourceExec` reads
//! them, whose source ([`LakeSource`]) adds what a lake's files need. Nothing is listed, and no file is opened to plan.
//! Invariants: the scan is of one state of the table; what its statistics call exact is so (`table::statistics`).
//! What does not belong here: which state that is (`pin`), and what DataFusion makes of the plan.

mod adapt;
mod bundle;
mod holes;
mod judged;
mod last;
mod morsels;
mod order;
mod pages;
mod pushed;
mod reader;
mod row_ids;
mod rule;
mod source;
mod together;
mod whole;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion_datasource::PartitionedFile;
use serde::{Deserialize, Serialize};
use strandline::format::FileEntry;
use strandline::scan::FileReader;
use strandline::{Lake, Table};

pub(crate) use last::LastRule;
pub(crate) use pushed::careful;
pub(crate) use row_ids::{Kind, RowNumbers, Shifts};
pub(crate) use rule::WholeFiles;
pub(crate) use source::LakeSource;
pub(crate) use together::taken_apart;
use together::{Read, is_small, put_together};

use crate::error::external;
use crate::table::layout::{Extra, Layout};
use crate::table::{predicate, statistics};
use statistics::Needed;
use whole::Whole;

/// A file of a scan, as its [`PartitionedFile`] carries it: without statistics, which have done their part unless it is read with others.
#[derive(Clone, Debug)]
pub(crate) struct LakeFile(pub(crate) Arc<FileEntry>);

/// What is scanned, for whoever runs, explains or ships the scan.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) reader: FileReader,
    pub(crate) origin: Origin,
    pub(crate) kept: Kept,
    /// The files of which all rows pass the filters, if there are any.
    pub(crate) whole: Option<Whole>,
    /// What statistics may skip.
    pub(crate) skips: Skips,
}

/// What statistics and filters beside the rows may skip in a scan.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Skips {
    /// Whether they may skip anything.
    pub(crate) allowed: bool,
    /// Whether all that the query asks of the table has been asked of its files' statistics.
    pub(crate) all_asked: bool,
    /// Whether files may have Bloom filters.
    pub(crate) blooms: bool,
}

/// Which state of which table it is.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) lake: Lake,
    pub(crate) table: String,
    /// How the state is named for people.
    pub(crate) label: String,
}

/// What is read of the table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    files: u64,
    of_files: u64,
    bytes: u64,
    deleted: u64,
    /// Files that are not read because all of their rows pass, and what is asked of these is known.
    #[serde(default)]
    known: u64,
    by: Option<String>,
}

impl Kept {
    fn add(&mut self, entry: &FileEntry) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(entry.size);
        self.deleted = self.deleted.saturating_add(entry.rows.saturating_sub(entry.live_rows()));
    }
}

impl fmt::Display for Scanned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kept { files, of_files, bytes, deleted, known, by } = &self.kept;
        write!(f, "{} at {}, {files} of {of_files} files", self.origin.table, self.origin.label)?;
        if let Some(by) = by {
            write!(f, " by {by}")?;
        }
        if *known > 0 {
            write!(f, ", {known} more known whole")?;
        }
        write!(f, ", {deleted} rows deleted in them, {bytes} bytes")
    }
}

/// What a query wants of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'w> {
    pub(crate) projection: Option<&'w [usize]>,
    pub(crate) filters: &'w [Expr],
    pub(crate) limit: Option<usize>,
}

/// Plans a scan. Requests: those of [`Scan::plan`](strandline::scan::Scan::plan).
pub(crate) async fn plan(
    session: &dyn Session,
    table: &Table,
    origin: Origin,
    layout: &Layout,
    wanted: Wanted<'_>,
) -> Result<Arc<dyn ExecutionPlan>> {
    // What switches DataFusion's own pruning off does so here.
    let allowed = session.config_options().execution.parquet.pruning;
    let mut scan = table.scan().pruning(allowed);
    // A predicate over extras says nothing of files.
    let asked = predicate::Asked::of(wanted.filters, table.schema());
    let by = asked.predicate.as_ref().map(ToString::to_string);
    if let Some(predicate) = asked.predicate {
        scan = scan.filter(predicate);
    } else if wanted.filters.is_empty()
        && let Some(limit) = wanted.limit.and_then(|limit| u64::try_from(limit).ok())
    {
        scan = scan.limit(limit);
    }
    if allowed
        && layout.extras.contains(&Extra::RowId)
        && let Some(ids) = predicate::row_ids(wanted.filters, Extra::RowId.name())
    {
        scan = scan.row_ids_within(ids);
    }
    let fields = table.schema().fields().iter();
    let known = needed(table, layout, wanted.projection);
    let known = fields.zip(known.places()).filter_map(|(field, needed)| needed.then_some(field.id));
    let plan = scan.statistics_of(known).plan().await.map_err(external)?;
    let mut kept = Kept { of_files: plan.of_files, by, ..Kept::default() };
    plan.files.iter().for_each(|entry| kept.add(entry));
    // Of rows that are asked for by their ids all others are left out, and not deleted.
    kept.deleted = plan.deleted;
    let reader = table.file_reader();
    let decided = asked.exact && !wanted.filters.is_empty();
    let whole = decided.then(|| Whole::of(session, table, layout, wanted, &plan, &reader)).flatten();
    let blooms = table.properties().iter().any(|(key, _)| key.as_str() == "strandline.bloom-filters");
    let skips = Skips { allowed, all_asked: asked.exact, blooms };
    let scanned = Scanned { reader, origin, kept, whole, skips };
    build(session, table, Arc::new(scanned), layout, plan.files, wanted)
}

/// The node that reads these files.
pub(crate) fn build(
    session: &dyn Session,
    table: &Table,
    scanned: Arc<Scanned>,
    layout: &Layout,
    files: Vec<FileEntry>,
    wanted: Wanted<'_>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let url = store_url(&scanned.origin.lake)?;
    session.runtime_env().register_object_store(url.as_ref(), Arc::clone(scanned.reader.store()));
    let shifts = shifts(&files);
    let needed = needed(table, layout, wanted.projection);
    let reader = scanned.reader.clone();
    let whole = whole(table, layout, &reader, &files, &needed)?;
    let options = TableParquetOptions {
        global: session.config_options().execution.parquet.clone(),
        ..TableParquetOptions::default()
    };
    // Few rows are changed as a rule, and of the others nothing is decoded but what tells that they are not.
    let early = layout.extras.contains(&Extra::Row) || options.global.pushdown_filters;
    let parquet = ParquetSource::new(layout.table_schema())
        .with_table_parquet_options(options)
        .with_pushdown_filters(early)
        .with_parquet_file_reader_factory(Arc::new(reader::Readers(scanned.reader.clone())));
    let source = LakeSource::new(Arc::new(parquet), scanned);
    let source = match projection(layout, wanted.projection, &shifts) {
        Some(projection) => source.try_pushdown_projection(&projection)?.ok_or_else(no_projection)?,
        None => Arc::new(source),
    };
    let partitions = session.config_options().execution.target_partitions.max(1);
    let file = |entry: FileEntry| {
        let constants = [entry.id.0, entry.first_row.0, entry.added.0];
        let file = alone(&reader, &layout.columns, Arc::new(entry), &needed)?;
        Ok(if layout.extras.is_empty() { file } else { placed(file, constants) })
    };
    let (groups, ordering) = match order::arranged(table, layout, &files, &file, partitions)? {
        Some((groups, ordering)) => (groups, vec![ordering]),
        None => (spread(files, partitions, !early && layout.extras.is_empty(), &reader, file)?, Vec::new()),
    };
    let config: FileScanConfig = FileScanConfigBuilder::new(url, source)
        .with_file_groups(groups)
        .with_statistics(whole)
        .with_limit(wanted.limit)
        .with_output_ordering(ordering)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

/// The columns whose statistics are of use: those that are read, and those that files may be sorted by.
fn needed(table: &Table, layout: &Layout, projection: Option<&[usize]>) -> Needed {
    let Some(projection) = projection else { return Needed::all(layout.columns.fields().len()) };
    let keys = table.orders().iter().flat_map(|order| &order.fields).map(|key| key.field);
    let place = |id| table.schema().fields().iter().position(|field| field.id == id);
    Needed::of(layout.columns.fields().len(), projection.iter().copied().chain(keys.filter_map(place)))
}

/// What is known of all files together.
fn whole(
    table: &Table,
    layout: &Layout,
    reader: &FileReader,
    entries: &[FileEntry],
    needed: &Needed,
) -> Result<Statistics> {
    let mut whole = statistics::Whole::new(table.schema().fields(), &layout.columns, needed);
    for entry in entries {
        whole.add(entry, Some(reader.fields(entry).map_err(external)?));
    }
    Ok(padded(whole.finish(), layout.ingredients()))
}

/// A file by itself, with what is known of these columns of it.
pub(crate) fn alone(
    reader: &FileReader,
    columns: &Schema,
    entry: Arc<FileEntry>,
    needed: &Needed,
) -> Result<PartitionedFile> {
    let set = reader.fields(&entry).map_err(external)?;
    let known = statistics::of_file(reader.schema().fields(), columns, &entry, Some(set), needed);
    let file = PartitionedFile::new(reader.path(&entry).map_err(external)?, entry.size);
    let entry = match is_small(&entry) {
        true => entry,
        // What is known of it has done its part.
        false => Arc::new(FileEntry { stats: Arc::default(), ..Arc::unwrap_or_clone(entry) }),
    };
    Ok(file.with_statistics(Arc::new(known)).with_extension(LakeFile(entry)))
}

/// A file as DataFusion's own reader needs it, where some of what is asked for is made of where its rows stand.
fn placed(mut file: PartitionedFile, constants: [u64; 3]) -> PartitionedFile {
    let known = file.statistics.take().map(|known| Arc::new(padded(Arc::unwrap_or_clone(known), 2)));
    let partition_values = constants.map(|number| ScalarValue::UInt64(Some(number))).into();
    PartitionedFile { partition_values, statistics: known, ..file }
}

/// Statistics with columns behind that nothing is known of.
fn padded(mut known: Statistics, columns: usize) -> Statistics {
    let unknown = ColumnStatistics::new_unknown();
    known.column_statistics.extend(std::iter::repeat_n(unknown, columns));
    known
}

/// How the stored row ids of these files read.
pub(crate) fn shifts<'e>(files: impl IntoIterator<Item = &'e FileEntry>) -> Shifts {
    let shifted = files.into_iter().filter(|entry| !entry.shifts.is_identity());
    Arc::new(shifted.map(|entry| (entry.id.0, entry.shifts.clone())).collect::<HashMap<_, _>>())
}

/// What the scan gives of its own schema: the columns that are wanted of those that a query sees.
fn projection(layout: &Layout, wanted: Option<&[usize]>, shifts: &Shifts) -> Option<ProjectionExprs> {
    let all: Vec<usize>;
    let wanted = match wanted {
        Some(wanted) => wanted,
        None if layout.extras.is_empty() => return None,
        None => {
            all = (0..layout.schema.fields().len()).collect();
            &all
        }
    };
    let exprs = wanted.iter().map(|at| {
        let name = layout.schema.field(*at).name().clone();
        let expr = match at.checked_sub(layout.columns.fields().len()).map(|extra| layout.extras[extra]) {
            None => Arc::new(Column::new(&name, *at)) as Arc<dyn PhysicalExpr>,
            Some(extra) => ingredient(layout, extra, shifts),
        };
        ProjectionExpr { expr, alias: name }
    });
    Some(ProjectionExprs::new(exprs.collect::<Vec<_>>()))
}

/// An extra, of what it is made of.
fn ingredient(layout: &Layout, extra: Extra, shifts: &Shifts) -> Arc<dyn PhysicalExpr> {
    let schema = layout.table_schema();
    let column = |at: usize| {
        Arc::new(Column::new(schema.table_schema().field(at).name(), at)) as Arc<dyn PhysicalExpr>
    };
    let places = layout.places();
    match extra {
        Extra::File => column(places.file),
        Extra::Row => Arc::new(CastExpr::new(
            column(places.position),
            datafusion::arrow::datatypes::DataType::UInt64,
            None,
        )),
        Extra::RowId => Arc::new(RowNumbers {
            kind: Kind::RowId(Arc::clone(shifts)),
            of: [places.stored_id, places.first_row, places.position, places.file].map(column).into(),
        }),
        Extra::LastUpdated | Extra::Commit => Arc::new(RowNumbers {
            kind: Kind::Version,
            of: [places.stored_version, places.added].map(column).into(),
        }),
    }
}

/// The same Parquet source over columns that are described in another way.
pub(crate) fn over(parquet: &ParquetSource, schema: TableSchema) -> Result<Arc<dyn FileSource>> {
    if parquet.table_schema().virtual_columns() == schema.virtual_columns() {
        return Ok(Arc::new(parquet.clone()));
    }
    let mut same =
        ParquetSource::new(schema).with_table_parquet_options(parquet.table_parquet_options().clone());
    if let Some(filter) = parquet.filter() {
        same = same.with_predicate(filter);
    }
    let Some(projection) = parquet.projection() else { return Ok(Arc::new(same)) };
    same.try_pushdown_projection(projection)?.ok_or_else(no_projection)
}

fn no_projection() -> DataFusionError {
    DataFusionError::Internal("the Parquet source takes no projection".to_owned())
}

/// The same source over files that came from another process, whose Parquet source this is.
pub(crate) fn source_of(parquet: &ParquetSource, scanned: Arc<Scanned>) -> LakeSource {
    let readers = Arc::new(reader::Readers(scanned.reader.clone()));
    LakeSource::new(Arc::new(parquet.clone().with_parquet_file_reader_factory(readers)), scanned)
}

/// A node whose scans read the same rows in another way, or skip such as nobody needs. What it is known to give (order, partitions, columns that are
/// equal) still holds, and is not found out again, which takes longer than all else that a rule of ours does.
fn with_scans(
    node: Arc<dyn ExecutionPlan>,
    children: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let same = node.children().into_iter().zip(&children).all(|(old, new)| Arc::ptr_eq(old, new));
    if same {
        return Ok(node);
    }
    node.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep))
}

/// What the names begin with by which sessions know the stores of lakes.
pub(crate) const STORE_SCHEME: &str = "strandline://";

/// What a session knows a lake's store by.
fn store_url(lake: &Lake) -> Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse(format!("{STORE_SCHEME}{}-{}", lake.id(), lake.storage().fingerprint()))
}

/// How many bytes of files a partition has at least: what is less is read faster than it is shared out.
const PARTITION_BYTES: u64 = 1 << 20;

/// Files spread evenly, the small ones together if they may be.
fn spread(
    files: Vec<FileEntry>,
    partitions: usize,
    may_go_together: bool,
    reader: &FileReader,
    file: impl Fn(FileEntry) -> Result<PartitionedFile>,
) -> Result<Vec<FileGroup>> {
    let bytes = files.iter().map(|entry| entry.size).fold(0, u64::saturating_add);
    let shares = usize::try_from(bytes.div_ceil(PARTITION_BYTES)).unwrap_or(usize::MAX).max(1);
    let partitions = partitions.min(shares);
    let read = |entry| match may_go_together && is_small(&entry) {
        true => Ok(Read::Small(Arc::new(entry), None)),
        false => file(entry).map(|file| Read::Alone(Box::new(file))),
    };
    let files = files.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    let files = put_together(files, partitions, reader)?;
    if files.is_empty() {
        // A plan needs a partition to be put together with others, if only one without rows.
        return Ok(vec![FileGroup::default()]);
    }
    Ok(shared_out(files, partitions))
}

/// As many groups as there are partitions, or files, of as many neighbours each as go.
fn shared_out(files: Vec<PartitionedFile>, partitions: usize) -> Vec<FileGroup> {
    let (all, groups) = (files.len(), partitions.min(files.len()));
    let mut files = files.into_iter();
    let end = |group: usize| all * (group + 1) / groups;
    let shares = (0..groups).scan(0, |start, group| Some(end(group) - std::mem::replace(start, end(group))));
    shares.map(|share| FileGroup::new(files.by_ref().take(share).collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_partition_stays_empty_that_could_have_a_file() {
        let check = |files: usize, partitions: usize, expected: &[usize]| {
            let files = (0..files).map(|at| PartitionedFile::new(at.to_string(), 1)).collect();
            let shares: Vec<usize> = shared_out(files, partitions).iter().map(FileGroup::len).collect();
            assert_eq!(shares, expected);
        };
        check(9, 8, &[1, 1, 1, 1, 1, 1, 1, 2]);
        check(5, 4, &[1, 1, 1, 2]);
        check(4, 2, &[2, 2]);
        check(2, 4, &[1, 1]);
        check(1, 1, &[1]);
    }
}
