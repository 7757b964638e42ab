//! Edit histories of ordered maps, in the shapes that tables have, and the plain map that they are held against.
//!
//! Invariant: a history is an endless sequence that follows from its shape and seed, so a longer history begins with the
//! shorter one, and shrinking only ever drops its end.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use proptest::prelude::*;

use crate::random::Dice;

/// How many keys lie together in a cluster at most.
const CLUSTER: u64 = 48;
/// How many keys a churning map has at most.
const CHURNED: u64 = 40;
/// How many keys a random history draws from, so that edits meet.
const KEYS: u64 = 1 << 12;

/// One edit of an ordered map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit<K = u64, V = u64> {
    /// The key now has this value, whether it was there or not.
    Put(K, V),
    /// The key is gone, whether it was there or not.
    Remove(K),
}

impl<K, V> Edit<K, V> {
    /// The key that is edited.
    pub fn key(&self) -> &K {
        match self {
            Self::Put(key, _) | Self::Remove(key) => key,
        }
    }

    /// The same edit of a map with other keys and values. Keys keep their order if `key` does.
    pub fn map<L, W>(self, key: impl FnOnce(K) -> L, value: impl FnOnce(V) -> W) -> Edit<L, W> {
        match self {
            Self::Put(found, with) => Edit::Put(key(found), value(with)),
            Self::Remove(found) => Edit::Remove(key(found)),
        }
    }
}

/// Where the edits of a history fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Only puts, each after the last key.
    Append,
    /// Anywhere, with removes, the ends of the range included.
    Random,
    /// Runs of neighbours, with removes among them.
    Clustered,
    /// Only puts, each before the first key.
    Reversed,
    /// Few keys that come and go, some with a value that they had before.
    Churn,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 5] = [Self::Append, Self::Random, Self::Clustered, Self::Reversed, Self::Churn];

    /// The endless history of this shape and seed.
    ///
    /// ```
    /// use strandline_testkit::generate::edits::{Edit, Shape};
    /// let keys: Vec<u64> = Shape::Append.edits(1).take(3).map(|edit| *edit.key()).collect();
    /// assert_eq!(keys, [0, 1, 2]);
    /// ```
    pub fn edits(self, seed: u64) -> impl Iterator<Item = Edit> {
        let mut dice = Dice::new(seed);
        let mut cluster = Cluster::default();
        (0_u64..).map(move |number| match self {
            Self::Append => Edit::Put(number, dice.roll()),
            Self::Reversed => Edit::Put(u64::MAX - number, dice.roll()),
            Self::Random => random(&mut dice),
            Self::Clustered => cluster.next(&mut dice),
            Self::Churn => churn(&mut dice),
        })
    }
}

/// Edits of any shape, at most this many.
pub fn histories(longest: usize) -> impl Strategy<Value = Vec<Edit>> {
    (prop::sample::select(Shape::ALL.to_vec()), any::<u64>(), 0..=longest)
        .prop_map(|(shape, seed, length)| shape.edits(seed).take(length).collect())
}

fn random(dice: &mut Dice) -> Edit {
    let key = match dice.below(64) {
        0 => u64::MAX,
        1 => 0,
        _ => dice.below(KEYS),
    };
    if dice.one_in(4) { Edit::Remove(key) } else { Edit::Put(key, dice.roll()) }
}

fn churn(dice: &mut Dice) -> Edit {
    let key = dice.below(CHURNED);
    if dice.one_in(2) { Edit::Remove(key) } else { Edit::Put(key, dice.below(3)) }
}

#[derive(Default)]
struct Cluster {
    next: u64,
    left: u64,
}

impl Cluster {
    fn next(&mut self, dice: &mut Dice) -> Edit {
        if self.left == 0 {
            *self = Self { next: dice.below(KEYS), left: 1 + dice.below(CLUSTER) };
        }
        let key = self.next;
        *self = Self { next: key + 1, left: self.left - 1 };
        if dice.one_in(6) { Edit::Remove(key) } else { Edit::Put(key, dice.roll()) }
    }
}

/// What an ordered map should hold: the plain map, without any cleverness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model<K = u64, V = u64>(BTreeMap<K, V>);

/// How a key differs between two maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference<K = u64, V = u64> {
    /// The key.
    pub key: K,
    /// What it had, if it was there.
    pub before: Option<V>,
    /// What it has, if it is there.
    pub after: Option<V>,
}

impl<K: Ord + Clone, V: PartialEq + Clone> Model<K, V> {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Makes one edit.
    pub fn apply(&mut self, edit: Edit<K, V>) {
        match edit {
            Edit::Put(key, value) => drop(self.0.insert(key, value)),
            Edit::Remove(key) => drop(self.0.remove(&key)),
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// The entries of a range, in order.
    pub fn range(&self, range: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.range(range)
    }

    /// All entries, in order.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<K, V> {
        &self.0
    }

    /// What differs in `after`, by key.
    #[must_use]
    pub fn diff(&self, after: &Self) -> Vec<Difference<K, V>> {
        let keys: std::collections::BTreeSet<&K> = self.0.keys().chain(after.0.keys()).collect();
        let changed = keys.into_iter().filter(|key| self.get(key) != after.get(key));
        changed
            .map(|key| Difference {
                key: key.clone(),
                before: self.get(key).cloned(),
                after: after.get(key).cloned(),
            })
            .collect()
    }
}

impl<K: Ord + Clone, V: PartialEq + Clone> Default for Model<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone, V: PartialEq + Clone> FromIterator<Edit<K, V>> for Model<K, V> {
    fn from_iter<I: IntoIterator<Item = Edit<K, V>>>(edits: I) -> Self {
        let mut model = Self::new();
        edits.into_iter().for_each(|edit| model.apply(edit));
        model
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(shape: Shape, count: usize) -> Vec<u64> {
        shape.edits(3).take(count).map(|edit| *edit.key()).collect()
    }

    #[test]
    fn histories_repeat_and_differ_by_seed() {
        for shape in Shape::ALL {
            let history = |seed| shape.edits(seed).take(500).collect::<Vec<_>>();
            assert_eq!(history(1), history(1), "{shape:?}");
            assert_ne!(history(1), history(2), "{shape:?}");
        }
    }

    #[test]
    fn shapes_are_what_they_are_called() {
        assert!(keys(Shape::Append, 100).is_sorted_by(|a, b| a < b));
        assert!(keys(Shape::Reversed, 100).is_sorted_by(|a, b| a > b));
        let neighbours = |shape| keys(shape, 2_000).windows(2).filter(|pair| pair[0] + 1 == pair[1]).count();
        assert!(neighbours(Shape::Clustered) > 1_700);
        assert!(keys(Shape::Churn, 2_000).iter().all(|key| *key < CHURNED));
        let random = keys(Shape::Random, 2_000);
        assert!(random.contains(&0) && random.contains(&u64::MAX));
        for shape in [Shape::Random, Shape::Clustered, Shape::Churn] {
            let removes = shape.edits(3).take(600).filter(|edit| matches!(edit, Edit::Remove(_))).count();
            assert!(removes > 50, "{shape:?} removes {removes}");
        }
    }

    #[test]
    fn the_model_is_a_map() {
        let mut model: Model = [Edit::Put(2, 20), Edit::Put(1, 10), Edit::Remove(9)].into_iter().collect();
        let before = model.clone();
        model.apply(Edit::Put(1, 11));
        model.apply(Edit::Remove(2));
        model.apply(Edit::Put(3, 30));
        assert_eq!(model.range(..3).collect::<Vec<_>>(), [(&1, &11)]);
        let changed = before.diff(&model);
        let changed: Vec<_> = changed.iter().map(|d| (d.key, d.before, d.after)).collect();
        assert_eq!(changed, [(1, Some(10), Some(11)), (2, Some(20), None), (3, None, Some(30))]);
        assert_eq!(model.diff(&model), []);
    }
}
