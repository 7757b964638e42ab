//! Why text is not read as rows.

use std::error::Error;
use std::fmt;

use strandline::arrow::error::ArrowError;

use super::exact::Why;

/// Why text is not read as rows, with the line and the column if it is about a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    message: String,
    about: About,
}

/// What is wrong, for whoever knows what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A value that its column does not keep.
    Value(Why),
    /// There is no value where one must stand.
    Missing,
    /// A name that no column has.
    Unknown {
        /// The name.
        name: String,
        /// The names that columns have.
        known: Vec<String>,
        /// Whether it is a name within a value.
        within: bool,
    },
    /// Text in UTF-16 or 32.
    Wide,
    /// One array of JSON where objects should stand on lines of their own.
    Array,
    /// An object of JSON that does not end on its line.
    Spread,
    /// Anything else.
    Other,
}

impl Misread {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), about: About::Other }
    }

    pub(crate) fn about(self, about: About) -> Self {
        Self { about, ..self }
    }

    /// The same, told of this line.
    pub(super) fn on(self, line: u64) -> Self {
        Self { message: format!("line {line}: {}", self.message), ..self }
    }

    /// What is wrong, and where.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What it is about.
    #[must_use]
    pub fn what(&self) -> &About {
        &self.about
    }
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Misread {}

impl From<ArrowError> for Misread {
    fn from(error: ArrowError) -> Self {
        Self::new(error.to_string())
    }
}

/// A value must stand in this column, and does not.
pub(super) fn missing(column: &str) -> Misread {
    Misread::new(format!("column {column:?} is required, and has no value here")).about(About::Missing)
}
