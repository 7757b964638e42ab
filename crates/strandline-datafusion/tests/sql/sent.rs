//! Scans that are sent to another process, which has only the store.

use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes,
    physical_plan_to_bytes_with_extension_codec,
};
use strandline::filter::col;
use strandline::format::{ColumnName, Field, PrimitiveType, Value};
use strandline::{ErrorKind, Lake};
use strandline_datafusion::{LakeCodec, lake_error};

use crate::fixture::{Counted, batch, lines, longs, session, table};

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

#[tokio::test]
async fn columns_of_where_rows_stand_are_not_sent_and_it_is_said() {
    let counted = Counted::new().await;
    evolved(&counted.lake).await;
    let ctx = session(&counted.lake);
    for column in ["_row_id", "_file", "_commit"] {
        let plan = plan(&ctx, &format!("SELECT {column} FROM lake.public.\"t$rows\" WHERE id > 3")).await;
        let error = physical_plan_to_bytes_with_extension_codec(plan, &LakeCodec::default()).unwrap_err();
        // DataFusion has a text for what a codec says, and nothing else.
        let said = "unsupported: a scan with columns of where rows stand";
        assert!(error.to_string().contains(said), "{error}");
    }
}
