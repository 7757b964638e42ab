//! `COPY … TO 'file' WITH (FORMAT csv, HEADER false, DELIMITER '|')`, in the words that DataFusion has for it.
//!
//! ```text
//! WITH (FORMAT csv, HEADER false)          STORED AS csv OPTIONS ('format.has_header' 'false')
//! ```
//!
//! Invariant: an option that is not known is an error. What does not belong here: `COPY … FROM` (`write::copy`).

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::words::{Parsed, is_word, refuse};

const ESCAPE: &str = "format.escape";

/// What the options are called there.
const OPTIONS: [(&str, &str); 6] = [
    ("HEADER", "format.has_header"),
    ("DELIMITER", "format.delimiter"),
    ("QUOTE", "format.quote"),
    ("ESCAPE", ESCAPE),
    ("NULL", "format.null_value"),
    ("COMPRESSION", "format.compression"),
];

/// The same statement with its options in those words.
pub(super) fn with_options(tokens: Vec<TokenWithSpan>) -> Parsed<Vec<TokenWithSpan>> {
    let said: Vec<(usize, &Token)> = tokens
        .iter()
        .enumerate()
        .map(|(at, token)| (at, &token.token))
        .filter(|(_, token)| !matches!(token, Token::Whitespace(_)))
        .collect();
    if !said.first().is_some_and(|(_, first)| is_word(first, "COPY")) {
        return Ok(tokens);
    }
    let Some((from, behind)) = options(&said) else { return Ok(tokens) };
    let Some(length) = behind.iter().position(|(_, token)| **token == Token::RParen) else {
        return Ok(tokens);
    };
    let (listed, rest) = behind.split_at(length);
    let written = written(listed)?;
    let after = rest.first().map_or(tokens.len(), |(at, _)| at + 1);
    let written = written.into_iter().map(TokenWithSpan::wrap);
    Ok(tokens[..from].iter().cloned().chain(written).chain(tokens[after..].iter().cloned()).collect())
}

type Said<'t> = [(usize, &'t Token)];

/// Where `WITH (` stands outside of parentheses, and what stands behind it.
fn options<'s, 't>(said: &'s Said<'t>) -> Option<(usize, &'s Said<'t>)> {
    let mut depth = 0_usize;
    for (place, (at, token)) in said.iter().enumerate() {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            token if depth == 0 && is_word(token, "WITH") => {
                let behind = said.get(place + 1..)?;
                return match behind.split_first() {
                    Some(((_, Token::LParen), listed)) => Some((*at, listed)),
                    _ => None,
                };
            }
            _ => {}
        }
    }
    None
}

fn written(listed: &Said<'_>) -> Parsed<Vec<Token>> {
    let (mut format, mut options) = (Vec::new(), Vec::new());
    for option in listed.split(|(_, token)| **token == Token::Comma) {
        let (name, value) = match option {
            [(_, Token::Word(name))] => (name.value.to_ascii_uppercase(), None),
            [(_, Token::Word(name)), (_, value)] => (name.value.to_ascii_uppercase(), text(value)),
            _ => return refuse("an option of COPY is a word and its value, as in DELIMITER '|'"),
        };
        let known = OPTIONS.iter().find(|(known, _)| *known == name);
        match (known, value) {
            (None, Some(value)) if name == "FORMAT" => {
                format = vec![
                    Token::make_keyword("STORED"),
                    Token::make_keyword("AS"),
                    Token::make_word(&value, None),
                ];
            }
            (Some((_, key)), value) if value.is_some() || name == "HEADER" => {
                let value = value.unwrap_or_else(|| "true".to_owned());
                let separator = (!options.is_empty()).then_some(Token::Comma);
                options.extend(separator);
                options.push(Token::SingleQuotedString((*key).to_owned()));
                options.push(Token::SingleQuotedString(value));
                if *key == ESCAPE {
                    // It is what stands before a quote, and not another quote.
                    options.push(Token::Comma);
                    options.push(Token::SingleQuotedString("format.double_quote".to_owned()));
                    options.push(Token::SingleQuotedString("false".to_owned()));
                }
            }
            _ => {
                let known: Vec<&str> = OPTIONS.iter().map(|(known, _)| *known).collect();
                return refuse(format!("COPY TO has no option {name}: it has FORMAT, {}", known.join(", ")));
            }
        }
    }
    if !options.is_empty() {
        format.extend([Token::make_keyword("OPTIONS"), Token::LParen]);
        format.append(&mut options);
        format.push(Token::RParen);
    }
    Ok(format)
}

fn text(value: &Token) -> Option<String> {
    match value {
        Token::Word(word) => Some(word.value.clone()),
        Token::Number(digits, _) => Some(digits.clone()),
        Token::SingleQuotedString(text) => Some(text.clone()),
        _ => None,
    }
}
