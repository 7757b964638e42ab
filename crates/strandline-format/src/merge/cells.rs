//! What a row comes to by its cells, where both sides touched it [MRG-8], or each has decided on it by itself [MRG-2].
//!
//! Invariants: a cell that one side left as the base has it is the other side's; one that is in dispute both sides have changed; what both changed
//! to different values is a conflict and never guessed at. What does not belong here: values, which the caller compares, and the columns
//! of a key, which it takes for one cell.

/// What a row, or some of its cells, comes to.
///
/// ```
/// use strandline_format::merge::CellsMerge;
///
/// // Ours changed one cell, theirs another one.
/// let ours = CellsMerge::cell([true, false], true, false);
/// let theirs = CellsMerge::cell([false, true], true, false);
/// assert_eq!(ours.and(theirs), CellsMerge::Both);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellsMerge {
    /// The same on both sides.
    Alike,
    /// As our side has it.
    Ours,
    /// As their side has it.
    Theirs,
    /// With cells of both.
    Both,
    /// Nothing.
    Deleted,
    /// What only a resolution tells.
    Conflict,
}

impl CellsMerge {
    /// Of one cell of a row that the base and both sides have: which of these changed it, whether they differ, and whether it is in dispute.
    #[must_use]
    pub fn cell([by_ours, by_theirs]: [bool; 2], apart: bool, disputed: bool) -> Self {
        match (by_ours || disputed, by_theirs || disputed) {
            _ if !apart => Self::Alike,
            (true, true) => Self::Conflict,
            (false, true) => Self::Theirs,
            (_, false) => Self::Ours,
        }
    }

    /// With more cells of the same row.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        match (self, more) {
            (Self::Conflict, _) | (_, Self::Conflict) => Self::Conflict,
            (one, other) if one == other => one,
            (Self::Alike, one) | (one, Self::Alike) => one,
            _ => Self::Both,
        }
    }

    /// Of a row that the base and one side have and the other side deleted: whether the one side changed it, and whether anything of it is in dispute.
    #[must_use]
    pub fn deleted(changed: bool, disputed: bool) -> Self {
        if changed || disputed { Self::Conflict } else { Self::Deleted }
    }

    /// Of a row that both sides have and the base has not: whether they differ.
    #[must_use]
    pub fn restored(apart: bool) -> Self {
        if apart { Self::Conflict } else { Self::Alike }
    }
}

#[cfg(test)]
mod tests {
    use super::CellsMerge::{self, *};

    #[test]
    fn the_sides_are_equal() {
        let swapped = |merge: CellsMerge| match merge {
            Ours => Theirs,
            Theirs => Ours,
            same => same,
        };
        let bits = |number: u8| [0, 1, 2, 3].map(|bit| number >> bit & 1 == 1);
        for [by_ours, by_theirs, apart, disputed] in (0..16).map(bits) {
            // Nothing differs that neither side has changed.
            let apart = apart && (by_ours || by_theirs || disputed);
            let one = CellsMerge::cell([by_ours, by_theirs], apart, disputed);
            assert_eq!(CellsMerge::cell([by_theirs, by_ours], apart, disputed), swapped(one));
            assert!(!disputed || matches!(one, Alike | Conflict), "what is in dispute is no side's alone");
        }
        for [one, other] in [Alike, Ours, Theirs, Both, Conflict]
            .into_iter()
            .flat_map(|one| [Alike, Ours, Theirs, Both, Conflict].map(|other| [one, other]))
        {
            assert_eq!(one.and(other), other.and(one));
            assert_eq!(swapped(one.and(other)), swapped(one).and(swapped(other)));
        }
    }
}
