//! `strand merge`: what one version has becomes part of a branch, whole or not at all.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

use clap::Args as ClapArgs;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use strandline::ErrorKind;
use strandline::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use strandline::arrow::compute::cast;
use strandline::arrow::datatypes::{
    DataType, Field, FieldRef, Float32Type, Float64Type, Schema, SchemaRef, UInt64Type,
};
use strandline::arrow::error::ArrowError;
use strandline::merge::{MergeProgress, Side};
use strandline::refs::{Merge, MergeConflicts, Merged, Preview};

use super::branch::unknown;
use crate::args::ForTheLog;
use crate::contested::ContestedRow;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::names;
use crate::output::{Cell, Kind, Record, number, objects, text};
use crate::progress::{Progress, Sample, since};

/// Merges a branch, tag or version into a branch, in one commit
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// What is merged
    from: String,
    /// The branch that it is merged into
    #[arg(long, default_value = "main", value_name = "BRANCH")]
    into: String,
    /// Says what it would come to, and commits nothing
    #[arg(long)]
    dry_run: bool,
    /// One commit for all that is merged, also where the branch could be moved forward; what was merged is its second parent, by which later merges know it
    #[arg(long)]
    squash: bool,
    /// Whose state a table gets as a whole, as in sales.orders=theirs; may be given several times
    #[arg(long, value_name = "TABLE=SIDE")]
    take: Vec<Choice>,
    /// Whose rows count of those that both sides changed, as in sales.orders=ours; may be given several times
    #[arg(long, value_name = "TABLE=SIDE")]
    rows: Vec<Choice>,
    #[command(flatten)]
    log: ForTheLog,
}

/// What is decided for a table.
#[derive(Clone, Debug)]
struct Choice {
    table: String,
    side: Side,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (table, side) = text.rsplit_once('=').ok_or("it has the form table=ours or table=theirs")?;
        let side = match side {
            "ours" => Side::Ours,
            "theirs" => Side::Theirs,
            other => return Err(format!("{other:?} is no side: ours is the branch, theirs what is merged")),
        };
        Ok(Self { table: names::table(table)?, side })
    }
}

/// What a merge has come to, or would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    UpToDate,
    Forward,
    Commit,
    Forwarded,
    Committed,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "up to date",
            Self::Forward => "forward",
            Self::Commit => "commit",
            Self::Forwarded => "forwarded",
            Self::Committed => "committed",
        }
    }
}

impl Serialize for End {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What became of a merge.
#[derive(Serialize)]
struct Outcome {
    outcome: End,
    branch: String,
    version: Option<u64>,
    tables: Vec<String>,
}

impl Record for Outcome {
    const COLUMNS: &'static [(&'static str, Kind)] =
        &[text("outcome"), text("branch"), number("version"), text("tables")];

    fn cells(&self) -> Vec<Cell> {
        let version = self.version.map_or(Cell::None, Cell::Number);
        vec![
            Cell::text(self.outcome.as_str()),
            Cell::text(&self.branch),
            version,
            Cell::text(self.tables.join(" ")),
        ]
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<()> {
    context.no_reference("merge")?;
    let lake = context.lake_of_refs().await?;
    let from = context.at_reference(&lake, Some(&args.from)).await?;
    let progress = MergeProgress::default();
    let merge = chosen(lake.merge(from).into(&args.into).watched_by(&progress), &args);
    const INTERRUPTED: &str = "interrupted; the merge has happened whole or not at all";
    let traffic = since(lake.storage().objects());
    let sample = move || {
        let (done, all) = progress.rows();
        let rows = (done, Some(all).filter(|all| *all > 0));
        Sample { rows, tables: progress.tables(), traffic: traffic() }
    };
    let shown = Progress::asked(context, "merging", sample).show();
    let merged = interrupt::statements(Box::pin(outcome(merge, &args)), INTERRUPTED).await;
    drop(shown);
    let outcome = match merged {
        Ok(outcome) => outcome,
        Err(failure) if failure.is(ErrorKind::NotFound) && lake.at(args.into.as_str()).await.is_err() => {
            return Err(unknown(&lake, &args.into, failure).await);
        }
        Err(failure) => return Err(failure.of_arguments()),
    };
    let sentence = outcome.sentence();
    context.out.done(&outcome, sentence)
}

impl Outcome {
    /// What a person is told.
    fn sentence(&self) -> String {
        let (branch, version) = (&self.branch, self.version.unwrap_or_default());
        match self.outcome {
            End::UpToDate => format!("{branch} has all of it already"),
            End::Forward => format!("{branch} would be moved forward"),
            End::Commit => format!("a commit would change {}", told(&self.tables)),
            End::Forwarded => format!("moved {branch} forward to version {version}"),
            End::Committed => {
                format!("merged into {branch}: version {version} changes {}", told(&self.tables))
            }
        }
    }
}

/// What a commit changes; one that only says that it was decided for what is there changes nothing.
fn told(tables: &[String]) -> String {
    if tables.is_empty() { "no table".to_owned() } else { tables.join(", ") }
}

fn chosen(mut merge: Merge, args: &Args) -> Merge {
    for choice in &args.take {
        merge = merge.take(&choice.table, choice.side);
    }
    for choice in &args.rows {
        merge = merge.rows(&choice.table, choice.side);
    }
    if args.squash {
        merge = merge.squash();
    }
    if let Some(message) = &args.log.message {
        merge = merge.message(message);
    }
    match &args.log.author {
        Some(author) => merge.author(author),
        None => merge,
    }
}

async fn outcome(merge: Merge, args: &Args) -> Result<Outcome> {
    let said = |outcome, version, tables| Outcome { outcome, branch: args.into.clone(), version, tables };
    if args.dry_run {
        return Ok(match merge.dry_run().await? {
            Preview::UpToDate => said(End::UpToDate, None, Vec::new()),
            Preview::Forward => said(End::Forward, None, Vec::new()),
            Preview::Commit(tables) => said(End::Commit, None, tables),
            Preview::Conflicts(found) => return Err(conflicts(&found)),
        });
    }
    Ok(match merge.await? {
        Merged::UpToDate(at) => said(End::UpToDate, Some(at.version().0), Vec::new()),
        Merged::Forwarded(at) => said(End::Forwarded, Some(at.version().0), Vec::new()),
        Merged::Committed(report) => {
            let changed = report.tables.iter().filter(|_| !report.changed_nothing);
            // What both sides have made under one name is two of them, of which one is left.
            let mut names = HashSet::new();
            let tables = changed.map(|table| table.name.clone()).filter(|name| names.insert(name.clone()));
            let tables = tables.collect();
            said(End::Committed, Some(report.commit.version().0), tables)
        }
        Merged::Conflicts(found) => return Err(conflicts(&found)),
    })
}

/// All that the sides disagree on; nothing was done.
fn conflicts(found: &MergeConflicts) -> Failure {
    let listed = found.conflicts.iter().map(|conflict| format!("{conflict:#}")).collect();
    let hint = match found.are_of_rows() {
        true => "nothing was committed; decide with --rows TABLE=ours|theirs",
        false => {
            "nothing was committed; decide with --take TABLE=ours|theirs, which takes all of it, rows that are not at odds too"
        }
    };
    match contested(found) {
        Ok(rows) => Failure::conflicts(listed, rows).hint(hint),
        Err(failure) => failure,
    }
}

/// The rows among it, with their values.
fn contested(found: &MergeConflicts) -> Result<Vec<ContestedRow>> {
    let mut all = Vec::new();
    for rows in &found.rows {
        let [base, ours, theirs] = [by_id(&rows.base)?, by_id(&rows.ours)?, by_id(&rows.theirs)?];
        for (at, row) in rows.rows.iter().enumerate() {
            let of = |side: &BTreeMap<u64, Box<RawValue>>| side.get(&row.0).cloned();
            let (table, key) = (rows.table.clone(), rows.keys.get(at).cloned());
            all.push(ContestedRow { table, key, base: of(&base), ours: of(&ours), theirs: of(&theirs) });
        }
    }
    for keys in &found.keys {
        let sides = told_rows(&keys.ours)?.into_iter().zip(told_rows(&keys.theirs)?);
        for (key, (ours, theirs)) in keys.keys.iter().zip(sides) {
            let (table, key) = (keys.table.clone(), Some(key.clone()));
            all.push(ContestedRow { table, key, base: None, ours: Some(ours), theirs: Some(theirs) });
        }
    }
    Ok(all)
}

/// Rows as objects. JSON has no number for NaN and infinities, which would look like nothing and like each other: columns that have such are told as texts.
fn told_rows(batch: &RecordBatch) -> Result<Vec<Box<RawValue>>> {
    let is_finite = |column: &ArrayRef| match column.data_type() {
        DataType::Float32 => column.as_primitive::<Float32Type>().iter().flatten().all(f32::is_finite),
        DataType::Float64 => column.as_primitive::<Float64Type>().iter().flatten().all(f64::is_finite),
        _ => true,
    };
    let told = |(field, column): (&FieldRef, &ArrayRef)| match is_finite(column) {
        true => Ok((FieldRef::clone(field), ArrayRef::clone(column))),
        false => {
            let field = Field::new(field.name(), DataType::Utf8, true);
            Ok((FieldRef::new(field), cast(column, &DataType::Utf8)?))
        }
    };
    let columns = batch.schema_ref().fields().iter().zip(batch.columns()).map(told);
    let (fields, columns): (Vec<_>, Vec<_>) =
        columns.collect::<std::result::Result<Vec<_>, ArrowError>>()?.into_iter().unzip();
    objects(&RecordBatch::try_new(SchemaRef::new(Schema::new(fields)), columns)?)
}

/// Rows as objects, by their ids.
fn by_id(batch: &RecordBatch) -> Result<BTreeMap<u64, Box<RawValue>>> {
    let ids = batch.column_by_name("_row_id").and_then(|ids| ids.as_primitive_opt::<UInt64Type>());
    let ids = ids.map(|ids| ids.values().to_vec()).unwrap_or_default();
    Ok(ids.into_iter().zip(told_rows(batch)?).collect())
}
