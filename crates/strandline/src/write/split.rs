//! Splitting rows by the values of transforms: each group of a batch as a batch of its own.
//!
//! Invariants: rows of a group keep their order; groups come in the order of their first rows; a group is copied out,
//! so that it does not keep its batch alive. Rows whose values JSON cannot say (NaN) are a group without split values:
//! their files just say nothing of a split, as any file may [TBL-5].

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow::row::{RowConverter, SortField};
use strandline_format::{PrimitiveType, Scalar, Schema, Split, SplitId, SplitValues, Transform, Value};

use super::leaf::Leaf;
use super::options::invalid;
use super::plan::single_leaf;
use super::transform::transform;
use super::{Plan, refused};
use crate::error::Result;

/// What tells a group from all others, in the order of the transforms' values. All rows of a writer without a split
/// have the empty one.
pub(super) type Key = Arc<[u8]>;

/// Rows of one group.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) key: Key,
    pub(super) values: Option<SplitValues>,
    pub(super) batch: RecordBatch,
}

/// How rows are split.
pub(super) struct SplitPlan {
    id: SplitId,
    fields: Vec<(Transform, Option<SplitLeaf>)>,
}

/// The leaf that a transform is of, and the type of what it gives. `void` needs none.
#[derive(Clone, Copy)]
struct SplitLeaf {
    leaf: usize,
    result: PrimitiveType,
}

impl SplitPlan {
    pub(super) fn new(split: &Split, leaves: &[Leaf], schema: &Schema) -> Result<Self> {
        let fields = split.fields.iter().map(|field| {
            if field.transform == Transform::Void {
                return Ok((Transform::Void, None));
            }
            let leaf = single_leaf(field.field, leaves, schema)?;
            let ty = leaves[leaf].ty;
            let result = field.transform.result_type(ty).ok_or_else(|| {
                invalid(format!("the split field {} is {} of type {ty}", field.name, field.transform))
            })?;
            Ok((field.transform, Some(SplitLeaf { leaf, result })))
        });
        Ok(Self { id: split.id, fields: fields.collect::<Result<_>>()? })
    }
}

/// Splits a batch into its groups.
pub(super) fn partition(plan: &Plan, split: &SplitPlan, batch: &RecordBatch) -> Result<Vec<Part>> {
    let columns = split.fields.iter().map(|(how, of)| transformed(plan, *how, *of, batch));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let groups = groups(&columns, batch.num_rows())?;
    let whole = groups.len() == 1;
    let part = |(key, rows): (Key, Vec<u32>)| {
        let values = split.values_at(&columns, rows[0] as usize)?;
        let batch = if whole {
            batch.clone()
        } else {
            take_record_batch(batch, &UInt32Array::from(rows)).map_err(refused)?
        };
        Ok(Part { key, values, batch })
    };
    groups.into_iter().map(part).collect()
}

fn transformed(
    plan: &Plan,
    how: Transform,
    of: Option<SplitLeaf>,
    batch: &RecordBatch,
) -> Result<Option<ArrayRef>> {
    let Some(SplitLeaf { leaf, .. }) = of else { return Ok(None) };
    let leaf = &plan.columns[leaf].leaf;
    transform(how, &leaf.values(&leaf.narrow(batch.column(leaf.column))?)?)
}

/// The rows of each group, by what tells it apart.
fn groups(columns: &[Option<ArrayRef>], rows: usize) -> Result<Vec<(Key, Vec<u32>)>> {
    let columns: Vec<ArrayRef> = columns.iter().flatten().cloned().collect();
    let last =
        u32::try_from(rows).map_err(|_| invalid(format!("a batch of {rows} rows; give smaller ones")))?;
    if columns.is_empty() {
        return Ok(if rows == 0 { Vec::new() } else { vec![(Arc::from([]), (0..last).collect())] });
    }
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let converter = RowConverter::new(fields).map_err(refused)?;
    let keys = converter.convert_columns(&columns).map_err(refused)?;
    let mut groups: Vec<(Key, Vec<u32>)> = Vec::new();
    let mut found: HashMap<Key, usize> = HashMap::new();
    let mut before: Option<usize> = None;
    for (row, number) in (0..rows).zip(0..last) {
        let key = keys.row(row);
        // Neighbours are often of one group.
        let same = before.filter(|at| *groups[*at].0 == *key.data());
        let at = match same.or_else(|| found.get(key.data()).copied()) {
            Some(at) => at,
            None => {
                let key: Key = Arc::from(key.data());
                found.insert(Arc::clone(&key), groups.len());
                groups.push((key, Vec::new()));
                groups.len() - 1
            }
        };
        groups[at].1.push(number);
        before = Some(at);
    }
    Ok(groups)
}

impl SplitPlan {
    /// The values that a row's group has; nothing if one of them is NaN.
    fn values_at(&self, columns: &[Option<ArrayRef>], row: usize) -> Result<Option<SplitValues>> {
        let fields = self.fields.iter().zip(columns);
        let values = fields.map(|((_, leaf), column)| match (leaf, column) {
            (Some(leaf), Some(column)) if column.is_valid(row) => scalar(value_at(column, row, leaf.result)?),
            _ => Ok(Some(Scalar::Null)),
        });
        let values: Option<Vec<Scalar>> = values.collect::<Result<_>>()?;
        Ok(values.map(|values| SplitValues { split: self.id.0, values }))
    }
}

/// A value in the JSON form of its type (chapter 16); NaN has none.
pub(crate) fn scalar(value: Value) -> Result<Option<Scalar>> {
    Ok(Some(match value {
        Value::Boolean(truth) => Scalar::Bool(truth),
        Value::Int(number) | Value::Date(number) => Scalar::Int(i64::from(number)),
        Value::Long(number)
        | Value::Time(number)
        | Value::Timestamp(number)
        | Value::TimestampTz(number)
        | Value::TimestampNs(number)
        | Value::TimestampTzNs(number) => Scalar::Int(number),
        Value::Float(number) => return Ok(float(f64::from(number))),
        Value::Double(number) => return Ok(float(number)),
        Value::String(text) => Scalar::Text(text.into()),
        // All others are written as strings of plain characters.
        other => Scalar::Text(other.to_json()?.trim_matches('"').to_owned()),
    }))
}

fn float(number: f64) -> Option<Scalar> {
    if number.is_nan() {
        return None;
    }
    let infinity = if number > 0.0 { "Infinity" } else { "-Infinity" };
    Some(if number.is_finite() { Scalar::Float(number) } else { Scalar::Text(infinity.to_owned()) })
}

/// The value in a row that is not null, of a transform that gives values of this type.
fn value_at(array: &ArrayRef, row: usize, ty: PrimitiveType) -> Result<Value> {
    Ok(match array.data_type() {
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::Int32 => Value::Int(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::Long(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Date32 => Value::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Time64(_) => Value::Time(array.as_primitive::<Time64MicrosecondType>().value(row)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Value::TimestampNs(array.as_primitive::<TimestampNanosecondType>().value(row))
        }
        DataType::Timestamp(..) => {
            Value::Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Decimal128(_, scale) => Value::Decimal {
            unscaled: array.as_primitive::<Decimal128Type>().value(row),
            scale: u8::try_from(*scale).unwrap_or_default(),
        },
        DataType::Utf8 => Value::String(array.as_string::<i32>().value(row).into()),
        DataType::Binary => Value::Binary(array.as_binary::<i32>().value(row).into()),
        DataType::FixedSizeBinary(_) => {
            let bytes = array.as_fixed_size_binary().value(row);
            match bytes.try_into() {
                Ok(uuid) if ty == PrimitiveType::Uuid => Value::Uuid(uuid),
                _ => Value::Fixed(bytes.into()),
            }
        }
        other => return Err(invalid(format!("rows cannot be split by values of type {other}"))),
    })
}
