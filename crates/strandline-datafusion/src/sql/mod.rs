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

mod apart;
mod constant;
pub(crate) mod dialect;
mod exact;
pub(crate) mod lookup;
pub(crate) mod names;
pub(crate) mod parse;
mod plainer;
pub(crate) mod reference;
pub(crate) mod run;
mod sets;
mod statement;
mod travel;
mod unread;
mod using;
pub(crate) mod view;
mod written;

pub(crate) use exact::call;
pub(crate) use parse::{query, statements};
pub(crate) use sets::Numbered;
pub(crate) use travel::{CHANGES, Guard};
pub(crate) use using::Using;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{Ident, Query, SetExpr};
use strandline::{Error, ErrorKind};

use crate::error::{external, lake_error};

/// A name as it is looked up: folded as DataFusion folds it, unless it is quoted or the session does not fold.
pub(crate) fn folded(name: &Ident, fold: bool) -> String {
    if fold && name.quote_style.is_none() { name.value.to_ascii_lowercase() } else { name.value.clone() }
}

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
        None if is_unknown(error) => Error::new(ErrorKind::Unsupported, error.strip_backtrace()),
        None => Error::new(ErrorKind::InvalidInput, error.strip_backtrace()),
    }
}

/// An error of DataFusion's on its way to whoever asked: that there is no such thing has a kind of ours.
pub(crate) fn told(error: DataFusionError) -> DataFusionError {
    if is_unknown(&error) && lake_error(&error).is_none() { external(refusal(&error)) } else { error }
}

/// Whether DataFusion says that it has no such thing.
pub(crate) fn is_unknown(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::NotImplemented(_))
}
