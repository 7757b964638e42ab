//! The one merge: three-way rules for catalogs, table nodes, file entries, rows and keys, as pure functions [REB-1..7, REB-17].
//!
//! A rebase is a merge of a transaction's result into the head, a merge of branches is the same with the common ancestor as
//! base. Invariants: merging with the base itself gives the other side; the sides are equal but for whose numbers and order
//! stay; a conflict is a value that names what and both sides, and all of them are reported. What does not belong here:
//! walking trees, reading files, isolation levels, and what is done about a conflict.

mod ancestor;
mod catalog;
mod cells;
mod doubt;
mod entry;
mod file;
mod keys;
mod lists;
mod picks;
mod rows;
mod table;
mod value;

pub use ancestor::Ancestry;
pub use catalog::{
    CatalogConflict, CatalogConflictKind, CatalogMerge, MergedEntry, MergedNode, merge_catalogs,
};
pub use cells::CellsMerge;
pub use doubt::{Dispute, DoubtMerge};
pub use file::{FileConflict, FileMerge, FileSide, FileSides, TouchedTwice};
pub use keys::{KeyedRow, same_keys};
pub use lists::ListMap;
pub use picks::{CopiedTwice, PICKED, Picking, PutBack, TableEnds, pick_key};
pub use rows::{RowFate, RowMerge};
pub use table::{TableConflict, TableMerge, TableSide, merge_tables};

use crate::id::TableId;

/// Anything that two sides of a merge disagree on.
///
/// ```
#[doc = include_str!("../catalog.example")]
/// use strandline_format::merge::{Conflict, merge_catalogs};
///
/// let base = [table("orders", 1, "empty")];
/// let merge = merge_catalogs(&base, &[], &[table("orders", 1, "three rows")]);
/// let conflicts: Vec<Conflict> = merge.conflicts.into_iter().map(Conflict::Catalog).collect();
/// assert_eq!(conflicts.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Conflict {
    /// Of the catalog.
    Catalog(CatalogConflict),
    /// Of a table's node.
    Table {
        /// Which table.
        table: TableId,
        /// What of it.
        conflict: TableConflict,
    },
    /// Of a file entry.
    File {
        /// Of which table.
        table: TableId,
        /// Which entries.
        conflict: Box<FileConflict>,
    },
}
