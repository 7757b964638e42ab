//! Which commits are picks, and what a pick records of its numbers.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use strandline_format::merge::{Picking, PutBack, TableEnds};
use strandline_format::{Commit, FileId, PickedNumbers, Piece, Pieces, Renumbering, RowIds};

use crate::outcome::{Failure, Outcome, json as outcome, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PickInput {
    commit: Box<RawValue>,
}

/// The object of a commit to the commit that it is a pick of, and the tables that it wrote without saying which of their rows are which.
pub(crate) fn pick(input: &RawValue) -> Outcome {
    let PickInput { commit } = read(input)?;
    let commit = Commit::parse(commit.get().as_bytes())?;
    let untold: Vec<_> = commit.picked_untold().collect();
    let names = commit.changes.iter().filter(|change| untold.contains(&change.table));
    let names: Vec<&str> = names.map(|change| change.name.as_str()).collect();
    outcome(json!({ "of": commit.picked_from().map(|hash| hash.to_string()), "untold": names }))
}

/// `[first, count, by]`.
type Runs = Vec<(u64, u64, i64)>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NumbersOf {
    files: Runs,
    rows: Runs,
    same: Runs,
}

impl NumbersOf {
    fn read(self) -> Result<PickedNumbers, Failure> {
        Ok(PickedNumbers {
            files: pieces(&self.files)?,
            rows: pieces(&self.rows)?,
            same: pieces(&self.same)?,
        })
    }
}

fn pieces(runs: &Runs) -> Result<Pieces, Failure> {
    let mut pairs = std::collections::BTreeMap::new();
    for (first, count, by) in runs {
        for id in *first..first + count {
            let to = id.checked_add_signed(*by);
            pairs.insert(id, to.ok_or_else(|| Failure::Input(format!("{id} cannot be greater by {by}")))?);
        }
    }
    Ok(Pieces::of_pairs(&pairs)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NumbersInput {
    /// The next file id and row id before the commit, and after it.
    before: (u64, u64),
    after: (u64, u64),
    /// What translations tell of ids of the commit on the branch.
    known: NumbersOf,
    /// What the commit lists and the one before it does not: the file, how its rows have ids, and the least and the greatest that one may have.
    #[serde(default)]
    lists: Vec<(u64, String, u64, u64)>,
    /// The next ids of the branch, which it gives to what it does not know.
    next: (u64, u64),
    /// What the commit has recorded, if it is a pick itself.
    recorded: Option<NumbersOf>,
}

/// What was picked of a table and what is known of its ids to what the pick records.
pub(crate) fn numbers(input: &RawValue) -> Outcome {
    let input: NumbersInput = read(input)?;
    let ends = |(file, row)| TableEnds { file, row };
    let (first, end, known) = (ends(input.before), ends(input.after), input.known.read()?);
    let mut back = PutBack::default();
    for (file, row_ids, least, greatest) in input.lists {
        let row_ids = match row_ids.as_str() {
            "derived" => RowIds::Derived,
            "stored" => RowIds::Stored,
            _ => return Err(Failure::Input(format!("rows have no ids that are {row_ids:?}"))),
        };
        back.note((FileId(file), row_ids, Some((least, greatest))), first, &known);
    }
    let numbers = Renumbering {
        files: known.files.complete(end.file, input.next.0)?.0,
        rows: known.rows.complete(end.row, input.next.1)?.0,
        same: known.rows.complete(end.row, input.next.1)?.0.pieces(end.row).reversed()?.then(&known.same)?,
    };
    let before = input.recorded.map(NumbersOf::read).transpose()?;
    let picked = Picking { first, end, back, before }.record(&numbers)?;
    let runs = |pieces: &Pieces| -> Runs {
        pieces
            .as_slice()
            .iter()
            .map(|piece: &Piece| (piece.first, piece.end - piece.first, piece.by))
            .collect()
    };
    outcome(json!({ "files": runs(&picked.files), "rows": runs(&picked.rows), "same": runs(&picked.same) }))
}
