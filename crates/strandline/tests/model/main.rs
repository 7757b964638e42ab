//! A model of pointers, commits, branches and eras, searched exhaustively within small bounds, and its mutants.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod collector;
#[cfg(test)]
mod lake;
#[cfg(test)]
mod models;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod refs;
#[cfg(test)]
mod shortcut;
#[cfg(test)]
mod store;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod writer;
