//! The SDK's own small filter language: predicates over the columns of one table, for scans, overwrites and deletes, the
//! read sets of transactions, and `CHECK` constraints alike.
//!
//! A [`Predicate`] names columns by path and is built by functions or read from SQL text; bound to a schema it becomes a
//! [`Filter`], by field id and with literals of the columns' types, which the format prunes with and `evaluate` runs over
//! batches. Invariants: binding keeps the meaning for every row, nulls included; a row that passes is in no file that
//! pruning leaves out [STAT-11].
//!
//! Truth is SQL's, with three values. Numbers compare by size whatever their types. Of floats the two zeros are equal, and all
//! NaNs are equal and above every number, as in PostgreSQL and Spark. Arrow's own kernels order by bits: there -0.0 is below
//! 0.0, so that a `CHECK (x >= 0)` would refuse it, which is why DataFusion makes the zeros one before it compares; and a NaN
//! with a sign, which is what `0.0 / 0.0` gives on some machines, is below everything. Pruning allows for either order.
//!
//! What does not belong here: arithmetic, functions, columns against columns; a query engine has those.

mod bind;
mod calendar;
mod check;
mod column;
mod display;
mod evaluate;
mod key;
mod literal;
mod parse;
mod place;
mod predicate;
mod simplify;

#[cfg(test)]
mod tests;

pub(crate) use calendar::format_date;
pub(crate) use check::{Checks, declare, tightened, unheld};
pub(crate) use column::find as find_column;
pub(crate) use evaluate::passes;
pub use literal::Literal;
pub use predicate::{Column, Predicate, col, col_path};
pub use strandline_format::Filter;
