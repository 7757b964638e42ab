//! Times in references: RFC 3339 with any offset, or a date, which means its first instant in UTC [REFG-4].

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::clip;
use crate::time::Timestamp;

/// A time that a person gave.
///
/// ```
/// use strandline_format::ReferenceTime;
/// let time: ReferenceTime = "2026-01-02T03:04:05+01:00".parse()?;
/// assert_eq!(time.to_string(), "2026-01-02T02:04:05.000000Z");
/// # Ok::<(), strandline_format::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReferenceTime(Timestamp);

impl ReferenceTime {
    /// The instant; commits are made at whole microseconds, so what is finer is cut off.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl From<Timestamp> for ReferenceTime {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

impl FromStr for ReferenceTime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let error = || {
            Error::invalid(format!("{:?} is neither a date nor a time with its offset from UTC", clip(text)))
        };
        let first_instant = format!("{text}T00:00:00Z");
        let text = if is_date(text) { &first_instant } else { text };
        if !has_shape(text) {
            return Err(error());
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| error())?;
        let micros = i64::try_from(time.as_nanosecond().div_euclid(1000)).map_err(|_| error())?;
        Timestamp::from_micros(micros).map(Self)
    }
}

/// `dddd-dd-dd`; whether there is such a day is for the calendar.
fn is_date(text: &str) -> bool {
    fits(text, "dddd-dd-dd")
}

/// `dddd-dd-ddTdd:dd:dd`, maybe a fraction, and `Z` or an offset: the calendar library takes more than RFC 3339.
fn has_shape(text: &str) -> bool {
    let Some((whole, rest)) = text.split_at_checked(19) else { return false };
    let fraction = rest.strip_prefix('.');
    let zone = fraction.map_or(rest, |rest| rest.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    let fraction_fits = fraction.is_none_or(|fraction| (1..=9).contains(&(fraction.len() - zone.len())));
    let zone_fits = zone == "Z" || fits(zone, "+dd:dd") || fits(zone, "-dd:dd");
    fits(whole, "dddd-dd-ddTdd:dd:dd") && fraction_fits && zone_fits
}

/// Whether a text is the pattern, with a digit for each `d`.
fn fits(text: &str, pattern: &str) -> bool {
    let fits = |(byte, wanted): (u8, u8)| if wanted == b'd' { byte.is_ascii_digit() } else { byte == wanted };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(fits)
}

impl fmt::Display for ReferenceTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let time: Option<ReferenceTime> = text.parse().ok();
        assert_eq!(time.map(|time| time.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn times_and_dates() {
        check("2026-01-02", Some("2026-01-02T00:00:00.000000Z"));
        check("2026-01-02T03:04:05.1234567Z", Some("2026-01-02T03:04:05.123456Z"));
        check("1969-12-31T23:59:59.9999999Z", Some("1969-12-31T23:59:59.999999Z"));
        check("2026-01-02T03:04:05-00:30", Some("2026-01-02T03:34:05.000000Z"));
        for text in [
            "2026-02-30",
            "2026-1-2",
            "2026-01-02T03:04Z",
            "2026-01-02T03:04:05",
            "2026-01-02 03:04:05Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05Z[UTC]",
            "20260102",
            "2026-01-02T25:00:00Z",
            "now",
        ] {
            check(text, None);
        }
    }
}
