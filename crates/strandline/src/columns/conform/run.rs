//! Converting arrays as planned.
//!
//! Invariant: what stands under a null of whatever surrounds it is neither looked at nor complained about. What does not belong
//! here: decisions; the plan has made them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;

use super::elements::Elements;
use super::exact;
use super::leaf::{self, Wrong};
use super::plan::{Part, Plan, Slot};
use crate::columns::from_arrow::{describe, plain};
use crate::columns::{literal, value_text};
use crate::error::{Error, ErrorKind};

/// What is wrong with a column. The row is counted in the array that is being converted, until it has become one of the batch.
pub(super) struct Fault {
    path: String,
    row: Option<usize>,
    what: String,
}

impl Fault {
    fn in_row(part: &Part, row: usize, what: impl Into<String>) -> Self {
        Self { path: part.path.clone(), row: Some(row), what: what.into() }
    }

    fn of_all(part: &Part, what: impl Into<String>) -> Self {
        Self { path: part.path.clone(), row: None, what: what.into() }
    }

    /// The same fault of a list, if it was one of its elements.
    fn of_list(self, elements: &Elements) -> Self {
        Self { row: self.row.map(|at| elements.row_of(at)), ..self }
    }

    /// The same fault of a batch before which so many rows came.
    pub(super) fn behind(self, rows: usize) -> Self {
        Self { row: self.row.map(|at| at + rows), ..self }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let place = match fault.row {
            Some(row) => format!("column {}, row {row}", fault.path),
            None => format!("column {}", fault.path),
        };
        Self::new(ErrorKind::InvalidInput, fault.what).at(place)
    }
}

type Converted = std::result::Result<ArrayRef, Fault>;

/// The columns of a table or struct of so many rows. `outer` says which of them count, `None` that all do.
pub(super) fn slots(
    slots: &[Slot],
    given: &[ArrayRef],
    rows: usize,
    outer: Option<&NullBuffer>,
) -> std::result::Result<Vec<ArrayRef>, Fault> {
    let column = |slot: &Slot| match slot {
        Slot::Given { at, part } => convert(part, &given[*at], outer),
        Slot::Filled { path, value, ty } => literal::constant(value.as_ref(), ty, rows)
            .map_err(|error| Fault { path: path.clone(), row: None, what: error.message().to_owned() }),
    };
    slots.iter().map(column).collect()
}

fn convert(part: &Part, array: &ArrayRef, outer: Option<&NullBuffer>) -> Converted {
    let nulls = array.logical_nulls();
    if part.required
        && let Some(row) = first_null(nulls.as_ref(), outer)
    {
        return Err(Fault::in_row(part, row, "null, but the column is required"));
    }
    if let Plan::Same = part.plan {
        return Ok(Arc::clone(array));
    }
    let array = &unpacked(array).map_err(|error| fault(part, array, error.into()))?;
    let valid = NullBuffer::union(outer, array.nulls());
    let valid = valid.as_ref();
    match &part.plan {
        Plan::Same => Ok(Arc::clone(array)),
        Plan::Nulls(ty) => Ok(new_null_array(ty, array.len())),
        Plan::Leaf { natural, to } => {
            leaf::convert(array, valid, *natural, *to).map_err(|wrong| fault(part, array, wrong))
        }
        Plan::Exact(to) => exact::convert(array, valid, *to).map_err(|wrong| fault(part, array, wrong)),
        Plan::Struct(fields, slots) => structs(part, fields, slots, array, valid),
        Plan::List(element, of) => list(part, element, of, array, valid),
        Plan::Map(pair, of) => map(part, pair, of, array, valid),
    }
}

/// The first null that is not under a null of what surrounds it.
fn first_null(nulls: Option<&NullBuffer>, outer: Option<&NullBuffer>) -> Option<usize> {
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0)?;
    let counts = |row: usize| outer.is_none_or(|outer| outer.is_valid(row));
    (0..nulls.len()).find(|row| nulls.is_null(*row) && counts(*row))
}

/// The values that a dictionary or run ends stand for.
fn unpacked(array: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    let unpacked_once = match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            take(dictionary.values(), dictionary.keys(), None)?
        }
        DataType::RunEndEncoded(_, values) => cast(array, values.data_type())?,
        _ => return Ok(Arc::clone(array)),
    };
    unpacked(&unpacked_once)
}

/// Nulls of what surrounds a struct become its own, so that those of required members stand under a null.
fn structs(
    part: &Part,
    fields: &Fields,
    of: &[Slot],
    array: &ArrayRef,
    valid: Option<&NullBuffer>,
) -> Converted {
    let columns = slots(of, array.as_struct().columns(), array.len(), valid)?;
    let made = StructArray::try_new_with_length(fields.clone(), columns, valid.cloned(), array.len());
    Ok(Arc::new(made.map_err(|error| fault(part, array, error.into()))?))
}

fn list(
    part: &Part,
    element: &FieldRef,
    of: &Part,
    array: &ArrayRef,
    valid: Option<&NullBuffer>,
) -> Converted {
    let elements = Elements::of(array, valid).map_err(|wrong| fault(part, array, wrong))?;
    let values = convert(of, &elements.values, None).map_err(|fault| fault.of_list(&elements))?;
    let made = ListArray::try_new(Arc::clone(element), elements.offsets, values, array.nulls().cloned());
    Ok(Arc::new(made.map_err(|error| fault(part, array, error.into()))?))
}

fn map(
    part: &Part,
    pair: &FieldRef,
    of: &[Part; 2],
    array: &ArrayRef,
    valid: Option<&NullBuffer>,
) -> Converted {
    let elements = Elements::of(array, valid).map_err(|wrong| fault(part, array, wrong))?;
    let [keys, values] = [0, 1].map(|at| {
        convert(&of[at], elements.values.as_struct().column(at), None)
            .map_err(|fault| fault.of_list(&elements))
    });
    let wrong = |error: ArrowError| fault(part, array, error.into());
    let DataType::Struct(fields) = pair.data_type() else {
        return Err(Fault::of_all(part, "a map has keys and values"));
    };
    let pairs = StructArray::try_new(fields.clone(), vec![keys?, values?], None).map_err(wrong)?;
    let made = MapArray::try_new(Arc::clone(pair), elements.offsets, pairs, array.nulls().cloned(), false);
    Ok(Arc::new(made.map_err(wrong)?))
}

fn fault(part: &Part, array: &ArrayRef, wrong: Wrong) -> Fault {
    match wrong {
        Wrong::Row(row) => {
            // There is no text for a time in a named zone.
            let value = value_text(array, row).unwrap_or_else(|_| "the value".to_owned());
            let to = match &part.plan {
                Plan::Leaf { to, .. } | Plan::Exact(to) => to.to_string(),
                _ => "of the table".to_owned(),
            };
            Fault::in_row(part, row, format!("{value} of {} is no value of type {to}", array.data_type()))
        }
        Wrong::TooLong => {
            let ty = describe(plain(array.data_type()));
            Fault::of_all(
                part,
                format!("more than 2^31 bytes or elements of {ty} in one batch: write smaller batches"),
            )
        }
        Wrong::Arrow(error) => Fault::of_all(part, error.to_string()),
    }
}
