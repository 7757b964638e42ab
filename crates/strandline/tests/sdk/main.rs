//! The SDK as a user of the crate sees it, on stores that count, fail and delay. One binary, a module for each part.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod branches;
#[cfg(test)]
mod collector;
#[cfg(test)]
mod commit_counts;
#[cfg(test)]
mod committers;
#[cfg(test)]
mod compaction;
#[cfg(test)]
mod diffs;
#[cfg(test)]
mod evolution;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod lake;
#[cfg(test)]
mod lake_counts;
#[cfg(test)]
mod log;
#[cfg(test)]
mod many_files;
#[cfg(test)]
mod merges;
#[cfg(test)]
mod overwrites;
#[cfg(test)]
mod past;
#[cfg(test)]
mod races;
#[cfg(test)]
mod rebase;
#[cfg(test)]
mod ref_counts;
#[cfg(test)]
mod ref_faults;
#[cfg(test)]
mod ref_races;
#[cfg(test)]
mod references;
#[cfg(test)]
mod restores;
#[cfg(test)]
mod row_changes;
#[cfg(test)]
mod row_rebase;
#[cfg(test)]
mod same_keys;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod tags;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod tree_counts;
#[cfg(test)]
mod tree_model;
#[cfg(test)]
mod upserts;
#[cfg(test)]
mod wide;
#[cfg(test)]
mod work;
