//! `as_written(x)`: x, under a name that tells its cast or its parentheses.
//!
//! It stands where the planner would take two expressions for one by their names (`sql::apart`), and goes as soon as expressions are simplified.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, TryCast,
    Volatility,
};
use strandline::ErrorKind;

use crate::error::refused;

/// What it is called in statements.
pub(crate) const AS_WRITTEN: &str = "as_written";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AsWritten(Signature);

impl Default for AsWritten {
    fn default() -> Self {
        Self(Signature::any(1, Volatility::Immutable))
    }
}

impl ScalarUDFImpl for AsWritten {
    fn name(&self) -> &'static str {
        AS_WRITTEN
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(match args {
            [Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field })] => {
                format!("CAST({} AS {})", expr.schema_name(), field.data_type())
            }
            [expr] => format!("({})", expr.schema_name()),
            _ => AS_WRITTEN.to_owned(),
        })
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().ok_or_else(nothing)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        args.arg_fields.first().map(Arc::clone).ok_or_else(nothing)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.into_iter().next().ok_or_else(nothing)
    }

    fn simplify(&self, mut args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match args.pop() {
            Some(expr) => ExprSimplifyResult::Simplified(expr),
            None => ExprSimplifyResult::Original(args),
        })
    }
}

fn nothing() -> datafusion::error::DataFusionError {
    refused(ErrorKind::InvalidInput, "as_written is of one value")
}
