//! Predicates over columns, and what statistics say about them: which entries cannot hold a row that passes.
//!
//! Invariants: an entry is left out only if no row of it passes, whatever its statistics do not say, and under every order
//! of NaN and of the two zeros that engines use [STAT-11]; what is not known keeps. Evaluating rows is the engine's
//! business.

mod key;
mod literals;
mod prune;

#[cfg(test)]
mod tests;

pub use prune::Absent;

use crate::id::FieldId;
use crate::value::Value;

/// A predicate as SQL understands it: a row passes where it is true, neither where it is false nor where it is unknown.
///
/// What an engine cannot say in these terms it leaves out of an `And`, or says [`Filter::True`]; never under a `Not`. So a
/// filter passes whatever the engine's own predicate passes.
///
/// ```
/// use strandline_format::{Comparison, FieldId, Filter, Test, Value};
///
/// // amount >= 10 AND NOT (city IS NULL)
/// let filter = Filter::And(vec![
///     Filter::compare(FieldId(2), Comparison::GreaterOrEqual, Value::Long(10)),
///     Filter::Not(Box::new(Filter::Field(FieldId(3), Test::IsNull))),
/// ]);
/// assert_eq!(filter.fields(), [FieldId(2), FieldId(3)]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Every row passes.
    True,
    /// No row passes.
    False,
    /// All of them hold.
    And(Vec<Filter>),
    /// One of them holds.
    Or(Vec<Filter>),
    /// It is false; where it is unknown, this is too.
    Not(Box<Filter>),
    /// A field's value passes a test.
    Field(FieldId, Test),
}

/// A test of one value; unknown for null, but for the first two and for lists of nothing. Literals are never null.
///
/// ```
/// use strandline_format::{FieldId, Filter, Test, Value};
///
/// let filter = Filter::Field(FieldId(1), Test::In(vec![Value::Long(1), Value::Long(2)]));
/// assert_eq!(filter.fields(), [FieldId(1)]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The value is null.
    IsNull,
    /// The value is not null.
    IsNotNull,
    /// The value compares so with a literal.
    Compare(Comparison, Value),
    /// The value is one of these.
    In(Vec<Value>),
    /// The value is none of these.
    NotIn(Vec<Value>),
    /// The value is at least the first and at most the second.
    Between(Value, Value),
    /// The string, or byte string, begins so.
    StartsWith(Value),
    /// It does not begin so.
    NotStartsWith(Value),
}

/// How a value compares with a literal.
///
/// ```
/// use strandline_format::Comparison;
/// assert_eq!(Comparison::Less.negated(), Comparison::GreaterOrEqual);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// What holds of two values, neither of them null, exactly where this does not.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }
}

impl Filter {
    /// A field's value compares so with a literal.
    #[must_use]
    pub fn compare(field: FieldId, comparison: Comparison, literal: Value) -> Self {
        Self::Field(field, Test::Compare(comparison, literal))
    }

    /// A field's value equals a literal.
    #[must_use]
    pub fn equal(field: FieldId, literal: Value) -> Self {
        Self::compare(field, Comparison::Equal, literal)
    }

    /// The fields that the filter asks for, each as often as it does.
    #[must_use]
    pub fn fields(&self) -> Vec<FieldId> {
        match self {
            Self::True | Self::False => Vec::new(),
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::fields).collect(),
            Self::Not(inner) => inner.fields(),
            Self::Field(id, _) => vec![*id],
        }
    }
}

impl Test {
    /// The test as one that holds exactly where this is false; unknown stays unknown. `None` for `Between`, which has none.
    fn negated(&self) -> Option<Self> {
        Some(match self {
            Self::IsNull => Self::IsNotNull,
            Self::IsNotNull => Self::IsNull,
            Self::Compare(comparison, literal) => Self::Compare(comparison.negated(), literal.clone()),
            Self::In(literals) => Self::NotIn(literals.clone()),
            Self::NotIn(literals) => Self::In(literals.clone()),
            Self::StartsWith(prefix) => Self::NotStartsWith(prefix.clone()),
            Self::NotStartsWith(prefix) => Self::StartsWith(prefix.clone()),
            Self::Between(..) => return None,
        })
    }
}
