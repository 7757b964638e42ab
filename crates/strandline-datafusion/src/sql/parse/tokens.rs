//! Tokens of several statements, with one spelling for versions of tables.
//!
//! SQL has several spellings for the same clause, and the parser knows some of them only, so each becomes
//! `AT (VERSION => …)` or `TIMESTAMP AS OF …` before it looks. Invariant: only words that a version or a text follows are
//! rewritten, which no other clause of SQL has in their place. What does not belong here: what a version means (`travel`).

use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use super::words::is_word;

/// The tokens of each statement of a text; empty statements are left out.
pub(super) fn statements(dialect: &dyn Dialect, text: &str) -> Result<Vec<Vec<TokenWithSpan>>, ParserError> {
    let tokens = Tokenizer::new(dialect, text).tokenize_with_location()?;
    let split = tokens.split(|token| token.token == Token::SemiColon);
    let empty =
        |tokens: &[TokenWithSpan]| tokens.iter().all(|token| matches!(token.token, Token::Whitespace(_)));
    Ok(split.filter(|tokens| !empty(tokens)).map(with_one_spelling).collect())
}

/// The same tokens, with versions of tables in the spelling that the parser knows.
fn with_one_spelling(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    while let Some((first, tail)) = rest.split_first() {
        let clause = match &first.token {
            Token::Word(_) => version_clause(rest).or_else(|| time_clause(rest)),
            _ => None,
        };
        let (spelled, after) = clause.unwrap_or_else(|| (vec![first.clone()], tail));
        out.extend(spelled);
        rest = after;
    }
    out
}

type Clause<'t> = (Vec<TokenWithSpan>, &'t [TokenWithSpan]);

/// `[FOR] VERSION AS OF 3`, `[FOR] SYSTEM_VERSION AS OF 'main~3'`.
fn version_clause(tokens: &[TokenWithSpan]) -> Option<Clause<'_>> {
    let rest = words(tokens, &["FOR"]).unwrap_or(tokens);
    let rest =
        words(rest, &["VERSION", "AS", "OF"]).or_else(|| words(rest, &["SYSTEM_VERSION", "AS", "OF"]))?;
    let (literal, after) = next(rest)?;
    let is_literal = matches!(literal.token, Token::Number(..) | Token::SingleQuotedString(_));
    let span = tokens.first()?.span;
    let token = |token: Token| TokenWithSpan::new(token, span);
    let word =
        |text: &str, keyword| token(Token::Word(Word { value: text.to_owned(), quote_style: None, keyword }));
    let space = || token(Token::Whitespace(datafusion::sql::sqlparser::tokenizer::Whitespace::Space));
    is_literal.then(|| {
        let clause = vec![
            word("AT", Keyword::AT),
            token(Token::LParen),
            word("VERSION", Keyword::VERSION),
            token(Token::RArrow),
            literal.clone(),
            token(Token::RParen),
            space(),
        ];
        (clause, after)
    })
}

/// `FOR TIMESTAMP AS OF …` without its `FOR`.
fn time_clause(tokens: &[TokenWithSpan]) -> Option<Clause<'_>> {
    let rest = words(tokens, &["FOR"])?;
    words(rest, &["TIMESTAMP", "AS", "OF"]).map(|_| (Vec::new(), rest))
}

/// What follows these words, if the tokens begin with them; spaces do not count between them.
fn words<'t>(tokens: &'t [TokenWithSpan], wanted: &[&str]) -> Option<&'t [TokenWithSpan]> {
    let mut rest = tokens;
    for word in wanted {
        let (found, after) = next(rest)?;
        rest = is_word(&found.token, word).then_some(after)?;
    }
    Some(rest)
}

/// The next token that is no space, and what follows it.
fn next(tokens: &[TokenWithSpan]) -> Option<(&TokenWithSpan, &[TokenWithSpan])> {
    let place = tokens.iter().position(|token| !matches!(token.token, Token::Whitespace(_)))?;
    Some((&tokens[place], &tokens[place + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dialect::LakeDialect;

    fn check(text: &str, expected: &[&str]) {
        let found = statements(&LakeDialect, text).unwrap();
        let joined: Vec<String> = found
            .iter()
            .map(|tokens| tokens.iter().map(|token| token.token.to_string()).collect::<String>())
            .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(joined, expected, "{text}");
    }

    #[test]
    fn statements_are_split_outside_of_texts_and_comments() {
        check("SELECT 1; ; SELECT ';' ;", &["SELECT 1", "SELECT ';'"]);
        check("  ;; ", &[]);
    }

    #[test]
    fn versions_have_one_spelling() {
        check("FROM t VERSION AS OF 3 AS a", &["FROM t AT(VERSION=>3) AS a"]);
        check("FROM t for version as of 'dev~2'", &["FROM t AT(VERSION=>'dev~2')"]);
        check("FROM t FOR SYSTEM_VERSION AS OF 3", &["FROM t AT(VERSION=>3)"]);
        check("FROM t FOR TIMESTAMP AS OF now()", &["FROM t TIMESTAMP AS OF now()"]);
        check("FROM t FOR SYSTEM_TIME AS OF now()", &["FROM t FOR SYSTEM_TIME AS OF now()"]);
    }

    #[test]
    fn a_column_called_version_is_left_alone() {
        check("SELECT version AS of FROM t", &["SELECT version AS of FROM t"]);
        check("SELECT version AS of, 3", &["SELECT version AS of, 3"]);
        check("SELECT \"version\" AS of", &["SELECT \"version\" AS of"]);
    }
}
