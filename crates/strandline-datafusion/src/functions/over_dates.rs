//! `date_trunc` of dates and times of all years.
//!
//! DataFusion makes times of nanoseconds of them, which end in 2262. Invariants: a date is the midnight that it begins with, in microseconds, as a
//! TIMESTAMP is; all else of the function is DataFusion's. What does not belong here: dates that are compared (`compared`).

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::try_binary;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::functions::datetime::date_trunc;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

/// The years after which the calendar begins anew, its weeks included, in microseconds.
const CYCLE: i64 = 146_097 * 86_400_000_000;

/// The longest that is cut off.
const YEAR: i64 = 366 * 86_400_000_000;

/// It, in the place of DataFusion's.
pub(super) fn function() -> ScalarUDF {
    let inner = date_trunc();
    let signature = Signature::user_defined(inner.signature().volatility);
    ScalarUDF::new_from_impl(OverDates { inner, signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OverDates {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for OverDates {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let time = |ty: &DataType| match ty {
            DataType::Date32 => DataType::Timestamp(TimeUnit::Microsecond, None),
            other => other.clone(),
        };
        let fields = types.iter().map(|ty| Arc::new(Field::new("", time(ty), true)));
        let coerced = fields_with_udf(&fields.collect::<Vec<_>>(), self.inner.as_ref())?;
        Ok(coerced.into_iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(times) = args.args.get_mut(1) else { return self.inner.invoke_with_args(args) };
        let is_ours = match times.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, zone) => zone.is_none_or(|zone| &*zone == "UTC"),
            _ => false,
        };
        if !is_ours {
            return self.inner.invoke_with_args(args);
        }
        let given = times.to_array(1)?;
        let given = given.as_primitive::<TimestampMicrosecondType>();
        if given.iter().flatten().all(is_near) {
            return self.inner.invoke_with_args(args);
        }
        *times = ColumnarValue::Array(Arc::new(
            given.unary::<_, TimestampMicrosecondType>(near).with_data_type(given.data_type().clone()),
        ));
        args.number_rows = given.len();
        let found = self.inner.invoke_with_args(args)?.to_array(given.len())?;
        let found = found.as_primitive::<TimestampMicrosecondType>();
        let moved = try_binary::<_, _, _, TimestampMicrosecondType>(found, given, back)?;
        Ok(ColumnarValue::Array(Arc::new(moved.with_data_type(given.data_type().clone()))))
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, context)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// Whether nanoseconds hold a time, and whatever it begins with.
fn is_near(time: i64) -> bool {
    [Some(time), time.checked_sub(YEAR)]
        .iter()
        .all(|time| time.and_then(|time| time.checked_mul(1_000)).is_some())
}

/// What was found of a time [`near`] 1970, where that time is.
fn back(found: i64, time: i64) -> std::result::Result<i64, ArrowError> {
    let back = i128::from(time) - i128::from(near(time)) + i128::from(found);
    i64::try_from(back).map_err(|_| {
        ArrowError::ComputeError("date_trunc: it begins before the first time that there is".to_owned())
    })
}

/// The time as many years from 1970 that nanoseconds hold, at the same place in the calendar.
fn near(time: i64) -> i64 {
    let at = time.rem_euclid(CYCLE);
    if at < CYCLE / 2 { at } else { at - CYCLE }
}
