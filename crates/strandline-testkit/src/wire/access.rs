//! Who may do what at a stub: keys, how long they hold, and what they open.
//!
//! Invariants: whoever is not known, or not any more, is refused as S3 words it, before anything else is looked at; what a
//! request was signed with is its access key and session token, or the account that its token names, and whether the signature fits is not checked (a real server
//! does that). What does not belong here: where keys come from (`issuer`).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::bucket::error;
use super::message::HttpRequest;
use super::server::HttpAnswer;
use crate::shared::Shared;

/// What a user may do. Everybody who is known may read unless it is said otherwise.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// Prefixes of the keys that may be written and removed.
    writes: Vec<String>,
    everything: bool,
    /// Who may not list is not told what is there.
    unlisting: bool,
}

impl Rights {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// To read and to list.
    #[must_use]
    pub fn reading() -> Self {
        Self::default()
    }

    /// The same, and to write what begins so.
    #[must_use]
    pub fn writing(mut self, prefix: impl Into<String>) -> Self {
        self.writes.push(prefix.into());
        self
    }

    /// The same without the right to list: of what is not there it is told, as at S3, that it may not be read.
    #[must_use]
    pub fn unlisting(self) -> Self {
        Self { unlisting: true, ..self }
    }

    fn allow(&self, request: &HttpRequest, key: &str) -> bool {
        let reads = matches!(request.method.as_str(), "GET" | "HEAD");
        if self.unlisting && request.parameter("list-type").is_some() {
            return false;
        }
        self.everything || reads || self.writes.iter().any(|prefix| key.starts_with(prefix))
    }
}

#[derive(Debug)]
struct User {
    token: Option<String>,
    until: Option<Instant>,
    rights: Rights,
    /// How many of its requests were let in.
    asked: u64,
}

/// The users of a stub; clones are the same.
///
/// ```
/// use strandline_testkit::wire::{Access, Rights, StubBucket};
/// let access = Access::new();
/// access.grant("AKIA1", Rights::all());
/// access.publish(Rights::reading());
/// let server = StubBucket::s3().with_access(&access).serve()?;
/// assert_eq!(access.asked("AKIA1"), 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Access(Shared<BTreeMap<String, User>>);

/// How whoever does not sign is called.
const NOBODY: &str = "";

impl Access {
    /// Nobody may do anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A key that holds for ever.
    pub fn grant(&self, key: &str, rights: Rights) {
        self.add(key, User { token: None, until: None, rights, asked: 0 });
    }

    /// A key that holds for some time, with the session token that belongs to it.
    pub fn lend(&self, key: &str, token: &str, rights: Rights, time: Duration) {
        let until = Some(Instant::now() + time);
        self.add(key, User { token: Some(token.to_owned()), until, rights, asked: 0 });
    }

    /// What may be done without a signature.
    pub fn publish(&self, rights: Rights) {
        self.add(NOBODY, User { token: None, until: None, rights, asked: 0 });
    }

    /// How many requests of a key were let in.
    #[must_use]
    pub fn asked(&self, key: &str) -> u64 {
        self.0.with(|users| users.get(key).map_or(0, |user| user.asked))
    }

    /// How many keys were used.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.with(|users| users.values().filter(|user| user.asked > 0).count())
    }

    fn add(&self, key: &str, user: User) {
        self.0.with(|users| users.insert(key.to_owned(), user));
    }

    /// Whether whoever asks is told that something is not there.
    pub(super) fn may_know(&self, request: &HttpRequest) -> bool {
        let signer = request.signer().unwrap_or_else(|| NOBODY.to_owned());
        self.0.with(|users| users.get(&signer).is_none_or(|user| !user.rights.unlisting))
    }

    /// Lets a request for a key of the bucket in, or says why not.
    pub(super) fn admit(&self, request: &HttpRequest, key: &str) -> Result<(), HttpAnswer> {
        let signer = request.signer().unwrap_or_else(|| NOBODY.to_owned());
        let token = request.header("x-amz-security-token");
        self.0.with(|users| match users.get_mut(&signer) {
            None if signer == NOBODY => Err(error(403, "AccessDenied")),
            None if request.access_key().is_none() => Err(error(401, "AuthenticationRequired")),
            None => Err(error(403, "InvalidAccessKeyId")),
            Some(user) if user.token.as_deref() != token => Err(error(400, "InvalidToken")),
            Some(user) if user.until.is_some_and(|until| until <= Instant::now()) => {
                Err(error(400, "ExpiredToken"))
            }
            Some(user) if !user.rights.allow(request, key) => Err(error(403, "AccessDenied")),
            Some(user) => {
                user.asked += 1;
                Ok(())
            }
        })
    }
}
