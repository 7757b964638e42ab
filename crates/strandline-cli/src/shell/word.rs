//! The words that the shell has for itself.

use strandline::near::offer_of;

use crate::failure::{Failure, Result};

/// What all of them are, for completion and for offering the nearest.
pub(super) const WORDS: [&str; 6] = ["\\d", "\\timing", "\\ref", "\\q", "\\quit", "\\?"];

/// Whether it is a word of the shell without a backslash, in letters of any case, as those of SQL are.
pub(super) fn is_plain(line: &str) -> bool {
    ["exit", "quit", HELP].iter().any(|word| line.eq_ignore_ascii_case(word))
}

const HELP: &str = "help";

/// A word of the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Help,
    List,
    Describe(String),
    Place,
    GoTo(String),
    Timing,
    Quit,
}

impl Word {
    /// The word that a line is, if it is one and no statement.
    pub(super) fn of(line: &str) -> Option<Result<Self>> {
        let line = line.trim().trim_end_matches(';').trim_end();
        if !line.starts_with('\\') {
            let word = if line.eq_ignore_ascii_case(HELP) { Self::Help } else { Self::Quit };
            return is_plain(line).then_some(Ok(word));
        }
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        Some(match (word, rest) {
            ("\\?" | "\\h" | "\\help", "") => Ok(Self::Help),
            ("\\d" | "\\dt", "") => Ok(Self::List),
            ("\\d", table) => Ok(Self::Describe(table.to_owned())),
            ("\\ref", "") => Ok(Self::Place),
            ("\\ref", reference) => Ok(Self::GoTo(reference.to_owned())),
            ("\\timing", "") => Ok(Self::Timing),
            ("\\q" | "\\quit", "") => Ok(Self::Quit),
            _ if WORDS.contains(&word) => Err(Failure::usage(format!("{word} takes nothing after it"))),
            _ => Err(Failure::usage(format!("{word} is no word of the shell{}", offer_of(word, WORDS)))
                .hint("\\? shows them all")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_with_a_backslash_and_all_else_is_sql() {
        let check = |line: &str, expected: Option<Word>| {
            assert_eq!(Word::of(line).map(|word| word.unwrap()), expected, "{line}");
        };
        check("SELECT 1;", None);
        check("\\d", Some(Word::List));
        check(" \\d sales.orders; ", Some(Word::Describe("sales.orders".to_owned())));
        check("\\ref dev", Some(Word::GoTo("dev".to_owned())));
        check("\\timing", Some(Word::Timing));
        check("exit", Some(Word::Quit));
        check("help", Some(Word::Help));
        check("HELP", Some(Word::Help));
        check("Quit;", Some(Word::Quit));
    }

    #[test]
    fn a_mistyped_word_is_offered_the_nearest() {
        let failure = Word::of("\\timng").unwrap().unwrap_err();
        assert!(failure.message().contains("did you mean \"\\timing\"?"), "{failure}");
    }
}
