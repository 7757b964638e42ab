//! Dates, times of day and timestamps as text, strictly, for every day that a column can hold.
//!
//! The calendar is the proleptic Gregorian one; a year outside of 0000 to 9999 has a sign and no more digits than it needs.
//! Invariant: what is formatted reads back as the same value.

const NANOS_PER_SECOND: i64 = 1_000_000_000;
pub(super) const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SECOND;
/// Days in 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// Years beyond which no column has a day, so that arithmetic on hostile ones stays within 64 bits.
const LAST_YEARS: std::ops::RangeInclusive<i64> = -9_999_999..=9_999_999;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// Days since the epoch of a text like `2026-01-31`.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    let (year, month_and_day) = split_year(text)?;
    let (month, day) = month_and_day.split_once('-')?;
    let (month, day) = (two_digits(month)?, two_digits(day)?);
    let days = days_of(year, month, day);
    (civil(days) == (year, month, day)).then(|| i32::try_from(days).ok())?
}

/// The year, and what follows the dash after it. Years that are written otherwise than [`format_date`] does are refused.
fn split_year(text: &str) -> Option<(i64, &str)> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let signed = text.len() - digits.len();
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (year, rest) = text.split_at(signed + length);
    let number: i64 = year.parse().ok()?;
    let written_so = format_year(number) == year && LAST_YEARS.contains(&number);
    written_so.then_some(())?;
    Some((number, rest.strip_prefix('-')?))
}

fn format_year(year: i64) -> String {
    if (0..=9999).contains(&year) { format!("{year:04}") } else { format!("{year:+05}") }
}

fn two_digits(text: &str) -> Option<i64> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

pub(crate) fn format_date(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{}-{month:02}-{day:02}", format_year(year))
}

/// Days since the epoch. Years are counted from the first of March, so that leap days come last; for a month or a day that
/// there is not it gives some other day, which [`civil`] tells.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH;
    let (era, of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Nanoseconds since midnight of a text like `23:59` or `23:59:59.999999999`.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let (hour, minute) = (two_digits(parts.next()?)?, two_digits(parts.next()?)?);
    let (second, nanos) = match parts.next() {
        None => (0, 0),
        Some(text) => match text.split_once('.') {
            None => (two_digits(text)?, 0),
            Some((second, fraction)) => (two_digits(second)?, parse_fraction(fraction)?),
        },
    };
    let fits = hour < 24 && minute < 60 && second < 60;
    fits.then_some(((hour * 60 + minute) * 60 + second) * NANOS_PER_SECOND + nanos)
}

fn parse_fraction(text: &str) -> Option<i64> {
    let fits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| format!("{text:0<9}").parse().ok())?
}

pub(super) fn format_time(nanos: i64) -> String {
    let (seconds, fraction) = (nanos / NANOS_PER_SECOND, nanos % NANOS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:09}") };
    format!("{hour:02}:{minute:02}:{second:02}{}", fraction.trim_end_matches('0'))
}

/// Nanoseconds since the epoch, and whether the text says in which zone it is: `2026-01-31 23:59`, with a space or a `T`,
/// and `Z` or an offset like `+01:00` after it or nothing.
pub(super) fn parse_timestamp(text: &str) -> Option<(i128, bool)> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let (time, offset) = split_zone(time)?;
    let local = i128::from(parse_date(date)?) * i128::from(NANOS_PER_DAY) + i128::from(parse_time(time)?);
    let nanos = local - i128::from(offset.unwrap_or(0));
    // An offset must not lead beyond the days that can be written.
    i32::try_from(nanos.div_euclid(i128::from(NANOS_PER_DAY))).ok()?;
    Some((nanos, offset.is_some()))
}

/// The time of day, and how far its zone is ahead of UTC, in nanoseconds.
fn split_zone(text: &str) -> Option<(&str, Option<i64>)> {
    if let Some(time) = text.strip_suffix('Z') {
        return Some((time, Some(0)));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, None)) };
    let (time, zone) = text.split_at(at);
    let ahead = if zone.starts_with('+') { 1 } else { -1 };
    (zone.len() == "+00:00".len()).then_some(())?;
    Some((time, Some(ahead * parse_time(&zone[1..])?)))
}

/// A timestamp, without a zone; `None` if it is further away than any day.
pub(super) fn format_timestamp(nanos: i128) -> Option<String> {
    let day = i64::try_from(nanos.div_euclid(i128::from(NANOS_PER_DAY))).ok()?;
    let time = i64::try_from(nanos.rem_euclid(i128::from(NANOS_PER_DAY))).ok()?;
    Some(format!("{} {}", format_date(day), format_time(time)))
}
