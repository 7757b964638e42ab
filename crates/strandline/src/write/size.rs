//! What rows weigh in memory: the bytes of their values, whatever larger buffers they are slices of.
//!
//! Invariant: the weight of a batch follows from its rows and its batch alone, never from who else shares its buffers,
//! so that what is decided by weight is the same for the same batches.

use arrow::array::{Array, ArrayRef, AsArray, MutableArrayData, RecordBatch, make_array};
use arrow::datatypes::DataType;

use super::refused;
use crate::error::Result;

/// What an array costs besides its values, about.
const ARRAY_BYTES: u64 = 256;

/// How much more memory than its rows need a batch may keep alive.
const SLACK: u64 = 64 << 10;

/// What a batch weighs.
pub(crate) fn weight(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(|column| array_weight(column)).sum()
}

/// What one column of it weighs.
pub(super) fn array_weight(array: &dyn Array) -> u64 {
    let rows = array.len() as u64;
    let nulls = if array.nulls().is_some() { rows.div_ceil(8) } else { 0 };
    let values = match array.data_type() {
        DataType::Boolean => rows.div_ceil(8),
        DataType::Utf8 => 4 * rows + span(array.as_string::<i32>().value_offsets()),
        DataType::Binary => 4 * rows + span(array.as_binary::<i32>().value_offsets()),
        DataType::FixedSizeBinary(width) => rows * u64::from(width.unsigned_abs()),
        DataType::Struct(_) => array.as_struct().columns().iter().map(|child| array_weight(child)).sum(),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            4 * rows + elements_weight(list.values(), list.value_offsets())
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let parts = [map.keys(), map.values()];
            let parts = parts.map(|part| elements_weight(part, map.value_offsets()));
            4 * rows + parts.iter().sum::<u64>()
        }
        other => rows * other.primitive_width().unwrap_or_default() as u64,
    };
    ARRAY_BYTES + nulls + values
}

fn elements_weight(child: &ArrayRef, offsets: &[i32]) -> u64 {
    let first = offsets.first().map_or(0, |first| usize::try_from(*first).unwrap_or_default());
    let length = usize::try_from(span(offsets)).unwrap_or_default();
    array_weight(&child.slice(first, length))
}

/// How much lies between the first offset and the last.
fn span(offsets: &[i32]) -> u64 {
    match offsets {
        [first, .., last] => u64::from(first.abs_diff(*last)),
        _ => 0,
    }
}

/// The same rows, copied if they keep several times as much memory alive as they need: a few rows cut out of a large
/// batch.
pub(super) fn compact(batch: RecordBatch) -> Result<RecordBatch> {
    let kept = batch.get_array_memory_size() as u64;
    if kept <= 4 * weight(&batch) + SLACK {
        return Ok(batch);
    }
    let columns = batch.columns().iter().map(|column| {
        let data = column.to_data();
        let mut copy = MutableArrayData::new(vec![&data], false, column.len());
        copy.try_extend(0, 0, column.len()).map_err(refused)?;
        Ok(make_array(copy.freeze()))
    });
    RecordBatch::try_new(batch.schema(), columns.collect::<Result<_>>()?).map_err(refused)
}
