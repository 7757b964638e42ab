//! Which idempotency keys may be among the entries of a leaf: a Bloom filter of their transactions' ids [HIST-7].
//!
//! Invariants: a key that is below is never denied; equal keys give equal filters, whoever makes them. Ids of keys are hashes, so
//! the filter takes its places from the id itself. What does not belong here: which keys count (`history`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::hash::clip;
use crate::id::TxnId;
use crate::json::through_serde;

/// How many bits the filter has for each key. With [`PLACES`] one in a hundred keys passes that is not there.
const BITS: usize = 10;

/// How many bits a key sets.
const PLACES: u64 = 7;

/// The keys that a leaf may hold.
///
/// ```
/// use strandline_format::{KeyFilter, TxnId};
///
/// let monday = TxnId::of_key("load of monday");
/// let filter = KeyFilter::of(&[monday]).ok_or("of one key")?;
/// // What it denies is certain, so a lookup reads only the leaves that may hold its key.
/// assert!(filter.may_hold(monday));
/// assert!(!filter.may_hold(TxnId::of_key("load of tuesday")));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFilter(Vec<u8>);

impl KeyFilter {
    /// The filter of these transactions; `None` of none.
    #[must_use]
    pub fn of(txns: &[TxnId]) -> Option<Self> {
        let mut filter = Self(vec![0; (BITS * txns.len()).div_ceil(8)]);
        for txn in txns {
            for (byte, bit) in filter.places(*txn) {
                filter.0[byte] |= bit;
            }
        }
        (!txns.is_empty()).then_some(filter)
    }

    /// Whether a transaction may be among them; `false` is certain.
    #[must_use]
    pub fn may_hold(&self, txn: TxnId) -> bool {
        self.places(txn).all(|(byte, bit)| self.0[byte] & bit != 0)
    }

    /// The bits of a transaction: the byte and its bit. The filter has at least one byte.
    fn places(&self, txn: TxnId) -> impl Iterator<Item = (usize, u8)> + use<> {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *txn.as_bytes();
        let first = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let step = u64::from_be_bytes([i, j, k, l, m, n, o, p]);
        let bits = 8 * self.0.len() as u64;
        (0..PLACES).map(move |number| {
            let place = first.wrapping_add(number.wrapping_mul(step)) % bits;
            (usize::try_from(place / 8).unwrap_or(0), 1 << (place % 8))
        })
    }

    /// About how many bytes of JSON it takes.
    pub(super) fn weight(&self) -> usize {
        self.0.len().div_ceil(3) * 4 + 3
    }

    fn from_text(text: &str) -> Result<Self> {
        match BASE64.decode(text) {
            Ok(bytes) if !bytes.is_empty() => Ok(Self(bytes)),
            _ => Err(Error::malformed(format!("{:?} is no filter of keys", clip(text)))),
        }
    }
}

impl Serialize for KeyFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for KeyFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text).map_err(through_serde)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> TxnId {
        TxnId::of_key(&format!("key {number}"))
    }

    #[test]
    fn none_that_is_there_is_denied_and_few_others_pass() {
        // Of a few bits the places often meet.
        for (count, most) in [(1, 1500), (2, 1500), (100, 300), (5000, 300)] {
            let keys: Vec<TxnId> = (0..count).map(key).collect();
            let filter = KeyFilter::of(&keys).unwrap();
            assert!(keys.iter().all(|key| filter.may_hold(*key)), "{count}");
            let passing = (count..count + 10_000).filter(|number| filter.may_hold(key(*number))).count();
            assert!(passing < most, "{passing} of 10000 pass a filter of {count}");
        }
        assert_eq!(KeyFilter::of(&[]), None);
    }

    #[test]
    fn a_filter_is_base64_of_at_least_a_byte() {
        let check = |text: &str, right: bool| assert_eq!(KeyFilter::from_text(text).is_ok(), right, "{text}");
        check("AA==", true);
        check("", false);
        check("AA", false);
        check("AB==", false);
        check("A-==", false);
    }
}
