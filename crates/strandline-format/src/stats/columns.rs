//! Statistics of all entries of a node, field by field: what is stored, and what the filter reads.
//!
//! Invariants: every vector is as long as the node has entries [STAT-2]; a vector in which nothing is known is not kept,
//! so that equal statistics are equal whichever way they were made. Reading and writing them is the business of `wire`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::column::{BoundColumn, Nullable};
use super::{Bound, FieldStats, Stats};
use crate::error::{Error, Result};
use crate::id::FieldId;
use crate::mask::Mask;
use crate::value::PrimitiveType;

/// The statistics of the entries of a node, in vectors.
///
/// ```
/// use std::collections::BTreeMap;
/// use strandline_format::{Bound, FieldId, FieldStats, PrimitiveType, Stats, StatsColumns, Value};
/// let mut field = FieldStats::unknown(PrimitiveType::Long);
/// field.min = Some(Bound::exact(Value::Long(3)));
/// let rows = [Stats(BTreeMap::from([(FieldId(1), field)])), Stats::default()];
/// let columns = StatsColumns::from_rows(&rows);
/// assert_eq!(columns.row(0), rows[0]);
/// assert_eq!(columns.row(1), rows[1]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatsColumns {
    pub(super) len: usize,
    /// Shared, because nodes are copied to be written.
    pub(super) fields: Arc<BTreeMap<FieldId, FieldColumns>>,
}

/// The statistics of one field, in vectors. What is `None` is unknown for every entry.
///
/// ```
#[doc = include_str!("stats.example")]
/// let columns = of_two("Basel", "Chur");
/// let cities = columns.field(FieldId(1)).expect("of both files");
/// assert_eq!(cities.ty(), PrimitiveType::String);
/// assert!(cities.min_is_exact(0) && cities.max().is_none());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FieldColumns {
    pub(super) ty: PrimitiveType,
    pub(super) nulls: Option<Nullable<u64>>,
    pub(super) nans: Option<Nullable<u64>>,
    pub(super) values: Option<Nullable<u64>>,
    pub(super) min: Option<BoundColumn>,
    pub(super) max: Option<BoundColumn>,
    pub(super) min_exact: Option<Mask>,
    pub(super) max_exact: Option<Mask>,
}

impl StatsColumns {
    /// Puts the statistics of single entries side by side. Bounds of different types of one field are widened to the one
    /// that the others promote to; a bound that has no exact image there is left out, so unknown [STAT-8].
    #[must_use]
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = &'a Stats>) -> Self {
        let rows: Vec<&Stats> = rows.into_iter().collect();
        let mut types: BTreeMap<FieldId, PrimitiveType> = BTreeMap::new();
        for (id, field) in rows.iter().flat_map(|row| &row.0).filter(|(_, field)| !field.is_unknown()) {
            let ty = types.entry(*id).or_insert(field.ty);
            *ty = ty.common_with(field.ty).unwrap_or(*ty);
        }
        let fields = types.into_iter().map(|(id, ty)| (id, FieldColumns::from_rows(id, ty, &rows)));
        Self { len: rows.len(), fields: Arc::new(fields.collect()) }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The fields of which something is known for some entry, ascending by id.
    pub fn fields(&self) -> impl Iterator<Item = (FieldId, &FieldColumns)> + '_ {
        self.fields.iter().map(|(id, field)| (*id, field))
    }

    /// What is known of a field.
    #[must_use]
    pub fn field(&self, id: FieldId) -> Option<&FieldColumns> {
        self.fields.get(&id)
    }

    /// The statistics of one entry.
    #[must_use]
    pub fn row(&self, index: usize) -> Stats {
        let fields = self.fields().map(|(id, field)| (id, field.row(index)));
        Stats(fields.filter(|(_, field)| !field.is_unknown()).collect())
    }

    /// The statistics of one entry, of these fields alone.
    #[must_use]
    pub fn row_of(&self, index: usize, fields: &BTreeSet<FieldId>) -> Stats {
        let fields = fields.iter().filter_map(|id| Some((*id, self.field(*id)?.row(index))));
        Stats(fields.filter(|(_, field)| !field.is_unknown()).collect())
    }

    /// Checks the counts against the entries' numbers of rows [STAT-7], and that there are bounds only where there is
    /// something to bound [STAT-4]. The bounds themselves were checked when they were read.
    ///
    /// # Errors
    /// `Malformed`, naming field and entry.
    pub fn check_counts(&self, rows: &[u64]) -> Result<()> {
        for (id, field) in self.fields() {
            let wrong = (0..self.len).find(|index| field.counts_exceed(*index, rows));
            if let Some(index) = wrong {
                return Err(Error::malformed(format!(
                    "statistics of field {id}: entry {index} counts more nulls and NaNs than values"
                )));
            }
            if let Some(index) = (0..self.len).find(|index| field.bounds_nothing(*index, rows)) {
                return Err(Error::malformed(format!(
                    "statistics of field {id}: entry {index} has a bound where there is nothing to bound"
                )));
            }
        }
        Ok(())
    }
}

impl FieldColumns {
    fn from_rows(id: FieldId, ty: PrimitiveType, rows: &[&Stats]) -> Self {
        let cells = || rows.iter().map(move |row| row.0.get(&id));
        let counts = |count: fn(&FieldStats) -> Option<u64>| {
            known_counts(cells().map(|cell| cell.and_then(count)).collect())
        };
        let bounds = |bound: fn(&FieldStats) -> Option<&Bound>| {
            bound_columns(ty, cells().map(move |cell| cell.and_then(bound)))
        };
        let (min, min_exact) = bounds(|field| field.min.as_ref());
        let (max, max_exact) = bounds(|field| field.max.as_ref());
        let nans = if ty.is_floating() { counts(|field| field.nans) } else { None };
        let (nulls, values) = (counts(|field| field.nulls), counts(|field| field.values));
        Self { ty, nulls, nans, values, min, max, min_exact, max_exact }
    }

    /// The type that the bounds are of.
    #[must_use]
    pub fn ty(&self) -> PrimitiveType {
        self.ty
    }

    /// How many values are null.
    #[must_use]
    pub fn nulls(&self) -> Option<&Nullable<u64>> {
        self.nulls.as_ref()
    }

    /// How many are NaN.
    #[must_use]
    pub fn nans(&self) -> Option<&Nullable<u64>> {
        self.nans.as_ref()
    }

    /// How many values there are, where that is not the number of rows.
    #[must_use]
    pub fn values(&self) -> Option<&Nullable<u64>> {
        self.values.as_ref()
    }

    /// The lower bounds.
    #[must_use]
    pub fn min(&self) -> Option<&BoundColumn> {
        self.min.as_ref()
    }

    /// The upper bounds.
    #[must_use]
    pub fn max(&self) -> Option<&BoundColumn> {
        self.max.as_ref()
    }

    /// Whether an entry's lower bound, if it has one, is a value that some row has.
    #[must_use]
    pub fn min_is_exact(&self, index: usize) -> bool {
        self.min_exact.as_ref().is_none_or(|exact| exact.get(index))
    }

    /// Whether an entry's upper bound, if it has one, is a value that some row has.
    #[must_use]
    pub fn max_is_exact(&self, index: usize) -> bool {
        self.max_exact.as_ref().is_none_or(|exact| exact.get(index))
    }

    /// What is known of the field in one entry.
    #[must_use]
    pub fn row(&self, index: usize) -> FieldStats {
        let bound = |column: &Option<BoundColumn>, exact| {
            let value = column.as_ref().and_then(|column| column.get(index, self.ty))?;
            Some(Bound { value, exact })
        };
        FieldStats {
            min: bound(&self.min, self.min_is_exact(index)),
            max: bound(&self.max, self.max_is_exact(index)),
            ..self.counts(index)
        }
    }

    /// How many values an entry of `rows` rows has of this field.
    pub(crate) fn value_count(&self, index: usize, rows: u64) -> u64 {
        self.values.as_ref().and_then(|values| values.get(index)).unwrap_or(rows)
    }

    fn bounds_nothing(&self, index: usize, rows: &[u64]) -> bool {
        let known =
            |bounds: &Option<BoundColumn>| bounds.as_ref().is_some_and(|bounds| bounds.known().get(index));
        let bounded = known(&self.min) || known(&self.max);
        bounded && self.counts(index).is_void(rows.get(index).copied().unwrap_or(0))
    }

    /// The same without the bounds, which cost more than all else.
    fn counts(&self, index: usize) -> FieldStats {
        let count = |column: &Option<Nullable<u64>>| column.as_ref().and_then(|column| column.get(index));
        FieldStats {
            nulls: count(&self.nulls),
            nans: count(&self.nans),
            values: count(&self.values),
            ..FieldStats::unknown(self.ty)
        }
    }

    fn counts_exceed(&self, index: usize, rows: &[u64]) -> bool {
        let count = |column: &Option<Nullable<u64>>| {
            column.as_ref().and_then(|column| column.get(index)).unwrap_or(0)
        };
        let values = self.value_count(index, rows.get(index).copied().unwrap_or(0));
        count(&self.nulls).checked_add(count(&self.nans)).is_none_or(|counted| counted > values)
    }
}

/// A vector of counts, unless nothing is known in it.
pub(super) fn known_counts(column: Nullable<u64>) -> Option<Nullable<u64>> {
    (!column.known().none()).then_some(column)
}

/// Flags, unless all are set: then they are left out [STAT-2].
pub(super) fn known_flags(flags: Mask) -> Option<Mask> {
    (!flags.all()).then_some(flags)
}

fn bound_columns<'a>(
    ty: PrimitiveType,
    bounds: impl Iterator<Item = Option<&'a Bound>>,
) -> (Option<BoundColumn>, Option<Mask>) {
    let mut column = BoundColumn::empty(ty);
    let mut exact = Mask::default();
    for bound in bounds {
        let value = bound.filter(|bound| !bound.value.is_nan()).and_then(|bound| bound.value.promote(ty));
        column.push(value.as_ref());
        exact.push(value.is_none() || bound.is_none_or(|bound| bound.exact));
    }
    ((!column.known().none()).then_some(column), known_flags(exact))
}

/// Checks that an id can be a field's [STAT-1]: also those of reserved columns, since row ids have statistics too.
pub(super) fn check_id(id: FieldId) -> Result<()> {
    if id.0 > 0 { Ok(()) } else { Err(Error::invalid(format!("{id} is not a field id"))) }
}
