//! The types of columns that nobody gave: what all values of a column are, and the narrowest type that keeps them.
//!
//! Invariants: no digit is lost by a type that nobody gave, so numbers with more digits than a double has become decimals, and texts
//! where they are too many for those; no time gets a zone that it does not say or loses one. Pure. What does not belong here: reading
//! files (`csv`), and the types that were given (`types`).

use strandline::arrow::array::timezone::Tz;
use strandline::arrow::datatypes::{DataType, TimeUnit};

/// So many digits a double always keeps.
const SURE_DIGITS: usize = f64::DIGITS as usize;

/// The most digits of a decimal.
const DECIMAL_DIGITS: usize = 38;

/// The zone of times that say how far they are from it.
const UTC: &str = "UTC";

/// What one value may be, each a bit.
mod kind {
    pub(super) const BOOLEAN: u16 = 1;
    /// A whole number of 64 bits.
    pub(super) const LONG: u16 = 1 << 1;
    /// A longer one.
    pub(super) const WHOLE: u16 = 1 << 2;
    /// A number with a fraction.
    pub(super) const FRACTION: u16 = 1 << 3;
    /// A number with an exponent, or none.
    pub(super) const FLOATING: u16 = 1 << 4;
    pub(super) const DATE: u16 = 1 << 5;
    /// A time without a zone, and with one.
    pub(super) const TIME: u16 = 1 << 6;
    pub(super) const ZONED: u16 = 1 << 7;
    pub(super) const TEXT: u16 = 1 << 8;
    pub(super) const NUMBERS: u16 = LONG | WHOLE | FRACTION | FLOATING;
}

/// What was seen of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Inferred {
    kinds: u16,
    /// The most digits before and after the point.
    digits: (usize, usize),
    /// Whether a double would not have all digits of a number.
    long: bool,
    /// The most digits of a second's fraction.
    subsecond: usize,
}

impl Inferred {
    /// Takes in one value.
    pub(super) fn see(&mut self, text: &str) {
        if self.kinds & kind::TEXT == 0 {
            self.kinds |= self.kind_of(text);
        }
    }

    /// Takes in a value that is no text.
    pub(super) fn see_other(&mut self) {
        self.kinds |= kind::TEXT;
    }

    /// The type of texts that are all dates or all times.
    pub(super) fn time(&self) -> Option<DataType> {
        Some(self.data_type()).filter(|ty| matches!(ty, DataType::Date32 | DataType::Timestamp(..)))
    }

    /// What all of them are; `Null` if there was none.
    pub(super) fn data_type(&self) -> DataType {
        match self.kinds {
            0 => DataType::Null,
            kind::BOOLEAN => DataType::Boolean,
            kind::LONG => DataType::Int64,
            kinds if kinds & !kind::NUMBERS == 0 => self.number(),
            kind::DATE => DataType::Date32,
            kind::ZONED => DataType::Timestamp(self.unit(), Some(UTC.into())),
            kinds if kinds & !(kind::DATE | kind::TIME) == 0 => DataType::Timestamp(self.unit(), None),
            _ => DataType::Utf8,
        }
    }

    fn number(&self) -> DataType {
        let (whole, fraction) = self.digits;
        let is_whole = self.kinds & (kind::FRACTION | kind::FLOATING) == 0;
        match (u8::try_from(whole + fraction), i8::try_from(fraction)) {
            _ if is_whole => DataType::Utf8,
            _ if !self.long => DataType::Float64,
            (Ok(precision), Ok(scale))
                if self.kinds & kind::FLOATING == 0 && whole + fraction <= DECIMAL_DIGITS =>
            {
                DataType::Decimal128(precision.max(1), scale)
            }
            _ => DataType::Utf8,
        }
    }

    fn unit(&self) -> TimeUnit {
        match self.subsecond {
            0 => TimeUnit::Second,
            1..=3 => TimeUnit::Millisecond,
            4..=6 => TimeUnit::Microsecond,
            _ => TimeUnit::Nanosecond,
        }
    }

    fn kind_of(&mut self, text: &str) -> u16 {
        match text.as_bytes() {
            [b'-' | b'.' | b'0'..=b'9', ..] => {
                self.number_of(text).or_else(|| self.time_of(text)).unwrap_or(kind::TEXT)
            }
            _ if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") => kind::BOOLEAN,
            b"NaN" | b"nan" | b"inf" => kind::FLOATING,
            _ => kind::TEXT,
        }
    }

    fn number_of(&mut self, text: &str) -> Option<u16> {
        if text == "-inf" {
            return Some(kind::FLOATING);
        }
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
            return None;
        }
        if let Some(exponent) = exponent {
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            return (is_digits(digits) && !digits.is_empty()).then_some(kind::FLOATING);
        }
        // A postal code, a telephone number: as a number it would be another one.
        if whole.len() > 1 && whole.starts_with('0') {
            return Some(kind::TEXT);
        }
        let whole = whole.trim_start_matches('0');
        self.digits = (self.digits.0.max(whole.len()), self.digits.1.max(fraction.len()));
        self.long |= is_long(whole, fraction, text);
        Some(match mantissa.contains('.') {
            true => kind::FRACTION,
            false if text.parse::<i64>().is_ok() => kind::LONG,
            false => kind::WHOLE,
        })
    }

    fn time_of(&mut self, text: &str) -> Option<u16> {
        let (date, rest) = text.split_at_checked(10)?;
        if !is_like(date, "0000-00-00") {
            return None;
        }
        if rest.is_empty() {
            return Some(kind::DATE);
        }
        let (time, rest) = rest.strip_prefix(['T', ' '])?.split_at_checked(8)?;
        if !is_like(time, "00:00:00") {
            return None;
        }
        let (fraction, zone) = match rest.strip_prefix('.') {
            Some(rest) => {
                rest.split_at(rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len()))
            }
            None => ("", rest),
        };
        if fraction.len() > 9 || (rest.starts_with('.') && fraction.is_empty()) {
            return None;
        }
        self.subsecond = self.subsecond.max(fraction.len());
        match zone {
            "" => Some(kind::TIME),
            "Z" | "z" => Some(kind::ZONED),
            other => other.trim_start().parse::<Tz>().ok().map(|_| kind::ZONED),
        }
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether digits stand where the pattern has digits, and all else is the same.
fn is_like(text: &str, pattern: &str) -> bool {
    let like = |(byte, wanted): (u8, u8)| if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(like)
}

/// Whether the nearest double is written in other digits.
fn is_long(whole: &str, fraction: &str, text: &str) -> bool {
    let fraction = fraction.trim_end_matches('0');
    if whole.len() + fraction.len() <= SURE_DIGITS {
        return false;
    }
    let digits = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits.trim_matches('0').to_owned()
    };
    let nearest = text.parse::<f64>().map(|number| format!("{number:e}")).unwrap_or_default();
    let (nearest, _) = nearest.split_once('e').unwrap_or((&nearest, ""));
    digits(nearest) != digits(&format!("{whole}{fraction}"))
}

/// Whether a number of JSON, as it is written, has digits that its double would not have.
pub(super) fn loses_digits(number: &str) -> bool {
    let mut seen = Inferred::default();
    seen.see(number);
    seen.long
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], expected: &DataType) {
        let mut seen = Inferred::default();
        values.iter().for_each(|value| seen.see(value));
        assert_eq!(&seen.data_type(), expected, "{values:?}");
    }

    #[test]
    fn no_digit_is_lost() {
        use DataType::{Decimal128, Float64, Int64, Null, Utf8};
        check(&[], &Null);
        check(&["1", "-0"], &Int64);
        check(&["7", "007"], &Utf8);
        check(&["0.5", "-00.5"], &Utf8);
        check(&["9223372036854775807"], &Int64);
        check(&["9223372036854775808", "1"], &Utf8);
        check(&["1", "0.5", ".5", "5.", "-1e3"], &Float64);
        check(&["NaN", "-inf", "1"], &Float64);
        check(&["30.50", "0.1000000000000000000000"], &Float64);
        // What a double is written as has its digits.
        check(&["0.30000000000000004", "1234567890123456.5"], &Float64);
        check(&["0.12345678901234567890", "-12.5"], &Decimal128(22, 20));
        check(&["9007199254740993", "0.5"], &Decimal128(17, 1));
        check(&["9223372036854775808", "0.5"], &Decimal128(20, 1));
        // An exponent says that it floats, and text keeps what was written.
        check(&["0.12345678901234567890", "1e3"], &Utf8);
        check(&["0.1234567890123456789012345678901234567890"], &Utf8);
        check(&["1.2.3"], &Utf8);
        check(&["1", "x"], &Utf8);
        check(&["-"], &Utf8);
        check(&["."], &Utf8);
        check(&["1e"], &Utf8);
    }

    #[test]
    fn times_keep_their_zones_and_get_none() {
        use DataType::{Date32, Timestamp, Utf8};
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        let utc = || Some("UTC".into());
        check(&["2026-01-01"], &Date32);
        check(&["2026-01-01", "2026-01-01 10:00:00"], &Timestamp(Second, None));
        check(&["2026-01-01T10:00:00.5", "2026-01-01T10:00:00"], &Timestamp(Millisecond, None));
        check(&["2026-01-01T10:00:00.1234"], &Timestamp(Microsecond, None));
        check(&["2026-01-01T10:00:00Z", "2026-01-01T10:00:00.1234567+02:00"], &Timestamp(Nanosecond, utc()));
        check(&["2026-01-01T10:00:00 +0200", "2026-01-01T10:00:00-07"], &Timestamp(Second, utc()));
        // One of them has no zone, and none is made up.
        check(&["2026-01-01T10:00:00Z", "2026-01-01T10:00:00"], &Utf8);
        check(&["2026-01-01T10:00:00Z", "2026-01-01"], &Utf8);
        check(&["2026-01-01T10:00:00 nowhere"], &Utf8);
        check(&["2026-01-01T10:00:00."], &Utf8);
        check(&["2026-01-01T10:00"], &Utf8);
        check(&["2026-01-01 ", "ä026-01-01"], &Utf8);
    }

    #[test]
    fn other_words_are_texts() {
        check(&["true", "FALSE"], &DataType::Boolean);
        check(&["true", "1"], &DataType::Utf8);
        check(&["yes"], &DataType::Utf8);
    }
}
