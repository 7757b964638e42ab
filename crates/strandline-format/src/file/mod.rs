//! File entries: what a table knows of each of its data files [FILE-1].
//!
//! Content is not entry: the same bytes may stand in several entries and are stored once; deletes and row ids belong to the
//! entry. What a deletion vector holds is `deletion_vector`'s business, what statistics mean is `stats`'.

mod columns;
mod entry;
mod row_ids;
mod wire;

pub use columns::{FileColumns, FileSummaries, Files};
pub use entry::{Deletes, External, FileEntry, FileSummary, MAX_INLINE_DELETES, RowIds, Scalar, SplitValues};
pub use row_ids::{LAST_UPDATED_FIELD, ROW_ID_FIELD};
