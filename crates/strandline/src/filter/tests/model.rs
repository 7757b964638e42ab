//! What a predicate is of one row, straight from its definition: literals as they were given, values one by one.

use std::cmp::Ordering;

use strandline_format::{Comparison, Value};

use crate::filter::literal::{Exact, Kind, Literal};
use crate::filter::predicate::{Column, Node, Test};

/// True, false or unknown.
pub(super) type Truth = Option<bool>;

pub(super) fn holds(node: &Node, row: &dyn Fn(&Column) -> Option<Value>) -> Truth {
    match node {
        Node::Constant(truth) => Some(*truth),
        Node::Not(inner) => holds(inner, row).map(|truth| !truth),
        Node::And(parts) => join(parts.iter().map(|part| holds(part, row)), false),
        Node::Or(parts) => join(parts.iter().map(|part| holds(part, row)), true),
        Node::Test(column, test) => tests(test, row(column).as_ref()),
    }
}

/// `decisive` if one of them is; unknown if one of them is; the other truth else.
fn join(parts: impl Iterator<Item = Truth>, decisive: bool) -> Truth {
    let parts: Vec<Truth> = parts.collect();
    if parts.contains(&Some(decisive)) {
        return Some(decisive);
    }
    if parts.contains(&None) { None } else { Some(!decisive) }
}

fn tests(test: &Test, value: Option<&Value>) -> Truth {
    match test {
        Test::IsNull => return Some(value.is_none()),
        Test::IsNotNull => return Some(value.is_some()),
        _ => {}
    }
    let value = value?;
    let equals = |literal: &Literal| compare(value, literal) == Ordering::Equal;
    Some(match test {
        Test::IsNull | Test::IsNotNull => unreachable!(),
        Test::IsTrue => matches!(value, Value::Boolean(true)),
        Test::Compare(comparison, literal) => ordered(*comparison, compare(value, literal)),
        Test::In(literals) => literals.iter().any(equals),
        Test::NotIn(literals) => !literals.iter().any(equals),
        Test::Between(low, high) => compare(value, low).is_ge() && compare(value, high).is_le(),
        Test::StartsWith(prefix) => match (value, &prefix.0) {
            (Value::String(text), Kind::String(prefix)) => text.starts_with(&**prefix),
            (Value::Binary(bytes) | Value::Fixed(bytes), Kind::Bytes(prefix)) => bytes.starts_with(prefix),
            _ => unreachable!(),
        },
    })
}

fn ordered(comparison: Comparison, order: Ordering) -> bool {
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

fn compare(value: &Value, literal: &Literal) -> Ordering {
    match (value, &literal.0) {
        (Value::Boolean(a), Kind::Boolean(b)) => a.cmp(b),
        (Value::Float(a), Kind::Exact(b)) => {
            floats(f64::from(*a), f64::from(b.to_string().parse::<f32>().unwrap()))
        }
        (Value::Double(a), Kind::Exact(b)) => floats(*a, b.to_string().parse().unwrap()),
        (Value::Float(a), Kind::Float(b)) => floats(f64::from(*a), *b),
        (Value::Double(a), Kind::Float(b)) => floats(*a, *b),
        (Value::String(a), Kind::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Uuid(a), Kind::Uuid(b)) => a.cmp(b),
        (Value::Fixed(a) | Value::Binary(a), Kind::Bytes(b)) => a.cmp(b),
        (value, Kind::Exact(b)) => exacts(exact(value), *b),
        (value, Kind::Float(b)) => exact_and_float(exact(value), *b),
        (Value::Time(a), Kind::Time(b)) => (i128::from(*a) * 1000).cmp(&i128::from(*b)),
        (value, Kind::Date(b)) => nanos(value).cmp(&(i128::from(*b) * 86_400_000_000_000)),
        (value, Kind::Timestamp { nanos: b, .. }) => nanos(value).cmp(b),
        (value, literal) => unreachable!("{value} and {literal:?}"),
    }
}

/// NaN is the greatest and one, and so are the zeros.
fn floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn exact(value: &Value) -> Exact {
    let (unscaled, scale) = match value {
        Value::Int(number) => (i128::from(*number), 0),
        Value::Long(number) => (i128::from(*number), 0),
        Value::Decimal { unscaled, scale } => (*unscaled, *scale),
        other => unreachable!("{other}"),
    };
    Exact { unscaled, scale }
}

/// By the whole part, then by the digits after the point.
fn exacts(a: Exact, b: Exact) -> Ordering {
    let parts = |number: Exact| {
        let one = 10_i128.pow(u32::from(number.scale));
        let digits = number.unscaled.rem_euclid(one) * 10_i128.pow(38 - u32::from(number.scale));
        (number.unscaled.div_euclid(one), digits)
    };
    parts(a).cmp(&parts(b))
}

/// A float is what it is printed as.
fn exact_and_float(a: Exact, b: f64) -> Ordering {
    match Exact::parse(&b.to_string()) {
        Ok(b) => exacts(a, b),
        Err(_) if b < 0.0 => Ordering::Greater,
        Err(_) => Ordering::Less,
    }
}

fn nanos(value: &Value) -> i128 {
    match value {
        Value::Date(days) => i128::from(*days) * 86_400_000_000_000,
        Value::Timestamp(micros) | Value::TimestampTz(micros) => i128::from(*micros) * 1000,
        Value::TimestampNs(nanos) | Value::TimestampTzNs(nanos) => i128::from(*nanos),
        other => unreachable!("{other}"),
    }
}
