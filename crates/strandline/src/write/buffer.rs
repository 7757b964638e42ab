//! Rows that wait until there are enough of them for a row group, or for a run to be sorted.
//!
//! Invariants: rows keep their order; no more rows wait in one buffer than its limits allow. Many small batches are put
//! together tier by tier, so that each row is copied a few times at most and there are never many small arrays.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::refused;
use super::size::weight;
use crate::error::Result;

/// How many batches of a tier become one of the next.
const FAN: usize = 16;

/// Batches of so many rows are left as they are.
const LARGE: usize = FAN * FAN * FAN;

/// How much may wait in one buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) rows: usize,
    pub(super) bytes: u64,
    /// What each row weighs besides its values.
    pub(super) row_bytes: u64,
}

/// Rows that were taken out of a buffer.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) batches: Vec<RecordBatch>,
    pub(super) rows: usize,
    pub(super) bytes: u64,
}

/// Rows that wait.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    batches: Vec<(RecordBatch, u64)>,
    rows: usize,
    bytes: u64,
}

impl Buffer {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Takes a batch in, and gives out what became full.
    pub(super) fn push(&mut self, batch: RecordBatch, limits: &Limits) -> Result<Vec<Rows>> {
        let mut full = Vec::new();
        let mut rest = batch;
        loop {
            let fit = self.room(&rest, limits);
            if fit >= rest.num_rows() {
                self.add(rest, limits)?;
                break;
            }
            self.add(rest.slice(0, fit), limits)?;
            full.extend(self.take());
            rest = rest.slice(fit, rest.num_rows() - fit);
        }
        if self.rows >= limits.rows || self.bytes >= limits.bytes {
            full.extend(self.take());
        }
        Ok(full)
    }

    /// How many rows of a batch may still come; at least one where there are none.
    fn room(&self, batch: &RecordBatch, limits: &Limits) -> usize {
        let rows = batch.num_rows();
        let weight = (weight(batch) + limits.row_bytes * rows as u64).max(1);
        let free = limits.bytes.saturating_sub(self.bytes);
        // In proportion: rows are taken to be about equal.
        let fit = u128::from(free) * rows as u128 / u128::from(weight);
        let fit = usize::try_from(fit).unwrap_or(usize::MAX).min(limits.rows.saturating_sub(self.rows));
        fit.max(usize::from(self.is_empty()))
    }

    fn add(&mut self, batch: RecordBatch, limits: &Limits) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let bytes = weight(&batch) + limits.row_bytes * batch.num_rows() as u64;
        self.rows += batch.num_rows();
        self.bytes += bytes;
        self.batches.push((batch, bytes));
        while self.join_tier(limits)? {}
        Ok(())
    }

    /// Puts the last batches together if enough of them are of one tier.
    fn join_tier(&mut self, limits: &Limits) -> Result<bool> {
        let Some((last, _)) = self.batches.last() else { return Ok(false) };
        let tier = tier(last.num_rows());
        let same = self.batches.iter().rev().take_while(|(batch, _)| self::tier(batch.num_rows()) == tier);
        if last.num_rows() >= LARGE || same.take(FAN).count() < FAN {
            return Ok(false);
        }
        let small = self.batches.split_off(self.batches.len() - FAN);
        let schema = small[0].0.schema();
        let joined = concat_batches(&schema, small.iter().map(|(batch, _)| batch)).map_err(refused)?;
        let bytes = weight(&joined) + limits.row_bytes * joined.num_rows() as u64;
        self.bytes = self.bytes - small.iter().map(|(_, bytes)| bytes).sum::<u64>() + bytes;
        self.batches.push((joined, bytes));
        Ok(true)
    }

    /// Takes all rows out, if there are any.
    pub(super) fn take(&mut self) -> Option<Rows> {
        let Self { batches, rows, bytes } = std::mem::take(self);
        let batches: Vec<RecordBatch> = batches.into_iter().map(|(batch, _)| batch).collect();
        (rows > 0).then_some(Rows { batches, rows, bytes })
    }
}

fn tier(rows: usize) -> u32 {
    rows.max(1).ilog(FAN)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn batch(numbers: std::ops::Range<i64>) -> RecordBatch {
        let numbers: Int64Array = numbers.collect();
        RecordBatch::try_from_iter([("n", Arc::new(numbers) as _)]).unwrap()
    }

    fn numbers(rows: &Rows) -> Vec<i64> {
        let columns = rows.batches.iter().map(|batch| batch.column(0).as_primitive::<Int64Type>());
        columns.flat_map(|column| column.values().to_vec()).collect()
    }

    const LIMITS: Limits = Limits { rows: 10, bytes: u64::MAX, row_bytes: 0 };

    #[test]
    fn row_groups_have_as_many_rows_as_they_may() {
        let mut buffer = Buffer::default();
        let mut full = buffer.push(batch(0..7), &LIMITS).unwrap();
        assert!(full.is_empty());
        full.extend(buffer.push(batch(7..35), &LIMITS).unwrap());
        full.extend(buffer.take());
        let found: Vec<Vec<i64>> = full.iter().map(numbers).collect();
        let expected = [0..10, 10..20, 20..30, 30..35].map(|range| range.collect::<Vec<i64>>());
        assert_eq!(found, expected);
        assert!(buffer.is_empty() && buffer.bytes() == 0);
        assert!(buffer.take().is_none());
    }

    #[test]
    fn bytes_are_a_limit_too_and_one_row_always_fits() {
        let mut buffer = Buffer::default();
        let limits = Limits { rows: usize::MAX, bytes: 800, row_bytes: 0 };
        let full = buffer.push(batch(0..1000), &limits).unwrap();
        assert!(full.iter().all(|rows| rows.bytes < 1200 && rows.rows > 50), "{full:?}");
        let long = StringArray::from(vec!["x".repeat(5000); 3]);
        let long = RecordBatch::try_from_iter([("s", Arc::new(long) as _)]).unwrap();
        let full = Buffer::default().push(long, &limits).unwrap();
        assert_eq!(full.iter().map(|rows| rows.rows).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn small_batches_are_put_together() {
        let mut buffer = Buffer::default();
        let limits = Limits { rows: usize::MAX, bytes: u64::MAX, row_bytes: 3 };
        for number in 0..10_000 {
            assert!(buffer.push(batch(number..number + 1), &limits).unwrap().is_empty());
        }
        let rows = buffer.take().unwrap();
        assert_eq!(numbers(&rows), (0..10_000).collect::<Vec<_>>());
        assert!(rows.batches.len() < 4 * FAN, "{}", rows.batches.len());
        let weights: u64 = rows.batches.iter().map(weight).sum();
        assert_eq!(rows.bytes, weights + 3 * 10_000);
    }
}
