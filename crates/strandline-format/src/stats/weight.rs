//! What statistics weigh: the bytes that one entry's statistics take in a node's columnar JSON.
//!
//! The tree decides with it when to flush and where to split, so it must be cheap and near, not exact: columns that are
//! left out cannot be known from one row.

use super::{Bound, FieldStats, Stats};
use crate::value::Value;

/// `null` and its comma.
const NULL: usize = 5;
/// `false` and its comma.
const FLAG: usize = 6;

impl Stats {
    /// About how many bytes these statistics add to a node.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.0.values().map(FieldStats::weight).sum()
    }
}

impl FieldStats {
    fn weight(&self) -> usize {
        let nulls = self.nulls.map_or(NULL, count_weight);
        let nans = self.nans.map_or(0, count_weight);
        let values = self.values.map_or(0, count_weight);
        nulls + nans + values + bound_weight(self.min.as_ref()) + bound_weight(self.max.as_ref())
    }
}

fn bound_weight(bound: Option<&Bound>) -> usize {
    bound.map_or(NULL, |bound| value_weight(&bound.value) + if bound.exact { 0 } else { FLAG })
}

fn count_weight(count: u64) -> usize {
    digits(u128::from(count)) + 1
}

fn value_weight(value: &Value) -> usize {
    let signed = |number: i64| usize::from(number < 0) + digits(u128::from(number.unsigned_abs()));
    let length = match value {
        Value::Boolean(_) => 5,
        Value::Int(number) | Value::Date(number) => signed(i64::from(*number)),
        Value::Long(number)
        | Value::Time(number)
        | Value::Timestamp(number)
        | Value::TimestampTz(number)
        | Value::TimestampNs(number)
        | Value::TimestampTzNs(number) => signed(*number),
        Value::Float(_) | Value::Double(_) => value.to_json().map_or(0, |text| text.len()),
        Value::Decimal { unscaled, scale } => {
            let digits = digits(unscaled.unsigned_abs()).max(usize::from(*scale) + 1);
            digits + usize::from(*unscaled < 0) + "\".\"".len()
        }
        Value::String(text) => text.bytes().map(escaped).sum::<usize>() + 2,
        Value::Uuid(_) => 38,
        Value::Fixed(bytes) | Value::Binary(bytes) => 2 * bytes.len() + 2,
    };
    length + 1
}

fn escaped(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..32 => 6,
        _ => 1,
    }
}

fn digits(number: u128) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}
