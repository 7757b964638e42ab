//! Statistics of a file's columns: counts, and lossless typed bounds.
//!
//! Two forms of the same thing: [`Stats`] for one entry, [`StatsColumns`] for all entries of a node, as it is stored and
//! pruned. Invariants: a bound is never NaN [STAT-5]; a bound that is not exact still bounds [STAT-6]; what is not known
//! is absent, never guessed [STAT-4]. What a predicate makes of statistics is the business of `filter`.

mod column;
mod columns;
mod merge;
mod truncate;
mod weight;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use column::{BoundColumn, Bytes, Nullable};
pub use columns::{FieldColumns, StatsColumns};
pub use merge::{MAX_SUMMARY_BOUND_BYTES, MAX_SUMMARY_FIELDS};
pub use truncate::DEFAULT_BOUND_BYTES;
pub(crate) use wire::{StatsReader, StatsWriter};

use crate::error::{Error, Result};
use crate::id::FieldId;
use crate::value::{PrimitiveType, Value};

/// A lower or an upper bound of a column's values.
///
/// ```
/// use strandline_format::{Bound, Value};
///
/// // Cut short, so that it only bounds; upwards the last letter is raised.
/// let max = Bound::truncated_max(Value::String("Zürichberg".into()), 4).expect("it can be raised");
/// assert!(!max.exact);
/// assert!(max.value.compare(&Value::String("Zürichberg".into())).is_some_and(|order| order.is_ge()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The bound.
    pub value: Value,
    /// Whether some row has this very value; else it was cut short, and only bounds [STAT-6].
    pub exact: bool,
}

impl Bound {
    /// A bound that some row has.
    #[must_use]
    pub fn exact(value: Value) -> Self {
        Self { value, exact: true }
    }
}

/// What is known of one column in one file [STAT-3]. Counts are of physical rows, deleted ones too.
///
/// ```
/// use strandline_format::{Bound, FieldStats, PrimitiveType, Value};
///
/// let mut stats = FieldStats::unknown(PrimitiveType::Long);
/// stats.nulls = Some(1);
/// (stats.min, stats.max) = (Some(Bound::exact(Value::Long(3))), Some(Bound::exact(Value::Long(30))));
/// stats.check(10)?;
/// // Ten rows cannot have eleven nulls.
/// stats.nulls = Some(11);
/// assert!(stats.check(10).is_err());
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldStats {
    /// The type that the bounds are of.
    pub ty: PrimitiveType,
    /// How many values are null.
    pub nulls: Option<u64>,
    /// How many are NaN; for float and double only.
    pub nans: Option<u64>,
    /// How many values there are, nulls and NaNs included, where that is not the number of rows: under lists and maps.
    pub values: Option<u64>,
    /// A value that no other is below.
    pub min: Option<Bound>,
    /// A value that no other is above.
    pub max: Option<Bound>,
}

impl FieldStats {
    /// Nothing known yet of a column of this type.
    #[must_use]
    pub fn unknown(ty: PrimitiveType) -> Self {
        Self { ty, nulls: None, nans: None, values: None, min: None, max: None }
    }

    /// Whether nothing is known at all; such statistics are not stored.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::unknown(self.ty)
    }

    /// Whether, in a file of `rows` rows, every value is known to be null or NaN: then there are no bounds to miss [STAT-4].
    #[must_use]
    pub fn is_void(&self, rows: u64) -> bool {
        let nans = if self.ty.is_floating() { self.nans } else { Some(0) };
        let valueless = self.nulls.zip(nans).and_then(|(nulls, nans)| nulls.checked_add(nans));
        valueless == Some(self.values.unwrap_or(rows))
    }

    /// Checks what a writer's statistics of a file of `rows` rows must be [STAT-4] [STAT-5] [STAT-7].
    ///
    /// # Errors
    /// `Invalid`, naming what does not fit.
    pub fn check(&self, rows: u64) -> Result<()> {
        let values = self.values.unwrap_or(rows);
        let counted = self.nulls.unwrap_or(0).checked_add(self.nans.unwrap_or(0));
        if counted.is_none_or(|counted| counted > values) {
            return Err(Error::invalid(format!("nulls and NaNs are more than the {values} values")));
        }
        if self.nans.is_some() && !self.ty.is_floating() {
            return Err(Error::invalid(format!("values of type {} are never NaN", self.ty)));
        }
        if self.is_void(rows) && (self.min.is_some() || self.max.is_some()) {
            return Err(Error::invalid("there is a bound where there is nothing to bound"));
        }
        for bound in [&self.min, &self.max].into_iter().flatten() {
            bound.value.check(self.ty)?;
            if bound.value.is_nan() {
                return Err(Error::invalid("NaN is no bound"));
            }
        }
        if let (Some(min), Some(max)) = (&self.min, &self.max)
            && min.value.compare(&max.value).is_none_or(std::cmp::Ordering::is_gt)
        {
            return Err(Error::invalid(format!(
                "the minimum {} is above the maximum {}",
                min.value, max.value
            )));
        }
        Ok(())
    }
}

/// What is known of the columns of one file; columns that are not in it are unknown.
///
/// ```
/// use strandline_format::{FieldId, FieldStats, PrimitiveType, Stats};
///
/// let mut stats = Stats::default();
/// stats.0.insert(FieldId(1), FieldStats { nulls: Some(0), ..FieldStats::unknown(PrimitiveType::Long) });
/// stats.check(10)?;
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats(pub BTreeMap<FieldId, FieldStats>);

impl Stats {
    /// Checks a writer's statistics of every column, for a file of `rows` rows.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn check(&self, rows: u64) -> Result<()> {
        self.0.iter().try_for_each(|(id, field)| {
            columns::check_id(*id)?;
            field.check(rows).map_err(|error| error.at(format!("statistics of field {id}")))
        })
    }
}
