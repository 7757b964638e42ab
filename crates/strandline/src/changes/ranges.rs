//! Rows that went and came, in ranges of their ids: rows of one range are compared with each other alone, so that few of those that went are in
//! memory at once.
//!
//! Invariants: a row that went, and a row that came and is the same one, are in one range; what came and is none that went is in any, once. Memory:
//! about two bytes for each row that went, and as many for each that came and may be one of these. What does not belong here: comparing
//! them (`rows`).

use strandline_format::{DeletionVector, FileEntry};

use crate::changes::files::only;
use crate::error::Result;
use crate::merge::Known;
use crate::scan::{deletion_vector, identify};
use crate::table::TableState;

/// How many of the rows that went are in memory at once.
pub(super) const ROWS: u64 = 1 << 18;

/// Entries, with which of their rows are in which range.
pub(super) struct Ranged {
    entries: Vec<FileEntry>,
    /// For each range, which entry has which rows in it.
    ranges: Vec<Vec<(usize, DeletionVector)>>,
}

impl Ranged {
    /// The entries with what they have in a range.
    pub(super) fn of_range(&self, range: usize) -> Result<Vec<FileEntry>> {
        let Some(places) = self.ranges.get(range) else { return Ok(Vec::new()) };
        let parts = places.iter().map(|(at, rows)| only(&self.entries[*at], rows));
        parts.filter_map(Result::transpose).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }
}

/// Rows that went, of a state, and those that came, of another one, whose ids are known so in the first. Requests: the ids of files
/// that store them, twice for those that went.
pub(super) async fn ranges(
    (before, gone): (&TableState, Vec<FileEntry>),
    (after, came): (&TableState, Vec<FileEntry>),
    known: &Known,
    rows: u64,
) -> Result<[Ranged; 2]> {
    let went = row_ids(before, &gone).await?;
    // The first ids of all ranges but the first, each of which has so many rows.
    let step = usize::try_from(rows.max(1)).unwrap_or(usize::MAX);
    let ends: Vec<u64> = went.positions().step_by(step).skip(1).collect();
    let range = |id: u64| ends.partition_point(|end| *end <= id);
    let count = ends.len() + 1;
    let gone = ranged(before, gone, count, range).await?;
    let of_came = |id| known.rows_of(id).find(|id| went.contains(*id)).map_or(0, range);
    let came = ranged(after, came, count, of_came).await?;
    Ok([gone, came])
}

/// The ids of all rows of some entries.
async fn row_ids(state: &TableState, entries: &[FileEntry]) -> Result<DeletionVector> {
    let mut ids = DeletionVector::new();
    for entry in entries {
        let deleted = deletion_vector(&state.objects, state.table.id, entry).await?.unwrap_or_default();
        identify(state, entry, &deleted, |row| ids.insert(row.id).map(drop).map_err(Into::into)).await?;
    }
    Ok(ids)
}

async fn ranged(
    state: &TableState,
    entries: Vec<FileEntry>,
    count: usize,
    range: impl Fn(u64) -> usize,
) -> Result<Ranged> {
    let mut ranges: Vec<Vec<(usize, DeletionVector)>> = vec![Vec::new(); count];
    for (at, entry) in entries.iter().enumerate() {
        let deleted = deletion_vector(&state.objects, state.table.id, entry).await?.unwrap_or_default();
        identify(state, entry, &deleted, |row| {
            let within = &mut ranges[range(row.id)];
            if within.last().is_none_or(|(last, _)| *last != at) {
                within.push((at, DeletionVector::new()));
            }
            if let Some((_, rows)) = within.last_mut() {
                rows.insert(row.position)?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(Ranged { entries, ranges })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::{Int64Type, UInt64Type};
    use futures::TryStreamExt;

    use super::*;
    use crate::Lake;
    use crate::changes::{RowChange, TableDiff};
    use crate::filter::{Predicate, col};

    fn batch(ids: impl IntoIterator<Item = i64>) -> RecordBatch {
        let ids: Vec<i64> = ids.into_iter().collect();
        let values = ids.iter().map(|id| id * 10).collect::<Vec<_>>();
        let columns = [ids, values].map(|values| Arc::new(Int64Array::from(values)) as _);
        RecordBatch::try_from_iter(["id", "a"].into_iter().zip(columns)).unwrap()
    }

    /// Three files of which rows were changed here and there, deleted, and moved to other files without being changed.
    async fn changed(lake: &str) -> TableDiff {
        let lake = Lake::create(lake).await.unwrap();
        let make = lake.begin().await.unwrap();
        make.create_table("t").like(&batch([]).schema()).await.unwrap();
        make.commit().await.unwrap();
        for file in 0..3 {
            lake.append("t", batch(file * 20..file * 20 + 20)).await.unwrap();
        }
        let from = lake.main().await.unwrap();
        for step in [3, 7] {
            let change = lake.begin().await.unwrap();
            let every: Vec<i64> = (0..60).step_by(step).collect();
            change.update("t", col("id").is_in(every)).set("a", -1).await.unwrap();
            change
                .delete("t", col("id").is_in((1..60).step_by(step * 2).collect::<Vec<i64>>()))
                .await
                .unwrap();
            change.append("t", batch(100 * step as i64..100 * step as i64 + 5)).await.unwrap();
            change.commit().await.unwrap();
        }
        let change = lake.begin().await.unwrap();
        change.update("t", Predicate::all()).set("a", -2).await.unwrap();
        change.commit().await.unwrap();
        let diff = lake.diff(from, "main").await.unwrap();
        diff.table("t").await.unwrap()
    }

    async fn told(diff: &TableDiff, rows_at_once: u64) -> Vec<String> {
        let (mut reading, parts) = diff.reading().await.unwrap().unwrap();
        reading.rows_at_once = rows_at_once;
        let lines = |kind: &str, batch: &RecordBatch| {
            let [id, a] = [0, 1].map(|at| batch.column(at).as_primitive::<Int64Type>().values().to_vec());
            let row = batch.column(2).as_primitive::<UInt64Type>().values().to_vec();
            (0..batch.num_rows())
                .map(|at| format!("{kind} {} {} {}", row[at], id[at], a[at]))
                .collect::<Vec<_>>()
        };
        let mut told = Vec::new();
        for change in reading.changes(parts).try_collect::<Vec<_>>().await.unwrap() {
            told.extend(match &change {
                RowChange::Inserted(rows) => lines("+", rows),
                RowChange::Deleted(rows) => lines("-", rows),
                RowChange::Updated { before, after } => {
                    let pairs = lines("<", before).into_iter().zip(lines(">", after));
                    pairs.map(|(before, after)| before + &after).collect()
                }
            });
        }
        told.sort();
        told
    }

    #[tokio::test]
    async fn rows_in_ranges_are_told_as_all_at_once() {
        let diff = changed("memory://ranges").await;
        let expected = told(&diff, u64::MAX).await;
        let count = |kind: char| expected.iter().filter(|line| line.starts_with(kind)).count();
        assert!(count('+') > 5 && count('-') > 5 && count('<') > 5, "{expected:?}");
        for rows_at_once in [1, 7, 59] {
            assert_eq!(told(&diff, rows_at_once).await, expected, "{rows_at_once}");
        }
    }

    /// Rows that each of two branches has put in by itself, under one key, so that one of two stands for both.
    #[tokio::test]
    async fn rows_that_stand_for_others_are_in_their_range() {
        let lake = Lake::create("memory://stand-for").await.unwrap();
        let make = lake.begin().await.unwrap();
        make.create_table("t").like(&batch([]).schema()).key(["id"]).await.unwrap();
        make.commit().await.unwrap();
        lake.create_branch("dev").await.unwrap();
        for (branch, first) in [("main", [100..110, 0..40]), ("dev", [0..40, 200..205])] {
            for rows in first {
                let change = lake.begin().branch(branch).await.unwrap();
                change.append("t", batch(rows)).await.unwrap();
                change.commit().await.unwrap();
            }
        }
        lake.merge("dev").into("main").await.unwrap().committed().unwrap();
        let change = lake.begin().branch("dev").await.unwrap();
        change.update("t", col("id").lt(7)).set("a", -1).await.unwrap();
        change.commit().await.unwrap();
        for (from, to) in [("main", "dev"), ("dev", "main")] {
            let diff = lake.diff(from, to).await.unwrap().table("t").await.unwrap();
            let expected = told(&diff, u64::MAX).await;
            let count = |kind: char| expected.iter().filter(|line| line.starts_with(kind)).count();
            let of_one = if to == "main" { (10, 0) } else { (0, 10) };
            assert_eq!((count('+'), count('-'), count('<')), (of_one.0, of_one.1, 7), "{expected:?}");
            for rows_at_once in [1, 7, 19] {
                assert_eq!(told(&diff, rows_at_once).await, expected, "{rows_at_once}");
            }
        }
    }

    #[tokio::test]
    async fn no_range_has_more_rows_than_may_be_in_memory() {
        let (reading, parts) = changed("memory://few-rows").await.reading().await.unwrap().unwrap();
        let came = parts.came.into_iter().map(|part| part.entry).collect();
        let (before, after) = ((&reading.before, parts.gone), (&reading.after, came));
        let [gone, came] = ranges(before, after, &reading.known, 7).await.unwrap();
        assert!(gone.len() > 5 && gone.len() == came.len(), "{}", gone.len());
        let rows = |range: usize| gone.of_range(range).unwrap().iter().map(FileEntry::live_rows).sum::<u64>();
        let rows: Vec<u64> = (0..gone.len()).map(rows).collect();
        assert!(
            rows[..rows.len() - 1].iter().all(|rows| *rows == 7) && rows[rows.len() - 1] <= 7,
            "{rows:?}"
        );
    }
}
