//! Pruning: the entries of a node that may hold a row that passes a filter [STAT-11].
//!
//! For each test the entries are found that it rules out; whatever is not ruled out stays. So each case below has to argue
//! only why no row can pass. `Not` is pushed down to the tests first, since "may not hold" is not the reverse of "may hold".

use std::borrow::Borrow;

use super::key::{AnyLiteral, Key, Literal};
use super::literals::{Literals, Sorted};
use super::{Comparison, Filter, Test};
use crate::id::FieldId;
use crate::mask::Mask;
use crate::stats::{Bound, BoundColumn, FieldColumns, FieldStats, Stats, StatsColumns};
use crate::value::{PrimitiveType, Value};

/// Entries whose files were written without a field, so that all their rows have its initial default.
///
/// ```
/// use strandline_format::{Absent, FieldId, Filter, Mask, Stats, StatsColumns, Value};
///
/// // The first of two files is older than the column, so all of its rows have the initial default.
/// let stats = StatsColumns::from_rows([&Stats::default(), &Stats::default()]);
/// let mut entries = Mask::of(false, 2);
/// entries.set(0, true);
/// let absent = Absent { entries, initial: Some(Value::Int(0)) };
/// let filter = Filter::equal(FieldId(1), Value::Int(7));
/// let kept = filter.may_match(&stats, &[10, 10], &|_| Some(absent.clone()));
/// assert_eq!(kept.ones().collect::<Vec<_>>(), [1]);
/// ```
#[derive(Clone, Debug)]
pub struct Absent {
    /// Those entries.
    pub entries: Mask,
    /// The field's initial default; `None` is null.
    pub initial: Option<Value>,
}

impl Filter {
    /// The entries that may hold a row that passes.
    ///
    /// `rows` are the entries' numbers of physical rows. `absent` says of a field which entries do not have it; for
    /// references to subtrees it says nothing, because a file without statistics makes those of the whole unknown.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use strandline_format::{Bound, FieldId, FieldStats, Filter, PrimitiveType, Stats, StatsColumns, Value};
    /// let mut field = FieldStats::unknown(PrimitiveType::Int);
    /// field.max = Some(Bound::exact(Value::Int(3)));
    /// let stats = StatsColumns::from_rows([&Stats(BTreeMap::from([(FieldId(1), field)])), &Stats::default()]);
    /// let filter = Filter::equal(FieldId(1), Value::Long(7));
    /// let kept = filter.may_match(&stats, &[10, 10], &|_| None);
    /// assert_eq!(kept.ones().collect::<Vec<_>>(), [1]);
    /// ```
    #[must_use]
    pub fn may_match(
        &self,
        stats: &StatsColumns,
        rows: &[u64],
        absent: &dyn Fn(FieldId) -> Option<Absent>,
    ) -> Mask {
        Pruning { stats, rows, absent }.may_hold(self, false)
    }
}

struct Pruning<'p> {
    stats: &'p StatsColumns,
    rows: &'p [u64],
    absent: &'p dyn Fn(FieldId) -> Option<Absent>,
}

impl Pruning<'_> {
    fn may_hold(&self, filter: &Filter, negated: bool) -> Mask {
        match filter {
            Filter::True => self.every(!negated),
            Filter::False => self.every(negated),
            Filter::Not(inner) => self.may_hold(inner, !negated),
            Filter::And(parts) if negated => self.any(parts, negated),
            Filter::Or(parts) if !negated => self.any(parts, negated),
            Filter::And(parts) | Filter::Or(parts) => self.all(parts, negated),
            Filter::Field(id, test) => self.field(*id, test, negated),
        }
    }

    fn every(&self, keep: bool) -> Mask {
        Mask::of(keep, self.stats.len())
    }

    fn any(&self, parts: &[Filter], negated: bool) -> Mask {
        parts.iter().fold(self.every(false), |kept, part| kept.or(&self.may_hold(part, negated)))
    }

    fn all(&self, parts: &[Filter], negated: bool) -> Mask {
        parts.iter().fold(self.every(true), |kept, part| kept.and(&self.may_hold(part, negated)))
    }

    fn field(&self, id: FieldId, test: &Test, negated: bool) -> Mask {
        let kept = match self.stats.field(id) {
            Some(field) => {
                self.every(true).minus(&ruled_out(field, self.rows, self.stats.len(), test, negated))
            }
            None => self.every(true),
        };
        match (self.absent)(id) {
            None => kept,
            Some(absent) if constant_passes(absent.initial.as_ref(), test, negated) => {
                kept.or(&absent.entries)
            }
            Some(absent) => kept.minus(&absent.entries),
        }
    }
}

/// Whether a value that all rows have may pass: the same rules, over statistics of that one value.
fn constant_passes(value: Option<&Value>, test: &Test, negated: bool) -> bool {
    let ty = value.map_or(PrimitiveType::Boolean, Value::natural_type);
    let nulls = Some(u64::from(value.is_none()));
    let nans = Some(u64::from(value.is_some_and(Value::is_nan)));
    let bound = value.filter(|value| !value.is_nan()).cloned().map(Bound::exact);
    let field = FieldStats { ty, nulls, nans, values: None, min: bound.clone(), max: bound };
    let id = FieldId(1);
    let stats = StatsColumns::from_rows([&Stats([(id, field)].into())]);
    stats.field(id).is_none_or(|field| !ruled_out(field, &[1], 1, test, negated).get(0))
}

/// The entries of which no row passes a test, or its negation.
fn ruled_out(field: &FieldColumns, rows: &[u64], len: usize, test: &Test, negated: bool) -> Mask {
    let column = Column { field, rows, len };
    match (test, negated) {
        (Test::Between(low, high), false) => {
            column.compare(Comparison::GreaterOrEqual, low).or(&column.compare(Comparison::LessOrEqual, high))
        }
        (Test::Between(low, high), true) => {
            column.compare(Comparison::Less, low).and(&column.compare(Comparison::Greater, high))
        }
        (test, false) => column.test(test),
        (test, true) => test.negated().map_or_else(|| column.nowhere(), |test| column.test(&test)),
    }
}

/// The statistics of one field, of all entries.
pub(super) struct Column<'c> {
    pub(super) field: &'c FieldColumns,
    pub(super) rows: &'c [u64],
    pub(super) len: usize,
}

impl Column<'_> {
    /// The entries that a test rules out.
    fn test(&self, test: &Test) -> Mask {
        match test {
            Test::IsNull => self.where_count(|nulls, _| nulls == 0),
            Test::IsNotNull => self.all_null(),
            Test::Compare(comparison, literal) => self.compare(*comparison, literal),
            Test::In(literals) => self.equal_none(literals),
            Test::NotIn(literals) => self.equal_one(literals),
            Test::StartsWith(prefix) => self.starts_with(prefix).or(&self.void()),
            Test::NotStartsWith(prefix) => self.starts_otherwise(prefix).or(&self.all_null()),
            Test::Between(..) => self.nowhere(),
        }
    }

    fn nowhere(&self) -> Mask {
        Mask::of(false, self.len)
    }

    /// Null compares with nothing. NaN equals no number, but engines order it above or below all of them; so where there may
    /// be one, only equality rules out anything.
    fn compare(&self, comparison: Comparison, literal: &Value) -> Mask {
        if literal.is_nan() {
            return self.compare_nan(comparison);
        }
        let by_bounds = match AnyLiteral::of(literal, self.field.ty()) {
            Some(AnyLiteral::Narrow(literal)) => self.by_bounds::<i64>(comparison, &by_ref(&literal)),
            Some(AnyLiteral::Wide(literal)) => self.by_bounds::<i128>(comparison, &by_ref(&literal)),
            Some(AnyLiteral::Bytes(literal)) => self.by_bounds::<[u8]>(comparison, &literal),
            None => return self.all_null(),
        };
        match comparison {
            Comparison::Equal => by_bounds.or(&self.void()),
            _ => by_bounds.minus(&self.may_be_nan()).or(&self.all_null()),
        }
    }

    /// Only NaN equals NaN; every value may be below it, above it or unequal to it.
    fn compare_nan(&self, comparison: Comparison) -> Mask {
        match comparison {
            Comparison::Equal => Mask::of(true, self.len).minus(&self.may_be_nan()).or(&self.all_null()),
            _ => self.all_null(),
        }
    }

    /// Where the bounds leave no value that passes.
    fn by_bounds<K: Key + ?Sized>(&self, comparison: Comparison, literal: &Literal<&K>) -> Mask {
        let Literal { least, exact, greatest } = literal;
        match comparison {
            Comparison::Less => self.min(|min: &K| min >= *greatest),
            Comparison::LessOrEqual => self.min(|min: &K| min > *greatest),
            Comparison::Greater => self.max(|max: &K| max <= *least),
            Comparison::GreaterOrEqual => self.max(|max: &K| max < *least),
            Comparison::Equal => self.min(|min: &K| min > *greatest).or(&self.max(|max: &K| max < *least)),
            Comparison::NotEqual => self.min(|min: &K| min == *exact).and(&self.max(|max: &K| max == *exact)),
        }
    }

    /// Where no value equals any of the literals: the same as [`Self::compare`] says of each.
    fn equal_none(&self, literals: &[Value]) -> Mask {
        let literals = Literals::of(literals, self.field.ty());
        let keys = self
            .outside::<i64, _>(&literals.narrow)
            .and(&self.outside::<i128, _>(&literals.wide))
            .and(&self.outside::<[u8], _>(&literals.bytes));
        let mut out = keys.or(&self.void());
        if literals.nan {
            out = out.and(&self.compare_nan(Comparison::Equal));
        }
        if literals.other { out.and(&self.all_null()) } else { out }
    }

    /// Where all values that are not null equal one of the literals: the same as [`Self::compare`] says of each.
    fn equal_one(&self, literals: &[Value]) -> Mask {
        if literals.is_empty() {
            return self.nowhere();
        }
        let literals = Literals::of(literals, self.field.ty());
        let keys = self
            .exactly::<i64, _>(&literals.narrow)
            .or(&self.exactly::<i128, _>(&literals.wide))
            .or(&self.exactly::<[u8], _>(&literals.bytes));
        keys.minus(&self.may_be_nan()).or(&self.all_null())
    }

    /// Where no literal lies between the bounds; an unknown bound may be any.
    pub(super) fn outside<K: Key + ?Sized, L: Ord + Borrow<K>>(&self, literals: &Sorted<L>) -> Mask {
        let from = self.places(self.field.min(), 0, |min: &K| literals.first_from(min));
        let to = self.places(self.field.max(), literals.len(), |max: &K| literals.first_beyond(max));
        from.iter().zip(&to).map(|(from, to)| from >= to).collect()
    }

    /// Where both bounds are the same literal.
    fn exactly<K: Key + ?Sized, L: Ord + Borrow<K>>(&self, literals: &Sorted<L>) -> Mask {
        let min = self.places(self.field.min(), None, |min: &K| literals.place(min));
        let max = self.places(self.field.max(), None, |max: &K| literals.place(max));
        min.iter().zip(&max).map(|(min, max)| min.is_some() && min == max).collect()
    }

    /// Where each bound stands among literals.
    fn places<K: Key + ?Sized, T: Copy>(
        &self,
        bounds: Option<&BoundColumn>,
        unknown: T,
        place: impl Fn(&K) -> T,
    ) -> Vec<T> {
        let all = || vec![unknown; self.len];
        let Some(bounds) = bounds else { return all() };
        let places: Vec<T> = K::map(bounds, place).unwrap_or_else(all);
        places
            .into_iter()
            .zip(bounds.known().iter())
            .map(|(place, known)| if known { place } else { unknown })
            .collect()
    }

    /// All strings with a prefix stand together: from the prefix itself on, and before whatever begins with more than it.
    fn starts_with(&self, prefix: &Value) -> Mask {
        let Some(prefix) = self.prefix(prefix) else { return self.nowhere() };
        let beyond = self.min(|min: &[u8]| min[..min.len().min(prefix.len())] > *prefix);
        beyond.or(&self.max(|max: &[u8]| max < prefix))
    }

    /// If both bounds begin so, then all between them does.
    fn starts_otherwise(&self, prefix: &Value) -> Mask {
        let Some(prefix) = self.prefix(prefix) else { return self.nowhere() };
        self.min(|min: &[u8]| min.starts_with(prefix)).and(&self.max(|max: &[u8]| max.starts_with(prefix)))
    }

    fn prefix<'v>(&self, prefix: &'v Value) -> Option<&'v [u8]> {
        match AnyLiteral::of(prefix, self.field.ty()) {
            Some(AnyLiteral::Bytes(literal)) => Some(literal.exact),
            _ => None,
        }
    }

    fn min<K: Key + ?Sized>(&self, test: impl Fn(&K) -> bool) -> Mask {
        self.side(self.field.min(), test)
    }

    fn max<K: Key + ?Sized>(&self, test: impl Fn(&K) -> bool) -> Mask {
        self.side(self.field.max(), test)
    }

    fn side<K: Key + ?Sized>(&self, bounds: Option<&BoundColumn>, test: impl Fn(&K) -> bool) -> Mask {
        bounds.map_or_else(|| self.nowhere(), |bounds| K::hits(bounds, test))
    }

    /// Where every value is null.
    fn all_null(&self) -> Mask {
        self.where_count(|nulls, values| nulls >= values)
    }

    /// Where every value is null or NaN.
    fn void(&self) -> Mask {
        match self.field.nans() {
            None => self.all_null(),
            Some(nans) => self.where_count_at(|at, nulls, values| {
                nulls.saturating_add(nans.get(at).unwrap_or(0)) >= values
            }),
        }
    }

    /// Where some value may be NaN: it is not known that none is.
    fn may_be_nan(&self) -> Mask {
        match (self.field.ty().is_floating(), self.field.nans()) {
            (false, _) => self.nowhere(),
            (true, None) => Mask::of(true, self.len),
            (true, Some(nans)) => (0..self.len).map(|at| nans.get(at) != Some(0)).collect(),
        }
    }

    /// Where the number of nulls is known, and passes a test together with the number of values.
    fn where_count(&self, test: impl Fn(u64, u64) -> bool) -> Mask {
        self.where_count_at(|_, nulls, values| test(nulls, values))
    }

    fn where_count_at(&self, test: impl Fn(usize, u64, u64) -> bool) -> Mask {
        let Some(nulls) = self.field.nulls() else { return self.nowhere() };
        let values = |at: usize| self.field.value_count(at, self.rows.get(at).copied().unwrap_or(u64::MAX));
        let passes = |at: usize| nulls.get(at).is_some_and(|nulls| test(at, nulls, values(at)));
        (0..self.len).map(passes).collect()
    }
}

fn by_ref<K>(literal: &Literal<K>) -> Literal<&K> {
    Literal { least: &literal.least, exact: &literal.exact, greatest: &literal.greatest }
}
