//! Literals: what columns are compared with, before a column has given them its type.
//!
//! Invariants: an exact number has at most 38 digits and as many after the point; dates and times are calendar ones. What
//! does not belong here: which literal goes with which column.

use std::cmp::Ordering;

use strandline_format::{MAX_PRECISION, PrimitiveType, Value};

use super::calendar;
use super::place::{Place, place};
use crate::{Error, ErrorKind, Result};

/// A value that columns are compared with. It takes on the type of its column when the predicate is bound.
///
/// Booleans, integers, floats, strings and bytes become literals by themselves; the rest is read from text.
///
/// ```
/// use strandline::filter::{Literal, col};
/// let this_year = col("day").ge(Literal::date("2026-01-01")?);
/// let dear = col("price").gt(Literal::decimal("99.95")?);
/// assert_eq!(this_year.and(dear).to_string(), "day >= DATE '2026-01-01' AND price > 99.95");
/// # Ok::<(), strandline::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Literal(pub(super) Kind);

/// What a literal was given as.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Boolean(bool),
    Exact(Exact),
    Float(f64),
    String(Box<str>),
    Bytes(Box<[u8]>),
    Uuid([u8; 16]),
    /// Days since the epoch.
    Date(i32),
    /// Nanoseconds since midnight.
    Time(i64),
    /// Nanoseconds since the epoch; in UTC, or in no zone.
    Timestamp {
        nanos: i128,
        utc: bool,
    },
}

/// A number that is what its digits say: `unscaled / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exact {
    pub(super) unscaled: i128,
    pub(super) scale: u8,
}

impl Literal {
    /// A decimal number, like `-12.50`.
    ///
    /// # Errors
    /// `InvalidInput` for any other text, and for more than 38 digits.
    pub fn decimal(text: &str) -> Result<Self> {
        Exact::parse(text).map(Kind::Exact).map(Self)
    }

    /// A date, like `2026-01-31`; years beyond four digits have a sign.
    ///
    /// # Errors
    /// `InvalidInput` for any other text.
    pub fn date(text: &str) -> Result<Self> {
        let date = calendar::parse_date(text).map(Kind::Date).map(Self);
        date.ok_or_else(|| refused(text, "a date, like 2026-01-31"))
    }

    /// A time of day, like `23:59:59.999999`; seconds and their fraction may be left out.
    ///
    /// # Errors
    /// `InvalidInput` for any other text.
    pub fn time(text: &str) -> Result<Self> {
        let time = calendar::parse_time(text).map(Kind::Time).map(Self);
        time.ok_or_else(|| refused(text, "a time of day, like 23:59:59.999999"))
    }

    /// A timestamp: in no zone, like `2026-01-31 23:59:59.999999`, or in UTC or at an offset, with `Z` or `+01:00` after it.
    ///
    /// # Errors
    /// `InvalidInput` for any other text.
    pub fn timestamp(text: &str) -> Result<Self> {
        let parsed = calendar::parse_timestamp(text);
        let (nanos, utc) =
            parsed.ok_or_else(|| refused(text, "a timestamp, like 2026-01-31 23:59:59.999999Z"))?;
        Ok(Self(Kind::Timestamp { nanos, utc }))
    }

    /// A UUID: hyphenated, in either case.
    ///
    /// # Errors
    /// `InvalidInput` for any other text.
    pub fn uuid(text: &str) -> Result<Self> {
        parse_uuid(text)
            .map(Kind::Uuid)
            .map(Self)
            .ok_or_else(|| refused(text, "a uuid, like 6ba7b810-9dad-11d1-80b4-00c04fd430c8"))
    }
}

impl Literal {
    /// The value of a type that this is; `None` if no value of the type is exactly this, but that a number for a float column is the nearest one.
    pub(crate) fn value(&self, ty: PrimitiveType) -> Option<Value> {
        match (place(self, ty)?, ty) {
            (Place::At(Value::Double(number)), PrimitiveType::Float) => {
                number.to_string().parse().ok().map(Value::Float)
            }
            (Place::At(value), ty) => value.check(ty).is_ok().then_some(value),
            _ => None,
        }
    }
}

fn refused(text: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{:?} is not {wanted}", clip(text)))
}

/// The beginning of a text, for messages.
pub(super) fn clip(text: &str) -> String {
    const SHOWN: usize = 64;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let lower = text.to_ascii_lowercase();
    let json = format!("\"{lower}\"");
    let plain = lower.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    match Value::from_json(strandline_format::PrimitiveType::Uuid, &json) {
        Ok(Value::Uuid(id)) if plain => Some(id),
        _ => None,
    }
}

impl Exact {
    /// A number of digits, with or without a point and a sign.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let shaped = whole.len() + fraction.len() > 0
            && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
        if !shaped {
            return Err(refused(text, "a decimal number, like -12.50"));
        }
        let too_long = || refused(text, "a number of at most 38 digits");
        let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= MAX_PRECISION);
        let joined = format!("{whole}{fraction}");
        let significant = joined.trim_start_matches('0');
        let unscaled = if significant.is_empty() { Some(0) } else { significant.parse::<i128>().ok() };
        let fits = significant.len() <= usize::from(MAX_PRECISION);
        let (scale, unscaled) = scale.zip(unscaled.filter(|_| fits)).ok_or_else(too_long)?;
        Ok(Self { unscaled: if negative { -unscaled } else { unscaled }, scale })
    }
}

/// As written; NaN is NaN here, and the zeros are two, so that a predicate equals what its text reads as.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.is_nan() && b.is_nan() || a.total_cmp(b) == Ordering::Equal,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Uuid(a), Self::Uuid(b)) => a == b,
            (Self::Date(a), Self::Date(b)) => a == b,
            (Self::Time(a), Self::Time(b)) => a == b,
            (Self::Timestamp { nanos: a, utc: x }, Self::Timestamp { nanos: b, utc: y }) => a == b && x == y,
            _ => false,
        }
    }
}

macro_rules! exact_from {
    ($($of:ty),+) => {$(
        impl From<$of> for Literal {
            fn from(number: $of) -> Self {
                Self(Kind::Exact(Exact { unscaled: i128::from(number), scale: 0 }))
            }
        }
    )+};
}
exact_from!(i8, i16, i32, i64, u8, u16, u32, u64);

impl From<bool> for Literal {
    fn from(truth: bool) -> Self {
        Self(Kind::Boolean(truth))
    }
}

/// A value of a column as it is stored.
impl From<Value> for Literal {
    fn from(value: Value) -> Self {
        let exact = |unscaled: i128, scale| Kind::Exact(Exact { unscaled, scale });
        let nanos = |micros: i64| i128::from(micros) * 1_000;
        Self(match value {
            Value::Boolean(truth) => Kind::Boolean(truth),
            Value::Int(number) => exact(number.into(), 0),
            Value::Long(number) => exact(number.into(), 0),
            Value::Float(number) => Kind::Float(number.into()),
            Value::Double(number) => Kind::Float(number),
            Value::Decimal { unscaled, scale } => exact(unscaled, scale),
            Value::Date(days) => Kind::Date(days),
            // A time of day has less than 2^37 microseconds.
            Value::Time(micros) => Kind::Time(micros.saturating_mul(1_000)),
            Value::Timestamp(micros) => Kind::Timestamp { nanos: nanos(micros), utc: false },
            Value::TimestampTz(micros) => Kind::Timestamp { nanos: nanos(micros), utc: true },
            Value::TimestampNs(time) => Kind::Timestamp { nanos: time.into(), utc: false },
            Value::TimestampTzNs(time) => Kind::Timestamp { nanos: time.into(), utc: true },
            Value::String(text) => Kind::String(text),
            Value::Uuid(id) => Kind::Uuid(id),
            Value::Fixed(bytes) | Value::Binary(bytes) => Kind::Bytes(bytes),
        })
    }
}

/// The double that it widens to.
impl From<f32> for Literal {
    fn from(number: f32) -> Self {
        Self(Kind::Float(f64::from(number)))
    }
}

impl From<f64> for Literal {
    fn from(number: f64) -> Self {
        Self(Kind::Float(number))
    }
}

impl From<&str> for Literal {
    fn from(text: &str) -> Self {
        Self(Kind::String(text.into()))
    }
}

impl From<String> for Literal {
    fn from(text: String) -> Self {
        Self(Kind::String(text.into()))
    }
}

impl From<&String> for Literal {
    fn from(text: &String) -> Self {
        Self(Kind::String(text.as_str().into()))
    }
}

impl From<&[u8]> for Literal {
    fn from(bytes: &[u8]) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }
}

impl<const N: usize> From<&[u8; N]> for Literal {
    fn from(bytes: &[u8; N]) -> Self {
        Self(Kind::Bytes(bytes.as_slice().into()))
    }
}

impl From<Vec<u8>> for Literal {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }
}
