//! The elements of lists and the pairs of maps, of every form that Arrow has for them.
//!
//! Invariant: what comes out are the elements of rows that count, and nothing else: not what lies under nulls, before and after
//! a slice, or between the views. So whatever is wrong with an element is wrong with a row. What does not belong here: what the
//! elements are.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{ArrowNativeType, DataType};

use super::leaf::Wrong;

/// The elements of the rows that count, one after the other, and where each row's begin.
pub(super) struct Elements {
    pub(super) offsets: OffsetBuffer<i32>,
    pub(super) values: ArrayRef,
}

impl Elements {
    /// The elements of a list or map. `valid` says which rows count, `None` that all do. They are not copied where they
    /// lie side by side.
    pub(super) fn of(array: &dyn Array, valid: Option<&NullBuffer>) -> Result<Self, Wrong> {
        let (spans, values) = Spans::of(array);
        let counts = |row: usize| valid.is_none_or(|valid| valid.is_valid(row));
        let spans = || (0..array.len()).map(|row| if counts(row) { spans.at(row) } else { 0..0 });

        let mut ends = Vec::with_capacity(array.len() + 1);
        ends.push(0);
        let (mut total, mut whole, mut side_by_side) = (0_usize, 0..0, true);
        for span in spans() {
            total += span.len();
            ends.push(i32::try_from(total).map_err(|_| Wrong::TooLong)?);
            if !span.is_empty() {
                side_by_side &= whole.is_empty() || whole.end == span.start;
                whole = if whole.is_empty() { span } else { whole.start..span.end };
            }
        }
        let values = if side_by_side {
            values.slice(whole.start, total)
        } else {
            let places = UInt64Array::from_iter_values(spans().flatten().map(|at| at as u64));
            take(&values, &places, None)?
        };
        Ok(Self { offsets: OffsetBuffer::new(ends.into()), values })
    }

    /// The row of the element at `at`.
    pub(super) fn row_of(&self, at: usize) -> usize {
        self.offsets.partition_point(|offset| offset.as_usize() <= at).saturating_sub(1)
    }
}

/// Where the elements of each row lie.
enum Spans<'a> {
    Offsets(&'a [i32]),
    LargeOffsets(&'a [i64]),
    Views(&'a [i32], &'a [i32]),
    LargeViews(&'a [i64], &'a [i64]),
    Fixed(usize),
}

impl<'a> Spans<'a> {
    fn of(array: &'a dyn Array) -> (Self, ArrayRef) {
        match array.data_type() {
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                (Self::LargeOffsets(list.value_offsets()), Arc::clone(list.values()))
            }
            DataType::ListView(_) => {
                let list = array.as_list_view::<i32>();
                (Self::Views(list.value_offsets(), list.value_sizes()), Arc::clone(list.values()))
            }
            DataType::LargeListView(_) => {
                let list = array.as_list_view::<i64>();
                (Self::LargeViews(list.value_offsets(), list.value_sizes()), Arc::clone(list.values()))
            }
            DataType::FixedSizeList(_, length) => {
                let list = array.as_fixed_size_list();
                (Self::Fixed(length.as_usize()), Arc::clone(list.values()))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                (Self::Offsets(map.value_offsets()), Arc::new(map.entries().clone()))
            }
            _ => {
                let list = array.as_list::<i32>();
                (Self::Offsets(list.value_offsets()), Arc::clone(list.values()))
            }
        }
    }

    fn at(&self, row: usize) -> Range<usize> {
        let sized = |start: usize, length: usize| start..start + length;
        match self {
            Self::Offsets(offsets) => offsets[row].as_usize()..offsets[row + 1].as_usize(),
            Self::LargeOffsets(offsets) => offsets[row].as_usize()..offsets[row + 1].as_usize(),
            Self::Views(offsets, sizes) => sized(offsets[row].as_usize(), sizes[row].as_usize()),
            Self::LargeViews(offsets, sizes) => sized(offsets[row].as_usize(), sizes[row].as_usize()),
            Self::Fixed(length) => sized(row * length, *length),
        }
    }
}
