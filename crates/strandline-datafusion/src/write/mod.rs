//! Statements that write: their rows are planned by DataFusion, and stored by the SDK's transactions.
//!
//! ```text
//! INSERT, UPDATE, … ──▶ rule: the statement becomes "insert its rows into a sink" ──▶ DataSinkExec ──▶ Transaction
//! (LogicalPlan::Dml)    over the real input plan, with the positions of its rows         (sink)
//! ```
//!
//! DataFusion's own way for DELETE, UPDATE and MERGE gives a provider nothing but the filters that it finds in the optimised plan,
//! and those lack whatever became a join, a limit or nothing at all. So the hooks of the provider refuse, and a rule ([`WriteRule`])
//! replaces such statements before optimisation: what is left is a query, which DataFusion plans like any other, and a sink for
//! its rows. A sink behind `LogicalPlan::Dml` is planned by every query planner, so that a session keeps the one it has.
//!
//! Invariants: planning changes nothing, so EXPLAIN does not either; what is read and what is written begin at the same commit; a
//! statement outside of a transaction is one commit, and one that fails leaves nothing. What does not belong here: how rows are
//! stored (`strandline::transaction`), and parsing (`sql`).

mod assign;
mod changes;
mod copy;
mod fit;
mod forms;
mod given;
mod merge;
mod pool;
mod positions;
mod prepare;
mod rule;
mod separate;
mod sink;
mod source;
mod spill;
mod target;
mod text_files;
mod text_sink;
mod values;

pub(crate) use assign::refusal;
pub(crate) use copy::copy_from;
pub(crate) use forms::rewrite;
pub(crate) use prepare::{aliased_delete, as_delete, mark_stars, prepare};
pub(crate) use rule::WriteRule;
pub(crate) use separate::{separate, with_source};
pub(crate) use target::{Undo, Writing};
pub(crate) use text_sink::{as_read, check_copy, full};
