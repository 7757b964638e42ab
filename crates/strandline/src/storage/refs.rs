//! Pointers: the only objects that are ever replaced, and the only code that replaces them.
//!
//! Invariants [PTR-*, design "Conditional put"]: a swap is one request that the client never repeats by itself; a lost
//! race and an unknown outcome are values of [`Swap`], so that no caller can take one for the other; a token is opaque and
//! is only ever handed back to the store that it came from. What an unknown outcome means is found out by
//! [`settle`](super::settle); what the bytes mean is the business of the layers above.

mod local;
mod object;
#[cfg(test)]
mod wire_tests;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use strandline_format::{BRANCHES, MAX_REF_BYTES, Nonce, ObjectPath, PathKind, RefName, TAGS};

use crate::error::{Error, ErrorKind, Result};

pub(crate) use local::LocalRefs;
pub(crate) use object::{ObjectRefs, Transport};

pub use object::TokenKind;

/// Loads and replaces pointers, tags and `lake.json`.
///
/// Implementations differ in how they compare; all give the same guarantees, which the probe checks.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::{ObjectPath, RefName};
/// use strandline::storage::Swap;
///
/// let refs = lake.storage().refs();
/// let path = ObjectPath::branch(&RefName::new("main")?);
/// let first = refs.load(&path).await?.ok_or("main is there")?;
/// lake.append("orders", orders(&[(4, 99)])).await?;
///
/// // What was read is not what stands there any more, so nothing is replaced.
/// let swap = refs.swap(&path, Some(&first.token), first.bytes).await?;
/// assert!(matches!(swap, Swap::Moved(_)));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait RefStore: Send + Sync + fmt::Debug {
    /// The bytes that stand at `path`, and the token to replace exactly them. `None`: nothing stands there.
    ///
    /// One request. Refuses more than `MAX_REF_BYTES` before reading them.
    ///
    /// # Errors
    /// `Corrupt` if it is too long, `StoreUnsuitable` if the store gives no token to compare by, and what the store
    /// refuses or cannot do.
    async fn load(&self, path: &ObjectPath) -> Result<Option<Loaded>>;

    /// The same, but without the bytes if they are still those of `token`. One request.
    ///
    /// # Errors
    /// As [`RefStore::load`].
    async fn load_if_changed(&self, path: &ObjectPath, token: &Token) -> Result<Reloaded>;

    /// Gets the bytes of a swap that is to come ready, where putting them takes more than one act: while other things are put,
    /// for one. They are taken away again when what this gives is dropped. No request of a bucket.
    ///
    /// # Errors
    /// What a disk refuses. Nothing is changed by it.
    async fn stage(&self, _bytes: &Bytes) -> Result<Staging> {
        Ok(Staging::default())
    }

    /// Replaces what `expected` stands for by `bytes`; `None` puts them where nothing stands.
    ///
    /// One write request, never repeated here. A dropped future leaves the outcome unknown: the request may still land.
    ///
    /// # Errors
    /// An error means for certain that this call changed nothing and never will: the store refuses it (rights,
    /// conditions, size), or it was never sent. Anything that leaves a doubt is [`Swap::Unknown`].
    async fn swap(&self, path: &ObjectPath, expected: Option<&Token>, bytes: Bytes) -> Result<Swap>;

    /// The names of all refs of a kind, in their folded form, as the paths keep it; sorted.
    ///
    /// One request for each page of the listing. Foreign objects are left out.
    ///
    /// # Errors
    /// What the store refuses or cannot do.
    async fn list(&self, kind: RefKind) -> Result<Vec<RefName>>;

    /// Removes the first so many objects of a probe. Best effort: what stays lies under `tmp/` and is nobody's.
    async fn remove_scratch(&self, probe: Nonce, objects: u64);
}

/// Bytes that are ready to be put, if the store has any use for that; dropping it takes them away.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::{ObjectPath, RefName};
///
/// let refs = lake.storage().refs();
/// let path = ObjectPath::branch(&RefName::new("main")?);
/// let main = refs.load(&path).await?.ok_or("main is there")?;
/// // In a folder the bytes are written and fsynced now, and the swap only renames; a bucket has nothing to prepare.
/// let ready = refs.stage(&main.bytes).await?;
/// drop(ready);
/// assert_eq!(refs.load(&path).await?, Some(main));
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Staging(Option<Box<dyn Any + Send + Sync>>);

impl Staging {
    pub(crate) fn of(ready: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(ready)))
    }
}

impl fmt::Debug for Staging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Staging").field(&self.0.is_some()).finish()
    }
}

/// The kinds of refs that can be listed.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::storage::RefKind;
///
/// let branches = lake.storage().refs().list(RefKind::Branch).await?;
/// assert_eq!(branches[0].as_str(), "main");
/// assert!(lake.storage().refs().list(RefKind::Tag).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefKind {
    /// Branches' pointers.
    Branch,
    /// Tags.
    Tag,
}

impl RefKind {
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Branch => BRANCHES,
            Self::Tag => TAGS,
        }
    }

    /// The name that a listed path stands for, if it is of this kind.
    pub(crate) fn name_at(self, path: &str) -> Option<RefName> {
        match (self, ObjectPath::parse(path)?) {
            (Self::Branch, PathKind::Branch(name)) | (Self::Tag, PathKind::Tag(name)) => {
                RefName::new(name).ok()
            }
            _ => None,
        }
    }
}

/// Nobody could read a longer one back.
fn check_length(path: &ObjectPath, bytes: &[u8]) -> Result<()> {
    if bytes.len() <= MAX_REF_BYTES {
        return Ok(());
    }
    let text = format!("{} bytes, a ref has at most {MAX_REF_BYTES}", bytes.len());
    Err(Error::new(ErrorKind::InvalidInput, text).at(path))
}

/// What stands for the exact bytes of a ref, as the store compares them. Opaque: it is compared and handed back, never read.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::{ObjectPath, RefName};
///
/// let refs = lake.storage().refs();
/// let path = ObjectPath::branch(&RefName::new("main")?);
/// let before = refs.load(&path).await?.ok_or("main is there")?.token;
/// lake.append("orders", orders(&[(4, 99)])).await?;
/// let after = refs.load(&path).await?.ok_or("main is there")?.token;
/// assert_ne!(before, after);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Token {
    condition: Arc<str>,
    /// What a poll sends, where that is not what a swap sends (GCS swaps by generation and polls by ETag).
    poll: Option<Arc<str>>,
}

impl Token {
    pub(crate) fn new(condition: &str) -> Self {
        Self { condition: condition.into(), poll: None }
    }

    pub(crate) fn with_poll(condition: &str, poll: Option<&str>) -> Self {
        Self { condition: condition.into(), poll: poll.map(Into::into) }
    }

    pub(crate) fn condition(&self) -> &str {
        &self.condition
    }

    pub(crate) fn poll(&self) -> &str {
        self.poll.as_deref().unwrap_or(&self.condition)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.condition == other.condition
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Token").field(&self.condition).finish()
    }
}

/// The bytes of a ref and the token that replaces exactly them.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::{ObjectPath, Pointer, RefName};
///
/// let path = ObjectPath::branch(&RefName::new("main")?);
/// let loaded = lake.storage().refs().load(&path).await?.ok_or("main is there")?;
/// let pointer = Pointer::parse(&loaded.bytes)?;
/// assert_eq!(pointer.head().hash, lake.main().await?.commit().hash());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What stands there.
    pub bytes: Bytes,
    /// What to hand to [`RefStore::swap`].
    pub token: Token,
}

/// What [`RefStore::load_if_changed`] found.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::{ObjectPath, RefName};
/// use strandline::storage::Reloaded;
///
/// let refs = lake.storage().refs();
/// let path = ObjectPath::branch(&RefName::new("main")?);
/// let token = refs.load(&path).await?.ok_or("main is there")?.token;
/// assert_eq!(refs.load_if_changed(&path, &token).await?, Reloaded::Unchanged);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// Still what the token stands for.
    Unchanged,
    /// Something else.
    Changed(Loaded),
    /// Nothing stands there any more.
    Absent,
}

/// The outcome of a swap.
///
/// ```
#[doc = include_str!("../orders.example")]
/// use strandline::format::{Nonce, ObjectPath};
/// use strandline::storage::Swap;
///
/// let refs = lake.storage().refs();
/// let path = ObjectPath::scratch(Nonce::from_bytes([7; 16]), 1);
/// match refs.swap(&path, None, "first".into()).await? {
///     Swap::Swapped(token) => assert_eq!(refs.load(&path).await?.map(|found| found.token), Some(token)),
///     Swap::Moved(_) => println!("somebody else was faster: read again"),
///     Swap::Unknown(error) => println!("it may stand there, or may yet: {error}"),
/// }
/// assert!(matches!(refs.swap(&path, None, "second".into()).await?, Swap::Moved(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a lost race and an unknown outcome are told by this value alone"]
pub enum Swap {
    /// It was applied; the token is that of the bytes that stand there by it.
    Swapped(Token),
    /// This call was not applied: somebody else was faster, or is at it now. Read again, whether or not the token
    /// turns out to be the same. The error holds the store's own words, if it had any: a lost race is not the only reason
    /// for which stores give this answer.
    ///
    /// If an *earlier* attempt of the same transaction ended unknown, this may well be its doing: look for it first.
    Moved(Option<Error>),
    /// It may have been applied, may still be, or may never be. The error says what was seen.
    Unknown(Error),
}
