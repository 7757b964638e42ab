//! Scans that are sent to another process, which has only the store.

use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_from_bytes_with_proto_converter,
    physical_plan_to_bytes, physical_plan_to_bytes_with_extension_codec,
    physical_plan_to_bytes_with_proto_converter,
};
use datafusion_proto::physical_plan::{
    DeduplicatingProtoConverter, DefaultPhysicalProtoConverter, PhysicalProtoConverterExtension,
};
use strandline::filter::col;
use strandline::format::{ColumnName, Field, PrimitiveType, Value};
use strandline::{ErrorKind, Lake};
use strandline_datafusion::{LakeCodec, LakeSql, lake_error};

use crate::fixture::{Counted, batch, lines, longs, rows, session, table};

/// A table with all that a Parquet scan of DataFusion's knows nothing of: deleted rows, a renamed column, an added one.
async fn evolved(lake: &Lake) {
    table(lake, "t", &[("id", longs(0..20)), ("old", longs(100..120))]).await;
    let transaction = lake.begin().await.unwrap();
    transaction.delete("t", col("id").between(5, 9)).await.unwrap();
    let added = Field {
        initial: Some(Value::Long(7)),
        default: Some(Value::Long(7)),
        ..Field::optional(ColumnName::new("added").unwrap(), PrimitiveType::Long)
    };
    transaction.alter_table("t").rename_column("old", "renamed").add_column(added).await.unwrap();
    transaction.commit().await.unwrap();
    lake.append("t", batch(&[("id", longs([50])), ("renamed", longs([1])), ("added", longs([2]))]))
        .await
        .unwrap();
}

async fn plan(ctx: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    ctx.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
}

const SQL: &str = "SELECT id, renamed, added FROM lake.public.t WHERE id > 3 ORDER BY id";

#[tokio::test]
async fn another_process_reads_the_same_rows_of_the_same_commit() {
    let counted = Counted::new().await;
    evolved(&counted.lake).await;
    let ctx = session(&counted.lake);
    let plan = plan(&ctx, SQL).await;
    let expected = lines(&collect(Arc::clone(&plan), ctx.task_ctx()).await.unwrap());
    assert_eq!(expected.len(), 12);
    let sent = physical_plan_to_bytes_with_extension_codec(plan, &LakeCodec::default()).unwrap();
    counted.lake.append("t", batch(&[("id", longs([60]))])).await.unwrap();
    let there = SessionContext::new();
    let codec = LakeCodec::new([counted.cold().await]);
    let taken = physical_plan_from_bytes_with_extension_codec(&sent, &there.task_ctx(), &codec).unwrap();
    assert_eq!(lines(&collect(taken, there.task_ctx()).await.unwrap()), expected);
}

#[tokio::test]
async fn the_default_way_of_sending_is_refused() {
    let counted = Counted::new().await;
    evolved(&counted.lake).await;
    let plan = plan(&session(&counted.lake), SQL).await;
    assert!(physical_plan_to_bytes(plan).is_err());
}

#[tokio::test]
async fn a_lake_that_the_receiver_lacks_is_an_error() {
    let counted = Counted::new().await;
    evolved(&counted.lake).await;
    let plan = plan(&session(&counted.lake), SQL).await;
    let sent = physical_plan_to_bytes_with_extension_codec(plan, &LakeCodec::default()).unwrap();
    let there = SessionContext::new();
    let error =
        physical_plan_from_bytes_with_extension_codec(&sent, &there.task_ctx(), &LakeCodec::default())
            .unwrap_err();
    assert_eq!(lake_error(&error).map(strandline::Error::kind), Some(ErrorKind::NotFound), "{error}");
}

/// What a plan gives in a session that has only the store, after it was sent by that way.
async fn sent_by(
    counted: &Counted,
    plan: Arc<dyn ExecutionPlan>,
    way: &dyn PhysicalProtoConverterExtension,
) -> (Vec<String>, String) {
    let sent = physical_plan_to_bytes_with_proto_converter(plan, &LakeCodec::default(), way).unwrap();
    let (there, codec) = (SessionContext::new(), LakeCodec::new([counted.cold().await]));
    let taken = physical_plan_from_bytes_with_proto_converter(&sent, &there.task_ctx(), &codec, way).unwrap();
    let rows = lines(&collect(Arc::clone(&taken), there.task_ctx()).await.unwrap());
    (rows, displayable(taken.as_ref()).indent(false).to_string())
}

/// Checks that a query gives as much there as here, and something.
async fn check_same(counted: &Counted, sql: &str) {
    let ctx = session(&counted.lake);
    let here = rows(&ctx, sql).await;
    assert!(!here.is_empty(), "{sql}");
    let (there, _) = sent_by(counted, plan(&ctx, sql).await, &DefaultPhysicalProtoConverter {}).await;
    assert_eq!(there, here, "{sql}");
}

#[tokio::test]
async fn where_rows_stand_is_the_same_in_another_process() {
    let counted = Counted::new().await;
    evolved(&counted.lake).await;
    // Rows that keep their numbers in another file, which a branch had numbered otherwise.
    let lake = &counted.lake;
    lake.sql("CREATE BRANCH dev").await.unwrap();
    lake.append("t", batch(&[("id", longs([70, 71])), ("renamed", longs([3, 4]))])).await.unwrap();
    lake.sql("USE BRANCH dev; INSERT INTO t (id, renamed) VALUES (80, 5), (81, 6); UPDATE t SET renamed = 9 WHERE id IN (2, 81)")
        .await
        .unwrap();
    lake.sql("MERGE BRANCH dev").await.unwrap();
    for sql in [
        "SELECT * FROM lake.public.\"t$rows\" ORDER BY id",
        "SELECT _row_id + 1, _commit FROM lake.public.\"t$rows\" WHERE _row_id > 3 ORDER BY 1",
        "SELECT id, _row FROM lake.public.\"t$rows\" WHERE _row = 1 OR _file = 2 ORDER BY 1",
        "SELECT _row_id FROM lake.public.\"t$rows\" ORDER BY _row_id DESC LIMIT 3",
        "SELECT max(_commit), count(DISTINCT _row_id) FROM lake.public.\"t$rows\"",
    ] {
        check_same(&counted, sql).await;
    }
    let shifted = rows(&session(lake), "SELECT count(*) FROM lake.public.\"t$rows\" WHERE id >= 80").await;
    assert_eq!(shifted, ["2"]);
}

#[tokio::test]
async fn two_files_of_the_same_bytes_stay_two() {
    let counted = Counted::new().await;
    let lake = &counted.lake;
    lake.sql("CREATE TABLE t (id BIGINT); INSERT INTO t VALUES (1), (2), (3)").await.unwrap();
    lake.sql("DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1), (2), (3)").await.unwrap();
    let ctx = session(lake);
    let paths = "SELECT count(*), count(DISTINCT path) FROM lake.public.\"t$files\"";
    assert_eq!(rows(&ctx, paths).await, ["2 1"]);
    check_same(&counted, "SELECT id FROM lake.public.t ORDER BY id").await;
    check_same(&counted, "SELECT id, _file, _row_id FROM lake.public.\"t$rows\" ORDER BY _row_id").await;
}

#[tokio::test]
async fn what_a_query_finds_out_as_it_runs_reaches_the_scan_there_as_well() {
    let counted = Counted::new().await;
    table(&counted.lake, "t", &[("id", longs(0..20))]).await;
    let ctx = session(&counted.lake);
    let first = "SELECT id FROM lake.public.t ORDER BY id LIMIT 2";
    let (rows, told) =
        sent_by(&counted, plan(&ctx, first).await, &DeduplicatingProtoConverter::default()).await;
    assert_eq!(rows, ["0", "1"]);
    assert!(told.contains("predicate=DynamicFilter [ id@0 < 1 ]"), "{told}");
}

#[tokio::test]
async fn functions_of_lakes_need_no_lake_where_a_plan_goes() {
    let counted = Counted::new().await;
    let lake = &counted.lake;
    lake.sql("CREATE TABLE t (u UUID, n TEXT)").await.unwrap();
    let uuid = "ab000000-0000-0000-0000-000000000009";
    lake.sql(&format!("INSERT INTO t VALUES ('{uuid}', '{uuid}')")).await.unwrap();
    check_same(&counted, "SELECT uuid_text(u) FROM lake.public.t WHERE to_uuid(n) = u").await;
}

#[tokio::test]
async fn extremes_by_groups_are_those_of_lakes_where_a_plan_goes() {
    let counted = Counted::new().await;
    let lake = &counted.lake;
    lake.sql("CREATE TABLE t (k INT, f DOUBLE, g FLOAT)").await.unwrap();
    let values = "(1, '-inf', 'inf'), (1, '-inf', 'NaN'), (2, 'NaN', 1.5), (2, 'inf', NULL), (3, NULL, NULL), (4, 'NaN', '-inf')";
    lake.sql(&format!("INSERT INTO t VALUES {values}")).await.unwrap();
    let sql = "SELECT k, max(f), min(f), max(g), min(g) FROM lake.public.t GROUP BY k ORDER BY k";
    let expected = ["1 -inf -inf NaN inf", "2 NaN inf 1.5 1.5", "3", "4 NaN NaN -inf -inf"];
    assert_eq!(rows(&session(lake), sql).await, expected);
    check_same(&counted, sql).await;
}

#[tokio::test]
async fn what_is_no_scan_of_a_table_is_refused_with_the_reason() {
    let counted = Counted::new().await;
    evolved(&counted.lake).await;
    let ctx = session(&counted.lake);
    let check = async |sql: &str, said: &str| {
        let plan = plan(&ctx, sql).await;
        let error = physical_plan_to_bytes_with_extension_codec(plan, &LakeCodec::default()).unwrap_err();
        // DataFusion keeps the text of what a codec says, and nothing else.
        assert!(error.to_string().contains(said), "{error}");
    };
    check("SELECT * FROM lake.public.\"t$history\"", "is read where the lake is").await;
    check("SELECT * FROM lake_log()", "is read where the lake is").await;
    check("DELETE FROM lake.public.t WHERE id % 2 = 0", "the session that it was given to").await;
}

const LAKE: &str = "STRANDLINE_TEST_LAKE";

#[tokio::test]
async fn a_process_that_has_only_the_store_runs_a_plan() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().join("lake").to_str().unwrap().to_owned();
    let lake = Lake::create(url.clone()).await.unwrap();
    evolved(&lake).await;
    let plan = plan(&session(&lake), SQL).await;
    let sent = physical_plan_to_bytes_with_extension_codec(plan, &LakeCodec::default()).unwrap();
    std::fs::write(folder.path().join("plan"), sent).unwrap();
    lake.append("t", batch(&[("id", longs([60]))])).await.unwrap();
    let receiver = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["sent::the_other_process", "--exact", "--ignored", "--nocapture"])
        .env(LAKE, url)
        .output()
        .unwrap();
    let told = String::from_utf8(receiver.stdout).unwrap();
    let rows: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("row ")).collect();
    assert!(receiver.status.success(), "{told}");
    assert_eq!((rows.len(), rows.first(), rows.last()), (12, Some(&"4 104 7"), Some(&"50 1 2")), "{told}");
}

/// What that process does: it is this program, and has the folder of the lake.
#[tokio::test]
#[ignore = "it is started by the test before"]
async fn the_other_process() {
    let url = strandline::Runtime::system().environment().variable(LAKE).unwrap();
    let sent = std::fs::read(std::path::Path::new(&url).with_file_name("plan")).unwrap();
    let (there, codec) = (SessionContext::new(), LakeCodec::new([Lake::open(url).await.unwrap()]));
    let plan = physical_plan_from_bytes_with_extension_codec(&sent, &there.task_ctx(), &codec).unwrap();
    lines(&collect(plan, there.task_ctx()).await.unwrap()).iter().for_each(|row| println!("row {row}"));
}
