//! Single values in and out of canonical arrays.
//!
//! Invariant: a value that was read from an array and made into a constant is bit for bit the same. What does not belong here:
//! arrays of other than the canonical types (`conform` makes them canonical first).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray,
    PrimitiveArray, StringArray, new_null_array,
};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use strandline_format::{PrimitiveType, Type, Value};

use super::types::{arrow_type, primitive};
use crate::error::{Error, ErrorKind, Result};

/// The value in a row of a canonical array, or none for null.
///
/// ```
/// use strandline::arrow::array::Int64Array;
/// use strandline::columns::value_at;
/// use strandline::format::{PrimitiveType, Value};
///
/// let amounts = Int64Array::from(vec![Some(30), None]);
/// assert_eq!(value_at(&amounts, 0, PrimitiveType::Long)?, Some(Value::Long(30)));
/// assert_eq!(value_at(&amounts, 1, PrimitiveType::Long)?, None);
/// # Ok::<(), strandline::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` if the array is not the canonical one of the type, or has no such row.
pub fn value_at(array: &dyn Array, row: usize, ty: PrimitiveType) -> Result<Option<Value>> {
    if *array.data_type() != primitive(ty) || row >= array.len() {
        let message = format!("row {row} of {} rows of {} is no {ty}", array.len(), array.data_type());
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    if array.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match ty {
        PrimitiveType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        PrimitiveType::Int => Value::Int(native::<Int32Type>(array, row)),
        PrimitiveType::Long => Value::Long(native::<Int64Type>(array, row)),
        PrimitiveType::Float => Value::Float(native::<Float32Type>(array, row)),
        PrimitiveType::Double => Value::Double(native::<Float64Type>(array, row)),
        PrimitiveType::Decimal { scale, .. } => {
            Value::Decimal { unscaled: native::<Decimal128Type>(array, row), scale }
        }
        PrimitiveType::Date => Value::Date(native::<Date32Type>(array, row)),
        PrimitiveType::Time => Value::Time(native::<Time64MicrosecondType>(array, row)),
        PrimitiveType::Timestamp => Value::Timestamp(native::<TimestampMicrosecondType>(array, row)),
        PrimitiveType::TimestampTz => Value::TimestampTz(native::<TimestampMicrosecondType>(array, row)),
        PrimitiveType::TimestampNs => Value::TimestampNs(native::<TimestampNanosecondType>(array, row)),
        PrimitiveType::TimestampTzNs => Value::TimestampTzNs(native::<TimestampNanosecondType>(array, row)),
        PrimitiveType::String => Value::String(array.as_string::<i32>().value(row).into()),
        PrimitiveType::Uuid => Value::Uuid(uuid(array.as_fixed_size_binary().value(row))),
        PrimitiveType::Fixed(_) => Value::Fixed(array.as_fixed_size_binary().value(row).into()),
        PrimitiveType::Binary => Value::Binary(array.as_binary::<i32>().value(row).into()),
    }))
}

/// An array of one value, or of nulls, in the canonical type.
///
/// Takes memory for each row, texts and bytes too.
///
/// ```
/// use strandline::columns::constant;
/// use strandline::format::{PrimitiveType, Type, Value};
///
/// // What a column holds in files that were written before it was added.
/// let zero = constant(Some(&Value::Long(0)), &Type::Primitive(PrimitiveType::Long), 3)?;
/// assert_eq!((zero.len(), zero.null_count()), (3, 0));
/// # Ok::<(), strandline::Error>(())
/// ```
///
/// # Errors
/// `InvalidInput` if the value is not of the type, or if there are more than 2 GiB of text or bytes.
pub fn constant(value: Option<&Value>, field_type: &Type, rows: usize) -> Result<ArrayRef> {
    let Some(value) = value else {
        return Ok(new_null_array(&arrow_type(field_type), rows));
    };
    let Type::Primitive(ty) = field_type else {
        let message = format!("{value} is no {}", field_type.describe());
        return Err(Error::new(ErrorKind::InvalidInput, message));
    };
    value.check(*ty)?;
    Ok(match value {
        Value::Boolean(bit) => {
            let bits = if *bit { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) };
            Arc::new(BooleanArray::new(bits, None))
        }
        Value::Int(number) => repeat::<Int32Type>(*number, *ty, rows),
        Value::Long(number) => repeat::<Int64Type>(*number, *ty, rows),
        Value::Float(number) => repeat::<Float32Type>(*number, *ty, rows),
        Value::Double(number) => repeat::<Float64Type>(*number, *ty, rows),
        Value::Decimal { unscaled, .. } => repeat::<Decimal128Type>(*unscaled, *ty, rows),
        Value::Date(days) => repeat::<Date32Type>(*days, *ty, rows),
        Value::Time(micros) => repeat::<Time64MicrosecondType>(*micros, *ty, rows),
        Value::Timestamp(time) | Value::TimestampTz(time) => {
            repeat::<TimestampMicrosecondType>(*time, *ty, rows)
        }
        Value::TimestampNs(time) | Value::TimestampTzNs(time) => {
            repeat::<TimestampNanosecondType>(*time, *ty, rows)
        }
        Value::String(text) => {
            let (offsets, bytes) = repeated(text.as_bytes(), rows)?;
            Arc::new(StringArray::try_new(offsets, bytes.into(), None).map_err(refused)?)
        }
        Value::Binary(value) => {
            let (offsets, bytes) = repeated(value, rows)?;
            Arc::new(BinaryArray::try_new(offsets, bytes.into(), None).map_err(refused)?)
        }
        Value::Uuid(bytes) => fixed(bytes, rows)?,
        Value::Fixed(bytes) => fixed(bytes, rows)?,
    })
}

fn native<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> T::Native {
    array.as_primitive::<T>().value(row)
}

/// The 16 bytes of a UUID, as the type of the array says.
fn uuid(bytes: &[u8]) -> [u8; 16] {
    bytes.first_chunk().copied().unwrap_or_default()
}

fn repeat<T: ArrowPrimitiveType>(value: T::Native, ty: PrimitiveType, rows: usize) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_value(value, rows).with_data_type(primitive(ty)))
}

fn repeated(value: &[u8], rows: usize) -> Result<(OffsetBuffer<i32>, Vec<u8>)> {
    check_bytes(value.len(), rows)?;
    Ok((OffsetBuffer::from_repeated_length(value.len(), rows), value.repeat(rows)))
}

fn fixed(value: &[u8], rows: usize) -> Result<ArrayRef> {
    check_bytes(value.len(), rows)?;
    let size = i32::try_from(value.len()).unwrap_or(i32::MAX);
    let array = FixedSizeBinaryArray::try_new(size, value.repeat(rows).into(), None);
    Ok(Arc::new(array.map_err(refused)?))
}

/// An array's offsets are 32 bits long.
fn check_bytes(length: usize, rows: usize) -> Result<()> {
    if length.checked_mul(rows).is_some_and(|bytes| i32::try_from(bytes).is_ok()) {
        return Ok(());
    }
    let message =
        format!("{rows} rows of {length} bytes each are more than an array holds: take fewer rows at once");
    Err(Error::new(ErrorKind::InvalidInput, message))
}

fn refused(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::InvalidInput, error.to_string()).with_source(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strandline_format::{ColumnName, Field};
    use strandline_testkit::generate::typed::{typed_values, value};

    use super::*;

    proptest! {
        #[test]
        fn a_constant_is_its_value_in_every_row((ty, value) in typed_values(), rows in 0..20_usize) {
            let array = constant(Some(&value), &ty.into(), rows).unwrap();
            prop_assert_eq!(array.len(), rows);
            prop_assert_eq!(array.data_type(), &primitive(ty));
            for row in 0..rows {
                let read = value_at(&array, row, ty).unwrap().unwrap();
                // NaN is its own value here, whatever comparing says.
                prop_assert!(read == value || (read.is_nan() && value.is_nan()));
            }
        }

        #[test]
        fn nulls_are_none((ty, _) in typed_values()) {
            let array = constant(None, &ty.into(), 3).unwrap();
            prop_assert_eq!(array.data_type(), &primitive(ty));
            prop_assert_eq!(value_at(&array, 2, ty).unwrap(), None);
        }
    }

    #[test]
    fn nested_types_can_be_null_whatever_they_require_within() {
        let required = Field::required(ColumnName::new("a").unwrap(), PrimitiveType::Uuid);
        for ty in [
            Type::Struct(vec![required]),
            Type::list(PrimitiveType::Long, true).unwrap(),
            Type::map(PrimitiveType::String, PrimitiveType::Time, true).unwrap(),
        ] {
            let array = constant(None, &ty, 4).unwrap();
            assert_eq!((array.len(), array.null_count()), (4, 4));
            assert_eq!(array.data_type(), &arrow_type(&ty));
            array.to_data().validate_full().unwrap();
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let long = constant(Some(&Value::Long(1)), &PrimitiveType::Long.into(), 1).unwrap();
        assert!(value_at(&long, 0, PrimitiveType::Int).is_err());
        assert!(value_at(&long, 1, PrimitiveType::Long).is_err());
        assert!(constant(Some(&Value::Long(1)), &PrimitiveType::Int.into(), 1).is_err());
        let text = value(PrimitiveType::String, 1);
        assert!(constant(Some(&text), &Type::list(PrimitiveType::String, false).unwrap(), 1).is_err());
        let text = Value::String("0123456789".into());
        let error = constant(Some(&text), &PrimitiveType::String.into(), 300_000_000).unwrap_err();
        assert!(error.message().contains("take fewer rows"), "{error}");
    }
}
