//! Values of columns: statistics' bounds, defaults, literals of the pruning filter. Typed and lossless.
//!
//! Invariants: values of different types are never ordered [VAL-6]; floats are ordered totally, -0.0 below +0.0, so that
//! equality, order and the wire form agree; widening is exact or refused [VAL-7]. How values are written is the
//! business of `wire`; arithmetic and SQL semantics are nobody's here.

mod primitive;
mod text;
mod wire;

use std::cmp::Ordering;
use std::fmt;

pub use primitive::{MAX_FIXED, MAX_PRECISION, PrimitiveType};
pub(crate) use text::{decimal_text, parse_decimal, parse_hex_into, push_hex};
pub(crate) use wire::{float_of_text, parse_uuid, write_value};

use crate::error::{Error, Result};

/// Microseconds in a day; times of day are below it [VAL-3].
pub const MICROS_PER_DAY: i64 = 86_400_000_000;

/// One value of a primitive type.
///
/// ```
/// use strandline_format::{PrimitiveType, Value};
/// let price = Value::Decimal { unscaled: -12345, scale: 2 };
/// assert_eq!(price.to_json()?, "\"-123.45\"");
/// let ty = PrimitiveType::Decimal { precision: 9, scale: 2 };
/// assert_eq!(Value::from_json(ty, "\"-123.45\"")?, price);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug)]
pub enum Value {
    /// A boolean.
    Boolean(bool),
    /// An int.
    Int(i32),
    /// A long.
    Long(i64),
    /// A float.
    Float(f32),
    /// A double.
    Double(f64),
    /// A decimal: `unscaled / 10^scale`.
    Decimal {
        /// All digits, as an integer.
        unscaled: i128,
        /// How many of them stand after the point.
        scale: u8,
    },
    /// Days since the epoch.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since the epoch, in no zone.
    Timestamp(i64),
    /// Microseconds since the epoch, UTC.
    TimestampTz(i64),
    /// Nanoseconds since the epoch, in no zone.
    TimestampNs(i64),
    /// Nanoseconds since the epoch, UTC.
    TimestampTzNs(i64),
    /// A string.
    String(Box<str>),
    /// A UUID.
    Uuid([u8; 16]),
    /// Bytes of a fixed length.
    Fixed(Box<[u8]>),
    /// Bytes.
    Binary(Box<[u8]>),
}

impl Value {
    /// Checks that this is a value of type `ty`: of its kind, and within its range [VAL-3].
    ///
    /// # Errors
    /// `Invalid`, naming the type.
    pub fn check(&self, ty: PrimitiveType) -> Result<()> {
        let fits = match (self, ty) {
            (Self::Decimal { unscaled, scale }, PrimitiveType::Decimal { precision, scale: of }) => {
                *scale == of && fits_precision(*unscaled, precision)
            }
            (Self::Fixed(bytes), PrimitiveType::Fixed(length)) => u32::try_from(bytes.len()) == Ok(length),
            (Self::Time(micros), PrimitiveType::Time) => (0..MICROS_PER_DAY).contains(micros),
            (Self::Boolean(_), PrimitiveType::Boolean)
            | (Self::Int(_), PrimitiveType::Int)
            | (Self::Long(_), PrimitiveType::Long)
            | (Self::Float(_), PrimitiveType::Float)
            | (Self::Double(_), PrimitiveType::Double)
            | (Self::Date(_), PrimitiveType::Date)
            | (Self::Timestamp(_), PrimitiveType::Timestamp)
            | (Self::TimestampTz(_), PrimitiveType::TimestampTz)
            | (Self::TimestampNs(_), PrimitiveType::TimestampNs)
            | (Self::TimestampTzNs(_), PrimitiveType::TimestampTzNs)
            | (Self::String(_), PrimitiveType::String)
            | (Self::Uuid(_), PrimitiveType::Uuid)
            | (Self::Binary(_), PrimitiveType::Binary) => true,
            _ => false,
        };
        if fits { Ok(()) } else { Err(Error::invalid(format!("{self} is not a value of type {ty}"))) }
    }

    /// The type that the value is of; for a decimal, the widest of its scale.
    #[must_use]
    pub fn natural_type(&self) -> PrimitiveType {
        match self {
            Self::Boolean(_) => PrimitiveType::Boolean,
            Self::Int(_) => PrimitiveType::Int,
            Self::Long(_) => PrimitiveType::Long,
            Self::Float(_) => PrimitiveType::Float,
            Self::Double(_) => PrimitiveType::Double,
            Self::Decimal { scale, .. } => PrimitiveType::Decimal { precision: MAX_PRECISION, scale: *scale },
            Self::Date(_) => PrimitiveType::Date,
            Self::Time(_) => PrimitiveType::Time,
            Self::Timestamp(_) => PrimitiveType::Timestamp,
            Self::TimestampTz(_) => PrimitiveType::TimestampTz,
            Self::TimestampNs(_) => PrimitiveType::TimestampNs,
            Self::TimestampTzNs(_) => PrimitiveType::TimestampTzNs,
            Self::String(_) => PrimitiveType::String,
            Self::Uuid(_) => PrimitiveType::Uuid,
            Self::Fixed(bytes) => PrimitiveType::Fixed(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
            Self::Binary(_) => PrimitiveType::Binary,
        }
    }

    /// Whether this is a NaN, which is ordered by engines only, never by statistics [VAL-5].
    #[must_use]
    pub fn is_nan(&self) -> bool {
        match self {
            Self::Float(number) => number.is_nan(),
            Self::Double(number) => number.is_nan(),
            _ => false,
        }
    }

    /// The order within a type [VAL-6]: numbers by size, -0.0 below +0.0, strings and bytes by unsigned bytes.
    /// `None` if the types differ, or the scales of two decimals.
    ///
    /// ```
    /// use std::cmp::Ordering;
    /// use strandline_format::Value;
    /// assert_eq!(Value::Double(-0.0).compare(&Value::Double(0.0)), Some(Ordering::Less));
    /// assert_eq!(Value::Int(1).compare(&Value::Long(1)), None);
    /// ```
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) | (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Double(a), Self::Double(b)) => a.total_cmp(b),
            (Self::Decimal { unscaled: a, scale: s }, Self::Decimal { unscaled: b, scale: t }) if s == t => {
                a.cmp(b)
            }
            (Self::Long(a), Self::Long(b))
            | (Self::Time(a), Self::Time(b))
            | (Self::Timestamp(a), Self::Timestamp(b))
            | (Self::TimestampTz(a), Self::TimestampTz(b))
            | (Self::TimestampNs(a), Self::TimestampNs(b))
            | (Self::TimestampTzNs(a), Self::TimestampTzNs(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Uuid(a), Self::Uuid(b)) => a.cmp(b),
            (Self::Fixed(a), Self::Fixed(b)) | (Self::Binary(a), Self::Binary(b)) => a.cmp(b),
            _ => return None,
        })
    }

    /// The same value in a type that its own promotes to [VAL-7]. `None` if there is no such promotion, or if the value
    /// has no exact image there: a date too far away for a timestamp.
    ///
    /// ```
    /// use strandline_format::{PrimitiveType, Value};
    /// assert_eq!(Value::Int(7).promote(PrimitiveType::Long), Some(Value::Long(7)));
    /// assert_eq!(Value::Date(i32::MAX).promote(PrimitiveType::Timestamp), None);
    /// ```
    #[must_use]
    pub fn promote(&self, to: PrimitiveType) -> Option<Self> {
        match (self, to) {
            (Self::Int(number), PrimitiveType::Long) => Some(Self::Long(i64::from(*number))),
            (Self::Float(number), PrimitiveType::Double) => Some(Self::Double(f64::from(*number))),
            (Self::Date(days), PrimitiveType::Timestamp) => {
                i64::from(*days).checked_mul(MICROS_PER_DAY).map(Self::Timestamp)
            }
            _ => self.check(to).is_ok().then(|| self.clone()),
        }
    }
}

/// Whether a decimal has at most `precision` digits.
pub(crate) fn fits_precision(unscaled: i128, precision: u8) -> bool {
    10_u128.checked_pow(u32::from(precision)).is_none_or(|limit| unscaled.unsigned_abs() < limit)
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Some(Ordering::Equal)
    }
}

impl Eq for Value {}

/// For messages: the wire form, and NaN, which has none.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_json() {
            Ok(text) => f.write_str(&text),
            Err(_) => f.write_str("NaN"),
        }
    }
}
