//! Which stored columns hold the values of a primitive type, and how those become the table's.
//!
//! Invariant: a column is accepted only if each of its values has one exact image in the field's type: the same type in another
//! physical form, or one that widens to it [VAL-7]. A value that has no image after all (a date too far for a timestamp) is an
//! error when it is met, never null.

use arrow::array::ArrayRef;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::schema::types::ColumnDescriptor;
use strandline_format::{PrimitiveType, Value};

use super::narrow::{self, Texts};

/// Whether a stored column has one of the Parquet types that hold values of this type, or of one that widens to it [FILE-13].
/// `stored` is what the Parquet reader makes of it.
pub(super) fn fits(stored: &DataType, column: &ColumnDescriptor, wanted: PrimitiveType) -> bool {
    use PrimitiveType as P;
    let logical = column.logical_type_ref();
    let plain = logical.is_none() && column.converted_type() == ConvertedType::NONE;
    match (stored, wanted) {
        (DataType::Boolean, P::Boolean)
        | (DataType::Int32, P::Int | P::Long)
        | (DataType::Int64, P::Long)
        | (DataType::Float32, P::Float | P::Double)
        | (DataType::Float64, P::Double)
        | (DataType::Date32, P::Date | P::Timestamp) => true,
        (DataType::Time64(TimeUnit::Microsecond), P::Time) => {
            matches!(logical, Some(LogicalType::Time(time)) if !time.is_adjusted_to_u_t_c)
        }
        // Legacy timestamps of twelve bytes may lie beyond what 64 bits of nanoseconds hold.
        (DataType::Timestamp(..), _) if column.physical_type() != PhysicalType::INT64 => false,
        (DataType::Timestamp(unit, zone), P::Timestamp | P::TimestampTz) => {
            *unit == TimeUnit::Microsecond && zone.is_some() == (wanted == P::TimestampTz)
        }
        (DataType::Timestamp(unit, zone), P::TimestampNs | P::TimestampTzNs) => {
            *unit == TimeUnit::Nanosecond && zone.is_some() == (wanted == P::TimestampTzNs)
        }
        (
            DataType::Decimal128(digits, after) | DataType::Decimal256(digits, after),
            P::Decimal { precision, scale },
        ) => *digits <= precision && i16::from(*after) == i16::from(scale),
        (DataType::Utf8, P::String) => {
            matches!(logical, Some(LogicalType::String)) || column.converted_type() == ConvertedType::UTF8
        }
        (DataType::FixedSizeBinary(16), P::Uuid) => plain || matches!(logical, Some(LogicalType::Uuid)),
        (DataType::FixedSizeBinary(length), P::Fixed(wanted)) => {
            plain && u32::try_from(*length) == Ok(wanted)
        }
        (DataType::Binary, P::Binary) => plain,
        _ => false,
    }
}

/// The values of a column that [`fits`], as the table has them.
pub(super) fn widen(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let array = narrow::widened(array, Texts::Plain)?;
    if array.data_type() == to {
        return Ok(array);
    }
    cast_with_options(&array, to, &CastOptions { safe: false, ..CastOptions::default() })
}

/// A bound as statistics of row groups have it, in the type that the column was written with. `None` if it is none that can be
/// trusted, or if the bytes are not a value.
pub(super) fn bound(
    bytes: &[u8],
    stored: &DataType,
    physical: PhysicalType,
    wanted: PrimitiveType,
) -> Option<Value> {
    let int = || Some(i32::from_le_bytes(bytes.try_into().ok()?));
    let long = || Some(i64::from_le_bytes(bytes.try_into().ok()?));
    let value = match stored {
        DataType::Boolean => Value::Boolean(*bytes.first()? != 0),
        DataType::Int32 => Value::Int(int()?),
        DataType::Int64 => Value::Long(long()?),
        DataType::Float32 => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Float64 => Value::Double(f64::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Decimal128(_, scale) => {
            Value::Decimal { unscaled: unscaled(bytes, physical)?, scale: u8::try_from(*scale).ok()? }
        }
        DataType::Date32 => Value::Date(int()?),
        DataType::Time64(TimeUnit::Microsecond) => Value::Time(long()?),
        DataType::Timestamp(TimeUnit::Microsecond, None) => Value::Timestamp(long()?),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Value::TimestampTz(long()?),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => Value::TimestampNs(long()?),
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => Value::TimestampTzNs(long()?),
        DataType::Utf8 => Value::String(std::str::from_utf8(bytes).ok()?.into()),
        DataType::Binary => Value::Binary(bytes.into()),
        DataType::FixedSizeBinary(_) if wanted == PrimitiveType::Uuid => Value::Uuid(bytes.try_into().ok()?),
        DataType::FixedSizeBinary(_) => Value::Fixed(bytes.into()),
        _ => return None,
    };
    let ty = stored_type(stored, wanted)?;
    (value.check(ty).is_ok() && !value.is_nan()).then_some(value)
}

/// The type that a column was written with, if it [`fits`] and its bounds are of use.
pub(super) fn stored_type(stored: &DataType, wanted: PrimitiveType) -> Option<PrimitiveType> {
    Some(match stored {
        DataType::Int32 => PrimitiveType::Int,
        DataType::Date32 => PrimitiveType::Date,
        DataType::Float32 => PrimitiveType::Float,
        DataType::Decimal128(precision, scale) => {
            PrimitiveType::Decimal { precision: *precision, scale: u8::try_from(*scale).ok()? }
        }
        DataType::Decimal256(..) => return None,
        _ => wanted,
    })
}

/// The digits of a decimal: little-endian as an integer, big-endian two's complement as bytes.
fn unscaled(bytes: &[u8], physical: PhysicalType) -> Option<i128> {
    match physical {
        PhysicalType::INT32 => Some(i128::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        PhysicalType::INT64 => Some(i128::from(i64::from_le_bytes(bytes.try_into().ok()?))),
        PhysicalType::BYTE_ARRAY | PhysicalType::FIXED_LEN_BYTE_ARRAY => {
            let start = 16_usize.checked_sub(bytes.len())?;
            let sign = if *bytes.first()? >= 0x80 { 0xFF } else { 0 };
            let mut wide = [sign; 16];
            wide[start..].copy_from_slice(bytes);
            Some(i128::from_be_bytes(wide))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::arrow::parquet_to_arrow_schema;
    use parquet::schema::parser::parse_message_type;
    use parquet::schema::types::SchemaDescriptor;

    use super::*;

    /// The types that a column of this Parquet type is taken as.
    fn check(column: &str, expected: &[&str]) {
        const TYPES: [&str; 20] = [
            "boolean",
            "int",
            "long",
            "float",
            "double",
            "decimal(9,2)",
            "decimal(38,2)",
            "decimal(9,3)",
            "date",
            "time",
            "timestamp",
            "timestamptz",
            "timestamp_ns",
            "timestamptz_ns",
            "string",
            "uuid",
            "fixed(16)",
            "fixed(3)",
            "binary",
            "decimal(5,2)",
        ];
        let message = parse_message_type(&format!("message m {{ {column}; }}")).unwrap();
        let schema = SchemaDescriptor::new(Arc::new(message));
        let arrow = parquet_to_arrow_schema(&schema, None).unwrap();
        let taken = |ty: &&str| fits(arrow.field(0).data_type(), &schema.column(0), ty.parse().unwrap());
        assert_eq!(TYPES.into_iter().filter(taken).collect::<Vec<_>>(), expected, "{column}");
    }

    #[test]
    fn each_parquet_type_is_taken_as_what_it_holds() {
        check("optional boolean c", &["boolean"]);
        check("required int32 c", &["int", "long"]);
        check("optional int32 c (INTEGER(32,true))", &["int", "long"]);
        check("optional int64 c", &["long"]);
        check("optional int64 c (INT_64)", &["long"]);
        check("optional float c", &["float", "double"]);
        check("optional double c", &["double"]);
        check("optional int32 c (DATE)", &["date", "timestamp"]);
        check("optional int64 c (TIME(MICROS,false))", &["time"]);
        check("optional int64 c (TIMESTAMP(MICROS,false))", &["timestamp"]);
        check("optional int64 c (TIMESTAMP(MICROS,true))", &["timestamptz"]);
        check("optional int64 c (TIMESTAMP(NANOS,false))", &["timestamp_ns"]);
        check("optional int64 c (TIMESTAMP(NANOS,true))", &["timestamptz_ns"]);
        check("optional binary c (STRING)", &["string"]);
        check("optional binary c (UTF8)", &["string"]);
        check("optional binary c", &["binary"]);
        check("optional fixed_len_byte_array(16) c", &["uuid", "fixed(16)"]);
        check("optional fixed_len_byte_array(16) c (UUID)", &["uuid"]);
        check("optional fixed_len_byte_array(3) c", &["fixed(3)"]);
        for physical in ["int32", "int64", "binary", "fixed_len_byte_array(3)", "fixed_len_byte_array(20)"] {
            let decimal = format!("optional {physical} c (DECIMAL(5,2))");
            check(&decimal, &["decimal(9,2)", "decimal(38,2)", "decimal(5,2)"]);
        }
    }

    #[test]
    fn other_parquet_types_are_none_of_a_tables() {
        for column in [
            "optional int32 c (INTEGER(8,true))",
            "optional int32 c (INTEGER(32,false))",
            "optional int64 c (INTEGER(64,false))",
            "optional int32 c (TIME(MILLIS,false))",
            "optional int64 c (TIME(MICROS,true))",
            "optional int64 c (TIMESTAMP(MILLIS,true))",
            "optional int96 c",
            "optional binary c (JSON)",
            "optional binary c (ENUM)",
            "optional fixed_len_byte_array(2) c (FLOAT16)",
        ] {
            check(column, &[]);
        }
    }

    #[test]
    fn the_digits_of_a_decimal_have_a_sign() {
        let check =
            |bytes: &[u8], physical, expected| assert_eq!(unscaled(bytes, physical), expected, "{bytes:?}");
        check(&(-7_i32).to_le_bytes(), PhysicalType::INT32, Some(-7));
        check(&(-7_i64).to_le_bytes(), PhysicalType::INT64, Some(-7));
        check(&[0xFF, 0xF9], PhysicalType::FIXED_LEN_BYTE_ARRAY, Some(-7));
        check(&[0x00, 0xF9], PhysicalType::BYTE_ARRAY, Some(0xF9));
        check(&[], PhysicalType::BYTE_ARRAY, None);
        check(&[0; 17], PhysicalType::BYTE_ARRAY, None);
    }
}
