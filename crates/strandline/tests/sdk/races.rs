//! Two transactions from one head: what goes together, and what collides.

use strandline::filter::{Predicate, col};
use strandline::format::PrimitiveType;
use strandline::{ErrorKind, Lake, Report, Result, Transaction};

use crate::fixture::paused;
use crate::work::{batch, change, column, ids_of, longs, order_fields, orders, race, shop, texts};

/// Says what stands in the way: each conflict's name and text must be in the message, and the commit that did it.
fn conflict(outcome: Result<Report>, code: &str, parts: &[&str]) {
    let error = outcome.expect_err(code);
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let found = error.conflicts().iter().find(|conflict| conflict.code() == code);
    assert!(found.is_some_and(|conflict| conflict.commit.is_some()), "{code}: {:?}", error.conflicts());
    for part in parts {
        assert!(error.message().contains(part), "no {part} in {error}");
    }
}

async fn fresh() -> Lake {
    shop(3).await.1
}

async fn columns_of(lake: &Lake, table: &str) -> Vec<String> {
    let table = lake.table(table).await.unwrap();
    table.schema().fields().iter().map(|field| field.name.as_str().to_owned()).collect()
}

#[test]
fn changes_of_different_fields_go_together() {
    paused(async {
        let lake = fresh().await;
        let add = async |on: &Transaction, name: &str| {
            on.alter_table("orders").add_column(column(name, PrimitiveType::Long)).await.unwrap();
        };
        race(
            &lake,
            async |one| {
                add(one, "place").await;
                one.alter_table("orders").set_property("owner", "one").await.unwrap();
            },
            async |two| {
                add(two, "time").await;
                two.alter_table("orders").rename_column("name", "title").comment("of two").await.unwrap();
            },
        )
        .await
        .unwrap();
        let table = lake.table("orders").await.unwrap();
        assert_eq!(columns_of(&lake, "orders").await, ["id", "title", "amount", "place", "time"]);
        assert_eq!(table.comment(), "of two");
        assert_eq!(table.properties().iter().count(), 1);
        lake.append("orders", batch([("id", longs([9])), ("place", longs([1])), ("time", longs([2]))]))
            .await
            .unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 9]);
    });
}

#[test]
fn changes_of_the_same_thing_collide() {
    paused(async {
        let rename = async |on: &Transaction, to: &str| {
            on.alter_table("orders").rename_column("name", to).await.unwrap();
        };
        let lake = fresh().await;
        let renamed =
            race(&lake, async |one| rename(one, "title").await, async |two| rename(two, "label").await).await;
        conflict(renamed, "table", &["orders", "title", "label", "version 3"]);
        assert_eq!(columns_of(&lake, "orders").await, ["id", "title", "amount"]);

        let lake = fresh().await;
        let same =
            race(&lake, async |one| rename(one, "title").await, async |two| rename(two, "title").await).await;
        same.unwrap();

        let lake = fresh().await;
        let added = async |on: &Transaction, ty| {
            on.alter_table("orders").add_column(column("place", ty)).await.unwrap();
        };
        let twice = race(
            &lake,
            async |one| added(one, PrimitiveType::Long).await,
            async |two| added(two, PrimitiveType::Int).await,
        )
        .await;
        conflict(twice, "table", &["place"]);

        let lake = fresh().await;
        let dropped = race(
            &lake,
            async |one| one.alter_table("orders").drop_column("name").await.unwrap(),
            async |two| rename(two, "title").await,
        )
        .await;
        conflict(dropped, "table", &["title", "one side dropped it"]);

        let lake = fresh().await;
        let note = async |on: &Transaction, value: &str| {
            on.alter_table("orders").set_property("owner", value).comment(value).await.unwrap();
        };
        let noted = race(&lake, async |one| note(one, "a").await, async |two| note(two, "b").await).await;
        conflict(noted, "table", &["owner", "\"a\"", "\"b\"", "comment"]);
    });
}

#[test]
fn appends_go_with_changes_of_the_schema_and_of_the_name() {
    paused(async {
        let alter = async |on: &Transaction| {
            let alter = on.alter_table("orders").rename_column("name", "title").drop_column("amount");
            alter.drop_check("positive").add_column(column("place", PrimitiveType::Long)).await.unwrap();
        };
        let append = async |on: &Transaction| {
            on.append("orders", orders(5..7)).await.unwrap();
        };
        let lake = fresh().await;
        race(&lake, alter, append).await.unwrap();
        let lake_two = fresh().await;
        race(&lake_two, append, alter).await.unwrap();
        for lake in [lake, lake_two] {
            assert_eq!(columns_of(&lake, "orders").await, ["id", "title", "place"]);
            assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 5, 6]);
            let table = lake.table("orders").await.unwrap();
            assert_eq!(table.scan().filter(col("title").eq("order 5")).count().await.unwrap(), 1);
            assert_eq!(table.scan().filter(col("place").is_null()).count().await.unwrap(), 5);
        }

        let rename = async |on: &Transaction| on.rename("orders", "sold").await.unwrap();
        let lake = fresh().await;
        race(&lake, rename, append).await.unwrap();
        let lake_two = fresh().await;
        race(&lake_two, append, rename).await.unwrap();
        for lake in [lake, lake_two] {
            assert_eq!(ids_of(&lake, "sold").await, [0, 1, 2, 5, 6]);
            assert_eq!(lake.table("orders").await.unwrap_err().kind(), ErrorKind::NotFound);
        }
    });
}

#[test]
fn what_was_dropped_is_not_written_to() {
    paused(async {
        let append = async |on: &Transaction| {
            on.append("orders", orders(5..7)).await.unwrap();
        };
        let drop_table = async |on: &Transaction| on.drop_table("orders").await.unwrap();
        let lake = fresh().await;
        conflict(race(&lake, drop_table, append).await, "catalog", &["orders", "dropped"]);
        let lake = fresh().await;
        conflict(race(&lake, append, drop_table).await, "catalog", &["orders", "dropped"]);
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 5, 6]);
        let lake = fresh().await;
        race(&lake, drop_table, drop_table).await.unwrap();

        // A namespace in which something was made meanwhile.
        let lake = fresh().await;
        change(&lake, async |on| on.create_namespace("sales").await.unwrap()).await;
        let make = async |on: &Transaction| {
            drop(on.create_table("sales.orders").fields(order_fields()).await.unwrap());
        };
        let unmake = async |on: &Transaction| on.drop_namespace("sales").await.unwrap();
        conflict(race(&lake, make, unmake).await, "catalog", &["sales"]);
        assert_eq!(ids_of(&lake, "sales.orders").await, [0_i64; 0]);
    });
}

#[test]
fn of_two_that_make_the_same_name_one_does() {
    paused(async {
        let lake = fresh().await;
        let table = async |on: &Transaction, name: &str| {
            drop(on.create_table(name).fields(order_fields()).await.unwrap());
        };
        let made =
            race(&lake, async |one| table(one, "new").await, async |two| table(two, "NEW").await).await;
        conflict(made, "catalog", &["new", "both sides"]);
        let made = race(
            &lake,
            async |one| one.create_namespace("other").await.unwrap(),
            async |two| table(two, "other").await,
        )
        .await;
        conflict(made, "catalog", &["other"]);
        let moved = race(
            &lake,
            async |one| one.rename("orders", "third").await.unwrap(),
            async |two| two.rename("new", "third").await.unwrap(),
        )
        .await;
        conflict(moved, "catalog", &["third"]);
        let moved = race(
            &lake,
            async |one| one.rename("third", "a").await.unwrap(),
            async |two| two.rename("third", "b").await.unwrap(),
        )
        .await;
        conflict(moved, "catalog", &["different names"]);
        // A name that became free on one side may be taken on the other only once that has landed.
        let names: Vec<_> = lake.main().await.unwrap().tables().await.unwrap();
        assert_eq!(names.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["a", "new"]);
    });
}

/// A constraint of one side and rows of the other [REB-11].
#[test]
fn rows_are_held_against_a_constraint_that_was_made_meanwhile() {
    paused(async {
        let check = async |on: &Transaction| {
            on.alter_table("orders").add_check("few", "id < 6").await.unwrap();
        };
        let breaking = async |on: &Transaction| {
            on.append("orders", orders(4..8)).await.unwrap();
        };
        let keeping = async |on: &Transaction| {
            on.append("orders", orders(4..6)).await.unwrap();
        };

        let lake = fresh().await;
        conflict(race(&lake, check, breaking).await, "constraint", &["few", "id = 6"]);
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2]);
        let lake = fresh().await;
        conflict(race(&lake, breaking, check).await, "constraint", &["few", "id = 6"]);
        assert_eq!(lake.table("orders").await.unwrap().constraints().len(), 1);
        for (one, two) in [(true, false), (false, true)] {
            let lake = fresh().await;
            let act = async |on: &Transaction, constraint: bool| {
                if constraint { check(on).await } else { keeping(on).await }
            };
            race(&lake, async |on| act(on, one).await, async |on| act(on, two).await).await.unwrap();
            assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 4, 5]);
            assert_eq!(lake.table("orders").await.unwrap().constraints().len(), 2);
        }
        // What was deleted again breaks nothing.
        let lake = fresh().await;
        race(
            &lake,
            async |one| {
                breaking(one).await;
                one.delete("orders", col("id").ge(6)).await.unwrap();
            },
            check,
        )
        .await
        .unwrap();
    });
}

#[test]
fn a_constraint_needs_the_columns_that_it_names() {
    paused(async {
        let check = async |on: &Transaction| {
            on.alter_table("orders").add_check("named", "name IS NOT NULL").await.unwrap();
        };
        let gone = async |on: &Transaction| on.alter_table("orders").drop_column("name").await.unwrap();
        let renamed = async |on: &Transaction| {
            on.alter_table("orders").rename_column("name", "title").await.unwrap();
        };
        for (one, two) in [(0, 1), (1, 0), (0, 2), (2, 0)] {
            let lake = fresh().await;
            let act = async |on: &Transaction, what: i32| match what {
                0 => check(on).await,
                1 => gone(on).await,
                _ => renamed(on).await,
            };
            let outcome = race(&lake, async |on| act(on, one).await, async |on| act(on, two).await).await;
            conflict(outcome, "constraint", &["named", "name"]);
            lake.append("orders", orders(5..6)).await.map(drop).unwrap_or_default();
            assert_eq!(ids_of(&lake, "orders").await.len(), if one == 0 { 4 } else { 3 });
        }
    });
}

#[test]
fn deletes_of_the_same_rows_go_together() {
    paused(async {
        let lake = shop(10).await.1;
        race(
            &lake,
            async |one| {
                one.delete("orders", col("id").lt(4)).await.unwrap();
            },
            async |two| {
                two.delete("orders", col("id").between(3, 6)).await.unwrap();
            },
        )
        .await
        .unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [7, 8, 9]);
        race(
            &lake,
            async |one| {
                one.delete("orders", col("id").eq(7)).await.unwrap();
            },
            async |two| {
                two.delete("orders", col("id").ne(7)).await.unwrap();
            },
        )
        .await
        .unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [0_i64; 0]);
        assert_eq!(lake.table("orders").await.unwrap().totals().files, 0);
    });
}

/// What an overwrite and something else come to [REB-16].
#[test]
fn overwrites_collide_with_what_was_written_where_they_replace() {
    paused(async {
        let lake = shop(10).await.1;
        let replace = async |on: &Transaction, from: i64| {
            let range = col("id").between(from, from + 4);
            on.overwrite("orders", orders(from..from + 3)).matching(range).await.unwrap();
        };
        let same = race(&lake, async |one| replace(one, 0).await, async |two| replace(two, 0).await).await;
        conflict(same, "files", &["orders"]);
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 5, 6, 7, 8, 9]);
        // Apart from each other, in one file.
        race(&lake, async |one| replace(one, 0).await, async |two| replace(two, 5).await).await.unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 5, 6, 7]);
        let append = async |on: &Transaction, id: i64| {
            on.append("orders", orders(id..id + 1)).await.unwrap();
        };
        let within = race(&lake, async |one| append(one, 3).await, async |two| replace(two, 0).await).await;
        conflict(within, "files", &["orders"]);
        race(&lake, async |one| append(one, 30).await, async |two| replace(two, 0).await).await.unwrap();
        race(&lake, async |one| replace(one, 0).await, async |two| append(two, 4).await).await.unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 4, 5, 6, 7, 30]);
        let whole = async |on: &Transaction| {
            on.overwrite("orders", orders(0..1)).await.unwrap();
        };
        conflict(race(&lake, async |one| append(one, 99).await, whole).await, "files", &["orders"]);
        race(&lake, whole, async |two| append(two, 98).await).await.unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [0, 98]);
        let all = async |on: &Transaction| {
            on.overwrite("orders", orders(0..2)).await.unwrap();
        };
        conflict(race(&lake, all, whole).await, "files", &["orders"]);
    });
}

/// An overwrite whose file is there already keeps it: and holds that it is there, whole.
#[test]
fn a_file_that_an_overwrite_keeps_is_not_taken_from_it() {
    paused(async {
        let keep = async |on: &Transaction| {
            let kept = on.overwrite("orders", orders(0..5)).await.unwrap();
            assert_eq!(kept.files_kept, 1);
        };
        for predicate in [col("id").lt(2), Predicate::all()] {
            let lake = shop(5).await.1;
            let outcome = race(
                &lake,
                async |one| {
                    one.delete("orders", predicate).await.unwrap();
                },
                keep,
            )
            .await;
            conflict(outcome, "files", &["orders"]);
        }
        let lake = shop(5).await.1;
        race(&lake, keep, async |two| {
            two.delete("orders", col("id").lt(2)).await.unwrap();
        })
        .await
        .unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [2, 3, 4]);
        // What the transaction itself does to it afterwards counts, not what it kept before.
        let lake = shop(5).await.1;
        race(
            &lake,
            async |one| {
                one.delete("orders", col("id").lt(2)).await.unwrap();
            },
            async |two| {
                keep(two).await;
                two.overwrite("orders", batch([("id", longs([7])), ("name", texts(&["x"]))])).await.unwrap();
            },
        )
        .await
        .unwrap();
        assert_eq!(ids_of(&lake, "orders").await, [7]);
    });
}
