//! SQL beyond what DataFusion plans: statements of lakes, versions of tables, names with references.
//!
//! ```text
//! text ──▶ parse ──▶ Statement ──▶ run ──▶ the SDK: transactions, refs, listings        DDL, BEGIN, BRANCH, SHOW
//!                        │
//!                        └─ Plain ──▶ travel: versions become names ──▶ DataFusion      queries, INSERT, DELETE, COPY
//!                                                                          │
//!                                              lookup ◀── the catalog ◀────┘            "t@dev", t$files, views
//! ```
//!
//! Invariants: a clause is carried out or refused, never passed over; an error of the SDK keeps its kind on its way out. What does
//! not belong here: how a table is read (`table`, `scan`) and how rows are written (`write`).

mod constant;
mod dialect;
pub(crate) mod lookup;
pub(crate) mod names;
mod parse;
pub(crate) mod reference;
pub(crate) mod run;
mod statement;
mod travel;
mod unread;
mod view;

pub(crate) use parse::statements;
pub(crate) use travel::Guard;

use datafusion::error::DataFusionError;
use strandline::{Error, ErrorKind};

use crate::error::lake_error;

/// An error of DataFusion's as one of the SDK's: what was ours keeps its kind, all else is of what was asked.
pub(crate) fn refusal(error: &DataFusionError) -> Error {
    match lake_error(error) {
        Some(ours) => Error::new(ours.kind(), ours.message()),
        None => Error::new(ErrorKind::InvalidInput, error.strip_backtrace()),
    }
}
