//! How values stand in JSON [VAL-4]: numbers as numbers, infinities and all else as strings, given the type.
//!
//! Invariant: what is written reads back as the same value, bit for bit, and NaN is refused both ways [VAL-5].

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{PrimitiveType, Value, decimal_text, parse_decimal, parse_hex_into, push_hex};
use crate::error::{Error, Result};
use crate::hash::clip;

impl Value {
    /// The value's JSON text.
    ///
    /// # Errors
    /// `Invalid` for NaN, which has none.
    pub fn to_json(&self) -> Result<String> {
        let mut text = Vec::new();
        write_value(self, &mut serde_json::Serializer::new(&mut text))
            .map_err(|error| Error::invalid(error.to_string()))?;
        String::from_utf8(text).map_err(|error| Error::invalid(error.to_string()))
    }

    /// The value of type `ty` that a JSON text stands for.
    ///
    /// # Errors
    /// `Malformed` if it is not one.
    pub fn from_json(ty: PrimitiveType, text: &str) -> Result<Self> {
        let malformed = |error: serde_json::Error| Error::malformed(format!("a value of type {ty}: {error}"));
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = ValueSeed(ty).deserialize(&mut reader).map_err(malformed)?;
        reader.end().map_err(malformed)?;
        Ok(value)
    }
}

/// Writes one value.
pub(crate) fn write_value<S: Serializer>(
    value: &Value,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match value {
        Value::Boolean(truth) => serializer.serialize_bool(*truth),
        Value::Int(number) | Value::Date(number) => serializer.serialize_i32(*number),
        Value::Long(number)
        | Value::Time(number)
        | Value::Timestamp(number)
        | Value::TimestampTz(number)
        | Value::TimestampNs(number)
        | Value::TimestampTzNs(number) => serializer.serialize_i64(*number),
        Value::Float(number) if number.is_finite() => serializer.serialize_f32(*number),
        Value::Float(number) => write_special(f64::from(*number), serializer),
        Value::Double(number) if number.is_finite() => serializer.serialize_f64(*number),
        Value::Double(number) => write_special(*number, serializer),
        Value::Decimal { unscaled, scale } => serializer.serialize_str(&decimal_text(*unscaled, *scale)),
        Value::String(text) => serializer.serialize_str(text),
        Value::Uuid(bytes) => serializer.collect_str(&Uuid::from_bytes(*bytes).hyphenated()),
        Value::Fixed(bytes) | Value::Binary(bytes) => {
            let mut text = String::with_capacity(2 * bytes.len());
            push_hex(&mut text, bytes);
            serializer.serialize_str(&text)
        }
    }
}

fn write_special<S: Serializer>(number: f64, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    if number.is_nan() {
        return Err(S::Error::custom("NaN has no text"));
    }
    serializer.serialize_str(if number > 0.0 { "Infinity" } else { "-Infinity" })
}

/// Reads one value of this type.
#[derive(Clone, Copy)]
struct ValueSeed(PrimitiveType);

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        let value = match self.0 {
            PrimitiveType::Boolean => Value::Boolean(bool::deserialize(deserializer)?),
            PrimitiveType::Int => Value::Int(i32::deserialize(deserializer)?),
            PrimitiveType::Date => Value::Date(i32::deserialize(deserializer)?),
            PrimitiveType::Long => Value::Long(i64::deserialize(deserializer)?),
            PrimitiveType::Time => Value::Time(i64::deserialize(deserializer)?),
            PrimitiveType::Timestamp => Value::Timestamp(i64::deserialize(deserializer)?),
            PrimitiveType::TimestampTz => Value::TimestampTz(i64::deserialize(deserializer)?),
            PrimitiveType::TimestampNs => Value::TimestampNs(i64::deserialize(deserializer)?),
            PrimitiveType::TimestampTzNs => Value::TimestampTzNs(i64::deserialize(deserializer)?),
            PrimitiveType::Float => Value::Float(
                float_of_text(<&RawValue>::deserialize(deserializer)?.get()).map_err(D::Error::custom)?,
            ),
            PrimitiveType::Double => Value::Double(
                float_of_text(<&RawValue>::deserialize(deserializer)?.get()).map_err(D::Error::custom)?,
            ),
            PrimitiveType::Decimal { .. }
            | PrimitiveType::String
            | PrimitiveType::Uuid
            | PrimitiveType::Fixed(_)
            | PrimitiveType::Binary => deserializer.deserialize_str(TextVisitor(self.0))?,
        };
        value.check(self.0).map_err(D::Error::custom)?;
        Ok(value)
    }
}

struct TextVisitor(PrimitiveType);

impl Visitor<'_> for TextVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the text of a {}", self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Value, E> {
        value_of_text(self.0, text).ok_or_else(|| E::custom(format!("{:?} is not a {}", clip(text), self.0)))
    }
}

fn value_of_text(ty: PrimitiveType, text: &str) -> Option<Value> {
    match ty {
        PrimitiveType::String => Some(Value::String(text.into())),
        PrimitiveType::Decimal { scale, .. } => {
            Some(Value::Decimal { unscaled: parse_decimal(text, scale)?, scale })
        }
        PrimitiveType::Uuid => parse_uuid(text).map(Value::Uuid),
        PrimitiveType::Fixed(_) => parse_bytes(text).map(Value::Fixed),
        PrimitiveType::Binary => parse_bytes(text).map(Value::Binary),
        _ => None,
    }
}

fn parse_bytes(text: &str) -> Option<Box<[u8]>> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    parse_hex_into(&mut bytes, text)?;
    Some(bytes.into())
}

/// A UUID, hyphenated and in lower case only.
pub(crate) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let id = Uuid::try_parse(text).ok()?;
    let mut canonical = Uuid::encode_buffer();
    (id.hyphenated().encode_lower(&mut canonical) == text).then(|| id.into_bytes())
}

/// A JSON number, or one of the two infinities, rounded once to the type asked for.
///
/// A parser that goes through `f64` would round a `float` twice; so the number's own text is read here.
pub(crate) fn float_of_text<T: Floating>(text: &str) -> Result<T> {
    let number = match text {
        "\"Infinity\"" => return Ok(T::INFINITY),
        "\"-Infinity\"" => return Ok(T::NEG_INFINITY),
        _ => text
            .parse()
            .ok()
            .filter(|_| text.starts_with(|first: char| first == '-' || first.is_ascii_digit())),
    };
    let finite = number.filter(|number: &T| number.is_finite());
    finite.ok_or_else(|| Error::malformed(format!("{:?} is not a number of its type", clip(text))))
}

/// `f32` and `f64`.
pub(crate) trait Floating: std::str::FromStr + Copy {
    const INFINITY: Self;
    const NEG_INFINITY: Self;
    fn is_finite(&self) -> bool;
}

impl Floating for f32 {
    const INFINITY: Self = f32::INFINITY;
    const NEG_INFINITY: Self = f32::NEG_INFINITY;
    fn is_finite(&self) -> bool {
        f32::is_finite(*self)
    }
}

impl Floating for f64 {
    const INFINITY: Self = f64::INFINITY;
    const NEG_INFINITY: Self = f64::NEG_INFINITY;
    fn is_finite(&self) -> bool {
        f64::is_finite(*self)
    }
}
