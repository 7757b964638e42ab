//! The words for types on the command line: those of tables, and SQL's own, in letters of any case.
//!
//! What does not belong here: which types tables have, which the format says.

use strandline::format::PrimitiveType;
use strandline::near::offer_of;

/// What SQL calls types, and what tables call them.
const WORDS: [(&str, &str); 30] = [
    ("bool", "boolean"),
    ("tinyint", "int"),
    ("smallint", "int"),
    ("integer", "int"),
    ("int4", "int"),
    ("int32", "int"),
    ("bigint", "long"),
    ("int8", "long"),
    ("int64", "long"),
    ("real", "float"),
    ("float4", "float"),
    ("float32", "float"),
    ("float8", "double"),
    ("float64", "double"),
    ("double precision", "double"),
    ("date32", "date"),
    ("datetime", "timestamp"),
    ("timestamp without time zone", "timestamp"),
    ("timestamp with time zone", "timestamptz"),
    ("time without time zone", "time"),
    ("text", "string"),
    ("varchar", "string"),
    ("char", "string"),
    ("utf8", "string"),
    ("character varying", "string"),
    ("bytea", "binary"),
    ("blob", "binary"),
    ("bytes", "binary"),
    ("varbinary", "binary"),
    ("guid", "uuid"),
];

/// What tables call their types, as people are told.
const TYPES: [&str; 15] = [
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "decimal(P,S)",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "timestamp_ns",
    "timestamptz_ns",
    "string",
    "uuid",
    "binary",
];

/// The type that a word names.
pub(super) fn type_of(text: &str) -> Result<PrimitiveType, String> {
    let word = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    if let Some((_, table)) = WORDS.iter().find(|(sql, _)| *sql == word) {
        return table.parse().map_err(|_| unknown(text, &word));
    }
    let Some((name, digits)) = word.split_once('(') else {
        return word.parse().map_err(|_| unknown(text, &word));
    };
    let digits: Vec<&str> = digits.trim_end_matches(')').split(',').map(str::trim).collect();
    let written = match (name.trim(), digits.as_slice()) {
        ("decimal" | "numeric", [precision]) => format!("decimal({precision},0)"),
        ("decimal" | "numeric", [precision, scale]) => format!("decimal({precision},{scale})"),
        // Texts have no greatest length.
        ("varchar" | "char", [length]) if length.parse::<u32>().is_ok() => "string".to_owned(),
        ("fixed", [length]) => format!("fixed({length})"),
        _ => return Err(unknown(text, name.trim())),
    };
    written.parse::<PrimitiveType>().map_err(|error| format!("{text:?} is no type: {error}"))
}

fn unknown(text: &str, word: &str) -> String {
    let words = TYPES.into_iter().chain(WORDS.iter().map(|(sql, _)| *sql));
    let offer = offer_of(word, words);
    let types = format!("there are {} and fixed(N)", TYPES.join(", "));
    match offer.is_empty() {
        true => format!("no type is called {text:?}: {types}"),
        false => format!("no type is called {text:?}{offer} ({types})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_sql_are_taken_in_any_letters() {
        let check = |text: &str, expected: &str| {
            let found = type_of(text).unwrap();
            assert_eq!(found, expected.parse().unwrap(), "{text}");
        };
        for (sql, table) in WORDS {
            check(sql, table);
            check(&sql.to_uppercase(), table);
        }
        for ty in TYPES.into_iter().filter(|ty| !ty.contains('(')) {
            check(ty, ty);
        }
        check("DECIMAL(10)", "decimal(10,0)");
        check("numeric( 10 , 2 )", "decimal(10,2)");
        check("decimal (38,2)", "decimal(38,2)");
        check(" Double  Precision ", "double");
        check("fixed(4)", "fixed(4)");
        check("VARCHAR(20)", "string");
    }

    #[test]
    fn another_word_is_told_the_types_and_the_nearest() {
        let said = type_of("strng").unwrap_err();
        assert!(said.starts_with("no type is called \"strng\", did you mean \"string\""), "{said}");
        assert!(said.ends_with(" timestamptz_ns, string, uuid, binary and fixed(N))"), "{said}");
        for text in ["decimal", "varchar(", "decimal(50,2)", "decimal(2,5)", "list(int)", ""] {
            assert!(type_of(text).is_err(), "{text}");
        }
    }
}
