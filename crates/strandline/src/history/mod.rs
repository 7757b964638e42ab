//! Versions: commits, and refs that lead to them.

mod commit;
mod version;

pub use commit::Commit;
pub use version::Ref;
