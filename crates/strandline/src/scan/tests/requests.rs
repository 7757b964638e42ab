//! What a scan costs, in requests, under paused time.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch};
use arrow::datatypes::Int32Type;
use serde::Serialize;
use strandline_format::{ColumnName, Field, PrimitiveType, Schema, Type};
use strandline_testkit::{Counts, PathClass};

use super::fixture::{Lake, Written, longs};
use crate::columns::batch_of_rows;
use crate::filter::col;
use crate::scan::{Scan, footer};

#[derive(Serialize)]
struct Row {
    id: i64,
    noise: Vec<u8>,
}

/// Rows that do not compress: a hundred make a file of more than a MiB.
fn rows(ids: std::ops::Range<i64>, noise: usize) -> Vec<Row> {
    let noise_of = |id: i64| {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ u64::try_from(id).unwrap();
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..noise).map(|_| next()).collect()
    };
    ids.map(|id| Row { id, noise: noise_of(id) }).collect()
}

fn lake() -> Lake {
    let column = |name: &str, ty: PrimitiveType| Field::required(ColumnName::new(name).unwrap(), ty);
    let columns = vec![column("id", PrimitiveType::Long), column("noise", PrimitiveType::Binary)];
    Lake::new(Schema::numbered(columns).unwrap())
}

fn batch(lake: &Lake, ids: std::ops::Range<i64>, noise: usize) -> RecordBatch {
    batch_of_rows(&lake.schema, &rows(ids, noise)).unwrap()
}

const LARGE: usize = 20_000;

/// A lake of files of a hundred rows each, large ones of two row groups.
async fn lake_of(files: i64, noise: usize, written: &Written) -> Lake {
    let mut lake = lake();
    for file in 0..files {
        let batch = batch(&lake, file * 100..file * 100 + 100, noise);
        lake.add(&batch, Written { row_group_rows: Some(50), ..written.clone() }).await;
    }
    lake
}

async fn measured(lake: &Lake, scan: Scan) -> (Vec<RecordBatch>, Counts) {
    let (batches, counts) = lake.store.measure(scan.collect()).await;
    (batches.unwrap(), counts)
}

fn paused(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(test);
}

fn data(counts: &Counts) -> u64 {
    counts.to(PathClass::Data).requests
}

#[test]
fn a_small_file_is_one_request() {
    paused(async {
        let lake = lake_of(3, 1, &Written::default()).await;
        let (batches, counts) = measured(&lake, lake.scan()).await;
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 300);
        assert_eq!((counts.total().requests, counts.depth()), (3, 1), "{counts}");
    });
}

#[test]
fn a_large_file_is_one_request_for_its_footer_and_one_for_each_row_group() {
    paused(async {
        let lake = lake_of(2, LARGE, &Written::default()).await;
        let (_, counts) = measured(&lake, lake.scan()).await;
        assert_eq!((data(&counts), counts.depth()), (2 + 4, 2), "{counts}");
        let (_, narrow) = measured(&lake, lake.scan().columns(["id"])).await;
        assert_eq!(data(&narrow), 2 + 4, "{narrow}");
        assert!(narrow.total().received < 20_000, "{narrow}");
    });
}

#[test]
fn a_footer_that_was_read_is_not_read_again() {
    paused(async {
        let lake = lake_of(1, LARGE, &Written::default()).await;
        let objects = lake.objects();
        let scan = || lake.scan_with(objects.clone()).columns(["id"]);
        let (_, first) = measured(&lake, scan()).await;
        let (_, second) = measured(&lake, scan()).await;
        assert_eq!((data(&first), data(&second)), (1 + 2, 2), "{first}\n{second}");
        let entry = scan().plan().await.unwrap().files.remove(0);
        let (footer, counts) = lake.store.measure(footer(&objects, lake.node.id, &entry)).await;
        assert_eq!((footer.unwrap().num_row_groups(), counts.total().requests), (2, 0), "{counts}");
    });
}

#[test]
fn a_deletion_vector_apart_comes_with_the_footer() {
    paused(async {
        let written = Written { deletes: vec![1, 99], deletes_apart: true, ..Written::default() };
        let lake = lake_of(1, LARGE, &written).await;
        let (batches, counts) = measured(&lake, lake.scan().columns(["id"])).await;
        assert_eq!(longs(&batches, 0).len(), 98);
        assert_eq!((counts.total().requests, counts.depth()), (1 + 1 + 2, 2), "{counts}");
    });
}

#[test]
fn what_statistics_rule_out_is_not_read() {
    paused(async {
        let lake = lake_of(4, LARGE, &Written::default()).await;
        let scan = || lake.scan().columns(["id"]).filter(col("id").eq(260));
        let (batches, counts) = measured(&lake, scan()).await;
        assert_eq!(longs(&batches, 0), [260]);
        assert_eq!(data(&counts), 1 + 1, "a footer and a row group: {counts}");
        let (batches, counts) = measured(&lake, scan().pruning(false)).await;
        assert_eq!(longs(&batches, 0), [260]);
        assert_eq!(data(&counts), 4 + 8, "{counts}");
        let (batches, counts) = measured(&lake, lake.scan().filter(col("id").gt(1000))).await;
        assert_eq!((batches.len(), counts.total().requests), (0, 0), "{counts}");
    });
}

#[test]
fn counting_reads_only_files_that_a_filter_cuts_through() {
    paused(async {
        let lake = lake_of(3, 1, &Written { deletes: vec![5], ..Written::default() }).await;
        let check = async |scan: Scan, expected: (u64, u64)| {
            let (count, counts) = lake.store.measure(scan.count()).await;
            assert_eq!((count.unwrap(), counts.total().requests), expected, "{counts}");
        };
        check(lake.scan(), (297, 0)).await;
        check(lake.scan().limit(10), (10, 0)).await;
        check(lake.scan().filter(col("id").ge(200)), (99, 0)).await;
        check(lake.scan().filter(col("id").ge(200)).limit(7), (7, 0)).await;
        check(lake.scan().filter(col("id").ge(150)), (149, 1)).await;
        check(lake.scan().filter(col("id").ge(150)).limit(120), (120, 1)).await;
        check(lake.scan().filter(col("id").ge(200)).pruning(false), (99, 3)).await;
    });
}

#[test]
fn files_beyond_a_limit_are_not_opened() {
    paused(async {
        let small = lake_of(20, 1, &Written::default()).await;
        let (batches, counts) = measured(&small, small.scan().limit(150)).await;
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 150);
        assert_eq!(data(&counts), 2, "{counts}");
        let (batches, counts) = measured(&small, small.scan().limit(0)).await;
        assert_eq!((batches.len(), counts.total().requests), (0, 0), "{counts}");
        let large = lake_of(3, LARGE, &Written::default()).await;
        let (batches, counts) = measured(&large, large.scan().limit(120).prefetch(NonZeroUsize::MIN)).await;
        assert_eq!(longs(&batches, 0), (0..120).collect::<Vec<_>>());
        assert_eq!(data(&counts), 2 + 3, "two footers, and three of four row groups: {counts}");
        let (batches, counts) = measured(&large, large.scan().limit(120)).await;
        assert_eq!(longs(&batches, 0).len(), 120);
        assert!(data(&counts) <= 2 + 3, "no row group more is ever asked for: {counts}");
    });
}

#[test]
fn no_columns_need_no_pages() {
    paused(async {
        let lake = lake_of(1, LARGE, &Written { deletes: vec![3], ..Written::default() }).await;
        let (batches, counts) = measured(&lake, lake.scan().columns::<String>([])).await;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!((rows, batches[0].num_columns(), data(&counts)), (99, 0, 1), "{counts}");
    });
}

/// A file of a hundred rows of which all ids are even and stand in this order; with pages of so many rows, by our own writer.
async fn lake_of_even(order: impl Fn(i64) -> i64, written: Written) -> Lake {
    let mut lake = lake();
    let mut rows = rows(0..100, 30_000);
    rows.iter_mut().enumerate().for_each(|(at, row)| row.id = 2 * order(i64::try_from(at).unwrap()));
    let batch = batch_of_rows(&lake.schema, &rows).unwrap();
    lake.add(&batch, written).await;
    lake
}

const NOISE: u64 = 30_000;

#[test]
fn of_rows_that_do_not_pass_only_the_columns_of_the_filter_are_read() {
    paused(async {
        let written = Written { row_group_rows: Some(50), deletes: vec![3], ..Written::default() };
        let lake = lake_of_even(|at| at, written).await;
        let filtered = |id: i64| lake.scan().filter(col("id").eq(id));
        let (batches, counts) = measured(&lake, filtered(51)).await;
        assert_eq!((batches.len(), data(&counts), counts.depth()), (0, 2, 2), "{counts}");
        assert!(counts.total().received < AHEAD + 20_000, "{counts}");
        let (batches, counts) = measured(&lake, filtered(50)).await;
        assert_eq!((longs(&batches, 0), data(&counts), counts.depth()), (vec![50], 3, 3), "{counts}");
        assert!(counts.total().received > 50 * NOISE, "a whole column chunk: {counts}");
        let (batches, counts) = measured(&lake, lake.scan().filter(col("id").eq(50)).pruning(false)).await;
        assert_eq!((longs(&batches, 0), data(&counts), counts.depth()), (vec![50], 4, 3), "{counts}");
        let (batches, _) = measured(&lake, filtered(6)).await;
        assert_eq!(batches.len(), 0, "it was deleted");
        let narrow = lake.scan().columns(["id"]).filter(col("id").is_in([50, 52]));
        let (batches, counts) = measured(&lake, narrow).await;
        assert_eq!((longs(&batches, 0), data(&counts)), (vec![50, 52], 2), "nothing is put off: {counts}");
    });
}

#[test]
fn what_is_little_comes_with_the_columns_of_the_filter() {
    paused(async {
        let written = Written { row_group_rows: Some(30), ..Written::default() };
        let lake = lake_of_even(|at| at, written).await;
        let (batches, counts) = measured(&lake, lake.scan().filter(col("id").eq(50))).await;
        assert_eq!((longs(&batches, 0), data(&counts), counts.depth()), (vec![50], 2, 2), "{counts}");
    });
}

/// What is read ahead of a footer.
const AHEAD: u64 = 256 << 10;

#[test]
fn of_our_files_only_pages_are_read_that_may_hold_rows_that_pass() {
    paused(async {
        let ours = Written { page_rows: Some(10), deletes: vec![40, 41], ..Written::default() };
        for (sorted, order) in [(true, (|at| at) as fn(i64) -> i64), (false, |at| at * 37 % 100)] {
            let lake = lake_of_even(order, ours.clone()).await;
            // Row 75 either way; of the noise each row is a page.
            let (batches, counts) = measured(&lake, lake.scan().filter(col("id").eq(150))).await;
            assert_eq!((longs(&batches, 0), data(&counts), counts.depth()), (vec![150], 3, 3), "{counts}");
            let pages = (counts.total().received - AHEAD) / NOISE;
            assert_eq!(pages, 1, "of a hundred, sorted: {sorted}: {counts}");
            let (whole, counts) = measured(&lake, lake.scan().filter(col("id").eq(150)).pruning(false)).await;
            assert_eq!(longs(&whole, 0), [150]);
            assert!(counts.total().received > 100 * NOISE, "{counts}");
        }
    });
}

#[test]
fn a_filter_with_a_limit_is_asked_no_longer_than_it_takes() {
    paused(async {
        for page_rows in [None, Some(10)] {
            let lake = lake_of_even(|at| at, Written { page_rows, ..Written::default() }).await;
            let scan = || lake.scan().filter(col("id").ge(20));
            let (batches, counts) = measured(&lake, scan().limit(5)).await;
            assert_eq!(longs(&batches, 0), [20, 22, 24, 26, 28]);
            let pages = counts.total().received / (10 * NOISE);
            assert!(page_rows.is_none() || pages <= 2, "{counts}");
            assert_eq!(longs(&scan().limit(200).collect().await.unwrap(), 0).len(), 90);
        }
    });
}

/// With the index at hand the Parquet reader would ask for single pages, of columns and scans for which these cannot be checked.
#[test]
fn an_index_that_a_filter_brought_changes_nothing_for_others() {
    paused(async {
        let ours = Written { page_rows: Some(10), deletes: vec![40, 41], ..Written::default() };
        let lake = lake_of_even(|at| at, ours).await;
        let objects = lake.objects();
        let scan = || lake.scan_with(objects.clone());
        let (_, first) = measured(&lake, scan().filter(col("id").eq(74))).await;
        let (batches, second) = measured(&lake, scan()).await;
        assert_eq!((longs(&batches, 0).len(), data(&first), data(&second)), (98, 3, 1), "{first}\n{second}");
        let (again, third) = measured(&lake, scan().filter(col("id").eq(74))).await;
        assert_eq!((longs(&again, 0), data(&third)), (vec![74], 2), "the index is known: {third}");
    });
}

/// Pages within lists do not say how many rows they have, so they are not read by themselves.
#[test]
fn an_index_that_a_filter_brought_leaves_lists_whole() {
    paused(async {
        let list = Type::list(PrimitiveType::Int, false).unwrap();
        let fields = [
            Field::required(ColumnName::new("id").unwrap(), PrimitiveType::Long),
            Field::optional(ColumnName::new("list").unwrap(), list),
        ];
        let mut lake = Lake::new(Schema::numbered(fields.to_vec()).unwrap());
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let lists = (0..100).map(|n| (n % 7 != 0).then(|| (0..n % 3).map(move |m| Some(n + m))));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
        let schema = super::fixture::arrow_of(&lake);
        let lists = arrow::compute::cast(&lists, schema.field(1).data_type()).unwrap();
        let batch = RecordBatch::try_new(schema, vec![ids, lists]).unwrap();
        lake.add(&batch, Written { page_rows: Some(10), deletes: vec![3, 40], ..Written::default() }).await;
        let objects = lake.objects();
        let scan = || lake.scan_with(objects.clone()).small_file(0);
        let narrow = scan().columns(["id"]).filter(col("id").eq(74)).collect().await.unwrap();
        assert_eq!(longs(&narrow, 0), [74]);
        for scan in [scan(), scan().columns(["list"]).filter(col("id").ge(0))] {
            let batches = scan.collect().await.unwrap();
            let found = batches.iter().map(|batch| batch.column(batch.num_columns() - 1).clone());
            assert_eq!(found.map(|lists| lists.len()).sum::<usize>(), 98);
        }
        let one = scan().columns(["list"]).filter(col("id").eq(74)).collect().await.unwrap();
        assert_eq!(**one[0].column(0), *batch.column(1).slice(74, 1));
    });
}

/// Entries as a large table has them: only leaves that the filter leaves are fetched, and no file is.
#[test]
fn a_plan_reads_the_nodes_of_interest() {
    paused(async {
        let mut lake = lake();
        let small = batch(&lake, 0..1, 1);
        let first = lake.add(&small, Written::default()).await;
        let edits = (0..20_000_u64).map(|id| {
            let mut entry = first.clone();
            entry.id = strandline_format::FileId(id);
            let bound =
                strandline_format::Bound::exact(strandline_format::Value::Long(i64::try_from(id).unwrap()));
            let known = Arc::make_mut(&mut entry.stats);
            known.0.values_mut().for_each(|stats| {
                stats.min = Some(bound.clone());
                stats.max = Some(bound.clone());
            });
            known.0.remove(&strandline_format::FieldId(2));
            (entry.id, Some(entry))
        });
        let edited = lake
            .trees
            .edit(&lake.node.files, edits.collect::<Vec<_>>(), strandline_format::Era(1))
            .await
            .unwrap();
        lake.node.files = edited.root;
        lake.upload(&edited.nodes).await;
        let (plan, counts) =
            lake.store.measure(lake.scan().filter(col("id").between(12_345, 12_346)).plan()).await;
        let plan = plan.unwrap();
        let ids: Vec<u64> = plan.files.iter().map(|entry| entry.id.0).collect();
        assert_eq!((ids, plan.rows), (vec![12_345, 12_346], 2));
        assert!(counts.total().requests <= 4 && data(&counts) == 0, "{counts}");
        assert_eq!(lake.scan().plan().await.unwrap().files.len(), 20_000);
    });
}
