//! A lakehouse in a bucket: tables, branches and atomic commits over many tables, with no server beside it.
//!
//! Layers, bottom up: [`runtime`] (time, randomness, environment), [`storage`] (objects by their hash, pointers by
//! conditional swap), [`tree`] (walking and editing stored trees), [`lake`] (a lake and its branches' heads). What the bytes mean is `strandline-format`'s; this crate does the I/O.
//!
//! Most examples begin with a lake in memory that has one table: `orders`, with an `id`, which is its key, and an `amount`, in three
//! rows. `orders(&[(4, 99)])` makes a batch of such rows.

mod blocking;
pub mod changes;
pub mod columns;
pub mod commit;
pub mod error;
pub mod filter;
pub mod history;
pub mod lake;
pub mod merge;
#[doc(hidden)]
pub mod near;
mod page_header;
pub mod refs;
pub mod runtime;
pub mod scan;
mod snapshot;
pub mod storage;
mod table;
pub mod transaction;
pub mod tree;
pub mod write;

pub use arrow;
pub use commit::{Report, Resolution, Unresolved};
pub use error::{Error, ErrorKind, Result};
pub use history::{Commit, Ref};
pub use lake::{Head, Lake};
pub use merge::{Conflict, ConflictKind};
pub use runtime::{Clock, Deadline, Environment, Random, Runtime};
pub use strandline_format as format;
pub use table::{RowPlace, Table};
pub use transaction::{Begin, Isolation, RowChanges, RowSet, Transaction};
pub use write::{Compression, RowRemoval, WriteOptions};

/// The README's program, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
