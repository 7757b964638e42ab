//! `CREATE SCHEMA | TABLE | VIEW`.
//!
//! ```text
//! CREATE [OR REPLACE] TABLE [IF NOT EXISTS] name [(column, …, constraint, …)]
//!     [PARTITION BY (transform, …)] [CLUSTER BY (column [ASC|DESC] [NULLS FIRST|LAST], …)]
//!     [WITH (key = value, …)] [COMMENT 'text'] [AS query]
//! column     = name type [NOT NULL] [DEFAULT constant] [PRIMARY KEY] [CHECK (condition)] [COMMENT 'text']
//! constraint = [CONSTRAINT name] (PRIMARY KEY (column, …) | CHECK (condition))
//! transform  = column | bucket(N, column) | truncate(N, column) | year(column) | month(column) | day(column) | hour(column)
//! ```
//!
//! What does not belong here: whether such a table can be, which is the SDK's to say.

use datafusion::sql::sqlparser::ast::{Expr, Query};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use strandline::format::{Direction, NullOrder, Transform};

use super::nesting;
use super::types::column_type;
use super::words::{
    Parsed, expect, identifier, if_absent, in_parens, name, next_are, path, refuse, take, take_one_of, text,
};
use crate::sql::statement::{Check, Column, CreateTable, CreateView, Name, Sorted, Statement};

pub(super) fn create(parser: &mut Parser<'_>) -> Parsed<Option<Statement>> {
    if let Some(statement) = super::refs::create_ref(parser)? {
        return Ok(Some(statement));
    }
    if take(parser, &["CREATE", "SCHEMA"]) || take(parser, &["CREATE", "NAMESPACE"]) {
        let if_absent = if_absent(parser);
        return Ok(Some(Statement::CreateSchema { name: name(parser)?, if_absent }));
    }
    for (words, or_replace) in [(&["CREATE"][..], false), (&["CREATE", "OR", "REPLACE"], true)] {
        let with = |word| [words, &[word]].concat();
        if take(parser, &with("TABLE")) {
            return table(parser, or_replace).map(|table| Some(Statement::CreateTable(Box::new(table))));
        }
        if take(parser, &with("VIEW")) {
            return view(parser, or_replace).map(|view| Some(Statement::CreateView(Box::new(view))));
        }
        if ["TEMP", "TEMPORARY"].into_iter().any(|word| next_are(parser, &with(word))) {
            return refuse(
                "a lake has no temporary tables: register one with the session, as a DataFrame's view",
            );
        }
    }
    Ok(None)
}

fn table(parser: &mut Parser<'_>, or_replace: bool) -> Parsed<CreateTable> {
    let if_absent = if_absent(parser);
    let mut table = CreateTable::new(name(parser)?, or_replace, if_absent);
    if or_replace && if_absent {
        return refuse("OR REPLACE and IF NOT EXISTS contradict each other");
    }
    if *parser.peek_token_ref() == Token::LParen {
        for part in in_parens(parser, part)? {
            table.add(part)?;
        }
    }
    while let Some(clause) = take_one_of(parser, CLAUSES) {
        table.clause(clause, parser)?;
        if table.query.is_some() {
            break;
        }
    }
    Ok(table)
}

/// What begins a clause behind the columns.
const CLAUSES: &[&str] = &["PARTITION", "PARTITIONED", "CLUSTER", "WITH", "TBLPROPERTIES", "COMMENT", "AS"];

impl CreateTable {
    fn new(name: Name, or_replace: bool, if_absent: bool) -> Self {
        Self {
            name,
            or_replace,
            if_absent,
            columns: Vec::new(),
            key: Vec::new(),
            checks: Vec::new(),
            sorted_by: Vec::new(),
            split_by: Vec::new(),
            properties: Vec::new(),
            comment: None,
            query: None,
        }
    }

    fn add(&mut self, part: Part) -> Parsed<()> {
        match part {
            Part::Column { column, key, checks } => {
                if key {
                    self.set_key(vec![column.name.clone()])?;
                }
                self.checks.extend(checks);
                self.columns.push(*column);
            }
            Part::Key(columns) => self.set_key(columns)?,
            Part::Check(check) => self.checks.push(check),
        }
        Ok(())
    }

    fn set_key(&mut self, columns: Vec<String>) -> Parsed<()> {
        if !self.key.is_empty() {
            return refuse("a table has one PRIMARY KEY: name all of its columns in PRIMARY KEY (…)");
        }
        self.key = columns;
        Ok(())
    }

    fn clause(&mut self, clause: &str, parser: &mut Parser<'_>) -> Parsed<()> {
        match clause {
            "PARTITION" | "PARTITIONED" => {
                expect(parser, &["BY"])?;
                once(self.split_by.is_empty(), "PARTITION BY")?;
                self.split_by = in_parens(parser, transform)?;
            }
            "CLUSTER" => {
                expect(parser, &["BY"])?;
                once(self.sorted_by.is_empty(), "CLUSTER BY")?;
                self.sorted_by = in_parens(parser, sorted)?;
            }
            "WITH" | "TBLPROPERTIES" => {
                for (key, value) in in_parens(parser, property)? {
                    once(self.properties.iter().all(|(known, _)| *known != key), &key)?;
                    self.properties.push((key, value));
                }
            }
            "COMMENT" => {
                let _ = parser.consume_token(&Token::Eq);
                once(self.comment.is_none(), "COMMENT")?;
                self.comment = Some(text(parser)?);
            }
            _ => self.query = Some(query(parser)?),
        }
        Ok(())
    }
}

/// Refuses a clause that stands there a second time.
fn once(is_first: bool, clause: &str) -> Parsed<()> {
    if is_first { Ok(()) } else { refuse(format!("{clause} stands there twice")) }
}

/// What stands between the parentheses behind a table's name.
enum Part {
    Column { column: Box<Column>, key: bool, checks: Vec<Check> },
    Key(Vec<String>),
    Check(Check),
}

fn part(parser: &mut Parser<'_>) -> Parsed<Part> {
    let constraint = take(parser, &["CONSTRAINT"]).then(|| identifier(parser)).transpose()?;
    if constraint.is_some() || next_are(parser, &["PRIMARY", "KEY"]) || opens(parser, "CHECK") {
        return table_constraint(parser, constraint);
    }
    if opens(parser, "UNIQUE") || next_are(parser, &["FOREIGN", "KEY"]) {
        return refuse("only PRIMARY KEY and CHECK are constraints of a lake's table");
    }
    let (column, key, checks) = column_with_constraints(parser)?;
    Ok(Part::Column { column: Box::new(column), key, checks })
}

/// Whether this word comes next, and a parenthesis after it: else it is the name of a column.
fn opens(parser: &Parser<'_>, word: &str) -> bool {
    next_are(parser, &[word]) && parser.peek_nth_token(1).token == Token::LParen
}

fn table_constraint(parser: &mut Parser<'_>, name: Option<String>) -> Parsed<Part> {
    if take(parser, &["PRIMARY", "KEY"]) {
        return in_parens(parser, path).map(Part::Key);
    }
    if next_are(parser, &["CHECK"]) {
        return check(parser, name).map(Part::Check);
    }
    refuse("only PRIMARY KEY and CHECK are constraints of a lake's table")
}

/// `CHECK (condition)`.
pub(super) fn check(parser: &mut Parser<'_>, name: Option<String>) -> Parsed<Check> {
    expect(parser, &["CHECK"])?;
    parser.expect_token(&Token::LParen)?;
    let mut condition = parser.parse_expr()?;
    nesting::bounded(&mut condition)?;
    let condition = condition.to_string();
    parser.expect_token(&Token::RParen)?;
    Ok(Check { name, condition })
}

/// A column without constraints other than `NOT NULL`.
pub(super) fn column(parser: &mut Parser<'_>) -> Parsed<Column> {
    match column_with_constraints(parser)? {
        (column, false, checks) if checks.is_empty() => Ok(column),
        _ => refuse("add the column first, and its constraint by ADD CHECK or ADD PRIMARY KEY"),
    }
}

fn column_with_constraints(parser: &mut Parser<'_>) -> Parsed<(Column, bool, Vec<Check>)> {
    let name = identifier(parser)?;
    let ty = column_type(parser)?;
    let mut column = Column { name, ty, required: false, default: None, comment: None };
    let (mut key, mut nullable, mut checks) = (false, false, Vec::new());
    loop {
        if take(parser, &["NOT", "NULL"]) {
            column.required = true;
        } else if take(parser, &["DEFAULT"]) {
            once(column.default.is_none(), "DEFAULT")?;
            column.default = Some(constant(parser)?);
        } else if take(parser, &["COMMENT"]) {
            once(column.comment.is_none(), "COMMENT")?;
            column.comment = Some(text(parser)?);
        } else if take(parser, &["PRIMARY", "KEY"]) {
            // The columns of a key are never null.
            (key, column.required) = (true, true);
        } else if next_are(parser, &["CONSTRAINT"]) || next_are(parser, &["CHECK"]) {
            let name = take(parser, &["CONSTRAINT"]).then(|| identifier(parser)).transpose()?;
            checks.push(check(parser, name)?);
        } else if take(parser, &["NULL"]) {
            nullable = true;
        } else if nullable && column.required {
            return refuse(format!("column {} is said to be NULL, and not to be", column.name));
        } else {
            return Ok((column, key, checks));
        }
    }
}

/// The constant of a default: what binds tighter than `NOT NULL` behind it.
pub(super) fn constant(parser: &mut Parser<'_>) -> Parsed<Expr> {
    use datafusion::sql::sqlparser::dialect::{Dialect, Precedence};
    let mut constant = parser.parse_subexpr(crate::sql::dialect::LakeDialect.prec_value(Precedence::Is))?;
    nesting::bounded(&mut constant)?;
    Ok(constant)
}

/// `day(ts)`, `bucket(16, id)`, `region`.
pub(super) fn transform(parser: &mut Parser<'_>) -> Parsed<(String, Transform)> {
    if parser.peek_nth_token(1).token != Token::LParen {
        return Ok((path(parser)?, Transform::Identity));
    }
    let called = identifier(parser)?;
    parser.expect_token(&Token::LParen)?;
    let number = match parser.peek_token().token {
        Token::Number(..) => {
            let number = parser.parse_literal_uint()?;
            parser.expect_token(&Token::Comma)?;
            Some(number)
        }
        _ => None,
    };
    let column = path(parser)?;
    parser.expect_token(&Token::RParen)?;
    let (called, column) = (called.as_str(), column);
    let spelled = match (called, number) {
        ("years", None) => "year".to_owned(),
        ("months", None) => "month".to_owned(),
        ("days", None) => "day".to_owned(),
        ("hours", None) => "hour".to_owned(),
        (_, None) => called.to_owned(),
        (_, Some(number)) => format!("{called}[{number}]"),
    };
    match spelled.parse() {
        Ok(transform) => Ok((column, transform)),
        Err(_) => refuse(format!(
            "no transform {spelled}: write identity(c), bucket(N, c), truncate(N, c), year(c), month(c), day(c) or hour(c)"
        )),
    }
}

/// `a DESC NULLS FIRST`.
pub(super) fn sorted(parser: &mut Parser<'_>) -> Parsed<Sorted> {
    let column = path(parser)?;
    let descending = take_one_of(parser, &["ASC", "DESC"]) == Some("DESC");
    let direction = if descending { Direction::Descending } else { Direction::Ascending };
    // As in DataFusion, null counts as greater than all values unless it is said otherwise.
    let usual = if descending { NullOrder::First } else { NullOrder::Last };
    if !take(parser, &["NULLS"]) {
        return Ok((column, direction, usual));
    }
    match take_one_of(parser, &["FIRST", "LAST"]) {
        Some("FIRST") => Ok((column, direction, NullOrder::First)),
        Some(_) => Ok((column, direction, NullOrder::Last)),
        None => parser.expected_ref("FIRST or LAST", parser.peek_token_ref()),
    }
}

/// `key = value`; the key in quotes of either kind, or words between dots.
pub(super) fn property(parser: &mut Parser<'_>) -> Parsed<(String, String)> {
    let key = property_key(parser)?;
    parser.expect_token(&Token::Eq)?;
    let value = match parser.next_token().token {
        Token::SingleQuotedString(text) | Token::Number(text, _) => text,
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
        _ => {
            parser.prev_token();
            return parser.expected_ref("a value", parser.peek_token_ref());
        }
    };
    Ok((key, value))
}

pub(super) fn property_key(parser: &mut Parser<'_>) -> Parsed<String> {
    match parser.peek_token().token {
        Token::SingleQuotedString(_) => text(parser),
        _ => path(parser),
    }
}

fn view(parser: &mut Parser<'_>, or_replace: bool) -> Parsed<CreateView> {
    let if_absent = if_absent(parser);
    if or_replace && if_absent {
        return refuse("OR REPLACE and IF NOT EXISTS contradict each other");
    }
    let name = name(parser)?;
    let has_columns = *parser.peek_token_ref() == Token::LParen;
    let columns = if has_columns { in_parens(parser, identifier)? } else { Vec::new() };
    expect(parser, &["AS"])?;
    Ok(CreateView { name, or_replace, if_absent, columns, query: query(parser)? })
}

fn query(parser: &mut Parser<'_>) -> Parsed<Box<Query>> {
    let mut query = parser.parse_query()?;
    nesting::bounded(query.as_mut())?;
    Ok(query)
}
