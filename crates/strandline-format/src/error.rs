//! The format's one error: what kind of thing is wrong, what exactly, and where.
//!
//! The format crate does no I/O, so its errors speak of values and bytes only. The SDK adds which object they came
//! from. What does not belong here: hints for people (the CLI has them) and retry policy (the SDK has it).

use std::fmt;

/// A result of the format's pure functions.
///
/// ```
/// use strandline_format::{Result, TableName};
///
/// fn qualified(name: &str) -> Result<TableName> {
///     TableName::new(format!("sales.{name}"))
/// }
/// assert_eq!(qualified("orders")?.last_part(), "orders");
/// # Ok::<(), strandline_format::Error>(())
/// ```
pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong; the spec's vectors name these kinds.
///
/// ```
/// use strandline_format::{ErrorKind, Hash};
///
/// let changed = Hash::of(b"what was written").verify(b"what was read").unwrap_err();
/// assert_eq!(changed.kind(), ErrorKind::Corrupt);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value given by the caller is not allowed: a name, an id, a schema change.
    Invalid,
    /// Bytes do not follow the specification.
    Malformed,
    /// Bytes ask for something that this version does not know: a newer format, a required feature, a kind.
    Unsupported,
    /// Bytes are not what their hash says.
    Corrupt,
    /// A bound of the format is exceeded; nothing was parsed.
    TooLarge,
}

impl ErrorKind {
    /// The name of the kind in the specification and its vectors.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Corrupt => "corrupt",
            Self::TooLarge => "too-large",
        }
    }
}

/// Something that breaks a rule of the format.
///
/// ```
/// use strandline_format::{ErrorKind, RefName};
/// let error = RefName::new("a..b").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// A value that the caller gave is not allowed.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, message: message.into() }
    }

    /// Bytes do not follow the specification.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Malformed, message: message.into() }
    }

    /// Bytes ask for something that this version does not know.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unsupported, message: message.into() }
    }

    /// Bytes are not what their hash says.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Corrupt, message: message.into() }
    }

    /// A bound of the format is exceeded.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::TooLarge, message: message.into() }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same error, said to be at `place`, which goes in front.
    #[must_use]
    pub fn at(self, place: impl fmt::Display) -> Self {
        Self { kind: self.kind, message: format!("{place}: {}", self.message) }
    }

    /// The same message as a defect of stored bytes: what is an invalid argument in a call is malformed in a file.
    #[must_use]
    pub fn stored(self) -> Self {
        match self.kind {
            ErrorKind::Invalid => Self { kind: ErrorKind::Malformed, ..self },
            _ => self,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
