//! The texts inside of JSON strings: decimals with exactly their scale, bytes as lower-case hex [VAL-4].
//!
//! Invariant: each value has one text, and no other text reads as it.

/// `-123.45` for -12345 at scale 2.
pub(crate) fn decimal_text(unscaled: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let point = if scale == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// The reverse of [`decimal_text`]; `None` for any other text, and for what has more digits than 128 bits hold.
pub(crate) fn parse_decimal(text: &str, scale: u8) -> Option<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let has_point = whole.len() < digits.len();
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    let shape = fraction.len() == usize::from(scale) && has_point == (scale > 0);
    if !shape || whole.is_empty() || leading_zero {
        return None;
    }
    let mut number = 0_i128;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    if negative && number == 0 {
        return None;
    }
    Some(if negative { -number } else { number })
}

/// Appends two digits for each byte.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Appends the bytes that lower-case hex digits stand for. `None` for any other text; then part may have been appended.
pub(crate) fn parse_hex_into(bytes: &mut Vec<u8>, text: &str) -> Option<()> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    for pair in text.as_bytes().chunks_exact(2) {
        let [byte] = crate::id::parse_hex::<1>(std::str::from_utf8(pair).ok()?)?;
        bytes.push(byte);
    }
    Some(())
}
