//! The gaps of an array of numbers closed in place: what stands behind them moves forward.
//!
//! Why: a batch that was just decoded belongs to nobody else, and memory that is at hand takes a fraction of the time of memory that has to be
//! found. Texts gain nothing by it: what is put together of parts has to be checked again. Invariant: an array that somebody else holds as well is
//! copied, and never changed. What does not belong here: which rows are wanted, and whether so many are that they should stay where they
//! are (`sift`).

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, downcast_primitive};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::compute::FilterPredicate;
use arrow::datatypes::ArrowNativeType;
use arrow::error::ArrowError;

/// The rows that stay, as runs in their order, and as what Arrow filters by.
pub(super) struct Kept<'k> {
    pub(super) runs: &'k [Range<usize>],
    pub(super) filter: &'k FilterPredicate,
}

impl Kept<'_> {
    /// The rows of a column that stay.
    ///
    /// # Errors
    /// Those of Arrow: none of an array that is valid.
    pub(super) fn of(&self, column: ArrayRef) -> Result<ArrayRef, ArrowError> {
        macro_rules! numbers {
            ($ty:ty) => {
                self.numbers(owned::<$ty>(column))
            };
        }
        downcast_primitive! {
            column.data_type() => (numbers),
            _ => self.filter.filter(&column),
        }
    }

    fn numbers<T: ArrowPrimitiveType>(&self, array: PrimitiveArray<T>) -> Result<ArrayRef, ArrowError> {
        let (ty, values, nulls) = array.into_parts();
        let mut values = vec_of::<T::Native>(values.into_inner());
        close(&mut values, self.runs);
        let nulls = self.filter.filter_nulls(nulls.as_ref());
        Ok(Arc::new(PrimitiveArray::<T>::try_new(values.into(), nulls)?.with_data_type(ty)))
    }
}

/// The array that is behind a column, which is gone after that.
fn owned<T: ArrowPrimitiveType>(column: ArrayRef) -> PrimitiveArray<T> {
    let array = column.as_primitive::<T>().clone();
    drop(column);
    array
}

/// Values that may be moved: the buffer's own memory if nobody else has it, or a copy.
fn vec_of<N: ArrowNativeType>(buffer: Buffer) -> Vec<N> {
    buffer.into_vec().unwrap_or_else(|shared| ScalarBuffer::<N>::from(shared).to_vec())
}

/// Leaves nothing but these runs.
fn close<N: Copy>(values: &mut Vec<N>, runs: &[Range<usize>]) {
    let mut end = 0;
    for run in runs {
        if run.start > end {
            values.copy_within(run.clone(), end);
        }
        end += run.len();
    }
    values.truncate(end);
}
