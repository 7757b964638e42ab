//! Files of which all rows pass a query's filters, as their statistics say: what is known of them needs no look into them.
//!
//! Invariants: they are of the scan's very filters, and those are said exactly by the predicate that found them; what is called known of
//! them is so of the rows that are left. What does not belong here: when a plan makes use of it (`rule`).

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::{ColumnStatistics, DFSchema, Statistics};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr, split_conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_datasource::PartitionedFile;
use strandline::Table;
use strandline::format::FileEntry;
use strandline::scan::{FileReader, Plan};

use super::source::LakeSource;
use super::together::{Together, entries_of};
use super::{Kept, LakeFile, Scanned, Wanted, needed, padded};
use crate::table::layout::Layout;
use crate::table::statistics;

/// Some or all of a scan's files.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The filters that all rows of them pass, in terms of what the scan gives.
    filters: Vec<Arc<dyn PhysicalExpr>>,
    files: HashSet<u64>,
    /// What is known of them together.
    known: Statistics,
}

impl Whole {
    /// Those of a plan by these filters; `None` if there are none.
    pub(super) fn of(
        session: &dyn Session,
        table: &Table,
        layout: &Layout,
        wanted: Wanted<'_>,
        plan: &Plan,
        reader: &FileReader,
    ) -> Option<Self> {
        let whole = || plan.files.iter().zip(&plan.whole).filter_map(|(entry, whole)| whole.then_some(entry));
        whole().next()?;
        let filters = physical(session, layout, wanted)?;
        let known = known(table, layout, wanted, reader, whole())?;
        Some(Self { filters, files: whole().map(|entry| entry.id.0).collect(), known })
    }

    /// Whether all rows of the files pass this.
    fn pass(&self, predicate: &Arc<dyn PhysicalExpr>) -> bool {
        split_conjunction(predicate).into_iter().all(|part| self.filters.contains(part))
    }
}

/// The filters over what the scan gives, made as DataFusion makes those of the node above.
fn physical(
    session: &dyn Session,
    layout: &Layout,
    wanted: Wanted<'_>,
) -> Option<Vec<Arc<dyn PhysicalExpr>>> {
    let schema = match wanted.projection {
        Some(projection) => layout.schema.project(projection).ok()?,
        None => layout.schema.as_ref().clone(),
    };
    let schema = DFSchema::try_from(schema).ok()?;
    let mut filters = Vec::new();
    for filter in wanted.filters {
        let filter: Arc<dyn PhysicalExpr> = made(filter, &schema, session)?;
        filters.extend(split_conjunction(&filter).into_iter().cloned());
    }
    Some(filters)
}

fn made(filter: &Expr, schema: &DFSchema, session: &dyn Session) -> Option<Arc<dyn PhysicalExpr>> {
    let context = PhysicalPlanningContext::default();
    create_physical_expr(filter, schema, session.execution_props(), &context).ok()
}

fn known<'f>(
    table: &Table,
    layout: &Layout,
    wanted: Wanted<'_>,
    reader: &FileReader,
    files: impl Iterator<Item = &'f FileEntry>,
) -> Option<Statistics> {
    let fields = table.schema().fields();
    let needed = needed(table, layout, wanted.projection);
    let mut known = statistics::Whole::new(fields, &layout.columns, &needed);
    for entry in files {
        known.add(entry, Some(reader.fields(entry).ok()?));
    }
    Some(padded(known.finish(), layout.ingredients()))
}

/// A scan, and what is known of files of it of which all rows pass.
pub(super) struct Known<'p> {
    config: &'p FileScanConfig,
    source: &'p LakeSource,
    whole: &'p Whole,
}

impl<'p> Known<'p> {
    /// What is known of a scan, if this is one below a filter that all rows of some of its files pass.
    pub(super) fn below(predicate: &Arc<dyn PhysicalExpr>, node: &'p Arc<dyn ExecutionPlan>) -> Option<Self> {
        let config = node.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()?;
        let source = config.file_source().downcast_ref::<LakeSource>()?;
        let whole = source.scanned().whole.as_ref()?;
        // With a limit, it is not all of its files that a scan reads.
        let is_ours = |file: &PartitionedFile| {
            file.extension::<LakeFile>().is_some() || file.extension::<Together>().is_some()
        };
        let ours = config.file_groups.iter().flat_map(FileGroup::iter).all(is_ours);
        let plain = ours && config.limit.is_none() && whole.pass(predicate);
        plain.then_some(Self { config, source, whole })
    }

    /// Whether these are all of its files.
    pub(super) fn are_all(&self) -> bool {
        self.files().all(|file| self.whole.files.contains(&file))
    }

    fn files(&self) -> impl Iterator<Item = u64> + '_ {
        let files = self.config.file_groups.iter().flat_map(FileGroup::iter);
        files.flat_map(entries_of).map(|entry| entry.id.0)
    }

    /// A scan of these files alone, which knows of them what is certain.
    pub(super) fn alone(&self) -> Result<Arc<dyn ExecutionPlan>> {
        self.some(true, self.whole.known.clone())
    }

    /// A scan of the others.
    pub(super) fn others(&self) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = self.whole.known.column_statistics.len();
        let nothing = Statistics {
            column_statistics: vec![ColumnStatistics::new_unknown(); columns],
            ..Statistics::default()
        };
        self.some(false, nothing)
    }

    fn some(&self, whole: bool, known: Statistics) -> Result<Arc<dyn ExecutionPlan>> {
        let (mut kept, mut groups) = (Kept { files: 0, bytes: 0, deleted: 0, ..self.kept() }, Vec::new());
        let mut is_chosen = |entry: &FileEntry| {
            let is_chosen = self.whole.files.contains(&entry.id.0) == whole;
            match is_chosen {
                true => kept.add(entry),
                false => kept.known += u64::from(!whole),
            }
            is_chosen
        };
        let reader = &self.source.scanned().reader;
        for group in &self.config.file_groups {
            let mut files = Vec::new();
            for file in group.iter() {
                if let Some(LakeFile(entry)) = file.extension::<LakeFile>() {
                    files.extend(Some(file).filter(|_| is_chosen(entry)).cloned());
                } else if let Some(Together { stepwise, .. }) = file.extension::<Together>() {
                    let chosen = entries_of(file).iter().filter(|entry| is_chosen(entry)).cloned().collect();
                    files.extend(Together { files: chosen, stepwise: *stepwise }.file(reader)?);
                }
            }
            groups.push(FileGroup::new(files));
        }
        let groups_left = groups.iter().any(|group| !group.is_empty());
        groups.retain(|group| !groups_left || !group.is_empty());
        let scanned = Scanned {
            reader: reader.clone(),
            origin: self.source.scanned().origin.clone(),
            kept,
            whole: None,
            skips: self.source.scanned().skips,
        };
        let source = LakeSource::new(Arc::clone(self.source.parquet()), Arc::new(scanned));
        let config = FileScanConfigBuilder::from(self.config.clone())
            .with_source(Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(known)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn kept(&self) -> Kept {
        self.source.scanned().kept.clone()
    }
}
