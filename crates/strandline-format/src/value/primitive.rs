//! The primitive types of columns, their text, and which of them widen into which.
//!
//! The types are Iceberg's; wider Arrow types are mapped or refused by the SDK. Nested types are the schema's business.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::clip;

/// The most digits that a decimal may have.
pub const MAX_PRECISION: u8 = 38;

/// The longest `fixed(N)`: what Parquet can say of a fixed-length column.
pub const MAX_FIXED: u32 = i32::MAX as u32;

/// The type of a leaf column [VAL-1].
///
/// ```
/// use strandline_format::PrimitiveType;
/// let ty: PrimitiveType = "decimal(9,2)".parse()?;
/// assert_eq!(ty, PrimitiveType::Decimal { precision: 9, scale: 2 });
/// assert_eq!(ty.to_string(), "decimal(9,2)");
/// assert!("decimal(9, 2)".parse::<PrimitiveType>().is_err());
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrimitiveType {
    /// True or false.
    Boolean,
    /// 32-bit signed integers.
    Int,
    /// 64-bit signed integers.
    Long,
    /// 32-bit IEEE 754 numbers.
    Float,
    /// 64-bit IEEE 754 numbers.
    Double,
    /// Exact decimal numbers of at most `precision` digits, `scale` of them after the point.
    Decimal {
        /// All digits, 1 to 38.
        precision: u8,
        /// The digits after the point, at most `precision`.
        scale: u8,
    },
    /// Days since 1970-01-01.
    Date,
    /// Microseconds since midnight.
    Time,
    /// Microseconds since 1970-01-01T00:00:00, in no zone.
    Timestamp,
    /// Microseconds since 1970-01-01T00:00:00Z.
    TimestampTz,
    /// Nanoseconds since 1970-01-01T00:00:00, in no zone.
    TimestampNs,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    TimestampTzNs,
    /// UTF-8 text.
    String,
    /// 128-bit UUIDs.
    Uuid,
    /// Byte strings of this one length.
    Fixed(u32),
    /// Byte strings of any length.
    Binary,
}

impl PrimitiveType {
    /// Checks the numbers of `decimal(P,S)` and `fixed(N)` [VAL-2].
    ///
    /// # Errors
    /// `Invalid`, with the range that is allowed.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Decimal { precision, scale }
                if !(1..=MAX_PRECISION).contains(&precision) || scale > precision =>
            {
                Err(Error::invalid(format!(
                    "{self}: a decimal has 1 to {MAX_PRECISION} digits, and no more than that after the point"
                )))
            }
            Self::Fixed(length) if !(1..=MAX_FIXED).contains(&length) => {
                Err(Error::invalid(format!("{self}: a fixed length is 1 to {MAX_FIXED} bytes")))
            }
            _ => Ok(()),
        }
    }

    /// Whether a column of this type may become one of type `to` without rewriting data [VAL-7]. A type is also its own.
    ///
    /// ```
    /// use strandline_format::PrimitiveType::{Date, Int, Long, Timestamp, TimestampTz};
    /// assert!(Int.promotes_to(Long) && !Long.promotes_to(Int));
    /// assert!(Date.promotes_to(Timestamp) && !Date.promotes_to(TimestampTz));
    /// ```
    #[must_use]
    pub fn promotes_to(self, to: Self) -> bool {
        match (self, to) {
            (Self::Int, Self::Long) | (Self::Float, Self::Double) | (Self::Date, Self::Timestamp) => true,
            (
                Self::Decimal { precision, scale },
                Self::Decimal { precision: to_precision, scale: to_scale },
            ) => to_precision >= precision && to_scale == scale,
            _ => self == to,
        }
    }

    /// The type that both promote to, if one of the two does.
    #[must_use]
    pub fn common_with(self, other: Self) -> Option<Self> {
        if self.promotes_to(other) {
            return Some(other);
        }
        other.promotes_to(self).then_some(self)
    }

    /// Whether values of this type can be NaN.
    #[must_use]
    pub fn is_floating(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Decimal { .. } => "decimal",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::TimestampNs => "timestamp_ns",
            Self::TimestampTzNs => "timestamptz_ns",
            Self::String => "string",
            Self::Uuid => "uuid",
            Self::Fixed(_) => "fixed",
            Self::Binary => "binary",
        }
    }
}

impl fmt::Display for PrimitiveType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Decimal { precision, scale } => write!(f, "({precision},{scale})"),
            Self::Fixed(length) => write!(f, "({length})"),
            _ => Ok(()),
        }
    }
}

/// The types without numbers: what their text can name.
const PLAIN: [PrimitiveType; 14] = [
    PrimitiveType::Boolean,
    PrimitiveType::Int,
    PrimitiveType::Long,
    PrimitiveType::Float,
    PrimitiveType::Double,
    PrimitiveType::Date,
    PrimitiveType::Time,
    PrimitiveType::Timestamp,
    PrimitiveType::TimestampTz,
    PrimitiveType::TimestampNs,
    PrimitiveType::TimestampTzNs,
    PrimitiveType::String,
    PrimitiveType::Uuid,
    PrimitiveType::Binary,
];

impl FromStr for PrimitiveType {
    type Err = Error;

    /// Takes the one canonical text only; a word that names no type may be that of a later version [VER-8].
    fn from_str(text: &str) -> Result<Self> {
        let word = text.split('(').next().unwrap_or_default();
        let known = word == "decimal" || word == "fixed" || PLAIN.iter().any(|ty| ty.word() == word);
        if !known {
            return Err(Error::unsupported(format!("the type {:?} is not known here", clip(text))));
        }
        let error = || Error::malformed(format!("{:?} is not a type", clip(text)));
        let ty = match text.strip_suffix(')') {
            Some(opened) => parse_numbered(opened).ok_or_else(error)?,
            None => PLAIN.into_iter().find(|ty| ty.word() == text).ok_or_else(error)?,
        };
        ty.check().map_err(Error::stored)?;
        if ty.to_string() == text { Ok(ty) } else { Err(error()) }
    }
}

/// `decimal(P,S` or `fixed(N`.
fn parse_numbered(opened: &str) -> Option<PrimitiveType> {
    let (word, numbers) = opened.split_once('(')?;
    match word {
        "fixed" => Some(PrimitiveType::Fixed(numbers.parse().ok()?)),
        "decimal" => {
            let (precision, scale) = numbers.split_once(',')?;
            Some(PrimitiveType::Decimal { precision: precision.parse().ok()?, scale: scale.parse().ok()? })
        }
        _ => None,
    }
}
