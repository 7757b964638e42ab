//! The first bytes of a text: a mark before it is no part of it, and text in UTF-16 or 32 is refused.

use std::borrow::Cow;

use super::{About, Misread};

const MARK: &[u8] = b"\xEF\xBB\xBF";

/// So many bytes say what a text is in.
const TELLING: usize = 4;

/// The first bytes, which are held back until they are enough; nothing behind them.
#[derive(Debug)]
pub(super) struct Beginning(Option<Vec<u8>>);

impl Default for Beginning {
    fn default() -> Self {
        Self(Some(Vec::new()))
    }
}

impl Beginning {
    /// What is to be read of the bytes that come.
    pub(super) fn pass<'b>(&mut self, bytes: &'b [u8]) -> Result<Cow<'b, [u8]>, Misread> {
        let Some(held) = &mut self.0 else { return Ok(Cow::Borrowed(bytes)) };
        held.extend_from_slice(bytes);
        match held.len() < TELLING {
            true => Ok(Cow::Borrowed(&[])),
            false => self.end().map(Cow::Owned),
        }
    }

    /// What is left of them when nothing follows.
    pub(super) fn end(&mut self) -> Result<Vec<u8>, Misread> {
        let Some(mut held) = self.0.take() else { return Ok(Vec::new()) };
        let is_wide = held.starts_with(b"\xFF\xFE")
            || held.starts_with(b"\xFE\xFF")
            || is_every_other_zero(held.get(..TELLING).unwrap_or(&held));
        if is_wide {
            let misread = Misread::new("it is not text in UTF-8, but in UTF-16 or 32");
            return Err(misread.about(About::Wide));
        }
        if held.starts_with(MARK) {
            held.drain(..MARK.len());
        }
        Ok(held)
    }
}

/// Whether it looks like letters of ASCII in more than one byte each. One zero among others is a letter like any other.
fn is_every_other_zero(bytes: &[u8]) -> bool {
    let zeros = |from: usize| {
        let mut every_other = bytes.iter().skip(from).step_by(2).peekable();
        every_other.peek().is_some() && every_other.all(|byte| *byte == 0)
    };
    zeros(0) || zeros(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], step: usize) -> Result<Vec<u8>, Misread> {
        let (mut beginning, mut through) = (Beginning::default(), Vec::new());
        for chunk in bytes.chunks(step) {
            through.extend_from_slice(&beginning.pass(chunk)?);
        }
        through.extend(beginning.end()?);
        Ok(through)
    }

    #[test]
    fn a_mark_before_the_text_is_no_part_of_it() {
        for (bytes, expected) in [
            (&b"\xEF\xBB\xBFid\n1\n"[..], Some("id\n1\n")),
            (b"id\n1\n", Some("id\n1\n")),
            (b"\xEF\xBB\xBF", Some("")),
            (b"i", Some("i")),
            (b"", Some("")),
            (b"\xFF\xFEi\0d\0", None),
            (b"\xFE\xFF\0i\0d", None),
            (b"i\0d\0", None),
            (b"\0i\0d", None),
            (b"i\0\0\0", None),
            (b"s\n\0\n", Some("s\n\0\n")),
            (b"s\nx\0y\n", Some("s\nx\0y\n")),
        ] {
            for step in [1, 3, 100] {
                let found = read(bytes, step).ok().map(|bytes| String::from_utf8(bytes).unwrap());
                assert_eq!(found.as_deref(), expected, "{bytes:?} by {step}");
            }
        }
    }
}
