//! Predicates by column path, before any table has seen them.
//!
//! Invariants: no list is empty and no `Not` stands directly on a `Not`, since the builders simplify both away, so that every
//! predicate has a text that reads as the same predicate. What does not belong here: whether the columns exist.

use std::ops::Not;

use strandline_format::{Comparison, Filter, Schema};

use super::literal::Literal;
use crate::Result;

/// What rows must be for an operation to take them. A row passes where it is true, neither where it is false nor where it is
/// unknown, as everything that is asked of null is.
///
/// ```
/// use strandline::filter::{Predicate, col};
/// let built = col("amount").ge(10).and(col("address.city").is_not_null());
/// let read: Predicate = "amount >= 10 AND address.city IS NOT NULL".parse()?;
/// assert_eq!(built, read);
/// # Ok::<(), strandline::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate(pub(super) Node);

/// What a predicate is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Constant(bool),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Test(Column, Test),
}

/// What is asked of one column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    /// A boolean column by itself.
    IsTrue,
    IsNull,
    IsNotNull,
    Compare(Comparison, Literal),
    In(Vec<Literal>),
    NotIn(Vec<Literal>),
    Between(Literal, Literal),
    StartsWith(Literal),
}

/// A column, or a field in a column of structs, by its path of names. Case does not matter.
///
/// ```
/// use strandline::filter::{Predicate, col};
///
/// let open = col("paid").is_null().and(col("amount").between(10, 20));
/// assert_eq!(open, "paid IS NULL AND amount BETWEEN 10 AND 20".parse::<Predicate>()?);
/// # Ok::<(), strandline::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column(pub(super) Vec<String>);

/// The column at a path of names with dots between them.
///
/// ```
/// use strandline::filter::{col, col_path};
/// assert_eq!(col("address.city"), col_path(["address", "city"]));
/// ```
#[must_use]
pub fn col(path: &str) -> Column {
    col_path(path.split('.'))
}

/// The column at a path of names, which may have dots themselves.
///
/// ```
/// use strandline::filter::{col, col_path};
///
/// // A name with a dot in it, and a field within a struct.
/// assert_ne!(col_path(["net.price"]), col("net.price"));
/// assert_eq!(col_path(["net", "price"]), col("net.price"));
/// ```
#[must_use]
pub fn col_path<N: Into<String>>(path: impl IntoIterator<Item = N>) -> Column {
    Column(path.into_iter().map(Into::into).collect())
}

impl Column {
    /// The value equals a literal.
    #[must_use]
    pub fn eq(self, literal: impl Into<Literal>) -> Predicate {
        self.compare(Comparison::Equal, literal)
    }

    /// The value does not equal a literal.
    #[must_use]
    pub fn ne(self, literal: impl Into<Literal>) -> Predicate {
        self.compare(Comparison::NotEqual, literal)
    }

    /// The value is below a literal.
    #[must_use]
    pub fn lt(self, literal: impl Into<Literal>) -> Predicate {
        self.compare(Comparison::Less, literal)
    }

    /// The value is at most a literal.
    #[must_use]
    pub fn le(self, literal: impl Into<Literal>) -> Predicate {
        self.compare(Comparison::LessOrEqual, literal)
    }

    /// The value is above a literal.
    #[must_use]
    pub fn gt(self, literal: impl Into<Literal>) -> Predicate {
        self.compare(Comparison::Greater, literal)
    }

    /// The value is at least a literal.
    #[must_use]
    pub fn ge(self, literal: impl Into<Literal>) -> Predicate {
        self.compare(Comparison::GreaterOrEqual, literal)
    }

    /// The boolean value is true.
    #[must_use]
    pub fn is_true(self) -> Predicate {
        self.test(Test::IsTrue)
    }

    /// The value is null.
    #[must_use]
    pub fn is_null(self) -> Predicate {
        self.test(Test::IsNull)
    }

    /// The value is not null.
    #[must_use]
    pub fn is_not_null(self) -> Predicate {
        self.test(Test::IsNotNull)
    }

    /// The value is one of these; of none, if there are none.
    #[must_use]
    pub fn is_in<L: Into<Literal>>(self, literals: impl IntoIterator<Item = L>) -> Predicate {
        let literals: Vec<Literal> = literals.into_iter().map(Into::into).collect();
        if literals.is_empty() { Predicate::none() } else { self.test(Test::In(literals)) }
    }

    /// The value is none of these; every row passes, if there are none.
    #[must_use]
    pub fn not_in<L: Into<Literal>>(self, literals: impl IntoIterator<Item = L>) -> Predicate {
        let literals: Vec<Literal> = literals.into_iter().map(Into::into).collect();
        if literals.is_empty() { Predicate::all() } else { self.test(Test::NotIn(literals)) }
    }

    /// The value is at least the first literal and at most the second.
    #[must_use]
    pub fn between(self, low: impl Into<Literal>, high: impl Into<Literal>) -> Predicate {
        self.test(Test::Between(low.into(), high.into()))
    }

    /// The string, or byte string, begins so.
    #[must_use]
    pub fn starts_with(self, prefix: impl Into<Literal>) -> Predicate {
        self.test(Test::StartsWith(prefix.into()))
    }

    pub(super) fn compare(self, comparison: Comparison, literal: impl Into<Literal>) -> Predicate {
        self.test(Test::Compare(comparison, literal.into()))
    }

    pub(super) fn test(self, test: Test) -> Predicate {
        Predicate(Node::Test(self, test))
    }
}

impl Predicate {
    /// Every row passes.
    #[must_use]
    pub fn all() -> Self {
        Self(Node::Constant(true))
    }

    /// No row passes.
    #[must_use]
    pub fn none() -> Self {
        Self(Node::Constant(false))
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let mut parts = match self.0 {
            Node::And(parts) => parts,
            node => vec![node],
        };
        match other.0 {
            Node::And(more) => parts.extend(more),
            node => parts.push(node),
        }
        Self(Node::And(parts))
    }

    /// One of them holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut parts = match self.0 {
            Node::Or(parts) => parts,
            node => vec![node],
        };
        match other.0 {
            Node::Or(more) => parts.extend(more),
            node => parts.push(node),
        }
        Self(Node::Or(parts))
    }

    /// It is false; where it is unknown, this is too. The same as `!predicate`.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "the trait is implemented too; this needs no import")]
    pub fn not(self) -> Self {
        match self.0 {
            Node::Not(inner) => Self(*inner),
            node => Self(Node::Not(Box::new(node))),
        }
    }

    /// Reads a predicate from SQL text, the whole of it:
    ///
    /// - `column = literal`, `<>`, `<`, `<=`, `>`, `>=`, either side first; `column` by itself, if it is boolean;
    /// - `column [NOT] IN (literal, …)`, `column [NOT] BETWEEN literal AND literal`, `column IS [NOT] NULL`;
    /// - `column [NOT] LIKE 'prefix%'`, with `\` or an `ESCAPE` of its own before a `%`, `_` or escape that is meant;
    ///   `starts_with(column, X'…')`;
    /// - `TRUE`, `FALSE`, `AND`, `OR`, `NOT`, parentheses.
    ///
    /// Literals are numbers, with an exponent those of a double; strings; `TRUE` and `FALSE`; `X'…'`; `DATE '2026-01-31'`, `TIME
    /// '23:59:59'`, `TIMESTAMP '2026-01-31 23:59:59Z'`, `UUID '…'`, `DECIMAL '1.50'`, `DOUBLE 'NaN'`. Names stand in `"…"` if they
    /// are no plain words, with dots between those of nested fields. Case matters in strings only.
    ///
    /// # Errors
    /// `InvalidInput`, naming what is not understood or is beyond this language, and its place.
    ///
    /// ```
    /// use strandline::filter::{Predicate, col};
    /// let read = Predicate::parse("NOT (city LIKE 'B%' OR zip IN ('8000', '8001'))")?;
    /// assert_eq!(read, !col("city").starts_with("B").or(col("zip").is_in(["8000", "8001"])));
    /// let refused = Predicate::parse("amount * 2 > 5").unwrap_err();
    /// assert!(refused.message().contains("line 1, column 8: the operator * is beyond this language"));
    /// # Ok::<(), strandline::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        super::parse::parse(text)
    }

    /// The predicate over the fields of a schema, with literals of the fields' types.
    ///
    /// # Errors
    /// `NotFound`: a column is not there; the nearest names are offered. `InvalidInput`: it is not of a primitive type or stands in a
    /// list or a map, or a literal cannot be compared with it.
    pub fn bind(&self, schema: &Schema) -> Result<Filter> {
        super::bind::bind(&self.0, schema)
    }
}

impl Not for Predicate {
    type Output = Self;

    fn not(self) -> Self {
        Predicate::not(self)
    }
}
