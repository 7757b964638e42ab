//! The order of a run: which row comes where, without moving any.
//!
//! Invariants: the order is that of the format (VAL-6, NaN above all numbers, nulls where the order says), and rows
//! that it does not tell apart stay as they came. Rows are moved column by column, when each is encoded.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch, make_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::row::{RowConverter, Rows as SortKeys, SortField};

use super::leaf::Values;
use super::options::invalid;
use super::plan::{OrderPlan, Plan};
use super::refused;
use crate::error::Result;

/// The NaNs without a sign, whatever a machine's own arithmetic gives.
const NAN_32: f32 = f32::from_bits(0x7fc0_0000);
const NAN_64: f64 = f64::from_bits(0x7ff8_0000_0000_0000);

/// Where a row stands: in which batch, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    batch: u32,
    row: u32,
}

impl Place {
    fn new(batch: usize, row: usize) -> Result<Self> {
        let fits = u32::try_from(batch).ok().zip(u32::try_from(row).ok());
        let place = fits.map(|(batch, row)| Self { batch, row });
        place.ok_or_else(|| invalid("a run of more than 2^32 rows or batches cannot be sorted"))
    }

    /// The batch and the row, as indices.
    pub(super) fn indices(self) -> (usize, usize) {
        (self.batch as usize, self.row as usize)
    }
}

/// The rows of a run in their order.
pub(super) struct Order(Vec<Place>);

impl Order {
    /// Sorts the rows of these batches.
    pub(super) fn of(plan: &Plan, batches: &[RecordBatch]) -> Result<Self> {
        let Some(order) = &plan.order else { return in_place(batches).map(Self) };
        let keys = batches.iter().map(|batch| sort_keys(plan, order, batch)).collect::<Result<Vec<_>>>()?;
        let mut places = in_place(batches)?;
        let key = |place: &Place| {
            let (batch, row) = place.indices();
            keys[batch].row(row)
        };
        places.sort_unstable_by(|a, b| key(a).cmp(&key(b)).then(a.cmp(b)));
        Ok(Self(places))
    }

    /// The places of these rows of the result.
    pub(super) fn places(&self, range: Range<usize>) -> &[Place] {
        &self.0[range]
    }
}

fn in_place(batches: &[RecordBatch]) -> Result<Vec<Place>> {
    let rows =
        batches.iter().enumerate().flat_map(|(at, batch)| (0..batch.num_rows()).map(move |row| (at, row)));
    rows.map(|(batch, row)| Place::new(batch, row)).collect()
}

/// The rows of a batch as byte strings that compare as the order says.
fn sort_keys(plan: &Plan, order: &OrderPlan, batch: &RecordBatch) -> Result<SortKeys> {
    let mut fields = Vec::with_capacity(order.keys.len());
    let mut columns = Vec::with_capacity(order.keys.len());
    for key in &order.keys {
        let leaf = &plan.columns[key.leaf].leaf;
        let column = comparable(&leaf.values(&leaf.narrow(batch.column(leaf.column))?)?)?;
        fields.push(SortField::new_with_options(column.data_type().clone(), key.options));
        columns.push(column);
    }
    let converter = RowConverter::new(fields).map_err(refused)?;
    converter.convert_columns(&columns).map_err(refused)
}

/// A leaf's values as one array, null where anything around them is null, and with one NaN that is above all numbers:
/// Arrow puts those with a sign below.
pub(super) fn comparable(values: &Values) -> Result<ArrayRef> {
    let Values { array, nulls } = values;
    Ok(match array.data_type() {
        DataType::Float32 => {
            one_nan::<Float32Type>(array, nulls, |number| if number.is_nan() { NAN_32 } else { number })
        }
        DataType::Float64 => {
            one_nan::<Float64Type>(array, nulls, |number| if number.is_nan() { NAN_64 } else { number })
        }
        _ if array.nulls() == nulls.as_ref() => Arc::clone(array),
        _ => {
            let data = array.to_data().into_builder().nulls(nulls.clone()).build();
            make_array(data.map_err(refused)?)
        }
    })
}

fn one_nan<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    nulls: &Option<NullBuffer>,
    canonical: fn(T::Native) -> T::Native,
) -> ArrayRef {
    let numbers = array.as_primitive::<T>().values().iter().map(|number| canonical(*number));
    Arc::new(PrimitiveArray::<T>::new(numbers.collect(), nulls.clone()))
}
