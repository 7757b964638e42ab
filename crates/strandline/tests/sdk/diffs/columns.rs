//! Columns and tables that are made anew, or come back: which of them are told as another one, and which as the one that was there.

use super::*;

/// Its values are another column's, since no type holds those of before.
#[test]
fn a_column_that_is_there_again_with_another_type_is_told_as_another_one() {
    paused(async {
        let (_, lake) = shop(3).await;
        change(&lake, async |on| {
            on.alter_table("orders").drop_check("positive").drop_column("amount").await.unwrap();
            on.alter_table("orders").add_column(column("amount", PrimitiveType::String)).await.unwrap();
            on.update("orders", col("id").eq(1)).set("amount", "much").await.unwrap();
        })
        .await;
        let diff = lake.diff("main~", "main").await.unwrap().table("orders").await.unwrap();
        let told: Vec<_> =
            diff.schema().into_iter().map(|field| (field.before, field.after, field.what)).collect();
        let amount = || Some("amount".to_owned());
        assert_eq!(
            told,
            [(amount(), None, vec![FieldAspect::Dropped]), (None, amount(), vec![FieldAspect::Added]),]
        );
        let rows: Vec<RowChange> = diff.rows().await.unwrap().try_collect().await.unwrap();
        let [RowChange::Updated { before, after }] = &rows[..] else { panic!("{rows:?}") };
        let amounts = |rows: &RecordBatch| rows.column_by_name("amount").unwrap().as_string::<i32>().clone();
        assert_eq!((amounts(before).is_null(0), amounts(after).value(0)), (true, "much"));
        let kinds: Vec<_> = log(&lake.table("orders").await.unwrap(), "main~", "main")
            .await
            .into_iter()
            .map(|told| told.0)
            .collect();
        assert_eq!(kinds, ["update_preimage", "update_postimage"]);
    });
}

#[test]
fn a_table_that_is_made_anew_with_other_columns_is_told_as_another_one() {
    paused(async {
        let (_, lake) = shop(3).await;
        let amounts = || batch([("amount", crate::work::texts(&["much", "more"]))]);
        change(&lake, async |on| {
            on.drop_table("orders").await.unwrap();
            on.create_table("orders").like(&amounts().schema()).await.unwrap();
            on.append("orders", amounts()).await.unwrap();
        })
        .await;
        let diff = lake.diff("main~", "main").await.unwrap();
        let mut told = Vec::new();
        for entry in diff.tables() {
            let table = diff.open(entry).await.unwrap();
            let rows: Vec<RowChange> = table.rows().await.unwrap().try_collect().await.unwrap();
            assert_eq!(summed(&rows), table.counts().await.unwrap());
            told.push((entry.before().is_some(), entry.after().is_some(), summed(&rows)));
        }
        told.sort_by_key(|entry| entry.1);
        let (gone, made) = (
            RowCounts { deleted: 3, ..RowCounts::default() },
            RowCounts { inserted: 2, ..RowCounts::default() },
        );
        assert_eq!(told, [(true, false, gone), (false, true, made)]);
    });
}

#[test]
fn a_column_that_comes_back_is_told_as_updates_of_the_rows_that_have_values_of_it() {
    paused(async {
        let counted = Counted::new();
        let lake = Lake::create_in(counted.storage.clone()).await.unwrap();
        change(&lake, async |on| {
            on.create_table("t").like(&keyed(&[]).schema()).await.unwrap();
            on.append("t", keyed(&[1, 2, 3])).await.unwrap();
        })
        .await;
        change(&lake, async |on| on.alter_table("t").drop_column("v").await.map(drop).unwrap()).await;
        change(&lake, async |on| assert_eq!(on.delete("t", col("k").eq(3)).await.unwrap(), 1)).await;
        lake.revert("main~").on("main").await.unwrap().committed().unwrap();
        let table = lake.table("t").await.unwrap();
        let back = [("update_preimage", 0), ("update_postimage", 10)];
        let values = |log: Vec<RecordBatch>| -> Vec<(String, i64)> {
            let of = |batch: &RecordBatch| -> Vec<(String, i64)> {
                let kinds = batch.column_by_name("_change_type").unwrap().as_string::<i32>();
                let v = batch.column_by_name("v").unwrap().as_primitive::<Int64Type>();
                (0..v.len())
                    .map(|at| (kinds.value(at).to_owned(), if v.is_valid(at) { v.value(at) } else { 0 }))
                    .collect()
            };
            log.iter().flat_map(of).collect()
        };
        for net in [false, true] {
            let changes = table.changes("main~", "main");
            let changes = if net { changes.net() } else { changes };
            let log = values(changes.await.unwrap().try_collect().await.unwrap());
            assert_eq!(log.len(), 4, "{log:?}");
            assert_eq!((log[0].0.as_str(), log[0].1), back[0]);
            assert_eq!((log[1].0.as_str(), log[1].1), back[1]);
        }
        let diff = lake.diff("main~", "main").await.unwrap().table("t").await.unwrap();
        assert_eq!(diff.counts().await.unwrap(), RowCounts { inserted: 0, deleted: 0, updated: 2 });
        let versions = [lake.at("main~3").await.unwrap(), lake.at("main").await.unwrap()];
        check_changes(&versions[0], &versions[1]).await;
        check_pair(&lake, &versions[0], &versions[1]).await;
    });
}

#[test]
fn a_column_that_was_wider_while_it_was_gone_comes_back_and_is_told() {
    paused(async {
        let (_, lake) = shop(2).await;
        change(&lake, async |on| {
            on.alter_table("orders").add_column(column("n", PrimitiveType::Int)).await.unwrap();
        })
        .await;
        change(&lake, async |on| {
            on.alter_table("orders").widen_column("n", PrimitiveType::Long).await.unwrap();
        })
        .await;
        change(&lake, async |on| {
            let wide = batch([("id", longs([9])), ("n", longs([5_000_000_000]))]);
            on.append("orders", wide).await.unwrap();
        })
        .await;
        change(&lake, async |on| on.alter_table("orders").drop_column("n").await.map(drop).unwrap()).await;
        lake.reset("main~3").on("main").await.unwrap().committed().unwrap();
        let table = lake.table("orders").await.unwrap();
        for changes in [table.changes("main~", "main"), table.changes("main~", "main").net()] {
            let log: Vec<RecordBatch> = changes.await.unwrap().try_collect().await.unwrap();
            assert_eq!(log.iter().map(RecordBatch::num_rows).sum::<usize>(), 1, "the wide row is gone");
        }
        // All that came in between is told, as wide as it was.
        let all: Vec<RecordBatch> =
            table.changes("main~4", "main").await.unwrap().try_collect().await.unwrap();
        let widest = all.iter().filter_map(|batch| {
            arrow::compute::max(batch.column_by_name("n").unwrap().as_primitive::<Int64Type>())
        });
        assert_eq!(widest.max(), Some(5_000_000_000));
    });
}
