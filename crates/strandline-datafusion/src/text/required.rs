//! Columns in which a value must stand: where one is missing is said by the line of the file, which whoever takes the rows does not know.

use std::sync::Arc;

use strandline::format::NameKey;

/// The columns that must have values. Cloning gives another handle to the same.
#[derive(Clone, Debug, Default)]
pub struct Required(Arc<[NameKey]>);

impl Required {
    /// Those of these names, as far as they are there.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Self(names.into_iter().map(NameKey::of).collect())
    }

    /// Whether this is one, in letters of any case.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(&NameKey::of(name))
    }
}
