//! Writing data files: from record batches to content-addressed Parquet files, with exact statistics.
//!
//! ```text
//! batches ── split ──▶ waiting ── row groups, or runs to be sorted ──▶ encoding ── in order ──▶ open files ──▶ uploads
//!           (split)    (waiting,                                       (encode,                 (file)
//!                       buffer)                                         sort, stats,
//!                                                                       checksum)
//! ```
//!
//! Invariants: the same batches with the same options give the same bytes, whatever the number of cores and however
//! requests interleave, so that a write that changes nothing is known by its hashes: what is decided by weight is
//! decided over rows in the order in which they came, and whatever is encoded is appended in the order in which it was
//! begun. Nothing of a file is visible before all of it is there; a writer that failed, or whose `write` was dropped
//! half-way, gives no files. Memory is bounded as [`WriteOptions`] says.
//!
//! What does not belong here: making batches conform to a table's schema, row ids, and which commit refers to the
//! files.

mod buffer;
mod checksum;
mod encode;
mod file;
mod jobs;
mod leaf;
mod options;
mod plan;
mod properties;
mod size;
mod sort;
mod split;
mod spread;
mod stats;
mod transform;
mod uploads;
mod waiting;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use strandline_format::{
    Era, FieldSet, Hash, ObjectRef, OrderId, Schema, SortOrder, Split, SplitValues, Stats, TableId,
};

pub use options::{Compression, RowRemoval, WriteOptions};
pub(crate) use plan::WRITER;
pub(crate) use properties::check_properties;
pub(crate) use size::weight;
pub(crate) use split::scalar;
pub(crate) use uploads::Uploads;
pub(crate) use writer::TableWriter;

use crate::error::{Error, ErrorKind};
use plan::Plan;

/// What files are to be written.
#[derive(Clone, Debug)]
pub(crate) struct FileSpec {
    /// Whose data it is.
    pub(crate) table: TableId,
    /// The fields. All of them are in the files.
    pub(crate) schema: Arc<Schema>,
    /// The same as an Arrow schema, each field with its id in `PARQUET:field_id`; besides, the columns of stored row
    /// ids may be there [FILE-8]. Batches have this schema.
    pub(crate) arrow: SchemaRef,
    /// The era in which the files are uploaded.
    pub(crate) era: Era,
    /// How rows lie within a file.
    pub(crate) order: Option<SortOrder>,
    /// How rows are split over files.
    pub(crate) split: Option<Split>,
    /// Everything else.
    pub(crate) options: WriteOptions,
    /// Objects that are in the store for certain: a file that comes out as one of them is not uploaded [TXN-3].
    pub(crate) known: Arc<HashMap<Hash, ObjectRef>>,
}

/// A file that was written and is in the store: what its entry says of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewFile {
    /// The object.
    pub(crate) object: ObjectRef,
    /// Whether it was in the store already.
    pub(crate) reused: bool,
    /// How many rows it has.
    pub(crate) rows: u64,
    /// The length of the Parquet footer with the eight bytes behind it.
    pub(crate) footer: u64,
    /// The offset of the first byte of each row group.
    pub(crate) row_groups: Vec<u64>,
    /// What is known of each leaf field.
    pub(crate) stats: Stats,
    /// The order in which the rows lie.
    pub(crate) order: Option<OrderId>,
    /// The split values that all rows have.
    pub(crate) split: Option<SplitValues>,
    /// The leaf fields that it was written with.
    pub(crate) fields: FieldSet,
}

/// Rows that Arrow or the Parquet encoder refuses: nothing but them is in its hands, as all I/O is the store's.
fn refused(error: impl StdError + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the rows cannot be written: {error}")).with_source(error)
}

/// What the Parquet encoder never makes, so that nothing is made of it.
fn odd(what: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the Parquet encoder made {what}"))
}
