//! Which row stands where in a file: for what has to be said of single rows, by their ids.
//!
//! Invariant: ids are read only of files that store them; of all others they follow from the entry [READ-4]. What does not belong here: which
//! files may hold a row (`table`), and what becomes of it (`merge`, `transaction`).

use arrow::array::{AsArray, UInt64Array};
use arrow::datatypes::UInt64Type;
use futures::TryStreamExt;
use strandline_format::{Deletes, DeletionVector, FileEntry, RowIds, Seq};

use super::footer::corrupt;
use super::{LAST_UPDATED, ROW_ID, Scan};
use crate::error::Result;
use crate::table::TableState;

/// One row of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) position: u64,
    pub(crate) id: u64,
    /// The version that last updated it.
    pub(crate) updated: Seq,
}

/// A scan of one file, of all its rows but these.
pub(crate) fn without(state: &TableState, entry: &FileEntry, deleted: &DeletionVector) -> Result<Scan> {
    // In memory, a vector of any length may stand in its entry.
    let deletes = match deleted.cardinality() {
        0 => None,
        rows => Some(Deletes::Inline { rows, blob: deleted.encode()? }),
    };
    Ok(Scan::of(state.of_file(FileEntry { deletes, ..entry.clone() })))
}

/// Tells of each row of a file which one it is, in the order of their places, but for those that are deleted. No request if their ids follow
/// from their places, else those of a scan of the columns of ids and versions, at most one batch of which is in memory.
pub(crate) async fn identify(
    state: &TableState,
    entry: &FileEntry,
    deleted: &DeletionVector,
    mut tell: impl FnMut(Identity) -> Result<()>,
) -> Result<()> {
    let live = DeletionVector::below(entry.rows)?.added_since(deleted);
    let mut positions = live.positions();
    if entry.row_ids == RowIds::Derived {
        let identity = |position: u64| Identity {
            position,
            id: entry.first_row.0.saturating_add(position),
            updated: entry.added,
        };
        return positions.map(identity).try_for_each(tell);
    }
    // One piece at a time: rows come in their order.
    let scan = without(state, entry, deleted)?.columns::<String>([]).row_ids(true);
    let mut batches = scan.prefetch(std::num::NonZeroUsize::MIN).await?;
    while let Some(batch) = batches.try_next().await? {
        let column = |name: &str| -> Result<UInt64Array> {
            let column =
                batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<UInt64Type>());
            column.cloned().ok_or_else(|| corrupt(format!("a scan gave no {name}")))
        };
        let (ids, versions) = (column(ROW_ID.0)?, column(LAST_UPDATED.0)?);
        for row in 0..ids.len() {
            let position = positions.next().ok_or_else(|| corrupt("it has more rows than its entry says"))?;
            tell(Identity { position, id: ids.value(row), updated: Seq(versions.value(row)) })?;
        }
    }
    Ok(())
}
