//! The types of columns that nobody gave: what all values of a column are, and the narrowest type that keeps them.
//!
//! Invariants: no digit is lost by a type that nobody gave, so numbers with more digits than a double has become decimals, and texts
//! where they are too many for those; no time gets a zone that it does not say or loses one. Pure. What does not belong here: reading
//! files (`csv`), and types that were given.

use strandline::arrow::datatypes::{DataType, TimeUnit};

use super::exact::numbers::{Digits, loses_digits};
use super::exact::times::{Written, Zone};

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

    /// Takes in a text of JSON, which is no number: if it was meant to be one, it would have no quotes.
    pub(super) fn see_text(&mut self, text: &str) {
        if self.kinds & kind::TEXT == 0 {
            self.kinds |= self.time_of(text).unwrap_or(kind::TEXT);
        }
    }

    /// Whether there was none.
    pub(super) fn is_empty(&self) -> bool {
        self.kinds == 0
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
        let number = Digits::of(text)?;
        // A postal code, a telephone number: as a number it would be another one.
        if number.whole.len() > 1 && number.whole.starts_with('0') {
            return Some(kind::TEXT);
        }
        self.long |= loses_digits(&number, text);
        if number.exponent.is_some() {
            return Some(kind::FLOATING);
        }
        let whole = number.whole.trim_start_matches('0');
        self.digits = (self.digits.0.max(whole.len()), self.digits.1.max(number.fraction.len()));
        Some(match text.contains('.') {
            true => kind::FRACTION,
            false if text.parse::<i64>().is_ok() => kind::LONG,
            false => kind::WHOLE,
        })
    }

    fn time_of(&mut self, text: &str) -> Option<u16> {
        let written = Written::of(text).filter(Written::is_common)?;
        let Some(clock) = written.clock else { return Some(kind::DATE) };
        if clock.fraction.len() > 9 {
            return None;
        }
        self.subsecond = self.subsecond.max(clock.fraction.len());
        Some(if written.zone == Zone::None { kind::TIME } else { kind::ZONED })
    }
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
        check(&["00123e4"], &Utf8);
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
        check(&["1.2345678901234567890e5"], &Utf8);
        check(&["1e999"], &Utf8);
        check(&["1e-999"], &Utf8);
        check(&["0e999", "1e300"], &Float64);
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
        for text in ["yes", "+5", "1_000", "1,5", "0x10", " 1", "1 ", "\u{feff}1"] {
            check(&[text], &DataType::Utf8);
        }
    }
}
