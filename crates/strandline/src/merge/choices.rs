//! What is decided beforehand where two sides disagree.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use strandline_format::merge::RowFate;
use strandline_format::{DeletionVector, FileId, NameKey, TableId, TableName};

use crate::changes::broken;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Checks;
use crate::merge::conflict::RowConflict;
use crate::near::{nearest, offer};
use crate::snapshot::Snapshot;

/// One side of a merge.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::filter::col;
/// use strandline::merge::Side;
///
/// lake.create_branch("dev").await?;
/// for (branch, amount) in [("main", 31), ("dev", 32)] {
///     let change = lake.begin().branch(branch).await?;
///     change.update("orders", col("id").eq(1)).set("amount", amount).await?;
///     change.commit().await?;
/// }
///
/// // Where both changed a row, the row of `dev` is to win.
/// lake.merge("dev").into("main").rows("orders", Side::Theirs).await?.committed()?;
/// let won = lake.table("orders").await?.scan().filter(col("amount").eq(32));
/// assert_eq!(won.count().await?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The branch that is merged into.
    Ours,
    /// What is brought in.
    Theirs,
}

/// What the caller has decided, by the names of tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choices {
    /// All names that something was decided for.
    pub(crate) named: Vec<TableName>,
    /// Whose state a table, view or namespace gets as a whole.
    pub(crate) whole: BTreeMap<NameKey, Side>,
    /// Whose rows count of those that are contested.
    pub(crate) rows: BTreeMap<NameKey, Side>,
    /// Rows that take the place of those that are contested, by `_row_id`.
    pub(crate) given: BTreeMap<NameKey, Vec<RecordBatch>>,
    /// For the base of a merge, which is made of several commits.
    pub(crate) of_base: Option<OfBase>,
}

/// What is decided where a base is made: cell by cell the commit that comes to it counts, as that has made it.
#[derive(Clone, Debug, Default)]
pub(crate) struct OfBase {
    /// But for these tables, views and namespaces, which are left as they are.
    pub(crate) left: BTreeSet<TableId>,
    /// And for these rows, which are given.
    pub(crate) given: BTreeMap<TableId, Vec<RecordBatch>>,
}

impl Choices {
    /// Decides something for a name.
    fn choose(
        mut self,
        name: &str,
        choose: impl FnOnce(&mut Self, &NameKey),
    ) -> std::result::Result<Self, strandline_format::Error> {
        let name = TableName::new(name)?;
        choose(&mut self, name.key());
        self.named.push(name);
        Ok(self)
    }

    /// Whose state it gets as a whole.
    ///
    /// # Errors
    /// `Invalid` for no name, and for one of which something else was decided before.
    pub(crate) fn take(self, name: &str, side: Side) -> std::result::Result<Self, strandline_format::Error> {
        let (mut other, mut rows) = (None, false);
        let chosen = self.choose(name, |choices, key| {
            other = choices.whole.insert(key.clone(), side);
            rows = choices.rows.contains_key(key) || choices.given.contains_key(key);
        })?;
        chosen.decided_once(name, other.is_some_and(|other| other != side), rows)
    }

    /// Whose rows count of it.
    ///
    /// # Errors
    /// As of [`Choices::take`].
    pub(crate) fn take_rows(
        self,
        name: &str,
        side: Side,
    ) -> std::result::Result<Self, strandline_format::Error> {
        let (mut other, mut whole) = (None, false);
        let chosen = self.choose(name, |choices, key| {
            other = choices.rows.insert(key.clone(), side);
            whole = choices.whole.contains_key(key);
        })?;
        chosen.decided_once(name, other.is_some_and(|other| other != side), whole)
    }

    /// Rows that are given for some of it.
    ///
    /// # Errors
    /// As of [`Choices::take`].
    pub(crate) fn give(
        self,
        name: &str,
        rows: Vec<RecordBatch>,
    ) -> std::result::Result<Self, strandline_format::Error> {
        let mut whole = false;
        let chosen = self.choose(name, |choices, key| {
            whole = choices.whole.contains_key(key);
            choices.given.entry(key.clone()).or_default().extend(rows);
        })?;
        chosen.decided_once(name, false, whole)
    }

    /// Whether something is to stay as our side has it, whatever theirs did to it.
    pub(crate) fn keeps_any(&self) -> bool {
        self.whole.values().any(|side| *side == Side::Ours)
    }

    /// Refuses a name that is to be of both sides, or whole and row by row.
    fn decided_once(
        self,
        name: &str,
        is_of_both: bool,
        is_of_two_kinds: bool,
    ) -> std::result::Result<Self, strandline_format::Error> {
        let why = match (is_of_both, is_of_two_kinds) {
            (true, _) => "is to be of both sides",
            (_, true) => "is to be of one side as a whole, and to be decided row by row as well",
            (false, false) => return Ok(self),
        };
        Err(strandline_format::Error::invalid(format!("{name:?} {why}: say one of them")))
    }

    /// Refuses what was decided for names that neither version has: a misspelt one would decide nothing.
    ///
    /// # Errors
    /// `NotFound`, offering the nearest names.
    pub(crate) async fn check_names(&self, versions: &[&Snapshot]) -> Result<()> {
        for name in &self.named {
            let found = versions.iter().map(|version| version.entry(name));
            if futures::future::try_join_all(found).await?.iter().all(Option::is_none) {
                let listed = versions.iter().map(|version| version.entries());
                let listed = futures::future::try_join_all(listed).await?;
                let names: BTreeSet<&str> =
                    listed.iter().flatten().map(|entry| entry.name.as_str()).collect();
                let near = offer(&nearest(name.as_str(), names));
                let message =
                    format!("neither side has {:?}, so nothing can be decided for it{near}", name.as_str());
                return Err(Error::new(ErrorKind::NotFound, message));
            }
        }
        Ok(())
    }
}

/// The same, by what the names stand for in any of the versions that are merged: a table has another name on each side where both have
/// renamed it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decided {
    pub(crate) whole: BTreeMap<TableId, Side>,
    pub(crate) rows: BTreeMap<TableId, Side>,
    pub(crate) given: BTreeMap<TableId, Vec<RecordBatch>>,
    /// Whether a base is made, in which theirs counts, cell by cell, where the sides disagree.
    pub(crate) of_base: bool,
}

impl Choices {
    /// What they say of these versions. One request at most for each name and version.
    ///
    /// # Errors
    /// `InvalidInput` if both sides are to be taken of one table, under two names.
    pub(crate) async fn decided(&self, versions: &[&Snapshot]) -> Result<Decided> {
        let mut decided = Decided { of_base: self.of_base.is_some(), ..Decided::default() };
        if let Some(OfBase { left, given }) = &self.of_base {
            decided.whole.extend(left.iter().map(|table| (*table, Side::Ours)));
            decided.given.extend(given.iter().map(|(table, rows)| (*table, rows.clone())));
        }
        for name in &self.named {
            let found = futures::future::try_join_all(versions.iter().map(|version| version.entry(name)));
            let ids: BTreeSet<TableId> = found.await?.into_iter().flatten().map(|entry| entry.id).collect();
            let key = name.key();
            for id in ids {
                decide(&mut decided.whole, id, self.whole.get(key), name)?;
                decide(&mut decided.rows, id, self.rows.get(key), name)?;
                if let Some(given) = self.given.get(key) {
                    decided.given.insert(id, given.clone());
                }
            }
        }
        Ok(decided)
    }
}

fn decide(
    decided: &mut BTreeMap<TableId, Side>,
    id: TableId,
    side: Option<&Side>,
    name: &TableName,
) -> Result<()> {
    let Some(side) = side else { return Ok(()) };
    if decided.insert(id, *side).is_some_and(|other| other != *side) {
        let message = format!("{:?}, by another name, is to be of the other side as well", name.as_str());
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(())
}

/// What becomes of contested rows of one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowChoices {
    pub(crate) rows: HashMap<u64, RowChoice>,
    /// The rows that are given, with their ids.
    pub(crate) given: Vec<RecordBatch>,
    /// Which of these the caller gave.
    pub(crate) by_hand: BTreeSet<u64>,
    /// Whose row counts where nothing else is said.
    pub(crate) others: Option<Side>,
    /// Places of ours, and of theirs under the ids that theirs has, that lose their row because another one has its key [REB-17].
    pub(crate) lost: [BTreeMap<FileId, DeletionVector>; 2],
    /// Whether a row is kept that one side has deleted.
    pub(crate) keeps_deleted: bool,
    /// Rows of theirs that are left out, with those of ours that have their key and stand for them [MRG-4].
    pub(crate) same: BTreeMap<u64, u64>,
}

/// What becomes of one contested row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowChoice {
    /// What one side has, if it has it.
    Side(Side),
    /// It has given values, which are written anew.
    Given,
}

impl RowChoices {
    /// Leaves it open what becomes of rows that the cells gave and that break a check: neither side has made them so.
    pub(super) fn open_broken(&mut self, checks: &Checks) -> Result<()> {
        let mut broken = BTreeSet::new();
        for batch in &self.given {
            let hold = checks.hold(batch)?;
            let ids = crate::changes::ids(batch)?;
            broken.extend(ids.values().iter().zip(hold).filter(|(_, holds)| !holds).map(|(id, _)| *id));
        }
        if broken.is_empty() {
            return Ok(());
        }
        self.rows.retain(|id, _| !broken.contains(id));
        self.without_given(&broken)
    }

    /// Forgets the rows that the cells gave for these.
    pub(super) fn without_given(&mut self, ids: &BTreeSet<u64>) -> Result<()> {
        for batch in &mut self.given {
            let others = crate::changes::ids(batch)?.values().iter().map(|id| !ids.contains(id));
            let others = arrow::array::BooleanArray::from(others.collect::<Vec<_>>());
            *batch = filter_record_batch(batch, &others).map_err(broken)?;
        }
        self.given.retain(|batch| batch.num_rows() > 0);
        Ok(())
    }

    /// Whether this keeps a row that one of the sides has deleted.
    pub(super) fn keeps_deleted(&self, row: &RowConflict) -> bool {
        let is_gone = |side| match side {
            Side::Ours => row.ours == RowFate::Deleted,
            Side::Theirs => row.theirs == RowFate::Deleted,
        };
        let is_kept = match self.of(row.row.0) {
            Some(RowChoice::Side(side)) => !is_gone(side),
            Some(RowChoice::Given) => true,
            None => false,
        };
        is_kept && (is_gone(Side::Ours) || is_gone(Side::Theirs))
    }

    pub(crate) fn of(&self, row: u64) -> Option<RowChoice> {
        self.rows.get(&row).copied().or(self.others.map(RowChoice::Side))
    }
}
