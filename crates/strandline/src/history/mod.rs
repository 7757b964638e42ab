//! Versions: commits, the refs that lead to them, and how people name them.

mod commit;
mod descent;
mod line;
mod list;
mod log;
mod prefix;
mod resolve;
mod revision;
mod version;

pub use commit::{Commit, MergedParent};
pub(crate) use line::{Keeper, Line};
pub use list::{Listed, Names};
pub use log::{Log, Subject};
pub use revision::Revision;
pub use version::Ref;
