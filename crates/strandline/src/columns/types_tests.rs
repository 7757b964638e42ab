//! Both directions of the mapping of types, as a table.

use strandline_format::ColumnName;

use super::*;
use crate::columns::fields_from_arrow;
use crate::error::ErrorKind;

fn name(text: &str) -> ColumnName {
    ColumnName::new(text).unwrap()
}

fn of(text: &str) -> Type {
    Type::Primitive(text.parse().unwrap())
}

/// What a table calls the type of a column.
fn back(field: ArrowField) -> Type {
    fields_from_arrow(&ArrowSchema::new(vec![field])).unwrap().remove(0).ty
}

#[test]
fn canonical_types_are_one_to_one() {
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let nanos = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Nanosecond, zone.map(Into::into));
    for (text, arrow) in [
        ("boolean", DataType::Boolean),
        ("int", DataType::Int32),
        ("long", DataType::Int64),
        ("float", DataType::Float32),
        ("double", DataType::Float64),
        ("decimal(1,1)", DataType::Decimal128(1, 1)),
        ("decimal(38,0)", DataType::Decimal128(38, 0)),
        ("date", DataType::Date32),
        ("time", DataType::Time64(TimeUnit::Microsecond)),
        ("timestamp", micros(None)),
        ("timestamptz", micros(Some("UTC"))),
        ("timestamp_ns", nanos(None)),
        ("timestamptz_ns", nanos(Some("UTC"))),
        ("string", DataType::Utf8),
        ("uuid", DataType::FixedSizeBinary(16)),
        ("fixed(16)", DataType::FixedSizeBinary(16)),
        ("fixed(3)", DataType::FixedSizeBinary(3)),
        ("binary", DataType::Binary),
    ] {
        let field = arrow_field(&Field::optional(name("c"), of(text)));
        assert_eq!(field.data_type(), &arrow, "{text}");
        assert_eq!(
            field.metadata().get(EXTENSION).map(String::as_str),
            (text == "uuid").then_some("arrow.uuid")
        );
        assert_eq!(back(field), of(text));
    }
}

#[test]
fn wider_types_are_taken_for_what_the_documentation_says() {
    let element = |of| Arc::new(ArrowField::new("item", of, true));
    let longs = Type::list(of("long"), false).unwrap();
    let zoned = |unit| DataType::Timestamp(unit, Some("Europe/Berlin".into()));
    let ends = Arc::new(ArrowField::new("run_ends", DataType::Int32, false));
    for (arrow, expected) in [
        (DataType::Int8, of("int")),
        (DataType::Int16, of("int")),
        (DataType::UInt8, of("int")),
        (DataType::UInt16, of("int")),
        (DataType::UInt32, of("long")),
        (DataType::UInt64, of("decimal(20,0)")),
        (DataType::Float16, of("float")),
        (DataType::Decimal32(5, 2), of("decimal(5,2)")),
        (DataType::Decimal64(15, 2), of("decimal(15,2)")),
        (DataType::Decimal256(38, 38), of("decimal(38,38)")),
        (DataType::Date64, of("date")),
        (DataType::Time32(TimeUnit::Second), of("time")),
        (DataType::Time32(TimeUnit::Millisecond), of("time")),
        (DataType::Time64(TimeUnit::Nanosecond), of("time")),
        (DataType::Timestamp(TimeUnit::Second, None), of("timestamp")),
        (DataType::Timestamp(TimeUnit::Millisecond, None), of("timestamp")),
        (zoned(TimeUnit::Second), of("timestamptz")),
        (zoned(TimeUnit::Microsecond), of("timestamptz")),
        (zoned(TimeUnit::Nanosecond), of("timestamptz_ns")),
        (DataType::LargeUtf8, of("string")),
        (DataType::Utf8View, of("string")),
        (DataType::LargeBinary, of("binary")),
        (DataType::BinaryView, of("binary")),
        (DataType::LargeList(element(DataType::Int64)), longs.clone()),
        (DataType::ListView(element(DataType::Int64)), longs.clone()),
        (DataType::LargeListView(element(DataType::UInt32)), longs.clone()),
        (DataType::FixedSizeList(element(DataType::Int64), 3), longs),
        (DataType::Dictionary(DataType::Int8.into(), DataType::LargeUtf8.into()), of("string")),
        (DataType::RunEndEncoded(ends, element(DataType::UInt8)), of("int")),
    ] {
        assert_eq!(back(ArrowField::new("c", arrow.clone(), true)), expected, "{arrow}");
    }
}

#[test]
fn what_no_table_has_is_refused_by_name_all_at_once() {
    let inside = ArrowField::new("took", DataType::Duration(TimeUnit::Second), true);
    let columns = vec![
        ArrowField::new("a", DataType::Null, true),
        ArrowField::new("b", DataType::Struct(vec![inside].into()), true),
        ArrowField::new("c", DataType::Decimal256(39, 0), true),
        ArrowField::new("d", DataType::Decimal128(5, -2), true),
        ArrowField::new("e", DataType::Interval(arrow::datatypes::IntervalUnit::DayTime), true),
        ArrowField::new("f", DataType::FixedSizeBinary(0), true),
        ArrowField::new("g", DataType::Struct(Fields::empty()), true),
        ArrowField::new("h", DataType::Int64, true),
        ArrowField::new("", DataType::Int64, true),
    ];
    let error = fields_from_arrow(&ArrowSchema::new(columns)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    for part in [
        "a is Null: give it a type",
        "b.took is Duration(s): use Int64",
        "c is Decimal256(39, 0): use a decimal of at most 38 digits",
        "d is Decimal128(5, -2): use a decimal without a negative scale",
        "e is Interval(DayTime): use a struct",
        "f is FixedSizeBinary(0): use Binary",
        "g is Struct: a struct needs a field",
        "the column name \"\" is empty",
    ] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    assert!(!error.message().contains("h is"), "{error}");
}

#[test]
fn ids_and_nullability_stand_on_every_field() {
    let pair = Type::map(of("string"), Type::list(of("uuid"), true).unwrap(), false).unwrap();
    let inside = vec![Field::required(name("a"), of("int")), Field::optional(name("m"), pair)];
    let schema = Schema::numbered(vec![Field::required(name("s"), Type::Struct(inside))]).unwrap();
    let mut seen = Vec::new();
    collect(arrow_schema(&schema).fields(), &mut seen);
    let expected = [
        "s 1 required",
        "a 2 required",
        "m 3",
        "key_value - required",
        "key 4 required",
        "value 5",
        "element 6 required",
    ];
    assert_eq!(seen, expected);
    assert_eq!(Schema::numbered(fields_from_arrow(&arrow_schema(&schema)).unwrap()).unwrap(), schema);
}

fn collect(fields: &Fields, seen: &mut Vec<String>) {
    for field in fields {
        let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY).map_or("-", String::as_str);
        seen.push(format!("{} {id}{}", field.name(), if field.is_nullable() { "" } else { " required" }));
        match field.data_type() {
            DataType::Struct(inside) => collect(inside, seen),
            DataType::List(inside) | DataType::Map(inside, _) => {
                collect(&Fields::from(vec![inside.clone()]), seen);
            }
            _ => {}
        }
    }
}
