//! The grammar of references: how people and queries name a commit, as in `main~2`, `tag:v1` or `dev@{2026-01-02}` [REFG-1].
//!
//! ```text
//! reference = base suffix*          range = reference ".." reference
//! base      = word | "branch:" name | "tag:" name | "version:" number | "commit:" hex | "time:" time
//! suffix    = "~" [number] | "@{" (number | time) "}"
//! ```
//!
//! Invariant: what is printed parses to the same value. What does not belong here: resolution, which takes a lake; a word's
//! possible readings are in order, and the first that exists wins [REFG-2].

mod time;

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::{Hash, clip};
use crate::id::Seq;
use crate::name::RefName;
pub use time::ReferenceTime;

/// The fewest digits that a commit can be named by.
const MIN_HEX: usize = 6;

/// The most digits of a number.
const MAX_DIGITS: usize = 19;

/// How long the text of a reference may be.
const MAX_REFERENCE_BYTES: usize = 1024;

/// The name of a commit, as a person gives it.
///
/// ```
/// use strandline_format::{Base, Reference, Suffix};
/// let reference: Reference = "branch:dev~2".parse()?;
/// assert!(matches!(reference.base(), Base::Branch(name) if name.as_str() == "dev"));
/// assert_eq!(reference.suffixes(), [Suffix::Parent(2)]);
/// assert_eq!(reference.to_string(), "branch:dev~2");
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    base: Base,
    suffixes: Vec<Suffix>,
}

/// What a reference begins with.
///
/// ```
/// use strandline_format::{Base, Reference, Seq};
///
/// let reference: Reference = "v7".parse()?;
/// // A word may be a branch, a tag, a version or the beginning of a hash; what it is, only the lake says.
/// let Base::Word(word) = reference.base() else { panic!("it has no prefix") };
/// assert!(word.readings().contains(&Base::Version(Seq(7))));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// A word whose meaning depends on what exists.
    Word(Word),
    /// A branch's head.
    Branch(RefName),
    /// A tag's commit.
    Tag(RefName),
    /// A version of the default branch.
    Version(Seq),
    /// The one commit whose hash begins so.
    Commit(HashPrefix),
    /// The newest commit of the default branch at that time.
    Time(ReferenceTime),
}

/// A step from the commit that the text before it names, along its first parents [REFG-5].
///
/// ```
/// use strandline_format::{Reference, Seq, Suffix};
///
/// let reference: Reference = "main~3".parse()?;
/// assert_eq!(reference.suffixes(), [Suffix::Parent(3)]);
/// let reference: Reference = "main@{12}".parse()?;
/// assert_eq!(reference.suffixes(), [Suffix::AtVersion(Seq(12))]);
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// The first parent, this many times.
    Parent(u64),
    /// This version.
    AtVersion(Seq),
    /// The newest commit at that time.
    AtTime(ReferenceTime),
}

/// A word that has at least one reading.
///
/// ```
/// use strandline_format::{Base, RefName, Word};
///
/// let word = Word::new("dev")?;
/// assert!(word.readings().contains(&Base::Branch(RefName::new("dev")?)));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word(String);

/// The first digits of a commit's hash.
///
/// ```
/// use strandline_format::{Hash, HashPrefix};
///
/// let hash = Hash::of(b"{}");
/// let prefix: HashPrefix = hash.to_string()[..8].parse()?;
/// assert!(prefix.matches(&hash));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashPrefix(String);

/// Two references: what happened on the way from one to the other.
///
/// ```
/// use strandline_format::ReferenceRange;
/// let range: ReferenceRange = "v1..main".parse()?;
/// assert_eq!(range.to_string(), "v1..main");
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceRange {
    /// Where it begins.
    pub from: Reference,
    /// Where it ends.
    pub to: Reference,
}

impl Reference {
    /// A base with suffixes.
    #[must_use]
    pub fn new(base: Base, suffixes: Vec<Suffix>) -> Self {
        Self { base, suffixes }
    }

    /// What the reference begins with.
    #[must_use]
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The steps from there, in order.
    #[must_use]
    pub fn suffixes(&self) -> &[Suffix] {
        &self.suffixes
    }
}

impl Word {
    /// A word.
    ///
    /// # Errors
    /// `Invalid` if it can mean nothing at all.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let word = Self(text.into());
        if word.readings().is_empty() {
            return Err(Error::invalid(format!(
                "{:?} is neither a name, nor a version, a time, or at least {MIN_HEX} digits of a commit",
                clip(&word.0)
            )));
        }
        Ok(word)
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All that the word may mean: the first of these that exists is meant [REFG-2].
    ///
    /// ```
    /// use strandline_format::{Base, Word};
    /// let readings = Word::new("20260102")?.readings();
    /// assert!(matches!(readings[..], [Base::Branch(_), Base::Tag(_), Base::Version(_), Base::Commit(_)]));
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    #[must_use]
    pub fn readings(&self) -> Vec<Base> {
        let text = self.0.as_str();
        let name = RefName::new(text).ok();
        let version = parse_number(text.strip_prefix('v').unwrap_or(text));
        [
            name.clone().map(Base::Branch),
            name.map(Base::Tag),
            version.map(|number| Base::Version(Seq(number))),
            text.parse().ok().map(Base::Time),
            text.parse().ok().map(Base::Commit),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl HashPrefix {
    /// Whether a hash begins so.
    #[must_use]
    pub fn matches(&self, hash: &Hash) -> bool {
        hash.to_string().starts_with(&self.0)
    }

    /// The digits, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HashPrefix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digits && (MIN_HEX..=64).contains(&text.len()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(Error::invalid(format!("a commit is named by {MIN_HEX} to 64 hex digits, not {:?}", clip(text))))
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > MAX_REFERENCE_BYTES {
            return Err(Error::invalid(format!("a reference of {} bytes", text.len())));
        }
        let end = text.find(['~', '@']).unwrap_or(text.len());
        let (base, rest) = text.split_at(end);
        let at = |error: Error| error.at(format_args!("reference {:?}", clip(text)));
        Ok(Self::new(parse_base(base).map_err(at)?, parse_suffixes(rest).map_err(at)?))
    }
}

fn parse_base(text: &str) -> Result<Base> {
    match text.split_once(':') {
        Some(("branch", name)) => Ok(Base::Branch(RefName::new(name)?)),
        Some(("tag", name)) => Ok(Base::Tag(RefName::new(name)?)),
        Some(("version", number)) => Ok(Base::Version(Seq(number_or_error(number)?))),
        Some(("commit", digits)) => Ok(Base::Commit(digits.parse()?)),
        Some(("time", time)) => Ok(Base::Time(time.parse()?)),
        _ => Ok(Base::Word(Word::new(text)?)),
    }
}

fn parse_suffixes(mut rest: &str) -> Result<Vec<Suffix>> {
    let mut suffixes = Vec::new();
    while !rest.is_empty() {
        let (suffix, tail) = parse_suffix(rest)?;
        suffixes.push(suffix);
        rest = tail;
    }
    Ok(suffixes)
}

fn parse_suffix(text: &str) -> Result<(Suffix, &str)> {
    if let Some(rest) = text.strip_prefix('~') {
        let end = rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let steps = if number.is_empty() { 1 } else { number_or_error(number)? };
        return Ok((Suffix::Parent(steps), tail));
    }
    let braces = text.strip_prefix("@{").and_then(|rest| rest.split_once('}'));
    let Some((inside, tail)) = braces else {
        return Err(Error::invalid(format!("{:?} is neither `~`, `~N` nor `@{{…}}`", clip(text))));
    };
    let suffix = match parse_number(inside) {
        Some(number) => Suffix::AtVersion(Seq(number)),
        None => Suffix::AtTime(inside.parse()?),
    };
    Ok((suffix, tail))
}

/// Digits and nothing else.
fn parse_number(text: &str) -> Option<u64> {
    let digits = text.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn number_or_error(text: &str) -> Result<u64> {
    parse_number(text).ok_or_else(|| Error::invalid(format!("{:?} is not a number", clip(text))))
}

impl FromStr for ReferenceRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((from, to)) = text.split_once("..") else {
            return Err(Error::invalid(format!("{:?} is not a range like `main~3..main`", clip(text))));
        };
        Ok(Self { from: from.parse()?, to: to.parse()? })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.base)?;
        self.suffixes.iter().try_for_each(|suffix| write!(f, "{suffix}"))
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(&word.0),
            Self::Branch(name) => write!(f, "branch:{name}"),
            Self::Tag(name) => write!(f, "tag:{name}"),
            Self::Version(version) => write!(f, "version:{version}"),
            Self::Commit(digits) => write!(f, "commit:{}", digits.0),
            Self::Time(time) => write!(f, "time:{time}"),
        }
    }
}

impl fmt::Display for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parent(1) => f.write_str("~"),
            Self::Parent(steps) => write!(f, "~{steps}"),
            Self::AtVersion(version) => write!(f, "@{{{version}}}"),
            Self::AtTime(time) => write!(f, "@{{{time}}}"),
        }
    }
}

impl fmt::Display for ReferenceRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `text` parses and prints as `expected`.
    fn check(text: &str, expected: &str) {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.to_string(), expected);
        assert_eq!(expected.parse(), Ok(reference));
    }

    #[test]
    fn references_print_as_they_parse() {
        for text in
            ["main", "team/dev~", "main~3~", "branch:main", "tag:v1~12", "version:0", "v7", "main@{7}~2"]
        {
            check(text, text);
        }
        check("main~1", "main~");
        check("main~0", "main~0");
        check("main~01", "main~");
        check("tag:v1@{3}~2@{2026-01-02}", "tag:v1@{3}~2@{2026-01-02T00:00:00.000000Z}");
        check("commit:ABCdef", "commit:abcdef");
        check("time:2026-01-02", "time:2026-01-02T00:00:00.000000Z");
        check("time:2026-01-02T03:04:05+01:00", "time:2026-01-02T02:04:05.000000Z");
        check("main@{2026-01-02T03:04:05Z}", "main@{2026-01-02T03:04:05.000000Z}");
        check("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z");
    }

    #[test]
    fn nonsense_is_invalid() {
        for text in [
            "",
            "~",
            "@{3}",
            "main@3",
            "main@{",
            "main@{}",
            "main@{x}",
            "main~-1",
            "main~x",
            "a b",
            "a..b",
            "branch:",
            "branch:a~b c",
            "version:x",
            "version:+1",
            "version:12345678901234567890",
            "commit:abcde",
            "time:yesterday",
            "time:2026-01-02T03:04:05",
            "foo:bar",
            "main~99999999999999999999",
        ] {
            let found: Result<Reference> = text.parse();
            assert_eq!(found.unwrap_err().kind(), crate::ErrorKind::Invalid, "{text:?}");
        }
        assert!("x".repeat(2000).parse::<Reference>().is_err());
    }

    #[test]
    fn a_word_has_its_readings_in_order() {
        fn check(word: &str, expected: &[&str]) {
            let readings: Vec<String> =
                Word::new(word).unwrap().readings().iter().map(ToString::to_string).collect();
            assert_eq!(readings, expected, "{word}");
        }
        check("main", &["branch:main", "tag:main"]);
        check("v12", &["branch:v12", "tag:v12", "version:12"]);
        check("123456", &["branch:123456", "tag:123456", "version:123456", "commit:123456"]);
        check("abcdef0", &["branch:abcdef0", "tag:abcdef0", "commit:abcdef0"]);
        check("2026-01-02", &["branch:2026-01-02", "tag:2026-01-02", "time:2026-01-02T00:00:00.000000Z"]);
        check("2026-01-02T03:04:05Z", &["time:2026-01-02T03:04:05.000000Z"]);
    }

    #[test]
    fn ranges_have_two_ends() {
        let range: ReferenceRange = "main~3..tag:v1".parse().unwrap();
        assert_eq!(range.to_string(), "main~3..tag:v1");
        for text in ["main", "main..", "..main", "a...b", "a..b..c"] {
            assert!(text.parse::<ReferenceRange>().is_err(), "{text}");
        }
    }
}
