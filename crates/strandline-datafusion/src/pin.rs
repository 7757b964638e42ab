//! One query sees one commit: all that a plan reads of a branch is read at one of its heads.
//!
//! Each name is looked up by itself while a query is planned, and somebody may commit in between. So the rule
//! [`OneCommit`] gives all of them one [`Moment`], the newest head that any of them has seen. Invariant: a table is read at the moment of
//! its plan, or not at all: if its columns are others by then, the query has to be planned again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::catalog::TableProvider;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNodeRecursion};
use datafusion::datasource::{DefaultTableSource, source_as_provider};
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, TableSource};
use datafusion::optimizer::AnalyzerRule;
use strandline::format::RefName;
use strandline::{Error, ErrorKind, Lake, Ref, Table};
use tokio::sync::OnceCell;

use crate::catalog;
use crate::heads::Heads;
use crate::inspect::Listing;
use crate::table::LakeTable;

/// The head of a branch at which a plan reads.
#[derive(Clone, Debug)]
pub(crate) struct Moment(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lake: Lake,
    branch: RefName,
    /// The head that was seen when the plan was made.
    seen: Option<Ref>,
    /// Whether that was for an earlier run: a plan that is kept, as of a view, follows its branch.
    again: bool,
    head: OnceCell<Ref>,
}

impl Moment {
    pub(crate) fn new(seen: Ref) -> Self {
        let (lake, branch) = (seen.lake().clone(), seen.branch().clone());
        Self::of(lake, branch, Some(seen), false)
    }

    /// That of a branch which nobody has looked at yet.
    pub(crate) fn unseen(lake: Lake, branch: RefName) -> Self {
        Self::of(lake, branch, None, false)
    }

    fn of(lake: Lake, branch: RefName, seen: Option<Ref>, again: bool) -> Self {
        Self(Arc::new(Inner { lake, branch, seen, again, head: OnceCell::new() }))
    }

    /// The same for a run of its own.
    fn renewed(&self, again: bool) -> Self {
        Self::of(self.0.lake.clone(), self.0.branch.clone(), self.0.seen.clone(), again)
    }

    /// The head to read. No request for the first run of a plan in which it was seen.
    pub(crate) async fn head(&self) -> strandline::Result<Ref> {
        let find = || async {
            match &self.0.seen {
                Some(seen) if !self.0.again => Ok(seen.clone()),
                _ => catalog::head(&self.0.lake, &self.0.branch).await,
            }
        };
        self.0.head.get_or_try_init(find).await.cloned()
    }

    /// Whether it is of this branch of this lake.
    fn is_of(&self, lake: &Lake, branch: &RefName) -> bool {
        self.0.lake.id() == lake.id() && self.0.branch == *branch
    }

    fn is_of_branch(&self, other: &Self) -> bool {
        self.is_of(&other.0.lake, &other.0.branch)
    }

    fn is_before(&self, other: &Self) -> bool {
        let version = |moment: &Self| moment.0.seen.as_ref().map(Ref::version);
        version(self) < version(other)
    }
}

/// The moments of a plan, one for each branch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moments(Arc<[Moment]>);

impl Moments {
    /// What is to be read where this head was seen.
    pub(crate) async fn head_of(&self, seen: &Ref) -> strandline::Result<Ref> {
        match self.0.iter().find(|moment| moment.is_of(seen.lake(), seen.branch())) {
            Some(moment) => moment.head().await,
            None => Ok(seen.clone()),
        }
    }

    /// All heads of a lake's branches among them.
    pub(crate) async fn heads(&self, lake: &Lake) -> strandline::Result<Vec<Ref>> {
        let of_lake = self.0.iter().filter(|moment| moment.0.lake.id() == lake.id());
        futures::future::try_join_all(of_lake.map(Moment::head)).await
    }

    /// The same, to find references by.
    pub(crate) async fn known(&self, lake: &Lake) -> strandline::Result<Heads> {
        Ok(Heads::of(self.heads(lake).await?))
    }
}

/// A table as another head has it.
///
/// # Errors
/// `Conflict` if its name is another one's by then; those of finding it.
pub(crate) async fn again(head: &Ref, table: &Table) -> strandline::Result<Table> {
    let found = head.table(table.name()).await?;
    if found.id() == table.id() { Ok(found) } else { Err(altered(table)) }
}

/// The error of a table that is not what a plan was made with.
pub(crate) fn altered(table: &Table) -> Error {
    let message = format!(
        "table {:?} was altered since it was planned: run the query again, or make the external table anew",
        table.name()
    );
    Error::new(ErrorKind::Conflict, message)
}

/// Whether something was part of a plan that has run before. What belongs to one statement never was.
#[derive(Clone, Debug)]
pub(crate) struct Used(Option<Arc<AtomicBool>>);

impl Used {
    /// Of a plan that may be kept, and run again.
    pub(crate) fn by_plans() -> Self {
        Self(Some(Arc::default()))
    }

    /// Of one statement, which reads the same whenever it is asked for its rows.
    pub(crate) fn by_statement() -> Self {
        Self(None)
    }

    fn is_same(&self, other: &Self) -> bool {
        matches!((&self.0, &other.0), (Some(one), Some(other)) if Arc::ptr_eq(one, other))
    }

    pub(crate) fn once_more(&self) -> bool {
        self.0.as_ref().is_some_and(|used| used.swap(true, Ordering::Relaxed))
    }
}

/// The rule that gives all of a plan one moment.
#[derive(Debug)]
pub(crate) struct OneCommit;

impl OneCommit {
    pub(crate) const NAME: &'static str = "strandline_one_commit";
}

impl AnalyzerRule for OneCommit {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let (mut moments, mut seen) = (Vec::new(), Vec::new());
        plan.apply_with_subqueries(|node| {
            match node {
                LogicalPlan::TableScan(scan) => note(&scan.source, &mut moments, &mut seen),
                LogicalPlan::Dml(dml) => note(&dml.target, &mut moments, &mut seen),
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        if moments.is_empty() {
            return Ok(plan);
        }
        let shared =
            Moments(moments.iter().map(|(moment, again): &(Moment, bool)| moment.renewed(*again)).collect());
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::TableScan(mut scan) => Ok(match pinned(&scan.source, &shared) {
                Some(source) => {
                    scan.source = source;
                    Transformed::yes(LogicalPlan::TableScan(scan))
                }
                None => Transformed::no(LogicalPlan::TableScan(scan)),
            }),
            // What is written to as well: a statement changes what it has read.
            LogicalPlan::Dml(mut dml) => Ok(match pinned(&dml.target, &shared) {
                Some(target) => {
                    dml.target = target;
                    Transformed::yes(LogicalPlan::Dml(dml))
                }
                None => Transformed::no(LogicalPlan::Dml(dml)),
            }),
            node => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

/// Notes the newest moment of each branch, and whether anything of it was read before.
fn note(source: &Arc<dyn TableSource>, moments: &mut Vec<(Moment, bool)>, seen: &mut Vec<Used>) {
    let Ok(provider) = source_as_provider(source) else { return };
    let Some((moment, used)) = followed(provider.as_ref()) else { return };
    // What stands in a plan twice was not read before for that.
    if seen.iter().any(|table| table.is_same(used)) {
        return;
    }
    seen.push(used.clone());
    let again = used.once_more();
    match moments.iter_mut().find(|(known, _)| known.is_of_branch(moment)) {
        Some((newest, any)) => {
            *any |= again;
            if newest.is_before(moment) {
                *newest = moment.clone();
            }
        }
        None => moments.push((moment.clone(), again)),
    }
}

/// What a table or a listing follows.
fn followed(provider: &dyn TableProvider) -> Option<(&Moment, &Used)> {
    match provider.downcast_ref::<LakeTable>() {
        Some(table) => table.moment(),
        None => provider.downcast_ref::<Listing>()?.moment(),
    }
}

/// What is read at the moments of its plan; `None` for anything else.
fn pinned(source: &Arc<dyn TableSource>, moments: &Moments) -> Option<Arc<dyn TableSource>> {
    let provider = source_as_provider(source).ok()?;
    let read: Arc<dyn TableProvider> = match provider.downcast_ref::<LakeTable>() {
        Some(table) => {
            let (own, _) = table.moment()?;
            let moment = moments.0.iter().find(|moment| moment.is_of_branch(own))?;
            Arc::new(table.at_moment(moment.clone()))
        }
        None => Arc::new(provider.downcast_ref::<Listing>()?.at_moments(moments.clone())),
    };
    Some(Arc::new(DefaultTableSource::new(read)))
}
