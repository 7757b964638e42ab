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
mod exact;
pub(crate) mod lookup;
pub(crate) mod names;
mod parse;
pub(crate) mod reference;
pub(crate) mod run;
mod statement;
mod travel;
mod unread;
pub(crate) mod view;

pub(crate) use parse::{query, statements};
pub(crate) use travel::{CHANGES, Guard};

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{Query, SetExpr};
use strandline::{Error, ErrorKind};

use crate::error::lake_error;

/// A query of this and nothing more.
///
/// # Errors
/// None at present: a text of ours that cannot be parsed.
pub(crate) fn query_of(body: SetExpr) -> std::result::Result<Box<Query>, DataFusionError> {
    let mut query = parse::query("SELECT 1").map_err(crate::error::external)?;
    *query.body = body;
    Ok(query)
}

/// An error of DataFusion's as one of the SDK's: what was ours keeps its kind, all else is of what was asked.
pub(crate) fn refusal(error: &DataFusionError) -> Error {
    match lake_error(error) {
        Some(ours) => Error::new(ours.kind(), ours.message()),
        None => Error::new(ErrorKind::InvalidInput, error.strip_backtrace()),
    }
}
