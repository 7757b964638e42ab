//! The Strandline table format, as pure functions and values: no I/O, no clock, no randomness, no Arrow.
//!
//! The normative text is `format-spec/spec.md`; rule ids like [PTR-3] in these sources point there.
//!
//! Examples make things by short functions that are not shown: `file(1, 3)` is the entry of a file with three rows, `version(7)` a
//! commit of the past, `table("orders", 1, "empty")` an entry of the catalog, `schema(&["id"])` a schema.

mod catalog;
mod commit;
mod deletion_vector;
mod embed;
mod error;
mod feature;
mod file;
mod filter;
mod hash;
mod history;
mod id;
mod json;
mod lake;
mod mask;
pub mod merge;
mod name;
mod numbering;
mod path;
mod pointer;
mod reference;
mod schema;
mod stats;
mod strict;
mod table;
mod tag;
mod text;
mod time;
mod transform;
pub mod tree;
mod value;
mod view;

pub use catalog::{Catalog, CatalogColumns, CatalogEntry, CatalogSummaries, EntryType};
pub use commit::{Commit, Counts, Operation, Parents, TableChange};
pub use deletion_vector::DeletionVector;
pub use error::{Error, ErrorKind, Result};
pub use feature::{Feature, Features, KNOWN_FEATURES};
pub use file::{
    Deletes, External, FileColumns, FileEntry, FileSummaries, FileSummary, Files, LAST_UPDATED_FIELD,
    MAX_INLINE_DELETES, ROW_ID_FIELD, RowIds, Scalar, SplitValues,
};
pub use filter::{Absent, Comparison, Filter, Test};
pub use hash::{Hash, ObjectRef};
pub use history::{
    History, HistoryColumns, HistoryEntry, HistorySummaries, HistorySummary, KeyFilter, MergedCommit,
};
pub use id::{Era, FieldId, FileId, LakeId, Nonce, PinId, RESERVED_FIELD_IDS, RowId, Seq, TableId, TxnId};
pub use json::{FORMAT_VERSION, MAX_DEPTH, MAX_META_BYTES, MAX_REF_BYTES};
pub use lake::Lake;
pub use mask::Mask;
pub use name::{ColumnName, MAX_NAME_BYTES, NameKey, RefName, TableName};
pub use numbering::{NumberMap, PickedNumbers, Piece, Pieces, Renumbering, Step};
pub use path::{BRANCHES, COMPRESS_ABOVE, DATA, LAKE_FILE, META, ObjectPath, PathKind, SCRATCH, TAGS};
pub use pointer::{
    BranchStart, ERA_SLACK, MAX_PACK_BYTES, MAX_PINS, MAX_PROBED, NewPin, Pack, PackBuilder, Pin, Pointer,
    PointerUpdate, RefState, Release, StoreFingerprint, SwapSeq,
};
pub use reference::{Base, HashPrefix, Reference, ReferenceRange, ReferenceTime, Suffix, Word};
pub use schema::{
    Field, MAX_TYPE_DEPTH, Position, RANDOM_FIELD_IDS, Schema, SchemaConflict, SchemaConflictKind,
    SchemaEdit, SchemaId, SchemaMerge, Type,
};
pub use stats::{
    Bound, BoundColumn, Bytes, DEFAULT_BOUND_BYTES, FieldColumns, FieldStats, MAX_SUMMARY_BOUND_BYTES,
    MAX_SUMMARY_FIELDS, Nullable, Stats, StatsColumns,
};
pub use table::{
    Constraint, Direction, FieldSet, Layout, MAX_INLINE_SCHEMA, NullOrder, OrderId, SortField, SortOrder,
    Split, SplitField, SplitFieldId, SplitId, Table, TableSchema, Totals,
};
pub use tag::{Tag, TagTarget};
pub use text::{
    Author, Comment, CommitProperties, Label, Message, Properties, PropertyKey, PropertyValue, SqlText,
    TableProperties, Text,
};
pub use time::Timestamp;
pub use transform::Transform;
pub use value::{MAX_FIXED, MAX_PRECISION, MICROS_PER_DAY, PrimitiveType, Value};
pub use view::{Namespace, View};
