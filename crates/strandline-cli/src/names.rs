//! Names on the command line, as SQL writes them: what stands in double quotes is taken as it is, a quote within is written twice.
//!
//! ```text
//! table   = part *("." part)
//! columns = part *("," part)
//! part    = text without `"` | `"` text with each `"` twice `"`
//! ```
//!
//! Outside of quotes all else is taken as it is as well, so that `my-table` needs none. What does not belong here: what a name may be,
//! which the format says.

use std::str::FromStr;

use strandline::format::NameKey;

/// Names of columns, one or several in one argument.
#[derive(Clone, Debug)]
pub(crate) struct Columns(Vec<String>);

impl Columns {
    /// All names of several arguments.
    pub(crate) fn names(all: &[Self]) -> Vec<String> {
        all.iter().flat_map(|columns| columns.0.iter().cloned()).collect()
    }
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parts(text, ',').map(Self)
    }
}

/// The name of a table, view or namespace.
pub(crate) fn table(text: &str) -> Result<String, String> {
    let parts = parts(text, '.')?;
    match parts.iter().find(|part| part.contains('.') && parts.len() > 1) {
        Some(part) => Err(format!("no name has a dot in it, as {part:?} has: dots stand between names")),
        None => Ok(parts.join(".")),
    }
}

/// Whether two names are of one table, view, namespace or column.
pub(crate) fn are_one(one: &str, other: &str) -> bool {
    NameKey::of(one) == NameKey::of(other)
}

/// The name of a column.
pub(crate) fn column(text: &str) -> Result<String, String> {
    match part(text)? {
        (name, "") => Ok(name),
        (_, rest) => Err(behind(rest)),
    }
}

/// The parts between these marks.
fn parts(text: &str, mark: char) -> Result<Vec<String>, String> {
    let (mut parts, mut left) = (Vec::new(), text);
    loop {
        let (name, rest) = match left.starts_with('"') {
            true => part(left)?,
            false => {
                let (name, rest) = left.split_at(left.find(mark).unwrap_or(left.len()));
                (name.to_owned(), rest)
            }
        };
        parts.push(name);
        match rest.strip_prefix(mark) {
            Some(rest) => left = rest,
            None if rest.is_empty() => return Ok(parts),
            None => return Err(behind(rest)),
        }
    }
}

/// What stands in quotes at the beginning, and what follows; without quotes, all of it.
fn part(text: &str) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else { return Ok((text.to_owned(), "")) };
    let mut name = String::new();
    let mut left = quoted;
    while let Some((before, after)) = left.split_once('"') {
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(rest) => {
                name.push('"');
                left = rest;
            }
            None => return Ok((name, after)),
        }
    }
    Err("a double quote is not closed".to_owned())
}

fn behind(rest: &str) -> String {
    format!("{rest:?} stands behind a name in double quotes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_those_of_sql() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(table(text).ok().as_deref(), expected, "{text}");
        };
        check("sales.orders", Some("sales.orders"));
        check("my-table", Some("my-table"));
        check("\"sp ace\"", Some("sp ace"));
        check("sales.\"a\"\"b\"", Some("sales.a\"b"));
        check("\"sales\".\"orders\"", Some("sales.orders"));
        // As in SQL, where one name in quotes may be that of a table in a namespace.
        check("\"sales.orders\"", Some("sales.orders"));
        check("\"a.b\".c", None);
        check("\"a", None);
        check("\"a\"b", None);
    }

    #[test]
    fn columns_stand_between_commas() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let found = text.parse::<Columns>().ok().map(|columns| columns.0);
            let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            assert_eq!(found, expected, "{text}");
        };
        check("id,amount", Some(&["id", "amount"]));
        check("\"p,q\",b c", Some(&["p,q", "b c"]));
        check("a.b", Some(&["a.b"]));
        check("\"a\"b", None);
    }

    #[test]
    fn one_column_is_taken_whole() {
        assert_eq!(column("p,q").as_deref(), Ok("p,q"));
        assert_eq!(column("\"p,q\"").as_deref(), Ok("p,q"));
        assert!(column("\"p\"q").is_err());
    }
}
