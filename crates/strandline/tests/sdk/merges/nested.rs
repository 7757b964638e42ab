//! Structs of which nothing is left that old files have: these files still say which of them are null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, StructArray};
use arrow::datatypes::{DataType, Field};
use futures::TryStreamExt;
use strandline::changes::RowChange;

use super::*;

fn structs(ids: std::ops::Range<i64>) -> RecordBatch {
    let x = Arc::new(Int64Array::from_iter_values(ids.clone())) as ArrayRef;
    let at = StructArray::from(vec![(Arc::new(Field::new("x", DataType::Int64, true)), x)]);
    batch([("u", longs(ids.clone())), ("m", longs(ids)), ("at", Arc::new(at) as _)])
}

/// Three rows whose structs have lost the only field that their file has, and got another one; and the branch `dev`.
async fn renewed() -> Lake {
    let lake = Lake::create_in(Counted::new().storage.clone()).await.unwrap();
    change(&lake, async |on| {
        on.create_table("t").like(&structs(0..0).schema()).await.unwrap();
        on.alter_table("t").make_optional("at").await.unwrap();
        on.append("t", structs(0..3)).await.unwrap();
    })
    .await;
    change(&lake, async |on| {
        let other = column("y", PrimitiveType::Long);
        on.alter_table("t").add_field("at", other).drop_column("at.x").await.unwrap();
    })
    .await;
    lake.create_branch("dev").await.unwrap();
    lake
}

async fn update(lake: &Lake, branch: &str, column: &str, value: Option<i64>) {
    on(lake, branch, async |on| {
        let update = on.update("t", col("u").eq(1));
        match value {
            Some(value) => update.set(column, value).await.unwrap(),
            None => update.set_null(column).await.unwrap(),
        };
    })
    .await;
}

/// What row 1 has in `m`, and whether its struct is null.
fn told(batches: &[RecordBatch]) -> Vec<(i64, bool)> {
    let mut told = Vec::new();
    for batch in batches {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let (u, m) = (column("u").as_primitive::<Int64Type>(), column("m").as_primitive::<Int64Type>());
        let ones = (0..batch.num_rows()).filter(|at| u.value(*at) == 1);
        told.extend(ones.map(|at| (m.value(at), column("at").is_null(at))));
    }
    told
}

async fn row(lake: &Lake, at: &str) -> Vec<(i64, bool)> {
    let table = lake.at(at).await.unwrap().table("t").await.unwrap();
    told(&table.scan().collect().await.unwrap())
}

#[test]
fn a_struct_that_one_side_made_null_is_null() {
    paused(async {
        let lake = renewed().await;
        update(&lake, "main", "m", Some(10)).await;
        update(&lake, "dev", "at", None).await;
        merge(&lake, "dev", "main").await;
        assert_eq!(row(&lake, "main").await, [(10, true)]);
    });
}

#[test]
fn a_row_is_before_a_change_what_it_was() {
    paused(async {
        let lake = renewed().await;
        let before = lake.at("main").await.unwrap();
        update(&lake, "main", "m", Some(10)).await;
        let diff = lake.diff(&before, "main").await.unwrap();
        let rows = diff.table("t").await.unwrap().rows().await.unwrap();
        let changes: Vec<RowChange> = rows.try_collect().await.unwrap();
        let [RowChange::Updated { before, after }] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!(
            [before, after].map(|rows| told(std::slice::from_ref(rows))),
            [[(1, false)], [(10, false)]]
        );
        lake.revert("main").await.unwrap().committed().unwrap();
        assert_eq!(row(&lake, "main").await, [(1, false)]);
    });
}
