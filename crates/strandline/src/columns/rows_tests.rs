//! Rows of Rust types in tables.

use arrow::array::{Array, AsArray};
use std::collections::BTreeMap;

use strandline_format::{ColumnName, Value};

use super::*;
use crate::columns::fields_from_arrow;
use crate::columns::literal::value_at;

fn optional(name: &str, ty: impl Into<Type>) -> Field {
    Field::optional(ColumnName::new(name).unwrap(), ty)
}

fn required(name: &str, ty: impl Into<Type>) -> Field {
    Field::required(ColumnName::new(name).unwrap(), ty)
}

fn of(text: &str) -> Type {
    Type::Primitive(text.parse().unwrap())
}

fn schema(fields: Vec<Field>) -> Schema {
    Schema::numbered(fields).unwrap()
}

#[derive(Serialize)]
struct One<T> {
    c: T,
}

/// What becomes of one value in a column of this type.
fn one(ty: &str, value: impl Serialize) -> Result<Option<Value>> {
    let batch = batch_of_rows(&schema(vec![optional("c", of(ty))]), &[One { c: value }])?;
    value_at(batch.column(0), 0, ty.parse().unwrap())
}

#[test]
fn values_are_taken_as_documented() {
    fn check(ty: &str, value: impl Serialize, expected: Value) {
        assert_eq!(one(ty, value).unwrap(), Some(expected), "{ty}");
    }
    check("boolean", true, Value::Boolean(true));
    check("int", 7_i64, Value::Int(7));
    check("long", 7_u8, Value::Long(7));
    check("float", 0.5_f64, Value::Float(0.5));
    check("double", 0.5_f32, Value::Double(0.5));
    check("double", 1_u64 << 53, Value::Double(9_007_199_254_740_992.0));
    check("decimal(9,2)", "0.29", Value::Decimal { unscaled: 29, scale: 2 });
    check("decimal(9,2)", "-12.5000", Value::Decimal { unscaled: -1250, scale: 2 });
    check("decimal(2,2)", "+.5", Value::Decimal { unscaled: 50, scale: 2 });
    check("decimal(3,0)", "007.0", Value::Decimal { unscaled: 7, scale: 0 });
    check("date", "1970-01-03", Value::Date(2));
    check("date", 2_i32, Value::Date(2));
    check("time", "00:00:01.000002", Value::Time(1_000_002));
    check("time", 5_i64, Value::Time(5));
    check("timestamp", "1970-01-01T00:00:01.000002", Value::Timestamp(1_000_002));
    check("timestamp", "9999-12-31T00:00:00", Value::Timestamp(253_402_214_400_000_000));
    check("timestamp", 5_i64, Value::Timestamp(5));
    check("timestamptz", "1970-01-01T02:00:01+02:00", Value::TimestampTz(1_000_000));
    check("timestamp_ns", "1970-01-01T00:00:00.000000001", Value::TimestampNs(1));
    check("timestamptz_ns", "1970-01-01T00:00:00.000000001Z", Value::TimestampTzNs(1));
    check("string", "a", Value::String("a".into()));
    check(
        "uuid",
        "67E55044-10b1-426f-9247-bb680e5fe0c8",
        Value::Uuid(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8_u128.to_be_bytes()),
    );
    check("uuid", [7_u8; 16], Value::Uuid([7; 16]));
    check("fixed(2)", [1_u8, 2], Value::Fixed([1, 2].into()));
    check("binary", vec![1_u8, 2], Value::Binary([1, 2].into()));
    assert_eq!(one("timestamp", None::<i64>).unwrap(), None);
}

#[test]
fn nothing_is_rounded_or_reinterpreted() {
    fn check(ty: &str, value: impl Serialize) {
        let error = one(ty, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains('c'), "{error}");
    }
    check("int", i64::MAX);
    check("int", true);
    check("float", 0.1_f64);
    check("float", (1 << 24) + 1);
    check("double", (1_i64 << 53) + 1);
    check("double", u64::MAX);
    check("decimal(9,2)", 0.29);
    check("decimal(9,2)", "0.291");
    for text in ["", ".", "-", "1e3", "1 ", "--1", "1.2.3", "10000000", "１"] {
        check("decimal(9,2)", text);
    }
    check("date", "yesterday");
    check("time", "00:00:00.0000001");
    check("time", "24:00:00");
    check("timestamp", "1970-01-01T00:00:00.0000001");
    check("timestamp", "1970-01-01T00:00:00Z");
    check("timestamptz", "1970-01-01T00:00:00");
    check("string", 5);
    check("uuid", "67e5504410b1426f9247bb680e5fe0c8");
    check("uuid", "67e55044-10b1-426f-9247-bb680e5fe0cX");
    check("fixed(2)", "ab");
    check("binary", "ab");
}

#[derive(Serialize)]
struct Item {
    sku: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<&'static str>,
}

#[derive(Serialize)]
enum State {
    Open,
    Shipped,
}

#[derive(Serialize)]
struct Order {
    #[serde(rename = "ORDER_ID")]
    id: u32,
    items: Vec<Item>,
    labels: BTreeMap<&'static str, i32>,
    state: State,
    place: Option<[f64; 2]>,
}

fn orders() -> Schema {
    let item = Type::Struct(vec![required("sku", of("string")), optional("price", of("decimal(9,2)"))]);
    let mut region = required("region", of("string"));
    region.default = Some(Value::String("eu".into()));
    schema(vec![
        required("order_id", of("long")),
        required("items", Type::list(item, true).unwrap()),
        optional("labels", Type::map(of("string"), of("long"), false).unwrap()),
        required("state", of("string")),
        optional("place", Type::list(of("double"), true).unwrap()),
        region,
    ])
}

#[test]
fn nested_rows_become_nested_columns() {
    let rows = [
        Order {
            id: 1,
            items: vec![Item { sku: "a", price: Some("1.50") }, Item { sku: "b", price: None }],
            labels: BTreeMap::from([("x", 1)]),
            state: State::Open,
            place: Some([0.5, 1.5]),
        },
        Order { id: 2, items: Vec::new(), labels: BTreeMap::new(), state: State::Shipped, place: None },
    ];
    let batch = batch_of_rows(&orders(), &rows).unwrap();
    assert_eq!(batch.schema(), crate::columns::arrow_schema(&orders()));
    assert_eq!(batch.column(1).as_list::<i32>().values().as_struct().column(1).null_count(), 1);
    assert_eq!(batch.column(2).as_map().value_offsets(), [0, 1, 1]);
    assert_eq!(batch.column(3).as_string::<i32>().value(1), "Shipped");
    assert_eq!(batch.column(4).as_list::<i32>().value_offsets(), [0, 2, 2]);
    assert_eq!(batch.column(5).as_string::<i32>().value(1), "eu");
}

#[test]
fn fields_that_the_table_does_not_have_are_never_dropped() {
    #[derive(Serialize)]
    struct Inside {
        sku: &'static str,
        prise: i32,
    }
    let item = Type::Struct(vec![required("sku", of("string"))]);
    let check = |ty: Type, value: &dyn Fn() -> Result<RecordBatch>, path: &str| {
        let error = value().unwrap_err();
        assert!(
            error.message().contains(&format!("{path}: the table has no such column")),
            "{} {error}",
            ty.describe()
        );
    };
    let row = || Inside { sku: "a", prise: 1 };
    let list = Type::list(item.clone(), false).unwrap();
    let map = Type::map(of("string"), item.clone(), false).unwrap();
    let of_type = |ty: &Type| schema(vec![optional("c", ty.clone())]);
    check(item.clone(), &|| batch_of_rows(&of_type(&item), &[One { c: row() }]), "c.prise");
    check(list.clone(), &|| batch_of_rows(&of_type(&list), &[One { c: vec![row()] }]), "c.element.prise");
    check(list.clone(), &|| batch_of_rows(&of_type(&list), &[One { c: [row(), row()] }]), "c.element.prise");
    check(
        map.clone(),
        &|| batch_of_rows(&of_type(&map), &[One { c: BTreeMap::from([("k", row())]) }]),
        "c.value.prise",
    );
    check(item, &|| batch_of_rows(&of_type(&of("int")), &[Inside { sku: "a", prise: 1 }]), "prise");
}

#[test]
fn rows_that_are_maps_have_fields_for_keys() {
    let rows = [BTreeMap::from([("ID", 1_i64), ("n", 2)]), BTreeMap::from([("ID", 3)])];
    let batch =
        batch_of_rows(&schema(vec![required("id", of("long")), optional("n", of("int"))]), &rows).unwrap();
    assert_eq!(batch.column(1).null_count(), 1);
    let map = Type::map(of("string"), of("long"), false).unwrap();
    let rows = [BTreeMap::from([("m", BTreeMap::from([("x", 1_i64), ("y", 2)]))])];
    let batch = batch_of_rows(&schema(vec![optional("m", map)]), &rows).unwrap();
    assert_eq!(batch.column(0).as_map().value_offsets(), [0, 2]);
}

#[test]
fn a_null_in_a_required_column_is_named_with_its_row() {
    let rows = [One { c: Some(1) }, One { c: None }];
    let error = batch_of_rows(&schema(vec![required("c", of("int"))]), &rows).unwrap_err();
    assert_eq!(error.message(), "column c, row 1: null, but the column is required");
    let error = batch_of_rows(&schema(vec![required("c", of("int")), required("d", of("int"))]), &rows[..1])
        .unwrap_err();
    assert!(error.message().contains("d: the table has int, required and without a default"), "{error}");
}

#[test]
fn no_rows_are_no_rows() {
    let batch = batch_of_rows::<Order>(&orders(), &[]).unwrap();
    assert_eq!((batch.num_rows(), batch.schema()), (0, crate::columns::arrow_schema(&orders())));
    assert!(schema_of_rows::<Order>(&[]).is_err());
}

#[test]
fn a_table_can_be_made_of_rows() {
    let row = || Order {
        id: 1,
        items: vec![Item { sku: "a", price: Some("1") }],
        labels: BTreeMap::from([("x", 1)]),
        state: State::Open,
        place: None,
    };
    let traced = schema_of_rows(&[row(), Order { place: Some([1.0, 2.0]), ..row() }]).unwrap();
    let fields = fields_from_arrow(&traced).unwrap();
    let types: Vec<String> = fields
        .iter()
        .map(|field| format!("{} {} {}", field.name, field.ty.describe(), field.required))
        .collect();
    assert_eq!(
        types,
        [
            "ORDER_ID long true",
            "items list true",
            "labels map true",
            "state string true",
            "place struct false"
        ]
    );
    let error = fields_from_arrow(&schema_of_rows(&[row()]).unwrap()).unwrap_err();
    assert!(error.message().contains("place is Null: give it a type"), "{error}");
    assert!(batch_of_rows(&Schema::numbered(fields).unwrap(), &[row()]).is_ok());
}
