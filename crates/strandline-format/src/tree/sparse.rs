//! A column that is left out where every value is the default [TREE-9].

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A column of values, empty when all of them are the default.
///
/// Invariant: either empty, or with at least one value that differs from the default once [`Sparse::of`] has made it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sparse<T>(Vec<T>);

impl<T: Clone + Default + PartialEq> Sparse<T> {
    /// Collects values, leaving them out if they are all the default.
    pub(crate) fn of(values: impl IntoIterator<Item = T>) -> Self {
        let values: Vec<T> = values.into_iter().collect();
        let default = T::default();
        if values.iter().all(|value| *value == default) { Self(Vec::new()) } else { Self(values) }
    }

    /// One value.
    pub(crate) fn get(&self, at: usize) -> T {
        self.0.get(at).cloned().unwrap_or_default()
    }

    /// Whether the column is left out.
    pub(crate) fn is_left_out(&self) -> bool {
        self.0.is_empty()
    }

    /// The column with each value turned into another; defaults must turn into defaults.
    pub(crate) fn map<U: Clone + Default + PartialEq>(&self, turn: impl Fn(&T) -> U) -> Sparse<U> {
        Sparse::of(self.0.iter().map(turn))
    }

    /// [`Sparse::map`] where it may fail.
    pub(crate) fn try_map<U: Clone + Default + PartialEq>(
        &self,
        turn: impl Fn(&T) -> Result<U>,
    ) -> Result<Sparse<U>> {
        Ok(Sparse::of(self.0.iter().map(turn).collect::<Result<Vec<U>>>()?))
    }

    /// Checks that the column is left out or has a value for each of `len` entries.
    pub(crate) fn check(&self, name: &str, len: usize) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { check_len(name, self.0.len(), len) }
    }

    /// The values, none if the column is left out.
    pub(crate) fn values(&self) -> &[T] {
        &self.0
    }
}

/// Refuses a column that is not as long as its node.
pub(crate) fn check_len(name: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::malformed(format!("column {name:?} has {found} values for {expected} entries")))
}
