//! Dates and times: `2026-01-31`, `10:00:00.25`, both with a `T` or a space between them, and perhaps an offset or the name of a
//! zone behind them. A year that has not four digits has a sign.

use strandline::arrow::array::timezone::Tz;
use strandline::arrow::compute::kernels::cast_utils::string_to_datetime;
use strandline::arrow::datatypes::TimeUnit;

use super::{Exact, Why, numbers::is_digits};

const SECONDS_PER_DAY: i64 = 86_400;

/// A date, perhaps with a time of day, as it is written: the day may be one that no month has.
#[derive(Debug)]
pub(in crate::text) struct Written<'t> {
    year: &'t str,
    /// Month and day: `-01-31`.
    day: &'t str,
    pub(in crate::text) clock: Option<Clock<'t>>,
    pub(in crate::text) zone: Zone<'t>,
}

/// A time of day.
#[derive(Clone, Copy, Debug)]
pub(in crate::text) struct Clock<'t> {
    /// Hour, minute and second: `10:00:00`.
    time: &'t str,
    /// The digits behind the point.
    pub(in crate::text) fraction: &'t str,
}

/// How far a time is from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::text) enum Zone<'t> {
    None,
    /// So many seconds to the east.
    Offset(i64),
    Named(&'t str),
}

impl<'t> Written<'t> {
    pub(in crate::text) fn of(text: &'t str) -> Option<Self> {
        let (year, rest) = text.split_at_checked(year_length(text)?)?;
        let (day, rest) = rest.split_at_checked("-01-31".len())?;
        if !is_like(day, "-00-00") {
            return None;
        }
        if rest.is_empty() {
            return Some(Self { year, day, clock: None, zone: Zone::None });
        }
        let (clock, zone) = Clock::of(rest.strip_prefix(['T', 't', ' '])?)?;
        Some(Self { year, day, clock: Some(clock), zone: Zone::of(zone)? })
    }

    /// Whether the year has no sign.
    pub(in crate::text) fn is_common(&self) -> bool {
        self.year.len() == 4
    }

    /// Days since 1970, of a day that there is.
    fn days(&self) -> Option<i64> {
        let year: i64 = self.year.parse().ok()?;
        let (month, day) = (two(self.day, 1)?, two(self.day, 4)?);
        (1..=12).contains(&month).then_some(())?;
        (1..=days_of(year, month)).contains(&day).then(|| days_since_1970(year, month, day))
    }

    /// Seconds since 1970 in UTC, or where the time is without a zone.
    fn seconds(&self) -> Option<i64> {
        let clock = self.clock.map_or(Some(0), |clock| clock.seconds())?;
        match self.zone {
            Zone::None => Some(self.days()? * SECONDS_PER_DAY + clock),
            Zone::Offset(east) => Some(self.days()? * SECONDS_PER_DAY + clock - east),
            Zone::Named(zone) => {
                let utc: Tz = "+00:00".parse().ok()?;
                let time = self.clock?.time;
                // A time that a clock shows twice, or never, is none.
                let text = format!("{}{} {time} {zone}", self.year, self.day);
                string_to_datetime(&utc, &text).ok().map(|time| time.timestamp())
            }
        }
    }
}

impl<'t> Clock<'t> {
    /// The time of day at the beginning of a text, and what follows.
    fn of(text: &'t str) -> Option<(Self, &'t str)> {
        let (time, rest) = text.split_at_checked("10:00:00".len())?;
        if !is_like(time, "00:00:00") {
            return None;
        }
        let Some(fraction) = rest.strip_prefix('.') else { return Some((Self { time, fraction: "" }, rest)) };
        let end = fraction.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(fraction.len());
        let (fraction, rest) = fraction.split_at(end);
        (!fraction.is_empty()).then_some((Self { time, fraction }, rest))
    }

    /// Seconds since midnight. A leap second is none that a column keeps.
    fn seconds(&self) -> Option<i64> {
        let (hour, minute, second) = (two(self.time, 0)?, two(self.time, 3)?, two(self.time, 6)?);
        (hour < 24 && minute < 60 && second < 60).then_some((hour * 60 + minute) * 60 + second)
    }

    /// The fraction in units of which so many digits are one second.
    fn subsecond(&self, digits: usize) -> Exact<i64> {
        let kept = self.fraction.len().min(digits);
        let (kept, rest) = self.fraction.split_at(kept);
        if rest.bytes().any(|digit| digit != b'0') {
            return Err(Why::Finer);
        }
        let digit = |at| kept.as_bytes().get(at).map_or(0, |digit| i64::from(digit - b'0'));
        Ok((0..digits).fold(0, |value, at| value * 10 + digit(at)))
    }

    fn is_midnight(&self) -> bool {
        self.seconds() == Some(0) && self.fraction.bytes().all(|digit| digit == b'0')
    }
}

impl<'t> Zone<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let zone = text.trim_start_matches(' ');
        match zone.as_bytes() {
            [] => text.is_empty().then_some(Self::None),
            b"Z" | b"z" => Some(Self::Offset(0)),
            [b'+' | b'-', ..] => offset(zone).map(Self::Offset),
            [first, ..] if first.is_ascii_alphabetic() && zone.parse::<Tz>().is_ok() => {
                Some(Self::Named(zone))
            }
            _ => None,
        }
    }
}

/// `+02`, `+02:00` or `+0200`, in seconds.
fn offset(text: &str) -> Option<i64> {
    let (hours, minutes) = match text.len() {
        3 if is_like(text.get(1..)?, "00") => (two(text, 1)?, 0),
        5 if is_like(text.get(1..)?, "0000") => (two(text, 1)?, two(text, 3)?),
        6 if is_like(text.get(1..)?, "00:00") => (two(text, 1)?, two(text, 4)?),
        _ => return None,
    };
    let east = (hours * 60 + minutes) * 60;
    (hours < 24 && minutes < 60).then_some(if text.starts_with('-') { -east } else { east })
}

/// The bytes of the year: four digits, or a sign and four to seven.
fn year_length(text: &str) -> Option<usize> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    match text.strip_prefix(['-', '+']) {
        None => (digits(text) == 4).then_some(4),
        Some(year) => Some(digits(year)).filter(|count| (4..=7).contains(count)).map(|count| count + 1),
    }
}

/// Whether digits stand where the pattern has digits, and all else is the same.
fn is_like(text: &str, pattern: &str) -> bool {
    let like = |(byte, wanted): (u8, u8)| if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(like)
}

/// The number of two digits.
fn two(text: &str, at: usize) -> Option<i64> {
    text.get(at..at + 2).filter(|text| is_digits(text))?.parse().ok()
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Of the calendar that we have, also before it was made. A year begins with March here, so that the leap day is its last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    const MARCH_OF_0_TO_1970: i64 = 719_468;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - MARCH_OF_0_TO_1970
}

/// Days since 1970. A time is a date if it is midnight and nobody says where.
pub(in crate::text) fn date(text: &str) -> Exact<i32> {
    let written = Written::of(text).ok_or(Why::Other)?;
    let days = written.days().and_then(|days| i32::try_from(days).ok()).ok_or(Why::Other)?;
    match written.clock {
        _ if written.zone != Zone::None => Err(Why::Offset),
        Some(clock) if !clock.is_midnight() => Err(Why::Clock),
        _ => Ok(days),
    }
}

/// Microseconds since midnight.
pub(in crate::text) fn time_of_day(text: &str) -> Exact<i64> {
    const MICROS: (i64, usize) = (1_000_000, 6);
    let (clock, rest) = Clock::of(text).ok_or(Why::Other)?;
    let seconds = clock.seconds().ok_or(Why::Other)?;
    match Zone::of(rest) {
        Some(Zone::None) => Ok(seconds * MICROS.0 + clock.subsecond(MICROS.1)?),
        Some(_) => Err(Why::Offset),
        None => Err(Why::Other),
    }
}

/// Units of time since 1970: in UTC, for which a text says how far it is from that, or without a zone, which it then does not
/// say. A date is its midnight.
pub(in crate::text) fn timestamp(text: &str, unit: TimeUnit, zoned: bool) -> Exact<i64> {
    let written = Written::of(text).ok_or(Why::Other)?;
    let seconds = written.seconds().ok_or(Why::Other)?;
    match (zoned, written.zone) {
        (true, Zone::None) => return Err(Why::NoOffset),
        (false, Zone::Offset(_) | Zone::Named(_)) => return Err(Why::Offset),
        _ => {}
    }
    let (per_second, digits) = match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    };
    let subsecond = written.clock.map_or(Ok(0), |clock| clock.subsecond(digits))?;
    let time = i128::from(seconds) * per_second + i128::from(subsecond);
    i64::try_from(time).map_err(|_| Why::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_that_there_are() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2026-01-31", 20_484),
            ("2024-02-29", 19_782),
            ("0000-03-01", -719_468),
            ("0000-02-29", -719_469),
            ("-0001-12-31", -719_529),
            ("+12026-01-01", 3_672_879),
            ("+5881580-07-11", i32::MAX),
            ("-5877641-06-23", i32::MIN),
            ("2026-01-31T00:00:00", 20_484),
            ("2026-01-31 00:00:00.000", 20_484),
        ] {
            assert_eq!(date(text), Ok(days), "{text}");
        }
        for text in [
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-04-31",
            "2026-1-1",
            "20260101",
            "2026/01/01",
            "01.02.2026",
            "12026-01-01",
            "+5881580-07-12",
            "+99999999-01-01",
            "2026-01-01 ",
            " 2026-01-01",
            "20454",
            "",
            "2026-01-01T",
            "2026-01-01T10:00",
            "2026-01-01Z",
            "２026-01-01",
        ] {
            assert_eq!(date(text), Err(Why::Other), "{text}");
        }
        assert_eq!(date("2026-01-01T10:00:00"), Err(Why::Clock));
        assert_eq!(date("2026-01-01T00:00:00.5"), Err(Why::Clock));
        assert_eq!(date("2026-01-01T00:00:00Z"), Err(Why::Offset));
    }

    #[test]
    fn days_are_counted_as_a_calendar_counts_them() {
        let mut days = days_since_1970(-401, 1, 1);
        for year in -401..2400 {
            for month in 1..=12 {
                for day in 1..=days_of(year, month) {
                    assert_eq!(days_since_1970(year, month, day), days, "{year} {month} {day}");
                    days += 1;
                }
            }
        }
    }

    #[test]
    fn no_time_gets_a_zone_or_loses_one() {
        let micros = |text, zoned| timestamp(text, TimeUnit::Microsecond, zoned);
        assert_eq!(micros("1970-01-01T00:00:01.5", false), Ok(1_500_000));
        assert_eq!(micros("1969-12-31 23:59:59.999999", false), Ok(-1));
        assert_eq!(micros("1970-01-02", false), Ok(86_400_000_000));
        assert_eq!(micros("+294247-01-10T04:00:54.775807Z", true), Ok(i64::MAX));
        assert_eq!(micros("-290308-12-21T19:59:05.224192", false), Ok(i64::MIN));
        assert_eq!(micros("+294247-01-10T04:00:54.775808Z", true), Err(Why::Other));
        for text in [
            "1970-01-01T02:00:00+02:00",
            "1970-01-01 02:00:00 +0200",
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00z",
            "1969-12-31 17:00:00-07",
            "1970-01-01 01:00:00 Europe/Berlin",
        ] {
            assert_eq!(micros(text, true), Ok(0), "{text}");
            assert_eq!(micros(text, false), Err(Why::Offset), "{text}");
        }
        for text in ["1970-01-01T00:00:00", "1970-01-01"] {
            assert_eq!(micros(text, true), Err(Why::NoOffset), "{text}");
        }
        // A clock shows this time twice, and that one never.
        for text in ["2025-10-26 02:30:00 Europe/Berlin", "2025-03-30 02:30:00 Europe/Berlin"] {
            assert_eq!(micros(text, true), Err(Why::Other), "{text}");
        }
        for text in [
            "1700000000",
            "1970-01-01T24:00:00",
            "1970-01-01T23:59:60",
            "1970-01-01T10:00:00.",
            "1970-01-01T10:00:00,5",
            "1970-01-01T10:00:00 nowhere",
            "1970-01-01T10:00:00+24:00",
            "1970-01-01T10:00:00+2",
            "1970-01-01T10:00:00+02:60",
            "1970-01-01T10:00:00 ",
            "1970-02-30T10:00:00",
        ] {
            assert_eq!(
                (micros(text, true), micros(text, false)),
                (Err(Why::Other), Err(Why::Other)),
                "{text}"
            );
        }
    }

    #[test]
    fn digits_that_have_no_place_are_refused_unless_they_are_zeros() {
        let at = "2026-01-01T10:00:00";
        for (unit, digits) in [
            (TimeUnit::Second, 0),
            (TimeUnit::Millisecond, 3),
            (TimeUnit::Microsecond, 6),
            (TimeUnit::Nanosecond, 9),
        ] {
            let fraction = "123456789".get(..digits).unwrap();
            let whole = timestamp(at, unit, false).unwrap();
            let expected = whole + fraction.parse::<i64>().unwrap_or(0);
            assert_eq!(timestamp(&format!("{at}.{fraction}000"), unit, false), Ok(expected));
            assert_eq!(timestamp(&format!("{at}.{fraction}001"), unit, false), Err(Why::Finer));
        }
        assert_eq!(timestamp("1600-01-01", TimeUnit::Nanosecond, false), Err(Why::Other));
        let least = "1677-09-21T00:12:43.145224192";
        assert_eq!(timestamp(least, TimeUnit::Nanosecond, false), Ok(i64::MIN));
    }

    #[test]
    fn times_of_day_are_those_of_a_clock() {
        assert_eq!(time_of_day("10:00:00.25"), Ok(36_000_250_000));
        assert_eq!(time_of_day("23:59:59.9999990"), Ok(86_399_999_999));
        assert_eq!(time_of_day("10:00:00.1234567"), Err(Why::Finer));
        assert_eq!(time_of_day("10:00:00Z"), Err(Why::Offset));
        for text in ["24:00:00", "10:00", "10:00:00 PM", "36000", "10:00:60", "1:00:00"] {
            assert_eq!(time_of_day(text), Err(Why::Other), "{text}");
        }
    }
}
