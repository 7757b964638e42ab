//! Pruning never changes results [READ-6]: random tables under random filters, pruned, not pruned, and row by row.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, UInt64Array};
use arrow::compute::filter_record_batch;
use futures::TryStreamExt;
use proptest::prelude::*;
use strandline_format::{
    ColumnName, Comparison, Field, FieldId, FileEntry, Filter, PrimitiveType, Schema, Test, Value,
};
use strandline_testkit::generate::batches;
use strandline_testkit::generate::typed::value;

use super::fixture::{Lake, Written, joined};
use crate::columns::{Conform, fields_from_arrow, value_at};
use crate::scan::Scan;

/// A filter of one or two tests over columns that are no part of others, with literals that rows have, or that no row need have.
fn filter(batch: &RecordBatch, leaves: &[(FieldId, PrimitiveType, usize)], seeds: &[(u64, u8)]) -> Filter {
    let tests: Vec<Filter> = seeds.iter().map(|(seed, kind)| test(batch, leaves, *seed, *kind)).collect();
    match seeds[0].1 % 3 {
        0 => Filter::And(tests),
        1 => Filter::Or(tests),
        _ => Filter::Not(Box::new(Filter::Or(tests))),
    }
}

fn test(batch: &RecordBatch, leaves: &[(FieldId, PrimitiveType, usize)], seed: u64, kind: u8) -> Filter {
    let at = |count: usize| usize::try_from(seed).unwrap_or(0) % count;
    let (id, ty, column) = leaves[at(leaves.len())];
    let stored = (batch.num_rows() > 0 && kind.is_multiple_of(2))
        .then(|| value_at(batch.column(column), at(batch.num_rows()), ty).unwrap())
        .flatten();
    let literal: Value = stored.unwrap_or_else(|| value(ty, seed));
    let compare = |comparison| Test::Compare(comparison, literal.clone());
    let test = match kind % 9 {
        0 => compare(Comparison::Equal),
        1 => compare(Comparison::NotEqual),
        2 => compare(Comparison::Less),
        3 => compare(Comparison::LessOrEqual),
        4 => compare(Comparison::Greater),
        5 => compare(Comparison::GreaterOrEqual),
        6 => Test::IsNull,
        7 => Test::IsNotNull,
        _ => Test::In(vec![literal.clone(), value(ty, seed ^ 1)]),
    };
    Filter::Field(id, test)
}

/// Every file of a table: the parts of a batch.
async fn lake_of(schema: &Schema, batch: &RecordBatch, row_group_rows: usize) -> Lake {
    lake_as(schema, batch, &Written { row_group_rows: Some(row_group_rows), ..Written::default() }).await
}

async fn lake_as(schema: &Schema, batch: &RecordBatch, written: &Written) -> Lake {
    let mut lake = Lake::new(schema.clone());
    for start in (0..batch.num_rows()).step_by(FILE_ROWS) {
        let rows = FILE_ROWS.min(batch.num_rows() - start);
        let deletes = written.deletes.iter().copied().filter(|at| *at < rows as u64).collect();
        lake.add(&batch.slice(start, rows), Written { deletes, ..written.clone() }).await;
    }
    lake
}

/// How many rows a file has.
const FILE_ROWS: usize = 17;

async fn rows_of(lake: &Lake, filter: Option<&Filter>, pruning: bool) -> RecordBatch {
    collected(lake.scan().pruning(pruning), filter).await
}

/// The same, by ranges of the files, as if these were large.
async fn ranges_of(lake: &Lake, filter: Option<&Filter>, pruning: bool) -> RecordBatch {
    collected(lake.scan().pruning(pruning).small_file(0), filter).await
}

async fn collected(scan: Scan, filter: Option<&Filter>) -> RecordBatch {
    let scan = scan.prefetch(NonZeroUsize::MIN);
    let stream = scan.start(filter.cloned()).await.unwrap();
    let schema = stream.schema().clone();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    joined(&schema, &batches)
}

/// A footer does not count NaNs, and Parquet's bounds leave them out; to a filter NaN is above every number.
#[tokio::test]
async fn a_nan_is_found_in_a_row_group_whose_bounds_leave_it_out() {
    let double = Field::required(ColumnName::new("x").unwrap(), PrimitiveType::Double);
    let schema = Schema::numbered(vec![double]).unwrap();
    let values: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, 2.0, 3.0]));
    let batch = RecordBatch::try_new(crate::columns::arrow_schema(&schema), vec![values]).unwrap();
    let lake = lake_of(&schema, &batch, 2).await;
    let filter = |comparison, literal| Filter::compare(FieldId(1), comparison, Value::Double(literal));
    for (comparison, literal, expected) in [
        (Comparison::Greater, 5.0, 1),
        (Comparison::GreaterOrEqual, 3.0, 2),
        (Comparison::NotEqual, 1.0, 3),
        (Comparison::Equal, f64::NAN, 1),
        (Comparison::Less, 2.0, 1),
    ] {
        let filter = filter(comparison, literal);
        for pruning in [true, false] {
            assert_eq!(rows_of(&lake, Some(&filter), pruning).await.num_rows(), expected, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn a_plan_tells_the_statistics_that_were_asked_for_and_prunes_by_all() {
    let field = |name| Field::required(ColumnName::new(name).unwrap(), PrimitiveType::Long);
    let schema = Schema::numbered(vec![field("x"), field("y")]).unwrap();
    let values = |sign: i64| Arc::new(Int64Array::from_iter_values((0..40).map(|at| sign * at))) as ArrayRef;
    let columns = vec![values(1), values(-1)];
    let batch = RecordBatch::try_new(crate::columns::arrow_schema(&schema), columns).unwrap();
    let lake = lake_of(&schema, &batch, FILE_ROWS).await;
    let filter = Filter::compare(FieldId(2), Comparison::LessOrEqual, Value::Long(-17));
    let plan = |scan: Scan| {
        let scan = scan.having(filter.clone());
        async move { scan.plan().await.unwrap() }
    };
    let all = plan(lake.scan()).await;
    assert_eq!((all.files.len(), &*all.whole), (2, &[true, true][..]));
    for asked in [vec![1], vec![2, 99], vec![], vec![1, 2]] {
        let asked: Vec<FieldId> = asked.into_iter().map(FieldId).collect();
        let some = plan(lake.scan().statistics_of(asked.iter().copied())).await;
        let expected = all.files.iter().map(|entry| {
            let mut stats = (*entry.stats).clone();
            assert_eq!(stats.0.len(), 2);
            stats.0.retain(|id, _| asked.contains(id));
            FileEntry { stats: stats.into(), ..entry.clone() }
        });
        assert_eq!(some.files, expected.collect::<Vec<_>>(), "{asked:?}");
        assert_eq!(some.whole, all.whole);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_pruned_scan_gives_what_a_naive_one_does(
        batch in batches::batches(60),
        row_group_rows in 1..20_usize,
        seeds in prop::collection::vec((any::<u64>(), any::<u8>()), 1..=2),
        page_rows in prop::option::of(1..6_usize),
        deletes in prop::collection::btree_set(0..17_u64, 0..4),
    ) {
        let schema = Schema::numbered(fields_from_arrow(&batch.schema()).unwrap()).unwrap();
        let batch = Conform::new(&schema, &batch.schema()).unwrap().apply(&batch).unwrap();
        let leaves: Vec<_> = schema.fields().iter().enumerate()
            .filter_map(|(at, field)| Some((field.id, field.ty.primitive()?, at)))
            .collect();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let lake = lake_of(&schema, &batch, row_group_rows).await;
            prop_assert_eq!(&rows_of(&lake, None, true).await, &batch);
            if leaves.is_empty() {
                return Ok(());
            }
            let filter = filter(&batch, &leaves, &seeds);
            let expected = filter_record_batch(&batch, &crate::filter::passes(&filter, &batch).unwrap()).unwrap();
            prop_assert_eq!(&rows_of(&lake, Some(&filter), false).await, &expected, "{:?}", &filter);
            prop_assert_eq!(&rows_of(&lake, Some(&filter), true).await, &expected, "{:?}", &filter);
            let row_group_rows = Some(row_group_rows);
            let deletes: Vec<u64> = deletes.into_iter().collect();
            let left = BooleanArray::from_iter((0..batch.num_rows() as u64).map(|at| Some(!deletes.contains(&(at % 17)))));
            let written = Written { row_group_rows, page_rows, deletes, ..Written::default() };
            let lake = lake_as(&schema, &batch, &written).await;
            let live = filter_record_batch(&batch, &left).unwrap();
            let passes = crate::filter::passes(&filter, &live).unwrap();
            let expected = filter_record_batch(&live, &passes).unwrap();
            let places = UInt64Array::from_iter_values((0..batch.num_rows() as u64).map(|at| at % 17));
            let places = arrow::compute::filter(&places, &left).unwrap();
            let places = arrow::compute::filter(&places, &passes).unwrap();
            prop_assert_eq!(&ranges_of(&lake, None, true).await, &live);
            for pruning in [true, false] {
                let scan = lake.scan().pruning(pruning).small_file(0).row_ids(true);
                let found = collected(scan, Some(&filter)).await;
                prop_assert_eq!(found.column_by_name("_row_id").unwrap(), &places, "{:?}", &filter);
                prop_assert_eq!(&ranges_of(&lake, Some(&filter), pruning).await, &expected, "{:?}", &filter);
            }
            Ok(())
        })?;
    }
}
