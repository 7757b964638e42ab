//! The single values that batches are made of: as extreme as their types allow.
//!
//! Invariant: floats come with any bits; a decimal keeps its precision, a time of day its day. What does not belong
//! here: arrays and nulls.

use crate::random::Dice;

/// Microseconds of a day.
const DAY: u64 = 86_400_000_000;

/// Texts that are hard to truncate, compare or print.
const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "A",
    "aa",
    "\0",
    "null",
    "NaN",
    "'",
    "\"",
    "\\",
    "\n",
    "ä",
    "a\u{308}",
    "ß",
    "Ω",
    "漢字",
    "🦀",
    "\u{d7ff}",
    "\u{e000}",
    "\u{ffff}",
    "\u{10ffff}",
    "\u{202e}abc",
    "👩\u{200d}👩\u{200d}👧",
];

/// From none to three, none most often.
pub(crate) fn few(dice: &mut Dice) -> usize {
    *dice.pick(&[0, 0, 1, 2, 3]).unwrap_or(&0)
}

/// An integer made of the low bits of 64: the extremes of a type are those of its own width.
pub(crate) trait Integer {
    fn of_bits(bits: Bits) -> Self;
}

/// What an integer is to be.
#[derive(Clone, Copy)]
pub(crate) enum Bits {
    Lowest,
    Highest,
    Any(u64),
}

macro_rules! integers {
    ($($of:ty),+) => {$(
        impl Integer for $of {
            fn of_bits(bits: Bits) -> Self {
                match bits {
                    Bits::Lowest => Self::MIN,
                    Bits::Highest => Self::MAX,
                    Bits::Any(bits) => {
                        let mut low = [0; size_of::<Self>()];
                        low.copy_from_slice(&bits.to_le_bytes()[..size_of::<Self>()]);
                        Self::from_le_bytes(low)
                    }
                }
            }
        }
    )+};
}
integers!(i8, i16, i32, i64, u8, u16, u32, u64);

/// Small numbers mostly, on both sides of zero, and the ends of the range.
pub(crate) fn integer_bits(dice: &mut Dice) -> Bits {
    match dice.below(8) {
        0 => Bits::Lowest,
        1 => Bits::Highest,
        2..=5 => Bits::Any(dice.below(100)),
        6 => Bits::Any(dice.below(100).wrapping_neg()),
        _ => Bits::Any(dice.roll()),
    }
}

/// Any bits, or what floats are odd about.
pub(crate) fn float64(dice: &mut Dice) -> f64 {
    const ODD: &[f64] = &[
        f64::NAN,
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        0.1,
        1.0,
        -1.0,
    ];
    let any = f64::from_bits(dice.roll());
    let odd = dice.pick(ODD).copied().unwrap_or_default();
    if dice.one_in(2) { any } else { odd }
}

/// Any bits, or what floats are odd about.
pub(crate) fn float32(dice: &mut Dice) -> f32 {
    const ODD: &[f32] = &[
        f32::NAN,
        0.0,
        -0.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MIN,
        f32::MAX,
        f32::MIN_POSITIVE,
        1e-45,
        -1e-45,
        0.1,
        1.0,
        -1.0,
    ];
    let any = f32::from_bits(u32::of_bits(Bits::Any(dice.roll())));
    let odd = dice.pick(ODD).copied().unwrap_or_default();
    if dice.one_in(2) { any } else { odd }
}

/// Microseconds since midnight, the first and the last one often.
pub(crate) fn time_of_day(dice: &mut Dice) -> i64 {
    let micros = match dice.below(4) {
        0 => 0,
        1 => DAY - 1,
        _ => dice.below(DAY),
    };
    i64::try_from(micros).unwrap_or_default()
}

/// A number of at most this many digits, the longest ones often.
pub(crate) fn decimal(dice: &mut Dice, precision: u8) -> i128 {
    let beyond = 10_i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX);
    let any = (i128::from(dice.roll()) << 63) ^ i128::from(dice.roll());
    match dice.below(5) {
        0 => beyond - 1,
        1 => 1 - beyond,
        2 => 0,
        3 => any % beyond,
        _ => -(any % beyond),
    }
}

/// Odd texts, short and long.
pub(crate) fn text(dice: &mut Dice) -> String {
    let piece = dice.pick(TEXTS).copied().unwrap_or_default();
    match dice.below(4) {
        // Long enough to be truncated as a bound, in the middle of a character too.
        0 => piece.repeat(1 + few(dice) * 15),
        1 => format!("{piece}{}", dice.below(1000)),
        _ => piece.to_owned(),
    }
}

/// Odd bytes, short and long.
pub(crate) fn bytes(dice: &mut Dice) -> Vec<u8> {
    let length = *dice.pick(&[0, 1, 2, 31, 32, 33, 64]).unwrap_or(&0);
    some_bytes(dice, length)
}

/// All zeros, all ones, or anything.
pub(crate) fn some_bytes(dice: &mut Dice, length: usize) -> Vec<u8> {
    match dice.below(4) {
        0 => vec![0; length],
        1 => vec![0xff; length],
        _ => (0..length).map(|_| u8::of_bits(Bits::Any(dice.roll()))).collect(),
    }
}
