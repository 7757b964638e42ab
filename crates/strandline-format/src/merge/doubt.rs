//! What the base of a merge cannot tell, where it was made of several last common commits that disagree [MRG-2].
//!
//! Invariant: what is in doubt is nobody's, so that no decision of one side passes for none. What does not belong here: how a base is made,
//! and what else is in doubt because nothing relates its rows [MRG-11].

use std::collections::BTreeSet;

use crate::catalog::CatalogEntry;
use crate::id::FieldId;

/// In what two last common commits disagree on a row: what the base has there is nobody's.
///
/// ```
/// use strandline_format::FieldId;
/// use strandline_format::merge::Dispute;
///
/// let [one, other] = [1, 2].map(|field| Dispute::Cells([FieldId(field)].into()));
/// assert!(one.clone().and(other.clone()).has(FieldId(2)) && !one.has(FieldId(2)));
/// assert_eq!(one.and(Dispute::Row), Dispute::Row);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dispute {
    /// In whether it is there, or what it is.
    Row,
    /// In these columns.
    Cells(BTreeSet<FieldId>),
}

impl Dispute {
    /// On a row that these have, in the columns in which the two commits differ.
    #[must_use]
    pub fn between([base, one, other]: [bool; 3], differing: impl IntoIterator<Item = FieldId>) -> Self {
        if base && one && other { Self::Cells(differing.into_iter().collect()) } else { Self::Row }
    }

    /// This one, and that of two others.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        match (self, more) {
            (Self::Cells(one), Self::Cells(other)) => Self::Cells(one.union(&other).copied().collect()),
            _ => Self::Row,
        }
    }

    /// Whether the cell of a column is in dispute.
    #[must_use]
    pub fn has(&self, field: FieldId) -> bool {
        match self {
            Self::Row => true,
            Self::Cells(fields) => fields.contains(&field),
        }
    }
}

/// What becomes of a table, view or namespace that is in doubt.
///
/// ```
/// use strandline_format::merge::DoubtMerge;
///
/// assert_eq!(DoubtMerge::<()>::of(None, None, None), DoubtMerge::Alike);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoubtMerge<S> {
    /// Both sides have it alike, so there is nothing to decide.
    Alike,
    /// As the side has it that it was resolved for, as a whole; as if the other one had left it.
    Taken(S),
    /// Only a resolution for the whole of it resolves it.
    Conflict,
}

impl<S> DoubtMerge<S> {
    /// Of what the sides have of it, and the side that it was resolved for.
    #[must_use]
    pub fn of(ours: Option<&CatalogEntry>, theirs: Option<&CatalogEntry>, resolved: Option<S>) -> Self {
        match resolved {
            _ if ours == theirs => Self::Alike,
            Some(side) => Self::Taken(side),
            None => Self::Conflict,
        }
    }
}
