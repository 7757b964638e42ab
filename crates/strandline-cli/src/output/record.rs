//! Things that a verb lists: an object for programs, cells for people.

use serde::Serialize;

use super::cell::{Cell, Kind};

/// One thing of a list. Its serialised form is the documented object; its cells are the columns of `table` and `csv`.
pub(crate) trait Record: Serialize {
    /// The names of the columns, and what stands in them.
    const COLUMNS: &'static [(&'static str, Kind)];

    /// A cell for each column.
    fn cells(&self) -> Vec<Cell>;
}

/// What was said, null if that is nothing.
pub(crate) fn said(text: impl Into<String>) -> Option<String> {
    Some(text.into()).filter(|text| !text.is_empty())
}

/// A column of text.
pub(crate) const fn text(name: &'static str) -> (&'static str, Kind) {
    (name, Kind::Text)
}

/// A column of texts that are copied, as times and hashes are: none is broken into lines.
pub(crate) const fn word(name: &'static str) -> (&'static str, Kind) {
    (name, Kind::Word)
}

/// A column of numbers.
pub(crate) const fn number(name: &'static str) -> (&'static str, Kind) {
    (name, Kind::Number)
}
