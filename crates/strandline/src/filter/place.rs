//! Where a literal stands among the values of a column's type.
//!
//! Invariant: what a column's value compares like with the place, it compares like with the literal. An exact number against
//! a float column is the nearest value of its type, as in SQL; everything else is compared exactly.

use strandline_format::{MAX_PRECISION, PrimitiveType, Value};

use super::calendar::NANOS_PER_DAY;
use super::literal::{Exact, Kind, Literal};

const NANOS_PER_MICRO: i64 = 1_000;

/// A place among all values of one type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// At this value.
    At(Value),
    /// Above this value, and below the next one.
    JustAbove(Value),
    BelowAll,
    AboveAll,
}

/// The place of a literal among the values of a type; `None` if they do not compare.
pub(super) fn place(literal: &Literal, ty: PrimitiveType) -> Option<Place> {
    use PrimitiveType as T;
    let at = |value| Some(Place::At(value));
    match (&literal.0, ty) {
        (Kind::Boolean(truth), T::Boolean) => at(Value::Boolean(*truth)),
        (Kind::Exact(number), T::Float) => at(Value::Float(number.to_string().parse().ok()?)),
        (Kind::Exact(number), T::Double) => at(Value::Double(number.to_string().parse().ok()?)),
        (Kind::Exact(number), T::Int | T::Long | T::Decimal { .. }) => Some(place_exact(*number, ty)),
        (Kind::Float(number), T::Double) => at(Value::Double(*number)),
        // The format compares floats and doubles by size, so that none is rounded here.
        (Kind::Float(number), T::Float) => at(Value::Double(*number)),
        (Kind::Float(number), T::Int | T::Long | T::Decimal { .. }) => Some(place_float(*number, ty)),
        (Kind::String(text), T::String) => at(Value::String(text.clone())),
        (Kind::String(text), _) => place(&typed(text, ty)?, ty),
        (Kind::Bytes(bytes), T::Binary) => at(Value::Binary(bytes.clone())),
        (Kind::Bytes(bytes), T::Fixed(length)) if u32::try_from(bytes.len()) == Ok(length) => {
            at(Value::Fixed(bytes.clone()))
        }
        (Kind::Uuid(id), T::Uuid) => at(Value::Uuid(*id)),
        (Kind::Time(nanos), T::Time) => Some(place_in(i128::from(*nanos), NANOS_PER_MICRO, ty)),
        (Kind::Date(days), T::Date) => at(Value::Date(*days)),
        (Kind::Date(days), T::Timestamp | T::TimestampNs) => {
            place_instant(i128::from(*days) * i128::from(NANOS_PER_DAY), ty)
        }
        (Kind::Timestamp { nanos, utc: false }, T::Date | T::Timestamp | T::TimestampNs)
        | (Kind::Timestamp { nanos, utc: true }, T::TimestampTz | T::TimestampTzNs) => {
            place_instant(*nanos, ty)
        }
        _ => None,
    }
}

/// What a string says as a literal of a column's type.
fn typed(text: &str, ty: PrimitiveType) -> Option<Literal> {
    use PrimitiveType as T;
    match ty {
        T::Date => Literal::date(text).ok(),
        T::Time => Literal::time(text).ok(),
        T::Timestamp | T::TimestampNs => Literal::timestamp(text).or_else(|_| Literal::date(text)).ok(),
        T::TimestampTz | T::TimestampTzNs => Literal::timestamp(text).ok(),
        T::Uuid => Literal::uuid(text).ok(),
        _ => None,
    }
}

/// How a literal for a type is written, for messages.
pub(super) fn wanted(ty: PrimitiveType) -> String {
    use PrimitiveType as T;
    match ty {
        T::Boolean => "TRUE or FALSE".to_owned(),
        T::Int | T::Long | T::Float | T::Double | T::Decimal { .. } => "a number".to_owned(),
        T::Date => "a date, like DATE '2026-01-31'".to_owned(),
        T::Time => "a time of day, like TIME '23:59:59'".to_owned(),
        T::Timestamp | T::TimestampNs => {
            "a timestamp in no zone, like TIMESTAMP '2026-01-31 23:59:59'".to_owned()
        }
        T::TimestampTz | T::TimestampTzNs => {
            "a timestamp in UTC or at an offset, like TIMESTAMP '2026-01-31 23:59:59Z'".to_owned()
        }
        T::String => "a string".to_owned(),
        T::Uuid => "a uuid, like '6ba7b810-9dad-11d1-80b4-00c04fd430c8'".to_owned(),
        T::Fixed(length) => format!("{length} bytes, like X'00ff…'"),
        T::Binary => "bytes, like X'00ff'".to_owned(),
    }
}

fn place_exact(number: Exact, ty: PrimitiveType) -> Place {
    let scale = match ty {
        PrimitiveType::Decimal { scale, .. } => scale,
        _ => 0,
    };
    let beyond = if number.unscaled < 0 { Place::BelowAll } else { Place::AboveAll };
    if let Some(up) = scale.checked_sub(number.scale) {
        let unscaled = power(up).and_then(|power| number.unscaled.checked_mul(power));
        return unscaled.map_or(beyond, |unscaled| place_number(unscaled, true, ty));
    }
    // A divisor of up to 10^38 fits, since no number has more digits after the point.
    let Some(divisor) = power(number.scale - scale) else { return beyond };
    let exact = number.unscaled.rem_euclid(divisor) == 0;
    place_number(number.unscaled.div_euclid(divisor), exact, ty)
}

fn power(exponent: u8) -> Option<i128> {
    10_i128.checked_pow(u32::from(exponent))
}

/// A float against whole numbers and decimals is what it is printed as: `0.1` equals 0.1, a whole number is all its digits.
fn place_float(number: f64, ty: PrimitiveType) -> Place {
    if number.is_nan() || number >= 1e38 {
        return Place::AboveAll;
    }
    if number <= -1e38 {
        return Place::BelowAll;
    }
    let text = if number.fract() == 0.0 { format!("{number:.0}") } else { shortened(&number.to_string()) };
    // Unreachable by its bounds; above everything is an answer that keeps pruning sound as well.
    Exact::parse(&text).map_or(Place::AboveAll, |exact| place_exact(exact, ty))
}

/// A number's digits up to the 38th after the point, and one more that says whether there were others.
fn shortened(text: &str) -> String {
    let point = text.find('.').unwrap_or(text.len());
    let longest = point + 1 + usize::from(MAX_PRECISION);
    text[..text.len().min(longest)].to_owned()
}

fn place_instant(nanos: i128, ty: PrimitiveType) -> Option<Place> {
    let unit = match ty {
        PrimitiveType::Date => NANOS_PER_DAY,
        PrimitiveType::Timestamp | PrimitiveType::TimestampTz => NANOS_PER_MICRO,
        PrimitiveType::TimestampNs | PrimitiveType::TimestampTzNs => 1,
        _ => return None,
    };
    Some(place_in(nanos, unit, ty))
}

/// A time, in nanoseconds, among the values of a type with a coarser unit.
fn place_in(nanos: i128, unit: i64, ty: PrimitiveType) -> Place {
    let unit = i128::from(unit);
    place_number(nanos.div_euclid(unit), nanos.rem_euclid(unit) == 0, ty)
}

/// The place of a number, or of something between it and the next.
fn place_number(number: i128, exact: bool, ty: PrimitiveType) -> Place {
    match number_of(number, ty) {
        Some(value) if exact => Place::At(value),
        Some(value) => Place::JustAbove(value),
        // Between the last value below all and the first.
        None if number < 0 => Place::BelowAll,
        None => Place::AboveAll,
    }
}

fn number_of(number: i128, ty: PrimitiveType) -> Option<Value> {
    let int = || i32::try_from(number).ok();
    let long = || i64::try_from(number).ok();
    let value = match ty {
        PrimitiveType::Int => Value::Int(int()?),
        PrimitiveType::Date => Value::Date(int()?),
        PrimitiveType::Long => Value::Long(long()?),
        PrimitiveType::Time => Value::Time(long()?),
        PrimitiveType::Timestamp => Value::Timestamp(long()?),
        PrimitiveType::TimestampTz => Value::TimestampTz(long()?),
        PrimitiveType::TimestampNs => Value::TimestampNs(long()?),
        PrimitiveType::TimestampTzNs => Value::TimestampTzNs(long()?),
        PrimitiveType::Decimal { scale, .. } => Value::Decimal { unscaled: number, scale },
        _ => return None,
    };
    value.check(ty).ok().map(|()| value)
}

/// The least value of a type that a literal can miss.
pub(super) fn least(ty: PrimitiveType) -> Option<Value> {
    let number = match ty {
        PrimitiveType::Int | PrimitiveType::Date => i128::from(i32::MIN),
        PrimitiveType::Time => 0,
        PrimitiveType::Decimal { precision, .. } => 1 - power(precision)?,
        _ => i128::from(i64::MIN),
    };
    number_of(number, ty)
}
