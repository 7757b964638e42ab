//! Tables and what they are like: made, changed, renamed, dropped, and read as they were and as they are.

use std::collections::BTreeMap;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::Serialize;
use strandline::format::{
    ColumnName, Direction, EntryType, Field, NullOrder, PrimitiveType, Transform, Type, Value,
};
use strandline::transaction::Place;
use strandline::{ErrorKind, Lake, Table};

use crate::fixture::{Counted, open, paused};
use crate::work::{batch, change, column, ids_of, longs, order_fields, orders, shop};

#[derive(Clone, Serialize)]
struct Point {
    x: i32,
    label: Option<&'static str>,
}

#[derive(Clone, Serialize)]
struct Row {
    id: i32,
    ratio: f32,
    price: &'static str,
    day: &'static str,
    at: Option<Point>,
    path: Vec<Option<Point>>,
    named: BTreeMap<&'static str, Point>,
}

fn point() -> Type {
    let x = Field::required(ColumnName::new("x").unwrap(), PrimitiveType::Int);
    Type::Struct(vec![x, column("label", PrimitiveType::String)])
}

fn fields() -> Vec<Field> {
    let nested = |name: &str, ty: Type| Field::optional(ColumnName::new(name).unwrap(), ty);
    vec![
        Field::required(ColumnName::new("id").unwrap(), PrimitiveType::Int),
        column("ratio", PrimitiveType::Float),
        column("price", PrimitiveType::Decimal { precision: 5, scale: 2 }),
        column("day", PrimitiveType::Date),
        nested("at", point()),
        nested("path", Type::list(point(), false).unwrap()),
        nested("named", Type::map(PrimitiveType::String, point(), false).unwrap()),
    ]
}

fn row(id: i32) -> Row {
    let at = Point { x: id * 10, label: Some("here") };
    Row {
        id,
        ratio: 0.5,
        price: "1.25",
        day: "2024-02-29",
        at: Some(at.clone()),
        path: vec![Some(at.clone()), None],
        named: [("k", at)].into(),
    }
}

/// A lake with the table `t`, which has one row.
async fn lake() -> (Counted, Lake) {
    let counted = Counted::new();
    let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
    change(&lake, async |on| {
        on.create_table("t").fields(fields()).await.unwrap();
        on.append_rows("t", &[row(1)]).await.unwrap();
    })
    .await;
    (counted, lake)
}

/// All rows of a column as text, in the order of the texts.
async fn column_texts(table: &Table, name: &str) -> Vec<String> {
    let batches = table.scan().columns([name]).collect().await.unwrap();
    let text = |batch: &RecordBatch| {
        let options = FormatOptions::default().with_null("null");
        let format = ArrayFormatter::try_new(batch.column(0), &options).unwrap();
        (0..batch.num_rows()).map(|row| format.value(row).to_string()).collect::<Vec<_>>()
    };
    let mut texts: Vec<String> = batches.iter().flat_map(text).collect();
    texts.sort_unstable();
    texts
}

fn key(ty: PrimitiveType, name: &str, initial: Option<Value>, default: Option<Value>) -> Field {
    Field { initial, default, ..column(name, ty) }
}

#[test]
fn everything_that_may_change_changes_at_every_depth_and_old_rows_are_read() {
    paused(async {
        let (counted, lake) = lake().await;
        change(&lake, async |on| {
            let alter = on
                .alter_table("t")
                .widen_column("id", PrimitiveType::Long)
                .widen_column("ratio", PrimitiveType::Double)
                .widen_column("price", PrimitiveType::Decimal { precision: 9, scale: 2 })
                .widen_column("day", PrimitiveType::Timestamp)
                .make_optional("id")
                .rename_column("at", "place")
                .rename_column("at.label", "name")
                .widen_column("at.x", PrimitiveType::Long)
                .add_field("at", key(PrimitiveType::Int, "z", None, Some(Value::Int(7))))
                .move_column("path.element.label", Place::First)
                .widen_column("path.element.x", PrimitiveType::Long)
                .make_optional("path.element.x")
                .drop_column("named.value.label")
                .rename_column("named.value.x", "y")
                .move_column("named", Place::First)
                .move_column("ratio", Place::After("day".to_owned()));
            alter.await.unwrap();
        })
        .await;
        lake.append("t", batch([("id", longs([2]))])).await.unwrap();
        let table = open(counted.cold().storage).await.unwrap().table("t").await.unwrap();
        let names: Vec<&str> = table.schema().fields().iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["named", "id", "price", "day", "ratio", "place", "path"]);
        let arrow = table.arrow_schema();
        let ty = |name: &str| arrow.field_with_name(name).unwrap().data_type().clone();
        assert_eq!(ty("id"), DataType::Int64);
        assert_eq!(ty("ratio"), DataType::Float64);
        assert_eq!(ty("price"), DataType::Decimal128(9, 2));
        assert_eq!(ty("day"), DataType::Timestamp(TimeUnit::Microsecond, None));
        for (name, old) in [
            ("id", "1"),
            ("ratio", "0.5"),
            ("price", "1.25"),
            ("day", "2024-02-29T00:00:00"),
            ("place", "{x: 10, name: here, z: null}"),
            ("path", "[{label: here, x: 10}, null]"),
            ("named", "{k: {y: 10}}"),
        ] {
            let new = if name == "id" { "2" } else { "null" };
            let mut expected = [old, new];
            expected.sort_unstable();
            assert_eq!(column_texts(&table, name).await, expected, "{name}");
        }
        // What was before stays what it was.
        let before = lake.at("main~2").await.unwrap().table("t").await.unwrap();
        assert_eq!(column_texts(&before, "at").await, ["{x: 10, label: here}"]);
    });
}

#[test]
fn a_column_that_was_dropped_and_added_again_is_another_one() {
    paused(async {
        let (_, lake) = lake().await;
        let before = lake.table("t").await.unwrap();
        let id = before.schema().find(["price"]).unwrap().id;
        change(&lake, async |on| {
            let price = column("price", PrimitiveType::Long);
            on.alter_table("t").drop_column("price").add_column_at(price, Place::First).await.unwrap();
        })
        .await;
        change(&lake, async |on| {
            let label = column("label", PrimitiveType::Long);
            on.alter_table("t").drop_column("at.label").add_field("at", label).await.unwrap();
        })
        .await;
        lake.append(
            "t",
            batch([
                ("id", std::sync::Arc::new(arrow::array::Int32Array::from(vec![2])) as _),
                ("price", longs([5])),
            ]),
        )
        .await
        .unwrap();
        let table = lake.table("t").await.unwrap();
        assert_ne!(table.schema().find(["price"]).unwrap().id, id);
        assert!(table.schema().dropped().contains(&id));
        assert_eq!(column_texts(&table, "price").await, ["5", "null"]);
        assert_eq!(column_texts(&table, "at").await, ["null", "{x: 10, label: null}"]);
    });
}

#[test]
fn two_columns_swap_their_names_and_their_places() {
    paused(async {
        let (_, lake) = shop(2).await;
        change(&lake, async |on| {
            let swap = on.alter_table("orders").drop_check("positive");
            let swap = swap.rename_column("name", "amount").rename_column("amount", "name");
            swap.move_column("amount", Place::First).await.unwrap();
        })
        .await;
        let table = lake.table("orders").await.unwrap();
        assert_eq!(column_texts(&table, "amount").await, ["order 0", "order 1"]);
        assert_eq!(column_texts(&table, "name").await, ["0.5", "1.5"]);
        assert_eq!(table.schema().fields()[0].name.as_str(), "name");
        // Tables do so by way of a third name.
        change(&lake, async |on| {
            on.create_table("other").fields(order_fields()).await.unwrap();
            on.rename("orders", "third").await.unwrap();
            on.rename("other", "orders").await.unwrap();
            on.rename("third", "other").await.unwrap();
        })
        .await;
        assert_eq!(lake.table("orders").await.unwrap().rows(), 0);
        assert_eq!(lake.table("other").await.unwrap().id(), table.id());
        change(&lake, async |on| {
            on.append("other", {
                let rows = orders(5..6);
                batch([("id", rows.column(0).clone())])
            })
            .await
            .unwrap();
            on.rename("other", "OTHER").await.unwrap();
        })
        .await;
        let table = lake.table("other").await.unwrap();
        assert_eq!((table.name(), table.rows()), ("OTHER", 3));
    });
}

#[test]
fn initial_defaults_are_of_old_rows_and_defaults_of_new_ones() {
    paused(async {
        let (_, lake) = shop(2).await;
        change(&lake, async |on| {
            let stars = Field {
                required: true,
                ..key(PrimitiveType::Int, "stars", Some(Value::Int(3)), Some(Value::Int(5)))
            };
            on.alter_table("orders").add_column(stars).await.unwrap();
        })
        .await;
        lake.append("orders", orders(2..3)).await.unwrap();
        change(&lake, async |on| {
            let alter = on.alter_table("orders").set_default("stars", Some(Value::Int(4)));
            alter.widen_column("stars", PrimitiveType::Long).await.unwrap();
            on.append("orders", orders(3..4)).await.unwrap();
        })
        .await;
        change(&lake, async |on| {
            on.alter_table("orders").set_default("stars", None).make_optional("stars").await.unwrap();
        })
        .await;
        lake.append("orders", orders(4..5)).await.unwrap();
        let table = lake.table("orders").await.unwrap();
        assert_eq!(column_texts(&table, "stars").await, ["3", "3", "4", "5", "null"]);
    });
}

#[test]
fn a_table_says_what_it_is_like() {
    paused(async {
        let (counted, lake) = shop(0).await;
        change(&lake, async |on| {
            let table = on.create_table("full").fields(order_fields()).key(["id"]).comment("all of it");
            let table = table.sorted_by("id").split_by("id", Transform::Bucket(4.try_into().unwrap()));
            let table = table.property("owner", "ops").check("few", "id < 100").target_file_bytes(1 << 20);
            table.await.unwrap();
        })
        .await;
        let table = open(counted.cold().storage).await.unwrap().table("full").await.unwrap();
        let key: Vec<&str> = table.key().iter().filter_map(|id| table.schema().path(*id)).flatten().collect();
        assert_eq!((key, table.comment()), (vec!["id"], "all of it"));
        assert_eq!((table.orders().len(), table.splits().len(), table.constraints().len()), (1, 1, 1));
        assert_eq!(table.layout().target_file_bytes, Some(1 << 20));
        assert_eq!(table.properties().iter().count(), 1);
        change(&lake, async |on| {
            let alter = on.alter_table("full").key(Vec::<String>::new()).comment("").unset_property("owner");
            let alter = alter.sorted_by([("name".to_owned(), Direction::Descending, NullOrder::First)]);
            let alter = alter.split_by([]).drop_check("FEW").target_file_bytes(None);
            alter.set_doc("id", Some("its number".to_owned())).await.unwrap();
        })
        .await;
        let table = lake.table("full").await.unwrap();
        assert_eq!((table.key().len(), table.comment(), table.constraints().len()), (0, "", 0));
        assert_eq!((table.orders().len(), table.splits().len(), table.layout().split), (2, 1, None));
        assert_eq!(table.schema().fields()[0].doc.as_deref(), Some("its number"));
        assert_eq!(table.properties().iter().count(), 0);
        // An alteration that changes nothing is none.
        let report = change(&lake, async |on| on.alter_table("full").comment("").await.unwrap()).await;
        assert_eq!(report.commit.changes(), []);
    });
}

#[test]
fn constraints_and_keys_hold_from_when_they_are_made() {
    paused(async {
        let (_, lake) = shop(3).await;
        change(&lake, async |on| {
            on.alter_table("orders")
                .key(["id"])
                .add_check("few", "id < 10 AND name IS NOT NULL")
                .await
                .unwrap();
        })
        .await;
        let error = lake.append("orders", orders(9..12)).await.unwrap_err();
        assert!(error.message().contains("few") && error.message().contains("row 1"), "{error}");
        let on = lake.begin().await.unwrap();
        let error = on.alter_table("orders").make_optional("id").await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.message().contains("id"), "{error}");
        // A constraint of this very transaction holds for its own rows, before and after.
        on.append("orders", orders(5..6)).await.unwrap();
        let error = on.alter_table("orders").add_check("fewer", "id < 5").await.unwrap_err();
        assert!(error.message().contains("fewer"), "{error}");
        on.alter_table("orders").add_check("fewer", "id < 7").await.unwrap();
        let error = on.append("orders", orders(8..9)).await.unwrap_err();
        assert!(error.message().contains("fewer"), "{error}");
        on.commit().await.unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 5]);
    });
}

/// Rows that were checked before a constraint was made, and come in after it, are not let in by that.
#[test]
fn a_stream_that_a_constraint_overtakes_is_refused() {
    paused(async {
        let (_, lake) = shop(0).await;
        let on = lake.begin().await.unwrap();
        let (send, rows) = futures::channel::mpsc::unbounded();
        let append = {
            let on = on.clone();
            tokio::spawn(async move {
                on.append("orders", strandline::transaction::Rows::stream::<std::io::Error>(rows)).await
            })
        };
        send.unbounded_send(Ok(orders(20..21))).unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        on.alter_table("orders").add_check("few", "id < 10").await.unwrap();
        drop(send);
        let error = append.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        on.append("orders", orders(1..2)).await.unwrap();
        on.commit().await.unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [1]);
    });
}

#[test]
fn what_is_told_of_namespaces_and_views_is_set_changed_and_read() {
    paused(async {
        let (counted, lake) = shop(0).await;
        change(&lake, async |on| {
            on.create_namespace("a").await.unwrap();
            on.create_view("a.v", "SELECT 1", "datafusion", &orders(0..0).schema()).await.unwrap();
            on.alter_namespace("a").comment("mine").set_property("owner", "ada").await.unwrap();
            assert_eq!(on.namespace("A").await.unwrap().comment.as_str(), "mine");
        })
        .await;
        let told = lake.main().await.unwrap();
        let report = change(&lake, async |on| {
            let words = on.alter_view("a.V").comment("one").set_property("k", "1").set_property("l", "2");
            words.unset_property("k").await.unwrap();
            on.alter_namespace("a").set_property("owner", "bob").await.unwrap();
            assert_eq!(on.view("a.v").await.unwrap().comment.as_str(), "one");
            // Renamed only, they are what they were.
            on.rename("a.v", "w").await.unwrap();
            on.alter_view("w").set_property("m", "3").await.unwrap();
        })
        .await;
        assert!(
            report
                .commit
                .changes()
                .iter()
                .any(|change| change.operation == strandline::format::Operation::Alter)
        );
        let main = open(counted.cold().storage).await.unwrap().main().await.unwrap();
        let (namespace, view) = (main.namespace("a").await.unwrap(), main.view("w").await.unwrap());
        let pairs = |properties: &strandline::format::TableProperties| -> Vec<(String, String)> {
            properties
                .iter()
                .map(|(key, value)| (key.as_str().to_owned(), value.as_str().to_owned()))
                .collect()
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!((namespace.comment.as_str(), view.comment.as_str()), ("mine", "one"));
        assert_eq!(pairs(&namespace.properties), [pair("owner", "bob")]);
        assert_eq!(pairs(&view.properties), [pair("l", "2"), pair("m", "3")]);
        assert_eq!((view.sql.as_str(), view.schema.fields().len()), ("SELECT 1", 3));
        assert_eq!(pairs(&told.namespace("a").await.unwrap().properties), [pair("owner", "ada")]);
        let on = lake.begin().await.unwrap();
        for (name, kind) in
            [("nowhere", ErrorKind::NotFound), ("w", ErrorKind::NotFound), ("", ErrorKind::InvalidInput)]
        {
            let error = on.alter_namespace(name).comment("x").await.unwrap_err();
            assert_eq!(error.kind(), kind, "{name}: {error}");
        }
        let error = on.alter_view("w").set_property("", "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_eq!(on.view("w").await.unwrap(), view);
    });
}

#[test]
fn namespaces_nest_and_views_are_stored() {
    paused(async {
        let (counted, lake) = shop(0).await;
        change(&lake, async |on| {
            on.create_table("a.b.c.orders").fields(order_fields()).with_namespaces().await.unwrap();
            on.create_view("a.b.latest", "SELECT id FROM orders", "datafusion", &orders(0..0).schema())
                .await
                .unwrap();
            assert_eq!(on.list(Some("a.b")).await.unwrap().len(), 2);
            assert_eq!(on.list(None).await.unwrap().len(), 6);
        })
        .await;
        let main = open(counted.cold().storage).await.unwrap().main().await.unwrap();
        assert_eq!(main.namespaces().await.unwrap().len(), 3);
        assert_eq!(main.tables().within("a").await.unwrap().len(), 1);
        let view = main.view("A.B.Latest").await.unwrap();
        assert_eq!(
            (view.sql.as_str(), view.dialect.as_str(), view.schema.fields().len()),
            ("SELECT id FROM orders", "datafusion", 3)
        );
        let on = lake.begin().await.unwrap();
        for (namespace, kind) in [("a.b.c", ErrorKind::InvalidInput), ("a.b.d", ErrorKind::NotFound)] {
            assert_eq!(on.drop_namespace(namespace).await.unwrap_err().kind(), kind, "{namespace}");
        }
        assert_eq!(on.rename("a.b", "z").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(on.append("a.b.latest", orders(0..1)).await.unwrap_err().kind(), ErrorKind::NotFound);
        on.rename("a.b.latest", "latest").await.unwrap();
        on.rename("a.b.c.orders", "a.sold").await.unwrap();
        on.drop_namespace("a.b.c").await.unwrap();
        on.drop_namespace("a.b").await.unwrap();
        on.append("a.sold", orders(0..1)).await.unwrap();
        on.drop_table("orders").await.unwrap();
        on.create_table("orders").fields(order_fields()).await.unwrap();
        on.commit().await.unwrap();
        let main = lake.main().await.unwrap();
        let names = |listed: Vec<strandline::history::Listed>| {
            listed.into_iter().map(|found| (found.name.as_str().to_owned(), found.kind)).collect::<Vec<_>>()
        };
        assert_eq!(
            names(main.tables().await.unwrap()),
            [("a.sold".to_owned(), EntryType::Table), ("orders".to_owned(), EntryType::Table)]
        );
        assert_eq!(names(main.views().await.unwrap()), [("latest".to_owned(), EntryType::View)]);
        let error = main.table("latest").await.unwrap_err();
        assert!(error.kind() == ErrorKind::NotFound && error.message().contains("is a view"), "{error}");
    });
}

/// What the transaction made and took away again leaves no trace, and what it dropped and made anew is another table.
#[test]
fn what_is_made_and_dropped_in_one_transaction_was_never_there() {
    paused(async {
        let (_, lake) = shop(2).await;
        let id = lake.table("orders").await.unwrap().id();
        let report = change(&lake, async |on| {
            on.create_table("passing").fields(order_fields()).await.unwrap();
            on.append("passing", orders(0..1)).await.unwrap();
            on.rename("passing", "past").await.unwrap();
            on.drop_table("past").await.unwrap();
        })
        .await;
        assert_eq!(report.commit.changes(), []);
        change(&lake, async |on| {
            on.append("orders", orders(7..8)).await.unwrap();
            on.drop_table("orders").await.unwrap();
            on.create_table("orders").fields(order_fields()).await.unwrap();
            on.append("orders", orders(9..10)).await.unwrap();
        })
        .await;
        let table = lake.table("orders").await.unwrap();
        assert_ne!(table.id(), id);
        assert_eq!(ids_of(&lake, "orders").await, [9]);
        assert_eq!(table.scan().columns(["id"]).collect().await.unwrap()[0].column(0).len(), 1);
        let error =
            lake.begin().await.unwrap().create_table("orders").if_absent().fields(order_fields()).await;
        assert_eq!(error.unwrap().id(), table.id());
    });
}
