//! Which rows of a file are decoded, and which of those are wanted.
//!
//! Why: a decoder passes over a few rows more slowly than it decodes them, so short gaps are decoded with the rows around them and cut out of
//! the batch. The Parquet reader has masks for that, but decodes for one batch whatever it takes until so many rows are wanted: of a file of
//! which one row in a hundred is, a hundred batches at once.
//!
//! Invariant: no more rows are decoded for a batch than the reader's batches have [BOUNDED]. What does not belong here: why a row is wanted
//! (`deletes`, `prune`, `late`).

use std::collections::VecDeque;

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;

/// Gaps of fewer rows are decoded.
const SHORT_GAP: usize = 32;

/// The rows that the reader is to decode: all that are wanted, and those in short gaps between them.
pub(super) fn to_decode(wanted: &BooleanBuffer) -> BooleanBuffer {
    let mut rows = BooleanBufferBuilder::new(wanted.len());
    for (start, end) in wanted.set_slices() {
        let gap = start - rows.len();
        rows.append_n(gap, !rows.is_empty() && gap < SHORT_GAP);
        rows.append_n(end - start, true);
    }
    rows.append_n(wanted.len() - rows.len(), false);
    rows.finish()
}

/// Of the rows that are decoded, in their order, which are wanted.
#[derive(Debug, Default)]
pub(super) struct Cut(VecDeque<BooleanBuffer>);

impl Cut {
    /// Of rows of which some are decoded, and all that are wanted among these.
    pub(super) fn of(decoded: &BooleanBuffer, wanted: &BooleanBuffer) -> Self {
        let mut cut = Self::default();
        cut.add(decoded, wanted);
        cut
    }

    /// Adds rows of which some are decoded, and all that are wanted among these.
    pub(super) fn add(&mut self, decoded: &BooleanBuffer, wanted: &BooleanBuffer) {
        let mut rows = BooleanBufferBuilder::new(decoded.count_set_bits());
        for (start, end) in decoded.set_slices() {
            rows.append_buffer(&wanted.slice(start, end - start));
        }
        self.0.push_back(rows.finish());
    }

    /// Which of the next rows are wanted; `None` if there are not so many.
    pub(super) fn next(&mut self, rows: usize) -> Option<BooleanBuffer> {
        let mut found = BooleanBufferBuilder::new(rows);
        while found.len() < rows {
            let front = self.0.pop_front()?;
            let (taken, rest) = split(&front, rows - found.len());
            found.append_buffer(&taken);
            if let Some(rest) = rest {
                self.0.push_front(rest);
            }
        }
        Some(found.finish())
    }
}

/// So many rows, and what is left.
fn split(rows: &BooleanBuffer, count: usize) -> (BooleanBuffer, Option<BooleanBuffer>) {
    match rows.len().checked_sub(count) {
        None | Some(0) => (rows.clone(), None),
        Some(rest) => (rows.slice(0, count), Some(rows.slice(count, rest))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(text: &str) -> BooleanBuffer {
        text.bytes().map(|bit| bit == b'1').collect()
    }

    #[test]
    fn short_gaps_are_decoded_and_cut_out() {
        let gap = |rows: usize| "0".repeat(rows);
        let check = |wanted: &str, decoded: &str| {
            let (wanted, decoded) = (bits(wanted), bits(decoded));
            assert_eq!(to_decode(&wanted), decoded);
            let once: Vec<bool> = decoded.set_indices().map(|row| wanted.value(row)).collect();
            let all = [once.clone(), once].concat();
            for rows in [1, 3, all.len().max(1)] {
                let mut cut = Cut::of(&decoded, &wanted);
                cut.add(&decoded, &wanted);
                let parts = all
                    .chunks(rows)
                    .flat_map(|part| cut.next(part.len()).unwrap().iter().collect::<Vec<_>>());
                assert_eq!(parts.collect::<Vec<_>>(), all);
                assert!(cut.next(1).is_none());
            }
        };
        check("", "");
        check("000", "000");
        check("0110100", "0111100");
        check(&format!("1{}1", gap(31)), &"1".repeat(33));
        check(&format!("1{}1", gap(32)), &format!("1{}1", gap(32)));
        check(&format!("01{}11{}1{}", gap(40), gap(2), gap(3)), &format!("01{}11111{}", gap(40), gap(3)));
    }
}
