//! What changed: between two versions ([`Lake::diff`](crate::Lake::diff)), commit by commit
//! ([`Table::changes`](crate::Table::changes)), and as it happens ([`Lake::subscribe`](crate::Lake::subscribe)).
//!
//! Invariants: a row is known by its id, and a change of a row is a change of its values; what is read is what differs; versions
//! that are not kept are an error, never a part of the answer. What does not belong here: what a merge makes of differences
//! (`merge`), and which commits there are (`history`).

mod changelog;
mod cursor;
mod diff;
mod files;
mod ranges;
mod rows;
mod schema;
mod subscribe;

pub use changelog::{CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION, ChangeBatches, Changes};
pub use cursor::Cursor;
pub(crate) use diff::empty;
pub use diff::{Diff, EntryDiff, TableAspect, TableDiff};
pub use files::FileChange;
pub(crate) use files::{Part, Parts, Sides, is_fresh, only};
pub use rows::{RowChange, RowCounts};
pub(crate) use rows::{broken, columns, differing, differing_column, ids, read};
pub(crate) use schema::side_by_side;
pub use schema::{FieldAspect, FieldDiff};
pub use subscribe::{Event, Since, Subscription};
