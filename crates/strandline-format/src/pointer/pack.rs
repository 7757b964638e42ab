//! The pack: the exact texts of what a reader of the head needs next, inside the pointer [PTR-8].
//!
//! Invariants: each text has the hash that it stands under, checked whenever a pack is made or read; the order is that of
//! need, most needed first, so what does not fit is dropped from the end; every text also stands as an object of its own,
//! so a pack is only ever a shortcut.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::json::{MAX_DEPTH, nests_deeper};

/// How many bytes of a pointer's text its pack may take, braces included.
pub const MAX_PACK_BYTES: usize = 64 << 10;

/// A hash as a member's name, with its colon and comma.
const NAME_BYTES: usize = 64 + 2 + 2;
/// The braces, less the comma that the last member does not have.
const BRACES: usize = 1;

/// Texts by their hashes.
///
/// ```
/// use strandline_format::{Hash, Pack};
/// let text = r#"{"format":1,"kind":"commit"}"#;
/// let hash = Hash::of(text.as_bytes());
/// let mut builder = Pack::builder();
/// assert!(builder.push(hash, text)?);
/// assert_eq!(builder.finish().get(&hash), Some(text));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pack {
    texts: Vec<(Hash, Arc<RawValue>)>,
    bytes: usize,
}

impl PartialEq for Pack {
    fn eq(&self, other: &Self) -> bool {
        // A hash stands for its text.
        self.texts.iter().map(|(hash, _)| hash).eq(other.texts.iter().map(|(hash, _)| hash))
    }
}

impl Pack {
    /// An empty pack to be filled, most needed first.
    #[must_use]
    pub fn builder() -> PackBuilder {
        PackBuilder { pack: Self::default(), known: HashSet::new() }
    }

    /// The text with this hash, if it is here.
    #[must_use]
    pub fn get(&self, hash: &Hash) -> Option<&str> {
        self.texts.iter().find(|(known, _)| known == hash).map(|(_, text)| text.get())
    }

    /// All texts, most needed first.
    pub fn iter(&self) -> impl Iterator<Item = (Hash, &str)> {
        self.texts.iter().map(|(hash, text)| (*hash, text.get()))
    }

    /// How many texts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// How many bytes the pack takes in its pointer.
    #[must_use]
    pub fn bytes(&self) -> usize {
        BRACES + self.bytes
    }

    /// Drops from the end what is over the bound: another writer may have packed more.
    pub(super) fn trim(&mut self) {
        while self.bytes() > MAX_PACK_BYTES
            && let Some((_, text)) = self.texts.pop()
        {
            self.bytes -= NAME_BYTES + text.get().len();
        }
    }

    fn push(&mut self, hash: Hash, text: Box<RawValue>) {
        self.push_shared(hash, text.into());
    }

    fn push_shared(&mut self, hash: Hash, text: Arc<RawValue>) {
        self.bytes += NAME_BYTES + text.get().len();
        self.texts.push((hash, text));
    }
}

/// Fills a pack up to its bound.
///
/// ```
/// use strandline_format::{Hash, Pack};
///
/// let text = r#"{"a":1}"#;
/// let mut builder = Pack::builder();
/// // `false` once it is full: then the text is read from its object.
/// assert!(builder.push(Hash::of(text.as_bytes()), text)?);
/// assert_eq!(builder.finish().get(&Hash::of(text.as_bytes())), Some(text));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PackBuilder {
    pack: Pack,
    known: HashSet<Hash>,
}

impl PackBuilder {
    /// Adds the next text in the order of need; whether it is in the pack. A text that does not fit, or that nests so deep
    /// that the pointer around it could not be read, is left out, and less needed but smaller ones may still come.
    ///
    /// # Errors
    /// `Corrupt` if the text does not have this hash, `Invalid` if it is not JSON: neither may ever stand in a pointer.
    pub fn push(&mut self, hash: Hash, text: &str) -> Result<bool> {
        if self.known.contains(&hash) {
            return Ok(true);
        }
        hash.verify(text.as_bytes())?;
        if self.pack.bytes() + NAME_BYTES + text.len() > MAX_PACK_BYTES || nests_too_deep(text) {
            return Ok(false);
        }
        let raw = RawValue::from_string(text.to_owned())
            .map_err(|error| Error::invalid(format!("the text to pack as {hash} is not JSON: {error}")))?;
        if raw.get().len() != text.len() {
            return Err(Error::invalid(format!("the text to pack as {hash} has blanks around it")));
        }
        self.known.insert(hash);
        self.pack.push(hash, raw);
        Ok(true)
    }

    /// Adds the texts of another pack that are `wanted`, in their order, as far as they fit: they were checked when they came there.
    pub fn keep(&mut self, other: &Pack, wanted: impl Fn(&Hash) -> bool) {
        for (hash, text) in other.texts.iter().filter(|(hash, _)| wanted(hash)) {
            if self.pack.bytes() + NAME_BYTES + text.get().len() <= MAX_PACK_BYTES && self.known.insert(*hash)
            {
                self.pack.push_shared(*hash, Arc::clone(text));
            }
        }
    }

    /// The pack.
    #[must_use]
    pub fn finish(self) -> Pack {
        self.pack
    }
}

/// Whether a text could not be read any more inside a pack inside a pointer, which are two levels around it.
fn nests_too_deep(text: &str) -> bool {
    nests_deeper(text.as_bytes(), MAX_DEPTH - 2)
}

/// How a pack stands in JSON: an object whose order counts, with values that are kept to the byte.
#[derive(Clone, Debug, Default)]
pub(super) struct PackV1(Vec<(String, Box<RawValue>)>);

impl From<&Pack> for PackV1 {
    fn from(pack: &Pack) -> Self {
        Self(pack.texts.iter().map(|(hash, text)| (hash.to_string(), RawValue::to_owned(text))).collect())
    }
}

impl TryFrom<PackV1> for Pack {
    type Error = Error;

    fn try_from(wire: PackV1) -> Result<Self> {
        let mut known = HashSet::new();
        let mut pack = Self::default();
        for (name, text) in wire.0 {
            let hash: Hash = name.parse().map_err(|error: Error| error.at("pack"))?;
            if !known.insert(hash) {
                return Err(Error::malformed(format!("pack: {hash} is repeated")));
            }
            hash.verify(text.get().as_bytes()).map_err(|error| error.at("pack"))?;
            pack.push(hash, text);
        }
        Ok(pack)
    }
}

impl Serialize for PackV1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(hash, text)| (hash, text)))
    }
}

impl<'de> Deserialize<'de> for PackV1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Ordered;
        impl<'de> Visitor<'de> for Ordered {
            type Value = PackV1;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts by their hashes")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> std::result::Result<PackV1, A::Error> {
                let mut texts = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    texts.push(entry);
                }
                Ok(PackV1(texts))
            }
        }
        deserializer.deserialize_map(Ordered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn text(len: usize) -> String {
        format!("\"{}\"", "x".repeat(len - 2))
    }

    /// Packs texts of these lengths, tells which went in.
    fn check(lengths: &[usize], expected: &[bool]) {
        let mut builder = Pack::builder();
        let packed: Vec<bool> = lengths
            .iter()
            .map(|len| builder.push(Hash::of(text(*len).as_bytes()), &text(*len)).unwrap())
            .collect();
        assert_eq!(packed, expected, "{lengths:?}");
        let pack = builder.finish();
        let json = serde_json::to_string(&PackV1::from(&pack)).unwrap();
        assert!(json.len() <= MAX_PACK_BYTES);
        assert!(pack.is_empty() || json.len() == pack.bytes(), "{} {}", json.len(), pack.bytes());
        let read: PackV1 = serde_json::from_str(&json).unwrap();
        assert_eq!(Pack::try_from(read).unwrap(), pack);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        const ALL: usize = MAX_PACK_BYTES - BRACES - NAME_BYTES;
        check(&[], &[]);
        check(&[10, 10, 20], &[true, true, true]);
        check(&[ALL], &[true]);
        check(&[ALL + 1, 5], &[false, true]);
        check(&[40_000, 30_000, 20_000], &[true, false, true]);
    }

    #[test]
    fn foreign_texts_are_refused() {
        let mut builder = Pack::builder();
        let kind = |result: Result<bool>| result.unwrap_err().kind();
        assert_eq!(kind(builder.push(Hash::of(b"1"), "2")), ErrorKind::Corrupt);
        assert_eq!(kind(builder.push(Hash::of(b"{"), "{")), ErrorKind::Invalid);
        assert_eq!(kind(builder.push(Hash::of(b" 1"), " 1")), ErrorKind::Invalid);
        let deep = format!("{}{}", "[".repeat(63), "]".repeat(63));
        assert_eq!(builder.push(Hash::of(deep.as_bytes()), &deep), Ok(false));
    }

    #[test]
    fn too_much_is_trimmed_from_the_end() {
        let mut pack = Pack::default();
        for len in [40_000, 30_000, 20_000] {
            pack.push(Hash::of(text(len).as_bytes()), RawValue::from_string(text(len)).unwrap());
        }
        pack.trim();
        assert_eq!(pack.len(), 1);
        assert_eq!(pack.bytes(), serde_json::to_string(&PackV1::from(&pack)).unwrap().len());
    }
}
