//! Deletion vectors: equal sets have equal bytes, and nothing takes memory that the bytes do not pay for.
//!
//! The checksum would keep the fuzzer out of the bitmaps, so the bytes are tried as they are and with their length and
//! checksum put right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strandline_format::DeletionVector;

fn read(blob: &[u8]) {
    let Ok(vector) = DeletionVector::decode(blob) else { return };
    let written = vector.encode().expect("a vector that was read is written");
    let again = DeletionVector::decode(&written).expect("what was written is read");
    assert!(again == vector && again.contains_all(&vector) && vector.contains_all(&again));
    assert_eq!(again.encode().as_ref(), Ok(&written));
}

/// CRC-32 (IEEE), a bit at a time.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
        )
    })
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    if let Some(body) = bytes.get(4..bytes.len().saturating_sub(4)) {
        let length = u32::try_from(body.len()).expect("the fuzzer makes no such inputs");
        read(&[&length.to_be_bytes(), body, &checksum(body).to_be_bytes()].concat());
    }
});
