//! Which rows are in given splits: by what files say of themselves, else by the rows.
//!
//! Invariant: a file that says nothing of the split, or was written for another one, is looked into: split values are hints, and
//! give the same rows whatever they say [TBL-5].

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use strandline_format::{
    DeletionVector, Filter, PrimitiveType, Scalar, Split, SplitField, SplitValues, Test, Transform, Value,
};

use crate::columns::value_at;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::find_column;
use crate::scan::Scan;
use crate::table::TableState;
use crate::transaction::touch::{Found, alone, row_ids_of};
use crate::write::{NewFile, scalar};

/// Of these files, the rows that fall into a split of one of the new files.
pub(super) async fn within(
    state: &TableState,
    split: &Split,
    files: &[NewFile],
    all: Vec<Found>,
) -> Result<Vec<Found>> {
    let wanted = wanted(split, files)?;
    let telling = !is_ambiguous(state, split);
    let mut going = Vec::new();
    for found in all {
        match &found.entry.split {
            Some(values) if telling && values.split == split.id.0 => {
                going.extend(wanted.contains_key(&text(&values.values)).then_some(found));
            }
            _ => going.extend(look_into(state, split, &wanted, found).await?),
        }
    }
    Ok(going)
}

/// Whether files may say the same split in two ways: a date that became a timestamp counted days, and counts smaller units
/// since. A double that was a float is told by fewer digits.
fn is_ambiguous(state: &TableState, split: &Split) -> bool {
    split.fields.iter().any(|field| {
        let source = state.schema.field(field.field).and_then(|field| field.ty.primitive());
        match source {
            Some(PrimitiveType::Timestamp | PrimitiveType::TimestampNs) => {
                matches!(field.transform, Transform::Identity | Transform::Bucket(_))
            }
            Some(PrimitiveType::Double) => field.transform == Transform::Identity,
            _ => false,
        }
    })
}

/// The splits of new files, by the text of their values.
fn wanted<'f>(split: &Split, files: &'f [NewFile]) -> Result<BTreeMap<String, &'f SplitValues>> {
    let values = |file: &'f NewFile| {
        let values = file.split.as_ref().filter(|values| values.split == split.id.0);
        values.map(|values| (text(&values.values), values)).ok_or_else(|| {
            let message =
                "a new row is in no split, because what it is split by is NaN: give a predicate instead";
            Error::new(ErrorKind::InvalidInput, message)
        })
    };
    files.iter().map(values).collect()
}

fn text(values: &[Scalar]) -> String {
    format!("{values:?}")
}

async fn look_into(
    state: &TableState,
    split: &Split,
    wanted: &BTreeMap<String, &SplitValues>,
    found: Found,
) -> Result<Option<Found>> {
    let fields = split.fields.iter().map(|field| field.field);
    let mut batches = Scan::of(alone(state, &found.entry)).fields(fields).row_ids(true).await?;
    let mut rows = DeletionVector::new();
    while let Some(batch) = batches.try_next().await? {
        for (row, position) in row_ids_of(&batch).enumerate() {
            if split_of(state, split, &batch, row)?.is_some_and(|values| wanted.contains_key(&text(&values)))
            {
                rows.insert(position)?;
            }
        }
    }
    let all = rows.cardinality() >= found.entry.live_rows();
    Ok((!rows.is_empty()).then(|| Found { rows: (!all).then_some(rows), ..found }))
}

/// The split values of one row; nothing if one of them is NaN.
fn split_of(
    state: &TableState,
    split: &Split,
    batch: &RecordBatch,
    row: usize,
) -> Result<Option<Vec<Scalar>>> {
    let value = |field: &SplitField| split_value(state, field, batch, row);
    split.fields.iter().map(value).collect()
}

fn split_value(
    state: &TableState,
    field: &SplitField,
    batch: &RecordBatch,
    row: usize,
) -> Result<Option<Scalar>> {
    let source = state.schema.field(field.field).and_then(|field| field.ty.primitive());
    let Some(source) = source.filter(|_| field.transform != Transform::Void) else {
        return Ok(Some(Scalar::Null));
    };
    let column = find_column(batch, field.field)?;
    if column.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
        return Ok(Some(Scalar::Null));
    }
    match value_at(&*column.array, row, source)? {
        Some(value) => match field.transform.apply(&value)? {
            Some(value) => scalar(value),
            None => Ok(Some(Scalar::Null)),
        },
        None => Ok(Some(Scalar::Null)),
    }
}

/// What rows are in these splits, as a filter that is true for all of them and perhaps for more.
pub(super) fn reach(
    split: &Split,
    files: &[NewFile],
    source: impl Fn(&SplitField) -> Option<PrimitiveType>,
) -> Filter {
    let of_file = |file: &NewFile| {
        let values = file.split.as_ref().map(|values| values.values.as_slice()).unwrap_or_default();
        let parts = split.fields.iter().zip(values).map(|(field, scalar)| test(field, scalar, source(field)));
        Filter::And(parts.collect())
    };
    Filter::Or(files.iter().map(of_file).collect())
}

/// That a field has a split value, where a filter can say so.
fn test(field: &SplitField, scalar: &Scalar, source: Option<PrimitiveType>) -> Filter {
    match (field.transform, scalar, source) {
        (Transform::Void, ..) | (_, _, None) => Filter::True,
        (_, Scalar::Null, _) => Filter::Field(field.field, Test::IsNull),
        (Transform::Identity, scalar, Some(source)) => match identity(scalar, source) {
            Some(value) => Filter::equal(field.field, value),
            None => Filter::True,
        },
        _ => Filter::True,
    }
}

/// A split value of `identity` as a value of its field, for the types by which tables are split.
fn identity(scalar: &Scalar, ty: PrimitiveType) -> Option<Value> {
    Some(match (scalar, ty) {
        (Scalar::Bool(truth), PrimitiveType::Boolean) => Value::Boolean(*truth),
        (Scalar::Int(number), PrimitiveType::Int) => Value::Int(i32::try_from(*number).ok()?),
        (Scalar::Int(number), PrimitiveType::Date) => Value::Date(i32::try_from(*number).ok()?),
        (Scalar::Int(number), PrimitiveType::Long) => Value::Long(*number),
        (Scalar::Int(number), PrimitiveType::Timestamp) => Value::Timestamp(*number),
        (Scalar::Int(number), PrimitiveType::TimestampTz) => Value::TimestampTz(*number),
        (Scalar::Text(text), PrimitiveType::String) => Value::String(text.as_str().into()),
        _ => return None,
    })
}
