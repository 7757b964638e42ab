//! A part of a plan that runs with memory of its own, where that of its session is not bounded.
//!
//! Invariant: the part is what it was in all else: its rows, order and partitions, the session's stores and caches. What does not belong
//! here: which part it is, and how much it may have (`spill`).

use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
    ReplaceChildrenOptions,
};

/// The part, and what it may have.
#[derive(Debug)]
pub(super) struct PoolExec {
    input: Arc<dyn ExecutionPlan>,
    bytes: usize,
    /// One for all partitions, made by the first of them.
    pool: OnceLock<Arc<dyn MemoryPool>>,
}

impl PoolExec {
    /// A part that spills what does not fit into so many bytes.
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, bytes: usize) -> Self {
        Self { input, bytes, pool: OnceLock::new() }
    }

    /// The context of a session, but for its memory.
    fn bounded(&self, context: &TaskContext) -> Result<TaskContext> {
        let pool = self.pool.get_or_init(|| Arc::new(FairSpillPool::new(self.bytes)));
        let runtime = RuntimeEnvBuilder::from_runtime_env(&context.runtime_env());
        Ok(TaskContext::new(
            context.task_id(),
            context.session_id(),
            context.session_config().clone(),
            context.scalar_functions().clone(),
            context.higher_order_functions().clone(),
            context.aggregate_functions().clone(),
            context.window_functions().clone(),
            runtime.with_memory_pool(Arc::clone(pool)).build_arc()?,
        ))
    }
}

impl DisplayAs for PoolExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PoolExec: memory={} MiB", self.bytes >> 20)
    }
}

impl ExecutionPlan for PoolExec {
    fn name(&self) -> &'static str {
        "PoolExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.bytes)))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, Arc::new(self.bounded(&context)?))
    }
}
