//! What the command says to the shell: one number for each way in which it can end.
//!
//! Invariant: the numbers are a contract that scripts rely on; they are never given another meaning.

use std::process::ExitCode;

use strandline::ErrorKind;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It did what it was asked.
    Ok = 0,
    /// Something went wrong that has no number of its own.
    Error = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Somebody else's commit stands in the way.
    Conflict = 3,
    /// A lake, ref, table or file is not there.
    NotFound = 4,
    /// Credentials or rights are refused.
    Refused = 5,
    /// Stored bytes are not what they should be.
    Integrity = 6,
    /// What was compared differs, and the caller asked to be told so.
    Differences = 7,
    /// The store does not keep the conditions that commits rely on.
    StoreUnsuitable = 8,
    /// It was interrupted: what shells expect of a program that SIGINT ended.
    Interrupted = 130,
}

impl Exit {
    /// What an error of this kind ends with.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::NotFound | ErrorKind::SnapshotExpired => Self::NotFound,
            ErrorKind::PermissionDenied => Self::Refused,
            ErrorKind::Corrupt => Self::Integrity,
            ErrorKind::StoreUnsuitable => Self::StoreUnsuitable,
            _ => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
