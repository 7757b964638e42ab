//! `date_part` (and `EXTRACT`) and `date_bin` of times of all years.
//!
//! DataFusion gives NULL where Arrow's calendar ends, some 262,000 years away, and for bins beyond what nanoseconds hold, which is 2262. Invariants: a time
//! that is there has a part and a bin, or there is an error; all else of the functions is DataFusion's. What does not belong here: `date_trunc`
//! (`over_dates`).

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Int64Type, IntervalMonthDayNanoType, TimeUnit,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions::datetime::{date_bin, date_part};
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};
use strandline::ErrorKind;

use crate::error::refused;

/// The days after which the calendar begins anew, its weeks included.
const CYCLE: i64 = 146_097;

/// So many days around 1970 are left to Arrow, which knows some more.
const NEAR: i64 = 90_000_000;

/// They, in the place of DataFusion's.
pub(super) fn functions() -> [ScalarUDF; 2] {
    let part = date_part().signature().clone();
    let bin = Signature::user_defined(date_bin().signature().volatility);
    [(date_part(), What::Part, part), (date_bin(), What::Bin, bin)]
        .map(|(inner, what, signature)| ScalarUDF::new_from_impl(FarTimes { inner, what, signature }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Part,
    Bin,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FarTimes {
    inner: Arc<ScalarUDF>,
    what: What,
    signature: Signature,
}

impl ScalarUDFImpl for FarTimes {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Of bins: the times stay what they are, where DataFusion would take them for nanoseconds.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (mut asked, time) = (types.to_vec(), types.get(1));
        let kept = match time {
            Some(DataType::Timestamp(unit, _)) => Some(DataType::Timestamp(*unit, None)),
            _ => None,
        };
        if let (Some(kept), Some(asked)) = (kept, asked.get_mut(1)) {
            *asked = kept;
        }
        if let Some(origin @ DataType::Timestamp(..)) = asked.get_mut(2) {
            *origin = DataType::Timestamp(TimeUnit::Nanosecond, None);
        }
        let fields = asked.into_iter().map(|ty| Arc::new(Field::new("", ty, true)));
        let coerced = fields_with_udf(&fields.collect::<Vec<_>>(), self.inner.as_ref())?;
        let mut coerced: Vec<DataType> = coerced.iter().map(|field| field.data_type().clone()).collect();
        if let (Some(coerced), Some(time @ DataType::Timestamp(..))) = (coerced.get_mut(1), time) {
            *coerced = time.clone();
        }
        Ok(coerced)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(times) = args.args.get(1).filter(|times| per_day(&times.data_type()).is_some()).cloned()
        else {
            return self.inner.invoke_with_args(args);
        };
        let found = match self.what {
            What::Part => self.part(args)?,
            What::Bin => {
                let (asked, found) = (args.args.clone(), self.inner.invoke_with_args(args)?);
                if lost(&times, &found)? { bins(&asked, &found)? } else { found }
            }
        };
        if lost(&times, &found)? {
            let message =
                format!("{} has no answer for one of the times, which is too far away for it", self.name());
            return Err(refused(ErrorKind::InvalidInput, message));
        }
        Ok(found)
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, context: &SimplifyContext) -> Result<PreimageResult> {
        self.inner.preimage(args, literal, context)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

impl FarTimes {
    /// A part of times, of which those that are far are asked for at the same place of the calendar, some cycles nearer.
    fn part(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(times) = args.args.get(1) else { return self.inner.invoke_with_args(args) };
        let ty = times.data_type();
        let is_epoch = args.return_field.data_type().is_floating();
        let Some(day) = per_day(&ty).filter(|_| !is_epoch && is_utc(&ty)) else {
            return self.inner.invoke_with_args(args);
        };
        let given = cast(&times.to_array(1)?, &DataType::Int64)?;
        let given = given.as_primitive::<Int64Type>();
        let cycle = CYCLE * day;
        let cycles = |time: i64| if (time / day).abs() < NEAR { 0 } else { time.div_euclid(cycle) };
        if given.iter().flatten().all(|time| cycles(time) == 0) {
            return self.inner.invoke_with_args(args);
        }
        let asked = |times: &Int64Array| -> Result<Int64Array> {
            let times = cast(times, &ty)?;
            let mut args = args.clone();
            (args.number_rows, args.args[1]) = (times.len(), ColumnarValue::Array(times));
            let parts = self.inner.invoke_with_args(args)?.to_array(1)?;
            Ok(cast(&parts, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
        };
        // What a cycle adds to the part: 400 to a year, and nothing to the others.
        let ends = asked(&Int64Array::from(vec![0, cycle]))?;
        let step = ends.value(1) - ends.value(0);
        let near = |time: i64| if cycles(time) == 0 { time } else { time.rem_euclid(cycle) };
        let near = asked(&given.unary(near))?;
        let parts = near.iter().zip(given).map(|(part, time)| Some(part? + cycles(time?) * step));
        let parts: ArrayRef = Arc::new(parts.collect::<Int64Array>());
        Ok(ColumnarValue::Array(cast(&parts, args.return_field.data_type())?))
    }
}

/// How many units a day has, of a type of dates or times.
fn per_day(ty: &DataType) -> Option<i64> {
    const DAY: i64 = 86_400;
    match ty {
        DataType::Date32 => Some(1),
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => Some(DAY * 1_000),
        DataType::Timestamp(TimeUnit::Second, _) => Some(DAY),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(DAY * 1_000_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(DAY * 1_000_000_000),
        _ => None,
    }
}

/// Whether the calendar of a type is the same in all years.
fn is_utc(ty: &DataType) -> bool {
    match ty {
        DataType::Timestamp(_, Some(zone)) => matches!(&**zone, "UTC" | "+00:00"),
        _ => true,
    }
}

/// Whether there is a time for which nothing was found.
fn lost(times: &ColumnarValue, found: &ColumnarValue) -> Result<bool> {
    let (times, found) = (times.to_array(1)?, found.to_array(1)?);
    Ok(found.null_count() > 0
        && (0..found.len()).any(|row| found.is_null(row) && times.is_valid(row.min(times.len() - 1))))
}

/// The bins that were found, and those of times that nanoseconds do not hold.
fn bins(args: &[ColumnarValue], found: &ColumnarValue) -> Result<ColumnarValue> {
    let [ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(Some(stride))), times, origin @ ..] = args
    else {
        return Ok(found.clone());
    };
    let (months, days, nanos) = IntervalMonthDayNanoType::to_parts(*stride);
    let stride = i128::from(days) * 86_400_000_000_000 + i128::from(nanos);
    let origin = match origin {
        [] => 0,
        [ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(Some(origin), _))] => i128::from(*origin),
        _ => return Ok(found.clone()),
    };
    let ty = times.data_type();
    let Some(day) = per_day(&ty).filter(|_| months == 0 && stride > 0) else { return Ok(found.clone()) };
    let unit = i128::from(86_400_000_000_000 / day);
    let bin = |time: i64| {
        let time = i128::from(time) * unit;
        i64::try_from((time - (time - origin).rem_euclid(stride)).div_euclid(unit)).ok()
    };
    let (times, found) = (cast(&times.to_array(1)?, &DataType::Int64)?, found.to_array(times_in(times))?);
    let (times, found) = (times.as_primitive::<Int64Type>(), cast(&found, &DataType::Int64)?);
    let found = found.as_primitive::<Int64Type>().iter().zip(times);
    let bins: ArrayRef =
        Arc::new(found.map(|(found, time)| found.or_else(|| bin(time?))).collect::<Int64Array>());
    Ok(ColumnarValue::Array(cast(&bins, &ty)?))
}

fn times_in(times: &ColumnarValue) -> usize {
    match times {
        ColumnarValue::Array(times) => times.len(),
        ColumnarValue::Scalar(_) => 1,
    }
}
