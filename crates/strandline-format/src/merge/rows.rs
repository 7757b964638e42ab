//! What becomes of a row that was there at the base: the one table that every merge comes down to [REB-7].

/// What a side did to a row of the base.
///
/// ```
/// use strandline_format::merge::{RowFate, RowMerge};
///
/// // A row that one side only moved may be deleted by the other one.
/// assert_eq!(RowMerge::of(RowFate::Moved, RowFate::Deleted), RowMerge::Deleted);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowFate {
    /// Nothing.
    Left,
    /// It stands in another place, with the same values: compaction.
    Moved,
    /// It is gone.
    Deleted,
    /// It stands in another place, with other values.
    Changed,
    /// It was deleted at the base and is back.
    Restored,
}

/// Where a row of the base stands after a merge.
///
/// ```
/// use strandline_format::merge::{RowFate, RowMerge};
///
/// assert_eq!(RowMerge::of(RowFate::Changed, RowFate::Left), RowMerge::Ours);
/// assert_eq!(RowMerge::of(RowFate::Changed, RowFate::Changed), RowMerge::Conflict);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowMerge {
    /// Where our side has it, and nowhere else.
    Ours,
    /// Where their side has it, and nowhere else.
    Theirs,
    /// Nowhere.
    Deleted,
    /// The sides disagree.
    Conflict,
}

impl RowMerge {
    /// What two fates come to. A pair that no two histories of one row can have is a conflict as well: it is never guessed at.
    #[must_use]
    pub fn of(ours: RowFate, theirs: RowFate) -> Self {
        use RowFate as Fate;
        match (ours, theirs) {
            (Fate::Left | Fate::Moved, Fate::Left | Fate::Moved) if ours == Fate::Moved || ours == theirs => {
                Self::Ours
            }
            (Fate::Left, Fate::Moved) | (Fate::Left | Fate::Moved, Fate::Changed) => Self::Theirs,
            (Fate::Changed, Fate::Left | Fate::Moved) => Self::Ours,
            (Fate::Left | Fate::Moved | Fate::Deleted, Fate::Deleted)
            | (Fate::Deleted, Fate::Left | Fate::Moved) => Self::Deleted,
            (Fate::Restored, Fate::Left) => Self::Ours,
            (Fate::Left, Fate::Restored) => Self::Theirs,
            // Back on both sides: what it was on each only its values say.
            _ => Self::Conflict,
        }
    }

    /// The same where sides have a field back that the base had dropped and the other side has not: a row which that one wrote anew has no
    /// value of it there.
    ///
    /// ```
    /// use strandline_format::merge::{RowFate, RowMerge};
    ///
    /// let (ours_back, theirs_back) = (false, true);
    /// let merge = RowMerge::with_fields_back(RowFate::Changed, RowFate::Left, [ours_back, theirs_back]);
    /// assert_eq!(merge, RowMerge::Conflict);
    /// ```
    #[must_use]
    pub fn with_fields_back(ours: RowFate, theirs: RowFate, [by_ours, by_theirs]: [bool; 2]) -> Self {
        let wrote = |fate| matches!(fate, RowFate::Moved | RowFate::Changed);
        let has = |fate| fate == RowFate::Left || wrote(fate);
        if by_theirs && wrote(ours) && has(theirs) || by_ours && wrote(theirs) && has(ours) {
            return Self::Conflict;
        }
        Self::of(ours, theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::RowFate::{self, *};
    use super::RowMerge;

    const ALL: [RowFate; 5] = [Left, Moved, Deleted, Changed, Restored];

    /// The table of the specification, to be read beside it.
    #[test]
    fn the_table_is_that_of_the_specification() {
        use RowMerge::{Conflict as X, Deleted as D, Ours as O, Theirs as T};
        let table = [[O, T, D, T, T], [O, O, D, T, X], [D, D, D, X, X], [O, O, X, X, X], [O, X, X, X, X]];
        for (ours, row) in ALL.into_iter().zip(table) {
            let found = ALL.map(|theirs| RowMerge::of(ours, theirs));
            assert_eq!(found, row, "{ours:?}");
        }
    }

    #[test]
    fn a_row_that_was_written_without_a_field_that_is_back_is_asked_for() {
        use RowMerge::{Conflict as X, Deleted as D, Ours as O, Theirs as T};
        let table = [[O, T, D, T, T], [X, X, D, X, X], [D, D, D, X, X], [X, X, X, X, X], [O, X, X, X, X]];
        for (ours, row) in ALL.into_iter().zip(table) {
            let found = ALL.map(|theirs| RowMerge::with_fields_back(ours, theirs, [false, true]));
            assert_eq!(found, row, "{ours:?}");
        }
    }

    #[test]
    fn the_sides_are_equal() {
        for (ours, theirs) in ALL.into_iter().flat_map(|one| ALL.map(|two| (one, two))) {
            for [one, other] in [[false, false], [false, true], [true, false], [true, true]] {
                let found = RowMerge::with_fields_back(ours, theirs, [one, other]);
                let swapped = RowMerge::with_fields_back(theirs, ours, [other, one]);
                let expected = match found {
                    RowMerge::Ours if ours != theirs => RowMerge::Theirs,
                    RowMerge::Theirs => RowMerge::Ours,
                    same => same,
                };
                assert_eq!(swapped, expected, "{ours:?} {theirs:?}");
            }
        }
    }
}
