//! The plainest merge: of a single value, and of values by key.

use std::collections::{BTreeMap, BTreeSet};

/// What a value comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Merged<T> {
    /// This.
    Value(T),
    /// Both sides changed it, and not to the same.
    Conflict,
}

/// What only one side changed is that side's; what both changed equally is that.
pub(super) fn merge_value<T: PartialEq>(base: &T, ours: T, theirs: T) -> Merged<T> {
    if ours == theirs || theirs == *base {
        Merged::Value(ours)
    } else if ours == *base {
        Merged::Value(theirs)
    } else {
        Merged::Conflict
    }
}

/// Merges key by key; the keys that the sides disagree on go to `conflict`.
pub(super) fn merge_maps<K: Ord + Clone, V: PartialEq + Clone>(
    base: &BTreeMap<K, V>,
    ours: &BTreeMap<K, V>,
    theirs: &BTreeMap<K, V>,
    mut conflict: impl FnMut(&K, Option<&V>, Option<&V>),
) -> BTreeMap<K, V> {
    let mut merged = ours.clone();
    let keys: BTreeSet<&K> = base.keys().chain(theirs.keys()).collect();
    for key in keys {
        let (mine, yours) = (ours.get(key), theirs.get(key));
        match merge_value(&base.get(key), mine, yours) {
            Merged::Value(Some(value)) => drop(merged.insert(key.clone(), value.clone())),
            Merged::Value(None) => drop(merged.remove(key)),
            Merged::Conflict => conflict(key, mine, yours),
        }
    }
    merged
}
