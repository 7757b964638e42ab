//! Texts into statements.
//!
//! Invariants: a statement is read as one of ours only if it begins like one, and otherwise as DataFusion reads it; whatever is
//! left over behind a statement is an error, so no clause is ever passed over. What does not belong here: what names mean.

mod alter;
mod copy_to;
mod create;
mod nesting;
mod refs;
mod show;
mod tokens;
mod types;
mod words;

use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::sqlparser::ast::{Query, Statement as SqlStatement};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use strandline::{Error, ErrorKind, Isolation, Result};

use crate::sql::dialect::LakeDialect;
use crate::sql::statement::{Kind, Statement};
use crate::sql::written;
use crate::write::mark_stars;
use words::{Parsed, if_exists, is_word, names, next_are, refuse, take, take_one_of, text};

/// The statements of a text, in order.
///
/// # Errors
/// `InvalidInput`, saying where, for what is no statement.
pub(crate) fn statements(text: &str, recursion_limit: usize) -> Result<Vec<Statement>> {
    let statements = tokens::statements(&LakeDialect, text).map_err(syntax)?;
    statements.into_iter().map(|tokens| statement(tokens, recursion_limit)).collect()
}

/// A statement that parts were put into, if it is no deeper than one that is parsed may be.
///
/// # Errors
/// `InvalidInput` if it is.
pub(crate) fn bounded(mut statement: SqlStatement) -> Result<SqlStatement> {
    nesting::bounded(&mut statement).map_err(syntax)?;
    Ok(statement)
}

/// A text of ours that is a query.
///
/// # Errors
/// `InvalidInput` if it is none.
pub(crate) fn query(text: &str) -> Result<Box<Query>> {
    let parsed = Parser::new(&LakeDialect).try_with_sql(text).and_then(|mut parser| parser.parse_query());
    parsed.map_err(syntax)
}

/// What the parser does not understand.
fn syntax(error: ParserError) -> Error {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            if is_version_elsewhere(&message) {
                return Error::new(ErrorKind::InvalidInput, format!("{message}: {VERSIONS}"));
            }
            message
        }
        ParserError::RecursionLimitExceeded => {
            "the statement is nested too deeply: split it, or put parts into views".to_owned()
        }
    };
    Error::new(ErrorKind::InvalidInput, message)
}

/// Where versions are written.
const VERSIONS: &str = "a version stands behind the name of a table in FROM, before its alias, as VERSION AS OF, TIMESTAMP AS OF, \
                        FOR SYSTEM_TIME AS OF or AT (…); anywhere else write a name like \"t@v2\"";

/// Whether a statement went wrong at a word that begins a version.
fn is_version_elsewhere(message: &str) -> bool {
    ["AT", "VERSION", "SYSTEM_VERSION", "SYSTEM_TIME", "TIMESTAMP"]
        .iter()
        .any(|word| message.contains(&format!("found: {word} ")))
}

fn statement(tokens: Vec<TokenWithSpan>, recursion_limit: usize) -> Result<Statement> {
    nesting::check_tokens(&tokens, recursion_limit).map_err(syntax)?;
    let mut parser = Parser::new(&LakeDialect)
        .with_tokens_with_locations(tokens.clone())
        .with_recursion_limit(recursion_limit);
    match own(&mut parser).map_err(syntax)? {
        Some(statement) => {
            words::end(&parser).map_err(syntax)?;
            Ok(statement)
        }
        None => plain(tokens, recursion_limit),
    }
}

/// A statement of DataFusion's.
fn plain(tokens: Vec<TokenWithSpan>, recursion_limit: usize) -> Result<Statement> {
    let refused = |error: datafusion::error::DataFusionError| match error.find_root() {
        datafusion::error::DataFusionError::SQL(error, _) => syntax((**error).clone()),
        other => Error::new(ErrorKind::InvalidInput, other.strip_backtrace()),
    };
    let tokens = copy_to::with_options(tokens).map_err(syntax)?;
    let mut parser = DFParserBuilder::new(mark_stars(tokens))
        .with_dialect(&LakeDialect)
        .with_recursion_limit(recursion_limit)
        .build()
        .map_err(refused)?;
    let mut statements = parser.parse_statements().map_err(refused)?;
    match statements.pop_front() {
        Some(mut statement) => {
            nesting::bounded_statement(&mut statement).map_err(syntax)?;
            written::write_out(&mut statement)?;
            Ok(Statement::Plain(Box::new(statement)))
        }
        None => Err(Error::new(ErrorKind::InvalidInput, "there is no statement")),
    }
}

/// A statement of ours, if it begins like one.
fn own(parser: &mut Parser<'_>) -> Parsed<Option<Statement>> {
    let first = parser.peek_token().token;
    let is = |word: &str| is_word(&first, word);
    if is("BEGIN") || is("START") {
        begin(parser).map(Some)
    } else if is("COMMIT") || is("END") || is("ROLLBACK") || is("ABORT") || is("SAVEPOINT") {
        end(parser).map(Some)
    } else if is("CREATE") {
        create::create(parser)
    } else if is("DROP") {
        drop_something(parser)
    } else if is("ALTER") {
        alter::alter(parser)
    } else if is("COMMENT") {
        alter::comment(parser).map(Some)
    } else if is("USE") {
        refs::use_something(parser).map(Some)
    } else if is("SHOW") || is("DESCRIBE") || is("DESC") {
        show::show(parser)
    } else if is("MERGE") || is("CHERRY") || is("REVERT") || is("RESET") {
        refs::bring(parser)
    } else if is("COPY") {
        copy(parser)
    } else if is("COMPACT") {
        compact(parser).map(Some)
    } else {
        Ok(None)
    }
}

/// `BEGIN [TRANSACTION] [ISOLATION LEVEL SERIALIZABLE | SNAPSHOT]`.
fn begin(parser: &mut Parser<'_>) -> Parsed<Statement> {
    if take(parser, &["START"]) {
        words::expect(parser, &["TRANSACTION"])?;
    } else {
        words::expect(parser, &["BEGIN"])?;
        take_one_of(parser, &["TRANSACTION", "WORK"]);
    }
    if !take(parser, &["ISOLATION", "LEVEL"]) {
        return Ok(Statement::Begin(Isolation::Snapshot));
    }
    let levels: [(&[&str], Isolation); 3] = [
        (&["SERIALIZABLE"], Isolation::Serializable),
        (&["SNAPSHOT"], Isolation::Snapshot),
        // What is read is of one commit, which is more than a repeatable read asks for.
        (&["REPEATABLE", "READ"], Isolation::Snapshot),
    ];
    for (level, isolation) in levels {
        if take(parser, level) {
            return Ok(Statement::Begin(isolation));
        }
    }
    refuse(format!("no isolation level {}: write SNAPSHOT or SERIALIZABLE", parser.peek_token_ref()))
}

/// `COMMIT [MESSAGE 'why']` and `ROLLBACK`.
fn end(parser: &mut Parser<'_>) -> Parsed<Statement> {
    let word = take_one_of(parser, &["COMMIT", "END", "ROLLBACK", "ABORT"]);
    take_one_of(parser, &["TRANSACTION", "WORK"]);
    match word {
        Some("COMMIT" | "END") => {
            let message = take(parser, &["MESSAGE"]).then(|| text(parser)).transpose()?;
            Ok(Statement::Commit { message })
        }
        Some(_) if !next_are(parser, &["TO"]) => Ok(Statement::Rollback),
        _ => refuse("there are no savepoints: a transaction is committed or rolled back whole"),
    }
}

/// `DROP SCHEMA | TABLE | VIEW | BRANCH | TAG [IF EXISTS] …`.
fn drop_something(parser: &mut Parser<'_>) -> Parsed<Option<Statement>> {
    if let Some(statement) = refs::drop_ref(parser)? {
        return Ok(Some(statement));
    }
    let kinds =
        [("SCHEMA", Kind::Schema), ("NAMESPACE", Kind::Schema), ("TABLE", Kind::Table), ("VIEW", Kind::View)];
    for (word, kind) in kinds {
        if take(parser, &["DROP", word]) {
            let if_exists = if_exists(parser);
            let names = names(parser)?;
            if take(parser, &["CASCADE"]) {
                return refuse("CASCADE is not supported: drop what stands in it or on it first, by name");
            }
            take(parser, &["RESTRICT"]);
            return Ok(Some(Statement::Drop { kind, names, if_exists }));
        }
    }
    Ok(None)
}

/// `COMPACT [TABLE] t [ALL]`.
fn compact(parser: &mut Parser<'_>) -> Parsed<Statement> {
    words::expect(parser, &["COMPACT"])?;
    take(parser, &["TABLE"]);
    Ok(Statement::Compact { name: words::name(parser)?, all: take(parser, &["ALL"]) })
}

/// `COPY t FROM 'files'`; `COPY … TO` is DataFusion's.
fn copy(parser: &mut Parser<'_>) -> Parsed<Option<Statement>> {
    let mut depth = 0_usize;
    let mut place = 1;
    loop {
        let token = parser.peek_nth_token(place).token;
        match &token {
            Token::EOF => return Ok(None),
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if depth == 0 && (is_word(&token, "TO") || is_word(&token, "INTO")) => return Ok(None),
            _ if depth == 0 && is_word(&token, "FROM") => break,
            _ => {}
        }
        place += 1;
    }
    let mut statement = parser.parse_statement()?;
    nesting::bounded(&mut statement)?;
    Ok(Some(Statement::CopyFrom(Box::new(statement))))
}
