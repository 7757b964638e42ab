//! Compression by contexts that a thread keeps: to make one takes longer than to compress a few KiB.
//!
//! Invariants: what comes out depends on the bytes and the settings alone, not on what the context did before; a thread keeps at
//! most [`KEPT`] contexts, and none that many bytes or a high level have made large. What does not belong here: which bytes are
//! compressed, and what their frames may be (`objects::compression`, `write::checksum`).

use std::cell::RefCell;
use std::io;

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

/// How many contexts a thread keeps.
const KEPT: usize = 2;

/// Of more bytes, or at a higher level, a context takes more memory than it is worth to keep.
const MOST_BYTES: usize = 2 << 20;
const HIGHEST_LEVEL: i32 = 9;

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) level: i32,
    /// The logarithm of the window, where it is not the level's.
    pub(crate) window_log: Option<u32>,
}

impl Settings {
    fn context(self) -> io::Result<Compressor<'static>> {
        let mut context = Compressor::new(self.level)?;
        if let Some(log) = self.window_log {
            context.set_parameter(CParameter::WindowLog(log))?;
        }
        Ok(context)
    }
}

thread_local! {
    /// The one that was used last is the last.
    static CONTEXTS: RefCell<Vec<(Settings, Compressor<'static>)>> = const { RefCell::new(Vec::new()) };
}

/// The frame of these bytes.
pub(crate) fn compress(bytes: &[u8], settings: Settings) -> io::Result<Vec<u8>> {
    if bytes.len() > MOST_BYTES || settings.level > HIGHEST_LEVEL {
        return settings.context()?.compress(bytes);
    }
    CONTEXTS.with_borrow_mut(|contexts| {
        let found = contexts.iter().position(|(known, _)| *known == settings);
        let mut context = match found {
            Some(at) => contexts.remove(at).1,
            None => settings.context()?,
        };
        // One that failed is not kept.
        let frame = context.compress(bytes)?;
        if contexts.len() >= KEPT {
            contexts.remove(0);
        }
        contexts.push((settings, context));
        Ok(frame)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_that_is_used_again_gives_what_a_fresh_one_does() {
        let texts: Vec<Vec<u8>> = (1..40_u32)
            .map(|length| (0..length * 997).flat_map(|n| (n * n % 1000).to_le_bytes()).collect())
            .collect();
        for _ in 0..2 {
            for text in &texts {
                for (level, window_log) in [(1, None), (3, Some(23)), (9, None), (10, None)] {
                    let settings = Settings { level, window_log };
                    let fresh = settings.context().unwrap().compress(text).unwrap();
                    assert_eq!(compress(text, settings).unwrap(), fresh, "{settings:?}");
                }
            }
        }
        CONTEXTS.with_borrow(|contexts| assert_eq!(contexts.len(), KEPT));
    }
}
