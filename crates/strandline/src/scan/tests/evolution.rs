//! Old files under newer schemas: every change that a schema may have, at every depth [SCH-10] [READ-2].

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StructArray};
use serde::Serialize;
use strandline_format::{
    ColumnName, Field, FieldId, Position, PrimitiveType, Schema, SchemaEdit, SchemaId, Type, Value,
};

use super::fixture::{Lake, Written, joined, texts};
use crate::columns::batch_of_rows;

/// A row of the old schema.
#[derive(Serialize)]
struct Row {
    id: i32,
    ratio: f32,
    price: Option<&'static str>,
    day: Option<&'static str>,
    at: Option<Point>,
    path: Option<Vec<Option<Point>>>,
    named: Option<BTreeMap<&'static str, Option<Point>>>,
}

#[derive(Clone, Serialize)]
struct Point {
    x: i32,
    label: Option<&'static str>,
}

const ID: FieldId = FieldId(1);
const RATIO: FieldId = FieldId(2);
const PRICE: FieldId = FieldId(3);
const DAY: FieldId = FieldId(4);
const AT: FieldId = FieldId(5);
const AT_X: FieldId = FieldId(6);
const AT_LABEL: FieldId = FieldId(7);
const PATH: FieldId = FieldId(8);
const POINT: FieldId = FieldId(9);
const POINT_X: FieldId = FieldId(10);
const POINT_LABEL: FieldId = FieldId(11);
const NAMED: FieldId = FieldId(12);
const NAMED_POINT: FieldId = FieldId(14);
const NAMED_X: FieldId = FieldId(15);

fn name(name: &str) -> ColumnName {
    ColumnName::new(name).unwrap()
}

fn old_schema() -> Schema {
    let point = || {
        Type::Struct(vec![
            Field::required(name("x"), PrimitiveType::Int),
            Field::optional(name("label"), PrimitiveType::String),
        ])
    };
    Schema::numbered(vec![
        Field::required(name("id"), PrimitiveType::Int),
        Field::required(name("ratio"), PrimitiveType::Float),
        Field::optional(name("price"), PrimitiveType::Decimal { precision: 5, scale: 2 }),
        Field::optional(name("day"), PrimitiveType::Date),
        Field::optional(name("at"), point()),
        Field::optional(name("path"), Type::list(point(), false).unwrap()),
        Field::optional(name("named"), Type::map(PrimitiveType::String, point(), false).unwrap()),
    ])
    .unwrap()
}

fn rows() -> Vec<Row> {
    let point = |x, label| Some(Point { x, label });
    vec![
        Row {
            id: 1,
            ratio: 0.5,
            price: Some("9.99"),
            day: Some("2020-02-29"),
            at: point(1, Some("a")),
            path: Some(vec![point(2, None), None]),
            named: Some([("k", point(3, Some("c"))), ("n", None)].into()),
        },
        Row {
            id: 2,
            ratio: -1.0,
            price: None,
            day: None,
            at: None,
            path: Some(Vec::new()),
            named: Some(BTreeMap::new()),
        },
        Row {
            id: 3,
            ratio: 2.0,
            price: Some("-0.01"),
            day: Some("1969-12-31"),
            at: point(4, None),
            path: None,
            named: None,
        },
    ]
}

/// What a column of the edited schema reads as, from a file of the old one.
async fn check(edits: &[SchemaEdit], column: &str, expected: [&str; 3]) {
    let mut lake = Lake::new(old_schema());
    let batch = batch_of_rows(&lake.schema, &rows()).unwrap();
    lake.add(&batch, Written::default()).await;
    let mut drawn = 0;
    let mut random = || {
        drawn += 1;
        drawn
    };
    lake.schema = lake.schema.edited(edits, &[], &mut random).unwrap();
    // A path makes a column of a part: all columns make another.
    let ways: &[bool] = if column.contains('.') { &[true] } else { &[false, true] };
    for narrowed in ways {
        let scan = if *narrowed { lake.scan().columns([column]) } else { lake.scan() };
        let stream = scan.await.unwrap();
        let schema = stream.schema().clone();
        let batch = joined(&schema, &stream.collect().await.unwrap());
        let at = schema.index_of(column.split('.').next().unwrap()).unwrap();
        assert_eq!(texts(&batch, at), expected, "{edits:?}, narrowed: {narrowed}");
    }
}

fn add(parent: Option<FieldId>, field: Field) -> SchemaEdit {
    SchemaEdit::Add { parent, position: Position::Last, field }
}

fn long(text: &str) -> Field {
    Field::optional(name(text), PrimitiveType::Long)
}

fn initial(field: Field, value: Value) -> Field {
    Field { initial: Some(value), ..field }
}

#[tokio::test]
async fn columns_change() {
    check(&[], "id", ["1", "2", "3"]).await;
    check(&[SchemaEdit::Rename(ID, name("key"))], "key", ["1", "2", "3"]).await;
    let swapped = [SchemaEdit::Rename(ID, name("ratio")), SchemaEdit::Rename(RATIO, name("id"))];
    check(&swapped, "ratio", ["1", "2", "3"]).await;
    check(&swapped, "id", ["0.5", "-1.0", "2.0"]).await;
    check(&[SchemaEdit::Move(ID, Position::Last)], "id", ["1", "2", "3"]).await;
    check(&[SchemaEdit::Relax(ID)], "id", ["1", "2", "3"]).await;
    check(&[SchemaEdit::Drop(RATIO)], "id", ["1", "2", "3"]).await;
    let again = [SchemaEdit::Drop(ID), add(None, long("id"))];
    check(&again, "id", ["", "", ""]).await;
    let defaulted = [SchemaEdit::Drop(ID), add(None, initial(long("id"), Value::Long(7)))];
    check(&defaulted, "id", ["7", "7", "7"]).await;
    let required = Field::required(name("size"), PrimitiveType::Long);
    check(&[add(None, initial(required, Value::Long(7)))], "size", ["7", "7", "7"]).await;
}

#[tokio::test]
async fn columns_widen() {
    check(&[SchemaEdit::Widen(ID, PrimitiveType::Long)], "id", ["1", "2", "3"]).await;
    check(&[SchemaEdit::Widen(RATIO, PrimitiveType::Double)], "ratio", ["0.5", "-1.0", "2.0"]).await;
    let wide = PrimitiveType::Decimal { precision: 30, scale: 2 };
    check(&[SchemaEdit::Widen(PRICE, wide)], "price", ["9.99", "", "-0.01"]).await;
    let widened = ["2020-02-29T00:00:00", "", "1969-12-31T00:00:00"];
    check(&[SchemaEdit::Widen(DAY, PrimitiveType::Timestamp)], "day", widened).await;
}

#[tokio::test]
async fn structs_change() {
    check(&[], "at", ["{x: 1, label: a}", "", "{x: 4, label: }"]).await;
    check(&[SchemaEdit::Rename(AT_X, name("y"))], "at", ["{y: 1, label: a}", "", "{y: 4, label: }"]).await;
    check(&[SchemaEdit::Rename(AT, name("x"))], "x", ["{x: 1, label: a}", "", "{x: 4, label: }"]).await;
    check(&[SchemaEdit::Move(AT_X, Position::Last)], "at", ["{label: a, x: 1}", "", "{label: , x: 4}"]).await;
    check(&[SchemaEdit::Drop(AT_LABEL)], "at", ["{x: 1}", "", "{x: 4}"]).await;
    check(&[SchemaEdit::Widen(AT_X, PrimitiveType::Long)], "at", ["{x: 1, label: a}", "", "{x: 4, label: }"])
        .await;
    let added = [add(Some(AT), initial(long("z"), Value::Long(7)))];
    check(&added, "at", ["{x: 1, label: a, z: 7}", "", "{x: 4, label: , z: 7}"]).await;
    check(&added, "at.z", ["{z: 7}", "", "{z: 7}"]).await;
}

/// Required within required within a struct that is null: nothing between it and the leaf says so in the file.
#[tokio::test]
async fn what_is_required_is_null_where_a_struct_far_around_it_is() {
    let leaf = Field::required(name("leaf"), PrimitiveType::Long);
    let middle = Field::required(name("middle"), Type::Struct(vec![leaf]));
    let outer = Field::optional(name("outer"), Type::Struct(vec![middle]));
    let mut lake = Lake::new(Schema::numbered(vec![outer]).unwrap());
    let schema = crate::columns::arrow_schema(&lake.schema);
    let outer: ArrayRef = Arc::new(StructArray::new(
        struct_fields(schema.field(0)),
        vec![Arc::new(StructArray::new(
            struct_fields(&struct_fields(schema.field(0))[0]),
            vec![Arc::new(Int64Array::from(vec![1, 2]))],
            None,
        ))],
        Some(vec![true, false].into()),
    ));
    let batch = RecordBatch::try_new(schema, vec![outer]).unwrap();
    lake.add(&batch, Written::default()).await;
    let found = lake.scan().collect().await.unwrap();
    assert_eq!(texts(&found[0], 0), ["{middle: {leaf: 1}}", ""]);
}

fn struct_fields(field: &arrow::datatypes::Field) -> arrow::datatypes::Fields {
    match field.data_type() {
        arrow::datatypes::DataType::Struct(fields) => fields.clone(),
        other => panic!("{other} is no struct"),
    }
}

/// What is around it says it too, but not everybody asks there.
#[tokio::test]
async fn an_initial_default_is_null_where_its_struct_is() {
    let mut lake = Lake::new(old_schema());
    let batch = batch_of_rows(&lake.schema, &rows()).unwrap();
    lake.add(&batch, Written::default()).await;
    let edits = [add(Some(AT), initial(long("z"), Value::Long(7)))];
    lake.schema = lake.schema.edited(&edits, &[], &mut || 1).unwrap();
    let batch = &lake.scan().columns(["at.z"]).collect().await.unwrap()[0];
    let nulls = batch.column(0).as_struct().column(0).nulls().unwrap();
    assert_eq!(nulls.iter().collect::<Vec<_>>(), [true, false, true]);
}

/// Nothing of the struct is stored that is wanted, but where it is null.
#[tokio::test]
async fn a_struct_keeps_its_nulls_when_all_its_parts_are_others() {
    let other = [SchemaEdit::Drop(AT_X), SchemaEdit::Drop(AT_LABEL), add(Some(AT), long("z"))];
    check(&other, "at", ["{z: }", "", "{z: }"]).await;
    let within = [
        SchemaEdit::Drop(POINT_X),
        SchemaEdit::Drop(POINT_LABEL),
        add(Some(POINT), initial(long("z"), Value::Long(7))),
    ];
    check(&within, "path", ["[{z: 7}, ]", "[]", ""]).await;
}

#[tokio::test]
async fn a_struct_that_is_added_is_null() {
    let within = Field::required(name("z"), PrimitiveType::Long);
    let structure = Field::optional(name("extra"), Type::Struct(vec![within]));
    check(&[add(None, structure.clone())], "extra", ["", "", ""]).await;
    check(&[add(Some(AT), structure)], "at", ["{x: 1, label: a, extra: }", "", "{x: 4, label: , extra: }"])
        .await;
}

#[tokio::test]
async fn lists_change_within() {
    check(&[], "path", ["[{x: 2, label: }, ]", "[]", ""]).await;
    check(&[SchemaEdit::Widen(POINT_X, PrimitiveType::Long)], "path", ["[{x: 2, label: }, ]", "[]", ""])
        .await;
    check(&[SchemaEdit::Drop(POINT_X)], "path", ["[{label: }, ]", "[]", ""]).await;
    check(&[SchemaEdit::Rename(PATH, name("way"))], "way", ["[{x: 2, label: }, ]", "[]", ""]).await;
    let added = [add(Some(POINT), initial(long("z"), Value::Long(7)))];
    check(&added, "path", ["[{x: 2, label: , z: 7}, ]", "[]", ""]).await;
    check(&added, "path.element.z", ["[{z: 7}, ]", "[]", ""]).await;
    let list = Field::optional(name("more"), Type::list(PrimitiveType::Long, true).unwrap());
    check(&[add(None, list)], "more", ["", "", ""]).await;
}

#[tokio::test]
async fn maps_change_within() {
    check(&[], "named", ["{k: {x: 3, label: c}, n: }", "{}", ""]).await;
    check(
        &[SchemaEdit::Widen(NAMED_X, PrimitiveType::Long)],
        "named",
        ["{k: {x: 3, label: c}, n: }", "{}", ""],
    )
    .await;
    check(&[SchemaEdit::Rename(NAMED, name("by"))], "by", ["{k: {x: 3, label: c}, n: }", "{}", ""]).await;
    let added = [add(Some(NAMED_POINT), initial(long("z"), Value::Long(7)))];
    check(&added, "named", ["{k: {x: 3, label: c, z: 7}, n: }", "{}", ""]).await;
    check(&added, "named.value.z", ["{k: {z: 7}, n: }", "{}", ""]).await;
    check(&[SchemaEdit::Drop(NAMED_X)], "named.value.label", ["{k: {label: c}, n: }", "{}", ""]).await;
}

/// [FILE-5]: the set of fields decides, whatever the file has.
#[tokio::test]
async fn a_field_outside_of_the_set_is_not_looked_for() {
    let mut lake = Lake::new(old_schema());
    let batch = batch_of_rows(&lake.schema, &rows()).unwrap();
    let bytes = super::fixture::parquet(&batch, None);
    let set = strandline_format::FieldSet::of([ID, POINT_X]);
    lake.add_bytes(bytes, set, strandline_format::Stats::default(), Written::default()).await;
    let fields = lake.schema.fields().iter().map(|field| match field.id {
        RATIO => Field { initial: Some(Value::Float(7.5)), ..field.clone() },
        _ => field.clone(),
    });
    lake.schema = Schema::new(SchemaId(1), fields.collect(), [].into()).unwrap();
    let batch = &lake.scan().collect().await.unwrap()[0];
    assert_eq!(texts(batch, 1), ["7.5", "7.5", "7.5"]);
    assert_eq!(texts(batch, 4), ["", "", ""]);
    assert_eq!(texts(batch, 5), ["[{x: 2, label: }, ]", "[]", ""]);
}
