//! Versions that are brought into branches: merged, picked, taken back, put in the place of what is there.
//!
//! Invariant: where the sides disagree nothing is done, and the error tells all that they disagree on. What does not belong here: who
//! wins, which is the SDK's to know, or said by `TAKE`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Field, UInt64Type};
use datafusion::arrow::util::display::array_value_to_string;
use futures::FutureExt;
use strandline::format::{RefName, TableName};
use strandline::merge::Side;
use strandline::refs::{MergeConflicts, Merged, Single};
use strandline::{Conflict, ConflictKind, Ref, Result};

use super::transactions::said;
use super::{Run, invalid};
use crate::catalog::At;
use crate::sql::reference;
use crate::sql::statement::{Bring, Brought, Takes};

impl Run<'_> {
    pub(super) async fn bring(&self, bring: Bring) -> Result<()> {
        self.outside_of_transactions("what is brought into a branch")?;
        let branch = self.branch_to_change(bring.branch.as_deref())?;
        let of = Box::pin(reference::find(self.lake, &self.standing.place, None, &bring.reference)).await?;
        let outcome = self.decided(&bring, (of, &branch)).boxed().await?;
        match outcome {
            Merged::UpToDate(_) | Merged::Forwarded(_) | Merged::Committed(_) => Ok(()),
            Merged::Conflicts(found) => {
                let message = format!(
                    "branch {:?} and {:?} disagree, and nothing was done: {found}{}; {}",
                    branch.as_str(),
                    bring.reference,
                    values(&found),
                    decides(&found)
                );
                Err(found.into_error(message))
            }
        }
    }

    /// The branch that was named, or the one where the session stands.
    fn branch_to_change(&self, named: Option<&str>) -> Result<RefName> {
        match (named, &self.standing.place) {
            (Some(name), _) => Ok(RefName::new(name)?),
            (None, At::Branch(branch)) => Ok(branch.clone()),
            (None, At::Transaction(transaction)) => Ok(transaction.branch().clone()),
            (None, At::Ref(at)) => Err(invalid(format!(
                "this session stands at {}, which is only read: say INTO which branch",
                said(at)
            ))),
        }
    }

    async fn decided(&self, bring: &Bring, (of, branch): (Ref, &RefName)) -> Result<Merged> {
        let mut takes = Vec::new();
        for Takes { side, whole, names } in &bring.takes {
            for name in names {
                let name = TableName::new(self.own_name(name)?)?;
                takes.push(Take { name, side: *side, whole: *whole });
            }
        }
        self.once(bring, (of, branch), &takes).boxed().await
    }

    async fn once(&self, bring: &Bring, (of, branch): (Ref, &RefName), takes: &[Take]) -> Result<Merged> {
        let message = bring.message.clone();
        match bring.what {
            Brought::Merged => {
                let mut merge = self.lake.merge(of).into(branch.as_str());
                for Take { name, side, whole } in takes {
                    let name = name.as_str();
                    merge = if *whole { merge.take(name, *side) } else { merge.rows(name, *side) };
                }
                match message {
                    Some(message) => merge.message(message).await,
                    None => merge.await,
                }
            }
            Brought::Picked => single(self.lake.cherry_pick(of), branch, message, takes).await,
            Brought::Reverted => single(self.lake.revert(of), branch, message, takes).await,
            Brought::Reset => single(self.lake.reset(of), branch, message, takes).await,
        }
    }
}

/// What to say in SQL to decide it. All of a table is taken only by who says so: with it go rows that nobody disputes.
fn decides(found: &MergeConflicts) -> &'static str {
    let of_rows =
        |conflict: &Conflict| matches!(conflict.kind, ConflictKind::Rows(_) | ConflictKind::Keys(_));
    match found.conflicts.iter().all(of_rows) {
        true => "TAKE OURS FOR table or TAKE THEIRS FOR table decides on these rows",
        false => {
            "TAKE OURS FOR TABLE table or TAKE THEIRS FOR TABLE table decides, and takes all of it, rows that are not at odds too"
        }
    }
}

/// The values of the first rows that the sides disagree on.
fn values(found: &MergeConflicts) -> String {
    let of_rows = found.rows.iter().flat_map(|rows| {
        rows.rows.iter().enumerate().map(|(at, row)| {
            let key = rows.keys.get(at).map_or_else(|| format!("row {row}"), Clone::clone);
            let [base, ours, theirs] =
                [&rows.base, &rows.ours, &rows.theirs].map(|side| shown(side, place(side, row.0)));
            format!("{:?} {key}: base {base}, ours {ours}, theirs {theirs}", rows.table)
        })
    });
    let of_keys = found.keys.iter().flat_map(|keys| {
        keys.keys.iter().enumerate().map(|(at, key)| {
            let [ours, theirs] = [&keys.ours, &keys.theirs].map(|side| shown(side, Some(at)));
            format!("{:?} {key}: ours {ours}, theirs {theirs}", keys.table)
        })
    });
    of_rows.chain(of_keys).take(SHOWN).map(|row| format!("; {row}")).collect()
}

/// How many rows are told with their values.
const SHOWN: usize = 10;

fn place(side: &RecordBatch, row: u64) -> Option<usize> {
    let ids = side.column_by_name("_row_id")?.as_primitive_opt::<UInt64Type>()?;
    ids.values().iter().position(|id| *id == row)
}

/// A row as text; one that a side does not have is gone there.
fn shown(side: &RecordBatch, row: Option<usize>) -> String {
    let Some(row) = row else { return "gone".to_owned() };
    let cell = |(at, field): (usize, &Arc<Field>)| {
        let value = match side.column(at).is_null(row) {
            true => "null".to_owned(),
            false => array_value_to_string(side.column(at), row).unwrap_or_default(),
        };
        format!("{} = {value}", field.name())
    };
    let schema = side.schema();
    let columns = schema.fields().iter().enumerate().filter(|(_, field)| field.name() != "_row_id");
    format!("({})", columns.map(cell).collect::<Vec<_>>().join(", "))
}

/// What `TAKE` says of a table.
struct Take {
    name: TableName,
    side: Side,
    /// Whether of all of it, and not of its rows.
    whole: bool,
}

fn single(act: Single, branch: &RefName, message: Option<String>, takes: &[Take]) -> Single {
    let mut act = act.on(branch.as_str());
    for Take { name, side, whole } in takes {
        let name = name.as_str();
        act = if *whole { act.take(name, *side) } else { act.rows(name, *side) };
    }
    match message {
        Some(message) => act.message(message),
        None => act,
    }
}
