//! Laws that every history of branches keeps, whatever it is made of: a row keeps its id on a branch; a diff that is applied to one version gives the
//! other one, and what both have is told by it as nothing or as an update; and what commits changed, one by one, comes to the same rows and ids.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use strandline::Ref;
use strandline::changes::{RowChange, RowCounts};

use super::*;

/// A version, and its rows.
pub(super) struct Version {
    pub(super) at: Ref,
    rows: Rows,
}

impl Version {
    pub(super) async fn of(lake: &Lake, at: &str) -> Self {
        let at = lake.at(at).await.unwrap();
        Self { rows: rows_at(&at).await, at }
    }

    fn by_id(&self) -> BTreeMap<u64, Told> {
        self.rows.iter().map(|(u, (id, cells))| (*id, (*u, *cells))).collect()
    }

    fn name(&self) -> String {
        format!("{}@{}", self.at.branch(), self.at.version())
    }
}

/// The ids that rows have had on one branch.
#[derive(Clone, Default)]
pub(super) struct Ids(BTreeMap<i64, u64>);

impl Ids {
    /// Each row has the id that it had, but for those that may be others.
    pub(super) fn keep(&mut self, rows: &Rows, may_be_others: impl Fn(i64) -> bool, what: &str) {
        for (u, (id, _)) in rows {
            if let Some(before) = self.0.insert(*u, *id) {
                assert!(before == *id || may_be_others(*u), "row {u} was {before} and is {id}: {what}");
            }
        }
    }
}

/// A row as it is told: by what it is known, and its cells.
type Told = (i64, (i64, i64));

fn told(batch: &RecordBatch) -> Vec<(u64, Told)> {
    let ids = batch.column_by_name("_row_id").unwrap().as_primitive::<UInt64Type>().clone();
    let rows = triples(batch).into_iter().zip(ids.values().iter());
    rows.map(|((u, a, b), id)| (*id, (u, (a, b)))).collect()
}

/// A diff tells what differs, and no more: of a row that both versions have (all but the given ones), the update, if it is another one.
pub(super) async fn check_diff(lake: &Lake, (from, to): (&Version, &Version), are_two: impl Fn(i64) -> bool) {
    let what = format!("from {} to {}", from.name(), to.name());
    let table = lake.diff(&from.at, &to.at).await.unwrap().table("t").await.unwrap();
    let changes: Vec<RowChange> = table.rows().await.unwrap().try_collect().await.unwrap();
    let (mut rows, mut came) = (from.by_id(), Vec::new());
    let (mut gone, mut counts) = (BTreeSet::new(), RowCounts::default());
    for change in &changes {
        match change {
            RowChange::Inserted(batch) => {
                counts.inserted += batch.num_rows() as u64;
                came.extend(told(batch).into_iter().map(|row| (row, false)));
            }
            RowChange::Deleted(batch) => {
                counts.deleted += batch.num_rows() as u64;
                for (id, row) in told(batch) {
                    assert_eq!(rows.remove(&id), Some(row), "gone: {what}");
                    gone.insert(row.0);
                }
            }
            RowChange::Updated { before, after } => {
                counts.updated += after.num_rows() as u64;
                for ((id, before), after) in told(before).into_iter().zip(told(after)) {
                    assert_eq!(rows.remove(&id), Some(before), "as it was: {what}");
                    assert!(
                        before.0 == after.1.0 && before != after.1,
                        "an update of row {}: {what}",
                        before.0
                    );
                    came.push((after, true));
                }
            }
        }
    }
    assert_eq!(table.counts().await.unwrap(), counts, "{what}");
    let mut result: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for (id, (u, cells)) in rows {
        assert!(result.insert(u, cells).is_none(), "row {u} twice: {what}");
        let is_same = from.at.branch() != to.at.branch() || to.rows.get(&u).is_some_and(|row| row.0 == id);
        assert!(is_same, "row {u} has another id than {id} and is not told: {what}");
    }
    for ((id, (u, cells)), is_update) in came {
        assert!(result.insert(u, cells).is_none(), "row {u} twice: {what}");
        assert_eq!(to.rows.get(&u).map(|row| row.0), Some(id), "row {u}: {what}");
        assert!(is_update || !gone.contains(&u) || are_two(u), "row {u} went and came: {what}");
    }
    let expected: BTreeMap<i64, (i64, i64)> = to.rows.iter().map(|(u, row)| (*u, row.1)).collect();
    assert_eq!(result, expected, "{what}");
}

/// What each commit of a line changed, applied to the first of these versions, gives each of the others, with its ids.
pub(super) async fn check_changes(line: &[Version]) {
    let (Some(first), Some(last)) = (line.first(), line.last()) else { return };
    let table = last.at.table("t").await.unwrap();
    let log: Vec<RecordBatch> =
        table.changes(&first.at, &last.at).await.unwrap().try_collect().await.unwrap();
    let mut rows = first.by_id();
    let mut log = log.iter().peekable();
    for version in &line[1..] {
        let seq = version.at.version().0;
        let is_of_it = |batch: &&RecordBatch| {
            let versions = batch.column_by_name("_commit_version").unwrap().as_primitive::<UInt64Type>();
            versions.is_empty() || versions.value(0) <= seq
        };
        while let Some(batch) = log.next_if(is_of_it) {
            let kinds = batch.column_by_name("_change_type").unwrap().as_string::<i32>();
            for (at, (id, row)) in told(batch).into_iter().enumerate() {
                let what = format!("row {id} ({row:?}) of {}: {}", version.name(), kinds.value(at));
                match kinds.value(at) {
                    "insert" | "update_postimage" => assert_eq!(rows.insert(id, row), None, "{what}"),
                    _ => assert_eq!(rows.remove(&id), Some(row), "{what}"),
                }
            }
        }
        assert_eq!(rows, version.by_id(), "what came of the changes up to {}", version.name());
    }
    assert!(log.next().is_none(), "changes of no version");
}
