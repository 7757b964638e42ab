//! Branches and tags: making, moving, merging, renaming and deleting them, and what there is [BR-1..9, MRG].
//!
//! Invariants: a ref comes to reach a commit of another ref only through [`taking::Taking`], which pins it and checks, against
//! each base that is swapped, that the source keeps it [GC-7]; no ref becomes live but by a swap of its tombstone [BR-2]; no
//! ref's object is ever deleted. After a crash between any two steps every ref is readable and the act can be done again
//! [BR-8]: what is left over is a pin, which two collections drop, or a tombstone. What does not belong here: what
//! a merge comes to (`merge`), the loop that commits it (`commit`), and looking refs up (`history`).

mod carry;
mod create_branch;
mod create_tag;
mod delete_branch;
mod delete_tag;
mod fast_forward;
mod keeps;
mod list;
mod merge;
mod rename_branch;
mod single;
mod taking;

use std::time::Duration;

use strandline_format::{Hash, RefName};

pub use carry::{MergeConflicts, Merged, Preview};
pub use create_branch::CreateBranch;
pub use create_tag::CreateTag;
pub use delete_branch::DeleteBranch;
pub use delete_tag::DeleteTag;
pub use fast_forward::FastForward;
pub use list::{Branch, Tag};
pub use merge::Merge;
pub use rename_branch::RenameBranch;
pub use single::Single;
pub(crate) use taking::{Source, Taking};

use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Deadline;

/// How long an act tries, and an outcome is looked for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Refuses to go on after the deadline; `what` was kept from being done by others.
fn check_time(deadline: Deadline, what: impl std::fmt::Display) -> Result<()> {
    if deadline.passed() {
        return Err(Error::new(ErrorKind::Unavailable, format!("{what}: other writers kept it busy")));
    }
    Ok(())
}

/// Refuses another commit than the caller expects there.
fn check_expected(kind: &str, name: &RefName, expected: Option<Hash>, found: Hash) -> Result<()> {
    match expected {
        Some(expected) if expected != found => {
            let text = format!("{kind} {:?} is at commit {found}, not at {expected}", name.as_str());
            Err(Error::new(ErrorKind::Conflict, text))
        }
        _ => Ok(()),
    }
}

/// The last swap of an act went unanswered, and may still be applied.
fn not_known(act: impl std::fmt::Display, settles: &str, error: &Error) -> Error {
    let text = format!("it is not known whether {act}; {settles}: {}", error.message());
    Error::new(ErrorKind::CommitUnknown, text)
}

/// A ref's object is never deleted: something else than Strandline was at it.
fn vanished(kind: &str, name: &RefName) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the object of {kind} {:?} was removed", name.as_str()))
}
