//! The gaps of an array of numbers or texts closed in place: what stands behind them moves forward. Of keys of a dictionary, the texts come out.
//!
//! Why: a batch that was just decoded belongs to nobody else, and memory that is at hand takes a fraction of the time of memory that has to be
//! found. Invariant: an array that somebody else holds as well is copied, and never changed. What does not belong here: which rows are wanted, and
//! whether so many are that they should stay where they are (`sift`).

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, AsArray, GenericByteArray, PrimitiveArray, downcast_primitive,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::FilterPredicate;
use arrow::datatypes::{ArrowNativeType, BinaryType, ByteArrayType, DataType, Int32Type, Utf8Type};
use arrow::error::ArrowError;

use super::narrow::{self, Texts};

/// The rows that stay, as runs in their order, and as what Arrow filters by.
pub(super) struct Kept<'k> {
    pub(super) runs: &'k [Range<usize>],
    pub(super) filter: &'k FilterPredicate,
}

impl Kept<'_> {
    /// The rows of a column that stay; of one that refers to a dictionary, the texts, as `texts` says.
    ///
    /// # Errors
    /// Those of Arrow: none of an array that is valid.
    pub(super) fn of(&self, column: ArrayRef, texts: Texts) -> Result<ArrayRef, ArrowError> {
        macro_rules! numbers {
            ($ty:ty) => {
                Arc::new(self.numbers(owned(column, |column| column.as_primitive::<$ty>()))?)
            };
        }
        Ok(downcast_primitive! {
            column.data_type() => (numbers),
            DataType::Utf8 => Arc::new(self.bytes(owned(column, |column| column.as_bytes::<Utf8Type>()))?),
            DataType::Binary => Arc::new(self.bytes(owned(column, |column| column.as_bytes::<BinaryType>()))?),
            DataType::Dictionary(key, _) if **key == DataType::Int32 => {
                let (keys, values) = owned(column, |column| column.as_dictionary::<Int32Type>()).into_parts();
                narrow::texts(&self.numbers(keys)?, &values, texts)?
            }
            _ => self.filter.filter(&column)?,
        })
    }

    fn numbers<T: ArrowPrimitiveType>(
        &self,
        array: PrimitiveArray<T>,
    ) -> Result<PrimitiveArray<T>, ArrowError> {
        let (ty, values, nulls) = array.into_parts();
        let mut values = vec_of::<T::Native>(values.into_inner());
        close(&mut values, self.runs);
        let nulls = self.filter.filter_nulls(nulls.as_ref());
        Ok(PrimitiveArray::try_new(values.into(), nulls)?.with_data_type(ty))
    }

    fn bytes<T: ByteArrayType<Offset = i32>>(
        &self,
        array: GenericByteArray<T>,
    ) -> Result<GenericByteArray<T>, ArrowError> {
        let (bounds, bytes, nulls) = array.into_parts();
        let mut bytes = vec_of::<u8>(bytes);
        let mut kept = Vec::with_capacity(bounds.len());
        kept.push(0);
        let mut end = 0;
        for run in self.runs {
            let bounds = &bounds[run.start..=run.end];
            let (from, to) = (bounds[0], bounds[run.len()]);
            bytes.copy_within(from.as_usize()..to.as_usize(), end.as_usize());
            let gap = from - end;
            kept.extend(bounds[1..].iter().map(|bound| bound - gap));
            end = to - gap;
        }
        bytes.truncate(end.as_usize());
        let nulls = self.filter.filter_nulls(nulls.as_ref());
        GenericByteArray::try_new(OffsetBuffer::new(kept.into()), bytes.into(), nulls)
    }
}

/// The array that is behind a column, which is gone after that.
fn owned<A: Clone>(column: ArrayRef, of: impl Fn(&ArrayRef) -> &A) -> A {
    let array = of(&column).clone();
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
