//! Features: what a reader or a writer must know beyond the format's version [VER-4].
//!
//! Invariant: whoever meets a required feature that it does not know refuses, and names it. Which features exist is in
//! [`KNOWN_FEATURES`]; what each means stands where it is implemented.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::hash::clip;
use crate::strict;

/// The features that this crate knows. Format version 1 has none of its own.
pub const KNOWN_FEATURES: &[Feature] = &[];

/// How many features a list may have.
const MAX_FEATURES: usize = 64;

/// The name of a feature: 1 to 64 of `a-z 0-9 -` [VER-5].
///
/// ```
/// use strandline_format::Feature;
/// assert!(Feature::new("encrypted-files").is_ok());
/// assert!(Feature::new("Encrypted").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Feature(String);

impl Feature {
    /// Checks the rules for such a name.
    ///
    /// # Errors
    /// `Invalid` if it has other characters, none, or too many.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let plain = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !plain || text.is_empty() || text.len() > 64 {
            return Err(Error::invalid(format!("the feature {:?} is not 1 to 64 of a-z 0-9 -", clip(&text))));
        }
        Ok(Self(text))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The features in force: what a reader, and what a writer must know.
///
/// ```
/// use strandline_format::{ErrorKind, Feature, Features};
/// let features = Features::new([Feature::new("rot13")?], [])?;
/// let error = features.check_read(&[]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Unsupported);
/// assert!(error.to_string().contains("rot13"));
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    read: BTreeSet<Feature>,
    write: BTreeSet<Feature>,
}

impl Features {
    /// These features.
    ///
    /// # Errors
    /// `Invalid` if there are too many.
    pub fn new(
        read: impl IntoIterator<Item = Feature>,
        write: impl IntoIterator<Item = Feature>,
    ) -> Result<Self> {
        let features = Self { read: read.into_iter().collect(), write: write.into_iter().collect() };
        if features.read.len().max(features.write.len()) > MAX_FEATURES {
            return Err(Error::invalid(format!("more than {MAX_FEATURES} required features")));
        }
        Ok(features)
    }

    /// What a reader must know.
    #[must_use]
    pub fn read(&self) -> &BTreeSet<Feature> {
        &self.read
    }

    /// What a writer must know besides.
    #[must_use]
    pub fn write(&self) -> &BTreeSet<Feature> {
        &self.write
    }

    /// Checks that a reader that knows these features may read.
    ///
    /// # Errors
    /// `Unsupported`, naming the features that are not known.
    pub fn check_read(&self, known: &[Feature]) -> Result<()> {
        check("read", self.read.iter(), known)
    }

    /// Checks that a writer that knows these features may write: it must know both lists.
    ///
    /// # Errors
    /// `Unsupported`, naming the features that are not known.
    pub fn check_write(&self, known: &[Feature]) -> Result<()> {
        check("write", self.read.union(&self.write), known)
    }
}

fn check<'a>(act: &str, required: impl Iterator<Item = &'a Feature>, known: &[Feature]) -> Result<()> {
    let unknown: Vec<&str> =
        required.filter(|feature| !known.contains(feature)).map(Feature::as_str).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "to {act} this takes features that are not known here: {}: use a newer strandline",
        unknown.join(", ")
    )))
}

/// How features stand in JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FeaturesV1 {
    read: Vec<String>,
    write: Vec<String>,
}

impl From<&Features> for FeaturesV1 {
    fn from(features: &Features) -> Self {
        let texts = |set: &BTreeSet<Feature>| set.iter().map(|feature| feature.0.clone()).collect();
        Self { read: texts(&features.read), write: texts(&features.write) }
    }
}

impl TryFrom<FeaturesV1> for Features {
    type Error = Error;

    /// Refuses what this crate may not read, besides what is not well formed [VER-6].
    fn try_from(wire: FeaturesV1) -> Result<Self> {
        let features = Self::new(unique(wire.read)?, unique(wire.write)?)?;
        features.check_read(KNOWN_FEATURES)?;
        Ok(features)
    }
}

fn unique(texts: Vec<String>) -> Result<BTreeSet<Feature>> {
    let mut set = BTreeSet::new();
    for text in texts {
        let feature = Feature::new(text)?;
        if let Some(twice) = set.replace(feature) {
            return Err(Error::malformed(format!("the feature {twice} is repeated")));
        }
    }
    Ok(set)
}

/// Looks for required features in a text that did not parse: one that is not known explains why, and must be what the
/// reader is told [VER-6].
pub(crate) fn explain(text: &[u8], error: Error) -> Error {
    #[derive(Deserialize)]
    struct OnlyFeatures {
        #[serde(rename = "format")]
        _format: u64,
        features: OnlyRead,
    }
    #[derive(Deserialize)]
    struct OnlyRead {
        read: Vec<String>,
    }
    if error.kind() != crate::ErrorKind::Malformed {
        return error;
    }
    let Ok(found) = strict::from_slice::<OnlyFeatures>(text) else { return error };
    let named: Vec<Feature> = found.features.read.into_iter().flat_map(Feature::new).collect();
    check("read", named.iter(), KNOWN_FEATURES).err().unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn feature(text: &str) -> Feature {
        Feature::new(text).unwrap()
    }

    #[test]
    fn a_writer_must_know_both_lists() {
        let features = Features::new([feature("a")], [feature("b")]).unwrap();
        assert_eq!(features.check_read(&[feature("a")]), Ok(()));
        assert_eq!(features.check_write(&[feature("a"), feature("b")]), Ok(()));
        for known in [vec![], vec![feature("a")], vec![feature("b")]] {
            assert_eq!(features.check_write(&known).unwrap_err().kind(), ErrorKind::Unsupported);
        }
    }

    #[test]
    fn names_are_plain() {
        for text in ["", "A", "a b", "a_b", &"x".repeat(65)] {
            assert!(Feature::new(text).is_err(), "{text:?}");
        }
        let lists = |read: &[&str]| FeaturesV1 {
            read: read.iter().map(|text| (*text).to_owned()).collect(),
            write: Vec::new(),
        };
        assert_eq!(Features::try_from(lists(&["x", "x"])).unwrap_err().kind(), ErrorKind::Malformed);
        assert_eq!(Features::try_from(lists(&["x"])).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
