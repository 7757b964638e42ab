//! JSON as it is written, read in one pass: a text that is none is refused where it ceases to be one.
//!
//! Invariant: numbers are handed out as they are written, so that nobody takes one for another. Pure. What does not belong here: what values are.

use std::borrow::Cow;

use super::Wrong;

/// What a value may be within others, if nobody looks at it.
const DEPTH: usize = 128;

/// A text of JSON, and how much of it was read.
#[derive(Debug)]
pub(super) struct Json<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Json<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The first byte of what comes, behind white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let mut rest = self.rest();
        while let [b' ' | b'\t' | b'\n' | b'\r', behind @ ..] = rest {
            rest = behind;
        }
        self.at = self.text.len() - rest.len();
        rest.first().copied()
    }

    /// Nothing may follow.
    pub(super) fn end(&mut self) -> Result<(), Wrong> {
        if self.peek().is_some() { Err(self.wrong("trailing characters")) } else { Ok(()) }
    }

    /// The members of an object; whoever is given a name reads the value.
    pub(super) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, Cow<'t, str>) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        const WHAT: &str = "an object";
        self.take(b'{', WHAT)?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a name in quotes should stand there", WHAT));
            }
            let name = self.string()?;
            self.peek();
            self.take(b':', WHAT)?;
            each(self, name)?;
            if self.ends(b'}', WHAT)? {
                return Ok(());
            }
        }
    }

    /// The elements of a list; whoever is asked reads one.
    pub(super) fn list(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Wrong>) -> Result<(), Wrong> {
        const WHAT: &str = "a list";
        self.take(b'[', WHAT)?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            each(self)?;
            if self.ends(b']', WHAT)? {
                return Ok(());
            }
        }
    }

    /// The text for which one in quotes stands.
    pub(super) fn string(&mut self) -> Result<Cow<'t, str>, Wrong> {
        let from = self.at;
        let (raw, escaped) = self.quoted()?;
        if !escaped {
            return Ok(Cow::Borrowed(raw));
        }
        let whole = self.text.get(from..self.at).unwrap_or_default();
        serde_json::from_str(whole).map(Cow::Owned).map_err(|error| Wrong::escapes(&error))
    }

    /// `null`.
    pub(super) fn null(&mut self) -> Result<(), Wrong> {
        self.word("null").map(drop)
    }

    /// A number, `true` or `false`, as it is written.
    pub(super) fn bare(&mut self) -> Result<&'t str, Wrong> {
        match self.peek() {
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected("expected value", "a value")),
        }
    }

    /// Any value, as it is written.
    pub(super) fn skip(&mut self) -> Result<&'t str, Wrong> {
        self.peek();
        let from = self.at;
        self.skip_within(DEPTH)?;
        Ok(self.text.get(from..self.at).unwrap_or_default())
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), Wrong> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.wrong(&format!("values nest deeper than {DEPTH}")));
        };
        match self.peek() {
            Some(b'{') => self.object(|json, _| json.skip_within(depth)),
            Some(b'[') => self.list(|json| json.skip_within(depth)),
            Some(b'"') => self.string().map(drop),
            Some(b'n') => self.null(),
            _ => self.bare().map(drop),
        }
    }

    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, byte: u8, within: &str) -> Result<(), Wrong> {
        match self.rest().first() {
            Some(found) if *found == byte => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.unexpected(&format!("expected `{}`", char::from(byte)), within)),
        }
    }

    /// Whether it ends behind a value; if not, another one follows.
    fn ends(&mut self, last: u8, within: &str) -> Result<bool, Wrong> {
        match self.peek() {
            Some(byte) if byte == last => {
                self.at += 1;
                Ok(true)
            }
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.unexpected(&format!("expected `,` or `{}`", char::from(last)), within)),
        }
    }

    fn word(&mut self, word: &str) -> Result<&'t str, Wrong> {
        let end = self.at + word.len();
        match self.text.get(self.at..end) {
            Some(found) if found == word => {
                self.at = end;
                Ok(found)
            }
            _ => Err(self.unexpected("expected value", "a value")),
        }
    }

    /// What stands between quotes, and whether there are escapes in it.
    fn quoted(&mut self) -> Result<(&'t str, bool), Wrong> {
        let (from, mut escaped) = (self.at + 1, false);
        let mut at = from;
        let bytes = self.text.as_bytes();
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            at += rest.iter().position(|byte| ENDS_TEXT[usize::from(*byte)]).unwrap_or(rest.len());
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(_) => {
                    self.at = at;
                    return Err(self.wrong("a control character in a text, which needs an escape"));
                }
                None => {
                    self.at = bytes.len();
                    return Err(self.unexpected("", "a text"));
                }
            }
        }
        self.at = at + 1;
        Ok((self.text.get(from..at).unwrap_or_default(), escaped))
    }

    fn number(&mut self) -> Result<&'t str, Wrong> {
        let from = self.at;
        let mut rest = self.rest();
        let digits = |rest: &mut &[u8]| {
            let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            *rest = rest.get(count..).unwrap_or_default();
            count
        };
        rest = rest.strip_prefix(b"-").unwrap_or(rest);
        let zero = rest.first() == Some(&b'0');
        let mut good = match digits(&mut rest) {
            0 => false,
            count => count == 1 || !zero,
        };
        if let ([b'.', behind @ ..], true) = (rest, good) {
            rest = behind;
            good = digits(&mut rest) > 0;
        }
        if let ([b'e' | b'E', behind @ ..], true) = (rest, good) {
            rest = behind.strip_prefix(b"-").or(behind.strip_prefix(b"+")).unwrap_or(behind);
            good = digits(&mut rest) > 0;
        }
        let end = self.text.len() - rest.len();
        if good || rest.is_empty() {
            self.at = end;
        }
        match good {
            true => Ok(self.text.get(from..end).unwrap_or_default()),
            false => Err(self.unexpected("invalid number", "a number")),
        }
    }

    /// What is wrong where one is, or that the text ends there.
    fn unexpected(&self, what: &str, within: &str) -> Wrong {
        match self.rest().is_empty() {
            true => Wrong::ends(within),
            false => self.wrong(what),
        }
    }

    fn wrong(&self, what: &str) -> Wrong {
        Wrong::json(&format!("{what} at byte {}", self.at + 1))
    }
}

/// Quotes, escapes, and what may not stand in a text.
const ENDS_TEXT: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        ends[byte] = true;
        byte += 1;
    }
    ends[b'"' as usize] = true;
    ends[b'\\' as usize] = true;
    ends
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether serde takes a text for JSON is whether we do.
    fn check(text: &str) {
        let mut json = Json::of(text);
        let ours = json.skip().and_then(|_| json.end());
        let theirs = serde_json::from_str::<serde_json::Value>(text);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{text:?}: {ours:?}, {theirs:?}");
    }

    #[test]
    fn json_is_what_serde_takes_for_it() {
        for text in [
            "{}",
            "[]",
            " [ ] ",
            "{ \"a\" : 1 , \"b\" : [ 1 , 2 ] }",
            "[1,]",
            "[,1]",
            "{\"a\":1,}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{1:1}",
            "[1 2]",
            "1",
            "-1",
            "-",
            "+1",
            "01",
            "-01",
            "0",
            "0.5",
            ".5",
            "5.",
            "1e5",
            "1E+5",
            "1e-5",
            "1e",
            "1e+",
            "1.e5",
            "--1",
            "1-",
            "0x10",
            "NaN",
            "nan",
            "null",
            "nul",
            "nulls",
            "true",
            "tru",
            "truefalse",
            "false",
            "\"\"",
            "\"a",
            "\"",
            "\"a\\",
            "\"a\\\"",
            "\"\\n\"",
            "\"\\x\"",
            "\"\\u00e4\"",
            "\"\\u00e\"",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "\"a\nb\"",
            "\"a\tb\"",
            "\"ä€😀\"",
            "\"\u{7f}\"",
            "'a'",
            "[[[1]]]",
            "[[[1]]",
            "[}",
            "{]",
            "{\"a\":{\"b\":[{\"c\":null}]}}",
            "",
            " ",
            "\u{a0}1",
            "1 x",
            "{} {}",
            "\u{c}1",
        ] {
            check(text);
        }
    }

    #[test]
    fn random_texts_are_what_serde_takes_for_them() {
        const PARTS: [&str; 24] = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"b\\n\"",
            "\"\\u12\"",
            "1",
            "-0.5e-3",
            "01",
            "true",
            "null",
            " ",
            "\t",
            "\"",
            "\\",
            "x",
            "\u{1}",
            "{\"a\":1}",
            "[1,2]",
            "\"ä\"",
            "1.",
        ];
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap()
        };
        for _ in 0..20_000 {
            let count = next() % 9;
            let text: String = (0..count).map(|_| PARTS[next() % PARTS.len()]).collect();
            check(&text);
        }
    }

    #[test]
    fn a_value_that_nobody_reads_is_not_read_at_any_depth() {
        let nested = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(Json::of(&nested(100)).skip().unwrap(), nested(100));
        assert!(Json::of(&nested(100_000)).skip().is_err());
    }
}
