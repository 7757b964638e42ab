//! The gaps of an array of numbers or texts closed in place: what stands behind them moves forward.
//!
//! Why: a batch that was just decoded belongs to nobody else, and memory that is at hand takes a fraction of the time of memory that has to be
//! found. Invariant: an array that somebody else holds as well is copied, and never changed. What does not belong here: which rows are wanted, and whether so many are that they should stay where they
//! are (`sift`).

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, AsArray, GenericByteArray, PrimitiveArray, downcast_primitive,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::FilterPredicate;
use arrow::datatypes::{ArrowNativeType, BinaryType, ByteArrayType, DataType, Utf8Type};
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
            DataType::Utf8 => self.texts(owned_bytes::<Utf8Type>(column)),
            DataType::Binary => self.texts(owned_bytes::<BinaryType>(column)),
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

    fn texts<T: ByteArrayType<Offset = i32>>(
        &self,
        array: GenericByteArray<T>,
    ) -> Result<ArrayRef, ArrowError> {
        let (offsets, bytes, nulls) = array.into_parts();
        let (mut offsets, mut bytes) =
            (vec_of::<i32>(offsets.into_inner().into_inner()), vec_of::<u8>(bytes));
        close_texts(&mut offsets, &mut bytes, self.runs);
        let nulls = self.filter.filter_nulls(nulls.as_ref());
        let offsets = OffsetBuffer::new(offsets.into());
        Ok(Arc::new(GenericByteArray::<T>::try_new(offsets, bytes.into(), nulls)?))
    }
}

/// The array that is behind a column, which is gone after that.
fn owned<T: ArrowPrimitiveType>(column: ArrayRef) -> PrimitiveArray<T> {
    let array = column.as_primitive::<T>().clone();
    drop(column);
    array
}

fn owned_bytes<T: ByteArrayType>(column: ArrayRef) -> GenericByteArray<T> {
    let array = column.as_bytes::<T>().clone();
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

/// Leaves nothing but the texts of these runs.
fn close_texts(offsets: &mut Vec<i32>, bytes: &mut Vec<u8>, runs: &[Range<usize>]) {
    let (mut rows, mut end) = (0, 0_i32);
    for run in runs {
        let (first, last) = (offsets[run.start], offsets[run.end]);
        bytes.copy_within(first.as_usize()..last.as_usize(), end.as_usize());
        offsets.copy_within(run.clone(), rows);
        offsets[rows..rows + run.len()].iter_mut().for_each(|offset| *offset -= first - end);
        (rows, end) = (rows + run.len(), end + (last - first));
    }
    offsets.truncate(rows);
    offsets.push(end);
    bytes.truncate(end.as_usize());
}
