//! Which rows of a batch pass a filter.
//!
//! Each test is one pass over the values of its column, a loop for each type; nulls are put on afterwards, and tests join by
//! Kleene's logic. Invariant: where this says true, `Filter::may_match` keeps the file [STAT-11].

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{and_kleene, not, or_kleene, prep_null_mask_filter};
use strandline_format::{Comparison, Filter, Test, Value};

use super::column::{self, Found};
use super::key::{AnyKey, Key};
use crate::{Error, ErrorKind, Result};

/// What a filter is for each row: true, false, or null where it is unknown. Columns are found by their field ids; they have
/// the types that tables give them, or one that widens into the literal's.
///
/// # Errors
/// `InvalidInput`: the batch lacks a column, or has it with a type that does not compare with the literal.
pub(crate) fn evaluate(filter: &Filter, batch: &RecordBatch) -> Result<BooleanArray> {
    let every = |truth| BooleanArray::new(constant(truth, batch.num_rows()), None);
    match filter {
        Filter::True => Ok(every(true)),
        Filter::False => Ok(every(false)),
        Filter::Not(inner) => not(&evaluate(inner, batch)?).map_err(failed),
        Filter::And(parts) => parts
            .iter()
            .try_fold(every(true), |rows, part| and_kleene(&rows, &evaluate(part, batch)?).map_err(failed)),
        Filter::Or(parts) => parts
            .iter()
            .try_fold(every(false), |rows, part| or_kleene(&rows, &evaluate(part, batch)?).map_err(failed)),
        Filter::Field(id, test) => test_column(&column::find(batch, *id)?, test)
            .map_err(|error| error.at(format!("the column with the field id {id}"))),
    }
}

/// Which rows pass: those for which the filter is true.
///
/// # Errors
/// Those of [`evaluate`].
pub(crate) fn passes(filter: &Filter, batch: &RecordBatch) -> Result<BooleanArray> {
    let rows = evaluate(filter, batch)?;
    Ok(if rows.null_count() == 0 { rows } else { prep_null_mask_filter(&rows) })
}

fn constant(truth: bool, rows: usize) -> BooleanBuffer {
    if truth { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) }
}

fn failed(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::InvalidInput, "rows cannot be evaluated").with_source(error)
}

fn test_column(column: &Found, test: &Test) -> Result<BooleanArray> {
    let rows = column.array.len();
    let valid = || column.nulls.as_ref().map_or_else(|| constant(true, rows), |nulls| nulls.inner().clone());
    let array = &*column.array;
    let truth = match test {
        Test::IsNull => return Ok(BooleanArray::new(!&valid(), None)),
        Test::IsNotNull => return Ok(BooleanArray::new(valid(), None)),
        // A list of nothing is decided for null as well.
        Test::In(literals) if literals.is_empty() => {
            return Ok(BooleanArray::new(constant(false, rows), None));
        }
        Test::NotIn(literals) if literals.is_empty() => {
            return Ok(BooleanArray::new(constant(true, rows), None));
        }
        Test::Compare(comparison, literal) => compare(array, *comparison, literal)?,
        Test::Between(low, high) => {
            let low = compare(array, Comparison::GreaterOrEqual, low)?;
            &low & &compare(array, Comparison::LessOrEqual, high)?
        }
        Test::In(literals) => one_of(array, literals)?,
        Test::NotIn(literals) => !&one_of(array, literals)?,
        Test::StartsWith(prefix) => starts_with(array, prefix)?,
        Test::NotStartsWith(prefix) => !&starts_with(array, prefix)?,
    };
    Ok(BooleanArray::new(truth, column.nulls.clone()))
}

fn compare(array: &dyn Array, comparison: Comparison, literal: &Value) -> Result<BooleanBuffer> {
    let hits = AnyKey::of(literal, array.data_type()).and_then(|key| match key {
        AnyKey::Narrow(key) => by_order(array, comparison, &key),
        AnyKey::Wide(key) => by_order(array, comparison, &key),
        AnyKey::Bytes(key) => by_order(array, comparison, key),
    });
    hits.ok_or_else(|| incomparable(array, literal))
}

fn by_order<K: Key + ?Sized>(
    array: &dyn Array,
    comparison: Comparison,
    literal: &K,
) -> Option<BooleanBuffer> {
    match comparison {
        Comparison::Equal => K::hits(array, |value| value == literal),
        Comparison::NotEqual => K::hits(array, |value| value != literal),
        Comparison::Less => K::hits(array, |value| value < literal),
        Comparison::LessOrEqual => K::hits(array, |value| value <= literal),
        Comparison::Greater => K::hits(array, |value| value > literal),
        Comparison::GreaterOrEqual => K::hits(array, |value| value >= literal),
    }
}

/// A set for each kind of key, so that the cost does not grow with literals times rows.
fn one_of(array: &dyn Array, literals: &[Value]) -> Result<BooleanBuffer> {
    let (mut narrow, mut wide, mut bytes) = (HashSet::new(), HashSet::new(), HashSet::new());
    for literal in literals {
        match AnyKey::of(literal, array.data_type()) {
            Some(AnyKey::Narrow(key)) => narrow.insert(key),
            Some(AnyKey::Wide(key)) => wide.insert(key),
            Some(AnyKey::Bytes(key)) => bytes.insert(key),
            None => return Err(incomparable(array, literal)),
        };
    }
    let found =
        [among::<i64, _>(array, &narrow), among::<i128, _>(array, &wide), among::<[u8], _>(array, &bytes)];
    let none = constant(false, array.len());
    Ok(found.iter().flatten().fold(none, |rows, found| &rows | found))
}

fn among<K: Key + Hash + ?Sized, L: Borrow<K> + Eq + Hash>(
    array: &dyn Array,
    set: &HashSet<L>,
) -> Option<BooleanBuffer> {
    if set.is_empty() { None } else { K::hits(array, |value| set.contains(value)) }
}

fn starts_with(array: &dyn Array, prefix: &Value) -> Result<BooleanBuffer> {
    let hits = match AnyKey::of(prefix, array.data_type()) {
        Some(AnyKey::Bytes(prefix)) => <[u8]>::hits(array, |value| value.starts_with(prefix)),
        _ => None,
    };
    hits.ok_or_else(|| incomparable(array, prefix))
}

fn incomparable(array: &dyn Array, literal: &Value) -> Error {
    let message = format!("{} does not compare with the literal {literal}", array.data_type());
    Error::new(ErrorKind::InvalidInput, message)
}
