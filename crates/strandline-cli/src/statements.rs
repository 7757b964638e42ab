//! Where one SQL statement ends and the next one begins: at semicolons that stand in no quotes and no comment.
//!
//! Invariant: quotes and comments are those of the parser, whose tokens are asked. What does not belong here: whether a statement makes
//! sense, which the SQL layer says.

use std::ops::Range;
use std::str::CharIndices;

use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
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
    fn what_is_not_closed_goes_on() {
        check("SELECT 'a;", &[], "SELECT 'a;");
        check("SELECT 1 /* ;", &[], "SELECT 1 /* ;");
        check("SELECT $$;", &[], "SELECT $$;");
    }
}
