//! The compressed form of metadata: exactly one zstd frame of the text, and bounds on both sides of it [PATH-7].
//!
//! Invariant: a body never unfolds to more bytes, nor takes a larger window, than is known before it is decompressed. What
//! does not belong here: which texts are compressed, and whether the text has the hash that it should.

use std::io;

use zstd::zstd_safe::find_frame_compressed_size;

use crate::storage::zstd_context::{self, Settings};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The largest window that is read, and (as its logarithm) that is written.
const MAX_WINDOW: u64 = 128 << 20;
const WINDOW_LOG: u32 = 23;

/// How long the frame of a text of `size` bytes may be [PATH-7].
pub(super) fn bound(size: usize) -> u64 {
    let size = size as u64;
    size + size / 128 + 1024
}

/// The frame of a text.
pub(super) fn compress(text: &[u8], level: i32) -> io::Result<Vec<u8>> {
    zstd_context::compress(text, Settings { level, window_log: Some(WINDOW_LOG) })
}

/// The text of exactly `size` bytes that a body is the frame of; else why it is not.
pub(super) fn decompress(body: &[u8], size: usize) -> Result<Vec<u8>, String> {
    check_frame(body)?;
    let text = zstd::bulk::decompress(body, size).map_err(|error| error.to_string())?;
    if text.len() == size { Ok(text) } else { Err(format!("it unfolds to {} bytes", text.len())) }
}

/// One frame, with nothing behind it, that asks for no more memory than it may.
fn check_frame(body: &[u8]) -> Result<(), String> {
    if !body.starts_with(&MAGIC) {
        return Err("it is not zstd".to_owned());
    }
    if find_frame_compressed_size(body) != Ok(body.len()) {
        return Err("it is not one whole frame".to_owned());
    }
    match window(body) {
        Some(window) if window > MAX_WINDOW => Err(format!("its window is {window} bytes")),
        _ => Ok(()),
    }
}

/// The window that a frame's header asks for; a frame without one is its own window, which its text's length bounds.
fn window(body: &[u8]) -> Option<u64> {
    const SINGLE_SEGMENT: u8 = 1 << 5;
    let (flags, descriptor) = (*body.get(4)?, *body.get(5)?);
    let base = 1_u64 << (10 + (descriptor >> 3));
    (flags & SINGLE_SEGMENT == 0).then_some(base + base / 8 * u64::from(descriptor & 7))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = &[b'x'; 5000];

    fn check(body: &[u8], size: usize, right: bool) {
        assert_eq!(decompress(body, size).is_ok(), right, "{size} from {body:?}");
    }

    #[test]
    fn a_body_is_one_frame_of_that_size() {
        let frame = compress(TEXT, 3).unwrap();
        check(&frame, 5000, true);
        check(&frame, 4999, false);
        check(&frame, 5001, false);
        check(&frame[..frame.len() - 1], 5000, false);
        check(&[&frame[..], b"x"].concat(), 5000, false);
        check(&[&frame[..], &compress(b"", 3).unwrap()].concat(), 5000, false);
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9];
        check(&[&skippable[..], &frame].concat(), 5000, false);
        check(&[&frame[..], &skippable].concat(), 5000, false);
    }

    /// A frame of one stored block, with a window of its own.
    #[test]
    fn windows_are_bounded() {
        let frame = |descriptor: u8| [&MAGIC[..], &[0, descriptor, 1 | 3 << 3, 0, 0], b"abc"].concat();
        check(&frame(17 << 3), 3, true);
        check(&frame(17 << 3 | 1), 3, false);
        check(&frame(31 << 3), 3, false);
    }

    #[test]
    fn what_does_not_shrink_fits_its_bound() {
        let noise: Vec<u8> =
            (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for level in [-5, 1, 3, 22] {
            let frame = compress(&noise, level).unwrap();
            assert!(frame.len() as u64 <= bound(noise.len()), "{level}");
            check(&frame, noise.len(), true);
        }
    }
}
