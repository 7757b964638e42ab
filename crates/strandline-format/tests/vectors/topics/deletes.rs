//! Deletion vectors: bytes to positions, positions to bytes, and sets with each other.

use serde::Deserialize;
use serde_json::value::RawValue;
use strandline_format::{DeletionVector, Error};

use crate::octets::{octets, to_hex};
use crate::outcome::{Failure, Outcome, json, read};

/// First and last position, both deleted, with all between them.
pub(crate) type Range = (u64, u64);

/// Bytes to ranges of positions.
pub(crate) fn vector(input: &RawValue) -> Outcome {
    json(ranges(&DeletionVector::decode(&octets(input)?)?))
}

/// Ranges of positions to `{"hex"}`, the one way to write them.
pub(crate) fn bytes(input: &RawValue) -> Outcome {
    json(serde_json::json!({ "hex": to_hex(&of(&read::<Vec<Range>>(input)?)?.encode()?) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetsInput {
    act: String,
    one: Vec<Range>,
    other: Vec<Range>,
}

/// `{"act", "one", "other"}` to the ranges of what comes out, or to whether it is so.
pub(crate) fn sets(input: &RawValue) -> Outcome {
    let SetsInput { act, one, other } = read(input)?;
    let (one, other) = (of(&one)?, of(&other)?);
    match act.as_str() {
        "union" => json(ranges(&one.union(&other))),
        "intersection" => json(ranges(&one.intersection(&other))),
        "added since" => json(ranges(&one.added_since(&other))),
        "contains all" => json(one.contains_all(&other)),
        "intersects" => json(one.intersects(&other)),
        _ => Err(Failure::Input(format!("{act:?} is no act"))),
    }
}

pub(crate) fn of(ranges: &[Range]) -> Result<DeletionVector, Error> {
    DeletionVector::from_positions(ranges.iter().flat_map(|(first, last)| *first..=*last))
}

pub(crate) fn ranges(vector: &DeletionVector) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for position in vector.positions() {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == position => *last = position,
            _ => ranges.push((position, position)),
        }
    }
    ranges
}
