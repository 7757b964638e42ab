//! Dates, times and times of day that are compared with each other.
//!
//! DataFusion compares a date with a time as of nanoseconds, which end in 2262. Invariants: a date of any year is compared with any time, as the
//! midnight that it begins with; a time that is written out keeps all of its digits. What does not belong here: other texts (`compared`).

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, Projection, Union, cast, when};

use super::text;
use crate::text::far_time;

/// The last day whose midnight nanoseconds hold wherever that is; the first one is as far on the other side of 1970.
const LAST_DAY: i32 = 106_750;

/// A time that a text is, of microseconds if nanoseconds do not hold it.
pub(super) fn beyond(expr: &Expr, ty: &DataType) -> Option<Expr> {
    let (DataType::Timestamp(_, zone), Some(text)) = (ty, text(expr)) else { return None };
    let of = |unit| text.cast_to(&DataType::Timestamp(unit, zone.clone())).ok();
    if of(TimeUnit::Nanosecond).is_some() {
        return None;
    }
    let far = || {
        let micros = text.try_as_str().flatten().and_then(far_time)?;
        Some(ScalarValue::TimestampMicrosecond(Some(micros), zone.clone()))
    };
    of(TimeUnit::Microsecond).or_else(far).map(|time| Expr::Literal(time, None))
}

/// Reads texts beside a column of microseconds as times, if one of them is beyond nanoseconds; whether it did.
pub(super) fn read_texts(ty: &DataType, others: &mut [&mut Expr]) -> bool {
    if !others.iter().any(|other| beyond(other, ty).is_some()) {
        return false;
    }
    for other in others.iter_mut().filter(|other| text(other).is_some()) {
        **other = beyond(other, ty).unwrap_or_else(|| cast(other.clone(), ty.clone()));
    }
    true
}

/// Times of day of two precisions, of which DataFusion finds no common one.
pub(super) fn read_clocks(sides: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    let types = types_of(sides, schema)?;
    let (coarse, fine) = (DataType::Time64(TimeUnit::Microsecond), DataType::Time64(TimeUnit::Nanosecond));
    if !types.contains(&coarse) || !types.contains(&fine) {
        return Ok(false);
    }
    for (side, ty) in sides.iter_mut().zip(&types) {
        if *ty == coarse {
            **side = cast(side.clone(), fine.clone());
        }
    }
    Ok(true)
}

/// Reads dates that are compared with times; whether there were both. Where all times are written out and are midnights, they are read as dates, by
/// which data is skipped. Else dates are read as times: of microseconds, or of nanoseconds if a time has these.
pub(super) fn read_dates(sides: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    let types = types_of(sides, schema)?;
    let is_time = |ty: &DataType| matches!(ty, DataType::Timestamp(..));
    if !types.contains(&DataType::Date32) || !types.iter().any(is_time) {
        return Ok(false);
    }
    if let Some(days) = days(sides, &types) {
        for (side, day) in sides.iter_mut().zip(days) {
            if let Some(day) = day {
                **side = Expr::Literal(ScalarValue::Date32(Some(day)), None);
            }
        }
        return Ok(true);
    }
    let zone = types.iter().find_map(|ty| match ty {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    });
    let is_fine = |(side, ty): (&&mut Expr, &DataType)| {
        matches!(ty, DataType::Timestamp(TimeUnit::Nanosecond, _)) && micros(side).is_none()
    };
    let is_fine = sides.iter().zip(&types).any(is_fine);
    let unit = if is_fine { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
    let time = DataType::Timestamp(unit, zone);
    for (side, ty) in sides.iter_mut().zip(&types) {
        match (ty, micros(side)) {
            (DataType::Date32, _) if is_fine => **side = nearest(std::mem::take(*side), &time)?,
            (DataType::Date32, _) => **side = cast(std::mem::take(*side), time.clone()),
            (_, Some(micros)) if !is_fine => {
                **side = Expr::Literal(ScalarValue::TimestampMicrosecond(Some(micros), None), None);
            }
            _ => {}
        }
    }
    Ok(true)
}

/// Reads times of nanoseconds that are written out beside ones of microseconds as such, which years beyond 2262 have; whether there were both.
pub(super) fn read_written(sides: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    let types = types_of(sides, schema)?;
    if !types.contains(&DataType::Timestamp(TimeUnit::Microsecond, None)) {
        return Ok(false);
    }
    let mut changed = false;
    for (side, ty) in sides.iter_mut().zip(&types) {
        let is_fine = *ty == DataType::Timestamp(TimeUnit::Nanosecond, None);
        if let Some(micros) = micros(side).filter(|_| is_fine) {
            **side = Expr::Literal(ScalarValue::TimestampMicrosecond(Some(micros), None), None);
            changed = true;
        }
    }
    Ok(changed)
}

/// Reads dates of which and of times one value comes, as of COALESCE, as times of microseconds, which all years have; whether there were both.
pub(super) fn read_either(sides: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    let types = types_of(sides, schema)?;
    let Some(time) = micros_of(&types) else { return Ok(false) };
    for (side, ty) in sides.iter_mut().zip(&types) {
        if *ty == DataType::Date32 {
            **side = cast(std::mem::take(*side), time.clone());
        }
    }
    Ok(true)
}

/// A union that has dates and times in one column, with dates as times of microseconds; whether it is one.
pub(super) fn united(plan: LogicalPlan) -> Result<(LogicalPlan, bool)> {
    let LogicalPlan::Union(union) = &plan else { return Ok((plan, false)) };
    let width = union.schema.fields().len();
    if union.inputs.iter().any(|input| input.schema().fields().len() != width) {
        return Ok((plan, false));
    }
    let types_at = |at: usize| -> Vec<DataType> {
        union.inputs.iter().map(|input| input.schema().field(at).data_type().clone()).collect()
    };
    let times: Vec<Option<DataType>> = (0..width).map(|at| micros_of(&types_at(at))).collect();
    if times.iter().all(Option::is_none) {
        return Ok((plan, false));
    }
    let column = |(place, time): ((Option<&TableReference>, &FieldRef), &Option<DataType>)| {
        let (qualifier, field) = place;
        let column = Expr::Column(Column::from(place));
        match time {
            Some(time) if *field.data_type() == DataType::Date32 => {
                cast(column, time.clone()).alias_qualified(qualifier.cloned(), field.name())
            }
            _ => column,
        }
    };
    let input = |input: &Arc<LogicalPlan>| {
        let columns = input.schema().iter().zip(&times).map(column).collect();
        Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(columns, Arc::clone(input))?)))
    };
    let inputs = union.inputs.iter().map(input).collect::<Result<Vec<_>>>()?;
    Ok((LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?), true))
}

/// The type of the times, if all is dates and times of microseconds of one kind, and both are there.
fn micros_of(types: &[DataType]) -> Option<DataType> {
    let is_other = |ty: &&DataType| !matches!(ty, DataType::Date32 | DataType::Null);
    let time = types.iter().find(is_other)?;
    let is_one = types.iter().filter(is_other).all(|ty| ty == time);
    let has_dates = types.contains(&DataType::Date32);
    (is_one && has_dates && matches!(time, DataType::Timestamp(TimeUnit::Microsecond, _)))
        .then(|| time.clone())
}

fn types_of(sides: &[&mut Expr], schema: &DFSchema) -> Result<Vec<DataType>> {
    sides.iter().map(|side| side.get_type(schema)).collect()
}

/// The days that times are, if all times are written out and are midnights without a zone.
fn days(sides: &[&mut Expr], types: &[DataType]) -> Option<Vec<Option<i32>>> {
    let day_of = |(side, ty): (&&mut Expr, &DataType)| match ty {
        DataType::Timestamp(..) => micros(side).and_then(day).map(Some),
        _ => Some(None),
    };
    sides.iter().zip(types).map(day_of).collect()
}

/// A date as a time of nanoseconds: one that they do not hold is before or after all times that they do.
fn nearest(date: Expr, time: &DataType) -> Result<Expr> {
    let literal = |value| Expr::Literal(value, None);
    let day = |day| literal(ScalarValue::Date32(Some(day)));
    let end = |nanos| ScalarValue::Int64(Some(nanos)).cast_to(time).map(literal);
    let (first, last) = (end(i64::MIN)?, end(i64::MAX)?);
    when(date.clone().gt(day(LAST_DAY)), last)
        .when(date.clone().lt(day(-LAST_DAY)), first)
        .otherwise(cast(date, time.clone()))
}

/// A time that is written out and has no nanoseconds and no zone, as microseconds.
fn micros(expr: &Expr) -> Option<i64> {
    let of = |scalar: ScalarValue| match scalar {
        ScalarValue::TimestampMicrosecond(Some(time), None) => Some(time),
        ScalarValue::TimestampNanosecond(Some(time), None) if time % 1_000 == 0 => Some(time / 1_000),
        _ => None,
    };
    match expr {
        Expr::Literal(scalar, _) => of(scalar.clone()),
        Expr::Cast(Cast { expr, field }) if matches!(field.data_type(), DataType::Timestamp(_, None)) => {
            of(text(expr)?.cast_to(field.data_type()).ok()?)
        }
        _ => None,
    }
}

/// The day that a time begins, if it does.
fn day(micros: i64) -> Option<i32> {
    const DAY: i64 = 86_400_000_000;
    (micros % DAY == 0).then(|| i32::try_from(micros / DAY).ok()).flatten()
}
