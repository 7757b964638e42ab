//! Where one SQL statement ends and the next one begins: at semicolons that stand in no quotes and no comment.
//!
//! What does not belong here: whether a statement makes sense, which the SQL layer says.

use std::ops::Range;

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
    let (mut split, mut begin, mut says) = (Split::default(), 0, false);
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let token = token(&text[at..], letter);
        if letter == ';' {
            if says {
                split.statements.push(Located::of(text, begin..at));
            }
            (begin, says) = (at + 1, false);
        } else if !token.blank {
            says = true;
        }
        at += token.bytes;
    }
    if says {
        split.rest = Located::of(text, begin..text.len());
    }
    split
}

/// A piece of text that is passed over whole.
struct Token {
    bytes: usize,
    /// Whether it says nothing: space or a comment.
    blank: bool,
}

fn token(text: &str, first: char) -> Token {
    let up_to = |end: Option<usize>| end.unwrap_or(text.len());
    match first {
        // A quote within quotes is written twice, which reads as two texts side by side.
        '\'' | '"' | '`' => {
            let end = text[1..].find(first).map(|end| end + 2);
            Token { bytes: up_to(end), blank: false }
        }
        '-' if text.starts_with("--") => Token { bytes: up_to(text.find('\n')), blank: true },
        '/' if text.starts_with("/*") => Token { bytes: up_to(comment(text)), blank: true },
        '$' => Token { bytes: dollars(text), blank: false },
        other => Token { bytes: other.len_utf8(), blank: other.is_whitespace() },
    }
}

/// Where a comment ends; comments may stand in comments.
fn comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let (open, close) = (text[at..].find("/*"), text[at..].find("*/")?);
        match open {
            Some(open) if open < close => {
                depth += 1;
                at += open + 2;
            }
            _ => {
                depth -= 1;
                at += close + 2;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// How long a text between `$tag$` is; one letter if it is no such text.
fn dollars(text: &str) -> usize {
    let is_tag = |tag: &str| tag.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    let Some(end) = text[1..].find('$').filter(|end| is_tag(&text[1..=*end])) else { return 1 };
    let quote = &text[..end + 2];
    text[quote.len()..].find(quote).map_or(text.len(), |end| end + 2 * quote.len())
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
