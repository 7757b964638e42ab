//! Bounds cut short: long strings and byte strings keep a prefix that still bounds [STAT-6].
//!
//! Invariants: a cut minimum is at most the value, a cut maximum at least the value; both stay values of the same type.

use super::Bound;
use crate::value::Value;

/// How long a writer's bounds of strings and byte strings are at most, unless it is told otherwise.
pub const DEFAULT_BOUND_BYTES: usize = 32;

impl Bound {
    /// A lower bound of at most `limit` bytes: the longest prefix, of whole characters for strings.
    ///
    /// ```
    /// use strandline_format::{Bound, Value};
    /// let bound = Bound::truncated_min(Value::String("straße".into()), 5);
    /// assert_eq!(bound, Bound { value: Value::String("stra".into()), exact: false });
    /// ```
    #[must_use]
    pub fn truncated_min(value: Value, limit: usize) -> Self {
        match &value {
            Value::String(text) if text.len() > limit => {
                Self { value: Value::String(text[..text.floor_char_boundary(limit)].into()), exact: false }
            }
            Value::Binary(bytes) if bytes.len() > limit => {
                Self { value: Value::Binary(bytes[..limit].into()), exact: false }
            }
            _ => Self::exact(value),
        }
    }

    /// An upper bound of about `limit` bytes: the prefix with its last character (or byte) incremented, shortened where
    /// that cannot be. `None` if nothing is left to increment.
    ///
    /// ```
    /// use strandline_format::{Bound, Value};
    /// let bound = Bound::truncated_max(Value::String("strand".into()), 3);
    /// assert_eq!(bound, Some(Bound { value: Value::String("sts".into()), exact: false }));
    /// assert_eq!(Bound::truncated_max(Value::Binary([255, 255].into()), 1), None);
    /// ```
    #[must_use]
    pub fn truncated_max(value: Value, limit: usize) -> Option<Self> {
        let value = match &value {
            Value::String(text) if text.len() > limit => Value::String(upper_text(text, limit)?.into()),
            Value::Binary(bytes) if bytes.len() > limit => {
                Value::Binary(upper_bytes(&bytes[..limit])?.into())
            }
            _ => return Some(Self::exact(value)),
        };
        Some(Self { value, exact: false })
    }
}

fn upper_text(text: &str, limit: usize) -> Option<String> {
    let mut prefix = text[..text.floor_char_boundary(limit)].to_owned();
    while let Some(last) = prefix.pop() {
        if let Some(next) = next_char(last) {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}

/// The next scalar value: surrogates are skipped, U+10FFFF has none.
fn next_char(char: char) -> Option<char> {
    match char {
        '\u{D7FF}' => Some('\u{E000}'),
        _ => char::from_u32(u32::from(char) + 1),
    }
}

fn upper_bytes(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut upper = prefix[..=last].to_vec();
    upper[last] += 1;
    Some(upper)
}
