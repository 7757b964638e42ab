//! The one place that says what a store's error means, and that takes credentials out of its text.
//!
//! Invariants: a text that leaves this module holds no query string, user name in a URL, signature, token or key, because
//! the stores put all of these into their errors (Azure: the SAS in the URL; S3: the headers that were signed). Whether a
//! conditional put was applied is *not* decided by text: see `refs::object`.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::io;

use super::trust::Untrusted;
use crate::error::{Error, ErrorKind};

/// What an error of a store means, said to have happened at `place`, without any credential that stands in its text.
///
/// Whoever asks an [`Objects::store`](super::Objects::store) itself says by this what went wrong.
///
/// ```
/// use strandline::ErrorKind;
/// use strandline::storage::store_error;
///
/// let gone = object_store::Error::NotFound { path: "meta/3f".into(), source: "404".into() };
/// assert_eq!(store_error(&gone, "s3://bucket/lake/meta/3f").kind(), ErrorKind::NotFound);
/// ```
pub fn store_error(error: &object_store::Error, place: impl Display) -> Error {
    let text = error.to_string();
    let answer = Answer::of(&text);
    let kind = kind_of(error, &answer, &text);
    Error::new(kind, reason(kind, &answer, error)).at(place).with_source(StoreAnswer::of(error))
}

/// What a store, or the client on the way to it, said: the source of an [`Error`] that came of a request, by which it is told from
/// one of the arguments alone. It holds no credential.
///
/// ```
/// use std::error::Error;
/// use strandline::storage::{StoreAnswer, store_error};
///
/// let gone = object_store::Error::NotFound { path: "meta/3f".into(), source: "404".into() };
/// let error = store_error(&gone, "s3://bucket/lake/meta/3f");
/// assert!(error.source().is_some_and(|source| source.is::<StoreAnswer>()));
/// ```
#[derive(Debug)]
pub struct StoreAnswer {
    text: String,
    /// It was at another request for the same object.
    met: bool,
    /// There is no such bucket or container.
    no_bucket: bool,
}

impl StoreAnswer {
    fn of(error: &object_store::Error) -> Self {
        let met = matches!(error, object_store::Error::AlreadyExists { .. });
        Self { text: redact(&error.to_string()), met, no_bucket: bucket_is_missing(error) }
    }

    /// Whether the bucket or container itself is not there, rather than an object in it.
    ///
    /// ```
    /// use std::error::Error;
    /// use strandline::storage::{StoreAnswer, store_error};
    ///
    /// let gone = object_store::Error::NotFound { path: "meta/3f".into(), source: "404".into() };
    /// let error = store_error(&gone, "s3://bucket/lake/meta/3f");
    /// let answer = error.source().and_then(|source| source.downcast_ref::<StoreAnswer>());
    /// assert!(answer.is_some_and(|answer| !answer.is_of_missing_bucket()));
    /// ```
    #[must_use]
    pub fn is_of_missing_bucket(&self) -> bool {
        self.no_bucket
    }
}

/// Whether an error is that the store was at another request for the same object (409), which is soon over.
pub(crate) fn met_another(error: &Error) -> bool {
    let answer = error.source().and_then(|source| source.downcast_ref::<StoreAnswer>());
    answer.is_some_and(|answer| answer.met)
}

impl fmt::Display for StoreAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for StoreAnswer {}

/// What an I/O error of a local folder means, said to have happened at `place`.
pub(crate) fn io_error(error: io::Error, place: impl Display) -> Error {
    Error::new(io_kind(error.kind()), error.to_string()).at(place).with_source(error)
}

/// Whether the error says that the bucket or container itself is not there, rather than a key in it.
pub(crate) fn bucket_is_missing(error: &object_store::Error) -> bool {
    let text = error.to_string();
    matches!(Answer::of(&text).code, Some("NoSuchBucket" | "ContainerNotFound" | "FilesystemNotFound"))
}

/// Whether the error says that the key is not there, in a bucket that is. A 404 without a word of the store is somebody else's: of a
/// proxy that has lost its way, or of a server that is no store [STO-18].
pub(crate) fn key_is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
        && !bucket_is_missing(error)
        && !is_bare(&Answer::of(&error.to_string()))
}

/// Whether the store denies access to an object, whether or not it is there.
pub(crate) fn is_denied(error: &object_store::Error) -> bool {
    Answer::of(&error.to_string()).code == Some("AccessDenied")
}

/// Whether a status came alone.
fn is_bare(answer: &Answer<'_>) -> bool {
    (answer.status, answer.code) == (Some(404), None)
}

/// Whether the error says that the key is not there, in so many words: a path that is not served at all is another thing.
pub(crate) fn says_that_key_is_missing(error: &object_store::Error) -> bool {
    matches!(Answer::of(&error.to_string()).code, Some("NoSuchKey" | "BlobNotFound"))
}

/// Whether a read went beyond the end of its object.
pub(crate) fn range_is_beyond(error: &object_store::Error) -> bool {
    let text = error.to_string();
    let told = ["Wanted range starting at", "Requested range was invalid", "Out of range of file"];
    Answer::of(&text).status == Some(416)
        || chain(error).any(|cause| {
            let cause = cause.to_string();
            told.iter().any(|words| cause.contains(words))
        })
}

/// Whether it is S3's 400 for a body that arrived too slowly: a time-out in spite of its status [STO-6].
pub(crate) fn body_came_too_slowly(error: &object_store::Error) -> bool {
    let text = error.to_string();
    let answer = Answer::of(&text);
    (answer.status, answer.code) == (Some(400), Some("RequestTimeout"))
}

/// What can be read from the text of an error. `object_store` keeps the status and the body to itself, so its text is
/// the only way to them.
struct Answer<'a> {
    status: Option<u16>,
    code: Option<&'a str>,
    message: Option<&'a str>,
}

impl<'a> Answer<'a> {
    fn of(text: &'a str) -> Self {
        let status = between(text, "status code: ", " ").and_then(|digits| digits.get(..3)?.parse().ok());
        let code = between(text, "<Code>", "</Code>").or_else(|| between(text, "\"code\":\"", "\""));
        // What came of one of the many objects that were to be removed: S3 tells a code, Azure a status.
        let one_of_many = between(text, "(code: ", ")");
        let status = status.or_else(|| one_of_many?.parse().ok());
        let code = code.or_else(|| one_of_many.filter(|code| code.parse::<u16>().is_err()));
        Self { status, code, message: between(text, "<Message>", "</Message>") }
    }
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(open)?;
    Some(rest.split_once(close).map_or(rest, |(inner, _)| inner))
}

fn kind_of(error: &object_store::Error, answer: &Answer<'_>, text: &str) -> ErrorKind {
    use object_store::Error as Store;
    if bucket_is_missing(error) {
        // S3's answer to a condition comes as a failed condition even then.
        return ErrorKind::NotFound;
    }
    match error {
        Store::NotFound { .. } if is_bare(answer) => ErrorKind::Unavailable,
        Store::NotFound { .. } => ErrorKind::NotFound,
        // This is what any request gets that is told of a conflict (409): another one for the same object was under way. Whoever
        // puts on condition that nothing is there judges by the error itself.
        Store::AlreadyExists { .. } => ErrorKind::Unavailable,
        Store::Precondition { .. } | Store::NotModified { .. } => ErrorKind::Conflict,
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => ErrorKind::PermissionDenied,
        Store::NotSupported { .. } | Store::NotImplemented { .. } => ErrorKind::StoreUnsuitable,
        Store::InvalidPath { .. } | Store::UnknownConfigurationKey { .. } => ErrorKind::InvalidInput,
        _ if chain(error).any(<dyn StdError>::is::<Untrusted>) => ErrorKind::InvalidInput,
        _ => status_kind(answer, text).or_else(|| io_kind_within(error)).unwrap_or(ErrorKind::Unavailable),
    }
}

/// Codes by which a store or a token service refuses credentials with a status that says nothing of it.
const REFUSALS: &[&str] = &[
    "ExpiredToken",
    "InvalidToken",
    "InvalidAccessKeyId",
    "TokenRefreshRequired",
    "InvalidClientTokenId",
    "AuthenticationFailed",
    "invalid_grant",
    "invalid_client",
    "unauthorized_client",
    "AADSTS",
];

fn status_kind(answer: &Answer<'_>, text: &str) -> Option<ErrorKind> {
    if text.contains("redirect without LOCATION") {
        return Some(ErrorKind::InvalidInput);
    }
    let refused = REFUSALS.iter().any(|code| text.contains(code));
    if (answer.status, answer.code) == (None, Some("AccessDenied")) {
        return Some(ErrorKind::PermissionDenied);
    }
    match answer.status? {
        400..=403 if refused => Some(ErrorKind::PermissionDenied),
        401 | 403 => Some(ErrorKind::PermissionDenied),
        404 if is_bare(answer) => Some(ErrorKind::Unavailable),
        404 => Some(ErrorKind::NotFound),
        // S3 sends 400 RequestTimeout when a body arrives too slowly.
        400 if answer.code == Some("RequestTimeout") => Some(ErrorKind::Unavailable),
        501 => Some(ErrorKind::StoreUnsuitable),
        507 => Some(ErrorKind::StoreFull),
        408 | 425 | 429 | 500..=599 => Some(ErrorKind::Unavailable),
        300..=499 => Some(ErrorKind::InvalidInput),
        _ => None,
    }
}

fn io_kind_within(error: &object_store::Error) -> Option<ErrorKind> {
    chain(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(|error| io_kind(error.kind()))
}

/// The error and its causes, the outermost first.
fn chain(error: &object_store::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |error| (*error).source())
}

fn io_kind(kind: io::ErrorKind) -> ErrorKind {
    match kind {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory | io::ErrorKind::InvalidFilename => {
            ErrorKind::InvalidInput
        }
        io::ErrorKind::InvalidData => ErrorKind::Corrupt,
        io::ErrorKind::Unsupported => ErrorKind::StoreUnsuitable,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::StoreFull
        }
        _ => ErrorKind::Unavailable,
    }
}

/// What servers say to plain HTTP on a port for TLS.
const SPEAKS_TLS: &[&str] = &["HTTP request to an HTTPS server", "HTTP request was sent to HTTPS port"];

fn reason(kind: ErrorKind, answer: &Answer<'_>, error: &object_store::Error) -> String {
    if bucket_is_missing(error) {
        return "the bucket or container is not there".to_owned();
    }
    if matches!(error, object_store::Error::AlreadyExists { .. }) {
        return "the store was at another request for the same object".to_owned();
    }
    match (answer.status, answer.code) {
        (Some(status), Some(code)) => {
            redact(&format!("the store answered {status} {code}: {}", answer.message.unwrap_or_default()))
        }
        (Some(400), None) if SPEAKS_TLS.iter().any(|words| error.to_string().contains(words)) => {
            "the server speaks TLS on this port: it is reached by https://".to_owned()
        }
        _ if is_bare(answer) => "the answer was 404, which is not how a store says that something is not there: whoever answers at \
                                 this address may be something else"
            .to_owned(),
        (Some(status), None) => format!("the store answered {status}"),
        _ if kind == ErrorKind::NotFound => "it is not there".to_owned(),
        _ => redact(&innermost(error)),
    }
}

/// The text of the last cause: the others repeat it with more words.
fn innermost(error: &dyn StdError) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// The text without anything that could be a credential. It rather takes too much than too little.
pub(crate) fn redact(text: &str) -> String {
    let text = without_body(text);
    let text = without_url_secrets(&text);
    let text = without_identities(&text);
    without_named_secrets(&text)
}

/// Takes out web identities (JSON web tokens), which token services repeat in what they say of them: whatever looks like one.
fn without_identities(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("eyJ") {
        let (before, word) = rest.split_at(at);
        let end = word.find(|c: char| !is_part(c)).unwrap_or(word.len());
        let begins = !before.ends_with(|c: char| c.is_ascii_alphanumeric());
        out.push_str(before);
        out.push_str(if begins && word[..end].contains('.') { "…" } else { &word[..end] });
        rest = &word[end..];
    }
    out.push_str(rest);
    out
}

/// S3 repeats the signed headers, session token included, in its XML: only code and message are kept.
fn without_body(text: &str) -> String {
    let begin = ["<?xml", "<Error"].iter().filter_map(|tag| text.find(tag)).min();
    let Some((begin, end)) = begin.zip(text.rfind('>')).filter(|(begin, end)| begin < end) else {
        return text.to_owned();
    };
    let answer = Answer::of(text);
    let (code, message) = (answer.code.unwrap_or_default(), answer.message.unwrap_or_default());
    format!("{}{code}: {message}{}", &text[..begin], &text[end + 1..])
}

/// Takes `user:password@` and everything behind `?` out of every URL.
fn without_url_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        let end = url.find(|c: char| c.is_whitespace() || "\"'<>`".contains(c)).unwrap_or(url.len());
        out.push_str(before);
        out.push_str(&bare_url(&url[..end]));
        rest = &url[end..];
    }
    out.push_str(rest);
    out
}

fn bare_url(url: &str) -> String {
    let (address, query) = match url.split_once('?') {
        Some((address, _)) => (address, "?…"),
        None => (url, ""),
    };
    let host_end = address.find('/').unwrap_or(address.len());
    let (host, path) = address.split_at(host_end);
    match host.rsplit_once('@') {
        // abfss://container@account is not a secret; user:password@host is.
        Some((user, host)) if user.contains(':') => format!("…@{host}{path}{query}"),
        _ => format!("{host}{path}{query}"),
    }
}

/// Names, in lower case, behind which a secret stands.
const SECRET_NAMES: &[&str] = &[
    "authorization",
    "bearer",
    "signature",
    "credential",
    "security-token",
    "securitytoken",
    "session_token",
    "sessiontoken",
    "access_token",
    "refresh_token",
    "id_token",
    "client_assertion",
    "token",
    "sig",
    "secret",
    "secret_access_key",
    "client_secret",
    "password",
    "private_key",
    "account_key",
    "accountkey",
    "access_key",
    "access_key_id",
    "accesskey",
    "accesskeyid",
    "secretaccesskey",
    "sas_key",
];

/// Replaces what follows a secret's name and a `=`, `:` or (for `Bearer`) a space.
fn without_named_secrets(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if let Some((value, end)) = secret_at(&lower, at) {
            out.push_str(&text[at..value]);
            out.push('…');
            at = end;
            continue;
        }
        let next = text[at..].chars().next().map_or(1, char::len_utf8);
        out.push_str(&text[at..at + next]);
        at += next;
    }
    out
}

/// If a secret's name begins here: where its value begins and ends.
fn secret_at(lower: &str, at: usize) -> Option<(usize, usize)> {
    if lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let rest = &lower[at..];
    let name = SECRET_NAMES.iter().filter(|name| rest.starts_with(**name)).max_by_key(|name| name.len())?;
    let after = &rest[name.len()..];
    let value = after.trim_start_matches(['"', '\'', '\\', ' ', '=', ':', '>']);
    let skipped = &after[..after.len() - value.len()];
    let names_a_value = skipped.contains(['=', ':', '>']) || (*name == "bearer" && !skipped.is_empty());
    if !names_a_value || value.is_empty() {
        return None;
    }
    let ends: &[char] = if *name == "authorization" {
        &['\n']
    } else {
        &['&', '"', '\'', '\\', '<', '>', ',', ';', ')', '}', ' ', '\n']
    };
    let begin = at + name.len() + skipped.len();
    Some((begin, begin + value.find(ends).unwrap_or(value.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.to_owned().into() }
    }

    #[test]
    fn a_request_that_is_told_of_a_conflict_may_be_sent_again() {
        let met = object_store::Error::AlreadyExists { path: "a".to_owned(), source: "409 Conflict".into() };
        assert_eq!(store_error(&met, "here").kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn statuses_become_what_to_do() {
        let check = |text: &str, expected| {
            assert_eq!(store_error(&generic(text), "here").kind(), expected, "{text}");
        };
        let status = "Server returned non-2xx status code: ";
        check(&format!("{status}503 Service Unavailable: "), ErrorKind::Unavailable);
        check(&format!("{status}429 Too Many Requests: "), ErrorKind::Unavailable);
        check(
            &format!("{status}400 Bad Request: <Error><Code>ExpiredToken</Code></Error>"),
            ErrorKind::PermissionDenied,
        );
        check(
            &format!("{status}400 Bad Request: <Error><Code>InvalidURI</Code></Error>"),
            ErrorKind::InvalidInput,
        );
        check(&format!("{status}400 Bad Request: <Code>RequestTimeout</Code>"), ErrorKind::Unavailable);
        check(&format!("{status}507 Insufficient Storage: "), ErrorKind::StoreFull);
        check(&format!("{status}501 Not Implemented: "), ErrorKind::StoreUnsuitable);
        assert!(range_is_beyond(&generic(&format!("{status}416 Range Not Satisfiable: "))));
        assert!(!range_is_beyond(&generic(&format!("{status}503 Service Unavailable: "))));
        check("Received redirect without LOCATION, this normally…", ErrorKind::InvalidInput);
        check("operation timed out", ErrorKind::Unavailable);
        check("{\"error\": \"invalid_grant\"} status code: 400 Bad", ErrorKind::PermissionDenied);
        let many = "DeleteObjects request failed for key tmp/1: no (code:";
        check(&format!("{many} AccessDenied)"), ErrorKind::PermissionDenied);
        check(&format!("{many} 403)"), ErrorKind::PermissionDenied);
        check(&format!("{many} InternalError)"), ErrorKind::Unavailable);
    }

    #[test]
    fn a_missing_bucket_is_told_from_a_missing_key() {
        let answer = |code: &str| object_store::Error::NotFound {
            path: "refs/branches/main.json".into(),
            source: format!("status code: 404 Not Found: <Error><Code>{code}</Code></Error>").into(),
        };
        assert!(bucket_is_missing(&answer("NoSuchBucket")) && !key_is_missing(&answer("NoSuchBucket")));
        assert!(bucket_is_missing(&answer("ContainerNotFound")));
        assert!(key_is_missing(&answer("NoSuchKey")) && !bucket_is_missing(&answer("NoSuchKey")));
        let bare = object_store::Error::NotFound {
            path: "refs/branches/main.json".into(),
            source: "status code: 404 Not Found: <html><code>404</code></html>".into(),
        };
        assert!(!key_is_missing(&bare) && store_error(&bare, "here").kind() == ErrorKind::Unavailable);
        let error = store_error(&answer("NoSuchBucket"), "s3://lost/lake");
        assert_eq!(error.to_string(), "not found: s3://lost/lake: the bucket or container is not there");
        let answer = error.source().and_then(|source| source.downcast_ref::<StoreAnswer>());
        assert!(answer.is_some_and(StoreAnswer::is_of_missing_bucket));
    }

    #[test]
    fn a_local_folders_errors_are_found_in_the_chain() {
        use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, StorageFull, TimedOut};
        for (kind, expected) in [
            (PermissionDenied, ErrorKind::PermissionDenied),
            (StorageFull, ErrorKind::StoreFull),
            (QuotaExceeded, ErrorKind::StoreFull),
            (FileTooLarge, ErrorKind::StoreFull),
            (TimedOut, ErrorKind::Unavailable),
        ] {
            let source = Box::new(io::Error::from(kind));
            let error = object_store::Error::Generic { store: "Local", source };
            assert_eq!(store_error(&error, "/lake").kind(), expected);
            assert_eq!(io_error(kind.into(), "/lake").kind(), expected);
        }
    }

    #[test]
    fn credentials_never_leave() {
        let check = |text: &str, secret: &str| {
            let error = store_error(&generic(text), "here");
            let mut shown = format!("{error} {error:?} {}", redact(text));
            if let Some(source) = error.source() {
                shown += &format!("{source} {source:?}");
            }
            assert!(!shown.contains(secret), "{shown}");
        };
        check("GET https://a.blob.core.windows.net/c/k?sv=2020&sig=SECRET%3D in 5s", "SECRET");
        check("https://user:SECRET@host/path failed", "SECRET");
        check("X-Amz-Signature=SECRET&x=1", "SECRET");
        check("Authorization: AWS4-HMAC-SHA256 Credential=SECRET/2026, Signature=SECRET", "SECRET");
        check("authorization: Bearer SECRET", "SECRET");
        check("sent Bearer SECRET.PART", "SECRET");
        check("{\"access_token\":\"SECRET\"}", "SECRET");
        check("{\"client_secret\": \"SECRET\", \"x\": 1}", "SECRET");
        check("aws_secret_access_key=SECRET", "SECRET");
        check("x-amz-security-token:SECRET", "SECRET");
        check(
            "status code: 403 Forbidden: <?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code>\
             <Message>no</Message><StringToSign>SECRET</StringToSign></Error>",
            "SECRET",
        );
        check("AccountKey=SECRET;EndpointSuffix=core", "SECRET");
        check("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"SECRET\",\"Token\":\"t\"}", "SECRET");
        check("{\"Code\":\"Success\",\"Token\":\"SECRET\"}", "SECRET");
        check("body: b\"{\\\"SecretAccessKey\\\":\\\"SECRET\\\"}\"", "SECRET");
        check("<SessionToken>SECRET</SessionToken>", "SECRET");
        check("Couldn't retrieve a key for eyJhbGciOiJSUzI1NiJ9.SECRET.signed, sorry", "SECRET");
    }

    #[test]
    fn harmless_text_stays() {
        let check = |text: &str| assert_eq!(redact(text), text);
        check("connection refused");
        check("reading abfss://container@account.dfs.core.windows.net/lake");
        check("the bucket is not there");
        check("größe 💧: ja");
        check("meta/eyJ and eyJhbGciOiJ, with no dot");
    }
}
