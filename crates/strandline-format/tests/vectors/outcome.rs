//! What running a case gives.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use strandline_format::Error;

/// The JSON text of what came out, or why nothing did.
pub(crate) type Outcome = Result<String, Failure>;

/// Why nothing came out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The crate refused the input: what an `error` asks for.
    Refused(Error),
    /// The input is not in the topic's form: a fault of the vectors.
    Input(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Input(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "{}: {error}", error.kind().as_str()),
            Self::Input(why) => f.write_str(why),
        }
    }
}

/// The input in the topic's form.
pub(crate) fn read<T: DeserializeOwned>(input: &RawValue) -> Result<T, Failure> {
    Ok(serde_json::from_str(input.get())?)
}

/// What came out, as JSON.
pub(crate) fn json(value: impl serde::Serialize) -> Outcome {
    Ok(serde_json::to_string(&value)?)
}

/// What cases expect that only show that something stands.
pub(crate) fn ok() -> Outcome {
    json("ok")
}
