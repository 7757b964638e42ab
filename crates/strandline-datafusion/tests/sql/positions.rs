//! Where rows stand: their files, places, ids and versions, as columns of a scan.

use std::sync::Arc;

use strandline_datafusion::{At, Extra, LakeCatalog};

use crate::fixture::{Counted, batch, longs, rows, session, table};

#[tokio::test]
async fn each_row_has_its_file_place_id_and_version() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([10, 11, 12]))]).await;
    lake.append("t", batch(&[("id", longs([20, 21]))])).await.unwrap();
    let ctx = session(&lake);
    let catalog = LakeCatalog::new(lake.clone(), At::Branch(lake.default_branch().clone()));
    let found = catalog.table("t").await.unwrap().unwrap();
    let positions = found.with_positions().unwrap();
    ctx.register_table("p", Arc::new(positions)).unwrap();
    let extras = [Extra::Commit, Extra::File, Extra::Row, Extra::RowId];
    ctx.register_table("e", Arc::new(found.with_extras(&extras).unwrap())).unwrap();
    let expected = ["10 0 0 0", "11 0 1 1", "12 0 2 2", "20 1 0 3", "21 1 1 4"];
    assert_eq!(rows(&ctx, "SELECT * FROM p ORDER BY id").await, expected);
    let expected = ["2 1 0 3 20", "2 1 1 4 21"];
    assert_eq!(
        rows(&ctx, "SELECT _commit, _file, _row, _row_id, id FROM e WHERE _row_id > 2 ORDER BY 4").await,
        expected
    );
    assert_eq!(rows(&ctx, "SELECT count(*) FROM e WHERE _row = 1 AND id > 15").await, ["1"]);
    assert_eq!(rows(&ctx, "SELECT max(_row_id), min(_file) FROM e").await, ["4 0"]);
}

#[tokio::test]
async fn rows_tell_where_they_stand_by_a_name_in_sql() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("id", longs([10, 11]))]).await;
    lake.append("t", batch(&[("id", longs([20]))])).await.unwrap();
    let ctx = session(&lake);
    let told =
        rows(&ctx, "SELECT _row_id, _file, _row, _commit, id FROM lake.public.\"t$rows\" ORDER BY id").await;
    assert_eq!(told, ["0 0 0 1 10", "1 0 1 1 11", "2 1 0 2 20"]);
    assert_eq!(
        rows(&ctx, "SELECT * FROM lake.public.\"t$rows@v1\" WHERE _row_id = 1").await,
        ["11 1 0 1 1 1"]
    );
    assert_eq!(rows(&ctx, "SELECT * FROM lake.public.t ORDER BY id").await, ["10", "11", "20"]);
    let joined = "SELECT r._commit, _last_updated FROM lake.public.\"t$rows\" r JOIN lake.public.t USING (id) WHERE r.id = 20";
    assert_eq!(rows(&ctx, joined).await, ["2 2"]);
    let error = ctx.sql("SELECT _row_id FROM lake.public.t").await.unwrap_err();
    assert!(error.to_string().contains("_row_id"), "{error}");
}

#[tokio::test]
async fn a_tables_own_column_of_such_a_name_is_not_hidden() {
    let lake = Counted::new().await.lake;
    table(&lake, "t", &[("_FILE", longs([10]))]).await;
    let catalog = LakeCatalog::new(lake.clone(), At::Branch(lake.default_branch().clone()));
    let found = catalog.table("t").await.unwrap().unwrap();
    let error = found.with_positions().unwrap_err();
    assert!(error.to_string().contains("_file"), "{error}");
    let ctx = session(&lake);
    assert_eq!(rows(&ctx, "SELECT \"_FILE\" FROM lake.public.t").await, ["10"]);
}
