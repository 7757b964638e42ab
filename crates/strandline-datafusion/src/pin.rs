//! One query sees one commit: all tables of a plan that follow a branch are read at one of its heads.
//!
//! Each table's name is looked up by itself while a query is planned, and somebody may commit in between. So the rule
//! [`OneCommit`] gives all of them one [`Moment`], the newest head that any of them has seen. Invariant: a table is read at the moment of
//! its plan, or not at all: if its columns are others by then, the query has to be planned again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::datasource::{DefaultTableSource, source_as_provider};
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, TableSource};
use datafusion::optimizer::AnalyzerRule;
use strandline::Ref;
use tokio::sync::OnceCell;

use crate::catalog;
use crate::table::LakeTable;

/// The head of a branch at which a plan reads.
#[derive(Clone, Debug)]
pub(crate) struct Moment(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The head that was seen when the plan was made.
    seen: Ref,
    /// Whether that was for an earlier run: a plan that is kept, as of a view, follows its branch.
    again: bool,
    head: OnceCell<Ref>,
}

impl Moment {
    pub(crate) fn new(seen: Ref) -> Self {
        Self(Arc::new(Inner { seen, again: false, head: OnceCell::new() }))
    }

    /// The head that was seen when the plan was made.
    pub(crate) fn seen(&self) -> &Ref {
        &self.0.seen
    }

    /// The head to read. No request for the first run of a plan.
    pub(crate) async fn head(&self) -> strandline::Result<Ref> {
        let find = || async {
            if !self.0.again {
                return Ok(self.0.seen.clone());
            }
            catalog::head(self.0.seen.lake(), self.0.seen.branch()).await
        };
        self.0.head.get_or_try_init(find).await.cloned()
    }

    /// Whether both are of one branch of one lake.
    fn is_of_branch(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.seen(), other.seen());
        mine.lake().id() == theirs.lake().id() && mine.branch() == theirs.branch()
    }
}

/// Whether a table was part of a plan that has run before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used(Arc<AtomicBool>);

impl Used {
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn once_more(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }
}

/// The rule that gives all tables of a plan one moment.
#[derive(Debug)]
pub(crate) struct OneCommit;

impl OneCommit {
    pub(crate) const NAME: &'static str = "strandline_one_commit";
}

impl AnalyzerRule for OneCommit {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let (mut moments, mut tables) = (Vec::new(), Vec::new());
        plan.apply_with_subqueries(|node| {
            match node {
                LogicalPlan::TableScan(scan) => note(&scan.source, &mut moments, &mut tables),
                LogicalPlan::Dml(dml) => note(&dml.target, &mut moments, &mut tables),
                _ => {}
            }
            Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
        })?;
        if moments.is_empty() {
            return Ok(plan);
        }
        let shared: Vec<Moment> = moments
            .into_iter()
            .map(|(moment, again): (Moment, bool)| {
                Moment(Arc::new(Inner { seen: moment.seen().clone(), again, head: OnceCell::new() }))
            })
            .collect();
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

/// Notes the newest moment of each branch, and whether a table of it was read before.
fn note(source: &Arc<dyn TableSource>, moments: &mut Vec<(Moment, bool)>, tables: &mut Vec<Used>) {
    let Ok(provider) = source_as_provider(source) else { return };
    let Some((moment, used)) = provider.downcast_ref::<LakeTable>().and_then(LakeTable::moment) else {
        return;
    };
    // A table that stands in a plan twice was not read before for that.
    if tables.iter().any(|table| table.is_same(used)) {
        return;
    }
    tables.push(used.clone());
    let again = used.once_more();
    match moments.iter_mut().find(|(known, _)| known.is_of_branch(moment)) {
        Some((newest, any)) => {
            *any |= again;
            if newest.seen().version() < moment.seen().version() {
                *newest = moment.clone();
            }
        }
        None => moments.push((moment.clone(), again)),
    }
}

/// A table of a branch, at its moment; `None` for any other.
fn pinned(source: &Arc<dyn TableSource>, moments: &[Moment]) -> Option<Arc<dyn TableSource>> {
    let provider = source_as_provider(source).ok()?;
    let table = provider.downcast_ref::<LakeTable>()?;
    let (own, _) = table.moment()?;
    let moment = moments.iter().find(|moment| moment.is_of_branch(own))?;
    Some(Arc::new(DefaultTableSource::new(Arc::new(table.at_moment(moment.clone())))))
}
