//! How far a statement is: how many rows were read of those that its plan has to read.
//!
//! Statements that write are planned and run within the session, out of sight. So the session's last rule of optimisation, which
//! changes nothing, keeps the plan that it is handed. What does not belong here: how it is shown (`progress`).

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::config::ConfigOptions;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use strandline_datafusion::Session;

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
