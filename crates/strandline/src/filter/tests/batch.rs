//! Batches made of rows of values, with field ids, as tables give them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryArray, FixedSizeBinaryBuilder, Float32Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, RecordBatchOptions, StringArray, StringViewArray, StructArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Field, Schema};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use strandline_format::{FieldId, PrimitiveType, Value};

/// One column of values; `None` is null.
pub(super) type Values = Vec<Option<Value>>;

/// The array of a column, as a table has it, or with views where there are such.
pub(super) fn array(ty: PrimitiveType, values: &[Option<Value>], views: bool) -> ArrayRef {
    macro_rules! collect {
        ($array:ty, $($kind:ident)|+) => {
            Arc::new(values.iter().map(|value| match value {
                $(Some(Value::$kind(inner)) => Some(inner.clone()),)+
                _ => None,
            }).collect::<$array>())
        };
    }
    let texts = || {
        values.iter().map(|value| match value {
            Some(Value::String(text)) => Some(text.to_string()),
            _ => None,
        })
    };
    let bytes = || {
        values.iter().map(|value| match value {
            Some(Value::Binary(bytes)) => Some(bytes.to_vec()),
            _ => None,
        })
    };
    match ty {
        PrimitiveType::Boolean => collect!(BooleanArray, Boolean),
        PrimitiveType::Int => collect!(Int32Array, Int),
        PrimitiveType::Long => collect!(Int64Array, Long),
        PrimitiveType::Float => collect!(Float32Array, Float),
        PrimitiveType::Double => collect!(Float64Array, Double),
        PrimitiveType::Date => collect!(Date32Array, Date),
        PrimitiveType::Time => collect!(Time64MicrosecondArray, Time),
        PrimitiveType::Timestamp => collect!(TimestampMicrosecondArray, Timestamp),
        PrimitiveType::TimestampNs => collect!(TimestampNanosecondArray, TimestampNs),
        PrimitiveType::TimestampTz => zoned_micros(values),
        PrimitiveType::TimestampTzNs => zoned_nanos(values),
        PrimitiveType::Decimal { precision, scale } => decimals(values, precision, scale),
        PrimitiveType::String if views => Arc::new(texts().collect::<StringViewArray>()),
        PrimitiveType::String => Arc::new(texts().collect::<StringArray>()),
        PrimitiveType::Binary if views => Arc::new(bytes().collect::<BinaryViewArray>()),
        PrimitiveType::Binary => Arc::new(bytes().collect::<BinaryArray>()),
        PrimitiveType::Uuid => Arc::new(fixed(values, 16)),
        PrimitiveType::Fixed(length) => Arc::new(fixed(values, i32::try_from(length).unwrap())),
    }
}

fn zoned_micros(values: &[Option<Value>]) -> ArrayRef {
    let micros = values.iter().map(|value| match value {
        Some(Value::TimestampTz(micros)) => Some(*micros),
        _ => None,
    });
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn zoned_nanos(values: &[Option<Value>]) -> ArrayRef {
    let nanos = values.iter().map(|value| match value {
        Some(Value::TimestampTzNs(nanos)) => Some(*nanos),
        _ => None,
    });
    Arc::new(nanos.collect::<TimestampNanosecondArray>().with_timezone("UTC"))
}

fn decimals(values: &[Option<Value>], precision: u8, scale: u8) -> ArrayRef {
    let unscaled = values.iter().map(|value| match value {
        Some(Value::Decimal { unscaled, .. }) => Some(*unscaled),
        _ => None,
    });
    let array: Decimal128Array = unscaled.collect();
    Arc::new(array.with_precision_and_scale(precision, i8::try_from(scale).unwrap()).unwrap())
}

fn fixed(values: &[Option<Value>], length: i32) -> FixedSizeBinaryArray {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(values.len(), length);
    for value in values {
        match value {
            Some(Value::Uuid(id)) => builder.append_value(id).unwrap(),
            Some(Value::Fixed(bytes)) => builder.append_value(bytes).unwrap(),
            _ => builder.append_null(),
        }
    }
    builder.finish()
}

fn field(name: &str, id: FieldId, array: &ArrayRef) -> Field {
    let metadata = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
    Field::new(name, array.data_type().clone(), true).with_metadata(metadata)
}

/// A batch of columns by name and id.
pub(super) fn batch(columns: &[(&str, FieldId, ArrayRef)], rows: usize) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(name, id, array)| field(name, *id, array)).collect();
    let arrays = columns.iter().map(|(_, _, array)| Arc::clone(array)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).unwrap()
}

/// A struct of one field, null where `nulls` say so, whatever the field has there.
pub(super) fn structs(name: &str, id: FieldId, inner: &ArrayRef, valid: Vec<bool>) -> ArrayRef {
    let fields = vec![field(name, id, inner)];
    Arc::new(StructArray::new(fields.into(), vec![Arc::clone(inner)], Some(NullBuffer::from(valid))))
}
