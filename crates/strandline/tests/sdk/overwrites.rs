//! Overwrites: which rows go, which files stay, and what is uploaded.

use std::num::NonZeroU32;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use strandline::filter::{Predicate, col};
use strandline::format::{PrimitiveType, Transform};
use strandline::{ErrorKind, Lake};
use strandline_testkit::{PathClass, RequestKind};

use crate::fixture::{Counted, paused};
use crate::work::{batch, change, ids_of, longs, order_fields, orders, shop};

/// Rows with a nested column: `id`, and `at.x`, which is ten times as much.
fn nested(ids: std::ops::Range<i64>) -> RecordBatch {
    let x = Arc::new(Int64Array::from_iter_values(ids.clone().map(|id| id * 10))) as ArrayRef;
    let at = StructArray::from(vec![(Arc::new(Field::new("x", DataType::Int64, true)), x)]);
    batch([("id", longs(ids)), ("at", Arc::new(at) as _)])
}

/// A table of several files of several row groups of ten rows each.
async fn many_groups() -> Lake {
    let counted = Counted::new();
    let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
    change(&lake, async |on| {
        let table = on.create_table("t").like(&nested(0..0).schema());
        table.property("strandline.row-group-rows", "10").await.unwrap();
    })
    .await;
    for file in 0..4 {
        lake.append("t", nested(file * 50..file * 50 + 50)).await.unwrap();
    }
    lake
}

/// The ids of 0 to 200 that pass, and those that replaced the others.
fn left(passes: impl Fn(i64) -> bool, replaced: &[i64]) -> Vec<i64> {
    let mut left: Vec<i64> = (0..200).filter(|id| !passes(*id)).chain(replaced.iter().copied()).collect();
    left.sort_unstable();
    left
}

#[test]
fn the_right_rows_of_several_row_groups_go_also_twice() {
    paused(async {
        let lake = many_groups().await;
        let groups: Vec<_> = lake.table("t").await.unwrap().files().await.unwrap();
        assert!(groups.iter().all(|file| file.row_groups.len() == 5), "{:?}", groups[0].row_groups);
        change(&lake, async |on| {
            on.overwrite("t", nested(1_000..1_002))
                .matching(col("at.x").between(470, 620).or(col("id").ge(1_000)))
                .await
                .unwrap();
        })
        .await;
        let gone = |id: i64| (47..=62).contains(&id);
        assert_eq!(ids_of(&lake, "t").await, left(gone, &[1_000, 1_001]));
        let files = lake.table("t").await.unwrap().files().await.unwrap();
        assert_eq!(files.len(), 5);
        let deletes: Vec<u64> = files.iter().map(|file| file.rows - file.live_rows()).collect();
        assert_eq!(deletes, [3, 13, 0, 0, 0]);
        // Over deletes that are there, in a file that goes as a whole by them, and in one of which nothing is left.
        let report = change(&lake, async |on| {
            let range = col("id").between(40, 105).or(col("at.x").is_null());
            let rows = nested(60..61);
            on.overwrite("t", rows).matching(range).await.unwrap();
        })
        .await;
        let gone = |id: i64| (40..=105).contains(&id);
        assert_eq!(ids_of(&lake, "t").await, left(gone, &[60, 1_000, 1_001]));
        assert_eq!(report.tables[0].files, (1, 1));
        assert_eq!(report.tables[0].rows, (1, 7 + 37 + 6));
        assert_eq!(lake.table("t").await.unwrap().rows(), left(gone, &[60, 1_000, 1_001]).len() as u64);
        let nested =
            lake.table("t").await.unwrap().scan().filter(col("at.x").is_not_null()).count().await.unwrap();
        assert_eq!(nested, 200 - 66 + 3);
    });
}

#[test]
fn bytes_that_are_there_are_neither_uploaded_nor_listed_anew() {
    paused(async {
        let (counted, lake) = shop(5).await;
        lake.append("orders", orders(10..15)).await.unwrap();
        let before = lake.table("orders").await.unwrap().files().await.unwrap();
        let same = change(&lake, async |on| {
            on.overwrite("orders", orders(10..15)).matching(col("id").ge(10)).await.unwrap();
        });
        let (report, counts) = counted.store.measure(same).await;
        assert_eq!(counts.of_to(RequestKind::Put, PathClass::Data).requests, 0, "{counts}");
        assert_eq!((report.files_reused, report.bytes_uploaded, report.requests.data), (1, 0, 0));
        assert!(
            report.tables.iter().all(|table| table.files == (0, 0) && table.rows == (0, 0)),
            "{report:?}"
        );
        let after = lake.table("orders").await.unwrap().files().await.unwrap();
        let same = |one: &[strandline::format::FileEntry]| {
            one.iter().map(|file| (file.id, file.hash, file.first_row)).collect::<Vec<_>>()
        };
        assert_eq!(same(&after), same(&before));

        // The whole table: one file stays, the other goes.
        let report = change(&lake, async |on| {
            on.overwrite("orders", orders(0..5)).await.unwrap();
        })
        .await;
        assert_eq!((report.files_reused, report.tables[0].files, report.tables[0].rows), (1, (0, 1), (0, 5)));
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 3, 4]);

        // A file of which rows were deleted is not the same any more; its bytes are at hand all the same, but not its entry.
        change(&lake, async |on| {
            on.delete("orders", col("id").eq(2)).await.unwrap();
        })
        .await;
        let report = change(&lake, async |on| {
            on.overwrite("orders", orders(0..5)).await.unwrap();
        })
        .await;
        assert_eq!((report.files_reused, report.tables[0].files), (0, (1, 1)));
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 3, 4]);

        // The same bytes twice are two entries, of which one can be kept for one file.
        lake.append("orders", orders(0..5)).await.unwrap();
        let report = change(&lake, async |on| {
            on.overwrite("orders", orders(0..5)).await.unwrap();
        })
        .await;
        assert_eq!((report.files_reused, report.tables[0].files), (1, (0, 1)));
        assert_eq!(ids_of(&lake, "orders").await, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn overwrites_in_one_transaction_follow_each_other() {
    paused(async {
        let (_, lake) = shop(5).await;
        let report = change(&lake, async |on| {
            on.append("orders", orders(20..25)).await.unwrap();
            on.overwrite("orders", orders(22..23)).matching(col("id").ge(22)).await.unwrap();
            on.overwrite("orders", orders(1..3)).matching(col("id").lt(5)).await.unwrap();
            on.append("orders", orders(30..31)).await.unwrap();
        })
        .await;
        assert_eq!(ids_of(&lake, "orders").await, [1, 2, 20, 21, 22, 30]);
        assert_eq!((report.tables[0].operation.as_str(), report.tables[0].rows), ("overwrite", (6, 5)));
        let report = change(&lake, async |on| {
            on.overwrite("orders", orders(1..3)).await.unwrap();
            on.overwrite("orders", orders(0..0)).await.unwrap();
            on.overwrite("orders", orders(7..8)).await.unwrap();
        })
        .await;
        assert_eq!(ids_of(&lake, "orders").await, [7]);
        assert_eq!(report.tables[0].rows, (1, 6));
        change(&lake, async |on| {
            on.overwrite("orders", orders(0..0)).await.unwrap();
        })
        .await;
        let table = lake.table("orders").await.unwrap();
        assert_eq!((table.rows(), table.totals().files), (0, 0));
    });
}

/// Rows to split: a text, a date and a number for each id.
fn varied(ids: std::ops::Range<i64>) -> RecordBatch {
    let texts = ids.clone().map(|id| {
        (id % 5 != 4).then(|| format!("{}-{id}", ["a", "b", "ç", "日本"][usize::try_from(id % 4).unwrap()]))
    });
    let days = ids.clone().map(|id| Some(i32::try_from(id * 20 - 300).unwrap()));
    let ratio = ids.clone().map(|id| f64::from(i32::try_from(id % 3).unwrap()));
    batch([
        ("id", longs(ids)),
        ("text", Arc::new(StringArray::from_iter(texts)) as _),
        ("day", Arc::new(Date32Array::from_iter(days)) as _),
        ("ratio", Arc::new(Float64Array::from_iter_values(ratio)) as _),
    ])
}

fn width(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// What a table is split by.
fn transforms() -> Vec<Vec<(&'static str, Transform)>> {
    vec![
        vec![("text", Transform::Identity)],
        vec![("text", Transform::Truncate(width(1)))],
        vec![("text", Transform::Bucket(width(4)))],
        vec![("id", Transform::Truncate(width(10)))],
        vec![("id", Transform::Bucket(width(3)))],
        vec![("day", Transform::Identity)],
        vec![("day", Transform::Year)],
        vec![("day", Transform::Month)],
        vec![("day", Transform::Day)],
        vec![("ratio", Transform::Identity)],
        vec![("id", Transform::Void)],
        vec![("day", Transform::Year), ("ratio", Transform::Identity)],
    ]
}

/// The split values of each row, by the transform itself.
fn split_of(by: &[(&'static str, Transform)], rows: std::ops::Range<i64>) -> Vec<String> {
    use strandline::format::Value;
    let value = |id: i64, column: &str| match column {
        "id" => Some(Value::Long(id)),
        "day" => Some(Value::Date(i32::try_from(id * 20 - 300).unwrap())),
        "ratio" => Some(Value::Double(f64::from(i32::try_from(id % 3).unwrap()))),
        _ => (id % 5 != 4).then(|| {
            Value::String(
                format!("{}-{id}", ["a", "b", "ç", "日本"][usize::try_from(id % 4).unwrap()]).into(),
            )
        }),
    };
    let split = |id: i64| {
        let values = by.iter().map(|(column, transform)| {
            value(id, column)
                .and_then(|value| transform.apply(&value).unwrap())
                .map(|value| value.to_string())
        });
        format!("{:?}", values.collect::<Vec<_>>())
    };
    rows.map(split).collect()
}

/// However the files that are there were split, or not at all, the rows that go are those of the splits of new rows.
#[test]
fn splits_are_replaced_whatever_files_say_of_themselves() {
    paused(async {
        for by in transforms() {
            let counted = Counted::new();
            let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
            change(&lake, async |on| drop(on.create_table("t").like(&varied(0..5).schema()).await.unwrap()))
                .await;
            let layouts: [Vec<(&str, Transform)>; 3] =
                [vec![], vec![("text", Transform::Bucket(width(2)))], by.clone()];
            for (at, layout) in (0..).zip(layouts) {
                change(&lake, async |on| {
                    let by = layout.iter().map(|(column, transform)| ((*column).to_owned(), *transform));
                    on.alter_table("t").split_by(by).await.unwrap();
                })
                .await;
                lake.append("t", varied(at * 20..at * 20 + 20)).await.unwrap();
            }
            let (new, replaced) = (100..102, split_of(&by, 100..102));
            change(&lake, async |on| {
                on.overwrite("t", varied(new.clone())).splits().await.unwrap();
            })
            .await;
            let old = split_of(&by, 0..60);
            let stays = (0..60).zip(old).filter(|(_, split)| !replaced.contains(split)).map(|(id, _)| id);
            assert_eq!(ids_of(&lake, "t").await, stays.chain(new).collect::<Vec<i64>>(), "{by:?}");
        }
    });
}

/// A date that became a timestamp counts in another unit since.
#[test]
fn splits_of_a_column_that_was_widened_are_found() {
    paused(async {
        for transform in [Transform::Identity, Transform::Bucket(width(4)), Transform::Month] {
            let counted = Counted::new();
            let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
            let days = |days: std::ops::Range<i32>| {
                batch([("day", Arc::new(Date32Array::from_iter_values(days)) as ArrayRef)])
            };
            change(&lake, async |on| {
                on.create_table("t").like(&days(0..0).schema()).split_by("day", transform).await.unwrap();
                on.append("t", days(0..3)).await.unwrap();
            })
            .await;
            change(&lake, async |on| {
                on.alter_table("t").widen_column("day", PrimitiveType::Timestamp).await.unwrap();
            })
            .await;
            change(&lake, async |on| {
                on.overwrite("t", days(0..3)).splits().await.unwrap();
            })
            .await;
            assert_eq!(lake.table("t").await.unwrap().rows(), 3, "{transform}");
        }
    });
}

#[test]
fn what_is_not_replaced_is_refused() {
    paused(async {
        let (_, lake) = shop(3).await;
        change(&lake, async |on| {
            let table =
                on.create_table("split").fields(order_fields()).split_by("amount", Transform::Identity);
            table.await.unwrap();
        })
        .await;
        let transaction = lake.begin().await.unwrap();
        let nan = batch([("id", longs([1])), ("amount", Arc::new(Float64Array::from(vec![f64::NAN])) as _)]);
        let error = transaction.overwrite("split", nan.clone()).splits().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.message().contains("NaN"), "{error}");
        transaction.overwrite("split", nan).matching(Predicate::all()).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(ids_of(&lake, "split").await, [1]);
    });
}
