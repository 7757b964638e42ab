//! `ALTER TABLE`, and what else changes things that stand.
//!
//! ```text
//! ALTER TABLE [IF EXISTS] name act, …
//! act = ADD [COLUMN] [IF NOT EXISTS] path type [NOT NULL] [DEFAULT constant] [COMMENT 'text'] [FIRST | AFTER path]
//!     | DROP [COLUMN] [IF EXISTS] path | RENAME [COLUMN] path TO name
//!     | ALTER [COLUMN] path ([SET DATA] TYPE type | SET DEFAULT constant | DROP DEFAULT | DROP NOT NULL
//!                            | COMMENT 'text' | FIRST | AFTER path)
//!     | ADD [CONSTRAINT name] CHECK (condition) | DROP CONSTRAINT [IF EXISTS] name
//!     | ADD PRIMARY KEY (path, …) | DROP PRIMARY KEY
//!     | PARTITION BY (transform, …) | DROP PARTITION BY | CLUSTER BY (sorted, …) | DROP CLUSTER BY
//!     | SET PROPERTIES (key = value, …) | UNSET PROPERTIES (key, …) | COMMENT 'text'
//! ALTER (TABLE | VIEW | SCHEMA) [IF EXISTS] name RENAME TO name
//! COMMENT ON (TABLE name | COLUMN name.path) IS ('text' | NULL)
//! ```
//!
//! What does not belong here: whether a table can be changed so, which is the SDK's to say.

use datafusion::sql::sqlparser::parser::Parser;
use strandline::transaction::Place;

use super::create::{check, column, constant, property, property_key, sorted, transform};
use super::types::{column_type, new_type};
use super::words::{
    Parsed, expect, identifier, if_absent, if_exists, in_parens, list, name, next_are, path, refuse, take,
    take_one_of, text,
};
use crate::sql::statement::{Act, Kind, Statement};

pub(super) fn alter(parser: &mut Parser<'_>) -> Parsed<Option<Statement>> {
    if let Some(statement) = super::refs::alter_ref(parser)? {
        return Ok(Some(statement));
    }
    let kinds =
        [("TABLE", Kind::Table), ("VIEW", Kind::View), ("SCHEMA", Kind::Schema), ("NAMESPACE", Kind::Schema)];
    for (word, kind) in kinds {
        if take(parser, &["ALTER", word]) {
            return altered(parser, kind).map(Some);
        }
    }
    Ok(None)
}

fn altered(parser: &mut Parser<'_>, kind: Kind) -> Parsed<Statement> {
    let if_exists = if_exists(parser);
    let name = name(parser)?;
    if take(parser, &["RENAME", "TO"]) {
        let to = super::words::name(parser)?;
        return Ok(Statement::Rename { kind, name, to, if_exists });
    }
    if kind != Kind::Table {
        return parser.expected_ref("RENAME TO", parser.peek_token_ref());
    }
    let acts = list(parser, act)?;
    Ok(Statement::AlterTable { name, if_exists, acts })
}

fn act(parser: &mut Parser<'_>) -> Parsed<Act> {
    match take_one_of(
        parser,
        &["ADD", "DROP", "RENAME", "ALTER", "MODIFY", "PARTITION", "CLUSTER", "SET", "UNSET", "COMMENT"],
    ) {
        Some("ADD") => add(parser),
        Some("DROP") => drop_part(parser),
        Some("RENAME") => {
            take(parser, &["COLUMN"]);
            let path = path(parser)?;
            expect(parser, &["TO"])?;
            Ok(Act::RenameColumn { path, to: identifier(parser)? })
        }
        Some("ALTER" | "MODIFY") => {
            take(parser, &["COLUMN"]);
            let path = path(parser)?;
            alter_column(parser, path)
        }
        Some("PARTITION") => {
            expect(parser, &["BY"])?;
            in_parens(parser, transform).map(Act::SplitBy)
        }
        Some("CLUSTER") => {
            expect(parser, &["BY"])?;
            in_parens(parser, sorted).map(Act::SortedBy)
        }
        Some("SET") => {
            properties_word(parser)?;
            in_parens(parser, property).map(Act::SetProperties)
        }
        Some("UNSET") => {
            properties_word(parser)?;
            in_parens(parser, property_key).map(Act::UnsetProperties)
        }
        Some("COMMENT") => text(parser).map(Act::Comment),
        _ => parser.expected_ref(
            "ADD, DROP, RENAME, ALTER, PARTITION BY, CLUSTER BY, SET, UNSET or COMMENT",
            parser.peek_token_ref(),
        ),
    }
}

fn properties_word(parser: &mut Parser<'_>) -> Parsed<()> {
    match take_one_of(parser, &["PROPERTIES", "TBLPROPERTIES"]) {
        Some(_) => Ok(()),
        None => parser.expected_ref("PROPERTIES", parser.peek_token_ref()),
    }
}

fn add(parser: &mut Parser<'_>) -> Parsed<Act> {
    if take(parser, &["PRIMARY", "KEY"]) {
        return in_parens(parser, path).map(Act::Key);
    }
    if take(parser, &["CONSTRAINT"]) {
        let name = identifier(parser)?;
        return check(parser, Some(name)).map(Act::AddCheck);
    }
    if next_are(parser, &["CHECK"]) {
        return check(parser, None).map(Act::AddCheck);
    }
    take(parser, &["COLUMN"]);
    let if_absent = if_absent(parser);
    let within = enclosing(parser)?;
    let column = column(parser)?;
    let place = place(parser)?;
    Ok(Act::AddColumn { within, column, place, if_absent })
}

/// The path before the last dot, which is the struct that a field is added to.
fn enclosing(parser: &mut Parser<'_>) -> Parsed<Option<String>> {
    use datafusion::sql::sqlparser::tokenizer::Token;
    let mut parts = Vec::new();
    while parser.peek_nth_token(1).token == Token::Period {
        parts.push(identifier(parser)?);
        parser.advance_token();
    }
    Ok((!parts.is_empty()).then(|| parts.join(".")))
}

fn place(parser: &mut Parser<'_>) -> Parsed<Option<Place>> {
    Ok(match take_one_of(parser, &["FIRST", "LAST", "AFTER"]) {
        Some("FIRST") => Some(Place::First),
        Some("LAST") => Some(Place::Last),
        Some(_) => Some(Place::After(path(parser)?)),
        None => None,
    })
}

fn drop_part(parser: &mut Parser<'_>) -> Parsed<Act> {
    if take(parser, &["PRIMARY", "KEY"]) {
        return Ok(Act::Key(Vec::new()));
    }
    if take(parser, &["PARTITION", "BY"]) {
        return Ok(Act::SplitBy(Vec::new()));
    }
    if take(parser, &["CLUSTER", "BY"]) {
        return Ok(Act::SortedBy(Vec::new()));
    }
    if take(parser, &["CONSTRAINT"]) {
        let if_exists = if_exists(parser);
        return Ok(Act::DropCheck { name: identifier(parser)?, if_exists });
    }
    take(parser, &["COLUMN"]);
    let if_exists = if_exists(parser);
    Ok(Act::DropColumn { path: path(parser)?, if_exists })
}

fn alter_column(parser: &mut Parser<'_>, path: String) -> Parsed<Act> {
    if take(parser, &["SET", "NOT", "NULL"]) {
        return Ok(Act::SetNotNull(path));
    }
    if take(parser, &["DROP", "NOT", "NULL"]) {
        return Ok(Act::DropNotNull(path));
    }
    if take(parser, &["SET", "DEFAULT"]) {
        return Ok(Act::SetDefault { path, default: Some(constant(parser)?) });
    }
    if take(parser, &["DROP", "DEFAULT"]) {
        return Ok(Act::SetDefault { path, default: None });
    }
    if take(parser, &["COMMENT"]) {
        return Ok(Act::ColumnComment { path, comment: Some(text(parser)?) });
    }
    if let Some(place) = place(parser)? {
        return Ok(Act::MoveColumn { path, place });
    }
    if next_are(parser, &["SET", "DATA", "TYPE"]) || next_are(parser, &["TYPE"]) {
        return Ok(Act::SetType { path, ty: new_type(parser)? });
    }
    Ok(Act::SetType { path, ty: column_type(parser)? })
}

/// `COMMENT ON TABLE t IS 'text'`.
pub(super) fn comment(parser: &mut Parser<'_>) -> Parsed<Statement> {
    expect(parser, &["COMMENT", "ON"])?;
    match take_one_of(parser, &["TABLE", "COLUMN"]) {
        Some("TABLE") => {
            let name = name(parser)?;
            let comment = comment_text(parser)?.unwrap_or_default();
            Ok(Statement::AlterTable { name, if_exists: false, acts: vec![Act::Comment(comment)] })
        }
        Some(_) => {
            let name = name(parser)?;
            if name.0.len() < 2 {
                return refuse("write COMMENT ON COLUMN table.column IS 'text'");
            }
            Ok(Statement::CommentOnColumn { name, comment: comment_text(parser)? })
        }
        None => parser.expected_ref("TABLE or COLUMN", parser.peek_token_ref()),
    }
}

fn comment_text(parser: &mut Parser<'_>) -> Parsed<Option<String>> {
    expect(parser, &["IS"])?;
    if take(parser, &["NULL"]) { Ok(None) } else { text(parser).map(Some) }
}
