//! Differences between versions, and changelogs: what they say, what they read, and that applying them gives the other version.

mod columns;

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
use crate::many_files::ManyFiles;
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

/// A row that is deleted or updated is read where it was and where it is, and nothing else is.
#[test]
fn the_rows_of_a_small_commit_cost_what_it_changed_however_many_files_there_are() {
    paused(async {
        let many = ManyFiles::new(100_000).await;
        let at = [(7, 3)];
        let row = many.row(at[0]);
        let delete = async || {
            let on = many.lake.begin().await.unwrap();
            assert_eq!(on.delete("t", col("u").eq(row)).await.unwrap(), 1);
            on.commit().await.unwrap();
        };
        let update = async || many.update("main", &at, "a", -1).await;
        let told = async |kinds: &[&str]| {
            let holding = many.holding(&["main~", "main"], &at).await;
            for what in [Told::Counts, Told::Rows, Told::ByCommit, Told::Net] {
                let (storage, read) = many.counted.watched();
                let cold = open(storage).await.unwrap();
                let (found, asked) = many.counted.store.measure(Box::pin(what.of(&cold))).await;
                assert_eq!(found, kinds, "{what:?}");
                assert!(asked.total().requests <= 12, "{kinds:?}, {what:?}: {asked}");
                let read = read.take();
                assert!(read.is_subset(&holding), "{kinds:?}, {what:?}: {read:?} of {holding:?}");
            }
        };
        update().await;
        told(&["update_preimage", "update_postimage"]).await;
        delete().await;
        told(&["delete"]).await;
    });
}

/// What is told of the newest commit of `t`.
#[derive(Clone, Copy, Debug)]
enum Told {
    Counts,
    Rows,
    ByCommit,
    Net,
}

impl Told {
    /// By the names that changes have.
    async fn of(self, lake: &Lake) -> Vec<&'static str> {
        let table = async || lake.diff("main~", "main").await.unwrap().table("t").await.unwrap();
        let counts = match self {
            Self::Counts => {
                let table = table().await;
                assert!(!table.files().await.unwrap().is_empty());
                table.counts().await.unwrap()
            }
            Self::Rows => summed(&table().await.rows().await.unwrap().try_collect::<Vec<_>>().await.unwrap()),
            Self::ByCommit => counted(lake.table("t").await.unwrap().changes("main~", "main")).await,
            Self::Net => counted(lake.table("t").await.unwrap().changes("main~", "main").net()).await,
        };
        let kinds = [
            (counts.inserted, &["insert"][..]),
            (counts.deleted, &["delete"]),
            (counts.updated, &["update_preimage", "update_postimage"]),
        ];
        kinds.iter().flat_map(|(count, kinds)| kinds.iter().filter(|_| *count == 1).copied()).collect()
    }
}

async fn counted(changes: strandline::changes::Changes) -> RowCounts {
    let batches: Vec<RecordBatch> = changes.await.unwrap().try_collect().await.unwrap();
    let mut counts = RowCounts::default();
    for batch in &batches {
        for kind in batch.column_by_name("_change_type").unwrap().as_string::<i32>() {
            match kind.unwrap() {
                "insert" => counts.inserted += 1,
                "delete" => counts.deleted += 1,
                "update_postimage" => counts.updated += 1,
                _ => {}
            }
        }
    }
    counts
}

/// One step of a random history on two branches.
#[derive(Clone, Debug)]
enum Act {
    Append(usize, Vec<i64>),
    Delete(usize, i64),
    Overwrite(usize, i64, Vec<i64>),
    Update(usize, i64, i64),
    AddColumn(usize),
    /// Of the column `v`, which resets bring back.
    DropColumn(usize),
    Drop(usize),
    /// To so many versions back.
    Reset(usize, u64),
}

fn acts() -> impl Strategy<Value = Act> {
    let keys = prop::collection::vec(0..12_i64, 1..5);
    prop_oneof![
        4 => (0..2_usize, keys.clone()).prop_map(|(on, keys)| Act::Append(on, keys)),
        4 => (0..2_usize, 0..12_i64).prop_map(|(on, key)| Act::Delete(on, key)),
        2 => (0..2_usize, 0..12_i64, keys).prop_map(|(on, key, keys)| Act::Overwrite(on, key, keys)),
        3 => (0..2_usize, 0..12_i64, 0..3_i64).prop_map(|(on, key, value)| Act::Update(on, key, value)),
        1 => (0..2_usize).prop_map(Act::AddColumn),
        2 => (0..2_usize).prop_map(Act::DropColumn),
        1 => (0..2_usize).prop_map(Act::Drop),
        2 => (0..2_usize, 1..4_u64).prop_map(|(on, back)| Act::Reset(on, back)),
    ]
}

const BRANCHES: [&str; 2] = ["main", "dev"];

fn keyed(keys: &[i64]) -> RecordBatch {
    batch([("k", longs(keys.iter().copied())), ("v", longs(keys.iter().map(|key| key * 10)))])
}

/// Rows that tell which branch has written them: those of two branches are never one file.
fn keyed_on(on: usize, keys: &[i64]) -> RecordBatch {
    let column = |name| keyed(keys).column_by_name(name).unwrap().clone();
    let on = i64::try_from(on).unwrap();
    batch([("k", column("k")), ("on", longs(keys.iter().map(|_| on))), ("v", column("v"))])
}

async fn act(lake: &Lake, act: &Act) {
    let (Act::Append(on, _)
    | Act::Delete(on, _)
    | Act::Overwrite(on, ..)
    | Act::Update(on, ..)
    | Act::AddColumn(on)
    | Act::DropColumn(on)
    | Act::Drop(on)
    | Act::Reset(on, _)) = act;
    let (by, branch) = (*on, BRANCHES[*on]);
    if let Act::Reset(_, back) = act {
        if lake.at(branch).await.unwrap().version().0 > *back {
            drop(lake.reset(format!("{branch}~{back}")).on(branch).await.unwrap());
        }
        return;
    }
    let on = lake.begin().branch(branch).await.unwrap();
    if on.table("t").await.is_err() {
        on.create_table("t").like(&keyed_on(by, &[]).schema()).await.unwrap();
    }
    let has_v = on.table("t").await.unwrap().schema().find(["v"]).is_some();
    let keyed = |keys: &[i64]| {
        let batch = keyed_on(by, keys);
        if has_v { batch } else { batch.project(&[0, 1]).unwrap() }
    };
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
        Act::Update(_, key, value) if has_v => {
            on.update("t", col("k").ge(*key)).set("v", *value).await.unwrap();
        }
        Act::AddColumn(_) => {
            let field = strandline::format::Field {
                initial: Some(Value::Long(7)),
                ..column("w", PrimitiveType::Long)
            };
            drop(on.alter_table("t").add_column(field).await);
        }
        Act::DropColumn(_) if has_v => on.alter_table("t").drop_column("v").await.unwrap(),
        Act::Drop(_) => on.drop_table("t").await.unwrap(),
        Act::Update(..) | Act::DropColumn(_) | Act::Reset(..) => {}
    }
    on.commit().await.unwrap();
}

/// Rows of one state in the columns of another one: what it has not, or another column of that name, is there as old rows have it.
fn in_columns_of(to: &Table, (rows, of): (&BTreeMap<u64, Row>, &Table)) -> BTreeMap<u64, Row> {
    let cell = |name: &str, row: &Row| {
        let id = |table: &Table| table.schema().find([name]).map(|field| field.id);
        let initial = (name == "w").then_some(7);
        if id(of) == id(to) { row[name] } else { initial }
    };
    let row = |row: &Row| {
        let names = to.schema().fields().iter().map(|field| field.name.as_str().to_owned());
        names.map(|name| (name.clone(), cell(&name, row))).collect()
    };
    rows.iter().map(|(id, of)| (*id, row(of))).collect()
}

#[test]
fn what_two_branches_wrote_alike_does_not_differ() {
    paused(async {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        change(&lake, async |on| {
            on.create_table("t").like(&keyed(&[]).schema()).await.unwrap();
            on.append("t", keyed(&[1])).await.unwrap();
        })
        .await;
        lake.create_branch("dev").await.unwrap();
        for branch in BRANCHES {
            let on = lake.begin().branch(branch).await.unwrap();
            on.append("t", keyed(&[2, 3])).await.unwrap();
            on.commit().await.unwrap();
        }
        let counts =
            async || lake.diff("main", "dev").await.unwrap().table("t").await.unwrap().counts().await;
        assert_eq!(counts().await.unwrap(), RowCounts::default());
        // Entries that are alike are skipped; of those that are not, each has rows of its own.
        change(&lake, async |on| assert_eq!(on.delete("t", col("k").eq(3)).await.unwrap(), 1)).await;
        assert_eq!(counts().await.unwrap(), RowCounts { inserted: 2, deleted: 1, updated: 0 });
        lake.merge("dev").into("main").await.unwrap().committed().unwrap();
        assert_eq!(counts().await.unwrap(), RowCounts { inserted: 0, deleted: 1, updated: 0 });
    });
}

#[test]
fn a_diff_applied_to_one_version_gives_the_other_and_changes_net_to_it() {
    let histories = prop::collection::vec(acts(), 1..12);
    proptest!(cases(60), |(history in histories)| {
        paused(async {
            let counted = Counted::new();
            let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
            change(&lake, async |on| {
                on.create_table("t").like(&keyed_on(0, &[]).schema()).await.unwrap();
                on.append("t", keyed_on(0, &[1, 2, 3, 4])).await.unwrap();
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

/// Rows with these ids were there when the branches parted; any other id is of another row on each, since rows say their branch.
const SHARED: u64 = 4;

/// What came, went and changed is what the rows of both versions say, row by row.
async fn check_pair(lake: &Lake, from: &Ref, to: &Ref) {
    let (before, after) = (rows_at(from, "t").await, rows_at(to, "t").await);
    let tables = (from.table("t").await.ok(), to.table("t").await.ok());
    let is_one = |tables: &(Option<Table>, Option<Table>)| match tables {
        (Some(before), Some(after)) => before.id() == after.id(),
        _ => false,
    };
    let (one_table, one_branch) = (is_one(&tables), from.branch() == to.branch());
    let is_same = |id: u64| one_table && (one_branch || id < SHARED);
    let diff = lake.diff(from, to).await.unwrap();
    let what = format!("{} {} -> {} {}", from.branch(), from.version(), to.branch(), to.version());
    // A table that was dropped and one that was made anew under its name are two.
    let (mut gone, mut came, mut pairs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for entry in diff.tables() {
        let table = diff.open(entry).await.unwrap();
        let changes: Vec<RowChange> = table.rows().await.unwrap().try_collect().await.unwrap();
        assert_eq!(summed(&changes), table.counts().await.unwrap(), "{what}");
        for change in changes {
            match change {
                RowChange::Inserted(rows) => came.extend(rows_of(&rows)),
                RowChange::Deleted(rows) => gone.extend(rows_of(&rows)),
                RowChange::Updated { before, after } => {
                    for (before, (id, after)) in rows_of(&before).into_iter().zip(rows_of(&after)) {
                        assert_eq!(before.0, id, "{what}");
                        pairs.insert(id, (before.1, after));
                    }
                }
            }
        }
    }
    // Of a table that is gone the columns are its own.
    let before = match &tables {
        (Some(from), Some(to)) if one_table => in_columns_of(to, (&before, from)),
        _ => before,
    };
    let only_in = |one: &BTreeMap<u64, Row>, other: &BTreeMap<u64, Row>| -> BTreeMap<u64, Row> {
        let is_only = |id: &u64| !(is_same(*id) && other.contains_key(id));
        one.iter().filter(|(id, _)| is_only(id)).map(|(id, row)| (*id, row.clone())).collect()
    };
    assert_eq!(gone, only_in(&before, &after), "gone: {what}");
    assert_eq!(came, only_in(&after, &before), "came: {what}");
    let changed = before.iter().filter_map(|(id, row)| {
        let now = after.get(id).filter(|now| is_same(*id) && *now != row)?;
        Some((*id, (row.clone(), now.clone())))
    });
    assert_eq!(pairs, changed.collect(), "changed: {what}");
    check_changes(from, to).await;
}

/// Commit by commit, changes come to the same rows, by id.
async fn check_changes(from: &Ref, to: &Ref) {
    let (Ok(table), Ok(base)) = (to.table("t").await, from.table("t").await) else { return };
    if table.id() != base.id() || from.version() > to.version() || from.branch() != to.branch() {
        return;
    }
    let log: Vec<RecordBatch> = table.changes(from, to).await.unwrap().try_collect().await.unwrap();
    let mut rows = in_columns_of(&table, (&table_rows(&base).await, &base));
    for batch in &log {
        let kinds = batch.column_by_name("_change_type").unwrap().as_string::<i32>();
        for (at, (id, mut row)) in rows_of(batch).into_iter().enumerate() {
            row.retain(|name, _| table.schema().find([name.as_str()]).is_some());
            match kinds.value(at) {
                "insert" | "update_postimage" => assert!(rows.insert(id, row).is_none()),
                _ => assert_eq!(rows.remove(&id), Some(row), "row {id}, as it was"),
            }
        }
    }
    assert_eq!(rows, table_rows(&table).await);
}
