//! Texts that people or programs put into metadata, each with its bound: a commit's message, a property, a comment.
//!
//! Invariant: a [`Text`] is never longer than its bound, so an object made of checked parts has a bounded size
//! [TEXT-1]. Names have rules of their own, in `name`.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, Result};

/// A text of at most `MAX` bytes of UTF-8.
///
/// ```
/// use strandline_format::Text;
/// let text: Text<5> = Text::new("hello")?;
/// assert_eq!(text.as_str(), "hello");
/// assert!(Text::<5>::new("hello!").is_err());
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<const MAX: usize>(String);

/// Who made a commit or a tag.
///
/// ```
/// use strandline_format::Author;
/// assert_eq!(Author::new("Ada <ada@example.org>")?.as_str(), "Ada <ada@example.org>");
/// # Ok::<(), strandline_format::Error>(())
/// ```
pub type Author = Text<1024>;
/// Why a commit or a tag was made.
///
/// ```
/// use strandline_format::Message;
/// assert!(Message::new("x".repeat(64 << 10)).is_ok() && Message::new("x".repeat((64 << 10) + 1)).is_err());
/// ```
pub type Message = Text<{ 64 << 10 }>;
/// What a table, view or namespace is for.
///
/// ```
/// use strandline_format::Comment;
/// assert!(Comment::default().is_empty());
/// ```
pub type Comment = Text<{ 64 << 10 }>;
/// A word or two about the program that wrote something, or about why something is held.
///
/// ```
/// use strandline_format::Label;
/// assert_eq!(Label::new("strandline 0.1.0")?.as_str(), "strandline 0.1.0");
/// # Ok::<(), strandline_format::Error>(())
/// ```
pub type Label = Text<255>;
/// An expression or a statement in some SQL dialect.
///
/// ```
/// use strandline_format::SqlText;
/// assert_eq!(SqlText::new("amount > 0")?.as_str(), "amount > 0");
/// # Ok::<(), strandline_format::Error>(())
/// ```
pub type SqlText = Text<{ 1 << 20 }>;

impl<const MAX: usize> Text<MAX> {
    /// Checks the bound.
    ///
    /// # Errors
    /// `Invalid` if the text is longer.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        if text.len() > MAX {
            return Err(Error::invalid(format!("a text of {} bytes, the limit is {MAX}", text.len())));
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A property's key: 1 to 255 bytes without control characters [PROP-1].
///
/// ```
/// use strandline_format::PropertyKey;
/// assert!(PropertyKey::new("owner").is_ok());
/// assert!(PropertyKey::new("").is_err() && PropertyKey::new("two\nlines").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PropertyKey(Text<255>);

/// A property's value [PROP-2].
///
/// ```
/// use strandline_format::{PropertyKey, PropertyValue, TableProperties};
///
/// let mut properties = TableProperties::default();
/// properties.set(PropertyKey::new("owner")?, PropertyValue::new("ada")?)?;
/// assert_eq!(properties.get("owner").map(PropertyValue::as_str), Some("ada"));
/// # Ok::<(), strandline_format::Error>(())
/// ```
pub type PropertyValue = Text<4096>;

impl PropertyKey {
    /// Checks the rules for a key.
    ///
    /// # Errors
    /// `Invalid`, naming the rule that is broken.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = Text::new(text).map_err(|error| error.at("property key"))?;
        if text.is_empty() || text.as_str().chars().any(char::is_control) {
            return Err(Error::invalid(format!(
                "property key {:?} is empty or has a control character",
                text.as_str()
            )));
        }
        Ok(Self(text))
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for PropertyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// At most `MAX` properties, by their keys [PROP-3].
///
/// ```
/// use strandline_format::{CommitProperties, PropertyKey, PropertyValue};
/// let mut properties = CommitProperties::default();
/// properties.set(PropertyKey::new("job")?, PropertyValue::new("nightly")?)?;
/// assert_eq!(properties.get("job").unwrap().as_str(), "nightly");
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties<const MAX: usize>(BTreeMap<PropertyKey, PropertyValue>);

/// The properties of a commit.
///
/// ```
/// use strandline_format::{CommitProperties, PropertyKey, PropertyValue};
///
/// let mut properties = CommitProperties::default();
/// properties.set(PropertyKey::new("job")?, PropertyValue::new("17")?)?;
/// assert!(properties.remove(&PropertyKey::new("job")?) && properties.is_empty());
/// # Ok::<(), strandline_format::Error>(())
/// ```
pub type CommitProperties = Properties<64>;
/// The properties of a table, view or namespace.
///
/// ```
/// use strandline_format::{PropertyKey, PropertyValue, TableProperties};
///
/// let mut properties = TableProperties::default();
/// properties.set(PropertyKey::new("owner")?, PropertyValue::new("ada")?)?;
/// assert_eq!(properties.iter().count(), 1);
/// # Ok::<(), strandline_format::Error>(())
/// ```
pub type TableProperties = Properties<256>;

impl<const MAX: usize> Properties<MAX> {
    /// Sets a property, whatever it was.
    ///
    /// # Errors
    /// `Invalid` if that would be one too many.
    pub fn set(&mut self, key: PropertyKey, value: PropertyValue) -> Result<()> {
        if self.0.len() >= MAX && !self.0.contains_key(&key) {
            return Err(Error::invalid(format!("property {key} would be one more than the limit of {MAX}")));
        }
        self.0.insert(key, value);
        Ok(())
    }

    /// Takes a property away; whether it was there.
    pub fn remove(&mut self, key: &PropertyKey) -> bool {
        self.0.remove(key).is_some()
    }

    /// The value of a property.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&PropertyValue> {
        self.0.get(&PropertyKey::new(key).ok()?)
    }

    /// All properties, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&PropertyKey, &PropertyValue)> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn from_wire(wire: BTreeMap<String, String>) -> Result<Self> {
        let mut properties = Self::default();
        for (key, value) in wire {
            let key = PropertyKey::new(key)?;
            let value =
                PropertyValue::new(value).map_err(|error| error.at(format_args!("property {key}")))?;
            properties.set(key, value)?;
        }
        Ok(properties)
    }

    pub(crate) fn to_wire(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(key, value)| (key.as_str().to_owned(), value.as_str().to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold() {
        assert!(PropertyKey::new("").is_err());
        assert!(PropertyKey::new("a\nb").is_err());
        assert!(PropertyKey::new("k".repeat(256)).is_err());
        assert!(PropertyValue::new("v".repeat(4097)).is_err());
        let mut two = Properties::<2>::default();
        for (key, fits) in [("a", true), ("b", true), ("c", false), ("a", true)] {
            let set = two.set(PropertyKey::new(key).unwrap(), PropertyValue::default());
            assert_eq!(set.is_ok(), fits, "{key}");
        }
    }
}
