//! What rows come to cell by cell, and what a base of several commits leaves open of rows and of whole tables.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use strandline_format::merge::{CellsMerge, Dispute, DoubtMerge};
use strandline_format::{CatalogEntry, FieldId};

use super::merges::{NamedInput, Words, catalog_entry};
use crate::outcome::{Failure, Outcome, json as outcome, read};

/// The cells of a row, `null` where it is not there.
type Row = Option<Vec<Json>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CellsInput {
    base: Row,
    ours: Row,
    theirs: Row,
    /// The places of the cells that are one.
    #[serde(default)]
    key: Vec<usize>,
    disputed: Option<DisputeInput>,
}

/// The places of cells, or the word `row`.
#[derive(Deserialize)]
#[serde(try_from = "Json")]
struct DisputeInput(Dispute);

impl TryFrom<Json> for DisputeInput {
    type Error = String;

    fn try_from(value: Json) -> Result<Self, String> {
        let place = |place: &Json| place.as_i64().and_then(|place| i32::try_from(place).ok()).map(FieldId);
        match &value {
            Json::String(word) if word == "row" => Ok(Self(Dispute::Row)),
            Json::Array(places) => {
                let places = places.iter().map(place).collect::<Option<_>>();
                Ok(Self(Dispute::Cells(places.ok_or("a place of a cell is a number")?)))
            }
            _ => Err(format!("{value} is no dispute")),
        }
    }
}

fn field(place: usize) -> FieldId {
    FieldId(i32::try_from(place).unwrap_or(i32::MAX))
}

/// `{"base", "ours", "theirs", "key", "disputed"}`, one row on all sides, to whose it is, or the cells of both.
pub(crate) fn cells(input: &RawValue) -> Outcome {
    let input: CellsInput = read(input)?;
    let dispute = input.disputed.map(|dispute| dispute.0);
    let (merge, cells) = merged([&input.base, &input.ours, &input.theirs], &input.key, dispute.as_ref())?;
    outcome(match merge {
        // Whose it is where both are one does not matter.
        CellsMerge::Alike | CellsMerge::Ours => json!("ours"),
        CellsMerge::Theirs => json!("theirs"),
        CellsMerge::Both => json!(cells),
        CellsMerge::Deleted => json!("deleted"),
        CellsMerge::Conflict => json!("conflict"),
    })
}

fn merged(
    sides: [&Row; 3],
    key: &[usize],
    dispute: Option<&Dispute>,
) -> Result<(CellsMerge, Vec<Json>), Failure> {
    let none = |merge| Ok((merge, Vec::new()));
    match sides.map(Option::as_ref) {
        [Some(base), Some(ours), Some(theirs)] => Ok(merged_cells([base, ours, theirs], key, dispute)),
        [Some(base), Some(row), None] | [Some(base), None, Some(row)] => {
            none(CellsMerge::deleted(row != base, dispute.is_some()))
        }
        [None, Some(ours), Some(theirs)] => none(CellsMerge::restored(ours != theirs)),
        [_, None, None] => none(CellsMerge::Deleted),
        _ => {
            Err(Failure::Input("a row that only one side has and the base has not is that side's".to_owned()))
        }
    }
}

fn merged_cells(
    [base, ours, theirs]: [&Vec<Json>; 3],
    key: &[usize],
    dispute: Option<&Dispute>,
) -> (CellsMerge, Vec<Json>) {
    let (mut merge, mut cells) = (CellsMerge::Alike, Vec::new());
    for at in 0..base.len() {
        let own = [at];
        let one_cell = if key.contains(&at) { key } else { &own[..] };
        let apart = |one: &Vec<Json>, other: &Vec<Json>| one_cell.iter().any(|at| one[*at] != other[*at]);
        let is_disputed = one_cell.iter().any(|at| dispute.is_some_and(|dispute| dispute.has(field(*at))));
        let cell =
            CellsMerge::cell([apart(base, ours), apart(base, theirs)], apart(ours, theirs), is_disputed);
        cells.push(if cell == CellsMerge::Theirs { theirs[at].clone() } else { ours[at].clone() });
        merge = merge.and(cell);
    }
    (merge, cells)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisputesInput {
    base: Row,
    /// As each of the last common commits has it.
    commits: Vec<Row>,
}

/// `{"base", "commits"}`, one row in each of several last common commits and in what these come from, to what is in dispute of it; `null` if nothing is.
pub(crate) fn dispute(input: &RawValue) -> Outcome {
    let DisputesInput { base, commits } = read(input)?;
    let mut found: Option<Dispute> = None;
    for (at, one) in commits.iter().enumerate() {
        for other in &commits[at + 1..] {
            if merged([&base, one, other], &[], None)?.0 != CellsMerge::Conflict {
                continue;
            }
            let cells = one.iter().flatten().zip(other.iter().flatten()).enumerate();
            let differing = cells.filter(|(_, (one, other))| one != other).map(|(at, _)| field(at));
            let dispute = Dispute::between([&base, one, other].map(Option::is_some), differing);
            found = Some(match found {
                Some(found) => found.and(dispute),
                None => dispute,
            });
        }
    }
    outcome(found.map(|dispute| match dispute {
        Dispute::Row => json!("row"),
        Dispute::Cells(fields) => json!(fields.iter().map(|field| field.0).collect::<Vec<_>>()),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DoubtInput {
    ours: Option<NamedInput>,
    theirs: Option<NamedInput>,
    /// The side that it was resolved for.
    resolved: Option<String>,
}

/// `{"ours", "theirs", "resolved"}`, what is in doubt on both sides, to what it comes to.
pub(crate) fn doubt(input: &RawValue) -> Outcome {
    let DoubtInput { ours, theirs, resolved } = read(input)?;
    let mut words: Words = BTreeMap::new();
    let mut entry = |named: Option<NamedInput>| -> Result<Option<CatalogEntry>, Failure> {
        named.map(|named| catalog_entry(named, &mut words)).transpose()
    };
    let (ours, theirs) = (entry(ours)?, entry(theirs)?);
    outcome(match DoubtMerge::of(ours.as_ref(), theirs.as_ref(), resolved) {
        DoubtMerge::Alike => "alike".to_owned(),
        DoubtMerge::Taken(side) => side,
        DoubtMerge::Conflict => "conflict".to_owned(),
    })
}
