//! Schemas: their JSON, their rules, and the laws of evolution and merge, over random schemas and edits.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::error::{ErrorKind, Result};
use crate::name::ColumnName;
use crate::value::Value;

fn name(text: &str) -> ColumnName {
    ColumnName::new(text).unwrap()
}

fn read(text: &str) -> Result<Schema> {
    let wire: SchemaWire = serde_json::from_str(text).map_err(|error| Error::malformed(error.to_string()))?;
    Schema::try_from(wire)
}

fn text_of(schema: &Schema) -> String {
    serde_json::to_string(&SchemaWire::try_from(schema).unwrap()).unwrap()
}

const ORDERS: &str = r#"{"id":3,"fields":[{"id":1,"name":"order_id","type":"long","required":true,"doc":"the number"},{"id":2,"name":"Price","type":"decimal(9,2)","initial":"0.00","default":"1.50"},{"id":3,"name":"lines","type":{"list":{"id":4,"required":true,"type":{"struct":[{"id":5,"name":"sku","type":"string"},{"id":6,"name":"Price","type":"float","default":0.1}]}}}},{"id":7,"name":"tags","type":{"map":{"key":{"id":8,"type":"string"},"value":{"id":9,"type":"date"}}}}],"dropped":[10,70000]}"#;

fn orders() -> Schema {
    read(ORDERS).unwrap()
}

#[test]
fn a_schema_reads_as_it_was_written() {
    let schema = orders();
    assert_eq!(text_of(&schema), ORDERS);
    assert_eq!(schema.find(["LINES", "element", "price"]).unwrap().id, FieldId(6));
    assert_eq!(schema.find(["price"]).unwrap().id, FieldId(2));
    assert_eq!(schema.find(["tags", "price"]), None);
    assert_eq!(schema.describe(FieldId(5)), "lines.element.sku");
    assert_eq!(schema.describe(FieldId(10)), "#10");
    assert_eq!(schema.leaves().iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [1, 2, 5, 6, 8, 9]);
    assert!(schema.ids().eq((1..=9).map(FieldId)));
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let field = |rest: &str| format!(r#"{{"id":0,"fields":[{{"id":1,"name":"a",{rest}}}]}}"#);
    let nested = (0..MAX_TYPE_DEPTH).fold(r#""int""#.to_owned(), |inner, level| {
        format!(r#"{{"list":{{"id":{},"type":{inner}}}}}"#, level + 2)
    });
    let two = |first: &str, second: &str| format!(r#"{{"id":0,"fields":[{first},{second}]}}"#);
    let a = r#"{"id":1,"name":"a","type":"int"}"#;
    for text in [
        field(r#""type":"integer""#),
        field(r#""type":"decimal(39,0)""#),
        field(r#""type":"fixed(0)""#),
        field(r#""type":{}"#),
        field(r#""type":{"struct":[],"list":{"id":2,"type":"int"}}"#),
        field(r#""type":{"set":{"id":2,"type":"int"}}"#),
        field(r#""type":{"list":{"id":1,"type":"int"}}"#),
        field(r#""type":"int","initial":"1""#),
        field(r#""type":"int","default":2147483648"#),
        field(r#""type":"decimal(3,1)","default":"1.00""#),
        field(r#""type":{"list":{"id":2,"type":"int"}},"default":[]"#),
        field(r#""type":"int","type":"int""#),
        field(r#""type":{"struct":[{"id":2,"name":"x","type":"int"},{"id":3,"name":"X","type":"int"}]}"#),
        field(&format!(r#""type":{nested}"#)),
        two(a, r#"{"id":2,"name":"A","type":"int"}"#),
        two(a, r#"{"id":1,"name":"b","type":"int"}"#),
        two(a, r#"{"id":0,"name":"b","type":"int"}"#),
        two(a, r#"{"id":2147483448,"name":"b","type":"int"}"#),
        two(a, r#"{"id":2,"name":"","type":"int"}"#),
        format!(r#"{{"id":0,"fields":[{a}],"dropped":[1]}}"#),
        format!(r#"{{"id":0,"fields":[{a}],"dropped":[3,2]}}"#),
        format!(r#"{{"id":0,"fields":[{a}],"dropped":[2,2]}}"#),
        format!(r#"{{"id":0,"fields":[{a}],"dropped":[0]}}"#),
        format!(r#"{{"id":-1,"fields":[{a}]}}"#),
    ] {
        assert_eq!(read(&text).expect_err(&text).kind(), ErrorKind::Malformed, "{text}");
    }
    assert!(read(&two(a, r#"{"id":2147483447,"name":"b","type":"int"}"#)).is_ok());
}

/// Numbers that do not repeat soon: enough for ids.
fn numbers(seed: u32) -> impl FnMut() -> u32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    }
}

fn edit(schema: &Schema, edits: &[SchemaEdit]) -> Result<Schema> {
    schema.edited(edits, &[FieldId(1)], &mut numbers(7))
}

#[test]
fn edits_do_what_they_say() {
    let check = |edits: &[SchemaEdit], expected: &str| {
        let edited = edit(&orders(), edits).unwrap();
        assert!(text_of(&edited).contains(expected), "{} lacks {expected}", text_of(&edited));
        assert_eq!(edited.id(), SchemaId(4));
    };
    let add = |parent: Option<i32>, position, field| SchemaEdit::Add {
        parent: parent.map(FieldId),
        position,
        field,
    };
    let int = || Field::optional(name("n"), PrimitiveType::Int);
    check(&[SchemaEdit::Drop(FieldId(3))], r#""dropped":[3,4,5,6,10,70000]"#);
    check(&[SchemaEdit::Rename(FieldId(2), name("cost"))], r#""id":2,"name":"cost""#);
    check(&[SchemaEdit::Rename(FieldId(2), name("PRICE"))], r#""id":2,"name":"PRICE""#);
    check(
        &[SchemaEdit::Rename(FieldId(2), name("tags")), SchemaEdit::Rename(FieldId(7), name("price"))],
        r#""id":7,"name":"price""#,
    );
    check(&[SchemaEdit::Move(FieldId(7), Position::First)], r#""fields":[{"id":7,"#);
    check(&[SchemaEdit::Move(FieldId(6), Position::First)], r#""struct":[{"id":6,"#);
    check(&[SchemaEdit::Move(FieldId(1), Position::After(FieldId(2)))], r#""fields":[{"id":2,"#);
    check(&[SchemaEdit::Relax(FieldId(4))], r#""list":{"id":4,"type""#);
    check(
        &[SchemaEdit::Widen(FieldId(6), PrimitiveType::Double)],
        r#""type":"double","default":0.10000000149011612"#,
    );
    check(&[SchemaEdit::Widen(FieldId(9), PrimitiveType::Timestamp)], r#""id":9,"type":"timestamp""#);
    check(&[SchemaEdit::SetDefault(FieldId(2), None)], r#""initial":"0.00"}"#);
    check(&[SchemaEdit::SetDoc(FieldId(5), Some("which".to_owned()))], r#""doc":"which""#);
    check(&[add(None, Position::First, int())], r#""name":"n","type":"int"},{"id":1,"#);
    check(&[add(Some(4), Position::After(FieldId(5)), int())], r#""name":"n","type":"int"},{"id":6,"#);
    let with_initial = Field { initial: Some(Value::Int(1)), required: true, ..int() };
    check(&[add(None, Position::Last, with_initial)], r#""required":true,"initial":1}]"#);
    assert_eq!(edit(&orders(), &[SchemaEdit::SetDoc(FieldId(5), None)]).unwrap(), orders());
    assert_eq!(edit(&orders(), &[]).unwrap(), orders());
}

#[test]
fn edits_that_would_change_old_rows_are_refused() {
    let check = |edit_: SchemaEdit, place: &str| {
        let error = edit(&orders(), std::slice::from_ref(&edit_)).expect_err(&format!("{edit_:?}"));
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(place), "{error}");
    };
    let add = |parent: Option<i32>, position, field| SchemaEdit::Add {
        parent: parent.map(FieldId),
        position,
        field,
    };
    let int = || Field::optional(name("n"), PrimitiveType::Int);
    check(SchemaEdit::Drop(FieldId(1)), "key");
    check(SchemaEdit::Relax(FieldId(1)), "order_id");
    check(SchemaEdit::Drop(FieldId(4)), "lines");
    check(SchemaEdit::Drop(FieldId(8)), "tags");
    check(SchemaEdit::Drop(FieldId(10)), "#10");
    check(SchemaEdit::Relax(FieldId(8)), "key");
    check(SchemaEdit::Rename(FieldId(9), name("x")), "tags");
    check(SchemaEdit::Rename(FieldId(2), name("ORDER_ID")), "ORDER_ID");
    check(SchemaEdit::Widen(FieldId(1), PrimitiveType::Int), "order_id");
    check(SchemaEdit::Widen(FieldId(2), PrimitiveType::Decimal { precision: 10, scale: 3 }), "Price");
    check(SchemaEdit::Widen(FieldId(3), PrimitiveType::Long), "lines");
    check(SchemaEdit::SetDefault(FieldId(5), Some(Value::Int(1))), "sku");
    check(SchemaEdit::SetDefault(FieldId(6), Some(Value::Float(f32::NAN))), "Price");
    check(SchemaEdit::Move(FieldId(2), Position::After(FieldId(5))), "#5");
    check(add(Some(2), Position::Last, int()), "#2");
    check(add(Some(8), Position::Last, int()), "key");
    check(add(None, Position::Last, Field::required(name("n"), PrimitiveType::Int)), "n");
    check(add(None, Position::Last, Field::optional(name("TAGS"), PrimitiveType::Int)), "TAGS");
    let stuck = orders().edited(
        &[add(None, Position::Last, int()), add(None, Position::First, int())],
        &[],
        &mut || 5,
    );
    assert_eq!(stuck.unwrap_err().kind(), ErrorKind::Invalid);
}

/// Fields with few names and types, so that edits meet.
fn field() -> impl Strategy<Value = Field> {
    let names = || "[a-dA-D]";
    let ty = prop::sample::select(vec![
        PrimitiveType::Int,
        PrimitiveType::Float,
        PrimitiveType::Date,
        PrimitiveType::String,
    ]);
    let leaf = (names(), ty).prop_map(|(text, ty)| Field::optional(name(&text), ty));
    leaf.prop_recursive(2, 6, 3, move |inner| {
        let of = |text: String, ty: Type| Field::optional(name(&text), ty);
        prop_oneof![
            (names(), prop::collection::vec(inner.clone(), 1..3))
                .prop_map(move |(text, fields)| of(text, Type::Struct(fields))),
            (names(), inner.clone(), any::<bool>())
                .prop_map(move |(text, inner, required)| of(text, Type::list(inner.ty, required).unwrap())),
            (names(), inner.clone(), inner)
                .prop_map(move |(text, key, value)| of(text, Type::map(key.ty, value.ty, false).unwrap())),
        ]
    })
}

fn schema() -> impl Strategy<Value = Schema> {
    prop::collection::vec(field(), 1..6)
        .prop_filter_map("names clash", |fields| Schema::numbered(fields).ok())
}

/// An edit as dice, since what it may be about depends on the schema.
type Dice = (u8, prop::sample::Index, prop::sample::Index, Field);

fn dice() -> impl Strategy<Value = Vec<Dice>> {
    prop::collection::vec(
        (0..10_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), field()),
        0..8,
    )
}

fn edit_of(schema: &Schema, (kind, at, other, field): &Dice) -> SchemaEdit {
    let ids: Vec<FieldId> = schema.ids().collect();
    let pick =
        |index: &prop::sample::Index| if ids.is_empty() { FieldId(1) } else { ids[index.index(ids.len())] };
    let id = pick(at);
    match kind {
        0 | 1 => SchemaEdit::Add {
            parent: (*kind == 1).then_some(id),
            position: if other.index(2) == 0 { Position::First } else { Position::Last },
            field: field.clone(),
        },
        2 => SchemaEdit::Drop(id),
        3 => SchemaEdit::Rename(id, field.name.clone()),
        4 => SchemaEdit::Move(id, Position::After(pick(other))),
        5 => SchemaEdit::Widen(id, PrimitiveType::Long),
        6 => SchemaEdit::Widen(id, PrimitiveType::Timestamp),
        7 => SchemaEdit::Relax(id),
        8 => SchemaEdit::SetDefault(id, Some(Value::Int(3))),
        _ => SchemaEdit::SetDoc(id, Some(format!("doc {}", other.index(3)))),
    }
}

/// The schema after those of the edits that are allowed, and all ids that were ever live on the way.
fn evolve(schema: &Schema, dice: &[Dice], seed: u32) -> (Schema, BTreeSet<FieldId>) {
    let mut random = numbers(seed);
    let mut ever: BTreeSet<FieldId> = schema.ids().collect();
    let mut schema = schema.clone();
    for dice in dice {
        let Ok(next) = schema.edited(&[edit_of(&schema, dice)], &[], &mut random) else { continue };
        let fresh: BTreeSet<FieldId> = next.ids().filter(|id| schema.field(*id).is_none()).collect();
        assert!(fresh.is_disjoint(&ever), "an id was used again");
        assert!(schema.ids().all(|id| next.field(id).is_some() || next.dropped().contains(&id)));
        ever.extend(fresh);
        schema = next;
    }
    (schema, ever)
}

/// A schema without order and number: what merging must agree on from both sides.
fn unordered(schema: &Schema) -> String {
    fn sort(fields: &mut [Field]) {
        fields.sort_by_key(|field| field.id);
        fields.iter_mut().for_each(|field| sort(field.ty.children_mut()));
    }
    let mut fields = schema.fields().to_vec();
    sort(&mut fields);
    format!("{fields:?} {:?}", schema.dropped())
}

proptest! {
    #[test]
    fn any_schema_reads_as_it_was_written(schema in schema(), dice in dice()) {
        let (schema, ever) = evolve(&schema, &dice, 1);
        prop_assert_eq!(&read(&text_of(&schema)).unwrap(), &schema);
        for id in ever {
            prop_assert!(schema.field(id).is_some() != schema.dropped().contains(&id));
        }
        for id in schema.ids() {
            let path = schema.path(id).unwrap();
            prop_assert_eq!(schema.find(path).unwrap().id, id);
        }
    }

    #[test]
    fn merging_with_the_base_gives_the_other_side(base in schema(), dice in dice()) {
        let (side, _) = evolve(&base, &dice, 1);
        for (ours, theirs) in [(&base, &side), (&side, &base), (&side, &side)] {
            prop_assert_eq!(Schema::merge(&base, ours, theirs).unwrap(), SchemaMerge::Merged(side.clone()));
        }
    }

    #[test]
    fn merging_is_the_same_from_both_sides(base in schema(), mine in dice(), yours in dice()) {
        let ((ours, _), (theirs, _)) = (evolve(&base, &mine, 1), evolve(&base, &yours, 2));
        let there = Schema::merge(&base, &ours, &theirs).unwrap();
        let back = Schema::merge(&base, &theirs, &ours).unwrap();
        match (there, back) {
            (SchemaMerge::Merged(there), SchemaMerge::Merged(back)) => {
                prop_assert_eq!(unordered(&there), unordered(&back));
                let gone: BTreeSet<FieldId> = ours.dropped().union(theirs.dropped()).copied().collect();
                prop_assert_eq!(there.dropped(), &gone);
                for id in ours.ids().chain(theirs.ids()) {
                    prop_assert!(there.field(id).is_some() != gone.contains(&id));
                }
                prop_assert_eq!(&read(&text_of(&there)).unwrap(), &there);
            }
            (SchemaMerge::Conflicts(there), SchemaMerge::Conflicts(back)) => {
                prop_assert_eq!(there.len(), back.len());
                for conflict in there {
                    let mirrored = |other: &SchemaConflict| other.kind == conflict.kind
                        && other.ours == conflict.theirs && other.theirs == conflict.ours;
                    prop_assert!(back.iter().any(mirrored), "{:?}", conflict);
                }
            }
            (there, back) => prop_assert!(false, "{:?} but {:?}", there, back),
        }
    }

    #[test]
    fn hostile_text_never_panics(schema in schema(), at in any::<prop::sample::Index>(), other in any::<u8>(), cut in any::<bool>()) {
        let mut text = text_of(&schema).into_bytes();
        let at = at.index(text.len());
        text[at] = other;
        if cut {
            text.truncate(at);
        }
        if let Ok(wire) = serde_json::from_slice::<SchemaWire>(&text)
            && let Ok(schema) = Schema::try_from(wire)
        {
            prop_assert_eq!(&read(&text_of(&schema)).unwrap(), &schema);
        }
    }
}

/// The merge of two lists of edits of the orders.
fn merge(ours: &[SchemaEdit], theirs: &[SchemaEdit]) -> SchemaMerge {
    let base = orders();
    let side = |edits: &[SchemaEdit], seed| base.edited(edits, &[], &mut numbers(seed)).unwrap();
    Schema::merge(&base, &side(ours, 1), &side(theirs, 2)).unwrap()
}

#[test]
fn changes_of_different_things_merge() {
    let check = |ours: &[SchemaEdit], theirs: &[SchemaEdit], expected: &[&str]| match merge(ours, theirs) {
        SchemaMerge::Merged(schema) => {
            let text = text_of(&schema);
            expected.iter().for_each(|part| assert!(text.contains(part), "{text} lacks {part}"));
        }
        SchemaMerge::Conflicts(conflicts) => panic!("{conflicts:?}"),
    };
    use SchemaEdit::{Add, Drop, Rename, SetDefault, SetDoc, Widen};
    let add = |text: &str| Add {
        parent: None,
        position: Position::Last,
        field: Field::optional(name(text), PrimitiveType::Int),
    };
    check(&[add("x")], &[add("y")], &[r#""name":"x","type":"int"},{"id""#, r#""name":"y","type":"int"}],"#]);
    check(&[Drop(FieldId(7))], &[Rename(FieldId(2), name("cost"))], &["[7,8,9,10,70000]", "cost"]);
    check(&[Drop(FieldId(7))], &[Drop(FieldId(7))], &["[7,8,9,10,70000]"]);
    check(
        &[Rename(FieldId(2), name("cost"))],
        &[SetDoc(FieldId(2), Some("d".to_owned()))],
        &["cost", r#""doc":"d""#],
    );
    check(
        &[SetDoc(FieldId(5), Some("d".to_owned()))],
        &[Drop(FieldId(7)), add("tags")],
        &[r#""doc":"d""#, r#""name":"tags","type":"int""#],
    );
    check(
        &[Widen(FieldId(6), PrimitiveType::Double)],
        &[SetDefault(FieldId(6), Some(Value::Float(0.5)))],
        &[r#""type":"double","default":0.5"#],
    );
    check(&[Rename(FieldId(2), name("cost"))], &[Rename(FieldId(2), name("cost"))], &["cost"]);
    check(
        &[SchemaEdit::Move(FieldId(7), Position::First), add("x")],
        &[add("y")],
        &[r#""fields":[{"id":7,"#],
    );
    check(
        &[add("y")],
        &[SchemaEdit::Move(FieldId(7), Position::First), add("x")],
        &[r#""fields":[{"id":7,"#],
    );
}

#[test]
fn disagreements_are_listed() {
    let check = |ours: &[SchemaEdit], theirs: &[SchemaEdit], expected: &[(SchemaConflictKind, &str)]| {
        let SchemaMerge::Conflicts(conflicts) = merge(ours, theirs) else {
            panic!("{ours:?} and {theirs:?} merge")
        };
        let found: Vec<_> =
            conflicts.iter().map(|conflict| (conflict.kind, conflict.path.as_str())).collect();
        assert_eq!(found, expected);
    };
    use SchemaConflictKind as K;
    use SchemaEdit::{Add, Drop, Rename, SetDefault, SetDoc, Widen};
    let add = |parent: Option<i32>, text: &str, ty: PrimitiveType| Add {
        parent: parent.map(FieldId),
        position: Position::Last,
        field: Field::optional(name(text), ty),
    };
    let rename = |text: &str| Rename(FieldId(2), name(text));
    let doc = |text: &str| SetDoc(FieldId(5), Some(text.to_owned()));
    check(
        &[rename("a"), doc("x")],
        &[rename("b"), doc("y")],
        &[(K::Name, "Price"), (K::Doc, "lines.element.sku")],
    );
    // Ours is called `a` for want of a decision, so that nothing clashes with it.
    check(&[rename("a")], &[rename("b"), add(None, "a", PrimitiveType::Int)], &[(K::Name, "Price")]);
    check(&[rename("PRICE")], &[rename("price")], &[(K::Name, "Price")]);
    let decimal = |precision| Widen(FieldId(2), PrimitiveType::Decimal { precision, scale: 2 });
    check(&[decimal(10)], &[decimal(11)], &[(K::Type, "Price")]);
    check(
        &[SetDefault(FieldId(5), Some(Value::String("a".into())))],
        &[SetDefault(FieldId(5), Some(Value::String("b".into())))],
        &[(K::Default, "lines.element.sku")],
    );
    check(&[Drop(FieldId(3))], &[doc("x")], &[(K::Dropped, "lines")]);
    check(&[add(Some(4), "n", PrimitiveType::Int)], &[Drop(FieldId(3))], &[(K::Dropped, "lines")]);
    check(
        &[add(None, "N", PrimitiveType::Int)],
        &[add(None, "n", PrimitiveType::Int)],
        &[(K::SameName, "N")],
    );
    check(&[add(None, "cost", PrimitiveType::Int)], &[rename("Cost")], &[(K::SameName, "cost")]);
}

#[test]
fn the_same_id_drawn_twice_is_a_disagreement() {
    let base = orders();
    let side = |text: &str| {
        let field = Field::optional(name(text), PrimitiveType::Int);
        base.edited(&[SchemaEdit::Add { parent: None, position: Position::Last, field }], &[], &mut || 5)
            .unwrap()
    };
    let same = Schema::merge(&base, &side("x"), &side("x")).unwrap();
    assert_eq!(same, SchemaMerge::Merged(side("x")));
    let SchemaMerge::Conflicts(conflicts) = Schema::merge(&base, &side("x"), &side("y")).unwrap() else {
        panic!()
    };
    assert_eq!(conflicts[0].kind, SchemaConflictKind::Added);
    assert_eq!(
        (conflicts[0].ours.as_deref(), conflicts[0].theirs.as_deref()),
        (Some("x int"), Some("y int"))
    );
}

#[test]
fn ten_thousand_columns_are_no_trouble() {
    let column = |number: usize| Field::optional(name(&format!("Column {number}")), PrimitiveType::Long);
    let base = Schema::numbered((0..10_000).map(column).collect()).unwrap();
    let edits: Vec<SchemaEdit> = (10_000..10_100)
        .map(|number| SchemaEdit::Add { parent: None, position: Position::First, field: column(number) })
        .collect();
    let side = base.edited(&edits, &[], &mut numbers(1)).unwrap();
    let other = base.edited(&[SchemaEdit::Drop(FieldId(5000))], &[], &mut numbers(2)).unwrap();
    let SchemaMerge::Merged(merged) = Schema::merge(&base, &side, &other).unwrap() else { panic!() };
    assert_eq!(merged.fields().len(), 10_099);
    assert_eq!(read(&text_of(&merged)).unwrap(), merged);
    assert!(
        (0..10_000)
            .filter(|number| *number != 4999)
            .all(|number| merged.find([format!("column {number}").as_str()]).is_some())
    );
}
