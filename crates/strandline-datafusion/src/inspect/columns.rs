//! Columns of listings, made of items.
//!
//! Invariant: the columns of no items are of the same types as those of some, so that a listing's schema is that of an empty one.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use strandline::Result;
use strandline::format::Timestamp;

use super::defect;

/// A column: its name, its values, and whether any may be missing.
pub(super) type Column = (&'static str, ArrayRef, bool);

/// A batch of columns.
pub(super) fn batch(columns: Vec<Column>) -> Result<RecordBatch> {
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| defect(&error))
}

/// Texts, one for each item.
pub(super) fn texts<T>(items: &[T], name: &'static str, text: impl Fn(&T) -> String) -> Column {
    (name, Arc::new(StringArray::from_iter_values(items.iter().map(text))), false)
}

/// Texts that may be missing.
pub(super) fn maybe_texts<T>(items: &[T], name: &'static str, text: impl Fn(&T) -> Option<String>) -> Column {
    (name, Arc::new(items.iter().map(text).collect::<StringArray>()), true)
}

/// Numbers, one for each item.
pub(super) fn numbers<T>(items: &[T], name: &'static str, number: impl Fn(&T) -> u64) -> Column {
    (name, Arc::new(UInt64Array::from_iter_values(items.iter().map(number))), false)
}

/// Numbers that may be missing.
pub(super) fn maybe_numbers<T>(
    items: &[T],
    name: &'static str,
    number: impl Fn(&T) -> Option<u64>,
) -> Column {
    (name, Arc::new(items.iter().map(number).collect::<UInt64Array>()), true)
}

/// Ids of fields.
pub(super) fn ids<T>(items: &[T], name: &'static str, id: impl Fn(&T) -> i32) -> Column {
    (name, Arc::new(Int32Array::from_iter_values(items.iter().map(id))), false)
}

/// Truths that may be missing.
pub(super) fn maybe_truths<T>(items: &[T], name: &'static str, truth: impl Fn(&T) -> Option<bool>) -> Column {
    (name, Arc::new(items.iter().map(truth).collect::<BooleanArray>()), true)
}

/// Instants, one for each item.
pub(super) fn times<T>(items: &[T], name: &'static str, time: impl Fn(&T) -> Timestamp) -> Column {
    let micros = items.iter().map(|item| time(item).as_micros());
    (name, Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC")), false)
}
