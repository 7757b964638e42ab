//! Bytes as hex, and UUIDs.

use super::{Exact, Why};

/// Two digits for each byte, in either case.
pub(in crate::text) fn hex(text: &str) -> Exact<Vec<u8>> {
    let digit = |letter: u8| char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    rest.is_empty().then(|| pairs.iter().map(byte).collect()).flatten().ok_or(Why::Other)
}

/// Groups of 8, 4, 4, 4 and 12 digits; the dashes may be missing.
pub(in crate::text) fn uuid(text: &str) -> Exact<Vec<u8>> {
    let is_grouped = text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    if !is_grouped && text.contains('-') {
        return Err(Why::Other);
    }
    hex(&text.replace('-', "")).and_then(|bytes| if bytes.len() == 16 { Ok(bytes) } else { Err(Why::Other) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_in_either_case_and_in_whole_bytes_only() {
        assert_eq!(hex("0aFf"), Ok(vec![10, 255]));
        assert_eq!(hex(""), Ok(Vec::new()));
        assert_eq!(hex("0aF"), Err(Why::Other));
        assert_eq!(hex("0x"), Err(Why::Other));
    }

    #[test]
    fn uuids_are_read_with_their_dashes_in_their_places_or_without() {
        let bytes: Vec<u8> = (0..16).map(|byte| byte * 17).collect();
        assert_eq!(uuid("00112233-4455-6677-8899-aabbccddeeff"), Ok(bytes.clone()));
        assert_eq!(uuid("00112233445566778899AABBCCDDEEFF"), Ok(bytes));
        assert_eq!(uuid("0011-22334455-6677-8899-aabbccddeeff"), Err(Why::Other));
        assert_eq!(uuid("00112233-4455-6677-8899-aabbccddee"), Err(Why::Other));
    }
}
