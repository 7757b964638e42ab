//! Names as SQL reads them: in quotes where they would be something else without.

use datafusion::sql::sqlparser::keywords::{
    ALL_KEYWORDS, ALL_KEYWORDS_INDEX, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_TABLE_ALIAS,
};

/// A name of one or several parts, of which those in quotes that need some.
pub(super) fn in_statement(name: &str, always: bool) -> String {
    let part = |part: &str| if always || needs_quotes(part) { quoted(part) } else { part.to_owned() };
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

fn quoted(part: &str) -> String {
    format!("\"{}\"", part.replace('"', "\"\""))
}

fn needs_quotes(part: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphabetic() || letter == '_';
    let is_plain = part.starts_with(is_letter)
        && part.chars().all(|letter| is_letter(letter) || letter.is_ascii_digit());
    !is_plain || is_reserved(part)
}

/// Whether it is a word that ends a name, or a list of them.
fn is_reserved(part: &str) -> bool {
    let upper = part.to_uppercase();
    let Ok(at) = ALL_KEYWORDS.binary_search(&upper.as_str()) else { return false };
    let mut reserved = RESERVED_FOR_COLUMN_ALIAS.iter().chain(RESERVED_FOR_TABLE_ALIAS);
    ALL_KEYWORDS_INDEX.get(at).is_some_and(|keyword| reserved.any(|other| other == keyword))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_be_read_otherwise_are_quoted() {
        let check = |name: &str, expected: &str| assert_eq!(in_statement(name, false), expected);
        check("orders", "orders");
        check("Orders_2", "Orders_2");
        check("sales.orders", "sales.orders");
        check("sales.my orders", "sales.\"my orders\"");
        check("2026", "\"2026\"");
        check("a-b", "\"a-b\"");
        check("a\"b", "\"a\"\"b\"");
        check("select", "\"select\"");
        check("Group", "\"Group\"");
        check("été", "été");
        assert_eq!(in_statement("orders", true), "\"orders\"");
    }
}
