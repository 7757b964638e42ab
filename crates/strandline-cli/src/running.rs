//! How far a statement is: how many rows were read of those that its plan has to read; and what one that writes has done.
//!
//! Statements that write are planned and run within the session, out of sight. So the session's last rule of optimisation, which
//! changes nothing, keeps the plan that it is handed. What does not belong here: how it is shown (`progress`).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::config::ConfigOptions;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use strandline_datafusion::Session;

use crate::output::{counted, size};

/// The plan that was made last, once there is one. Cloning gives another handle to the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<Option<Followed>>>);

#[derive(Clone, Debug)]
struct Followed {
    plan: Arc<dyn ExecutionPlan>,
    /// How many rows it has to read, if that is known.
    all: Option<usize>,
}

impl Running {
    /// What a session runs from here on.
    pub(crate) fn of(session: &Session) -> Self {
        let running = Self::default();
        let state = session.context().state_ref();
        let mut state = state.write();
        let builder = SessionStateBuilder::new_from_existing(state.clone());
        *state = builder.with_physical_optimizer_rule(Arc::new(running.clone())).build();
        running
    }

    /// Lets go of a plan that is done.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How many rows were read, and how many there are.
    pub(crate) fn rows(&self) -> (u64, Option<u64>) {
        let followed = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(Followed { plan, all }) = followed else { return (0, None) };
        let read = |leaf: &dyn ExecutionPlan| leaf.metrics()?.output_rows();
        let read: usize = leaves(plan.as_ref()).into_iter().filter_map(read).sum();
        (read as u64, all.map(|all| all as u64))
    }
}

/// What a statement that writes did, as its plan tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrote {
    inserted: u64,
    updated: u64,
    deleted: u64,
    files: u64,
    bytes: u64,
}

impl Running {
    /// What was written, if something was.
    pub(crate) fn wrote(&self) -> Option<Wrote> {
        let followed = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let metrics = followed?.plan.metrics()?;
        let told = |name: &str| metrics.sum_by_name(name).map_or(0, |told| told.as_usize() as u64);
        let wrote = Wrote {
            inserted: told("rows_inserted"),
            updated: told("rows_updated"),
            deleted: told("rows_deleted"),
            files: told("files_written"),
            bytes: told("bytes_written"),
        };
        (wrote != Wrote::default()).then_some(wrote)
    }
}

impl fmt::Display for Wrote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [(self.inserted, "inserted"), (self.updated, "updated"), (self.deleted, "deleted")];
        let rows = rows.into_iter().filter(|(number, _)| *number > 0);
        let mut told: Vec<String> = rows.map(|(number, what)| format!("{number} {what}")).collect();
        if self.files > 0 {
            told.push(format!("{} written, {}", counted(self.files, "file"), size(self.bytes)));
        }
        f.write_str(&told.join(", "))
    }
}

impl PhysicalOptimizerRule for Running {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let known = |leaf: &dyn ExecutionPlan| {
            let known = StatisticsContext::new().compute(leaf, &StatisticsArgs::new()).ok()?;
            known.num_rows.get_value().copied()
        };
        let all = leaves(plan.as_ref()).into_iter().map(known).sum();
        let followed = Followed { plan: Arc::clone(&plan), all };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(followed);
        Ok(plan)
    }

    fn name(&self) -> &'static str {
        "strand_running"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What a plan reads its rows from.
fn leaves(plan: &dyn ExecutionPlan) -> Vec<&dyn ExecutionPlan> {
    let children = plan.children();
    if children.is_empty() {
        return vec![plan];
    }
    children.into_iter().flat_map(|child| leaves(child.as_ref())).collect()
}
