//! Columns in which a value must stand: where one is missing is said by the line of the file, which whoever takes the rows does not know.

use std::sync::Arc;

use strandline::arrow::array::{Array, RecordBatch};
use strandline::format::NameKey;

use crate::failure::Failure;

/// The columns that must have values. Cloning gives another handle to the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Required(Arc<[NameKey]>);

impl Required {
    /// Those of these names, as far as they are there.
    pub(crate) fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Self(names.into_iter().map(NameKey::of).collect())
    }

    /// Refuses rows without a value; an error says in which row.
    pub(super) fn check(&self, batch: &RecordBatch) -> Result<(), (usize, Failure)> {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let nulls = column.logical_nulls().filter(|nulls| nulls.null_count() > 0);
            let Some(nulls) = nulls.filter(|_| self.0.contains(&NameKey::of(field.name()))) else { continue };
            let row = (0..nulls.len()).find(|row| nulls.is_null(*row)).unwrap_or_default();
            let text = format!("column {:?} is required, and has no value here", field.name());
            return Err((row, Failure::input(text)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strandline::arrow::array::{ArrayRef, Int64Array};

    #[test]
    fn the_first_row_without_a_value_is_told() {
        let check = |names: &[&str], expected: Option<usize>| {
            let full: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
            let partial: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, None]));
            let batch = RecordBatch::try_from_iter([("Id", full), ("n", partial)]).unwrap();
            let found = Required::of(names.iter().copied()).check(&batch);
            assert_eq!(found.err().map(|(row, _)| row), expected, "{names:?}");
        };
        check(&[], None);
        check(&["id", "absent"], None);
        check(&["id", "N"], Some(1));
    }
}
