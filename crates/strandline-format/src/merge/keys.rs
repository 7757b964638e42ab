//! Rows of a merge's result that have one key, although neither side had both of them with it [REB-17].
//!
//! Keys are not enforced: what one side has twice by itself it may have twice after a merge. Only what comes together by the merge is
//! a conflict. What does not belong here: where rows with equal keys are looked for, and by which fields.

use std::collections::HashMap;
use std::hash::Hash;

/// A row of the result, and the key that each side has it with, if the side has it.
///
/// ```
/// use strandline_format::merge::KeyedRow;
/// let updated_by_ours = KeyedRow { key: "new", ours: Some("new"), theirs: Some("old") };
/// assert_ne!(updated_by_ours.ours, updated_by_ours.theirs);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyedRow<K> {
    /// Its key; none of its values is null.
    pub key: K,
    /// On our side.
    pub ours: Option<K>,
    /// On their side.
    pub theirs: Option<K>,
}

/// Which rows are in conflict, by their places in the list: those that our side has with the key come first in a pair.
///
/// ```
/// use strandline_format::merge::{KeyedRow, same_keys};
/// let ours = KeyedRow { key: 7, ours: Some(7), theirs: None };
/// let theirs = KeyedRow { key: 7, ours: None, theirs: Some(7) };
/// assert_eq!(same_keys(&[theirs, ours]), [(1, 0)]);
/// // What one side has twice by itself is no business of a merge.
/// assert!(same_keys(&[ours, ours]).is_empty());
/// ```
#[must_use]
pub fn same_keys<K: Eq + Hash>(rows: &[KeyedRow<K>]) -> Vec<(usize, usize)> {
    let mut by_key: HashMap<&K, Vec<usize>> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        by_key.entry(&row.key).or_default().push(at);
    }
    let mut found: Vec<(usize, usize)> =
        by_key.values().flat_map(|places| of_one_key(rows, places)).collect();
    found.sort_unstable();
    found
}

fn of_one_key<K: Eq>(rows: &[KeyedRow<K>], places: &[usize]) -> Vec<(usize, usize)> {
    let is_ours = |at: usize| rows[at].ours.as_ref() == Some(&rows[at].key);
    let is_theirs = |at: usize| rows[at].theirs.as_ref() == Some(&rows[at].key);
    let mut found = Vec::new();
    for (first, &one) in places.iter().enumerate() {
        for &other in &places[first + 1..] {
            let stood_together = (is_ours(one) && is_ours(other)) || (is_theirs(one) && is_theirs(other));
            if !stood_together {
                found.push(if is_ours(other) && !is_ours(one) { (other, one) } else { (one, other) });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{KeyedRow, same_keys};

    fn rows() -> impl Strategy<Value = Vec<KeyedRow<u8>>> {
        let side = || prop::option::of(0..3_u8);
        prop::collection::vec((0..3_u8, side(), side()), 0..8).prop_map(|rows| {
            rows.into_iter().map(|(key, ours, theirs)| KeyedRow { key, ours, theirs }).collect()
        })
    }

    proptest! {
        #[test]
        fn the_sides_are_equal(rows in rows()) {
            let swapped: Vec<_> =
                rows.iter().map(|row| KeyedRow { ours: row.theirs, theirs: row.ours, ..*row }).collect();
            let pairs = |rows: &[KeyedRow<u8>]| {
                let mut pairs: Vec<_> =
                    same_keys(rows).into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
                pairs.sort_unstable();
                pairs
            };
            prop_assert_eq!(pairs(&rows), pairs(&swapped));
        }

        #[test]
        fn what_one_side_has_alone_it_may_have_twice(rows in rows()) {
            let alone: Vec<_> = rows.iter().map(|row| KeyedRow { ours: Some(row.key), ..*row }).collect();
            prop_assert_eq!(same_keys(&alone), []);
        }
    }
}
