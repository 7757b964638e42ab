//! The text of predicates and literals: what `parse` reads back as the same predicate.

use std::fmt::{self, Write};

use strandline_format::Comparison;

use super::calendar;
use super::literal::{Exact, Kind, Literal};
use super::parse::{ESCAPE, is_reserved};
use super::predicate::{Column, Node, Predicate, Test};

/// Reads back as the same predicate, if it is nested no deeper than texts may be.
impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_node(f, &self.0)
    }
}

fn write_node(f: &mut fmt::Formatter<'_>, node: &Node) -> fmt::Result {
    match node {
        Node::Constant(truth) => f.write_str(if *truth { "TRUE" } else { "FALSE" }),
        Node::And(parts) => write_parts(f, parts, " AND ", |part| matches!(part, Node::Or(_))),
        Node::Or(parts) => write_parts(f, parts, " OR ", |_| false),
        Node::Not(inner) => {
            f.write_str("NOT ")?;
            write_wrapped(f, inner, !matches!(**inner, Node::Constant(_) | Node::Test(_, Test::IsTrue)))
        }
        Node::Test(column, test) => write_test(f, column, test),
    }
}

fn write_parts(
    f: &mut fmt::Formatter<'_>,
    parts: &[Node],
    between: &str,
    wrapped: fn(&Node) -> bool,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        f.write_str(if at == 0 { "" } else { between })?;
        write_wrapped(f, part, wrapped(part))?;
    }
    Ok(())
}

fn write_wrapped(f: &mut fmt::Formatter<'_>, node: &Node, wrapped: bool) -> fmt::Result {
    f.write_str(if wrapped { "(" } else { "" })?;
    write_node(f, node)?;
    f.write_str(if wrapped { ")" } else { "" })
}

fn write_test(f: &mut fmt::Formatter<'_>, column: &Column, test: &Test) -> fmt::Result {
    match test {
        Test::IsTrue => write!(f, "{column}"),
        Test::IsNull => write!(f, "{column} IS NULL"),
        Test::IsNotNull => write!(f, "{column} IS NOT NULL"),
        Test::Compare(comparison, literal) => write!(f, "{column} {} {literal}", symbol(*comparison)),
        Test::In(literals) => write_list(f, column, "IN", literals),
        Test::NotIn(literals) => write_list(f, column, "NOT IN", literals),
        Test::Between(low, high) => write!(f, "{column} BETWEEN {low} AND {high}"),
        Test::StartsWith(Literal(Kind::String(prefix))) => {
            write!(f, "{column} LIKE {}", quoted(&format!("{}%", escaped(prefix)), '\''))
        }
        Test::StartsWith(prefix) => write!(f, "starts_with({column}, {prefix})"),
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, column: &Column, word: &str, literals: &[Literal]) -> fmt::Result {
    write!(f, "{column} {word} (")?;
    for (at, literal) in literals.iter().enumerate() {
        write!(f, "{}{literal}", if at == 0 { "" } else { ", " })?;
    }
    f.write_str(")")
}

fn symbol(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

/// A prefix as a pattern means it.
fn escaped(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len());
    for letter in prefix.chars() {
        if matches!(letter, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(letter);
    }
    pattern
}

fn quoted(text: &str, quote: char) -> String {
    format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")))
}

/// Names with dots between them, in quotes where they need them.
impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "." })?;
            if is_plain(name) { f.write_str(name)? } else { f.write_str(&quoted(name, '"'))? }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    letters
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && !is_reserved(name)
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Boolean(truth) => f.write_str(if *truth { "TRUE" } else { "FALSE" }),
            Kind::Exact(number) => write!(f, "{number}"),
            Kind::Float(number) if number.is_nan() => f.write_str("DOUBLE 'NaN'"),
            Kind::Float(number) if number.is_infinite() => {
                f.write_str(if *number > 0.0 { "DOUBLE 'Infinity'" } else { "DOUBLE '-Infinity'" })
            }
            Kind::Float(number) => write!(f, "{number:e}"),
            Kind::String(text) => f.write_str(&quoted(text, '\'')),
            Kind::Bytes(bytes) => write!(f, "X'{}'", hex(bytes)?),
            Kind::Uuid(id) => write!(f, "UUID '{}'", format_uuid(id)?),
            Kind::Date(days) => write!(f, "DATE '{}'", calendar::format_date(i64::from(*days))),
            Kind::Time(nanos) => write!(f, "TIME '{}'", calendar::format_time(*nanos)),
            Kind::Timestamp { nanos, utc } => {
                let text = calendar::format_timestamp(*nanos).ok_or(fmt::Error)?;
                write!(f, "TIMESTAMP '{text}{}'", if *utc { "Z" } else { "" })
            }
        }
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let digits = format!("{:0width$}", self.unscaled.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.unscaled < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}{}{fraction}", if scale == 0 { "" } else { "." })
    }
}

fn hex(bytes: &[u8]) -> Result<String, fmt::Error> {
    let mut text = String::with_capacity(2 * bytes.len());
    bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}"))?;
    Ok(text)
}

fn format_uuid(id: &[u8; 16]) -> Result<String, fmt::Error> {
    let mut text = hex(id)?;
    [20, 16, 12, 8].into_iter().for_each(|at| text.insert(at, '-'));
    Ok(text)
}
