//! `CHECK` constraints: declared, made ready, held against rows.

use std::sync::Arc;

use arrow::array::{Int32Array, RecordBatch, StringArray};
use strandline_format::{ColumnName, Constraint, Field, FieldId, PrimitiveType, Schema, SqlText};

use super::batch::batch;
use crate::ErrorKind;
use crate::filter::{Checks, declare};

fn schema() -> Schema {
    let field = |name: &str, ty: PrimitiveType| Field::optional(ColumnName::new(name).unwrap(), ty);
    let fields = vec![field("amount", PrimitiveType::Int), field("city", PrimitiveType::String)];
    Schema::numbered(fields).unwrap()
}

fn constraint(name: &str, check: &str) -> Constraint {
    Constraint { name: ColumnName::new(name).unwrap(), check: SqlText::new(check).unwrap() }
}

fn rows(amounts: Vec<Option<i32>>, cities: Vec<Option<&str>>) -> RecordBatch {
    let count = amounts.len();
    let columns = [
        ("amount", FieldId(1), Arc::new(Int32Array::from(amounts)) as _),
        ("city", FieldId(2), Arc::new(StringArray::from(cities)) as _),
    ];
    batch(&columns, count)
}

#[test]
fn the_first_false_row_is_named_and_null_is_not_false() {
    let checks = [
        declare("positive", "amount > 0 OR city = 'refund'", &schema()).unwrap(),
        declare("somewhere", "city IS NOT NULL", &schema()).unwrap(),
    ];
    let checks = Checks::new(&checks, &schema()).unwrap();
    assert_eq!(checks.fields().collect::<Vec<_>>(), [FieldId(1), FieldId(2), FieldId(2)]);
    let check = |amounts: &[Option<i32>], cities: &[Option<&str>], expected: Option<&str>| {
        let found = checks.verify(&rows(amounts.to_vec(), cities.to_vec()));
        let found = found.map_err(|error| (error.kind(), error.message().to_owned()));
        match expected {
            None => assert_eq!(found, Ok(())),
            Some(message) => assert_eq!(found, Err((ErrorKind::InvalidInput, message.to_owned()))),
        }
    };
    check(&[], &[], None);
    check(&[Some(1), Some(-1), None], &[Some("Bern"), Some("refund"), Some("Basel")], None);
    check(
        &[Some(1), None, Some(-5), Some(-6)],
        &[Some("Bern"), Some("Bern"), Some("Chur"), Some("Chur")],
        Some(
            "constraint positive (amount > 0 OR city = 'refund') is violated by row 2: amount = -5, city = Chur",
        ),
    );
    check(
        &[Some(1)],
        &[None],
        Some("constraint somewhere (city IS NOT NULL) is violated by row 0: city = null"),
    );
    let long = "x".repeat(500);
    let error = checks.verify(&rows(vec![Some(0)], vec![Some(&long)])).unwrap_err();
    assert!(error.message().len() < 250 && error.message().ends_with("xxx…"), "{error}");
}

#[test]
fn what_cannot_be_evaluated_lets_nothing_be_written() {
    let check = |text: &str, kind: ErrorKind, part: &str| {
        let declared = declare("sane", text, &schema()).unwrap_err();
        assert_eq!(declared.kind(), kind);
        let stored = Checks::new(&[constraint("sane", text)], &schema()).unwrap_err();
        assert_eq!(stored.kind(), ErrorKind::Unsupported);
        for error in [declared, stored] {
            assert!(error.message().contains("constraint sane") && error.message().contains(part), "{error}");
        }
    };
    check("amount * 2 > 5", ErrorKind::InvalidInput, "the operator * is beyond this language");
    check("amuont > 5", ErrorKind::NotFound, "did you mean \"amount\"?");
    check("amount > 'x'", ErrorKind::InvalidInput, "cannot be compared");
    assert_eq!(declare("", "amount > 5", &schema()).unwrap_err().kind(), ErrorKind::InvalidInput);
    let long = "x".repeat((1 << 20) + 1);
    assert_eq!(declare("long", &long, &schema()).unwrap_err().kind(), ErrorKind::InvalidInput);
}
