//! Bounds and literals as keys of one order, so that types that widen into each other compare, a vector at a time.
//!
//! Invariant: keys are ordered as the values are [VAL-6]. A literal that has no key for a column is not compared at all,
//! which keeps every entry.

use crate::mask::Mask;
use crate::stats::{BoundColumn, Nullable};
use crate::value::{MICROS_PER_DAY, PrimitiveType, Value};

/// Something that bounds can be compared as.
pub(super) trait Key: Ord {
    /// What `each` makes of all bounds in order, of meaningless ones too; `None` if they do not compare so.
    fn map<T, C: FromIterator<T>>(column: &BoundColumn, each: impl Fn(&Self) -> T) -> Option<C>;

    /// Where a bound is known and passes a test.
    fn hits(column: &BoundColumn, test: impl Fn(&Self) -> bool) -> Mask {
        let hits: Option<Mask> = Self::map(column, test);
        hits.map_or_else(|| Mask::of(false, column.len()), |hits| hits.and(column.known()))
    }
}

/// Integers, booleans, and floats by their total order.
impl Key for i64 {
    fn map<T, C: FromIterator<T>>(column: &BoundColumn, each: impl Fn(&Self) -> T) -> Option<C> {
        match column {
            BoundColumn::Boolean(bounds) => Some(all(bounds, |truth| each(&Self::from(truth)))),
            BoundColumn::I32(bounds) => Some(all(bounds, |number| each(&Self::from(number)))),
            BoundColumn::I64(bounds) => Some(all(bounds, |number| each(&number))),
            BoundColumn::F32(bounds) => Some(all(bounds, |number| each(&total_order(f64::from(number))))),
            BoundColumn::F64(bounds) => Some(all(bounds, |number| each(&total_order(number)))),
            BoundColumn::I128(_) | BoundColumn::Bytes(_) => None,
        }
    }
}

/// Decimals, unscaled; dates and timestamps together, in microseconds, which may be more than 64 bits hold.
impl Key for i128 {
    fn map<T, C: FromIterator<T>>(column: &BoundColumn, each: impl Fn(&Self) -> T) -> Option<C> {
        match column {
            BoundColumn::I128(bounds) => Some(all(bounds, |number| each(&number))),
            BoundColumn::I32(days) => Some(all(days, |days| each(&micros(days)))),
            BoundColumn::I64(bounds) => Some(all(bounds, |number| each(&Self::from(number)))),
            _ => None,
        }
    }
}

impl Key for [u8] {
    fn map<T, C: FromIterator<T>>(column: &BoundColumn, each: impl Fn(&Self) -> T) -> Option<C> {
        match column {
            BoundColumn::Bytes(bounds) => Some(bounds.slices().map(each).collect()),
            _ => None,
        }
    }
}

fn all<T, U: Copy + Default, C: FromIterator<T>>(bounds: &Nullable<U>, each: impl Fn(U) -> T) -> C {
    bounds.values().iter().map(|bound| each(*bound)).collect()
}

fn micros(days: i32) -> i128 {
    i128::from(days) * i128::from(MICROS_PER_DAY)
}

/// An integer that is ordered as floats are by [`f64::total_cmp`].
fn total_order(number: f64) -> i64 {
    let bits = number.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// A literal as a key, and the least and the greatest key that an engine may take for equal to it: for zero, both zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Literal<K> {
    pub(super) least: K,
    pub(super) exact: K,
    pub(super) greatest: K,
}

impl<K: Clone> Literal<K> {
    pub(super) fn of(key: K) -> Self {
        Self { least: key.clone(), exact: key.clone(), greatest: key }
    }
}

/// A literal for columns of a certain type.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnyLiteral<'v> {
    Narrow(Literal<i64>),
    Wide(Literal<i128>),
    Bytes(Literal<&'v [u8]>),
}

impl<'v> AnyLiteral<'v> {
    /// The literal as it compares with bounds of type `ty`, if it does. NaN never does.
    pub(super) fn of(literal: &'v Value, ty: PrimitiveType) -> Option<Self> {
        use PrimitiveType as T;
        let narrow = |key: i64| Some(Self::Narrow(Literal::of(key)));
        let wide = |key: i128| Some(Self::Wide(Literal::of(key)));
        let bytes = |key: &'v [u8]| Some(Self::Bytes(Literal::of(key)));
        match (literal, ty) {
            (Value::Boolean(truth), T::Boolean) => narrow(i64::from(*truth)),
            (Value::Int(number), T::Int | T::Long) | (Value::Date(number), T::Date) => {
                narrow(i64::from(*number))
            }
            (Value::Long(number), T::Int | T::Long)
            | (Value::Time(number), T::Time)
            | (Value::Timestamp(number), T::Timestamp)
            | (Value::TimestampTz(number), T::TimestampTz)
            | (Value::TimestampNs(number), T::TimestampNs)
            | (Value::TimestampTzNs(number), T::TimestampTzNs) => narrow(*number),
            (Value::Float(number), T::Float | T::Double) => float(f64::from(*number)),
            (Value::Double(number), T::Float | T::Double) => float(*number),
            (Value::Date(days), T::Timestamp) => wide(micros(*days)),
            (Value::Timestamp(number), T::Date) => wide(i128::from(*number)),
            (Value::Decimal { unscaled, scale }, T::Decimal { scale: of, .. }) if *scale == of => {
                wide(*unscaled)
            }
            (Value::String(text), T::String) => bytes(text.as_bytes()),
            (Value::Uuid(id), T::Uuid) => bytes(id),
            (Value::Fixed(value), T::Fixed(_)) | (Value::Binary(value), T::Binary) => bytes(value),
            _ => None,
        }
    }
}

fn float<'v>(number: f64) -> Option<AnyLiteral<'v>> {
    if number.is_nan() {
        return None;
    }
    let exact = total_order(number);
    let (least, greatest) =
        if number == 0.0 { (total_order(-0.0), total_order(0.0)) } else { (exact, exact) };
    Some(AnyLiteral::Narrow(Literal { least, exact, greatest }))
}
