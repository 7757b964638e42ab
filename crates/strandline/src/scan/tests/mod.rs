//! Scans of tables that are put together by hand.

mod corrupt;
mod evolution;
mod fixture;
mod flips;
mod pruning;
mod requests;
mod rows;
