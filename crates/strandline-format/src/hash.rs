//! BLAKE3-256 hashes and the references made of them.
//!
//! Invariant: a [`Hash`] parsed from text had exactly 64 lower-case hex digits [HASH-2]. Where an object lies is the
//! business of `path`; reading and checking whole objects is the business of the SDK.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::id::Era;

/// The BLAKE3-256 hash of an object's bytes [HASH-1].
///
/// ```
/// use strandline_format::Hash;
/// let hash = Hash::of(b"");
/// assert!(hash.to_string().starts_with("af1349b9f5f9a1a6"));
/// assert_eq!(hash.to_string().parse(), Ok(hash));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The hash with these 32 bytes, as a streaming hasher gives them.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks that `bytes` have this hash [HASH-3].
    ///
    /// # Errors
    /// `Corrupt`, naming the expected and the found hash.
    pub fn verify(&self, bytes: &[u8]) -> Result<()> {
        let found = Self::of(bytes);
        if found == *self {
            return Ok(());
        }
        Err(Error::corrupt(format!("expected hash {self}, found {found} over {} bytes", bytes.len())))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        crate::id::parse_hex(text).map(Self).ok_or_else(|| {
            Error::malformed(format!("a hash has 64 lower-case hex digits, not {:?}", clip(text)))
        })
    }
}

/// The first characters of a text that may be hostile, for a message.
pub(crate) fn clip(text: &str) -> &str {
    let end = text.char_indices().nth(80).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        crate::id::deserialize_parsed(deserializer, "64 lower-case hex digits")
    }
}

/// A reference to a metadata object: what it is, where it was put, and how long its text is [REFR-1].
///
/// Identity is the hash alone; era and size only say where the object lies and how much to expect.
///
/// ```
/// use strandline_format::{Era, Hash, ObjectPath, ObjectRef};
///
/// let text = br#"{"a":1}"#;
/// let object = ObjectRef { hash: Hash::of(text), era: Era(3), size: text.len() as u64 };
/// let path = ObjectPath::meta(&object);
/// assert!(path.as_str().starts_with("meta/") && path.as_str().ends_with("-3.json"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    /// The hash of the object's bytes (for metadata: of the JSON text).
    pub hash: Hash,
    /// The garbage-collection era in which the object was uploaded.
    pub era: Era,
    /// The length of the object's bytes (for metadata: of the JSON text, before compression).
    pub size: u64,
}

/// How a reference to metadata stands in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RefV1 {
    pub(crate) hash: Hash,
    pub(crate) era: Era,
    #[serde(deserialize_with = "some_bytes")]
    pub(crate) size: u64,
}

/// Metadata is never empty [REFR-4].
fn some_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u64, D::Error> {
    NonZeroU64::deserialize(deserializer).map(NonZeroU64::get)
}

impl From<ObjectRef> for RefV1 {
    fn from(object: ObjectRef) -> Self {
        Self { hash: object.hash, era: object.era, size: object.size }
    }
}

impl From<RefV1> for ObjectRef {
    fn from(wire: RefV1) -> Self {
        Self { hash: wire.hash, era: wire.era, size: wire.size }
    }
}
