//! `SHOW` and `DESCRIBE`.
//!
//! ```text
//! SHOW BRANCHES | TAGS | SCHEMAS | BRANCH
//! SHOW (TABLES | VIEWS) [(FROM | IN) schema]
//! SHOW LOG [FOR reference] [LIMIT number]
//! DESCRIBE HISTORY table [LIMIT number]
//! DESCRIBE [TABLE] table
//! ```
//!
//! Whatever else is shown is DataFusion's: settings, functions, columns.

use datafusion::sql::sqlparser::parser::Parser;

use super::words::{Parsed, name, next_are, reference, refuse, take, take_one_of};
use crate::sql::statement::{Name, Show, Statement};

pub(super) fn show(parser: &mut Parser<'_>) -> Parsed<Option<Statement>> {
    if next_are(parser, &["SHOW"]) { shown(parser) } else { described(parser) }
}

fn shown(parser: &mut Parser<'_>) -> Parsed<Option<Statement>> {
    let plain = [
        ("BRANCHES", Show::Branches),
        ("TAGS", Show::Tags),
        ("SCHEMAS", Show::Schemas),
        ("NAMESPACES", Show::Schemas),
        ("BRANCH", Show::Current),
    ];
    for (word, show) in plain {
        if take(parser, &["SHOW", word]) {
            return Ok(Some(Statement::Show(show)));
        }
    }
    if next_are(parser, &["SHOW", "CREATE"]) {
        return refuse(
            "SHOW CREATE is not supported: DESCRIBE tells of columns, t$history of how a table came to be",
        );
    }
    if ["INDEX", "INDEXES", "INDICES", "KEYS"].iter().any(|word| next_are(parser, &["SHOW", word])) {
        return refuse(
            "a lake has no indexes: DESCRIBE tells which columns are the key, t$stats what is known of files",
        );
    }
    let show = if take(parser, &["SHOW", "TABLES"]) {
        Show::Tables { within: within(parser)? }
    } else if take(parser, &["SHOW", "VIEWS"]) {
        Show::Views { within: within(parser)? }
    } else if take(parser, &["SHOW", "LOG"]) {
        let at = take(parser, &["FOR"]).then(|| reference(parser)).transpose()?;
        Show::Log { at, limit: limit(parser)? }
    } else {
        return Ok(None);
    };
    Ok(Some(Statement::Show(show)))
}

fn described(parser: &mut Parser<'_>) -> Parsed<Option<Statement>> {
    let Some(verb) = take_one_of(parser, &["DESCRIBE", "DESC"]) else { return Ok(None) };
    if take(parser, &["HISTORY"]) {
        let table = name(parser)?;
        return Ok(Some(Statement::Show(Show::History { table, limit: limit(parser)? })));
    }
    let _ = verb;
    if ["SELECT", "WITH", "VALUES"].iter().any(|word| next_are(parser, &[word])) {
        return Ok(None);
    }
    take(parser, &["TABLE"]);
    name(parser).map(|name| Some(Statement::Describe(name)))
}

fn within(parser: &mut Parser<'_>) -> Parsed<Option<Name>> {
    take_one_of(parser, &["FROM", "IN"]).map(|_| name(parser)).transpose()
}

fn limit(parser: &mut Parser<'_>) -> Parsed<Option<u64>> {
    take(parser, &["LIMIT"]).then(|| parser.parse_literal_uint()).transpose()
}
