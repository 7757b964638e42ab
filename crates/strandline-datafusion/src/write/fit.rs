//! Values on their way into a column of another type.
//!
//! The planner's own cast says which value does not fit, and sometimes not even that. So a function takes its place that knows the column. Invariant:
//! it gives what the cast would, but of a DOUBLE the digits that it is written with. What does not belong here: whether a cast may be at all (`assign`).

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use strandline::ErrorKind;
use strandline::columns::value_text;

use crate::error::refused;
use crate::text::far_time;

/// The same value; of a cast, one whose error names the column and the value. Nested ones are cast as they were.
pub(super) fn named(column: &str, value: Expr) -> Expr {
    match value {
        Expr::Cast(Cast { expr, field }) if !field.data_type().is_nested() => {
            let expr = as_written(*expr, field.data_type());
            let fit = Fit {
                column: column.to_owned(),
                ty: field.data_type().clone(),
                signature: Signature::any(1, Volatility::Immutable),
            };
            ScalarUDF::new_from_impl(fit).call(vec![expr])
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
        let texts = written(value, &self.ty)?;
        let given = texts.as_ref().unwrap_or(value);
        let fitted = match given.cast_to(&self.ty, None) {
            Ok(fitted) => fitted,
            Err(error) => far_times(given, &self.ty)?.ok_or_else(|| self.refusal(given, &error))?,
        };
        match overflowing(value, &fitted)? {
            Some(value) => Err(self.no_such(&value)),
            None => Ok(fitted),
        }
    }
}

/// A number with a point as a text where a DECIMAL is wanted: a DOUBLE has other digits than are written.
fn as_written(value: Expr, to: &DataType) -> Expr {
    match value {
        Expr::Literal(ScalarValue::Float64(Some(number)), metadata) if to.is_decimal() => {
            Expr::Literal(ScalarValue::Utf8(Some(number.to_string())), metadata)
        }
        value => value,
    }
}

/// The same of numbers that come from elsewhere: each as the shortest text that is read as it.
fn written(value: &ColumnarValue, to: &DataType) -> Result<Option<ColumnarValue>> {
    if value.data_type() != DataType::Float64 || !to.is_decimal() {
        return Ok(None);
    }
    let numbers = value.to_array(1)?;
    let texts =
        numbers.as_primitive::<Float64Type>().iter().map(|number| number.map(|number| number.to_string()));
    let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
    Ok(Some(match value {
        ColumnarValue::Array(_) => ColumnarValue::Array(texts),
        ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?),
    }))
}

/// Texts as times, if those that the cast cannot read are so far away that it never does.
fn far_times(value: &ColumnarValue, to: &DataType) -> Result<Option<ColumnarValue>> {
    let DataType::Timestamp(TimeUnit::Microsecond, zone) = to else { return Ok(None) };
    if !value.data_type().is_string() {
        return Ok(None);
    }
    let values = value.to_array(1)?;
    let near = cast_with_options(&values, to, &CastOptions { safe: true, ..CastOptions::default() })?;
    let texts = cast_with_options(&values, &DataType::Utf8, &CastOptions::default())?;
    let near = near.as_primitive::<TimestampMicrosecondType>();
    let times = texts.as_string::<i32>().iter().zip(near).map(|(text, near)| match (text, near) {
        (Some(text), None) => far_time(text).map(Some),
        (_, near) => Some(near),
    });
    let Some(times) = times.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times).with_timezone_opt(zone.clone()));
    Ok(Some(match value {
        ColumnarValue::Array(_) => ColumnarValue::Array(times),
        ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&times, 0)?),
    }))
}

/// The first number that has become infinite without being so.
fn overflowing(value: &ColumnarValue, fitted: &ColumnarValue) -> Result<Option<String>> {
    let from = value.data_type();
    if !fitted.data_type().is_floating() || !(from.is_floating() || from.is_string()) {
        return Ok(None);
    }
    let (values, fitted) = (value.to_array(1)?, fitted.to_array(1)?);
    let fitted = cast_with_options(&fitted, &DataType::Float64, &CastOptions::default())?;
    let fitted = fitted.as_primitive::<Float64Type>();
    let infinite = (0..fitted.len()).filter(|at| fitted.is_valid(*at) && fitted.value(*at).is_infinite());
    for at in infinite {
        let written = value_text(&values, at)?;
        if written.contains(|letter: char| letter.is_ascii_digit()) {
            return Ok(Some(written));
        }
    }
    Ok(None)
}

impl Fit {
    fn no_such(&self, value: &str) -> DataFusionError {
        let (column, ty) = (&self.column, &self.ty);
        let message = format!("column {column:?} is {ty}, and {value:?} is no such value");
        refused(ErrorKind::InvalidInput, message)
    }

    /// What is wrong, by the first value that does not fit.
    fn refusal(&self, value: &ColumnarValue, error: &DataFusionError) -> DataFusionError {
        let found = value.to_array(1).ok().and_then(|values| {
            let fitting = CastOptions { safe: true, ..CastOptions::default() };
            let fitted = cast_with_options(&values, &self.ty, &fitting).ok()?;
            let at = (0..values.len()).find(|at| values.is_valid(*at) && fitted.is_null(*at))?;
            value_text(&values, at).ok()
        });
        let (column, ty) = (&self.column, &self.ty);
        let message = match found {
            Some(value) => return self.no_such(&value),
            None => format!("column {column:?} is {ty}: {}", error.strip_backtrace()),
        };
        refused(ErrorKind::InvalidInput, message)
    }
}
