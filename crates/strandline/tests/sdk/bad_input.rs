//! Bad input: refused by kind, named, and without a trace: the transaction goes on, or says that it cannot.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::Schema as ArrowSchema;
use futures::future::BoxFuture;
use futures::{FutureExt, stream};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use strandline::filter::{Predicate, col};
use strandline::format::{Field, PrimitiveType, Transform};
use strandline::transaction::{Place, Rows};
use strandline::{ErrorKind, Lake, Result, Transaction};
use strandline_testkit::{
    Answer, Effect, FaultyStore, PathClass, RequestKind, Script, Status, Target, VirtualClock,
};

use crate::fixture::{open, paused};
use crate::work::{batch, change, column, ids_of, longs, order_fields, orders, race, shop, texts};

type Act = fn(&Transaction) -> BoxFuture<'_, Result<()>>;

/// What is refused, with its kind and what the message names.
const REFUSED: &[(&str, ErrorKind, &[&str], Act)] = &[
    (
        "rows that differ",
        ErrorKind::InvalidInput,
        &["id: the table has long", "Utf8", "\"name\"", "nmae", "extra"],
        |on| {
            let columns = [("id", texts(&["x"])), ("nmae", texts(&["y"])), ("extra", longs([1]))];
            async move { on.append("orders", batch(columns)).await.map(drop) }.boxed()
        },
    ),
    ("a required column that is missing", ErrorKind::InvalidInput, &["id", "required"], |on| {
        async { on.append("orders", batch([("name", texts(&["y"]))])).await.map(drop) }.boxed()
    }),
    ("two columns but for case", ErrorKind::InvalidInput, &["\"id\"", "\"ID\""], |on| {
        async { on.append("orders", batch([("id", longs([1])), ("ID", longs([1]))])).await.map(drop) }.boxed()
    }),
    ("null where none may be", ErrorKind::InvalidInput, &["id", "row 1"], |on| {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        async { on.append("orders", batch([("id", ids)])).await.map(drop) }.boxed()
    }),
    ("a constraint", ErrorKind::InvalidInput, &["positive", "row 2", "-0.5"], |on| {
        let rows = vec![orders(5..7), batch_of(-1)];
        async { on.append("orders", rows).await.map(drop) }.boxed()
    }),
    ("a constraint in an overwrite", ErrorKind::InvalidInput, &["positive", "row 0"], |on| {
        async { on.overwrite("orders", batch_of(-1)).await.map(drop) }.boxed()
    }),
    ("rows that do not fit in an overwrite", ErrorKind::InvalidInput, &["id", "required"], |on| {
        async { on.overwrite("orders", batch([("name", texts(&["y"]))])).await.map(drop) }.boxed()
    }),
    ("rows outside of what is replaced", ErrorKind::InvalidInput, &["row 1", "id < 6"], |on| {
        async { on.overwrite("orders", orders(5..7)).matching(col("id").lt(6)).await.map(drop) }.boxed()
    }),
    ("splits of a table without", ErrorKind::InvalidInput, &["orders", "split"], |on| {
        async { on.overwrite("orders", orders(5..7)).splits().await.map(drop) }.boxed()
    }),
    ("a stream that breaks off", ErrorKind::InvalidInput, &["no more"], |on| {
        let rows = stream::iter([Ok(orders(5..6)), Err(std::io::Error::other("no more"))]);
        async { on.append("orders", Rows::stream(rows)).await.map(drop) }.boxed()
    }),
    (
        "a stream whose second batch breaks a constraint",
        ErrorKind::InvalidInput,
        &["positive", "row 1"],
        |on| {
            let rows = stream::iter([Ok::<_, std::io::Error>(orders(5..6)), Ok(batch_of(-1))]);
            async { on.append("orders", Rows::stream(rows)).await.map(drop) }.boxed()
        },
    ),
    ("a delete by an unknown column", ErrorKind::NotFound, &["nmae", "\"name\""], |on| {
        async { on.delete("orders", col("nmae").is_null()).await.map(drop) }.boxed()
    }),
    ("a comparison of two types", ErrorKind::InvalidInput, &["id", "long"], |on| {
        async { on.delete("orders", col("id").eq("five")).await.map(drop) }.boxed()
    }),
    ("an append to an unknown table", ErrorKind::NotFound, &["ordres", "\"orders\""], |on| {
        async { on.append("ordres", orders(5..6)).await.map(drop) }.boxed()
    }),
    ("an unknown table", ErrorKind::NotFound, &["ordres", "\"orders\""], |on| {
        async { on.table("ordres").await.map(drop) }.boxed()
    }),
    ("an overwrite of an unknown table", ErrorKind::NotFound, &["ordres", "\"orders\""], |on| {
        async { on.overwrite("ordres", orders(5..6)).await.map(drop) }.boxed()
    }),
    ("a delete in an unknown table", ErrorKind::NotFound, &["\"orders\""], |on| {
        async { on.delete("ordres", Predicate::all()).await.map(drop) }.boxed()
    }),
    ("a drop of an unknown table", ErrorKind::NotFound, &["\"orders\""], |on| {
        async { on.drop_table("ordres").await }.boxed()
    }),
    ("a rename of an unknown table", ErrorKind::NotFound, &["\"orders\""], |on| {
        async { on.rename("ordres", "other").await }.boxed()
    }),
    ("a table as a namespace", ErrorKind::InvalidInput, &["orders", "table"], |on| {
        async { on.drop_namespace("orders").await }.boxed()
    }),
    ("a rename into no namespace", ErrorKind::NotFound, &["\"sales\"", "first"], |on| {
        async { on.rename("orders", "sales.orders").await }.boxed()
    }),
    ("a table that is there", ErrorKind::AlreadyExists, &["orders"], |on| {
        async { on.create_table("ORDERS").fields(order_fields()).await.map(drop) }.boxed()
    }),
    ("a table in no namespace", ErrorKind::NotFound, &["\"sales\""], |on| {
        async { on.create_table("sales.orders").fields(order_fields()).await.map(drop) }.boxed()
    }),
    ("a table without a say of columns", ErrorKind::InvalidInput, &["columns"], |on| {
        async { on.create_table("other").await.map(drop) }.boxed()
    }),
    ("a name that is none", ErrorKind::InvalidInput, &["/"], |on| {
        async { on.create_table("a/b").fields(order_fields()).await.map(drop) }.boxed()
    }),
    ("two columns of a new table but for case", ErrorKind::InvalidInput, &["straße", "STRASSE"], |on| {
        let fields = [column("straße", PrimitiveType::Int), column("STRASSE", PrimitiveType::Int)];
        async { on.create_table("other").fields(fields).await.map(drop) }.boxed()
    }),
    ("a key that may be null", ErrorKind::InvalidInput, &["name", "required"], |on| {
        async { on.create_table("other").fields(order_fields()).key(["name"]).await.map(drop) }.boxed()
    }),
    ("an order by an unknown column", ErrorKind::NotFound, &["nmae", "\"name\""], |on| {
        async { on.create_table("other").fields(order_fields()).sorted_by("nmae").await.map(drop) }.boxed()
    }),
    ("a split that its column does not allow", ErrorKind::InvalidInput, &["name", "day"], |on| {
        let table = on.create_table("other").fields(order_fields()).split_by("name", Transform::Day);
        async { table.await.map(drop) }.boxed()
    }),
    ("a check beyond the language", ErrorKind::InvalidInput, &["clever"], |on| {
        let table = on.create_table("other").fields(order_fields()).check("clever", "id IN (SELECT 1)");
        async { table.await.map(drop) }.boxed()
    }),
    ("a property that is too large", ErrorKind::InvalidInput, &["bytes"], |on| {
        let huge = "x".repeat(10 << 20);
        async { on.alter_table("orders").set_property("note", huge).await }.boxed()
    }),
    ("a comment that is too large", ErrorKind::InvalidInput, &["bytes"], |on| {
        async { on.alter_table("orders").comment("x".repeat(10 << 20)).await }.boxed()
    }),
    ("a change of an unknown column", ErrorKind::NotFound, &["nmae", "\"name\""], |on| {
        async { on.alter_table("orders").drop_column("nmae").await }.boxed()
    }),
    ("a change of which the second part cannot be", ErrorKind::InvalidInput, &["id", "int"], |on| {
        let alter = on.alter_table("orders").comment("half").widen_column("id", PrimitiveType::Int);
        async { alter.await }.boxed()
    }),
    (
        "a required column without a value for old rows",
        ErrorKind::InvalidInput,
        &["place", "initial"],
        |on| {
            let place = Field { required: true, ..column("place", PrimitiveType::String) };
            async { on.alter_table("orders").add_column(place).await }.boxed()
        },
    ),
    ("a column whose name is taken", ErrorKind::InvalidInput, &["NAME"], |on| {
        async { on.alter_table("orders").add_column(column("NAME", PrimitiveType::Int)).await }.boxed()
    }),
    ("a column after an unknown one", ErrorKind::NotFound, &["nmae"], |on| {
        let to = Place::After("nmae".to_owned());
        async { on.alter_table("orders").move_column("id", to).await }.boxed()
    }),
    ("a constraint that old rows break", ErrorKind::InvalidInput, &["many", "id"], |on| {
        async { on.alter_table("orders").add_check("many", "id > 1").await }.boxed()
    }),
    ("a constraint whose name is taken", ErrorKind::AlreadyExists, &["POSITIVE"], |on| {
        async { on.alter_table("orders").add_check("POSITIVE", "id >= 0").await }.boxed()
    }),
    ("a constraint that is not there", ErrorKind::NotFound, &["many"], |on| {
        async { on.alter_table("orders").drop_check("many").await }.boxed()
    }),
    ("a column that a constraint asks for", ErrorKind::InvalidInput, &["positive", "amount"], |on| {
        async { on.alter_table("orders").drop_column("amount").await }.boxed()
    }),
];

/// One order, whose amount is half more than its id.
fn batch_of(id: i64) -> RecordBatch {
    orders(id..id + 1)
}

#[test]
fn what_is_refused_is_named_and_leaves_the_transaction_as_it_was() {
    paused(async {
        let (_, lake) = shop(3).await;
        let mut next = 10;
        for (name, kind, parts, act) in REFUSED {
            let transaction = lake.begin().await.unwrap();
            let error = act(&transaction).await.expect_err(name);
            assert_eq!(error.kind(), *kind, "{name}: {error}");
            for part in *parts {
                assert!(error.message().contains(part), "{name}: no {part} in {error}");
            }
            transaction.append("orders", batch_of(next)).await.unwrap();
            let report = transaction.commit().await.unwrap();
            let [table] = &report.tables[..] else { panic!("{name}: {report:?}") };
            assert_eq!((table.rows, table.operation.as_str()), ((1, 0), "append"), "{name}");
            next += 1;
        }
        let expected: Vec<i64> = (0..3).chain(10..next).collect();
        assert_eq!(ids_of(&lake, "orders").await, expected);
        assert_eq!(lake.main().await.unwrap().tables().await.unwrap().len(), 1);
    });
}

/// A transaction in which everything failed has done nothing, so nothing can collide with it, and its commit says so.
#[test]
fn what_failed_was_not_done() {
    paused(async {
        for (name, _, _, act) in REFUSED {
            let (counted, lake) = shop(3).await;
            let outcome = race(
                &lake,
                async |one| one.drop_table("orders").await.unwrap(),
                async |two| drop(act(two).await.expect_err(name)),
            );
            let (report, counts) = counted.store.measure(outcome).await;
            let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(report.commit.changes(), [], "{name}");
            assert_eq!(counts.of(RequestKind::List).requests, 0, "{name}: {counts}");
        }
    });
}

#[test]
fn a_transaction_that_has_ended_takes_nothing() {
    paused(async {
        let (_, lake) = shop(3).await;
        let committed = lake.begin().await.unwrap();
        committed.commit().await.unwrap();
        let abandoned = lake.begin().await.unwrap();
        abandoned.append("orders", orders(7..9)).await.unwrap();
        abandoned.abandon().await;
        for ended in [committed, abandoned] {
            let outcomes = [
                ended.append("orders", orders(3..4)).await.map(drop),
                ended.overwrite("orders", orders(3..4)).await.map(drop),
                ended.delete("orders", Predicate::all()).await.map(drop),
                ended.create_table("other").fields(order_fields()).await.map(drop),
                ended.alter_table("orders").comment("late").await,
                ended.rename("orders", "other").await,
                ended.drop_table("orders").await,
                ended.list(None).await.map(drop),
                ended.table("orders").await.map(drop),
                ended.commit().await.map(drop),
            ];
            for outcome in outcomes {
                let error = outcome.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                assert!(error.message().contains("has ended"), "{error}");
            }
        }
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2]);
    });
}

#[test]
fn a_label_that_cannot_be_is_refused_and_the_transaction_goes_on() {
    paused(async {
        let (_, lake) = shop(0).await;
        let transaction = lake.begin().await.unwrap();
        transaction.append("orders", orders(0..1)).await.unwrap();
        let long = "x".repeat(10 << 20);
        for commit in [
            transaction.commit().message(long.as_str()),
            transaction.commit().author(long.as_str()),
            transaction.commit().property("key", long.as_str()),
            transaction.commit().property("", "value"),
        ] {
            assert_eq!(commit.await.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        transaction.commit().message("short").await.unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [0]);
    });
}

/// Puts of data are refused, so many times.
fn refusing(store: &Arc<dyn ObjectStore>, times: usize) -> Arc<dyn ObjectStore> {
    let puts = Target::any().kind(RequestKind::Put).class(PathClass::Data).times(times);
    let script = Script::empty().and(puts, Effect::fail(Answer::Status(Status::Forbidden)));
    Arc::new(FaultyStore::new(store.clone(), script))
}

async fn over(store: &Arc<dyn ObjectStore>) -> Lake {
    open(crate::past::storage(store, 9, &VirtualClock::default())).await.unwrap()
}

#[test]
fn an_upload_that_is_refused_ends_a_commit_and_no_overwrite() {
    paused(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let lake = Lake::create_in(crate::past::storage(&store, 1, &VirtualClock::default())).await.unwrap();
        change(&lake, async |on| {
            on.create_table("orders").fields(order_fields()).await.unwrap();
        })
        .await;
        lake.append("orders", orders(0..3)).await.unwrap();

        let ended = over(&refusing(&store, 1)).await.begin().await.unwrap();
        ended.append("orders", orders(5..7)).await.unwrap();
        assert_eq!(ended.commit().await.unwrap_err().kind(), ErrorKind::PermissionDenied);
        let error = ended.commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.message().contains("has ended"), "{error}");

        let lake = over(&refusing(&store, 1)).await;
        let transaction = lake.begin().await.unwrap();
        let error = transaction.overwrite("orders", orders(5..7)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        transaction.append("orders", orders(8..9)).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(ids_of(&over(&store).await, "orders").await, [0, 1, 2, 8]);
    });
}

#[test]
fn only_the_head_of_a_branch_is_written_to() {
    paused(async {
        let (_, lake) = shop(3).await;
        lake.create_tag("v1").await.unwrap();
        for named in ["main~1", "tag:v1", "version:0"] {
            let error = lake.at(named).await.unwrap().begin().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{named}: {error}");
            assert!(error.message().contains("not the head of a branch"), "{named}: {error}");
        }
        for (named, part) in [("mian", "did you mean \"main\""), ("v1", "is a tag")] {
            let error = lake.begin().branch(named).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{named}: {error}");
            assert!(error.message().contains(part), "{named}: {error}");
        }
        let error = lake.at("mian").await.unwrap_err();
        assert!(error.message().contains("did you mean \"main\""), "{error}");
        let error = lake.begin().key("").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        lake.at("main").await.unwrap().begin().await.unwrap().commit().await.unwrap();
    });
}

/// Names, and others that are the same but for case or composition.
const NAMES: &[(&str, &[&str])] = &[
    ("订单", &["订单"]),
    ("طلبات", &["طلبات"]),
    ("הזמנות", &["הזמנות"]),
    ("cafe\u{301}", &["caf\u{e9}", "CAFÉ"]),
    ("Straße", &["STRASSE", "strasse", "STRAẞE"]),
    ("ΟΔΟΣ", &["οδοσ", "οδος"]),
    ("🦀🏴\u{200d}☠\u{fe0f}", &["🦀🏴\u{200d}☠\u{fe0f}"]),
    ("क्षेत्र", &["क्षेत्र"]),
    ("ＡＢＣ", &["ａｂｃ"]),
];

#[test]
fn names_of_every_script_are_found_however_they_are_written() {
    paused(async {
        let (counted, lake) = shop(0).await;
        for (name, others) in NAMES {
            let table = format!("{name}.{name}");
            change(&lake, async |on| {
                let rows = batch([(*name, longs([1, 2]))]);
                on.create_table(table.as_str()).like(&rows.schema()).with_namespaces().await.unwrap();
                on.append(&table, rows).await.unwrap();
            })
            .await;
            let cold = open(counted.cold().storage).await.unwrap();
            for (before, other) in (2..).zip(*others) {
                let found = cold.table(&format!("{other}.{other}")).await.unwrap();
                assert_eq!((found.name(), found.rows()), (table.as_str(), before));
                let scan = found.scan().columns([*other]).filter(col(other).gt(1));
                assert_eq!(scan.count().await.unwrap(), before - 1);
                cold.append(found.name(), batch([(*other, longs([3]))])).await.unwrap();
                let twice = lake.begin().await.unwrap();
                let error = twice.create_namespace(other).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{other}");
            }
        }
    });
}

#[test]
fn nothing_is_written_where_there_is_nothing_to_write() {
    paused(async {
        let (counted, lake) = shop(0).await;
        let none = orders(0..0);
        let before = counted.store.snapshot();
        assert_eq!(lake.append("orders", none.clone()).await.unwrap().commit.changes(), []);
        assert_eq!(lake.append("orders", Vec::new()).await.unwrap().commit.changes(), []);
        let stream = Rows::stream(stream::iter([Ok::<_, std::io::Error>(none.clone()), Ok(none.clone())]));
        assert_eq!(lake.append("orders", stream).await.unwrap().commit.changes(), []);
        change(&lake, async |on| {
            assert_eq!(on.delete("orders", Predicate::all()).await.unwrap(), 0);
            on.overwrite("orders", none.clone()).await.unwrap();
            on.overwrite("orders", none.clone()).matching(col("id").gt(3)).await.unwrap();
        })
        .await;
        assert_eq!(counted.store.since(&before).to(PathClass::Data).requests, 0);
        assert_eq!(lake.begin().await.unwrap().commit().await.unwrap().commit.changes(), []);
        assert_eq!(ids_of(&lake, "orders").await, [0_i64; 0]);
        let columnless = ArrowSchema::empty();
        let made = lake.begin().await.unwrap().create_table("bare").like(&columnless).await.map(drop);
        assert!(made.is_ok() || made.unwrap_err().kind() == ErrorKind::InvalidInput);
    });
}

#[test]
fn a_version_of_another_lake_is_refused_for_whatever_it_is_wanted() {
    paused(async {
        let (_, lake) = shop(2).await;
        let (_, other) = shop(3).await;
        lake.create_branch("dev").await.unwrap();
        let theirs = other.at("main").await.unwrap();
        let head = lake.at("main").await.unwrap().commit().hash();
        let orders = lake.table("orders").await.unwrap();
        let hash = format!("commit:{}", theirs.commit().hash());
        let refused = [
            ("merge", lake.merge(&theirs).into("main").await.map(drop)),
            ("dry run", lake.merge(&theirs).into("main").dry_run().await.map(drop)),
            ("squash", lake.merge(&theirs).into("dev").squash().await.map(drop)),
            ("pick", lake.cherry_pick(&theirs).on("main").await.map(drop)),
            ("revert", lake.revert(&theirs).on("main").await.map(drop)),
            ("reset", lake.reset(&theirs).on("main").await.map(drop)),
            ("forward", lake.fast_forward("dev").to(&theirs).await.map(drop)),
            ("branch", lake.create_branch("made").from(&theirs).await.map(drop)),
            ("tag", lake.create_tag("made").on(&theirs).await.map(drop)),
            ("diff", lake.diff(&theirs, "main").await.map(drop)),
            ("changes", orders.changes(&theirs, "main").await.map(drop)),
            ("net", orders.changes("main", &theirs).net().await.map(drop)),
        ];
        for (what, refused) in refused {
            let error = refused.expect_err(what);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
            assert!(error.message().contains("of another lake"), "{what}: {error}");
        }
        // By its hash, it is a commit that nobody here has.
        let error = lake.merge(hash.as_str()).into("main").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert_eq!(lake.at("main").await.unwrap().commit().hash(), head);
        assert_eq!((lake.branches().await.unwrap().len(), lake.tags().await.unwrap().len()), (2, 0));
    });
}
