//! What a subtree's statistics are, given those of its entries [STAT-9].
//!
//! Invariant: merging is conservative and exact: a summary says of every file below it only what is true, and merging
//! summaries of parts gives the summary of the whole.

use super::columns::{FieldColumns, StatsColumns};
use super::{Bound, FieldStats, Stats};
use crate::value::Value;

/// Of how many fields, the lowest ids first, a summary keeps statistics [STAT-10].
pub const MAX_SUMMARY_FIELDS: usize = 64;

/// How long a string's or bytes' bound in a summary may be; a longer one is not kept, so that references stay small
/// whatever a writer put into the entries [STAT-10].
pub const MAX_SUMMARY_BOUND_BYTES: usize = 64;

impl StatsColumns {
    /// The statistics of all entries together; `rows` are the entries' numbers of rows.
    ///
    /// Counts add up, and are unknown if one is. A bound is unknown if one is, but for entries in which all is null or NaN.
    /// It is exact if an exact one wins.
    #[must_use]
    pub fn merged(&self, rows: &[u64]) -> Stats {
        let fields = self.fields().take(MAX_SUMMARY_FIELDS).map(|(id, field)| (id, field.merged(rows)));
        Stats(fields.filter(|(_, field)| !field.is_unknown()).collect())
    }
}

impl FieldColumns {
    fn merged(&self, rows: &[u64]) -> FieldStats {
        // Of a field of which some part knows nothing, the number of values is not known either.
        if (0..rows.len()).any(|index| self.row(index).is_unknown()) {
            return FieldStats::unknown(self.ty);
        }
        let mut entries = rows.iter().enumerate().map(|(index, rows)| (self.row(index), *rows));
        let Some((first, first_rows)) = entries.next() else {
            return FieldStats::unknown(self.ty);
        };
        let mut sum = Sum::of(first, first_rows);
        entries.for_each(|(field, rows)| sum.add(field, rows));
        sum.finish()
    }
}

/// A bound of the entries so far.
enum Side {
    /// Nothing but nulls and NaNs.
    Void,
    /// Some entry's bound is not known.
    Unknown,
    /// The outermost bound.
    Known(Bound),
}

impl Side {
    fn of(bound: Option<Bound>, void: bool) -> Self {
        match bound {
            Some(bound) if is_too_long(&bound.value) => Self::Unknown,
            Some(bound) => Self::Known(bound),
            None if void => Self::Void,
            None => Self::Unknown,
        }
    }

    /// `wins` says whether the first value is further out than the second.
    fn join(self, other: Self, wins: fn(&Value, &Value) -> bool) -> Self {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Void, side) | (side, Self::Void) => side,
            (Self::Known(a), Self::Known(b)) if a.value == b.value => {
                Self::Known(Bound { exact: a.exact || b.exact, ..a })
            }
            (Self::Known(a), Self::Known(b)) => Self::Known(if wins(&a.value, &b.value) { a } else { b }),
        }
    }

    fn known(self) -> Option<Bound> {
        match self {
            Self::Known(bound) => Some(bound),
            _ => None,
        }
    }
}

fn is_too_long(value: &Value) -> bool {
    let length = match value {
        Value::String(text) => text.len(),
        Value::Fixed(bytes) | Value::Binary(bytes) => bytes.len(),
        _ => 0,
    };
    length > MAX_SUMMARY_BOUND_BYTES
}

/// The statistics of the entries so far.
struct Sum {
    counts: FieldStats,
    rows: Option<u64>,
    values: Option<u64>,
    min: Side,
    max: Side,
}

impl Sum {
    fn of(mut field: FieldStats, rows: u64) -> Self {
        let void = field.is_void(rows);
        let (min, max) = (Side::of(field.min.take(), void), Side::of(field.max.take(), void));
        Self { values: Some(field.values.unwrap_or(rows)), counts: field, rows: Some(rows), min, max }
    }

    fn add(&mut self, field: FieldStats, rows: u64) {
        let other = Self::of(field, rows);
        self.counts.nulls = sum(self.counts.nulls, other.counts.nulls);
        self.counts.nans = sum(self.counts.nans, other.counts.nans);
        self.values = sum(self.values, other.values);
        self.rows = sum(self.rows, other.rows);
        let less = |a: &Value, b: &Value| a.compare(b).is_some_and(std::cmp::Ordering::is_lt);
        let greater = |a: &Value, b: &Value| a.compare(b).is_some_and(std::cmp::Ordering::is_gt);
        self.min = std::mem::replace(&mut self.min, Side::Void).join(other.min, less);
        self.max = std::mem::replace(&mut self.max, Side::Void).join(other.max, greater);
    }

    fn finish(self) -> FieldStats {
        let merged = FieldStats { values: None, min: self.min.known(), max: self.max.known(), ..self.counts };
        // That there are as many as rows goes without saying, unless nothing else is said.
        let implied = self.values == self.rows && !merged.is_unknown();
        FieldStats { values: self.values.filter(|_| !implied), ..merged }
    }
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.zip(b).and_then(|(a, b)| a.checked_add(b))
}
