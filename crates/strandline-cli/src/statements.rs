//! Where one SQL statement ends and the next one begins: at semicolons that stand in no quotes and no comment.
//!
//! Invariant: quotes and comments are those of the parser, whose tokens are asked. What does not belong here: whether a statement makes
//! sense, which the SQL layer says.

use std::ops::Range;
use std::str::CharIndices;

use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};
use strandline_datafusion::LakeDialect;

/// A text as statements, and what follows the last semicolon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    /// The statements, without their semicolons.
    pub(crate) statements: Vec<Located>,
    /// What no semicolon has ended yet; empty if that is nothing but space and comments.
    pub(crate) rest: Located,
}

/// A statement, and where it begins, both counted from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Located {
    /// What stands there in a text, without the space around it.
    fn of(text: &str, place: Range<usize>) -> Self {
        let piece = &text[place.clone()];
        let begin = place.start + piece.len() - piece.trim_start().len();
        let before = &text[..begin];
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            text: piece.trim().to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

impl Split {
    /// All statements: at the end of a text the last one needs no semicolon.
    pub(crate) fn all(mut self) -> Vec<Located> {
        if !self.rest.text.is_empty() {
            self.statements.push(self.rest);
        }
        self.statements
    }
}

/// Splits a text.
pub(crate) fn split(text: &str) -> Split {
    let mut tokens = Vec::new();
    // What nothing closes is in no token, and goes on.
    let read = Tokenizer::new(&LakeDialect, text).tokenize_with_location_into_buf(&mut tokens);
    let (mut split, mut begin, mut says) = (Split::default(), 0, false);
    let mut places = Places::of(text);
    for TokenWithSpan { token, span } in tokens {
        match token {
            Token::SemiColon => {
                let at = places.byte(span.start);
                if says {
                    split.statements.push(Located::of(text, begin..at));
                }
                (begin, says) = (at + 1, false);
            }
            Token::Whitespace(_) => {}
            _ => says = true,
        }
    }
    if says || read.is_err() {
        split.rest = Located::of(text, begin..text.len());
    }
    split
}

/// What a text ends within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// Nothing that has to be closed.
    Nothing,
    /// A name in double quotes, the first of which stands here.
    Name(usize),
    /// A text or a comment.
    Text,
}

/// What a text ends within.
pub(crate) fn ends_within(text: &str) -> Within {
    let mut tokens = Vec::new();
    let read = Tokenizer::new(&LakeDialect, text).tokenize_with_location_into_buf(&mut tokens);
    let last = tokens.last();
    if read.is_ok() {
        let comment = |last: &TokenWithSpan| match &last.token {
            Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) => !comment.ends_with('\n'),
            _ => false,
        };
        return if last.is_some_and(comment) { Within::Text } else { Within::Nothing };
    }
    // What nothing closes is in no token, and begins behind the last one.
    let begin = last.map_or(0, |last| Places::of(text).byte(last.span.end));
    match text.get(begin..).is_some_and(|rest| rest.starts_with('"')) {
        true => Within::Name(begin),
        false => Within::Text,
    }
}

/// Where lines and columns, asked for one behind the other, stand in a text.
struct Places<'t> {
    letters: CharIndices<'t>,
    line: u64,
    column: u64,
    end: usize,
}

impl<'t> Places<'t> {
    fn of(text: &'t str) -> Self {
        Self { letters: text.char_indices(), line: 1, column: 1, end: text.len() }
    }

    fn byte(&mut self, place: Location) -> usize {
        while (self.line, self.column) < (place.line, place.column) {
            match self.letters.next() {
                Some((_, '\n')) => (self.line, self.column) = (self.line + 1, 1),
                Some(_) => self.column += 1,
                None => break,
            }
        }
        self.letters.clone().next().map_or(self.end, |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, statements: &[&str], rest: &str) {
        let split = split(text);
        assert_eq!(
            (split.statements.iter().map(|found| found.text.as_str()).collect(), split.rest.text.as_str()),
            (statements.to_vec(), rest),
            "{text}"
        );
    }

    #[test]
    fn semicolons_end_statements_where_they_are_not_quoted() {
        check("", &[], "");
        check("SELECT 1", &[], "SELECT 1");
        check("SELECT 1; SELECT 2;", &["SELECT 1", "SELECT 2"], "");
        check("SELECT ';'; x", &["SELECT ';'"], "x");
        check("SELECT 'it''s; so'; x", &["SELECT 'it''s; so'"], "x");
        check("SELECT \"a;b\", `c;d`;", &["SELECT \"a;b\", `c;d`"], "");
        check("SELECT $$a;b$$; SELECT $t$;$$;$t$;", &["SELECT $$a;b$$", "SELECT $t$;$$;$t$"], "");
        check("SELECT $1;", &["SELECT $1"], "");
        check("SELECT E'it\\'s; so'; x", &["SELECT E'it\\'s; so'"], "x");
        check("SELECT 1 a$b$c; x", &["SELECT 1 a$b$c"], "x");
        check("SELECT 'ä;€'; ü", &["SELECT 'ä;€'"], "ü");
    }

    #[test]
    fn each_statement_is_where_it_begins() {
        let all = split("SELECT 1;\n\n  SELECT\n2; ä; x").all();
        let places: Vec<_> = all.iter().map(|found| (found.line, found.column)).collect();
        assert_eq!(places, [(1, 1), (3, 3), (4, 4), (4, 7)]);
    }

    #[test]
    fn comments_say_nothing() {
        check("-- one; two\nSELECT 1; -- end", &["-- one; two\nSELECT 1"], "");
        check("/* a; /* b; */ c; */;;", &[], "");
        check("SELECT /* ; */ 1;", &["SELECT /* ; */ 1"], "");
    }

    #[test]
    fn what_a_text_ends_within_is_known() {
        let check = |text: &str, expected: Within| assert_eq!(ends_within(text), expected, "{text}");
        check("", Within::Nothing);
        check("SELECT 'it''s' x", Within::Nothing);
        check("SELECT '\"', a FROM a", Within::Nothing);
        check("-- \"\nSELECT a", Within::Nothing);
        check("SELECT \"a\"\"b", Within::Name(7));
        check("SELECT 'ä',\n\"a", Within::Name(13));
        check("\"", Within::Name(0));
        check("SELECT 'x \"", Within::Text);
        check("SELECT 1 -- \"a", Within::Text);
        check("SELECT /* \"a", Within::Text);
    }

    #[test]
    fn what_is_not_closed_goes_on() {
        check("SELECT 'a;", &[], "SELECT 'a;");
        check("SELECT 1 /* ;", &[], "SELECT 1 /* ;");
        check("SELECT $$;", &[], "SELECT $$;");
    }
}
