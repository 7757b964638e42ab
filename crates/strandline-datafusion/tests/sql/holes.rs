//! Large files of which a few rows are gone, read whole: the same rows as without that way, whatever columns are made of.

use datafusion::prelude::{SessionConfig, SessionContext};
use strandline::{ErrorKind, Lake};
use strandline_datafusion::{Session, lake_error};

use crate::fixture::{Counted, keeping_no_data, rows};

/// Texts of few and of many values, with nulls, decimals of eight and of sixteen bytes, and lists, in row groups of 500 rows.
const TABLE: &str = "CREATE TABLE t WITH ('strandline.row-group-rows' = '500') AS
    SELECT value AS id, CASE value % 3 WHEN 0 THEN 'AIR' WHEN 1 THEN 'über Land' ELSE '' END AS few,
        CASE WHEN value % 5 <> 0 THEN repeat('long ', 1 + value % 9) END AS sometimes, 'row ' || value AS many,
        CAST(value % 4 AS VARCHAR)::BYTEA AS bytes, CAST(value AS DECIMAL(15, 2)) AS eight,
        CAST(value AS DECIMAL(30, 2)) AS sixteen, make_array(value, value % 7) AS list
    FROM generate_series(0, 3999)";

async fn made(lake: &Lake, statements: &[&str]) {
    let session = Session::new(lake).unwrap();
    for sql in statements {
        session.sql(sql).await.unwrap();
    }
}

/// A session that cuts files for its partitions.
fn session(lake: &Lake, partitions: usize) -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(300)
        .with_repartition_file_min_size(1);
    let ctx = SessionContext::new_with_config(config);
    strandline_datafusion::register(&ctx, "lake", lake).unwrap();
    ctx
}

#[tokio::test]
async fn what_is_left_is_what_was_not_deleted() {
    let lake = Counted::new().await.lake;
    let few = "DELETE FROM t WHERE id % 17 = 3 OR id BETWEEN 1200 AND 1260 OR id BETWEEN 2500 AND 2999";
    let kept = "CREATE TABLE kept AS SELECT * FROM t WHERE NOT (id % 17 = 3 OR id BETWEEN 1200 AND 1260 OR id BETWEEN 2500 AND 2999)";
    let altered = "ALTER TABLE t ADD COLUMN late VARCHAR DEFAULT 'x'";
    let renamed = "ALTER TABLE t RENAME COLUMN few TO some";
    made(&lake, &[TABLE, kept, few, altered, renamed]).await;
    for partitions in [1, 3, 8] {
        let ctx = session(&lake, partitions);
        for columns in
            ["id, {few}, sometimes, many, bytes, eight, sixteen, list", "eight, {few}", "id", "list[2]"]
        {
            let of = |name: &str, few: &str| {
                format!("SELECT {} FROM lake.public.{name} ORDER BY 1, 2", columns.replace("{few}", few))
                    .replace(if columns.contains(',') { "never" } else { ", 2" }, "")
            };
            let found = rows(&ctx, &of("t", "some")).await;
            assert_eq!(found, rows(&ctx, &of("kept", "few")).await, "{columns} in {partitions}");
        }
        assert_eq!(
            rows(&ctx, "SELECT count(*) FROM (SELECT id FROM lake.public.t) WHERE id >= 0").await,
            ["3236"]
        );
        // Both have the file cut for the partitions, and a sort has DataFusion's own reader read it.
        for sql in [
            "SELECT some, late FROM lake.public.t ORDER BY late, some",
            "SELECT some, count(late) FROM lake.public.t GROUP BY some",
        ] {
            let told = rows(&ctx, &format!("EXPLAIN ANALYZE {sql}")).await.join("\n");
            let scan = told.lines().find(|line| line.contains("DataSourceExec")).unwrap();
            for part in ["lake_rows_deleted=764", "output_rows=3.24 K"] {
                assert!(scan.contains(part), "{part}: {told}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_byte_is_an_error_that_names_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let lake = keeping_no_data(folder.path()).await;
    made(&lake, &[TABLE, "DELETE FROM t WHERE id % 17 = 3"]).await;
    let table = lake.table("t").await.unwrap();
    let (reader, entry) = (table.file_reader(), &table.files().await.unwrap()[0]);
    let (start, length) = reader.footer(entry).await.unwrap().row_group(5).column(3).byte_range();
    let path = folder.path().join(reader.path(entry).unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[usize::try_from(start + length / 2).unwrap()] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let sql = "SELECT id, many FROM lake.public.t";
    let error = session(&lake, 2).sql(sql).await.unwrap().collect().await.unwrap_err();
    assert_eq!(lake_error(&error).map(strandline::Error::kind), Some(ErrorKind::Corrupt), "{error}");
    assert!(error.to_string().contains(&*path.file_name().unwrap().to_string_lossy()), "{error}");
}
