//! The one door for JSON: bounded before it is parsed, strict while it is, compact when it is written.
//!
//! Invariants: nothing longer than its limit or deeper than [`MAX_DEPTH`] reaches the parser [JSON-3]; a repeated member
//! is refused [JSON-4]; a format version that is not known is `Unsupported`, whatever else the text holds [VER-2]; another
//! kind than the one that belongs there is `Malformed` [VER-3]. The wire structs themselves stand beside the objects that they belong to.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};
use crate::strict;

/// The format version that this crate reads and writes.
pub const FORMAT_VERSION: u64 = 1;

/// How deep JSON may nest.
pub const MAX_DEPTH: usize = 64;

/// How long the text of a metadata object may be.
pub const MAX_META_BYTES: usize = 64 << 20;

/// How long the text of a pointer, a tag or `lake.json` may be.
pub const MAX_REF_BYTES: usize = 1 << 20;

/// A wire struct of format version 1: its text opens with `format` and `kind` [JSON-5].
pub(crate) trait Wire: DeserializeOwned + Serialize {
    /// The `kind` member, and the name in messages.
    const KIND: &'static str;
    /// The longest text that is parsed.
    const LIMIT: usize = MAX_META_BYTES;
    /// The two members that every object begins with.
    fn header(&self) -> &Header;
}

/// The two members that every object begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) format: u64,
    pub(crate) kind: String,
}

impl Header {
    pub(crate) fn of<W: Wire>() -> Self {
        Self { format: FORMAT_VERSION, kind: W::KIND.to_owned() }
    }
}

/// Parses an object's text.
pub(crate) fn parse<W: Wire>(text: &[u8]) -> Result<W> {
    parse_text(W::KIND, W::LIMIT, text, |wire: &W| wire.header().clone())
}

/// The text of an object: compact, members in the order of the wire struct.
pub(crate) fn write<W: Wire>(wire: &W) -> Result<Vec<u8>> {
    write_text(W::KIND, W::LIMIT, wire)
}

/// [`parse`] for a wire struct whose kind is known only at run time.
pub(crate) fn parse_text<W: DeserializeOwned>(
    kind: &str,
    limit: usize,
    text: &[u8],
    header: impl Fn(&W) -> Header,
) -> Result<W> {
    check_bounds(text, limit).map_err(|error| error.at(kind))?;
    let parsed: serde_json::Result<W> = strict::from_slice(text);
    match parsed {
        Ok(wire) => match foreign(kind, &header(&wire)) {
            Some(error) => Err(error),
            None => Ok(wire),
        },
        Err(error) => Err(explain(kind, text, &error)),
    }
}

/// [`write`] for a wire struct whose kind is known only at run time.
pub(crate) fn write_text<W: Serialize>(kind: &str, limit: usize, wire: &W) -> Result<Vec<u8>> {
    let text = serde_json::to_vec(wire)
        .map_err(|error| Error::invalid(format!("{kind} cannot be written: {error}")))?;
    if text.len() > limit {
        return Err(Error::too_large(format!("{kind} of {} bytes, the limit is {limit}", text.len())));
    }
    Ok(text)
}

/// What is wrong with the first two members, if anything.
fn foreign(kind: &str, header: &Header) -> Option<Error> {
    unknown_format(kind, header.format).or_else(|| {
        let found = crate::hash::clip(&header.kind);
        let error = || Error::malformed(format!("expected an object of kind {kind:?}, found {found:?}"));
        (header.kind != kind).then(error)
    })
}

fn unknown_format(kind: &str, format: u64) -> Option<Error> {
    let error = || {
        Error::unsupported(format!(
            "{kind}: format version {format} is not known here, which is {FORMAT_VERSION}: use a newer strandline"
        ))
    };
    (format != FORMAT_VERSION).then(error)
}

/// Says whether text that did not parse is of another version or kind, or simply wrong. Of another version nothing but the
/// number is known, not even that it has a kind [VER-2].
fn explain(kind: &str, text: &[u8], error: &serde_json::Error) -> Error {
    #[derive(Deserialize)]
    struct OnlyFormat {
        format: u64,
    }
    let format =
        strict::from_slice::<OnlyFormat>(text).ok().and_then(|found| unknown_format(kind, found.format));
    let header = || strict::from_slice::<Header>(text).ok().and_then(|header| foreign(kind, &header));
    format.or_else(header).unwrap_or_else(|| from_serde(kind, error))
}

/// Refuses text that is too long or nests too deep before any of it is parsed.
pub(crate) fn check_bounds(text: &[u8], limit: usize) -> Result<()> {
    if text.len() > limit {
        return Err(Error::too_large(format!("{} bytes of JSON, the limit is {limit}", text.len())));
    }
    if nests_deeper(text, MAX_DEPTH) {
        return Err(Error::too_large(format!("JSON nested deeper than {MAX_DEPTH}")));
    }
    Ok(())
}

/// Whether a text nests deeper than so.
pub(crate) fn nests_deeper(text: &[u8], most: usize) -> bool {
    let mut depth = 0_usize;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > most {
            return true;
        }
    }
    false
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}

/// A member with a default, which it also has where `null` stands in its place [JSON-9].
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Begins the message of an error whose kind is `Unsupported`; no text from outside gets into a message unescaped.
const UNSUPPORTED: char = '\u{1}';

/// An error on its way through serde, which only carries messages.
pub(crate) fn through_serde<E: serde::de::Error>(error: Error) -> E {
    match error.kind() {
        crate::ErrorKind::Unsupported => E::custom(format_args!("{UNSUPPORTED}{error}")),
        _ => E::custom(error),
    }
}

/// What [`through_serde`] brought here, or what serde says itself.
pub(crate) fn from_serde(place: impl fmt::Display, error: &serde_json::Error) -> Error {
    let message = error.to_string();
    match message.strip_prefix(UNSUPPORTED) {
        Some(message) => Error::unsupported(message),
        None => Error::malformed(message),
    }
    .at(place)
}

/// A map of the wire in which a repeated key is an error, where serde would keep the last one; `null` is an empty one [JSON-9].
pub(crate) fn unique_map<'de, D, K, V>(deserializer: D) -> std::result::Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Debug,
    V: Deserialize<'de>,
{
    struct Unique<K, V>(std::marker::PhantomData<(K, V)>);
    impl<'de, K: Deserialize<'de> + Ord + fmt::Debug, V: Deserialize<'de>> Visitor<'de> for Unique<K, V> {
        type Value = BTreeMap<K, V>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_unit<E: serde::de::Error>(self) -> std::result::Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }
        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> std::result::Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = access.next_entry::<K, V>()? {
                let name = format!("{key:?}");
                if map.insert(key, value).is_some() {
                    return Err(serde::de::Error::custom(format!("member {name} is repeated")));
                }
            }
            Ok(map)
        }
    }
    deserializer.deserialize_any(Unique(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The depth by the letter: byte by byte, strings left out.
    fn depth(text: &str) -> usize {
        let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
        for letter in text.bytes() {
            match letter {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        deepest
    }

    proptest::proptest! {
        #[test]
        fn depth_is_counted_outside_strings_wherever_they_lie(
            parts in proptest::collection::vec("[a-z0-9,]{0,40}|\"([a-z{}\\[\\]]|\\\\\"|\\\\\\\\){0,40}\"?|\\[{1,20}|[\\]}]{1,9}", 0..40),
        ) {
            let text = parts.concat();
            proptest::prop_assert_eq!(check_bounds(text.as_bytes(), text.len()).is_ok(), depth(&text) <= MAX_DEPTH);
        }
    }

    #[test]
    fn the_limits_are_inclusive() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let check =
            |text: &str, limit, ok| assert_eq!(check_bounds(text.as_bytes(), limit).is_ok(), ok, "{text}");
        check(&nested(MAX_DEPTH), 1000, true);
        check(&nested(MAX_DEPTH + 1), 1000, false);
        check("[]", 2, true);
        check("[] ", 2, false);
    }
}
