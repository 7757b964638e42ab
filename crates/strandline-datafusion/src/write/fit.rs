//! Values on their way into a column of another type.
//!
//! The planner's own cast says which value does not fit, and sometimes not even that. So a function takes its place that knows the column. Invariant:
//! it gives what the cast would. What does not belong here: whether a cast may be at all (`assign`).

use datafusion::arrow::array::Array;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use strandline::ErrorKind;

use crate::error::refused;

/// The same value; of a cast, one whose error names the column and the value. Nested ones are cast as they were.
pub(super) fn named(column: &str, value: Expr) -> Expr {
    match value {
        Expr::Cast(Cast { expr, field }) if !field.data_type().is_nested() => {
            let fit = Fit {
                column: column.to_owned(),
                ty: field.data_type().clone(),
                signature: Signature::any(1, Volatility::Immutable),
            };
            ScalarUDF::new_from_impl(fit).call(vec![*expr])
        }
        value => value,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Fit {
    column: String,
    ty: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Fit {
    fn name(&self) -> &'static str {
        "cast_into_column"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.ty.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = args.args.first() else {
            return Err(DataFusionError::Internal("a cast of nothing".to_owned()));
        };
        value.cast_to(&self.ty, None).map_err(|error| self.refusal(value, &error))
    }
}

impl Fit {
    /// What is wrong, by the first value that does not fit.
    fn refusal(&self, value: &ColumnarValue, error: &DataFusionError) -> DataFusionError {
        let found = value.to_array(1).ok().and_then(|values| {
            let fitting = CastOptions { safe: true, ..CastOptions::default() };
            let fitted = cast_with_options(&values, &self.ty, &fitting).ok()?;
            let at = (0..values.len()).find(|at| values.is_valid(*at) && fitted.is_null(*at))?;
            array_value_to_string(&values, at).ok()
        });
        let (column, ty) = (&self.column, &self.ty);
        let message = match found {
            Some(value) => format!("column {column:?} is {ty}, and {value:?} is no such value"),
            None => format!("column {column:?} is {ty}: {}", error.strip_backtrace()),
        };
        refused(ErrorKind::InvalidInput, message)
    }
}
