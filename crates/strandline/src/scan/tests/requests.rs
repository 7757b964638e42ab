//! What a scan costs, in requests, under paused time.

use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde::Serialize;
use strandline_format::{ColumnName, Field, PrimitiveType, Schema};
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
