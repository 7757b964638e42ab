//! Wall-clock times as the format writes them: UTC, to the microsecond, always the same 27 characters [TIME-1].
//!
//! The clock itself is the SDK's `Runtime`; this module only knows instants and their text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::hash::clip;

/// An instant, in microseconds since 1970-01-01T00:00:00Z, between the years 0000 and 9999.
///
/// ```
/// use strandline_format::Timestamp;
/// let time: Timestamp = "2026-01-02T03:04:05.000006Z".parse()?;
/// assert_eq!(time.as_micros(), 1_767_323_045_000_006);
/// assert_eq!(time.to_string(), "2026-01-02T03:04:05.000006Z");
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00.000000Z.
    pub const EPOCH: Self = Self(0);
    /// 0000-01-01T00:00:00.000000Z.
    const MIN: i64 = -62_167_219_200_000_000;
    /// 9999-12-31T23:59:59.999999Z would be one past what the calendar library keeps in every zone; this is a day less.
    const MAX: i64 = 253_402_207_200_000_000 - 1;

    /// The instant this many microseconds after the epoch.
    ///
    /// # Errors
    /// `Invalid` outside of the years that the text form can hold.
    pub fn from_micros(micros: i64) -> Result<Self> {
        if (Self::MIN..=Self::MAX).contains(&micros) {
            return Ok(Self(micros));
        }
        Err(Error::invalid(format!(
            "{micros} microseconds since 1970 is not a time between the years 0000 and 9999"
        )))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_microsecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{time:.6}")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Takes the canonical form only.
    fn from_str(text: &str) -> Result<Self> {
        let error = || {
            Error::malformed(format!(
                "a time is written like 2026-01-02T03:04:05.000006Z, not {:?}",
                clip(text)
            ))
        };
        let shape_fits = text.len() == 27 && text.is_ascii();
        let time: jiff::Timestamp = text.parse().ok().filter(|_| shape_fits).ok_or_else(error)?;
        let time = Self::from_micros(time.as_microsecond()).map_err(|_| error())?;
        if time.to_string() == text { Ok(time) } else { Err(error()) }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        crate::id::deserialize_parsed(deserializer, "a time like 2026-01-02T03:04:05.000006Z")
    }
}
