//! The one public error of the SDK: what to do about it ([`ErrorKind`]), what and where it went wrong, and its source.
//!
//! Invariants: whether an error may pass by itself follows from its kind alone; no message, source or debug output
//! holds a credential (whoever makes an error from a store's answer strips it first, see `storage::classify`).
//! What does not belong here: a lost race or an unknown outcome (those are values of the enums that the operations
//! return), and hints for people (the CLI has them).

use std::error::Error as StdError;
use std::fmt;

use strandline_format::RefName;

use crate::commit::Unresolved;
use crate::merge::Conflict;

/// A result of the SDK.
///
/// ```
/// use strandline::Lake;
///
/// async fn rows(location: &str, table: &str) -> strandline::Result<u64> {
///     Ok(Lake::open(location).await?.table(table).await?.rows())
/// }
/// # drop(rows("memory://nowhere", "orders"));
/// # Ok::<(), strandline::Error>(())
/// ```
pub type Result<T> = std::result::Result<T, Error>;

/// What the caller should do about an error.
///
/// ```
#[doc = include_str!("orders.example")]
/// use strandline::ErrorKind;
///
/// let error = lake.table("ordres").await.unwrap_err();
/// match error.kind() {
///     ErrorKind::NotFound => assert!(error.message().contains("orders"), "the nearest name is told"),
///     kind if kind.is_retryable() => println!("try again: {error}"),
///     _ => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument, option, name or location is not allowed. Change it; the same call fails for ever.
    InvalidInput,
    /// What was asked for is not there: a lake, branch, table, column, version, bucket or folder. Check the name.
    NotFound,
    /// What was to be made is there already. Use it, or choose another name.
    AlreadyExists,
    /// Somebody else's commit stands in the way. Read again and decide anew; the message says what collides.
    Conflict,
    /// Whether the commit happened could not be found out in time. Ask again by its transaction id before doing
    /// anything else, and never run it anew: that could commit it twice.
    CommitUnknown,
    /// The store refuses the credentials, or they do not allow this. Give other credentials or rights.
    PermissionDenied,
    /// Stored bytes are missing or are not what their hash or the specification says. Restore the named object from
    /// a copy; no answer was computed from it.
    Corrupt,
    /// The lake or the request needs something that this version does not know. Use a newer version.
    Unsupported,
    /// The history that was asked for has been expired on purpose. Ask for a younger version.
    SnapshotExpired,
    /// The store does not keep the conditions that commits rely on. Keep the lake in another store.
    StoreUnsuitable,
    /// The disk, or the quota on it, is full. Make room; until then every write fails.
    StoreFull,
    /// The store cannot be reached, is overloaded or took too long. Try again later.
    Unavailable,
}

impl ErrorKind {
    /// Whether the same call may succeed later without anybody changing its arguments, the rights or the lake.
    ///
    /// A [`ErrorKind::Conflict`] is over for a transaction that reads afresh. [`ErrorKind::CommitUnknown`] is not
    /// retryable: it is resolved, not repeated.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Conflict)
    }

    /// The kind in a few plain words, as messages begin.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid input",
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Conflict => "conflict",
            Self::CommitUnknown => "commit outcome unknown",
            Self::PermissionDenied => "permission denied",
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::SnapshotExpired => "snapshot expired",
            Self::StoreUnsuitable => "store unsuitable",
            Self::StoreFull => "store full",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that went wrong: its kind, what and where, and what caused it.
///
/// ```
/// use strandline::{Error, ErrorKind};
/// let error = Error::new(ErrorKind::NotFound, "no branch \"dev\"").at("s3://bucket/lake");
/// assert_eq!(error.to_string(), "not found: s3://bucket/lake: no branch \"dev\"");
/// assert!(!error.is_retryable());
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    details: Details,
}

/// What a kind carries besides words.
#[derive(Clone, Debug, Default)]
enum Details {
    #[default]
    None,
    Conflicts(Vec<Conflict>),
    /// What two versions disagree on, for good.
    Disagreement(Vec<Conflict>),
    Unresolved(Box<Unresolved>),
}

impl Error {
    /// An error of this kind; the message says what is wrong and where, and holds no credential.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (message, details) = (message.into(), Details::default());
        Self(Box::new(Inner { kind, message, source: None, details }))
    }

    /// What stands in the way of a commit, all of it.
    pub(crate) fn of_conflicts(branch: &RefName, conflicts: Vec<Conflict>) -> Self {
        let listed: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
        let message = format!("branch {:?} has moved: {}", branch.as_str(), listed.join("; "));
        let mut error = Self::new(ErrorKind::Conflict, message);
        error.0.details = Details::Conflicts(conflicts);
        error
    }

    /// What two versions disagree on: it stays so until somebody decides, however often it is tried.
    pub(crate) fn of_disagreement(conflicts: Vec<Conflict>, message: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorKind::Conflict, message);
        error.0.details = Details::Disagreement(conflicts);
        error
    }

    /// A commit whose outcome is open.
    pub(crate) fn of_unresolved(unresolved: Unresolved, doubt: &str) -> Self {
        let message = format!(
            "transaction {} on branch {:?} may or may not have committed, resolve it before anything else: {doubt}",
            unresolved.txn,
            unresolved.branch.as_str()
        );
        let mut error = Self::new(ErrorKind::CommitUnknown, message);
        error.0.details = Details::Unresolved(Box::new(unresolved));
        error
    }

    /// The same error for another one who waits for the same thing. Its source stays with the first.
    pub(crate) fn again(&self) -> Self {
        let mut error = Self::new(self.kind(), self.message());
        error.0.details = self.0.details.clone();
        error
    }

    /// What stands in the way, if this is a [`ErrorKind::Conflict`] of a commit or a merge: every conflict of every table.
    #[must_use]
    pub fn conflicts(&self) -> &[Conflict] {
        match &self.0.details {
            Details::Conflicts(conflicts) | Details::Disagreement(conflicts) => conflicts,
            _ => &[],
        }
    }

    /// What to look for, if this is a [`ErrorKind::CommitUnknown`] of a commit: see
    /// [`Lake::resolve`](crate::Lake::resolve).
    #[must_use]
    pub fn unresolved(&self) -> Option<&Unresolved> {
        match &self.0.details {
            Details::Unresolved(unresolved) => Some(unresolved),
            _ => None,
        }
    }

    /// The same error with its cause, which must hold no credential either.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error, said to be at `place`, which goes in front of the message.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What went wrong, and where, without the kind in front.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the same call may succeed later: see [`ErrorKind::is_retryable`]. A conflict of two versions that are merged is none that
    /// passes: it is decided, not repeated.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable() && !matches!(self.0.details, Details::Disagreement(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            out.field("source", &format_args!("{source}"));
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<strandline_format::Error> for Error {
    /// A rule of the format that is broken. The format does not know where its bytes came from: add it by [`Error::at`].
    fn from(error: strandline_format::Error) -> Self {
        use strandline_format::ErrorKind as Format;
        let kind = match error.kind() {
            Format::Invalid => ErrorKind::InvalidInput,
            Format::Unsupported => ErrorKind::Unsupported,
            // Kinds that the format may add later are defects of bytes until they are told apart here.
            _ => ErrorKind::Corrupt,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_kinds_become_what_to_do() {
        use strandline_format::Error as Format;
        let check = |error: Format, expected| assert_eq!(Error::from(error).kind(), expected);
        check(Format::invalid("x"), ErrorKind::InvalidInput);
        check(Format::malformed("x"), ErrorKind::Corrupt);
        check(Format::corrupt("x"), ErrorKind::Corrupt);
        check(Format::too_large("x"), ErrorKind::Corrupt);
        check(Format::unsupported("x"), ErrorKind::Unsupported);
    }

    #[test]
    fn only_kinds_that_pass_by_themselves_are_retryable() {
        assert!(ErrorKind::Unavailable.is_retryable());
        assert!(ErrorKind::Conflict.is_retryable());
        assert!(!ErrorKind::CommitUnknown.is_retryable());
        assert!(!ErrorKind::PermissionDenied.is_retryable());
        assert!(!ErrorKind::StoreFull.is_retryable());
    }

    #[test]
    fn an_error_says_kind_place_and_cause() {
        let error = Error::new(ErrorKind::Corrupt, "wrong hash").with_source("cause").at("meta/ab");
        assert_eq!(error.to_string(), "corrupt: meta/ab: wrong hash");
        assert_eq!(error.source().map(ToString::to_string), Some("cause".to_owned()));
    }
}
