//! Two transactions that change rows of one file: different rows go together in metadata alone, the same row collides by its id.

use std::collections::BTreeMap;
use std::future::IntoFuture;

use strandline::filter::col;
use strandline::format::merge::RowFate;
use strandline::format::{FileId, RowId, TableName};
use strandline::{ConflictKind, Error, ErrorKind, Lake, RowPlace, RowSet, Transaction};
use strandline_testkit::commits::{TableEdit, commit};
use strandline_testkit::generate::entries;
use strandline_testkit::{PathClass, RequestKind};

use crate::fixture::{Counted, open, paused};
use crate::row_changes::{named, places, rows_of};
use crate::work::{change, ids, ids_of, orders, race, shop};

/// Something that is done to one row of orders, which has the number of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Nothing,
    Delete,
    Update,
    /// Its file is written anew without another row, so that it moves.
    Move,
    MoveAndUpdate,
    MoveAndDelete,
}

const ACTS: [Act; 6] =
    [Act::Nothing, Act::Delete, Act::Update, Act::Move, Act::MoveAndUpdate, Act::MoveAndDelete];

async fn set_removal(on: &Transaction, removal: &str) {
    on.alter_table("orders").set_property("strandline.row-removal", removal).await.unwrap();
}

async fn update(on: &Transaction, id: u64, name: &str) {
    let rows = places(&on.table("orders").await.unwrap(), &[id]).await;
    let number = i64::try_from(id).unwrap();
    on.update_rows("orders", rows, named(name, &[(number, Some(id))])).await.unwrap();
}

async fn delete(on: &Transaction, id: u64) {
    let rows = places(&on.table("orders").await.unwrap(), &[id]).await;
    assert_eq!(on.delete_rows("orders", rows).await.unwrap(), 1);
}

/// Writes the file of a row anew, by deleting another row in it.
async fn rewrite(on: &Transaction, other: u64) {
    set_removal(on, "copy-on-write").await;
    delete(on, other).await;
    on.alter_table("orders").unset_property("strandline.row-removal").await.unwrap();
}

impl Act {
    async fn run(self, on: &Transaction, id: u64, other: u64, name: &str) {
        if matches!(self, Self::Move | Self::MoveAndUpdate | Self::MoveAndDelete) {
            rewrite(on, other).await;
        }
        match self {
            Self::Update | Self::MoveAndUpdate => update(on, id, name).await,
            Self::Delete | Self::MoveAndDelete => delete(on, id).await,
            Self::Nothing | Self::Move => {}
        }
    }

    fn fate(self) -> RowFate {
        match self {
            Self::Nothing => RowFate::Left,
            Self::Move => RowFate::Moved,
            Self::Delete | Self::MoveAndDelete => RowFate::Deleted,
            Self::Update | Self::MoveAndUpdate => RowFate::Changed,
        }
    }

    fn moves(self) -> bool {
        matches!(self, Self::Move | Self::MoveAndUpdate | Self::MoveAndDelete)
    }
}

fn conflicting_rows(error: &Error) -> Vec<(RowId, RowFate, RowFate)> {
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let rows = error.conflicts().iter().filter_map(|conflict| match &conflict.kind {
        ConflictKind::Rows(rows) => Some(rows.rows().iter().map(|row| (row.row, row.ours, row.theirs))),
        _ => None,
    });
    rows.flatten().collect()
}

/// The table of the specification, acted out: [REB-7].
#[test]
fn whatever_two_transactions_do_to_one_row_comes_out_as_the_table_says() {
    paused(async {
        for (ours, theirs) in ACTS.into_iter().flat_map(|one| ACTS.map(|two| (one, two))) {
            let (_, lake) = shop(8).await;
            let before = rows_of(&lake).await;
            let outcome = race(
                &lake,
                async |one| ours.run(one, 3, 1, "ours").await,
                async |two| theirs.run(two, 3, 6, "theirs").await,
            )
            .await;
            use RowFate::{Changed, Deleted, Left, Moved};
            let expected = match (ours.fate(), theirs.fate()) {
                (Changed, Changed | Deleted) | (Deleted, Changed) => Err(()),
                (Deleted, _) | (_, Deleted) => Ok(None),
                (Changed, _) => Ok(Some("ours")),
                (_, Changed) => Ok(Some("theirs")),
                (Left | Moved, _) => Ok(Some("order 3")),
                (RowFate::Restored, _) => unreachable!(),
            };
            let Ok(expected) = expected else {
                let error = outcome.unwrap_err();
                let rows = conflicting_rows(&error);
                assert_eq!(rows, [(RowId(3), ours.fate(), theirs.fate())], "{ours:?} {theirs:?}: {error}");
                assert!(error.message().contains("row 3 ("), "{error}");
                assert!(error.conflicts()[0].commit.is_some(), "{error}");
                continue;
            };
            outcome.unwrap_or_else(|error| panic!("{ours:?} {theirs:?}: {error}"));
            let mut left: BTreeMap<u64, String> =
                before.iter().map(|(id, row)| (*id, row.1.clone())).collect();
            for (moves, other) in [(ours.moves(), 1), (theirs.moves(), 6)] {
                if moves {
                    left.remove(&other);
                }
            }
            left.remove(&3);
            left.extend(expected.map(|name| (3, name.to_owned())));
            let after = rows_of(&lake).await;
            let names: BTreeMap<u64, String> = after.iter().map(|(id, row)| (*id, row.1.clone())).collect();
            assert_eq!(names, left, "{ours:?} {theirs:?}");
            let kept = after.iter().filter(|(id, _)| **id != 3).all(|(id, row)| row.2 == before[id].2);
            assert!(kept, "a row that only moved keeps its version: {ours:?} {theirs:?}: {after:?}");
            let table = lake.table("orders").await.unwrap();
            assert_eq!(table.rows(), left.len() as u64, "{ours:?} {theirs:?}");
        }
    });
}

#[test]
fn two_writers_that_update_other_rows_of_one_file_all_commit_without_a_data_file_for_it() {
    const ROUNDS: u64 = 200;
    paused(async {
        let (counted, lake) = shop(0).await;
        lake.append("orders", orders(0..2_000)).await.unwrap();
        let other = open(counted.cold().storage).await.unwrap();
        let mut carried = 0;
        for round in 0..ROUNDS {
            let (one, two) = (lake.begin().await.unwrap(), other.begin().await.unwrap());
            let work = async {
                update(&one, round, "one").await;
                update(&two, 1_000 + round, "two").await;
                let commits =
                    async { futures::join!(one.commit().into_future(), two.commit().into_future()) };
                Box::pin(counted.store.measure(commits)).await
            };
            let (((one, two), carrying), counts) = Box::pin(counted.store.measure(work)).await;
            let (one, two) = (one.unwrap(), two.unwrap());
            carried += u64::from(one.retries + two.retries > 0);
            // The rows of each, and nothing for carrying one of them over.
            let of_data = |kind| counts.of_to(kind, PathClass::Data).requests;
            assert_eq!(of_data(RequestKind::Put), 2, "round {round}: {counts}");
            let of_data = |kind| carrying.of_to(kind, PathClass::Data).requests;
            let (put, all) = (of_data(RequestKind::Put), carrying.to(PathClass::Data).requests);
            assert_eq!(put, all, "round {round}: nothing is read: {carrying}");
        }
        assert_eq!(carried, ROUNDS, "each round one of them was carried over");
        let found = rows_of(&lake).await;
        assert_eq!(found.len(), 2_000);
        for (id, (number, name, _)) in &found {
            let (writer, named) = (if *id < 1_000 { "one" } else { "two" }, format!("order {id}"));
            let expected = if id % 1_000 < ROUNDS { writer } else { &named };
            assert_eq!((u64::try_from(*number).unwrap(), name.as_str()), (*id, expected));
        }
    });
}

#[test]
fn an_update_commits_in_two_waves_after_its_last_row() {
    paused(async {
        let (counted, lake) = shop(8).await;
        let on = lake.begin().await.unwrap();
        let rows = places(&on.table("orders").await.unwrap(), &[3]).await;
        let work = async {
            on.update_rows("orders", rows, named("new", &[(3, Some(3))])).await.unwrap();
            on.commit().await.unwrap()
        };
        let (_, counts) = counted.store.measure(Box::pin(work)).await;
        assert_eq!(counts.depth(), 2, "{counts}");
        assert_eq!(counts.of_to(RequestKind::Put, PathClass::Data).requests, 1, "{counts}");
    });
}

#[test]
fn a_delete_commits_in_two_waves_however_long_its_vector_is() {
    paused(async {
        let (counted, lake) = shop(4_000).await;
        let delete = async |on: &Transaction, positions: std::iter::StepBy<std::ops::Range<u64>>| {
            let file = on.table("orders").await.unwrap().files().await.unwrap()[0].id;
            let mut rows = RowSet::new();
            positions.for_each(|position| assert!(rows.insert(file, position).unwrap()));
            on.delete_rows("orders", rows).await.unwrap();
        };
        let on = lake.begin().await.unwrap();
        let work = async {
            delete(&on, (0..4_000).step_by(2)).await;
            on.commit().await.unwrap()
        };
        let (_, counts) = counted.store.measure(Box::pin(work)).await;
        assert_eq!(counts.depth(), 2, "{counts}");
        assert_eq!(counts.of_to(RequestKind::Put, PathClass::Data).requests, 1, "{counts}");
        // Whoever reads before the commit finds the vector all the same.
        let on = lake.begin().await.unwrap();
        delete(&on, (1..4_000).step_by(8)).await;
        let left = |more: i64| {
            (0..4_000).filter(move |id| id % 2 == 1 && id % 8 != 1 && (id % 8 != 3 || *id > more))
        };
        assert_eq!(ids(&on.table("orders").await.unwrap()).await, left(-1).collect::<Vec<_>>());
        delete(&on, (3..1_000).step_by(8)).await;
        on.commit().await.unwrap();
        assert_eq!(ids_of(&lake, "orders").await, left(1_000).collect::<Vec<_>>());
    });
}

#[test]
fn a_conflict_names_the_first_rows_and_says_how_many_there_are() {
    paused(async {
        let (_, lake) = shop(0).await;
        lake.append("orders", orders(0..40)).await.unwrap();
        let all = async |on: &Transaction, name: &str| {
            let ids: Vec<u64> = (5..40).collect();
            let rows = places(&on.table("orders").await.unwrap(), &ids).await;
            let new: Vec<(i64, Option<u64>)> = (5..40).map(|id| (id, u64::try_from(id).ok())).collect();
            on.update_rows("orders", rows, named(name, &new)).await.unwrap();
        };
        let outcome = race(&lake, async |one| all(one, "one").await, async |two| all(two, "two").await).await;
        let error = outcome.unwrap_err();
        assert!(error.message().contains("row 5 (updated on the branch, updated by this)"), "{error}");
        assert!(error.message().contains("and 25 more"), "{error}");
        let [conflict] = error.conflicts() else { panic!("{error}") };
        assert_eq!((conflict.code(), conflicting_rows(&error).len()), ("rows", 35));
    });
}

/// Files of each side are read under the schema of that side, which the other one may never have seen.
#[test]
fn the_same_row_is_known_under_other_schemas_too() {
    paused(async {
        for collides in [true, false] {
            let (_, lake) = shop(8).await;
            let widen = async |on: &Transaction, column: &str| {
                let field = crate::work::column(column, strandline::format::PrimitiveType::Long);
                on.alter_table("orders").add_column(field).await.unwrap();
            };
            let outcome = race(
                &lake,
                async |one| {
                    widen(one, "one").await;
                    rewrite(one, 1).await;
                    update(one, 3, "one").await;
                },
                async |two| {
                    widen(two, "two").await;
                    rewrite(two, 2).await;
                    update(two, if collides { 3 } else { 4 }, "two").await;
                },
            )
            .await;
            if collides {
                let rows = conflicting_rows(&outcome.unwrap_err());
                assert_eq!(rows, [(RowId(3), RowFate::Changed, RowFate::Changed)]);
                continue;
            }
            outcome.unwrap();
            let names: Vec<(u64, String)> =
                rows_of(&lake).await.into_iter().map(|(id, row)| (id, row.1)).collect();
            let expected =
                [(0, "order 0"), (3, "one"), (4, "two"), (5, "order 5"), (6, "order 6"), (7, "order 7")];
            assert_eq!(names, expected.map(|(id, name)| (id, name.to_owned())));
        }
    });
}

#[test]
fn a_row_that_moved_twice_is_still_the_same_row() {
    paused(async {
        let (_, lake) = shop(8).await;
        let late = lake.begin().await.unwrap();
        update(&late, 3, "late").await;
        let too_late = lake.begin().await.unwrap();
        update(&too_late, 4, "too late").await;
        let deleting = lake.begin().await.unwrap();
        delete(&deleting, 5).await;
        change(&lake, async |on| rewrite(on, 0).await).await;
        change(&lake, async |on| update(on, 4, "early").await).await;
        change(&lake, async |on| rewrite(on, 1).await).await;
        change(&lake, async |on| rewrite(on, 2).await).await;
        late.commit().await.unwrap();
        deleting.commit().await.unwrap();
        let error = too_late.commit().await.unwrap_err();
        assert_eq!(conflicting_rows(&error), [(RowId(4), RowFate::Changed, RowFate::Changed)]);
        let names: Vec<(u64, String)> =
            rows_of(&lake).await.into_iter().map(|(id, row)| (id, row.1)).collect();
        let expected = [(3, "late"), (4, "early"), (6, "order 6"), (7, "order 7")];
        assert_eq!(names, expected.map(|(id, name)| (id, name.to_owned())));

        assert!(lake.table("orders").await.unwrap().properties().get("strandline.row-removal").is_none());
    });
}

#[test]
fn a_row_is_found_by_its_id_wherever_it_went_and_not_once_it_is_gone() {
    paused(async {
        let (counted, lake) = shop(0).await;
        for file in 0..20 {
            lake.append("orders", orders(file * 10..file * 10 + 10)).await.unwrap();
        }
        change(&lake, async |on| update(on, 57, "new").await).await;
        change(&lake, async |on| assert_eq!(on.delete("orders", col("id").eq(58)).await.unwrap(), 1)).await;
        let cold = open(counted.cold().storage).await.unwrap();
        let table = cold.table("orders").await.unwrap();
        let find = async |id: u64| {
            let (row, counts) = counted.store.measure(table.row(RowId(id))).await;
            let name = row.unwrap().map(|row| {
                use arrow::array::AsArray;
                assert_eq!(row.num_rows(), 1);
                row.column(1).as_string::<i32>().value(0).to_owned()
            });
            (name, counts.of_to(RequestKind::Get, PathClass::Data).requests)
        };
        assert_eq!(find(123).await, (Some("order 123".to_owned()), 1));
        assert_eq!(find(57).await.0.as_deref(), Some("new"));
        assert_eq!(find(58).await, (None, 0));
        assert_eq!(find(9_999).await, (None, 0));
    });
}

#[test]
fn a_row_of_a_table_of_many_files_is_found_along_one_path() {
    paused(async {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        let name = TableName::new("t").unwrap();
        let edit = TableEdit { name, puts: (0..20_000).map(entries::file).collect(), removes: Vec::new() };
        let head = lake.branch(lake.default_branch()).await.unwrap();
        commit(&lake, &head, vec![edit]).await.unwrap();
        let table = open(counted.cold().storage).await.unwrap().table("t").await.unwrap();
        let find = async |row: u64| {
            let (places, counts) = counted.store.measure(table.places([RowId(row)])).await;
            (places.unwrap(), counts.total().requests)
        };
        let row = 12_345 * entries::ROWS + 678;
        let (found, requests) = find(row).await;
        assert_eq!(found, [RowPlace { row: RowId(row), file: FileId(12_345), position: 678 }]);
        // The root is at hand.
        assert!(requests <= 2, "{requests} requests");
        assert_eq!(find(20_000 * entries::ROWS).await, (Vec::new(), 0));
    });
}

#[test]
fn rows_of_a_file_that_an_overwrite_removed_collide_with_it() {
    paused(async {
        let (_, lake) = shop(4).await;
        let outcome = race(
            &lake,
            async |one| {
                one.overwrite("orders", orders(50..52)).await.unwrap();
            },
            async |two| update(two, 2, "two").await,
        )
        .await;
        assert_eq!(conflicting_rows(&outcome.unwrap_err()), [(RowId(2), RowFate::Deleted, RowFate::Changed)]);
        let outcome = race(
            &lake,
            async |one| {
                let table = one.table("orders").await.unwrap();
                let file = table.files().await.unwrap()[0].clone();
                let mut rows = RowSet::new();
                rows.insert(file.id, 0).unwrap();
                one.delete_rows("orders", rows).await.unwrap();
            },
            async |two| {
                two.overwrite("orders", orders(60..62)).await.unwrap();
            },
        )
        .await;
        outcome.unwrap();
        assert_eq!(crate::work::ids_of(&lake, "orders").await, [60, 61]);
    });
}

async fn on(lake: &Lake, branch: &str, act: impl AsyncFnOnce(&Transaction)) -> strandline::format::Seq {
    let transaction = lake.begin().branch(branch).await.unwrap();
    act(&transaction).await;
    transaction.commit().await.unwrap().commit.version()
}

async fn name(on: &Transaction, first: i64, last: i64, name: &str) {
    let rows = col("id").ge(first).and(col("id").le(last));
    on.update("orders", rows).set("name", name).await.map(drop).unwrap();
}

/// Numbers of versions of two branches are never the same thing, whatever file brings them [REB-7].
#[test]
fn a_row_that_a_merge_brought_under_an_equal_number_is_not_taken_for_one_that_moved() {
    paused(async {
        let (_, lake) = shop(4).await;
        lake.create_branch("dev").await.unwrap();
        // Both update the row in the same version; on `main` it comes to what it was.
        on(&lake, "main", async |on| name(on, 2, 2, "other").await).await;
        let ours = on(&lake, "main", async |on| name(on, 2, 2, "order 2").await).await;
        on(&lake, "dev", async |on| on.append("orders", orders(50..51)).await.map(drop).unwrap()).await;
        let theirs = on(&lake, "dev", async |on| name(on, 1, 2, "theirs").await).await;
        assert_eq!(ours, theirs, "the numbers are equal");
        // Their file of both rows is written anew, with the versions that they had.
        on(&lake, "dev", async |on| rewrite(on, 1).await).await;
        let open = lake.begin().await.unwrap();
        name(&open, 2, 2, "mine").await;
        lake.merge("dev").into("main").await.unwrap().committed().unwrap();
        assert_eq!(rows_of(&lake).await[&2].1, "theirs");
        let error = open.commit().into_future().await.unwrap_err();
        assert_eq!(conflicting_rows(&error), [(RowId(2), RowFate::Changed, RowFate::Changed)]);
        assert_eq!(rows_of(&lake).await[&2].1, "theirs");
    });
}

/// Nor is it for whoever has only read it [REB-12].
#[test]
fn a_row_that_a_merge_brought_under_an_equal_number_touches_who_has_read_it() {
    paused(async {
        for (read, touched) in [(2, true), (3, false)] {
            let (_, lake) = shop(4).await;
            lake.create_branch("dev").await.unwrap();
            on(&lake, "main", async |on| name(on, 2, 2, "other").await).await;
            let ours = on(&lake, "main", async |on| name(on, 2, 2, "order 2").await).await;
            on(&lake, "dev", async |on| on.append("orders", orders(50..51)).await.map(drop).unwrap()).await;
            let theirs = on(&lake, "dev", async |on| name(on, 1, 2, "theirs").await).await;
            assert_eq!(ours, theirs, "the numbers are equal");
            on(&lake, "dev", async |on| rewrite(on, 1).await).await;
            let open = lake.begin().serializable().await.unwrap();
            let rows = open.table("orders").await.unwrap().scan().filter(col("id").eq(read));
            assert_eq!(rows.count().await.unwrap(), 1);
            open.append("orders", orders(90..91)).await.unwrap();
            lake.merge("dev").into("main").await.unwrap().committed().unwrap();
            let outcome = open.commit().into_future().await;
            assert_eq!(outcome.err().map(|error| error.conflicts()[0].code()), touched.then_some("read"));
        }
    });
}

#[test]
fn a_row_that_no_branch_has_touched_since_they_parted_has_moved_whatever_was_merged() {
    paused(async {
        let (_, lake) = shop(4).await;
        lake.create_branch("dev").await.unwrap();
        let open = lake.begin().await.unwrap();
        name(&open, 3, 3, "mine").await;
        on(&lake, "main", async |on| on.append("orders", orders(40..41)).await.map(drop).unwrap()).await;
        on(&lake, "dev", async |on| name(on, 1, 1, "theirs").await).await;
        lake.merge("dev").into("main").await.unwrap().committed().unwrap();
        on(&lake, "main", async |on| rewrite(on, 0).await).await;
        open.commit().await.unwrap();
        let names: Vec<String> = rows_of(&lake).await.into_values().map(|row| row.1).collect();
        assert_eq!(names, ["theirs", "order 2", "mine", "order 40"]);
    });
}
