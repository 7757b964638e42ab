//! The least or the greatest of floating-point numbers, of many groups at once.
//!
//! Invariant: NaN is greater than all numbers, infinity included. What does not belong here: numbers of no groups.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use datafusion::arrow::compute::{not, nullif, prep_null_mask_filter};
use datafusion::error::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::NullState;

/// Which of two is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Least,
    Greatest,
}

impl Kept {
    fn replaces<N: PartialOrd>(self, new: &N, kept: &N) -> bool {
        match (self, new.partial_cmp(kept)) {
            (Self::Least, Some(order)) => order == Ordering::Less,
            (Self::Greatest, Some(order)) => order == Ordering::Greater,
            // One of them is NaN.
            (Self::Least, None) => is_nan(kept),
            (Self::Greatest, None) => is_nan(new),
        }
    }
}

fn is_nan<N: PartialOrd>(number: &N) -> bool {
    number.partial_cmp(number).is_none()
}

/// What is kept of each group.
#[derive(Debug)]
pub(super) struct Extremes<T: ArrowPrimitiveType> {
    kept: Kept,
    /// What a group begins with, which all numbers replace or equal.
    outermost: T::Native,
    values: Vec<T::Native>,
    nulls: NullState,
}

impl<T: ArrowPrimitiveType> Extremes<T> {
    pub(super) fn new(kept: Kept, outermost: T::Native) -> Self {
        Self { kept, outermost, values: Vec::new(), nulls: NullState::new() }
    }
}

impl<T> GroupsAccumulator for Extremes<T>
where
    T: ArrowPrimitiveType + Debug + Send,
    T::Native: PartialOrd,
{
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        self.values.resize(total, self.outermost);
        let (kept, all) = (self.kept, &mut self.values);
        self.nulls.accumulate(groups, values.as_primitive::<T>(), filter, total, |group, new| {
            if let Some(value) = all.get_mut(group)
                && kept.replaces(&new, value)
            {
                *value = new;
            }
        });
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let values = emit.take_needed(&mut self.values);
        Ok(Arc::new(PrimitiveArray::<T>::new(values.into(), self.nulls.build(emit))))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.evaluate(emit).map(|values| vec![values])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.update_batch(values, groups, None, total)
    }

    /// Of a group of one row that row is kept.
    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let Some(filter) = filter else { return Ok(values.to_vec()) };
        let passed = if filter.null_count() > 0 { prep_null_mask_filter(filter) } else { filter.clone() };
        let left_out = not(&passed)?;
        values.iter().map(|values| Ok(nullif(values, &left_out)?)).collect()
    }

    fn size(&self) -> usize {
        self.values.capacity() * size_of::<T::Native>() + self.nulls.size()
    }
}
