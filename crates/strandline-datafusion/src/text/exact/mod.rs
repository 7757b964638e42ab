//! What a text is as a value of a type: exactly that, or nothing.
//!
//! Invariants: each type has one parser, whatever form the text came in; what would become another value is refused, but that a
//! float is the nearest one there is. Pure. What does not belong here: which columns there are (`leaf`), and types that nobody
//! gave (`infer`).

pub(super) mod bytes;
pub(super) mod numbers;
pub(super) mod times;

/// Why a text is no value of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is not written like one, or beyond what the type has.
    Other,
    /// Its last digits have no place.
    Finer,
    /// It says how far it is from UTC, which the type does not keep.
    Offset,
    /// It does not say so, and the type needs it.
    NoOffset,
    /// It is a time where a date should be.
    Clock,
    /// A whole number that floats do not have.
    BetweenFloats,
    /// An object or a list where one value should be.
    Nested,
    /// More than a batch holds.
    Long,
}

impl Why {
    /// What stands behind "is not of type …".
    pub(super) fn said(self) -> &'static str {
        match self {
            Self::Other | Self::Nested => "",
            Self::Finer => ": it has more digits than the type keeps",
            Self::Offset => ": it has an offset, and the type has none",
            Self::NoOffset => ": it has no offset, such as Z or +02:00",
            Self::Clock => ": it has a time of day",
            Self::BetweenFloats => ": the type would have another whole number for it",
            Self::Long => ": it is too long",
        }
    }
}

/// The value, or why there is none.
pub(super) type Exact<T> = Result<T, Why>;

/// `true` or `false`, in letters of any case.
pub(super) fn boolean(text: &str) -> Exact<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Why::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_words_are_no_booleans() {
        assert_eq!((boolean("TRUE"), boolean("False")), (Ok(true), Ok(false)));
        for text in ["yes", "t", "1", "0", " true", ""] {
            assert_eq!(boolean(text), Err(Why::Other), "{text}");
        }
    }
}
