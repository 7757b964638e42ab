//! What the line editor asks while a person types: what can be completed, and whether the text is whole.

use rustyline::completion::Completer;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Highlighter, Hinter, Result};

use super::names::Names;
use super::word::WORDS;
use crate::statements::split;

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
        let begin = line.char_indices().rev().take_while(|(_, letter)| is_part(*letter)).last();
        let begin = begin.map_or(line.len(), |(at, _)| at);
        let (before, word) = line.split_at(begin);
        let found = match before.split_whitespace().last() {
            Some("\\d") => begins_with(self.names.tables.iter().map(String::as_str), word),
            Some("\\ref") => begins_with(self.names.refs.iter().map(String::as_str), word),
            _ if word.starts_with('\\') => begins_with(WORDS, word),
            _ if word.is_empty() => Vec::new(),
            last => self.in_statement(last, word),
        };
        (begin, found)
    }

    fn in_statement(&self, last: Option<&str>, word: &str) -> Vec<String> {
        if last.is_some_and(|last| BEFORE_TABLES.iter().any(|key| last.eq_ignore_ascii_case(key))) {
            return begins_with(self.names.tables.iter().map(String::as_str), word);
        }
        let after_ref =
            last.is_some_and(|last| ["BRANCH", "TAG"].iter().any(|key| last.eq_ignore_ascii_case(key)));
        if after_ref {
            return begins_with(self.names.refs.iter().map(String::as_str), word);
        }
        let words = || self.names.words.iter().map(String::as_str);
        let mut found = begins_with(words(), word);
        if let (true, Some((owner, column))) = (found.is_empty(), word.rsplit_once('.')) {
            // A column of something that has a name of its own here.
            let columns = begins_with(words().filter(|name| !name.contains('.')), column);
            found.extend(columns.into_iter().map(|column| format!("{owner}.{column}")));
        }
        let lower = word.chars().all(char::is_lowercase);
        let keywords = begins_with(KEYWORDS, word);
        found.extend(keywords.into_iter().map(|key| if lower { key.to_ascii_lowercase() } else { key }));
        found
    }
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
        let is_word = text.trim_start().starts_with('\\') || matches!(text.trim(), "exit" | "quit");
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
        let (words, tables) = (owned(&["amount", "sales.orders"]), owned(&["sales.orders"]));
        helper.know(Names { words, tables, refs: owned(&["dev", "main"]) });
        assert_eq!(helper.candidates(line), (begin, owned(expected)), "{line}");
    }

    #[test]
    fn names_keywords_refs_and_words_are_completed() {
        check("SELECT am", 7, &["amount"]);
        check("select * from sal", 14, &["sales.orders"]);
        check("SELECT sales.orders.am", 7, &["sales.orders.amount"]);
        check("SELECT o.am", 7, &["o.amount"]);
        check("SELECT * FROM am", 14, &[]);
        check("sel", 0, &["select"]);
        check("SEL", 0, &["SELECT"]);
        check("USE BRANCH d", 11, &["dev"]);
        check("\\d sa", 3, &["sales.orders"]);
        check("\\ref m", 5, &["main"]);
        check("\\ti", 0, &["\\timing"]);
        check("SELECT ", 7, &[]);
    }
}
