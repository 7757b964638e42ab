//! The rows of a file that are gone, as what is left of each row group.

use std::ops::Range;

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use strandline_format::{Deletes, DeletionVector, FileEntry, TableId};

use super::footer::corrupt;
use crate::error::Result;
use crate::storage::{DataKind, Objects};

/// The deletion vector of an entry, held against it [FILE-6]. One request if the vector is an object of its own.
///
/// # Errors
/// `Corrupt` if the vector is missing, is not what its hash says, or contradicts the entry; what the store refuses or cannot do.
pub(crate) async fn deletion_vector(
    objects: &Objects,
    table: TableId,
    entry: &FileEntry,
) -> Result<Option<DeletionVector>> {
    let (blob, place) = match &entry.deletes {
        None => return Ok(None),
        Some(Deletes::Inline { blob, .. }) => (blob.clone().into(), format!("file entry {}", entry.id)),
        Some(Deletes::Stored { object, .. }) => {
            let place = objects.at(&DataKind::DeletionVector.path(table, object));
            (objects.keep_data(DataKind::DeletionVector, table, object).await?, place)
        }
    };
    let vector = DeletionVector::decode(&blob).map_err(|error| error.stored().at(&place))?;
    let deleted = entry.deletes.as_ref().map_or(0, Deletes::rows);
    let wrong = if vector.cardinality() != deleted {
        format!("it deletes {} rows, its entry says {deleted}", vector.cardinality())
    } else if vector.max().is_some_and(|last| last >= entry.rows) {
        format!("it deletes rows beyond the {} that the file has", entry.rows)
    } else {
        return Ok(Some(vector));
    };
    Err(corrupt(wrong).at(place))
}

/// Which rows are left of each of these row groups, which follow each other from the file's first row; `None` where all are.
pub(super) fn left(deleted: &DeletionVector, groups: &[Range<usize>]) -> Result<Vec<Option<BooleanBuffer>>> {
    let rows = groups.last().map_or(0, |last| last.end);
    // Whichever are fewer are gone through one by one.
    let kept = usize::try_from(deleted.cardinality()).is_ok_and(|gone| gone > rows / 2);
    let set = if kept { DeletionVector::below(rows as u64)?.added_since(deleted) } else { deleted.clone() };
    let mut positions = set.positions().filter_map(|at| usize::try_from(at).ok()).peekable();
    let left = |rows: &Range<usize>| {
        let mut bits: Option<BooleanBufferBuilder> = None;
        while let Some(at) = positions.next_if(|at| *at < rows.end) {
            bits.get_or_insert_with(|| all(rows.len(), !kept)).set_bit(at.saturating_sub(rows.start), kept);
        }
        let bits = bits.or_else(|| kept.then(|| all(rows.len(), false))).map(|mut bits| bits.finish());
        bits.filter(|bits| bits.count_set_bits() < bits.len())
    };
    Ok(groups.iter().map(left).collect())
}

fn all(rows: usize, left: bool) -> BooleanBufferBuilder {
    let mut bits = BooleanBufferBuilder::new(rows);
    bits.append_n(rows, left);
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_group_keeps_what_is_not_deleted() {
        let check = |deleted: &[u64], expected: [Option<&[bool]>; 3]| {
            let vector = DeletionVector::from_positions(deleted.iter().copied()).unwrap();
            let found = left(&vector, &[0..2, 2..2, 2..5]).unwrap();
            let found: Vec<Option<Vec<bool>>> =
                found.iter().map(|bits| bits.as_ref().map(|bits| bits.iter().collect())).collect();
            assert_eq!(found, expected.map(|bits| bits.map(<[bool]>::to_vec)), "{deleted:?}");
        };
        check(&[], [None, None, None]);
        check(&[1], [Some(&[true, false]), None, None]);
        check(&[0, 1, 2, 4], [Some(&[false, false]), None, Some(&[false, true, false])]);
        check(&[0, 2, 3, 4], [Some(&[false, true]), None, Some(&[false, false, false])]);
        check(&[2, 3, 4], [None, None, Some(&[false, false, false])]);
        check(&[0, 1, 2, 3, 4], [Some(&[false, false]), None, Some(&[false, false, false])]);
    }
}
