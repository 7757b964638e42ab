//! Names that people give: refs (branches and tags), tables with their namespaces, columns.
//!
//! Invariants: a name that exists has passed its rules [NAME-1..6]; two names that differ only in case are one name, because
//! [`NameKey`] (NFC, full case folding, NFC again) is what trees are ordered by and paths are made of [NAME-7]. A clash is
//! therefore found where the name would be stored, never by listing.

use std::fmt;
use std::str::FromStr;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;

use crate::error::{Error, Result};
use crate::hash::clip;

/// The longest name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 255;

/// What two names share when they differ only in case or in the way their accents are written [NAME-7].
///
/// ```
/// use strandline_format::NameKey;
/// assert_eq!(NameKey::of("Straße"), NameKey::of("STRASSE"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey(String);

impl NameKey {
    /// The key of any text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
            return Self(text.to_owned());
        }
        let nfc = ComposingNormalizer::new_nfc();
        let folded = CaseMapper::new().fold_string(&nfc.normalize(text)).into_owned();
        Self(nfc.normalize(&folded).into_owned())
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            text: String,
            key: NameKey,
        }

        impl $name {
            /// Checks the rules for such a name.
            ///
            /// # Errors
            /// `Invalid`, naming the rule that is broken.
            pub fn new(text: impl Into<String>) -> Result<Self> {
                let text = text.into();
                let refuse = |why: &str| Error::invalid(format!(concat!($what, " {:?} {}"), clip(&text), why));
                check_text(&text).and_then(|()| $check(&text)).map_err(refuse)?;
                // Folding may lengthen a name, and turn a look-alike into a reserved character.
                let key = NameKey::of(&text);
                check_text(key.as_str()).and_then(|()| $check(key.as_str())).map_err(refuse)?;
                Ok(Self { key, text })
            }

            /// The name as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.text
            }

            /// What makes it equal to names that differ only in case.
            #[must_use]
            pub fn key(&self) -> &NameKey {
                &self.key
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.key == other.key
            }
        }
        impl Eq for $name {}
        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.key.hash(state);
            }
        }
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.key.cmp(&other.key)
            }
        }
    };
}

name_type! {
    /// The name of a branch or a tag: components between slashes, as in `team/nightly`.
    ///
    /// ```
    /// use strandline_format::RefName;
    /// assert_eq!(RefName::new("Dev")?, RefName::new("dev")?);
    /// assert!(RefName::new("a/../b").is_err());
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    RefName, "the ref name", check_ref
}
name_type! {
    /// The full name of a table, a view or a namespace: parts between dots, as in `sales.orders`.
    ///
    /// ```
    /// use strandline_format::TableName;
    /// let name = TableName::new("sales.Orders")?;
    /// assert_eq!(name.key().as_str(), "sales.orders");
    /// assert_eq!(name.namespace().unwrap().as_str(), "sales");
    /// # Ok::<(), strandline_format::Error>(())
    /// ```
    TableName, "the table name", check_table
}
name_type! {
    /// The name of a column, or of a field within one.
    ///
    /// ```
    /// use strandline_format::ColumnName;
    /// assert!(ColumnName::new("größe.max").is_ok());
    /// assert!(ColumnName::new("").is_err());
    /// ```
    ColumnName, "the column name", check_column
}

impl TableName {
    /// The namespace that the name stands in, if any.
    #[must_use]
    pub fn namespace(&self) -> Option<Self> {
        let (text, _) = self.text.rsplit_once('.')?;
        let (key, _) = self.key.0.rsplit_once('.')?;
        Some(Self { text: text.to_owned(), key: NameKey(key.to_owned()) })
    }

    /// The part after the last dot.
    #[must_use]
    pub fn last_part(&self) -> &str {
        self.text.rsplit('.').next().unwrap_or_default()
    }
}

type Check = std::result::Result<(), &'static str>;

fn ensure(holds: bool, why: &'static str) -> Check {
    if holds { Ok(()) } else { Err(why) }
}

/// What holds for every name [NAME-1].
fn check_text(text: &str) -> Check {
    ensure(!text.is_empty(), "is empty")?;
    ensure(text.len() <= MAX_NAME_BYTES, "is longer than 255 bytes")?;
    ensure(!text.chars().any(char::is_control), "has a control character")?;
    ensure(
        !text.starts_with(char::is_whitespace) && !text.ends_with(char::is_whitespace),
        "begins or ends with a space",
    )
}

/// [NAME-2]: what could be taken for another path, a suffix of the reference grammar, or a file of the store's own.
fn check_ref(text: &str) -> Check {
    const RESERVED: &[char] = &[
        '~', '^', ':', '?', '*', '[', ']', '\\', '@', '{', '}', '#', '%', '"', '\'', '<', '>', '|', '$', '`',
        '=', ',',
    ];
    ensure(!text.contains(char::is_whitespace), "has a space")?;
    ensure(!text.contains(RESERVED), "has one of ~ ^ : ? * [ ] \\ @ { } # % \" ' < > | $ ` = ,")?;
    ensure(!text.contains(".."), "has two dots in a row")?;
    for part in text.split('/') {
        ensure(!part.is_empty(), "has an empty part: slashes stand between parts")?;
        ensure(!part.starts_with(['.', '-']), "has a part that begins with a dot or a dash")?;
        ensure(!part.ends_with('.'), "has a part that ends with a dot")?;
        let key = NameKey::of(part);
        ensure(
            !key.0.ends_with(".json") && !key.0.ends_with(".lock"),
            "has a part that ends in .json or .lock",
        )?;
        ensure(
            crate::path::escaped_len(&key) <= MAX_NAME_BYTES - ".json.lock".len(),
            "has a part too long for a file name",
        )?;
    }
    Ok(())
}

/// [NAME-3]: `$` and `@` belong to SQL (inspection tables and references), dots stand between parts.
fn check_table(text: &str) -> Check {
    ensure(!text.contains(['$', '@', '/', '\\']), "has one of $ @ / \\")?;
    for part in text.split('.') {
        ensure(!part.is_empty(), "has an empty part: dots stand between parts")?;
        ensure(part.trim() == part, "has a part that begins or ends with a space")?;
    }
    Ok(())
}

/// [NAME-4]: a column may be called anything that [NAME-1] allows.
fn check_column(_: &str) -> Check {
    Ok(())
}
