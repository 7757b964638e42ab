//! What is refused, by kind, and what the message says.

use strandline_format::{ColumnName, Field, PrimitiveType, Schema, Type};

use crate::ErrorKind;
use crate::filter::evaluate::evaluate;
use crate::filter::parse::MAX_DEPTH;
use crate::filter::{Literal, Predicate, col};

fn schema() -> Schema {
    let field = |name: &str, ty: Type| Field::optional(ColumnName::new(name).unwrap(), ty);
    let primitive = |name: &str, ty: PrimitiveType| field(name, ty.into());
    let city = primitive("City", PrimitiveType::String);
    Schema::numbered(vec![
        primitive("amount", PrimitiveType::Int),
        primitive("day", PrimitiveType::Date),
        primitive("at", PrimitiveType::Timestamp),
        primitive("instant", PrimitiveType::TimestampTz),
        primitive("hash", PrimitiveType::Fixed(4)),
        field("address", Type::Struct(vec![city])),
        field("tags", Type::list(PrimitiveType::String, false).unwrap()),
        field("notes", Type::map(PrimitiveType::String, PrimitiveType::String, false).unwrap()),
    ])
    .unwrap()
}

#[track_caller]
fn refused(text: &str, part: &str) {
    refused_as(ErrorKind::InvalidInput, text, part);
}

#[track_caller]
fn refused_as(kind: ErrorKind, text: &str, part: &str) {
    let error = Predicate::parse(text).and_then(|predicate| predicate.bind(&schema())).unwrap_err();
    assert_eq!(error.kind(), kind, "{text}");
    assert!(error.message().contains(part), "{text}: {error}");
}

#[test]
fn what_is_beyond_the_language_is_named() {
    for (text, part) in [
        ("", "it ends where a column should stand"),
        ("amount >", "it ends where a literal should stand"),
        ("amount = 1 amount = 2", "amount stands where the end, AND or OR should"),
        ("amount = 1;", "; stands where"),
        ("amount + 1 > 5", "line 1, column 8: the operator + is beyond this language; what there is"),
        ("amount\n  * 2 > 5", "line 2, column 3: the operator *"),
        ("amount = 1 + 1", "the operator +"),
        ("amount::text = 'x'", "the operator ::"),
        ("lower(address.city) = 'x'", "the function lower"),
        ("amount = abs(1)", "the function abs"),
        ("CASE WHEN amount = 1 THEN TRUE END", "CASE is beyond"),
        ("CAST(amount AS TEXT) = 'x'", "CAST is beyond"),
        ("amount IN (SELECT 1)", "SELECT is beyond"),
        ("EXISTS (SELECT 1)", "EXISTS is beyond"),
        ("amount > day", "day, which is not a literal, is beyond"),
        ("amount = NULL", "say IS NULL"),
        ("amount IN (1, NULL)", "say IS NULL"),
        ("amount IN ()", ") stands where a literal should"),
        ("amount IS TRUE", "NULL or NOT NULL after IS"),
        ("address.city ILIKE 'b%'", "ILIKE is beyond"),
        ("address.city LIKE '%b'", "has a % before its end"),
        ("address.city LIKE 'b_%'", "has a _ that may be any letter"),
        ("address.city LIKE 'b'", "say = for the whole string"),
        (r"address.city LIKE 'b\'", "ends with its escape"),
        (r"address.city LIKE 'b\x%'", "escapes a letter that needs none"),
        ("address.city LIKE 'b%' ESCAPE 'xy'", "is not one letter"),
        ("amount BETWEEN 1 OR 2", "AND between the two ends"),
        ("amount NOT 5", "IN, BETWEEN or LIKE after NOT"),
        ("1 = 1", "1 stands where a column should"),
        ("5", "a comparison of the literal with a column"),
        ("(amount) = 5", "= stands where the end, AND or OR should"),
        ("amount = 'unended", "Unterminated string literal"),
        ("amount = X'0'", "pairs of hexadecimal digits"),
        ("day = DATE '2026-02-30'", "is not a date"),
        ("amount = 1e999", "not a finite double"),
        ("amount = 999999999999999999999999999999999999999", "at most 38 digits"),
        ("day > INTERVAL '1' DAY", "INTERVAL is beyond"),
        ("amount = $1", "stands where a literal should"),
    ] {
        refused(text, part);
    }
}

#[test]
fn what_does_not_fit_the_schema_is_named() {
    for (text, part) in [
        ("amuont = 1", "no column \"amuont\", did you mean \"amount\"?"),
        ("address.ctiy = 'x'", "no column \"ctiy\" of address.ctiy, did you mean \"City\"?"),
    ] {
        refused_as(ErrorKind::NotFound, text, part);
    }
    for (text, part) in [
        ("amount.x = 1", "amount is a int, it has no \"x\" in it"),
        ("address = 'x'", "address is a struct; only the fields in it"),
        ("address IS NULL", "address is a struct"),
        ("tags IS NULL", "tags is a list"),
        ("tags.element = 'x'", "tags is a list; what is in it cannot be asked for"),
        ("notes.key = 'x'", "notes is a map"),
        ("amount = 'five'", "column amount of type int cannot be compared with 'five': give a number"),
        ("amount", "column amount by itself is no condition: it is of type int"),
        ("amount LIKE '5%'", "column amount of type int cannot begin with '5'"),
        ("day = 5", "give a date, like DATE"),
        ("day = '2026-1-1'", "give a date"),
        ("at = '2026-01-01 00:00:00Z'", "give a timestamp in no zone"),
        ("instant = '2026-01-01 00:00:00'", "give a timestamp in UTC or at an offset"),
        ("instant = DATE '2026-01-01'", "give a timestamp in UTC"),
        ("hash = X'00'", "give 4 bytes"),
        ("address.city = 5", "column address.city of type string cannot be compared with 5"),
        ("amount IN (1, 'x')", "cannot be compared with 'x'"),
        ("amount BETWEEN 1 AND 'x'", "cannot be compared with 'x'"),
    ] {
        refused(text, part);
    }
    assert!(col("").eq(1).bind(&schema()).unwrap_err().message().contains("no column \"\""));
}

#[test]
fn literals_are_read_strictly() {
    let check = |literal: fn(&str) -> crate::Result<Literal>, good: &[&str], bad: &[&str]| {
        good.iter().for_each(|text| assert!(literal(text).is_ok(), "{text}"));
        for text in bad {
            assert_eq!(literal(text).unwrap_err().kind(), ErrorKind::InvalidInput, "{text}");
        }
    };
    let dates =
        ["2024-02-29", "0000-01-01", "-0001-12-31", "+10000-01-01", "-5877641-06-23", "+5881580-07-11"];
    let not_dates = [
        "",
        "2026-1-01",
        "2026-13-01",
        "2026-00-01",
        "2025-02-29",
        "26-01-01",
        "+2026-01-01",
        "10000-01-01",
        "2026-01-01 ",
        "2026-01-011",
        "+5881580-07-12",
        "-5877641-06-22",
        "-0000-01-01",
        "+99999999999999999999-01-01",
        "9223372036854775807-01-01",
        "+9223372036854775807-01-01",
        "2026-01-ü1",
    ];
    check(Literal::date, &dates, &not_dates);
    check(
        Literal::time,
        &["00:00", "23:59:59", "23:59:59.123456789"],
        &["24:00", "0:00", "00:60", "00:00:60", "00:00:00.", "00:00:00.1234567890", "00:00:00:00", "+0:00"],
    );
    check(
        Literal::timestamp,
        &["2026-01-01 00:00", "2026-01-01T00:00:00.1Z", "2026-01-01 00:00-23:59"],
        &[
            "2026-01-01",
            "2026-01-01  00:00",
            "2026-01-01 00:00z",
            "2026-01-01 00:00+1",
            "2026-01-01 00:00+01:00:00",
            "-5877641-06-23 00:00+01:00",
        ],
    );
    check(
        Literal::decimal,
        &["0", "-0.50", "+1", ".5", "5.", "00000000000000000000000000000000000000000001"],
        &["", ".", "-", "1e5", "1,5", "--1", "1.2.3", " 1", "0.000000000000000000000000000000000000001", "ü"],
    );
    check(
        Literal::uuid,
        &["6BA7B810-9dad-11d1-80b4-00c04fd430c8"],
        &[
            "",
            "6ba7b8109dad11d180b400c04fd430c8",
            "6ba7b810-9dad-11d1-80b4-00c04fd430c",
            "\"",
            "\\u0036ba7b810",
        ],
    );
}

#[test]
fn depth_is_bounded_and_length_is_not() {
    let nested = |depth: usize| format!("{}amount = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Predicate::parse(&nested(MAX_DEPTH)).is_ok());
    refused(&nested(MAX_DEPTH + 1), "parentheses nest deeper than 64");
    refused(&nested(300_000), "parentheses nest deeper than 64");
    refused(&"(".repeat(1_000_000), "parentheses nest deeper than 64");
    let long = vec!["amount = 1"; 50_000].join(" OR ");
    Predicate::parse(&long).unwrap().bind(&schema()).unwrap();
    Predicate::parse(&format!("{}amount = 1", "NOT ".repeat(100_001))).unwrap();
    refused(&"a.".repeat(100_000), "it ends where a column should stand");
}

#[test]
fn a_batch_without_the_column_or_of_another_type_is_refused() {
    use super::batch::{array, batch};
    let schema = schema();
    let filter = Predicate::parse("amount = 1").unwrap().bind(&schema).unwrap();
    let texts = array(PrimitiveType::String, &[None], false);
    for (batch, part) in [
        (batch(&[], 1), "no column with the field id 1"),
        (batch(&[("amount", schema.fields()[0].id, texts)], 1), "Utf8 does not compare with the literal 1"),
    ] {
        let error = evaluate(&filter, &batch).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains(part), "{error}");
    }
}
