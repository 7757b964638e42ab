//! The set of field ids that a file was written with: a field that is not in it reads as its initial default [TBL-3].

use crate::error::{Error, Result};
use crate::id::FieldId;

/// Field ids, as ranges.
///
/// Invariant: the ranges ascend and do not touch, so equal sets have equal ranges.
///
/// ```
/// use strandline_format::{FieldId, FieldSet};
/// let set = FieldSet::of([FieldId(3), FieldId(1), FieldId(2), FieldId(9)]);
/// assert_eq!(set.ranges(), [(FieldId(1), FieldId(3)), (FieldId(9), FieldId(9))]);
/// assert!(set.contains(FieldId(2)) && !set.contains(FieldId(4)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSet(Vec<(FieldId, FieldId)>);

impl FieldSet {
    /// The set of these ids.
    #[must_use]
    pub fn of(ids: impl IntoIterator<Item = FieldId>) -> Self {
        let mut ids: Vec<FieldId> = ids.into_iter().collect();
        ids.sort_unstable();
        Self::joined(ids.into_iter().map(|id| (id, id)))
    }

    /// The set of these ranges, both ends included.
    ///
    /// # Errors
    /// `Invalid` if a range is reversed, or they overlap or do not ascend.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (FieldId, FieldId)>) -> Result<Self> {
        let ranges: Vec<(FieldId, FieldId)> = ranges.into_iter().collect();
        let reversed = ranges.iter().find(|(first, last)| first > last);
        let out_of_order = ranges.windows(2).find(|pair| pair[0].1 >= pair[1].0).map(|pair| &pair[1]);
        match reversed.or(out_of_order) {
            Some((first, last)) => {
                Err(Error::invalid(format!("the field ids {first} to {last} are out of order")))
            }
            None => Ok(Self::joined(ranges)),
        }
    }

    /// Joins ranges that touch or repeat each other; they come in the order of their first ids.
    fn joined(ranges: impl IntoIterator<Item = (FieldId, FieldId)>) -> Self {
        let mut joined: Vec<(FieldId, FieldId)> = Vec::new();
        for (first, last) in ranges {
            match joined.last_mut() {
                Some(before) if first.0 <= before.1.0.saturating_add(1) => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    /// The ranges, both ends included.
    #[must_use]
    pub fn ranges(&self) -> &[(FieldId, FieldId)] {
        &self.0
    }

    /// Whether an id is in the set.
    #[must_use]
    pub fn contains(&self, id: FieldId) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < id);
        self.0.get(at).is_some_and(|(first, _)| *first <= id)
    }
}
