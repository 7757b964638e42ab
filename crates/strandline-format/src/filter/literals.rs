//! Lists of literals, in order: what `In` and `NotIn` look for between the bounds of each entry.
//!
//! Invariant: keys ascend and differ, so one search for each bound tells of the whole list; its cost does not grow with
//! literals times entries. What does not belong here: nulls and NaNs, which are no keys.

use std::borrow::Borrow;

use super::key::{AnyLiteral, Key, Literal};
use crate::value::{PrimitiveType, Value};

/// Literals of one kind of key, ascending.
pub(super) struct Sorted<L>(Vec<Literal<L>>);

impl<L: Ord> Sorted<L> {
    /// By the exact keys: `least` and `greatest` ascend with them, for only the zeros have others, and the same ones.
    pub(super) fn of(mut literals: Vec<Literal<L>>) -> Self {
        literals.sort_unstable_by(|one, other| one.exact.cmp(&other.exact));
        literals.dedup_by(|one, other| one.exact == other.exact);
        Self(literals)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The first literal that may equal `min` or more.
    pub(super) fn first_from<K: Key + ?Sized>(&self, min: &K) -> usize
    where
        L: Borrow<K>,
    {
        self.0.partition_point(|literal| literal.greatest.borrow() < min)
    }

    /// The first literal that equals nothing up to `max`.
    pub(super) fn first_beyond<K: Key + ?Sized>(&self, max: &K) -> usize
    where
        L: Borrow<K>,
    {
        self.0.partition_point(|literal| literal.least.borrow() <= max)
    }

    /// The literal that is exactly this bound.
    pub(super) fn place<K: Key + ?Sized>(&self, bound: &K) -> Option<usize>
    where
        L: Borrow<K>,
    {
        self.0.binary_search_by(|literal| literal.exact.borrow().cmp(bound)).ok()
    }
}

/// The literals of a list, as they compare with bounds of one type.
pub(super) struct Literals<'v> {
    pub(super) narrow: Sorted<i64>,
    pub(super) wide: Sorted<i128>,
    pub(super) bytes: Sorted<&'v [u8]>,
    /// Whether NaN is among them.
    pub(super) nan: bool,
    /// Whether one is among them that does not compare with such bounds.
    pub(super) other: bool,
}

impl<'v> Literals<'v> {
    pub(super) fn of(literals: &'v [Value], ty: PrimitiveType) -> Self {
        let (mut narrow, mut wide, mut bytes, mut other) = (Vec::new(), Vec::new(), Vec::new(), false);
        for literal in literals.iter().filter(|literal| !literal.is_nan()) {
            match AnyLiteral::of(literal, ty) {
                Some(AnyLiteral::Narrow(literal)) => narrow.push(literal),
                Some(AnyLiteral::Wide(literal)) => wide.push(literal),
                Some(AnyLiteral::Bytes(literal)) => bytes.push(literal),
                None => other = true,
            }
        }
        let nan = literals.iter().any(Value::is_nan);
        Self { narrow: Sorted::of(narrow), wide: Sorted::of(wide), bytes: Sorted::of(bytes), nan, other }
    }
}
