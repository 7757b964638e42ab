//! Types, values, bounds cut short, split transforms.

use serde::Deserialize;
use serde_json::value::RawValue;
use strandline_format::{Bound, Error, PrimitiveType, Transform, Value};

use crate::outcome::{Failure, Outcome, json, read};

/// A type's text to the same text.
pub(crate) fn primitive_type(input: &RawValue) -> Outcome {
    json(read::<String>(input)?.parse::<PrimitiveType>()?.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueInput {
    #[serde(rename = "type")]
    ty: String,
    value: Box<RawValue>,
    other: Option<Box<RawValue>>,
    to: Option<String>,
}

/// `{"type", "value"}` to the value as it is written; with `other`, to how the two are ordered; with `to`, to the value
/// widened to that type, `null` if it has no image there.
pub(crate) fn value(input: &RawValue) -> Outcome {
    let input: ValueInput = read(input)?;
    let ty: PrimitiveType = input.ty.parse()?;
    let value = Value::from_json(ty, input.value.get())?;
    if let Some(other) = input.other {
        let other = Value::from_json(ty, other.get())?;
        return json(value.compare(&other).map(|order| format!("{order:?}").to_lowercase()));
    }
    match input.to {
        None => Ok(value.to_json()?),
        Some(to) => {
            let to: PrimitiveType = to.parse()?;
            let widened = ty.promotes_to(to).then(|| value.promote(to)).flatten();
            widened.map_or_else(|| json(()), |value| Ok(value.to_json()?))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TruncationInput {
    #[serde(rename = "type")]
    ty: String,
    value: Box<RawValue>,
    bytes: usize,
}

/// `{"type", "value", "bytes"}` to `{"min", "max"}`, each `[bound, exact]`, or `null` if there is none.
pub(crate) fn truncation(input: &RawValue) -> Outcome {
    let TruncationInput { ty, value, bytes } = read(input)?;
    let value = Value::from_json(ty.parse()?, value.get())?;
    let min = bound(Some(&Bound::truncated_min(value.clone(), bytes)))?;
    let max = bound(Bound::truncated_max(value, bytes).as_ref())?;
    Ok(format!(r#"{{"min":{min},"max":{max}}}"#))
}

fn bound(bound: Option<&Bound>) -> Result<String, Error> {
    bound.map_or_else(
        || Ok("null".to_owned()),
        |bound| Ok(format!("[{},{}]", bound.value.to_json()?, bound.exact)),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransformInput {
    transform: String,
    #[serde(rename = "type")]
    ty: Option<String>,
    value: Option<Box<RawValue>>,
}

/// `{"transform"}` to its text; with `type`, to the type of its results, `null` if it takes no such values; with `value`
/// too, to what it gives.
pub(crate) fn transform(input: &RawValue) -> Outcome {
    let input: TransformInput = read(input)?;
    let transform: Transform = input.transform.parse()?;
    match (input.ty, input.value) {
        (None, None) => json(transform.to_string()),
        (Some(ty), None) => json(transform.result_type(ty.parse()?).map(|ty| ty.to_string())),
        (Some(ty), Some(value)) => {
            let result = transform.apply(&Value::from_json(ty.parse()?, value.get())?)?;
            result.map_or_else(|| json(()), |value| Ok(value.to_json()?))
        }
        (None, Some(_)) => Err(Failure::Input("a value without a type".to_owned())),
    }
}
