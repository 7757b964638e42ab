//! What the line editor asks while a person types: what can be completed, and whether the text is whole.

use rustyline::completion::Completer;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Highlighter, Hinter, Result};

use super::names::Names;
use super::quoted::in_statement;
use super::word::{WORDS, is_plain};
use crate::statements::{Within, ends_within, split};

/// What SQL has words for, as far as people complete them.
const KEYWORDS: [&str; 41] = [
    "ALTER", "AND", "AS", "BEGIN", "BETWEEN", "BRANCH", "BY", "COMMIT", "COMPACT", "CREATE", "DELETE",
    "DESCRIBE", "DROP", "EXPLAIN", "FROM", "GROUP", "HAVING", "IN", "INSERT", "INTO", "IS", "JOIN", "LEFT",
    "LIKE", "LIMIT", "MERGE", "NOT", "NULL", "ON", "ORDER", "ROLLBACK", "SELECT", "SET", "SHOW", "TABLE",
    "TAG", "UPDATE", "USE", "VALUES", "VERSION", "WHERE",
];

/// After these words a table is named.
const BEFORE_TABLES: [&str; 6] = ["FROM", "INTO", "JOIN", "UPDATE", "TABLE", "DESCRIBE"];

/// What the line editor asks.
#[derive(Debug, Default, Helper, Highlighter, Hinter)]
pub(super) struct ShellHelper {
    names: Names,
}

impl ShellHelper {
    /// From here on these names are completed.
    pub(super) fn know(&mut self, names: Names) {
        self.names = names;
    }

    /// What may stand at the end of a line.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        let is_part = |letter: char| letter.is_alphanumeric() || "_.-\\".contains(letter);
        let word = line.char_indices().rev().take_while(|(_, letter)| is_part(*letter)).last();
        let word = word.map_or(line.len(), |(at, _)| at);
        let (begin, quoted) = match ends_within(line) {
            Within::Nothing => (word, false),
            // Of a name in quotes, all that is in them.
            Within::Name(opened) => (opened, true),
            Within::Text => return (line.len(), Vec::new()),
        };
        let (before, word) = line.split_at(begin);
        let word = word.strip_prefix('"').unwrap_or(word);
        let tables = || self.names.tables.keys().map(String::as_str);
        let found = match before.split_whitespace().last() {
            Some("\\d") => named(tables(), word, quoted),
            Some("\\ref") => begins_with(self.names.refs.iter().map(String::as_str), word),
            _ if word.starts_with('\\') => begins_with(WORDS, word),
            _ if word.is_empty() => Vec::new(),
            last => self.in_statement(last, word, quoted),
        };
        (begin, found)
    }

    fn in_statement(&self, last: Option<&str>, word: &str, quoted: bool) -> Vec<String> {
        let follows =
            |keys: &[&str]| last.is_some_and(|last| keys.iter().any(|key| last.eq_ignore_ascii_case(key)));
        let tables = || named(self.names.tables.keys().map(String::as_str), word, quoted);
        if follows(&BEFORE_TABLES) {
            return tables();
        }
        if follows(&["BRANCH", "TAG"]) {
            return named(self.names.refs.iter().map(String::as_str), word, quoted);
        }
        let mut found = named(self.names.columns(None), word, quoted);
        found.extend(tables());
        if let (true, Some((owner, column))) = (found.is_empty(), word.rsplit_once('.')) {
            found.extend(self.of_owner(owner, column));
        }
        if quoted {
            return found;
        }
        let lower = word.chars().all(char::is_lowercase);
        let keywords = begins_with(KEYWORDS, word);
        found.extend(keywords.into_iter().map(|key| if lower { key.to_ascii_lowercase() } else { key }));
        found
    }

    /// Columns of a table, or of something that has a name of its own here.
    fn of_owner(&self, owner: &str, column: &str) -> Vec<String> {
        let of_table = self.names.columns(Some(owner));
        let columns = if of_table.is_empty() { self.names.columns(None) } else { of_table };
        named(columns, column, false).into_iter().map(|column| format!("{owner}.{column}")).collect()
    }
}

/// The names that begin with a word, as statements have them.
fn named<'n>(names: impl IntoIterator<Item = &'n str>, word: &str, quoted: bool) -> Vec<String> {
    begins_with(names, word).into_iter().map(|name| in_statement(&name, quoted)).collect()
}

/// The names that begin with a word, whatever its case.
fn begins_with<'n>(names: impl IntoIterator<Item = &'n str>, word: &str) -> Vec<String> {
    let begins = |name: &&str| name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    names.into_iter().filter(begins).map(ToOwned::to_owned).collect()
}

impl Completer for ShellHelper {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<String>)> {
        Ok(self.candidates(line.get(..pos).unwrap_or(line)))
    }
}

impl Validator for ShellHelper {
    /// A statement is whole once a semicolon ends it.
    fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        let text = context.input();
        let is_word = text.trim_start().starts_with('\\') || is_plain(text.trim());
        let whole = is_word || split(text).rest.text.is_empty();
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, begin: usize, expected: &[&str]) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut helper = ShellHelper::default();
        let tables = [
            ("sales.orders", &["amount", "day"][..]),
            ("Mixed Case", &["group"]),
            ("view", &["amount", "dear"]),
        ];
        let tables = tables.map(|(name, columns)| (name.to_owned(), owned(columns)));
        helper.know(Names { tables: tables.into(), refs: owned(&["dev", "main"]) });
        assert_eq!(helper.candidates(line), (begin, owned(expected)), "{line}");
    }

    #[test]
    fn names_keywords_refs_and_words_are_completed() {
        check("SELECT am", 7, &["amount"]);
        check("select * from sal", 14, &["sales.orders"]);
        check("SELECT sales.orders.am", 7, &["sales.orders.amount"]);
        check("SELECT o.am", 7, &["o.amount"]);
        check("SELECT * FROM am", 14, &[]);
        check("SELECT view.d", 7, &["view.dear"]);
        check("SELECT view.x", 7, &[]);
        check("SELECT o.d", 7, &["o.day", "o.dear"]);
        check("SELECT * FROM Mi", 14, &["\"Mixed Case\""]);
        check("SELECT * FROM \"Mixed C", 14, &["\"Mixed Case\""]);
        check("SELECT * FROM \"sales.o", 14, &["\"sales\".\"orders\""]);
        check("SELECT gro", 7, &["\"group\"", "group"]);
        check("sel", 0, &["select"]);
        check("SEL", 0, &["SELECT"]);
        check("USE BRANCH d", 11, &["dev"]);
        check("\\d sa", 3, &["sales.orders"]);
        check("\\ref m", 5, &["main"]);
        check("\\ti", 0, &["\\timing"]);
        check("SELECT ", 7, &[]);
        check("SELECT 'x Mi", 12, &[]);
        check("SELECT '\"', am", 12, &["amount"]);
        check("SELECT 1; -- \"Mi", 16, &[]);
    }
}
