//! Predicates from SQL text.
//!
//! Words, strings, numbers and comments are `sqlparser`'s; the grammar is this file's, because the language is small and its
//! texts come from anywhere: a general parser builds a tree as deep as the text is long, which nobody can even drop. Here
//! chains of `AND` and `OR` are flat, and parentheses nest no deeper than [`MAX_DEPTH`]. What is beyond the language is named.

use sqlparser::dialect::GenericDialect;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};
use strandline_format::Comparison;

use super::literal::{Exact, Kind, Literal, clip};
use super::predicate::{Column, Predicate, Test};
use crate::{Error, ErrorKind, Result};

/// How deep parentheses may nest.
pub(super) const MAX_DEPTH: usize = 64;

/// What makes the next letter of a `LIKE` pattern stand for itself.
pub(super) const ESCAPE: char = '\\';

/// What the language has, for messages.
const LANGUAGE: &str = "what there is: a column compared with a literal by = <> < <= > >=, [NOT] IN, [NOT] BETWEEN, \
    IS [NOT] NULL, [NOT] LIKE 'prefix%', boolean columns, TRUE, FALSE, AND, OR, NOT and parentheses";

/// Words that are no column's name unless they stand in quotes.
const RESERVED: [&str; 22] = [
    "ALL", "AND", "ANY", "BETWEEN", "CASE", "CAST", "ELSE", "END", "ESCAPE", "EXISTS", "FALSE", "ILIKE",
    "IN", "INTERVAL", "IS", "LIKE", "NOT", "NULL", "OR", "SELECT", "SIMILAR", "TRUE",
];

/// Whether a word needs quotes to be a name.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}

/// Reads a whole text as one predicate.
pub(super) fn parse(text: &str) -> Result<Predicate> {
    let parsed = Parser::new(text).and_then(|mut parser| {
        let predicate = parser.disjunction()?;
        match parser.peek() {
            Token::EOF => Ok(predicate),
            _ => Err(parser.unexpected("the end, AND or OR")),
        }
    });
    parsed.map_err(|error| error.at(format!("the predicate {:?}", clip(text))))
}

/// As [`Predicate::parse`] does.
impl std::str::FromStr for Predicate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text)
    }
}

struct Parser {
    /// Without white space and comments; the last one is the end.
    tokens: Vec<TokenWithSpan>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self> {
        let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location();
        let mut tokens = tokens.map_err(|error| invalid(error.to_string()))?;
        tokens.retain(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
        tokens.push(TokenWithSpan::new_eof());
        Ok(Self { tokens, at: 0, depth: 0 })
    }

    fn peek(&self) -> &Token {
        self.peek_after(0)
    }

    fn peek_after(&self, count: usize) -> &Token {
        self.tokens.get(self.at + count).map_or(&Token::EOF, |token| &token.token)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn takes(&mut self, token: &Token) -> bool {
        let found = self.peek() == token;
        self.at += usize::from(found);
        found
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = is_word(self.peek(), word);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token) -> Result<()> {
        if self.takes(token) { Ok(()) } else { Err(self.unexpected(&token.to_string())) }
    }

    fn disjunction(&mut self) -> Result<Predicate> {
        let mut predicate = self.conjunction()?;
        while self.takes_word("OR") {
            predicate = predicate.or(self.conjunction()?);
        }
        Ok(predicate)
    }

    fn conjunction(&mut self) -> Result<Predicate> {
        let mut predicate = self.negation()?;
        while self.takes_word("AND") {
            predicate = predicate.and(self.negation()?);
        }
        Ok(predicate)
    }

    fn negation(&mut self) -> Result<Predicate> {
        let mut negated = false;
        while self.takes_word("NOT") {
            negated = !negated;
        }
        let predicate = self.primary()?;
        Ok(if negated { !predicate } else { predicate })
    }

    fn primary(&mut self) -> Result<Predicate> {
        if *self.peek() == Token::LParen {
            return self.parentheses();
        }
        if is_word(self.peek(), "starts_with") && *self.peek_after(1) == Token::LParen {
            return self.starts_with();
        }
        match self.literal()? {
            Some(literal) => self.after_literal(literal),
            None => {
                let column = self.column()?;
                self.after_column(column)
            }
        }
    }

    fn parentheses(&mut self) -> Result<Predicate> {
        if self.depth == MAX_DEPTH {
            return Err(self.here(format!("parentheses nest deeper than {MAX_DEPTH}")));
        }
        self.depth += 1;
        self.at += 1;
        let predicate = self.disjunction()?;
        self.expect(&Token::RParen)?;
        self.depth -= 1;
        Ok(predicate)
    }

    fn starts_with(&mut self) -> Result<Predicate> {
        self.at += 2;
        let column = self.column()?;
        self.expect(&Token::Comma)?;
        let prefix = self.expect_literal()?;
        self.expect(&Token::RParen)?;
        Ok(column.starts_with(prefix))
    }

    /// `5 < column`, or `TRUE` and `FALSE`.
    fn after_literal(&mut self, literal: Literal) -> Result<Predicate> {
        match (self.comparison(), literal.0) {
            (Some(comparison), literal) => Ok(self.column()?.compare(turned(comparison), Literal(literal))),
            (None, Kind::Boolean(true)) => Ok(Predicate::all()),
            (None, Kind::Boolean(false)) => Ok(Predicate::none()),
            (None, _) => Err(self.unexpected("a comparison of the literal with a column")),
        }
    }

    fn after_column(&mut self, column: Column) -> Result<Predicate> {
        if let Some(comparison) = self.comparison() {
            return Ok(column.compare(comparison, self.expect_literal()?));
        }
        if self.takes_word("IS") {
            let negated = self.takes_word("NOT");
            if !self.takes_word("NULL") {
                return Err(self.unexpected("NULL or NOT NULL after IS"));
            }
            return Ok(if negated { column.is_not_null() } else { column.is_null() });
        }
        let negated = self.takes_word("NOT");
        if self.takes_word("IN") {
            let literals = self.list()?;
            return Ok(if negated { column.not_in(literals) } else { column.is_in(literals) });
        }
        let test = if self.takes_word("BETWEEN") {
            self.between()?
        } else if self.takes_word("LIKE") {
            self.like()?
        } else if negated {
            return Err(self.unexpected("IN, BETWEEN or LIKE after NOT"));
        } else {
            Test::IsTrue
        };
        let predicate = column.test(test);
        Ok(if negated { !predicate } else { predicate })
    }

    fn list(&mut self) -> Result<Vec<Literal>> {
        self.expect(&Token::LParen)?;
        let mut literals = vec![self.expect_literal()?];
        while self.takes(&Token::Comma) {
            literals.push(self.expect_literal()?);
        }
        self.expect(&Token::RParen)?;
        Ok(literals)
    }

    fn between(&mut self) -> Result<Test> {
        let low = self.expect_literal()?;
        if !self.takes_word("AND") {
            return Err(self.unexpected("AND between the two ends of BETWEEN"));
        }
        Ok(Test::Between(low, self.expect_literal()?))
    }

    fn like(&mut self) -> Result<Test> {
        let place = self.at;
        let pattern = self.string("the pattern of LIKE, a string")?;
        let mut escape = ESCAPE;
        if self.takes_word("ESCAPE") {
            let text = self.string("an escape, a string of one letter")?;
            let mut letters = text.chars();
            escape = match (letters.next(), letters.next()) {
                (Some(letter), None) => letter,
                _ => return Err(self.here(format!("the escape {:?} is not one letter", clip(&text)))),
            };
        }
        match prefix_of(&pattern, escape) {
            Ok(prefix) => Ok(Test::StartsWith(prefix.into())),
            Err(why) => {
                self.at = place;
                Err(self.here(format!(
                    "LIKE {:?} {why}; only patterns of a prefix are there, like 'prefix%'",
                    clip(&pattern)
                )))
            }
        }
    }

    fn string(&mut self, wanted: &str) -> Result<String> {
        match self.peek() {
            Token::SingleQuotedString(text) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let comparison = match self.peek() {
            Token::Eq => Comparison::Equal,
            Token::Neq => Comparison::NotEqual,
            Token::Lt => Comparison::Less,
            Token::LtEq => Comparison::LessOrEqual,
            Token::Gt => Comparison::Greater,
            Token::GtEq => Comparison::GreaterOrEqual,
            _ => return None,
        };
        self.at += 1;
        Some(comparison)
    }

    fn column(&mut self) -> Result<Column> {
        let mut names = vec![self.name()?];
        while self.takes(&Token::Period) {
            names.push(self.name()?);
        }
        match self.peek() {
            Token::LParen => Err(self.beyond(&format!("the function {}", clip(&names.join("."))))),
            _ => Ok(Column(names)),
        }
    }

    fn name(&mut self) -> Result<String> {
        match self.peek() {
            Token::Word(Word { value, quote_style, .. }) if quote_style.is_some() || !is_reserved(value) => {
                let name = value.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("a column")),
        }
    }

    fn expect_literal(&mut self) -> Result<Literal> {
        if is_word(self.peek(), "NULL") {
            return Err(self.beyond("NULL as a literal, with which nothing compares (say IS NULL),"));
        }
        let literal = self.literal()?;
        literal.ok_or_else(|| match self.peek() {
            Token::Word(word) if !is_reserved(&word.value) && *self.peek_after(1) != Token::LParen => {
                self.beyond(&format!("{}, which is not a literal,", clip(&word.value)))
            }
            _ => self.unexpected("a literal"),
        })
    }

    /// A literal, if one stands here.
    fn literal(&mut self) -> Result<Option<Literal>> {
        let place = self.at;
        let literal = match self.next() {
            Token::Number(text, false) => Some(number(&text)),
            Token::Minus => self.signed('-'),
            Token::Plus => self.signed('+'),
            Token::SingleQuotedString(text) => Some(Ok(text.into())),
            Token::HexStringLiteral(text) => Some(bytes(&text)),
            Token::Word(Word { value, quote_style: None, .. }) => self.word_literal(&value),
            _ => None,
        };
        if !matches!(literal, Some(Ok(_))) {
            self.at = place;
        }
        literal.transpose().map_err(|error| self.here(error.message()))
    }

    fn signed(&mut self, sign: char) -> Option<Result<Literal>> {
        match self.next() {
            Token::Number(text, false) => Some(number(&format!("{sign}{text}"))),
            _ => None,
        }
    }

    /// `TRUE`, `FALSE`, or a type before a string.
    fn word_literal(&mut self, word: &str) -> Option<Result<Literal>> {
        let word = word.to_ascii_uppercase();
        match word.as_str() {
            "TRUE" => return Some(Ok(true.into())),
            "FALSE" => return Some(Ok(false.into())),
            _ => {}
        }
        if is_reserved(&word) {
            return None;
        }
        let Token::SingleQuotedString(text) = self.next() else { return None };
        Some(match word.as_str() {
            "DATE" => Literal::date(&text),
            "TIME" => Literal::time(&text),
            "TIMESTAMP" => Literal::timestamp(&text),
            "UUID" => Literal::uuid(&text),
            "DECIMAL" => Literal::decimal(&text),
            "DOUBLE" => double(&text),
            _ => Err(invalid(format!("{} before a string is not a type of literals", clip(&word)))),
        })
    }

    fn unexpected(&self, wanted: &str) -> Error {
        match self.peek() {
            Token::EOF => invalid(format!("it ends where {wanted} should stand")),
            Token::Word(word) if *self.peek_after(1) == Token::LParen && !is_reserved(&word.value) => {
                self.beyond(&format!("the function {}", clip(&word.value)))
            }
            Token::Word(word) if is_construct(word) => self.beyond(&word.value.to_ascii_uppercase()),
            token if is_operator(token) => self.beyond(&format!("the operator {token}")),
            token => self.here(format!("{} stands where {wanted} should", clip(&token.to_string()))),
        }
    }

    fn beyond(&self, construct: &str) -> Error {
        self.here(format!("{construct} is beyond this language; {LANGUAGE}"))
    }

    fn here(&self, message: impl std::fmt::Display) -> Error {
        match self.tokens.get(self.at) {
            Some(TokenWithSpan { token, span }) if *token != Token::EOF => {
                invalid(format!("line {}, column {}: {message}", span.start.line, span.start.column))
            }
            _ => invalid(format!("at the end: {message}")),
        }
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

fn is_word(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(wanted))
}

/// Words that begin something which SQL has and this language has not.
fn is_construct(word: &Word) -> bool {
    const CONSTRUCTS: [&str; 12] = [
        "ALL", "ANY", "CASE", "CAST", "COLLATE", "EXISTS", "ILIKE", "INTERVAL", "REGEXP", "RLIKE", "SELECT",
        "SIMILAR",
    ];
    word.quote_style.is_none() && CONSTRUCTS.iter().any(|known| known.eq_ignore_ascii_case(&word.value))
}

/// Signs of SQL's operators that are not among this language's.
fn is_operator(token: &Token) -> bool {
    !matches!(
        token,
        Token::Word(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::HexStringLiteral(_)
            | Token::LParen
            | Token::RParen
            | Token::Comma
            | Token::Period
            | Token::SemiColon
            | Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::LtEq
            | Token::Gt
            | Token::GtEq
    ) && token.to_string().chars().all(|sign| sign.is_ascii_punctuation() && sign != '\'' && sign != '"')
}

/// The comparison with its sides exchanged.
fn turned(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal | Comparison::NotEqual => comparison,
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
    }
}

/// With an exponent a double, else what its digits say.
fn number(text: &str) -> Result<Literal> {
    if !text.contains(['e', 'E']) {
        return Exact::parse(text).map(Kind::Exact).map(Literal);
    }
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.map(Literal::from).ok_or_else(|| invalid(format!("{:?} is not a finite double", clip(text))))
}

fn double(text: &str) -> Result<Literal> {
    match text {
        "NaN" => Ok(f64::NAN.into()),
        "Infinity" => Ok(f64::INFINITY.into()),
        "-Infinity" => Ok(f64::NEG_INFINITY.into()),
        _ => Err(invalid(format!("{:?} is not NaN, Infinity or -Infinity", clip(text)))),
    }
}

fn bytes(text: &str) -> Result<Literal> {
    let odd = || invalid(format!("X'{}' is not pairs of hexadecimal digits", clip(text)));
    if !text.len().is_multiple_of(2) {
        return Err(odd());
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| Some(16 * digit(pair.first()?)? + digit(pair.get(1)?)?);
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    bytes.map(Literal::from).ok_or_else(odd)
}

/// The prefix that a pattern asks for, or why it asks for something else.
fn prefix_of(pattern: &str, escape: char) -> std::result::Result<String, &'static str> {
    let mut prefix = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter == escape => match letters.next() {
                Some(meant) if meant == escape || matches!(meant, '%' | '_') => prefix.push(meant),
                Some(_) => return Err("escapes a letter that needs none"),
                None => return Err("ends with its escape"),
            },
            '%' if letters.as_str().is_empty() => return Ok(prefix),
            '%' => return Err("has a % before its end"),
            '_' => return Err("has a _ that may be any letter"),
            letter => prefix.push(letter),
        }
    }
    Err("has no % at its end (say = for the whole string)")
}
