//! A bucket in memory that speaks S3's or Google's XML as far as `object_store` does, and keeps its conditions, or breaks
//! them in one way.
//!
//! Invariants: unless it is told to break them, a condition is checked and its object written under one lock, so that of
//! many writers one wins; every write has a generation of its own, higher than all before; an ETag stands for the bytes alone,
//! as it does on the real ones, so that equal bytes have equal ETags. No emulator keeps generations on the interface that
//! `object_store` uses, which is why this stands here. What does not belong here: sockets (`server`), who may do what (`access`; signatures are not
//! checked), and XML (`xml`).

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use strandline_format::Hash;

use super::access::Access;
use super::message::{HttpRequest, decoded};
use super::server::{HttpAnswer, HttpServer};
use super::tls::{Authority, DOMAIN};
use super::xml;
use crate::answer::Dialect;
use crate::shared::Shared;

/// How many names a page of a listing has, as the real ones say it.
const PAGE: usize = 1_000;
/// How long a racy bucket takes between the check of a condition and its write.
const RACE: Duration = Duration::from_millis(20);
/// Generations are times in microseconds on the real one; any number does that only grows.
const FIRST_GENERATION: u64 = 1_700_000_000_000_000;

/// How a bucket breaks its conditions: what servers of this world do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// It does not look at them.
    Ignores,
    /// It looks whether an object is there, and not which.
    IgnoresTokens,
    /// It takes a swap of an object that is not there.
    SwapsAbsent,
    /// It checks them, and writes a moment later.
    Races,
}

/// A bucket in memory.
///
/// ```
/// use strandline_testkit::wire::StubBucket;
/// let google = StubBucket::gcs().serve()?;
/// assert!(google.url().starts_with("http://127.0.0.1:"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct StubBucket {
    dialect: Dialect,
    breach: Option<Breach>,
    page: usize,
    /// Whom it lets in; `None`: everybody, for everything.
    access: Option<Access>,
    /// What it calls itself.
    name: Option<String>,
    state: Shared<State>,
    last_generation: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Stored>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
}

#[derive(Clone, Debug)]
struct Stored {
    body: Vec<u8>,
    generation: u64,
}

/// What a put wants to find.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    None,
    Absent,
    /// The object that this stands for: an ETag, or a generation.
    Is(String),
}

impl StubBucket {
    /// One that speaks as S3 does.
    #[must_use]
    pub fn s3() -> Self {
        Self::new(Dialect::S3)
    }

    /// One that speaks as Google does, with generations.
    #[must_use]
    pub fn gcs() -> Self {
        Self::new(Dialect::Gcs)
    }

    fn new(dialect: Dialect) -> Self {
        let last_generation = AtomicU64::new(FIRST_GENERATION);
        let (breach, access, name, state) = (None, None, None, Shared::default());
        Self { dialect, breach, page: PAGE, access, name, state, last_generation }
    }

    /// The same, but it breaks its conditions so.
    #[must_use]
    pub fn that(self, breach: Breach) -> Self {
        Self { breach: Some(breach), ..self }
    }

    /// The same with pages of so many names.
    #[must_use]
    pub fn with_page(self, page: usize) -> Self {
        Self { page, ..self }
    }

    /// The same, but only those are let in whom this knows.
    #[must_use]
    pub fn with_access(self, access: &Access) -> Self {
        Self { access: Some(access.clone()), ..self }
    }

    /// The same with answers that say what it is.
    #[must_use]
    pub fn called(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// A server of it, which owns it.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn serve(self) -> io::Result<HttpServer> {
        HttpServer::start(move |request| self.answer(request))
    }

    /// The same over TLS.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn serve_tls(self, authority: &Authority) -> io::Result<HttpServer> {
        HttpServer::start_tls(authority, move |request| self.answer(request))
    }

    /// What it says to a request.
    #[must_use]
    pub fn answer(&self, request: &HttpRequest) -> HttpAnswer {
        match (self.find_answer(request), &self.name) {
            (HttpAnswer::Say(status, mut headers, body), Some(name)) => {
                headers.push(format!("Server: {name}"));
                HttpAnswer::Say(status, headers, body)
            }
            (answer, _) => answer,
        }
    }

    fn find_answer(&self, request: &HttpRequest) -> HttpAnswer {
        let key = key(request);
        if let Some(Err(refusal)) = self.access.as_ref().map(|access| access.admit(request, &key)) {
            return refusal;
        }
        let upload = request.parameter("uploadId");
        match (request.method.as_str(), upload) {
            ("GET", _) if request.parameter("list-type").is_some() => self.list(request),
            ("GET" | "HEAD", _) => self.read(&key, request),
            ("PUT", Some(upload)) => self.put_part(&upload, request),
            ("PUT", None) if request.header("x-goog-copy-source").is_none() => self.put(&key, request),
            ("POST", Some(upload)) => self.complete(&key, &upload, request),
            ("POST", None) if request.parameter("uploads").is_some() => self.begin_upload(),
            ("POST", None) if request.parameter("delete").is_some() => self.delete_many(request),
            ("DELETE", upload) => self.delete(&key, upload.as_deref()),
            _ => error(501, "NotImplemented"),
        }
    }

    fn read(&self, key: &str, request: &HttpRequest) -> HttpAnswer {
        let Some(stored) = self.state.with(|state| state.objects.get(key).cloned()) else {
            let may_know = self.access.as_ref().is_none_or(|access| access.may_know(request));
            return if may_know { error(404, "NoSuchKey") } else { error(403, "AccessDenied") };
        };
        let mut headers = self.headers(&stored);
        if request.header("if-none-match") == Some(&etag(&stored.body)) {
            return HttpAnswer::Say(304, headers, Vec::new());
        }
        let length = stored.body.len();
        let Some(range) = request.header("range") else { return HttpAnswer::Say(200, headers, stored.body) };
        let Some((first, end)) = range_of(range, length) else { return error(416, "InvalidRange") };
        headers.push(format!("Content-Range: bytes {first}-{}/{length}", end - 1));
        HttpAnswer::Say(206, headers, stored.body[first..end].to_vec())
    }

    fn put(&self, key: &str, request: &HttpRequest) -> HttpAnswer {
        let condition = self.condition(request);
        let stored = || Stored { body: request.body.clone(), generation: self.next_generation() };
        if self.breach == Some(Breach::Races) && condition != Condition::None {
            if let Err(refusal) = self.state.with(|state| self.check(state.objects.get(key), &condition)) {
                return refusal;
            }
            std::thread::sleep(RACE);
            return self.state.with(|state| self.store(state, key, stored()));
        }
        self.state.with(|state| match self.check(state.objects.get(key), &condition) {
            Ok(()) => self.store(state, key, stored()),
            Err(refusal) => refusal,
        })
    }

    fn store(&self, state: &mut State, key: &str, stored: Stored) -> HttpAnswer {
        let headers = self.headers(&stored);
        state.objects.insert(key.to_owned(), stored);
        HttpAnswer::Say(200, headers, Vec::new())
    }

    fn condition(&self, request: &HttpRequest) -> Condition {
        let (creates, expected) = match self.dialect {
            Dialect::Gcs => {
                let generation = request.header("x-goog-if-generation-match");
                (generation == Some("0"), generation)
            }
            Dialect::S3 | Dialect::Azure => {
                (request.header("if-none-match") == Some("*"), request.header("if-match"))
            }
        };
        match (creates, expected) {
            (true, _) => Condition::Absent,
            (false, Some(expected)) => Condition::Is(expected.to_owned()),
            (false, None) => Condition::None,
        }
    }

    fn check(&self, current: Option<&Stored>, condition: &Condition) -> Result<(), HttpAnswer> {
        let refused = || Err(error(412, "PreconditionFailed"));
        match (condition, current) {
            _ if self.breach == Some(Breach::Ignores) => Ok(()),
            (Condition::None, _) | (Condition::Absent, None) => Ok(()),
            (Condition::Absent, Some(_)) => refused(),
            (Condition::Is(_), None) if self.breach == Some(Breach::SwapsAbsent) => Ok(()),
            (Condition::Is(_), None) if self.dialect == Dialect::S3 => Err(error(404, "NoSuchKey")),
            (Condition::Is(_), None) => refused(),
            (Condition::Is(_), Some(_)) if self.breach == Some(Breach::IgnoresTokens) => Ok(()),
            (Condition::Is(expected), Some(current)) if *expected == self.token(current) => Ok(()),
            (Condition::Is(_), Some(_)) => refused(),
        }
    }

    /// What a swap compares by.
    fn token(&self, stored: &Stored) -> String {
        match self.dialect {
            Dialect::Gcs => stored.generation.to_string(),
            Dialect::S3 | Dialect::Azure => etag(&stored.body),
        }
    }

    fn headers(&self, stored: &Stored) -> Vec<String> {
        let mut headers = vec![format!("ETag: {}", etag(&stored.body))];
        if self.dialect == Dialect::Gcs {
            headers.push(format!("x-goog-generation: {}", stored.generation));
        }
        headers
    }

    fn next_generation(&self) -> u64 {
        self.last_generation.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn begin_upload(&self) -> HttpAnswer {
        let upload = self.next_generation().to_string();
        self.state.with(|state| state.uploads.insert(upload.clone(), BTreeMap::new()));
        say(xml::begun(&upload))
    }

    fn put_part(&self, upload: &str, request: &HttpRequest) -> HttpAnswer {
        let number = request.parameter("partNumber").and_then(|number| number.parse().ok());
        let tag = etag(&request.body);
        self.state.with(|state| match (state.uploads.get_mut(upload), number) {
            (Some(parts), Some(number)) => {
                parts.insert(number, request.body.clone());
                HttpAnswer::Say(200, vec![format!("ETag: {tag}")], Vec::new())
            }
            _ => error(404, "NoSuchUpload"),
        })
    }

    fn complete(&self, key: &str, upload: &str, request: &HttpRequest) -> HttpAnswer {
        let numbers = xml::values(&String::from_utf8_lossy(&request.body), "PartNumber");
        self.state.with(|state| {
            let Some(parts) = state.uploads.get(upload) else { return error(404, "NoSuchUpload") };
            let parts = numbers.iter().map(|number| parts.get(&number.parse().ok()?));
            let Some(parts) = parts.collect::<Option<Vec<_>>>() else { return error(400, "InvalidPart") };
            let stored = Stored {
                body: parts.into_iter().flatten().copied().collect(),
                generation: self.next_generation(),
            };
            let (tag, headers) = (etag(&stored.body), self.headers(&stored));
            state.uploads.remove(upload);
            state.objects.insert(key.to_owned(), stored);
            HttpAnswer::Say(200, headers, xml::completed(&tag).into_bytes())
        })
    }

    fn delete(&self, key: &str, upload: Option<&str>) -> HttpAnswer {
        let found = self.state.with(|state| match upload {
            Some(upload) => state.uploads.remove(upload).is_some(),
            None => state.objects.remove(key).is_some(),
        });
        // S3 does not say whether there was anything; Google does.
        if found || self.dialect == Dialect::S3 {
            return HttpAnswer::Say(204, Vec::new(), Vec::new());
        }
        error(404, "NoSuchKey")
    }

    fn delete_many(&self, request: &HttpRequest) -> HttpAnswer {
        let keys = xml::values(&String::from_utf8_lossy(&request.body), "Key");
        self.state.with(|state| keys.iter().for_each(|key| drop(state.objects.remove(key))));
        say(xml::deleted(&keys))
    }

    fn list(&self, request: &HttpRequest) -> HttpAnswer {
        let parameter = |name| request.parameter(name).unwrap_or_default();
        let (prefix, delimiter) = (parameter("prefix"), request.parameter("delimiter"));
        let after = parameter("continuation-token").max(parameter("start-after"));
        let page = request.parameter("max-keys").and_then(|keys| keys.parse().ok());
        let page = page.unwrap_or(self.page).min(self.page);
        self.state.with(|state| {
            let below = state.objects.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
            let mut listing = xml::Listing::default();
            for (key, stored) in below {
                let folder = delimiter.as_ref().and_then(|delimiter| folder_of(key, &prefix, delimiter));
                let name = folder.as_ref().unwrap_or(key);
                if *name <= after || listing.folders.last() == Some(name) {
                    continue;
                }
                if listing.len() == page {
                    listing.truncated = true;
                    break;
                }
                listing.last.clone_from(name);
                match folder {
                    Some(folder) => listing.folders.push(folder),
                    None => listing.objects.push((key.clone(), stored.body.len(), etag(&stored.body))),
                }
            }
            say(listing.to_xml())
        })
    }
}

/// An answer with an error as these stores word it.
#[must_use]
pub fn error(status: u16, code: &str) -> HttpAnswer {
    HttpAnswer::Say(status, vec!["Content-Type: application/xml".to_owned()], xml::error(code).into_bytes())
}

fn say(body: String) -> HttpAnswer {
    HttpAnswer::Say(200, vec!["Content-Type: application/xml".to_owned()], body.into_bytes())
}

/// The key: all of the path if the host names the bucket, else what is behind `/bucket/`.
fn key(request: &HttpRequest) -> String {
    let host = request.header("host").and_then(|host| host.split(':').next()).unwrap_or_default();
    let slashes = if host.strip_suffix(DOMAIN).is_some_and(|bucket| bucket.ends_with('.')) { 2 } else { 3 };
    decoded(request.path().splitn(slashes, '/').nth(slashes - 1).unwrap_or_default())
}

fn etag(body: &[u8]) -> String {
    let hash = Hash::of(body).to_string();
    format!("\"{}\"", hash.get(..32).unwrap_or_default())
}

/// The part of a key up to the delimiter behind the prefix.
fn folder_of(key: &str, prefix: &str, delimiter: &str) -> Option<String> {
    let (folder, _) = key.strip_prefix(prefix)?.split_once(delimiter)?;
    Some(format!("{prefix}{folder}{delimiter}"))
}

/// The first byte and the one behind the last that a header asks for, of an object so long; `None`: there is none.
fn range_of(header: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let (first, end) = match (first, last) {
        ("", tail) => (length.saturating_sub(tail.parse().ok()?), length),
        (first, "") => (first.parse().ok()?, length),
        (first, last) => (first.parse().ok()?, length.min(last.parse::<usize>().ok()?.checked_add(1)?)),
    };
    (first < end).then_some((first, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_the_end_and_refused_behind_it() {
        let check = |header, expected| assert_eq!(range_of(header, 10), expected, "{header}");
        check("bytes=0-0", Some((0, 1)));
        check("bytes=3-99", Some((3, 10)));
        check("bytes=3-", Some((3, 10)));
        check("bytes=-4", Some((6, 10)));
        check("bytes=-40", Some((0, 10)));
        check("bytes=10-12", None);
        check("bytes=5-4", None);
        check("lines=1-2", None);
    }
}
