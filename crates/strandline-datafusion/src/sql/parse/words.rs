//! Words, names and texts of statements, on the parser's tokens.
//!
//! Invariant: a word of a statement is one that stands without quotes, in any case. What does not belong here: any statement.

use datafusion::sql::sqlparser::ast::Ident;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::sql::statement::Name;

/// A result of the parser.
pub(super) type Parsed<T> = Result<T, ParserError>;

/// Whether a token is this word.
pub(super) fn is_word(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// Whether these words come next.
pub(super) fn next_are(parser: &Parser<'_>, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(place, word)| is_word(&parser.peek_nth_token(place).token, word))
}

/// Takes these words if all of them come next.
pub(super) fn take(parser: &mut Parser<'_>, words: &[&str]) -> bool {
    let found = next_are(parser, words);
    if found {
        words.iter().for_each(|_| parser.advance_token());
    }
    found
}

/// Takes one of these words, if one comes next.
pub(super) fn take_one_of<'w>(parser: &mut Parser<'_>, words: &[&'w str]) -> Option<&'w str> {
    words.iter().copied().find(|word| take(parser, &[word]))
}

/// Takes these words, which must come next.
pub(super) fn expect(parser: &mut Parser<'_>, words: &[&str]) -> Parsed<()> {
    for word in words {
        if !take(parser, &[word]) {
            return parser.expected_ref(word, parser.peek_token_ref());
        }
    }
    Ok(())
}

/// `IF NOT EXISTS`.
pub(super) fn if_absent(parser: &mut Parser<'_>) -> bool {
    take(parser, &["IF", "NOT", "EXISTS"])
}

/// `IF EXISTS`.
pub(super) fn if_exists(parser: &mut Parser<'_>) -> bool {
    take(parser, &["IF", "EXISTS"])
}

/// An identifier as it is looked up: folded like DataFusion folds it, unless it is quoted.
pub(super) fn folded(ident: &Ident) -> String {
    crate::sql::folded(ident, true)
}

/// One identifier.
pub(super) fn identifier(parser: &mut Parser<'_>) -> Parsed<String> {
    parser.parse_identifier().map(|ident| folded(&ident))
}

/// Identifiers between dots.
pub(super) fn name(parser: &mut Parser<'_>) -> Parsed<Name> {
    let mut parts = vec![identifier(parser)?];
    while parser.consume_token(&Token::Period) {
        parts.push(identifier(parser)?);
    }
    Ok(Name(parts))
}

/// The path of a column: identifiers between dots. A column whose name has dots is quoted, alone.
pub(super) fn path(parser: &mut Parser<'_>) -> Parsed<String> {
    name(parser).map(|name| name.0.join("."))
}

/// Names between commas.
pub(super) fn names(parser: &mut Parser<'_>) -> Parsed<Vec<Name>> {
    list(parser, name)
}

/// Things between commas, at least one.
pub(super) fn list<T>(
    parser: &mut Parser<'_>,
    mut one: impl FnMut(&mut Parser<'_>) -> Parsed<T>,
) -> Parsed<Vec<T>> {
    let mut all = vec![one(parser)?];
    while parser.consume_token(&Token::Comma) {
        all.push(one(parser)?);
    }
    Ok(all)
}

/// Things between commas in parentheses, at least one.
pub(super) fn in_parens<T>(
    parser: &mut Parser<'_>,
    one: impl FnMut(&mut Parser<'_>) -> Parsed<T>,
) -> Parsed<Vec<T>> {
    parser.expect_token(&Token::LParen)?;
    let all = list(parser, one)?;
    parser.expect_token(&Token::RParen)?;
    Ok(all)
}

/// A text in single quotes.
pub(super) fn text(parser: &mut Parser<'_>) -> Parsed<String> {
    match parser.peek_token().token {
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => {
            parser.advance_token();
            Ok(text)
        }
        _ => parser.expected_ref("a text in single quotes", parser.peek_token_ref()),
    }
}

/// A reference, or a name of a branch or tag: in quotes of either kind, or as it stands up to the next space: `main~3`,
/// `team/nightly`, `dev@{7}`.
pub(super) fn reference(parser: &mut Parser<'_>) -> Parsed<String> {
    match parser.peek_token().token {
        Token::SingleQuotedString(text) => {
            parser.advance_token();
            return Ok(text);
        }
        Token::Word(word) if word.quote_style.is_some() => {
            parser.advance_token();
            return Ok(word.value);
        }
        _ => {}
    }
    let mut text = String::new();
    let mut next = parser.peek_token().token;
    while !matches!(next, Token::EOF | Token::Whitespace(_) | Token::Comma | Token::RParen) {
        text.push_str(&next.to_string());
        parser.advance_token();
        next = parser.peek_token_no_skip().token;
    }
    if text.is_empty() {
        return parser.expected_ref("a branch, a tag or another reference", parser.peek_token_ref());
    }
    Ok(text)
}

/// The name of a ref that is to be made: folded like any other identifier.
pub(super) fn ref_name(parser: &mut Parser<'_>) -> Parsed<String> {
    let quoted = match parser.peek_token().token {
        Token::SingleQuotedString(_) => true,
        Token::Word(word) => word.quote_style.is_some(),
        _ => false,
    };
    let text = reference(parser)?;
    Ok(if quoted { text } else { text.to_ascii_lowercase() })
}

/// Nothing may follow.
pub(super) fn end(parser: &Parser<'_>) -> Parsed<()> {
    match parser.peek_token_ref() {
        token if token.token == Token::EOF => Ok(()),
        token => parser.expected_ref("the end of the statement", token),
    }
}

/// Refuses what stands here, and says what to do.
pub(super) fn refuse<T>(message: impl Into<String>) -> Parsed<T> {
    Err(ParserError::ParserError(message.into()))
}
