//! Expressions of ours on their way to another process: those of where rows stand, and functions of UUIDs.
//!
//! Invariant: a row's id is told from the numbers of the files that were sent, not from any that the receiver knows. What does not belong here:
//! plans, and expressions that never leave a file's reader (`scan::adapt`).

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::proto_decode::PhysicalExprDecodeCtx;
use datafusion::physical_expr_common::physical_expr::proto_encode::PhysicalExprEncodeCtx;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};

use super::broken;
use crate::compared;
use crate::scan::{Kind, RowNumbers, Shifts};

/// Sends and takes what stands within a scan of these files.
#[derive(Clone, Debug, Default)]
pub(super) struct Within {
    pub(super) shifts: Shifts,
}

impl PhysicalExtensionCodec for Within {
    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        _: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        Err(DataFusionError::Internal(format!("{} stands within a scan", node.name())))
    }

    fn try_decode(
        &self,
        _: &[u8],
        _: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(broken("a plan stands within it"))
    }

    fn try_encode_expr(
        &self,
        expr: &Arc<dyn PhysicalExpr>,
        out: &mut Vec<u8>,
        _: &PhysicalExprEncodeCtx<'_>,
    ) -> Result<()> {
        let numbers = expr.downcast_ref::<RowNumbers>().ok_or_else(|| {
            DataFusionError::NotImplemented(format!("{expr} cannot be sent to another process"))
        })?;
        out.extend_from_slice(numbers.name().as_bytes());
        Ok(())
    }

    fn try_decode_expr(
        &self,
        name: &[u8],
        of: &[Arc<dyn PhysicalExpr>],
        _: &PhysicalExprDecodeCtx<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let kinds = [Kind::RowId(Arc::clone(&self.shifts)), Kind::Version];
        let mut numbers = kinds.into_iter().map(|kind| RowNumbers { kind, of: of.to_vec() });
        numbers
            .find(|numbers| numbers.name().as_bytes() == name)
            .map(|numbers| Arc::new(numbers) as _)
            .ok_or_else(|| broken("it has an expression of no known kind"))
    }

    fn try_decode_udf(&self, name: &str, _: &[u8]) -> Result<Arc<ScalarUDF>> {
        function(name)
    }
}

/// A function of ours, where the session that takes a plan was not made for lakes.
pub(super) fn function(name: &str) -> Result<Arc<ScalarUDF>> {
    compared::functions().into_iter().find(|function| function.name() == name).map(Arc::new).ok_or_else(
        || {
            DataFusionError::Plan(format!(
                "a plan that was sent calls {name}, which this session does not know"
            ))
        },
    )
}
