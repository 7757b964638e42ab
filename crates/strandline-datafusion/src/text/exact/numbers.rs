//! Numbers: a sign or none, digits with a point or without, an exponent or none.

use std::fmt::LowerExp;
use std::str::FromStr;

use super::{Exact, Why};

/// The parts of a number.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Digits<'t> {
    negative: bool,
    /// The digits before and after the point.
    pub(in crate::text) whole: &'t str,
    pub(in crate::text) fraction: &'t str,
    /// What follows an `e`.
    pub(in crate::text) exponent: Option<i64>,
}

impl<'t> Digits<'t> {
    pub(in crate::text) fn of(text: &'t str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (unsigned.get(..at)?, Some(exponent_of(unsigned.get(at + 1..)?)?)),
            None => (unsigned, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        Some(Self { negative: text.starts_with('-'), whole, fraction, exponent })
    }

    fn all(&self) -> impl Iterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes())
    }

    fn is_zero(&self) -> bool {
        self.all().all(|digit| digit == b'0')
    }

    /// Whether it is a whole number by the way it is written.
    fn is_whole(&self) -> bool {
        self.exponent.is_none() && self.fraction.bytes().all(|digit| digit == b'0')
    }

    /// The number without its last digits that are 0, or its first ones.
    fn significant(&self) -> String {
        let digits: String = self.all().map(char::from).collect();
        digits.trim_matches('0').to_owned()
    }

    /// The number times a power of ten, if that is whole.
    fn scaled(&self, scale: i64) -> Exact<i128> {
        let before_point = i64::try_from(self.whole.len()).map_err(|_| Why::Other)?;
        let kept = before_point.saturating_add(self.exponent.unwrap_or(0)).saturating_add(scale);
        let mut value = 0_i128;
        let mut push = |digit: u8| {
            let longer = value.checked_mul(10).and_then(|value| value.checked_add(i128::from(digit - b'0')));
            value = longer.ok_or(Why::Other)?;
            Ok(value)
        };
        let mut count = 0_i64;
        for digit in self.all() {
            if count < kept {
                push(digit)?;
            } else if digit != b'0' {
                return Err(Why::Finer);
            }
            count += 1;
        }
        // Nothing grows by these if it is 0, and all else is soon too large.
        while count < kept && push(b'0')? != 0 {
            count += 1;
        }
        Ok(if self.negative { -value } else { value })
    }
}

/// An exponent that no type has a number for stands for all that are larger.
fn exponent_of(text: &str) -> Option<i64> {
    const FAR: i64 = 1 << 40;
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !is_digits(digits) {
        return None;
    }
    let exponent = digits.parse::<i64>().unwrap_or(FAR).min(FAR);
    Some(if text.starts_with('-') { -exponent } else { exponent })
}

pub(in crate::text) fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A whole number: `3.0` and `1e3` are, too.
pub(in crate::text) fn long(text: &str) -> Exact<i64> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let number = Digits::of(text).ok_or(Why::Other)?.scaled(0)?;
    i64::try_from(number).map_err(|_| Why::Other)
}

/// One of 32 bits.
pub(in crate::text) fn int(text: &str) -> Exact<i32> {
    long(text).and_then(|number| i32::try_from(number).map_err(|_| Why::Other))
}

/// A decimal, as the whole number that it is without its point.
pub(in crate::text) fn decimal(text: &str, precision: u8, scale: i8) -> Exact<i128> {
    let number = Digits::of(text).ok_or(Why::Other)?.scaled(scale.into())?;
    let fits = 10_u128.checked_pow(precision.into()).is_some_and(|beyond| number.unsigned_abs() < beyond);
    if fits { Ok(number) } else { Err(Why::Other) }
}

/// The float that is nearest to a number, or what a word says: `NaN`, `inf`. One that is not 0 does not become that, none
/// becomes infinite, and no whole number becomes another.
pub(in crate::text) fn float<F: FromStr + LowerExp + Copy + Into<f64>>(text: &str) -> Exact<F> {
    let float: F = text.parse().map_err(|_| Why::Other)?;
    let Some(digits) = Digits::of(text) else { return Ok(float) };
    let nearest: f64 = float.into();
    if !nearest.is_finite() || (nearest == 0.0) != digits.is_zero() {
        return Err(Why::Other);
    }
    if digits.is_whole() && !has_digits(float, &digits) {
        return Err(Why::BetweenFloats);
    }
    Ok(float)
}

/// Whether a float is written in these digits.
fn has_digits<F: LowerExp + Copy + Into<f64>>(float: F, digits: &Digits<'_>) -> bool {
    /// So many digits every float of 32 bits keeps.
    const SURE: usize = f32::DIGITS as usize;
    if digits.whole.len() + digits.fraction.len() <= SURE || digits.is_zero() {
        return true;
    }
    let written = format!("{float:e}");
    Digits::of(&written).is_some_and(|written| written.significant() == digits.significant())
}

/// Whether a number has digits that its double does not have.
pub(in crate::text) fn loses_digits(digits: &Digits<'_>, text: &str) -> bool {
    /// So many digits a double always keeps.
    const SURE: usize = f64::DIGITS as usize;
    let count = digits.whole.trim_start_matches('0').len() + digits.fraction.trim_end_matches('0').len();
    if digits.exponent.is_none() && count <= SURE {
        return false;
    }
    text.parse::<f64>().is_ok_and(|double| !double.is_finite() || !has_all(double, digits))
}

fn has_all(double: f64, digits: &Digits<'_>) -> bool {
    (double == 0.0) == digits.is_zero() && has_digits(double, digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact_or_refused() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("+5", 5),
            ("007", 7),
            ("3.0", 3),
            ("-3.", -3),
            ("1e3", 1000),
            ("1.5e1", 15),
            ("1200e-2", 12),
            ("0e999999999999999999999", 0),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808.0", i64::MIN),
        ] {
            assert_eq!(long(text), Ok(value), "{text}");
        }
        for text in ["31.9", "1.5e0", "120e-2", "1e-999999999999999999999"] {
            assert_eq!(long(text), Err(Why::Finer), "{text}");
        }
        for text in [
            "",
            "-",
            ".",
            "e1",
            "1e",
            "1e+",
            "--1",
            "+-1",
            "1_000",
            "1,5",
            "0x10",
            " 5",
            "5 ",
            "5\0",
            "٣",
            "1.2.3",
            "1e1.5",
            "9223372036854775808",
            "1e19",
            "1e999999999999999999999",
            "NaN",
            "true",
        ] {
            assert_eq!(long(text), Err(Why::Other), "{text:?}");
        }
        assert_eq!((int("2147483647"), int("2147483648")), (Ok(i32::MAX), Err(Why::Other)));
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        for (text, value) in [
            ("1.2", 120),
            ("-0.05", -5),
            ("1.2300", 123),
            ("999.99", 99999),
            ("5.", 500),
            (".5", 50),
            ("1.234e1", 1234),
            ("-0", 0),
            ("0e-999999999999999999999", 0),
        ] {
            assert_eq!(decimal(text, 5, 2), Ok(value), "{text}");
        }
        for text in ["1.234", "1.23e-1"] {
            assert_eq!(decimal(text, 5, 2), Err(Why::Finer), "{text}");
        }
        for text in ["1000", "1.2.3", "x", "1e", "1e99", "NaN", " 1", ""] {
            assert_eq!(decimal(text, 5, 2), Err(Why::Other), "{text}");
        }
        let most = "9".repeat(38);
        assert_eq!(decimal(&most, 38, 0), Ok(10_i128.pow(38) - 1));
        assert_eq!(decimal(&format!("{most}9"), 38, 0), Err(Why::Other));
    }

    #[test]
    fn floats_are_the_nearest_and_never_infinite() {
        assert_eq!((float("0.1"), float("0.1")), (Ok(0.1_f32), Ok(0.1_f64)));
        assert_eq!(float("0.1234567890123456789"), Ok(0.123_456_789_012_345_68_f64));
        assert_eq!(float("-1e-3"), Ok(-0.001_f64));
        assert_eq!(float("+5"), Ok(5_f64));
        assert_eq!(float("-inf"), Ok(f64::NEG_INFINITY));
        assert!(float::<f64>("NaN").is_ok_and(f64::is_nan));
        assert!(float::<f64>("-0").is_ok_and(|zero| zero == 0.0 && zero.is_sign_negative()));
        assert_eq!(float("1e300"), Ok(1e300_f64));
        for text in ["1e999", "-1e999", "1e-999", "1_000", "0x10", "1,5", " 1", "", "."] {
            assert_eq!(float::<f64>(text), Err(Why::Other), "{text}");
        }
        for text in ["1e300", "1e39", "1e-50", "340282350000000000000000000000000000000000"] {
            assert_eq!(float::<f32>(text), Err(Why::Other), "{text}");
        }
    }

    #[test]
    fn no_whole_number_becomes_another_as_a_float() {
        assert_eq!(float("9007199254740992"), Ok(9_007_199_254_740_992_f64));
        assert_eq!(float::<f64>("9007199254740993"), Err(Why::BetweenFloats));
        assert_eq!(float::<f64>("9007199254740993.0"), Err(Why::BetweenFloats));
        assert_eq!(float("16777216"), Ok(16_777_216_f32));
        assert_eq!(float::<f32>("16777217"), Err(Why::BetweenFloats));
        // As programs write floats.
        assert_eq!(float("123456789012345680000"), Ok(123_456_789_012_345_680_000_f64));
        assert_eq!(float("16777216.0"), Ok(16_777_216_f32));
        assert_eq!(float("123456790.0"), Ok(123_456_790_f32));
    }
}
