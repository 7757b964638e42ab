//! Answers that are not the truth, or no answers at all, as the errors that `object_store` makes of them.
//!
//! Invariant: the variant of an error, its path and the chain of its sources are those that the client of the imitated
//! store gives with retries off: a status above, and for a broken connection an `HttpError` of the right kind at the
//! bottom. Code that treats these errors right treats the real ones right.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

use crate::request::{Request, RequestKind};

/// What a caller gets instead of the store's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Nothing in time.
    Timeout,
    /// The connection is closed before the answer.
    Closed,
    /// The connection is reset before the answer.
    Reset,
    /// There is no connection: such a request was never sent.
    Refused,
    /// An HTTP status.
    Status(Status),
}

/// The HTTP statuses that say something about what became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// 401: the credentials are not known.
    Unauthorized,
    /// 403: the credentials are not enough.
    Forbidden,
    /// 404: nothing is there.
    NotFound,
    /// 409: another request is under way; or, to some stores, something is there.
    Conflict,
    /// 412: the condition does not hold.
    PreconditionFailed,
    /// 429: too many requests.
    TooManyRequests,
    /// 500: anything may have happened.
    InternalError,
    /// 503: the store is overloaded, and anything may have happened.
    Unavailable,
}

/// The client whose errors are imitated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// S3 and what speaks like it.
    #[default]
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure. A failed condition of a put-if-absent is `Precondition` here, not `AlreadyExists`.
    Azure,
}

impl Answer {
    /// The error that the caller of `request` gets.
    #[must_use]
    pub fn error(self, dialect: Dialect, request: &Request) -> Error {
        let path = request.path.to_string();
        let source = Box::new(Failed { kind: request.kind, path: path.clone(), cause: self.cause() });
        let Self::Status(status) = self else { return dialect.generic(source) };
        // The clients give no other error for a failed listing.
        if request.kind == RequestKind::List {
            return dialect.generic(source);
        }
        match dialect.meaning(status, request.kind) {
            Meaning::NotFound => Error::NotFound { path, source },
            Meaning::Precondition => Error::Precondition { path, source },
            Meaning::AlreadyExists => Error::AlreadyExists { path, source },
            Meaning::Forbidden => Error::PermissionDenied { path, source },
            Meaning::Unauthorized => Error::Unauthenticated { path, source },
            Meaning::Other => dialect.generic(source),
        }
    }

    /// What stands at the bottom of the error.
    fn cause(self) -> Cause {
        let http = |kind, io: io::ErrorKind| Cause::Http(HttpError::new(kind, io::Error::from(io)));
        match self {
            Self::Timeout => http(HttpErrorKind::Timeout, io::ErrorKind::TimedOut),
            // The client takes a connection closed before the answer for a request that was not sent. It is wrong.
            Self::Closed => http(HttpErrorKind::Request, io::ErrorKind::UnexpectedEof),
            Self::Reset => http(HttpErrorKind::Interrupted, io::ErrorKind::ConnectionReset),
            Self::Refused => http(HttpErrorKind::Connect, io::ErrorKind::ConnectionRefused),
            Self::Status(status) => Cause::Status(status),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Closed => f.write_str("connection closed"),
            Self::Reset => f.write_str("connection reset"),
            Self::Refused => f.write_str("connection refused"),
            Self::Status(status) => status.fmt(f),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unauthorized => "401 Unauthorized",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::Conflict => "409 Conflict",
            Self::PreconditionFailed => "412 Precondition Failed",
            Self::TooManyRequests => "429 Too Many Requests",
            Self::InternalError => "500 Internal Server Error",
            Self::Unavailable => "503 Service Unavailable",
        })
    }
}

/// The variants of `object_store::Error` that statuses become.
enum Meaning {
    NotFound,
    Precondition,
    AlreadyExists,
    Forbidden,
    Unauthorized,
    Other,
}

impl Dialect {
    /// The error of a body that breaks off while it is read.
    pub(crate) fn broken_body(self) -> Error {
        let eof = io::Error::from(io::ErrorKind::UnexpectedEof);
        self.generic(Box::new(HttpError::new(HttpErrorKind::Interrupted, eof)))
    }

    fn generic(self, source: Box<dyn StdError + Send + Sync>) -> Error {
        let store = match self {
            Self::S3 => "S3",
            Self::Gcs => "GCS",
            Self::Azure => "MicrosoftAzure",
        };
        Error::Generic { store, source }
    }

    fn meaning(self, status: Status, kind: RequestKind) -> Meaning {
        match (status, kind, self) {
            (Status::NotFound, RequestKind::PutIfMatch, Self::S3) => Meaning::Precondition,
            (Status::NotFound, ..) => Meaning::NotFound,
            (Status::PreconditionFailed, RequestKind::PutIfAbsent, Self::Azure) => Meaning::Precondition,
            (Status::PreconditionFailed, RequestKind::PutIfMatch, _) => Meaning::Precondition,
            (Status::PreconditionFailed, kind, _) if kind.is_conditional() => Meaning::AlreadyExists,
            (Status::PreconditionFailed, ..) => Meaning::Precondition,
            (Status::Conflict, ..) => Meaning::AlreadyExists,
            (Status::Forbidden, ..) => Meaning::Forbidden,
            (Status::Unauthorized, ..) => Meaning::Unauthorized,
            (Status::TooManyRequests | Status::InternalError | Status::Unavailable, ..) => Meaning::Other,
        }
    }
}

/// A failed request, as the client's retry loop reports it.
#[derive(Debug)]
struct Failed {
    kind: RequestKind,
    path: String,
    cause: Cause,
}

/// Why it failed.
#[derive(Debug)]
enum Cause {
    Status(Status),
    Http(HttpError),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error performing {} of {} - {}", self.kind, self.path, self.cause)
    }
}

impl StdError for Failed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "Server returned non-2xx status code: {status}: "),
            Self::Http(error) => error.fmt(f),
        }
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Status(_) => None,
            Self::Http(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;

    use super::*;
    use crate::request::Root;

    fn error(answer: Answer, dialect: Dialect, kind: RequestKind) -> Error {
        answer.error(dialect, &Root::default().request(kind, &Path::from("a/b"), 0))
    }

    fn variant(error: &Error) -> &'static str {
        match error {
            Error::Generic { .. } => "Generic",
            Error::NotFound { .. } => "NotFound",
            Error::AlreadyExists { .. } => "AlreadyExists",
            Error::Precondition { .. } => "Precondition",
            Error::PermissionDenied { .. } => "PermissionDenied",
            Error::Unauthenticated { .. } => "Unauthenticated",
            _ => "another",
        }
    }

    #[test]
    fn statuses_become_the_errors_of_each_client() {
        use Dialect::{Azure, Gcs, S3};
        use RequestKind::{Get, List, Put, PutIfAbsent, PutIfMatch};
        let check = |status, kind, dialects: &[Dialect], expected| {
            for dialect in dialects {
                let error = error(Answer::Status(status), *dialect, kind);
                assert_eq!(variant(&error), expected, "{status} for {kind} on {dialect:?}");
                assert!(error.to_string().contains(&status.to_string()), "{error}");
            }
        };
        check(Status::PreconditionFailed, PutIfMatch, &[S3, Gcs, Azure], "Precondition");
        check(Status::PreconditionFailed, PutIfAbsent, &[S3, Gcs], "AlreadyExists");
        check(Status::PreconditionFailed, PutIfAbsent, &[Azure], "Precondition");
        check(Status::Conflict, PutIfMatch, &[S3, Gcs, Azure], "AlreadyExists");
        check(Status::Conflict, PutIfAbsent, &[S3, Gcs, Azure], "AlreadyExists");
        check(Status::NotFound, PutIfMatch, &[S3], "Precondition");
        check(Status::NotFound, PutIfMatch, &[Gcs, Azure], "NotFound");
        check(Status::NotFound, Get, &[S3, Gcs, Azure], "NotFound");
        check(Status::TooManyRequests, Put, &[S3, Gcs, Azure], "Generic");
        check(Status::InternalError, PutIfMatch, &[S3, Gcs, Azure], "Generic");
        check(Status::Unavailable, Get, &[S3, Gcs, Azure], "Generic");
        check(Status::Forbidden, Put, &[S3, Gcs, Azure], "PermissionDenied");
        check(Status::Unauthorized, Put, &[S3, Gcs, Azure], "Unauthenticated");
        check(Status::Forbidden, List, &[S3, Gcs, Azure], "Generic");
    }

    #[test]
    fn broken_connections_are_generic_with_the_kind_at_the_bottom() {
        let check = |answer, expected| {
            let error = error(answer, Dialect::S3, RequestKind::PutIfMatch);
            assert_eq!(variant(&error), "Generic");
            let mut source: &(dyn StdError + 'static) = &error;
            while let Some(below) = source.source().filter(|_| !source.is::<HttpError>()) {
                source = below;
            }
            assert_eq!(source.downcast_ref::<HttpError>().unwrap().kind(), expected, "{error:?}");
        };
        check(Answer::Timeout, HttpErrorKind::Timeout);
        check(Answer::Closed, HttpErrorKind::Request);
        check(Answer::Reset, HttpErrorKind::Interrupted);
        check(Answer::Refused, HttpErrorKind::Connect);
    }
}
