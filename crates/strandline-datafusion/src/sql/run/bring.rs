//! Versions that are brought into branches: merged, picked, taken back, put in the place of what is there.
//!
//! Invariant: where the sides disagree nothing is done, and the error tells all that they disagree on. What does not belong here: who
//! wins, which is the SDK's to know, or said by `TAKE`.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Field, UInt64Type};
use datafusion::dataframe::DataFrame;
use futures::FutureExt;
use strandline::columns::value_text;
use strandline::format::{EntryType, RefName, Seq, TableName};
use strandline::merge::Side;
use strandline::refs::{Merge, MergeConflicts, Merged, Preview, Single};
use strandline::{ConflictKind, Ref, Result};

use super::Run;
use super::transactions::said;
use crate::catalog::At;
use crate::error::{external, only_read};
use crate::sql::reference;
use crate::sql::statement::{Bring, Brought, Takes};

impl Run<'_> {
    /// What came of it, or would: a row of what was done, or a row for each thing that the sides disagree on.
    pub(super) async fn bring(&self, bring: Bring) -> datafusion::error::Result<DataFrame> {
        let told = if bring.dry_run {
            let preview = self.previewed(&bring).boxed().await.map_err(external)?;
            told_columns(&preview)
        } else {
            let (outcome, branch, version) = self.brought(&bring).boxed().await.map_err(external)?;
            let version = i64::try_from(version.0).unwrap_or(i64::MAX);
            vec![
                ("outcome", texts([Some(outcome.to_owned())])),
                ("branch", texts([Some(branch.as_str().to_owned())])),
                ("version", Arc::new(Int64Array::from(vec![version])) as ArrayRef),
            ]
        };
        self.rows(told)
    }

    /// What became of the branch, and which version that is.
    async fn brought(&self, bring: &Bring) -> Result<(&'static str, RefName, Seq)> {
        let (act, branch) = self.decided(bring).boxed().await?;
        match act.carried_out().boxed().await? {
            Merged::UpToDate(at) => Ok(("up to date", branch, at.version())),
            Merged::Forwarded(at) => Ok(("forwarded", branch, at.version())),
            Merged::Committed(report) if report.already => {
                Ok(("picked before", branch, report.commit.version()))
            }
            Merged::Committed(report) if report.changed_nothing => {
                Ok(("was there already", branch, report.commit.version()))
            }
            Merged::Committed(report) => Ok(("committed", branch, report.commit.version())),
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

    async fn previewed(&self, bring: &Bring) -> Result<Vec<Told>> {
        let (act, _) = self.decided(bring).boxed().await?;
        Ok(match act.dry_run().boxed().await? {
            Preview::UpToDate => vec![Told::of("up to date")],
            Preview::Forward => vec![Told::of("forward")],
            Preview::Commit(names) if names.is_empty() => vec![Told::of("commit")],
            Preview::Commit(names) => {
                names.into_iter().map(|name| Told { name: Some(name), ..Told::of("commit") }).collect()
            }
            Preview::Conflicts(found) => conflicts(&found),
        })
    }

    /// The branch that was named, or the one where the session stands.
    fn branch_to_change(&self, named: Option<&str>) -> Result<RefName> {
        match (named, &self.standing.place) {
            (Some(name), _) => Ok(RefName::new(name)?),
            (None, At::Branch(branch)) => Ok(branch.clone()),
            (None, At::Transaction(transaction)) => Ok(transaction.branch().clone()),
            (None, At::Ref(at)) => Err(only_read(said(at), "say INTO which branch")),
        }
    }

    /// The act with all that was said of it, and the branch that it is done to.
    async fn decided(&self, bring: &Bring) -> Result<(Act, RefName)> {
        self.outside_of_transactions("what is brought into a branch")?;
        let branch = self.branch_to_change(bring.branch.as_deref())?;
        let of = Box::pin(reference::find(self.lake, &self.standing.place, None, &bring.reference)).await?;
        let mut takes = Vec::new();
        for Takes { side, whole, names } in &bring.takes {
            for name in names {
                let name = TableName::new(self.own_name(name)?)?;
                if let Some(kind) = whole {
                    self.check_kind(&name, *kind, &of, &branch).await?;
                }
                takes.push(Take { name, side: *side, whole: whole.is_some() });
            }
        }
        let act = match bring.what {
            Brought::Merged => Act::Merge(self.lake.merge(of).into(branch.as_str())),
            Brought::Picked => Act::Single(self.lake.cherry_pick(of).on(branch.as_str())),
            Brought::Reverted => Act::Single(self.lake.revert(of).on(branch.as_str())),
            Brought::Reset => Act::Single(self.lake.reset(of).on(branch.as_str())),
        };
        let act = takes.iter().fold(act, Act::take);
        Ok((bring.message.clone().into_iter().fold(act, Act::message), branch))
    }

    /// Refuses a name that stands for something else than was said, wherever it stands.
    async fn check_kind(&self, name: &TableName, kind: EntryType, of: &Ref, branch: &RefName) -> Result<()> {
        let is_there = async |at: &Ref| match kind {
            EntryType::Table => at.table(name.as_str()).await.map(drop),
            EntryType::View => at.view(name.as_str()).await.map(drop),
            EntryType::Namespace => at.namespace(name.as_str()).await.map(drop),
        };
        match is_there(of).await {
            Ok(()) => Ok(()),
            Err(_) => is_there(&self.lake.at(branch.as_str()).await?).await,
        }
    }
}

/// An act of the SDK that is about to be done.
enum Act {
    Merge(Merge),
    Single(Single),
}

impl Act {
    fn take(self, Take { name, side, whole }: &Take) -> Self {
        let name = name.as_str();
        match (self, *whole) {
            (Self::Merge(merge), true) => Self::Merge(merge.take(name, *side)),
            (Self::Merge(merge), false) => Self::Merge(merge.rows(name, *side)),
            (Self::Single(single), true) => Self::Single(single.take(name, *side)),
            (Self::Single(single), false) => Self::Single(single.rows(name, *side)),
        }
    }

    fn message(self, message: String) -> Self {
        match self {
            Self::Merge(merge) => Self::Merge(merge.message(message)),
            Self::Single(single) => Self::Single(single.message(message)),
        }
    }

    async fn carried_out(self) -> Result<Merged> {
        match self {
            Self::Merge(merge) => merge.await,
            Self::Single(single) => single.await,
        }
    }

    async fn dry_run(self) -> Result<Preview> {
        match self {
            Self::Merge(merge) => merge.dry_run().await,
            Self::Single(single) => single.dry_run().await,
        }
    }
}

/// A row of what would come of an act.
#[derive(Default)]
struct Told {
    outcome: &'static str,
    name: Option<String>,
    conflict: Option<String>,
    key: Option<String>,
    /// The row as each side has it; nothing where it has none.
    base: Option<String>,
    ours: Option<String>,
    theirs: Option<String>,
}

impl Told {
    fn of(outcome: &'static str) -> Self {
        Self { outcome, ..Self::default() }
    }
}

fn told_columns(told: &[Told]) -> Vec<(&'static str, ArrayRef)> {
    let column = |of: fn(&Told) -> &Option<String>| texts(told.iter().map(|row| of(row).clone()));
    vec![
        ("outcome", texts(told.iter().map(|row| Some(row.outcome.to_owned())))),
        ("name", column(|row| &row.name)),
        ("conflict", column(|row| &row.conflict)),
        ("key", column(|row| &row.key)),
        ("base", column(|row| &row.base)),
        ("ours", column(|row| &row.ours)),
        ("theirs", column(|row| &row.theirs)),
    ]
}

fn texts(texts: impl IntoIterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(texts.into_iter().collect::<StringArray>())
}

/// All that the sides disagree on: a row for each row of a table, and one for whatever else it is.
fn conflicts(found: &MergeConflicts) -> Vec<Told> {
    let mut all = Vec::new();
    for conflict in &found.conflicts {
        let told = |key, [base, ours, theirs]: [Option<String>; 3]| Told {
            outcome: "conflict",
            name: Some(conflict.name.clone()),
            conflict: Some(if key { conflict.code().to_owned() } else { format!("{:#}", conflict.kind) }),
            key: None,
            base,
            ours,
            theirs,
        };
        let before = all.len();
        match &conflict.kind {
            ConflictKind::Rows(_) => {
                for rows in found.rows.iter().filter(|rows| rows.table == conflict.name) {
                    all.extend(rows.rows.iter().enumerate().map(|(at, row)| {
                        let key = rows.keys.get(at).map_or_else(|| format!("row {row}"), Clone::clone);
                        let sides = [&rows.base, &rows.ours, &rows.theirs]
                            .map(|side| place(side, row.0).map(|place| shown(side, Some(place))));
                        Told { key: Some(key), ..told(true, sides) }
                    }));
                }
            }
            ConflictKind::Keys(_) => {
                for keys in found.keys.iter().filter(|keys| keys.table == conflict.name) {
                    all.extend(keys.keys.iter().enumerate().map(|(at, key)| {
                        let [ours, theirs] =
                            [&keys.ours, &keys.theirs].map(|side| Some(shown(side, Some(at))));
                        Told { key: Some(key.clone()), ..told(true, [None, ours, theirs]) }
                    }));
                }
            }
            _ => {}
        }
        if all.len() == before {
            all.push(told(false, [None, None, None]));
        }
    }
    all
}

/// What to say in SQL to decide it. All of a table is taken only by who says so: with it go rows that nobody disputes.
fn decides(found: &MergeConflicts) -> &'static str {
    match found.are_of_rows() {
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
            false => value_text(side.column(at), row).unwrap_or_default(),
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
