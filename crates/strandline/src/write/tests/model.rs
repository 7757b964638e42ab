//! Rows as plain values, found one by one the simple way: what vectorised code is held against.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use strandline_format::{
    Bound, DEFAULT_BOUND_BYTES, Field, FieldId, FieldStats, PrimitiveType, Schema, Type, Value,
};

/// All values of each leaf, nulls too.
pub(super) type Leaves = BTreeMap<FieldId, Vec<Option<Value>>>;

pub(super) fn leaves(schema: &Schema, batch: &RecordBatch) -> Leaves {
    let mut found: Leaves = schema.leaves().into_iter().map(|(id, _)| (id, Vec::new())).collect();
    for row in 0..batch.num_rows() {
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            visit(field, column, row, false, &mut found);
        }
    }
    found
}

fn visit(field: &Field, array: &ArrayRef, row: usize, null: bool, found: &mut Leaves) {
    let null = null || array.is_null(row);
    match &field.ty {
        Type::Primitive(ty) => {
            let value = (!null).then(|| value(array, row, *ty));
            found.get_mut(&field.id).unwrap().push(value);
        }
        Type::Struct(fields) => {
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                visit(field, column, row, null, found);
            }
        }
        Type::List(_) | Type::Map(_) if null => (),
        Type::List(element) => {
            let list = array.as_list::<i32>().value(row);
            (0..list.len()).for_each(|at| visit(&element[0], &list, at, false, found));
        }
        Type::Map(pair) => {
            let entries = array.as_map().value(row);
            for at in 0..entries.len() {
                visit(&pair[0], entries.column(0), at, false, found);
                visit(&pair[1], entries.column(1), at, false, found);
            }
        }
    }
}

pub(super) fn value(array: &ArrayRef, row: usize, ty: PrimitiveType) -> Value {
    let micros = || array.as_primitive::<TimestampMicrosecondType>().value(row);
    let nanos = || array.as_primitive::<TimestampNanosecondType>().value(row);
    match ty {
        PrimitiveType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        PrimitiveType::Int => Value::Int(array.as_primitive::<Int32Type>().value(row)),
        PrimitiveType::Long => Value::Long(array.as_primitive::<Int64Type>().value(row)),
        PrimitiveType::Float => Value::Float(array.as_primitive::<Float32Type>().value(row)),
        PrimitiveType::Double => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        PrimitiveType::Decimal { scale, .. } => {
            Value::Decimal { unscaled: array.as_primitive::<Decimal128Type>().value(row), scale }
        }
        PrimitiveType::Date => Value::Date(array.as_primitive::<Date32Type>().value(row)),
        PrimitiveType::Time => Value::Time(array.as_primitive::<Time64MicrosecondType>().value(row)),
        PrimitiveType::Timestamp => Value::Timestamp(micros()),
        PrimitiveType::TimestampTz => Value::TimestampTz(micros()),
        PrimitiveType::TimestampNs => Value::TimestampNs(nanos()),
        PrimitiveType::TimestampTzNs => Value::TimestampTzNs(nanos()),
        PrimitiveType::String => Value::String(array.as_string::<i32>().value(row).into()),
        PrimitiveType::Uuid => Value::Uuid(array.as_fixed_size_binary().value(row).try_into().unwrap()),
        PrimitiveType::Fixed(_) => Value::Fixed(array.as_fixed_size_binary().value(row).into()),
        PrimitiveType::Binary => Value::Binary(array.as_binary::<i32>().value(row).into()),
    }
}

/// What the statistics of these values are, by the words of the specification.
pub(super) fn stats(ty: PrimitiveType, repeated: bool, values: &[Option<Value>]) -> FieldStats {
    let there: Vec<&Value> = values.iter().flatten().collect();
    let mut sorted: Vec<&Value> = there.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(|a, b| a.compare(b).unwrap());
    // Bounds of fixed length that no summary would keep are left out.
    let kept = !matches!(ty, PrimitiveType::Fixed(length) if length > 64);
    let bound = |value: Option<&&Value>| value.filter(|_| kept).map(|value| (*value).clone());
    let nans = there.iter().filter(|value| value.is_nan()).count();
    FieldStats {
        ty,
        nulls: Some((values.len() - there.len()) as u64),
        nans: ty.is_floating().then_some(nans as u64),
        values: repeated.then_some(values.len() as u64),
        min: bound(sorted.first()).map(|value| Bound::truncated_min(value, DEFAULT_BOUND_BYTES)),
        max: bound(sorted.last()).and_then(|value| Bound::truncated_max(value, DEFAULT_BOUND_BYTES)),
    }
}
