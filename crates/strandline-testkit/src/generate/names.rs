//! Names in many scripts, names that clash, and names that are meant to hurt.
//!
//! Invariant: a strategy for a kind of name gives only names that its rules [NAME-1..4] allow; what is refused stands in
//! [`REFUSED`] and [`REFUSED_REFS`].

use proptest::prelude::*;
use strandline_format::{ColumnName, RefName, TableName};

/// Letters of many scripts: of one byte to four, with and without case, some that change their length when folded,
/// some that join with their neighbours.
const LETTERS: &[&str] = &[
    "a",
    "b",
    "z",
    "A",
    "Z",
    "0",
    "7",
    "_",
    "-",
    "ä",
    "ß",
    "ẞ",
    "É",
    "é",
    "e\u{301}",
    "İ",
    "ı",
    "ŉ",
    "ǅ",
    "ﬁ",
    "ﬃ",
    "Ω",
    "σ",
    "ς",
    "Ж",
    "ё",
    "և",
    "א",
    "ש",
    "ع",
    "ي",
    "अ",
    "क्ष",
    "த",
    "ก",
    "ក",
    "ა",
    "Ა",
    "ᏸ",
    "한",
    "각",
    "漢",
    "字",
    "々",
    "か",
    "ガ",
    "ﾊ",
    "ﾟ",
    "Ａ",
    "𐐀",
    "𝒜",
    "𠮷",
    "🦀",
    "👩\u{200d}🚀",
    "\u{1f1e9}\u{1f1ea}",
];

/// Names of one kind that are the same name under folding and normalisation [NAME-7].
pub const CLASHES: &[(&str, &str)] = &[
    ("main", "MAIN"),
    ("straße", "STRASSE"),
    ("ﬁnal", "FINAL"),
    ("\u{e9}t\u{e9}", "e\u{301}te\u{301}"),
    ("ΟΔΟΣ", "οδος"),
    ("\u{212a}elvin", "kelvin"),
    ("\u{212b}ngström", "\u{e5}ngstro\u{308}m"),
    ("ǆ", "ǅ"),
];

/// Texts that are no name of any kind.
pub const REFUSED: &[&str] =
    &["", " ", "\0", "a\0b", "a\nb", "\u{7f}", "\u{85}", " a", "a ", "\u{a0}a", "a\u{3000}", "\t"];

/// Texts that are no name of a branch or tag, although they may name a column.
pub const REFUSED_REFS: &[&str] = &[
    ".",
    "..",
    "a..b",
    "../a",
    "a/../b",
    "/",
    "/a",
    "a/",
    "a//b",
    "./a",
    "a/.",
    ".a",
    "a.",
    "-a",
    "a/-b",
    "a b",
    "a~1",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[0]",
    "a\\b",
    "a@{0}",
    "a#1",
    "a%2e",
    "a=b",
    "a,b",
    "a|b",
    "<a>",
    "'a'",
    "\"a\"",
    "$a",
    "`a`",
    "main.json",
    "main.JSON",
    "a.lock",
    "a/b.Lock/c",
];

/// Names of branches and tags, some with folders.
pub fn refs() -> impl Strategy<Value = RefName> {
    valid("refs", words(), '/', |text| RefName::new(text).ok())
}

/// Names of tables, some with namespaces.
pub fn tables() -> impl Strategy<Value = TableName> {
    valid("tables", words(), '.', |text| TableName::new(text).ok())
}

/// Names of columns, some with what is special everywhere else.
pub fn columns() -> impl Strategy<Value = ColumnName> {
    let odd = prop::sample::select(REFUSED_REFS).prop_map(str::to_owned);
    valid("columns", prop_oneof![4 => words(), 1 => odd], ' ', |text| ColumnName::new(text).ok())
}

/// Texts that are meant to hurt: refused ones, over-long ones, paths, and any others. Some are valid names.
pub fn hostile() -> impl Strategy<Value = String> {
    let known = [REFUSED, REFUSED_REFS].concat();
    prop_oneof![
        4 => prop::sample::select(known).prop_map(str::to_owned),
        2 => any::<String>(),
        1 => (words(), 1..2_000_usize).prop_map(|(word, times)| word.repeat(times)),
        1 => words().prop_map(|word| format!("{word}\u{202e}{word}\u{feff}")),
        1 => words().prop_map(|word| format!("../../{word}/..")),
        1 => words().prop_map(|word| format!("file:///{word}")),
    ]
}

fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(LETTERS), 1..8).prop_map(|letters| letters.concat())
}

/// One to three words with `between` between them, that `parse` takes.
fn valid<T: std::fmt::Debug>(
    what: &'static str,
    word: impl Strategy<Value = String>,
    between: char,
    parse: impl Fn(String) -> Option<T>,
) -> impl Strategy<Value = T> {
    let text = prop::collection::vec(word, 1..=3).prop_map(move |words| words.join(&between.to_string()));
    text.prop_filter_map(format!("no name for {what}"), parse)
}

#[cfg(test)]
mod tests {
    use strandline_format::NameKey;

    use super::*;
    use crate::generate::sample;

    #[test]
    fn clashes_clash_and_refused_names_are_refused() {
        for (one, other) in CLASHES {
            assert_eq!(NameKey::of(one), NameKey::of(other), "{one} {other}");
            assert_ne!(one, other);
        }
        for text in REFUSED {
            assert!(RefName::new(*text).is_err(), "{text:?}");
            assert!(TableName::new(*text).is_err(), "{text:?}");
            assert!(ColumnName::new(*text).is_err(), "{text:?}");
        }
        for text in REFUSED_REFS {
            assert!(RefName::new(*text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_come_in_many_scripts() {
        let mut letters = std::collections::BTreeSet::new();
        for seed in 0..400 {
            letters.extend(sample(&refs(), seed).unwrap().as_str().chars());
            letters.extend(sample(&tables(), seed).unwrap().as_str().chars());
            letters.extend(sample(&columns(), seed).unwrap().as_str().chars());
        }
        for wanted in ['/', '.', ' ', 'ß', 'א', '漢', '🦀', '\u{301}'] {
            assert!(letters.contains(&wanted), "{wanted:?}");
        }
    }

    #[test]
    fn samples_repeat() {
        let text = |seed| sample(&hostile(), seed).unwrap();
        assert_eq!(text(5), text(5));
        assert!((0..20).any(|seed| text(seed) != text(5)));
    }
}
