//! Every text of the vectors, broken in every way: a parser refuses or reads it, but never panics, never takes long and never
//! takes much memory; and what it reads it writes so that it reads as the same.
//!
//! A bounded run of what the fuzz targets (`fuzz/`) do without end.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::value::RawValue;
use strandline_format::{
    ColumnName, DeletionVector, Hash, HashPrefix, LakeId, Nonce, ObjectPath, PrimitiveType, RefName,
    Reference, ReferenceRange, ReferenceTime, StoreFingerprint, TableId, TableName, Timestamp, Transform,
    Value,
};

use crate::case::load_all;
use crate::octets::octets;
use crate::outcome::{Failure, Outcome, ok};
use crate::topics::{Reader, documents, trees};

/// The longest text that is broken; longer ones are about bounds, not about form.
const MAX_TEXT: usize = 8 << 10;

/// How long one parser may take for one text. Generous, so that a busy machine does not fail it.
const MAX_TIME: Duration = Duration::from_secs(5);

/// How much memory the whole run may take: a claim of gigabytes in a few bytes must come to nothing.
const MAX_MEMORY: u64 = 1 << 30;

/// All parsers of bytes and texts.
fn parsers() -> Vec<Reader> {
    let mut all: Vec<Reader> = documents::READERS.iter().chain(trees::READERS).copied().collect();
    all.extend::<[Reader; 5]>([
        ("deletion vector", vector),
        ("names", |text| in_text(text, names)),
        ("scalars", |text| in_text(text, scalars)),
        ("values", |text| in_text(text, values)),
        ("references", |text| in_text(text, references)),
    ]);
    all
}

fn vector(bytes: &[u8]) -> Outcome {
    let vector = DeletionVector::decode(bytes)?;
    // A run tells of many positions in a few bytes; they are only counted here.
    let again = DeletionVector::decode(&vector.encode()?)?;
    if again != vector || again.cardinality() != vector.cardinality() {
        return Err(Failure::Input("written again it is another".to_owned()));
    }
    ok()
}

/// Parsers of texts that are no UTF-8 cannot be called at all.
fn in_text(bytes: &[u8], parse: fn(&str)) -> Outcome {
    parse(&String::from_utf8_lossy(bytes));
    ok()
}

fn names(text: &str) {
    for path in [
        RefName::new(text).map(|name| ObjectPath::branch(&name)),
        RefName::new(text).map(|name| ObjectPath::tag(&name)),
    ] {
        assert!(
            path.is_err() || path.is_ok_and(|path| ObjectPath::parse(path.as_str()).is_some()),
            "{text:?}"
        );
    }
    let _ =
        (TableName::new(text).map(|name| name.namespace()), ColumnName::new(text), ObjectPath::parse(text));
}

fn scalars(text: &str) {
    let _ = (text.parse::<Hash>(), text.parse::<LakeId>(), text.parse::<TableId>(), text.parse::<Nonce>());
    let _ = (text.parse::<Timestamp>(), text.parse::<StoreFingerprint>());
    if let Ok(ty) = text.parse::<PrimitiveType>() {
        assert_eq!(ty.to_string(), text);
    }
    if let Ok(transform) = text.parse::<Transform>() {
        assert_eq!(transform.to_string(), text);
    }
}

fn values(text: &str) {
    const TYPES: [&str; 17] = [
        "boolean",
        "int",
        "long",
        "float",
        "double",
        "decimal(9,2)",
        "decimal(38,0)",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "timestamp_ns",
        "timestamptz_ns",
        "string",
        "uuid",
        "fixed(2)",
        "binary",
    ];
    for ty in TYPES {
        let ty = ty.parse().unwrap();
        if let Ok(value) = Value::from_json(ty, text) {
            assert_eq!(Value::from_json(ty, &value.to_json().unwrap()), Ok(value), "{text:?} as {ty}");
        }
    }
}

fn references(text: &str) {
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string().parse(), Ok(reference), "{text:?}");
    }
    let _ = (text.parse::<ReferenceRange>(), text.parse::<ReferenceTime>(), text.parse::<HashPrefix>());
}

/// Every text in the inputs of the vectors: those that are texts, and the JSON of those that are not.
fn corpus() -> Vec<Vec<u8>> {
    let (files, _) = load_all();
    let mut texts = BTreeSet::new();
    for case in files.iter().flat_map(|file| &file.cases) {
        collect(&case.input, &mut texts);
    }
    texts.into_iter().filter(|text| text.len() <= MAX_TEXT).collect()
}

fn collect(input: &RawValue, texts: &mut BTreeSet<Vec<u8>>) {
    if let Ok(bytes) = octets(input) {
        texts.insert(bytes);
        return;
    }
    texts.insert(input.get().as_bytes().to_vec());
    if let Ok(members) = serde_json::from_str::<std::collections::BTreeMap<String, &RawValue>>(input.get()) {
        members.into_values().for_each(|member| collect(member, texts));
    }
}

/// Gives a text to every parser.
#[expect(clippy::disallowed_methods, reason = "how long a parser takes is what is measured")]
fn parse_all(text: &[u8]) {
    for (name, parse) in parsers() {
        let begun = Instant::now();
        if let Ok(found) = parse(text) {
            assert!(!found.contains("written again"), "{name}: {found}\n{}", String::from_utf8_lossy(text));
        }
        assert!(begun.elapsed() < MAX_TIME, "{name} takes long:\n{}", String::from_utf8_lossy(text));
    }
}

/// One way to break a text. Places are given as parts of its length, so that they fit any text.
#[derive(Clone, Debug)]
enum Break {
    Flip(Index, u8),
    CutOff(Index),
    Remove(Index, usize),
    Insert(Index, &'static str),
    Repeat(Index, usize, Index),
    Swap(Index, Index),
    Replace(Index, &'static str),
    Nest(Index, usize),
}

/// What means something to a parser, or might.
const WORDS: [&str; 30] = [
    "null",
    "true",
    "0",
    "-0",
    "-0.0",
    "-1",
    "1.0",
    "1e0",
    "1e999",
    "1e-999",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999",
    "\"\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "[]",
    "{}",
    "[[]]",
    ",",
    ":",
    "\"",
    "\\",
    "\u{feff}",
    "\u{0}",
    "..",
    "@{",
    "é",
];

fn breaks() -> impl Strategy<Value = Vec<Break>> {
    let at = any::<Index>;
    let word = || prop::sample::select(&WORDS[..]);
    let one = prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, bits)| Break::Flip(at, bits)),
        at().prop_map(Break::CutOff),
        (at(), 1..40_usize).prop_map(|(at, len)| Break::Remove(at, len)),
        (at(), word()).prop_map(|(at, word)| Break::Insert(at, word)),
        (at(), 1..200_usize, at()).prop_map(|(from, len, to)| Break::Repeat(from, len, to)),
        (at(), at()).prop_map(|(one, other)| Break::Swap(one, other)),
        (at(), word()).prop_map(|(at, word)| Break::Replace(at, word)),
        (at(), 1..100_usize).prop_map(|(at, depth)| Break::Nest(at, depth)),
    ];
    prop::collection::vec(one, 1..5)
}

impl Break {
    fn apply(&self, text: &mut Vec<u8>) {
        let place = |at: &Index, len: usize| at.index(len + 1);
        match self {
            Self::Flip(at, bits) if !text.is_empty() => {
                let at = at.index(text.len());
                text[at] ^= bits;
            }
            Self::Flip(..) => {}
            Self::CutOff(at) => text.truncate(place(at, text.len())),
            Self::Remove(at, len) => {
                let at = place(at, text.len());
                text.drain(at..text.len().min(at + len));
            }
            Self::Insert(at, word) => insert(text, place(at, text.len()), word.as_bytes()),
            Self::Repeat(from, len, to) => {
                let from = place(from, text.len());
                let part = text[from..text.len().min(from + len)].to_vec();
                insert(text, place(to, text.len()), &part);
            }
            Self::Swap(one, other) => swap(text, one, other),
            Self::Replace(at, word) => {
                let tokens = tokens(text);
                if !tokens.is_empty() {
                    text.splice(tokens[at.index(tokens.len())].clone(), word.bytes());
                }
            }
            Self::Nest(at, depth) => {
                let at = place(at, text.len());
                insert(text, at, &b"]".repeat(*depth));
                insert(text, at, &b"[".repeat(*depth));
            }
        }
    }
}

fn insert(text: &mut Vec<u8>, at: usize, part: &[u8]) {
    text.splice(at..at, part.iter().copied());
}

fn swap(text: &mut Vec<u8>, one: &Index, other: &Index) {
    let tokens = tokens(text);
    if tokens.is_empty() {
        return;
    }
    let (one, other) = (one.index(tokens.len()), other.index(tokens.len()));
    let (first, second) = (tokens[one.min(other)].clone(), tokens[one.max(other)].clone());
    let (early, late) = (text[first.clone()].to_vec(), text[second.clone()].to_vec());
    if first.end <= second.start {
        text.splice(second, early);
        text.splice(first, late);
    }
}

/// Where the words, numbers and strings of a text stand, near enough.
fn tokens(text: &[u8]) -> Vec<Range<usize>> {
    let mut tokens = Vec::new();
    let mut begun: Option<usize> = None;
    let mut in_string = false;
    for (at, byte) in text.iter().enumerate() {
        let quote = *byte == b'"';
        let ends =
            if in_string { quote } else { matches!(byte, b',' | b':' | b'{' | b'}' | b'[' | b']' | b' ') };
        match begun {
            Some(start) if ends => {
                tokens.push(start..if in_string { at + 1 } else { at });
                (begun, in_string) = (None, false);
            }
            None if !ends => (begun, in_string) = (Some(at), quote),
            _ => {}
        }
    }
    tokens
}

/// The most memory that this process ever had, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

fn assert_memory() {
    if let Some(peak) = peak_memory() {
        assert!(peak < MAX_MEMORY, "{peak} bytes of memory");
    }
}

#[test]
fn broken_texts_are_refused() {
    let corpus = corpus();
    let config = ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(at in any::<Index>(), breaks in breaks())| {
        let mut text = corpus[at.index(corpus.len())].clone();
        breaks.iter().for_each(|one| one.apply(&mut text));
        parse_all(&text);
    });
    assert_memory();
}

/// A text that ends anywhere, of each kind of object.
#[test]
fn texts_cut_off_anywhere_are_refused() {
    let mut texts = corpus();
    texts.retain(|text| text.starts_with(b"{\"format\":1") || text.starts_with(b"\0"));
    for text in texts.iter().step_by(16) {
        (0..text.len()).step_by(7).for_each(|end| parse_all(&text[..end]));
    }
    assert_memory();
}

#[test]
fn breaking_breaks() {
    assert_eq!(tokens(br#"{"a":[1,"b c"]}"#), [1..4, 6..7, 8..13]);
    proptest!(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }, |(one in any::<Index>(), other in any::<Index>())| {
        let text = br#"{"a":[1,"b"]}"#;
        let mut swapped = text.to_vec();
        Break::Swap(one, other).apply(&mut swapped);
        prop_assert_eq!(swapped.len(), text.len());
        let mut nested = text.to_vec();
        Break::Nest(one, 3).apply(&mut nested);
        prop_assert_eq!(nested.len(), text.len() + 6);
    });
}
