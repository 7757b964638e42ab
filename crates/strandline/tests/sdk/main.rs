//! The SDK as a user of the crate sees it, on stores that count, fail and delay. One binary, a module for each part.

mod fixture;
mod lake;
mod lake_counts;
mod tree_counts;
mod tree_model;
