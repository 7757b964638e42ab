//! Scans of few rows by their ids: files that cannot hold one are passed over, and in those whose ids follow from places all other rows.
//!
//! Invariant: no row with an id that is asked for is left out. What does not belong here: what files store of ids, which a plan does not read
//! (`table::places` does).

use std::ops::RangeInclusive;

use strandline_format::{Deletes, DeletionVector, FileEntry, MAX_INLINE_DELETES, RowIds};

use crate::error::Result;

/// So many rows of a file are told apart from all others; of more than that, all are read.
const FEW: u64 = 1 << 10;

/// Ids of rows: ranges of them, which ascend and do not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids(Vec<(u64, u64)>);

impl Ids {
    pub(super) fn of(ranges: impl IntoIterator<Item = RangeInclusive<u64>>) -> Self {
        let mut sorted: Vec<(u64, u64)> = ranges.into_iter().map(RangeInclusive::into_inner).collect();
        sorted.retain(|(first, last)| first <= last);
        sorted.sort_unstable();
        let mut ids: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match ids.last_mut() {
                Some((_, before)) if first <= before.saturating_add(1) => *before = last.max(*before),
                _ => ids.push((first, last)),
            }
        }
        Self(ids)
    }

    /// Whether one of them is within these bounds.
    pub(super) fn any_within(&self, bounds: (u64, u64)) -> bool {
        self.within(bounds).next().is_some()
    }

    /// Those within these bounds, as ranges.
    fn within(&self, (first, last): (u64, u64)) -> impl Iterator<Item = (u64, u64)> + '_ {
        let from = self.0.partition_point(|range| range.1 < first);
        let ranges = self.0[from..].iter().take_while(move |range| range.0 <= last);
        ranges.map(move |range| (range.0.max(first), range.1.min(last)))
    }

    /// An entry of which only these rows are left, where that can be told by it alone; for reading, it is never stored.
    pub(super) fn of_entry(&self, entry: FileEntry) -> Result<FileEntry> {
        let (RowIds::Derived, Some(bounds)) = (entry.row_ids, entry.row_id_bounds()) else {
            return Ok(entry);
        };
        let few = self.within(bounds).try_fold(0_u64, |sum, (first, last)| {
            sum.checked_add((last - first).checked_add(1)?).filter(|sum| *sum <= FEW)
        });
        let deleted = match &entry.deletes {
            None => DeletionVector::new(),
            Some(Deletes::Inline { blob, .. }) => DeletionVector::decode(blob)?,
            Some(Deletes::Stored { .. }) => return Ok(entry),
        };
        if few.is_none() {
            return Ok(entry);
        }
        let wanted = self.within(bounds).flat_map(|(first, last)| first..=last);
        let wanted = DeletionVector::from_positions(wanted.map(|id| id - bounds.0))?;
        let others = DeletionVector::below(entry.rows)?.added_since(&wanted.added_since(&deleted));
        if others.is_empty() {
            return Ok(entry);
        }
        let (rows, blob) = (others.cardinality(), others.encode()?);
        // What is sent to another process is an entry as any other.
        if blob.len() > MAX_INLINE_DELETES {
            return Ok(entry);
        }
        Ok(FileEntry { deletes: Some(Deletes::Inline { rows, blob }), ..entry })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_ascend_and_do_not_touch() {
        let ids = Ids::of([7..=9, 3..=3, 4..=5, 8..=12, RangeInclusive::new(20, 19), u64::MAX..=u64::MAX]);
        assert_eq!(ids.0, [(3, 5), (7, 12), (u64::MAX, u64::MAX)]);
        assert_eq!(ids.within((5, 7)).collect::<Vec<_>>(), [(5, 5), (7, 7)]);
        assert!(ids.any_within((12, 12)) && !ids.any_within((13, 100)) && !ids.any_within((0, 2)));
        assert!(!Ids::of([]).any_within((0, u64::MAX)));
    }
}
