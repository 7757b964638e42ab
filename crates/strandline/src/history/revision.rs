//! What a caller may hand in where a version is meant.

use strandline_format::Reference;

use crate::error::{Error, Result};
use crate::history::Ref;

/// A version, as a caller names it: a text like `main~3`, a parsed [`Reference`], or a [`Ref`] that was looked up before and
/// stays what it is [REFG-6].
///
/// A text that is no reference is an error where the version is looked up, not where it is handed in.
///
/// ```
#[doc = include_str!("../orders.example")]
/// // A text, or a version that was looked up before: wherever a version is asked for.
/// let main = lake.main().await?;
/// assert_eq!(lake.create_branch("by-text").from("main~1").await?.version().0, 0);
/// assert_eq!(lake.create_branch("by-ref").from(&main).await?.version().0, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Revision(Named);

#[derive(Clone, Debug)]
enum Named {
    Text(String),
    Reference(Reference),
    Found(Ref),
}

/// A revision whose text was read.
pub(crate) enum Meant {
    Reference(Reference),
    Found(Ref),
}

impl Revision {
    /// Reads the text.
    pub(crate) fn meant(self) -> Result<Meant> {
        Ok(match self.0 {
            Named::Text(text) => Meant::Reference(text.parse().map_err(Error::from)?),
            Named::Reference(reference) => Meant::Reference(reference),
            Named::Found(found) => Meant::Found(found),
        })
    }
}

impl From<&str> for Revision {
    fn from(text: &str) -> Self {
        Self(Named::Text(text.to_owned()))
    }
}

impl From<&String> for Revision {
    fn from(text: &String) -> Self {
        Self(Named::Text(text.clone()))
    }
}

impl From<String> for Revision {
    fn from(text: String) -> Self {
        Self(Named::Text(text))
    }
}

impl From<Reference> for Revision {
    fn from(reference: Reference) -> Self {
        Self(Named::Reference(reference))
    }
}

impl From<&Reference> for Revision {
    fn from(reference: &Reference) -> Self {
        Self(Named::Reference(reference.clone()))
    }
}

impl From<Ref> for Revision {
    fn from(found: Ref) -> Self {
        Self(Named::Found(found))
    }
}

impl From<&Ref> for Revision {
    fn from(found: &Ref) -> Self {
        Self(Named::Found(found.clone()))
    }
}
