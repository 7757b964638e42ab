//! Strandline in DataFusion: query and write a lake in SQL.
//!
//! [`register`] puts a lake into a session as a catalog: its namespaces are schemas, and what stands in no namespace is in the
//! schema `public`. A [`Session`] asks it with all that lakes add to SQL: schemas and tables that are made and altered, branches,
//! tags, versions of tables, transactions. What is read is the present state of a branch, unless it was pinned ([`catalog::At`]);
//! one query sees one commit over all of its tables.
//!
//! `lake_log()`, `lake_refs()` and the names `"t$files"`, `"t$history"`, `"t$stats"`, `"t$refs"` and `"t$rows"` tell of it;
//! `table_changes('t', 2, 4)`, or `"t$changes@v2..v4"`, of what became of the rows of a table after one version up to another, with
//! `'net'` behind it on balance; `to_uuid(text)` makes UUIDs of texts, and `uuid_text(uuid)` texts of them.
//!
//! Most examples begin with a lake in memory that has one table: `orders`, with an `id` and an `amount`, in three rows.
//!
//! What does not belong here: how a lake is stored and committed to, which is the SDK's (`strandline`).

pub mod catalog;
mod codec;
mod compared;
pub mod error;
mod external;
mod extremes;
mod functions;
mod heads;
mod inspect;
mod membership;
mod pin;
mod register;
mod scan;
mod session;
mod sql;
pub mod table;
// What `strand import` and `export` share with COPY: no part of what others may build on.
#[doc(hidden)]
pub mod text;
mod write;

pub use catalog::{At, LakeCatalog};
pub use codec::LakeCodec;
pub use error::{OnlyRead, lake_error};
pub use register::{prepare, register};
pub use session::{CATALOG, LakeSql, Session};
pub use sql::dialect::LakeDialect;
pub use table::{Extra, LakeTable};
