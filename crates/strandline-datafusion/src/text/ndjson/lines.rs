//! The lines that hold something, of bytes as they come.

use super::super::beginning::Beginning;
use super::{About, Misread};

/// What takes bytes apart into lines, which are texts.
#[derive(Debug, Default)]
pub(super) struct Lines {
    beginning: Beginning,
    /// The line that has not ended.
    begun: Vec<u8>,
    /// How many have.
    number: u64,
    /// Whether one of them has held something.
    any: bool,
}

/// Takes a line that has an object, with its number.
pub(super) type Each<'e> = &'e mut dyn FnMut(u64, &str) -> Result<(), Misread>;

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8], each: Each<'_>) -> Result<(), Misread> {
        let bytes = self.beginning.pass(bytes)?;
        self.take_apart(&bytes, each)
    }

    /// Nothing follows.
    pub(super) fn end(&mut self, each: Each<'_>) -> Result<(), Misread> {
        let held = self.beginning.end()?;
        self.take_apart(&held, each)?;
        let last = std::mem::take(&mut self.begun);
        self.line(&last, each)
    }

    fn take_apart(&mut self, mut rest: &[u8], each: Each<'_>) -> Result<(), Misread> {
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, behind) = rest.split_at(end);
            rest = behind.get(1..).unwrap_or_default();
            if self.begun.is_empty() {
                self.line(line, each)?;
                continue;
            }
            let mut whole = std::mem::take(&mut self.begun);
            whole.extend_from_slice(line);
            self.line(&whole, each)?;
            whole.clear();
            self.begun = whole;
        }
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    fn line(&mut self, line: &[u8], each: Each<'_>) -> Result<(), Misread> {
        self.number += 1;
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        let is_first = !std::mem::replace(&mut self.any, true);
        let text = std::str::from_utf8(line).map_err(|_| self.wrong("it is not text in UTF-8"))?;
        match line.first() {
            Some(b'{') => each(self.number, text),
            Some(b'[') if is_first => {
                let wrong = self.wrong("the file is one array, and not an object on each line");
                Err(wrong.about(About::Array))
            }
            _ => Err(self.wrong("it is no JSON object")),
        }
    }

    fn wrong(&self, what: &str) -> Misread {
        Misread::new(what).on(self.number)
    }
}
