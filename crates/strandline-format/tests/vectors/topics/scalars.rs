//! Hashes, ids, idempotency keys, times, features.

use serde::Deserialize;
use serde_json::value::RawValue;
use strandline_format::{Feature, Features, Hash, LakeId, Nonce, PinId, TableId, Timestamp, TxnId};

use crate::octets::octets;
use crate::outcome::{Failure, Outcome, json, ok, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdInput {
    #[serde(rename = "type")]
    sort: String,
    text: String,
}

/// `{"type", "text"}` to the same text.
pub(crate) fn id(input: &RawValue) -> Outcome {
    let IdInput { sort, text } = read(input)?;
    json(match sort.as_str() {
        "lake" => text.parse::<LakeId>()?.to_string(),
        "table" => text.parse::<TableId>()?.to_string(),
        "txn" => text.parse::<TxnId>()?.to_string(),
        "nonce" => text.parse::<Nonce>()?.to_string(),
        "pin" => text.parse::<PinId>()?.to_string(),
        "hash" => text.parse::<Hash>()?.to_string(),
        _ => return Err(Failure::Input(format!("{sort:?} is no sort of id"))),
    })
}

/// An idempotency key to its transaction id.
pub(crate) fn key(input: &RawValue) -> Outcome {
    json(TxnId::of_key(&read::<String>(input)?).to_string())
}

/// Bytes to their hash.
pub(crate) fn hash(input: &RawValue) -> Outcome {
    json(Hash::of(&octets(input)?).to_string())
}

/// The text of a time to the same text, by way of the number.
pub(crate) fn time(input: &RawValue) -> Outcome {
    let time: Timestamp = read::<String>(input)?.parse()?;
    json(Timestamp::from_micros(time.as_micros())?.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeaturesInput {
    read: Vec<String>,
    write: Vec<String>,
    known: Vec<String>,
    act: String,
}

/// `{"read", "write", "known", "act"}`: whether one that knows some features may act.
pub(crate) fn features(input: &RawValue) -> Outcome {
    let input: FeaturesInput = read(input)?;
    let list = |names: Vec<String>| names.into_iter().map(Feature::new).collect::<Result<Vec<_>, _>>();
    let features = Features::new(list(input.read)?, list(input.write)?)?;
    let known = list(input.known)?;
    match input.act.as_str() {
        "read" => features.check_read(&known)?,
        "write" => features.check_write(&known)?,
        act => return Err(Failure::Input(format!("{act:?} is no act"))),
    }
    ok()
}
