//! What may happen to the bytes of a body.

use bytes::Bytes;

/// With one bit turned over; bits past the end are counted from the begin again.
pub(crate) fn flip(bytes: &[u8], bit: u64) -> Bytes {
    let mut flipped = bytes.to_vec();
    let bits = 8 * flipped.len() as u64;
    if let Some(bit) = bit.checked_rem(bits)
        && let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| flipped.get_mut(at))
    {
        *byte ^= 1 << (bit % 8);
    }
    flipped.into()
}

/// Without its last bytes.
pub(crate) fn cut(bytes: &[u8], tail: u64) -> Bytes {
    first(bytes, (bytes.len() as u64).saturating_sub(tail))
}

/// Its first bytes.
pub(crate) fn first(bytes: &[u8], wanted: u64) -> Bytes {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(bytes.len());
    Bytes::copy_from_slice(bytes.get(..wanted).unwrap_or_default())
}
