//! One value of a table: short for people, whole for programs.

use strandline::format::{Hash, Timestamp};

/// How many digits of a hash people are shown: as few as name a commit.
const SHORT_HASH: usize = 10;

/// What stands in one column of one row.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    None,
    Text(String),
    Number(u64),
    /// A size in bytes.
    Bytes(u64),
    Hash(Hash),
    Time(Timestamp),
}

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// Texts that stay in one piece.
    Word,
    Number,
}

impl Cell {
    /// Text, unless there is none.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::None } else { Self::Text(text) }
    }

    /// For a person.
    pub(crate) fn short(&self) -> String {
        match self {
            Self::Bytes(bytes) => size(*bytes),
            Self::Hash(hash) => short_hash(*hash),
            Self::Time(time) => second(*time),
            other => other.whole().unwrap_or_default(),
        }
    }

    /// For a program; nothing where there is nothing.
    pub(crate) fn whole(&self) -> Option<String> {
        Some(match self {
            Self::None => return None,
            Self::Text(text) => text.clone(),
            Self::Number(number) | Self::Bytes(number) => number.to_string(),
            Self::Hash(hash) => hash.to_string(),
            Self::Time(time) => time.to_string(),
        })
    }
}

/// The first digits of a hash.
pub(crate) fn short_hash(hash: Hash) -> String {
    hash.to_string().chars().take(SHORT_HASH).collect()
}

/// A time to the second, as people and references read it: the first whole one that is not before it, so that a reference to it
/// finds what was there at the time.
fn second(time: Timestamp) -> String {
    const MICROS: i64 = 1_000_000;
    let micros = time.as_micros();
    let whole = micros.div_euclid(MICROS) + i64::from(micros.rem_euclid(MICROS) > 0);
    let text = Timestamp::from_micros(whole * MICROS).unwrap_or(time).to_string();
    format!("{}Z", text.get(..19).unwrap_or(&text))
}

/// Bytes in the unit in which they are read most easily.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut shift = 10;
    for unit in UNITS {
        if bytes < 1 << shift {
            break;
        }
        if shift == 60 || bytes < 1 << (shift + 10) {
            let tenths = (u128::from(bytes) * 10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        shift += 10;
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_to_the_second_in_which_it_was_past() {
        let check = |time: &str, expected| assert_eq!(second(time.parse().unwrap()), expected);
        check("2026-01-02T03:04:05.000000Z", "2026-01-02T03:04:05Z");
        check("2026-01-02T03:04:05.000001Z", "2026-01-02T03:04:06Z");
        check("1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z");
    }

    #[test]
    fn sizes_are_shown_in_a_unit_that_fits() {
        let check = |bytes, expected| assert_eq!(size(bytes), expected);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(1536, "1.5 KiB");
        check((1 << 20) - 1, "1023.9 KiB");
        check(5 << 30, "5.0 GiB");
        check(u64::MAX, "15.9 EiB");
    }
}
