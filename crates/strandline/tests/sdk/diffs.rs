//! Differences between versions, and changelogs: what they say, what they read, and that applying them gives the other version.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Int64Type, UInt64Type};
use futures::TryStreamExt;
use proptest::prelude::*;
use strandline::changes::{FieldAspect, RowChange, RowCounts, TableAspect};
use strandline::filter::col;
use strandline::format::{PrimitiveType, Value};
use strandline::{ErrorKind, Lake, Ref, Table};
use strandline_testkit::PathClass;
use strandline_testkit::commits::{TableEdit, commit};
use strandline_testkit::generate::entries;

use crate::fixture::{Counted, open, paused};
use crate::histories::cases;
use crate::work::{batch, change, column, longs, order_fields, orders, shop};

/// A row by the names of its columns.
type Row = BTreeMap<String, Option<i64>>;

/// The rows of batches, with their ids.
fn rows_of(batch: &RecordBatch) -> Vec<(u64, Row)> {
    let ids = batch.column_by_name("_row_id").unwrap().as_primitive::<UInt64Type>();
    let longs: Vec<(String, &Int64Array)> = batch
        .schema()
        .fields()
        .iter()
        .enumerate()
        .filter_map(|(at, field)| {
            let values = batch.column(at).as_primitive_opt::<Int64Type>()?;
            Some((field.name().clone(), values))
        })
        .collect();
    let row = |at: usize| {
        let value = |values: &Int64Array| values.is_valid(at).then(|| values.value(at));
        (ids.value(at), longs.iter().map(|(name, values)| (name.clone(), value(values))).collect())
    };
    (0..batch.num_rows()).map(row).collect()
}

async fn table_rows(table: &Table) -> BTreeMap<u64, Row> {
    let batches = table.scan().row_ids(true).collect().await.unwrap();
    batches.iter().flat_map(rows_of).collect()
}

async fn rows_at(at: &Ref, name: &str) -> BTreeMap<u64, Row> {
    match at.table(name).await {
        Ok(table) => table_rows(&table).await,
        Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => panic!("{error}"),
    }
}

/// Applies a change to rows; nothing may be there twice, or gone that was not there.
fn apply(rows: &mut BTreeMap<u64, Row>, change: &RowChange) {
    match change {
        RowChange::Inserted(batch) => {
            for (id, row) in rows_of(batch) {
                assert!(rows.insert(id, row).is_none(), "row {id} was inserted and is there");
            }
        }
        RowChange::Deleted(batch) => {
            for (id, row) in rows_of(batch) {
                assert_eq!(rows.remove(&id).as_ref().map(|known| known["k"]), Some(row["k"]), "row {id}");
            }
        }
        RowChange::Updated { before, after } => {
            for ((old, before), (new, after)) in rows_of(before).into_iter().zip(rows_of(after)) {
                assert_ne!(before, after);
                assert_eq!(rows.remove(&old).map(|known| known["k"]), Some(before["k"]), "row {old}");
                assert!(rows.insert(new, after).is_none(), "row {new}");
            }
        }
    }
}

fn summed(changes: &[RowChange]) -> RowCounts {
    let mut counts = RowCounts::default();
    for change in changes {
        let count = match change {
            RowChange::Inserted(_) => &mut counts.inserted,
            RowChange::Deleted(_) => &mut counts.deleted,
            RowChange::Updated { .. } => &mut counts.updated,
        };
        *count += change.rows() as u64;
    }
    counts
}

#[test]
fn a_diff_names_what_came_went_and_got_another_name() {
    paused(async {
        let (_, lake) = shop(3).await;
        change(&lake, async |on| {
            on.create_table("gone").fields(order_fields()).await.unwrap();
            on.create_namespace("n").await.unwrap();
        })
        .await;
        let before = lake.at("main").await.unwrap();
        change(&lake, async |on| {
            on.drop_table("gone").await.unwrap();
            on.rename("orders", "n.sales").await.unwrap();
            on.create_table("made").fields(order_fields()).await.unwrap();
        })
        .await;
        let diff = lake.diff(&before, "main").await.unwrap();
        let told: Vec<_> = diff
            .entries()
            .iter()
            .map(|entry| {
                let name = |name: Option<&strandline::format::TableName>| name.map(ToString::to_string);
                (name(entry.before()), name(entry.after()), entry.is_renamed(), entry.is_changed())
            })
            .collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            told,
            [
                (text("gone"), None, false, true),
                (None, text("made"), false, true),
                (text("orders"), text("n.sales"), true, false),
            ]
        );
        let sales = diff.table("n.sales").await.unwrap();
        assert_eq!(sales.counts().await.unwrap(), RowCounts::default());
        assert!(lake.diff("main", "main").await.unwrap().entries().is_empty());
        let error = diff.table("n.sale").await.unwrap_err();
        assert!(error.message().contains("n.sales"), "{error}");
    });
}

#[test]
fn what_differs_of_a_table_besides_rows_is_told() {
    paused(async {
        let (_, lake) = shop(3).await;
        change(&lake, async |on| {
            on.alter_table("orders").rename_column("name", "title").await.unwrap();
            on.alter_table("orders").add_column(column("note", PrimitiveType::String)).await.unwrap();
            on.alter_table("orders").comment("all orders").await.unwrap();
        })
        .await;
        let diff = lake.diff("main~", "main").await.unwrap();
        let table = diff.table("orders").await.unwrap();
        assert_eq!(table.aspects(), [TableAspect::Schema, TableAspect::Comment]);
        let fields: Vec<_> = table.schema().into_iter().map(|field| (field.after, field.what)).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            fields,
            [(text("title"), vec![FieldAspect::Name]), (text("note"), vec![FieldAspect::Added]),]
        );
        assert!(table.files().await.unwrap().is_empty());
    });
}

#[test]
fn counts_of_appends_and_deletes_open_no_data_file() {
    paused(async {
        let (counted, lake) = shop(10).await;
        let before = lake.at("main").await.unwrap().version();
        lake.append("orders", orders(10..15)).await.unwrap();
        change(&lake, async |on| {
            on.delete("orders", col("id").lt(3)).await.unwrap();
        })
        .await;
        let lake = open(counted.cold().storage).await.unwrap();
        let before = lake.at(format!("main@{{{before}}}")).await.unwrap();
        let asked = counted.store.snapshot();
        let diff = lake.diff(before, "main").await.unwrap();
        let counts = diff.table("orders").await.unwrap().counts().await.unwrap();
        assert_eq!(counts, RowCounts { inserted: 5, deleted: 3, updated: 0 });
        let asked = counted.store.since(&asked);
        assert_eq!(asked.to(PathClass::Data).requests, 0);
    });
}

#[test]
fn of_a_file_that_both_sides_list_only_the_deleted_rows_come() {
    paused(async {
        let (_, lake) = shop(10).await;
        change(&lake, async |on| {
            on.delete("orders", col("id").lt(3)).await.unwrap();
        })
        .await;
        let diff = lake.diff("main~", "main").await.unwrap();
        let changes: Vec<_> =
            diff.table("orders").await.unwrap().rows().await.unwrap().try_collect().await.unwrap();
        let [RowChange::Deleted(rows)] = &changes[..] else { panic!("{changes:?}") };
        let ids: Vec<u64> = rows_of(rows).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, [0, 1, 2]);
        // And the other way round they come back.
        let back = lake.diff("main", "main~").await.unwrap();
        let counts = back.table("orders").await.unwrap().counts().await.unwrap();
        assert_eq!(counts, RowCounts { inserted: 3, deleted: 0, updated: 0 });
    });
}

#[test]
fn rows_of_branches_that_parted_are_not_taken_for_each_other() {
    paused(async {
        let (_, lake) = shop(4).await;
        lake.create_branch("dev").await.unwrap();
        lake.append("orders", orders(10..13)).await.unwrap();
        let on = lake.begin().branch("dev").await.unwrap();
        on.append("orders", orders(20..22)).await.unwrap();
        on.commit().await.unwrap();
        // Both have handed out the same file id and row ids.
        let diff = lake.diff("main", "dev").await.unwrap();
        let table = diff.table("orders").await.unwrap();
        assert_eq!(table.counts().await.unwrap(), RowCounts { inserted: 2, deleted: 3, updated: 0 });
        let changes: Vec<_> = table.rows().await.unwrap().try_collect().await.unwrap();
        assert_eq!(summed(&changes), table.counts().await.unwrap());
        let net = lake.table("orders").await.unwrap().changes("main", "dev").net().await.unwrap();
        let net: Vec<RecordBatch> = net.try_collect().await.unwrap();
        assert_eq!(net.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
        let error = lake.table("orders").await.unwrap().changes("main", "dev").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    });
}

/// The kinds, versions and keys of a changelog.
async fn log(table: &Table, from: &str, to: &str) -> Vec<(String, u64, i64)> {
    let batches: Vec<RecordBatch> = table.changes(from, to).await.unwrap().try_collect().await.unwrap();
    let rows = |batch: &RecordBatch| {
        let kinds = batch.column_by_name("_change_type").unwrap().as_string::<i32>().clone();
        let versions = batch.column_by_name("_commit_version").unwrap().as_primitive::<UInt64Type>().clone();
        let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().clone();
        let row = move |at| (kinds.value(at).to_owned(), versions.value(at), ids.value(at));
        (0..batch.num_rows()).map(row).collect::<Vec<_>>()
    };
    batches.iter().flat_map(rows).collect()
}

#[test]
fn a_changelog_tells_each_commit_across_schemas_renames_and_a_drop() {
    paused(async {
        let (_, lake) = shop(2).await;
        change(&lake, async |on| {
            on.alter_table("orders").add_column(column("note", PrimitiveType::String)).await.unwrap();
        })
        .await;
        change(&lake, async |on| {
            on.rename("orders", "sales").await.unwrap();
            on.delete("sales", col("id").eq(0)).await.unwrap();
        })
        .await;
        let sales = lake.table("sales").await.unwrap();
        change(&lake, async |on| on.drop_table("sales").await.unwrap()).await;
        let told = log(&sales, "main@{0}", "main").await;
        let row = |kind: &str, version, id| (kind.to_owned(), version, id);
        assert_eq!(
            told,
            [row("insert", 2, 0), row("insert", 2, 1), row("delete", 4, 0), row("delete", 5, 1)]
        );
        assert!(log(&sales, "main@{2}", "main@{3}").await.is_empty());
        assert!(log(&sales, "main", "main").await.is_empty());
        let batches = sales.changes("main@{1}", "main").await.unwrap();
        let names: Vec<_> = batches.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names[3..], ["note", "_change_type", "_commit_version", "_commit_timestamp", "_row_id"]);
    });
}

#[test]
fn the_difference_of_a_small_commit_costs_what_it_changed_however_many_files_there_are() {
    paused(async {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        let put = async |files: std::ops::Range<u64>| {
            let name = strandline_format::TableName::new("t").unwrap();
            let edit = TableEdit { name, puts: files.map(entries::file).collect(), removes: Vec::new() };
            let head = lake.branch(&strandline_format::RefName::new("main").unwrap()).await.unwrap();
            commit(&lake, &head, vec![edit]).await.unwrap();
        };
        put(0..100_000).await;
        put(100_000..100_003).await;
        let cold = open(counted.cold().storage).await.unwrap();
        let before = counted.store.snapshot();
        let diff = cold.diff("main~", "main").await.unwrap();
        let table = diff.table("t").await.unwrap();
        assert_eq!(
            (table.files().await.unwrap().len(), table.counts().await.unwrap().inserted),
            (3, 3_000_000)
        );
        let asked = counted.store.since(&before);
        assert!(asked.total().requests <= 12, "{asked}");
    });
}

/// One step of a random history on two branches.
#[derive(Clone, Debug)]
enum Act {
    Append(usize, Vec<i64>),
    Delete(usize, i64),
    Overwrite(usize, i64, Vec<i64>),
    Update(usize, i64, i64),
    AddColumn(usize),
    Drop(usize),
}

fn acts() -> impl Strategy<Value = Act> {
    let keys = prop::collection::vec(0..12_i64, 1..5);
    prop_oneof![
        4 => (0..2_usize, keys.clone()).prop_map(|(on, keys)| Act::Append(on, keys)),
        4 => (0..2_usize, 0..12_i64).prop_map(|(on, key)| Act::Delete(on, key)),
        2 => (0..2_usize, 0..12_i64, keys).prop_map(|(on, key, keys)| Act::Overwrite(on, key, keys)),
        3 => (0..2_usize, 0..12_i64, 0..3_i64).prop_map(|(on, key, value)| Act::Update(on, key, value)),
        1 => (0..2_usize).prop_map(Act::AddColumn),
        1 => (0..2_usize).prop_map(Act::Drop),
    ]
}

const BRANCHES: [&str; 2] = ["main", "dev"];

fn keyed(keys: &[i64]) -> RecordBatch {
    batch([("k", longs(keys.iter().copied())), ("v", longs(keys.iter().map(|key| key * 10)))])
}

async fn act(lake: &Lake, act: &Act) {
    let (Act::Append(on, _)
    | Act::Delete(on, _)
    | Act::Overwrite(on, ..)
    | Act::Update(on, ..)
    | Act::AddColumn(on)
    | Act::Drop(on)) = act;
    let on = lake.begin().branch(BRANCHES[*on]).await.unwrap();
    if on.table("t").await.is_err() {
        on.create_table("t").like(&keyed(&[]).schema()).await.unwrap();
    }
    match act {
        Act::Append(_, keys) => {
            on.append("t", keyed(keys)).await.unwrap();
        }
        Act::Delete(_, key) => {
            on.delete("t", col("k").eq(*key)).await.unwrap();
        }
        Act::Overwrite(_, key, keys) => {
            let keys: Vec<i64> = keys.iter().filter(|new| *new <= key).copied().collect();
            on.overwrite("t", keyed(&keys)).matching(col("k").le(*key)).await.unwrap();
        }
        Act::Update(_, key, value) => {
            on.update("t", col("k").ge(*key)).set("v", *value).await.unwrap();
        }
        Act::AddColumn(_) => {
            let field = strandline::format::Field {
                initial: Some(Value::Long(7)),
                ..column("w", PrimitiveType::Long)
            };
            drop(on.alter_table("t").add_column(field).await);
        }
        Act::Drop(_) => on.drop_table("t").await.unwrap(),
    }
    on.commit().await.unwrap();
}

/// Rows as a multiset, with what a column that was added later has in them.
fn bag(rows: &BTreeMap<u64, Row>) -> Vec<Row> {
    let full = |row: &Row| {
        let mut row = row.clone();
        row.entry("w".to_owned()).or_insert(Some(7));
        row
    };
    let mut rows: Vec<Row> = rows.values().map(full).collect();
    rows.sort();
    rows
}

#[test]
fn a_diff_applied_to_one_version_gives_the_other_and_changes_net_to_it() {
    let histories = prop::collection::vec(acts(), 1..12);
    proptest!(cases(60), |(history in histories)| {
        paused(async {
            let counted = Counted::new();
            let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
            change(&lake, async |on| {
                on.create_table("t").like(&keyed(&[]).schema()).await.unwrap();
                on.append("t", keyed(&[1, 2, 3, 4])).await.unwrap();
            }).await;
            lake.create_branch("dev").await.unwrap();
            for step in &history {
                act(&lake, step).await;
            }
            let mut versions = Vec::new();
            for name in BRANCHES {
                let head = lake.at(name).await.unwrap();
                for version in 1..=head.version().0 {
                    versions.push(lake.at(format!("{name}@{{{version}}}")).await.unwrap());
                }
            }
            for from in &versions {
                for to in &versions {
                    check_pair(&lake, from, to).await;
                }
            }
        });
    });
}

async fn check_pair(lake: &Lake, from: &Ref, to: &Ref) {
    let (before, after) = (rows_at(from, "t").await, rows_at(to, "t").await);
    let diff = lake.diff(from, to).await.unwrap();
    // A table that was dropped and one that was made anew under its name are two.
    let mut rows = before.clone();
    let (mut gone, mut came) = (BTreeMap::new(), Vec::new());
    for entry in diff.tables() {
        let table = diff.open(entry).await.unwrap();
        let changes: Vec<RowChange> = table.rows().await.unwrap().try_collect().await.unwrap();
        assert_eq!(summed(&changes), table.counts().await.unwrap());
        // What went first: on branches that parted, numbers of new rows are those of others.
        let (inserted, others): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| matches!(change, RowChange::Inserted(_)));
        others.iter().for_each(|change| apply(&mut rows, change));
        came.extend(inserted);
    }
    for (id, row) in std::mem::take(&mut rows) {
        gone.insert(id, row);
    }
    let mut all: Vec<Row> = bag(&gone);
    for change in &came {
        let mut only = BTreeMap::new();
        apply(&mut only, change);
        all.extend(bag(&only));
    }
    all.sort();
    assert_eq!(all, bag(&after), "{} {} -> {} {}", from.branch(), from.version(), to.branch(), to.version());
    check_changes(from, to).await;
}

/// Commit by commit, changes come to the same rows, by id.
async fn check_changes(from: &Ref, to: &Ref) {
    let (Ok(table), Ok(base)) = (to.table("t").await, from.table("t").await) else { return };
    if table.id() != base.id() || from.version() > to.version() || from.branch() != to.branch() {
        return;
    }
    let log: Vec<RecordBatch> = table.changes(from, to).await.unwrap().try_collect().await.unwrap();
    let mut rows = table_rows(&base).await;
    for batch in &log {
        let kinds = batch.column_by_name("_change_type").unwrap().as_string::<i32>();
        for (at, (id, row)) in rows_of(batch).into_iter().enumerate() {
            match kinds.value(at) {
                "insert" | "update_postimage" => assert!(rows.insert(id, row).is_none()),
                _ => assert!(rows.remove(&id).is_some()),
            }
        }
    }
    let (rows, after) = (rows, table_rows(&table).await);
    assert!(rows.keys().eq(after.keys()));
    assert_eq!(bag(&rows), bag(&after));
}
